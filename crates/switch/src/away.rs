//! Requests to phones whose connection went with an earlier process. Such a phone comes back by itself, registers, and is
//! reached over its new connection (RFC 5626); until then what a dialog has for it waits, but not for long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tandem_sip::{Method, Transport, TxnId};

use crate::arena::Key;
use crate::directory::DnId;
use crate::limits::{AWAY_PATIENCE, MAX_AWAY};
use crate::registrar::Phone;
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
    /// Its instance, if that is known.
    pub instance: Option<Box<[u8]>>,
    /// The transaction that was reserved for it.
    pub txn: TxnId,
    pub method: Method,
    pub payload: Bytes,
    pub used_for: Use,
}

/// A party of an answered call whose phone is not back.
#[derive(Debug)]
pub(crate) struct Missing {
    pub call: Key,
    /// This server's tag in the dialog.
    pub tag: Box<[u8]>,
    /// `+sip.instance` of the phone, if it named one.
    pub instance: Option<Box<[u8]>>,
}

impl Waiting {
    /// The phone that it waits for.
    pub fn phone(&self) -> Phone<'_> {
        Phone { transport: self.transport, target: &self.target, instance: self.instance.as_deref() }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Away {
    /// In order of the moment at which each is given up.
    waiting: VecDeque<(Instant, Waiting)>,
    /// Parties of calls that were answered, by number.
    talking: BTreeMap<Arc<str>, Vec<Missing>>,
    /// Calls that nobody answered yet, and whose callers wait for one of these numbers, in order of the moment at which
    /// each is given up.
    calling: VecDeque<(Instant, Key, Vec<Arc<str>>)>,
    /// The request at hand has waited long enough: it does not wait once more.
    pub gives_up: bool,
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

    /// Takes what waits for a DN's phones, in its order, and until when each would.
    pub fn take(&mut self, dn: DnId) -> VecDeque<(Instant, Waiting)> {
        let its = |(_, request): &(Instant, Waiting)| request.dn == dn;
        // Thousands come back at once, and for most of them nothing waits.
        if !self.waiting.iter().any(its) {
            return VecDeque::new();
        }
        let (its, others) = std::mem::take(&mut self.waiting).into_iter().partition(its);
        self.waiting = others;
        its
    }

    /// A request that was taken waits on: it was another phone that came back.
    pub fn wait_on(&mut self, until: Instant, request: Waiting) {
        let place = self.waiting.partition_point(|(at, _)| *at <= until);
        self.waiting.insert(place, (until, request));
    }

    /// A party of an answered call is not back yet.
    pub fn misses(&mut self, number: Arc<str>, party: Missing) {
        self.talking.entry(number).or_default().push(party);
    }

    /// The parties of this number that are missed.
    pub fn missing(&self, number: &str) -> impl Iterator<Item = Key> {
        self.talking.get(number).into_iter().flatten().map(|party| party.call)
    }

    /// The instance of the phone in the dialog with this tag.
    pub fn instance(&self, number: &str, tag: &[u8]) -> Option<&[u8]> {
        self.talking.get(number)?.iter().find(|party| *party.tag == *tag)?.instance.as_deref()
    }

    /// Of the parties of this number those of these calls are missed still.
    pub fn misses_only(&mut self, number: &str, calls: &[Key]) {
        if calls.is_empty() {
            self.talking.remove(number);
        } else if let Some(parties) = self.talking.get_mut(number) {
            parties.retain(|party| calls.contains(&party.call));
        }
    }

    /// A caller waits for one of these numbers, but not for longer than until then. False: there is no room.
    pub fn calls(&mut self, numbers: Vec<Arc<str>>, call: Key, until: Instant) -> bool {
        let room = self.calling.len() < MAX_AWAY;
        if room {
            let place = self.calling.partition_point(|(at, ..)| *at <= until);
            self.calling.insert(place, (until, call, numbers));
        }
        room
    }

    /// Takes the calls whose callers wait for this number.
    pub fn called(&mut self, number: &str) -> Vec<Key> {
        let its =
            |(_, _, numbers): &(Instant, Key, Vec<Arc<str>>)| numbers.iter().any(|one| **one == *number);
        if !self.calling.iter().any(its) {
            return Vec::new();
        }
        let (its, others): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.calling).into_iter().partition(its);
        self.calling = others;
        its.into_iter().map(|(_, call, _)| call).collect()
    }

    /// Takes a call whose caller has waited long enough.
    pub fn call_in_vain(&mut self, now: Instant) -> Option<Key> {
        self.calling.pop_front_if(|(until, ..)| *until <= now).map(|(_, call, _)| call)
    }

    /// Takes a request that has waited long enough.
    pub fn give_up(&mut self, now: Instant) -> Option<Waiting> {
        self.waiting.pop_front_if(|(until, _)| *until <= now).map(|(_, request)| request)
    }

    /// When the next one is given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let request = self.waiting.front().map(|(until, _)| *until);
        let call = self.calling.front().map(|(until, ..)| *until);
        request.into_iter().chain(call).min()
    }

    /// Whether no phone is missed.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.talking.is_empty() && self.calling.is_empty()
    }
}
