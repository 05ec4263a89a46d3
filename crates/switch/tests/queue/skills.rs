//! Calls that want further skills, and queues that take the highest first.

use tandem_switch::directory::floor::{Distribution, Floor, Queue};
use tandem_switch::limits::MAX_SKILL_CLASSES;

use crate::floor::{House, login, queue};

fn house(queue: Queue) -> House {
    let logins = vec![
        login("a1", &[("german", 3), ("sales", 1)]),
        login("a2", &[("german", 5)]),
        login("a3", &[("french", 9), ("sales", 4)]),
    ];
    House::with(Floor { queues: vec![queue], logins, ..Floor::default() })
}

#[test]
fn a_call_gets_an_agent_with_the_skills_that_it_wants() {
    let mut house = house(queue("800", &["a1", "a2", "a3"]));
    for dn in ["3", "1", "2"] {
        house.available(dn);
        house.pass(1);
    }
    house.arrive_with(1, "800", 0, &[("german", 4)]);
    house.arrive_with(2, "800", 0, &[("sales", 1), ("german", 3)]);
    house.arrive_with(3, "800", 0, &[("sales", 1), ("german", 3)]);
    assert_eq!(house.wishes(), ["1>2", "2>1"]);
}

#[test]
fn a_call_that_nobody_fits_does_not_hold_up_those_behind_it() {
    let mut house = house(queue("800", &["a1", "a2", "a3"]));
    house.arrive_with(1, "800", 9, &[("german", 5)]);
    house.arrive(2, "800");
    house.available("1");
    assert_eq!(house.wishes(), ["2>1"]);
    house.available("2");
    assert_eq!(house.wishes(), ["1>2"]);
}

#[test]
fn an_agent_gets_the_most_urgent_of_the_calls_that_he_fits() {
    let mut house = house(queue("800", &["a1", "a2", "a3"]));
    house.arrive(1, "800");
    house.arrive_with(2, "800", 0, &[("german", 3)]);
    house.arrive_with(3, "800", 1, &[("german", 3)]);
    house.arrive_with(4, "800", 5, &[("french", 1)]);
    house.available("2");
    house.available("1");
    assert_eq!(house.wishes(), ["3>2", "1>1"]);
}

#[test]
fn the_same_skills_in_another_order_or_twice_are_the_same_wish() {
    let mut house = house(queue("800", &["a2"]));
    house.arrive_with(1, "800", 0, &[("german", 1), ("german", 6)]);
    house.arrive_with(2, "800", 0, &[("german", 5), ("german", 1)]);
    house.available("2");
    assert_eq!(house.wishes(), ["2>2"], "the higher level counts");
}

#[test]
fn the_highest_skill_is_taken_first_then_who_is_idle_longest() {
    let mut skilled = Queue { distribution: Distribution::HighestSkill, ..queue("800", &["a1", "a2", "a4"]) };
    skilled.skills = [("german".into(), 3)].into();
    let logins =
        vec![login("a1", &[("german", 3)]), login("a2", &[("german", 5)]), login("a4", &[("german", 5)])];
    let mut house = House::with(Floor { queues: vec![skilled], logins, ..Floor::default() });
    for dn in ["1", "4", "2"] {
        house.available(dn);
        house.pass(1);
    }
    for conn in 1..=3 {
        house.arrive(conn, "800");
    }
    assert_eq!(house.wishes(), ["1>4", "2>2", "3>1"]);
}

#[test]
fn a_calls_own_skills_count_for_the_highest_too() {
    let by_skill = Queue { distribution: Distribution::HighestSkill, ..queue("800", &["a1", "a2", "a3"]) };
    let mut house = house(by_skill);
    for dn in ["1", "2", "3"] {
        house.available(dn);
        house.pass(1);
    }
    house.arrive_with(1, "800", 0, &[("german", 1)]);
    house.arrive_with(2, "800", 0, &[("sales", 1)]);
    house.arrive(3, "800");
    assert_eq!(house.wishes(), ["1>2", "2>3", "3>1"]);
}

#[test]
fn the_longest_idle_is_taken_whatever_his_level_unless_the_queue_says_otherwise() {
    let mut house = house(queue("800", &["a1", "a2"]));
    house.available("1");
    house.pass(1);
    house.available("2");
    house.arrive_with(1, "800", 0, &[("german", 1)]);
    assert_eq!(house.wishes(), ["1>1"]);
}

#[test]
fn combinations_of_skills_beyond_the_bound_overflow_and_unused_ones_make_room() {
    let most = MAX_SKILL_CLASSES as u64;
    let mut house = house(queue("800", &["a1"]));
    for conn in 1..most {
        house.arrive_with(conn, "800", 0, &[("greek", conn as u32)]);
    }
    assert_eq!(house.wishes(), [""; 0]);
    house.arrive_with(most, "800", 0, &[("greek", 1_000)]);
    assert_eq!(house.wishes(), [format!("{most}!800 486 Length")]);
    house.arrive_with(90, "800", 0, &[("greek", 1)]);
    house.leave(5);
    house.available("1");
    house.arrive_with(91, "800", 0, &[("german", 3)]);
    assert_eq!(house.wishes(), ["91>1"]);
    house.arrive_with(92, "800", 0, &[("latin", 1)]);
    assert_eq!(house.wishes(), ["92!800 486 Length"], "a combination is in use while its call rings");
}
