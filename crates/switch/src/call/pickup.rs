//! Somebody takes a call that rings elsewhere: an INVITE with `Replaces` of the early dialog with a phone that rings (RFC 3891
//! 3, RFC 5359 2.16). Whoever rings is cancelled at once, so the race with their answers is decided here: a 2xx that comes
//! later is hung up on. The caller and the taker have each made an offer, and neither is an answer to the other. So the
//! taker is answered without media, and when he has acknowledged that he is connected by an INVITE in his dialog, as a
//! phone is that is on the line already (`line`).

use std::time::Instant;

use tandem_sip::{Dialog, Envelope, HeaderName, Method, response_to};

use super::anchored::Undescribed;
use super::branch::Why;
use super::exchange::Answered;
use super::incoming::Incoming;
use super::leg::{Leg, Side, behind_nat};
use super::line::Borrowed;
use super::news::{Far, LegNo, News};
use super::record::{EndReason, LegFacts, LegId};
use super::referred::Replaces;
use super::session_id;
use super::setup::{Caller, ELSEWHERE, Setup};
use super::spare::Spare;
use super::{Call, CallTimer, Phase};
use crate::explain::What;
use crate::limits::MAX_LEGS;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms, own_headers};

/// Who takes the call, until he has acknowledged that.
#[derive(Debug)]
pub(super) struct Taker {
    no: LegNo,
    leg: Leg,
    answered: Box<Answered>,
}

/// A dialog of a party with this server, by the names that the party sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogNames {
    /// Call-ID.
    pub call_id: Box<[u8]>,
    /// The party's own tag.
    pub local_tag: Box<[u8]>,
    /// This server's; `None` while the party has not been told it.
    pub remote_tag: Option<Box<[u8]>>,
}

impl Call {
    /// The leg that rings in this dialog. It may be told from either end: phones that learn it from a busy lamp differ.
    #[must_use]
    pub fn rings_in(&self, replaces: &Replaces) -> Option<LegNo> {
        let Phase::Setup(setup) = &self.phase else { return None };
        if matches!(setup.caller, Caller::Nobody(_)) {
            return None;
        }
        setup.pairs.iter().find_map(|pair| {
            let branch = setup.branches.iter().find(|branch| branch.id == pair.branch)?;
            let (ours, theirs) = (&branch.tag.text()[..], &*pair.remote_tag);
            let told = [&*replaces.to_tag, &*replaces.from_tag];
            let is_it = branch.call_id.text() == *replaces.call_id
                && (told == [ours, theirs] || told == [theirs, ours]);
            is_it.then(|| branch.leg())
        })
    }

    /// Whether it rang in this dialog, and is over there.
    #[must_use]
    pub fn rang_in(&self, replaces: &Replaces) -> bool {
        self.losers.iter().any(|branch| {
            let ours = branch.tag.text();
            branch.call_id.text() == *replaces.call_id
                && (*replaces.to_tag == ours || *replaces.from_tag == ours)
        })
    }

    /// The names of the dialog at a leg, if it has one.
    #[must_use]
    pub fn dialog_names(&self, leg: LegNo) -> Option<DialogNames> {
        let of = |dialog: &Dialog| DialogNames {
            call_id: dialog.call_id().into(),
            local_tag: dialog.remote_tag().into(),
            remote_tag: Some(dialog.local_tag().into()),
        };
        match &self.phase {
            Phase::Talk(talking) => Some(of(&talking.talk.leg(talking.talk.side_of(leg)?).dialog)),
            Phase::Setup(setup) => setup.names_of_waiting(leg, of).or_else(|| setup.names_of_ringing(leg)),
            Phase::Ending => None,
        }
    }

    /// The INVITE of a device that takes the call from the leg that rings.
    pub fn picked_up(&mut self, rooms: &mut Rooms, rings: LegNo, device: Device, incoming: &Incoming<'_>) {
        if let Err(refusal) = self.pick_up(rooms, rings, device, incoming) {
            incoming.answer(rooms, &refusal);
        }
    }

