//! An INVITE within the dialog of a party that waits on the line: a phone that refreshes its session, or is put on hold by
//! hand. There is nobody to ask, so this server answers it, and no media flow, as before.

use tandem_sip::{Envelope, HeaderName, response_to};

use super::exchange::Answered;
use super::incoming::Incoming;
use super::leg::Side;
use super::record::EndReason;
use super::session::description;
use super::setup::Caller;
use super::talk::too_soon;
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::reject::Reject;
use crate::rooms::{Rooms, own_headers};

impl Call {
    /// Answers such an INVITE. One without an offer is refused: what it would be offered is nobody's.
    pub(super) fn waiting_reinvited(&mut self, rooms: &mut Rooms, incoming: &Incoming<'_>) {
        let refusal = self.waiting_refusal(rooms, incoming);
        if let Some(refusal) = refusal {
            return incoming.answer(rooms, &refusal);
        }
        let Phase::Setup(setup) = &mut self.phase else { return };
        let Caller::Leg(_, leg) = &mut setup.caller else { return };
        let Some(sdp) = leg.inactive_answer(rooms, incoming.message) else { return };
        leg.refreshed(incoming.message, rooms.now);
        leg.timer.say(&sdp);
        let (lines, source) = (&rooms.lines, Some(incoming.flow.remote));
        let mut builder =
            response_to(&mut rooms.scratch, incoming.message, incoming.env, 200, b"OK", None, source);
        own_headers(&mut builder, lines.contact(incoming.flow));
        leg.timer.print_answer(&mut builder);
        let ok = builder.header(HeaderName::ContentType, b"application/sdp").finish(&sdp);
        rooms.endpoint.respond(incoming.txn, 200, ok.clone(), rooms.now.mono);
        let now = rooms.now.mono;
        let answered = Answered {
            from: Side::Caller,
            server: incoming.txn,
            server_cseq: incoming.env.cseq.number,
            client: incoming.txn,
            client_cseq: 0,
            code: 200,
            ok,
            again_at: now,
            interval: std::time::Duration::ZERO,
            give_up_at: now,
            gone: None,
        };
        setup.accepted = Some(answered.repeating(rooms));
    }

    fn waiting_refusal(&self, rooms: &mut Rooms, incoming: &Incoming<'_>) -> Option<Reject> {
        let Phase::Setup(setup) = &self.phase else { return Some(Reject::new(491)) };
        // RFC 3261 14.2: his first INVITE has no final response.
        let Caller::Leg(_, leg) = &setup.caller else { return Some(too_soon(rooms)) };
        if setup.accepted.is_some() {
            return Some(too_soon(rooms));
        }
        if self.asks_resting_phone() || description(incoming.message).is_none() {
            return Some(Reject::new(491));
        }
        leg.timer.refusal(incoming.message)
    }

    /// The ACK for that answer; whether it was one.
    pub(super) fn waiting_acknowledged(&mut self, ack: &Envelope<'_>) -> bool {
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let Caller::Leg(_, leg) = &setup.caller else { return false };
        leg.dialog.matches(ack)
            && setup.accepted.take_if(|answered| answered.is_acknowledged_by(Side::Caller, ack)).is_some()
    }

    /// Repeats the answer; a party that never acknowledges it is given up (RFC 3261 13.3.1.4).
    pub(super) fn waiting_answer_timeout(&mut self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &mut self.phase else { return };
        let Some(answered) = setup.accepted.as_mut().filter(|answered| answered.due() <= rooms.now.mono)
        else {
            return;
        };
        if answered.repeat(rooms) {
            return;
        }
        setup.accepted = None;
        if self.is_resting() {
            self.line_over(rooms, EndedBy::Network, EndReason::NoAck);
        } else {
            self.left_by_waiting(rooms, EndedBy::Network, EndReason::NoAck, true);
        }
    }
}
