//! Gaps in the stream of events: snapshots, and what is not counted twice.

use tandem_cti::{AgentState, Event, EventName, PartyState, Resumed, WorkMode};
use tandem_stat::{Heard, Outcome, Position, Row};

use crate::floor::*;

fn numbered(sequence: u64, event: Event) -> Event {
    Event { sequence: Some(sequence), ..event }
}

#[test]
fn an_event_that_comes_twice_counts_once_and_a_missing_one_is_noticed() {
    let mut floor = floor();
    assert_eq!(floor.tell(A, opened("s", Resumed::New, 1)), Heard::Taken);
    assert_eq!(floor.tell(A, numbered(2, call(EventName::Queued, "7000", 1))), Heard::Taken);
    assert_eq!(floor.tell(A, numbered(2, call(EventName::Queued, "7000", 1))), Heard::Again);
    let late = numbered(4, call(EventName::Abandoned, "7000", 1));
    assert_eq!(floor.tell(A, late), Heard::Missing { expected: 3 });
    assert_eq!(floor.view("queue:site-a:7000").waiting, Some(1));
    let position = Position { session: "s".into(), after: 2 };
    assert_eq!(floor.stat.position(A), Some(position));
    assert_eq!(floor.stat.position(B), None);
    assert_eq!(floor.tell(7, call(EventName::Queued, "7000", 1)), Heard::UnknownSite);
}

#[test]
fn a_snapshot_of_what_is_known_counts_nothing_again() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.ready(A, "1001", "anna");
    floor.queued("7000", 1);
    floor.queued("7000", 2);
    floor.offered("7000", 1, "1001");
    floor.answered("7000", 1, "1001");
    let before: Vec<_> = floor.stat.snapshot(floor.now_ms);
    let rows = floor.rows.len();
    floor.pass(1_000);
    let talking = party("1001", 1, PartyState::Connected, Some("7000"));
    floor.tell(A, describe("1001", Some(("anna", AgentState::BusyReady)), vec![talking]));
    floor.tell(A, describe("7000", None, vec![party("+4930", 2, PartyState::Queued, None)]));
    let strip = |views: Vec<(tandem_stat::Object, tandem_stat::View)>| -> Vec<tandem_stat::View> {
        views.into_iter().map(|(_, view)| tandem_stat::View { in_service: None, ..view }).collect()
    };
    assert_eq!(strip(floor.stat.snapshot(floor.now_ms - 1_000)), strip(before));
    assert_eq!(floor.rows.len(), rows);
}

#[test]
fn a_snapshot_keeps_the_reason_and_mode_that_the_agent_gave() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.not_ready(A, "1001", "anna", WorkMode::AuxWork);
    floor.pass(1_000);
    floor.tell(A, describe("1001", Some(("anna", AgentState::NotReady)), vec![]));
    assert_eq!(floor.view("agent:anna").work_mode, Some("AuxWork"));
    let acw = Event {
        work_mode: Some(WorkMode::AfterCallWork),
        ..describe("1001", Some(("anna", AgentState::NotReady)), vec![])
    };
    floor.tell(A, acw);
    assert_eq!(floor.status("agent:anna"), "AfterCallWork");
}

#[test]
fn what_ended_during_a_gap_is_said_to_be_unseen_and_what_began_is_there() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.queued("7000", 1);
    floor.says(EventName::Ringing, "1001", 5);
    floor.says(EventName::Established, "1001", 5);
    floor.pass(60_000);
    floor.tell(A, describe("7000", None, vec![party("7000", 3, PartyState::Queued, None)]));
    floor.tell(A, describe("1001", None, vec![]));
    assert_eq!(floor.status("agent:anna"), "LoggedOut");
    let queue = floor.view("queue:site-a:7000");
    assert_eq!((queue.total.counts.offered, queue.total.counts.unseen), (2, 0));
    let segment = floor.rows.iter().find_map(|row| match row {
        Row::CallSegment { conn_id, outcome, .. } if conn_id.ends_with('5') => Some(*outcome),
        _ => None,
    });
    assert_eq!(segment, Some(Outcome::Unseen));
    floor.pass(31_000);
    floor.queued("7000", 4);
    let queue = floor.view("queue:site-a:7000");
    assert_eq!((queue.total.counts.unseen, queue.waiting), (1, Some(2)));
}

