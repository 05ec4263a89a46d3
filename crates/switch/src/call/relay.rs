//! Requests within the dialogs, passed to the other side (RFC 3261 12.2).

use tandem_peer::trunk::CallFailure;
use tandem_sip::dialog::Order;
use tandem_sip::{HeaderName, Message, Method};

use super::credentials::{Authorization, Challenged};
use super::exchange::Exchange;
use super::incoming::{Incoming, hops};
use super::leg::{Ask, Leg, Side};
use super::passage::believes;
use super::record::EndReason;
use super::reliable::rack;
use super::talk::{ends_dialog, pass_back, too_soon};
use super::{Call, Pending, Phase, mapped};
use crate::ids::Tag;
use crate::limits::MAX_PENDING;
use crate::reject::Reject;
use crate::rooms::{Rooms, Use};

impl Call {
    /// A request with a To-tag of ours.
    pub fn request(&mut self, rooms: &mut Rooms, to: Tag, incoming: &Incoming<'_>) {
        if self.request_before_takeover(rooms, incoming) || self.request_of_taker(rooms, incoming) {
            return;
        }
        if self.is_parting(incoming.env) {
            self.lingerer_hangs_up(incoming.env);
            return incoming.answer(rooms, &Reject::new(200));
        }
        if matches!(self.phase, Phase::Ending) {
            return self.request_while_ending(rooms, incoming);
        }
        if self.acknowledged_early(rooms, to, incoming) {
            return;
        }
        if self.request_on_line(rooms, incoming) || self.request_while_apart(rooms, to, incoming) {
            return;
        }
        match self.accept(rooms, to, incoming) {
            None => incoming.answer(rooms, &Reject::new(481)),
            Some((side, Order::OutOfOrder | Order::Retransmission))
                if self.answers_again(rooms, side, incoming) => {}
            Some((_, Order::OutOfOrder | Order::Retransmission)) => {
                incoming.answer(rooms, &Reject::because(500, "CSeq Out Of Order"));
            }
            Some((side, Order::New)) => self.in_dialog(rooms, side, to, incoming),
        }
        self.release_answer(rooms);
    }

    fn in_dialog(&mut self, rooms: &mut Rooms, side: Side, to: Tag, incoming: &Incoming<'_>) {
        let early = matches!(self.phase, Phase::Setup(_));
        match incoming.env.cseq.method {
            Method::Bye if early && side == Side::Callee => {
                // A callee may not end an early dialog so (RFC 3261 15); its INVITE is what it must answer.
                incoming.answer(rooms, &Reject::new(481));
            }
            Method::Bye => {
                incoming.answer(rooms, &Reject::new(200));
                if early {
                    self.cancelled(rooms, Some(incoming.message));
                } else {
                    self.bye_from(rooms, side, incoming.message);
                }
            }
            _ if self.is_alone() => incoming.answer(rooms, &Reject::new(491)),
            Method::Invite if early && side == Side::Caller => {
                let refusal = too_soon(rooms);
                incoming.answer(rooms, &refusal);
            }
            Method::Invite if early => incoming.answer(rooms, &Reject::new(491)),
            Method::Invite => self.reinvite(rooms, side, incoming),
            Method::Refer => self.refer(rooms, side, incoming),
            Method::Update
            | Method::Info
            | Method::Message
            | Method::Notify
            | Method::Options
            | Method::Prack => self.relay(rooms, side, to, incoming),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Publish
            | Method::Other => {
                let allow = Reject::new(405).with(HeaderName::Allow, crate::rooms::ALLOW);
                incoming.answer(rooms, &allow);
            }
        }
    }

    /// Which side sent it, and whether its CSeq is in order. `None`: no dialog of this call.
    fn accept(&mut self, rooms: &mut Rooms, to: Tag, incoming: &Incoming<'_>) -> Option<(Side, Order)> {
        let Incoming { env, flow, .. } = *incoming;
        match &mut self.phase {
            Phase::Setup(setup) => {
                let (side, legs) = setup.early(to, env.from_tag)?;
                let leg = pick(legs, side);
                if !leg.dialog.matches(env) {
                    return None;
                }
                leg.heard_by(flow);
                Some((side, leg.dialog.accept_request(env.cseq.number)))
            }
            Phase::Talk(talking) => {
                let side = talking.talk.sender(env)?;
                let accept = |talk: &mut super::Talk| {
                    let leg = talk.leg_mut(side);
                    leg.heard_by(flow);
                    leg.dialog.accept_request(env.cseq.number)
                };
                Some((side, talking.talk.update(&mut rooms.log, accept)))
            }
            Phase::Ending => None,
        }
    }

