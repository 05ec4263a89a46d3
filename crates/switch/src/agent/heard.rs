//! What this room was told, in order, for a reference model that runs beside it. Nothing is kept unless somebody listens.

use std::sync::Arc;

use tandem_cti::{KvList, Value, WorkMode};

use super::word::{Login, Work, wrap_up_of};
use super::{Agents, Desk};
use crate::directory::floor::WrapUp;

/// One thing that the room was told, and when.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The moment, ms since the Unix epoch.
    pub unix_ms: u64,
    /// The DN; empty where it is about none.
    pub dn: Arc<str>,
    /// What.
    pub what: What,
    /// Number of the refusal, if it was a request and refused.
    pub refused: Option<u16>,
}

/// See [`Told`].
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each stands for the operation of the room that has its name")]
pub enum What {
    Login {
        agent_id: Arc<str>,
        mode: WorkMode,
        on_call: Option<bool>,
        wrap_up: Option<WrapUp>,
        client: u64,
        in_service: bool,
    },
    Logout {
        asked: bool,
        of_queue: bool,
        on_call: Option<bool>,
    },
    Ready {
        mode: WorkMode,
    },
    NotReady {
        mode: WorkMode,
        wrap_up: Option<WrapUp>,
    },
    Offered {
        conn: u64,
    },
    OfferOver {
        conn: u64,
    },
    NoAnswer,
    Began {
        work: Work,
    },
    Became {
        old: u64,
        work: Work,
    },
    WrapUp {
        conn: u64,
        wrap_up: Option<WrapUp>,
    },
    Established {
        conn: u64,
    },
    Ended {
        conn: u64,
    },
    InService {
        yes: bool,
    },
    Suspended {
        yes: bool,
    },
    ClientGone {
        client: u64,
    },
    Unregistered {
        client: u64,
    },
    Timeout,
    Adopted,
}

impl What {
    pub(super) fn login(login: &Login<'_>) -> Self {
        Self::Login {
            agent_id: login.agent_id.into(),
            mode: login.work_mode,
            on_call: on_call(&login.extensions),
            wrap_up: wrap_up_of(&login.extensions),
            client: login.client,
            in_service: login.in_service,
        }
    }

    pub(super) fn logout(asked: bool, of_queue: bool, extensions: &KvList) -> Self {
        Self::Logout { asked, of_queue, on_call: on_call(extensions) }
    }
}

/// `AgentEmuLoginOnCall`.
fn on_call(extensions: &KvList) -> Option<bool> {
    match extensions.get("AgentEmuLoginOnCall") {
        Some(Value::Int(number)) => Some(*number != 0),
        Some(Value::Text(text)) => text.parse().ok(),
        Some(Value::List(_)) | None => None,
    }
}

impl Agents {
    /// Begins to keep what the room is told, or gives what it was told since.
    #[doc(hidden)]
    pub fn overhear(&mut self) -> Vec<Told> {
        self.heard.replace(Vec::new()).unwrap_or_default()
    }

    pub(super) fn hear(&mut self, desk: &Desk<'_>, dn: &str, what: impl FnOnce() -> What) {
        self.hear_outcome(desk, dn, None, what);
    }

    pub(super) fn hear_outcome(
        &mut self,
        desk: &Desk<'_>,
        dn: &str,
        refused: Option<u16>,
        what: impl FnOnce() -> What,
    ) {
        if let Some(heard) = &mut self.heard {
            heard.push(Told { unix_ms: desk.now.unix_ms, dn: dn.into(), what: what(), refused });
        }
    }
}
