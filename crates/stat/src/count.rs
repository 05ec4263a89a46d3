//! Counts of one object: since the first start, since midnight, and of the last minutes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::{RECENT_CALLS, WINDOW_MIN};

/// What happened once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta {
    /// A call entered the queue, or rang at the agent.
    Offered,
    /// It was answered.
    Handled {
        /// How long the caller waited; not known if nobody looked when it was answered.
        wait_ms: Option<u64>,
        /// Whether that was within the queue's threshold; `None` for calls without a queue.
        within: Option<bool>,
    },
    /// The caller gave up.
    Abandoned {
        /// How long he waited.
        wait_ms: u64,
        /// Whether that was within the queue's threshold.
        within: Option<bool>,
    },
    /// The call left the queue for somewhere else than an agent.
    Diverted,
    /// It was gone when the service saw the queue again, and nobody can say how.
    Unseen,
    /// It rang at the agent and was taken away unanswered.
    Missed,
    /// The agent made a call.
    Made,
    /// A call that was answered is over.
    Talked(u64),
    /// After-call work is over.
    WrappedUp(u64),
}

/// Counts and sums over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Calls that entered the queue, or rang at the agent.
    pub offered: u64,
    /// Answered ones.
    pub handled: u64,
    /// Ones whose caller gave up.
    pub abandoned: u64,
    /// Ones that left the queue for somewhere else than an agent: overflow, or a route to another DN.
    pub diverted: u64,
    /// Ones of which it is not known how they left, because the service was cut off.
    pub unseen: u64,
    /// Ones that rang at the agent and were taken away unanswered.
    pub missed: u64,
    /// Calls that the agent made.
    pub made: u64,
    /// Answered within the queue's threshold.
    pub within: u64,
    /// What the service level is a part of: answered ones, and those abandoned after the threshold.
    pub leveled: u64,
    /// Answered calls whose wait is known.
    pub waits: u64,
    /// Sum of their waits, ms.
    pub wait_ms: u64,
    /// Longest wait of an answered or abandoned call, ms.
    pub longest_wait_ms: u64,
    /// Answered calls that are over.
    pub talks: u64,
    /// Sum of their times from answer to end, ms.
    pub talk_ms: u64,
    /// Sum of after-call work, ms.
    pub wrap_up_ms: u64,
}

impl Counts {
    fn add(&mut self, delta: Delta) {
        match delta {
            Delta::Offered => self.offered += 1,
            Delta::Handled { wait_ms, within } => {
                self.handled += 1;
                if let Some(wait_ms) = wait_ms {
                    self.waits += 1;
                    self.wait_ms = self.wait_ms.saturating_add(wait_ms);
                    self.longest_wait_ms = self.longest_wait_ms.max(wait_ms);
                }
                if let Some(within) = within {
                    self.leveled += 1;
                    self.within += u64::from(within);
                }
            }
            Delta::Abandoned { wait_ms, within } => {
                self.abandoned += 1;
                self.longest_wait_ms = self.longest_wait_ms.max(wait_ms);
                self.leveled += u64::from(within == Some(false));
            }
            Delta::Diverted => self.diverted += 1,
            Delta::Unseen => self.unseen += 1,
            Delta::Missed => self.missed += 1,
            Delta::Made => self.made += 1,
            Delta::Talked(ms) => {
                self.talks += 1;
                self.talk_ms = self.talk_ms.saturating_add(ms);
            }
            Delta::WrappedUp(ms) => self.wrap_up_ms = self.wrap_up_ms.saturating_add(ms),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.offered += other.offered;
        self.handled += other.handled;
        self.abandoned += other.abandoned;
        self.diverted += other.diverted;
        self.unseen += other.unseen;
        self.missed += other.missed;
        self.made += other.made;
        self.within += other.within;
        self.leveled += other.leveled;
        self.waits += other.waits;
        self.wait_ms = self.wait_ms.saturating_add(other.wait_ms);
        self.longest_wait_ms = self.longest_wait_ms.max(other.longest_wait_ms);
        self.talks += other.talks;
        self.talk_ms = self.talk_ms.saturating_add(other.talk_ms);
        self.wrap_up_ms = self.wrap_up_ms.saturating_add(other.wrap_up_ms);
    }

    /// Answered within the threshold, of the answered and those abandoned after it; `None` before there was one.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
    pub fn service_level(&self) -> Option<f64> {
        (self.leveled > 0).then(|| self.within as f64 / self.leveled as f64)
    }

    /// Mean wait of answered calls, ms.
    #[must_use]
    pub fn average_wait_ms(&self) -> Option<u64> {
        self.wait_ms.checked_div(self.waits)
    }

    /// Mean time from answer to end and its share of after-call work, ms.
    #[must_use]
    pub fn average_handle_ms(&self) -> Option<u64> {
        self.talk_ms.saturating_add(self.wrap_up_ms).checked_div(self.talks)
    }
}

/// Counts of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Since the first start.
    pub total: Counts,
    day_no: u64,
    day: Counts,
    /// Minutes since the epoch in which something happened, the oldest first; at most an hour of them.
    minutes: VecDeque<(u64, Counts)>,
    /// Times from answer to end of the last answered calls, ms.
    recent_ms: VecDeque<u64>,
}

