//! The server side: requests as they come, and the responses that the user gives.

use std::time::Instant;

use bytes::Bytes;

use super::table::Machine;
use super::{Endpoint, Received, TxnId, routing};
use crate::error::HeaderFault;
use crate::flow::Flow;
use crate::limits;
use crate::message::{Envelope, Message};
use crate::start_line::Method;
use crate::txn::server_invite::{OnAck, ServerInvite, State};
use crate::txn::server_non_invite::ServerNonInvite;

/// What a request means, before the message is handed on.
enum Meaning<U> {
    Absorbed,
    Ack,
    Bad(HeaderFault),
    Full,
    New(TxnId),
    Merged(TxnId),
    Cancel(TxnId, Option<(TxnId, Option<U>)>),
}

impl<U: Copy> Endpoint<U> {
    /// Says what a fresh transaction is for; it comes back with what happens to it.
    pub fn attach(&mut self, txn: TxnId, user: U) {
        if let Some(entry) = self.table.get_mut(txn) {
            entry.user = Some(user);
        }
    }

    /// Answers a request. What the state does not allow is not sent: a second final response, or any response to a
    /// transaction that is over. After a 2xx to an INVITE, the repetitions that the user owes (RFC 3261 13.3.1.4)
    /// pass through here too.
    pub fn respond(&mut self, txn: TxnId, code: u16, payload: Bytes, now: Instant) {
        let timers = self.timers;
        let Some(entry) = self.table.get_mut(txn) else { return };
        let flow = entry.flow;
        let reliable = flow.transport.is_reliable();
        let goes_out = match &mut entry.machine {
            Machine::ServerInvite { fsm, .. } => fsm.on_respond(code, &payload, reliable, &timers, now),
            Machine::ServerNonInvite { fsm, .. } => fsm.on_respond(code, &payload, reliable, &timers, now),
            Machine::Reserved | Machine::ClientInvite { .. } | Machine::ClientNonInvite { .. } => false,
        };
        if goes_out {
            self.send(flow, payload);
        }
        self.table.settle(txn.slot, now);
    }

    /// Sends the only response to a request and forgets the request: a stateless answer (RFC 3261 8.2.7), for what is
    /// not worth memory yet. A retransmission comes as a new request, and the ACK of an INVITE as one for nothing.
    pub fn respond_and_forget(&mut self, txn: TxnId, payload: Bytes) {
        let Some(entry) = self.table.get(txn) else { return };
        if entry.machine.is_client() {
            return;
        }
        let flow = entry.flow;
        self.table.remove(txn.slot);
        self.send(flow, payload);
    }

    /// Forgets a request that nobody answers: a retransmission comes as a new request.
    pub fn forget(&mut self, txn: TxnId) {
        if self.table.get(txn).is_some_and(|entry| !entry.machine.is_client()) {
            self.table.remove(txn.slot);
        }
    }

    /// Sends a response outside any transaction.
    pub fn reply_stateless(&mut self, flow: Flow, payload: Bytes) {
        self.send(flow, payload);
    }

    /// The flow for a stateless response to a request that came over `flow` (RFC 3261 18.2.2, RFC 3581).
    #[must_use]
    pub fn response_flow(flow: &Flow, envelope: &Envelope<'_>) -> Flow {
        routing::response_flow(flow, envelope)
    }

    pub(super) fn request(&mut self, flow: Flow, message: Message, now: Instant) -> Received<U> {
        let meaning = self.request_meaning(&flow, &message, now);
        match meaning {
            Meaning::Absorbed => {
                self.counters.absorbed += 1;
                Received::Absorbed
            }
            Meaning::Ack => Received::Ack { flow, message },
            Meaning::Bad(fault) => {
                self.counters.bad_requests += 1;
                Received::BadRequest { flow, message, fault }
            }
            Meaning::Full => {
                self.counters.full += 1;
                Received::Full { flow, message }
            }
            Meaning::New(txn) => Received::Request { txn, flow, message },
            Meaning::Merged(txn) => {
                self.counters.merged += 1;
                Received::Merged { txn, flow, message }
            }
            Meaning::Cancel(txn, invite) => Received::Cancel { txn, invite, message, flow },
        }
    }

    fn request_meaning(&mut self, flow: &Flow, message: &Message, now: Instant) -> Meaning<U> {
        let envelope = match message.envelope() {
            Ok(envelope) => envelope,
            // Nothing ever answers an ACK.
            Err(_) if message.method() == Some(Method::Ack) => return Meaning::Absorbed,
            Err(fault) => return Meaning::Bad(fault),
        };
        match envelope.cseq.method {
            Method::Ack => self.on_ack(message, &envelope, now),
            Method::Cancel => self.on_cancel(flow, message, &envelope),
            Method::Invite
            | Method::Bye
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Update
            | Method::Prack
            | Method::Message
            | Method::Notify
            | Method::Subscribe
            | Method::Refer
            | Method::Publish
            | Method::Other => self.on_request(flow, message, &envelope, now),
        }
    }

