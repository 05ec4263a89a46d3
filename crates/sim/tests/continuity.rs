//! Phones and sites in business continuity.

use tandem_sim::{A, B, Refusal, Setup, Sim, secs};

#[test]
fn bca_08_calls_of_the_failed_site_end_for_the_survivors_within_the_detection_time() {
    for how in [Refusal::Blackhole, Refusal::Refused] {
        let mut sim = Sim::two_sites(150);
        let alice = sim.phone("1001").registers_at(A).on();
        let bob = sim.phone("1011").registers_at(B).on();
        sim.run_for(secs(2));
        let call = sim.call_answered(alice, "1011");
        let other = sim.call_answered(bob, "1001");
        sim.crash(A, how);
        let setup = Setup::default();
        sim.run_for(setup.detection_bound() + setup.dialog_audit_timeout + secs(1));
        for call in [call, other] {
            sim.expect(
                sim.leg_at(bob, call).is_some_and(|leg| leg.is_over()),
                "the party at B hears the end",
            );
        }
        assert_eq!(sim.live_calls(B), 0, "{:?}", sim.calls(B));
        sim.run_for(secs(33));
        sim.expect(sim.calls(B).is_empty(), "no stuck call remains at B");
        sim.restart(A);
        sim.settle();
    }
}

#[test]
fn bca_08_a_caller_who_hears_a_phone_ring_through_the_lost_site_is_told_so_soon() {
    for how in [Refusal::Blackhole, Refusal::Refused] {
        let mut sim = Sim::two_sites(157);
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1011").registers_at(B).rings_on().on();
        sim.run_for(secs(2));
        let call = sim.call(alice, "1011");
        sim.run_until(secs(3), "it rings", |sim| {
            sim.caller_leg(call).is_some_and(|leg| leg.phase == tandem_sim::ua::Phase::Ringing)
        });
        sim.crash(B, how);
        let setup = Setup::default();
        let again = secs(u64::from(setup.oos_check_s));
        sim.run_for(setup.detection_bound() + setup.dialog_audit_timeout + again + secs(1));
        assert_eq!(sim.result(call), Some(480), "long before ring-timeout ({:?})", setup.ring_timeout);
        sim.run_for(secs(33));
        sim.expect(sim.calls(A).is_empty(), "nothing is left of it");
    }
}

#[test]
fn bca_11_the_loss_of_one_phone_switches_nothing_over() {
    let mut sim = Sim::two_sites(151);
    let lost = sim.phone("1001").single(A).on();
    let others = ["1002", "1003"].map(|n| sim.phone(n).single(A).on());
    sim.run_for(secs(2));
    sim.power_off(lost);
    sim.run_for(secs(180));
    sim.expect(!sim.in_service(A, "1001"), "the lost phone is out of service");
    assert_eq!((sim.mode(A).as_str(), sim.mode(B).as_str()), ("peered", "peered"), "no change of mode");
    for phone in others {
        sim.expect(sim.registered(phone, A) && !sim.registered(phone, B), "no other phone moved");
    }
    sim.call_answered(others[0], "1003");
    sim.settle();
}

#[test]
fn bca_20_a_dual_phone_has_one_binding_a_site_and_a_single_phone_one_in_all() {
    let mut sim = Sim::two_sites(152);
    sim.phone("1001").dual(A).on();
    sim.phone("1002").single(A).on();
    sim.run_for(secs(300));
    let bindings = |number| (sim.bindings(A, number), sim.bindings(B, number));
    assert_eq!(bindings("1001"), (1, 1), "refreshes do not pile up");
    assert_eq!(bindings("1002"), (1, 0));
}

#[test]
fn bca_20_a_phone_that_comes_back_with_a_new_call_id_still_has_one_binding() {
    let mut sim = Sim::two_sites(153);
    let phone = sim.phone("1001").dual(A).on();
    sim.run_for(secs(2));
    sim.power_off(phone);
    sim.run_for(secs(5));
    sim.power_on(phone);
    sim.run_for(secs(2));
    assert_eq!((sim.bindings(A, "1001"), sim.bindings(B, "1001")), (1, 1));
}

#[test]
fn bca_21_a_dual_phone_calls_through_its_preferred_site_and_through_the_other_when_that_is_down() {
    for preferred in [A, B] {
        let mut sim = Sim::two_sites(154);
        let phone = sim.phone("1001").dual(preferred).on();
        sim.phone("1002").dual(preferred).on();
        sim.run_for(secs(2));
        let first = sim.call_answered(phone, "1002");
        assert_eq!(sim.caller_leg(first).unwrap().site, preferred.addr());
        sim.hang_up(phone, first);
        sim.run_for(secs(1));
        sim.crash(preferred, Refusal::Blackhole);
        let second = sim.call_answered(phone, "1002");
        assert_eq!(sim.caller_leg(second).unwrap().site, preferred.other().addr());
        sim.settle();
    }
}

#[test]
fn bca_22_an_active_backup_phone_is_at_the_backup_only_while_its_primary_is_away() {
    let mut sim = Sim::two_sites(155);
    let phone = sim.phone("1001").active_backup(A).on();
    sim.run_for(secs(10));
    assert_eq!((sim.bindings(A, "1001"), sim.bindings(B, "1001")), (1, 0), "primary only");
    sim.crash(A, Refusal::Blackhole);
    sim.run_until(secs(60), "registered at the backup", |sim| sim.registered(phone, B));
    assert_eq!(sim.bindings(B, "1001"), 1);
    sim.restart(A);
    sim.run_until(secs(30), "back at the primary", |sim| sim.registered(phone, A));
    sim.run_for(secs(1));
    assert_eq!((sim.bindings(A, "1001"), sim.bindings(B, "1001")), (1, 0), "and gone from the backup");
    sim.settle();
}

#[test]
fn bca_22_dr_forward_of_the_dn_wins_over_the_applications() {
    use tandem_peer::DrForward::{Off, Oos};
    for (application, dn, answered) in [(Off, Oos, true), (Oos, Off, false)] {
        let dn_forward = vec![("1011".to_owned(), dn)];
        let mut sim = Sim::new(156, Setup { dr_forward: application, dn_forward, ..Setup::default() });
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1011").active_backup(B).on();
        sim.run_for(secs(2));
        let call = sim.call(alice, "1011");
        sim.run_for(secs(3));
        assert_eq!(sim.is_talking(call), answered, "Application {application:?}, DN {dn:?}");
        sim.settle();
    }
}
