//! One ACD Queue: its calls in order, and the agents who could take one now.
//!
//! Calls that want the same further skills form a class. A class keeps its calls in the order in which they are served
//! and the available agents who fit it in the order in which they are taken, so that both "who takes this call" and
//! "which call does he take" are found at the front of a set.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::idle::Agent;
use crate::directory::floor::{Distribution, Queue, Skills};
use crate::limits::MAX_QUEUED;

/// Skills by name, none twice.
pub(super) type Wanted = Vec<(Arc<str>, u32)>;

/// Where a call stands in its queue: its own priority first, then first come, first served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub priority: Reverse<i32>,
    pub since_unix_ms: u64,
    /// Counts arrivals, for those of one millisecond.
    pub seq: u64,
    pub conn: u64,
}

/// Where a call stands among the calls of several queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Urgency {
    priority: Reverse<i32>,
    queue: Reverse<i32>,
    since_unix_ms: u64,
    seq: u64,
    conn: u64,
}

impl Urgency {
    /// The call.
    pub fn conn(&self) -> u64 {
        self.conn
    }
}

/// Where an available agent stands among those who could take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    /// Sum of his levels of the wanted skills where the queue takes the highest first; else 0.
    pub level: Reverse<u32>,
    pub idle_since_unix_ms: u64,
    /// Counts how agents became available, for those of one millisecond.
    pub seq: u64,
    /// His slot.
    pub slot: usize,
}

/// What of a [`Queue`] its calls are handled by.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub number: Arc<str>,
    pub skills: Skills,
    distribution: Distribution,
    priority: i32,
    max_length: usize,
    max_wait: Duration,
    pub overflow_without_agents: bool,
    pub overflow: Option<Arc<str>>,
}

impl From<&Queue> for Rules {
    fn from(queue: &Queue) -> Self {
        Self {
            number: Arc::clone(&queue.number),
            skills: queue.skills.clone(),
            distribution: queue.distribution,
            priority: queue.priority,
            max_length: queue.max_length,
            max_wait: queue.max_wait,
            overflow_without_agents: queue.overflow_without_agents,
            overflow: queue.overflow.clone(),
        }
    }
}

/// Calls that want the same further skills, and who could take them now.
#[derive(Debug, Default)]
pub(super) struct Class {
    pub wanted: Wanted,
    pub waiting: BTreeSet<Rank>,
    pub idle: BTreeSet<Seat>,
    /// Calls of this class that wait or ring.
    calls: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Line {
    pub rules: Rules,
    /// The first is of calls that want no further skill: every available agent of the queue is in it.
    pub classes: Vec<Class>,
    /// Every call that waits.
    pub order: BTreeSet<Rank>,
    /// Agents that serve it and are logged in.
    pub agents: usize,
    /// Every call that rings at an agent.
    pub ringing: BTreeSet<Rank>,
    /// It left the configuration; calls that still ring belong to it.
    pub gone: bool,
}

impl Line {
    pub fn new(rules: Rules) -> Self {
        let classes = vec![Class::default()];
        Self { rules, classes, order: BTreeSet::new(), agents: 0, ringing: BTreeSet::new(), gone: false }
    }

    /// Whether no further call may wait.
    pub fn is_full(&self) -> bool {
        let bound = match self.rules.max_length {
            0 => MAX_QUEUED,
            length => length.min(MAX_QUEUED),
        };
        self.order.len() >= bound
    }

    /// Whether its calls leave it for want of anybody who is logged in.
    pub fn is_unattended(&self) -> bool {
        self.rules.overflow_without_agents && self.agents == 0
    }

    /// When a call that came at this moment has waited too long, ms since the Unix epoch.
    pub fn waits_until(&self, entered_unix_ms: u64) -> Option<u64> {
        let wait = u64::try_from(self.rules.max_wait.as_millis()).unwrap_or(u64::MAX);
        (wait != 0).then(|| entered_unix_ms.saturating_add(wait))
    }

    pub fn urgency(&self, rank: Rank) -> Urgency {
        let Rank { priority, since_unix_ms, seq, conn } = rank;
        Urgency { priority, queue: Reverse(self.rules.priority), since_unix_ms, seq, conn }
    }

    /// Where this agent stands for calls of this class; `None` if he lacks a skill that they want.
    pub fn seat(&self, class: &Class, agent: &Agent, slot: usize) -> Option<Seat> {
        let idle = agent.idle?;
        let level = match self.rules.distribution {
            Distribution::LongestIdle => 0,
            Distribution::HighestSkill => self.level(class, agent),
        };
        let fits = agent.lacks(&class.wanted).is_none();
        fits.then_some(Seat {
            level: Reverse(level),
            idle_since_unix_ms: idle.since_unix_ms,
            seq: idle.seq,
            slot,
        })
    }

