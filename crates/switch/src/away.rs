//! Requests to phones whose connection went with an earlier process. Such a phone comes back by itself, registers, and is
//! reached over its new connection (RFC 5626); until then what a dialog has for it waits, but not for long.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use tandem_sip::{Method, Transport, TxnId};

use crate::directory::DnId;
use crate::limits::{AWAY_PATIENCE, MAX_AWAY};
use crate::rooms::Use;

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Whose phone.
    pub dn: DnId,
    /// How it is reached.
    pub transport: Transport,
    /// Contact that it gave in the dialog.
    pub target: Box<[u8]>,
    /// The transaction that was reserved for it.
    pub txn: TxnId,
    pub method: Method,
    pub payload: Bytes,
    pub used_for: Use,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Away {
    /// In order of the moment at which each is given up.
    waiting: VecDeque<(Instant, Waiting)>,
}

impl Away {
    /// A request waits from now on. It comes back if there is no room.
    pub fn wait(&mut self, request: Waiting, now: Instant) -> Option<Waiting> {
        if self.waiting.len() >= MAX_AWAY {
            return Some(request);
        }
        self.waiting.push_back((now + AWAY_PATIENCE, request));
        None
    }

    /// Takes what waits for a DN's phone, in its order.
    pub fn take(&mut self, dn: DnId) -> Vec<Waiting> {
        let (its, others): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, request)| request.dn == dn);
        self.waiting = others;
        its.into_iter().map(|(_, request)| request).collect()
    }

    /// Takes a request that has waited long enough.
    pub fn give_up(&mut self, now: Instant) -> Option<Waiting> {
        self.waiting.pop_front_if(|(until, _)| *until <= now).map(|(_, request)| request)
    }

    /// When the next one is given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.front().map(|(until, _)| *until)
    }

    /// Is nothing waiting?
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
