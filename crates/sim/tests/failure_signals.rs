//! What is seen beside the peer trunk explains its loss and decides nothing.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Mutex;

use tandem_cti::{EventName, Role};
use tandem_peer::continuity::DrForward;
use tandem_peer::failure::{Control, FailureSignals};
use tandem_sim::chaos::many::run_all;
use tandem_sim::chaos::{self, Plan};
use tandem_sim::{A, B, Refusal, Setup, Sim, secs};
use tandem_switch::directory::floor::AgentOptions;

/// The same seeds, with everything watched and with nothing: every message, every answer of the servers and every mode is
/// the same, to the last byte.
#[test]
fn histories_are_the_same_with_and_without_signals() {
    let told = Mutex::new(0);
    let plans = (7_000..7_030)
        .map(|seed| Plan { signals: Some(FailureSignals::ALL), ..Plan::new(seed, seed % 2 == 0) });
    run_all(plans, |plan, outcome| {
        let with = outcome.unwrap_or_else(|broke| panic!("{plan}: {}", broke.failure));
        let without = Plan { signals: Some(FailureSignals::default()), ..plan.clone() };
        let without = chaos::run(&without, false).unwrap_or_else(|failure| panic!("{plan}: {failure}"));
        assert_eq!((with.hash, with.lines), (without.hash, without.lines), "{plan}");
        assert_eq!(without.ratings, 0);
        *told.lock().unwrap() += with.ratings;
        true
    });
    assert!(told.into_inner().unwrap() > 30, "there was something to judge");
}

/// A cut link: a login without a phone, a registration that ends, a direct call for a DN without an agent. What was decided
/// is told by the mode, by what the desktop heard, by how the call went, and by the trace.
fn single_site(said: Control, watched: FailureSignals) -> (String, Vec<EventName>, u64, u64) {
    let setup = Setup {
        challenge_calls: false,
        dr_forward: DrForward::NoAgent,
        failure_signals: watched,
        ..Setup::with_floor(2, AgentOptions::default())
    };
    let mut sim = Sim::new(310, setup);
    sim.run_for(secs(8));
    let gateway = sim.gateway(1).with(|profile| profile.load_share = false).on();
    sim.phone("1001").single(A).on();
    let phone = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let stays = sim.agent_at("a2", "1002", A, "AutoIn");
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(8));
    for _ in 0..3 {
        sim.hear_control(A, said);
        sim.run_for(secs(1));
    }
    let mode = sim.mode(A);
    let desk = sim.desktop("pa5", Role::Agent, A);
    sim.does(desk, "TRegisterAddress", &[("ThisDN", "1005")]);
    sim.asks(desk, "TAgentLogin", &[("ThisDN", "1005"), ("AgentID", "a5"), ("WorkMode", "AutoIn")]);
    sim.call(gateway, "1001");
    sim.power_off(phone);
    for _ in 0..40 {
        sim.hear_control(A, said);
        sim.run_for(secs(10));
    }
    let heard =
        [stays, desk].into_iter().flat_map(|desk| &sim.desk(desk).heard).map(|heard| heard.event.event);
    (mode, heard.collect(), sim.counter(A, "tandem_dr_forwards_in_path_total"), sim.trace.hash())
}

#[test]
fn whatever_is_seen_a_single_site_admits_logins_keeps_agents_and_forwards_nothing() {
    for said in [Control::Answers, Control::Ailing, Control::Silent] {
        let (off, on) =
            (single_site(said, FailureSignals::default()), single_site(said, FailureSignals::ALL));
        assert_eq!(off, on, "{said:?}");
        let (mode, heard, forwards, _) = on;
        assert_eq!((mode.as_str(), forwards), ("single-site", 0));
        let count = |name| heard.iter().filter(|heard| **heard == name).count();
        assert_eq!(
            (count(EventName::AgentLogin), count(EventName::AgentLogout), count(EventName::Error)),
            (2, 0, 0)
        );
    }
}

/// Four phones at A and two at B, none at both; the sites are peered.
fn watching(seed: u64, signals: FailureSignals) -> Sim {
    let mut sim = Sim::new(seed, Setup { failure_signals: signals, ..Setup::default() });
    for n in 1..=6 {
        sim.phone(&format!("100{n}")).active_backup(if n <= 4 { A } else { B }).on();
    }
    sim.run_for(secs(10));
    assert_eq!((sim.mode(A).as_str(), sim.mode(B).as_str()), ("peered", "peered"));
    sim
}

#[test]
fn a_dead_site_is_told_by_its_silence_and_by_the_phones_that_leave_it() {
    let mut sim = watching(300, FailureSignals { gateways: false, ..FailureSignals::ALL });
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(Setup::default().detection_bound() + secs(1));
    assert_eq!(sim.mode(B), "single-site");
    sim.hear_control(B, Control::Silent);
    sim.run_for(secs(400));
    sim.hear_control(B, Control::Silent);
    let told = sim.ratings(B);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("site dead: possible (control link silent, "), "{told:?}");
    assert_eq!(told[1], "site dead: likely (control link silent, 3 phones moved here)");
    let status = sim.status(B).unwrap().peer_failure.unwrap();
    assert_eq!((status.cause, status.confidence), ("site-dead", "likely"));
    assert_eq!(status.because, "control link silent, 4 phones moved here");
    sim.restart(A);
    sim.run_for(secs(20));
    assert!(sim.status(B).unwrap().peer_failure.is_none(), "the sites are peered again");
    sim.settle();
}

#[test]
fn gateways_that_send_more_speak_and_calls_from_the_peer_do_not() {
    let only = FailureSignals { gateways: true, ..FailureSignals::default() };
    let mut sim = watching(303, only);
    let gateway = sim.gateway(1).with(|profile| profile.sites = vec![B.addr()]).on();
    let at_a = sim.gateway(2).with(|profile| profile.sites = vec![A.addr()]).on();
    for _ in 0..125 {
        sim.call(gateway, "1017");
        // A passes it on to B, where the phone is.
        sim.call(at_a, "1005");
        sim.run_for(secs(1));
    }
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(Setup::default().detection_bound() + secs(1));
    for _ in 0..20 {
        for _ in 0..3 {
            sim.call(gateway, "1017");
        }
        sim.run_for(secs(1));
    }
    let told = sim.ratings(B);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("site dead: possible (gateways sent "), "{told:?}");
    let because = sim.status(B).unwrap().peer_failure.unwrap().because;
    let expected = because.split(' ').nth(5).unwrap().parse::<u64>().unwrap();
    assert!((15..=30).contains(&expected), "one a second, those of the peer not counted: {because}");
    sim.restart(A);
    sim.settle();
}

#[test]
fn a_dead_link_is_told_by_the_interface_that_answers() {
    let mut sim = watching(301, FailureSignals::ALL);
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(Setup::default().detection_bound() + secs(1));
    for _ in 0..5 {
        sim.hear_control(B, Control::Answers);
        sim.run_for(secs(1));
    }
    let told = sim.ratings(B);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("link dead: certain (the peer's status interface answers, 0 phones moved here")
    );
    sim.heal();
    sim.settle();
}

#[test]
fn without_the_option_nothing_is_said() {
    let mut sim = watching(302, FailureSignals::default());
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(secs(60));
    sim.hear_control(B, Control::Answers);
    assert!(sim.ratings(B).is_empty() && sim.status(B).unwrap().peer_failure.is_none());
    sim.restart(A);
    sim.settle();
}
