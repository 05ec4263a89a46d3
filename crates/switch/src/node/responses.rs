//! Responses, ACKs, and what timers of transactions bring.

use tandem_peer::audit::AuditOutcome;
use tandem_peer::trunk::CallFailure;
use tandem_sip::{Flow, Message, Method, TxnId};

use super::Node;
use crate::arena::Key;
use crate::call::{Call, Side, Stranger};
use crate::ids::Tag;
use crate::outbox::Occasion;
use crate::rooms::{Rooms, Use};

impl Node {
    pub(super) fn response(&mut self, txn: TxnId, user: Use, flow: Flow, message: &Message) {
        self.rooms.counters.responses += 1;
        let code = message.code().unwrap_or_default();
        let invites = matches!(user, Use::Branch(..) | Use::ReinviteTo(_) | Use::Refresh(..));
        if invites && (200..300).contains(&code) && self.acknowledged_again(txn, flow, message) {
            return;
        }
        match user {
            Use::Branch(key, id) => {
                let told = self.call(key, |call, rooms| call.branch_response(rooms, txn, id, message, flow));
                if !told && (200..300).contains(&code) {
                    Stranger::unknown(flow).hang_up(&mut self.rooms, txn, message, Use::Nobody);
                }
            }
            Use::ReinviteTo(key) => {
                let mut expected = false;
                self.call(key, |call, rooms| expected = call.reinvite_response(rooms, txn, message));
                if !expected && (200..300).contains(&code) {
                    Stranger::unknown(flow).acknowledge(&mut self.rooms, txn, message);
                }
            }
            Use::Relay(key, id) => {
                self.call(key, |call, rooms| call.relay_response(rooms, id, message));
            }
            Use::Bye(key, side) if code >= 200 => {
                self.call(key, |call, rooms| call.bye_answered(rooms, side, message));
            }
            Use::Stray(key) if code >= 200 => {
                self.call(key, |call, _| call.bye_over());
            }
            Use::Audit(key, side) if code >= 200 => self.audited(key, side, AuditOutcome::Answered(code)),
            Use::Refresh(key, leg) if code >= 200 => {
                let mut expected = false;
                self.call(key, |call, rooms| {
                    expected = call.refresh_answered(rooms, txn, leg, message);
                });
                let invite = message.envelope().is_ok_and(|env| env.cseq.method == Method::Invite);
                if !expected && invite && (200..300).contains(&code) {
                    Stranger::unknown(flow).acknowledge(&mut self.rooms, txn, message);
                }
            }
            Use::Probe(device, target, probe) if code >= 200 => {
                let told = self.rooms.trunks.probe_answered(device, target, probe, code, self.rooms.now);
                self.act(device, told);
            }
            Use::Pulse(binding) if code >= 200 => self.phone_answered(binding),
            Use::Told(key, id) if code >= 200 => {
                self.call(key, |call, rooms| call.told(rooms, id, code, message));
            }
            Use::Notify(key) if code >= 200 => self.notified(key, txn, code, message),
            Use::Bye(..)
            | Use::Stray(_)
            | Use::Audit(..)
            | Use::Refresh(..)
            | Use::Probe(..)
            | Use::Pulse(_)
            | Use::Told(..)
            | Use::Notify(_) => {}
            Use::Invite(_) | Use::ReinviteFrom(_) | Use::Nobody => {}
        }
    }

    /// A response to nothing that this process sent.
    pub(super) fn stray(&mut self, flow: Flow, message: &Message) {
        self.rooms.counters.stray_responses += 1;
        if self.rooms.taken_back(message, flow) {
            return;
        }
        let asked_before = self.orphans_until.is_some_and(|until| self.rooms.now.mono < until);
        let tag = message.envelope().ok().and_then(|env| Tag::parse(env.from_tag?));
        match tag.and_then(|tag| self.rooms.tags.get(&tag).copied()) {
            Some(key) => drop(self.call(key, |call, rooms| call.stray(rooms, message, asked_before))),
            None if tag.is_some() && asked_before => self.orphan(flow, message),
            None => {}
        }
    }

    /// A 2xx to an INVITE that this server's name sent, of a call that nobody knows any more: its phone is acknowledged and
    /// hung up on, where the 2xx came from (RFC 3261 13.2.2.4). Only for so long after a restart or a takeover as a phone
    /// may still answer what an earlier process asked: else whoever makes one up would have answers sent.
    fn orphan(&mut self, flow: Flow, message: &Message) {
        let invite = message.envelope().is_ok_and(|env| env.cseq.method == Method::Invite);
        if !invite || !message.code().is_some_and(|code| (200..300).contains(&code)) {
            return;
        }
        if let Some((txn, _)) = self.rooms.endpoint.reserve() {
            self.rooms.endpoint.release(txn);
            Stranger::unknown(flow).forget(&mut self.rooms, txn, message);
        }
    }

