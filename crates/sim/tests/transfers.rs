//! Phones that transfer calls by REFER, over two sites and in a drain.

use tandem_sim::ua::Phase;
use tandem_sim::{A, B, Sim, secs};

#[test]
fn a_call_is_transferred_to_a_number_of_the_other_site() {
    for hangs_up in [false, true] {
        let mut sim = Sim::two_sites(51);
        let alice = sim.phone("1001").registers_at(A).on();
        let bob = sim.phone("1002").registers_at(A).on();
        let carol = sim.phone("1003").registers_at(B).on();
        sim.run_for(secs(8));
        let call = sim.call_answered(alice, "1002");
        sim.refer(bob, call, "1003", hangs_up);
        sim.run_until(secs(8), "Carol talks", |sim| {
            sim.ua(carol).is_some_and(|ua| ua.legs().any(|leg| leg.phase == Phase::Talking))
        });
        sim.run_for(secs(3));
        sim.expect(sim.leg_at(bob, call).is_some_and(|leg| leg.is_over()), "Bob has left");
        sim.expect(sim.leg_at(alice, call).is_some_and(|leg| !leg.is_over()), "Alice has not");
        sim.hang_up(alice, call);
        sim.run_for(secs(3));
        sim.expect(sim.ua(carol).is_some_and(|ua| ua.legs().all(|leg| leg.is_over())), "Carol hears of it");
        sim.settle();
    }
}

#[test]
fn a_transfer_in_vain_leaves_two_who_talk() {
    let mut sim = Sim::one_site(52);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.phone("1003").registers_at(A).refuses(486).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.refer(bob, call, "1003", false);
    sim.run_for(secs(5));
    sim.expect(sim.is_talking(call), "the call goes on");
    let heard = &sim.leg_at(bob, call).unwrap().heard;
    assert_eq!(heard.iter().filter(|line| *line == "NOTIFY").count(), 2, "trying, busy: {heard:?}");
    sim.settle();
}
