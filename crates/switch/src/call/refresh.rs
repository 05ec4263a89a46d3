//! What session timers do (RFC 4028): this server refreshes, answers a refresh, and ends a call one of whose far ends is
//! silently gone. A far end that knows nothing of session timers is asked by OPTIONS in its dialog instead.

use std::time::{Duration, Instant};

use tandem_peer::trunk::CallFailure;
use tandem_sip::{HeaderName, Message, Method, TxnId, response_to};

use super::arrange::{Aim, Move};
use super::credentials::{Authorization, Challenged};
use super::exchange::Exchange;
use super::incoming::Incoming;
use super::leg::{Ask, Leg, Side};
use super::news::LegNo;
use super::record::EndReason;
use super::setup::Caller;
use super::talk::ends_dialog;
use super::timer::{Refresh, is_mere_refresh};
use super::{Call, Phase, Talking};
use crate::cdr::EndedBy;
use crate::rooms::{Rooms, Use, own_headers};
use crate::time::Now;

/// When a refresh is tried again that was put off, or refused for a while.
const AGAIN: Duration = Duration::from_secs(5);
/// When one is that has to wait its turn: an INVITE is under way in the call. After an outage both legs are due at once, and
/// may not have long.
const TURN: Duration = Duration::from_secs(1);

impl Talking {
    fn is_here(&self, side: Side) -> bool {
        self.alone.is_none_or(|(left, _)| left == side)
    }

    /// When the session of a leg is refreshed, or is over.
    pub(super) fn session_due(&self) -> Option<Instant> {
        let here = [Side::Caller, Side::Callee].into_iter().filter(|side| self.is_here(*side));
        here.filter_map(|side| self.talk.leg(side).timer.due()).min()
    }

    /// A request of one side is about to be answered with a 2xx: its session timer begins anew.
    pub(super) fn accepted(&mut self, rooms: &mut Rooms, side: Side, request: &Message) {
        let now = rooms.now;
        self.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).timer.accept(request, now));
    }

    /// One side is sent this description.
    pub(super) fn said(&mut self, rooms: &mut Rooms, side: Side, sdp: &[u8]) {
        if self.talk.leg(side).timer.is_new(sdp) {
            self.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).timer.say(sdp));
        }
    }
}

impl Call {
    /// What is due of the sessions of an answered call.
    pub(super) fn session_timeout(&mut self, rooms: &mut Rooms) {
        for side in [Side::Caller, Side::Callee] {
            let Phase::Talk(talking) = &self.phase else { return };
            let timer = &talking.talk.leg(side).timer;
            if !talking.is_here(side) || timer.due().is_none_or(|due| due > rooms.now.mono) {
                continue;
            }
            if timer.is_over(rooms.now.mono) {
                let no = talking.talk.leg(side).no;
                self.leg_gone(rooms, no, EndReason::SessionExpired);
            } else if timer.next() == Refresh::Invite {
                self.refresh_by_invite(rooms, side);
            } else {
                let no = talking.talk.leg(side).no;
                self.refresh(rooms, no, None);
            }
        }
    }

    /// The same of a party that waits on the line.
    pub(super) fn waiting_session_timeout(&mut self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &self.phase else { return };
        let Caller::Leg(no, leg) = &setup.caller else { return };
        if leg.timer.due().is_none_or(|due| due > rooms.now.mono) {
            return;
        }
        let (no, by_invite) = (*no, leg.timer.next() == Refresh::Invite);
        if leg.timer.is_over(rooms.now.mono) {
            self.leg_gone(rooms, no, EndReason::SessionExpired);
        } else if by_invite && (setup.accepted.is_some() || self.asks_resting_phone()) {
            // One INVITE at a time.
            self.look_again(rooms, no);
        } else {
            self.refresh(rooms, no, None);
        }
    }

    fn look_again(&mut self, rooms: &mut Rooms, no: LegNo) {
        let at = rooms.now.mono + AGAIN;
        self.on_leg(rooms, no, |leg| leg.timer.look_at(at));
    }

    fn refresh_by_invite(&mut self, rooms: &mut Rooms, side: Side) {
        let Phase::Talk(talking) = &self.phase else { return };
        let no = talking.talk.leg(side).no;
        let busy = !matches!(talking.exchange, Exchange::Idle);
        // An INVITE that is under way already may refresh it as well.
        let after = if busy { TURN } else { rooms.directory.options.timers.patience() * 2 };
        let at = rooms.now.mono + after;
        self.on_leg(rooms, no, |leg| leg.timer.look_at(at));
        if !busy {
            rooms.counters.session_refreshes += 1;
            self.arrange(rooms, Aim::Refresh(side), None, &[Move::Refresh(side)]);
        }
    }

