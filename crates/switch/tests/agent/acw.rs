//! After-call work (`wrap-up-time` and its fellows).

use tandem_cti::AgentState::{self, BusyAfterCallWork, NotReady, Ready};
use tandem_cti::WorkMode::{AfterCallWork, AutoIn, AuxWork, ManualIn, Unknown};
use tandem_cti::{KvList, Value, WorkMode};
use tandem_switch::directory::floor::{AgentOptions, WrapUp};

use crate::floor::{Asked, Floor, Setup, list, seconds};

fn wrap(wrap_up: WrapUp) -> AgentOptions {
    AgentOptions { wrap_up_time: Some(wrap_up), ..AgentOptions::default() }
}

fn state(floor: &Floor) -> (AgentState, WorkMode) {
    (floor.anna().state, floor.anna().work_mode)
}

#[test]
fn timed_work_follows_a_business_call_and_ends_in_ready() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), AutoIn);
    floor.talk(1, true);
    assert_eq!(state(&floor).0, BusyAfterCallWork);
    floor.end(1);
    assert_eq!(floor.news(), ["unavailable", "notready AfterCallWork WrapUpTime=30"]);
    assert_eq!(state(&floor), (NotReady, AfterCallWork));
    assert_eq!(floor.anna().until, Some(floor.after(30)));
    floor.pass_ms(29_999);
    assert_eq!(floor.news(), [""; 0]);
    floor.pass_ms(1);
    assert_eq!(floor.news(), ["ready AutoIn", "available"]);
    assert_eq!(floor.anna().idle_since_unix_ms, floor.now.unix_ms);
}

#[test]
fn gm_10_timed_work_ends_in_ready_with_manual_in_too() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), ManualIn);
    floor.ready(ManualIn).unwrap();
    floor.talk(1, true);
    floor.end(1);
    floor.news();
    floor.pass(30);
    assert_eq!(floor.news(), ["ready ManualIn", "available"]);
    let mut floor = Floor::with_anna(wrap(WrapUp::Untimed), ManualIn);
    floor.ready(ManualIn).unwrap();
    floor.talk(1, true);
    floor.end(1);
    floor.not_ready(AuxWork).unwrap();
    assert_eq!(state(&floor), (NotReady, AuxWork), "untimed work ends as he says");
}

#[test]
fn untimed_work_ends_by_request_only() {
    let mut floor = Floor::with_anna(wrap(WrapUp::Untimed), AutoIn);
    floor.talk(1, true);
    floor.end(1);
    floor.pass(100_000);
    assert_eq!(floor.news(), ["unavailable", "notready AfterCallWork WrapUpTime=untimed"]);
    floor.ready(Unknown).unwrap();
    assert_eq!(floor.news(), ["ready AutoIn", "available"]);
}

#[test]
fn private_and_unanswered_calls_leave_no_work() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), AutoIn);
    floor.talk(1, false);
    assert_eq!(state(&floor).0, Ready);
    floor.end(1);
    floor.began(2, true, None);
    floor.end(2);
    assert_eq!(floor.news(), ["unavailable", "available", "unavailable", "available"]);
}

#[test]
fn levels_are_agent_login_then_dn_then_application() {
    let levels = |login: Option<u64>, dn: Option<u64>| {
        let of = |s: Option<u64>| AgentOptions { wrap_up_time: s.map(seconds), ..AgentOptions::default() };
        let setup = Setup { application: of(Some(1)), dn: of(dn), login: of(login), ..Setup::default() };
        let mut floor = Floor::of(&setup);
        floor.login("1001", "anna", AutoIn).unwrap();
        floor.talk(1, true);
        floor.end(1);
        floor.anna().until.map(|until| (until.unix_ms() - floor.now.unix_ms) / 1000)
    };
    assert_eq!(levels(Some(3), Some(2)), Some(3));
    assert_eq!(levels(None, Some(2)), Some(2));
    assert_eq!(levels(None, None), Some(1));
    assert_eq!(levels(Some(0), Some(2)), None, "none at the Agent Login");
}

#[test]
fn a_call_has_its_own_wrap_up_time() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), AutoIn);
    let expected = |floor: &Floor| floor.agents.expected_wrap_up(&floor.directory, "1001", 1);
    floor.began(1, true, Some(seconds(5)));
    assert_eq!(expected(&floor), Some(seconds(5)));
    floor.answer(1);
    floor.act(|agents, desk| agents.set_wrap_up(desk, "1001", 1, Some(WrapUp::Untimed)));
    assert_eq!(expected(&floor), Some(WrapUp::Untimed));
    floor.act(|agents, desk| agents.set_wrap_up(desk, "1001", 1, Some(seconds(0))));
    assert_eq!(state(&floor).0, AgentState::BusyReady);
    floor.end(1);
    assert_eq!(state(&floor).0, Ready);
    floor.began(1, true, None);
    assert_eq!(expected(&floor), Some(seconds(30)));
    floor.began(2, false, None);
    assert_eq!(floor.agents.expected_wrap_up(&floor.directory, "1001", 2), None);
}

#[test]
fn a_login_may_bring_a_wrap_up_time() {
    let mut floor = Floor::new(wrap(seconds(30)));
    let ask = |value: Value| Asked {
        extensions: list(&[("WrapUpTime", value)]),
        ..Asked::new("1001", "anna", AutoIn)
    };
    assert!(floor.ask(&ask("later".into())).is_err());
    floor.ask(&ask(Value::Int(4))).unwrap();
    floor.talk(1, true);
    floor.end(1);
    assert_eq!(floor.anna().until, Some(floor.after(4)));
}