    fn pick_up(
        &mut self,
        rooms: &mut Rooms,
        rings: LegNo,
        device: Device,
        incoming: &Incoming<'_>,
    ) -> Result<(), Reject> {
        let at = self.device_at(rings).ok_or_else(|| Reject::new(481))?;
        if self.taker.is_some() {
            return Err(Reject::because(491, "Somebody Is Taking The Call"));
        }
        let no = LegNo::try_from(self.legs.len()).ok().filter(|no| *no < MAX_LEGS);
        let no = no.ok_or_else(Reject::full)?;
        let tag = rooms.ids.tag();
        let dialog = Dialog::uas(incoming.message, incoming.env, &tag.text())
            .map_err(|_| Reject::because(400, "Bad INVITE"))?;
        let nat = behind_nat(&self.directory, device, &dialog, incoming.env, incoming.flow.remote);
        let mut leg = Leg::new(dialog, incoming.flow, device, nat);
        leg.number(no, &self.directory);
        leg.session_ids.party = session_id::of(incoming.message).unwrap_or_default();
        let sdp = leg
            .inactive_answer(rooms, incoming.message)
            .ok_or_else(|| Reject::because(488, "An Offer Is Needed To Take A Call"))?;
        leg.begin_session(rooms, &self.directory, incoming.message, &sdp);
        let mut setup = self.take_setup().ok_or_else(|| Reject::new(481))?;
        self.note(rooms, What::PickedUp(at, device));
        self.legs.push(LegFacts::new(device, LegId::Theirs(incoming.env.call_id.into())));
        self.own_tag(rooms, tag);
        self.tell(rooms, News::Offered { leg: no, to: Far::of(&self.directory, device) });
        self.drop_branches(rooms, &mut setup, EndReason::TakenOver, &Why::Ours(ELSEWHERE));
        self.give_patience(rooms, &mut setup);
        setup.line = Some(Box::new(Borrowed::coming(no, device)));
        self.phase = Phase::Setup(setup);
        let (lines, source) = (&rooms.lines, Some(incoming.flow.remote));
        let (message, tag) = (incoming.message, tag.text());
        let mut builder =
            response_to(&mut rooms.scratch, message, incoming.env, 200, b"OK", Some(&tag), source);
        builder.copy(message, HeaderName::RecordRoute);
        own_headers(&mut builder, lines.contact(incoming.flow));
        leg.timer.print_answer(&mut builder);
        let ok = builder.header(HeaderName::ContentType, b"application/sdp").finish(&sdp);
        let now = rooms.now.mono;
        rooms.endpoint.respond(incoming.txn, 200, ok.clone(), now);
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
        self.taker = Some(Box::new(Taker { no, leg, answered: answered.repeating(rooms) }));
        Ok(())
    }

    /// Nowhere else is tried: the call is the taker's, who is given the time that his phone needs.
    fn give_patience(&self, rooms: &Rooms, setup: &mut Setup) {
        if setup.waiting.take().is_some() {
            setup.rest();
        }
        setup.stages.clear();
        (setup.current, setup.best, setup.spare) = (None, None, Spare::default());
        let until = rooms.now.mono + rooms.directory.options.timers.patience();
        let expires = self.expires_at(&setup.request).filter(|at| *at < until);
        setup.told_then = if expires.is_some() { 487 } else { 480 };
        setup.ring_until = Some(expires.unwrap_or(until));
    }

    /// The ACK of the taker; whether it is his. He is connected, or hung up on if the call is over by now.
    pub(super) fn taker_acknowledged(&mut self, rooms: &mut Rooms, ack: &Envelope<'_>) -> bool {
        let is_his = |taker: &mut Box<Taker>| {
            taker.leg.dialog.matches(ack) && taker.answered.is_acknowledged_by(Side::Caller, ack)
        };
        let Some(taker) = self.taker.take_if(is_his) else { return false };
        let Taker { no, leg, .. } = *taker;
        let mut leg = Some(leg);
        if self.is_awaited(no) {
            self.borrowed(rooms, &mut leg);
        }
        if let Some(mut leg) = leg {
            self.hang_up_on(rooms, &mut leg);
            self.depart(leg.dialog);
        }
        true
    }

