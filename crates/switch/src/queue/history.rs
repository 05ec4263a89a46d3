//! What was decided about each call and each agent: kept as facts, put into words only when somebody asks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{OfferEnd, OverflowWhy};
use crate::limits::{MAX_CALL_STEPS, MAX_EXPLAINED_QUEUED, MAX_OVERFLOWS_AT_ONCE};

/// The latest steps of one call or agent.
#[derive(Clone, Debug)]
pub(super) struct Trace<T> {
    bound: usize,
    steps: VecDeque<(u64, T)>,
}

impl<T> Trace<T> {
    pub fn new(bound: usize) -> Self {
        Self { bound, steps: VecDeque::new() }
    }

    /// Notes a step; the oldest beyond the bound is forgotten.
    pub fn note(&mut self, unix_ms: u64, step: T) {
        if self.steps.len() >= self.bound {
            self.steps.pop_front();
        }
        self.steps.push_back((unix_ms, step));
    }

    pub fn steps(&self) -> impl Iterator<Item = &(u64, T)> {
        self.steps.iter()
    }
}

/// Somebody who might have taken a call, and why he does not.
#[derive(Clone, Debug)]
pub(super) struct Considered {
    pub dn: Arc<str>,
    pub why: Instead,
}

/// Why an available agent was not the one.
#[derive(Clone, Debug)]
pub(super) enum Instead {
    /// The chosen one is idle longer, or has higher skills.
    Later {
        /// His own levels of the wanted skills, where they count.
        level: u32,
        /// Idle since.
        since_unix_ms: u64,
    },
    /// He failed this call.
    FailedIt,
    /// He lacks a further skill that the call wants.
    Lacks { skill: Arc<str>, wanted: u32, has: u32 },
}

/// A step of a call.
#[derive(Clone, Debug)]
pub(super) enum CallStep {
    Arrived {
        at: Arc<str>,
        priority: i32,
        since_unix_ms: u64,
    },
    Waits {
        agents: usize,
        available: usize,
        considered: Box<[Considered]>,
    },
    Offered {
        queue: Arc<str>,
        dn: Arc<str>,
        level: u32,
        idle_since_unix_ms: u64,
        considered: Box<[Considered]>,
    },
    TakenBack {
        dn: Arc<str>,
    },
    Failed {
        dn: Arc<str>,
        why: OfferEnd,
    },
    Answered {
        dn: Arc<str>,
    },
    AskedRouter {
        at: Arc<str>,
    },
    Overflowed {
        at: Arc<str>,
        to: Option<Arc<str>>,
        status: u16,
        why: OverflowWhy,
    },
    Left {
        at: Arc<str>,
    },
}

/// A step of an agent.
#[derive(Clone, Debug)]
pub(super) enum AgentStep {
    Offered {
        conn: u64,
        queue: Arc<str>,
        idle_since_unix_ms: u64,
    },
    Failed {
        conn: u64,
        why: OfferEnd,
    },
    Answered {
        conn: u64,
    },
    /// A call that he could have taken went to another.
    PassedOver {
        conn: u64,
        queue: Arc<str>,
        dn: Arc<str>,
        chosen_since_unix_ms: u64,
        own: Instead,
    },
}

/// Where a call was last sent by overflow.
#[derive(Clone, Debug)]
struct Moved {
    to: Arc<str>,
    since_unix_ms: u64,
    at_once: u32,
}

#[derive(Debug)]
struct Past {
    trace: Trace<CallStep>,
    moved: Option<Moved>,
    here: bool,
}

/// How a call comes to a queue or routing point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    /// When it came to the first that it overflowed from, or else now.
    pub since_unix_ms: u64,
    /// Overflows in a row without any wait before this.
    pub at_once: u32,
}

/// The histories of calls that are at a queue, and of the latest that were.
#[derive(Debug, Default)]
pub(super) struct Histories {
    calls: HashMap<u64, Past, RandomState>,
    over: VecDeque<u64>,
}

impl Histories {
    /// A call comes to a queue or routing point. If it overflowed to this very number, it keeps its place.
    pub fn come(&mut self, conn: u64, at: &Arc<str>, now_unix_ms: u64) -> Coming {
        let fresh = || Past { trace: Trace::new(MAX_CALL_STEPS), moved: None, here: true };
        let past = self.calls.entry(conn).or_insert_with(fresh);
        past.here = true;
        let moved = past.moved.take().filter(|moved| moved.to == *at);
        moved.map_or(Coming { since_unix_ms: now_unix_ms, at_once: 0 }, |moved| Coming {
            since_unix_ms: moved.since_unix_ms,
            at_once: moved.at_once,
        })
    }

    pub fn note(&mut self, conn: u64, unix_ms: u64, step: CallStep) {
        if let Some(past) = self.calls.get_mut(&conn) {
            past.trace.note(unix_ms, step);
        }
    }

    /// The call goes on to `to` with what it brought, unless it has overflowed too often without any wait: `None` then.
    pub fn move_on(
        &mut self,
        conn: u64,
        to: Option<&Arc<str>>,
        coming: Coming,
        waited: bool,
    ) -> Option<Arc<str>> {
        let to = to?;
        let at_once = if waited { 0 } else { coming.at_once + 1 };
        if at_once > MAX_OVERFLOWS_AT_ONCE {
            return None;
        }
        if let Some(past) = self.calls.get_mut(&conn) {
            past.moved = Some(Moved { to: Arc::clone(to), since_unix_ms: coming.since_unix_ms, at_once });
        }
        Some(Arc::clone(to))
    }

    /// The call is at no queue any more. The oldest of these beyond [`MAX_EXPLAINED_QUEUED`] is forgotten.
    pub fn go(&mut self, conn: u64) {
        let Some(past) = self.calls.get_mut(&conn) else { return };
        past.here = false;
        self.over.push_back(conn);
        while self.over.len() > MAX_EXPLAINED_QUEUED
            && let Some(oldest) = self.over.pop_front()
        {
            if self.calls.get(&oldest).is_some_and(|past| !past.here) {
                self.calls.remove(&oldest);
            }
        }
    }

    pub fn steps(&self, conn: u64) -> impl Iterator<Item = &(u64, CallStep)> {
        self.calls.get(&conn).into_iter().flat_map(|past| past.trace.steps())
    }
}
