//! What requests do to a call before it is answered: offer it, take the offer back, send it on, let it wait, end it,
//! make a ringing phone answer.

use std::sync::Arc;

use tandem_peer::continuity::InPathOutcome;
use tandem_sip::{HeaderName, Message};

use super::best::Best;
use super::branch::{Target, Why};
use super::control::{Onward, Operation};
use super::history::WhySentOn;
use super::leg::{Ask, Leg, Own};
use super::make::{Naming, invitation_naming};
use super::news::{LegNo, News};
use super::record::EndReason;
use super::setup::{Caller, Setup};
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::directory::DnClass;
use crate::explain::What;
use crate::limits::MAX_LEGS;
use crate::rooms::{Device, Rooms, Use};

const TAKEN_BACK: Why<'_> = Why::Ours(b"SIP;cause=487;text=\"Offer taken back\"");
pub(super) const BY_REQUEST: Why<'_> = Why::Ours(b"SIP;cause=487;text=\"Released by request\"");

impl Call {
    /// Does something to a call that is not answered.
    ///
    /// # Errors
    /// 481 for a leg that neither waits nor rings, 491 for what must wait until a phone rings or an offer is over, 501
    /// for what its state does not allow, 503 when a table is full.
    pub(super) fn operate_early(&mut self, rooms: &mut Rooms, operation: Operation) -> Result<(), u16> {
        match operation {
            Operation::Answer(leg) => self.answer_by_request(rooms, leg),
            Operation::Release(leg) => self.release_early(rooms, leg),
            Operation::Clear => self.clear_early(rooms, EndedBy::Server),
            Operation::Redirect(onward) => self.redirect(rooms, onward),
            Operation::Offer(onward) => self.offer(rooms, onward),
            Operation::TakeBack => self.take_back(rooms),
            Operation::Park(at) => self.park(rooms, at),
            Operation::Refuse(status) => self.refuse(rooms, status),
            Operation::Deflect(contact) => self.deflect(rooms, contact),
            Operation::Attach(_)
            | Operation::Treat(_)
            | Operation::Hold(_)
            | Operation::Retrieve(_)
            | Operation::Replace(..)
            | Operation::Dtmf(..) => Err(501),
        }
    }

    /// A leg that is on the line waits for who answers at the next place. Should nobody, it is hung up on.
    pub(super) fn wait_for(&mut self, rooms: &mut Rooms, (no, leg): (LegNo, Leg), onward: Onward) {
        let Some(request) = self.invitation_of(rooms, no, &onward.to) else {
            return self.let_go_unheard(rooms, (no, leg));
        };
        let setup = Setup::new(rooms, Caller::Leg(no, Box::new(leg)), request, onward.ring_timeout);
        self.note(rooms, What::SentOn(onward.to.clone()));
        self.go_on(rooms, setup, onward);
    }

    /// The same at a queue or routing point.
    pub(super) fn wait_on_the_line(&mut self, rooms: &mut Rooms, (no, leg): (LegNo, Leg), at: Arc<str>) {
        let Some(request) = self.invitation_of(rooms, no, at.as_bytes()) else {
            return self.let_go_unheard(rooms, (no, leg));
        };
        let ring_timeout = self.directory.options.ring_timeout;
        let setup = Setup::new(rooms, Caller::Leg(no, Box::new(leg)), request, ring_timeout);
        self.wait_at(rooms, setup, Arc::clone(&at));
        self.tell(rooms, News::Parked { at });
        self.refer_succeeded(rooms);
    }

    /// An INVITE of the party at a leg that is on the line.
    fn invitation_of(&self, rooms: &mut Rooms, no: LegNo, to: &[u8]) -> Option<Message> {
        let naming = Naming { private: self.withholds(no), ..Naming::default() };
        invitation_naming(rooms, &self.names_of(no), to, &naming)
    }

    /// Whether the party at a leg asked not to be named: others who are called in its name are not told it either.
    pub(super) fn withholds(&self, no: LegNo) -> bool {
        no == 0 && self.private
    }

    /// No INVITE can be written to a number like that: who waits for it is hung up on.
    fn let_go_unheard(&mut self, rooms: &mut Rooms, (leg, mut waiting): (LegNo, Leg)) {
        let (by, reason) = (EndedBy::Server, EndReason::Status(484));
        self.leg_ended(rooms, usize::from(leg), by, reason);
        self.phase = Phase::Ending;
        self.hang_up_on(rooms, &mut waiting);
        self.tell(rooms, News::Ended { leg, by, reason });
        let asked = self.asked.take();
        self.done(rooms, asked, Err(484));
    }

    /// Offers a waiting call.
    pub(super) fn offer(&mut self, rooms: &mut Rooms, onward: Onward) -> Result<(), u16> {
        let Phase::Setup(setup) = &self.phase else { return Err(501) };
        if setup.waiting.is_none() {
            return Err(501);
        }
        if setup.is_offered() {
            return Err(491);
        }
        if self.legs.len() > usize::from(MAX_LEGS) {
            rooms.counters.refused_full += 1;
            return Err(503);
        }
        let mut setup = self.take_setup().ok_or(501u16)?;
        setup.rest();
        if let Some(at) = setup.waits_at() {
            self.redirected(Arc::clone(at).as_bytes(), WhySentOn::Unconditional);
        }
        self.go_on(rooms, setup, onward);
        Ok(())
    }

