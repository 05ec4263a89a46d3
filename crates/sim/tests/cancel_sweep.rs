//! The caller hangs up at every millisecond of the set-up: whatever crosses whatever, nobody is left with a call.

use tandem_sim::net::Weather;
use tandem_sim::{A, B, Setup, Sim, ms, secs};

fn hang_up_after(at_ms: u64, setup: Setup, weather: Weather) {
    let mut sim = Sim::new(at_ms, setup);
    sim.net.weather = weather;
    let alice = sim.phone("1001").registers_at(A).on();
    sim.phone("1002").registers_at(A).answers_after(ms(40)).with(|p| p.ring_after = ms(20)).on();
    sim.run_for(secs(1));
    let call = sim.call(alice, "1002");
    sim.run_for(ms(at_ms));
    sim.hang_up(alice, call);
    sim.run_for(secs(5));
    assert!(sim.is_over(call), "hung up after {at_ms} ms: {:?}", sim.legs(call).collect::<Vec<_>>());
    assert!(sim.calls(A).is_empty(), "hung up after {at_ms} ms: {:?}", sim.calls(A));
}

fn one_site() -> Setup {
    Setup { sites: 1, ..Setup::default() }
}

#[test]
fn a_call_cancelled_at_any_millisecond_ends_everywhere() {
    // 5 ms of latency: the whole set-up, challenge included, takes about 120 ms.
    for at_ms in 0..150 {
        hang_up_after(at_ms, one_site(), Weather { latency: ms(5), ..Weather::default() });
    }
}

#[test]
fn a_call_cancelled_at_any_millisecond_ends_even_when_messages_overtake_each_other() {
    for at_ms in 0..150 {
        let weather = Weather { latency: ms(2), jitter: ms(9), late: 150, loss: 100, ..Weather::default() };
        let mut sim = Sim::new(at_ms, one_site());
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(A).answers_after(ms(40)).with(|p| p.ring_after = ms(20)).on();
        sim.run_for(secs(1));
        sim.net.weather = weather;
        let call = sim.call(alice, "1002");
        sim.run_for(ms(at_ms));
        sim.hang_up(alice, call);
        sim.run_for(secs(60));
        sim.net.weather = Weather::default();
        sim.settle();
        assert!(sim.is_over(call));
    }
}

#[test]
fn a_call_cancelled_at_any_millisecond_over_both_sites_ends_at_both() {
    for at_ms in 0..220 {
        let mut sim = Sim::two_sites(at_ms);
        sim.net.weather.latency = ms(5);
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(B).answers_after(ms(40)).with(|p| p.ring_after = ms(20)).on();
        sim.run_for(secs(1));
        let call = sim.call(alice, "1002");
        sim.run_for(ms(at_ms));
        sim.hang_up(alice, call);
        sim.run_for(secs(5));
        assert!(sim.is_over(call), "hung up after {at_ms} ms");
        assert!(sim.calls(A).is_empty() && sim.calls(B).is_empty(), "hung up after {at_ms} ms");
    }
}