/// Number of the local day of a time.
pub fn day_of(unix_ms: u64, utc_offset_min: i32) -> u64 {
    let offset_ms = i64::from(utc_offset_min) * 60_000;
    unix_ms.saturating_add_signed(offset_ms) / 86_400_000
}

impl Tally {
    /// Counts what happened at `unix_ms`, which is on day `day_no`.
    pub fn add(&mut self, unix_ms: u64, day_no: u64, delta: Delta) {
        self.total.add(delta);
        if day_no > self.day_no {
            (self.day_no, self.day) = (day_no, Counts::default());
        }
        if day_no == self.day_no {
            self.day.add(delta);
        }
        let minute = unix_ms / 60_000;
        match self.minutes.iter_mut().rev().find(|(at, _)| *at <= minute) {
            Some((at, counts)) if *at == minute => counts.add(delta),
            Some(_) | None => {
                let mut counts = Counts::default();
                counts.add(delta);
                let place = self.minutes.partition_point(|(at, _)| *at < minute);
                self.minutes.insert(place, (minute, counts));
            }
        }
        let newest = self.minutes.back().map_or(minute, |(at, _)| *at);
        while self.minutes.front().is_some_and(|(at, _)| at + WINDOW_MIN <= newest) {
            self.minutes.pop_front();
        }
        if let Delta::Talked(ms) = delta {
            if self.recent_ms.len() >= RECENT_CALLS {
                self.recent_ms.pop_front();
            }
            self.recent_ms.push_back(ms);
        }
    }

    /// Since midnight of the day.
    pub fn today(&self, day_no: u64) -> Counts {
        if day_no == self.day_no { self.day } else { Counts::default() }
    }

    /// Of the running minute and the ones before it, `length` together.
    pub fn last(&self, now_ms: u64, length: u64) -> Counts {
        let minute = now_ms / 60_000;
        let mut sum = Counts::default();
        for (_, counts) in self.minutes.iter().filter(|(at, _)| at + length > minute) {
            sum.merge(counts);
        }
        sum
    }

    /// Whether a window holds anything that the passing of time takes out of it.
    pub fn fades(&self) -> bool {
        !self.minutes.is_empty()
    }

    /// Mean time from answer to end of the last calls.
    pub fn recent_talk_ms(&self) -> Option<u64> {
        self.recent_ms.iter().sum::<u64>().checked_div(self.recent_ms.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn a_window_forgets_and_a_day_begins_at_local_midnight() {
        let mut tally = Tally::default();
        tally.add(10 * MINUTE, 0, Delta::Offered);
        tally.add(20 * MINUTE, 0, Delta::Offered);
        assert_eq!(tally.last(20 * MINUTE, 15).offered, 2);
        assert_eq!(tally.last(24 * MINUTE, 15).offered, 2);
        assert_eq!(tally.last(25 * MINUTE, 15).offered, 1);
        assert_eq!(tally.last(79 * MINUTE, 60).offered, 1);
        assert_eq!(tally.last(80 * MINUTE, 60).offered, 0);
        assert_eq!((tally.today(0).offered, tally.today(1).offered), (2, 0));
        assert_eq!(day_of(86_400_000 - MINUTE, 60), 1);
        assert_eq!(day_of(86_400_000 + 30 * MINUTE, -60), 0);
    }

    #[test]
    fn a_window_stays_small() {
        let mut tally = Tally::default();
        for minute in 0..10_000 {
            tally.add(minute * MINUTE, 0, Delta::Talked(1));
        }
        assert_eq!(tally.minutes.len() as u64, WINDOW_MIN);
        assert_eq!(tally.recent_ms.len(), RECENT_CALLS);
        assert_eq!(tally.total.talks, 10_000);
    }

    #[test]
    fn the_service_level_leaves_out_who_gave_up_early() {
        let mut counts = Counts::default();
        assert_eq!(counts.service_level(), None);
        counts.add(Delta::Handled { wait_ms: Some(5_000), within: Some(true) });
        counts.add(Delta::Handled { wait_ms: Some(25_000), within: Some(false) });
        counts.add(Delta::Abandoned { wait_ms: 2_000, within: Some(true) });
        assert_eq!(counts.service_level(), Some(0.5));
        counts.add(Delta::Abandoned { wait_ms: 60_000, within: Some(false) });
        counts.add(Delta::Handled { wait_ms: Some(0), within: Some(true) });
        assert_eq!(counts.service_level(), Some(0.5));
        assert_eq!(counts.average_wait_ms(), Some(10_000));
        assert_eq!(counts.longest_wait_ms, 60_000);
    }

    #[test]
    fn a_wait_that_is_not_known_does_not_shorten_the_average() {
        let mut counts = Counts::default();
        counts.add(Delta::Handled { wait_ms: Some(8_000), within: Some(true) });
        counts.add(Delta::Handled { wait_ms: None, within: None });
        assert_eq!(counts.average_wait_ms(), Some(8_000));
        assert_eq!((counts.handled, counts.leveled), (2, 1));
    }
}
