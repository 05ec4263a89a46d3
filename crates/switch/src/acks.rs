//! ACKs for 2xx, kept while the 2xx may come again: each repetition gets the same ACK (RFC 3261 13.2.2.4), whatever
//! has become of the call in the meantime.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::time::Instant;

use bytes::Bytes;
use tandem_sip::{Flow, TxnId};

use crate::limits::MAX_KEPT_ACKS;

/// Which 2xx an ACK answers: the INVITE's transaction, and the dialog among those it may have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Which {
    invite: TxnId,
    tag: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Acks {
    kept: HashMap<Which, (Flow, Bytes), foldhash::fast::RandomState>,
    /// In the order in which they are forgotten: each is kept equally long.
    ends: VecDeque<(Instant, Which)>,
}

impl Acks {
    /// Keeps the ACK of a 2xx with this To-tag until `until`.
    pub fn keep(&mut self, invite: TxnId, to_tag: &[u8], flow: Flow, ack: Bytes, until: Instant) {
        if self.kept.len() >= MAX_KEPT_ACKS
            && let Some((_, oldest)) = self.ends.pop_front()
        {
            self.kept.remove(&oldest);
        }
        let which = which(invite, to_tag);
        if self.kept.insert(which, (flow, ack)).is_none() {
            self.ends.push_back((until, which));
        }
    }

    /// The ACK that a repeated 2xx gets.
    #[must_use]
    pub fn of(&self, invite: TxnId, to_tag: &[u8]) -> Option<(Flow, Bytes)> {
        self.kept.get(&which(invite, to_tag)).cloned()
    }

    /// Forgets what is past its time.
    pub fn expire(&mut self, now: Instant) {
        while let Some((_, which)) = self.ends.pop_front_if(|(until, _)| *until <= now) {
            self.kept.remove(&which);
        }
        if self.ends.is_empty() {
            self.ends.shrink_to_fit();
        }
    }
}

fn which(invite: TxnId, to_tag: &[u8]) -> Which {
    Which { invite, tag: foldhash::quality::FixedState::with_seed(0).hash_one(to_tag) }
}
