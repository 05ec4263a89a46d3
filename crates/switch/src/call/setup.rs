//! From the INVITE to its answer: places tried in turn, each forked to all its contacts, and the early dialogs that
//! arise on the way (RFC 3261 12.1, 13, 16.7; one To-tag of ours for each early dialog of theirs).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tandem_peer::continuity::{InPathOutcome, fallback_allowed};
use tandem_peer::trunk::CallFailure;
use tandem_sip::dialog::Dialog;
use tandem_sip::{Envelope, Flow, HeaderName, Message, TxnId, response_to};

use super::branch::{Branch, Target};
use super::leg::{Leg, Side, behind_nat};
use super::record::{EndReason, LegFacts, LegId};
use super::{Call, Phase, headers};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::{DnId, TrunkId};
use crate::explain::{KnownBy, Trace, What};
use crate::ids::Tag;
use crate::limits::{MAX_BRANCHES, MAX_PAIRS};
use crate::reject::Reject;
use crate::rooms::{Device, Fact, Rooms, Use, own_headers};
use crate::routing;

/// A place the call is tried at; the next one follows when this one cannot take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All contacts of an Extension.
    Extension(DnId),
    /// A trunk, with the number as it is dialled there.
    Trunk(TrunkId, Box<[u8]>),
    /// The peer site, in the signalling path, the number untranslated.
    Peer(TrunkId),
}

/// An INVITE that was admitted and routed.
#[derive(Debug)]
pub struct Opening {
    /// Its server transaction.
    pub txn: TxnId,
    /// Where it came from.
    pub flow: Flow,
    /// The INVITE, in a buffer of its own.
    pub request: Message,
    /// Who calls.
    pub origin: Device,
    /// How he was recognised.
    pub known_by: KnownBy,
    /// Places to try, in order; or why none is.
    pub outcome: Result<Vec<Stage>, Reject>,
    /// How they were found.
    pub steps: Vec<What>,
    /// `ring-timeout`.
    pub ring_timeout: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Setup {
    request: Message,
    txn: TxnId,
    flow: Flow,
    stages: VecDeque<Stage>,
    current: Option<Stage>,
    branches: SmallVec<[Branch; 1]>,
    pairs: SmallVec<[Early; 1]>,
    best: Option<Best>,
    ring_until: Instant,
    ringing: bool,
}

/// An early dialog of a branch, and the one that the caller sees for it.
#[derive(Debug)]
pub(super) struct Early {
    /// Our To-tag towards the caller.
    pub(super) tag: Tag,
    branch: u8,
    remote_tag: Box<[u8]>,
    /// The two dialogs, caller's first; absent until a response names a Contact.
    pub(super) legs: Option<[Leg; 2]>,
}

/// The final response that the caller gets if nobody answers.
#[derive(Debug)]
struct Best {
    status: u16,
    message: Option<Message>,
}

impl Setup {
    pub(super) fn ring_until(&self) -> Instant {
        self.ring_until
    }

    pub(super) fn is_ringing(&self) -> bool {
        self.ringing
    }

