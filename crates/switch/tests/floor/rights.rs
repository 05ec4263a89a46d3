//! What each role may ask for, what it may see, and what it is told otherwise.

use tandem_cti::{EventName, Role};

use crate::hall::Hall;
use crate::office::{ANNA, BERT, POINT, QUEUE};

const ROLES: [(&str, Role); 4] = [
    ("anna", Role::Agent),
    ("route", Role::RoutingApplication),
    ("sam", Role::Supervisor),
    ("root", Role::Administrator),
];

fn dn(request: &str, dn: &str) -> String {
    format!(r#""request":"{request}","ThisDN":"{dn}""#)
}

/// The number of the refusal, 0 for none.
#[track_caller]
fn number(hall: &mut Hall, link: u64, request: &str) -> u16 {
    hall.answer(link, request).error_code.unwrap_or(0)
}

/// What each role is told, in the order of [`ROLES`]. Bert is logged in at his DN.
#[track_caller]
fn told(request: &str, registers: &[&str], expected: [u16; 4]) {
    let mut got = [0; 4];
    for (place, (person, role)) in ROLES.into_iter().enumerate() {
        let mut hall = Hall::open();
        hall.joins_at(2, "bert", Role::Agent, &[BERT]);
        hall.does(2, &format!(r#"{},"AgentID":"5002""#, dn("TAgentLogin", BERT)));
        hall.joins(1, person, role);
        for dn in registers {
            number(&mut hall, 1, &format!(r#""request":"TRegisterAddress","ThisDN":"{dn}""#));
        }
        got[place] = number(&mut hall, 1, request);
        hall.closes();
    }
    assert_eq!(got, expected, "{request}");
}

#[test]
fn dns_are_seen_by_role() {
    for request in ["TRegisterAddress", "TQueryAddress"] {
        told(&dn(request, ANNA), &[], [0, 0, 0, 0]);
        told(&dn(request, BERT), &[], [55, 0, 0, 0]);
        told(&dn(request, QUEUE), &[], [55, 0, 0, 0]);
        told(&dn(request, POINT), &[], [55, 0, 0, 0]);
        told(&dn(request, "gateway"), &[], [55, 0, 0, 0]);
        told(&dn(request, "9999"), &[], [59, 59, 59, 59]);
    }
    told(&dn("TUnregisterAddress", ANNA), &[], [41, 41, 41, 41]);
    told(&dn("TUnregisterAddress", ANNA), &[ANNA], [0, 0, 0, 0]);
    let as_queue = format!(r#"{},"AddressType":"ACDQueue""#, dn("TRegisterAddress", ANNA));
    told(&as_queue, &[], [53, 53, 53, 53]);
}

#[test]
fn agents_log_in_under_their_own_logins_and_supervisors_under_any() {
    let login = |at: &str, id: &str| format!(r#"{},"AgentID":"{id}""#, dn("TAgentLogin", at));
    told(&login(ANNA, "5001"), &[], [41, 41, 41, 41]);
    told(&login(ANNA, "5001"), &[ANNA], [0, 55, 0, 0]);
    told(&login(ANNA, "5004"), &[ANNA], [55, 55, 0, 0]);
    told(&login(ANNA, "5002"), &[ANNA], [55, 55, 527, 527]);
    told(&login(BERT, "5001"), &[BERT], [550, 55, 550, 550]);
    told(&login(QUEUE, "5001"), &[QUEUE], [55, 53, 53, 53]);
    told(&login("9999", "5001"), &[], [59, 59, 59, 59]);
    let to_queue = format!(r#"{},"ThisQueue":"7999""#, login(ANNA, "5001"));
    told(&to_queue, &[ANNA], [59, 55, 59, 59]);
}

#[test]
fn a_supervisor_logs_anybody_out_without_registering() {
    told(&dn("TAgentLogout", BERT), &[], [55, 41, 0, 0]);
    told(&dn("TAgentLogout", ANNA), &[], [41, 41, 41, 41]);
    told(&dn("TAgentLogout", ANNA), &[ANNA], [551, 551, 551, 551]);
    told(&dn("TAgentSetReady", BERT), &[], [55, 41, 41, 41]);
    told(&dn("TAgentSetNotReady", BERT), &[BERT], [55, 0, 0, 0]);
    told(&dn("TAgentSetReady", ANNA), &[ANNA], [187, 187, 187, 187]);
}

#[test]
fn routing_is_for_routing_applications_and_above() {
    let route = format!(r#"{},"ConnID":"00000000000000aa","OtherDN":"1002""#, dn("TRouteCall", POINT));
    told(&route, &[], [55, 41, 41, 41]);
    told(&route, &[POINT], [55, 56, 56, 56]);
    let treat =
        format!(r#"{},"ConnID":"00000000000000aa","TreatmentType":"RingBack""#, dn("TApplyTreatment", QUEUE));
    told(&treat, &[], [55, 41, 41, 41]);
    told(&treat, &[QUEUE], [55, 56, 56, 56]);
}

#[test]
fn the_shutdown_is_the_administrators() {
    told(r#""request":"TPrivateRequest","ServiceID":3019"#, &[], [55, 55, 55, 0]);
    told(r#""request":"TPrivateRequest","ServiceID":1"#, &[], [55, 55, 55, 51]);
    told(r#""request":"TQueryServer""#, &[], [0, 0, 0, 0]);
}

#[test]
fn calls_are_made_by_whoever_has_registered_the_dn() {
    let make = format!(r#"{},"OtherDN":"1004""#, dn("TMakeCall", ANNA));
    told(&make, &[], [41, 41, 41, 41]);
    told(&make, &[ANNA], [0, 0, 0, 0]);
    told(&make.replace(ANNA, BERT), &[BERT], [41, 0, 0, 0]);
    told(&make.replace(ANNA, QUEUE), &[QUEUE], [41, 59, 59, 59]);
}

const AT_CALL: [&str; 19] = [
    "TAnswerCall",
    "TReleaseCall",
    "THoldCall",
    "TRetrieveCall",
    "TInitiateConference",
    "TCompleteConference",
    "TDeleteFromConference",
    "TInitiateTransfer",
    "TMuteTransfer",
    "TSingleStepTransfer",
    "TCompleteTransfer",
    "TAlternateCall",
    "TReconnectCall",
    "TAttachUserData",
    "TUpdateUserData",
    "TDeleteUserData",
    "TDeletePair",
    "TSendDTMF",
    "TRedirectCall",
];

/// A request about a call with everything that any needs.
fn whole(request: &str, at: &str, conn: &str) -> String {
    let extra = match request {
        "TInitiateConference"
        | "TInitiateTransfer"
        | "TMuteTransfer"
        | "TSingleStepTransfer"
        | "TDeleteFromConference"
        | "TRedirectCall" => r#","OtherDN":"1004""#,
        "TCompleteConference" | "TCompleteTransfer" => r#","ConsultConnID":"00000000000000ab""#,
        "TAlternateCall" | "TReconnectCall" => r#","HeldConnID":"00000000000000ab""#,
        "TAttachUserData" | "TUpdateUserData" => r#","UserData":{"A":1}"#,
        "TDeletePair" => r#","Key":"A""#,
        "TSendDTMF" => r#","DTMFDigits":"1""#,
        _ => "",
    };
    format!(r#"{},"ConnID":"{conn}"{extra}"#, dn(request, at))
}

#[test]
fn a_call_is_touched_only_by_whoever_controls_its_dn() {
    let mut hall = Hall::open();
    hall.joins_at(1, "anna", Role::Agent, &[ANNA]);
    hall.joins_at(2, "bert", Role::Agent, &[BERT]);
    hall.joins_at(5, "sam", Role::Supervisor, &[]);
    hall.joins(6, "root", Role::Administrator);
    hall.does(6, &format!(r#"{},"RegisterMode":"Monitor""#, dn("TRegisterAddress", ANNA)));
    hall.dials(ANNA, BERT);
    let conn = hall.conn();
    for request in AT_CALL.into_iter().chain(["TClearCall"]) {
        assert_eq!(hall.refused(2, &whole(request, ANNA, &conn)), 41, "{request} of another agent");
        assert_eq!(
            hall.refused(5, &whole(request, ANNA, &conn)),
            41,
            "{request} of a supervisor who has not registered"
        );
        assert_eq!(hall.refused(6, &whole(request, ANNA, &conn)), 41, "{request} of a monitor");
        assert_eq!(hall.refused(1, &whole(request, ANNA, "00000000000000aa")), 56, "{request} of no call");
    }
    assert_eq!(hall.told(1, ANNA).iter().filter(|name| **name == EventName::Released).count(), 0);
    hall.closes();
}

#[test]
fn a_monitor_hears_everything_and_may_do_nothing() {
    let mut hall = Hall::open();
    hall.joins_at(1, "anna", Role::Agent, &[ANNA]);
    hall.joins(5, "sam", Role::Supervisor);
    hall.does(5, &format!(r#"{},"RegisterMode":"Monitor""#, dn("TRegisterAddress", ANNA)));
    hall.does(1, &format!(r#"{},"AgentID":"5001""#, dn("TAgentLogin", ANNA)));
    hall.dials(ANNA, BERT);
    let (own, seen) = (hall.told(1, ANNA), hall.told(5, ANNA));
    assert_eq!(own[1..], seen[1..], "after the registrations of each");
    assert!(seen.contains(&EventName::AgentLogin) && seen.contains(&EventName::Established));
    hall.closes();
}

#[test]
fn a_client_hears_nothing_of_dns_that_it_has_not_registered() {
    let mut hall = Hall::open();
    hall.joins_at(1, "anna", Role::Agent, &[ANNA]);
    hall.joins(2, "bert", Role::Agent);
    hall.joins(5, "sam", Role::Supervisor);
    let before = hall.heard.len();
    hall.dials(ANNA, BERT);
    assert!(hall.heard[before..].iter().all(|told| told.link.0 == 1));
    hall.closes();
}

#[test]
fn a_call_is_shown_to_its_parties_and_to_roles_above_agents() {
    let mut hall = Hall::open();
    hall.joins_at(1, "anna", Role::Agent, &[ANNA]);
    hall.joins_at(2, "dora", Role::Agent, &["1004"]);
    hall.joins(3, "route", Role::RoutingApplication);
    hall.dials(ANNA, BERT);
    let query = format!(r#""request":"TQueryCall","ConnID":"{}""#, hall.conn());
    assert_eq!(hall.does(1, &query).parties.len(), 2);
    assert_eq!(hall.refused(2, &query), 56, "as if it were not there");
    assert_eq!(hall.does(3, &query).parties.len(), 2);
    hall.closes();
}

#[test]
fn an_agent_who_sits_down_sends_away_clients_of_other_persons_but_not_those_above() {
    let mut hall = Hall::open();
    for (link, person, role) in
        [(1, "anna", Role::Agent), (2, "bert", Role::Agent), (5, "sam", Role::Supervisor)]
    {
        hall.joins_at(link, person, role, &[ANNA]);
    }
    hall.does(1, &format!(r#"{},"AgentID":"5001""#, dn("TAgentLogin", ANNA)));
    assert_eq!(hall.told(2, ANNA).last(), Some(&EventName::Unregistered));
    assert_eq!(hall.refused(2, &format!(r#"{},"OtherDN":"1004""#, dn("TMakeCall", ANNA))), 41);
    assert_eq!(hall.told(5, ANNA).last(), Some(&EventName::AgentNotReady));
    let heard = hall.told(2, ANNA).len();
    hall.dials(ANNA, BERT);
    assert_eq!(hall.told(2, ANNA).len(), heard);
    hall.closes();
}

#[test]
fn nothing_but_opening_is_answered_before_a_session_is_open() {
    let mut hall = Hall::open();
    let reference = hall.asks(9, r#""request":"TQueryServer""#);
    let answers = hall.answers(9, reference);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].error_code, Some(496));
    hall.asks(9, r#""request":"TSendDTMF","ThisDN":"1001","ConnID":"1","DTMFDigits":"x""#);
    assert_eq!(hall.last(EventName::Error).error_code, Some(53));
}
