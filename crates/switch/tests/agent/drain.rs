//! What a graceful shutdown does with each agent.

use tandem_cti::WorkMode::{AfterCallWork, AutoIn, AuxWork, ManualIn};
use tandem_switch::agent::{Drained, drained};
use tandem_switch::directory::floor::{AgentOptions, WrapUp};

use crate::floor::{Floor, seconds};

fn floor(wrap_up: WrapUp) -> Floor {
    Floor::with_anna(AgentOptions { wrap_up_time: Some(wrap_up), ..AgentOptions::default() }, AutoIn)
}

#[test]
fn gm_08_an_idle_agent_goes_at_once() {
    let mut floor = floor(seconds(30));
    assert_eq!(drained(&floor.anna()), Drained::LogOut);
    floor.not_ready(AuxWork).unwrap();
    assert_eq!(drained(&floor.anna()), Drained::LogOut);
}

#[test]
fn gm_09_timed_after_call_work_is_waited_for() {
    let mut floor = floor(seconds(30));
    floor.not_ready(AfterCallWork).unwrap();
    assert_eq!(drained(&floor.anna()), Drained::Wait);
    floor.pass(30);
    assert_eq!(drained(&floor.anna()), Drained::LogOut);
}

#[test]
fn gm_11_a_call_is_waited_for() {
    let mut floor = floor(seconds(0));
    floor.talk(1, false);
    assert_eq!(drained(&floor.anna()), Drained::Wait);
    floor.end(1);
    assert_eq!(drained(&floor.anna()), Drained::LogOut);
}

#[test]
fn gm_12_untimed_after_call_work_is_not_waited_for() {
    let mut floor = floor(WrapUp::Untimed);
    floor.talk(1, true);
    assert_eq!(drained(&floor.anna()), Drained::Wait);
    floor.end(1);
    assert_eq!(floor.anna().work_mode, AfterCallWork);
    assert_eq!(drained(&floor.anna()), Drained::LogOut);
    assert!(floor.not_ready(ManualIn).is_ok());
}
