//! The legal guard (`legal-guard-time`).

use std::time::Duration;

use tandem_cti::ErrorCode;
use tandem_cti::WorkMode::{AfterCallWork, AutoIn, AuxWork, LegalGuard, Unknown};
use tandem_switch::directory::floor::AgentOptions;

use crate::floor::{Floor, seconds};

fn guarded(wrap_up_s: u64) -> Floor {
    let options = AgentOptions {
        legal_guard_time: Some(Duration::from_secs(7)),
        wrap_up_time: Some(seconds(wrap_up_s)),
        ..AgentOptions::default()
    };
    let mut floor = Floor::with_anna(options, AutoIn);
    floor.talk(1, true);
    floor.end(1);
    floor
}

#[test]
fn it_follows_a_business_call() {
    let mut floor = guarded(0);
    assert_eq!(floor.news(), ["unavailable", "notready LegalGuard"]);
    assert_eq!(floor.anna().until, Some(floor.after(7)));
    assert_eq!(floor.ready(Unknown), Err(ErrorCode::RecvdInvState));
    floor.pass_ms(6_999);
    assert_eq!(floor.ready(Unknown), Err(ErrorCode::RecvdInvState));
    floor.pass_ms(1);
    assert_eq!(floor.news(), ["ready AutoIn", "available"]);
}

#[test]
fn it_follows_after_call_work() {
    let mut floor = guarded(20);
    floor.pass(20);
    assert_eq!(floor.news(), ["unavailable", "notready AfterCallWork WrapUpTime=20", "notready LegalGuard"]);
    floor.pass(7);
    assert_eq!(floor.news(), ["ready AutoIn", "available"]);
}

#[test]
fn ready_in_after_call_work_leads_into_it() {
    let mut floor = guarded(20);
    floor.ready(Unknown).unwrap();
    assert_eq!(floor.anna().work_mode, LegalGuard);
    floor.pass(7);
    assert!(floor.anna().available);
}

#[test]
fn not_ready_does_not_shorten_it() {
    let mut floor = guarded(0);
    floor.pass(2);
    floor.not_ready(AuxWork).unwrap();
    assert_eq!(floor.anna().work_mode, AuxWork);
    assert_eq!(floor.ready(Unknown), Err(ErrorCode::RecvdInvState));
    floor.pass(5);
    assert_eq!(floor.anna().work_mode, AuxWork);
    assert_eq!(floor.ready(Unknown), Ok(()));
    let mut floor = guarded(20);
    floor.not_ready(AuxWork).unwrap();
    assert_eq!(floor.ready(Unknown), Err(ErrorCode::RecvdInvState));
    floor.pass(7);
    assert_eq!(floor.ready(Unknown), Ok(()));
}

#[test]
fn a_call_begins_it_anew() {
    let mut floor = guarded(0);
    floor.pass(5);
    floor.talk(2, true);
    floor.pass(60);
    floor.end(2);
    assert_eq!(floor.anna().until, Some(floor.after(7)));
}

#[test]
fn nobody_may_ask_for_it() {
    let mut floor = guarded(0);
    assert_eq!(floor.not_ready(LegalGuard), Err(ErrorCode::InvalidAttr));
    floor.not_ready(AfterCallWork).unwrap();
    assert_eq!(floor.anna().work_mode, AfterCallWork);
    floor.ready(Unknown).unwrap();
    assert_eq!(floor.anna().work_mode, LegalGuard, "not skipped by way of after-call work");
}
