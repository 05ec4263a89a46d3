//! Business calls and what follows them.

use tandem_cti::AgentState::{BusyNotReady, BusyReady, NotReady, Ready};
use tandem_cti::ErrorCode;
use tandem_cti::WorkMode::{AutoIn, AuxWork, ManualIn, Unknown};
use tandem_switch::agent::Work;
use tandem_switch::directory::floor::AgentOptions;

use crate::floor::{Floor, seconds};

fn anna(mode: tandem_cti::WorkMode) -> Floor {
    Floor::with_anna(AgentOptions::default(), mode)
}

#[test]
fn auto_in_is_ready_again_without_an_event() {
    let mut floor = anna(AutoIn);
    floor.began(1, true, None);
    assert_eq!(floor.anna().state, Ready, "a ringing call occupies nobody");
    floor.answer(1);
    assert_eq!(floor.anna().state, BusyReady);
    floor.end(1);
    assert_eq!(floor.anna().state, Ready);
    assert_eq!(floor.news(), ["unavailable", "available"]);
}

#[test]
fn manual_in_is_not_ready_after_each_call() {
    let mut floor = anna(ManualIn);
    floor.ready(Unknown).unwrap();
    floor.talk(1, true);
    assert_eq!(floor.anna().state, BusyNotReady);
    floor.end(1);
    assert_eq!(floor.news(), ["ready ManualIn", "available", "unavailable", "notready ManualIn"]);
}

#[test]
fn who_never_named_a_work_mode_stays_ready() {
    let mut floor = anna(Unknown);
    floor.ready(Unknown).unwrap();
    floor.talk(1, true);
    floor.end(1);
    assert_eq!(floor.anna().state, Ready);
}

#[test]
fn manual_in_after_a_private_call_stays_ready() {
    let mut floor = anna(ManualIn);
    floor.ready(ManualIn).unwrap();
    floor.talk(1, false);
    floor.end(1);
    assert_eq!(floor.anna().state, Ready);
}

#[test]
fn ready_during_a_call_keeps_manual_in_ready() {
    let mut floor = anna(ManualIn);
    floor.ready(Unknown).unwrap();
    floor.talk(1, true);
    floor.ready(Unknown).unwrap();
    assert_eq!(floor.anna().state, BusyReady);
    assert_eq!(floor.ready(Unknown), Err(ErrorCode::InSameState));
    floor.talk(2, true);
    floor.end(2);
    floor.end(1);
    assert_eq!(floor.anna().state, Ready);
}

#[test]
fn not_ready_during_a_call_is_told_at_once() {
    let mut floor = anna(AutoIn);
    floor.talk(1, true);
    floor.not_ready(AuxWork).unwrap();
    assert_eq!(floor.anna().state, BusyNotReady);
    floor.end(1);
    assert_eq!((floor.anna().state, floor.anna().work_mode), (NotReady, AuxWork));
    assert_eq!(floor.news(), ["unavailable", "notready AuxWork"]);
}

#[test]
fn a_completed_transfer_keeps_the_business() {
    let options = AgentOptions { wrap_up_time: Some(seconds(9)), ..AgentOptions::default() };
    let mut floor = Floor::with_anna(options, AutoIn);
    floor.talk(7, false);
    let merged = Work { conn: 3, business: true, wrap_up: None };
    floor.act(|agents, desk| agents.call_became(desk, "1001", 7, merged));
    assert_eq!(floor.anna().calls, 1);
    floor.end(7);
    assert_eq!(floor.anna().calls, 1, "that call has another name now");
    floor.end(3);
    assert_eq!(floor.anna().until, Some(floor.after(9)));
}

#[test]
fn two_calls_that_become_one_count_once() {
    let mut floor = anna(ManualIn);
    floor.ready(Unknown).unwrap();
    floor.talk(1, true);
    floor.talk(2, false);
    floor.ready(Unknown).unwrap();
    let merged = Work { conn: 1, business: false, wrap_up: None };
    floor.act(|agents, desk| agents.call_became(desk, "1001", 2, merged));
    assert_eq!((floor.anna().calls, floor.anna().state), (1, BusyReady));
    floor.end(1);
    assert_eq!(floor.anna().state, Ready);
}

#[test]
fn since_counts_from_the_change_of_state() {
    let mut floor = anna(AutoIn);
    floor.pass(5);
    floor.began(1, true, None);
    let login = floor.anna().login_unix_ms;
    assert_eq!(floor.anna().since_unix_ms, login);
    floor.answer(1);
    assert_eq!(floor.anna().since_unix_ms, floor.now.unix_ms);
    assert_eq!(floor.anna().login_unix_ms, login);
}

#[test]
fn a_business_call_that_takes_a_private_name_stays_business() {
    let mut floor = anna(AutoIn);
    floor.talk(1, true);
    floor.began(2, false, None);
    let merged = Work { conn: 2, business: false, wrap_up: None };
    floor.act(|agents, desk| agents.call_became(desk, "1001", 1, merged));
    assert_eq!((floor.anna().calls, floor.anna().state), (1, BusyReady));
}
