//! The way back to `Peered`: edge-triggered, when it is believed, and what the options beside it do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use tandem_cti::EventName::{AgentLogin, AgentLogout, Error};
use tandem_cti::{Event as Told, Role, Value};
use tandem_peer::Mode;
use tandem_sim::{A, B, DeskId, Refusal, Setup, Sim, SiteId, ms, secs};
use tandem_switch::Event;
use tandem_switch::directory::floor::AgentOptions;

fn two_sites(seed: u64, change: impl FnOnce(&mut Setup)) -> Sim {
    let mut setup = Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) };
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(8));
    sim
}

fn login(sim: &mut Sim, desk: DeskId, dn: &str, agent: &str) -> Told {
    sim.asks(desk, "TAgentLogin", &[("ThisDN", dn), ("AgentID", agent), ("WorkMode", "AutoIn")])
}

fn logout(sim: &Sim, desk: DeskId, dn: &str) -> Option<Value> {
    let logout = sim.desk(desk).last_of(AgentLogout, dn)?;
    Some(logout.extensions.get("ReasonCode").cloned().unwrap_or_else(|| Value::from("")))
}

/// Modes that a site reported since the simulation began.
fn modes(sim: &Sim, site: SiteId) -> Vec<Mode> {
    let mut found = Vec::new();
    for (_, event) in sim.events(site) {
        if let Event::ModeChanged { to, .. } = event {
            found.push(*to);
        }
    }
    found
}

/// What a site reported of agents without a phone when it was peered again.
fn stranded(sim: &Sim, site: SiteId) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    for (_, event) in sim.events(site) {
        if let Event::PeeredAgain { agents_without_phone, logged_out } = event {
            found.push((*agents_without_phone, *logged_out));
        }
    }
    found
}

/// An agent at A with his phone, and one who logged in there while the link was cut, without any.
fn one_with_and_one_without_phone(sim: &mut Sim) -> [DeskId; 2] {
    sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    let with = sim.agent_at("a1", "1001", A, "AutoIn");
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(8));
    assert_eq!(sim.mode(A), "single-site");
    [with, sim.agent_at("a2", "1002", A, "AutoIn")]
}

#[test]
fn nobody_is_swept_when_the_sites_are_peered_again_and_the_number_is_told() {
    let mut sim = two_sites(1, |_| ());
    let desks = one_with_and_one_without_phone(&mut sim);
    sim.heal();
    sim.run_for(secs(600));
    for (desk, dn) in desks.into_iter().zip(["1001", "1002"]) {
        assert_eq!(logout(&sim, desk, dn), None, "{dn}");
    }
    assert_eq!(stranded(&sim, A), [(1, false)]);
    let phones: Vec<bool> = sim.agents(A).iter().map(|agent| agent.phone_in_service).collect();
    assert_eq!(phones, [true, false], "and the list of agents says who");
}

#[test]
fn with_the_sweep_whoever_has_no_phone_here_is_logged_out_when_the_sites_are_peered_again() {
    let mut sim = two_sites(2, |setup| setup.recovery_sweep = true);
    sim.run_for(secs(300));
    let [with, without] = one_with_and_one_without_phone(&mut sim);
    sim.heal();
    sim.run_until(secs(12), "peered again", |sim| sim.mode(A) == "peered");
    sim.run_for(secs(1));
    assert_eq!(logout(&sim, without, "1002"), Some(Value::from("dr-force_logout")));
    assert_eq!(logout(&sim, with, "1001"), None);
    assert_eq!(stranded(&sim, A), [(1, true)]);
    let refused = login(&mut sim, without, "1002", "a2");
    assert_eq!(
        (refused.event, refused.error_code),
        (Error, Some(58)),
        "and stays out until his phone is here"
    );
}

