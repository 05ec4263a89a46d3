//! Where transactions are kept: a slab, found by slot (our branches), by key (requests) or by flow (failures).

use bytes::Bytes;
use hashbrown::HashTable;
use slab::Slab;

use super::TxnId;
use super::keys::{Keyed, RequestKeys, StoredKeys};
use super::lanes::Lanes;
use crate::flow::Flow;
use crate::start_line::Method;
use crate::txn::client_invite::ClientInvite;
use crate::txn::client_non_invite::ClientNonInvite;
use crate::txn::server_invite::ServerInvite;
use crate::txn::server_non_invite::ServerNonInvite;
use crate::txn::{TimerName, Timers};
use std::time::Instant;

/// No slot.
const NONE: u32 = u32::MAX;

/// The machine of a transaction and what only its kind needs.
#[derive(Debug)]
pub(super) enum Machine {
    /// A client transaction whose request is still being printed.
    Reserved,
    /// Figure 5; `cancel` is the transaction of its CANCEL, which shares the branch.
    ClientInvite { fsm: ClientInvite, cancel: Option<TxnId> },
    /// Figure 6.
    ClientNonInvite { fsm: ClientNonInvite, method: Method },
    /// Figure 7.
    ServerInvite { fsm: ServerInvite, keys: StoredKeys },
    /// Figure 8.
    ServerNonInvite { fsm: ServerNonInvite, keys: StoredKeys },
}

