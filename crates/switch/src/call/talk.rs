//! The answered call: two dialogs, and what the INVITEs within them do to it.

use bytes::Bytes;
use tandem_peer::Replicated;
use tandem_peer::trunk::CallFailure;
use tandem_sip::{Flow, HeaderName, Message, Method, TxnId, response_to};

use super::credentials::{Authorization, Challenged};
use super::exchange::{Answered, Exchange, Relayed};
use super::hold::Hold;
use super::incoming::{Incoming, hops};
use super::leg::{Ask, Leg, Side};
use super::life::Life;
use super::news::LegNo;
use super::passage::{Passage, believes};
use super::record::EndReason;
use super::session_id;
use super::timer::Timer;
use super::{Call, Phase, Talking, headers, mapped, reliable};
use crate::cdr::EndedBy;
use crate::reject::Reject;
use crate::rooms::{Rooms, Use, own_headers};

/// What must survive of an answered call.
#[derive(Clone, Debug)]
pub struct Talk {
    /// `CallUUID`.
    pub uuid: u128,
    /// The caller's user.
    pub from: Box<[u8]>,
    /// The dialled user.
    pub to: Box<[u8]>,
    /// When the INVITE arrived, ms since the Unix epoch.
    pub started_unix_ms: u64,
    /// When it was answered, ms since the Unix epoch.
    pub answered_unix_ms: u64,
    /// The caller's leg and the callee's.
    pub legs: [Leg; 2],
    /// What else is stored.
    pub life: Life,
}

impl Talk {
    /// The leg at one end.
    #[must_use]
    pub fn leg(&self, side: Side) -> &Leg {
        let [caller, callee] = &self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    /// The side whose dialog a request belongs to.
    #[must_use]
    pub fn sender(&self, request: &tandem_sip::Envelope<'_>) -> Option<Side> {
        [Side::Caller, Side::Callee].into_iter().find(|side| self.leg(*side).dialog.matches(request))
    }

    /// Whether this server holds the call by request: no media flow until it is taken back.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.legs.iter().any(|leg| leg.holds == Hold::Request)
    }

    /// The side at which the leg with this number is.
    #[must_use]
    pub fn side_of(&self, no: LegNo) -> Option<Side> {
        [Side::Caller, Side::Callee].into_iter().find(|side| self.leg(*side).no == no)
    }

    /// The leg at one end.
    pub fn leg_mut(&mut self, side: Side) -> &mut Leg {
        let [caller, callee] = &mut self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }
}

impl Call {
    /// The call is answered: stores it, then passes the 2xx to the caller.
    pub(super) fn begin_talk(&mut self, rooms: &mut Rooms, legs: [Leg; 2], answered: Answered) {
        let mut legs = legs;
        for leg in &mut legs {
            leg.number(self.leg_no(leg), &self.directory);
        }
        let [caller, callee] = &mut legs;
        caller.session_ids.party = self.session_ids[0];
        session_id::introduce(self.uuid, [caller, callee]);
        self.session_ids[1] = callee.session_ids.party;
        rooms.endpoint.respond(answered.server, answered.code, answered.ok.clone(), rooms.now.mono);
        let exchange = Exchange::Answered(answered.repeating(rooms));
        let talk = self.talk_of(rooms, legs, &exchange);
        let talk = Replicated::create(rooms.record_id(), talk, &mut rooms.log);
        self.phase = Phase::Talk(Box::new(Talking {
            talk,
            exchange,
            audit: [None, None],
            alone: None,
            taken_up: false,
        }));
    }

    /// What is stored of the call from its answer on.
    pub(super) fn talk_of(&self, rooms: &mut Rooms, legs: [Leg; 2], exchange: &Exchange) -> Talk {
        Talk {
            uuid: self.uuid,
            from: self.from.clone(),
            to: self.to.clone(),
            started_unix_ms: self.started.unix_ms,
            answered_unix_ms: rooms.now.unix_ms,
            legs,
            life: self.life(rooms, exchange, None),
        }
    }

    /// The number of a leg, known by its Call-ID.
    pub(super) fn leg_no(&self, leg: &Leg) -> LegNo {
        // A nailed-up connection may have been tried before, in vain.
        let place = self.legs.iter().rposition(|facts| facts.is(leg.dialog.call_id()));
        place.and_then(|place| LegNo::try_from(place).ok()).unwrap_or_default()
    }

