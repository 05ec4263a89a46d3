//! A call that waits at an ACD Queue or Routing Point. Its caller has one early dialog with this server and hears the
//! treatment; the call is offered, comes back, and is offered again without his noticing.
//!
//! Progress of those it is offered to is not passed on: each would be another early dialog whose ringing or early media
//! replaces the treatment, and ends in silence when the offer is taken back. For the same reason their phones are not
//! asked for reliable provisional responses (RFC 3262): nobody would acknowledge them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_sip::{Envelope, HeaderName, Message, Method};

use super::control::Begun;
use super::incoming::Incoming;
use super::news::{News, Ticket};
use super::player::Tell;
use super::record::EndReason;
use super::reliable::{RELIABLE, with_reliable};
use super::reply::{print_described, print_response};
use super::setup::{Caller, Setup};
use super::talk::too_soon;
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::directory::Directory;
use crate::directory::floor::Treatment;
use crate::explain::What;
use crate::ids::Tag;

use crate::reject::Reject;
use crate::rooms::Rooms;

/// A provisional response is repeated at least this often, or proxies on the way give the INVITE up (RFC 3261 13.3.1.1).
const AGAIN: Duration = Duration::from_secs(60);
/// How long the far side may be silent about a call that waits there (RFC 3261 16.6: more than three minutes).
const TIMER_C: Duration = Duration::from_secs(181);

/// See the module.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Number of the queue or routing point.
    pub(super) at: Arc<str>,
    /// What the caller is told: 180 or 182.
    pub(super) code: u16,
    /// When he is told again; never a caller who is on the line.
    pub(super) again_at: Option<Instant>,
}

impl Call {
    /// The call waits here from now on.
    pub(super) fn wait_at(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, at: Arc<str>) {
        self.note(rooms, What::Parked(Arc::clone(&at)));
        let treatment = treatment_of(&self.directory, &at).cloned().unwrap_or(Treatment::Ringback);
        let treatment = self.treatment_for(rooms, &setup, treatment);
        let speaks = setup.becomes_quiet(rooms);
        if matches!(setup.caller, Caller::Invite(..)) && !self.tags.contains(&setup.tag) {
            self.own_tag(rooms, setup.tag);
        }
        (setup.ring_until, setup.told_then) = (self.expires_at(&setup.request), 487);
        setup.waiting = Some(Box::new(Waiting {
            at,
            code: told(&treatment),
            again_at: speaks.then_some(rooms.now.mono),
        }));
        setup.rest();
        // What cannot be played is ringback.
        if !is_played(&treatment) || self.play(rooms, &mut setup, &treatment, None).is_err() {
            self.quieten(rooms);
        }
        self.tell_treatment(rooms, &mut setup);
        self.phase = Phase::Setup(setup);
    }

    /// A call that waits at the peer waits on from here, for as long as RFC 3261 lets a proxy wait for progress (timer C,
    /// 16.6); `ring-timeout` is for phones.
    pub(super) fn wait_for_progress(&self, rooms: &Rooms, setup: &mut Setup) {
        if setup.waits_at_peer() {
            let silence = rooms.now.mono + TIMER_C;
            let expires = self.expires_at(&setup.request).filter(|at| *at < silence);
            setup.ring_until = Some(expires.unwrap_or(silence));
        }
    }

    /// When the caller's INVITE expires by its own word (RFC 3261 13.3.1).
    pub(super) fn expires_at(&self, request: &Message) -> Option<Instant> {
        super::setup::expires(request).map(|expires| self.started.mono + expires)
    }

    /// Tells the caller what he waits for, and when he will be told again.
    pub(super) fn tell_treatment(&mut self, rooms: &mut Rooms, setup: &mut Setup) {
        let Some(waiting) = &mut setup.waiting else { return };
        let (Caller::Invite(txn, flow), Some(again_at)) = (&setup.caller, &mut waiting.again_at) else {
            return;
        };
        *again_at = rooms.now.mono + AGAIN;
        let (code, tag, sdp) = match self.tell_by(setup.tag, rooms.now.mono) {
            Tell::Then(at) => {
                *again_at = at;
                return;
            }
            Tell::Media(sdp, tag) => (183, tag, Some(sdp)),
            Tell::Plain(tag) => (waiting.code, tag, None),
        };
        let (txn, flow) = (*txn, *flow);
        let number = setup.next_number(rooms, tag);
        let payload = match sdp {
            Some(sdp) => print_described(rooms, &setup.request, flow, code, &sdp, tag, number),
            None => print_response(rooms, &setup.request, flow, code, None, tag, number),
        };
        if let Some(payload) = payload {
            let number = number.map(|number| (number, None));
            setup.send_provisional(rooms, txn, (code, payload), tag, number);
        }
        if let Some(leg) = self.legs.first_mut().filter(|_| code == 180) {
            leg.ringing.get_or_insert(rooms.now.unix_ms);
        }
    }

