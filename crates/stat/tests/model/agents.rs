//! Agents, places and groups: states, logins, and the DN that carries the login.

use tandem_cti::{CallType, DnRole, Event, EventName, Value, WorkMode};
use tandem_stat::{Outcome, Row};

use crate::floor::*;

#[test]
fn bca_19_the_status_of_a_place_follows_the_dn_that_carries_the_login() {
    let mut floor = floor();
    floor.tell(A, Event { this_dn: Some("1001".into()), ..Event::new(EventName::DnOutOfService) });
    floor.login(B, "1001", "anna");
    floor.ready(B, "1001", "anna");
    let place = floor.view("place:desk-1");
    assert_eq!(place.status.unwrap().as_str(), "WaitForNextCall");
    assert_eq!((place.site.as_deref(), place.in_service), (Some("site-b"), None));
    assert_eq!(place.agent.as_deref(), Some("anna"));
    floor.tell(A, Event { this_dn: Some("1001".into()), ..Event::new(EventName::DnBackInService) });
    assert_eq!(floor.status("place:desk-1"), "WaitForNextCall");
    assert_eq!(floor.status("agent:anna"), "WaitForNextCall");
}

#[test]
fn bca_19_a_call_at_the_other_dn_of_the_place_does_not_mask_the_agent() {
    let mut floor = floor();
    floor.login(B, "1001", "anna");
    floor.ready(B, "1001", "anna");
    floor.tell(A, call(EventName::Ringing, "1001", 1));
    assert_eq!(floor.status("place:desk-1"), "WaitForNextCall");
    floor.tell(B, agent_event(EventName::AgentLogout, "1001", "anna"));
    assert_eq!(floor.status("place:desk-1"), "CallRinging");
    assert_eq!(floor.status("agent:anna"), "LoggedOut");
}

#[test]
fn bca_19_a_login_at_the_other_site_takes_over_and_a_lost_site_does_not_mask_it() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.ready(A, "1001", "anna");
    floor.pass(5_000);
    floor.login(B, "1001", "anna");
    assert_eq!(floor.status("agent:anna"), "NotReadyForNextCall");
    assert_eq!(floor.view("agent:anna").site.as_deref(), Some("site-b"));
    floor.stat.link(B, false, floor.now_ms);
    let place = floor.view("place:desk-1");
    assert_eq!((place.site.as_deref(), place.stale), (Some("site-a"), false));
    floor.stat.link(A, false, floor.now_ms);
    assert!(floor.view("place:desk-1").stale && floor.view("agent:anna").stale);
    assert_eq!(floor.view("group:sales").agents.unwrap()["LoggedOut"], 2, "nobody can be seen");
}

#[test]
fn a_status_is_the_one_of_highest_priority() {
    let mut floor = floor();
    assert_eq!(floor.status("agent:anna"), "LoggedOut");
    floor.login(A, "1001", "anna");
    assert_eq!(floor.status("agent:anna"), "NotReadyForNextCall");
    floor.ready(A, "1001", "anna");
    assert_eq!(floor.status("agent:anna"), "WaitForNextCall");
    floor.says(EventName::Ringing, "1001", 1);
    assert_eq!(floor.status("agent:anna"), "CallRinging");
    floor.says(EventName::Established, "1001", 1);
    assert_eq!(floor.status("agent:anna"), "CallInbound");
    floor.says(EventName::Held, "1001", 1);
    assert_eq!(floor.status("agent:anna"), "CallOnHold");
    let consult = Event {
        call_type: Some(CallType::Consult),
        this_dn_role: Some(DnRole::Origination),
        ..call(EventName::Dialing, "1001", 2)
    };
    floor.tell(A, consult);
    assert_eq!(floor.status("agent:anna"), "CallOnHold");
    floor.says(EventName::Retrieved, "1001", 1);
    assert_eq!(floor.status("agent:anna"), "CallInbound");
    floor.says(EventName::Released, "1001", 1);
    assert_eq!(floor.status("agent:anna"), "CallDialing");
    floor.says(EventName::Established, "1001", 2);
    assert_eq!(floor.status("agent:anna"), "CallConsult");
    floor.not_ready(A, "1001", "anna", WorkMode::AfterCallWork);
    floor.says(EventName::Released, "1001", 2);
    assert_eq!(floor.status("agent:anna"), "AfterCallWork");
    floor.tell(A, agent_event(EventName::AgentLogout, "1001", "anna"));
    assert_eq!(floor.status("agent:anna"), "LoggedOut");
}

#[test]
fn time_in_a_status_begins_when_the_status_changes_and_not_before() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.pass(1_000);
    floor.not_ready(A, "1001", "anna", WorkMode::AuxWork);
    assert_eq!(floor.view("agent:anna").status_since_unix_ms, Some(START_MS));
    floor.pass(1_000);
    floor.ready(A, "1001", "anna");
    let view = floor.view("agent:anna");
    assert_eq!(view.status_since_unix_ms, Some(START_MS + 2_000));
    assert_eq!(view.login_since_unix_ms, Some(START_MS));
}

fn states(rows: &[Row]) -> Vec<(String, u64)> {
    let mut states = Vec::new();
    for row in rows {
        if let Row::AgentState { state, work_mode, from_unix_ms, to_unix_ms, .. } = row {
            let mode = work_mode.as_deref().unwrap_or("");
            states.push((format!("{state}{mode}"), to_unix_ms - from_unix_ms));
        }
    }
    states
}

