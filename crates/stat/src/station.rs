//! One Extension DN: who is logged in there, and which calls it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tandem_cti::{CallType, WorkMode};

use crate::status::Status;

/// ConnID of a call.
pub type Conn = u64;

/// What an agent told of himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Posture {
    /// Takes calls.
    Ready,
    /// Takes none, in this work mode.
    NotReady(WorkMode),
    /// Wraps up.
    AfterCallWork,
}

impl Posture {
    /// The posture that an `EventAgentNotReady` tells.
    pub fn not_ready(work_mode: Option<WorkMode>) -> Self {
        match work_mode {
            Some(WorkMode::AfterCallWork) => Self::AfterCallWork,
            other => Self::NotReady(other.unwrap_or_default()),
        }
    }

    /// His status if he has no call.
    pub fn status(self) -> Status {
        match self {
            Self::Ready => Status::WaitForNextCall,
            Self::NotReady(_) => Status::NotReadyForNextCall,
            Self::AfterCallWork => Status::AfterCallWork,
        }
    }
}

/// An agent at a DN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// AgentID.
    pub agent: Arc<str>,
    /// Since when, ms.
    pub since_ms: u64,
    /// What he told.
    pub posture: Posture,
    /// Since when, ms.
    pub posture_since_ms: u64,
    /// Why.
    pub reason: Option<String>,
    /// Queues that he named at his login.
    pub queues: Vec<Arc<str>>,
}

/// State of a call at a DN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LegState {
    /// Rings.
    Ringing,
    /// Is being made.
    Dialing,
    /// Is answered.
    Talking,
    /// Is on hold here.
    Held,
}

/// A call at a DN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// ConnID that it began with: a transfer may give it another one.
    pub first_conn: Conn,
    /// State.
    pub state: LegState,
    /// What kind of call.
    pub call_type: CallType,
    /// Queue that it came through.
    pub queue: Option<Arc<str>>,
    /// The other party.
    pub other: Option<Arc<str>>,
    /// Whether it came to the DN; if not, the DN made it.
    pub incoming: bool,
    /// Since when, ms: with its DN and first ConnID it names the leg.
    pub began_ms: u64,
    /// Answered when, ms.
    pub answered_ms: Option<u64>,
    /// On hold since, ms.
    pub held_since_ms: Option<u64>,
    /// Time on hold, without the running one, ms.
    pub held_ms: u64,
    /// How long the caller had waited when it was answered, ms.
    pub waited_ms: Option<u64>,
}

impl Leg {
    fn status(&self) -> Status {
        match self.state {
            LegState::Ringing => Status::CallRinging,
            LegState::Dialing => Status::CallDialing,
            LegState::Talking => Status::talking(self.call_type),
            LegState::Held => Status::CallOnHold,
        }
    }

    /// Time on hold up to `now_ms`.
    pub fn held_until(&self, now_ms: u64) -> u64 {
        let running = self.held_since_ms.map_or(0, |since| now_ms.saturating_sub(since));
        self.held_ms.saturating_add(running)
    }
}

/// An Extension DN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    /// Whether it is in service; `None` until that is told.
    pub in_service: Option<bool>,
    /// Who is logged in.
    pub login: Option<Login>,
    /// Its calls.
    pub legs: BTreeMap<Conn, Leg>,
    /// Status, as it was last worked out.
    pub status: Status,
    /// Since when, ms.
    pub status_since_ms: u64,
}

impl Station {
    /// Works the status out anew; whether it has changed.
    pub fn restate(&mut self, now_ms: u64) -> bool {
        let posture = self.login.as_ref().map_or(Status::LoggedOut, |login| login.posture.status());
        let status = self.legs.values().map(Leg::status).fold(posture, Status::max);
        let changed = status != self.status;
        if changed {
            (self.status, self.status_since_ms) = (status, now_ms);
        }
        changed
    }

    /// Whether it says nothing that a new one would not say.
    pub fn is_bare(&self) -> bool {
        self.login.is_none() && self.legs.is_empty() && self.in_service.is_none() && self.status_since_ms == 0
    }
}
