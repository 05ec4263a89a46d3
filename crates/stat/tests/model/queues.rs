//! Queues: offered, handled, abandoned, overflowed, waits and service levels.

use tandem_cti::{Event, EventName};
use tandem_stat::{Counts, Outcome, Row};

use crate::floor::*;

fn counts(floor: &Floor, object: &str) -> Counts {
    floor.view(object).total.counts
}

#[test]
fn a_call_is_handled_when_an_agent_answers_it_and_its_wait_counts_from_the_entry() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.queued("7000", 1);
    floor.pass(12_000);
    floor.offered("7000", 1, "1001");
    let queue = floor.view("queue:site-a:7000");
    assert_eq!((queue.waiting, queue.ringing), (Some(1), Some(1)));
    assert_eq!(queue.longest_waiting_since_unix_ms, Some(START_MS));
    floor.pass(3_000);
    floor.answered("7000", 1, "1001");
    for object in ["queue:site-a:7000", "site:site-a", "agent:anna", "place:desk-1", "group:sales"] {
        let counts = counts(&floor, object);
        assert_eq!((counts.offered, counts.handled, counts.wait_ms), (1, 1, 15_000), "{object}");
        assert_eq!((counts.within, counts.leveled), (1, 1), "{object}");
    }
    assert_eq!(floor.view("queue:site-a:7000").waiting, Some(0));
    assert_eq!(counts(&floor, "queue:site-b:7000"), Counts::default());
    let [Row::CallSegment { dn, outcome, wait_ms, other, .. }] = floor.rows.as_slice() else { panic!() };
    assert_eq!((&**dn, *outcome, *wait_ms), ("7000", Outcome::Handled, Some(15_000)));
    assert_eq!(other.as_deref(), Some("+4930"));
}

#[test]
fn a_call_that_comes_back_to_its_queue_has_entered_once() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.queued("7000", 1);
    floor.offered("7000", 1, "1001");
    floor.pass(15_000);
    floor.says(EventName::Released, "1001", 1);
    floor.returned("7000", 1);
    let queue = floor.view("queue:site-a:7000");
    assert_eq!((queue.total.counts.offered, queue.waiting, queue.ringing), (1, Some(1), Some(0)));
    assert_eq!(queue.longest_waiting_since_unix_ms, Some(START_MS));
    let agent = counts(&floor, "agent:anna");
    assert_eq!((agent.offered, agent.missed, agent.handled), (1, 1, 0));
    floor.offered("7000", 1, "1002");
    floor.pass(10_000);
    floor.answered("7000", 1, "1002");
    let queue = counts(&floor, "queue:site-a:7000");
    assert_eq!((queue.offered, queue.handled, queue.wait_ms), (1, 1, 25_000));
    assert_eq!((queue.within, queue.leveled), (0, 1));
}

#[test]
fn who_gives_up_in_the_queue_or_while_it_rings_has_abandoned() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.queued("7000", 1);
    floor.queued("7000", 2);
    floor.pass(5_000);
    floor.says(EventName::Abandoned, "7000", 1);
    floor.offered("7000", 2, "1001");
    floor.pass(25_000);
    floor.says(EventName::Abandoned, "1001", 2);
    assert_eq!(counts(&floor, "queue:site-a:7000").abandoned, 2);
    floor.says(EventName::Abandoned, "7000", 2);
    let queue = counts(&floor, "queue:site-a:7000");
    assert_eq!((queue.offered, queue.abandoned, queue.longest_wait_ms), (2, 2, 30_000));
    assert_eq!(queue.leveled, 1, "who gave up within the threshold is left out");
    let agent = counts(&floor, "agent:anna");
    assert_eq!((agent.offered, agent.abandoned, agent.missed), (1, 1, 0));
    assert_eq!(floor.view("queue:site-a:7000").waiting, Some(0));
}

#[test]
fn a_call_that_goes_elsewhere_is_diverted() {
    let mut floor = floor();
    for (conn, target) in [(1, Some("+49301234")), (2, None), (3, Some("7001"))] {
        floor.queued("7000", conn);
        let event =
            Event { third_party_dn: target.map(str::to_owned), ..call(EventName::Diverted, "7000", conn) };
        floor.tell(A, event);
    }
    floor.queued("7000", 4);
    floor.queued("7001", 4);
    floor.queued("7000", 5);
    floor.says(EventName::Ringing, "1003", 5);
    let queue = counts(&floor, "queue:site-a:7000");
    assert_eq!((queue.offered, queue.diverted, queue.handled), (5, 5, 0));
    assert_eq!(counts(&floor, "queue:site-a:7001").offered, 1);
    assert_eq!(floor.view("site:site-a").waiting, Some(1));
}

#[test]
fn an_internal_caller_who_hears_an_answer_has_not_answered_himself() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.says(EventName::Dialing, "1002", 1);
    floor.queued("7000", 1);
    floor.offered("7000", 1, "1001");
    floor.pass(1_000);
    floor.answered("7000", 1, "1001");
    floor.answered("7000", 1, "1002");
    let queue = counts(&floor, "queue:site-a:7000");
    assert_eq!((queue.offered, queue.handled), (1, 1));
    assert_eq!(counts(&floor, "place:desk-2").handled, 0);
}

