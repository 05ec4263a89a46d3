//! UPDATE (RFC 3311): which offers may cross, and what one becomes that goes to a side which does not take UPDATE: in an
//! answered call an INVITE within the dialog, before that a refusal.

use tandem_sip::{Message, Method};

use super::exchange::Exchange;
use super::incoming::Incoming;
use super::leg::Side;
use super::refresh::answer_refresh;
use super::talk::too_soon;
use super::{Call, Pending, Phase};
use crate::ids::Tag;
use crate::reject::Reject;
use crate::rooms::Rooms;

impl Call {
    /// An UPDATE of one side. False: it is to be passed on as it is.
    pub(super) fn update_here(
        &mut self,
        rooms: &mut Rooms,
        side: Side,
        to: Tag,
        incoming: &Incoming<'_>,
    ) -> bool {
        if self.refreshed_by(rooms, side, incoming) {
            return true;
        }
        let offers = !incoming.message.body().is_empty();
        if offers && let Some(refusal) = self.crossing(rooms, side, to, incoming.message) {
            incoming.answer(rooms, &refusal);
            return true;
        }
        if self.far_takes_update(side, to, incoming) {
            return false;
        }
        match &mut self.phase {
            Phase::Talk(_) if offers => self.reinvite(rooms, side, incoming),
            // Nobody could be asked for an answer in time (RFC 3311 5.2).
            Phase::Setup(_) if offers => incoming.answer(rooms, &Reject::new(504)),
            Phase::Talk(talking) => {
                let now = rooms.now;
                talking
                    .talk
                    .update(&mut rooms.log, |talk| talk.leg_mut(side).refreshed(incoming.message, now));
                answer_refresh(rooms, talking.talk.leg(side), incoming);
            }
            Phase::Setup(setup) => {
                let Some((_, [caller, callee])) = setup.early(to, incoming.env.from_tag) else {
                    return false;
                };
                let leg = if side == Side::Caller { caller } else { callee };
                leg.renew(incoming.message);
                answer_refresh(rooms, leg, incoming);
            }
            Phase::Ending => return false,
        }
        true
    }

    /// Whether the other side takes UPDATE, or has not said that it does not.
    fn far_takes_update(&mut self, side: Side, to: Tag, incoming: &Incoming<'_>) -> bool {
        let allows = match &mut self.phase {
            Phase::Talk(talking) => talking.talk.leg(side.other()).timer.allows_update(),
            Phase::Setup(setup) => {
                setup.early(to, incoming.env.from_tag).and_then(|(_, [caller, callee])| {
                    let far = if side == Side::Caller { callee } else { caller };
                    far.timer.allows_update()
                })
            }
            Phase::Ending => None,
        };
        allows != Some(false)
    }

    /// Why an offer may not be made now (RFC 3311 5.2): one of the same side waits for its answer, or one of the other side
    /// is on its way.
    fn crossing(&mut self, rooms: &mut Rooms, side: Side, to: Tag, update: &Message) -> Option<Reject> {
        if self.is_arranging() {
            return Some(Reject::new(491));
        }
        let from_tag =
            |message: &Message| message.envelope().ok().and_then(|env| env.from_tag.map(Box::<[u8]>::from));
        let here = self.dialog_behind(to, from_tag(update).as_deref());
        let offers = |pending: &&Pending| {
            pending.request.method() == Some(Method::Update) && !pending.request.body().is_empty()
        };
        let waiting: Vec<(Side, Tag, Message)> = self
            .pending
            .iter()
            .filter(offers)
            .map(|pending| (pending.from, pending.to, pending.request.clone()))
            .collect();
        for (from, to, request) in waiting {
            if self.dialog_behind(to, from_tag(&request).as_deref()) == here {
                return Some(if from == side { too_soon(rooms) } else { Reject::new(491) });
            }
        }
        match &self.phase {
            Phase::Talk(talking) => match &talking.exchange {
                Exchange::Relayed(relayed) if relayed.from != side => Some(Reject::new(491)),
                Exchange::Relayed(relayed) if relayed.is_update() => Some(too_soon(rooms)),
                Exchange::Idle | Exchange::Relayed(_) | Exchange::Answered(_) | Exchange::Arranging(_) => {
                    None
                }
            },
            Phase::Setup(_) | Phase::Ending => None,
        }
    }

    /// Our tag towards the caller in the early dialog behind a request; `None` once the call is answered.
    fn dialog_behind(&mut self, to: Tag, from: Option<&[u8]>) -> Option<Box<[u8]>> {
        let Phase::Setup(setup) = &mut self.phase else { return None };
        setup.early(to, from).map(|(_, [caller, _])| caller.dialog.local_tag().into())
    }
}
