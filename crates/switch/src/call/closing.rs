//! What an ended call still owes its two sides: the ACK of a late 2xx, a 2xx until its ACK comes, the answer to a BYE
//! that crossed ours, and a BYE that a trunk challenged.

use tandem_peer::Replicated;
use tandem_sip::{Envelope, Message, Method, TxnId};

use super::credentials::{Authorization, Challenged};
use super::exchange::Answered;
use super::incoming::Incoming;
use super::leg::{Ask, Leg, Side};
use super::talk::Talk;
use super::{Call, CallTimer, Phase};
use crate::reject::Reject;
use crate::rooms::{Rooms, Use};

/// See the module.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) talk: Talk,
    /// Its record, kept until the call's record is written.
    pub(super) record: Option<Replicated<Talk>>,
    /// A 2xx that one side has not acknowledged: it is repeated, and that side's BYE waits (RFC 3261 15).
    pub(super) unacknowledged: Option<Box<Answered>>,
    /// A re-INVITE of ours that was taken back and has no final response, and whom it went to.
    pub(super) reinvite: Option<(TxnId, Side)>,
    /// Sides whose challenge to our BYE was answered.
    pub(super) challenged: [bool; 2],
}

impl Closing {
    pub(super) fn is_done(&self) -> bool {
        self.unacknowledged.is_none() && self.reinvite.is_none()
    }

    pub(super) fn poll_timeout(&self) -> Option<(std::time::Instant, CallTimer)> {
        self.unacknowledged.as_ref().map(|answered| (answered.due(), CallTimer::Answer))
    }
}

impl Call {
    /// A request within a dialog that is over here. A BYE that crossed ours has nothing to complain about
    /// (RFC 5407 3.2.2); everything else comes too late.
    pub(super) fn request_while_ending(&mut self, rooms: &mut Rooms, incoming: &Incoming<'_>) {
        let side = self.closing.as_ref().and_then(|closing| closing.talk.sender(incoming.env));
        let bye = incoming.env.cseq.method == Method::Bye;
        let (Some(side), true, Some(closing)) = (side, bye, &mut self.closing) else {
            return incoming.answer(rooms, &Reject::new(481));
        };
        incoming.answer(rooms, &Reject::new(200));
        drop(closing.unacknowledged.take_if(|answered| answered.from == side));
    }

    /// The ACK that the side waited for whose BYE was held back.
    pub(super) fn acknowledged_late(&mut self, rooms: &mut Rooms, ack: &Envelope<'_>) {
        let Some(closing) = &mut self.closing else { return };
        let Some(side) = closing.talk.sender(ack) else { return };
        if closing.unacknowledged.take_if(|answered| answered.is_acknowledged_by(side, ack)).is_some() {
            self.send_bye(rooms, side, None);
        }
    }

    pub(super) fn closing_timeout(&mut self, rooms: &mut Rooms) {
        let Some(answered) = self.closing.as_mut().and_then(|closing| closing.unacknowledged.as_mut()) else {
            return;
        };
        if answered.repeat(rooms) {
            return;
        }
        let side = answered.from;
        if let Some(closing) = &mut self.closing {
            closing.unacknowledged = None;
        }
        self.send_bye(rooms, side, None);
    }

    /// Sends the BYE to one side, in the manner of the other side's `like` if that is why.
    pub(super) fn send_bye(&mut self, rooms: &mut Rooms, side: Side, like: Option<&Message>) {
        let Some(closing) = &mut self.closing else { return };
        let leg = closing.talk.leg_mut(side);
        let cseq = leg.dialog.next_cseq();
        let ask = Ask { like, ..Ask::own(b"BYE", cseq) };
        if leg.ask(rooms, &ask, Use::Bye(self.key, side)).is_some() {
            self.byes += 1;
        }
    }

    /// The BYE to one side was answered. A trunk that challenges it gets it again, with credentials, once.
    pub fn bye_answered(&mut self, rooms: &mut Rooms, side: Side, response: &Message) {
        self.bye_over();
        let Some(closing) = &mut self.closing else { return };
        let Closing { talk, challenged: [caller, callee], .. } = &mut **closing;
        let again: &mut bool = match side {
            Side::Caller => caller,
            Side::Callee => callee,
        };
        let leg: &mut Leg = talk.leg_mut(side);
        let challenge =
            Challenged { device: leg.device, response, method: b"BYE", uri: leg.dialog.remote_target() };
        let Some(authorization) = Authorization::answering(rooms, &self.directory, challenge) else { return };
        if std::mem::replace(again, true) {
            return;
        }
        let cseq = leg.dialog.next_cseq();
        let ask = Ask { authorization: Some(&authorization), ..Ask::own(b"BYE", cseq) };
        if leg.ask(rooms, &ask, Use::Bye(self.key, side)).is_some() {
            self.byes += 1;
        }
    }

    /// A BYE of ours could not be delivered: a connection that is gone is replaced, once, and each target of a trunk's name is
    /// tried.
    pub fn bye_undelivered(&mut self, rooms: &mut Rooms, side: Side) {
        self.bye_over();
        if self.closing.as_mut().is_some_and(|closing| closing.talk.leg_mut(side).fail_over(rooms)) {
            self.send_bye(rooms, side, None);
        }
    }

    /// A BYE of ours was not answered in the time of its transaction: the next target of a trunk's name is tried.
    pub fn bye_unheard(&mut self, rooms: &mut Rooms, side: Side) {
        self.bye_over();
        if self.closing.as_mut().is_some_and(|closing| closing.talk.leg_mut(side).next_target(rooms)) {
            self.send_bye(rooms, side, None);
        }
    }

    /// A BYE of ours was not answered in the time of its transaction; another one follows.
    pub fn bye_again(&mut self, rooms: &mut Rooms, side: Side) {
        self.bye_over();
        self.send_bye(rooms, side, None);
    }

    /// A BYE of ours was answered, or never will be.
    pub fn bye_over(&mut self) {
        self.byes = self.byes.saturating_sub(1);
    }

    /// A final response to a re-INVITE that the end of the call overtook: a 2xx gets its ACK all the same
    /// (RFC 3261 14.1). False when nobody waits for it.
    pub(super) fn late_reinvite_response(
        &mut self,
        rooms: &mut Rooms,
        txn: TxnId,
        response: &Message,
    ) -> bool {
        let Some(closing) = &mut self.closing else { return false };
        let (Some((_, far)), Ok(env)) =
            (closing.reinvite.filter(|(own, _)| *own == txn), response.envelope())
        else {
            return false;
        };
        match response.code() {
            Some(200..300) => {
                closing.talk.leg(far).acknowledge(rooms, txn, env.cseq.number, None);
                closing.reinvite = None;
            }
            Some(300..) => closing.reinvite = None,
            Some(_) | None => {}
        }
        true
    }

    pub(super) fn late_reinvite_over(&mut self, txn: TxnId) {
        if let Some(closing) = &mut self.closing {
            closing.reinvite = closing.reinvite.filter(|(own, _)| *own != txn);
        }
    }

    /// Whether an ended call has nothing left to do for its dialogs.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Ending)
            && self.byes == 0
            && self.closing.as_ref().is_none_or(|closing| closing.is_done())
    }
}
