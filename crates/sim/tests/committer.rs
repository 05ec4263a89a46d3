//! Nothing is told to the outside that would not survive.

use tandem_sim::{A, B, Sim, ms, secs};

#[test]
fn a_registration_is_confirmed_only_when_it_is_committed() {
    let mut sim = Sim::one_site(100);
    sim.site_mut(A).unwrap().commit_delay = ms(700);
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(ms(600));
    sim.expect(!sim.registered(bob, A), "not yet committed, not yet told");
    sim.run_for(ms(300));
    sim.expect(sim.registered(bob, A), "committed and told");
    sim.settle();
}

#[test]
fn a_server_that_dies_between_store_and_answer_has_confirmed_nothing() {
    let mut sim = Sim::two_sites(101);
    sim.run_for(secs(1));
    sim.site_mut(A).unwrap().dies_at_store = true;
    let bob = sim.phone("1002").single(A).on();
    sim.run_for(ms(500));
    sim.expect(sim.status(A).is_none(), "A died at its Store");
    sim.expect(!sim.registered(bob, A), "and Bob was told nothing");
    sim.run_until(secs(10), "Bob finds the other site", |sim| sim.registered(bob, B));
    sim.restart(A);
    assert_eq!(sim.bindings(A, "1002"), 0, "an empty committer comes back empty");
    sim.settle();
}

#[test]
fn calls_work_while_the_committer_is_slow() {
    let mut sim = Sim::one_site(102);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    sim.site_mut(A).unwrap().commit_delay = ms(150);
    let call = sim.call_answered(alice, "1002");
    sim.run_for(secs(2));
    sim.hang_up(bob, call);
    sim.run_for(secs(2));
    sim.expect(sim.is_over(call), "both are back on the hook");
    sim.settle();
}

#[test]
fn a_server_that_dies_in_the_middle_of_a_call_leaves_no_phone_behind() {
    for after in (0..1_200).step_by(40) {
        let mut sim = Sim::two_sites(103 + after);
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(A).answers_after(ms(300)).on();
        sim.run_for(secs(1));
        let call = sim.call(alice, "1002");
        sim.run_for(ms(after));
        sim.site_mut(A).unwrap().dies_at_store = true;
        sim.run_for(secs(5));
        sim.site_mut(A).unwrap().dies_at_store = false;
        sim.restart(A);
        sim.settle();
        sim.expect(sim.is_over(call), "nobody is left with a call");
    }
}
