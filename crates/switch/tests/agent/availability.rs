//! Who may be offered calls, and how long he has been idle.

use tandem_cti::WorkMode::{AutoIn, AuxWork};
use tandem_switch::directory::floor::{AgentOptions, NoAnswerAction};

use crate::floor::{Asked, Floor};

fn offered(floor: &mut Floor, conn: u64) {
    floor.act(|agents, desk| agents.offered(desk, "1001", conn));
}

fn over(floor: &mut Floor, conn: u64) {
    floor.act(|agents, desk| agents.offer_over(desk, "1001", conn));
}

fn in_service(floor: &mut Floor, yes: bool) {
    floor.act(|agents, desk| agents.dn_in_service(desk, "1001", yes));
}

fn no_answer(action: NoAnswerAction) -> Floor {
    let options = AgentOptions { agent_no_answer_action: Some(action), ..AgentOptions::default() };
    let mut floor = Floor::with_anna(options, AutoIn);
    floor.pass(3);
    offered(&mut floor, 5);
    floor.began(5, true, None);
    floor.news();
    floor.act(|agents, desk| agents.no_answer(desk, "1001"));
    floor
}

#[test]
fn an_offer_makes_him_unavailable_once() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    offered(&mut floor, 5);
    floor.began(5, true, None);
    assert_eq!(floor.news(), ["unavailable"]);
    floor.answer(5);
    floor.end(5);
    assert_eq!(floor.news(), ["available"]);
}

#[test]
fn an_offer_that_failed_keeps_his_idle_time() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    let since = floor.anna().idle_since_unix_ms;
    floor.pass(60);
    offered(&mut floor, 5);
    floor.began(5, true, None);
    over(&mut floor, 6);
    floor.end(5);
    assert_eq!(floor.news(), ["unavailable", "available"]);
    offered(&mut floor, 6);
    over(&mut floor, 6);
    assert_eq!(floor.news(), ["unavailable", "available"]);
    assert_eq!(floor.anna().idle_since_unix_ms, since);
}

#[test]
fn idle_time_begins_with_ready_and_with_the_end_of_a_call() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    floor.pass(5);
    floor.talk(1, false);
    floor.pass(5);
    floor.end(1);
    assert_eq!(floor.anna().idle_since_unix_ms, floor.now.unix_ms);
    floor.pass(5);
    floor.not_ready(AuxWork).unwrap();
    floor.pass(5);
    floor.ready(AutoIn).unwrap();
    assert_eq!(floor.anna().idle_since_unix_ms, floor.now.unix_ms);
}

#[test]
fn any_call_at_the_dn_makes_him_unavailable() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    floor.began(1, false, None);
    floor.began(2, false, None);
    floor.end(1);
    assert_eq!(floor.news(), ["unavailable"]);
    floor.end(2);
    assert_eq!(floor.news(), ["available"]);
}

#[test]
fn a_dn_out_of_service_is_not_offered_calls() {
    let mut floor = Floor::new(AgentOptions::default());
    let out = Asked { in_service: false, ..Asked::new("1001", "anna", AutoIn) };
    floor.ask(&out).unwrap();
    assert_eq!(floor.news(), ["login AutoIn", "ready AutoIn"]);
    in_service(&mut floor, true);
    in_service(&mut floor, true);
    in_service(&mut floor, false);
    assert_eq!(floor.news(), ["available", "unavailable"]);
}

#[test]
fn no_answer_with_no_action_sends_him_to_the_end_of_the_line() {
    let mut floor = no_answer(NoAnswerAction::None);
    floor.end(5);
    over(&mut floor, 5);
    assert_eq!(floor.news(), ["available"]);
    assert_eq!(floor.anna().idle_since_unix_ms, floor.now.unix_ms);
}

#[test]
fn no_answer_makes_not_ready() {
    let mut floor = no_answer(NoAnswerAction::NotReady);
    floor.end(5);
    over(&mut floor, 5);
    assert_eq!(floor.news(), ["notready Unknown Cause=agent-no-answer-action"]);
}

#[test]
fn no_answer_logs_out() {
    let mut floor = no_answer(NoAnswerAction::Logout);
    assert_eq!(floor.news(), ["logout AutoIn Cause=agent-no-answer-action"]);
    assert!(!floor.agents.is_logged_in("1001"));
}
