//! Gateways: the dial plan's list of them, and how they share the sites.

use tandem_sim::{A, B, Refusal, Sim, secs};

#[test]
fn an_outside_call_takes_the_first_gateway_of_the_rule() {
    let mut sim = Sim::one_site(110);
    let (first, second) = (sim.gateway(1).on(), sim.gateway(2).on());
    let alice = sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "95550100");
    sim.expect(sim.was_offered(first, call) && !sim.was_offered(second, call), "the first gateway takes it");
    sim.settle();
}

#[test]
fn an_outside_call_takes_the_next_gateway_when_the_first_is_dead_or_full() {
    for case in ["refused", "silent", "503"] {
        let mut sim = Sim::one_site(111);
        let (first, second) = (sim.gateway(1).on(), sim.gateway(2).on());
        let alice = sim.phone("1001").registers_at(A).on();
        sim.run_for(secs(1));
        match case {
            "503" => sim.change(first, |p| {
                p.on_call = tandem_sim::ua::OnCall::Refuse { code: 503, after: secs(0) };
            }),
            "refused" => sim.net.take_down(sim.ip(first), Refusal::Refused),
            _ => sim.net.take_down(sim.ip(first), Refusal::Blackhole),
        }
        if case == "silent" {
            // A gateway that has been silent is known to be out of service, and passed over.
            sim.run_for(secs(20));
            sim.expect(!sim.in_service(A, "gw1"), "probed and found dead");
        }
        let call = sim.call(alice, "95550100");
        sim.run_until(secs(5), "the second gateway answers", |sim| sim.is_talking(call));
        sim.expect(sim.was_offered(second, call), case);
        sim.settle();
    }
}

#[test]
fn a_subscriber_who_is_busy_is_not_tried_over_the_next_gateway() {
    let mut sim = Sim::one_site(112);
    sim.gateway(1).refuses(486).on();
    let second = sim.gateway(2).on();
    let alice = sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call(alice, "95550100");
    sim.run_until(secs(5), "refused", |sim| sim.result(call).is_some());
    assert_eq!(sim.result(call), Some(486));
    sim.expect(!sim.was_offered(second, call), "the second gateway is left alone");
    sim.settle();
}

#[test]
fn bca_02_both_sites_take_registrations_and_calls_at_once() {
    let mut sim = Sim::two_sites(113);
    let gateway = sim.gateway(1).on();
    let at_a = sim.phone("1001").registers_at(A).on();
    let at_b = sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(2));
    sim.expect(sim.registered(at_a, A) && sim.registered(at_b, B), "each site has its phones");
    let mut calls = Vec::new();
    for number in ["1001", "1002", "1001", "1002"] {
        calls.push(sim.call(gateway, number));
    }
    sim.run_for(secs(3));
    sim.expect(calls.iter().all(|call| sim.is_talking(*call)), "every call is answered");
    let took = |site| sim.counter(site, "tandem_calls_answered_total");
    sim.expect(took(A) > 0 && took(B) > 0, "each site answered calls; neither is passive");
    sim.settle();
}

#[test]
fn bca_10_every_call_after_the_gateways_fail_over_is_taken_by_the_survivor() {
    let mut sim = Sim::two_sites(114);
    let gateways = [sim.gateway(1).on(), sim.gateway(2).on()];
    for number in ["1001", "1002", "1003"] {
        sim.phone(number).single(A).on();
    }
    sim.run_for(secs(2));
    sim.crash(A, Refusal::Blackhole);
    sim.run_for(secs(90));
    let mut calls = Vec::new();
    for round in 0..4 {
        for number in ["1001", "1002", "1003"] {
            calls.push(sim.call(gateways[round % 2], number));
        }
        sim.run_for(secs(1));
    }
    sim.run_for(secs(6));
    let talking = calls.iter().filter(|call| sim.is_talking(**call)).count();
    assert_eq!(talking, calls.len(), "B accepts all of them");
    sim.settle();
}
