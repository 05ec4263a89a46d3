//! Which call an agent gets.

use crate::floor::{House, queue};

#[test]
fn calls_are_served_in_the_order_in_which_they_came() {
    let mut house = House::of(vec![queue("800", &["a1", "a2", "a3"])]);
    for conn in [7, 3, 5] {
        house.arrive(conn, "800");
        house.pass(1);
    }
    for dn in ["1", "2", "3"] {
        house.available(dn);
    }
    assert_eq!(house.wishes(), ["7>1", "3>2", "5>3"]);
}

#[test]
fn calls_of_one_millisecond_are_served_in_the_order_in_which_they_came() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    house.arrive(9, "800");
    house.arrive(2, "800");
    house.available("1");
    house.available("2");
    assert_eq!(house.wishes(), ["9>1", "2>2"]);
}

#[test]
fn a_call_of_higher_priority_goes_before_older_ones() {
    let mut house = House::of(vec![queue("800", &["a1", "a2", "a3"])]);
    for (conn, priority) in [(1, 0), (2, -5), (3, 9)] {
        house.arrive_with(conn, "800", priority, &[]);
        house.pass(1);
    }
    for dn in ["1", "2", "3"] {
        house.available(dn);
    }
    assert_eq!(house.wishes(), ["3>1", "1>2", "2>3"]);
}

#[test]
fn an_agent_of_several_queues_takes_the_call_whose_queue_has_the_higher_priority() {
    let high = tandem_switch::directory::floor::Queue { priority: 5, ..queue("801", &["a1", "a2"]) };
    let mut house = House::of(vec![queue("800", &["a1", "a2"]), high]);
    house.arrive(1, "800");
    house.pass(1);
    house.arrive(2, "801");
    house.available("1");
    house.available("2");
    assert_eq!(house.wishes(), ["2>1", "1>2"]);
}

#[test]
fn a_calls_own_priority_goes_before_its_queues() {
    let high = tandem_switch::directory::floor::Queue { priority: 5, ..queue("801", &["a1"]) };
    let mut house = House::of(vec![queue("800", &["a1"]), high]);
    house.arrive(1, "801");
    house.arrive_with(2, "800", 1, &[]);
    house.available("1");
    assert_eq!(house.wishes(), ["2>1"]);
}

#[test]
fn an_agent_of_equal_queues_takes_the_call_that_waits_longest() {
    let mut house = House::of(vec![queue("800", &["a1"]), queue("801", &["a1"])]);
    house.arrive(1, "801");
    house.pass(1);
    house.arrive(2, "800");
    house.available("1");
    assert_eq!(house.wishes(), ["1>1"]);
}

#[test]
fn a_call_knows_its_place() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    for conn in 1..=4 {
        house.arrive(conn, "800");
    }
    house.arrive_with(5, "800", 1, &[]);
    let place = |house: &House| [5, 1, 2, 3, 4, 6].map(|conn| house.queues.place(conn));
    assert_eq!(place(&house), [Some(1), Some(2), Some(3), Some(4), Some(5), None]);
    house.available("1");
    house.leave(2);
    assert_eq!(place(&house), [None, Some(1), None, Some(2), Some(3), None]);
}

#[test]
fn the_longest_wait_is_that_of_the_oldest_call_whatever_its_priority() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    house.arrive_with(1, "800", -1, &[]);
    house.pass(2_000);
    house.arrive_with(2, "800", 7, &[]);
    house.arrive_with(3, "800", 3, &[]);
    house.pass(500);
    let view = house.view("800");
    assert_eq!((view.waiting, view.longest_wait_ms), (3, 2_500));
}
