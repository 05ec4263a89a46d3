//! Both sites at work at once, and what the loss of a single part does not do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{AgentLogin, AgentLogout, DnBackInService, DnOutOfService, Error};
use tandem_cti::Role;
use tandem_peer::DrForward;
use tandem_sim::desktop::roamer::{Patience, RoamerId, Step};
use tandem_sim::{A, B, CallId, Refusal, Setup, Sim, SiteId, UaId, ms, secs};
use tandem_switch::directory::floor::{AgentOptions, Port};

fn two_sites(seed: u64, change: impl FnOnce(&mut Setup)) -> Sim {
    let mut setup = Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) };
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

/// A gateway that calls at one site.
fn gateway_at(sim: &mut Sim, n: u8, site: SiteId) -> UaId {
    sim.gateway(n).with(|profile| profile.sites = vec![site.addr()]).on()
}

/// Agent `n` at a site, with a phone there that can go to the other.
fn works_at(sim: &mut Sim, n: u32, site: SiteId) -> RoamerId {
    let dn = format!("{}", 1000 + n);
    sim.phone(&dn).single(site).answers_after(ms(500)).on();
    sim.run_for(secs(1));
    sim.roamer(&format!("a{n}"), &dn, site, Patience::default())
}

fn served(sim: &mut Sim, call: CallId) {
    sim.run_until(secs(15), "the customer is served", |sim| sim.is_talking(call));
}

#[test]
fn bca_02_both_sites_take_logins_and_calls_in_both_directions_at_once() {
    let mut sim = two_sites(1, |_| ());
    let phones = [("1001", A), ("1002", B), ("1011", A), ("1012", B)]
        .map(|(dn, site)| sim.phone(dn).registers_at(site).answers_after(ms(500)).on());
    let gateways = [gateway_at(&mut sim, 1, A), gateway_at(&mut sim, 2, B)];
    sim.run_for(secs(1));
    sim.agent_at("a1", "1001", A, "AutoIn");
    sim.agent_at("a2", "1002", B, "AutoIn");
    let queued = gateways.map(|gateway| sim.call(gateway, "7000"));
    let across = [sim.call(phones[2], "1012"), sim.call(phones[3], "1011")];
    for call in queued.into_iter().chain(across) {
        served(&mut sim, call);
    }
    for (call, phone) in queued.into_iter().zip(phones) {
        sim.expect(sim.was_offered(phone, call), "each site's call went to its own agent");
    }
    for site in [A, B] {
        assert_eq!(sim.live_calls(site), 3, "one of its own and two that cross, at {}", site.name());
        assert_eq!(sim.counter(site, "tandem_dr_forwards_in_path_total"), 1);
        assert_eq!(sim.counter(site, "tandem_dr_forwards_received_total"), 1);
        assert_eq!(sim.mode(site), "peered");
    }
    sim.settle();
}

/// Each site has its own SIP server: stopping that of one changes nothing for who works at the other.
#[test]
fn bca_04_the_sip_server_of_one_site_is_stopped_and_that_of_the_other_serves_on() {
    for (stopped, seed) in [(A, 2), (B, 3)] {
        let mut sim = two_sites(seed, |_| ());
        let serves = stopped.other();
        let own = works_at(&mut sim, 1, serves);
        let gateway = gateway_at(&mut sim, 1, serves);
        sim.run_for(secs(1));
        let call = sim.call_answered(gateway, "7000");
        sim.freeze(stopped);
        sim.run_for(secs(60));
        sim.expect(sim.is_talking(call), "its calls go on");
        sim.hang_up(gateway, call);
        sim.run_for(secs(1));
        let next = sim.call(gateway, "7000");
        served(&mut sim, next);
        let logins = sim.roams(own).count(&Step::LoggedIn(serves));
        assert_eq!((sim.roams(own).at, logins), (Some(serves), 1));
        assert_eq!(sim.mode(serves), "single-site");
        sim.thaw(stopped);
        sim.run_for(secs(15));
        assert_eq!([A, B].map(|site| sim.mode(site)), ["peered", "peered"]);
    }
}