#[test]
fn a_routing_point_counts_like_a_queue() {
    let mut floor = floor();
    floor.says(EventName::RouteRequest, "8000", 1);
    floor.says(EventName::RouteRequest, "8000", 2);
    floor.offered("8000", 1, "1001");
    floor.pass(500);
    floor.answered("8000", 1, "1001");
    floor.tell(A, Event { third_party_dn: Some("7000".into()), ..call(EventName::Diverted, "8000", 2) });
    floor.queued("7000", 2);
    let point = floor.view("queue:site-a:8000");
    assert_eq!(point.kind, "routing-point");
    let counts = point.total.counts;
    assert_eq!((counts.offered, counts.handled, counts.diverted), (2, 1, 1));
}

#[test]
fn the_estimate_is_nothing_while_agents_wait_and_grows_with_the_line() {
    let mut floor = floor();
    let estimate = |floor: &Floor| floor.view("queue:site-a:7000").estimated_wait_ms;
    assert_eq!(estimate(&floor), None, "nobody is there to answer");
    floor.login(A, "1001", "anna");
    floor.login(A, "1002", "bert");
    floor.ready(A, "1001", "anna");
    floor.ready(A, "1002", "bert");
    assert_eq!(estimate(&floor), Some(0));
    floor.queued("7000", 1);
    floor.offered("7000", 1, "1001");
    floor.answered("7000", 1, "1001");
    floor.pass(60_000);
    floor.says(EventName::Released, "1001", 1);
    for conn in 2..6 {
        floor.queued("7000", conn);
    }
    assert_eq!(estimate(&floor), Some(150_000), "five calls of 60 s for two agents");
    floor.not_ready(A, "1002", "bert", tandem_cti::WorkMode::WalkAway);
    assert_eq!(estimate(&floor), Some(300_000));
    let agents = floor.view("queue:site-a:7000").agents.unwrap();
    assert_eq!((agents["WaitForNextCall"], agents["NotReadyForNextCall"]), (1, 1));
}

#[test]
fn an_agent_serves_the_queue_that_he_names_at_his_login() {
    let mut floor = floor();
    let mut event = agent_event(EventName::AgentLogin, "1003", "carl");
    event.this_queue = Some("7001".into());
    floor.tell(A, event);
    floor.ready(A, "1003", "carl");
    assert_eq!(floor.view("queue:site-a:7001").agents.unwrap()["WaitForNextCall"], 1);
    assert_eq!(floor.status("agent:carl"), "WaitForNextCall");
    assert_eq!(floor.view("site:site-a").agents.unwrap()["WaitForNextCall"], 1);
}

#[test]
fn a_call_that_left_for_an_agent_and_is_nowhere_is_given_up_by_the_sites_own_clock() {
    let mut floor = floor();
    floor.queued("7000", 1);
    floor.tell(A, Event { third_party_dn: Some("1001".into()), ..call(EventName::Diverted, "7000", 1) });
    floor.pass(30_000);
    floor.queued("7000", 2);
    assert_eq!(counts(&floor, "queue:site-a:7000").unseen, 0);
    floor.pass(1_000);
    floor.queued("7000", 3);
    let queue = counts(&floor, "queue:site-a:7000");
    assert_eq!((queue.offered, queue.unseen), (3, 1));
    assert_eq!(floor.view("queue:site-a:7000").waiting, Some(2));
}

#[test]
fn a_call_that_rings_long_is_not_given_up() {
    let mut floor = floor();
    floor.queued("7000", 1);
    floor.offered("7000", 1, "1001");
    floor.pass(100_000);
    floor.queued("7000", 2);
    assert_eq!(counts(&floor, "queue:site-a:7000").unseen, 0);
    floor.answered("7000", 1, "1001");
    assert_eq!(counts(&floor, "queue:site-a:7000").handled, 1);
}

#[test]
fn only_what_changed_is_told() {
    let mut floor = floor();
    floor.stat.take_changed();
    floor.queued("7000", 1);
    let changed: Vec<String> = floor.stat.take_changed().iter().map(ToString::to_string).collect();
    assert_eq!(changed, ["site:site-a", "queue:site-a:7000"]);
    floor.login(A, "1001", "anna");
    let changed: Vec<String> = floor.stat.take_changed().iter().map(ToString::to_string).collect();
    let expected = [
        "site:site-a",
        "queue:site-a:7000",
        "queue:site-b:7000",
        "group:sales",
        "agent:anna",
        "place:desk-1",
    ];
    assert_eq!(changed, expected);
    assert!(floor.stat.take_changed().is_empty());
    floor.stat.tick(floor.now_ms + 60_000);
    assert!(!floor.stat.take_changed().is_empty(), "a window has moved");
}
