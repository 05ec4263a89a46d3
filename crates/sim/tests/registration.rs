//! Registration as phones live it.

use tandem_sim::net::nat::Nat;
use tandem_sim::{A, Sim, ms, secs};

#[test]
fn several_phones_of_one_number_all_ring() {
    let mut sim = Sim::one_site(10);
    let alice = sim.phone("1001").registers_at(A).on();
    let desks: Vec<_> = (0..3).map(|_| sim.phone("1002").registers_at(A).rings_on().on()).collect();
    sim.run_for(secs(1));
    assert_eq!(sim.bindings(A, "1002"), 3);
    let call = sim.call(alice, "1002");
    sim.run_until(secs(1), "all three ring", |sim| desks.iter().all(|desk| sim.rings(*desk, call)));
    sim.hang_up(alice, call);
    sim.settle();
}

#[test]
fn a_phone_that_stops_refreshing_goes_out_of_service_when_its_binding_expires() {
    let mut sim = Sim::one_site(11);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).with(|p| p.expires = secs(30)).on();
    sim.run_for(secs(120));
    sim.expect(sim.in_service(A, "1002"), "refreshed in time, the DN stays in service");
    sim.power_off(bob);
    sim.run_for(secs(31));
    sim.expect(!sim.in_service(A, "1002"), "the binding has expired");
    let call = sim.call(alice, "1002");
    sim.run_until(secs(1), "refused", |sim| sim.result(call).is_some());
    assert_eq!(sim.result(call), Some(480));
    sim.power_on(bob);
    sim.run_for(secs(1));
    sim.expect(sim.came_back(A, "1002") > sim.went_out(A, "1002"), "EventDNBackInService after it returned");
    sim.settle();
}

#[test]
fn a_phone_that_says_good_bye_is_out_of_service_at_once() {
    let mut sim = Sim::one_site(12);
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    sim.expect(sim.in_service(A, "1002"), "registered");
    sim.unregister(bob, A);
    sim.run_for(ms(50));
    sim.expect(!sim.in_service(A, "1002"), "unregistered");
    assert_eq!(sim.bindings(A, "1002"), 0);
}

#[test]
fn a_wrong_password_registers_nothing() {
    let mut sim = Sim::one_site(13);
    let bob = sim.phone("1002").registers_at(A).with(|p| p.password = "guessed".into()).on();
    let nobody = sim.phone("4711").registers_at(A).on();
    sim.run_for(secs(20));
    sim.expect(!sim.registered(bob, A) && !sim.registered(nobody, A), "neither is registered");
    sim.expect(!sim.in_service(A, "1002"), "the DN is out of service");
    assert_eq!(sim.bindings(A, "1002"), 0);
}

#[test]
fn a_phone_behind_a_nat_is_reached_through_its_mapping() {
    let mut sim = Sim::one_site(14);
    let alice = sim.phone("1001").registers_at(A).on();
    let addr = "192.168.7.2:5060".parse().unwrap();
    let hidden = sim.phone("1002").registers_at(A).with(|p| p.addr = addr).with(|p| p.expires = secs(30));
    let bob = hidden.switched_off();
    sim.net.nats.push(Nat::new("203.0.113.7".parse().unwrap(), vec![addr.ip()], secs(60)));
    let bob = sim.add(bob);
    sim.run_for(secs(90));
    let call = sim.call_answered(alice, "1002");
    sim.expect(sim.was_offered(bob, call), "the hidden phone took the call");
    let back = sim.call_answered(bob, "1001");
    sim.hang_up(alice, back);
    sim.hang_up(alice, call);
    sim.settle();
}

#[test]
fn a_wall_clock_that_jumps_takes_no_registration_away_early() {
    let mut sim = Sim::one_site(15);
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    sim.site_mut(A).unwrap().skew_ms = -40_000;
    sim.run_for(secs(40));
    sim.expect(
        sim.registered(bob, A) && sim.in_service(A, "1002"),
        "still registered after the clock was set back",
    );
}
