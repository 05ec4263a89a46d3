//! Calls as the T-Library sees them: a ConnID and its parties, whatever the dialogs beneath do.
//!
//! Facts of the call room come in by [`TCalls::news`], requests of clients by [`TCalls::request`]; what follows leaves by
//! [`TCalls::poll`] and [`TCalls::poll_order`]. A call that comes in on a Trunk is `Inbound`, the peer's included.

mod compound;
mod conference;
mod data;
mod events;
mod facts;
mod happening;
mod lamps;
mod leaving;
mod news;
mod order;
mod party;
mod query;
mod record;
mod requests;

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;
use tandem_cti::{ErrorCode, Refusal};
use tandem_peer::{ChangeLog, Replicated};

pub use happening::Happening;
pub use lamps::Beneath;
pub use order::{Dialled, NOBODY, Order};
pub use party::{Leg, Party};
pub use record::TCall;

use crate::arena::Key;
use crate::directory::Directory;
use crate::time::Now;
use events::{Out, Sight};

/// What a change of a call may look at and write to.
pub struct Desk<'a> {
    /// What is configured.
    pub directory: &'a Directory,
    /// Where changes are logged.
    pub log: &'a mut ChangeLog,
    /// The moment.
    pub now: Now,
    /// Whether anybody hears the events of a DN; those that nobody hears are not built.
    pub watched: &'a dyn Fn(&str) -> bool,
}

impl fmt::Debug for Desk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Desk<'_> {
    fn sight(&self) -> Sight<'_> {
        Sight { directory: self.directory, watched: self.watched }
    }
}

/// A call, before and after it is worth storing.
#[derive(Debug)]
enum Slot {
    /// Nobody has answered yet, nor heard of it.
    Early(Box<TCall>),
    /// Somebody has.
    Stored(Box<Replicated<TCall>>),
}

impl Slot {
    fn call(&self) -> &TCall {
        match self {
            Self::Early(call) => call,
            Self::Stored(call) => call,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct TCalls {
    high: u32,
    last_conn: u32,
    last_record: u32,
    calls: HashMap<u64, Slot, RandomState>,
    keys: HashMap<Key, u64, RandomState>,
    out: Out,
}

impl TCalls {
    /// No calls. `high` is the upper half of every ConnID that is given out: random, so that two incarnations of a
    /// server, or two servers, do not give out the same.
    #[must_use]
    pub fn new(high: u32) -> Self {
        Self { high, ..Self::default() }
    }

    /// What follows, oldest first.
    pub fn poll(&mut self) -> Option<Happening> {
        self.out.happenings.pop_front()
    }

    /// The next order that follows from a request or from what became of it. Its outcome is told by
    /// [`TCalls::done`], unless its ticket is [`NOBODY`]'s.
    pub fn poll_order(&mut self) -> Option<Order> {
        self.out.orders.pop_front()
    }

    /// Calls, keys that lead to them, and requests that wait for an outcome.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.calls.len(), self.keys.len(), self.out.pending.len())
    }

    fn call(&self, conn: u64) -> Option<&TCall> {
        self.calls.get(&conn).map(Slot::call)
    }

    fn new_conn(&mut self) -> u64 {
        loop {
            self.last_conn = self.last_conn.wrapping_add(1);
            let conn = u64::from(self.high) << 32 | u64::from(self.last_conn);
            if !self.calls.contains_key(&conn) {
                return conn;
            }
        }
    }

    /// Changes a call: one change in the log, however much of it changes.
    fn change<R>(
        &mut self,
        desk: &mut Desk<'_>,
        conn: u64,
        change: impl FnOnce(&mut TCall, &mut Out, Sight<'_>) -> R,
    ) -> Option<R> {
        let sight = Sight { directory: desk.directory, watched: desk.watched };
        let out = &mut self.out;
        Some(match self.calls.get_mut(&conn)? {
            Slot::Early(call) => change(call, out, sight),
            Slot::Stored(call) => call.update(desk.log, |call| change(call, out, sight)),
        })
    }

    /// Stores a call from its first answer on, and before that if it waits, or if somebody has heard of it.
    fn store(&mut self, desk: &mut Desk<'_>, conn: u64) {
        let Some(slot) = self.calls.get_mut(&conn) else { return };
        let Slot::Early(call) = slot else { return };
        let is_told = |party: &Party| party.inside && party.told && (desk.watched)(&party.name);
        if !call.is_answered() && call.waits.is_none() && !call.parties.iter().any(is_told) {
            return;
        }
        self.last_record = self.last_record.wrapping_add(1);
        let id = u64::from(self.high) << 32 | u64::from(self.last_record);
        let call = std::mem::take(&mut **call);
        *slot = Slot::Stored(Box::new(Replicated::create(id, call, desk.log)));
    }

    /// Takes a call out: its keys mean nothing from now on.
    fn remove(&mut self, desk: &mut Desk<'_>, conn: u64) -> Option<TCall> {
        let call = match self.calls.remove(&conn)? {
            Slot::Early(call) => *call,
            Slot::Stored(call) => call.delete(desk.log),
        };
        for (key, _) in &call.keys {
            self.keys.remove(key);
        }
        Some(call)
    }
}

/// What a SIP status means to whoever asked for it; 0 is a call that ended first.
#[must_use]
pub fn refusal_of(status: u16) -> Refusal {
    let code = match status {
        486 | 600 => ErrorCode::DnBusy,
        408 | 480 | 487 => ErrorCode::DnNoAnswer,
        403 | 603 => ErrorCode::CallRejected,
        404 | 410 | 414 | 416 | 484 | 485 | 604 => ErrorCode::InvCaldDn,
        503 => ErrorCode::ResUnavail,
        491 => {
            let text = "the call is changing at this moment; send the request again";
            return Refusal::because(ErrorCode::InvCallState, text);
        }
        0 | 481 => ErrorCode::InvCallState,
        405 | 415 | 420 | 488 | 501 | 606 => ErrorCode::UnsupOper,
        _ => return Refusal::because(ErrorCode::Unknown, format!("refused with SIP status {status}")),
    };
    Refusal::new(code)
}

/// How a ConnID is written.
#[must_use]
pub fn conn_id(conn: u64) -> String {
    format!("{conn:016x}")
}

/// The ConnID of a written one.
#[must_use]
pub fn parse_conn_id(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok())?
}