    /// Takes an offer back: the call waits again.
    pub(super) fn take_back(&mut self, rooms: &mut Rooms) -> Result<(), u16> {
        let mut setup = self.take_setup().ok_or(501u16)?;
        if setup.waiting.is_none() {
            self.phase = Phase::Setup(setup);
            return Err(501);
        }
        if setup.is_offered() {
            self.drop_branches(rooms, &mut setup, EndReason::TakenBack, &TAKEN_BACK);
            self.unplaced(rooms, setup, 487);
        } else {
            self.phase = Phase::Setup(setup);
        }
        Ok(())
    }

    /// Sends a ringing or waiting call on, for good.
    pub(super) fn redirect(&mut self, rooms: &mut Rooms, onward: Onward) -> Result<(), u16> {
        if self.is_undescribed() {
            return Err(491);
        }
        let mut setup = self.take_steerable()?;
        let why = if setup.rang { WhySentOn::NoAnswer } else { WhySentOn::Unconditional };
        match setup.waits_at() {
            Some(at) => self.redirected(Arc::clone(at).as_bytes(), WhySentOn::Unconditional),
            None => self.redirected(&self.to.clone(), why),
        }
        self.drop_branches(rooms, &mut setup, EndReason::TakenBack, &TAKEN_BACK);
        setup.waiting = None;
        setup.rest();
        let ring_until = rooms.now.mono + onward.ring_timeout;
        let expires = self.expires_at(&setup.request).filter(|at| *at < ring_until);
        setup.told_then = if expires.is_some() { 487 } else { 480 };
        setup.ring_until = Some(expires.unwrap_or(ring_until));
        self.note(rooms, What::SentOn(onward.to.clone()));
        self.go_on(rooms, setup, onward);
        Ok(())
    }

    pub(super) fn go_on(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, onward: Onward) {
        self.note_way(rooms, onward.steps);
        self.carry(&onward.carried);
        setup.stages = onward.stages.into();
        self.advance(rooms, setup);
    }

    /// Lets a ringing or waiting call wait at this queue or routing point from now on.
    pub(super) fn park(&mut self, rooms: &mut Rooms, at: Arc<str>) -> Result<(), u16> {
        if self.is_aside() {
            // Nobody is on the line here who could wait: the conversation goes on until somebody answers.
            return Err(501);
        }
        if self.is_undescribed() {
            return Err(491);
        }
        let mut setup = self.take_steerable()?;
        self.drop_branches(rooms, &mut setup, EndReason::TakenBack, &TAKEN_BACK);
        self.wait_at(rooms, setup, Arc::clone(&at));
        self.tell(rooms, News::Parked { at });
        Ok(())
    }

    /// Refuses a waiting or ringing call.
    pub(super) fn refuse(&mut self, rooms: &mut Rooms, status: u16) -> Result<(), u16> {
        if !(300..700).contains(&status) {
            return Err(501);
        }
        let mut setup = self.take_steerable()?;
        self.drop_branches(rooms, &mut setup, EndReason::TakenBack, &TAKEN_BACK);
        self.note(rooms, What::Failed(status));
        self.finish_setup(
            rooms,
            *setup,
            &Best::decided_here(status),
            EndedBy::Server,
            EndReason::Status(status),
        );
        Ok(())
    }

    /// Redirects a waiting or ringing call's caller.
    pub(super) fn deflect(&mut self, rooms: &mut Rooms, contact: Box<[u8]>) -> Result<(), u16> {
        if !self.can_be_refused() {
            return Err(501);
        }
        let mut setup = self.take_steerable()?;
        self.drop_branches(rooms, &mut setup, EndReason::TakenBack, &TAKEN_BACK);
        self.note(rooms, What::Failed(302));
        let (best, reason) = (Best::redirection(contact), EndReason::Status(302));
        self.finish_setup(rooms, *setup, &best, EndedBy::Server, reason);
        Ok(())
    }

    /// Whether its caller's INVITE waits for a final response.
    #[must_use]
    pub fn can_be_refused(&self) -> bool {
        matches!(&self.phase, Phase::Setup(setup) if matches!(setup.caller, Caller::Invite(..)))
    }