    /// Another treatment.
    pub(super) fn treat(
        &mut self,
        rooms: &mut Rooms,
        ticket: Ticket,
        treatment: &Treatment,
    ) -> Result<Begun, u16> {
        let mut setup = self.take_setup().ok_or(501u16)?;
        let outcome = self.treat_in(rooms, &mut setup, ticket, treatment);
        self.phase = Phase::Setup(setup);
        outcome
    }

    fn treat_in(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        ticket: Ticket,
        treatment: &Treatment,
    ) -> Result<Begun, u16> {
        if setup.waiting.is_none() {
            return Err(501);
        }
        let played = is_played(treatment);
        if played {
            self.play(rooms, setup, treatment, Some(ticket))?;
        }
        let heard = self.is_heard();
        if !played {
            self.quieten(rooms);
        }
        let Some(waiting) = &mut setup.waiting else { return Err(501) };
        let before = std::mem::replace(&mut waiting.code, told(treatment));
        if played || heard || before != waiting.code {
            self.tell_treatment(rooms, setup);
        }
        Ok(if played { Begun::Later } else { Begun::Done })
    }

    /// Nobody took the offer: the call waits again.
    pub(super) fn unplaced(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, status: u16) {
        self.note(rooms, What::Unplaced(status));
        setup.rest();
        self.phase = Phase::Setup(setup);
        self.tell(rooms, News::Unplaced { status });
    }

    /// What is due before the answer.
    pub(super) fn setup_timeout(&mut self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &self.phase else { return };
        let now = rooms.now.mono;
        if setup.ring_until.is_some_and(|at| at <= now) {
            if self.is_resting() {
                return self.rest_timeout(rooms);
            }
            return self.ring_timeout(rooms);
        }
        if setup.spare.due_at().is_some_and(|at| at <= now) {
            return self.target_silent(rooms);
        }
        if setup.waiting.as_ref().and_then(|waiting| waiting.again_at).is_some_and(|at| at <= now)
            && let Some(mut setup) = self.take_setup()
        {
            self.tell_treatment(rooms, &mut setup);
            self.phase = Phase::Setup(setup);
        }
        if let Phase::Setup(setup) = &self.phase
            && setup.provisional_due().is_some_and(|at| at <= now)
        {
            self.provisional_timeout(rooms);
        }
        self.tone_timeout(rooms);
        self.waiting_answer_timeout(rooms);
        self.waiting_session_timeout(rooms);
    }

