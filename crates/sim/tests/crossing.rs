//! Requests that cross each other on the wire.

use tandem_sim::ua::offer::Direction;
use tandem_sim::ua::{Phase, Role};
use tandem_sim::{A, Sim, ms, secs};

/// CANCEL is sent while the 200 is on its way to the caller: the caller acknowledges, then says BYE.
#[test]
fn a_late_200_that_crosses_a_cancel_is_cleaned_up() {
    let mut sim = Sim::one_site(30);
    sim.net.weather.latency = ms(20);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call(alice, "1002");
    sim.run_until(secs(5), "Bob has answered and Alice does not know", |sim| {
        sim.leg_at(bob, call).is_some_and(|leg| leg.phase == Phase::Answered)
    });
    sim.run_for(ms(25));
    sim.hang_up(alice, call);
    sim.run_for(secs(2));
    sim.expect(sim.is_over(call), "both are back on the hook");
    let alice_leg = sim.caller_leg(call).unwrap();
    assert_eq!(alice_leg.code, 200, "the answer won the race, and was undone by BYE");
    sim.settle();
}

#[test]
fn a_bye_that_crosses_a_reinvite_ends_the_call_for_both() {
    for first in [0u64, 3, 10, 17] {
        let mut sim = Sim::one_site(31 + first);
        sim.net.weather.latency = ms(10);
        let alice = sim.phone("1001").registers_at(A).on();
        let bob = sim.phone("1002").registers_at(A).on();
        sim.run_for(secs(1));
        let call = sim.call_answered(alice, "1002");
        sim.run_for(secs(1));
        sim.hold(alice, call, Direction::SendOnly);
        sim.run_for(ms(first));
        sim.hang_up(bob, call);
        sim.run_for(secs(2));
        sim.expect(sim.is_over(call), "both are back on the hook");
        sim.expect(sim.calls(A).is_empty(), "the server lists no call");
        sim.settle();
    }
}

#[test]
fn hold_from_both_sides_at_once_is_answered_491_and_then_succeeds() {
    let mut sim = Sim::one_site(40);
    sim.net.weather.latency = ms(10);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.run_for(secs(1));
    sim.hold(alice, call, Direction::SendOnly);
    sim.hold(bob, call, Direction::SendOnly);
    sim.run_for(secs(10));
    let heard: Vec<_> = sim.legs(call).flat_map(|(_, leg)| leg.heard.clone()).collect();
    assert!(heard.iter().any(|h| h == "491 to re-INVITE"), "{heard:?}");
    for role in [Role::Caller, Role::Callee] {
        let (_, leg) = sim.legs(call).find(|(_, leg)| leg.role == role).unwrap();
        assert!(leg.heard.iter().any(|h| h == "200 to re-INVITE"), "{role:?}: {:?}", leg.heard);
    }
    sim.expect(sim.is_talking(call), "the call survives");
    sim.settle();
}

#[test]
fn requests_within_the_call_reach_the_other_side_and_their_answers_come_back() {
    let mut sim = Sim::one_site(41);
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    for (from, to) in [(alice, bob), (bob, alice)] {
        for method in ["UPDATE", "INFO", "MESSAGE", "NOTIFY", "OPTIONS"] {
            sim.send_within(from, call, method);
            sim.run_for(secs(1));
            let heard = &sim.leg_at(to, call).unwrap().heard;
            assert_eq!(heard.last().map(String::as_str), Some(method), "relayed: {heard:?}");
            let heard = &sim.leg_at(from, call).unwrap().heard;
            assert_eq!(heard.last(), Some(&format!("200 to {method}")), "answered: {heard:?}");
        }
    }
    sim.settle();
}

#[test]
fn early_media_and_a_delayed_offer_pass_through() {
    let mut sim = Sim::one_site(42);
    let alice = sim.phone("1001").registers_at(A).with(|p| p.delayed_offer = true).on();
    let bob = sim.phone("1002").registers_at(A).with(|p| p.early_media = true).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.run_for(secs(1));
    let caller = &sim.leg_at(alice, call).unwrap().heard;
    assert!(caller.contains(&"183 with body".to_owned()), "{caller:?}");
    assert!(caller.contains(&"200 with body".to_owned()), "{caller:?}");
    let callee = &sim.leg_at(bob, call).unwrap().heard;
    assert!(
        callee.contains(&"INVITE".to_owned()) && callee.contains(&"ACK with body".to_owned()),
        "{callee:?}"
    );
    sim.settle();
}

#[test]
fn a_message_beyond_the_mtu_travels_by_tcp() {
    let mut sim = Sim::one_site(43);
    let alice = sim.phone("1001").registers_at(A).with(|p| (p.padding, p.tcp) = (30, true)).on();
    let bob = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.hang_up(bob, call);
    sim.settle();
}
