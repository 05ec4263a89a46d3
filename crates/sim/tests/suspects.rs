//! Phones that are registered and have gone without a word: where calls for them end, at both sites, and who is offered
//! the calls of a queue.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::{EventName, Role};
use tandem_sim::{A, B, Refusal, Setup, Sim, UaId, ms, secs};
use tandem_switch::directory::floor::AgentOptions;

/// 1002 is at B now: its way to A is cut, and A has found out that its contact there is dead.
fn gone_to_b(seed: u64, how: Refusal) -> (Sim, UaId, UaId) {
    let mut sim = Sim::two_sites(seed);
    sim.run_for(secs(1));
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").single(A).with(|p| p.expires = secs(3_600)).on();
    sim.run_for(secs(1));
    let (there, a) = (sim.ip(bob), A.addr().ip());
    sim.net.cut(&[there], &[a], how);
    sim.register_again(bob);
    sim.run_until(secs(60), "it is at B", |sim| sim.registered(bob, B));
    (sim, alice, bob)
}

#[test]
fn a_phone_that_left_without_a_word_is_found_at_the_other_site() {
    for how in [Refusal::Blackhole, Refusal::Refused] {
        let (mut sim, alice, bob) = gone_to_b(1, how);
        assert!(sim.in_service(A, "1002"), "its registration at A has not ended");
        let first = sim.call(alice, "1002");
        sim.run_until(secs(60), "the first call finds out, and goes to B", |sim| sim.is_talking(first));
        sim.hang_up(alice, first);
        sim.run_for(secs(1));
        let second = sim.call(alice, "1002");
        sim.run_until(secs(6), "the next one does not wait", |sim| sim.is_talking(second));
        assert!(sim.was_offered(bob, second));
        assert_eq!(sim.counter(A, "tandem_dr_forwards_in_path_total"), 2);
        assert_eq!(sim.counter(B, "tandem_dr_forwards_in_path_total"), 0);
        sim.heal();
        sim.settle();
    }
}

#[test]
fn a_call_for_a_phone_that_is_suspected_at_both_sites_ends_and_does_not_circle() {
    let mut sim = Sim::two_sites(2);
    sim.run_for(secs(1));
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").dual(A).with(|p| p.expires = secs(3_600)).on();
    sim.run_for(secs(1));
    assert!(sim.registered(bob, A) && sim.registered(bob, B));
    sim.power_off(bob);
    for _ in 0..3 {
        let call = sim.call(alice, "1002");
        sim.run_until(secs(80), "it ends", |sim| sim.is_over(call));
        assert_eq!(sim.result(call), Some(480));
        sim.run_for(secs(40));
    }
    let forwards = |site| sim.counter(site, "tandem_dr_forwards_in_path_total");
    assert_eq!((forwards(A), forwards(B)), (3, 0), "each went to B once, and B sent nothing back");
    sim.settle();
}

#[test]
fn a_queue_offers_nothing_to_an_agent_whose_phone_is_suspected_until_it_is_back() {
    let setup = Setup { challenge_calls: false, ..Setup::with_floor(2, AgentOptions::default()) };
    let mut sim = Sim::new(3, setup);
    let phones = ["1001", "1002"].map(|dn| {
        sim.phone(dn).registers_at(A).with(|p| p.expires = secs(3_600)).answers_after(ms(300)).on()
    });
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    let anna = sim.agent_at("a1", "1001", A, "AutoIn");
    sim.run_for(secs(1));
    sim.agent_at("a2", "1002", A, "AutoIn");
    let sue = sim.desktop("sue", Role::Supervisor, A);
    sim.does(sue, "TRegisterAddress", &[("ThisDN", "7000")]);
    sim.power_off(phones[0]);
    // The first call rings where nobody is, until that is known; Bert has it then.
    let first = sim.call(gateway, "7000");
    sim.run_until(secs(120), "Bert has it", |sim| sim.is_talking(first));
    sim.hang_up(gateway, first);
    sim.run_for(secs(60));
    let offers = |sim: &Sim| {
        let events = sim.desk(sue).heard.iter().map(|heard| &heard.event);
        events
            .filter(|event| event.event == EventName::Diverted)
            .filter_map(|event| event.third_party_dn.clone())
            .collect::<Vec<_>>()
    };
    let known = offers(&sim).len();
    let suspected = |sim: &Sim| sim.agents(A).iter().any(|agent| agent.phone_suspected && !agent.available);
    assert!(suspected(&sim) && sim.in_service(A, "1001"), "{:?}", sim.agents(A));
    for _ in 0..3 {
        let call = sim.call(gateway, "7000");
        sim.run_until(secs(2), "it is answered at once", |sim| sim.is_talking(call));
        sim.hang_up(gateway, call);
        sim.run_for(secs(2));
    }
    assert_eq!(offers(&sim)[known..], ["1002", "1002", "1002"]);
    assert!(sim.desk(anna).last_of(EventName::AgentLogout, "1001").is_none(), "she is logged in and Ready");
    sim.power_on(phones[0]);
    sim.run_until(secs(120), "she is called again", |sim| !suspected(sim));
    assert!(sim.agents(A).iter().all(|agent| agent.available));
    sim.settle();
}