#[test]
fn of_several_calls_it_follows_the_last_and_is_the_longest() {
    let mut floor = Floor::with_anna(wrap(seconds(10)), AutoIn);
    floor.began(1, true, Some(seconds(40)));
    floor.answer(1);
    floor.talk(2, true);
    floor.end(1);
    assert_eq!(state(&floor).0, BusyAfterCallWork);
    floor.end(2);
    assert_eq!(floor.news(), ["unavailable", "notready AfterCallWork WrapUpTime=40"]);
}

#[test]
fn asked_for_while_idle_it_is_timed_and_ends_in_ready() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), ManualIn);
    floor.not_ready(AuxWork).unwrap();
    floor.not_ready(AfterCallWork).unwrap();
    assert_eq!(floor.news(), ["notready AuxWork", "notready AfterCallWork WrapUpTime=30"]);
    floor.pass(30);
    assert_eq!(floor.news(), ["ready ManualIn", "available"]);
}

#[test]
fn without_force_ready_it_ends_in_the_previous_state() {
    let options = AgentOptions { acw_in_idle_force_ready: Some(false), ..wrap(seconds(30)) };
    let mut floor = Floor::with_anna(options, ManualIn);
    floor.not_ready_with(AuxWork, list(&[("why", "lunch".into())]), KvList::new()).unwrap();
    floor.not_ready(AfterCallWork).unwrap();
    floor.pass(30);
    assert_eq!(floor.news().last().unwrap(), "notready AuxWork why=lunch");
    floor.ready(AutoIn).unwrap();
    floor.not_ready(AfterCallWork).unwrap();
    floor.pass(30);
    assert_eq!(state(&floor), (Ready, AutoIn));
}

#[test]
fn without_timed_acw_in_idle_it_is_untimed() {
    let options = AgentOptions { timed_acw_in_idle: Some(false), ..wrap(seconds(30)) };
    let mut floor = Floor::with_anna(options, AutoIn);
    floor.not_ready(AfterCallWork).unwrap();
    assert_eq!(floor.anna().until, None);
    let in_12_s = list(&[("WrapUpTime", Value::Int(12))]);
    floor.not_ready_with(AfterCallWork, KvList::new(), in_12_s).unwrap();
    assert_eq!(floor.anna().until, Some(floor.after(12)), "unless the request says how long");
    let mut floor = Floor::with_anna(wrap(seconds(0)), AutoIn);
    floor.not_ready(AfterCallWork).unwrap();
    assert_eq!(state(&floor), (NotReady, AfterCallWork));
    assert_eq!(floor.anna().until, None, "no wrap-up-time to take");
}

#[test]
fn asked_for_during_a_call_it_follows_the_call() {
    let mut floor = Floor::with_anna(wrap(seconds(0)), AutoIn);
    floor.talk(1, true);
    assert_eq!(state(&floor).0, AgentState::BusyReady);
    floor.not_ready_with(AfterCallWork, list(&[("why", "form".into())]), KvList::new()).unwrap();
    assert_eq!(state(&floor).0, BusyAfterCallWork);
    assert_eq!(floor.news(), ["unavailable", "notready AfterCallWork why=form"]);
    floor.end(1);
    assert_eq!(floor.news(), ["notready AfterCallWork why=form WrapUpTime=untimed"]);
    floor.talk(2, true);
    floor.not_ready(AfterCallWork).unwrap();
    floor.ready(Unknown).unwrap();
    floor.end(2);
    assert_eq!(state(&floor).0, Ready, "he thought better of it");
}

#[test]
fn a_request_ends_it() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), AutoIn);
    floor.talk(1, true);
    floor.end(1);
    floor.news();
    floor.not_ready(AuxWork).unwrap();
    floor.pass(60);
    assert_eq!(floor.news(), ["notready AuxWork"]);
}

#[test]
fn what_a_call_interrupts_follows_it() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), AutoIn);
    floor.talk(1, true);
    floor.end(1);
    floor.pass(10);
    floor.began(2, true, Some(seconds(0)));
    floor.answer(2);
    assert_eq!(state(&floor).0, BusyAfterCallWork);
    floor.pass(100);
    floor.end(2);
    assert_eq!(floor.anna().until, Some(floor.after(20)));
}

#[test]
fn a_setting_during_a_call_decides_what_follows_the_work() {
    let mut floor = Floor::with_anna(wrap(seconds(30)), AutoIn);
    floor.talk(1, true);
    floor.not_ready(AuxWork).unwrap();
    floor.end(1);
    assert_eq!(state(&floor), (NotReady, AfterCallWork));
    floor.pass(30);
    assert_eq!(state(&floor), (NotReady, AuxWork));
    assert_eq!(floor.anna().until, None);
}

#[test]
fn what_an_ended_call_owes_shows_while_another_goes_on() {
    let mut floor = Floor::with_anna(wrap(seconds(0)), AutoIn);
    floor.began(1, true, Some(seconds(40)));
    floor.answer(1);
    floor.talk(2, true);
    floor.end(1);
    assert_eq!(state(&floor).0, BusyAfterCallWork);
}
