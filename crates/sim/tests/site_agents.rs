//! Agents and queues when a site or the link between the sites is lost, and when it comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{AgentLogin, AgentLogout, DnOutOfService, Error, Established};
use tandem_cti::{Event, Role, Value};
use tandem_peer::continuity::DrForward;
use tandem_sim::{A, B, DeskId, Refusal, Setup, Sim, SiteId, UaId, ms, secs};
use tandem_switch::directory::floor::AgentOptions;

fn two_sites(seed: u64, dr_forward: DrForward) -> Sim {
    let setup = Setup { challenge_calls: false, dr_forward, ..Setup::with_floor(2, AgentOptions::default()) };
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

fn agent(sim: &mut Sim, n: u8, site: SiteId) -> DeskId {
    let dn = format!("100{n}");
    sim.phone(&dn).single(site).answers_after(ms(500)).on();
    sim.run_for(secs(1));
    sim.agent_at(&format!("a{n}"), &dn, site, "AutoIn")
}

fn login(sim: &mut Sim, desk: DeskId, dn: &str, agent: &str) -> Event {
    sim.asks(desk, "TAgentLogin", &[("ThisDN", dn), ("AgentID", agent), ("WorkMode", "AutoIn")])
}

/// What the desktop of a lost site does: its agent logs in at the other, as soon as his phone is there.
fn moves(sim: &mut Sim, n: u8, to: SiteId) -> DeskId {
    let dn = format!("100{n}");
    sim.run_until(secs(90), "his phone is at the other site", |sim| sim.in_service(to, &dn));
    sim.agent_at(&format!("a{n}"), &dn, to, "AutoIn")
}

fn served(sim: &mut Sim, gateway: UaId, number: &str) {
    let call = sim.call(gateway, number);
    sim.run_until(secs(15), "the customer is served", |sim| sim.is_talking(call));
    sim.hang_up(gateway, call);
    sim.run_for(secs(2));
}

#[test]
fn bca_01_bca_07_sf_01_sf_02_the_agents_of_a_lost_site_serve_customers_at_the_other() {
    let mut sim = two_sites(1, DrForward::Oos);
    let gateway = sim.gateway(1).on();
    for n in [1, 2] {
        agent(&mut sim, n, A);
    }
    let stays = [3, 4].map(|n| agent(&mut sim, n, B));
    let at_b = gateway_at_b(&mut sim);
    let talk = sim.call(at_b, "7000");
    sim.run_until(secs(5), "an agent of B talks", |sim| sim.is_talking(talk));
    let heard: Vec<usize> = stays.iter().map(|desk| sim.desk(*desk).heard.len()).collect();
    sim.crash(A, Refusal::Blackhole);
    for n in [1, 2] {
        moves(&mut sim, n, B);
    }
    sim.expect(sim.is_talking(talk), "a conversation at B notices nothing");
    for (desk, known) in stays.iter().zip(heard) {
        let told = sim.desk(*desk).heard.iter().skip(known);
        let moved = told.filter(|heard| heard.event.event == AgentLogout).count();
        assert_eq!(moved, 0, "an agent of B is not logged out");
    }
    for _ in 0..4 {
        served(&mut sim, gateway, "7000");
    }
}

/// A gateway that calls at B.
fn gateway_at_b(sim: &mut Sim) -> UaId {
    sim.gateway(2).with(|profile| profile.sites = vec![B.addr()]).on()
}

#[test]
fn sf_11_a_single_site_delivers_a_call_for_a_dn_without_an_agent() {
    let mut sim = two_sites(2, DrForward::NoAgent);
    let phone = sim.phone("1001").dual(A).answers_after(ms(500)).on();
    let gateway = sim.gateway(1).with(|profile| profile.load_share = false).on();
    sim.run_for(secs(1));
    sim.crash(B, Refusal::Blackhole);
    sim.run_for(secs(20));
    assert_eq!(sim.mode(A), "single-site");
    let call = sim.call(gateway, "1001");
    sim.run_until(secs(5), "it is delivered here", |sim| sim.is_talking(call));
    sim.expect(sim.was_offered(phone, call), "at the phone itself");
    assert_eq!(sim.counter(A, "tandem_dr_forwards_in_path_total"), 0);
}

#[test]
fn nf_03_nf_06_nf_09_a_cut_link_relaxes_all_three_rules_at_both_sites_and_healing_brings_them_back() {
    let mut sim = two_sites(3, DrForward::NoAgent);
    let phones = [("1001", A), ("1002", B)].map(|(dn, site)| sim.phone(dn).registers_at(site).on());
    let gateway = sim.gateway(1).with(|profile| profile.load_share = false).on();
    sim.run_for(secs(1));
    let desks = [
        (sim.agent_at("a1", "1001", A, "AutoIn"), "1001"),
        (sim.agent_at("a2", "1002", B, "AutoIn"), "1002"),
    ];
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(8));
    // Logins do not ask for the endpoint.
    let extra = [("pa5", "1005", "a5", A), ("pa6", "1006", "a6", B)].map(|(person, dn, agent, site)| {
        assert_eq!(sim.mode(site), "single-site");
        let desk = sim.desktop(person, Role::Agent, site);
        sim.does(desk, "TRegisterAddress", &[("ThisDN", dn)]);
        assert_eq!(login(&mut sim, desk, dn, agent).event, AgentLogin, "{dn}");
        desk
    });
    // An expired registration logs nobody out.
    phones.iter().for_each(|phone| sim.power_off(*phone));
    sim.run_for(secs(70));
    for (desk, dn) in desks {
        assert!(sim.desk(desk).last_of(DnOutOfService, dn).is_some(), "{dn} went out of service");
        assert!(sim.desk(desk).last_of(AgentLogout, dn).is_none(), "{dn} keeps its agent");
    }
    // Nothing is forwarded.
    let call = sim.call(gateway, "1003");
    sim.run_for(secs(1));
    assert_eq!(sim.result(call), Some(480));
    let forwards = |sim: &Sim| sim.counter(A, "tandem_dr_forwards_in_path_total");
    assert_eq!(forwards(&sim), 0);

    let known = desks.map(|(desk, _)| sim.desk(desk).heard.len());
    sim.heal();
    sim.run_for(secs(12));
    for site in [A, B] {
        assert_eq!(sim.mode(site), "peered");
    }
    // No sweep: who logged in meanwhile stays, and so does who lost his phone meanwhile.
    for ((desk, dn), known) in desks.iter().zip(known) {
        let logouts =
            sim.desk(*desk).heard.iter().skip(known).filter(|heard| heard.event.event == AgentLogout);
        assert_eq!(logouts.count(), 0, "{dn}");
    }
    for (desk, dn) in extra.iter().zip(["1005", "1006"]) {
        assert!(sim.desk(*desk).last_of(AgentLogout, dn).is_none(), "{dn}");
    }
    // New logins, calls and expiries follow the peered rules again.
    let late = sim.desktop("pa7", Role::Agent, A);
    sim.does(late, "TRegisterAddress", &[("ThisDN", "1007")]);
    let refused = login(&mut sim, late, "1007", "a7");
    assert_eq!((refused.event, refused.error_code), (Error, Some(58)));
    sim.call(gateway, "1003");
    sim.run_for(secs(1));
    assert_eq!(forwards(&sim), 1);
    sim.power_on(phones[0]);
    sim.run_for(secs(5));
    sim.power_off(phones[0]);
    sim.run_for(secs(70));
    let logout = sim.desk(desks[0].0).last_of(AgentLogout, "1001").unwrap();
    assert_eq!(logout.extensions.get("ReasonCode"), Some(&Value::from("dr-force_logout")));
}

