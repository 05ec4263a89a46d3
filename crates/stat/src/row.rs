//! Rows of history. A row's `id` follows from the facts alone, so that the same fact told twice is one row.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tandem_cti::CallType;

/// How a call's stay at a DN ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Answered and over; at a queue: answered by an agent.
    Handled,
    /// The caller gave up.
    Abandoned,
    /// Rang, and was taken away unanswered.
    Missed,
    /// The DN made a call that was not answered.
    Unanswered,
    /// Left the queue for somewhere else than an agent.
    Diverted,
    /// Gone when the service saw the DN again; when and how is not known.
    Unseen,
}

/// One row of history. Times are ms since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "kebab-case")]
pub enum Row {
    /// An agent was in a state.
    AgentState {
        /// `state:SITE:DN:AGENT:FROM`.
        id: String,
        /// Site.
        site: Arc<str>,
        /// DN of the login.
        dn: Arc<str>,
        /// AgentID.
        agent: Arc<str>,
        /// `Ready`, `NotReady` or `AfterCallWork`.
        state: Arc<str>,
        /// Work mode of NotReady.
        work_mode: Option<Arc<str>>,
        /// Why.
        reason: Option<String>,
        /// Beginning of the login.
        login_unix_ms: u64,
        /// Beginning of the state.
        from_unix_ms: u64,
        /// Its end.
        to_unix_ms: u64,
    },
    /// A call was at a DN.
    CallSegment {
        /// `segment:SITE:CONNID:DN:FROM`, with the ConnID that it began with.
        id: String,
        /// Site.
        site: Arc<str>,
        /// DN: an Extension, queue or routing point.
        dn: Arc<str>,
        /// ConnID.
        conn_id: String,
        /// Agent who was logged in at its end.
        agent: Option<Arc<str>>,
        /// Queue that it came through.
        queue: Option<Arc<str>>,
        /// The other party.
        other: Option<Arc<str>>,
        /// What kind of call; not told of calls in queues.
        call_type: Option<CallType>,
        /// Beginning: rang, dialled, or entered the queue.
        from_unix_ms: u64,
        /// Answered.
        answered_unix_ms: Option<u64>,
        /// End.
        to_unix_ms: u64,
        /// How long the caller had waited when it was answered or he gave up.
        wait_ms: Option<u64>,
        /// Time on hold.
        hold_ms: u64,
        /// How it ended.
        outcome: Outcome,
    },
}

impl Row {
    /// Its id: the same for the same fact, whoever tells it and however often.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::AgentState { id, .. } | Self::CallSegment { id, .. } => id,
        }
    }

    /// `agent-state` or `call-segment`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AgentState { .. } => "agent-state",
            Self::CallSegment { .. } => "call-segment",
        }
    }

    /// When it was complete, ms since the Unix epoch.
    #[must_use]
    pub fn to_unix_ms(&self) -> u64 {
        match self {
            Self::AgentState { to_unix_ms, .. } | Self::CallSegment { to_unix_ms, .. } => *to_unix_ms,
        }
    }
}
