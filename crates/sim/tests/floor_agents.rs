//! Agents at two sites: who may log in where, what the loss of a phone, a desktop or a site does to them, and whose
//! calls are heard at a seat that several use.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{
    AgentLogin, AgentLogout, Error, Established, Registered, Released, Unregistered,
};
use tandem_cti::{AgentState, Event, PartyState, Resumed, Role, Value};
use tandem_sim::{A, B, DeskId, Refusal, Setup, Sim, UaId, ms, secs};
use tandem_switch::directory::floor::{AgentOptions, WrapUp};

fn two_sites(seed: u64, options: AgentOptions) -> Sim {
    let setup = Setup { challenge_calls: false, ..Setup::with_floor(2, options) };
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

fn register(sim: &mut Sim, desk: DeskId, dn: &str) -> Event {
    sim.does(desk, "TRegisterAddress", &[("ThisDN", dn)])
}

fn login(sim: &mut Sim, desk: DeskId, dn: &str, agent: &str) -> Event {
    sim.asks(desk, "TAgentLogin", &[("ThisDN", dn), ("AgentID", agent), ("WorkMode", "AutoIn")])
}

fn reason(event: &Event) -> Option<&Value> {
    event.extensions.get("ReasonCode")
}

fn power_off_soon_expires(sim: &mut Sim, phone: UaId) {
    sim.power_off(phone);
    sim.run_for(secs(70));
}

#[test]
fn sf_12_a_login_at_a_dn_out_of_service_is_refused_while_the_peer_is_up_and_taken_when_it_is_not() {
    let mut sim = two_sites(1, AgentOptions::default());
    let desk = sim.desktop("pa1", Role::Agent, A);
    register(&mut sim, desk, "1001");
    let refused = login(&mut sim, desk, "1001", "a1");
    assert_eq!((refused.event, refused.error_code), (Error, Some(58)));
    sim.crash(B, Refusal::Refused);
    sim.run_for(secs(20));
    assert_eq!(sim.mode(A), "single-site");
    assert_eq!(login(&mut sim, desk, "1001", "a1").event, AgentLogin);
}

#[test]
fn sf_13_an_expired_registration_forces_a_logout_in_peered_mode_only() {
    for (peer_is_up, forced) in [(true, true), (false, false)] {
        let mut sim = two_sites(2, AgentOptions::default());
        let phone = sim.phone("1001").registers_at(A).on();
        sim.run_for(secs(1));
        let desk = sim.agent_at("a1", "1001", A, "AutoIn");
        if !peer_is_up {
            sim.crash(B, Refusal::Refused);
            sim.run_for(secs(20));
        }
        power_off_soon_expires(&mut sim, phone);
        let logout = sim.desk(desk).last_of(AgentLogout, "1001");
        assert_eq!(logout.is_some(), forced);
        if let Some(logout) = logout {
            assert_eq!(reason(logout), Some(&Value::from("dr-force_logout")));
        }
    }
}

#[test]
fn bca_03_an_agent_logs_in_at_either_site_with_the_same_login_and_dn() {
    let mut sim = two_sites(3, AgentOptions::default());
    sim.phone("1001").dual(A).on();
    sim.run_for(secs(1));
    for site in [A, B, A] {
        let desk = sim.agent_at("a1", "1001", site, "AutoIn");
        sim.does(desk, "TAgentLogout", &[("ThisDN", "1001")]);
    }
}

#[test]
fn bca_23_a_desktop_is_logged_in_at_one_site_and_only_connected_to_the_other() {
    let mut sim = two_sites(4, AgentOptions::default());
    sim.phone("1001").dual(A).on();
    sim.run_for(secs(1));
    sim.agent_at("a1", "1001", A, "AutoIn");
    let other = sim.desktop("pa1", Role::Agent, B);
    let there = register(&mut sim, other, "1001");
    assert_eq!(there.event, Registered);
    assert_eq!((there.agent_state, there.in_service), (Some(AgentState::LoggedOut), Some(true)));
}

#[test]
fn nf_04_a_call_is_offered_to_agents_of_its_own_site_only() {
    let mut sim = two_sites(5, AgentOptions::default());
    let phone = sim.phone("1001").registers_at(B).on();
    sim.phone("1002").registers_at(A).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    sim.agent_at("a1", "1001", B, "AutoIn");
    let call = sim.call(gateway, "7000");
    sim.run_for(secs(5));
    sim.expect(!sim.was_offered(phone, call), "the agent at B is not offered the call at A");
    sim.agent_at("a2", "1002", A, "AutoIn");
    sim.run_until(secs(3), "the agent at A takes it", |sim| sim.is_talking(call));
    sim.settle();
}

#[test]
fn cl_15_a_lost_desktop_logs_its_agent_out_and_the_call_goes_on() {
    let mut sim = two_sites(6, AgentOptions::default());
    sim.phone("1001").registers_at(A).answers_after(ms(500)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    let sue = sim.desktop("sue", Role::Supervisor, A);
    register(&mut sim, sue, "1001");
    let call = sim.call_answered(gateway, "7000");
    sim.crash_desktop(desk);
    let logout = sim.awaits_after(sue, 0, AgentLogout, "1001");
    assert_eq!(logout.agent_id.as_deref(), Some("a1"));
    sim.run_for(secs(5));
    sim.expect(sim.is_talking(call), "the conversation goes on");
    sim.settle();
}

#[test]
fn cl_06_cl_07_cl_08_a_desktop_that_comes_back_finds_its_call_and_logs_in_after_it() {
    let options = AgentOptions { wrap_up_time: Some(WrapUp::Timed(secs(3))), ..AgentOptions::default() };
    let mut sim = two_sites(7, options);
    sim.phone("1001").registers_at(A).answers_after(ms(500)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    let call = sim.call_answered(gateway, "7000");
    sim.crash_desktop(desk);
    sim.run_for(secs(2));
    sim.connect(desk);
    let registered = register(&mut sim, desk, "1001");
    let party = registered.parties.first().cloned();
    assert_eq!(party.as_ref().map(|party| party.state), Some(PartyState::Connected));
    let conn = party.map(|party| party.conn_id).unwrap_or_default();
    let refused = login(&mut sim, desk, "1001", "a1");
    assert_eq!((refused.event, refused.error_code), (Error, Some(506)));
    for request in ["THoldCall", "TRetrieveCall", "TReleaseCall"] {
        sim.does(desk, request, &[("ThisDN", "1001"), ("ConnID", &conn)]);
        sim.run_for(secs(1));
    }
    sim.expect(sim.is_over(call), "the call is over");
    sim.run_for(secs(4));
    assert_eq!(login(&mut sim, desk, "1001", "a1").event, AgentLogin);
    sim.settle();
}

#[test]
fn a_desktop_that_was_cut_off_hears_what_it_missed() {
    for how in [Refusal::Refused, Refusal::Blackhole] {
        let options = AgentOptions { logout_on_disconnect: Some(false), ..AgentOptions::default() };
        let mut sim = two_sites(8, options);
        sim.phone("1001").registers_at(A).answers_after(ms(500)).on();
        let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
        sim.run_for(secs(1));
        let desk = sim.agent_at("a1", "1001", A, "AutoIn");
        sim.break_link(desk, how);
        let call = sim.call_answered(gateway, "7000");
        sim.run_for(secs(15));
        assert!(sim.desk(desk).last_of(Established, "1001").is_none());
        sim.connect(desk);
        sim.run_for(secs(1));
        let welcome = sim.desk(desk).heard.iter().rev().find_map(|heard| heard.event.resumed);
        assert_eq!(welcome, Some(Resumed::Continued));
        assert!(sim.desk(desk).last_of(Established, "1001").is_some());
        sim.hang_up(gateway, call);
        sim.awaits(desk, Released, "1001");
        sim.settle();
    }
}

#[test]
fn a_grace_lets_a_desktop_come_back_without_a_logout() {
    let mut setup = Setup::with_floor(1, AgentOptions::default());
    if let Some(floor) = &mut setup.floor {
        floor.logout_on_disconnect_grace = secs(20);
    }
    let mut sim = Sim::new(9, setup);
    sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    sim.break_link(desk, Refusal::Refused);
    sim.run_for(secs(15));
    sim.connect(desk);
    sim.run_for(secs(30));
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_none());
    sim.break_link(desk, Refusal::Refused);
    sim.run_for(secs(25));
    sim.connect(desk);
    sim.run_for(secs(1));
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_some(), "he stayed away too long");
}

#[test]
fn a_supervisor_logs_an_agent_out_and_it_says_so() {
    let mut sim = two_sites(10, AgentOptions::default());
    sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    let sue = sim.desktop("sue", Role::Supervisor, A);
    let own = r#"{"ReasonCode":"shift_over"}"#;
    sim.does(sue, "TAgentLogout", &[("ThisDN", "1001"), ("AttributeExtensions", own)]);
    let logout = sim.awaits_after(desk, 0, AgentLogout, "1001");
    assert_eq!(reason(&logout), Some(&Value::from("shift_over")));
}

#[test]
fn a_seat_that_another_agent_takes_is_not_heard_any_more() {
    let mut sim = two_sites(11, AgentOptions::default());
    let seat = sim.phone("1001").registers_at(A).answers_after(ms(500)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let anna = sim.agent_at("a1", "1001", A, "AutoIn");
    sim.does(anna, "TAgentLogout", &[("ThisDN", "1001")]);
    let bob = sim.agent_at("a2", "1001", A, "AutoIn");
    let known = sim.desk(anna).heard.len();
    assert!(sim.desk(anna).last_of(Unregistered, "1001").is_some());
    let call = sim.call_answered(gateway, "7000");
    sim.expect(sim.was_offered(seat, call), "the seat rings");
    assert!(sim.desk(bob).last_of(Established, "1001").is_some());
    assert_eq!(sim.desk(anna).heard.len(), known);
    let refused = sim.asks(anna, "TRegisterAddress", &[("ThisDN", "1001")]);
    assert_eq!(refused.event, Error);
    sim.settle();
}

#[test]
fn user_data_goes_over_the_peer_trunk_with_its_call() {
    let mut sim = two_sites(12, AgentOptions::default());
    sim.phone("1001").registers_at(A).on();
    sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(1));
    let here = sim.desktop("pa1", Role::Agent, A);
    let there = sim.desktop("pa2", Role::Agent, B);
    register(&mut sim, here, "1001");
    register(&mut sim, there, "1002");
    let data = r#"{"account":"4711"}"#;
    let made = sim.does(here, "TMakeCall", &[("ThisDN", "1001"), ("OtherDN", "1002"), ("UserData", data)]);
    let rings = sim.awaits_after(there, 0, tandem_cti::EventName::Ringing, "1002");
    assert_eq!(rings.user_data.get("account"), Some(&Value::from("4711")));
    assert_eq!(rings.conn_id, made.conn_id);
    sim.settle();
}