#[test]
fn one_agent_with_two_registrations_stays_where_his_desktop_is_when_the_link_is_cut() {
    let mut sim = two_sites(4, DrForward::NoAgent);
    let phone = sim.phone("1001").dual(A).answers_after(ms(500)).on();
    let at_b = gateway_at_b(&mut sim);
    sim.run_for(secs(1));
    let desk = sim.agent_at("a1", "1001", A, "AutoIn");
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(8));
    // At B his phone is registered, and nobody is logged in: a direct call there rings it without an agent.
    let call = sim.call(at_b, "1001");
    sim.run_until(secs(5), "it is answered", |sim| sim.is_talking(call));
    sim.expect(sim.was_offered(phone, call), "at his phone");
    assert!(sim.desk(desk).last_of(Established, "1001").is_none(), "his desktop at A hears nothing of it");
    assert!(sim.desk(desk).last_of(AgentLogout, "1001").is_none());
}

#[test]
fn bca_10_the_survivors_queue_takes_every_call_and_its_waits_end() {
    let mut sim = two_sites(5, DrForward::Oos);
    let gateway = sim.gateway(1).with(|profile| profile.load_share = false).on();
    agent(&mut sim, 1, A);
    agent(&mut sim, 2, B);
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(secs(12));
    let calls: Vec<_> = (0..6)
        .map(|_| {
            sim.run_for(ms(500));
            sim.call(gateway, "7000")
        })
        .collect();
    sim.run_for(secs(10));
    for call in &calls {
        assert_eq!(sim.result(*call).filter(|code| *code >= 300), None, "no call is refused");
    }
    moves(&mut sim, 1, B);
    for call in calls {
        sim.run_until(secs(30), "its turn comes", |sim| sim.is_talking(call));
        sim.run_for(secs(3));
        sim.hang_up(gateway, call);
    }
}