#[test]
fn bca_11_the_loss_of_one_workstation_logs_one_agent_out_and_switches_nothing_over() {
    let mut sim = two_sites(4, |_| ());
    let others = [2, 3].map(|n| works_at(&mut sim, n, A));
    sim.phone("1001").single(A).answers_after(ms(500)).on();
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    let sue = sim.desktop("sue", Role::Supervisor, A);
    sim.does(sue, "TRegisterAddress", &[("ThisDN", "1001")]);
    sim.crash_desktop(desk);
    sim.awaits_after(sue, 0, AgentLogout, "1001");
    sim.run_for(secs(180));
    assert_eq!([A, B].map(|site| sim.mode(site)), ["peered", "peered"]);
    for id in others {
        let steps: Vec<&Step> = sim.roams(id).steps.iter().map(|(_, step)| step).collect();
        assert_eq!(steps, [&Step::LoggedIn(A)], "nobody else moves");
    }
    assert_eq!(sim.queue(A, "7000").unwrap().agents, 2);
    sim.expect(sim.in_service(A, "1001") && !sim.in_service(B, "1001"), "nor does his phone");
}

#[test]
fn bca_18_a_login_at_a_dn_that_is_no_extension_is_refused() {
    let mut sim = two_sites(5, |setup| {
        setup.static_dns = vec![("1020".to_owned(), ([10, 1, 9, 9], 5060).into(), 0)];
        setup.floor.as_mut().unwrap().ports = vec![Port { number: "1020".into() }];
    });
    sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    let desk = sim.desktop("sue", Role::Supervisor, A);
    for dn in ["7000", "7900", "1020", "to-b"] {
        let refused = sim.asks(desk, "TAgentLogin", &[("ThisDN", dn), ("AgentID", "a1")]);
        let why = refused.error_message.clone().unwrap_or_default();
        assert_eq!(refused.event, Error, "{dn}");
        let told = why.contains("is no Extension") || why.contains("agents log in at Extensions");
        assert!(told || refused.error_code == Some(59), "{dn}: {:?} {why}", refused.error_code);
    }
    sim.does(desk, "TRegisterAddress", &[("ThisDN", "1001")]);
    let login = [("ThisDN", "1001"), ("AgentID", "a1"), ("WorkMode", "AutoIn")];
    assert_eq!(sim.asks(desk, "TAgentLogin", &login).event, AgentLogin);
}

#[test]
fn bca_21_a_dual_phone_calls_through_the_site_that_dns_prefers_and_through_the_next_when_that_is_silent() {
    for preferred in [A, B] {
        let mut sim = two_sites(6, |_| ());
        let records = [(20, preferred.other()), (10, preferred)];
        let phone = sim.phone("1001").dual(A).finds_by_srv(&records).on();
        sim.phone("1002").dual(A).answers_after(ms(500)).on();
        sim.run_for(secs(2));
        sim.expect(sim.registered(phone, A) && sim.registered(phone, B), "it is registered at both");
        let first = sim.call_answered(phone, "1002");
        assert_eq!(sim.caller_leg(first).unwrap().site, preferred.addr());
        sim.hang_up(phone, first);
        sim.run_for(secs(1));
        sim.crash(preferred, Refusal::Blackhole);
        let second = sim.call_answered(phone, "1002");
        assert_eq!(sim.caller_leg(second).unwrap().site, preferred.other().addr());
        sim.hang_up(phone, second);
        sim.restart(preferred);
        sim.run_for(secs(60));
        let third = sim.call_answered(phone, "1002");
        assert_eq!(sim.caller_leg(third).unwrap().site, preferred.addr(), "and back");
        sim.settle();
    }
}

