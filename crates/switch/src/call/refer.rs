//! A party leaves an answered call for somebody else: by REFER (RFC 3515, RFC 5589 6) or by request in one step. This server
//! carries it out itself. The one who is to come is called beside the conversation (`aside`), so that the party that
//! leaves is still there when nobody comes; it hears by NOTIFY how it goes, and is released when somebody has come. A
//! phone that hangs up before leaves the other party waiting for whoever answers.

use std::time::Instant;

use tandem_sip::{Dialog, HeaderName, response_to};

use super::exchange::Exchange;
use super::incoming::Incoming;
use super::leg::{Ask, Leg, Own, Side};
use super::nailed::Errand;
use super::news::{LegNo, News, Ticket};
use super::record::EndReason;
use super::referred::{REFER_SUB, ReferTo, Referred, wants_no_subscription};
use super::{Call, CallTimer, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::explain::What;
use crate::ids::Tag;
use crate::limits::{REFER_EXPIRES_S, REFERRER_PATIENCE};
use crate::reject::Reject;
use crate::rooms::{Device, Fact, Rooms, Use, phrase};
use crate::routing::Onwards;

/// A party is leaving.
#[derive(Debug)]
pub(super) struct Referral {
    /// Its leg.
    by: LegNo,
    stand: Stand,
    /// CSeq of the REFER whose sender hears how it goes.
    subscription: Option<u32>,
    /// The dialog of its own in which the REFER came (RFC 4538); otherwise it came in that of the call.
    watch: Option<Box<Leg>>,
    /// The request that waits for the outcome.
    ticket: Option<Ticket>,
    /// It has hung up already.
    gone: Option<Box<Gone>>,
}

/// How far it is.
#[derive(Debug)]
enum Stand {
    /// The node looks for the way, or waits until two calls are at rest.
    Asked,
    /// The other party goes there as soon as no INVITE is under way.
    Going(Onwards),
    /// Somebody is called beside the conversation.
    Beside(Key),
    /// He is called in this call by now.
    Inside,
}

#[derive(Debug)]
struct Gone {
    leg: Leg,
    by: EndedBy,
    reason: EndReason,
}

/// A party that was told that it has been replaced, and is expected to hang up.
#[derive(Debug)]
pub(super) struct Lingering {
    leg: Leg,
    until: Instant,
    /// It was: its BYE may still be on its way.
    hung_up: bool,
}

impl Lingering {
    /// Where another process finds whom to hang up on.
    pub(super) fn leg(&self) -> &Leg {
        &self.leg
    }
}

impl Call {
    /// A REFER from one side.
    pub(super) fn refer(&mut self, rooms: &mut Rooms, side: Side, incoming: &Incoming<'_>) {
        self.refer_in(rooms, side, incoming, None);
    }

    /// A REFER with a `Target-Dialog` (RFC 4538): it is about this dialog, and has one of its own.
    pub fn refer_from_beside(&mut self, rooms: &mut Rooms, leg: LegNo, incoming: &Incoming<'_>) {
        let side = match &self.phase {
            Phase::Talk(talking) => talking.talk.side_of(leg),
            Phase::Setup(_) | Phase::Ending => None,
        };
        let tag = rooms.ids.tag();
        let dialog = Dialog::uas(incoming.message, incoming.env, &tag.text());
        let (Some(side), Ok(dialog)) = (side, dialog) else {
            return incoming.answer(rooms, &Reject::because(400, "Missing Or Bad Contact"));
        };
        let device = self.device_at(leg).unwrap_or(Device::Mixer);
        let nat =
            super::leg::behind_nat(&self.directory, device, &dialog, incoming.env, incoming.flow.remote);
        let watch = Leg::new(dialog, incoming.flow, device, nat);
        self.refer_in(rooms, side, incoming, Some((tag, Box::new(watch))));
    }

    fn refer_in(
        &mut self,
        rooms: &mut Rooms,
        side: Side,
        incoming: &Incoming<'_>,
        watch: Option<(Tag, Box<Leg>)>,
    ) {
        let to = match self.may_refer(side).and_then(|()| ReferTo::of(incoming.message)) {
            Ok(to) => to,
            Err(refusal) => return incoming.answer(rooms, &refusal),
        };
        let Phase::Talk(talking) = &self.phase else { return };
        let by = talking.talk.leg(side).no;
        let silent = wants_no_subscription(incoming.message);
        accept(rooms, incoming, silent, watch.as_ref().map(|(tag, _)| *tag));
        rooms.counters.refers += 1;
        self.note(rooms, What::Refers(side, to.number.clone()));
        let referred_by = incoming.message.header(HeaderName::ReferredBy).map(Box::from);
        let subscription = (!silent).then_some(incoming.env.cseq.number);
        let watch = watch.map(|(_, leg)| leg);
        let referral = Referral { by, stand: Stand::Asked, subscription, watch, ticket: None, gone: None };
        self.referral = Some(Box::new(referral));
        self.notify_referrer(rooms, 100);
        rooms.facts.push(Fact::Refer(self.key, Box::new(Referred { by, to, referred_by })));
    }

    fn may_refer(&self, side: Side) -> Result<(), Reject> {
        let Phase::Talk(talking) = &self.phase else { return Err(Reject::because(403, "Call Not Answered")) };
        if self.referral.is_some() {
            // One transfer at a time; the other party's own may be under way (RFC 5589 does not say who wins).
            return Err(Reject::because(491, "Another Transfer Is Under Way"));
        }
        if talking.talk.leg(side.other()).device == Device::Mixer {
            return Err(Reject::because(403, "A Conference Cannot Be Transferred"));
        }
        Ok(())
    }

    /// The party at the leg leaves by request.
    ///
    /// # Errors
    /// 481 for a leg that does not talk, 491 while an exchange of INVITEs or another transfer is under way.
    pub(super) fn leaves_by_request(&mut self, leg: LegNo, ticket: Ticket) -> Result<(), u16> {
        self.free_side(leg)?;
        if self.referral.is_some() {
            return Err(491);
        }
        let ticket = Some(ticket);
        let referral =
            Referral { by: leg, stand: Stand::Asked, subscription: None, watch: None, ticket, gone: None };
        self.referral = Some(Box::new(referral));
        Ok(())
    }

    /// The other party goes there as soon as no INVITE is under way.
    pub(super) fn refer_onward(&mut self, onwards: Onwards) {
        if let Some(referral) = &mut self.referral {
            referral.stand = Stand::Going(onwards);
        }
    }

    /// Somebody is called in a call of his own.
    pub(super) fn refer_beside(&mut self, aside: Key) {
        if let Some(referral) =
            self.referral.as_mut().filter(|referral| matches!(referral.stand, Stand::Asked))
        {
            referral.stand = Stand::Beside(aside);
        }
    }

    /// Whether the party asked and nothing is decided yet.
    pub(super) fn is_asked_to_refer(&self) -> bool {
        self.referral.as_ref().is_some_and(|referral| matches!(referral.stand, Stand::Asked))
    }

    /// Whether whoever is called beside the conversation may come in now; gives the leg that stays.
    pub(super) fn makes_room_for(&self, aside: Key) -> Option<LegNo> {
        let referral = self.referral.as_ref()?;
        let Phase::Talk(talking) = &self.phase else { return None };
        let side = talking.talk.side_of(referral.by)?;
        let waits = matches!(referral.stand, Stand::Beside(key) if key == aside) && self.is_at_rest();
        waits.then(|| talking.talk.leg(side.other()).no)
    }

    /// Whoever is called is called in this call from now on.
    pub(super) fn refer_inside(&mut self) {
        if let Some(referral) = &mut self.referral {
            referral.stand = Stand::Inside;
        }
    }

    /// Nobody comes: the call goes on as it was, unless the party that wanted to leave has gone.
    pub(super) fn refer_failed(&mut self, rooms: &mut Rooms, status: u16) {
        if self.referral.is_none() {
            return;
        }
        self.note(rooms, What::ReferFailed(status));
        self.notify_referrer(rooms, status);
        let Some(referral) = self.referral.take() else { return };
        self.done(rooms, referral.ticket, Err(status));
        let (Some(gone), Phase::Talk(talking)) = (referral.gone, &self.phase) else { return };
        if let Some(side) = talking.talk.side_of(referral.by) {
            self.close(rooms, gone.by, gone.reason, &[side.other()], None);
        }
    }

    /// He has come.
    pub(super) fn refer_succeeded(&mut self, rooms: &mut Rooms) {
        self.notify_referrer(rooms, 200);
        if let Some(referral) = self.referral.take() {
            self.done(rooms, referral.ticket, Ok(()));
        }
    }

    /// Tells the party that leaves how it goes, in words of a status line (RFC 3515 2.4.5).
    pub(super) fn notify_referrer(&mut self, rooms: &mut Rooms, status: u16) {
        let Self { phase, referral, .. } = self;
        let Some(referral) = referral else { return };
        let Some(id) = referral.subscription else { return };
        if status >= 200 {
            referral.subscription = None;
        }
        if let Some(watch) = &mut referral.watch {
            let cseq = watch.dialog.next_cseq();
            return report(rooms, watch, cseq, id, status);
        }
        match (&mut referral.gone, phase) {
            (Some(gone), _) if status >= 200 => {
                let cseq = gone.leg.dialog.next_cseq();
                report(rooms, &gone.leg, cseq, id, status);
            }
            (None, Phase::Talk(talking)) => {
                let Some(side) = talking.talk.side_of(referral.by) else { return };
                let cseq = talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).dialog.next_cseq());
                report(rooms, talking.talk.leg(side), cseq, id, status);
            }
            (Some(_), _) | (None, Phase::Setup(_) | Phase::Ending) => {}
        }
    }

    /// Whom another process has to tell, in the dialog of the call, how his transfer ends, and the CSeq of his REFER.
    pub(super) fn refers(&self) -> Option<(Side, u32)> {
        let referral = self.referral.as_ref().filter(|r| r.gone.is_none() && r.watch.is_none())?;
        let Phase::Talk(talking) = &self.phase else { return None };
        Some((talking.talk.side_of(referral.by)?, referral.subscription?))
    }

    /// A transfer that an earlier process had begun comes to nothing, and the call goes on as it was: who asked for it is
    /// told.
    pub(super) fn refer_cut_off(&mut self, rooms: &mut Rooms) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let Some((side, id)) = talking.talk.life.refers() else { return };
        let cseq = talking.talk.update(&mut rooms.log, |talk| {
            talk.life.forget_referrer();
            talk.leg_mut(side).dialog.next_cseq()
        });
        report(rooms, talking.talk.leg(side), cseq, id, 503);
    }

    /// Whether the party at the leg is leaving.
    pub(super) fn is_referrer(&self, leg: LegNo) -> bool {
        self.referral.as_ref().is_some_and(|referral| referral.by == leg)
    }

    /// The party that leaves hangs up, or is gone, before somebody has come: the other one waits. False: it does not leave.
    pub(super) fn departs(&mut self, rooms: &mut Rooms, side: Side, by: EndedBy, reason: EndReason) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        let leg = talking.talk.leg(side);
        if !self.is_referrer(leg.no) || talking.alone.is_some() {
            return false;
        }
        let leg = leg.clone();
        if self.referral.as_ref().is_some_and(|referral| referral.gone.is_some()) {
            return true;
        }
        self.lose_side(rooms, side, by, reason);
        if let Some(referral) = &mut self.referral {
            referral.gone = Some(Box::new(Gone { leg, by, reason }));
        }
        self.end_exchange_with(rooms, side);
        true
    }

    /// The party that leaves is released by request before somebody has come.
    pub(super) fn referrer_released(&mut self, rooms: &mut Rooms, side: Side) {
        let by = match side {
            Side::Caller => EndedBy::Caller,
            Side::Callee => EndedBy::Callee,
        };
        let Phase::Talk(talking) = &mut self.phase else { return };
        let mut leg = talking.talk.leg(side).clone();
        if !self.departs(rooms, side, by, EndReason::Request) {
            return;
        }
        if leg.nailed.is_none() {
            self.hang_up_on(rooms, &mut leg);
        }
    }

    /// An exchange of INVITEs in which one side will say no more ends as far as it can; the rest ends by itself.
    fn end_exchange_with(&mut self, rooms: &mut Rooms, gone: Side) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        match &talking.exchange {
            Exchange::Relayed(relayed) if relayed.from != gone => {
                rooms.endpoint.abandon(relayed.client);
                rooms.respond(relayed.server, relayed.flow, &relayed.request, &Reject::new(491));
                talking.exchange = Exchange::Idle;
            }
            Exchange::Relayed(relayed) => {
                talking.talk.leg(gone.other()).cancel(rooms, relayed.client, relayed.client_cseq);
            }
            Exchange::Answered(answered) if answered.from == gone => {
                let far = talking.talk.leg(gone.other());
                far.acknowledge(rooms, answered.client, answered.client_cseq, None);
                talking.exchange = Exchange::Idle;
            }
            Exchange::Idle | Exchange::Answered(_) | Exchange::Arranging(_) => {}
        }
    }

    /// A leg that was replaced is let go: its party is told and expected to hang up, unless it has gone already. Another
    /// one's is hung up at once.
    pub(super) fn referrer_leaves(&mut self, rooms: &mut Rooms, mut leg: Leg, by: EndedBy) {
        let gone = self.referral.as_ref().and_then(|referral| referral.gone.as_ref());
        let (by, reason, has_gone) =
            gone.map_or((by, EndReason::Request, false), |gone| (gone.by, gone.reason, true));
        self.leg_ended(rooms, usize::from(leg.no), by, reason);
        self.tell(rooms, News::Ended { leg: leg.no, by, reason });
        if has_gone {
            return self.depart(leg.dialog);
        }
        let Some(mut referral) = self.referral.take() else { return };
        if let Some(id) = referral.subscription {
            let told = referral.watch.as_deref_mut().unwrap_or(&mut leg);
            let cseq = told.dialog.next_cseq();
            report(rooms, told, cseq, id, 200);
        }
        self.done(rooms, referral.ticket, Ok(()));
        self.depart(leg.dialog.clone());
        if leg.nailed.is_some() || self.lingering.is_some() {
            return self.hang_up_on(rooms, &mut leg);
        }
        let at_once = referral.ticket.is_some();
        if at_once {
            self.hang_up_on(rooms, &mut leg);
        }
        self.linger(rooms, leg, at_once);
    }

    /// A party that was replaced is remembered until it has certainly gone.
    pub(super) fn linger(&mut self, rooms: &Rooms, leg: Leg, hung_up: bool) {
        let until = rooms.now.mono + REFERRER_PATIENCE;
        self.lingering = Some(Box::new(Lingering { leg, until, hung_up }));
    }

    /// The BYE of a party that was replaced.
    pub(super) fn lingerer_hangs_up(&mut self, env: &tandem_sip::Envelope<'_>) {
        self.lingering.take_if(|lingering| lingering.leg.dialog.matches(env));
    }

    /// When a party that was replaced is hung up on.
    pub(super) fn lingers_until(&self) -> Option<(Instant, CallTimer)> {
        self.lingering.as_ref().map(|lingering| (lingering.until, CallTimer::Referrer))
    }

    pub(super) fn lingering_timeout(&mut self, rooms: &mut Rooms) {
        let due = self.lingering.take_if(|lingering| lingering.until <= rooms.now.mono);
        if let Some(mut lingering) = due.filter(|lingering| !lingering.hung_up) {
            self.hang_up_on(rooms, &mut lingering.leg);
            self.linger(rooms, lingering.leg, true);
        }
    }

    /// Does what waited until no INVITE was under way; after each change of the call.
    pub(super) fn refer_goes_on(&mut self, rooms: &mut Rooms) {
        if matches!(self.phase, Phase::Ending)
            && let Some(mut lingering) = self.lingering.take().filter(|lingering| !lingering.hung_up)
        {
            self.hang_up_on(rooms, &mut lingering.leg);
        }
        let Some(referral) = &self.referral else { return };
        let side = match &self.phase {
            Phase::Talk(talking) if talking.alone.is_none() => talking.talk.side_of(referral.by),
            Phase::Talk(_) => None,
            Phase::Setup(_) if matches!(referral.stand, Stand::Inside) => return,
            Phase::Setup(_) | Phase::Ending => None,
        };
        let Some(side) = side else { return self.refer_is_moot(rooms) };
        let has_gone = referral.gone.is_some();
        if has_gone
            && matches!(&self.phase, Phase::Talk(talking) if matches!(talking.exchange, Exchange::Answered(_)))
        {
            self.end_exchange_with(rooms, side);
        }
        if self.is_at_rest() {
            self.refer_at_rest(rooms);
        }
    }

    /// The party that wanted to leave is not here any more: nobody needs to come.
    pub(super) fn refer_is_moot(&mut self, rooms: &mut Rooms) {
        self.notify_referrer(rooms, 487);
        let Some(referral) = self.referral.take() else { return };
        if let Stand::Beside(aside) = referral.stand {
            rooms.nailed.send(Errand::Dismiss { aside });
        }
        self.done(rooms, referral.ticket, Err(0));
    }

    fn refer_at_rest(&mut self, rooms: &mut Rooms) {
        let Some(referral) = &mut self.referral else { return };
        let (by, has_gone) = (referral.by, referral.gone.is_some());
        match std::mem::replace(&mut referral.stand, Stand::Inside) {
            Stand::Going(onwards) => {
                if let Err(status) = self.replace(rooms, by, onwards) {
                    self.refer_failed(rooms, status);
                }
            }
            Stand::Beside(aside) => {
                referral.stand = Stand::Beside(aside);
                if has_gone {
                    rooms.nailed.send(Errand::ComeIn { aside, of: self.key });
                } else {
                    rooms.nailed.send(Errand::ComeInIfReady { aside, of: self.key });
                }
            }
            other @ (Stand::Asked | Stand::Inside) => referral.stand = other,
        }
    }
}

