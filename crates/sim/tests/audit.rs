//! Legs over a lost peer trunk are asked whether they live; the trunk's state alone ends nothing.

use tandem_sim::{A, B, Refusal, Setup, Sim, UaId, secs};

fn call_over_both_sites(seed: u64) -> (Sim, UaId, UaId, tandem_sim::CallId) {
    let mut sim = Sim::two_sites(seed);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(2));
    let call = sim.call_answered(alice, "1002");
    (sim, alice, bob, call)
}

fn bound() -> std::time::Duration {
    let setup = Setup::default();
    setup.detection_bound() + setup.dialog_audit_timeout + secs(1)
}

/// BCA-09: the other server is in the path of this call, and gone.
#[test]
fn bca_09_a_call_through_a_lost_site_ends_within_detection_and_audit() {
    let (mut sim, _, bob, call) = call_over_both_sites(90);
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(bound());
    sim.expect(sim.leg_at(bob, call).is_some_and(|leg| leg.is_over()), "Bob's phone at B hears the end");
    assert_eq!(sim.live_calls(B), 0, "{:?}", sim.calls(B));
    sim.run_for(secs(33));
    sim.expect(sim.calls(B).is_empty(), "no stuck call at B");
    sim.settle();
}

/// BCA-09: a call wholly at the surviving site has nothing to do with it.
#[test]
fn bca_09_a_call_wholly_at_the_surviving_site_goes_on() {
    let (mut sim, _, _, _) = call_over_both_sites(91);
    let carol = sim.phone("1003").registers_at(B).on();
    sim.phone("1004").registers_at(B).on();
    sim.run_for(secs(1));
    let local = sim.call_answered(carol, "1004");
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(secs(60));
    sim.expect(sim.is_talking(local), "it goes on");
    sim.settle();
}

/// The trunk goes out of service because B answers no probe, yet the dialog is answered: the call stays.
#[test]
fn a_leg_that_answers_its_audit_outlives_the_loss_of_the_trunk() {
    let (mut sim, _, _, call) = call_over_both_sites(92);
    // A link so bad that no probe passes for a while, then whole again before the audit is over.
    sim.cut_link(Refusal::Blackhole);
    sim.run_until(secs(10), "A sees the trunk out of service", |sim| !sim.in_service(A, "to-b"));
    sim.run_until(secs(10), "B sees the trunk out of service", |sim| !sim.in_service(B, "to-a"));
    sim.heal();
    sim.run_for(secs(30));
    sim.expect(sim.is_talking(call), "the audit was answered when the link came back, and the call goes on");
    sim.settle();
}

/// A restarted server knows nothing of the dialog: it says 481, and that ends the leg.
#[test]
fn a_leg_whose_other_end_was_restarted_ends_by_481() {
    let (mut sim, _, bob, call) = call_over_both_sites(93);
    sim.crash(A, Refusal::Blackhole);
    sim.run_until(secs(10), "B sees the trunk out of service", |sim| !sim.in_service(B, "to-a"));
    sim.restart(A);
    sim.run_for(secs(10));
    sim.expect(sim.leg_at(bob, call).is_some_and(|leg| leg.is_over()), "Bob's phone hears the end");
    sim.expect(sim.calls(B).is_empty(), "no stuck call at B");
    sim.settle();
}
