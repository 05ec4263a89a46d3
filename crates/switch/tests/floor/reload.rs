//! A new configuration takes effect whole, with clients connected, agents logged in, calls up and callers waiting.

use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{EventName, Role};
use tandem_switch::cti::LinkId;
use tandem_switch::directory::floor::{Password, WrapUp};
use tandem_switch::directory::{DnClass, Extension};

use crate::hall::Hall;
use crate::office::{ANNA, BERT, POINT, Plans, QUEUE, office, person, point, queue};
use crate::phones::Acts;
use crate::stages::{A, B, R};

fn login(dn: &str, id: &str) -> String {
    format!(r#""request":"TAgentLogin","ThisDN":"{dn}","AgentID":"{id}","WorkMode":"AutoIn""#)
}

fn without(dn: &'static str) -> impl FnOnce(&mut Plans) {
    move |plans| plans.extensions.retain(|extension| *extension.number != *dn)
}

#[track_caller]
fn agents(hall: &Hall) -> Vec<String> {
    hall.bed.node.agent_list(hall.bed.now).into_iter().map(|agent| agent.agent_id).collect()
}

fn opened() -> Hall {
    let mut hall = Hall::open();
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.joins_at(B, "bert", Role::Agent, &[BERT]);
    hall.joins_at(R, "sam", Role::Supervisor, &[QUEUE, POINT]);
    hall
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let mut hall = opened();
    hall.does(A, &login(ANNA, "5001"));
    hall.dials(ANNA, BERT);
    hall.dials("gateway", POINT);
    let heard = hall.heard.len();
    hall.reloads(office(|_| {}));
    hall.pass(1);
    assert_eq!(hall.heard.len(), heard);
    assert_eq!(agents(&hall), ["5001"]);
    assert_eq!(hall.phone(BERT).calls(), 1);
    hall.closes();
}

#[test]
fn an_agent_whose_dn_is_gone_is_logged_out_and_told_so_and_the_dn_is_known_no_more() {
    let mut hall = opened();
    hall.does(A, &login(ANNA, "5001"));
    hall.reloads(office(without(ANNA)));
    let told = hall.told(A, ANNA);
    assert!(told.contains(&EventName::AgentLogout), "{told:?}");
    assert_eq!(told.last(), Some(&EventName::Unregistered), "{told:?}");
    assert_eq!(agents(&hall), Vec::<String>::new());
    for request in ["TAgentSetReady", "TQueryAddress", "TRegisterAddress"] {
        assert_eq!(hall.refused(A, &format!(r#""request":"{request}","ThisDN":"1001""#)), 59, "{request}");
    }
    hall.closes();
}

#[test]
fn a_call_of_a_dn_that_is_gone_runs_on_and_its_other_party_can_end_it() {
    let mut hall = opened();
    hall.dials(ANNA, BERT);
    let conn = hall.conn();
    hall.reloads(office(without(ANNA)));
    hall.pass(5);
    assert_eq!((hall.phone(ANNA).calls(), hall.phone(BERT).calls()), (1, 1));
    hall.does(B, &format!(r#""request":"TReleaseCall","ThisDN":"1002","ConnID":"{conn}""#));
    hall.pass(1);
    assert_eq!((hall.phone(ANNA).calls(), hall.phone(BERT).calls()), (0, 0));
    hall.closes();
}

#[test]
fn a_call_that_rings_at_a_dn_that_is_gone_can_still_be_answered_or_given_up() {
    let mut hall = opened();
    hall.acts(ANNA, Acts::Rings);
    hall.dials(BERT, ANNA);
    hall.reloads(office(without(ANNA)));
    hall.picks_up(ANNA);
    hall.pass(1);
    assert_eq!(hall.told(B, BERT).last(), Some(&EventName::Established));
    hall.closes();
}

#[test]
fn callers_at_a_queue_that_is_gone_are_let_go_and_its_clients_told() {
    let mut hall = opened();
    hall.dials("gateway", QUEUE);
    hall.reloads(office(|plans| plans.floor.queues.clear()));
    hall.pass(1);
    let told = hall.told(R, QUEUE);
    assert!(told.contains(&EventName::Diverted) || told.contains(&EventName::Abandoned), "{told:?}");
    assert_eq!(hall.phone("gateway").calls(), 0);
    assert_eq!(hall.refused(R, r#""request":"TQueryAddress","ThisDN":"7000""#), 59);
    hall.is_empty();
    hall.closes();
}

#[test]
fn callers_at_a_routing_point_that_is_gone_are_let_go() {
    let mut hall = Hall::open();
    hall.joins_at(R, "route", Role::RoutingApplication, &[POINT]);
    hall.dials("gateway", POINT);
    let conn = hall.conn();
    hall.reloads(office(|plans| plans.floor.routing_points.clear()));
    hall.pass(1);
    assert_eq!(hall.phone("gateway").calls(), 0);
    let route = format!(r#""request":"TRouteCall","ThisDN":"7100","ConnID":"{conn}","OtherDN":"1001""#);
    let number = hall.refused(R, &route);
    assert!([41, 56].contains(&number), "{number}");
    hall.closes();
}

#[test]
fn an_offered_call_whose_queue_is_gone_is_answered_or_ends() {
    for answers in [true, false] {
        let mut hall = opened();
        hall.acts(ANNA, Acts::Rings);
        hall.does(A, &login(ANNA, "5001"));
        hall.dials("gateway", QUEUE);
        assert_eq!(hall.told(A, ANNA).last(), Some(&EventName::Ringing));
        hall.reloads(office(|plans| plans.floor.queues.clear()));
        if answers {
            hall.picks_up(ANNA);
        }
        hall.pass(60);
        let told = hall.told(A, ANNA);
        assert!(told.contains(&EventName::Established) || told.contains(&EventName::Released), "{told:?}");
        hall.closes();
    }
}

#[test]
fn a_queue_a_routing_point_and_a_dn_that_are_new_are_usable_at_once() {
    let mut hall = opened();
    hall.does(A, &login(ANNA, "5001"));
    let plans = |plans: &mut Plans| {
        plans.floor.queues.push(queue("7001", &["5001"]));
        plans.floor.routing_points.push(point("7101"));
        plans.extensions.push(Extension { number: "1005".into(), class: Arc::new(DnClass::default()) });
        plans.floor.persons.push(person("eve", Role::Agent, &[]));
    };
    hall.reloads(office(plans));
    for dn in ["7001", "7101", "1005"] {
        hall.does(R, &format!(r#""request":"TRegisterAddress","ThisDN":"{dn}""#));
    }
    hall.dials("gateway", "7001");
    hall.pass(1);
    assert_eq!(hall.told(A, ANNA).last(), Some(&EventName::Established), "the agent serves the new queue");
    hall.joins_at(9, "eve", Role::Agent, &["1005"]);
    hall.closes();
}

#[test]
fn an_agent_whose_login_is_taken_from_a_queue_gets_no_more_calls_of_it() {
    let mut hall = opened();
    hall.does(A, &login(ANNA, "5001"));
    hall.reloads(office(|plans| plans.floor.queues = vec![queue(QUEUE, &["5002"])]));
    hall.dials("gateway", QUEUE);
    hall.pass(5);
    assert!(!hall.told(A, ANNA).contains(&EventName::Ringing));
    hall.does(B, &login(BERT, "5002"));
    hall.pass(1);
    assert_eq!(hall.told(B, BERT).last(), Some(&EventName::Established));
    hall.closes();
}

#[test]
fn a_call_that_waits_is_offered_when_the_new_configuration_gives_its_queue_an_agent() {
    let mut hall = Hall::with(|plans| plans.floor.queues = vec![queue(QUEUE, &["5002"])]);
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.does(A, &login(ANNA, "5001"));
    hall.dials("gateway", QUEUE);
    hall.pass(5);
    assert!(!hall.told(A, ANNA).contains(&EventName::Ringing));
    hall.reloads(office(|_| {}));
    hall.pass(1);
    assert_eq!(hall.told(A, ANNA).last(), Some(&EventName::Established));
    hall.closes();
}

#[test]
fn changed_options_hold_from_now_on() {
    let mut hall = opened();
    hall.does(A, &login(ANNA, "5001"));
    hall.reloads(office(|plans| {
        plans.floor.options.wrap_up_time = Some(WrapUp::Timed(Duration::from_secs(30)));
        plans.floor.options.agent_no_answer_timeout = Some(Duration::from_secs(3));
    }));
    hall.dials("gateway", QUEUE);
    hall.pass(1);
    let established = hall.last(EventName::Established);
    assert_eq!(established.extensions.get("WrapUpTime").and_then(tandem_cti::Value::as_int), Some(30));
    hall.hangs_up("gateway");
    let told = hall.told(A, ANNA);
    assert_eq!(told[told.len() - 2..], [EventName::AgentNotReady, EventName::Released], "{told:?}");
    hall.pass(31);
    assert_eq!(hall.told(A, ANNA).last(), Some(&EventName::AgentReady));
    hall.acts(ANNA, Acts::Rings);
    hall.dials("gateway", QUEUE);
    assert_eq!(hall.told(A, ANNA).last(), Some(&EventName::Ringing));
    hall.pass(4);
    assert!(hall.told(A, ANNA).contains(&EventName::Released), "not answered within three seconds");
    hall.closes();
}

#[test]
fn a_person_who_is_gone_or_whose_role_or_password_changed_must_prove_anew_who_he_is() {
    let changes: [fn(&mut Plans); 3] = [
        |plans| plans.floor.persons.retain(|person| &*person.name != "anna"),
        |plans| plans.floor.persons[0].role = Role::Supervisor,
        |plans| plans.floor.persons[0].password_hash = Password("another".into()),
    ];
    for change in changes {
        let mut hall = opened();
        hall.does(A, &login(ANNA, "5001"));
        hall.does(B, &login(BERT, "5002"));
        hall.reloads(office(change));
        assert_eq!(hall.refused(A, r#""request":"TQueryServer""#), 496, "send TOpenServer first");
        assert_eq!(hall.bed.closed, [LinkId(A)]);
        assert_eq!(agents(&hall), ["5002"], "logout-on-disconnect");
        hall.does(B, r#""request":"TQueryServer""#);
        hall.joins(A, "anna", Role::Supervisor);
        hall.does(A, r#""request":"TQueryServer""#);
        hall.closes();
    }
}

#[test]
fn an_agent_login_that_is_gone_works_on_as_any_other_unless_ids_are_strict() {
    let mut hall = opened();
    hall.does(A, &login(ANNA, "5001"));
    hall.reloads(office(|plans| plans.floor.logins.retain(|login| &*login.id != "5001")));
    let state = hall.answer(A, r#""request":"TQueryAddress","ThisDN":"1001""#);
    assert_eq!(state.event, EventName::AddressInfo);
    hall.closes();
}
