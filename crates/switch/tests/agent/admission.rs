//! Who is let in.

use tandem_cti::WorkMode::{AutoIn, AuxWork, ManualIn, Unknown};
use tandem_cti::{AgentState, ErrorCode, Value};
use tandem_switch::directory::floor::{AgentOptions, StrictId};

use crate::floor::{Asked, Floor, list};

fn strict(id: StrictId) -> AgentOptions {
    AgentOptions { agent_strict_id: Some(id), ..AgentOptions::default() }
}

#[test]
fn manual_in_begins_not_ready_and_auto_in_ready() {
    let mut floor = Floor::new(AgentOptions::default());
    floor.login("1001", "anna", ManualIn).unwrap();
    assert_eq!(floor.news(), ["login ManualIn", "notready ManualIn"]);
    floor.login("1002", "bob", AutoIn).unwrap();
    assert_eq!(floor.news(), ["login AutoIn", "ready AutoIn", "available"]);
    floor.login("1003", "carla", Unknown).unwrap();
    assert_eq!(floor.news(), ["login Unknown", "notready Unknown"]);
    assert_eq!(floor.login("1004", "dora", AuxWork), Err(ErrorCode::UnsupOper));
}

#[test]
fn other_work_modes_are_refused() {
    let mut floor = Floor::new(AgentOptions::default());
    assert_eq!(floor.login("1001", "anna", AuxWork), Err(ErrorCode::InvalidAttr));
    assert_eq!(floor.agents.at("1001"), None);
}

#[test]
fn strict_id_off_takes_any_agent_id() {
    let mut floor = Floor::new(AgentOptions::default());
    assert_eq!(floor.login("1001", "nobody", ManualIn), Ok(()));
}

#[test]
fn strict_id_takes_configured_logins_only() {
    let mut floor = Floor::new(strict(StrictId::Configured));
    assert_eq!(floor.login("1001", "nobody", ManualIn), Err(ErrorCode::AgentIdInv));
    assert_eq!(floor.login("1001", "anna", ManualIn), Ok(()), "whatever the password");
}

#[test]
fn strict_id_with_password_compares_it() {
    let mut floor = Floor::new(strict(StrictId::Password));
    let anna = Asked::new("1001", "anna", ManualIn);
    assert_eq!(floor.ask(&anna), Err(ErrorCode::BadPasswd));
    assert_eq!(floor.ask(&Asked { password: Some("rosebut"), ..anna.clone() }), Err(ErrorCode::BadPasswd));
    assert_eq!(floor.login("1001", "nobody", ManualIn), Err(ErrorCode::AgentIdInv));
    assert_eq!(floor.news(), [""; 0]);
    assert_eq!(floor.ask(&Asked { password: Some("rosebud"), ..anna }), Ok(()));
    assert_eq!(floor.login("1002", "bob", ManualIn), Ok(()), "has no password");
}

#[test]
fn an_agent_sits_at_one_dn_and_a_dn_has_one_agent() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    assert_eq!(floor.login("1001", "bob", ManualIn), Err(ErrorCode::PositionSignedIn));
    assert_eq!(floor.login("1002", "anna", ManualIn), Err(ErrorCode::AgentIdActive));
    assert_eq!(floor.agents.dn_of("anna").as_deref(), Some("1001"));
    assert_eq!(floor.agents.dn_of("bob"), None);
    assert!(!floor.agents.is_logged_in("1002"));
}

#[test]
fn the_same_login_again_is_no_transition_but_may_add_a_queue() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    floor.pass(5);
    let before = floor.anna();
    let again = Asked::new("1001", "anna", ManualIn);
    assert_eq!(floor.ask(&again), Ok(()));
    assert_eq!(floor.news(), ["login AutoIn"]);
    assert_eq!(floor.anna(), before);
    assert_eq!(floor.ask(&Asked { queue: Some("700"), ..again.clone() }), Ok(()));
    assert_eq!(floor.news(), ["unavailable", "login AutoIn", "available"], "queues hear of him anew");
    assert_eq!(floor.ask(&Asked { queue: Some("700"), ..again }), Ok(()));
    assert_eq!(floor.anna().queues, ["700".into()]);
    assert_eq!(floor.anna().since_unix_ms, before.since_unix_ms);
}

#[test]
fn agents_log_in_at_configured_extensions_only() {
    let mut floor = Floor::new(AgentOptions::default());
    for dn in ["700", "800", "1004"] {
        assert_eq!(floor.login(dn, "anna", ManualIn), Err(ErrorCode::UnsupOper), "{dn}");
    }
    assert_eq!(floor.login("1999", "anna", ManualIn), Err(ErrorCode::NotConfigured));
    let wrong_queue = Asked { queue: Some("1002"), ..Asked::new("1001", "anna", ManualIn) };
    assert_eq!(floor.ask(&wrong_queue), Err(ErrorCode::NotConfigured));
    assert_eq!(floor.agents.list(), []);
}

#[test]
fn a_login_with_a_call_in_progress_is_refused() {
    let mut floor = Floor::new(AgentOptions::default());
    floor.began(1, true, None);
    assert_eq!(floor.login("1001", "anna", AutoIn), Err(ErrorCode::RecvdInvState));
    floor.end(1);
    assert_eq!(floor.login("1001", "anna", AutoIn), Ok(()));
    let busy = Asked { busy: true, ..Asked::new("1002", "bob", AutoIn) };
    assert_eq!(floor.ask(&busy), Err(ErrorCode::RecvdInvState));
}

#[test]
fn a_login_on_a_call_is_bound_to_it() {
    let options = AgentOptions { agent_emu_login_on_call: Some(true), ..AgentOptions::default() };
    let mut floor = Floor::new(options);
    floor.talk(1, true);
    floor.login("1001", "anna", AutoIn).unwrap();
    assert_eq!(floor.news(), ["login AutoIn", "ready AutoIn"]);
    assert_eq!((floor.anna().state, floor.anna().calls), (AgentState::BusyReady, 1));
    floor.end(1);
    assert_eq!(floor.news(), ["available"]);
}

#[test]
fn the_extension_wins_over_the_option() {
    let with = |word: &str| list(&[("AgentEmuLoginOnCall", word.into())]);
    let ask = |word| Asked { extensions: with(word), ..Asked::new("1001", "anna", AutoIn) };
    let mut floor =
        Floor::new(AgentOptions { agent_emu_login_on_call: Some(true), ..AgentOptions::default() });
    floor.talk(1, true);
    assert_eq!(floor.ask(&ask("false")), Err(ErrorCode::RecvdInvState));
    assert_eq!(floor.ask(&ask("perhaps")), Err(ErrorCode::InvalidAttr));
    let mut floor = Floor::new(AgentOptions::default());
    floor.talk(1, true);
    assert_eq!(floor.ask(&ask("true")), Ok(()));
    let number = list(&[("AgentEmuLoginOnCall", Value::Int(1))]);
    assert_eq!(floor.agents.at("1001").unwrap().calls, 1);
    let mut floor = Floor::new(AgentOptions::default());
    floor.talk(1, true);
    assert_eq!(floor.ask(&Asked { extensions: number, ..ask("true") }), Ok(()));
}