    /// A request within a dialog of a set-up whose two sides do not see each other. False: it is none of these, or they
    /// do.
    pub(super) fn request_while_apart(
        &mut self,
        rooms: &mut Rooms,
        to: Tag,
        incoming: &Incoming<'_>,
    ) -> bool {
        let Phase::Setup(setup) = &mut self.phase else { return false };
        if !setup.hides_progress() {
            return false;
        }
        let to = if self.player.as_ref().is_some_and(|player| player.tag() == to) { setup.tag } else { to };
        let from_caller = match setup.asks(to, incoming.env) {
            Asks::Caller => true,
            Asks::Callee => false,
            Asks::Stale => {
                incoming.answer(rooms, &Reject::because(500, "CSeq Out Of Order"));
                return true;
            }
            Asks::Nobody => {
                incoming.answer(rooms, &Reject::new(481));
                return true;
            }
        };
        match incoming.env.cseq.method {
            Method::Bye if from_caller => {
                incoming.answer(rooms, &Reject::new(200));
                self.caller_hung_up(rooms, incoming);
            }
            Method::Options => incoming.answer_options(rooms),
            Method::Update if from_caller && self.waiting_refreshed_by(rooms, incoming) => {}
            Method::Invite if from_caller => self.waiting_reinvited(rooms, incoming),
            // There is nobody yet whom a change of the session could be agreed with.
            Method::Invite | Method::Update | Method::Refer => incoming.answer(rooms, &Reject::new(491)),
            Method::Info | Method::Message | Method::Notify if from_caller => {
                let refusal = too_soon(rooms);
                incoming.answer(rooms, &refusal);
            }
            Method::Bye | Method::Prack | Method::Info | Method::Message | Method::Notify => {
                incoming.answer(rooms, &Reject::new(481));
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Publish
            | Method::Other => {
                let allow = Reject::new(405).with(HeaderName::Allow, crate::rooms::ALLOW);
                incoming.answer(rooms, &allow);
            }
        }
        true
    }

    /// BYE of a caller who waits: in his early dialog it is as good as a CANCEL (RFC 3261 15).
    fn caller_hung_up(&mut self, rooms: &mut Rooms, bye: &Incoming<'_>) {
        let Phase::Setup(setup) = &mut self.phase else { return };
        match &setup.caller {
            Caller::Invite(..) => self.cancelled(rooms, Some(bye.message)),
            Caller::Leg(..) => self.left_by_waiting(rooms, EndedBy::Caller, EndReason::Bye, false),
            Caller::Nobody(_) | Caller::Aside(_) => {}
        }
    }

    /// The party that waits on the line is gone; with `bye` it is told so, should it still be there.
    pub(super) fn left_by_waiting(&mut self, rooms: &mut Rooms, by: EndedBy, reason: EndReason, bye: bool) {
        let Some(mut setup) = self.take_setup() else { return };
        setup.end_tone(rooms);
        let Caller::Leg(leg, gone) = &mut setup.caller else {
            self.phase = Phase::Setup(setup);
            return;
        };
        let leg = *leg;
        self.lose(rooms, gone, by, reason);
        if bye {
            self.hang_up_on(rooms, gone);
        }
        self.denail(rooms);
        let why = super::branch::Why::Ours(GONE);
        self.drop_branches(rooms, &mut setup, EndReason::CallerGone, &why);
        self.leg_ended(rooms, usize::from(leg), by, reason);
        self.tell(rooms, News::Ended { leg, by, reason });
    }
}

/// `Reason` of the CANCEL when the caller has hung up.
const GONE: &[u8] = b"SIP;cause=487;text=\"Request Terminated\"";

/// Whose request it is.
enum Asks {
    Caller,
    Callee,
    /// The caller's, but behind its time.
    Stale,
    Nobody,
}

impl Setup {
    /// The caller is to see nothing of callees from now on. Whether he can be told of his treatment: not if he is on
    /// the line already. Phones are not asked for reliable provisional responses.
    fn becomes_quiet(&mut self, rooms: &mut Rooms) -> bool {
        let Caller::Invite(..) = self.caller else { return false };
        if self.request.has_token(HeaderName::Supported, RELIABLE)
            && let Some(request) = with_reliable(rooms, &self.request, None)
        {
            self.request = request;
        }
        true
    }

    /// Nobody is offered the call now.
    pub(super) fn rest(&mut self) {
        self.stages.clear();
        self.pairs.clear();
        (self.current, self.best) = (None, None);
        (self.ringing, self.rang) = (false, false);
    }

    fn asks(&mut self, to: Tag, env: &Envelope<'_>) -> Asks {
        if let Caller::Leg(_, leg) = &mut self.caller
            && leg.dialog.matches(env)
        {
            return match leg.dialog.accept_request(env.cseq.number) {
                tandem_sip::dialog::Order::New => Asks::Caller,
                tandem_sip::dialog::Order::Retransmission | tandem_sip::dialog::Order::OutOfOrder => {
                    Asks::Stale
                }
            };
        }
        let own = self.request.envelope().ok().filter(|_| matches!(self.caller, Caller::Invite(..)));
        if own.is_some_and(|own| to == self.tag && own.call_id == env.call_id && own.from_tag == env.from_tag)
        {
            return Asks::Caller;
        }
        let callee = |branch: &&super::Branch| branch.tag == to && branch.call_id.text() == env.call_id;
        if self.branches.iter().any(|branch| callee(&branch)) { Asks::Callee } else { Asks::Nobody }
    }
}

fn treatment_of<'a>(directory: &'a Directory, number: &str) -> Option<&'a Treatment> {
    let queue = directory.queue(number).map(|queue| &queue.treatment);
    queue.or_else(|| directory.routing_point(number).map(|point| &point.treatment))
}

/// Whether a media server is needed for it.
fn is_played(treatment: &Treatment) -> bool {
    match treatment {
        Treatment::Ringback | Treatment::Queued => false,
        Treatment::Music(_) | Treatment::Announcement(_) => true,
    }
}

/// The provisional response that a treatment is while no media server plays.
fn told(treatment: &Treatment) -> u16 {
    match treatment {
        Treatment::Queued => 182,
        Treatment::Ringback | Treatment::Music(_) | Treatment::Announcement(_) => 180,
    }
}