    fn relay(&mut self, rooms: &mut Rooms, side: Side, to: Tag, incoming: &Incoming<'_>) {
        if self.pending.len() >= MAX_PENDING {
            rooms.counters.refused_full += 1;
            return incoming.answer(rooms, &Reject::full());
        }
        if incoming.env.cseq.method == Method::Update && self.update_here(rooms, side, to, incoming) {
            return;
        }
        let rack = match self.rack(side, to, incoming) {
            Ok(rack) => rack,
            Err(refusal) => return incoming.answer(rooms, &refusal),
        };
        if incoming.env.cseq.method == Method::Update {
            self.renew(rooms, side, to, incoming);
        }
        let id = self.next_pending;
        self.next_pending = self.next_pending.wrapping_add(1);
        let pending = Pending {
            id,
            from: side,
            to,
            server: incoming.txn,
            client: incoming.txn,
            request: incoming.message.detach(),
            flow: incoming.flow,
            rack,
            by_tcp_for_size: false,
            challenged: false,
        };
        self.pending.push(pending);
        if !self.pass_on(rooms, id, None) {
            self.pending.retain(|pending| pending.id != id);
            rooms.counters.refused_full += 1;
            incoming.answer(rooms, &Reject::full());
        }
    }

    /// UPDATE refreshes its sender's target (RFC 3311 5.2).
    fn renew(&mut self, rooms: &mut Rooms, side: Side, to: Tag, incoming: &Incoming<'_>) {
        match &mut self.phase {
            Phase::Setup(setup) => {
                if let Some((_, legs)) = setup.early(to, incoming.env.from_tag) {
                    pick(legs, side).renew(incoming.message);
                }
            }
            Phase::Talk(talking) => {
                talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).renew(incoming.message));
            }
            Phase::Ending => {}
        }
    }

    /// Sends a waiting request to the other side; with the answer to a challenge if that is why it goes again, or by
    /// UDP if it went by TCP in vain. False: it could not be sent.
    fn pass_on(&mut self, rooms: &mut Rooms, id: u16, authorization: Option<&Authorization>) -> bool {
        let Self { pending, phase, key, directory, .. } = self;
        let Some(pending) = pending.iter_mut().find(|pending| pending.id == id) else { return false };
        let believed = match phase {
            Phase::Talk(talking) => believes(directory, talking.talk.leg(pending.from).device),
            Phase::Setup(_) | Phase::Ending => false,
        };
        let ask = Ask {
            like: Some(&pending.request),
            believed,
            max_forwards: hops(&pending.request),
            rack: pending.rack.as_deref(),
            authorization,
            udp_only: pending.by_tcp_for_size,
            ..Ask::own(pending.request.method_token().unwrap_or_default(), 0)
        };
        let (far, used_for) = (pending.from.other(), Use::Relay(*key, id));
        let sent = match phase {
            Phase::Setup(setup) => {
                let from_tag = pending.request.envelope().ok().and_then(|env| env.from_tag);
                setup.early(pending.to, from_tag).and_then(|(_, legs)| {
                    let leg = pick(legs, far);
                    let cseq = leg.dialog.next_cseq();
                    leg.ask(rooms, &Ask { cseq, ..ask }, used_for)
                })
            }
            Phase::Talk(talking) => {
                let cseq = talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(far).dialog.next_cseq());
                let sdp = talking.redescribe(rooms, far, &pending.request);
                if matches!(pending.request.method(), Some(Method::Update | Method::Prack)) {
                    talking.said(rooms, far, sdp.as_deref().unwrap_or(pending.request.body()));
                }
                talking.talk.leg(far).ask(rooms, &Ask { cseq, sdp: sdp.as_deref(), ..ask }, used_for)
            }
            Phase::Ending => None,
        };
        let Some(sent) = sent else { return false };
        (pending.client, pending.by_tcp_for_size) = (sent.txn, sent.by_tcp_for_size);
        true
    }

    /// `RAck` of a PRACK in the other leg's numbers (RFC 3262 7.2): the response number is the same on both sides,
    /// the INVITE's CSeq is not.
    fn rack(&self, side: Side, to: Tag, incoming: &Incoming<'_>) -> Result<Option<Box<[u8]>>, Reject> {
        if incoming.env.cseq.method != Method::Prack {
            return Ok(None);
        }
        let bad = || Reject::because(400, "Bad RAck");
        let (number, cseq, method) = rack(incoming.message).ok_or_else(bad)?;
        let known = self.invite_numbers(side, to).filter(|(theirs, _)| *theirs == cseq);
        let (_, ours) = known.filter(|_| method == b"INVITE").ok_or_else(|| Reject::new(481))?;
        let number = match &self.phase {
            Phase::Setup(setup) => setup.passed_number(to, number).ok_or_else(|| Reject::new(481))?,
            Phase::Talk(_) | Phase::Ending => number,
        };
        Ok(Some(format!("{number} {ours} INVITE").into_bytes().into()))
    }

    /// CSeq of the latest INVITE of one side, and of what it was passed on as.
    fn invite_numbers(&self, side: Side, to: Tag) -> Option<(u32, u32)> {
        match &self.phase {
            Phase::Setup(setup) if side == Side::Caller => setup.invite_numbers(to),
            Phase::Talk(talking) => match &talking.exchange {
                Exchange::Relayed(relayed) if relayed.from == side => {
                    Some((relayed.request.envelope().ok()?.cseq.number, relayed.client_cseq))
                }
                Exchange::Answered(answered) if answered.from == side => {
                    Some((answered.server_cseq, answered.client_cseq))
                }
                Exchange::Idle | Exchange::Relayed(_) | Exchange::Answered(_) | Exchange::Arranging(_) => {
                    None
                }
            },
            Phase::Setup(_) | Phase::Ending => None,
        }
    }

    /// Takes a request away that has its answer. Few calls have another to come, so the room goes with the last.
    fn settled(&mut self, place: usize) -> Pending {
        let pending = self.pending.swap_remove(place);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        pending
    }

    /// A response to a relayed request.
    pub fn relay_response(&mut self, rooms: &mut Rooms, id: u16, response: &Message) {
        let Some(code) = response.code().filter(|code| *code >= 200) else { return };
        if matches!(code, 401 | 407) && self.answer_relay_challenge(rooms, id, response) {
            return;
        }
        let Some(place) = self.pending.iter().position(|pending| pending.id == id) else { return };
        let pending = self.settled(place);
        let updates = code < 300 && pending.request.method() == Some(Method::Update);
        let refusal = self.passage_of_refusal();
        let (sdp, timer, passage) = match &mut self.phase {
            Phase::Talk(talking) => {
                let sdp = talking.redescribe(rooms, pending.from, response);
                if updates {
                    talking.accepted(rooms, pending.from, &pending.request);
                    talking.said(rooms, pending.from, sdp.as_deref().unwrap_or(response.body()));
                }
                let passage = talking.passage_to(&self.directory, pending.from);
                (sdp, Some(&talking.talk.leg(pending.from).timer), passage)
            }
            Phase::Setup(_) | Phase::Ending => (None, None, refusal),
        };
        let like = (response, &passage);
        let payload = pass_back(rooms, &pending.request, pending.flow, code, like, sdp.as_deref(), timer);
        if let Some(payload) = payload {
            rooms.endpoint.respond(pending.server, mapped(code), payload, rooms.now.mono);
        }
        let (far, method) = (pending.from.other(), pending.request.method().unwrap_or(Method::Other));
        match &mut self.phase {
            Phase::Talk(talking) if updates => {
                let now = rooms.now;
                talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(far).confirmed(response, now));
                self.hold_by_phone(rooms, pending.from, &pending.request);
            }
            Phase::Talk(_) if ends_dialog(method, code) => {
                self.dialog_gone(rooms, far, EndReason::Status(code));
            }
            Phase::Setup(setup) if updates => {
                let from_tag = pending.request.envelope().ok().and_then(|env| env.from_tag);
                if let Some((_, legs)) = setup.early(pending.to, from_tag) {
                    pick(legs, far).renew(response);
                }
            }
            Phase::Setup(_) | Phase::Talk(_) | Phase::Ending => {}
        }
    }

    /// A trunk challenges a relayed request: it goes again, with credentials, once.
    fn answer_relay_challenge(&mut self, rooms: &mut Rooms, id: u16, response: &Message) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        let Some(pending) = self.pending.iter_mut().find(|pending| pending.id == id) else { return false };
        if std::mem::replace(&mut pending.challenged, true) {
            return false;
        }
        let leg = talking.talk.leg(pending.from.other());
        let challenged = Challenged {
            device: leg.device,
            response,
            method: pending.request.method_token().unwrap_or_default(),
            uri: leg.dialog.remote_target(),
        };
        let Some(authorization) = Authorization::answering(rooms, &self.directory, challenged) else {
            return false;
        };
        pending.by_tcp_for_size = false;
        self.pass_on(rooms, id, Some(&authorization))
    }

    /// Replaces the connection to one side, or takes the next target of its trunk. False: there is none.
    pub(super) fn reconnect(&mut self, rooms: &mut Rooms, side: Side) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let mut moved = talking.talk.leg(side).clone();
        let moves = moved.fail_over(rooms);
        if moves {
            talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).flow = moved.flow);
        }
        moves
    }

    /// A relayed request got no response. Silence ends the dialog (RFC 3261 12.2.1.2); a transport that fails is
    /// as a 503 and does not.
    pub fn relay_unanswered(&mut self, rooms: &mut Rooms, id: u16, how: CallFailure) {
        let Some(place) = self.pending.iter().position(|pending| pending.id == id) else { return };
        let for_size = self.pending.get(place).is_some_and(|pending| pending.by_tcp_for_size);
        let far = self.pending.get(place).map_or(Side::Callee, |pending| pending.from.other());
        if how == CallFailure::Transport
            && (for_size || self.reconnect(rooms, far))
            && self.pass_on(rooms, id, None)
        {
            return;
        }
        let pending = self.settled(place);
        // Never 408: the requester gave up at the same moment and would take it for a stray (RFC 4320 4.1).
        let status = if how == CallFailure::Timeout { 504 } else { 500 };
        rooms.respond(pending.server, pending.flow, &pending.request, &Reject::new(status));
        if matches!(self.phase, Phase::Talk(_)) && how == CallFailure::Timeout {
            self.dialog_gone(rooms, pending.from.other(), EndReason::NoResponse);
        }
    }
}

fn pick(legs: [&mut Leg; 2], side: Side) -> &mut Leg {
    let [caller, callee] = legs;
    match side {
        Side::Caller => caller,
        Side::Callee => callee,
    }
}