    /// A re-INVITE that refreshed a session had its answer; it was refused if that says so.
    pub(super) fn refresh_over(&mut self, rooms: &mut Rooms, side: Side, outcome: Result<(), u16>) {
        let Phase::Talk(talking) = &self.phase else { return };
        let no = talking.talk.leg(side).no;
        if outcome.is_err() {
            let at = rooms.now.mono + AGAIN * 6;
            self.on_leg(rooms, no, |leg| leg.timer.look_at(at));
        }
    }

    /// Sends an UPDATE or OPTIONS to a leg; to one that waits on the line also an INVITE with what it was told last.
    fn refresh(&mut self, rooms: &mut Rooms, no: LegNo, authorization: Option<&Authorization>) {
        let (key, talks) = (self.key, matches!(self.phase, Phase::Talk(_)));
        let patience = rooms.directory.options.timers.patience();
        let now = rooms.now.mono;
        let asked = self.on_leg(rooms, no, |leg| {
            let (method, after, sdp): (&[u8], _, _) = match leg.timer.next() {
                Refresh::Update => (b"UPDATE", patience + AGAIN, None),
                Refresh::Options => (b"OPTIONS", patience + AGAIN, None),
                Refresh::Invite if talks => {
                    // Somebody took the call meanwhile: the INVITE has to wait its turn.
                    leg.timer.look_at(now + AGAIN);
                    return None;
                }
                Refresh::Invite => (b"INVITE", patience * 2, leg.timer.said().map(Box::from)),
            };
            leg.timer.look_at(now + after);
            let cseq = leg.dialog.next_cseq();
            Some((leg.clone(), method, cseq, sdp))
        });
        let Some((leg, method, cseq, sdp)) = asked.flatten() else { return };
        let sdp: Option<Box<[u8]>> = sdp;
        rooms.counters.session_refreshes += 1;
        let ask = Ask { authorization, sdp: sdp.as_deref(), ..Ask::own(method, cseq) };
        if leg.ask(rooms, &ask, Use::Refresh(key, no)).is_none() {
            rooms.counters.refused_full += 1;
        }
    }

    /// Changes a leg of an answered call, or of one whose party waits on the line.
    fn on_leg<T>(&mut self, rooms: &mut Rooms, no: LegNo, act: impl FnOnce(&mut Leg) -> T) -> Option<T> {
        match &mut self.phase {
            Phase::Talk(talking) => {
                let side = talking.talk.side_of(no).filter(|side| talking.is_here(*side))?;
                Some(talking.talk.update(&mut rooms.log, |talk| act(talk.leg_mut(side))))
            }
            Phase::Setup(setup) => match &mut setup.caller {
                Caller::Leg(own, leg) if *own == no => Some(act(leg)),
                Caller::Leg(..) | Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => None,
            },
            Phase::Ending => None,
        }
    }

    /// The answer to a request that refreshed a session. False: nobody is there whose session it was, and a 2xx to an
    /// INVITE still wants its ACK.
    pub fn refresh_answered(&mut self, rooms: &mut Rooms, txn: TxnId, no: LegNo, response: &Message) -> bool {
        let Ok(env) = response.envelope() else { return true };
        let Some(code) = response.code() else { return true };
        let (method, now) = (env.cseq.method, rooms.now);
        let accepted = method == Method::Invite && (200..300).contains(&code);
        let Some(leg) = self.on_leg(rooms, no, |leg| accepted.then(|| leg.clone())) else { return false };
        if let Some(leg) = leg {
            leg.acknowledge(rooms, txn, env.cseq.number, None);
        }
        if matches!(code, 401 | 407) && self.answer_refresh_challenge(rooms, no, response, method) {
            return true;
        }
        if code == 422 && self.on_leg(rooms, no, |leg| leg.timer.lengthen(response)) == Some(true) {
            self.refresh(rooms, no, None);
            return true;
        }
        let asks = method == Method::Options;
        let gone = if asks { matches!(code, 408 | 481) } else { ends_dialog(method, code) };
        if gone {
            self.leg_gone(rooms, no, EndReason::Status(code));
            return true;
        }
        let wait = Duration::from_millis(rooms.ids.below(2_000)) + AGAIN;
        self.on_leg(rooms, no, |leg| match (method, code) {
            // Whatever else it says to an OPTIONS, it lives.
            _ if asks => leg.timer.start(now),
            (_, 200..300) => leg.confirmed(response, now),
            (Method::Update, 405 | 501) => {
                leg.timer.takes_no_update();
                leg.timer.look_at(now.mono);
            }
            (_, 491) => leg.timer.look_at(now.mono + wait),
            (_, _) => leg.timer.look_at(now.mono + AGAIN * 6),
        });
        true
    }

