//! Agents at their phones: rings that nobody answers, phones and clients that are lost and come back, queues by rank.

use std::time::Duration;

use tandem_cti::{EventName, Role};
use tandem_switch::cti::{CtiInput, LinkId};
use tandem_switch::directory::floor::{NoAnswerAction, NoAnswerOverflow, OnUnregister};

use crate::hall::Hall;
use crate::office::{ANNA, BERT, DORA, Plans, QUEUE, queue};
use crate::phones::Acts;
use crate::stages::{A, B, R};

fn login(dn: &str, id: &str) -> String {
    format!(r#""request":"TAgentLogin","ThisDN":"{dn}","AgentID":"{id}","WorkMode":"AutoIn""#)
}

fn supervised(overflow: NoAnswerOverflow) -> impl FnOnce(&mut Plans) {
    move |plans| {
        plans.floor.options.agent_no_answer_timeout = Some(Duration::from_secs(5));
        plans.floor.options.agent_no_answer_action = Some(NoAnswerAction::NotReady);
        plans.floor.options.agent_no_answer_overflow = Some(vec![overflow]);
    }
}

/// Anna is ready; her phone only rings.
#[track_caller]
fn anna_rings(change: impl FnOnce(&mut Plans)) -> Hall {
    let mut hall = Hall::with(change);
    hall.acts(ANNA, Acts::Rings);
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.joins_at(B, "bert", Role::Agent, &[BERT]);
    hall.joins_at(R, "sam", Role::Supervisor, &[QUEUE]);
    hall.does(A, &login(ANNA, "5001"));
    hall
}

#[track_caller]
fn state(hall: &mut Hall, dn: &str) -> &'static str {
    let list = hall.bed.node.agent_list(hall.bed.now);
    list.iter().find(|agent| *agent.dn == *dn).map_or("LoggedOut", |agent| agent.state)
}

#[test]
fn a_direct_call_that_an_agent_does_not_answer_goes_on_and_he_is_set_not_ready() {
    let mut hall = anna_rings(supervised(NoAnswerOverflow::To(BERT.into())));
    hall.dials("gateway", ANNA);
    hall.pass(4);
    assert_eq!(state(&mut hall, ANNA), "Ready");
    hall.pass(2);
    assert_eq!(state(&mut hall, ANNA), "NotReady");
    assert_eq!(hall.told(B, BERT).last(), Some(&EventName::Established));
    hall.closes();
}