    /// Whether its caller's INVITE carries the mark of a call that was forwarded once.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        matches!(&self.phase, Phase::Setup(setup) if super::has_marker(&setup.request))
    }

    /// The set-up, if it is one whose callee can be changed: while the caller's own phone is being called there is none.
    fn take_steerable(&mut self) -> Result<Box<Setup>, u16> {
        let Phase::Setup(setup) = &self.phase else { return Err(501) };
        if matches!(setup.caller, Caller::Nobody(_)) {
            return Err(491);
        }
        self.take_setup().ok_or(501)
    }

    /// Ends a leg of a call that is not answered: the caller's ends the call, another one's is as if it had refused.
    pub(super) fn release_early(&mut self, rooms: &mut Rooms, leg: LegNo) -> Result<(), u16> {
        let Phase::Setup(setup) = &mut self.phase else { return Err(481) };
        let waits = match &setup.caller {
            Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => 0,
            Caller::Leg(leg, _) => *leg,
        };
        if leg == waits {
            return self.clear_early(rooms, EndedBy::Caller);
        }
        if setup.line.as_ref().is_some_and(|line| line.no == leg) {
            let mut setup = self.take_setup().ok_or(481u16)?;
            self.drop_line(rooms, &mut setup, 480, EndReason::Request);
            setup.offer_best(Best::own(480));
            self.branch_lost(rooms, setup, InPathOutcome::Status { code: 480, drain_marked: false });
            return Ok(());
        }
        let ringing = setup.branches.iter().find(|branch| branch.leg() == leg);
        let device = ringing.map(|branch| branch.target.device).ok_or(481u16)?;
        let mut setup = self.take_setup().ok_or(481u16)?;
        // All contacts of a DN are one party.
        let mut place = 0;
        while let Some(branch) = setup.branches.get(place) {
            if branch.target.device != device {
                place += 1;
                continue;
            }
            let mut branch = setup.branches.remove(place);
            branch.cancel(rooms, &setup.request, &BY_REQUEST);
            branch.spent = setup.spent(branch.id);
            self.branch_ended(rooms, &branch, 480, EndedBy::Callee, EndReason::Request);
            self.losers.push(branch);
        }
        setup.offer_best(Best::own(480));
        self.branch_lost(rooms, setup, InPathOutcome::Status { code: 480, drain_marked: false });
        Ok(())
    }

    /// Ends a call that is not answered; its caller is told 480.
    pub(super) fn clear_early(&mut self, rooms: &mut Rooms, by: EndedBy) -> Result<(), u16> {
        let mut setup = self.take_setup().ok_or(481u16)?;
        self.drop_branches(rooms, &mut setup, EndReason::CallerGone, &BY_REQUEST);
        self.finish_setup(rooms, *setup, &Best::own(480), by, EndReason::Request);
        Ok(())
    }

    /// Makes the phone of a ringing leg answer: NOTIFY with `Event: talk` in its early dialog. What comes of it is seen
    /// by its 2xx.
    pub(super) fn answer_by_request(&mut self, rooms: &mut Rooms, leg: LegNo) -> Result<(), u16> {
        let Phase::Setup(setup) = &mut self.phase else { return Err(481) };
        if setup.line.as_ref().is_some_and(|line| line.no == leg) {
            // The phone is on the line: it answers without being asked.
            return Ok(());
        }
        let branch = setup.branches.iter().find(|branch| branch.leg() == leg).ok_or(481u16)?;
        let Device::Extension(dn) = branch.target.device else { return Err(501) };
        let class =
            self.directory.extension(dn).map(|extension| Arc::clone(&extension.class)).ok_or(501u16)?;
        if !class.answer.notify_talk {
            return if class.answer.answers_by_itself() {
                self.ring_to_answer(rooms, leg, class)
            } else {
                Err(501)
            };
        }
        let own: Vec<u8> = setup.branches.iter().filter(|b| b.leg() == leg).map(|b| b.id).collect();
        let early = setup.pairs.iter_mut().find(|pair| own.contains(&pair.branch) && pair.callee.is_some());
        let callee = early.and_then(|pair| pair.callee.as_mut()).ok_or(491u16)?;
        let cseq = callee.dialog.next_cseq();
        let talk = Own { headers: &[(HeaderName::Event, b"talk")], body: b"" };
        let ask = Ask { own: Some(talk), ..Ask::own(b"NOTIFY", cseq) };
        callee.ask(rooms, &ask, Use::Nobody).ok_or(503u16)?;
        self.note(rooms, What::AskedToAnswer(Device::Extension(dn)));
        Ok(())
    }

    /// A phone that is not told to talk in its dialog, but answers by itself when its INVITE says so, gets such an INVITE
    /// in place of the one that it rings for. It takes it up as one more leg of its DN.
    fn ring_to_answer(&mut self, rooms: &mut Rooms, leg: LegNo, class: Arc<DnClass>) -> Result<(), u16> {
        let Phase::Setup(setup) = &self.phase else { return Err(481) };
        let rings = setup.branches.iter().find(|branch| branch.leg() == leg && branch.place().is_some());
        let target = rings.map(|branch| branch.target.clone()).ok_or(501u16)?;
        if target.answers.is_some() {
            return Err(491);
        }
        let mut setup = self.take_setup().ok_or(481u16)?;
        let device = target.device;
        let known = self.legs.len();
        self.ring(rooms, &mut setup, Target { answers: Some(class), ..target });
        let rang = self.legs.len() > known;
        if rang && let Some(place) = setup.branches.iter().position(|branch| branch.leg() == leg) {
            let branch = setup.branches.remove(place);
            self.drop_branch(rooms, &setup, branch, EndReason::TakenBack, &TAKEN_BACK);
            self.note(rooms, What::AskedToAnswer(device));
        }
        self.phase = Phase::Setup(setup);
        if rang { Ok(()) } else { Err(503) }
    }
}