#[test]
fn sf_01_the_total_loss_of_a_site_leaves_every_agent_working_at_the_other() {
    let mut sim = two_sites(7, |_| ());
    let moved = [1, 2].map(|n| works_at(&mut sim, n, A));
    let stayed = [3, 4].map(|n| works_at(&mut sim, n, B));
    let at_b = gateway_at(&mut sim, 2, B);
    sim.run_for(secs(1));
    let talk = sim.call_answered(at_b, "7000");
    let known = stayed.map(|id| sim.desk(sim.roams(id).desk(B)).heard.len());
    sim.crash(A, Refusal::Blackhole);
    sim.run_until(secs(90), "all agents are at B", |sim| {
        moved.iter().chain(&stayed).all(|id| sim.roams(*id).at == Some(B))
    });
    sim.expect(sim.is_talking(talk), "a conversation at B goes on");
    for (id, known) in stayed.into_iter().zip(known) {
        let heard = &sim.desk(sim.roams(id).desk(B)).heard[known..];
        let names: Vec<&str> = heard.iter().map(|heard| heard.event.event.as_str()).collect();
        assert!(names.is_empty(), "an agent of B hears nothing of it: {names:?}");
    }
    sim.run_until(secs(90), "and so are their phones", |sim| {
        ["1001", "1002"].iter().all(|dn| sim.in_service(B, dn))
    });
    for _ in 0..3 {
        let call = sim.call(at_b, "7000");
        served(&mut sim, call);
    }
    assert_eq!(sim.live_calls(B), 4, "four agents, four conversations");
}

#[test]
fn sf_02_the_wait_at_the_surviving_site_rises_while_the_agents_are_on_their_way_and_falls_when_they_are_there()
 {
    let mut sim = two_sites(8, |_| ());
    let moved = [1, 2, 3].map(|n| works_at(&mut sim, n, A));
    works_at(&mut sim, 4, B);
    let at_b = gateway_at(&mut sim, 2, B);
    sim.run_for(secs(1));
    sim.change(at_b, |profile| profile.talks = Some(secs(8)));
    sim.crash(A, Refusal::Blackhole);
    let (mut longest, mut before, mut after) = (0, 0, 0);
    // Customers of both sites now call here, one every four seconds; one agent alone serves one in eight.
    for _ in 0..60 {
        sim.call(at_b, "7000");
        sim.run_for(secs(4));
        let wait = sim.queue(B, "7000").unwrap().longest_wait_s;
        let all_here = moved.iter().all(|id| sim.roams(*id).at == Some(B))
            && ["1001", "1002", "1003"].iter().all(|dn| sim.in_service(B, dn));
        longest = longest.max(wait);
        if all_here {
            after = wait;
        } else {
            before = before.max(wait);
        }
    }
    assert!(before >= 10, "it rises: {before} s");
    assert!(after <= 1, "it falls: {after} s left of {longest} s");
}

#[test]
fn an_agent_on_a_call_is_logged_out_when_his_registration_ends_and_the_call_goes_on() {
    let mut sim = two_sites(9, |_| ());
    let phone = sim.phone("1001").registers_at(A).answers_after(ms(500)).on();
    let gateway = gateway_at(&mut sim, 1, A);
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    let call = sim.call_answered(gateway, "7000");
    sim.unregister(phone, A);
    let logout = sim.awaits_after(desk, 0, AgentLogout, "1001");
    assert_eq!(logout.extensions.get("ReasonCode").and_then(|v| v.as_text()), Some("dr-force_logout"));
    sim.run_for(secs(30));
    sim.expect(sim.is_talking(call), "the end of a registration says nothing of the conversation");
    sim.hang_up(gateway, call);
    sim.run_for(secs(2));
    assert_eq!(sim.live_calls(A), 0);
    sim.settle();
}

/// Single-site at a cold start, until the peer has answered once: the sole survivor refuses nobody on behalf of a site
/// that is not there.
#[test]
fn a_site_that_starts_alone_takes_logins_without_phones_from_its_first_moment() {
    let mut sim =
        Sim::new(10, Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) });
    sim.crash(B, Refusal::Blackhole);
    sim.crash(A, Refusal::Refused);
    sim.restart(A);
    assert_eq!(sim.mode(A), "single-site");
    sim.agent_at("a1", "1001", A, "AutoIn");
    sim.restart(B);
    sim.run_for(secs(10));
    assert_eq!(sim.mode(A), "peered");
    sim.expect(sim.queue(A, "7000").unwrap().agents == 1, "and nobody is logged out because the peer came");
}

