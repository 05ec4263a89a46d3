//! A new configuration, and a restart.

use std::time::Duration;

use tandem_switch::directory::floor::{Distribution, Floor, Queue};

use crate::floor::{House, arc, login, point, queue};

#[test]
fn calls_of_a_queue_that_is_gone_leave_for_its_last_overflow_destination() {
    let mut house =
        House::of(vec![Queue { overflow: Some(arc("1001")), ..queue("800", &[]) }, queue("801", &[])]);
    house.arrive(4, "800");
    house.arrive(2, "800");
    house.arrive(3, "801");
    house.reload(|floor| floor.queues.retain(|queue| *queue.number != *"800"));
    assert_eq!(house.wishes(), ["4!800>1001 Configuration", "2!800>1001 Configuration"]);
    assert_eq!(house.queues.place(3), Some(1));
}

#[test]
fn a_call_that_rings_while_its_queue_goes_may_still_be_answered() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    house.available("1");
    house.available("2");
    house.arrive(1, "800");
    house.arrive(2, "800");
    house.reload(|floor| floor.queues.clear());
    house.answered(1);
    house.failed(2);
    assert_eq!(house.wishes(), ["1>1", "2>2", "2!800 480 Configuration"]);
    assert!(house.stored().is_empty());
}

#[test]
fn who_serves_a_queue_from_now_on_gets_its_waiting_calls_the_most_urgent_first() {
    let mut house = House::of(vec![queue("800", &[]), Queue { priority: 1, ..queue("801", &[]) }]);
    house.available("1");
    house.available("2");
    house.arrive(1, "800");
    house.arrive(2, "801");
    house.arrive(3, "801");
    house.reload(|floor| {
        floor.queues.iter_mut().for_each(|queue| queue.agents = vec![arc("a1"), arc("a2")]);
    });
    assert_eq!(house.wishes(), ["2>1", "3>2"]);
}

#[test]
fn who_does_not_serve_a_queue_any_more_gets_no_call_of_it() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    house.available("1");
    house.reload(|floor| floor.queues[0].agents = vec![arc("a2")]);
    house.arrive(1, "800");
    assert_eq!(house.wishes(), [""; 0]);
    assert_eq!((house.view("800").agents, house.view("800").available), (0, 0));
}

#[test]
fn skills_and_order_of_agents_follow_the_configuration() {
    let logins = vec![login("a1", &[("german", 3)]), login("a2", &[("german", 4)])];
    let queues = vec![queue("800", &["a1", "a2"])];
    let mut house = House::with(Floor { queues, logins, ..Floor::default() });
    house.available("1");
    house.available("2");
    house.reload(|floor| {
        floor.queues[0].distribution = Distribution::HighestSkill;
        floor.queues[0].skills = [("german".into(), 1)].into();
        floor.logins[0].skills = [("german".into(), 9)].into();
    });
    house.arrive_with(1, "800", 0, &[("german", 5)]);
    house.arrive(2, "800");
    assert_eq!(house.wishes(), ["1>1", "2>2"]);
    house.available("2");
    house.arrive_with(3, "800", 0, &[("german", 5)]);
    house.reload(|floor| floor.logins[1].skills = [("german".into(), 5)].into());
    assert_eq!(house.wishes(), [""; 0], "call 2 rings at him");
    house.answered(2);
    house.available("2");
    assert_eq!(house.wishes(), ["3>2"]);
}

#[test]
fn waiting_calls_take_the_new_time_and_a_call_that_waits_too_long_by_it_leaves() {
    let mut house = House::of(vec![queue("800", &[])]);
    house.arrive(1, "800");
    house.pass(20_000);
    assert_eq!(house.due_in_ms(), None);
    house.reload(|floor| floor.queues[0].max_wait = Duration::from_secs(15));
    house.pass(0);
    assert_eq!(house.wishes(), ["1!800 480 Time"]);
}

#[test]
fn a_reload_without_agents_left_overflows_waiting_calls() {
    let mut house = House::of(vec![Queue { overflow_without_agents: true, ..queue("800", &["a1"]) }]);
    house.log_in("1");
    house.arrive(1, "800");
    house.reload(|floor| floor.queues[0].agents = vec![arc("a2")]);
    assert_eq!(house.wishes(), ["1!800 480 NoAgents"]);
}

#[test]
fn a_reload_that_changes_nothing_does_nothing() {
    let mut house =
        House::of(vec![Queue { max_wait: Duration::from_secs(60), ..queue("800", &["a1", "a2"]) }]);
    house.available("1");
    house.arrive(1, "800");
    house.arrive_with(2, "800", 3, &[("german", 2)]);
    house.arrive(3, "800");
    house.wishes();
    house.stored();
    let seen = |house: &House| {
        (house.view("800"), [1, 2, 3].map(|conn| house.queues.place(conn)), house.due_in_ms())
    };
    let before = seen(&house);
    house.reload(|_| {});
    assert_eq!(seen(&house), before);
    assert_eq!(house.wishes(), [""; 0]);
    assert!(house.stored().is_empty(), "nothing is stored anew");
}

#[test]
fn places_survive_a_restart_in_order() {
    let floor = Floor {
        queues: vec![Queue { max_wait: Duration::from_secs(60), ..queue("800", &["a1"]) }],
        routing_points: vec![point("900", None)],
        logins: vec![login("a1", &[("german", 3)])],
        ..Floor::default()
    };
    let mut house = House::with(floor.clone());
    house.routers("900", 1);
    for (conn, priority) in [(9, 0), (8, 0), (7, 1), (6, 0)] {
        house.arrive_with(conn, "800", priority, &[("german", 3)]);
    }
    house.leave(8);
    house.arrive(5, "900");
    house.available("1");
    assert_eq!(house.wishes(), ["7>1", "5?900"]);
    let stored = house.stored();

    let mut next = House::with(floor);
    next.now = house.now;
    next.log.begin_epoch(2);
    next.routers("900", 1);
    next.pass(10_000);
    let restored =
        stored.changes().map(|change| next.with_desk(|queues, desk| queues.restore(desk, &change)));
    let restored: Vec<_> = restored.map(Option::unwrap).collect();
    assert_eq!(restored, [9, 7, 6, 5]);
    assert_eq!([7, 9, 6, 5].map(|conn| next.queues.place(conn)), [Some(1), Some(2), Some(3), Some(1)]);
    assert_eq!(next.view("800").longest_wait_ms, 10_000);
    assert!(next.stored().is_empty(), "what is stored is not stored again");
    next.arrive(4, "800");
    let new = next.stored().changes().next().unwrap();
    assert!(stored.get(&new.key).is_none(), "a new place does not take the number of an old one");
    next.available("1");
    next.pass(0);
    assert_eq!(next.wishes(), ["7>1", "5?900", "5!900 480 RouterTimeout"], "its time ran on meanwhile");
}