#[test]
fn each_state_of_an_agent_that_took_time_is_one_row() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.pass(3_000);
    let mut lunch = agent_event(EventName::AgentNotReady, "1001", "anna");
    lunch.reasons.insert("Break".into(), Value::from("lunch"));
    floor.tell(A, lunch.clone());
    floor.pass(1_000);
    floor.tell(A, lunch);
    floor.pass(3_000);
    floor.ready(A, "1001", "anna");
    floor.pass(5_000);
    floor.not_ready(A, "1001", "anna", WorkMode::AfterCallWork);
    floor.pass(6_000);
    floor.tell(A, agent_event(EventName::AgentLogout, "1001", "anna"));
    let expected =
        [("NotReadyUnknown", 3_000), ("NotReadyUnknown", 4_000), ("Ready", 5_000), ("AfterCallWork", 6_000)];
    assert_eq!(states(&floor.rows), expected.map(|(state, ms)| (state.to_owned(), ms)));
    let Row::AgentState { reason, .. } = &floor.rows[1] else { panic!() };
    assert_eq!(reason.as_deref(), Some("Break=lunch"));
    assert_eq!(floor.view("agent:anna").total.counts.wrap_up_ms, 6_000);
}

#[test]
fn a_state_that_took_no_time_is_no_row() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.ready(A, "1001", "anna");
    floor.pass(1_000);
    floor.tell(A, agent_event(EventName::AgentLogout, "1001", "anna"));
    assert_eq!(states(&floor.rows), [("Ready".to_owned(), 1_000)]);
}

#[test]
fn bca_19_a_login_at_a_lost_site_is_not_masked_by_the_idle_dn_of_the_other() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.tell(B, Event { this_dn: Some("1001".into()), ..Event::new(EventName::DnBackInService) });
    floor.stat.link(A, false, floor.now_ms);
    let place = floor.view("place:desk-1");
    assert_eq!((place.agent.as_deref(), place.stale), (Some("anna"), true));
}

#[test]
fn a_repeated_login_is_no_new_state_and_another_agent_ends_the_first() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.pass(1_000);
    floor.tell(A, agent_event(EventName::AgentLogin, "1001", "anna"));
    assert_eq!(floor.view("agent:anna").login_since_unix_ms, Some(START_MS));
    assert!(floor.rows.is_empty());
    floor.login(A, "1001", "bert");
    assert_eq!(floor.status("agent:anna"), "LoggedOut");
    assert_eq!(floor.view("place:desk-1").agent.as_deref(), Some("bert"));
    assert_eq!(floor.rows.len(), 1);
}

#[test]
fn a_call_at_an_agent_is_one_row_with_its_times() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    floor.says(EventName::Ringing, "1001", 9);
    floor.pass(4_000);
    floor.says(EventName::Established, "1001", 9);
    floor.pass(10_000);
    floor.says(EventName::Held, "1001", 9);
    floor.pass(2_000);
    floor.says(EventName::Retrieved, "1001", 9);
    floor.pass(3_000);
    floor.says(EventName::Held, "1001", 9);
    floor.pass(500);
    floor.says(EventName::Released, "1001", 9);
    let [Row::CallSegment { id, agent, hold_ms, wait_ms, outcome, answered_unix_ms, to_unix_ms, .. }] =
        floor.rows.as_slice()
    else {
        panic!("{:?}", floor.rows)
    };
    assert_eq!(*id, format!("segment:site-a:0000000000000009:1001:{START_MS}"));
    assert_eq!((agent.as_deref(), *hold_ms, *wait_ms), (Some("anna"), 2_500, Some(4_000)));
    assert_eq!((*outcome, *answered_unix_ms), (Outcome::Handled, Some(START_MS + 4_000)));
    assert_eq!(*to_unix_ms, START_MS + 19_500);
    let total = floor.view("agent:anna").total;
    assert_eq!((total.counts.offered, total.counts.handled, total.counts.talk_ms), (1, 1, 15_500));
    assert_eq!(floor.view("place:desk-1").total, total);
    assert_eq!(floor.view("group:sales").total, total);
}

#[test]
fn a_call_that_an_agent_makes_is_not_one_that_he_handles() {
    let mut floor = floor();
    floor.login(A, "1001", "anna");
    let dial = Event { this_dn_role: Some(DnRole::Origination), ..call(EventName::Dialing, "1001", 1) };
    floor.tell(A, dial);
    floor.pass(1_000);
    floor.says(EventName::Established, "1001", 1);
    floor.says(EventName::Released, "1001", 1);
    let counts = floor.view("agent:anna").total.counts;
    assert_eq!((counts.made, counts.offered, counts.handled, counts.talks), (1, 0, 0, 0));
}

#[test]
fn a_transfer_keeps_the_conversation_under_its_new_conn_id() {
    let mut floor = floor();
    floor.login(A, "1002", "bert");
    floor.says(EventName::Ringing, "1002", 2);
    floor.says(EventName::Established, "1002", 2);
    let changed = Event {
        previous_conn_id: Some(format!("{:016x}", 2)),
        call_type: Some(CallType::Inbound),
        other_dn: Some("+4977".into()),
        ..call(EventName::PartyChanged, "1002", 1)
    };
    floor.tell(A, changed);
    floor.pass(7_000);
    floor.says(EventName::Released, "1002", 1);
    let counts = floor.view("agent:bert").total.counts;
    assert_eq!((counts.offered, counts.handled, counts.talk_ms), (1, 1, 7_000));
    assert_eq!(floor.status("agent:bert"), "NotReadyForNextCall");
    let Row::CallSegment { other, .. } = &floor.rows[0] else { return };
    assert_eq!(other.as_deref(), Some("+4977"));
}