#[test]
fn a_direct_call_that_nobody_answers_is_released_if_that_is_wanted_and_not_if_it_was_answered() {
    let mut hall = anna_rings(supervised(NoAnswerOverflow::Release));
    hall.dials("gateway", ANNA);
    hall.pass(6);
    assert_eq!(hall.phone("gateway").calls(), 0);
    hall.does(A, r#""request":"TAgentSetReady","ThisDN":"1001""#);
    hall.dials("gateway", ANNA);
    hall.pass(2);
    hall.picks_up(ANNA);
    hall.pass(20);
    assert_eq!(hall.phone("gateway").calls(), 1, "an answered call is left alone");
    hall.closes();
}

#[test]
fn each_call_has_its_own_patience() {
    let mut hall = anna_rings(supervised(NoAnswerOverflow::Release));
    hall.dials("gateway", ANNA);
    hall.pass(3);
    hall.hangs_up("gateway");
    hall.dials("gateway", ANNA);
    hall.pass(3);
    assert_eq!(hall.phone("gateway").calls(), 1, "three seconds only");
    hall.pass(3);
    assert_eq!(hall.phone("gateway").calls(), 0);
    hall.closes();
}

#[test]
fn an_offer_that_an_agent_does_not_answer_returns_to_its_queue_and_goes_to_the_next() {
    let mut hall = anna_rings(supervised(NoAnswerOverflow::Recall));
    hall.dials("gateway", QUEUE);
    hall.does(B, &login(BERT, "5002"));
    hall.pass(6);
    assert_eq!(state(&mut hall, ANNA), "NotReady");
    assert_eq!(hall.told(B, BERT).last(), Some(&EventName::Established));
    assert_eq!(hall.last(EventName::Queued).extensions.len(), 1, "ReturnedToQueue");
    hall.closes();
}

#[test]
fn an_offer_to_whoever_logs_out_goes_to_the_next() {
    let mut hall = anna_rings(|_| {});
    hall.dials("gateway", QUEUE);
    hall.does(B, &login(BERT, "5002"));
    hall.does(R, r#""request":"TAgentLogout","ThisDN":"1001""#);
    hall.pass(1);
    assert_eq!(hall.told(B, BERT).last(), Some(&EventName::Established));
    assert_eq!(hall.phone(ANNA).calls(), 0);
    hall.closes();
}

#[test]
fn an_agent_in_a_call_or_not_ready_gets_no_offer_until_he_is_free() {
    let mut hall = anna_rings(|_| {});
    hall.acts(ANNA, Acts::Answers);
    hall.dials("gateway", QUEUE);
    hall.dials(DORA, QUEUE);
    hall.pass(5);
    let rings = |hall: &Hall| hall.told(A, ANNA).iter().filter(|name| **name == EventName::Ringing).count();
    assert_eq!(rings(&hall), 1);
    hall.does(A, r#""request":"TAgentSetNotReady","ThisDN":"1001","WorkMode":"AuxWork""#);
    hall.hangs_up("gateway");
    hall.pass(5);
    assert_eq!(rings(&hall), 1);
    hall.does(A, r#""request":"TAgentSetReady","ThisDN":"1001""#);
    hall.pass(1);
    assert_eq!(rings(&hall), 2);
    hall.closes();
}

#[test]
fn a_client_that_is_lost_logs_its_agent_out_or_its_registration_does_as_configured() {
    let mut hall = anna_rings(|_| {});
    hall.leaves(A);
    hall.pass(1);
    assert_eq!(state(&mut hall, ANNA), "LoggedOut", "logout-on-disconnect");
    hall.closes();
    let mut hall = anna_rings(|plans| {
        plans.floor.options.logout_on_disconnect = Some(false);
        plans.floor.options.agent_logout_on_unreg = Some(OnUnregister::Logout);
    });
    hall.does(A, r#""request":"TUnregisterAddress","ThisDN":"1001""#);
    assert_eq!(state(&mut hall, ANNA), "LoggedOut", "agent-logout-on-unreg");
    hall.closes();
    let mut hall = anna_rings(|plans| {
        plans.floor.options.logout_on_disconnect = Some(false);
        plans.floor.options.agent_logout_on_unreg = Some(OnUnregister::Logout);
    });
    hall.leaves(A);
    hall.pass(100_000);
    assert_eq!(state(&mut hall, ANNA), "LoggedOut", "its session is over");
    hall.closes();
}

#[test]
fn a_phone_that_is_lost_is_told_and_logs_its_agent_out_if_that_is_wanted() {
    for (wanted, after) in [(Some(true), "LoggedOut"), (None, "Ready")] {
        let mut hall = anna_rings(|plans| plans.floor.options.logout_on_out_of_service = wanted);
        hall.pass(3700);
        assert_eq!(hall.told(A, ANNA).iter().filter(|n| **n == EventName::DnOutOfService).count(), 1);
        assert_eq!(state(&mut hall, ANNA), after);
        hall.bed.register(ANNA, "10.0.0.21:5060");
        hall.run();
        assert!(hall.told(A, ANNA).contains(&EventName::DnBackInService));
        hall.closes();
    }
}

#[test]
fn a_phone_that_is_out_of_service_makes_no_calls_by_request() {
    let mut hall = anna_rings(|_| {});
    hall.pass(3700);
    let make = r#""request":"TMakeCall","ThisDN":"1001","OtherDN":"1002""#;
    assert_eq!(hall.refused(A, make), 58);
    hall.closes();
}

#[test]
fn a_call_of_higher_priority_is_offered_first() {
    let mut hall = Hall::open();
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.joins_at(B, "dora", Role::Agent, &[DORA]);
    hall.joins_at(R, "sam", Role::Supervisor, &[QUEUE]);
    hall.dials("gateway", QUEUE);
    hall.pass(1);
    let make = r#""request":"TMakeCall","ThisDN":"1004","OtherDN":"7000","UserData":{"Priority":9}"#;
    hall.does(B, make);
    hall.pass(1);
    hall.does(A, &login(ANNA, "5001"));
    hall.pass(1);
    let ringing = hall.last(EventName::Ringing);
    assert_eq!(ringing.other_dn.as_deref(), Some(DORA));
    hall.closes();
}

#[test]
fn a_request_that_comes_again_is_answered_again_and_not_carried_out_again() {
    let mut hall = anna_rings(|_| {});
    let text = r#"{"ReferenceID":7,"request":"TMakeCall","ThisDN":"1002","OtherDN":"1004"}"#;
    for _ in 0..3 {
        let request = Box::new(tandem_cti::decode(text).unwrap());
        hall.cti(CtiInput::Request { link: LinkId(B), request });
    }
    hall.pass(1);
    assert_eq!(hall.phone(DORA).calls(), 1);
    hall.closes();
}

#[test]
fn a_client_that_missed_too_much_is_shown_its_dns_anew_with_agent_and_calls() {
    let mut hall = anna_rings(|plans| plans.floor.options.logout_on_disconnect = Some(false));
    hall.acts(ANNA, Acts::Answers);
    hall.dials("gateway", ANNA);
    let token = hall.session(A);
    hall.leaves(A);
    let resume = Some((token.into(), 999_999));
    hall.cti(CtiInput::Open {
        link: LinkId(9),
        person: "anna".into(),
        role: Role::Agent,
        application: "test".into(),
        resume,
        reference_id: None,
    });
    let shown = hall.events(9, ANNA).pop().expect("a description");
    assert_eq!((shown.event, shown.parties.len()), (EventName::Registered, 1));
    assert_eq!(shown.agent_id.as_deref(), Some("5001"));
    assert!(shown.agent_state.is_some_and(|state| state != tandem_cti::AgentState::LoggedOut));
    hall.closes();
}

#[test]
fn whoever_logs_in_elsewhere_or_with_a_call_up_is_refused() {
    let mut hall = anna_rings(|_| {});
    hall.dials(BERT, DORA);
    assert_eq!(hall.refused(B, &login(BERT, "5002")), 506, "a call is up");
    hall.closes();
}

#[test]
fn a_queue_whose_last_agent_has_left_overflows_at_once() {
    let mut hall = anna_rings(|plans| {
        plans.floor.queues[0].overflow_without_agents = true;
        plans.floor.queues[0].overflow = Some(BERT.into());
    });
    hall.does(R, r#""request":"TAgentLogout","ThisDN":"1001""#);
    hall.dials("gateway", QUEUE);
    assert_eq!(hall.told(B, BERT).last(), Some(&EventName::Established));
    let queues = hall.bed.node.queue_list(hall.bed.now);
    assert_eq!((queues[0].agents, queues[0].waiting), (0, 0));
    hall.closes();
}

#[test]
fn a_call_whose_overflow_leads_nowhere_is_refused() {
    let mut hall = anna_rings(|plans| {
        plans.floor.options.agent_no_answer_timeout = Some(Duration::from_secs(5));
        plans.floor.options.agent_no_answer_overflow = Some(vec![NoAnswerOverflow::To("404".into())]);
        plans.floor.queues[0].max_wait = Duration::from_secs(3);
        plans.floor.queues[0].overflow = Some("404".into());
    });
    hall.dials("gateway", QUEUE);
    hall.pass(10);
    assert_eq!(hall.phone("gateway").calls(), 0, "nobody answered");
    hall.does(R, r#""request":"TAgentLogout","ThisDN":"1001""#);
    hall.dials("gateway", QUEUE);
    hall.pass(5);
    assert_eq!(hall.phone("gateway").calls(), 0, "it waited too long");
    hall.is_empty();
}

#[test]
fn beside_a_peer_an_agent_leaves_with_his_phone_and_logs_in_only_where_it_is() {
    let mut hall = anna_rings(|plans| plans.peered = true);
    hall.pass(60);
    assert_eq!(hall.bed.node.status(hall.bed.now).mode, "peered");
    assert_eq!(state(&mut hall, ANNA), "Ready");
    hall.pass(3700);
    assert_eq!(state(&mut hall, ANNA), "LoggedOut");
    let told = hall.told(A, ANNA);
    assert_eq!(told[told.len() - 2..], [EventName::DnOutOfService, EventName::AgentLogout]);
    let reason = hall.last(EventName::AgentLogout);
    assert!(format!("{:?}", reason.extensions).contains("dr-force_logout"), "{reason:?}");
    assert_eq!(hall.refused(A, &login(ANNA, "5001")), 58);
    hall.bed.register(ANNA, "10.0.0.11:5060");
    hall.run();
    hall.does(A, &login(ANNA, "5001"));
    hall.closes();
}

#[test]
fn a_server_that_shuts_down_begins_nothing_and_ends_what_it_has() {
    let mut hall = anna_rings(|_| {});
    hall.dials(BERT, DORA);
    let conn = hall.conn();
    hall.joins(7, "root", Role::Administrator);
    hall.does(7, r#""request":"TPrivateRequest","ServiceID":3019"#);
    let at = format!(r#""ThisDN":"1002","ConnID":"{conn}""#);
    assert_eq!(hall.refused(A, r#""request":"TMakeCall","ThisDN":"1001","OtherDN":"1004""#), 156);
    assert_eq!(hall.refused(A, &login(ANNA, "5001")), 156);
    assert_eq!(hall.refused(B, &format!(r#""request":"TInitiateTransfer",{at},"OtherDN":"1001""#)), 156);
    hall.does(B, &format!(r#""request":"THoldCall",{at}"#));
    hall.does(B, &format!(r#""request":"TReleaseCall",{at}"#));
    hall.closes();
}

#[test]
fn nobody_calls_himself() {
    let mut hall = anna_rings(|_| {});
    assert_eq!(hall.refused(A, r#""request":"TMakeCall","ThisDN":"1001","OtherDN":"1001""#), 71);
    hall.closes();
}

#[test]
fn a_completed_transfer_joins_the_two_who_stay() {
    let mut hall = Hall::open();
    hall.joins_at(A, "sam", Role::Supervisor, &[ANNA, BERT, DORA]);
    hall.dials(BERT, ANNA);
    let conn = hall.conn();
    let at = format!(r#""ThisDN":"1001","ConnID":"{conn}""#);
    let dialing = hall.does(A, &format!(r#""request":"TInitiateTransfer",{at},"OtherDN":"1004""#));
    hall.pass(1);
    let consult = dialing.conn_id.clone().unwrap();
    hall.does(A, &format!(r#""request":"TCompleteTransfer",{at},"ConsultConnID":"{consult}""#));
    hall.pass(1);
    for (dn, other) in [(BERT, DORA), (DORA, BERT)] {
        let changed = hall.events(A, dn).pop().unwrap();
        assert_eq!((changed.event, changed.other_dn.as_deref()), (EventName::PartyChanged, Some(other)));
        assert_eq!(changed.conn_id.as_deref(), Some(&*conn));
    }
    assert_eq!((hall.phone(ANNA).calls(), hall.phone(BERT).calls(), hall.phone(DORA).calls()), (0, 1, 1));
    hall.closes();
}

#[test]
fn who_leaves_a_queue_that_he_named_is_told_so_gets_none_of_its_calls_and_stays_logged_in() {
    let mut hall = Hall::with(|plans| plans.floor.queues.push(queue("7050", &[])));
    hall.joins_at(1, "anna", Role::Agent, &[ANNA]);
    let login =
        r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001","WorkMode":"AutoIn","ThisQueue":"7050""#;
    hall.does(1, login);
    let answer = hall.does(1, r#""request":"TAgentLogout","ThisDN":"1001","ThisQueue":"7050""#);
    assert_eq!(answer.event, EventName::Ack);
    hall.dials("gateway", "7050");
    hall.pass(5);
    assert_eq!(hall.phone(ANNA).calls(), 0, "a call of the queue that he left");
    hall.hangs_up("gateway");
    hall.dials("gateway", QUEUE);
    hall.pass(5);
    assert_eq!(hall.phone(ANNA).calls(), 1, "a call of his other queue");
    hall.closes();
}
