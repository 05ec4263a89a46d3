//! A site is lost.

use tandem_sim::{A, B, Refusal, Setup, Sim, UaId, secs};

#[test]
fn sf_03_the_calls_that_are_lost_are_the_calls_that_involved_the_lost_site() {
    let mut sim = Sim::two_sites(120);
    let phones = |sim: &mut Sim, site, numbers: [&str; 4]| -> Vec<UaId> {
        numbers.map(|n| sim.phone(n).registers_at(site).on()).to_vec()
    };
    let at_a = phones(&mut sim, A, ["1001", "1002", "1003", "1004"]);
    let at_b = phones(&mut sim, B, ["1011", "1012", "1013", "1014"]);
    sim.run_for(secs(2));
    let [local_a, across_1, across_2, local_b] = [
        (at_a[0], "1002"), // wholly at A
        (at_a[2], "1013"), // from A to B
        (at_b[3], "1004"), // from B to A
        (at_b[0], "1012"), // wholly at B
    ]
    .map(|(from, to)| sim.call_answered(from, to));
    sim.crash(A, Refusal::Blackhole);
    let setup = Setup::default();
    sim.run_for(setup.detection_bound() + setup.dialog_audit_timeout + secs(2));
    sim.expect(sim.is_talking(local_b), "the call wholly at B goes on");
    assert_eq!(sim.live_calls(B), 1, "and it is the only one left at B: {:?}", sim.calls(B));
    for call in [across_1, across_2] {
        let at_b_ended = sim.legs(call).filter(|(ua, _)| at_b.contains(ua)).all(|(_, leg)| leg.is_over());
        assert!(at_b_ended, "a party at B hears the end of a call that involved A");
    }
    let at_a_ended = sim.legs(local_a).all(|(_, leg)| leg.site == A.addr());
    assert!(at_a_ended, "the call wholly at A never touched B");
    sim.restart(A);
    sim.settle();
}

#[test]
fn sf_04_a_gateway_that_hears_nothing_from_a_sends_every_new_call_to_b() {
    for how in [Refusal::Blackhole, Refusal::Refused] {
        let mut sim = Sim::two_sites(121);
        let gateway = sim.gateway(1).on();
        let bob = sim.phone("1002").dual(A).on();
        sim.run_for(secs(2));
        sim.crash(A, how);
        let calls: Vec<_> = (0..4).map(|_| sim.call(gateway, "1002")).collect();
        sim.run_for(secs(5));
        for call in calls {
            sim.expect(sim.is_talking(call) && sim.was_offered(bob, call), "answered through B");
        }
        sim.settle();
    }
}

#[test]
fn sf_05_a_gateway_that_survives_its_neighbour_is_served_by_b() {
    let mut sim = Sim::two_sites(122);
    let (lost, alive) = (sim.gateway(1).on(), sim.gateway(2).on());
    sim.phone("1002").dual(A).on();
    sim.run_for(secs(2));
    sim.crash(A, Refusal::Blackhole);
    sim.power_off(lost);
    let call = sim.call(alive, "1002");
    sim.run_until(secs(6), "answered through B", |sim| sim.is_talking(call));
    sim.settle();
}

#[test]
fn sf_06_a_phone_with_a_single_registration_registers_at_b_after_a_is_lost() {
    let mut sim = Sim::two_sites(123);
    let bob = sim.phone("1002").single(A).on();
    let carol = sim.phone("1003").registers_at(B).on();
    sim.run_for(secs(2));
    sim.expect(sim.registered(bob, A) && !sim.registered(bob, B), "at A only");
    sim.crash(A, Refusal::Blackhole);
    // At the next refresh (45 s) plus the phone's own patience.
    sim.run_until(secs(55), "registered at B", |sim| sim.registered(bob, B));
    sim.call_answered(carol, "1002");
    sim.settle();
}

#[test]
fn sf_07_a_phone_with_both_registrations_is_reached_through_b_at_once() {
    let mut sim = Sim::two_sites(124);
    let bob = sim.phone("1002").dual(A).on();
    let carol = sim.phone("1003").registers_at(B).on();
    sim.run_for(secs(2));
    let confirmed = sim.ua(bob).unwrap().bindings[1].confirmed;
    sim.crash(A, Refusal::Blackhole);
    let call = sim.call_answered(carol, "1002");
    sim.expect(sim.was_offered(bob, call), "through its binding at B");
    assert_eq!(sim.ua(bob).unwrap().bindings[1].confirmed, confirmed, "no new registration was needed");
    sim.settle();
}

#[test]
fn sf_11_a_site_that_sees_its_peer_lost_forwards_nothing_more() {
    let mut sim = Sim::two_sites(125);
    let carol = sim.phone("1003").registers_at(B).on();
    sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(2));
    let before = sim.call_answered(carol, "1001");
    assert_eq!(sim.counter(B, "tandem_dr_forwards_in_path_total"), 1, "peered: the call is forwarded");
    sim.hang_up(carol, before);
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(sim.setup.detection_bound());
    sim.expect(sim.mode(B) == "single-site", "B runs alone");
    let call = sim.call(carol, "1001");
    sim.run_until(secs(1), "refused at once", |sim| sim.result(call).is_some());
    assert_eq!(sim.result(call), Some(480), "out of service here, and nobody else is asked");
    assert_eq!(sim.counter(B, "tandem_dr_forwards_in_path_total"), 1, "nothing was forwarded");
    sim.settle();
}
