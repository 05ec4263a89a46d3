//! Overload: when work comes faster than it is done, what matters least is refused early and cheaply, so that calls in
//! progress do not notice (RFC 6357 with local control; RFC 3261 21.5.4).
//!
//! A pressure between 0 and 1000 follows what is measured: it rises while work waits for longer than it may, or a table
//! fills, falls while nothing does, and stays in between. Each class of requests is refused in a share that grows with the
//! pressure, one class after the other: what is sent to chat, calls of strangers, their registrations, then calls of trunks
//! and registered phones, and last registrations of phones that have shown who they are, which have a pace of their own
//! ([`storm`](crate::storm)), those of agents least. What belongs to a dialog, and calls for help, are no class: they always come in.

use std::time::{Duration, Instant};

use crate::limits::{OVERLOAD_STEP, OVERLOAD_TARGET};

/// What a driver knows of the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// For how long messages wait before it reads them; the least of what it has seen since its last word.
    pub waits: Duration,
    /// How full its queue of facts from connections is, percent.
    pub queued_percent: u8,
}

/// What is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burden {
    /// Messages wait for longer than [`OVERLOAD_TARGET`].
    Behind,
    /// The queue of facts from connections.
    Queue,
    /// Outputs wait for records to be committed.
    HeldOutputs,
    /// The table of transactions.
    Transactions,
}

impl std::fmt::Display for Burden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Behind => "messages wait too long",
            Self::Queue => "the queue from connections fills",
            Self::HeldOutputs => "outputs wait for records to be committed",
            Self::Transactions => "the table of transactions fills",
        })
    }
}

/// What a request is worth, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// OPTIONS, SUBSCRIBE and the like.
    Chat,
    /// A call of somebody who has shown nothing yet.
    StrangersCall,
    /// Somebody registers who has shown nothing yet: a phone that comes anew, or anybody.
    StrangersRegistration,
    /// A new call of a trunk or a registered phone.
    Call,
    /// A phone registers that comes by its own flow, or with a nonce of this server.
    Registration,
    /// The phone of an agent who is logged in registers.
    AgentsRegistration,
}

impl Class {
    /// So many of a thousand are refused.
    fn share(self, pressure: u32) -> u32 {
        let above = |least: u32, slope: u32| (pressure.saturating_sub(least) * slope).min(FULL);
        match self {
            Self::Chat => above(0, 4),
            Self::StrangersCall => above(100, 3),
            Self::StrangersRegistration => above(200, 3),
            Self::Call => above(500, 2),
            Self::Registration => above(600, 2),
            Self::AgentsRegistration => above(800, 4),
        }
    }
}

/// All of them.
const FULL: u32 = 1_000;
/// How much the pressure rises in a step for each time that the worst burden is above its limit, at most three.
const RISE: u32 = 20;
/// How much it falls in a step while every burden is below half its limit.
const FALL: u32 = 40;
/// A measurement older than this many steps says nothing any more.
const FRESH: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct Overload {
    pressure: u32,
    /// The worst burden, in percent of its limit, and when it was measured.
    worst: Option<(Burden, u32, Instant)>,
    stepped: Option<Instant>,
    /// What each class is owed, thousandths of a refusal.
    owed: [u32; 6],
    /// What began the shedding that is under way.
    because: Option<Burden>,
    shed: u64,
}

/// The state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Requests are refused from now on.
    Begins(Burden),
    /// They are not any more; so many were.
    Ends(u64),
}

impl Overload {
    /// Takes a measurement: each burden in percent of what is too much.
    pub fn measured(&mut self, burdens: [(Burden, u32); 4], now: Instant) -> Option<Change> {
        // What was measured before counts until now: of the time in between the new measurement says nothing.
        let change = self.step(now);
        let worst = burdens.into_iter().max_by_key(|(_, percent)| *percent);
        self.worst = worst.map(|(burden, percent)| (burden, percent, now));
        change
    }

    /// Whether a request of this class comes in.
    pub fn admits(&mut self, class: Class, now: Instant) -> (bool, Option<Change>) {
        if self.pressure == 0 && self.because.is_none() {
            return (true, None);
        }
        let ended = self.step(now);
        let Some(owed) = self.owed.get_mut(class as usize) else { return (true, ended) };
        *owed += class.share(self.pressure);
        if *owed < FULL {
            return (true, ended);
        }
        *owed -= FULL;
        self.shed += 1;
        (false, ended)
    }

    /// Moves the pressure by the steps that are due.
    fn step(&mut self, now: Instant) -> Option<Change> {
        let mut stepped = *self.stepped.get_or_insert(now);
        let due = now.saturating_duration_since(stepped).as_millis() / OVERLOAD_STEP.as_millis();
        for _ in 0..due.min(u128::from(FULL)) {
            stepped += OVERLOAD_STEP;
            let fresh = self
                .worst
                .filter(|(_, _, at)| stepped.saturating_duration_since(*at) < OVERLOAD_STEP * FRESH);
            let percent = fresh.map_or(0, |(_, percent, _)| percent);
            match percent {
                100.. => self.pressure = (self.pressure + RISE * (percent / 100).min(3)).min(FULL),
                0..50 => self.pressure = self.pressure.saturating_sub(FALL),
                50..100 => {}
            }
        }
        self.stepped = Some(if due > u128::from(FULL) { now } else { stepped });
        match (self.because, self.pressure, self.worst) {
            (None, 1.., Some((burden, ..))) => {
                (self.because, self.shed) = (Some(burden), 0);
                Some(Change::Begins(burden))
            }
            (Some(_), 0, _) => {
                self.because = None;
                self.owed = [0; 6];
                Some(Change::Ends(self.shed))
            }
            (Some(_) | None, _, _) => None,
        }
    }

