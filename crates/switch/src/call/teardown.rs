//! How an answered call ends: by BYE from either side, by silence, or by this server. Each side that is still there
//! gets a BYE; whatever waits is answered 487 (RFC 3261 15). What is owed after that is in `closing`.

use smallvec::SmallVec;
use tandem_peer::Replicated;
use tandem_peer::audit::{AuditEnd, AuditOutcome, AuditRound, AuditVerdict};
use tandem_sip::Message;

use super::arrange::Arranging;
use super::closing::Closing;
use super::exchange::Exchange;
use super::leg::{Ask, Side};
use super::life::Ending;
use super::nailed::Back;
use super::news::News;
use super::record::EndReason;
use super::talk::Talk;
use super::{Audit, Call, Phase, Talking};
use crate::cdr::EndedBy;
use crate::explain::What;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms, Use};

impl Closing {
    pub(super) fn of(record: Replicated<Talk>) -> Self {
        let talk = Talk::clone(&record);
        Self { talk, record: Some(record), unacknowledged: None, reinvite: None, challenged: [false; 2] }
    }

    /// Ends the exchange of INVITEs: a re-INVITE is answered 487 and taken back, a 2xx is acknowledged. The side that
    /// owes the ACK to a 2xx is first left to send it, if it is to get a BYE.
    fn stop(&mut self, rooms: &mut Rooms, exchange: Exchange, gets_bye: impl Fn(Side) -> bool) {
        match exchange {
            Exchange::Idle => {}
            Exchange::Relayed(relayed) => {
                let far = relayed.from.other();
                rooms.respond(relayed.server, relayed.flow, &relayed.request, &Reject::new(487));
                if self.talk.leg(far).cancel(rooms, relayed.client, relayed.client_cseq) {
                    self.reinvite = Some((relayed.client, far));
                }
            }
            Exchange::Arranging(arranging) => {
                let Arranging { offer, invite, .. } = &*arranging;
                if let Some(offer) = offer {
                    self.talk.leg(offer.side).acknowledge(rooms, offer.txn, offer.cseq, None);
                }
                let leg = self.talk.leg(invite.side);
                if arranging.is_asking() && leg.cancel(rooms, invite.txn, invite.cseq) {
                    self.reinvite = Some((invite.txn, invite.side));
                }
            }
            Exchange::Answered(answered) if answered.is_refusal() => {}
            Exchange::Answered(answered) => {
                let far = self.talk.leg(answered.from.other());
                far.acknowledge(rooms, answered.client, answered.client_cseq, None);
                self.unacknowledged = Some(answered).filter(|answered| gets_bye(answered.from));
            }
        }
    }
}

impl Audit {
    pub(super) fn due(&self) -> std::time::Instant {
        let give_up = self.round.give_up_at(self.place);
        self.ask_at.map_or(give_up, |at| at.min(give_up))
    }
}

impl Call {
    /// BYE from one side: it is answered already; the other side gets its own, with all that the first one carries.
    pub(super) fn bye_from(&mut self, rooms: &mut Rooms, side: Side, bye: &Message) {
        let by = match side {
            Side::Caller => EndedBy::Caller,
            Side::Callee => EndedBy::Callee,
        };
        if self.departs(rooms, side, by, EndReason::Bye) {
            return;
        }
        self.lose_side(rooms, side, by, EndReason::Bye);
        self.close(rooms, by, EndReason::Bye, &[side.other()], Some(bye));
    }

    /// The dialog at `side` is gone at its far end (408, 481, silence): the other side is told.
    pub(super) fn dialog_gone(&mut self, rooms: &mut Rooms, side: Side, reason: EndReason) {
        if self.departs(rooms, side, EndedBy::Network, reason) {
            return;
        }
        self.lose_side(rooms, side, EndedBy::Network, reason);
        self.close(rooms, EndedBy::Network, reason, &[side.other(), side], None);
    }

    /// This server ends the call; `side` is where the cause lies.
    pub(super) fn hang_up(&mut self, rooms: &mut Rooms, side: Side, by: EndedBy, reason: EndReason) {
        self.close(rooms, by, reason, &[side, side.other()], None);
    }

