//! A new configuration.

use std::time::Duration;

use tandem_cti::WorkMode::{AutoIn, ManualIn};
use tandem_switch::directory::floor::{AgentOptions, StrictId};

use crate::floor::{Asked, Floor, Setup, seconds};

fn adopt(floor: &mut Floor, setup: &Setup) {
    floor.directory = setup.directory();
    floor.act(|agents, desk| agents.adopt(desk));
}

#[test]
fn an_agent_leaves_with_his_dn() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    adopt(&mut floor, &Setup::default());
    assert_eq!(floor.news(), [""; 0]);
    adopt(&mut floor, &Setup { without_dn: Some("1001"), ..Setup::default() });
    assert_eq!(floor.news(), ["unavailable", "logout AutoIn Cause=configuration"]);
}

#[test]
fn an_agent_leaves_with_his_agent_login() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    floor.login("1002", "stranger", ManualIn).unwrap();
    floor.news();
    adopt(&mut floor, &Setup { without_login: true, ..Setup::default() });
    assert_eq!(floor.news(), ["logout ManualIn Cause=configuration"]);
    assert!(floor.agents.is_logged_in("1002"), "never had one, and needs none");
    let strict = AgentOptions { agent_strict_id: Some(StrictId::Configured), ..AgentOptions::default() };
    adopt(&mut floor, &Setup { application: strict, ..Setup::default() });
    assert_eq!(floor.agents.list(), []);
}

#[test]
fn queues_that_are_gone_are_forgotten() {
    let mut floor = Floor::new(AgentOptions::default());
    floor.ask(&Asked { queue: Some("700"), ..Asked::new("1001", "anna", ManualIn) }).unwrap();
    adopt(&mut floor, &Setup { without_queue: true, ..Setup::default() });
    assert!(floor.anna().queues.is_empty());
}

#[test]
fn options_take_effect() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    let application = AgentOptions {
        auto_logout_timeout: Some(Duration::from_secs(60)),
        wrap_up_time: Some(seconds(8)),
        ..AgentOptions::default()
    };
    adopt(&mut floor, &Setup { application, ..Setup::default() });
    assert_eq!(floor.agents.poll_timeout(), Some(floor.after(60)));
    floor.talk(1, true);
    floor.end(1);
    assert_eq!(floor.anna().until, Some(floor.after(8)));
}

#[test]
fn a_call_outlives_its_dn() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    floor.talk(1, true);
    adopt(&mut floor, &Setup { without_dn: Some("1001"), ..Setup::default() });
    floor.end(1);
    adopt(&mut floor, &Setup::default());
    floor.login("1001", "anna", AutoIn).unwrap();
    assert!(floor.anna().available);
}
