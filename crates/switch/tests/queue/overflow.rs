//! Calls that leave their queue by themselves, and what they take with them.

use std::time::Duration;

use tandem_switch::directory::floor::Queue;
use tandem_switch::limits::{MAX_OVERFLOWS_AT_ONCE, MAX_QUEUED};
use tandem_switch::queue::Arrival;

use crate::floor::{House, arc, point, queue};

fn after_ten_seconds(to: Option<&str>) -> Queue {
    Queue { max_wait: Duration::from_secs(10), overflow: to.map(arc), ..queue("800", &["a1"]) }
}

#[test]
fn a_call_overflows_when_it_has_waited_too_long() {
    let mut house = House::of(vec![after_ten_seconds(Some("801"))]);
    house.arrive(1, "800");
    assert_eq!(house.due_in_ms(), Some(10_000));
    house.pass(9_999);
    assert_eq!(house.wishes(), [""; 0]);
    house.pass(1);
    assert_eq!(house.wishes(), ["1!800>801 Time"]);
    assert_eq!((house.view("800").waiting, house.due_in_ms()), (0, None));
    assert!(house.stored().is_empty());
}

#[test]
fn a_call_with_nowhere_to_go_is_refused() {
    let mut house = House::of(vec![after_ten_seconds(None)]);
    house.arrive(1, "800");
    house.pass(10_000);
    assert_eq!(house.wishes(), ["1!800 480 Time"]);
}

#[test]
fn a_call_that_rings_does_not_overflow_before_it_comes_back() {
    let mut house = House::of(vec![after_ten_seconds(Some("801"))]);
    house.arrive(1, "800");
    house.pass(9_000);
    house.available("1");
    assert_eq!(house.wishes(), ["1>1"]);
    house.pass(5_000);
    assert_eq!(house.wishes(), [""; 0]);
    house.failed(1);
    assert_eq!(house.wishes(), ["1!800>801 Time"]);
}

#[test]
fn an_overdue_call_that_comes_back_goes_to_an_available_agent_first() {
    let mut house = House::of(vec![Queue { agents: vec![arc("a1"), arc("a2")], ..after_ten_seconds(None) }]);
    house.available("1");
    house.arrive(1, "800");
    house.pass(11_000);
    house.available("2");
    house.failed(1);
    assert_eq!(house.wishes(), ["1>1", "1>2"]);
}

#[test]
fn phones_that_refuse_at_once_do_not_keep_an_overdue_call_for_ever() {
    let agents = vec![arc("a1"), arc("a2"), arc("a3")];
    let mut house = House::of(vec![Queue { agents, ..after_ten_seconds(Some("801")) }]);
    house.available("1");
    house.arrive(1, "800");
    house.pass(11_000);
    house.available("2");
    house.available("3");
    house.failed(1);
    assert_eq!(house.wishes(), ["1>1", "1>2"], "one more offer");
    house.failed(1);
    assert_eq!(house.wishes(), ["1!800>801 Time"], "and no third one");
}

#[test]
fn a_full_queue_sends_a_further_call_on_unless_an_agent_takes_it_at_once() {
    let mut house = House::of(vec![Queue { max_length: 2, ..queue("800", &["a1"]) }]);
    house.available("1");
    for conn in 1..=4 {
        house.arrive(conn, "800");
    }
    assert_eq!(house.wishes(), ["1>1", "4!800 486 Length"]);
    house.failed(1);
    assert_eq!(house.view("800").waiting, 3, "a call that comes back is not turned away");
    house.arrive_with(5, "800", 9, &[]);
    assert_eq!(house.wishes(), ["5!800 486 Length"]);
}

#[test]
fn a_full_queue_sends_calls_to_its_overflow_destination() {
    let mut house =
        House::of(vec![Queue { max_length: 1, overflow: Some(arc("1001")), ..queue("800", &[]) }]);
    house.arrive(1, "800");
    house.arrive(2, "800");
    assert_eq!(house.wishes(), ["2!800>1001 Length"]);
}

#[test]
fn no_queue_holds_more_than_the_bound() {
    let mut house = House::of(vec![queue("800", &[])]);
    for conn in 0..=MAX_QUEUED as u64 {
        house.arrive(conn, "800");
    }
    assert_eq!(house.wishes(), [format!("{MAX_QUEUED}!800 486 Length")]);
}

#[test]
fn without_agents_a_call_overflows_at_once_if_the_queue_says_so() {
    let unattended = Queue { overflow_without_agents: true, ..queue("800", &["a1"]) };
    let mut house = House::of(vec![unattended, queue("801", &["a1"])]);
    house.arrive(1, "800");
    house.arrive(2, "801");
    assert_eq!(house.wishes(), ["1!800 480 NoAgents"]);
    house.log_in("1");
    house.arrive(3, "800");
    assert_eq!(house.wishes(), [""; 0], "somebody is logged in, though he is not ready");
}