    /// A re-INVITE from one side (RFC 3261 14.2), or an UPDATE for a side that takes re-INVITE only.
    pub(super) fn reinvite(&mut self, rooms: &mut Rooms, side: Side, incoming: &Incoming<'_>) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let refusal = match &talking.exchange {
            Exchange::Idle => None,
            Exchange::Relayed(relayed) if relayed.from == side => Some(too_soon(rooms)),
            Exchange::Relayed(_) | Exchange::Answered(_) | Exchange::Arranging(_) => Some(Reject::new(491)),
        };
        let refusal = refusal.or_else(|| talking.talk.leg(side).timer.refusal(incoming.message));
        if let Some(refusal) = refusal {
            return incoming.answer(rooms, &refusal);
        }
        let cseq = talking.talk.update(&mut rooms.log, |talk| {
            talk.leg_mut(side).renew(incoming.message);
            talk.leg_mut(side.other()).dialog.next_cseq()
        });
        let sdp = talking.redescribe(rooms, side.other(), incoming.message);
        talking.said(rooms, side.other(), sdp.as_deref().unwrap_or(incoming.message.body()));
        let ask = Ask {
            like: Some(incoming.message),
            believed: believes(&self.directory, talking.talk.leg(side).device),
            sdp: sdp.as_deref(),
            max_forwards: hops(incoming.message),
            ..Ask::own(b"INVITE", cseq)
        };
        let Some(sent) = talking.talk.leg(side.other()).ask(rooms, &ask, Use::ReinviteTo(self.key)) else {
            rooms.counters.refused_full += 1;
            return incoming.answer(rooms, &Reject::full());
        };
        let mut patience = rooms.directory.options.ring_timeout;
        if incoming.env.cseq.method == Method::Update {
            // Whoever waits for its answer gives up after that time.
            patience = patience.min(rooms.directory.options.timers.patience() / 2);
        } else {
            rooms.endpoint.attach(incoming.txn, Use::ReinviteFrom(self.key));
            incoming.answer(rooms, &Reject::new(100));
        }
        talking.exchange = Exchange::Relayed(Box::new(Relayed {
            from: side,
            server: incoming.txn,
            flow: incoming.flow,
            request: incoming.message.detach(),
            client: sent.txn,
            client_cseq: cseq,
            by_tcp_for_size: sent.by_tcp_for_size,
            challenged: false,
            until: Some(rooms.now.mono + patience),
        }));
    }

    /// A response to a passed-on re-INVITE; false for one that nobody waits for.
    pub fn reinvite_response(&mut self, rooms: &mut Rooms, txn: TxnId, response: &Message) -> bool {
        let Some(code) = response.code() else { return true };
        let Phase::Talk(talking) = &mut self.phase else {
            return self.late_reinvite_response(rooms, txn, response)
                || self.tone_response(rooms, txn, response)
                || self.line_response(rooms, txn, response)
                || self.rest_response(rooms, txn, response);
        };
        match &talking.exchange {
            Exchange::Relayed(relayed) if relayed.client == txn => {}
            Exchange::Answered(answered) if answered.client == txn => return true,
            Exchange::Arranging(_) => return self.arranged(rooms, txn, response),
            Exchange::Idle | Exchange::Relayed(_) | Exchange::Answered(_) => return false,
        }
        if matches!(code, 401 | 407) && self.answer_reinvite_challenge(rooms, response) {
            return true;
        }
        if code == 422 && self.lengthen_reinvite(rooms, response) {
            return true;
        }
        self.reinvite_decided(rooms, code, response);
        true
    }

    fn reinvite_decided(&mut self, rooms: &mut Rooms, code: u16, response: &Message) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Exchange::Relayed(relayed) = &talking.exchange else { return };
        let (from, server, flow, request) =
            (relayed.from, relayed.server, relayed.flow, relayed.request.clone());
        let is_update = relayed.is_update();
        if is_update && code < 200 {
            return;
        }
        let sdp = talking.redescribe(rooms, from, response);
        if (200..300).contains(&code) {
            talking.accepted(rooms, from, &request);
            talking.said(rooms, from, sdp.as_deref().unwrap_or(response.body()));
        }
        let passage = talking.passage_to(&self.directory, from);
        let timer = &talking.talk.leg(from).timer;
        let like = (response, &passage);
        let Some(payload) = pass_back(rooms, &request, flow, code, like, sdp.as_deref(), Some(timer)) else {
            return;
        };
        let Exchange::Relayed(relayed) = &talking.exchange else { return };
        rooms.endpoint.respond(server, mapped(code), payload.clone(), rooms.now.mono);
        if code < 200 {
            return;
        }
        let server_cseq = relayed.request.envelope().map(|env| env.cseq.number).unwrap_or(0);
        let (client, client_cseq) = (relayed.client, relayed.client_cseq);
        talking.exchange = Exchange::Idle;
        if code < 300 {
            let now = rooms.now;
            talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(from.other()).confirmed(response, now));
            if is_update {
                talking.talk.leg(from.other()).acknowledge(rooms, client, client_cseq, None);
                return self.hold_by_phone(rooms, from, &request);
            }
            let (again_at, give_up_at) = (rooms.now.mono, rooms.now.mono);
            let answered = Answered {
                from,
                server,
                server_cseq,
                client,
                client_cseq,
                code,
                ok: payload,
                again_at,
                interval: std::time::Duration::ZERO,
                give_up_at,
                gone: None,
            };
            talking.exchange = Exchange::Answered(answered.repeating(rooms));
            self.hold_by_phone(rooms, from, &request);
        } else if ends_dialog(Method::Invite, code) {
            self.dialog_gone(rooms, from.other(), EndReason::Status(code));
        }
    }

    /// A trunk challenges a passed-on re-INVITE: it goes again, with credentials, once.
    fn answer_reinvite_challenge(&mut self, rooms: &mut Rooms, response: &Message) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let Exchange::Relayed(relayed) = &talking.exchange else { return false };
        if relayed.challenged {
            return false;
        }
        let leg = talking.talk.leg(relayed.from.other());
        let challenged =
            Challenged { device: leg.device, response, method: b"INVITE", uri: leg.dialog.remote_target() };
        let Some(authorization) = Authorization::answering(rooms, &self.directory, challenged) else {
            return false;
        };
        self.reinvite_again(rooms, Some(authorization), false)
    }

    /// The far leg's session interval is too short for somebody on the way: the re-INVITE goes again with a longer one.
    fn lengthen_reinvite(&mut self, rooms: &mut Rooms, response: &Message) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let Exchange::Relayed(relayed) = &talking.exchange else { return false };
        let far = relayed.from.other();
        talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(far).timer.lengthen(response))
            && self.reinvite_again(rooms, None, false)
    }

    /// Passes the re-INVITE on again: with credentials, or by UDP after TCP failed.
    fn reinvite_again(
        &mut self,
        rooms: &mut Rooms,
        authorization: Option<Authorization>,
        udp_only: bool,
    ) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let Exchange::Relayed(relayed) = &mut talking.exchange else { return false };
        let far = relayed.from.other();
        let fresh = authorization.is_some();
        relayed.challenged |= fresh;
        // A new transaction has a new number: the far end may have seen the first one before its connection broke.
        relayed.client_cseq = talking.talk.update(&mut rooms.log, |talk| {
            let leg = talk.leg_mut(far);
            if let Some(authorization) = authorization {
                leg.authorization = Some(Box::new(authorization));
            }
            leg.dialog.next_cseq()
        });
        let request = relayed.request.clone();
        let cseq = relayed.client_cseq;
        let sdp = talking.redescribe(rooms, far, &request);
        let leg = talking.talk.leg(far);
        let ask = Ask {
            like: Some(&request),
            believed: believes(&self.directory, talking.talk.leg(far.other()).device),
            sdp: sdp.as_deref(),
            max_forwards: hops(&request),
            authorization: leg.authorization.as_deref().filter(|_| fresh),
            udp_only,
            ..Ask::own(b"INVITE", cseq)
        };
        let Some(sent) = leg.ask(rooms, &ask, Use::ReinviteTo(self.key)) else { return false };
        let Exchange::Relayed(relayed) = &mut talking.exchange else { return false };
        (relayed.client, relayed.by_tcp_for_size) = (sent.txn, sent.by_tcp_for_size);
        true
    }

    /// The passed-on re-INVITE got no response at all.
    pub fn reinvite_unanswered(&mut self, rooms: &mut Rooms, txn: TxnId, how: CallFailure) {
        if self.tone_unanswered(rooms, txn, how) || self.line_unanswered(rooms, txn, how) {
            return;
        }
        self.late_reinvite_over(txn);
        self.arranging_unanswered(rooms, txn, how);
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Exchange::Relayed(relayed) = &talking.exchange else { return };
        if relayed.client != txn {
            return;
        }
        let (far, for_size) = (relayed.from.other(), relayed.by_tcp_for_size);
        if how == CallFailure::Transport
            && (for_size || self.reconnect(rooms, far))
            && self.reinvite_again(rooms, None, true)
        {
            return;
        }
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Exchange::Relayed(relayed) = std::mem::replace(&mut talking.exchange, Exchange::Idle) else {
            return;
        };
        let status = match how {
            // Never 408 to a request other than INVITE (RFC 4320 4.1).
            CallFailure::Timeout if relayed.is_update() => 504,
            CallFailure::Timeout => 408,
            CallFailure::Transport => 500,
        };
        rooms.respond(relayed.server, relayed.flow, &relayed.request, &Reject::new(status));
        if how == CallFailure::Timeout {
            self.dialog_gone(rooms, far, EndReason::NoResponse);
        }
    }

    /// A party cancels its re-INVITE: the passed-on one is cancelled, and its 487 is passed back.
    pub fn reinvite_cancelled(&mut self, rooms: &mut Rooms, txn: TxnId) {
        let Phase::Talk(talking) = &self.phase else { return };
        let Exchange::Relayed(relayed) = &talking.exchange else { return };
        if relayed.server == txn {
            talking.talk.leg(relayed.from.other()).cancel(rooms, relayed.client, relayed.client_cseq);
        }
    }

    /// An ACK for a 2xx, from whichever side owes it.
    pub fn acknowledged(&mut self, rooms: &mut Rooms, ack: &Message) {
        let Ok(env) = ack.envelope() else { return };
        if self.taker_acknowledged(rooms, &env) {
            return;
        }
        let Phase::Talk(talking) = &mut self.phase else {
            if !self.waiting_acknowledged(&env) {
                self.acknowledged_late(rooms, &env);
            }
            return;
        };
        let Some(side) = talking.talk.sender(&env) else { return };
        let Exchange::Answered(answered) = &talking.exchange else { return };
        if !answered.is_acknowledged_by(side, &env) {
            return;
        }
        if answered.is_refusal() {
            return self.mend(rooms);
        }
        let (client, cseq) = (answered.client, answered.client_cseq);
        let sdp = talking.redescribe(rooms, side.other(), ack);
        talking.said(rooms, side.other(), sdp.as_deref().unwrap_or(ack.body()));
        let far = talking.talk.leg(side.other());
        far.acknowledge_with(rooms, client, cseq, Some(ack), sdp.as_deref());
        talking.exchange = Exchange::Idle;
    }

    /// Whether a 2xx is the winner's, repeated before the caller acknowledged it.
    pub(super) fn answered_again(&self, env: &tandem_sip::Envelope<'_>) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        talking.talk.legs.iter().any(|leg| leg.owns(env))
    }

    pub(super) fn talk_timeout(&mut self, rooms: &mut Rooms) {
        let now = rooms.now.mono;
        let Phase::Talk(talking) = &mut self.phase else { return };
        match &mut talking.exchange {
            Exchange::Idle | Exchange::Arranging(_) => {}
            Exchange::Relayed(relayed) => {
                if relayed.until.take_if(|until| *until <= now).is_some() {
                    let (far, client, cseq) = (relayed.from.other(), relayed.client, relayed.client_cseq);
                    talking.talk.leg(far).cancel(rooms, client, cseq);
                }
            }
            Exchange::Answered(answered) => {
                if !answered.repeat(rooms) {
                    if answered.gone.is_some() {
                        return self.mend(rooms);
                    }
                    let side = answered.from;
                    return self.hang_up(rooms, side, EndedBy::Network, EndReason::NoAck);
                }
            }
        }
        self.alone_timeout(rooms);
        self.arranging_timeout(rooms);
        self.audit_timeout(rooms);
        self.session_timeout(rooms);
    }
}

