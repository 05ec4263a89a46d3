//! A nailed-up connection between calls: its leg waits without media, is lent to a call, comes back, and is silenced by
//! an INVITE without an offer whose answer, in the ACK, lets no media flow.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::Replicated;
use tandem_sip::{Message, Method, TxnId};

use super::leg::{Ask, Leg};
use super::make::Wanted;
use super::nailed::{Back, Line, NailUp};
use super::news::{News, Ticket};
use super::record::EndReason;
use super::renailed::Nailed;
use super::setup::Caller;
use super::talk::ends_dialog;
use super::{Call, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::explain::What;
use crate::ids::Tag;
use crate::limits::MAX_GLARES;
use crate::rooms::{Rooms, Use};

/// What makes a call a nailed-up connection.
#[derive(Debug)]
pub(super) struct Nail {
    /// DN of the phone.
    pub(super) dn: Arc<str>,
    pub(super) idle: Duration,
    /// It is dropped when the call over it ends.
    pub(super) leaves: bool,
    /// The INVITE that is out.
    pub(super) asked: Option<Asked>,
    /// How often that met one of the phone's.
    pub(super) glares: u8,
    /// What is stored of it.
    pub(super) stored: Option<Replicated<Nailed>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    txn: TxnId,
    offered: bool,
    rests: bool,
}

/// How long a phone's own INVITE is given way to (RFC 3261 14.1).
const GIVE_WAY: Duration = Duration::from_millis(2_100);

impl Call {
    /// Begins a nailed-up connection.
    pub(super) fn nail(rooms: &mut Rooms, key: Key, nail: NailUp) -> Result<Self, u16> {
        let NailUp { ticket, dn, at, idle } = nail;
        let directory = Arc::clone(&rooms.directory);
        let extension = directory.extension(dn).ok_or(480u16)?;
        let ring_timeout = extension.class.ring_timeout.unwrap_or(directory.options.ring_timeout);
        let wanted = Wanted { to: at.as_bytes().into(), stages: Vec::new(), ring_timeout, park: Some(at) };
        let mut call = Self::call_phone(rooms, key, dn, wanted)?;
        call.note_nailed(rooms);
        let dn = Arc::clone(&extension.number);
        rooms.nailed.set(&dn, key, Line::Connecting);
        call.nail = Some(Box::new(Nail { dn, idle, leaves: false, asked: None, glares: 0, stored: None }));
        call.asked = ticket;
        Ok(call)
    }

    /// It is asked for again.
    pub(super) fn stay_nailed(&mut self, rooms: &mut Rooms, ticket: Option<Ticket>) {
        if let Some(nail) = &mut self.nail {
            nail.leaves = false;
        }
        self.done(rooms, ticket, Ok(()));
    }

    /// It is wanted no more.
    pub(super) fn unnail(&mut self, rooms: &mut Rooms) {
        if let Some(nail) = self.nail.as_mut().filter(|_| self.phase.is_lent()) {
            nail.leaves = true;
        } else {
            self.line_over(rooms, EndedBy::Server, EndReason::Request);
        }
    }

    /// It waits for a call from now on.
    pub(super) fn rests(&mut self, rooms: &mut Rooms) {
        let (Some(nail), Phase::Setup(setup)) = (&mut self.nail, &mut self.phase) else { return };
        (nail.asked, nail.glares) = (None, 0);
        setup.ring_until = (!nail.idle.is_zero()).then(|| rooms.now.mono + nail.idle);
        rooms.nailed.set(&nail.dn, self.key, Line::Idle);
        let asked = self.asked.take();
        self.done(rooms, asked, Ok(()));
    }

    /// Lends the leg.
    pub(super) fn lend(&mut self, rooms: &mut Rooms) -> Option<Leg> {
        let (Some(_), Phase::Setup(setup)) = (&self.nail, &mut self.phase) else { return None };
        let away = Caller::Nobody(Box::default());
        match std::mem::replace(&mut setup.caller, away) {
            Caller::Leg(_, mut leg) => {
                setup.ring_until = None;
                leg.nailed = Some(self.key);
                self.forget_tag(leg.dialog.local_tag());
                rooms.counters.calls_over_nailed += 1;
                Some(*leg)
            }
            other @ (Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_)) => {
                setup.caller = other;
                None
            }
        }
    }

    /// The leg comes back.
    pub(super) fn come_home(&mut self, rooms: &mut Rooms, leg: &mut Option<Box<Leg>>, back: Back) {
        let (Some(nail), Phase::Setup(setup)) = (&mut self.nail, &mut self.phase) else { return };
        let Some(mut leg) = leg.take() else { return };
        (leg.nailed, leg.no, leg.holds) = (None, 0, super::Hold::No);
        let tag = Tag::parse(leg.dialog.local_tag());
        setup.caller = Caller::Leg(0, leg);
        rooms.nailed.set(&nail.dn, self.key, Line::Connecting);
        let leaves = nail.leaves;
        if let Some(tag) = tag {
            self.own_tag(rooms, tag);
        }
        if leaves {
            return self.line_over(rooms, EndedBy::Server, EndReason::Request);
        }
        match back {
            Back::Resting => self.rests(rooms),
            Back::Talking => self.silence(rooms),
            Back::Asked { txn, offered, rests } => {
                rooms.endpoint.attach(txn, Use::ReinviteTo(self.key));
                self.wait_for_phone(rooms, Asked { txn, offered, rests });
            }
        }
    }

    fn wait_for_phone(&mut self, rooms: &Rooms, asked: Asked) {
        let (Some(nail), Phase::Setup(setup)) = (&mut self.nail, &mut self.phase) else { return };
        nail.asked = Some(asked);
        setup.ring_until = Some(rooms.now.mono + rooms.directory.options.timers.patience());
    }

    /// Stops media.
    pub(super) fn silence(&mut self, rooms: &mut Rooms) {
        let key = self.key;
        let Some(leg) = self.resting_leg() else { return };
        let ask = Ask::own(b"INVITE", leg.dialog.next_cseq());
        match leg.ask(rooms, &ask, Use::ReinviteTo(key)) {
            Some(sent) => {
                self.wait_for_phone(rooms, Asked { txn: sent.txn, offered: false, rests: false });
            }
            None => {
                rooms.counters.refused_full += 1;
                self.line_over(rooms, EndedBy::Server, EndReason::Status(503));
            }
        }
    }

    /// Whether an INVITE of this server's own is under way with a party on the line.
    pub(super) fn asks_resting_phone(&self) -> bool {
        let plays = matches!(&self.phase, Phase::Setup(setup) if setup.tone_is_busy());
        plays || self.nail.as_ref().is_some_and(|nail| nail.asked.is_some())
    }

    fn resting_leg(&mut self) -> Option<&mut Leg> {
        let Phase::Setup(setup) = &mut self.phase else { return None };
        match &mut setup.caller {
            Caller::Leg(_, leg) => Some(leg),
            Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => None,
        }
    }

    /// A response to the INVITE that is to stop media; false for one that nobody waits for.
    pub(super) fn rest_response(&mut self, rooms: &mut Rooms, txn: TxnId, response: &Message) -> bool {
        let asked = self.nail.as_ref().and_then(|nail| nail.asked).filter(|asked| asked.txn == txn);
        let Some(asked) = asked else { return false };
        match response.code().unwrap_or_default() {
            ..200 => {}
            200..300 => self.silenced(rooms, asked, response),
            code if asked.rests && !ends_dialog(Method::Invite, code) => self.rests(rooms),
            487 => self.silence(rooms),
            491 => self.give_way(rooms),
            code => self.line_over(rooms, EndedBy::Callee, EndReason::Status(code)),
        }
        true
    }

    fn silenced(&mut self, rooms: &mut Rooms, asked: Asked, ok: &Message) {
        let Ok(env) = ok.envelope() else { return };
        let Some(leg) = self.resting_leg() else { return };
        leg.confirmed(ok, rooms.now);
        if asked.offered {
            leg.acknowledge(rooms, asked.txn, env.cseq.number, None);
            return self.silence(rooms);
        }
        let inactive = leg.inactive_answer(rooms, ok);
        leg.acknowledge_with(rooms, asked.txn, env.cseq.number, None, inactive.as_deref());
        match inactive {
            Some(_) => self.rests(rooms),
            None => self.line_over(rooms, EndedBy::Server, EndReason::UnusableAnswer),
        }
    }

    /// The phone has an INVITE of its own under way: ours goes again after it.
    fn give_way(&mut self, rooms: &mut Rooms) {
        let (Some(nail), Phase::Setup(setup)) = (&mut self.nail, &mut self.phase) else { return };
        nail.glares += 1;
        if nail.glares > MAX_GLARES {
            return self.line_over(rooms, EndedBy::Callee, EndReason::Status(491));
        }
        nail.asked = None;
        setup.ring_until = Some(rooms.now.mono + GIVE_WAY);
    }

    /// The INVITE that is to stop media got no response.
    pub(super) fn rest_unanswered(&mut self, rooms: &mut Rooms, txn: TxnId, reason: EndReason) {
        if self.nail.as_ref().is_some_and(|nail| nail.asked.is_some_and(|asked| asked.txn == txn)) {
            self.line_over(rooms, EndedBy::Network, reason);
        }
    }

    /// What is due of a connection that has been made.
    pub(super) fn rest_timeout(&mut self, rooms: &mut Rooms) {
        let Some(nail) = &self.nail else { return };
        match (nail.asked, nail.glares) {
            (Some(_), _) => self.line_over(rooms, EndedBy::Network, EndReason::NoResponse),
            (None, 0) => self.line_over(rooms, EndedBy::Server, EndReason::Idle),
            (None, _) => self.silence(rooms),
        }
    }

    /// The connection ends, or has ended at the call that it was lent to.
    pub(super) fn line_over(&mut self, rooms: &mut Rooms, by: EndedBy, reason: EndReason) {
        let Some(mut setup) = self.take_setup() else { return };
        self.drop_branches(rooms, &mut setup, EndReason::TakenBack, &super::steer::BY_REQUEST);
        self.leg_ended(rooms, 0, by, reason);
        if let Caller::Leg(_, mut leg) = setup.caller {
            self.hang_up_on(rooms, &mut leg);
        }
        self.denail(rooms);
        let asked = self.asked.take();
        self.done(rooms, asked, Err(0));
    }

    /// Nothing can be delivered over it any more.
    pub(super) fn denail(&mut self, rooms: &mut Rooms) {
        if let Some(nail) = &mut self.nail {
            rooms.nailed.remove(&nail.dn, self.key);
            nail.forget(rooms);
        }
    }

    /// A tag of ours is another call's from now on.
    pub(super) fn forget_tag(&mut self, tag: &[u8]) {
        let tag = Tag::parse(tag);
        self.tags.retain(|own| Some(*own) != tag);
    }

    /// What a nailed-up connection tells: nothing but whether it came about. It is no call of anybody's.
    pub(super) fn is_mute(&self, news: &News) -> bool {
        self.nail.is_some() && !matches!(news, News::Done { .. })
    }

    /// What is due of a resting connection; false for any other call.
    pub(super) fn is_resting(&self) -> bool {
        let Phase::Setup(setup) = &self.phase else { return false };
        self.nail.is_some() && matches!(setup.caller, Caller::Leg(..))
    }

    pub(super) fn note_nailed(&mut self, rooms: &Rooms) {
        if let Some(leg) = self.legs.first() {
            let device = leg.device;
            self.note(rooms, What::NailedUp(device));
        }
    }
}

impl Phase {
    /// Whether the leg of a nailed-up connection is at another call.
    fn is_lent(&self) -> bool {
        match self {
            Self::Setup(setup) => matches!(setup.caller, Caller::Nobody(_)) && setup.branches.is_empty(),
            Self::Talk(_) | Self::Ending => false,
        }
    }
}
