//! Deadlines of calls at queues and routing points.

use std::collections::BTreeSet;

use crate::time::Deadline;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// `max-wait` of its queue.
    MaxWait,
    /// `router-timeout`.
    Router,
    /// `agent-no-answer-timeout` of the agent at whom it rings.
    NoAnswer,
    /// The pause after a failed offer.
    Pause,
}

/// What a call has running, ms since the Unix epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Due {
    max_wait: Option<u64>,
    router: Option<u64>,
    no_answer: Option<u64>,
    pause: Option<u64>,
}

impl Due {
    fn slot(&mut self, timer: Timer) -> &mut Option<u64> {
        match timer {
            Timer::MaxWait => &mut self.max_wait,
            Timer::Router => &mut self.router,
            Timer::NoAnswer => &mut self.no_answer,
            Timer::Pause => &mut self.pause,
        }
    }
}

/// Every deadline that runs, soonest first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    running: BTreeSet<(u64, Timer, u64)>,
}

impl Timers {
    /// Sets a call's timer, or stops it.
    pub fn set(&mut self, conn: u64, due: &mut Due, timer: Timer, unix_ms: Option<u64>) {
        let slot = due.slot(timer);
        if let Some(before) = std::mem::replace(slot, unix_ms) {
            self.running.remove(&(before, timer, conn));
        }
        if let Some(unix_ms) = unix_ms {
            self.running.insert((unix_ms, timer, conn));
        }
    }

    /// Stops all of a call's timers.
    pub fn stop(&mut self, conn: u64, due: &mut Due) {
        for timer in [Timer::MaxWait, Timer::Router, Timer::NoAnswer, Timer::Pause] {
            self.set(conn, due, timer, None);
        }
    }

    /// Takes the first that is due. Its call's [`Due`] still names it, to be set anew or stopped.
    pub fn pop(&mut self, now_unix_ms: u64) -> Option<(Timer, u64)> {
        let (unix_ms, timer, conn) = *self.running.first()?;
        if unix_ms > now_unix_ms {
            return None;
        }
        self.running.pop_first();
        Some((timer, conn))
    }

    pub fn next(&self) -> Option<Deadline> {
        self.running.first().map(|(unix_ms, ..)| Deadline::at_unix_ms(*unix_ms))
    }
}