    /// The early dialogs behind a tag of ours: by the caller's view, or by a branch's and the callee's own tag.
    pub(super) fn early(&mut self, to: Tag, from: Option<&[u8]>) -> Option<(Side, &mut [Leg; 2])> {
        let branch = self.branches.iter().find(|branch| branch.tag == to).map(|branch| branch.id);
        let pair = self.pairs.iter_mut().find(|pair| match branch {
            Some(id) => pair.branch == id && Some(&*pair.remote_tag) == from,
            None => pair.tag == to,
        })?;
        let side = if branch.is_some() { Side::Callee } else { Side::Caller };
        pair.legs.as_mut().map(|legs| (side, legs))
    }
}

impl Call {
    /// Opens a call and sends it to the first place that can take it.
    pub fn open(rooms: &mut Rooms, key: Key, opening: Opening) -> Self {
        let Opening { txn, flow, request, origin, known_by, outcome, steps, ring_timeout } = opening;
        let [from, to, call_id] = names(&request);
        let mut call = Self {
            key,
            uuid: rooms.ids.uuid(),
            directory: std::sync::Arc::clone(&rooms.directory),
            started: rooms.now,
            from,
            to,
            phase: Phase::Ending,
            losers: Vec::new(),
            pending: SmallVec::new(),
            next_pending: 0,
            byes: 0,
            tags: SmallVec::new(),
            legs: smallvec::smallvec![LegFacts::new(origin, LegId::Theirs(call_id))],
            trace: Trace::default(),
        };
        call.note(rooms, What::Arrived { origin, known_by });
        for step in steps {
            call.note(rooms, step);
        }
        rooms.counters.calls += 1;
        rooms.endpoint.attach(txn, Use::Invite(key));
        let stages = match outcome {
            Ok(stages) => stages,
            Err(reject) => {
                rooms.respond(txn, flow, &request, &reject);
                call.refused(rooms, reject.status);
                return call;
            }
        };
        rooms.respond(txn, flow, &request, &Reject::new(100));
        let setup = Setup {
            request,
            txn,
            flow,
            stages: stages.into(),
            current: None,
            branches: SmallVec::new(),
            pairs: SmallVec::new(),
            best: None,
            ring_until: rooms.now.mono + ring_timeout,
            ringing: false,
        };
        call.advance(rooms, Box::new(setup));
        call
    }

    /// The caller was turned away before anybody was rung.
    fn refused(&mut self, rooms: &Rooms, status: u16) {
        self.note(rooms, What::Failed(status));
        if let Some(leg) = self.legs.first_mut() {
            leg.status = status;
        }
        self.leg_ended(rooms, 0, EndedBy::Server, EndReason::Status(status));
    }

    /// Tries the next place, and the one after it, until one has somebody to ring.
    fn advance(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>) {
        while let Some(stage) = setup.stages.pop_front() {
            let targets = routing::targets(rooms, &self.directory, &stage, &setup.request);
            setup.current = Some(stage);
            let targets = match targets {
                Ok(targets) => targets,
                Err((device, absent)) => {
                    self.note(rooms, What::PassedOver(device, absent));
                    setup.offer_best(480, None);
                    continue;
                }
            };
            for target in targets {
                self.ring(rooms, &mut setup, target);
            }
            if !setup.branches.is_empty() {
                self.phase = Phase::Setup(setup);
                return;
            }
            setup.offer_best(503, None);
        }
        let best = setup.best.take().unwrap_or(Best { status: 480, message: None });
        self.fail(rooms, &setup, &best, EndedBy::Server);
    }

    fn ring(&mut self, rooms: &mut Rooms, setup: &mut Setup, target: Target) {
        let id = self.legs.len() - 1;
        let Ok(id) = u8::try_from(id) else { return };
        if setup.branches.len() >= MAX_BRANCHES {
            return;
        }
        let device = target.device;
        let Some(branch) = Branch::call(rooms, self.key, id, target, &setup.request, None) else {
            rooms.counters.refused_full += 1;
            return;
        };
        self.note(rooms, What::Offered(device));
        self.own_tag(rooms, branch.tag);
        self.legs.push(LegFacts::new(device, LegId::Ours(branch.call_id)));
        setup.branches.push(branch);
    }

    pub(super) fn own_tag(&mut self, rooms: &mut Rooms, tag: Tag) {
        rooms.tags.insert(tag, self.key);
        self.tags.push(tag);
    }

    /// A response to the INVITE of a branch.
    pub fn branch_response(&mut self, rooms: &mut Rooms, txn: TxnId, id: u8, response: &Message, flow: Flow) {
        let (Some(code), Ok(env)) = (response.code(), response.envelope()) else { return };
        if let Phase::Setup(setup) = &self.phase
            && let Some(place) = setup.branches.iter().position(|branch| branch.id == id)
        {
            if setup.branches.get(place).is_some_and(|branch| branch.owns(&env)) {
                self.setup_response(rooms, place, response, &env, code, flow);
            }
        } else if (200..300).contains(&code) {
            self.late_answer(rooms, txn, id, response, &env, flow);
        } else if code >= 300 {
            self.loser_over(id, code);
        }
    }

