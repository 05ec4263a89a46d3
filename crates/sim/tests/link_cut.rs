//! Only the link between the sites is cut; both are well.

use tandem_sim::{A, B, Refusal, Sim, UaId, secs};

fn two_sites(seed: u64) -> (Sim, [UaId; 2], [UaId; 2]) {
    let mut sim = Sim::two_sites(seed);
    let at_a = ["1001", "1002"].map(|n| sim.phone(n).registers_at(A).on());
    let at_b = ["1011", "1012"].map(|n| sim.phone(n).registers_at(B).on());
    sim.run_for(secs(2));
    sim.expect(sim.mode(A) == "peered" && sim.mode(B) == "peered", "peered before the cut");
    (sim, at_a, at_b)
}

#[test]
fn nf_01_each_server_puts_its_peer_trunk_out_of_service_within_the_bound() {
    for how in [Refusal::Blackhole, Refusal::Refused] {
        // The cut may fall anywhere between two probes.
        for phase in 0..10 {
            let (mut sim, ..) = two_sites(130 + phase);
            sim.run_for(secs(1) * u32::try_from(phase).unwrap() / 2);
            let cut_at = sim.now();
            sim.cut_link(how);
            let bound = sim.setup.detection_bound();
            sim.run_for(bound);
            for (site, trunk) in [(A, "to-b"), (B, "to-a")] {
                let out = sim.went_out(site, trunk).expect("EventDNOutOfService for the peer trunk");
                assert!(out - cut_at <= bound, "{trunk} out after {:?}", out - cut_at);
                assert!(!sim.in_service(site, trunk));
            }
        }
    }
}

#[test]
fn nf_02_during_the_cut_each_site_serves_its_own_phones_and_gateways() {
    let (mut sim, [alice, _], [carol, _]) = two_sites(140);
    let (gw_a, gw_b) = (sim.gateway(1).on(), sim.gateway(2).on());
    sim.change(gw_a, |p| p.sites = vec![A.addr()]);
    sim.change(gw_b, |p| p.sites = vec![B.addr()]);
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(30));
    let calls = [(alice, "1002"), (carol, "1012"), (gw_a, "1001"), (gw_b, "1011"), (alice, "95550100")];
    for (from, to) in calls {
        let call = sim.call_answered(from, to);
        sim.expect(sim.is_talking(call), to);
    }
    sim.run_for(secs(120));
    sim.expect(sim.in_service(A, "1001") && sim.in_service(B, "1011"), "registrations are refreshed");
    sim.heal();
    sim.settle();
}

#[test]
fn nf_03_both_servers_turn_to_single_site_each_by_itself() {
    let (mut sim, ..) = two_sites(141);
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(sim.setup.detection_bound());
    assert_eq!((sim.mode(A).as_str(), sim.mode(B).as_str()), ("single-site", "single-site"));
}

#[test]
fn nf_05_during_the_cut_no_call_is_redirected_or_sent_over_the_peer_trunk() {
    for redirect in [false, true] {
        let mut sim = Sim::new(142, tandem_sim::Setup { redirect, ..Default::default() });
        let alice = sim.phone("1001").registers_at(A).on();
        let carol = sim.phone("1011").registers_at(B).on();
        let gateway = sim.gateway(1).on();
        sim.cut_link(Refusal::Blackhole);
        sim.run_for(secs(10));
        for (from, to) in [(alice, "1011"), (carol, "1001"), (gateway, "1005"), (gateway, "1006")] {
            let call = sim.call(from, to);
            sim.run_until(secs(3), "refused", |sim| sim.result(call).is_some());
            assert_eq!(sim.result(call), Some(480));
        }
        for site in [A, B] {
            assert_eq!(sim.counter(site, "tandem_dr_forwards_in_path_total"), 0);
            assert_eq!(sim.counter(site, "tandem_dr_forwards_redirected_total"), 0);
        }
        sim.heal();
        sim.settle();
    }
}

#[test]
fn nf_06_nothing_at_one_site_changes_because_of_the_other_and_healing_reconciles_nothing() {
    let (mut sim, [alice, _], [carol, _]) = two_sites(143);
    let dual = sim.phone("1005").dual(A).on();
    sim.run_for(secs(1));
    let at_a = sim.call_answered(alice, "1002");
    let at_b = sim.call_answered(carol, "1012");
    let state = |sim: &Sim| {
        [A, B].map(|site| {
            let status = sim.status(site).unwrap();
            let numbers = ["1001", "1002", "1005", "1011", "1012"]
                .map(|n| (sim.in_service(site, n), sim.bindings(site, n)));
            (status.calls, status.in_service, status.bindings, numbers)
        })
    };
    let before = state(&sim);
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(60));
    assert_eq!(state(&sim), before, "the cut changes neither DNs nor calls");
    sim.heal();
    sim.run_for(secs(30));
    assert_eq!(state(&sim), before, "nor does the healing");
    sim.expect(sim.is_talking(at_a) && sim.is_talking(at_b), "calls within a site go on throughout");
    sim.expect(sim.registered(dual, A) && sim.registered(dual, B), "a dual phone keeps both bindings");
    sim.settle();
}

#[test]
fn nf_09_when_the_link_heals_the_trunk_returns_and_peered_rules_hold_again() {
    let (mut sim, [alice, _], _) = two_sites(144);
    sim.cut_link(Refusal::Blackhole);
    sim.run_for(secs(20));
    let healed_at = sim.now();
    sim.heal();
    sim.run_for(secs(u64::from(sim.setup.oos_check_s) + 1));
    for (site, trunk) in [(A, "to-b"), (B, "to-a")] {
        let back = sim.came_back(site, trunk).expect("EventDNBackInService for the peer trunk");
        assert!(back - healed_at <= secs(6), "{trunk} back after {:?}", back - healed_at);
        assert_eq!(sim.mode(site), "peered");
    }
    sim.call_answered(alice, "1011");
    assert_eq!(sim.counter(A, "tandem_dr_forwards_in_path_total"), 1, "new calls are forwarded again");
    sim.settle();
}

#[test]
fn a_link_that_is_cut_one_way_puts_the_trunk_out_at_both_ends_and_never_flaps() {
    let (mut sim, ..) = two_sites(145);
    sim.net.cut_one_way(&[A.addr().ip()], &[B.addr().ip()], Refusal::Blackhole);
    sim.run_for(secs(120));
    for (site, trunk) in [(A, "to-b"), (B, "to-a")] {
        assert_eq!(
            sim.mode(site),
            "single-site",
            "{trunk}: no question of the one nor answer of the other passes"
        );
        let first = sim.came_back(site, trunk).unwrap();
        assert!(sim.went_out(site, trunk) > Some(first), "{trunk} went out and stayed out");
    }
}
