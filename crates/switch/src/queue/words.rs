//! What the queue room is told and what it tells.

use std::sync::Arc;

use tandem_peer::ChangeLog;

use crate::directory::Directory;
use crate::time::Now;

/// What a change of a queue may look at and write to.
#[derive(Debug)]
pub struct Desk<'a> {
    /// What is configured.
    pub directory: &'a Directory,
    /// Where changes are logged.
    pub log: &'a mut ChangeLog,
    /// The moment.
    pub now: Now,
}

/// A call that comes to a queue or routing point.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The call.
    pub conn: u64,
    /// Queue or routing point.
    pub at: Arc<str>,
    /// `Priority` of its user data; higher first.
    pub priority: i32,
    /// Further skills with minimum levels, from `Skills` of its user data; those beyond
    /// [`crate::limits::MAX_WANTED_SKILLS`] are passed over.
    pub skills: Vec<(Arc<str>, u32)>,
}

/// An agent who may be offered calls.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// His DN.
    pub dn: Arc<str>,
    /// AgentID.
    pub agent_id: Arc<str>,
    /// Queues he named at his login.
    pub queues: Vec<Arc<str>>,
    /// Idle since, ms since the Unix epoch.
    pub idle_since_unix_ms: u64,
}

/// What a queue wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Offer the call to the agent at this DN. Answer with [`Queues::answered`](super::Queues::answered) or
    /// [`Queues::offer_failed`](super::Queues::offer_failed).
    Offer {
        /// The call.
        conn: u64,
        /// The queue.
        queue: Arc<str>,
        /// The agent's DN.
        dn: Arc<str>,
    },
    /// Take the offer back: `agent-no-answer-timeout` is over. Answer with
    /// [`Queues::offer_failed`](super::Queues::offer_failed).
    TakeBack {
        /// The call.
        conn: u64,
        /// The agent's DN.
        dn: Arc<str>,
    },
    /// The call leaves the queue for this destination; `None`: it is refused with this status.
    Overflow {
        /// The call.
        conn: u64,
        /// The queue or routing point.
        from: Arc<str>,
        /// Where to.
        to: Option<Arc<str>>,
        /// SIP status when there is nowhere to go.
        status: u16,
        /// Why.
        why: OverflowWhy,
    },
    /// A routing application is to say where the call goes: `EventRouteRequest`.
    AskRoute {
        /// The call.
        conn: u64,
        /// The routing point.
        at: Arc<str>,
    },
}

/// Why a call leaves a queue by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverflowWhy {
    /// It waited too long.
    Time,
    /// Too many waited already.
    Length,
    /// No agent of the queue is logged in.
    NoAgents,
    /// No routing application is there.
    NoRouter,
    /// The routing application did not answer in time.
    RouterTimeout,
    /// The queue left the configuration.
    Configuration,
}

/// Why an offer came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferEnd {
    /// `agent-no-answer-timeout`.
    NoAnswer,
    /// His phone refused with this status.
    Refused(u16),
    /// His phone could not be reached.
    Unreachable,
    /// He logged out or became NotReady while it rang.
    AgentGone,
}

/// A queue as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its number.
    pub number: Arc<str>,
    /// Calls that wait.
    pub waiting: usize,
    /// Calls that ring at an agent.
    pub offered: usize,
    /// The longest wait now of a call that does not ring, ms since it first came to a queue.
    pub longest_wait_ms: u64,
    /// Agents that serve it and are logged in.
    pub agents: usize,
    /// Of these, available now.
    pub available: usize,
}

/// One step of a call's or an agent's history with queues, for `tandem why` and `tandem agent why`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// When, ms since the Unix epoch.
    pub unix_ms: u64,
    /// What was decided, in words.
    pub text: String,
    /// Whom else it might have been, and why not; bounded.
    pub considered: Vec<String>,
}