    fn setup_response(
        &mut self,
        rooms: &mut Rooms,
        place: usize,
        response: &Message,
        env: &Envelope<'_>,
        code: u16,
        flow: Flow,
    ) {
        let Some(mut setup) = self.take_setup() else { return };
        if code < 200 {
            self.provisional(rooms, &mut setup, place, response, env, code, flow);
            self.phase = Phase::Setup(setup);
        } else if code < 300 {
            self.answered(rooms, setup, place, response, env, flow);
        } else {
            let branch = setup.branches.remove(place);
            self.branch_ended(rooms, &branch, code, EndedBy::Callee, EndReason::Status(code));
            self.note(rooms, What::Refused(branch.target.device, code));
            setup.offer_best(code, Some(response));
            let marked = response.header(HeaderName::XTandemDraining).is_some();
            let outcome = InPathOutcome::Status { code, drain_marked: marked };
            self.branch_lost(rooms, setup, outcome);
        }
    }

    /// Ringing or early media: relayed in the caller's view of that early dialog.
    #[expect(clippy::too_many_arguments, reason = "one call site; the values are those of one response")]
    fn provisional(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        place: usize,
        response: &Message,
        env: &Envelope<'_>,
        code: u16,
        flow: Flow,
    ) {
        let Some(tag) = self.early_dialog(rooms, setup, place, response, env, flow) else { return };
        let Some(id) = setup.branches.get(place).map(|branch| branch.id) else { return };
        setup.ringing = true;
        let now = rooms.now.unix_ms;
        for leg in [0, usize::from(id) + 1] {
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.ringing.get_or_insert(now);
            }
        }
        if let Some(payload) = setup.print_response(rooms, code, Some(response), tag) {
            rooms.endpoint.respond(setup.txn, code, payload, rooms.now.mono);
        }
    }

    /// The caller's To-tag for the dialog that a response belongs to, new or known.
    fn early_dialog(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        place: usize,
        response: &Message,
        env: &Envelope<'_>,
        flow: Flow,
    ) -> Option<Tag> {
        let branch = setup.branches.get(place)?;
        let remote_tag = env.to_tag.unwrap_or_default();
        let known = setup.pairs.iter().position(|p| p.branch == branch.id && *p.remote_tag == *remote_tag);
        let index = match known {
            Some(index) => index,
            None if setup.pairs.len() >= MAX_PAIRS => 0,
            None => {
                let tag = rooms.ids.tag();
                setup.pairs.push(Early { tag, branch: branch.id, remote_tag: remote_tag.into(), legs: None });
                self.own_tag(rooms, tag);
                setup.pairs.len() - 1
            }
        };
        let origin = self.legs.first()?.device;
        let made = match setup.pairs.get(index) {
            Some(pair) if pair.legs.is_none() => setup.dialogs(pair.tag, branch, response, env, flow, origin),
            Some(_) | None => None,
        };
        let pair = setup.pairs.get_mut(index)?;
        pair.legs = pair.legs.take().or(made);
        Some(pair.tag)
    }

