//! A call from one phone to another at one site.

use tandem_sim::{A, Sim, secs};

#[test]
fn one_phone_calls_another_and_hangs_up() {
    let mut sim = Sim::one_site(1);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    sim.expect(sim.registered(alice, A) && sim.registered(bob, A), "both are registered");

    let call = sim.call(alice, "1002");
    sim.run_until(secs(2), "Bob's phone rings", |sim| sim.rings(bob, call));
    sim.run_until(secs(2), "both talk", |sim| sim.is_talking(call));
    sim.expect(sim.calls(A).len() == 1, "the server lists one call");

    sim.hang_up(alice, call);
    sim.run_until(secs(1), "both are back on the hook", |sim| sim.is_over(call));
    sim.settle();
    let [cdr] = sim.cdrs(A) else { panic!("one record of the one call: {:?}", sim.cdrs(A)) };
    assert_eq!((cdr.from.as_str(), cdr.to.as_str()), ("1001", "1002"));
    assert_eq!(cdr.legs.len(), 2);
}

#[test]
fn the_callee_may_hang_up_first() {
    let mut sim = Sim::one_site(2);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).talks(secs(3)).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.run_until(secs(4), "Bob hangs up and Alice hears of it", |sim| sim.is_over(call));
    sim.expect(sim.leg_at(bob, call).is_some_and(|leg| leg.is_over()), "Bob's leg is over");
    sim.settle();
}

#[test]
fn what_the_callee_says_is_what_the_caller_hears() {
    // RFC 3261 16.7: a 503 says that this server is overloaded, which it is not.
    for (said, heard) in [(486, 486), (480, 480), (404, 404), (600, 600), (603, 603), (503, 500)] {
        let mut sim = Sim::one_site(u64::from(said));
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(A).refuses(said).on();
        sim.run_for(secs(1));
        let call = sim.call(alice, "1002");
        sim.run_until(secs(5), "the refusal arrives", |sim| sim.result(call).is_some());
        assert_eq!(sim.result(call), Some(heard), "the callee said {said}");
        sim.settle();
    }
}

#[test]
fn numbers_that_are_not_there_or_not_registered_are_told_apart() {
    let mut sim = Sim::one_site(3);
    let alice = sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    for (number, expected) in [("4711", 404), ("1002", 480)] {
        let call = sim.call(alice, number);
        sim.run_until(secs(2), "refused", |sim| sim.result(call).is_some());
        assert_eq!(sim.result(call), Some(expected), "{number}");
    }
    sim.settle();
}
