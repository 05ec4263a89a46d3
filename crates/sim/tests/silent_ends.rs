//! Calls whose ends vanish without a word, and the session timers that notice.

use tandem_sim::{A, Setup, Sim, secs};

fn one_site(seed: u64) -> Sim {
    Sim::new(seed, Setup { sites: 1, session_interval: secs(90), ..Setup::default() })
}

#[test]
fn a_call_both_of_whose_phones_lose_their_power_ends_within_half_an_interval_and_32_s() {
    for seed in 60..70 {
        let mut sim = one_site(seed);
        let alice = sim.phone("1001").registers_at(A).on();
        let bob = sim.phone("1002").registers_at(A).on();
        sim.run_for(secs(1));
        sim.call_answered(alice, "1002");
        sim.run_for(secs(30));
        sim.power_off(alice);
        sim.power_off(bob);
        sim.run_for(secs(10));
        sim.expect(sim.calls(A).len() == 1, "nobody has said anything, so the call stays");
        sim.run_until(secs(45 + 33), "the call ends by itself", |sim| sim.calls(A).is_empty());
        let [cdr] = sim.cdrs(A) else { panic!("one record: {:?}", sim.cdrs(A)) };
        assert!(cdr.legs.iter().all(|leg| leg.reason == "no response"), "{cdr:?}");
        sim.settle();
    }
}

#[test]
fn one_phone_that_loses_its_power_frees_the_other() {
    let mut sim = one_site(71);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.power_off(bob);
    sim.run_until(secs(45 + 33), "Alice hears that it is over", |sim| {
        sim.leg_at(alice, call).is_some_and(|leg| leg.is_over())
    });
    sim.settle();
}

#[test]
fn a_call_that_lives_is_not_disturbed_in_hours() {
    let mut sim = one_site(72);
    let alice = sim.phone("1001").registers_at(A).on();
    sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.run_for(secs(7_200));
    sim.expect(sim.is_talking(call), "both talk on");
    sim.hang_up(alice, call);
    sim.run_until(secs(1), "they hang up", |sim| sim.is_over(call));
    sim.settle();
}
