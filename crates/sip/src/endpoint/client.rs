//! The client side: reserve, start, cancel, and the responses.

use std::time::Instant;

use bytes::Bytes;

use super::table::Machine;
use super::{Branch, Endpoint, Event, Received, TxnId};
use crate::builder::Builder;
use crate::flow::Flow;
use crate::header_name::HeaderName;
use crate::lexer;
use crate::message::{Envelope, Message};
use crate::start_line::Method;
use crate::txn::OnResponse;
use crate::txn::client_invite::{ClientInvite, OnCancel, State};
use crate::txn::client_non_invite::ClientNonInvite;

/// What a response means, before the message is handed on.
enum Meaning<U> {
    Stray,
    Absorbed,
    For(TxnId, U),
}

impl<U: Copy> Endpoint<U> {
    /// Takes a place for a client transaction and gives the branch to print in its Via. `None`: the table is full.
    /// What is reserved must be started or released.
    pub fn reserve(&mut self) -> Option<(TxnId, Branch)> {
        if self.table.len() >= self.capacity {
            self.counters.full += 1;
            return None;
        }
        let id = self.table.insert(super::NOWHERE, 0, None, Machine::Reserved);
        Some((id, Branch::new(id, &self.table.key)))
    }

    /// Sends the request that was printed with the branch of `txn`, and keeps at it. An ACK is no transaction: it is
    /// sent once and the place is free again.
    pub fn start(&mut self, txn: TxnId, method: Method, flow: Flow, payload: Bytes, user: U, now: Instant) {
        let (reliable, timers) = (flow.transport.is_reliable(), self.timers);
        let Some(entry) = self.table.get_mut(txn) else { return };
        let Machine::Reserved = entry.machine else { return };
        entry.flow = flow;
        entry.user = Some(user);
        match method {
            Method::Ack => self.table.remove(txn.slot),
            Method::Invite => {
                let fsm = ClientInvite::new(payload.clone(), reliable, &timers, now);
                entry.machine = Machine::ClientInvite { fsm, cancel: None };
            }
            Method::Bye
            | Method::Cancel
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
            | Method::Other => {
                let fsm = ClientNonInvite::new(payload.clone(), reliable, &timers, now);
                entry.machine = Machine::ClientNonInvite { fsm, method };
            }
        }
        self.send(flow, payload);
        self.table.settle(txn.slot, now);
    }

    /// Whether an INVITE has had no response at all so far.
    #[must_use]
    pub fn is_calling(&self, invite: TxnId) -> bool {
        let machine = self.table.get(invite).map(|entry| &entry.machine);
        matches!(machine, Some(Machine::ClientInvite { fsm, .. }) if matches!(fsm.state(), State::Calling { .. }))
    }

    /// Gives back a place that was reserved and is not needed.
    pub fn release(&mut self, txn: TxnId) {
        if self.table.get(txn).is_some_and(|entry| matches!(entry.machine, Machine::Reserved)) {
            self.table.remove(txn.slot);
        }
    }

    /// Cancels an INVITE (RFC 3261 9.1). `payload` is the CANCEL, printed with the INVITE's branch; it waits for the
    /// first provisional response if none came yet, and its own responses are absorbed. The INVITE still ends with a
    /// response or a timeout, the latter at most 64*T1 after the CANCEL was sent. False: there is nothing to cancel.
    pub fn cancel(&mut self, invite: TxnId, payload: Bytes, now: Instant) -> bool {
        let timers = self.timers;
        let Some(entry) = self.table.get_mut(invite) else { return false };
        let Machine::ClientInvite { fsm, cancel } = &mut entry.machine else { return false };
        if cancel.is_some() {
            return true;
        }
        match fsm.cancel(&payload, &timers, now) {
            OnCancel::Send => self.send_cancel(invite, payload, now),
            OnCancel::Wait => {}
            OnCancel::TooLate => return false,
        }
        true
    }