/// 202 (RFC 3515 2.4.2), which says so if there is no subscription (RFC 4488 4).
fn accept(rooms: &mut Rooms, incoming: &Incoming<'_>, silent: bool, tag: Option<Tag>) {
    let lines = &rooms.lines;
    let source = Some(incoming.flow.remote);
    let tag = tag.map(Tag::text);
    let tag = tag.as_ref().map(<[u8; 16]>::as_slice);
    let mut builder =
        response_to(&mut rooms.scratch, incoming.message, incoming.env, 202, b"Accepted", tag, source);
    builder.header(HeaderName::Contact, lines.contact(incoming.flow));
    if silent {
        builder.raw_header(REFER_SUB, b"false");
    }
    let payload = builder.finish(b"");
    rooms.endpoint.respond(incoming.txn, 202, payload, rooms.now.mono);
}

/// NOTIFY with a status line in its body. What the phone says to it changes nothing: one that has forgotten its
/// subscription says 481, and its transfer goes on.
fn report(rooms: &mut Rooms, leg: &Leg, cseq: u32, id: u32, status: u16) {
    let event = format!("refer;id={id}");
    let state = if status >= 200 {
        "terminated;reason=noresource".to_owned()
    } else {
        format!("active;expires={REFER_EXPIRES_S}")
    };
    let body = format!("SIP/2.0 {status} {}\r\n", phrase(status));
    let headers = [
        (HeaderName::Event, event.as_bytes()),
        (HeaderName::SubscriptionState, state.as_bytes()),
        (HeaderName::ContentType, b"message/sipfrag;version=2.0".as_slice()),
    ];
    let own = Own { headers: &headers, body: body.as_bytes() };
    let ask = Ask { own: Some(own), ..Ask::own(b"NOTIFY", cseq) };
    if leg.ask(rooms, &ask, Use::Nobody).is_none() {
        rooms.counters.refused_full += 1;
    }
}

/// What a REFER's `Referred-By` says to whoever is called (RFC 3892 3): as it came, or who it was by his number.
pub(super) fn referred_by(rooms: &Rooms, given: Option<&[u8]>, number: &[u8]) -> Vec<u8> {
    match given {
        Some(given) => given.to_vec(),
        None => {
            [b"<sip:", &*crate::routing::escaped(number), b"@", rooms.lines.sent_by.as_bytes(), b">"].concat()
        }
    }
}
