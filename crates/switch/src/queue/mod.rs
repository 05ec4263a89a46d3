//! ACD Queues and Routing Points: calls that wait, and whom they are offered to.

use std::sync::Arc;

use tandem_peer::ChangeLog;

use crate::directory::Directory;
use crate::time::{Deadline, Now};

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
    /// Further skills with minimum levels, from `Skills` of its user data.
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
    /// Offer the call to the agent at this DN. Answer with [`Queues::answered`] or [`Queues::offer_failed`].
    Offer {
        /// The call.
        conn: u64,
        /// The queue.
        queue: Arc<str>,
        /// The agent's DN.
        dn: Arc<str>,
    },
    /// Take the offer back: `agent-no-answer-timeout` is over. Answer with [`Queues::offer_failed`].
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
    /// The longest wait now, ms.
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

/// See the module.
#[derive(Debug, Default)]
pub struct Queues {}

impl Queues {
    /// Takes a new configuration.
    pub fn adopt(&mut self, _desk: &mut Desk<'_>) {}

    /// A call comes to a queue or routing point.
    pub fn arrive(&mut self, _desk: &mut Desk<'_>, _arrival: Arrival) {}

    /// The call is gone (abandoned, released, redirected, routed).
    pub fn leave(&mut self, _desk: &mut Desk<'_>, _conn: u64) {}

    /// The offered agent answered: the call leaves the queue.
    pub fn answered(&mut self, _desk: &mut Desk<'_>, _conn: u64) {}

    /// The offer came to nothing: the call is back where it was, at the head.
    pub fn offer_failed(&mut self, _desk: &mut Desk<'_>, _conn: u64, _why: OfferEnd) {}

    /// How many routing applications have registered a routing point.
    pub fn routers(&mut self, _desk: &mut Desk<'_>, _point: &str, _count: usize) {}

    /// An agent is logged in; he counts as one of his queues' agents.
    pub fn agent_in(&mut self, _desk: &mut Desk<'_>, _agent: Candidate) {}

    /// He is not any more.
    pub fn agent_out(&mut self, _desk: &mut Desk<'_>, _dn: &str) {}

    /// An agent may be offered calls.
    pub fn available(&mut self, _desk: &mut Desk<'_>, _agent: Candidate) {}

    /// He may not.
    pub fn unavailable(&mut self, _desk: &mut Desk<'_>, _dn: &str) {}

    /// Place of a call in its queue, from 1; `None` if it does not wait.
    #[must_use]
    pub fn place(&self, _conn: u64) -> Option<usize> {
        None
    }

    /// Every queue and routing point, by number.
    #[must_use]
    pub fn list(&self, _directory: &Directory, _now: Now) -> Vec<View> {
        Vec::new()
    }

    /// Why a call waits or went where it went.
    #[must_use]
    pub fn why_call(&self, _conn: u64) -> Vec<Explained> {
        Vec::new()
    }

    /// Why an agent has not been offered a call, now and lately.
    #[must_use]
    pub fn why_agent(&self, _dn: &str, _directory: &Directory, _now: Now) -> Vec<Explained> {
        Vec::new()
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, _desk: &mut Desk<'_>) {}

    /// When the next timer is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        None
    }

    /// What is to be done, oldest first, until there is nothing.
    pub fn poll_wish(&mut self) -> Option<Wish> {
        None
    }
}