impl Machine {
    pub(super) fn next_timeout(&self) -> Option<(Instant, TimerName)> {
        match self {
            Machine::Reserved => None,
            Machine::ClientInvite { fsm, .. } => fsm.next_timeout(),
            Machine::ClientNonInvite { fsm, .. } => fsm.next_timeout(),
            Machine::ServerInvite { fsm, .. } => fsm.next_timeout(),
            Machine::ServerNonInvite { fsm, .. } => fsm.next_timeout(),
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        match self {
            Machine::Reserved => false,
            Machine::ClientInvite { fsm, .. } => fsm.is_terminated(),
            Machine::ClientNonInvite { fsm, .. } => fsm.is_terminated(),
            Machine::ServerInvite { fsm, .. } => fsm.is_terminated(),
            Machine::ServerNonInvite { fsm, .. } => fsm.is_terminated(),
        }
    }

    /// Whether a failure of the flow still matters.
    fn needs_flow(&self, flow: &Flow) -> bool {
        match self {
            Machine::Reserved => false,
            Machine::ClientInvite { fsm, .. } => fsm.is_pending(),
            Machine::ClientNonInvite { fsm, .. } => fsm.request().is_some(),
            Machine::ServerInvite { .. } | Machine::ServerNonInvite { .. } => flow.transport.is_reliable(),
        }
    }

    pub(super) fn is_client(&self) -> bool {
        match self {
            Machine::Reserved | Machine::ClientInvite { .. } | Machine::ClientNonInvite { .. } => true,
            Machine::ServerInvite { .. } | Machine::ServerNonInvite { .. } => false,
        }
    }

    fn keys(&self) -> Option<&StoredKeys> {
        match self {
            Machine::ServerInvite { keys, .. } | Machine::ServerNonInvite { keys, .. } => Some(keys),
            Machine::Reserved | Machine::ClientInvite { .. } | Machine::ClientNonInvite { .. } => None,
        }
    }

    /// What a retransmission timer sends again.
    pub(super) fn to_repeat(&self) -> Option<&Bytes> {
        match self {
            Machine::Reserved => None,
            Machine::ClientInvite { fsm, .. } => fsm.invite(),
            Machine::ClientNonInvite { fsm, .. } => fsm.request(),
            Machine::ServerInvite { fsm, .. } => fsm.last(),
            Machine::ServerNonInvite { fsm, .. } => fsm.on_retransmission(),
        }
    }
}

/// A transaction.
#[derive(Debug)]
pub(super) struct Txn<U> {
    generation: u32,
    /// Neighbours in the list of those that use the same flow.
    before: u32,
    after: u32,
    is_listed: bool,
    /// Where a response goes when the connection that it should use is gone (RFC 3261 18.2.2).
    pub(super) reply_port: u16,
    /// Where its messages go.
    pub(super) flow: Flow,
    pub(super) user: Option<U>,
    pub(super) machine: Machine,
}

/// All transactions.
#[derive(Debug)]
pub(super) struct Table<U> {
    slots: Slab<Txn<U>>,
    generation: u32,
    pub(super) key: Keyed,
    pub(super) lanes: Lanes,
    /// Server transactions by their key. Each entry: the hash, the slot.
    by_key: HashTable<(u64, u32)>,
    /// Server transactions by what merged requests share.
    by_merged: HashTable<(u64, u32)>,
    /// Head of the list of those that use a flow, by transport, socket and remote address.
    by_flow: HashTable<(u64, u32)>,
}

impl<U> Table<U> {
    pub(super) fn new(timers: &Timers, seed: u64) -> Self {
        Table {
            slots: Slab::new(),
            generation: 0,
            key: Keyed::new(seed),
            lanes: Lanes::new(timers),
            by_key: HashTable::new(),
            by_merged: HashTable::new(),
            by_flow: HashTable::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn insert(&mut self, flow: Flow, reply_port: u16, user: Option<U>, machine: Machine) -> TxnId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let txn =
            Txn { generation, before: NONE, after: NONE, is_listed: false, reply_port, flow, user, machine };
        let slot = u32::try_from(self.slots.insert(txn)).unwrap_or(NONE);
        self.list(slot);
        TxnId { slot, generation }
    }

    /// Makes a server transaction findable by its request, and merged requests by it if it is the first of them.
    pub(super) fn index(&mut self, slot: u32, keys: &RequestKeys) {
        let hash = self.key.hash(keys.transaction());
        self.by_key.insert_unique(hash, (hash, slot), |entry| entry.0);
        if !keys.merged().is_empty() && self.find_merged(keys).is_none() {
            let hash = self.key.hash(keys.merged());
            self.by_merged.insert_unique(hash, (hash, slot), |entry| entry.0);
        }
    }

    pub(super) fn find(&self, keys: &RequestKeys) -> Option<u32> {
        self.find_in(&self.by_key, keys.transaction(), StoredKeys::transaction)
    }

    pub(super) fn find_merged(&self, keys: &RequestKeys) -> Option<u32> {
        self.find_in(&self.by_merged, keys.merged(), StoredKeys::merged)
    }

    fn find_in(
        &self,
        table: &HashTable<(u64, u32)>,
        key: &[u8],
        of: fn(&StoredKeys) -> &[u8],
    ) -> Option<u32> {
        let is_it = |entry: &(u64, u32)| self.stored(entry.1).is_some_and(|stored| of(stored) == key);
        table.find(self.key.hash(key), is_it).map(|entry| entry.1)
    }

    fn stored(&self, slot: u32) -> Option<&StoredKeys> {
        self.slots.get(slot as usize)?.machine.keys()
    }

    pub(super) fn id(&self, slot: u32) -> Option<TxnId> {
        self.slots.get(slot as usize).map(|txn| TxnId { slot, generation: txn.generation })
    }

    pub(super) fn get(&self, id: TxnId) -> Option<&Txn<U>> {
        self.slots.get(id.slot as usize).filter(|txn| txn.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: TxnId) -> Option<&mut Txn<U>> {
        self.slots.get_mut(id.slot as usize).filter(|txn| txn.generation == id.generation)
    }

    pub(super) fn at(&self, slot: u32) -> Option<&Txn<U>> {
        self.slots.get(slot as usize)
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> Option<&mut Txn<U>> {
        self.slots.get_mut(slot as usize)
    }

    /// Puts the transaction where its state now belongs: armed, unlisted, or gone.
    pub(super) fn settle(&mut self, slot: u32, now: Instant) {
        let Some(txn) = self.slots.get(slot as usize) else { return };
        if txn.machine.is_terminated() {
            self.remove(slot);
            return;
        }
        let due = txn.machine.next_timeout();
        let needs_flow = txn.machine.needs_flow(&txn.flow);
        if due != self.lanes.deadline(slot) {
            match due {
                Some((at, name)) => self.lanes.arm(slot, now, at, name),
                None => self.lanes.disarm(slot),
            }
        }
        if needs_flow {
            self.list(slot);
        } else {
            self.unlist(slot);
        }
    }

    /// Forgets a transaction, its deadline, and for an INVITE the CANCEL, whose responses nothing would match.
    pub(super) fn remove(&mut self, slot: u32) {
        self.lanes.disarm(slot);
        self.unlist(slot);
        self.unindex(slot);
        let Some(txn) = self.slots.try_remove(slot as usize) else { return };
        if let Machine::ClientInvite { cancel: Some(cancel), .. } = txn.machine
            && self.get(cancel).is_some()
        {
            self.remove(cancel.slot);
        }
    }

    fn unindex(&mut self, slot: u32) {
        let Some(keys) = self.stored(slot) else { return };
        let (transaction, merged) = (self.key.hash(keys.transaction()), self.key.hash(keys.merged()));
        if let Ok(entry) = self.by_key.find_entry(transaction, |entry| entry.1 == slot) {
            entry.remove();
        }
        if let Ok(entry) = self.by_merged.find_entry(merged, |entry| entry.1 == slot) {
            entry.remove();
        }
    }

    /// The slots that a failure of `flow` concerns. A flow without a connection id means any connection there.
    pub(super) fn on_flow(&self, flow: &Flow) -> Vec<u32> {
        let head = self.find_flow(self.hash_flow(flow), flow);
        let listed = std::iter::successors(head, |slot| {
            self.at(*slot).map(|txn| txn.after).filter(|after| *after != NONE)
        });
        listed.filter(|slot| self.at(*slot).is_some_and(|txn| is_hit(&txn.flow, flow))).collect()
    }

    /// Moves a transaction to another flow.
    pub(super) fn move_to(&mut self, slot: u32, flow: Flow) {
        self.unlist(slot);
        if let Some(txn) = self.at_mut(slot) {
            txn.flow = flow;
        }
        self.list(slot);
    }

    fn hash_flow(&self, flow: &Flow) -> u64 {
        self.key.hash_flow(&Flow { conn: 0, ..*flow })
    }

    fn find_flow(&self, hash: u64, flow: &Flow) -> Option<u32> {
        let is_it = |entry: &(u64, u32)| self.at(entry.1).is_some_and(|txn| is_same_remote(&txn.flow, flow));
        self.by_flow.find(hash, is_it).map(|entry| entry.1)
    }

    fn list(&mut self, slot: u32) {
        let Some(txn) = self.at(slot) else { return };
        if txn.is_listed || !txn.machine.needs_flow(&txn.flow) {
            return;
        }
        let flow = txn.flow;
        let hash = self.hash_flow(&flow);
        let head = self.find_flow(hash, &flow);
        let after = head.unwrap_or(NONE);
        if let Some(txn) = self.at_mut(slot) {
            (txn.is_listed, txn.before, txn.after) = (true, NONE, after);
        }
        match head {
            Some(head) => {
                if let Some(txn) = self.at_mut(head) {
                    txn.before = slot;
                }
                self.replace_head(hash, head, slot);
            }
            None => {
                self.by_flow.insert_unique(hash, (hash, slot), |entry| entry.0);
            }
        }
    }

    fn unlist(&mut self, slot: u32) {
        let Some(txn) = self.at_mut(slot).filter(|txn| txn.is_listed) else { return };
        txn.is_listed = false;
        let (flow, before, after) = (txn.flow, txn.before, txn.after);
        if let Some(next) = self.at_mut(after) {
            next.before = before;
        }
        if let Some(previous) = self.at_mut(before) {
            previous.after = after;
            return;
        }
        let hash = self.hash_flow(&flow);
        if after != NONE {
            self.replace_head(hash, slot, after);
        } else if let Ok(entry) = self.by_flow.find_entry(hash, |entry| entry.1 == slot) {
            entry.remove();
        }
    }

    fn replace_head(&mut self, hash: u64, old: u32, new: u32) {
        if let Some(entry) = self.by_flow.find_mut(hash, |entry| entry.1 == old) {
            entry.1 = new;
        }
    }
}

fn is_same_remote(a: &Flow, b: &Flow) -> bool {
    a.transport == b.transport && a.local == b.local && a.remote == b.remote
}

fn is_hit(used: &Flow, failed: &Flow) -> bool {
    is_same_remote(used, failed) && (used.conn == failed.conn || used.conn == 0 || failed.conn == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Endpoint, Received};
    use crate::flow::Transport;
    use crate::message::Message;
    use std::time::Duration;

    /// Requests of both kinds and directions, on both kinds of transport.
    fn busy(endpoint: &mut Endpoint<u32>, now: Instant) {
        for (method, transport) in
            [("INVITE", Transport::Udp), ("OPTIONS", Transport::Udp), ("BYE", Transport::Tcp)]
        {
            let remote = ([192, 0, 2, 7], 5060).into();
            let flow = Flow { transport, local: 0, remote, conn: u64::from(transport.is_reliable()) };
            let text = format!(
                "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{method}\r\n\
                 From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n\r\n"
            );
            let message = Message::parse(Bytes::from(text)).unwrap();
            let Received::Request { txn, message, .. } = endpoint.receive(flow, message, now) else {
                panic!()
            };
            endpoint.respond(txn, 404, Bytes::from_static(b"404"), now);
            let (txn, _) = endpoint.reserve().unwrap();
            endpoint.start(txn, Method::parse(method.as_bytes()), flow, message.bytes().clone(), 1, now);
        }
    }

    #[test]
    fn nothing_stays_behind_in_any_index() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
        let now = Instant::now();
        let mut endpoint: Endpoint<u32> = Endpoint::new(Timers::default(), 1);
        busy(&mut endpoint, now);
        let table = &endpoint.table;
        assert_eq!((table.by_key.len(), table.by_merged.len(), table.by_flow.len()), (2, 2, 2));
        endpoint.handle_timeout(now + Duration::from_secs(100));
        let table = &endpoint.table;
        assert_eq!((table.by_key.len(), table.by_merged.len(), table.by_flow.len()), (0, 0, 0));
        assert!(table.slots.is_empty() && table.lanes.first().is_none());
    }

    #[test]
    fn an_entry_of_the_table_takes_at_most_192_bytes() {
        let size = size_of::<Txn<u64>>();
        assert!(size <= 192, "{size}");
    }
}