    fn send_cancel(&mut self, invite: TxnId, payload: Bytes, now: Instant) {
        let Some(flow) = self.table.get(invite).map(|entry| entry.flow) else { return };
        self.send(flow, payload.clone());
        if self.table.len() < self.capacity {
            let fsm = ClientNonInvite::new(payload, flow.transport.is_reliable(), &self.timers, now);
            let id =
                self.table.insert(flow, 0, None, Machine::ClientNonInvite { fsm, method: Method::Cancel });
            if let Some(Machine::ClientInvite { cancel, .. }) =
                self.table.get_mut(invite).map(|entry| &mut entry.machine)
            {
                *cancel = Some(id);
            }
            self.table.settle(id.slot, now);
        }
        self.table.settle(invite.slot, now);
    }

    /// The branch of a client transaction, to print in its CANCEL.
    #[must_use]
    pub fn branch(&self, txn: TxnId) -> Option<Branch> {
        self.table
            .get(txn)
            .filter(|entry| entry.machine.is_client())
            .map(|_| Branch::new(txn, &self.table.key))
    }

    /// Forgets a client transaction: nothing is sent any more, no event comes, and what still arrives is stray.
    pub fn abandon(&mut self, txn: TxnId) {
        if self.table.get(txn).is_some_and(|entry| entry.machine.is_client()) {
            self.table.remove(txn.slot);
        }
    }

    pub(super) fn response(&mut self, flow: Flow, message: Message, now: Instant) -> Received<U> {
        match self.meaning(&message, now) {
            Meaning::For(txn, user) => Received::Response { txn, user, message, flow },
            Meaning::Absorbed => {
                self.counters.absorbed += 1;
                Received::Absorbed
            }
            Meaning::Stray => {
                self.counters.stray += 1;
                Received::Stray { flow, message }
            }
        }
    }

    fn meaning(&mut self, message: &Message, now: Instant) -> Meaning<U> {
        let (Ok(envelope), Some(code)) = (message.envelope(), message.code()) else { return Meaning::Stray };
        // A request of ours has one Via: a response with more went astray (RFC 3261 8.1.3.3).
        if message.values(HeaderName::Via).nth(1).is_some() {
            return Meaning::Stray;
        }
        let id = envelope.via.branch().and_then(|branch| Branch::open(branch, &self.table.key));
        let Some(id) = id.and_then(|id| self.sharing_branch(id, envelope.cseq.method)) else {
            return Meaning::Stray;
        };
        match self.advance(id, code, message, &envelope, now) {
            (OnResponse::Deliver | OnResponse::DeliverAndAck, Some(user)) => Meaning::For(id, user),
            (OnResponse::Deliver | OnResponse::DeliverAndAck, None) => Meaning::Absorbed,
            (OnResponse::Absorb | OnResponse::RepeatAck, _) => Meaning::Absorbed,
        }
    }

    /// The transaction of this branch and method (RFC 3261 17.1.3): a CANCEL has the branch of its INVITE.
    fn sharing_branch(&self, id: TxnId, method: Method) -> Option<TxnId> {
        match &self.table.get(id)?.machine {
            Machine::ClientInvite { .. } if method == Method::Invite => Some(id),
            Machine::ClientInvite { cancel: Some(cancel), .. } if method == Method::Cancel => {
                self.table.get(*cancel).map(|_| *cancel)
            }
            Machine::ClientNonInvite { method: sent, .. } if method == *sent => Some(id),
            Machine::ClientInvite { .. }
            | Machine::ClientNonInvite { .. }
            | Machine::Reserved
            | Machine::ServerInvite { .. }
            | Machine::ServerNonInvite { .. } => None,
        }
    }