/// A site starts again at night: its desktops are back before its phones are.
#[test]
fn a_site_that_has_just_started_sweeps_nobody_before_the_phones_had_time_to_register() {
    let mut sim = two_sites(3, |setup| setup.recovery_sweep = true);
    let phones = ["1001", "1002", "1003"].map(|dn| sim.phone(dn).registers_at(A).on());
    sim.run_for(secs(1));
    sim.cut_link(Refusal::Blackhole);
    sim.crash(A, Refusal::Refused);
    sim.run_for(secs(5));
    sim.power_off(phones[2]);
    sim.restart(A);
    let restarted = sim.now();
    // Single-site at first: logins do not ask for the phones.
    let desks = [1, 2, 3].map(|n| {
        let (person, dn) = (format!("pa{n}"), format!("100{n}"));
        let desk = sim.desktop(&person, Role::Agent, A);
        sim.does(desk, "TRegisterAddress", &[("ThisDN", &dn)]);
        assert_eq!(login(&mut sim, desk, &dn, &format!("a{n}")).event, AgentLogin);
        (desk, dn)
    });
    sim.heal();
    sim.run_until(secs(12), "peered", |sim| sim.mode(A) == "peered");
    sim.run_for(secs(300) - ms(1) - (sim.now() - restarted));
    for (desk, dn) in &desks {
        assert_eq!(logout(&sim, *desk, dn), None, "{dn} within the grace");
    }
    sim.run_for(ms(10));
    let out: Vec<bool> = desks.iter().map(|(desk, dn)| logout(&sim, *desk, dn).is_some()).collect();
    assert_eq!(out, [false, false, true], "who has a phone stays");
    assert_eq!(stranded(&sim, A).last(), Some(&(1, true)));
}

#[test]
fn a_sweep_that_was_put_off_is_called_off_by_a_reload_and_by_the_loss_of_the_peer() {
    for by_reload in [true, false] {
        let mut sim = two_sites(7, |setup| setup.recovery_sweep = true);
        let desks = one_with_and_one_without_phone(&mut sim);
        sim.heal();
        sim.run_until(secs(12), "peered again", |sim| sim.mode(A) == "peered");
        assert_eq!(stranded(&sim, A), [(1, false)], "within the grace after the start");
        if by_reload {
            sim.reload(A, |setup| setup.recovery_sweep = false);
        } else {
            sim.cut_link(Refusal::Blackhole);
        }
        sim.run_for(secs(400));
        assert_eq!(logout(&sim, desks[1], "1002"), None, "by reload: {by_reload}");
    }
}

#[test]
fn a_link_that_flaps_is_believed_when_it_has_been_back_for_the_recovery_delay() {
    const DELAY: u64 = 30;
    let mut sim = two_sites(4, |setup| setup.recovery_delay = secs(DELAY));
    let desk = sim.desktop("pa1", Role::Agent, A);
    sim.does(desk, "TRegisterAddress", &[("ThisDN", "1001")]);
    sim.run_until(secs(60), "peered", |sim| sim.mode(A) == "peered");
    for _ in 0..3 {
        sim.cut_link(Refusal::Blackhole);
        sim.run_for(secs(10));
        sim.heal();
        sim.run_for(secs(20));
        sim.expect(sim.in_service(A, "to-b"), "the trunk itself is back");
        let status = sim.status(A).unwrap();
        assert_eq!(status.mode, "single-site");
        let left = status.peered_in_s.unwrap();
        assert!((10..=15).contains(&left), "it says how long it will be: {left} s");
        assert_eq!(login(&mut sim, desk, "1001", "a1").event, AgentLogin, "its rules hold as well");
        sim.does(desk, "TAgentLogout", &[("ThisDN", "1001")]);
    }
    let back = sim.came_back(A, "to-b").unwrap();
    sim.run_until(secs(60), "peered again", |sim| sim.mode(A) == "peered");
    assert_eq!(sim.status(A).unwrap().peered_in_s, None);
    let held = sim.now().since_start() - back.since_start();
    assert_eq!(held, Duration::from_secs(DELAY));
    assert_eq!(login(&mut sim, desk, "1001", "a1").error_code, Some(58));
    let seen = modes(&sim, A);
    assert_eq!(
        seen,
        [Mode::Peered, Mode::SingleSite, Mode::Peered],
        "three flaps are one change and one return"
    );
}

#[test]
fn the_recovery_delay_holds_back_no_loss() {
    let mut sim = two_sites(5, |setup| setup.recovery_delay = secs(30));
    sim.run_for(secs(40));
    assert_eq!(sim.mode(A), "peered");
    sim.crash(B, Refusal::Blackhole);
    sim.run_for(sim.setup.detection_bound());
    assert_eq!(sim.mode(A), "single-site");
}

#[test]
fn the_options_of_the_return_take_effect_at_a_reload() {
    let mut sim = two_sites(6, |setup| setup.recovery_delay = secs(3_600));
    sim.run_for(secs(60));
    assert_eq!(sim.mode(A), "single-site");
    sim.reload(A, |setup| setup.recovery_delay = secs(0));
    assert_eq!((sim.mode(A).as_str(), sim.mode(B).as_str()), ("peered", "single-site"));
    sim.reload(A, |setup| setup.recovery_delay = secs(3_600));
    sim.run_for(secs(60));
    assert_eq!(sim.mode(A), "peered", "a longer delay takes nothing back");
}