    fn on_request(
        &mut self,
        flow: &Flow,
        message: &Message,
        envelope: &Envelope<'_>,
        now: Instant,
    ) -> Meaning<U> {
        self.keys.set(message, envelope, envelope.cseq.method_token);
        if let Some(slot) = self.table.find(&self.keys) {
            self.repeat(slot);
            return Meaning::Absorbed;
        }
        if !self.has_room(envelope.to_tag.is_some()) {
            return Meaning::Full;
        }
        let is_merged = !self.keys.merged().is_empty() && self.table.find_merged(&self.keys).is_some();
        let keys = self.keys.stored();
        let machine = if envelope.cseq.method == Method::Invite {
            Machine::ServerInvite { fsm: ServerInvite::new(message.bytes().clone(), now), keys }
        } else {
            Machine::ServerNonInvite { fsm: ServerNonInvite::default(), keys }
        };
        let txn = self.insert(flow, envelope, machine);
        self.table.settle(txn.slot, now);
        if is_merged { Meaning::Merged(txn) } else { Meaning::New(txn) }
    }

    /// RFC 3261 9.2: the CANCEL is a transaction of its own, about the INVITE that has its branch and sent-by.
    fn on_cancel(&mut self, flow: &Flow, message: &Message, envelope: &Envelope<'_>) -> Meaning<U> {
        self.keys.set(message, envelope, b"INVITE");
        let invite = self.table.find(&self.keys).and_then(|slot| {
            let user = self.table.at(slot)?.user;
            Some((self.table.id(slot)?, user))
        });
        self.keys.set(message, envelope, b"CANCEL");
        if let Some(slot) = self.table.find(&self.keys) {
            self.repeat(slot);
            return Meaning::Absorbed;
        }
        if !self.has_room(invite.is_some()) {
            return Meaning::Full;
        }
        let keys = self.keys.stored();
        let machine = Machine::ServerNonInvite { fsm: ServerNonInvite::default(), keys };
        Meaning::Cancel(self.insert(flow, envelope, machine), invite)
    }

    fn on_ack(&mut self, message: &Message, envelope: &Envelope<'_>, now: Instant) -> Meaning<U> {
        self.keys.set(message, envelope, b"INVITE");
        let Some(slot) = self.table.find(&self.keys) else { return Meaning::Ack };
        let is_rfc2543 = self.keys.is_rfc2543;
        let timers = self.timers;
        let Some(entry) = self.table.at_mut(slot) else { return Meaning::Ack };
        let reliable = entry.flow.transport.is_reliable();
        let Machine::ServerInvite { fsm, .. } = &mut entry.machine else { return Meaning::Ack };
        if is_rfc2543 && !acknowledges(fsm, envelope) {
            return Meaning::Ack;
        }
        let answer = fsm.on_ack(reliable, &timers, now);
        if let Some(id) = self.table.id(slot) {
            self.finish_at_once(id, now);
        }
        self.table.settle(slot, now);
        match answer {
            OnAck::Absorb => Meaning::Absorbed,
            OnAck::Deliver => Meaning::Ack,
        }
    }

    fn insert(&mut self, flow: &Flow, envelope: &Envelope<'_>, machine: Machine) -> TxnId {
        let port = routing::sent_by_port(flow, envelope);
        let txn = self.table.insert(routing::response_flow(flow, envelope), port, None, machine);
        self.table.index(txn.slot, &self.keys);
        txn
    }

    /// A retransmitted request gets the last response again, if there is one.
    fn repeat(&mut self, slot: u32) {
        let Some(entry) = self.table.at(slot) else { return };
        if let Some(last) = entry.machine.to_repeat().cloned() {
            self.counters.retransmissions += 1;
            self.send(entry.flow, last);
        }
    }

    /// What belongs to a running call may use the whole table; what is new leaves it some room.
    fn has_room(&self, is_running: bool) -> bool {
        let kept_free =
            if is_running || self.reserved { 0 } else { self.capacity / limits::TRANSACTION_HEADROOM };
        self.table.len() < self.capacity - kept_free
    }
}

/// RFC 3261 17.2.3 for elements of RFC 2543: the To-tag of the ACK is that of the refusal.
fn acknowledges(fsm: &ServerInvite, ack: &Envelope<'_>) -> bool {
    let State::Completed { last, .. } = fsm.state() else { return true };
    let Ok(last) = Message::parse(last.clone()) else { return true };
    last.envelope().is_ok_and(|envelope| envelope.to_tag == ack.to_tag)
}
