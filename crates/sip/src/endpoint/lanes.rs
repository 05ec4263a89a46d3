//! The schedule of all transactions: exact, deterministic, and without dead entries.
//!
//! Nearly every deadline lies one of a dozen fixed durations ahead (T1 doubled up to 64*T1, T2, T4, Timer D, 200 ms).
//! Deadlines of one duration are armed in the order in which they end, so each duration has a queue whose head is its
//! earliest. The rest, such as Timer B once retransmissions have started, is kept in an ordered set. A slot has at
//! most one deadline; disarming unlinks it at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::txn::{TRYING_AFTER, TimerName, Timers};

/// No slot.
const NONE: u32 = u32::MAX;

/// The lane index of what is kept in the ordered set.
const IRREGULAR: u8 = u8::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    at: Instant,
    name: TimerName,
    lane: u8,
    before: u32,
    after: u32,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    ahead: Duration,
    head: u32,
    tail: u32,
}

/// Deadlines of slots.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    irregular: BTreeSet<(Instant, u32)>,
    links: Vec<Option<Link>>,
}

impl Lanes {
    pub(super) fn new(timers: &Timers) -> Self {
        let doubled = (0..=6).map(|n| timers.t1.saturating_mul(1 << n));
        let fixed = [Duration::ZERO, TRYING_AFTER, timers.t2, timers.t4, timers.patience(), timers.timer_d()];
        let mut durations: Vec<Duration> = doubled.chain(fixed).collect();
        durations.sort_unstable();
        durations.dedup();
        let lanes = durations.into_iter().map(|ahead| Lane { ahead, head: NONE, tail: NONE }).collect();
        Lanes { lanes, irregular: BTreeSet::new(), links: Vec::new() }
    }

    /// Gives `slot` this deadline, and no other.
    pub(super) fn arm(&mut self, slot: u32, now: Instant, at: Instant, name: TimerName) {
        self.disarm(slot);
        let ahead = at.saturating_duration_since(now);
        let lane =
            self.lanes.iter().position(|lane| lane.ahead == ahead).filter(|n| self.is_in_order(*n, at));
        let lane = lane.and_then(|n| u8::try_from(n).ok()).unwrap_or(IRREGULAR);
        let mut link = Link { at, name, lane, before: NONE, after: NONE };
        match self.lanes.get_mut(usize::from(lane)) {
            Some(lane) => {
                link.before = std::mem::replace(&mut lane.tail, slot);
                if link.before == NONE {
                    lane.head = slot;
                }
            }
            None => {
                self.irregular.insert((at, slot));
            }
        }
        if let Some(before) = self.link_mut(link.before) {
            before.after = slot;
        }
        let n = slot as usize;
        if n >= self.links.len() {
            self.links.resize(n + 1, None);
        }
        if let Some(entry) = self.links.get_mut(n) {
            *entry = Some(link);
        }
    }

    /// Takes the deadline of `slot` away, if it has one.
    pub(super) fn disarm(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize).and_then(Option::take) else { return };
        let Some(lane) = self.lanes.get_mut(usize::from(link.lane)) else {
            self.irregular.remove(&(link.at, slot));
            return;
        };
        if lane.head == slot {
            lane.head = link.after;
        }
        if lane.tail == slot {
            lane.tail = link.before;
        }
        if let Some(before) = self.link_mut(link.before) {
            before.after = link.after;
        }
        if let Some(after) = self.link_mut(link.after) {
            after.before = link.before;
        }
    }

    /// The deadline of `slot`.
    pub(super) fn deadline(&self, slot: u32) -> Option<(Instant, TimerName)> {
        self.link(slot).map(|link| (link.at, link.name))
    }

    /// The earliest deadline of all, and whose it is. Ties go to the shorter lane, the set last.
    pub(super) fn first(&self) -> Option<(Instant, TimerName, u32)> {
        let mut first: Option<(Instant, TimerName, u32)> = None;
        let irregular = self.irregular.first().map_or(NONE, |(_, slot)| *slot);
        for slot in self.lanes.iter().map(|lane| lane.head).chain([irregular]) {
            let Some(link) = self.link(slot) else { continue };
            if first.is_none_or(|(at, _, _)| link.at < at) {
                first = Some((link.at, link.name, slot));
            }
        }
        first
    }

    /// Whether `at` belongs at the end of the lane. It does unless the caller's clock stepped back.
    fn is_in_order(&self, lane: usize, at: Instant) -> bool {
        self.lanes.get(lane).and_then(|lane| self.link(lane.tail)).is_none_or(|tail| tail.at <= at)
    }

    fn link(&self, slot: u32) -> Option<&Link> {
        self.links.get(slot as usize).and_then(Option::as_ref)
    }

    fn link_mut(&mut self, slot: u32) -> Option<&mut Link> {
        self.links.get_mut(slot as usize).and_then(Option::as_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
        Instant::now()
    }

    proptest! {
        /// Whatever is armed and disarmed, the first deadline is that of a plain list.
        #[test]
        fn the_first_deadline_is_always_the_earliest_one(
            steps in proptest::collection::vec((0u32..12, 0u8..9, 0u64..700), 1..200)
        ) {
            let timers = Timers::default();
            let mut lanes = Lanes::new(&timers);
            let mut model: Vec<Option<Instant>> = vec![None; 12];
            let mut now = start();
            for (slot, what, gap) in steps {
                now += Duration::from_millis(gap);
                let at = match what {
                    0 => None,
                    1 => Some(now + timers.t4),
                    2 => Some(now + timers.patience()),
                    3 => Some(now + Duration::from_millis(gap * 7)),
                    4 => Some(now - Duration::from_millis(gap)),
                    _ => Some(now + timers.t1),
                };
                match at {
                    Some(at) => lanes.arm(slot, now, at, TimerName::A),
                    None => lanes.disarm(slot),
                }
                model[slot as usize] = at;
                prop_assert_eq!(lanes.first().map(|(at, _, _)| at), model.iter().flatten().min().copied());
            }
        }
    }
}