    /// A 2xx that has been acknowledged and comes again gets its ACK again; whether it is one.
    fn acknowledged_again(&mut self, txn: TxnId, from: Flow, message: &Message) -> bool {
        let tag = message.envelope().ok().and_then(|env| env.to_tag).unwrap_or_default();
        let Some((flow, ack)) = self.rooms.acks.of(txn, tag) else { return false };
        // The connection of the first ACK may be gone; the one that brought the 2xx is there.
        let same = flow.transport == from.transport && from.transport.is_reliable();
        self.rooms.endpoint.send(if same { from } else { flow }, ack);
        true
    }

    /// ACK for a 2xx.
    pub(super) fn ack(&mut self, message: &Message) {
        self.rooms.counters.requests += 1;
        let Some(key) = self.call_of(message) else { return };
        if message.body().is_empty() {
            self.occasion = Occasion::Acknowledgement;
        }
        self.call(key, |call, rooms| call.acknowledged(rooms, message));
    }

    /// Which call a message within a dialog belongs to: its To-tag is ours.
    pub(super) fn call_of(&self, message: &Message) -> Option<Key> {
        let env = message.envelope().ok()?;
        let tag = Tag::parse(env.to_tag?)?;
        self.rooms.tags.get(&tag).copied()
    }

    /// Lets a call handle something; whether it is still there.
    pub(super) fn call(&mut self, key: Key, act: impl FnOnce(&mut Call, &mut Rooms)) -> bool {
        let mut told = false;
        let over = self.calls.with(&mut self.rooms, key, |call, rooms| {
            told = true;
            act(call, rooms);
        });
        self.keep(over);
        told
    }

    /// Timeouts and transport errors of transactions.
    pub(super) fn endpoint_events(&mut self) {
        while let Some(event) = self.rooms.endpoint.poll_event() {
            match event {
                tandem_sip::Event::Timeout { txn, user } => self.unanswered(txn, user, CallFailure::Timeout),
                tandem_sip::Event::TransportError { txn, user } => {
                    self.unanswered(txn, user, CallFailure::Transport);
                }
                tandem_sip::Event::AckTimeout { .. } => {}
            }
        }
    }

    pub(super) fn unanswered(&mut self, txn: TxnId, user: Use, how: CallFailure) {
        match user {
            Use::Branch(key, id) => {
                self.call(key, |call, rooms| call.branch_unanswered(rooms, id, how));
            }
            Use::ReinviteTo(key) => {
                self.call(key, |call, rooms| call.reinvite_unanswered(rooms, txn, how));
            }
            Use::Relay(key, id) => {
                self.call(key, |call, rooms| call.relay_unanswered(rooms, id, how));
            }
            Use::Bye(key, side) if how == CallFailure::Transport => {
                self.call(key, |call, rooms| call.bye_undelivered(rooms, side));
            }
            Use::Bye(key, side) if self.repeats_byes() => {
                self.call(key, |call, rooms| call.bye_again(rooms, side));
            }
            Use::Bye(key, side) => {
                self.call(key, |call, rooms| call.bye_unheard(rooms, side));
            }
            Use::Stray(key) => {
                self.call(key, |call, _| call.bye_over());
            }
            Use::Told(key, id) => {
                self.call(key, |call, rooms| call.untold(rooms, id, how));
            }
            Use::Audit(key, side) => self.audited(key, side, AuditOutcome::Unanswered),
            Use::Pulse(binding) => self.phone_silent(binding, how),
            Use::Refresh(key, leg) => {
                self.call(key, |call, rooms| call.refresh_unanswered(rooms, leg, how));
            }
            Use::Probe(device, target, probe) if how == CallFailure::Transport => {
                let told = self.rooms.trunks.probe_failed(device, target, probe, self.rooms.now);
                self.act(device, told);
            }
            Use::Notify(key) => self.notify_failed(key, txn, how),
            Use::Probe(..) | Use::Invite(_) | Use::ReinviteFrom(_) | Use::Nobody => {}
        }
    }

    fn audited(&mut self, key: Key, side: Side, outcome: AuditOutcome) {
        self.call(key, |call, rooms| call.audited(rooms, side, outcome));
    }
}
