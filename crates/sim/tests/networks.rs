//! What stands between a site and those who call through it: NATs that forget, trunks with several targets, media servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_sim::net::nat::Nat;
use tandem_sim::{A, Refusal, Setup, Sim, UaId, ms, secs};

/// 1001, and 1002 behind a NAT.
fn behind_a_nat(seed: u64) -> (Sim, UaId, UaId) {
    let mut sim = Sim::one_site(seed);
    let alice = sim.phone("1001").registers_at(A).on();
    let addr = "192.168.7.2:5060".parse().unwrap();
    let hidden = sim.phone("1002").registers_at(A).with(|p| p.addr = addr).with(|p| p.expires = secs(120));
    let bob = hidden.switched_off();
    sim.net.nats.push(Nat::new("203.0.113.7".parse().unwrap(), vec![addr.ip()], secs(600)));
    let bob = sim.add(bob);
    sim.run_for(secs(1));
    (sim, alice, bob)
}

#[test]
fn a_phone_whose_nat_gives_it_another_port_is_called_there_from_its_next_register_on() {
    let (mut sim, alice, bob) = behind_a_nat(1);
    let call = sim.call_answered(alice, "1002");
    sim.hang_up(alice, call);
    sim.run_for(secs(1));
    sim.net.nats[0].forget();
    sim.register_again(bob);
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.expect(sim.was_offered(bob, call), "the phone took the call by its new mapping");
    sim.settle();
}

#[test]
fn a_mapping_that_died_is_found_out_by_a_call_and_forgiven_at_the_next_sign_of_life() {
    let (mut sim, alice, bob) = behind_a_nat(2);
    sim.net.nats[0].forget();
    let call = sim.call(alice, "1002");
    sim.run_until(secs(40), "the call finds nobody", |sim| sim.is_over(call));
    sim.expect(matches!(sim.result(call), Some(408 | 480)), "and says so");
    let next = sim.call(alice, "1002");
    sim.run_until(secs(6), "the next one does not wait long", |sim| sim.is_over(next));
    sim.expect(sim.in_service(A, "1002"), "the registration holds");
    // The phone refreshes by itself in time.
    sim.run_until(secs(120), "the phone is there again", |sim| sim.registered(bob, A));
    sim.register_again(bob);
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.expect(sim.was_offered(bob, call), "it is called as before");
    sim.settle();
}

#[test]
fn a_trunk_found_by_srv_takes_calls_while_one_target_is_dead_and_another_refuses() {
    let setup = Setup { sites: 1, carrier: true, ..Setup::default() };
    let mut sim = Sim::new(3, setup);
    let first = sim.gateway(1).on();
    let second = sim.gateway(2).with(|p| p.load_share = false).on();
    let alice = sim.phone("1001").registers_at(A).on();
    sim.locates(A, &[(10, 1), (20, 2)]);
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "95550100");
    sim.expect(sim.was_offered(first, call), "the target of the lowest priority is the first");
    sim.hang_up(alice, call);
    sim.run_for(secs(1));
    for how in [Refusal::Blackhole, Refusal::Refused] {
        let cut = sim.net.cut(&[sim.ip(first)], &[A.addr().ip()], how);
        let call = sim.call(alice, "95550100");
        sim.run_until(secs(8), "the other target takes it", |sim| sim.is_talking(call));
        sim.expect(sim.was_offered(second, call), "it went to the second");
        sim.hang_up(alice, call);
        cut.into_iter().for_each(|cut| sim.net.repair(cut));
        sim.run_for(secs(40));
    }
    sim.change(first, |p| p.on_call = tandem_sim::ua::OnCall::Refuse { code: 503, after: ms(0) });
    let call = sim.call_answered(alice, "95550100");
    sim.expect(sim.was_offered(first, call) && sim.was_offered(second, call), "503 sends it to the next");
    sim.settle();
}

#[test]
fn anchored_calls_move_to_another_media_server_and_go_on() {
    let setup = Setup { sites: 1, anchored: true, ..Setup::default() };
    let mut sim = Sim::new(4, setup);
    let alice = sim.phone("1001").registers_at(A).on();
    sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    let legs = |sim: &Sim| sim.engine(A).map_or(0, |engine| engine.legs());
    let described = |sim: &Sim| sim.engine(A).map_or(0, |engine| engine.described);
    assert_eq!(legs(&sim), 2, "both legs are carried");
    for gap in [secs(0), secs(20)] {
        let before = described(&sim);
        sim.lose_engine(A);
        sim.run_for(gap);
        sim.engine_works(A);
        sim.run_for(secs(5));
        sim.expect(sim.is_talking(call), "the call goes on");
        assert!(described(&sim) >= before + 4, "both were offered their media anew, and answered");
    }
    sim.lose_engine(A);
    let without = sim.call(alice, "1002");
    sim.run_until(secs(5), "a call without any engine can do without it", |sim| sim.is_talking(without));
    sim.engine_works(A);
    sim.settle();
    assert_eq!(legs(&sim), 0, "nothing stays at the media server");
}

#[test]
fn cl_26_a_softphone_that_is_back_before_its_registration_ends_has_lost_its_call_and_nothing_else() {
    use tandem_switch::directory::floor::AgentOptions;
    let floor = Setup::with_floor(2, AgentOptions::default());
    let setup = Setup { sites: 1, challenge_calls: false, session_interval: secs(90), ..floor };
    let mut sim = Sim::new(5, setup);
    let phone = sim.phone("1001").registers_at(A).with(|p| p.expires = secs(600)).on();
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.run_for(secs(1));
    sim.agent_at("a1", "1001", A, "AutoIn");
    let call = sim.call(gateway, "1001");
    sim.run_until(secs(5), "they talk", |sim| sim.is_talking(call));
    let cut = sim.net.cut(&[sim.ip(phone)], &[A.addr().ip()], Refusal::Blackhole);
    sim.run_until(secs(45 + 33), "the caller is let go", |sim| {
        sim.leg_at(gateway, call).is_some_and(|leg| leg.is_over())
    });
    sim.expect(sim.in_service(A, "1001") && sim.went_out(A, "1001").is_none(), "the DN stays in service");
    cut.into_iter().for_each(|cut| sim.net.repair(cut));
    sim.run_for(secs(5));
    sim.expect(sim.agents(A).len() == 1, "the agent is logged in");
    sim.hang_up_all(phone);
    sim.register_again(phone);
    sim.run_until(secs(5), "queues reach him", |sim| sim.agents(A).iter().all(|agent| agent.available));
    let next = sim.call(gateway, "1001");
    sim.run_until(secs(5), "the next call is as any", |sim| sim.is_talking(next));
    sim.expect(sim.went_out(A, "1001").is_none(), "nobody was told of anything");
    sim.settle();
}