    fn answered(
        &mut self,
        rooms: &mut Rooms,
        mut setup: Box<Setup>,
        place: usize,
        response: &Message,
        env: &Envelope<'_>,
        flow: Flow,
    ) {
        let tag = self.early_dialog(rooms, &mut setup, place, response, env, flow);
        let branch = setup.branches.remove(place);
        let pair = tag.and_then(|tag| setup.pairs.iter_mut().find(|pair| pair.tag == tag));
        let legs = pair.and_then(|pair| pair.legs.take());
        let (Some(tag), Some(mut legs)) = (tag, legs) else {
            self.branch_ended(rooms, &branch, 502, EndedBy::Server, EndReason::UnusableAnswer);
            setup.offer_best(502, None);
            self.branch_lost(rooms, setup, InPathOutcome::Status { code: 502, drain_marked: false });
            return;
        };
        let [_, callee] = &mut legs;
        callee.dialog.refresh_target(response);
        callee.aim();
        self.note(rooms, What::Answered(branch.target.device));
        rooms.counters.calls_answered += 1;
        let now = rooms.now.unix_ms;
        for leg in [0, usize::from(branch.id) + 1] {
            if let Some(leg) = self.legs.get_mut(leg) {
                leg.status = response.code().unwrap_or(200);
                leg.answered = Some(now);
            }
        }
        self.drop_branches(rooms, &mut setup, EndReason::AnsweredElsewhere, ELSEWHERE);
        let code = response.code().unwrap_or(200);
        let Some(payload) = setup.print_response(rooms, code, Some(response), tag) else { return };
        let caller_cseq = setup.request.envelope().map(|env| env.cseq.number).unwrap_or(0);
        self.begin_talk(rooms, legs, branch.txn, setup.txn, code, payload, caller_cseq);
    }

    /// A branch is over without an answer, and so perhaps is its place.
    fn branch_lost(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, outcome: InPathOutcome) {
        let decisive = setup.best.as_ref().is_some_and(|best| best.status >= 600);
        if decisive {
            self.drop_branches(rooms, &mut setup, EndReason::AnsweredElsewhere, ELSEWHERE);
        }
        if !setup.branches.is_empty() {
            self.phase = Phase::Setup(setup);
            return;
        }
        let next = !decisive && setup.may_go_on(outcome);
        if next && matches!(setup.current, Some(Stage::Peer(_))) {
            rooms.counters.forward_fallbacks += 1;
            let status = match outcome {
                InPathOutcome::Status { code, .. } => code,
                InPathOutcome::TransportFailed | InPathOutcome::NoAnswer => 0,
            };
            self.note(rooms, What::FellBack(status));
            setup.best = None;
        }
        if next {
            self.advance(rooms, setup);
        } else {
            let best = setup.best.take().unwrap_or(Best { status: 480, message: None });
            self.fail(rooms, &setup, &best, EndedBy::Callee);
        }
    }

    /// No response to a branch's INVITE, or none could be delivered.
    pub fn branch_unanswered(&mut self, rooms: &mut Rooms, id: u8, how: CallFailure) {
        let Phase::Setup(setup) = &mut self.phase else { return self.loser_over(id, 408) };
        let Some(place) = setup.branches.iter().position(|b| b.id == id) else {
            return self.loser_over(id, 408);
        };
        let Some(mut setup) = self.take_setup() else { return };
        let branch = setup.branches.remove(place);
        if branch.by_tcp_for_size && how == CallFailure::Transport {
            let target = branch.target.clone();
            if let Some(again) = Branch::call(rooms, self.key, id, target, &setup.request, Some(&branch)) {
                setup.branches.push(again);
                self.phase = Phase::Setup(setup);
                return;
            }
        }
        let device = branch.target.device;
        let (status, reason, outcome) = match how {
            CallFailure::Timeout => (408, EndReason::NoResponse, InPathOutcome::NoAnswer),
            CallFailure::Transport => (
                if matches!(device, Device::Extension(_)) { 480 } else { 503 },
                EndReason::TransportFailed,
                InPathOutcome::TransportFailed,
            ),
        };
        self.branch_ended(rooms, &branch, status, EndedBy::Network, reason);
        self.note(rooms, What::Unreachable(device, reason));
        rooms.facts.push(Fact::CallFailed(device, how));
        setup.offer_best(status, None);
        self.branch_lost(rooms, setup, outcome);
    }