#[test]
fn a_call_that_was_answered_during_a_gap_is_handled_whichever_dn_shows_it_first() {
    for queue_first in [true, false] {
        let mut floor = floor();
        floor.login(A, "1001", "anna");
        floor.queued("7000", 1);
        floor.pass(60_000);
        let talking = party("1001", 1, PartyState::Connected, Some("7000"));
        let mut told = [
            describe("7000", None, vec![]),
            describe("1001", Some(("anna", AgentState::BusyReady)), vec![talking]),
        ];
        if !queue_first {
            told.reverse();
        }
        for event in told {
            floor.tell(A, event);
        }
        let counts = floor.view("queue:site-a:7000").total.counts;
        assert_eq!((counts.offered, counts.handled, counts.unseen), (1, 1, 0));
        assert_eq!((counts.waits, counts.leveled), (0, 0), "how long he waited is not known");
        assert_eq!(floor.status("agent:anna"), "CallInbound");
        floor.pass(40_000);
        floor.says(EventName::Released, "1001", 1);
        let counts = floor.view("queue:site-a:7000").total.counts;
        assert_eq!((counts.unseen, counts.handled), (0, 1));
    }
}

#[test]
fn another_agent_in_a_snapshot_ends_the_login_of_the_first() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.pass(1_000);
    floor.tell(A, describe("1001", Some(("bert", AgentState::Ready)), vec![]));
    assert_eq!(floor.status("agent:anna"), "LoggedOut");
    assert_eq!(floor.status("agent:bert"), "WaitForNextCall");
    assert_eq!(floor.rows.len(), 1);
}

#[test]
fn another_process_goes_on_where_this_one_stopped() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.ready(A, "1001", "anna");
    floor.login(A, "1002", "bert");
    floor.tell(A, agent_event(EventName::AgentLogout, "1002", "bert"));
    floor.queued("7000", 1);
    floor.queued("7000", 2);
    floor.offered("7000", 1, "1001");
    floor.pass(9_000);
    let mut other = floor.restart();
    assert!(views(&floor) == views(&other));
    floor.rows.clear();
    for floor in [&mut floor, &mut other] {
        floor.answered("7000", 1, "1001");
        floor.pass(50_000);
        floor.says(EventName::Released, "1001", 1);
        floor.says(EventName::Abandoned, "7000", 2);
        floor.tell(A, agent_event(EventName::AgentLogout, "1001", "anna"));
    }
    assert!(views(&floor) == views(&other));
    assert_eq!(floor.rows, other.rows);
    assert_eq!(floor.facts, other.facts);
}

fn views(floor: &Floor) -> Vec<tandem_stat::View> {
    floor.stat.snapshot(floor.now_ms).into_iter().map(|(_, view)| view).collect()
}

#[test]
fn damaged_facts_and_facts_about_what_is_gone_are_refused() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    let fact = floor.facts["dn:site-a:1001"].clone();
    let mut fresh = crate::floor::floor();
    for end in 0..fact.len() {
        assert!(!fresh.stat.restore(&fact[..end]), "{end}");
    }
    assert!(!fresh.stat.restore(&fact.replace("site-a", "site-z")));
    assert!(!fresh.stat.restore(&fact.replace("1001", "4711")));
    assert!(fresh.stat.restore(&fact));
    assert_eq!(fresh.status("agent:anna"), "NotReadyForNextCall");
}

#[test]
fn a_clock_that_steps_back_a_little_makes_no_negative_times() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.now_ms -= 2_000;
    floor.ready(A, "1001", "anna");
    assert_eq!(floor.view("agent:anna").status_since_unix_ms, Some(START_MS));
    floor.now_ms -= 100_000;
    floor.not_ready(A, "1001", "anna", WorkMode::AuxWork);
    assert_eq!(floor.view("agent:anna").status_since_unix_ms, Some(START_MS - 102_000));
}