    /// The leg of who takes the call, until he has it.
    pub(super) fn who_takes_it<'a>(&'a self, setup: &'a Setup) -> Option<&'a Leg> {
        let line = setup.line.as_ref().and_then(|line| line.own_leg());
        self.taker.as_ref().map(|taker| &taker.leg).or(line)
    }

    fn is_awaited(&self, taker: LegNo) -> bool {
        let Phase::Setup(setup) = &self.phase else { return false };
        setup.line.as_ref().is_some_and(|line| line.no == taker)
    }

    /// A request of the taker before his ACK; false for anybody else's.
    pub(super) fn request_of_taker(&mut self, rooms: &mut Rooms, incoming: &Incoming<'_>) -> bool {
        let his = self.taker.as_ref().is_some_and(|taker| taker.leg.dialog.matches(incoming.env));
        if !his {
            return false;
        }
        if incoming.env.cseq.method != Method::Bye {
            incoming.answer(rooms, &Reject::new(491));
        } else if let Some(taker) = self.taker.take() {
            incoming.answer(rooms, &Reject::new(200));
            self.taker_lost(rooms, taker.no, 480, EndReason::Bye);
        }
        true
    }

    /// When the taker is answered again, or given up.
    pub(super) fn taker_due(&self) -> Option<(Instant, CallTimer)> {
        self.taker.as_ref().map(|taker| (taker.answered.due(), CallTimer::Answer))
    }

    /// Answers the taker again; one who never acknowledges it is given up (RFC 3261 13.3.1.4).
    pub(super) fn taker_timeout(&mut self, rooms: &mut Rooms) {
        let due = |taker: &&mut Box<Taker>| taker.answered.due() <= rooms.now.mono;
        let Some(taker) = self.taker.as_mut().filter(due) else { return };
        if taker.answered.repeat(rooms) {
            return;
        }
        let Some(taker) = self.taker.take() else { return };
        let Taker { no, mut leg, .. } = *taker;
        self.hang_up_on(rooms, &mut leg);
        self.depart(leg.dialog);
        self.taker_lost(rooms, no, 408, EndReason::NoAck);
    }

    fn taker_lost(&mut self, rooms: &mut Rooms, no: LegNo, status: u16, reason: EndReason) {
        if !self.is_awaited(no) {
            return;
        }
        let Some(mut setup) = self.take_setup() else { return };
        match setup.line.take() {
            Some(line) => self.line_failed(rooms, setup, &line, status, reason),
            None => self.phase = Phase::Setup(setup),
        }
    }

    /// Whether the caller speaks as browsers do and no media server stands between: who takes the call must speak so, too.
    #[must_use]
    pub fn is_unbridged(&self) -> bool {
        let Phase::Setup(setup) = &self.phase else { return false };
        matches!(setup.undescribed.as_deref(), Some(Undescribed::Unbridged(_)))
    }
}

impl Setup {
    fn names_of_waiting(&self, leg: LegNo, of: impl Fn(&Dialog) -> DialogNames) -> Option<DialogNames> {
        match &self.caller {
            Caller::Leg(no, waiting) => (*no == leg).then(|| of(&waiting.dialog)),
            Caller::Invite(..) if leg == 0 => {
                let asked = self.request.envelope().ok()?;
                let told = self.pairs.first().map(|pair| pair.tag).filter(|_| !self.hides_progress());
                let told = told.or_else(|| self.waits_at().map(|_| self.tag));
                Some(DialogNames {
                    call_id: asked.call_id.into(),
                    local_tag: asked.from_tag?.into(),
                    remote_tag: told.map(|tag| tag.text()[..].into()),
                })
            }
            Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => None,
        }
    }

    fn names_of_ringing(&self, leg: LegNo) -> Option<DialogNames> {
        let branch = self.branches.iter().find(|branch| branch.leg() == leg)?;
        let pair = self.pairs.iter().find(|pair| pair.branch == branch.id && !pair.remote_tag.is_empty())?;
        Some(DialogNames {
            call_id: branch.call_id.text()[..].into(),
            local_tag: pair.remote_tag.clone(),
            remote_tag: Some(branch.tag.text()[..].into()),
        })
    }
}