/// A second INVITE before the first has its final response (RFC 3261 14.2).
pub(super) fn too_soon(rooms: &mut Rooms) -> Reject {
    Reject::new(500).with(HeaderName::RetryAfter, rooms.ids.below(11).to_string())
}

/// Whether this refusal of a request within a dialog means that the dialog is gone at the far end, or that the far end
/// cannot be reached any more (RFC 3261 12.2.1.2, RFC 5057 5.1). A PRACK may be told 481 for its own sake (RFC 3262 3),
/// and a refused hop count or a loop is this path's own affair.
pub(super) fn ends_dialog(method: Method, code: u16) -> bool {
    let gone = matches!(code, 404 | 408 | 410 | 416 | 481 | 484 | 485 | 502 | 604);
    gone && !(method == Method::Prack && code == 481)
}

/// Prints a response to a relayed request of one side from the other side's response.
pub(super) fn pass_back(
    rooms: &mut Rooms,
    request: &Message,
    flow: Flow,
    code: u16,
    (response, passage): (&Message, &Passage),
    sdp: Option<&[u8]>,
    timer: Option<&Timer>,
) -> Option<Bytes> {
    let env = request.envelope().ok()?;
    let told = mapped(code);
    let like = Some(response).filter(|_| told == code);
    let reason = like.and_then(Message::reason).unwrap_or_else(|| crate::rooms::phrase(told).as_bytes());
    let lines = &rooms.lines;
    let mut builder = response_to(&mut rooms.scratch, request, &env, told, reason, None, Some(flow.remote));
    let refreshes = code < 300 && matches!(env.cseq.method, Method::Invite | Method::Update);
    if refreshes {
        own_headers(&mut builder, lines.contact(flow));
    }
    let Some(like) = like else { return Some(builder.finish(b"")) };
    if code < 200 {
        headers::print_number(&mut builder, reliable::number(like));
    }
    headers::relay(&mut builder, like, lines.sent_by.as_bytes(), passage);
    if let Some(timer) = timer.filter(|_| refreshes && code >= 200) {
        timer.print_answer(&mut builder);
    }
    Some(builder.finish(sdp.unwrap_or(like.body())))
}
