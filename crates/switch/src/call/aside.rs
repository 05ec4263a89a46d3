//! Somebody is called beside a conversation that he is to join, in a call of his own that has nobody on the line. When he
//! answers (when he rings already, if a request asked for it) that set-up goes into the conversation's call, in the place
//! of the party that leaves; if nobody takes it, the conversation goes on as it was. The table, which sees both calls,
//! carries it over.

use tandem_sip::{Flow, Message, TxnId};

use super::control::Onward;
use super::incoming::Answer;
use super::make::{Naming, invitation_naming};
use super::nailed::{Errand, Line};
use super::news::{LegNo, News};
use super::record::LegFacts;
use super::refer::referred_by;
use super::referred::Replaces;
use super::reliable::Held;
use super::setup::{Caller, Setup};
use super::table::Calls;
use super::transfer::GivenSetup;
use super::{Call, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::DnId;
use crate::explain::{Trace, What};
use crate::limits::MAX_LEGS;
use crate::rooms::{Device, Rooms};
use crate::routing::Onwards;

/// See the module: what such a call has in a caller's place.
#[derive(Debug)]
pub(super) struct Aside {
    /// The call of the conversation.
    of: Key,
    /// It goes there when it rings.
    when_it_rings: bool,
    /// The response with which it goes there, kept until no INVITE is under way in the conversation.
    ready: Option<Held>,
}

impl Aside {
    pub(super) fn ready(&self) -> Option<&Held> {
        self.ready.as_ref()
    }

    pub(super) fn take_ready(&mut self) -> Option<Held> {
        self.ready.take()
    }
}

/// What a call beside a conversation leaves to it.
#[derive(Debug)]
pub(super) struct Left {
    /// Legs that came to nothing.
    pub legs: Vec<LegFacts>,
    /// Why it went where it went.
    pub trace: Trace,
}

/// Whom to call beside a conversation, and in whose name.
#[derive(Debug)]
pub struct Beside {
    /// Where he is.
    pub onwards: Onwards,
    /// `Referred-By` as the phone gave it.
    pub referred_by: Option<Box<[u8]>>,
    /// The dialog at the peer site that the call takes the place of.
    pub replaces: Option<Replaces>,
}

impl Calls {
    /// The party at a leg of an answered call leaves it by request for whoever is at the end of this way. What comes of
    /// it is told with the ticket.
    ///
    /// # Errors
    /// 481 for a leg that does not talk, 491 while an exchange of INVITEs or another transfer is under way, 503 when a
    /// table is full. The call is as before.
    pub fn leave_for(
        &mut self,
        rooms: &mut Rooms,
        (key, leg): (Key, LegNo),
        ticket: super::Ticket,
        onwards: Onwards,
    ) -> Result<Option<Key>, u16> {
        self.act(rooms, key, |call, _| call.leaves_by_request(leg, ticket)).unwrap_or(Err(481))?;
        let beside = Beside { onwards, referred_by: None, replaces: None };
        match self.refer(rooms, (key, leg), beside, true) {
            Ok(aside) => Ok(aside),
            Err(status) => {
                self.act(rooms, key, Call::forget_referral);
                Err(status)
            }
        }
    }

    /// The same for a party that sent REFER ([`Fact::Refer`](crate::rooms::Fact)): it leaves when somebody has answered.
    /// Gives the call in which he is called.
    ///
    /// # Errors
    /// 481 when the call does not wait for this, 484 for a number that cannot be called, 503 when a table is full.
    pub fn refer_to(
        &mut self,
        rooms: &mut Rooms,
        at: (Key, LegNo),
        beside: Beside,
    ) -> Result<Option<Key>, u16> {
        self.refer(rooms, at, beside, false)
    }

    /// What a REFER asked for cannot be; its sender is told.
    pub fn refer_failed(&mut self, rooms: &mut Rooms, key: Key, status: u16) {
        self.act(rooms, key, |call, rooms| {
            if call.is_asked_to_refer() {
                call.refer_failed(rooms, status);
            }
        });
    }

    fn refer(
        &mut self,
        rooms: &mut Rooms,
        (key, leg): (Key, LegNo),
        beside: Beside,
        when_it_rings: bool,
    ) -> Result<Option<Key>, u16> {
        let call = self.get(key).filter(|call| call.is_asked_to_refer()).ok_or(481_u16)?;
        let onward = match beside.onwards {
            Onwards::To(onward) if rings_somebody(rooms, &onward) => onward,
            onwards @ (Onwards::To(_) | Onwards::Park(_)) => {
                self.act(rooms, key, |call, _| call.refer_onward(onwards));
                return Ok(None);
            }
        };
        if self.is_full() {
            rooms.counters.refused_full += 1;
            return Err(503);
        }
        let (stays, device) = call.stays_when_leaves(leg).ok_or(481_u16)?;
        let number = call.names_of(stays);
        let device = rooms.now_called(&call.directory, device).unwrap_or(Device::Extension(DnId(u32::MAX)));
        let leaves = call.names_of(leg);
        let by = (!call.withholds(leg)).then(|| referred_by(rooms, beside.referred_by.as_deref(), &leaves));
        let replaces = beside.replaces.as_ref().map(Replaces::print);
        let aside = Aside { of: key, when_it_rings, ready: None };
        let private = call.withholds(stays);
        let naming = Naming { referred_by: by.as_deref(), replaces: replaces.as_deref(), private };
        let aside = self.open_with(rooms, |rooms, own| {
            Call::aside(rooms, own, aside, (device, number), onward, &naming)
        })?;
        self.act(rooms, key, |call, _| call.refer_beside(aside));
        Ok(Some(aside))
    }

    /// Lets whoever rings beside a conversation come into it now, where no INVITE is under way there.
    pub fn bring_in(&mut self, rooms: &mut Rooms, aside: Key) {
        if let Some(of) = self.get(aside).and_then(|call| call.aside_of) {
            self.come_in(rooms, aside, of, false);
            self.run_errands(rooms);
        }
    }

    /// Lets whoever is called beside a conversation come into it. Where that cannot be yet the conversation's call asks
    /// again when it is at rest.
    pub(super) fn come_in(&mut self, rooms: &mut Rooms, aside: Key, of: Key, unless_ready: bool) {
        let Some(kept) = self.get(of).and_then(|call| call.makes_room_for(aside)) else { return };
        let Some(from) = self.get(aside) else { return };
        if unless_ready && !from.is_ready() {
            return;
        }
        let legs = self.get(of).map_or(0, |call| call.legs.len()) + from.legs.len();
        if legs > usize::from(MAX_LEGS) {
            rooms.counters.refused_full += 1;
            self.touch(rooms, aside, |call, rooms| call.clear_early(rooms, EndedBy::Server));
            return;
        }
        // Its end is told after whoever is called has come over.
        let given = self.in_hand(aside).and_then(|call| call.give_aside(rooms));
        if let Some(given) = given {
            self.touch(rooms, of, |call, rooms| call.take_in(rooms, (aside, kept), given));
        }
        self.touch(rooms, aside, |_, _| ());
    }

    /// A call beside a conversation has come to nothing.
    pub(super) fn aside_failed(&mut self, rooms: &mut Rooms, of: Key, status: u16, left: Left) {
        self.touch(rooms, of, |call, rooms| {
            if call.is_ending_or_talking() {
                call.keep_record(left);
            }
            call.refer_failed(rooms, status);
        });
    }
}

/// Whether there is somebody to ring before the party leaves: not where the call waits, and not over an idle nailed-up
/// connection, whose phone is on the line already. A busy one refuses like a busy phone.
fn rings_somebody(rooms: &Rooms, onward: &Onward) -> bool {
    use super::Stage;
    onward.stages.iter().all(|stage| match stage {
        Stage::Extension(dn) => {
            let number = rooms.directory.extension(*dn).map(|extension| &extension.number);
            number.is_none_or(|number| rooms.nailed.state(number) != Some(Line::Idle))
        }
        Stage::Trunk(..) | Stage::Peer(..) => true,
        Stage::PeerQueue(..) | Stage::Mixer(_) | Stage::Wait(_) => false,
    })
}

impl Call {
    /// A call beside a conversation.
    fn aside(
        rooms: &mut Rooms,
        key: Key,
        aside: Aside,
        (device, number): (Device, Box<[u8]>),
        onward: Onward,
        naming: &Naming<'_>,
    ) -> Result<Self, u16> {
        let request = invitation_naming(rooms, &number, &onward.to, naming).ok_or(484_u16)?;
        let mut call = Self::blank(rooms, key, device, [number, onward.to.clone(), Box::default()]);
        (call.aside_of, call.private) = (Some(aside.of), naming.private);
        let caller = Caller::Aside(Box::new(aside));
        let setup = Setup::new(rooms, caller, request, onward.ring_timeout);
        call.go_on(rooms, setup, onward);
        Ok(call)
    }

    /// Who stays when the party at a leg leaves: its leg and device.
    fn stays_when_leaves(&self, leg: LegNo) -> Option<(LegNo, Device)> {
        let Phase::Talk(talking) = &self.phase else { return None };
        let stays = talking.talk.leg(talking.talk.side_of(leg)?.other());
        Some((stays.no, stays.device))
    }

    /// The number by which the party at a leg is known.
    pub(super) fn names_of(&self, leg: LegNo) -> Box<[u8]> {
        if leg == 0 { self.from.clone() } else { self.to.clone() }
    }

    fn forget_referral(&mut self, _: &mut Rooms) {
        self.referral = None;
    }

    /// Whether a response to a branch of it is for the conversation's call to hear; it is kept until then.
    pub(super) fn is_for_the_conversation(
        &mut self,
        rooms: &mut Rooms,
        (txn, id): (TxnId, u8),
        response: &Message,
        flow: Flow,
    ) -> bool {
        let key = self.key;
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let Some(place) = setup.branches.iter().position(|branch| branch.id == id) else { return false };
        let Caller::Aside(aside) = &mut setup.caller else { return false };
        let goes = match response.code().unwrap_or_default() {
            200..300 => true,
            101..200 => aside.when_it_rings && response.envelope().is_ok_and(|env| env.to_tag.is_some()),
            _ => false,
        };
        if !goes {
            return false;
        }
        let of = aside.of;
        if !aside.ready.as_ref().is_some_and(Held::is_answer) {
            aside.ready = Some(Held::new(id, txn, response, flow));
        } else if let Ok(env) = response.envelope()
            && let Some(answer) = Answer::new(response, &env, flow).filter(Answer::is_ok)
            && let Some(setup) = self.take_setup()
        {
            self.hold_one_answer(rooms, setup, place, &answer);
        }
        rooms.nailed.send(Errand::ComeIn { aside: key, of });
        true
    }

    /// It rings: the party that wants to leave is told.
    pub(super) fn aside_rings(&self, rooms: &mut Rooms, setup: &Setup) {
        if let Caller::Aside(aside) = &setup.caller {
            rooms.nailed.send(Errand::Rings { of: aside.of });
        }
    }

    fn is_ready(&self) -> bool {
        let Phase::Setup(setup) = &self.phase else { return false };
        matches!(&setup.caller, Caller::Aside(aside) if aside.ready.is_some())
    }

    fn give_aside(&mut self, rooms: &mut Rooms) -> Option<(GivenSetup, Option<Held>, Left)> {
        let Phase::Setup(setup) = &mut self.phase else { return None };
        let Caller::Aside(aside) = &mut setup.caller else { return None };
        let ready = aside.ready.take();
        let left = self.leave_record();
        let given = self.give_setup(rooms)?;
        Some((given, ready, left))
    }

    /// What becomes part of the conversation's record: legs that have ended, and every step.
    pub(super) fn leave_record(&mut self) -> Left {
        let ended = self.legs.iter().skip(1).filter(|leg| leg.ended.is_some());
        Left { legs: ended.cloned().collect(), trace: std::mem::take(&mut self.trace) }
    }

    fn keep_record(&mut self, left: Left) {
        self.legs.extend(left.legs);
        self.trace.absorb(left.trace);
    }

    /// A call beside a conversation ends: the conversation goes on.
    pub(super) fn end_aside(&mut self, rooms: &mut Rooms, caller: &Caller, status: u16) {
        let Caller::Aside(aside) = caller else { return };
        let (of, left) = (aside.of, Box::new(self.leave_record()));
        rooms.nailed.send(Errand::NotComing { of, status, left });
    }

    /// Whether it is a call beside a conversation.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        self.aside_of.is_some()
    }

    /// Of a call beside a conversation only those who are called are news; what becomes of it the conversation tells.
    pub(super) fn is_heard_elsewhere(&self, news: &News) -> bool {
        self.is_aside() && matches!(news, News::Opened { .. } | News::Failed { .. } | News::Ended { .. })
    }

    fn is_ending_or_talking(&self) -> bool {
        matches!(self.phase, Phase::Talk(_) | Phase::Ending)
    }

    /// Whoever was called beside the conversation is called in this call from now on; the party that leaves is let go.
    fn take_in(
        &mut self,
        rooms: &mut Rooms,
        (aside, kept): (Key, LegNo),
        (given, ready, left): (GivenSetup, Option<Held>, Left),
    ) {
        let Some((waiting, gone)) = self.take_apart(rooms, kept) else { return };
        self.keep_record(left);
        self.refer_inside();
        self.note(rooms, What::Replaced(gone.0));
        self.let_go_of(rooms, gone.1, Self::by(gone.0));
        let numbers = self.ring_on(rooms, (kept, waiting), given);
        for (was, leg) in &numbers {
            self.tell(rooms, News::Moved { from: (aside, *was), leg: *leg });
        }
        let Some(Held { txn, branch: id, flow, response }) = ready else { return };
        let now = numbers.iter().find(|(was, _)| Some(*was) == id.checked_add(1)).map(|(_, now)| *now);
        if let Some(id) = now.and_then(|leg| leg.checked_sub(1)) {
            self.branch_response(rooms, txn, id, &response, flow);
        }
    }
}