    pub(super) fn close(
        &mut self,
        rooms: &mut Rooms,
        by: EndedBy,
        reason: EndReason,
        to: &[Side],
        like: Option<&Message>,
    ) {
        self.notify_referrer(rooms, 487);
        let talking = match std::mem::replace(&mut self.phase, Phase::Ending) {
            Phase::Talk(talking) => talking,
            other @ (Phase::Setup(_) | Phase::Ending) => {
                self.phase = other;
                return;
            }
        };
        let Talking { talk, exchange, alone, .. } = *talking;
        let here = |side: Side| alone.is_none_or(|(left, _)| left == side);
        if let Exchange::Arranging(arranging) = &exchange {
            self.done(rooms, arranging.ticket, Err(0));
        }
        let mut closing = Closing::of(talk);
        let lent = [Side::Caller, Side::Callee]
            .map(|side| closing.talk.leg(side).nailed.filter(|_| here(side)).map(|_| side));
        let lent: SmallVec<[Side; 2]> = lent.into_iter().flatten().collect();
        let offered = exchange.has_offered();
        let gets_bye = |side: Side| to.contains(&side) && !lent.contains(&side);
        closing.stop(rooms, exchange, |side| gets_bye(side) && reason != EndReason::NoAck);
        for side in &lent {
            let asked = closing.reinvite.take_if(|(_, far)| far == side);
            let back = asked.map(|(txn, _)| Back::Asked { txn, offered, rests: false });
            let leg = closing.talk.leg(*side).clone();
            self.send_home(rooms, leg, back.unwrap_or(Back::Talking));
        }
        self.settle_requests(rooms);
        let owing = closing.unacknowledged.as_ref().map(|answered| answered.from);
        self.closing = Some(Box::new(closing));
        for side in to.iter().filter(|side| owing != Some(**side) && here(**side) && !lent.contains(side)) {
            self.send_bye(rooms, *side, like);
        }
        let byes = [Side::Caller, Side::Callee].map(|side| gets_bye(side) && here(side));
        for place in 0..self.legs.len() {
            let lives = self.legs.get(place).is_some_and(|leg| leg.ended.is_none());
            self.leg_ended(rooms, place, by, reason);
            if let (true, Ok(leg)) = (lives, u8::try_from(place)) {
                self.tell(rooms, News::Ended { leg, by, reason });
            }
        }
        self.keep_ending(rooms, Ending { by, reason, byes });
    }

    /// Both parties have left for other calls.
    pub(super) fn ends_empty(&mut self, rooms: &mut Rooms) {
        let Phase::Talk(talking) = std::mem::replace(&mut self.phase, Phase::Ending) else { return };
        self.closing = Some(Box::new(Closing::of(talking.talk)));
        let (by, reason) = (EndedBy::Server, EndReason::Moved);
        self.keep_ending(rooms, Ending { by, reason, byes: [false; 2] });
    }

    /// Stores how the call ended: whoever goes on from here sends the BYEs again, and writes its record.
    fn keep_ending(&mut self, rooms: &mut Rooms, ending: Ending) {
        let life = self.last_life(ending);
        if let Some(record) = self.closing.as_mut().and_then(|closing| closing.record.as_mut()) {
            record.update(&mut rooms.log, |talk| talk.life = life);
        }
    }

    /// Legs to devices that were lost, by device and name, are asked in their turn whether they still live (BCA-08).
    pub fn audit(
        &mut self,
        rooms: &mut Rooms,
        over: &impl Fn(Device, &str) -> bool,
        round: &AuditRound,
        place: &mut u32,
    ) {
        for side in [Side::Caller, Side::Callee] {
            let Phase::Talk(talking) = &mut self.phase else { return };
            let device = talking.talk.leg(side).device;
            let over = over(device, Rooms::name_of(&self.directory, device));
            let slot = slot(&mut talking.audit, side);
            if !over || slot.is_some() {
                continue;
            }
            *slot =
                Some(Box::new(Audit { round: *round, place: *place, ask_at: Some(round.ask_at(*place)) }));
            *place += 1;
            rooms.counters.legs_audited += 1;
            self.note(rooms, What::Audited(side));
        }
        self.audit_timeout(rooms);
    }

    pub(super) fn audit_timeout(&mut self, rooms: &mut Rooms) {
        let now = rooms.now.mono;
        for side in [Side::Caller, Side::Callee] {
            let Phase::Talk(talking) = &mut self.phase else { return };
            let Some(audit) = slot(&mut talking.audit, side) else { continue };
            if audit.due() > now {
                continue;
            }
            if audit.round.give_up_at(audit.place) <= now {
                self.audit_ends(rooms, side, AuditEnd::NoAnswer);
                continue;
            }
            audit.ask_at = None;
            let cseq = talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).dialog.next_cseq());
            let sent =
                talking.talk.leg(side).ask(rooms, &Ask::own(b"OPTIONS", cseq), Use::Audit(self.key, side));
            if sent.is_none() {
                self.audited(rooms, side, AuditOutcome::Unanswered);
            }
        }
    }

    /// The audit of one side was answered, or its transaction ended without an answer.
    pub fn audited(&mut self, rooms: &mut Rooms, side: Side, outcome: AuditOutcome) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let slot = slot(&mut talking.audit, side);
        let Some(audit) = slot else { return };
        match audit.round.judge(audit.place, outcome, rooms.now.mono) {
            AuditVerdict::Keep => *slot = None,
            AuditVerdict::AskAgain(at) => audit.ask_at = Some(at),
            AuditVerdict::End(end) => self.audit_ends(rooms, side, end),
        }
    }

    fn audit_ends(&mut self, rooms: &mut Rooms, side: Side, end: AuditEnd) {
        rooms.counters.legs_ended_by_audit += 1;
        self.dialog_gone(rooms, side, EndReason::Audit(end));
    }
}

fn slot(audits: &mut [Option<Box<Audit>>; 2], side: Side) -> &mut Option<Box<Audit>> {
    let [caller, callee] = audits;
    match side {
        Side::Caller => caller,
        Side::Callee => callee,
    }
}
