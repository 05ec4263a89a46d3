//! INVITEs of this server's own within an answered call (third-party call control, RFC 3725 flow IV). A party is *parked*
//! by an INVITE without an offer whose answer, in the ACK, lets no media flow; two parties are *connected* by the offer
//! that one gives to such an INVITE, taken to the other, whose answer goes back in the ACK.

use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tandem_peer::trunk::CallFailure;
use tandem_sip::{Message, Method, TxnId};

use super::credentials::{Authorization, Challenged};
use super::exchange::Exchange;
use super::leg::{Ask, Side};
use super::news::{News, Ticket};
use super::record::{EndReason, LegId};
use super::session::description;
use super::talk::ends_dialog;
use super::{Call, Phase, Talking};
use crate::cdr::EndedBy;
use crate::explain::What;
use crate::limits::MAX_GLARES;
use crate::rooms::{Rooms, Use};

/// What is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Two parties who have not talked yet are connected; without that there is no call.
    Join,
    /// The party at this side holds the other.
    Hold(Side),
    /// It takes the call back.
    Retrieve(Side),
    /// Two parties who talk are offered each other's media anew.
    Reoffer,
    /// Media stop at this side, where nobody is connected any more.
    Park,
    /// The session with this side is refreshed (RFC 4028 7.4).
    Refresh(Side),
}

/// One step of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// This side is parked.
    Park(Side),
    /// The two are connected, with this side's offer.
    Connect(Side),
    /// This side is offered what it was told last.
    Refresh(Side),
}

/// See the module.
#[derive(Debug)]
pub struct Arranging {
    pub(super) aim: Aim,
    pub(super) ticket: Option<Ticket>,
    /// Steps to come, the next one last.
    left: SmallVec<[Move; 2]>,
    now: Move,
    /// The offer of the side that gave it, while the other side is asked for the answer.
    pub(super) offer: Option<Offer>,
    pub(super) invite: Invite,
}

/// A 2xx with an offer. It is acknowledged when there is an answer.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) side: Side,
    pub(super) txn: TxnId,
    pub(super) cseq: u32,
    pub(super) ok: Message,
}

/// The INVITE that is out, or that is to go again.
#[derive(Debug)]
pub(super) struct Invite {
    pub(super) side: Side,
    pub(super) txn: TxnId,
    pub(super) cseq: u32,
    by_tcp_for_size: bool,
    challenged: bool,
    /// How often it met an INVITE of the other end.
    glares: u8,
    /// It goes again then: it was refused for glare.
    again_at: Option<Instant>,
    /// It is taken back then, should it only ring.
    until: Option<Instant>,
}

impl Arranging {
    /// Whether an INVITE is out that has no final response.
    pub(super) fn is_asking(&self) -> bool {
        self.invite.again_at.is_none()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.invite.again_at.or(self.invite.until)
    }

    fn offer_for(&self, side: Side) -> Option<&Message> {
        self.offer.as_ref().filter(|offer| offer.side != side).map(|offer| &offer.ok)
    }
}

impl Call {
    /// Begins to bring something about. False: the table of transactions is full.
    pub(super) fn arrange(
        &mut self,
        rooms: &mut Rooms,
        aim: Aim,
        ticket: Option<Ticket>,
        moves: &[Move],
    ) -> bool {
        let Some((first, others)) = moves.split_first() else { return false };
        let side = first.side();
        let left = others.iter().rev().copied().collect();
        self.start_arranging(rooms, Draft { aim, ticket, left, now: *first, offer: None }, side)
    }

    /// Brings two parties together of whom one has given its offer already.
    pub(super) fn arrange_with(&mut self, rooms: &mut Rooms, offer: Offer) -> bool {
        let (now, side) = (Move::Connect(offer.side), offer.side.other());
        let ticket = self.asked.take();
        let draft = Draft { aim: Aim::Join, ticket, left: SmallVec::new(), now, offer: Some(offer) };
        self.start_arranging(rooms, draft, side)
    }

    fn start_arranging(&mut self, rooms: &mut Rooms, draft: Draft, side: Side) -> bool {
        let key = self.key;
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let offer = draft.offer.as_ref().map(|offer| &offer.ok);
        let Some(invite) = talking.invite(rooms, key, (draft.now, side), offer, Manner::Plain) else {
            rooms.counters.refused_full += 1;
            if let Some(offer) = draft.offer {
                talking.let_go(rooms, &offer);
            }
            return false;
        };
        let Draft { aim, ticket, left, now, offer } = draft;
        talking.exchange = Exchange::Arranging(Box::new(Arranging { aim, ticket, left, now, offer, invite }));
        true
    }