    /// 0 to 1000.
    #[must_use]
    pub fn pressure(&self) -> u32 {
        self.pressure
    }

    /// What began it, while it is under way.
    #[must_use]
    pub fn because(&self) -> Option<Burden> {
        self.because
    }

    /// Seconds after which somebody may come again who is refused: longer the harder it presses, and spread by `dice`, a
    /// number below [`SPREAD`].
    #[must_use]
    pub fn retry_after_s(&self, dice: u64) -> u64 {
        let base = 2 + u64::from(self.pressure / 100);
        base + base * dice.min(SPREAD) / SPREAD
    }
}

/// Of the dice that spread Retry-After.
pub const SPREAD: u64 = 16;

/// How much of `most` is used, in percent of the half of it that is too much.
#[must_use]
pub fn of_half(used: usize, most: usize) -> u32 {
    u32::try_from(used.saturating_mul(200) / most.max(1)).unwrap_or(u32::MAX)
}

/// How long messages wait, in percent of what is too long.
#[must_use]
pub fn behind(waits: Duration) -> u32 {
    u32::try_from(waits.as_millis() * 100 / OVERLOAD_TARGET.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
mod tests {
    use super::*;

    const STEP: Duration = OVERLOAD_STEP;

    fn burdens(percent: u32) -> [(Burden, u32); 4] {
        [(Burden::Behind, percent), (Burden::Queue, 0), (Burden::HeldOutputs, 0), (Burden::Transactions, 0)]
    }

    /// Measures the same for some steps; what changed.
    fn pass(overload: &mut Overload, now: &mut Instant, percent: u32, steps: u32) -> Vec<Change> {
        let step = |_| {
            *now += STEP;
            overload.measured(burdens(percent), *now)
        };
        (0..steps).filter_map(step).collect()
    }

    /// Refused of a hundred.
    fn refused(overload: &mut Overload, class: Class, now: Instant) -> usize {
        (0..100).filter(|_| !overload.admits(class, now).0).count()
    }

    #[test]
    fn without_load_everything_comes_in() {
        let (mut overload, mut now) = (Overload::default(), Instant::now());
        assert!(pass(&mut overload, &mut now, 99, 1_000).is_empty());
        assert_eq!(refused(&mut overload, Class::Chat, now), 0);
    }

    #[test]
    fn the_least_important_go_first_and_agents_registrations_last() {
        let (mut overload, mut now) = (Overload::default(), Instant::now());
        pass(&mut overload, &mut now, 100, 1);
        let mut before = [0; 6];
        let classes = [
            Class::Chat,
            Class::StrangersCall,
            Class::StrangersRegistration,
            Class::Call,
            Class::Registration,
            Class::AgentsRegistration,
        ];
        for _ in 0..60 {
            pass(&mut overload, &mut now, 100, 1);
            let now_refused = classes.map(|class| refused(&mut overload, class, now));
            assert!(now_refused.is_sorted_by(|a, b| a >= b), "{now_refused:?}");
            assert!(now_refused.iter().zip(before).all(|(now, before)| *now >= before), "{now_refused:?}");
            before = now_refused;
            if now_refused[4] > 0 {
                assert_eq!(now_refused[..3], [100; 3], "phones when nobody else comes in but calls");
            }
        }
        assert_eq!(before, [100, 100, 100, 100, 80, 80]);
    }

    #[test]
    fn it_is_said_once_when_it_begins_and_once_when_it_ends_and_stays_in_between() {
        let (mut overload, mut now) = (Overload::default(), Instant::now());
        pass(&mut overload, &mut now, 0, 1);
        assert_eq!(pass(&mut overload, &mut now, 300, 3), [Change::Begins(Burden::Behind)]);
        pass(&mut overload, &mut now, 75, 1);
        let pressed = overload.pressure();
        assert!(pass(&mut overload, &mut now, 75, 100).is_empty());
        assert_eq!(overload.pressure(), pressed, "neither too much nor at ease");
        let shed = refused(&mut overload, Class::Chat, now) as u64;
        assert_eq!(pass(&mut overload, &mut now, 10, 100), [Change::Ends(shed)]);
        assert_eq!(refused(&mut overload, Class::Chat, now), 0);
    }

    #[test]
    fn a_measurement_that_is_not_repeated_is_forgotten() {
        let (mut overload, mut now) = (Overload::default(), Instant::now());
        pass(&mut overload, &mut now, 300, 20);
        assert_eq!(overload.pressure(), FULL);
        let (admitted, ended) = overload.admits(Class::Chat, now + Duration::from_secs(60));
        assert_eq!((admitted, ended.is_some(), overload.pressure()), (true, true, 0));
    }

    #[test]
    fn a_server_that_stood_still_for_a_while_is_not_overloaded_by_that() {
        let (mut overload, mut now) = (Overload::default(), Instant::now());
        pass(&mut overload, &mut now, 0, 3);
        now += Duration::from_secs(30);
        let changes =
            pass(&mut overload, &mut now, 30_000, 1).into_iter().chain(pass(&mut overload, &mut now, 0, 1));
        assert_eq!((changes.count(), overload.pressure()), (1, 3 * RISE));
    }

    #[test]
    fn the_harder_it_presses_the_later_they_may_come_again_and_not_all_at_once() {
        let (mut overload, mut now) = (Overload::default(), Instant::now());
        assert_eq!((overload.retry_after_s(0), overload.retry_after_s(SPREAD)), (2, 4));
        pass(&mut overload, &mut now, 300, 20);
        assert_eq!((overload.retry_after_s(0), overload.retry_after_s(SPREAD)), (12, 24));
    }
}
