//! Requests within the dialogs, passed to the other side (RFC 3261 12.2).

use tandem_sip::dialog::Order;
use tandem_sip::{Envelope, Flow, HeaderName, Message, Method, TxnId};

use super::leg::{Ask, Leg, Side};
use super::record::EndReason;
use super::talk::{Exchange, pass_back};
use super::{Call, Pending, Phase};
use crate::ids::Tag;
use crate::limits::MAX_PENDING;
use crate::reject::Reject;
use crate::rooms::{Rooms, Use};

impl Call {
    /// A request with a To-tag of ours.
    pub fn request(
        &mut self,
        rooms: &mut Rooms,
        to: Tag,
        txn: TxnId,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
    ) {
        match self.accept(rooms, to, env) {
            None => {
                rooms.respond(txn, flow, request, &Reject::new(481));
            }
            Some((_, Order::OutOfOrder | Order::Retransmission)) => {
                rooms.respond(txn, flow, request, &Reject::because(500, "CSeq Out Of Order"));
            }
            Some((side, Order::New)) => self.in_dialog(rooms, side, to, txn, flow, request, env),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the values are those of one request")]
    fn in_dialog(
        &mut self,
        rooms: &mut Rooms,
        side: Side,
        to: Tag,
        txn: TxnId,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
    ) {
        let early = matches!(self.phase, Phase::Setup(_));
        match env.cseq.method {
            Method::Bye if early && side == Side::Callee => {
                rooms.respond(txn, flow, request, &Reject::new(481));
            }
            Method::Bye if early => {
                rooms.respond(txn, flow, request, &Reject::new(200));
                self.cancelled(rooms, Some(request));
            }
            Method::Bye => {
                rooms.respond(txn, flow, request, &Reject::new(200));
                self.bye_from(rooms, side, request);
            }
            Method::Invite if early => rooms.respond(txn, flow, request, &Reject::new(491)),
            Method::Invite => self.reinvite(rooms, side, txn, flow, request),
            Method::Update
            | Method::Info
            | Method::Message
            | Method::Notify
            | Method::Options
            | Method::Prack => self.relay(rooms, side, to, txn, flow, request, env),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Refer
            | Method::Publish
            | Method::Other => {
                let allow = Reject::new(405).with(HeaderName::Allow, crate::rooms::ALLOW);
                rooms.respond(txn, flow, request, &allow);
            }
        }
    }

    /// Which side sent it, and whether its CSeq is in order. `None`: no dialog of this call.
    fn accept(&mut self, rooms: &mut Rooms, to: Tag, env: &Envelope<'_>) -> Option<(Side, Order)> {
        match &mut self.phase {
            Phase::Setup(setup) => {
                let (side, legs) = setup.early(to, env.from_tag)?;
                let leg = pick(legs, side);
                leg.dialog.matches(env).then(|| (side, leg.dialog.accept_request(env.cseq.number)))
            }
            Phase::Talk(talking) => {
                let side = [Side::Caller, Side::Callee]
                    .into_iter()
                    .find(|side| talking.talk.leg(*side).dialog.matches(env))?;
                let accept =
                    |talk: &mut super::Talk| talk.leg_mut(side).dialog.accept_request(env.cseq.number);
                Some((side, talking.talk.update(&mut rooms.log, accept)))
            }
            Phase::Ending => None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the values are those of one request")]
    fn relay(
        &mut self,
        rooms: &mut Rooms,
        side: Side,
        to: Tag,
        txn: TxnId,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
    ) {
        if self.pending.len() >= MAX_PENDING {
            rooms.counters.refused_full += 1;
            return rooms.respond(txn, flow, request, &Reject::full());
        }
        let id = self.next_pending;
        let rack = self.rack(request);
        let refresh = env.cseq.method == Method::Update;
        let ask = Ask {
            like: Some(request),
            max_forwards: env.max_forwards.unwrap_or(70).saturating_sub(1),
            rack: rack.as_deref(),
            ..Ask::own(env.cseq.method_token, 0)
        };
        let used_for = Use::Relay(self.key, id);
        let client = match &mut self.phase {
            Phase::Setup(setup) => {
                let Some((_, legs)) = setup.early(to, env.from_tag) else { return };
                if refresh {
                    renew(pick(legs, side), request);
                }
                let far = pick(legs, side.other());
                let cseq = far.dialog.next_cseq();
                far.ask(rooms, &Ask { cseq, ..ask }, used_for)
            }
            Phase::Talk(talking) => {
                let cseq = talking.talk.update(&mut rooms.log, |talk| {
                    if refresh {
                        renew(talk.leg_mut(side), request);
                    }
                    talk.leg_mut(side.other()).dialog.next_cseq()
                });
                talking.talk.leg(side.other()).ask(rooms, &Ask { cseq, ..ask }, used_for)
            }
            Phase::Ending => None,
        };
        let Some(client) = client else {
            rooms.counters.refused_full += 1;
            return rooms.respond(txn, flow, request, &Reject::full());
        };
        self.next_pending = self.next_pending.wrapping_add(1);
        self.pending.push(Pending { id, from: side, server: txn, client, request: request.detach(), flow });
    }

    /// `RAck` of a PRACK in the other leg's numbers (RFC 3262 7.2): the response number is the same on both sides,
    /// the INVITE's CSeq is not.
    fn rack(&self, request: &Message) -> Option<Vec<u8>> {
        let rack = request.header(HeaderName::RAck)?;
        let number = rack.split(|byte| byte.is_ascii_whitespace()).next()?;
        let cseq = match &self.phase {
            Phase::Talk(talking) => match &talking.exchange {
                Exchange::Relayed { client_cseq, .. } => *client_cseq,
                Exchange::Idle | Exchange::Answered { .. } => 1,
            },
            Phase::Setup(_) | Phase::Ending => 1,
        };
        let mut text = number.to_vec();
        text.extend_from_slice(format!(" {cseq} INVITE").as_bytes());
        Some(text)
    }

    /// A response to a relayed request.
    pub fn relay_response(&mut self, rooms: &mut Rooms, id: u16, response: &Message) {
        let Some(code) = response.code().filter(|code| *code >= 200) else { return };
        let Some(place) = self.pending.iter().position(|pending| pending.id == id) else { return };
        let pending = self.pending.swap_remove(place);
        if let Some(payload) = pass_back(rooms, &pending.request, pending.flow, code, response) {
            rooms.endpoint.respond(pending.server, code, payload, rooms.now.mono);
        }
        let far = pending.from.other();
        if let Phase::Talk(talking) = &mut self.phase {
            if code < 300 && pending.request.method() == Some(Method::Update) {
                talking.talk.update(&mut rooms.log, |talk| renew(talk.leg_mut(far), response));
            } else if matches!(code, 408 | 481) {
                self.dialog_gone(rooms, far, EndReason::Status(code));
            }
        }
    }

    /// A relayed request got no response.
    pub fn relay_unanswered(&mut self, rooms: &mut Rooms, id: u16, reason: EndReason) {
        let Some(place) = self.pending.iter().position(|pending| pending.id == id) else { return };
        let pending = self.pending.swap_remove(place);
        rooms.respond(pending.server, pending.flow, &pending.request, &Reject::new(408));
        if matches!(self.phase, Phase::Talk(_)) {
            self.dialog_gone(rooms, pending.from.other(), reason);
        }
    }
}

fn pick(legs: &mut [Leg; 2], side: Side) -> &mut Leg {
    let [caller, callee] = legs;
    match side {
        Side::Caller => caller,
        Side::Callee => callee,
    }
}

fn renew(leg: &mut Leg, message: &Message) {
    leg.dialog.refresh_target(message);
    leg.aim();
}
