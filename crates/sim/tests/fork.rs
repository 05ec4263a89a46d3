//! One number, several phones: one answers, the others stop.

use tandem_sim::ua::Phase;
use tandem_sim::{A, Sim, ms, secs};

#[test]
fn the_first_answer_cancels_the_other_phones() {
    let mut sim = Sim::one_site(20);
    let alice = sim.phone("1001").registers_at(A).on();
    let quick = sim.phone("1002").registers_at(A).answers_after(ms(300)).on();
    let slow = [(); 3].map(|()| sim.phone("1002").registers_at(A).rings_on().on());
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.run_for(ms(50));
    sim.expect(
        sim.leg_at(quick, call).is_some_and(|leg| leg.phase == Phase::Talking),
        "the quick phone talks",
    );
    for phone in slow {
        let leg = sim.leg_at(phone, call).unwrap();
        assert!(leg.is_over() && leg.code == 487, "cancelled: {leg:?}");
    }
    sim.settle();
}

#[test]
fn when_two_answer_at_once_one_talks_and_the_other_gets_a_bye() {
    for seed in 0..40 {
        let mut sim = Sim::one_site(2_000 + seed);
        sim.net.weather.jitter = ms(5);
        let alice = sim.phone("1001").registers_at(A).on();
        let twins = [(); 2].map(|()| sim.phone("1002").registers_at(A).answers_after(ms(300)).on());
        sim.run_for(secs(1));
        let call = sim.call_answered(alice, "1002");
        sim.run_for(secs(1));
        let talking =
            twins.iter().filter(|p| sim.leg_at(**p, call).is_some_and(|l| l.phase == Phase::Talking));
        assert_eq!(talking.count(), 1, "seed {seed}: exactly one of the two talks");
        sim.settle();
    }
}

#[test]
fn one_phone_that_declines_leaves_the_others_ringing_and_a_600_ends_all() {
    for (code, rings_on) in [(486, true), (600, false)] {
        let mut sim = Sim::one_site(21);
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(A).refuses(code).on();
        let other = sim.phone("1002").registers_at(A).rings_on().on();
        sim.run_for(secs(1));
        let call = sim.call(alice, "1002");
        sim.run_for(secs(2));
        assert_eq!(sim.rings(other, call), rings_on, "after a {code}");
        if !rings_on {
            assert_eq!(sim.result(call), Some(code));
        }
        sim.settle();
    }
}