    /// A response to an INVITE of this server's own; false for one that nobody waits for.
    pub(super) fn arranged(&mut self, rooms: &mut Rooms, txn: TxnId, response: &Message) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let Exchange::Arranging(arranging) = &mut talking.exchange else { return false };
        let Some(code) = response.code() else { return true };
        if arranging.invite.txn != txn {
            return arranging.offer.as_ref().is_some_and(|offer| offer.txn == txn);
        }
        let may_wait = arranging.invite.glares < MAX_GLARES;
        match code {
            ..200 => {}
            200..300 => self.arranged_ok(rooms, response),
            401 | 407 if self.answer_arranging_challenge(rooms, response) => {}
            491 if may_wait => self.arrange_later(rooms),
            422 if self.lengthen_arranging(rooms, response) => {}
            _ => self.arranging_refused(rooms, code),
        }
        true
    }

    /// One side has answered: it is parked, or its offer goes to the other side, or its answer goes back.
    fn arranged_ok(&mut self, rooms: &mut Rooms, response: &Message) {
        let Self { phase: Phase::Talk(talking), key, .. } = self else { return };
        let Exchange::Arranging(arranging) = std::mem::replace(&mut talking.exchange, Exchange::Idle) else {
            return;
        };
        let mut arranging = *arranging;
        let Invite { side, txn, cseq, .. } = arranging.invite;
        let now = rooms.now;
        talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).confirmed(response, now));
        if matches!(arranging.now, Move::Refresh(_)) {
            talking.talk.leg(side).acknowledge(rooms, txn, cseq, None);
            return self.arrange_next(rooms, arranging, Ok(()));
        }
        if let Some(offer) = arranging.offer.take() {
            talking.talk.leg(side).acknowledge(rooms, txn, cseq, None);
            let Some(answer) = talking.describe(rooms, offer.side, response) else {
                talking.let_go(rooms, &offer);
                return self.arranging_over(rooms, &arranging, Err(488));
            };
            let leg = talking.talk.leg(offer.side);
            leg.acknowledge_with(rooms, offer.txn, offer.cseq, None, Some(&answer));
            let held = description(&offer.ok).is_some_and(|offer| offer.is_hold());
            let stays_held = held && matches!(arranging.aim, Aim::Retrieve(by) if by == offer.side);
            return self.arrange_next(rooms, arranging, if stays_held { Err(488) } else { Ok(()) });
        }
        let offer = Offer { side, txn, cseq, ok: response.detach() };
        if description(response).is_none() || matches!(arranging.now, Move::Park(_)) {
            let outcome = if talking.let_go(rooms, &offer) { Ok(()) } else { Err(488) };
            return self.arrange_next(rooms, arranging, outcome);
        }
        let step = (arranging.now, side.other());
        match talking.invite(rooms, *key, step, Some(&offer.ok), Manner::Plain) {
            Some(invite) => {
                (arranging.invite, arranging.offer) = (invite, Some(offer));
                talking.exchange = Exchange::Arranging(Box::new(arranging));
            }
            None => {
                talking.let_go(rooms, &offer);
                self.arranging_over(rooms, &arranging, Err(503));
            }
        }
    }

    fn arrange_next(&mut self, rooms: &mut Rooms, mut arranging: Arranging, outcome: Result<(), u16>) {
        let Self { phase: Phase::Talk(talking), key, .. } = self else { return };
        let Some(next) = arranging.left.pop().filter(|_| outcome.is_ok()) else {
            return self.arranging_over(rooms, &arranging, outcome);
        };
        let Some(invite) = talking.invite(rooms, *key, (next, next.side()), None, Manner::Plain) else {
            return self.arranging_over(rooms, &arranging, Err(503));
        };
        (arranging.now, arranging.invite) = (next, invite);
        talking.exchange = Exchange::Arranging(Box::new(arranging));
    }

    /// It is brought about, or never will be. The exchange is idle by now.
    fn arranging_over(&mut self, rooms: &mut Rooms, arranging: &Arranging, outcome: Result<(), u16>) {
        let parked = |side: Side| arranging.now != Move::Park(side.other());
        let outcome = match arranging.aim {
            // The other party hears nothing any more: whatever the holder's own phone says, he is held.
            Aim::Hold(side) if parked(side) => Ok(()),
            Aim::Refresh(side) => return self.refresh_over(rooms, side, outcome),
            Aim::Hold(_) | Aim::Join | Aim::Retrieve(_) | Aim::Park | Aim::Reoffer => outcome,
        };
        self.note(rooms, What::Arranged(arranging.aim, outcome.err()));
        match (arranging.aim, outcome) {
            (Aim::Hold(side), Ok(())) => self.set_hold(rooms, side, super::Hold::Request),
            (Aim::Retrieve(side), Ok(())) => self.set_hold(rooms, side, super::Hold::No),
            (Aim::Join, Err(status)) => {
                self.done(rooms, arranging.ticket, outcome);
                return self.hang_up(rooms, Side::Caller, EndedBy::Server, EndReason::Status(status));
            }
            (Aim::Join | Aim::Park | Aim::Reoffer | Aim::Refresh(_), _)
            | (Aim::Hold(_) | Aim::Retrieve(_), Err(_)) => {}
        }
        self.done(rooms, arranging.ticket, outcome);
    }

    /// Tells how an operation ended, if one is waited for.
    pub(super) fn done(&self, rooms: &mut Rooms, ticket: Option<Ticket>, outcome: Result<(), u16>) {
        if let Some(ticket) = ticket {
            self.tell(rooms, News::Done { ticket, outcome });
        }
    }

    /// The other end had an INVITE of its own under way: ours goes again after a while (RFC 3261 14.1), sooner where the
    /// other end made the dialog.
    fn arrange_later(&mut self, rooms: &mut Rooms) {
        let Self { phase: Phase::Talk(talking), legs, .. } = self else { return };
        let Exchange::Arranging(arranging) = &mut talking.exchange else { return };
        let invite = &mut arranging.invite;
        let no = talking.talk.leg(invite.side).no;
        let ours = legs.get(usize::from(no)).is_some_and(|facts| matches!(facts.id, LegId::Ours(_)));
        let tens = if ours { 210 + rooms.ids.below(191) } else { rooms.ids.below(201) };
        invite.glares += 1;
        invite.until = None;
        invite.again_at = Some(rooms.now.mono + Duration::from_millis(tens * 10));
    }

    fn arranging_refused(&mut self, rooms: &mut Rooms, code: u16) {
        let Some(arranging) = self.stop_arranging(rooms) else { return };
        if ends_dialog(Method::Invite, code) {
            self.done(rooms, arranging.ticket, Err(code));
            return self.dialog_gone(rooms, arranging.invite.side, EndReason::Status(code));
        }
        self.arranging_over(rooms, &arranging, Err(code));
    }

    /// Takes the arrangement out; an offer that was given gets its answer.
    fn stop_arranging(&mut self, rooms: &mut Rooms) -> Option<Arranging> {
        let Phase::Talk(talking) = &mut self.phase else { return None };
        let idle = Exchange::Idle;
        let Exchange::Arranging(mut arranging) = std::mem::replace(&mut talking.exchange, idle) else {
            return None;
        };
        if let Some(offer) = arranging.offer.take() {
            talking.let_go(rooms, &offer);
        }
        Some(*arranging)
    }

    fn answer_arranging_challenge(&mut self, rooms: &mut Rooms, response: &Message) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        let Exchange::Arranging(arranging) = &talking.exchange else { return false };
        if arranging.invite.challenged {
            return false;
        }
        let leg = talking.talk.leg(arranging.invite.side);
        let challenged =
            Challenged { device: leg.device, response, method: b"INVITE", uri: leg.dialog.remote_target() };
        let Some(authorization) = Authorization::answering(rooms, &self.directory, challenged) else {
            return false;
        };
        self.invite_again(rooms, Manner::Authorized(authorization))
    }

    /// The session interval is too short for somebody on the way: the INVITE goes again with a longer one.
    fn lengthen_arranging(&mut self, rooms: &mut Rooms, response: &Message) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let Exchange::Arranging(arranging) = &talking.exchange else { return false };
        let side = arranging.invite.side;
        talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).timer.lengthen(response))
            && self.invite_again(rooms, Manner::Plain)
    }

    fn invite_again(&mut self, rooms: &mut Rooms, manner: Manner) -> bool {
        let Self { phase: Phase::Talk(talking), key, .. } = self else { return false };
        let Exchange::Arranging(mut arranging) = std::mem::replace(&mut talking.exchange, Exchange::Idle)
        else {
            return false;
        };
        let side = arranging.invite.side;
        let challenged = arranging.invite.challenged | matches!(manner, Manner::Authorized(_));
        let again = talking.invite(rooms, *key, (arranging.now, side), arranging.offer_for(side), manner);
        let sent = again.is_some();
        if let Some(again) = again {
            arranging.invite = Invite { challenged, glares: arranging.invite.glares, ..again };
        }
        talking.exchange = Exchange::Arranging(arranging);
        sent
    }

    /// An INVITE of ours got no response at all.
    pub(super) fn arranging_unanswered(&mut self, rooms: &mut Rooms, txn: TxnId, how: CallFailure) {
        let Phase::Talk(talking) = &self.phase else { return };
        let Exchange::Arranging(arranging) = &talking.exchange else { return };
        let Invite { side, by_tcp_for_size, txn: own, .. } = arranging.invite;
        if own != txn {
            return;
        }
        match how {
            CallFailure::Transport => {
                if (by_tcp_for_size || self.reconnect(rooms, side))
                    && self.invite_again(rooms, Manner::UdpOnly)
                {
                    return;
                }
                self.arranging_refused(rooms, 500);
            }
            CallFailure::Timeout => {
                let Some(arranging) = self.stop_arranging(rooms) else { return };
                self.done(rooms, arranging.ticket, Err(408));
                self.dialog_gone(rooms, side, EndReason::NoResponse);
            }
        }
    }

    pub(super) fn arranging_timeout(&mut self, rooms: &mut Rooms) {
        let now = rooms.now.mono;
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Exchange::Arranging(arranging) = &mut talking.exchange else { return };
        let invite = &mut arranging.invite;
        if invite.again_at.is_some_and(|at| at <= now) {
            if !self.invite_again(rooms, Manner::Plain) {
                self.arranging_refused(rooms, 503);
            }
        } else if invite.until.take_if(|until| *until <= now).is_some() {
            let Invite { side, txn, cseq, .. } = *invite;
            talking.talk.leg(side).cancel(rooms, txn, cseq);
        }
    }
}

