//! Somebody takes over a party's place in an answered call: an INVITE with `Replaces` (RFC 3891). His INVITE is taken to the
//! other party as if it were one within the call; when that one accepts, whoever was there before is released, and if
//! not, nothing has changed.

use tandem_sip::{Builder, Dialog, HeaderName, Message};

use super::exchange::Exchange;
use super::incoming::Incoming;
use super::leg::{Leg, Side, behind_nat};
use super::news::{Far, LegNo, News};
use super::record::{EndReason, LegFacts, LegId};
use super::session::Session;
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::explain::What;
use crate::ids::Tag;
use crate::limits::MAX_LEGS;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms};

/// Who was there before, until it is decided.
#[derive(Debug)]
pub(super) struct Takeover {
    before: Leg,
    side: Side,
    /// The leg of who takes over.
    no: LegNo,
    /// Who was there has hung up meanwhile.
    gone: bool,
}

impl Call {
    /// The INVITE of a device that wants the place of the party at this leg.
    pub fn taken_over(&mut self, rooms: &mut Rooms, leg: LegNo, device: Device, incoming: &Incoming<'_>) {
        if let Err(refusal) = self.take_over_leg(rooms, leg, device, incoming) {
            incoming.answer(rooms, &refusal);
        }
    }

    fn take_over_leg(
        &mut self,
        rooms: &mut Rooms,
        leg: LegNo,
        device: Device,
        incoming: &Incoming<'_>,
    ) -> Result<(), Reject> {
        let side = self.free_side(leg).map_err(Reject::new)?;
        if self.referral.is_some() || self.takeover.is_some() {
            return Err(Reject::because(491, "A Transfer Is Under Way"));
        }
        let no = LegNo::try_from(self.legs.len()).ok().filter(|no| *no < MAX_LEGS);
        let no = no.ok_or_else(Reject::full)?;
        let bad = || Reject::because(400, "Bad INVITE");
        let tag = rooms.ids.tag();
        let dialog = Dialog::uas(incoming.message, incoming.env, &tag.text()).map_err(|_| bad())?;
        let within = tagged(rooms, incoming.message, tag).ok_or_else(bad)?;
        let env = within.envelope().map_err(|_| bad())?;
        let nat = behind_nat(&self.directory, device, &dialog, incoming.env, incoming.flow.remote);
        let mut leg = Leg::new(dialog, incoming.flow, device, nat);
        self.legs.push(LegFacts::new(device, LegId::Theirs(env.call_id.into())));
        leg.number(no, &self.directory);
        self.own_tag(rooms, tag);
        self.note(rooms, What::TakesOver(side, device));
        self.settle_requests(rooms);
        let session = Session { id: rooms.ids.bits() >> 33, version: 0 };
        let Phase::Talk(talking) = &mut self.phase else { return Err(Reject::new(481)) };
        let before = talking.talk.update(&mut rooms.log, |talk| {
            // The other party's session has another origin from now on: it is this server's (RFC 3264 8).
            talk.leg_mut(side.other()).session.get_or_insert(session);
            std::mem::replace(talk.leg_mut(side), leg)
        });
        self.takeover = Some(Box::new(Takeover { before, side, no, gone: false }));
        self.reinvite(rooms, side, &Incoming { message: &within, env: &env, ..*incoming });
        Ok(())
    }

    /// After each change of the call: whether it is decided who has the place.
    pub(super) fn takeover_goes_on(&mut self, rooms: &mut Rooms) {
        if self.takeover.is_none() {
            return;
        }
        let accepted = match &self.phase {
            Phase::Talk(talking) => match talking.exchange {
                Exchange::Relayed(_) => return,
                Exchange::Answered(_) => true,
                Exchange::Idle | Exchange::Arranging(_) => false,
            },
            Phase::Setup(_) | Phase::Ending => true,
        };
        let Some(takeover) = self.takeover.take() else { return };
        if accepted { self.hand_place_over(rooms, *takeover) } else { self.keep_place(rooms, *takeover) }
    }

    fn hand_place_over(&mut self, rooms: &mut Rooms, takeover: Takeover) {
        let Takeover { mut before, side, no, gone } = takeover;
        let (by, reason, leg) = (Self::by(side), EndReason::TakenOver, before.no);
        if let Some(facts) = self.legs.get_mut(usize::from(no)).filter(|facts| facts.ended.is_none()) {
            (facts.status, facts.answered) = (200, Some(rooms.now.unix_ms));
            let to = Far::of(&self.directory, facts.device);
            self.tell(rooms, News::Offered { leg: no, to });
        }
        self.leg_ended(rooms, usize::from(leg), by, reason);
        self.tell(rooms, News::Ended { leg, by, reason });
        self.tell(rooms, News::Answered { leg: no });
        if gone {
            self.lose(rooms, &mut before, by, EndReason::Bye);
        } else {
            self.hang_up_on(rooms, &mut before);
        }
        self.depart(before.dialog);
    }

    fn keep_place(&mut self, rooms: &mut Rooms, takeover: Takeover) {
        let Takeover { before, side, no, gone } = takeover;
        let Phase::Talk(talking) = &mut self.phase else { return };
        talking.talk.update(&mut rooms.log, |talk| *talk.leg_mut(side) = before);
        self.leg_ended(rooms, usize::from(no), EndedBy::Callee, EndReason::NotTakenOver);
        if gone {
            self.lose_side(rooms, side, Self::by(side), EndReason::Bye);
            self.close(rooms, Self::by(side), EndReason::Bye, &[side.other()], None);
        }
    }

    /// A request of who was there before, while it is not decided; false for anybody else's.
    pub(super) fn request_before_takeover(&mut self, rooms: &mut Rooms, incoming: &Incoming<'_>) -> bool {
        let Some(takeover) = &mut self.takeover else { return false };
        if !takeover.before.dialog.matches(incoming.env) {
            return false;
        }
        let bye = incoming.env.cseq.method == tandem_sip::Method::Bye;
        takeover.gone |= bye;
        incoming.answer(rooms, &Reject::new(if bye { 200 } else { 491 }));
        true
    }
}

/// The INVITE as if it had come within a dialog: its To has this tag of ours.
fn tagged(rooms: &mut Rooms, invite: &Message, tag: Tag) -> Option<Message> {
    let (method, uri) = (invite.method_token()?, invite.request_uri()?);
    let mut builder = Builder::request(&mut rooms.scratch, method, uri);
    for header in invite.headers().filter(|header| header.name != HeaderName::ContentLength) {
        if header.name == HeaderName::To {
            builder.parts(HeaderName::To, &[header.value, b";tag=", &tag.text()]);
        } else {
            builder.copy_line(&header);
        }
    }
    Message::parse(builder.finish(invite.body())).ok()
}
