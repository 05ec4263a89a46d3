//! What session timers do (RFC 4028): this server refreshes, answers a refresh, and ends a call one of whose far ends is
//! silently gone. A far end that knows nothing of session timers is asked by OPTIONS in its dialog instead.

use std::time::{Duration, Instant};

use tandem_peer::trunk::CallFailure;
use tandem_sip::{HeaderName, Message, Method, response_to};

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

/// When a refresh is tried again that was put off, or refused for a while.
const AGAIN: Duration = Duration::from_secs(5);

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
        let now = rooms.now.mono;
        self.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).timer.accept(request, now));
    }

    /// One side is sent this description.
    pub(super) fn said(&mut self, rooms: &mut Rooms, side: Side, sdp: &[u8]) {
        if self.talk.leg(side).timer.said() != Some(sdp) {
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
        let no = *no;
        if leg.timer.is_over(rooms.now.mono) {
            self.leg_gone(rooms, no, EndReason::SessionExpired);
        } else {
            self.refresh(rooms, no, None);
        }
    }

    fn refresh_by_invite(&mut self, rooms: &mut Rooms, side: Side) {
        let Phase::Talk(talking) = &self.phase else { return };
        let no = talking.talk.leg(side).no;
        let busy = !matches!(talking.exchange, Exchange::Idle);
        // An INVITE that is under way already may refresh it as well.
        let after = if busy { AGAIN } else { rooms.directory.options.timers.patience() * 2 };
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

    /// Sends an UPDATE or OPTIONS to a leg.
    fn refresh(&mut self, rooms: &mut Rooms, no: LegNo, authorization: Option<&Authorization>) {
        let key = self.key;
        let at = rooms.now.mono + rooms.directory.options.timers.patience() + AGAIN;
        let asked = self.on_leg(rooms, no, |leg| {
            leg.timer.look_at(at);
            let method: &[u8] = match leg.timer.next() {
                Refresh::Update => b"UPDATE",
                // Nobody is there whose description could be repeated: what a party waits with is this server's own.
                Refresh::Invite | Refresh::Options => b"OPTIONS",
            };
            let cseq = leg.dialog.next_cseq();
            (leg.clone(), method, cseq)
        });
        let Some((leg, method, cseq)) = asked else { return };
        rooms.counters.session_refreshes += 1;
        let ask = Ask { authorization, ..Ask::own(method, cseq) };
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

    /// The answer to an UPDATE or OPTIONS that refreshed a session.
    pub fn refresh_answered(&mut self, rooms: &mut Rooms, no: LegNo, response: &Message) {
        let Ok(env) = response.envelope() else { return };
        let Some(code) = response.code() else { return };
        let (method, now) = (env.cseq.method, rooms.now.mono);
        if matches!(code, 401 | 407) && self.answer_refresh_challenge(rooms, no, response, method) {
            return;
        }
        if code == 422 && self.on_leg(rooms, no, |leg| leg.timer.lengthen(response)) == Some(true) {
            return self.refresh(rooms, no, None);
        }
        let updates = method == Method::Update;
        let gone = if updates { ends_dialog(method, code) } else { matches!(code, 408 | 481) };
        if gone {
            return self.leg_gone(rooms, no, EndReason::Status(code));
        }
        let wait = Duration::from_millis(rooms.ids.below(2_000)) + AGAIN;
        self.on_leg(rooms, no, |leg| match (updates, code) {
            (true, 200..300) => leg.confirmed(response, now),
            (true, 405 | 501) => {
                leg.timer.takes_no_update();
                leg.timer.look_at(now);
            }
            (true, 491) => leg.timer.look_at(now + wait),
            (true, _) => leg.timer.look_at(now + AGAIN * 6),
            // Whatever else it says to an OPTIONS, it lives.
            (false, _) => leg.timer.start(now),
        });
    }

    fn answer_refresh_challenge(
        &mut self,
        rooms: &mut Rooms,
        no: LegNo,
        response: &Message,
        method: Method,
    ) -> bool {
        let method: &[u8] = if method == Method::Update { b"UPDATE" } else { b"OPTIONS" };
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

    /// An UPDATE or OPTIONS that refreshed a session got no answer.
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
        let now = rooms.now.mono;
        talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).refreshed(incoming.message, now));
        answer_refresh(rooms, talking.talk.leg(side), incoming);
        true
    }
}

impl Call {
    /// The same of a party that waits on the line.
    pub(super) fn waiting_refreshed_by(&mut self, rooms: &mut Rooms, incoming: &Incoming<'_>) -> bool {
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let Caller::Leg(_, leg) = &mut setup.caller else { return false };
        if !incoming.message.body().is_empty() {
            return false;
        }
        leg.refreshed(incoming.message, rooms.now.mono);
        answer_refresh(rooms, leg, incoming);
        true
    }
}

impl Leg {
    /// An UPDATE of the far end is about to be answered with 200.
    pub(super) fn refreshed(&mut self, update: &Message, now: Instant) {
        self.renew(update);
        self.timer.accept(update, now);
    }
}

/// 200 to an UPDATE without an offer.
pub(super) fn answer_refresh(rooms: &mut Rooms, leg: &Leg, incoming: &Incoming<'_>) {
    let lines = &rooms.lines;
    let source = Some(incoming.flow.remote);
    let mut builder =
        response_to(&mut rooms.scratch, incoming.message, incoming.env, 200, b"OK", None, source);
    own_headers(&mut builder, lines.contact(incoming.flow));
    leg.timer.print_answer(&mut builder);
    let payload = builder.header(HeaderName::Accept, b"application/sdp").finish(b"");
    rooms.endpoint.respond(incoming.txn, 200, payload, rooms.now.mono);
}