    fn level(&self, class: &Class, agent: &Agent) -> u32 {
        let own = self.rules.skills.keys();
        let further = class.wanted.iter().map(|(name, _)| name);
        let further = further.filter(|name| !self.rules.skills.contains_key(*name));
        own.chain(further).fold(0, |sum: u32, name| sum.saturating_add(agent.level(name)))
    }

    /// The agent is available: he takes his seat in every class that he fits.
    pub fn sit(&mut self, agent: &Agent, slot: usize) {
        self.with_seats(agent, slot, |class, seat| {
            class.idle.insert(seat);
        });
    }

    /// He leaves his seats. Call it before anything that they follow from changes.
    pub fn stand(&mut self, agent: &Agent, slot: usize) {
        self.with_seats(agent, slot, |class, seat| {
            class.idle.remove(&seat);
        });
    }

    fn with_seats(&mut self, agent: &Agent, slot: usize, mut act: impl FnMut(&mut Class, Seat)) {
        for number in 0..self.classes.len() {
            let seat = self.classes.get(number).and_then(|class| self.seat(class, agent, slot));
            if let (Some(seat), Some(class)) = (seat, self.classes.get_mut(number)) {
                act(class, seat);
            }
        }
    }

    /// What of these skills its own minimum levels do not imply already.
    fn further(&self, skills: &[(Arc<str>, u32)]) -> Wanted {
        let implied =
            |name: &Arc<str>, level: u32| level <= self.rules.skills.get(name).copied().unwrap_or(0);
        skills.iter().filter(|(name, level)| !implied(name, *level)).cloned().collect()
    }

    /// The class of calls that want these skills, and whether it has just been made; `None` when `bound` others have
    /// calls. A new one has nobody seated yet.
    pub fn class_of(&mut self, skills: &[(Arc<str>, u32)], bound: usize) -> Option<(usize, bool)> {
        let wanted = self.further(skills);
        if let Some(known) = self.classes.iter().position(|class| class.wanted == wanted) {
            return Some((known, false));
        }
        let class = Class { wanted, ..Class::default() };
        if self.classes.len() < bound {
            self.classes.push(class);
            return Some((self.classes.len() - 1, true));
        }
        let unused = self.classes.iter().skip(1).position(|class| class.calls == 0)? + 1;
        *self.classes.get_mut(unused)? = class;
        Some((unused, true))
    }

    /// A call belongs to the class from now on, whether it waits or rings.
    pub fn join(&mut self, class: usize) {
        if let Some(class) = self.classes.get_mut(class) {
            class.calls += 1;
        }
    }

    /// It does not any more.
    pub fn part(&mut self, class: usize) {
        if let Some(class) = self.classes.get_mut(class) {
            class.calls = class.calls.saturating_sub(1);
        }
    }

    /// A call waits.
    pub fn wait(&mut self, class: usize, rank: Rank) {
        self.order.insert(rank);
        if let Some(class) = self.classes.get_mut(class) {
            class.waiting.insert(rank);
        }
    }

    /// It does not wait any more.
    pub fn stop_waiting(&mut self, class: usize, rank: Rank) {
        self.order.remove(&rank);
        if let Some(class) = self.classes.get_mut(class) {
            class.waiting.remove(&rank);
        }
    }

    /// Available agents.
    pub fn available(&self) -> usize {
        self.classes.first().map_or(0, |class| class.idle.len())
    }

    /// When the call that waits longest came, ms since the Unix epoch. Looks at the first call of each priority.
    pub fn oldest_unix_ms(&self) -> Option<u64> {
        let mut oldest = None;
        let mut head = self.order.first().copied();
        while let Some(rank) = head {
            oldest = Some(oldest.map_or(rank.since_unix_ms, |ms: u64| ms.min(rank.since_unix_ms)));
            let last = Rank { since_unix_ms: u64::MAX, seq: u64::MAX, conn: u64::MAX, ..rank };
            head = self.order.range(last..).next().copied();
        }
        oldest
    }
}

/// Place of an entry in an ordered set, from 1. Walks from the nearer end.
pub(super) fn place_in<T: Ord>(set: &BTreeSet<T>, entry: &T) -> Option<usize> {
    if !set.contains(entry) {
        return None;
    }
    let mut before = set.range(..entry);
    let mut from = set.range(entry..);
    let mut steps = 0;
    loop {
        if before.next_back().is_none() {
            return Some(steps + 1);
        }
        if from.next().is_none() {
            return Some(set.len() + 1 - steps);
        }
        steps += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_from_one_from_either_end() {
        let set: BTreeSet<u32> = (10..17).collect();
        let places: Vec<_> = (9..18).map(|n| place_in(&set, &n)).collect();
        let expected = [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(7), None];
        assert_eq!(places, expected);
    }
}