/// The peers tell each other nothing of agents: a second login at the other site is let in, and the phone that moves there
/// ends the first.
#[test]
fn an_agent_who_logs_in_at_the_other_site_too_is_logged_out_at_the_first_when_his_phone_leaves_it() {
    let mut sim = two_sites(12, |_| ());
    let phone = sim.phone("1001").dual(A).answers_after(ms(500)).on();
    sim.run_for(secs(1));
    let first = sim.agent_at("a1", "1001", A, "AutoIn");
    let second = sim.agent_at("a1", "1001", B, "AutoIn");
    sim.run_for(secs(5));
    let agents = |sim: &Sim| [A, B].map(|site| sim.queue(site, "7000").unwrap().agents);
    assert_eq!(agents(&sim), [1, 1], "allowed; it is the desktop that keeps to one");
    sim.unregister(phone, A);
    let logout = sim.awaits_after(first, 0, AgentLogout, "1001");
    assert_eq!(logout.extensions.get("ReasonCode").and_then(|v| v.as_text()), Some("dr-force_logout"));
    assert_eq!(agents(&sim), [0, 1]);
    assert!(sim.desk(second).last_of(AgentLogout, "1001").is_none());
}

#[test]
fn a_stand_alone_server_checks_no_phone_forces_nobody_out_and_forwards_nothing() {
    let mut sim = two_sites(13, |setup| setup.peered = false);
    assert_eq!([A, B].map(|site| sim.mode(site)), ["stand-alone", "stand-alone"]);
    let phone = sim.phone("1001").registers_at(A).on();
    sim.phone("1002").registers_at(B).on();
    let gateway = gateway_at(&mut sim, 1, A);
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    sim.unregister(phone, A);
    sim.run_for(secs(5));
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_none());
    sim.agent_at("a3", "1003", A, "AutoIn");
    let call = sim.call(gateway, "1002");
    sim.run_for(secs(1));
    assert_eq!((sim.result(call), sim.counter(A, "tandem_dr_forwards_in_path_total")), (Some(480), 0));
}

#[test]
fn nf_01_a_client_that_has_registered_the_peer_trunk_hears_it_go_and_come_back() {
    let mut sim = two_sites(14, |_| ());
    let sue = sim.desktop("sue", Role::Supervisor, A);
    let registered = sim.does(sue, "TRegisterAddress", &[("ThisDN", "to-b")]);
    assert_eq!(registered.in_service, Some(true));
    sim.cut_link(Refusal::Blackhole);
    let cut = sim.now();
    sim.awaits_after(sue, 0, DnOutOfService, "to-b");
    assert!(sim.now() - cut <= sim.setup.detection_bound() + ms(10));
    sim.heal();
    sim.awaits_after(sue, 0, DnBackInService, "to-b");
}

#[test]
fn in_single_site_mode_logout_on_out_of_service_governs_and_has_no_dr_code() {
    for logs_out in [false, true] {
        let mut sim = two_sites(11, |setup| {
            setup.floor.as_mut().unwrap().options.logout_on_out_of_service = Some(logs_out);
            setup.dr_forward = DrForward::Oos;
        });
        let phone = sim.phone("1001").registers_at(A).on();
        sim.run_for(secs(1));
        let desk = sim.agent_at("a1", "1001", A, "AutoIn");
        sim.cut_link(Refusal::Blackhole);
        sim.run_for(secs(8));
        sim.unregister(phone, A);
        sim.run_for(secs(1));
        let logout = sim.desk(desk).last_of(AgentLogout, "1001");
        assert_eq!(logout.is_some(), logs_out);
        assert!(logout.is_none_or(|told| !told.extensions.contains_key("ReasonCode")));
    }
}