    /// `ring-timeout` is over.
    pub(super) fn ring_timeout(&mut self, rooms: &mut Rooms) {
        let Some(mut setup) = self.take_setup() else { return };
        self.drop_branches(rooms, &mut setup, EndReason::RingTimeout, b"SIP;cause=480;text=\"ring timeout\"");
        self.finish_setup(rooms, &setup, 480, None, EndedBy::Server, EndReason::RingTimeout);
    }

    /// The set-up, taken out; the call is then ending unless it is put back. `None` leaves any other phase as it is.
    fn take_setup(&mut self) -> Option<Box<Setup>> {
        match std::mem::replace(&mut self.phase, Phase::Ending) {
            Phase::Setup(setup) => Some(setup),
            other @ (Phase::Talk(_) | Phase::Ending) => {
                self.phase = other;
                None
            }
        }
    }

    /// The caller takes his INVITE back. Once it is answered that has no effect (RFC 3261 9.2).
    pub fn cancelled(&mut self, rooms: &mut Rooms, cancel: Option<&Message>) {
        let Some(mut setup) = self.take_setup() else { return };
        let reason = cancel.and_then(|cancel| cancel.header(HeaderName::Reason)).unwrap_or_default();
        let reason = if reason.is_empty() { b"SIP;cause=487;text=\"Request Terminated\"" } else { reason };
        self.drop_branches(rooms, &mut setup, EndReason::CallerGone, reason);
        self.finish_setup(rooms, &setup, 487, None, EndedBy::Caller, EndReason::Cancel);
    }

    fn fail(&mut self, rooms: &mut Rooms, setup: &Setup, best: &Best, by: EndedBy) {
        let status = mapped(best.status);
        self.note(rooms, What::Failed(status));
        self.finish_setup(rooms, setup, status, best.message.as_ref(), by, EndReason::Status(status));
    }

    fn finish_setup(
        &mut self,
        rooms: &mut Rooms,
        setup: &Setup,
        status: u16,
        like: Option<&Message>,
        by: EndedBy,
        reason: EndReason,
    ) {
        let tag = setup.pairs.first().map_or_else(|| rooms.ids.tag(), |pair| pair.tag);
        if let Some(payload) = setup.print_response(rooms, status, like, tag) {
            rooms.endpoint.respond(setup.txn, status, payload, rooms.now.mono);
        }
        if let Some(leg) = self.legs.first_mut() {
            leg.status = status;
        }
        self.leg_ended(rooms, 0, by, reason);
        self.phase = Phase::Ending;
    }

    /// Cancels every branch that is left; each stays until its final response.
    fn drop_branches(&mut self, rooms: &mut Rooms, setup: &mut Setup, reason: EndReason, header: &[u8]) {
        for mut branch in std::mem::take(&mut setup.branches) {
            branch.cancel(rooms, &setup.request, header);
            let by = if reason == EndReason::CallerGone { EndedBy::Caller } else { EndedBy::Server };
            self.leg_ended(rooms, usize::from(branch.id) + 1, by, reason);
            self.losers.push(branch);
        }
    }

    fn branch_ended(&mut self, rooms: &Rooms, branch: &Branch, status: u16, by: EndedBy, reason: EndReason) {
        let place = usize::from(branch.id) + 1;
        if let Some(leg) = self.legs.get_mut(place) {
            leg.status = status;
        }
        self.leg_ended(rooms, place, by, reason);
    }

    fn loser_over(&mut self, id: u8, status: u16) {
        if let Some(place) = self.losers.iter().position(|branch| branch.id == id) {
            self.losers.swap_remove(place);
            if let Some(leg) = self.legs.get_mut(usize::from(id) + 1) {
                leg.status = status;
            }
        }
    }

    /// A 2xx to an INVITE of a branch that is not being set up: the winner's again, or one nobody wants.
    fn late_answer(
        &mut self,
        rooms: &mut Rooms,
        txn: TxnId,
        id: u8,
        response: &Message,
        env: &Envelope<'_>,
        flow: Flow,
    ) {
        if self.answered_again(env) {
            return;
        }
        let device = self.legs.get(usize::from(id) + 1).map(|leg| leg.device);
        if let Some(device) = device {
            super::hang_up_stray(rooms, txn, device, flow, response);
        }
        self.loser_over(id, 200);
    }
}

const ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";

impl Setup {
    /// RFC 3261 16.7: a 6xx wins, then the lowest class, and within a class an answer beats silence and overload.
    fn offer_best(&mut self, status: u16, message: Option<&Message>) {
        let rank = |status: u16| match status {
            600.. => 0,
            408 | 503 => (status / 100) * 2 + 1,
            _ => (status / 100) * 2,
        };
        if self.best.as_ref().is_none_or(|best| rank(status) < rank(best.status)) {
            self.best = Some(Best { status, message: message.map(Message::detach) });
        }
    }

    /// Whether the next place may be tried after this one ended so.
    fn may_go_on(&self, outcome: InPathOutcome) -> bool {
        match self.current {
            Some(Stage::Peer(_)) => fallback_allowed(outcome),
            Some(Stage::Trunk(..)) => match outcome {
                InPathOutcome::TransportFailed | InPathOutcome::NoAnswer => true,
                InPathOutcome::Status { code, .. } => code == 503,
            },
            Some(Stage::Extension(_)) | None => false,
        }
    }

    /// The two dialogs that a response of a branch makes, if it names what a dialog needs.
    fn dialogs(
        &self,
        tag: Tag,
        branch: &Branch,
        response: &Message,
        env: &Envelope<'_>,
        flow: Flow,
        origin: Device,
    ) -> Option<[Leg; 2]> {
        env.to_tag?;
        let asked = self.request.envelope().ok()?;
        let caller = Dialog::uas(&self.request, &asked, &tag.text()).ok()?;
        let callee = Dialog::uac(response, env).ok()?;
        let nat = behind_nat(&asked, self.flow.remote);
        let flow = if branch.target.flow.transport == flow.transport { branch.target.flow } else { flow };
        Some([
            Leg::new(caller, self.flow, origin, nat),
            Leg::new(callee, flow, branch.target.device, branch.target.nat),
        ])
    }

    /// A response to the caller's INVITE, with what `like` carries passed on.
    fn print_response(
        &self,
        rooms: &mut Rooms,
        code: u16,
        like: Option<&Message>,
        tag: Tag,
    ) -> Option<bytes::Bytes> {
        let env = self.request.envelope().ok()?;
        let reason = match like.filter(|like| like.code() == Some(code)).and_then(Message::reason) {
            Some(reason) => reason,
            None => crate::rooms::phrase(code).as_bytes(),
        };
        let source = Some(self.flow.remote);
        let lines = &rooms.lines;
        let mut builder =
            response_to(&mut rooms.scratch, &self.request, &env, code, reason, Some(&tag.text()), source);
        builder.copy(&self.request, HeaderName::RecordRoute);
        if code < 300 {
            own_headers(&mut builder, lines.contact(self.flow.transport));
        }
        let Some(like) = like else { return Some(builder.finish(b"")) };
        headers::relay(&mut builder, like);
        if (300..400).contains(&code) {
            builder.copy(like, HeaderName::Contact);
        }
        Some(builder.finish(like.body()))
    }
}

/// What the caller is told when a callee refuses so: a 503 would speak of this server (RFC 3261 16.7), and a challenge
/// for this server's own credentials is not the caller's to answer.
fn mapped(status: u16) -> u16 {
    match status {
        401 | 407 | 503 => 500,
        other => other,
    }
}

/// The caller's user, the dialled user, and the Call-ID of an INVITE.
fn names(request: &Message) -> [Box<[u8]>; 3] {
    let Ok(env) = request.envelope() else { return Default::default() };
    let from = env.from.uri().ok().and_then(|uri| uri.user()).unwrap_or_default();
    let to =
        request.request_uri().and_then(|uri| tandem_sip::Uri::parse(uri).ok()).and_then(|uri| uri.user());
    [from, to.unwrap_or_default(), env.call_id].map(Box::from)
}
