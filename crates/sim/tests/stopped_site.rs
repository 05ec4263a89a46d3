//! A site whose process is stopped (SIGSTOP): nothing is refused, nothing is answered. Only `oos-force` decides.

use tandem_sim::{A, B, Sim, ms, secs};

#[test]
fn a_stopped_peer_is_given_up_by_oos_force_and_taken_back_when_it_answers() {
    // The stop may fall anywhere between two probes.
    for phase in 0..10u32 {
        let mut sim = Sim::two_sites(160 + u64::from(phase));
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(A).on();
        sim.run_for(secs(2));
        let local = sim.call_answered(alice, "1002");
        sim.run_for(ms(500) * phase);
        let stopped_at = sim.now();
        sim.freeze(B);
        sim.run_for(sim.setup.detection_bound());
        let silent = sim.went_out(A, "to-b").expect("out of service") - stopped_at;
        assert!(silent <= sim.setup.detection_bound(), "given up after {silent:?}");
        assert!(silent >= secs(u64::from(sim.setup.oos_force_s)), "not before oos-force: {silent:?}");
        assert_eq!(sim.mode(A), "single-site");
        sim.run_for(secs(60));
        sim.expect(sim.is_talking(local), "a call wholly at A is untouched");
        sim.thaw(B);
        sim.run_for(secs(10));
        assert_eq!((sim.mode(A).as_str(), sim.mode(B).as_str()), ("peered", "peered"));
        sim.settle();
    }
}

#[test]
fn a_pause_shorter_than_oos_force_is_noticed_by_nobody() {
    let mut sim = Sim::two_sites(161);
    sim.run_for(secs(2));
    for _ in 0..20 {
        sim.freeze(B);
        sim.run_for(secs(1));
        sim.thaw(B);
        sim.run_for(secs(3));
    }
    assert_eq!(sim.went_out(A, "to-b"), None, "never out of service");
    assert_eq!(sim.mode(A), "peered");
}

#[test]
fn a_call_forwarded_to_a_stopped_peer_comes_home_when_the_trunk_is_given_up_or_timer_b_fires() {
    let mut sim = Sim::new(
        162,
        tandem_sim::Setup { dr_forward: tandem_peer::DrForward::NoAgent, ..Default::default() },
    );
    let alice = sim.phone("1001").registers_at(A).on();
    let at_home = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(2));
    sim.freeze(B);
    let call = sim.call(alice, "1002");
    sim.run_until(secs(35), "the phone at home rings", |sim| sim.was_offered(at_home, call));
    sim.run_for(secs(2));
    sim.expect(sim.is_talking(call), "and is answered");
    sim.thaw(B);
    sim.settle();
}
