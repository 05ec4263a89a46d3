//! Calls with session timers (RFC 4028) whose server dies, or hands over: whoever refreshes goes on refreshing, in time for
//! the other side, and a far end that is gone is noticed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use tandem_sim::pair::PRIMARY;
use tandem_sim::ua::{Profile, SessionTimers};
use tandem_sim::{A, CallId, Refusal, Setup, Sim, UaId, ms, secs};

/// The agreed interval: refreshes fall due after 45 s, and whoever waits for one has waited for 60 s when he gives up.
const INTERVAL: Duration = secs(90);
const DUE: Duration = secs(45);
const GIVES_UP: Duration = secs(60);

/// How the phones of a call keep their sessions. The callee's is always the server's to refresh.
#[derive(Clone, Copy, Debug)]
struct How {
    caller_refreshes: bool,
    by_update: bool,
}

const HOWS: [How; 4] = [
    How { caller_refreshes: false, by_update: true },
    How { caller_refreshes: false, by_update: false },
    How { caller_refreshes: true, by_update: true },
    How { caller_refreshes: true, by_update: false },
];

struct Two {
    sim: Sim,
    alice: UaId,
    bob: UaId,
    call: CallId,
}

/// Alice and Bob have just begun to talk. Each way of a packet takes 5 ms, the disk 3 ms.
fn talk(seed: u64, how: How, pair: bool) -> Two {
    let pairs = [A].into_iter().filter(|_| pair).collect();
    let setup =
        Setup { sites: 1, challenge_calls: false, session_interval: INTERVAL, pairs, ..Setup::default() };
    let mut sim = Sim::new(seed, setup);
    sim.net.weather.latency = ms(5);
    sim.run_for(ms(600));
    let timers = |p: &mut Profile| {
        let How { caller_refreshes: refreshes, by_update } = how;
        p.session = Some(SessionTimers { interval: INTERVAL, refreshes, by_update });
    };
    let alice = sim.phone("1001").registers_at(A).with(timers).on();
    let bob = sim.phone("1002").registers_at(A).answers_after(ms(50)).with(timers).on();
    sim.run_for(ms(600));
    if !pair {
        let site = sim.site_mut(A).unwrap();
        (site.commit_delay, site.dies_late) = (ms(3), seed % 2 == 1);
    }
    let call = sim.call_answered(alice, "1002");
    Two { sim, alice, bob, call }
}

impl Two {
    fn dies_for(&mut self, gap: Duration) {
        self.sim.crash(A, Refusal::Blackhole);
        self.sim.run_for(gap);
        self.sim.recover(A);
    }

    /// They talk for longer than any session lasts unrefreshed, then the caller hangs up.
    fn talk_on(mut self, what: &str) {
        self.sim.run_for(INTERVAL);
        assert!(self.sim.is_talking(self.call), "{what}: {:?}", self.sim.legs(self.call).collect::<Vec<_>>());
        self.sim.hang_up(self.alice, self.call);
        self.sim.run_for(secs(3));
        assert!(self.sim.is_over(self.call), "{what}");
        assert_eq!(self.sim.cdrs(A).len(), 1, "{what}");
    }
}

#[test]
fn calls_last_as_long_as_their_sessions_are_refreshed() {
    for how in HOWS {
        talk(1, how, false).talk_on(&format!("{how:?}"));
    }
}

#[test]
fn a_call_that_nobody_refreshes_is_ended_by_its_phone() {
    let mut two = talk(1, HOWS[0], false);
    two.sim.crash(A, Refusal::Blackhole);
    two.sim.run_for(GIVES_UP + secs(1));
    assert!(!two.sim.is_talking(two.call), "a phone's timers are no fiction");
}

#[test]
fn bca_12_a_server_that_dies_at_any_step_of_a_refresh_loses_no_call() {
    for how in HOWS {
        for step in 0..24 {
            let mut two = talk(step, how, false);
            // From before the requests of both legs until after their answers, and those of the second leg if they take turns.
            two.sim.run_for(DUE - ms(30) + ms(4 * step) + secs(if step % 3 == 2 { 5 } else { 0 }));
            two.dies_for(ms(700));
            two.talk_on(&format!("{how:?}, step {step}"));
        }
    }
}

#[test]
fn bca_12_a_refresh_that_falls_due_while_no_server_is_there_is_made_up_for_in_time() {
    for how in HOWS {
        // The phone's own INVITE is repeated 7.5 s after it was sent, and then too late.
        let backs = if how.caller_refreshes { [44, 46, 48, 49, 50, 52] } else { [44, 47, 50, 53, 55, 57] };
        for (step, back) in (0..).zip(backs) {
            let mut two = talk(step, how, false);
            let dies = 28 + 3 * step;
            two.sim.run_for(secs(dies));
            two.dies_for(secs(back - dies));
            two.talk_on(&format!("{how:?}, back after {back} s"));
        }
    }
}

#[test]
fn a_call_whose_phone_went_while_no_server_was_there_ends_when_its_session_does() {
    for how in HOWS {
        for caller_goes in [false, true] {
            let mut two = talk(1, how, false);
            two.sim.run_for(secs(30));
            two.sim.crash(A, Refusal::Blackhole);
            let (gone, stays) = if caller_goes { (two.alice, two.bob) } else { (two.bob, two.alice) };
            two.sim.power_off(gone);
            two.sim.run_for(secs(2));
            two.sim.recover(A);
            two.sim.run_for(INTERVAL * 2);
            let left = two.sim.leg_at(stays, two.call).expect("he talked");
            assert!(left.is_over(), "{how:?}, the caller goes: {caller_goes}: {left:?}");
            assert_eq!((two.sim.calls(A).len(), two.sim.cdrs(A).len()), (0, 1), "{how:?}");
        }
    }
}

#[test]
fn bca_12_a_primary_that_dies_or_hands_over_at_any_step_of_a_refresh_loses_no_call() {
    for how in HOWS {
        for step in 0..4 {
            let mut two = talk(step, how, true);
            two.sim.run_for(DUE - ms(10) + ms(11 * step));
            two.sim.pair_mut(A).patience = secs(3);
            if step % 2 == 0 {
                two.sim.kill_server(A, PRIMARY, Refusal::Blackhole);
            } else {
                two.sim.switch_over(A, false).expect("the backup has everything");
            }
            two.talk_on(&format!("{how:?}, step {step}"));
        }
    }
}
