//! A phone that rings and is not answered.

use tandem_sim::{A, Setup, Sim, secs};

#[test]
fn a_call_that_nobody_answers_ends_with_480_after_ring_timeout() {
    let mut sim = Sim::new(50, Setup { sites: 1, ring_timeout: secs(20), ..Setup::default() });
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).rings_on().on();
    sim.run_for(secs(1));
    let call = sim.call(alice, "1002");
    sim.run_for(secs(19));
    sim.expect(sim.rings(bob, call), "it still rings");
    sim.run_for(secs(2));
    assert_eq!(sim.result(call), Some(480));
    sim.expect(sim.is_over(call), "the phone has stopped ringing");
    sim.settle();
    assert!(
        sim.cdrs(A).iter().any(|cdr| cdr.legs.iter().any(|leg| leg.reason.contains("ring"))),
        "{:?}",
        sim.cdrs(A)
    );
}