    /// Shows the response to the machine and does what it asks for.
    fn advance(
        &mut self,
        id: TxnId,
        code: u16,
        message: &Message,
        envelope: &Envelope<'_>,
        now: Instant,
    ) -> (OnResponse, Option<U>) {
        let (timers, scratch) = (self.timers, &mut self.scratch);
        let Some(entry) = self.table.get_mut(id) else { return (OnResponse::Absorb, None) };
        let (flow, user) = (entry.flow, entry.user);
        let reliable = flow.transport.is_reliable();
        let mut cancel = None;
        let (answer, ack) = match &mut entry.machine {
            Machine::ClientInvite { fsm, .. } => {
                cancel = fsm.take_cancel().filter(|_| code < 200);
                let make_ack = |invite: &Bytes| ack(scratch, invite, message, envelope.cseq.number);
                let answer = fsm.on_response(code, reliable, &timers, now, make_ack);
                if let Some(payload) = &cancel {
                    fsm.cancel(payload, &timers, now);
                }
                (answer, fsm.ack().cloned())
            }
            Machine::ClientNonInvite { fsm, .. } => (fsm.on_response(code, reliable, &timers, now), None),
            Machine::Reserved | Machine::ServerInvite { .. } | Machine::ServerNonInvite { .. } => {
                (OnResponse::Absorb, None)
            }
        };
        let acknowledges = matches!(answer, OnResponse::DeliverAndAck | OnResponse::RepeatAck);
        if let Some(ack) = ack.filter(|ack| acknowledges && !ack.is_empty()) {
            self.send(flow, ack);
        }
        self.finish_at_once(id, now);
        self.table.settle(id.slot, now);
        if let Some(payload) = cancel {
            self.send_cancel(id, payload, now);
        }
        (answer, user)
    }

    /// The connection to `flow` was refused or has closed, or a datagram to it was refused. Its client transactions without a final response end with
    /// [`Event::TransportError`]; responses still owed over a stream are redirected to where the sender listens (RFC 3261 18.2.2).
    pub fn transport_failed(&mut self, flow: Flow, now: Instant) {
        let datagram = !flow.transport.is_reliable();
        for slot in self.table.on_flow(&flow) {
            let Some(id) = self.table.id(slot) else { continue };
            let Some(entry) = self.table.at_mut(slot) else { continue };
            let tell = match &mut entry.machine {
                Machine::ClientInvite { fsm, .. } => fsm.on_transport_error(flow.transport.is_reliable()),
                Machine::ClientNonInvite { fsm, .. } => fsm.on_transport_error(),
                Machine::Reserved => false,
                Machine::ServerInvite { .. } | Machine::ServerNonInvite { .. } if datagram => false,
                Machine::ServerInvite { .. } | Machine::ServerNonInvite { .. } => {
                    let elsewhere = super::routing::fallback(&entry.flow, entry.reply_port);
                    self.table.move_to(slot, elsewhere);
                    false
                }
            };
            let user = self.table.at(slot).and_then(|entry| entry.user).filter(|_| tell);
            if let Some(user) = user {
                self.counters.transport_errors += 1;
                self.events.push_back(Event::TransportError { txn: id, user });
            }
            self.table.settle(slot, now);
        }
    }
}

/// The ACK for a refusal (RFC 3261 17.1.1.3), made of the INVITE as it was sent, and of the To of the response.
/// Empty if what was sent as an INVITE is not one.
fn ack(scratch: &mut Vec<u8>, invite: &Bytes, response: &Message, cseq: u32) -> Bytes {
    let Ok(invite) = Message::parse(invite.clone()) else { return Bytes::new() };
    let Some(uri) = invite.request_uri() else { return Bytes::new() };
    let via = invite.header(HeaderName::Via).map_or(&b""[..], |line| lexer::split_element(line).0);
    let mut builder = Builder::request(scratch, b"ACK", uri);
    builder
        .header(HeaderName::Via, lexer::trim(via))
        .copy(&invite, HeaderName::Route)
        .header(HeaderName::MaxForwards, b"70")
        .copy(&invite, HeaderName::From)
        .copy(response, HeaderName::To)
        .copy(&invite, HeaderName::CallId)
        .cseq(cseq, b"ACK");
    builder.finish(b"")
}
