//! Logouts, by request and by the server.

use std::time::Duration;

use tandem_cti::ErrorCode;
use tandem_cti::WorkMode::{AfterCallWork, AutoIn, AuxWork, ManualIn, Unknown, WalkAway};
use tandem_switch::agent::LogoutBy;
use tandem_switch::directory::floor::{AgentOptions, OnUnregister};

use crate::floor::{Asked, Floor, list};

fn options() -> AgentOptions {
    AgentOptions { logout_on_disconnect: Some(false), ..AgentOptions::default() }
}

fn gone(floor: &mut Floor, client: u64) {
    floor.act(|agents, desk| agents.client_gone(desk, client));
}

fn unregistered(floor: &mut Floor, client: u64) {
    floor.act(|agents, desk| agents.unregistered(desk, "1001", client));
}

#[test]
fn a_logout_by_request() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    floor.logout("1001", LogoutBy::Request).unwrap();
    assert_eq!(floor.news(), ["unavailable", "logout AutoIn"]);
    assert_eq!(floor.logout("1001", LogoutBy::Request), Err(ErrorCode::PositionSignedOut));
    assert_eq!((floor.agents.dn_of("anna"), floor.agents.poll_timeout()), (None, None));
    assert_eq!(floor.login("1002", "anna", AutoIn), Ok(()));
}

#[test]
fn a_request_is_refused_on_a_busy_device_but_the_server_is_not() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    floor.began(1, false, None);
    assert_eq!(floor.logout("1001", LogoutBy::Request), Err(ErrorCode::RecvdInvState));
    let allowed = list(&[("AgentEmuLoginOnCall", "true".into())]);
    assert_eq!(floor.logout_with("1001", LogoutBy::Request, None, allowed), Ok(()));
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    floor.talk(1, true);
    assert_eq!(floor.logout("1001", LogoutBy::Supervisor), Ok(()));
    let on_call = AgentOptions { agent_emu_login_on_call: Some(true), ..AgentOptions::default() };
    let mut floor = Floor::with_anna(on_call, AutoIn);
    floor.talk(1, true);
    assert_eq!(floor.logout("1001", LogoutBy::Request), Ok(()));
}

#[test]
fn forced_logouts_say_why() {
    let told = |by, extensions| {
        let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
        floor.logout_with("1001", by, None, extensions).unwrap();
        floor.news()
    };
    let own = list(&[("ReasonCode", "shift over".into())]);
    assert_eq!(told(LogoutBy::DrForce, list(&[])), ["logout ManualIn ReasonCode=dr-force_logout"]);
    assert_eq!(
        told(LogoutBy::GracefulShutdown, list(&[])),
        ["logout ManualIn ReasonCode=graceful_shutdown_logout"]
    );
    assert_eq!(told(LogoutBy::Supervisor, own), ["logout ManualIn ReasonCode=shift over"]);
    assert_eq!(told(LogoutBy::Request, list(&[])), ["logout ManualIn"]);
}

#[test]
fn out_of_service_logs_out_if_the_option_says_so() {
    for on in [false, true] {
        let options = AgentOptions { logout_on_out_of_service: Some(on), ..AgentOptions::default() };
        let mut floor = Floor::with_anna(options, ManualIn);
        floor.act(|agents, desk| agents.dn_in_service(desk, "1001", true));
        assert!(floor.agents.is_logged_in("1001"));
        floor.act(|agents, desk| agents.dn_in_service(desk, "1001", false));
        assert_eq!(floor.agents.is_logged_in("1001"), !on);
        let told: &[&str] = if on { &["logout ManualIn Cause=logout-on-out-of-service"] } else { &[] };
        assert_eq!(floor.news(), told);
    }
}

#[test]
fn cl_24_the_loss_of_the_client_that_logged_him_in_logs_him_out() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    floor.login("1002", "bob", ManualIn).unwrap();
    floor.talk(1, true);
    floor.news();
    gone(&mut floor, 2);
    assert_eq!(floor.agents.list().len(), 2);
    gone(&mut floor, 1);
    assert_eq!(floor.news(), ["logout ManualIn Cause=logout-on-disconnect"; 2]);
    let mut floor = Floor::with_anna(options(), ManualIn);
    gone(&mut floor, 1);
    assert!(floor.agents.is_logged_in("1001"));
}

#[test]
fn the_latest_client_counts() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    floor.ask(&Asked { client: 2, ..Asked::new("1001", "anna", ManualIn) }).unwrap();
    gone(&mut floor, 1);
    assert!(floor.agents.is_logged_in("1001"));
    gone(&mut floor, 2);
    assert!(!floor.agents.is_logged_in("1001"));
}

#[test]
fn unregistering_logs_out_if_the_option_says_so() {
    for (how, leaves) in
        [(OnUnregister::Stay, false), (OnUnregister::Logout, true), (OnUnregister::EmuOnly, true)]
    {
        let with = AgentOptions { agent_logout_on_unreg: Some(how), ..options() };
        let mut floor = Floor::with_anna(with.clone(), ManualIn);
        unregistered(&mut floor, 2);
        assert!(floor.agents.is_logged_in("1001"), "a client that only watches");
        unregistered(&mut floor, 1);
        assert_eq!(floor.agents.is_logged_in("1001"), !leaves);
        let mut floor = Floor::with_anna(with, ManualIn);
        gone(&mut floor, 1);
        assert_eq!(floor.agents.is_logged_in("1001"), !leaves, "also when the client is gone");
    }
}

fn idle() -> Floor {
    let minute = Some(Duration::from_secs(60));
    Floor::with_anna(AgentOptions { auto_logout_timeout: minute, ..AgentOptions::default() }, ManualIn)
}

#[test]
fn an_idle_agent_is_logged_out() {
    let mut floor = idle();
    floor.pass_ms(59_999);
    assert_eq!(floor.news(), [""; 0]);
    floor.pass_ms(1);
    assert_eq!(floor.news(), ["logout ManualIn Cause=auto-logout-timeout"]);
}

#[test]
fn whoever_works_or_waits_for_calls_is_not_idle() {
    for mode in [AuxWork, AfterCallWork] {
        let mut floor = idle();
        floor.not_ready(mode).unwrap();
        floor.pass(1_000);
        assert!(floor.agents.is_logged_in("1001"), "{mode:?}");
    }
    let mut floor = idle();
    floor.ready(Unknown).unwrap();
    floor.pass(1_000);
    assert!(floor.agents.is_logged_in("1001"));
}

#[test]
fn a_call_and_a_change_begin_the_idle_time_anew() {
    let mut floor = idle();
    floor.pass(50);
    floor.not_ready(WalkAway).unwrap();
    floor.pass(50);
    floor.began(1, false, None);
    floor.pass(500);
    floor.end(1);
    floor.pass(59);
    assert!(floor.agents.is_logged_in("1001"));
    floor.pass(1);
    assert!(!floor.agents.is_logged_in("1001"));
}

#[test]
fn a_logout_of_one_queue_leaves_him_logged_in() {
    let mut floor = Floor::new(AgentOptions::default());
    floor.ask(&Asked { queue: Some("700"), ..Asked::new("1001", "anna", AutoIn) }).unwrap();
    floor.news();
    let out = |floor: &mut Floor, queue| floor.logout_with("1001", LogoutBy::Request, Some(queue), list(&[]));
    assert_eq!(out(&mut floor, "701"), Err(ErrorCode::InvalidAttr));
    assert_eq!(out(&mut floor, "700"), Ok(()));
    assert_eq!(floor.news(), ["unavailable", "available"], "queues hear of him anew");
    assert!(floor.anna().queues.is_empty());
}