/// What an arrangement begins with.
struct Draft {
    aim: Aim,
    ticket: Option<Ticket>,
    left: SmallVec<[Move; 2]>,
    now: Move,
    offer: Option<Offer>,
}

/// How an INVITE goes.
enum Manner {
    Plain,
    Authorized(Authorization),
    UdpOnly,
}

impl Move {
    fn side(self) -> Side {
        match self {
            Self::Park(side) | Self::Connect(side) | Self::Refresh(side) => side,
        }
    }
}

impl Talking {
    /// Sends an INVITE of this server's own to one side, with the other side's offer, or without any, or with what it was
    /// told last.
    fn invite(
        &mut self,
        rooms: &mut Rooms,
        key: crate::arena::Key,
        (step, side): (Move, Side),
        offer: Option<&Message>,
        manner: Manner,
    ) -> Option<Invite> {
        let sdp = match step {
            Move::Refresh(_) => Some(self.talk.leg(side).timer.said()?.to_vec()),
            Move::Park(_) | Move::Connect(_) => offer.and_then(|offer| self.describe(rooms, side, offer)),
        };
        let udp_only = matches!(manner, Manner::UdpOnly);
        let fresh = matches!(manner, Manner::Authorized(_));
        // A new transaction has a new number: the far end may have seen the first one before its connection broke.
        let cseq = self.talk.update(&mut rooms.log, |talk| {
            let leg = talk.leg_mut(side);
            if let Manner::Authorized(authorization) = manner {
                leg.authorization = Some(Box::new(authorization));
            }
            leg.dialog.next_cseq()
        });
        let leg = self.talk.leg(side);
        let authorization = leg.authorization.as_deref().filter(|_| fresh);
        let ask = Ask { sdp: sdp.as_deref(), authorization, udp_only, ..Ask::own(b"INVITE", cseq) };
        let sent = leg.ask(rooms, &ask, Use::ReinviteTo(key))?;
        Some(Invite {
            side,
            txn: sent.txn,
            cseq,
            by_tcp_for_size: sent.by_tcp_for_size,
            challenged: false,
            glares: 0,
            again_at: None,
            until: Some(rooms.now.mono + rooms.directory.options.timers.patience()),
        })
    }

    /// Acknowledges an offer with an answer that lets no media flow. False: it was none that can be read.
    fn let_go(&mut self, rooms: &mut Rooms, offer: &Offer) -> bool {
        let answer = self.park(rooms, offer.side, &offer.ok);
        let leg = self.talk.leg(offer.side);
        leg.acknowledge_with(rooms, offer.txn, offer.cseq, None, answer.as_deref());
        answer.is_some()
    }
}
