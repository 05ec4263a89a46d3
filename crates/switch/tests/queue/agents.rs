//! Which agent a call gets, and who serves which queue.

use tandem_switch::directory::floor::Floor;

use crate::floor::{House, group, login, queue};

#[test]
fn the_agent_who_is_idle_longest_gets_the_call() {
    let mut house = House::of(vec![queue("800", &["a1", "a2", "a3"])]);
    for dn in ["3", "1", "2"] {
        house.available(dn);
        house.pass(1);
    }
    for conn in 1..=3 {
        house.arrive(conn, "800");
    }
    assert_eq!(house.wishes(), ["1>3", "2>1", "3>2"]);
}

#[test]
fn an_agent_who_is_told_idle_since_earlier_goes_before() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    house.available("1");
    let mut second = house.candidate("2", &[]);
    second.idle_since_unix_ms -= 1;
    house.with_desk(|queues, desk| queues.available(desk, second));
    house.arrive(1, "800");
    assert_eq!(house.wishes(), ["1>2"]);
}

#[test]
fn agents_and_groups_of_a_queue_serve_it_and_nobody_else() {
    let mut by_group = queue("800", &["a1"]);
    by_group.groups = vec!["g".into()];
    let floor = Floor {
        queues: vec![by_group],
        groups: vec![group("g", &["a2"]), group("h", &["a3"])],
        ..Floor::default()
    };
    let mut house = House::with(floor);
    for dn in ["3", "2", "1"] {
        house.available(dn);
        house.pass(1);
    }
    for conn in 1..=3 {
        house.arrive(conn, "800");
    }
    assert_eq!(house.wishes(), ["1>2", "2>1"]);
    assert_eq!(house.view("800").agents, 2);
}

#[test]
fn who_names_a_queue_at_his_login_serves_it() {
    let mut house = House::of(vec![queue("800", &[]), queue("801", &[])]);
    house.available_for("1", &["801"]);
    house.arrive(1, "800");
    house.arrive(2, "801");
    assert_eq!(house.wishes(), ["2>1"]);
    house.available_for("1", &["800"]);
    assert_eq!(house.wishes(), [""; 0], "call 2 rings at him");
    house.answered(2);
    house.available_for("1", &["800"]);
    assert_eq!(house.wishes(), ["1>1"]);
    assert_eq!((house.view("800").agents, house.view("801").agents), (1, 0));
}

#[test]
fn a_queue_that_names_nobody_is_served_by_whoever_has_its_skills() {
    let mut skilled = queue("800", &[]);
    skilled.skills = [("german".into(), 3), ("sales".into(), 1)].into();
    let logins = vec![
        login("a1", &[("german", 3)]),
        login("a2", &[("german", 2), ("sales", 5)]),
        login("a3", &[("german", 3), ("sales", 1)]),
    ];
    let mut house = House::with(Floor { queues: vec![skilled], logins, ..Floor::default() });
    for dn in ["1", "2", "3"] {
        house.available(dn);
    }
    house.arrive(1, "800");
    house.arrive(2, "800");
    assert_eq!(house.wishes(), ["1>3"]);
    assert_eq!((house.view("800").agents, house.view("800").available), (1, 0));
}

#[test]
fn a_named_agent_needs_the_minimum_skills_too() {
    let mut skilled = queue("800", &["a1", "a2"]);
    skilled.skills = [("german".into(), 3)].into();
    let logins =
        vec![login("a1", &[("german", 2)]), login("a2", &[("german", 3)]), login("a3", &[("german", 9)])];
    let mut house = House::with(Floor { queues: vec![skilled], logins, ..Floor::default() });
    for dn in ["1", "2", "3"] {
        house.available(dn);
    }
    for conn in 1..=3 {
        house.arrive(conn, "800");
    }
    assert_eq!(house.wishes(), ["1>2"]);
}

#[test]
fn an_agent_is_counted_while_he_is_logged_in_and_available_while_he_may_be_offered_calls() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    let seen = |house: &House| (house.view("800").agents, house.view("800").available);
    house.log_in("1");
    assert_eq!(seen(&house), (1, 0));
    house.available("1");
    house.available("2");
    assert_eq!(seen(&house), (2, 2));
    house.unavailable("1");
    assert_eq!(seen(&house), (2, 1));
    house.log_out("1");
    house.log_out("2");
    house.log_out("2");
    assert_eq!(seen(&house), (0, 0));
    house.arrive(1, "800");
    assert_eq!(house.wishes(), [""; 0]);
}

#[test]
fn another_agent_at_the_same_dn_serves_his_own_queues() {
    let mut house = House::of(vec![queue("800", &["a1"]), queue("801", &["other"])]);
    house.available("1");
    let mut other = house.candidate("1", &[]);
    other.agent_id = "other".into();
    house.with_desk(|queues, desk| queues.agent_in(desk, other));
    assert_eq!((house.view("800").agents, house.view("801").agents), (0, 1));
    house.arrive(1, "800");
    assert_eq!(house.wishes(), [""; 0]);
}