#[test]
fn waiting_calls_overflow_when_the_last_agent_logs_out() {
    let mut house = House::of(vec![Queue { overflow_without_agents: true, ..queue("800", &["a1", "a2"]) }]);
    house.log_in("1");
    house.log_in("2");
    house.arrive(8, "800");
    house.arrive(3, "800");
    house.log_out("1");
    assert_eq!(house.wishes(), [""; 0]);
    house.log_out("2");
    assert_eq!(house.wishes(), ["8!800 480 NoAgents", "3!800 480 NoAgents"]);
}

#[test]
fn a_call_that_comes_back_to_a_queue_without_agents_overflows() {
    let mut house = House::of(vec![Queue { overflow_without_agents: true, ..queue("800", &["a1"]) }]);
    house.available("1");
    house.arrive(1, "800");
    house.log_out("1");
    assert_eq!(house.wishes(), ["1>1"]);
    house.failed(1);
    assert_eq!(house.wishes(), ["1!800 480 NoAgents"]);
}

#[test]
fn a_call_that_overflows_keeps_its_place_by_its_first_arrival() {
    let mut house = House::of(vec![after_ten_seconds(Some("801")), queue("801", &["a1"])]);
    house.arrive(1, "800");
    house.pass(1_000);
    house.arrive(2, "801");
    house.pass(9_000);
    assert_eq!(house.wishes(), ["1!800>801 Time"]);
    house.leave(1);
    house.arrive(1, "801");
    assert_eq!((house.queues.place(1), house.queues.place(2)), (Some(1), Some(2)));
    assert_eq!(house.view("801").longest_wait_ms, 10_000);
}

#[test]
fn the_time_in_the_next_queue_counts_anew() {
    let next = Queue { number: arc("801"), ..after_ten_seconds(None) };
    let mut house = House::of(vec![after_ten_seconds(Some("801")), next]);
    house.arrive(1, "800");
    house.pass(10_000);
    house.arrive(1, "801");
    house.pass(9_999);
    assert_eq!(house.wishes(), ["1!800>801 Time"]);
    house.pass(1);
    assert_eq!(house.wishes(), ["1!801 480 Time"]);
}

#[test]
fn a_call_that_comes_elsewhere_after_an_overflow_is_a_new_arrival() {
    let mut house = House::of(vec![after_ten_seconds(Some("1001")), queue("801", &[])]);
    house.arrive(1, "800");
    house.pass(10_000);
    house.arrive(2, "801");
    house.pass(1);
    house.arrive(1, "801");
    assert_eq!((house.queues.place(2), house.queues.place(1)), (Some(1), Some(2)));
}

#[test]
fn queues_that_overflow_to_one_another_do_not_play_with_a_call_for_ever() {
    let to = |number: &str, to: &str| Queue {
        overflow_without_agents: true,
        overflow: Some(arc(to)),
        ..queue(number, &["a1"])
    };
    let mut house = House::of(vec![to("800", "801"), to("801", "800")]);
    let mut at = arc("800");
    for _ in 0..MAX_OVERFLOWS_AT_ONCE {
        let arrival = Arrival { conn: 1, at: at.clone(), priority: 0, skills: vec![] };
        house.with_desk(|queues, desk| queues.arrive(desk, arrival));
        let next = if *at == *"800" { "801" } else { "800" };
        assert_eq!(house.wishes(), [format!("1!{at}>{next} NoAgents")]);
        at = arc(next);
    }
    house.arrive(1, &at);
    assert_eq!(house.wishes(), [format!("1!{at} 480 NoAgents")]);
}

#[test]
fn a_call_that_waited_in_between_may_overflow_as_often_as_it_likes() {
    let mut house = House::of(vec![after_ten_seconds(Some("800"))]);
    for _ in 0..MAX_OVERFLOWS_AT_ONCE * 3 {
        house.arrive(1, "800");
        house.pass(10_000);
        assert_eq!(house.wishes(), ["1!800>800 Time"]);
    }
}

#[test]
fn a_call_to_a_number_that_is_neither_queue_nor_routing_point_is_refused() {
    let mut house = House::of(vec![]);
    house.arrive(1, "800");
    assert_eq!(house.wishes(), ["1!800 480 Configuration"]);
}

#[test]
fn a_call_from_a_routing_point_keeps_its_place_too() {
    let mut house = House::of(vec![queue("800", &[])]);
    house.reload(|floor| floor.routing_points = vec![point("900", Some("800"))]);
    house.routers("900", 1);
    house.arrive(1, "900");
    house.pass(5_000);
    house.arrive(2, "800");
    house.pass(5_000);
    house.arrive(1, "800");
    assert_eq!(house.wishes(), ["1?900", "1!900>800 RouterTimeout"]);
    assert_eq!(house.queues.place(1), Some(1));
}

#[test]
fn a_queue_full_of_calls_that_nobody_fits_still_gives_a_call_to_an_available_agent() {
    let mut house = House::of(vec![Queue { max_length: 1, ..queue("800", &["a1"]) }]);
    house.arrive_with(1, "800", 0, &[("german", 1)]);
    house.available("1");
    house.arrive(2, "800");
    assert_eq!(house.wishes(), ["2>1"]);
}
