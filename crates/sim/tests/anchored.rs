//! A server dies, or hands over, at every step of a call whose media an engine carries; a server alone and a pair, with an
//! engine that goes on and with one that forgets everything in that moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::time::Duration;

use tandem_sim::pair::{BACKUP, PRIMARY};
use tandem_sim::ua::offer::Direction;
use tandem_sim::{A, CallId, Refusal, Setup, Sim, UaId, ms, secs};

/// What happens to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strike {
    /// A server alone dies and goes on from what it has stored.
    Alone,
    /// The primary of a pair dies.
    Killed,
    /// The primary of a pair hands over.
    Switched,
}

const STRIKES: [Strike; 3] = [Strike::Alone, Strike::Killed, Strike::Switched];

impl Strike {
    /// A pair takes ten times as long to simulate, and is struck at every fifth step.
    fn every(self) -> usize {
        if self == Self::Alone { 1 } else { 5 }
    }
}

struct Two {
    sim: Sim,
    alice: UaId,
    bob: UaId,
    call: CallId,
    strike: Strike,
    /// For whoever reads of a failure.
    step: String,
}

/// Alice calls Bob: he rings after 20 ms and answers after 100 ms. Each way of a packet takes 5 ms, and what the engine
/// says 2 ms.
fn begun(seed: u64, strike: Strike) -> Two {
    let pairs = [A].into_iter().filter(|_| strike != Strike::Alone).collect();
    let setup = Setup { sites: 1, anchored: true, challenge_calls: false, pairs, ..Setup::default() };
    let mut sim = Sim::new(seed, setup);
    sim.net.weather.latency = ms(5);
    sim.run_for(ms(600));
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(A).answers_after(ms(80)).with(|p| p.ring_after = ms(20)).on();
    sim.run_for(secs(1));
    if strike == Strike::Alone {
        let site = sim.site_mut(A).unwrap();
        (site.commit_delay, site.dies_late) = (ms(3), seed % 2 == 1);
        site.recorder.takes_its_time = true;
    } else {
        assert!(sim.is_whole(A), "the pair is whole before anything begins");
    }
    let call = sim.call(alice, "1002");
    Two { sim, alice, bob, call, strike, step: format!("{strike:?}, step {seed}") }
}

/// Asks until it is done: a backup that lacks a record at this moment has it at the next.
fn hand_over(sim: &mut Sim) {
    if sim.serving(A) == Some(PRIMARY) && sim.switch_over(A, false).is_err() {
        sim.at(ms(5), hand_over);
    }
}

impl Two {
    fn strikes(&mut self, forgets: bool) {
        match self.strike {
            Strike::Alone => self.sim.crash(A, Refusal::Blackhole),
            Strike::Killed => {
                self.sim.pair_mut(A).patience = secs(3);
                self.sim.kill_server(A, PRIMARY, Refusal::Refused);
            }
            Strike::Switched => {
                self.sim.pair_mut(A).patience = secs(3);
                hand_over(&mut self.sim);
            }
        }
        if forgets {
            self.sim.lose_engine(A);
            self.sim.engine_works(A);
        }
        if self.strike == Strike::Alone {
            self.sim.run_for(ms(700));
            self.sim.recover(A);
            return;
        }
        self.sim.run_until(secs(4), "the backup serves", |sim| sim.serving(A) == Some(BACKUP));
    }

    fn talk(&self, when: &str) {
        let phases: Vec<_> = self.sim.legs(self.call).map(|(ua, leg)| (ua, leg.phase)).collect();
        let what = format!("{}, {when}: the call goes on, {phases:?}", self.step);
        self.sim.expect(self.sim.is_talking(self.call), &what);
    }

    /// They talk, each by a session of his own at which both ends are described.
    fn are_carried(&self, when: &str) {
        self.talk(when);
        let engine = self.sim.engine(A).unwrap();
        let (sessions, carries) = (engine.legs(), engine.carries());
        let what =
            format!("{}, {when}: {carries} of {sessions} sessions carry media, and should be two", self.step);
        self.sim.expect((sessions, carries) == (2, 2), &what);
    }

    /// Alice holds, Bob takes back.
    fn hold(&mut self, when: &str) {
        for (who, way) in [(self.alice, Direction::SendOnly), (self.bob, Direction::SendRecv)] {
            self.sim.hold(who, self.call, way);
            self.sim.run_for(secs(2));
            self.are_carried(when);
        }
    }

    /// Somebody hangs up: nothing is left anywhere but one record.
    fn ends(mut self, step: u64) {
        let hangs_up = if step % 4 < 2 { self.alice } else { self.bob };
        self.sim.hang_up(hangs_up, self.call);
        self.sim.run_for(secs(3));
        self.leaves_nothing();
    }

    fn leaves_nothing(mut self) {
        let legs: Vec<_> = self.sim.legs(self.call).collect();
        assert!(self.sim.is_over(self.call), "{}: {legs:?}", self.step);
        self.sim.settle();
        assert_eq!(self.sim.engine(A).unwrap().legs(), 0, "{}: sessions are left", self.step);
        let cdrs = self.sim.cdrs(A);
        let uuids: BTreeSet<&str> = cdrs.iter().map(|cdr| &*cdr.call_uuid).collect();
        assert_eq!((cdrs.len(), uuids.len()), (1, 1), "{}: {cdrs:?}", self.step);
    }
}

/// Begins a call and strikes so many ms later, in steps; then they talk as before and hang up.
fn sweep(begins: Duration, steps: u64, wide: u64, forgets: bool, act: impl Fn(&mut Two)) {
    for strike in STRIKES {
        for step in (0..steps).step_by(strike.every()) {
            let mut two = begun(step, strike);
            two.sim.run_for(begins);
            act(&mut two);
            two.sim.run_for(ms(step * wide));
            two.strikes(forgets);
            two.sim.run_for(secs(10));
            two.are_carried("after it");
            two.hold("held and taken back after it");
            two.ends(step);
        }
    }
}

#[test]
fn a_server_that_is_lost_at_any_step_of_the_set_up_of_a_carried_call_connects_it_and_its_media() {
    sweep(ms(6), 26, 5, false, |_| {});
}

#[test]
fn a_server_that_is_lost_at_any_step_of_a_hold_of_a_carried_call_keeps_it_and_its_media() {
    sweep(secs(1), 14, 4, false, |two| two.sim.hold(two.alice, two.call, Direction::SendOnly));
}

#[test]
fn a_carried_call_whose_engine_forgets_it_as_the_server_is_lost_is_given_to_it_again() {
    sweep(secs(1), 3, 40, true, |_| {});
    sweep(secs(1), 14, 4, true, |two| two.sim.hold(two.alice, two.call, Direction::SendRecv));
}

#[test]
fn a_server_that_is_lost_at_any_step_of_the_end_of_a_carried_call_leaves_no_session() {
    for strike in STRIKES {
        for step in (0..14).step_by(strike.every()) {
            let mut two = begun(step, strike);
            two.sim.run_for(secs(1));
            two.are_carried("before it");
            let hangs_up = if step % 4 < 2 { two.alice } else { two.bob };
            two.sim.hang_up(hangs_up, two.call);
            two.sim.run_for(ms(2 * step));
            two.strikes(false);
            two.sim.run_for(secs(40));
            two.leaves_nothing();
        }
    }
}