    fn answer_refresh_challenge(
        &mut self,
        rooms: &mut Rooms,
        no: LegNo,
        response: &Message,
        method: Method,
    ) -> bool {
        let method: &[u8] = match () {
            () if method == Method::Update => b"UPDATE",
            () if method == Method::Invite => b"INVITE",
            () => b"OPTIONS",
        };
        let asked = self.on_leg(rooms, no, |leg| {
            leg.timer.may_answer_challenge().then(|| (leg.device, leg.dialog.remote_target().to_vec()))
        });
        let Some((device, uri)) = asked.flatten() else { return false };
        let challenged = Challenged { device, response, method, uri: &uri };
        let Some(authorization) = Authorization::answering(rooms, &self.directory, challenged) else {
            return false;
        };
        self.refresh(rooms, no, Some(&authorization));
        true
    }

    /// A request that refreshed a session got no answer.
    pub fn refresh_unanswered(&mut self, rooms: &mut Rooms, no: LegNo, how: CallFailure) {
        match how {
            CallFailure::Timeout => {
                self.leg_gone(rooms, no, EndReason::NoResponse);
            }
            CallFailure::Transport => {
                let at = rooms.now.mono + AGAIN;
                let anew = self.on_leg(rooms, no, |leg| {
                    leg.timer.look_at(at);
                    leg.reconnect()
                });
                if anew == Some(true) {
                    self.refresh(rooms, no, None);
                }
            }
        }
    }

    fn leg_gone(&mut self, rooms: &mut Rooms, no: LegNo, reason: EndReason) {
        if self.on_leg(rooms, no, |_| ()).is_none() {
            return;
        }
        rooms.counters.sessions_expired += 1;
        if let Phase::Talk(talking) = &self.phase
            && let Some(side) = talking.talk.side_of(no)
        {
            self.dialog_gone(rooms, side, reason);
        } else if self.is_resting() {
            self.line_over(rooms, EndedBy::Network, reason);
        } else {
            self.left_by_waiting(rooms, EndedBy::Network, reason, true);
        }
    }

    /// An UPDATE that does nothing but refresh the session with its sender is answered here; any other that asks for too
    /// short an interval is refused. False: neither.
    pub(super) fn refreshed_by(&mut self, rooms: &mut Rooms, side: Side, incoming: &Incoming<'_>) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        if let Some(refusal) = talking.talk.leg(side).timer.refusal(incoming.message) {
            incoming.answer(rooms, &refusal);
            return true;
        }
        if !is_mere_refresh(incoming.message) {
            return false;
        }
        let now = rooms.now;
        talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).refreshed(incoming.message, now));
        answer_refresh(rooms, talking.talk.leg(side), incoming);
        true
    }
}

impl Call {
    /// The same of a party that waits on the line; what it offers is answered here, and no media flow. False: an INVITE is
    /// under way with it, or the offer cannot be read.
    pub(super) fn waiting_refreshed_by(&mut self, rooms: &mut Rooms, incoming: &Incoming<'_>) -> bool {
        let asks = self.asks_resting_phone();
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let Caller::Leg(_, leg) = &mut setup.caller else { return false };
        let offers = !incoming.message.body().is_empty();
        if offers && (asks || setup.accepted.is_some()) {
            return false;
        }
        let sdp = if offers { leg.inactive_answer(rooms, incoming.message) } else { None };
        if offers && sdp.is_none() {
            return false;
        }
        leg.refreshed(incoming.message, rooms.now);
        answer_update(rooms, leg, incoming, sdp.as_deref());
        true
    }
}

impl Leg {
    /// An UPDATE of the far end is about to be answered with 200.
    pub(super) fn refreshed(&mut self, update: &Message, now: Now) {
        self.renew(update);
        self.timer.accept(update, now);
    }
}

/// 200 to an UPDATE without an offer.
pub(super) fn answer_refresh(rooms: &mut Rooms, leg: &Leg, incoming: &Incoming<'_>) {
    answer_update(rooms, leg, incoming, None);
}

fn answer_update(rooms: &mut Rooms, leg: &Leg, incoming: &Incoming<'_>, sdp: Option<&[u8]>) {
    let lines = &rooms.lines;
    let source = Some(incoming.flow.remote);
    let mut builder =
        response_to(&mut rooms.scratch, incoming.message, incoming.env, 200, b"OK", None, source);
    own_headers(&mut builder, lines.contact(incoming.flow));
    leg.timer.print_answer(&mut builder);
    builder.header(HeaderName::Accept, b"application/sdp");
    if sdp.is_some() {
        builder.header(HeaderName::ContentType, b"application/sdp");
    }
    let payload = builder.finish(sdp.unwrap_or_default());
    rooms.endpoint.respond(incoming.txn, 200, payload, rooms.now.mono);
}
