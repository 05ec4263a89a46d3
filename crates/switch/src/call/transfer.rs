//! Legs that leave one call for another: two calls of one party become one when that party leaves both (attended and mute
//! transfer), a party is replaced (single-step transfer), a party goes to the mixer (conference).

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::Dialog;

use super::arrange::{Aim, Move};
use super::control::{Begun, Onward};
use super::leg::{Leg, Side};
use super::news::{LegNo, News, Ticket};
use super::record::{EndReason, LegFacts};
use super::session_id;
use super::setup::{Caller, Setup};
use super::table::Calls;
use super::{Call, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::{Directory, Mixer};
use crate::explain::What;
use crate::ids::Tag;
use crate::limits::{MAX_DEPARTED, MAX_LEGS, MIXER_PATIENCE};
use crate::reject::Reject;
use crate::rooms::{Device, Rooms, Use};
use crate::routing::Onwards;

/// A leg that left its call.
#[derive(Debug)]
struct Given {
    leg: Leg,
    facts: LegFacts,
    /// `CallUUID` of that call.
    from: u128,
}

/// A call that still rings, with what was known of the legs that ring.
#[derive(Debug)]
pub(super) struct GivenSetup {
    setup: Box<Setup>,
    facts: Vec<LegFacts>,
    directory: Arc<Directory>,
    /// `CallUUID` of that call.
    from: u128,
}

impl Calls {
    /// Joins what is left of two calls when their common party leaves both: leg `kept` of `key` stays, leg `moved` of
    /// `consult` becomes its other party; the other leg of each is ended. Gives the moved leg's number in `key`. If the
    /// consultation still rings, it goes on ringing for the one who stays (a mute transfer).
    ///
    /// # Errors
    /// 481 for legs that are not there, 491 while an exchange of INVITEs is under way in either call, 503 when a call has
    /// had too many legs.
    pub fn transfer(
        &mut self,
        rooms: &mut Rooms,
        ticket: Ticket,
        (key, kept): (Key, LegNo),
        (consult, moved): (Key, LegNo),
    ) -> Result<(Begun, LegNo), u16> {
        let to = self.get(key).filter(|_| key != consult).ok_or(481_u16)?;
        let from = self.get(consult).ok_or(481_u16)?;
        to.free_side(kept)?;
        if to.legs.len() + from.legs.len() > usize::from(MAX_LEGS) {
            rooms.counters.refused_full += 1;
            return Err(503);
        }
        if from.rings(moved) {
            let given = self.act(rooms, consult, |call, rooms| call.give_setup(rooms));
            let given = given.flatten().ok_or(481_u16)?;
            let leg = self.act(rooms, key, |call, rooms| call.wait_with(rooms, kept, moved, given));
            return leg.flatten().map(|leg| (Begun::Done, leg)).ok_or(481);
        }
        from.free_side(moved)?;
        let given = self.act(rooms, consult, |call, rooms| call.give(rooms, moved));
        let given = given.flatten().ok_or(481_u16)?;
        let leg = self.act(rooms, key, |call, rooms| call.take_over(rooms, ticket, kept, given));
        leg.flatten().map(|leg| (Begun::Later, leg)).ok_or(481)
    }

    /// Whether a leg of an answered call could leave it now.
    ///
    /// # Errors
    /// As [`Calls::to_mixer`].
    pub fn may_leave(&self, (key, leg): (Key, LegNo)) -> Result<(), u16> {
        self.get(key).ok_or(481_u16)?.free_side(leg).map(|_| ())
    }

    /// Connects one leg of an answered call with the mixer, in a call of its own beneath the same conference name. Each
    /// party of a conference is such a call. Gives the key of the new call; the leg keeps nothing of the old one. A party
    /// that is left alone in the old call is released unless it leaves, too, within `others_follow_within`.
    ///
    /// # Errors
    /// 481 for a leg that does not talk, 491 while an exchange of INVITEs is under way, 503 when a table is full.
    pub fn to_mixer(
        &mut self,
        rooms: &mut Rooms,
        ticket: Ticket,
        (key, leg): (Key, LegNo),
        mixer: &Mixer,
        conference: &str,
        others_follow_within: Duration,
    ) -> Result<(Key, LegNo), u16> {
        self.get(key).ok_or(481_u16)?.free_side(leg)?;
        if self.is_full() {
            rooms.counters.refused_full += 1;
            return Err(503);
        }
        let given = self
            .act(rooms, key, |call, rooms| call.leave(rooms, leg, others_follow_within))
            .flatten()
            .ok_or(481_u16)?;
        let stage = super::Stage::Mixer(conference.into());
        let onward = Onward {
            to: conference.as_bytes().into(),
            stages: vec![stage],
            steps: vec![What::ToMixer(Arc::clone(&mixer.name))],
            ring_timeout: MIXER_PATIENCE,
            carried: super::Carried::default(),
        };
        let key =
            self.open_with(rooms, |rooms, key| Ok(Call::at_mixer(rooms, key, ticket, given, onward)))?;
        Ok((key, 0))
    }
}

impl Call {
    /// Whether this leg rings, for somebody who is on the line.
    fn rings(&self, leg: LegNo) -> bool {
        let Phase::Setup(setup) = &self.phase else { return false };
        matches!(setup.caller, Caller::Leg(..)) && setup.branches.iter().any(|branch| branch.leg() == leg)
    }

    pub(super) fn by(side: Side) -> EndedBy {
        match side {
            Side::Caller => EndedBy::Caller,
            Side::Callee => EndedBy::Callee,
        }
    }

    /// Takes a leg out of its record here: it goes on in another call.
    fn hand_over(&mut self, rooms: &mut Rooms, leg: Leg) -> Option<Given> {
        let place = usize::from(leg.no);
        let facts = self.legs.get(place)?.clone();
        self.leg_ended(rooms, place, EndedBy::Server, EndReason::Moved);
        let tag = Tag::parse(leg.dialog.local_tag());
        self.tags.retain(|own| Some(*own) != tag);
        self.settle_requests(rooms);
        Some(Given { leg, facts, from: self.uuid })
    }

    /// Gives an answered leg away; the other one is released.
    fn give(&mut self, rooms: &mut Rooms, moved: LegNo) -> Option<Given> {
        self.refer_is_moot(rooms);
        let Phase::Talk(talking) = &self.phase else { return None };
        let side = talking.talk.side_of(moved)?;
        let leg = talking.talk.leg(side).clone();
        let given = self.hand_over(rooms, leg)?;
        self.forget_line(rooms, side);
        let stays = side.other();
        self.close(rooms, Self::by(stays), EndReason::Request, &[stays], None);
        Some(given)
    }

    /// Gives a ringing callee away; the party that waits for him here is released.
    pub(super) fn give_setup(&mut self, rooms: &mut Rooms) -> Option<GivenSetup> {
        let mut setup = self.take_setup()?;
        let nobody = Caller::Nobody(Box::default());
        let mut facts = Vec::new();
        for branch in &setup.branches {
            let place = branch.place()?;
            facts.push(self.legs.get(place)?.clone());
            self.leg_ended(rooms, place, EndedBy::Server, EndReason::Moved);
            self.tags.retain(|own| *own != branch.tag);
        }
        for pair in &setup.pairs {
            self.tags.retain(|own| *own != pair.tag);
        }
        setup.end_tone(rooms);
        if let Caller::Leg(no, mut leg) = std::mem::replace(&mut setup.caller, nobody) {
            let (by, reason) = (EndedBy::Caller, EndReason::Request);
            self.leg_ended(rooms, usize::from(no), by, reason);
            self.hang_up_on(rooms, &mut leg);
            self.depart(leg.dialog);
            self.tell(rooms, News::Ended { leg: no, by, reason });
        }
        Some(GivenSetup { setup, facts, directory: Arc::clone(&self.directory), from: self.uuid })
    }

    /// The leg at this side goes on elsewhere, and goes back to where it is nailed up from there.
    fn forget_line(&mut self, rooms: &mut Rooms, side: Side) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        if talking.talk.leg(side).nailed.is_some() {
            talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).nailed = None);
        }
    }

    /// A leg of another call takes the place of the one that is not kept.
    fn take_over(&mut self, rooms: &mut Rooms, ticket: Ticket, kept: LegNo, given: Given) -> Option<LegNo> {
        let Phase::Talk(talking) = &self.phase else { return None };
        let side = talking.talk.side_of(kept)?.other();
        let gone = talking.talk.leg(side).clone();
        let Given { mut leg, mut facts, from } = given;
        rooms.ledger.moves(from, self.uuid, leg.device);
        leg.resolve(&self.directory);
        facts.device = leg.device;
        let no = self.adopt(rooms, facts, leg.dialog.local_tag())?;
        leg.number(no, &self.directory);
        leg.holds = super::Hold::No;
        self.settle_requests(rooms);
        let uuid = self.uuid;
        let Phase::Talk(talking) = &mut self.phase else { return None };
        talking.audit = [None, None];
        talking.talk.update(&mut rooms.log, |talk| {
            *talk.leg_mut(side) = leg;
            talk.leg_mut(side.other()).holds = super::Hold::No;
            let [one, two] = &mut talk.legs;
            session_id::introduce(uuid, [one, two]);
        });
        self.let_go_of(rooms, gone, Self::by(side));
        self.refer_succeeded(rooms);
        if !self.arrange(rooms, Aim::Join, Some(ticket), &[Move::Connect(side)]) {
            self.done(rooms, Some(ticket), Err(503));
            self.hang_up(rooms, side, EndedBy::Server, EndReason::Status(503));
        }
        Some(no)
    }

    /// The party that is kept waits for who rings in the set-up of another call.
    fn wait_with(
        &mut self,
        rooms: &mut Rooms,
        kept: LegNo,
        moved: LegNo,
        given: GivenSetup,
    ) -> Option<LegNo> {
        let (waiting, gone) = self.take_apart(rooms, kept)?;
        self.let_go_of(rooms, gone.1, Self::by(gone.0));
        let numbers = self.ring_on(rooms, (kept, waiting), given);
        numbers.into_iter().find(|(was, _)| *was == moved).map(|(_, now)| now)
    }

    /// Whoever rings in the set-up of another call rings on here, for the leg that waits. Gives the numbers that ringing
    /// legs had there and have here.
    pub(super) fn ring_on(
        &mut self,
        rooms: &mut Rooms,
        (kept, waiting): (LegNo, Leg),
        given: GivenSetup,
    ) -> Vec<(LegNo, LegNo)> {
        let GivenSetup { mut setup, facts, directory, from } = given;
        let key = self.key;
        let mut numbers = Vec::new();
        for (branch, mut facts) in setup.branches.iter_mut().zip(facts) {
            rooms.ledger.moves(from, self.uuid, facts.device);
            let device = again(facts.device, &directory, &self.directory);
            (facts.device, branch.target.device) = (device, device);
            let Some(no) = self.adopt(rooms, facts, &branch.tag.text()) else { continue };
            numbers.push((branch.leg(), no));
            branch.id = no.saturating_sub(1);
            rooms.endpoint.attach(branch.txn, Use::Branch(key, branch.id));
        }
        let renumbered = |branch: u8| {
            let now = numbers.iter().find(|(was, _)| Some(*was) == branch.checked_add(1));
            now.map_or(branch, |(_, now)| now.saturating_sub(1))
        };
        if let Some(held) = &mut setup.held {
            held.branch = renumbered(held.branch);
        }
        for pair in &mut setup.pairs {
            pair.branch = renumbered(pair.branch);
            if pair.tag != setup.tag {
                self.own_tag(rooms, pair.tag);
            }
        }
        setup.caller = Caller::Leg(kept, Box::new(waiting));
        if !Arc::ptr_eq(&directory, &self.directory) {
            // Places of another configuration mean nothing here.
            setup.stages.clear();
        }
        if setup.rang {
            self.ring_tone(rooms, &mut setup);
        }
        self.phase = Phase::Setup(setup);
        numbers
    }

    /// Ends one leg of an answered call; the other one waits for somebody else, or at a queue or routing point.
    ///
    /// # Errors
    /// 481 for a leg that does not talk, 491 while an exchange of INVITEs is under way.
    pub(super) fn replace(&mut self, rooms: &mut Rooms, leg: LegNo, onward: Onwards) -> Result<Begun, u16> {
        let waiting = self.alone_without(rooms, leg)?;
        let waiting = (waiting.no, waiting);
        match onward {
            Onwards::To(onward) => self.wait_for(rooms, waiting, onward),
            Onwards::Park(at) => self.wait_on_the_line(rooms, waiting, at),
        }
        Ok(Begun::Done)
    }

    fn alone_without(&mut self, rooms: &mut Rooms, leg: LegNo) -> Result<Leg, u16> {
        let stays = self.free_side(leg)?.other();
        let Phase::Talk(talking) = &self.phase else { return Err(481) };
        let no = talking.talk.leg(stays).no;
        let (waiting, (side, gone)) = self.take_apart(rooms, no).ok_or(481_u16)?;
        self.let_go_of(rooms, gone, Self::by(side));
        Ok(waiting)
    }

    /// Undoes an answered call: the leg that is kept, and the other one with its side. Whom it held is gone, so it holds
    /// nobody.
    pub(super) fn take_apart(&mut self, rooms: &mut Rooms, kept: LegNo) -> Option<(Leg, (Side, Leg))> {
        self.settle_requests(rooms);
        let Phase::Talk(talking) = std::mem::replace(&mut self.phase, Phase::Ending) else { return None };
        let side = talking.talk.side_of(kept)?;
        let [caller, callee] = talking.talk.delete(&mut rooms.log).legs;
        let (mut kept, gone) = match side {
            Side::Caller => (caller, callee),
            Side::Callee => (callee, caller),
        };
        if std::mem::take(&mut kept.holds) != super::Hold::No {
            self.tell(rooms, News::Retrieved { leg: kept.no });
        }
        Some((kept, (side.other(), gone)))
    }

    /// Releases a leg that has left the call, by request.
    pub(super) fn let_go_of(&mut self, rooms: &mut Rooms, mut gone: Leg, by: EndedBy) {
        if self.is_referrer(gone.no) {
            return self.referrer_leaves(rooms, gone, by);
        }
        let (leg, reason) = (gone.no, EndReason::Request);
        self.leg_ended(rooms, usize::from(leg), by, reason);
        self.tell(rooms, News::Ended { leg, by, reason });
        self.hang_up_on(rooms, &mut gone);
        self.depart(gone.dialog.clone());
        if gone.nailed.is_none() && self.lingering.is_none() {
            self.linger(rooms, gone, true);
        }
    }

    /// A leg goes to the mixer. The other one may follow it; if it does not at once, it is released.
    fn leave(&mut self, rooms: &mut Rooms, leg: LegNo, others_follow_within: Duration) -> Option<Given> {
        let Phase::Talk(talking) = &mut self.phase else { return None };
        let side = talking.talk.side_of(leg)?;
        let last = talking.alone.is_some();
        let leaves = talking.talk.leg(side).clone();
        talking.alone = Some((side.other(), rooms.now.mono + others_follow_within));
        let given = self.hand_over(rooms, leaves)?;
        if last {
            self.ends_empty(rooms);
        }
        Some(given)
    }

    /// A call between a leg of another one and the mixer.
    fn at_mixer(rooms: &mut Rooms, key: Key, ticket: Ticket, given: Given, onward: Onward) -> Self {
        let Given { mut leg, facts, from } = given;
        let name = leg.name.as_deref().unwrap_or_default().as_bytes();
        let names = [name.into(), onward.to.clone(), Box::default()];
        let mut call = Self::blank(rooms, key, leg.device, names);
        rooms.counters.calls += 1;
        rooms.ledger.moves(from, call.uuid, leg.device);
        leg.resolve(&call.directory);
        leg.holds = super::Hold::No;
        leg.number(0, &call.directory);
        if let Some(first) = call.legs.first_mut() {
            *first = LegFacts { device: leg.device, ..facts };
        }
        if let Some(tag) = Tag::parse(leg.dialog.local_tag()) {
            call.own_tag(rooms, tag);
        }
        call.asked = Some(ticket);
        call.wait_for(rooms, (0, leg), onward);
        call
    }

    /// Whether the other party has just left for another call.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(&self.phase, Phase::Talk(talking) if talking.alone.is_some())
    }

    /// The party that was left alone did not follow the other one.
    pub(super) fn alone_timeout(&mut self, rooms: &mut Rooms) {
        let Phase::Talk(talking) = &self.phase else { return };
        if let Some((side, _)) = talking.alone.filter(|(_, until)| *until <= rooms.now.mono) {
            self.hang_up(rooms, side, EndedBy::Server, EndReason::Request);
        }
    }

    /// Takes a leg of another call into the record.
    fn adopt(&mut self, rooms: &mut Rooms, mut facts: LegFacts, tag: &[u8]) -> Option<LegNo> {
        let no = LegNo::try_from(self.legs.len()).ok()?;
        facts.ended = None;
        self.note(rooms, What::TookOver(facts.device));
        self.legs.push(facts);
        if let Some(tag) = Tag::parse(tag) {
            self.own_tag(rooms, tag);
        }
        Some(no)
    }

    /// Ends what waits for its answer in the dialogs, before one of them changes its other side.
    pub(super) fn settle_requests(&mut self, rooms: &mut Rooms) {
        for pending in std::mem::take(&mut self.pending) {
            rooms.endpoint.abandon(pending.client);
            rooms.respond(pending.server, pending.flow, &pending.request, &Reject::new(487));
        }
        for telling in std::mem::take(&mut self.tellings) {
            if let Some(txn) = telling.txn {
                rooms.endpoint.abandon(txn);
            }
            self.done(rooms, Some(telling.ticket), Err(0));
        }
    }

    /// Remembers a dialog that this server has ended while the call goes on: a BYE that crosses has nothing to complain
    /// about (RFC 5407 3.2.2).
    pub(super) fn depart(&mut self, dialog: Dialog) {
        if self.departed.len() >= MAX_DEPARTED {
            self.departed.remove(0);
        }
        self.departed.push(dialog);
    }

    /// Whether a request is the BYE of a party that was released before.
    pub(super) fn is_parting(&self, env: &tandem_sip::Envelope<'_>) -> bool {
        env.cseq.method == tandem_sip::Method::Bye && self.departed.iter().any(|dialog| dialog.matches(env))
    }
}

/// A device of one directory as it stands in another one; the same place if there it has no place.
fn again(device: Device, from: &Directory, to: &Directory) -> Device {
    let name = Rooms::name_of(from, device);
    let found = match device {
        Device::Extension(_) => to.find(name.as_bytes()).map(Device::Extension),
        Device::Trunk(_) => to.trunk_named(name).map(Device::Trunk),
        Device::Mixer => Some(device),
    };
    found.unwrap_or(device)
}
