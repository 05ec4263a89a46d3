//! From the INVITE to its answer: places tried in turn, each forked to all its contacts, and the early dialogs that
//! arise on the way (RFC 3261 12.1, 13, 16.7; one To-tag of ours for each early dialog of theirs).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tandem_peer::continuity::InPathOutcome;
use tandem_peer::trunk::CallFailure;
use tandem_sip::{Flow, HeaderName, Message, TxnId};

use super::anchored::Undescribed;
use super::aside::Aside;
use super::best::Best;
use super::branch::{Branch, Target, Why};
use super::early::Early;
use super::exchange::Answered;
use super::flows::{self, FLOW_FAILED};
use super::incoming::Answer;
use super::leg::{Leg, Side};
use super::line::Borrowed;
use super::make::Wanted;
use super::news::{Carried, Far, LegNo, News};
use super::record::{EndReason, LegFacts, LegId};
use super::redirect::Redirections;
use super::reliable::{Held, Knows, Series};
use super::reply::print_answer;
use super::session_id;
use super::spare::Spare;
use super::suspect;
use super::tone::Tone;
use super::unanswered::Missed;
use super::waiting::Waiting;
use super::{Call, CallTimer, Phase, carried};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::{DnId, TrunkId};
use crate::explain::{Absent, KnownBy, Trace, What};
use crate::ids::Tag;
use crate::limits::{MAX_BRANCHES, MAX_LEGS};
use crate::registrar::Ghost;
use crate::reject::Reject;
use crate::rooms::{Device, Fact, Rooms, Use};
use crate::routing::{self, Way};

/// A place the call is tried at; the next one follows when this one cannot take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All contacts of an Extension.
    Extension(DnId),
    /// A trunk, with the number as it is dialled there.
    Trunk(TrunkId, Box<[u8]>),
    /// The peer site, in the signalling path, with the number untranslated.
    Peer(TrunkId, Box<[u8]>),
    /// The peer's queue or routing point of this number, in the signalling path: the call may wait there for as long as
    /// the peer goes on saying so.
    PeerQueue(TrunkId, Box<[u8]>),
    /// The mixer, for the conference of this name.
    Mixer(Box<str>),
    /// This site's queue or routing point of this number.
    Wait(Arc<str>),
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
    /// Where it goes; or why nowhere.
    pub outcome: Result<Way, Reject>,
    /// How they were found.
    pub steps: Vec<What>,
    /// `ring-timeout`.
    pub ring_timeout: Duration,
}

/// Who waits for somebody to answer.
#[derive(Debug)]
pub(super) enum Caller {
    /// His INVITE waits for its final response.
    Invite(TxnId, Flow),
    /// He is on the line already: his phone took the call that a request makes, or his other party went.
    Leg(LegNo, Box<Leg>),
    /// Nobody yet: his own phone is called first.
    Nobody(Box<Wanted>),
    /// Somebody in a conversation, whom the one that is called is to join.
    Aside(Box<Aside>),
}

/// See the module.
#[derive(Debug)]
pub struct Setup {
    pub(super) caller: Caller,
    /// The INVITE that is passed on to callees: the caller's, or one that this server made up in his name.
    pub(super) request: Message,
    /// The queue or routing point at which the call waits for an offer, or for the next one.
    pub(super) waiting: Option<Box<Waiting>>,
    pub(super) stages: VecDeque<Stage>,
    pub(super) current: Option<Stage>,
    /// Targets of the current trunk that have not been tried.
    pub(super) spare: Spare,
    pub(super) branches: SmallVec<[Branch; 1]>,
    /// The nailed-up connection over which the call is being connected.
    pub(super) line: Option<Box<Borrowed>>,
    pub(super) pairs: SmallVec<[Early; 1]>,
    pub(super) best: Option<Best>,
    /// What the caller makes of reliable provisional responses, and those that he is sent.
    pub(super) knows: Knows,
    pub(super) series: Vec<Series>,
    /// A 2xx that waits for their acknowledgement.
    pub(super) held: Option<Box<Held>>,
    /// The answer to an INVITE of the party that waits on the line, until its ACK.
    pub(super) accepted: Option<Box<Answered>>,
    /// When it has rung long enough, if it may not ring for ever.
    pub(super) ring_until: Option<Instant>,
    /// What the caller is told then.
    pub(super) told_then: u16,
    pub(super) ringing: bool,
    /// Somebody rang at the current place.
    pub(super) rang: bool,
    /// Where callees have sent the call.
    pub(super) redirections: Option<Box<Redirections>>,
    /// What a party on the line hears.
    pub(super) tone: Option<Box<Tone>>,
    /// The caller's description is not what callees are told.
    pub(super) undescribed: Option<Box<Undescribed>>,
    /// Phones that rang before a restart, and are not back.
    pub(super) missed: Option<Box<Missed>>,
    /// Our To-tag in a refusal, unless there is an early dialog.
    pub(super) tag: Tag,
}

impl Setup {
    pub(super) fn new(rooms: &mut Rooms, caller: Caller, request: Message, ring: Duration) -> Box<Self> {
        Box::new(Self {
            caller,
            request,
            waiting: None,
            stages: VecDeque::new(),
            current: None,
            spare: Spare::default(),
            branches: SmallVec::new(),
            line: None,
            pairs: SmallVec::new(),
            best: None,
            knows: Knows::default(),
            series: Vec::new(),
            held: None,
            accepted: None,
            ring_until: Some(rooms.now.mono + ring),
            told_then: 480,
            ringing: false,
            rang: false,
            redirections: None,
            tone: None,
            undescribed: None,
            missed: None,
            tag: rooms.ids.tag(),
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<(Instant, CallTimer)> {
        let ring = self.ring_until.map(|at| (at, CallTimer::Ring));
        let again = self.waiting.as_ref().and_then(|waiting| waiting.again_at);
        let again = again.map(|at| (at, CallTimer::Waiting));
        let session = match &self.caller {
            Caller::Leg(_, leg) => leg.timer.due().map(|at| (at, CallTimer::Session)),
            Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => None,
        };
        let next = self.spare.due_at().map(|at| (at, CallTimer::NextTarget));
        let provisional = self.provisional_due().map(|at| (at, CallTimer::Provisional));
        let accepted = self.accepted.as_ref().map(|answered| (answered.due(), CallTimer::Answer));
        let tone = self.tone_due().map(|at| (at, CallTimer::Waiting));
        let all = [ring, again, session, next, accepted, provisional, tone];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Whether the caller hears and sees nothing of those who are called: a waiting caller has his treatment, which
    /// must not change with every agent that is tried, and a caller on the line has no INVITE to be told of progress.
    pub(super) fn hides_progress(&self) -> bool {
        self.waiting.is_some() || !matches!(self.caller, Caller::Invite(..))
    }

    /// The queue or routing point at which the call waits.
    pub(super) fn waits_at(&self) -> Option<&Arc<str>> {
        self.waiting.as_ref().map(|waiting| &waiting.at)
    }

    /// Our To-tag in the final response when nobody answers.
    pub(super) fn refusal_tag(&self) -> Tag {
        self.pairs.first().map_or(self.tag, |pair| pair.tag)
    }

    /// A sips: URI asks for TLS on every hop (RFC 3261 26.4.4).
    fn may_go_over(&self, target: &Target) -> bool {
        let scheme = self.request.request_uri().and_then(|uri| uri.get(..5));
        !scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
            || target.flow.transport.is_secure()
    }

    /// It waits at a queue or routing point of the peer.
    pub(super) fn waits_at_peer(&self) -> bool {
        matches!(self.current, Some(Stage::PeerQueue(..)))
    }

    pub(super) fn is_ringing(&self) -> bool {
        self.ringing
    }
}

impl Call {
    /// A call of which nothing is done yet.
    pub(super) fn blank(
        rooms: &mut Rooms,
        key: Key,
        origin: Device,
        [from, to, call_id]: [Box<[u8]>; 3],
    ) -> Self {
        Self {
            key,
            uuid: rooms.ids.uuid(),
            directory: Arc::clone(&rooms.directory),
            started: rooms.now,
            from,
            to,
            phase: Phase::Ending,
            closing: None,
            losers: Vec::new(),
            pending: Vec::new(),
            next_pending: 0,
            tellings: Vec::new(),
            departed: Vec::new(),
            player: None,
            players: 0,
            asked: None,
            byes: 0,
            tags: SmallVec::new(),
            legs: smallvec::smallvec![LegFacts::new(origin, LegId::Theirs(call_id))],
            conn: None,
            carried: None,
            private: false,
            referral: None,
            lingering: None,
            takeover: None,
            taker: None,
            aside_of: None,
            session_ids: [0, 0],
            sent_on: Vec::new(),
            nail: None,
            unanswered: None,
            trace: Trace::default(),
        }
    }

    /// Opens a call and sends it to the first place that can take it.
    pub fn open(rooms: &mut Rooms, key: Key, opening: Opening) -> Self {
        let Opening { txn, flow, request, origin, known_by, outcome, steps, ring_timeout } = opening;
        let mut call = Self::blank(rooms, key, origin, names(&request));
        call.note(rooms, What::Arrived { origin, known_by });
        call.note_way(rooms, steps);
        rooms.counters.calls += 1;
        rooms.endpoint.attach(txn, Use::Invite(key));
        let carried = carried::read(rooms, &request, origin);
        call.carry(&carried);
        call.private = super::is_private(&request);
        call.session_ids[0] = session_id::of(&request).unwrap_or(call.uuid);
        let described_first = call.is_described_first(rooms, flow, &request);
        call.tell_opened(rooms, outcome.as_ref().ok().filter(|_| !described_first), carried);
        let way = match outcome {
            Ok(way) => way,
            Err(reject) => {
                rooms.respond(txn, flow, &request, &reject);
                call.refused(rooms, reject.status);
                return call;
            }
        };
        rooms.respond(txn, flow, &request, &Reject::new(100));
        let (patience, told_then) = patience(&request, ring_timeout);
        let mut setup = Setup::new(rooms, Caller::Invite(txn, flow), request, patience);
        setup.told_then = told_then;
        setup.learn_caller(rooms);
        call.set_out(rooms, setup, way);
        call
    }

    fn tell_opened(&self, rooms: &mut Rooms, way: Option<&Way>, carried: Carried) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into();
        let parked = match way {
            Some(Way::Wait(at)) => Some(Arc::clone(at)),
            Some(Way::Try(_)) | None => None,
        };
        let Some(origin) = self.legs.first().map(|leg| Far::of(&self.directory, leg.device)) else { return };
        let (uuid, from, to) = (self.uuid, text(&self.from), text(&self.to));
        self.tell(rooms, News::Opened { uuid, origin, from, to, parked, carried, ticket: None });
    }

    /// The caller was turned away before anybody was rung.
    fn refused(&mut self, rooms: &mut Rooms, status: u16) {
        self.note(rooms, What::Failed(status));
        if let Some(leg) = self.legs.first_mut() {
            leg.status = status;
        }
        self.leg_ended(rooms, 0, EndedBy::Server, EndReason::Status(status));
        self.tell(rooms, News::Failed { status });
    }

    /// Tries the next place, and the one after it, until one has somebody to ring.
    pub(super) fn advance(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>) {
        while let Some(stage) = setup.stages.pop_front() {
            if matches!((&stage, &setup.caller), (Stage::Wait(_), Caller::Aside(_))) {
                // Nobody is on the line here who could wait.
                setup.offer_best(Best::own(480));
                continue;
            }
            if let Stage::Wait(at) = stage {
                self.wait_at(rooms, setup, Arc::clone(&at));
                return self.tell(rooms, News::Parked { at });
            }
            if let Stage::Extension(dn) = stage
                && let Some(tried) = self.try_line(rooms, &mut setup, dn)
            {
                (setup.current, setup.rang) = (Some(stage), false);
                match tried {
                    Ok(()) => {
                        self.phase = Phase::Setup(setup);
                        return;
                    }
                    Err(status) => {
                        setup.offer_best(Best::own(status));
                        setup.forget_last_resort(self);
                    }
                }
                continue;
            }
            self.note_last_resort(rooms, &setup, &stage);
            let targets = routing::targets(rooms, &self.directory, &stage);
            (setup.current, setup.rang) = (Some(stage), false);
            self.wait_for_progress(rooms, &mut setup);
            let targets = match setup.narrowed(rooms, &self.directory, targets) {
                Ok(targets) => targets,
                Err((device, absent)) => {
                    self.note(rooms, What::PassedOver(device, absent));
                    setup.offer_best(Best::absent(absent));
                    continue;
                }
            };
            let mut unfit = 503;
            for target in setup.keep_spare(rooms, &self.directory, targets) {
                if setup.may_go_over(&target) {
                    self.ring(rooms, &mut setup, target);
                } else {
                    unfit = 480;
                    self.note(rooms, What::PassedOver(target.device, Absent::NotSecure));
                }
            }
            if !setup.branches.is_empty() {
                self.phase = Phase::Setup(setup);
                return;
            }
            setup.offer_best(Best::own(unfit));
            setup.forget_last_resort(self);
        }
        self.nobody_took_it(rooms, setup, EndedBy::Server);
    }

    pub(super) fn ring(&mut self, rooms: &mut Rooms, setup: &mut Setup, mut target: Target) {
        let id = self.legs.len() - 1;
        let Some(id) = u8::try_from(id).ok().filter(|id| *id < MAX_LEGS) else { return };
        if setup.branches.len() >= MAX_BRANCHES {
            return;
        }
        let device = target.device;
        let anchor = match self.anchoring(rooms, setup, &target) {
            Ok(anchor) => anchor,
            Err(refusal) => return setup.offer_best(*refusal),
        };
        target.carried = self.carried_to(rooms, device);
        target.presented = self.presented_to(rooms, setup, device);
        target.reliable = setup.asks_for_reliable() && self.directory.enables_100rel(device);
        target.session_ids.other = match &setup.caller {
            Caller::Leg(no, leg) if leg.session_ids.party == 0 => session_id::made(self.uuid, *no),
            Caller::Leg(_, leg) => leg.session_ids.party,
            Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => self.session_ids[0],
        };
        let Some(branch) = Branch::call(rooms, self.key, id, target, &setup.request) else {
            rooms.counters.refused_full += 1;
            return;
        };
        self.note(rooms, What::Offered(device));
        self.anchor(rooms, &branch, anchor);
        self.own_tag(rooms, branch.tag);
        self.legs.push(LegFacts::new(device, LegId::Ours(branch.call_id)));
        setup.branches.push(branch);
        self.tell(rooms, News::Offered { leg: id + 1, to: Far::of(&self.directory, device) });
    }

    pub(super) fn own_tag(&mut self, rooms: &mut Rooms, tag: Tag) {
        rooms.tags.insert(tag, self.key);
        self.tags.push(tag);
    }

    /// A response to the INVITE of a branch.
    pub fn branch_response(&mut self, rooms: &mut Rooms, txn: TxnId, id: u8, response: &Message, flow: Flow) {
        let Ok(env) = response.envelope() else { return };
        if self.is_for_the_conversation(rooms, (txn, id), response, flow) {
            return;
        }
        let Some(answer) = Answer::new(response, &env, flow) else { return };
        let place = match &self.phase {
            Phase::Setup(setup) => setup.branches.iter().position(|branch| branch.id == id),
            Phase::Talk(_) | Phase::Ending => None,
        };
        match place {
            Some(place) => self.setup_response(rooms, place, &answer),
            None if answer.is_ok() => self.late_answer(rooms, txn, id, &answer),
            None if answer.code >= 300 => self.loser_over(id, answer.code),
            None => {}
        }
    }

    fn setup_response(&mut self, rooms: &mut Rooms, place: usize, answer: &Answer<'_>) {
        let Some(mut setup) = self.take_setup() else { return };
        let branch = setup.branches.get(place);
        let owned = branch.is_some_and(|branch| branch.owns(answer.env));
        if let Some(target) = branch.map(|branch| &branch.target) {
            suspect::shows_life(rooms, target.contact.as_ref(), target.flow, answer.message);
        }
        if answer.code < 200 {
            if owned {
                self.provisional(rooms, &mut setup, place, answer);
            }
            self.phase = Phase::Setup(setup);
        } else if answer.is_ok() && Self::hold_answer(&mut setup, place, answer) {
            self.hold_one_answer(rooms, setup, place, answer);
        } else if answer.is_ok() {
            self.answered(rooms, setup, place, answer, owned);
        } else {
            self.refused_by(rooms, setup, place, answer);
        }
    }

    /// A branch is refused. A trunk's challenge is answered once.
    fn refused_by(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, place: usize, answer: &Answer<'_>) {
        let (code, request) = (answer.code, &setup.request);
        if let Some(branch) = setup.branches.get_mut(place)
            && branch.lengthen_session(rooms, self.key, request, answer.message)
        {
            self.phase = Phase::Setup(setup);
            return;
        }
        if let Some(branch) = setup.branches.get_mut(place)
            && branch.answer_challenge(rooms, &self.directory, self.key, request, answer.message)
        {
            let device = branch.target.device;
            self.note(rooms, What::Challenged(device, code));
            self.phase = Phase::Setup(setup);
            return;
        }
        let branch = setup.branches.remove(place);
        self.branch_ended(rooms, &branch, code, EndedBy::Callee, EndReason::Status(code));
        self.note(rooms, What::Refused(branch.target.device, code));
        self.asked_to_wait(rooms, &branch.target, answer.message);
        if code == FLOW_FAILED && branch.target.contact.is_some() {
            return self.flow_failed(rooms, setup, &branch, Ghost::FlowFailed);
        }
        setup.forget_last_resort(self);
        setup.offer_best(Best::of(&branch.target, code, answer.message));
        setup.early_dialogs_end(rooms, branch.id, code);
        let drain_marked = answer.message.header(HeaderName::XTandemDraining).is_some();
        self.branch_lost(rooms, setup, InPathOutcome::Status { code, drain_marked });
    }

    fn answered(
        &mut self,
        rooms: &mut Rooms,
        mut setup: Box<Setup>,
        place: usize,
        answer: &Answer<'_>,
        owned: bool,
    ) {
        let early = if owned { self.early_dialog(rooms, &mut setup, place, answer) } else { None };
        let branch = setup.branches.remove(place);
        let pair = early.and_then(|early| setup.pairs.get_mut(early));
        let found = pair
            .and_then(|pair| Some((pair.tag, pair.callee.take()?, pair.caller.take(), pair.answer.take())));
        let Some((tag, mut callee, caller, before)) = found else {
            self.branch_ended(rooms, &branch, 502, EndedBy::Server, EndReason::UnusableAnswer);
            setup.offer_best(Best::own(502));
            self.branch_lost(rooms, setup, InPathOutcome::Status { code: 502, drain_marked: false });
            return;
        };
        // A 2xx whose Record-Route cannot be read leaves the early dialog's route set.
        let _ = callee.dialog.confirm(answer.message);
        callee.aim();
        callee.authorization.clone_from(&branch.authorization);
        callee.timer = callee.timer.begun_by(&branch.timer);
        callee.timer.accepted(answer.message, rooms.now);
        callee.timer.say(setup.request.body());
        self.note(rooms, What::Answered(branch.target.device));
        for leg in [Some(0).filter(|_| caller.is_some()), Some(branch.leg())].into_iter().flatten() {
            self.leg_answered(rooms, leg, answer.code);
        }
        self.tell(rooms, News::Answered { leg: branch.leg() });
        self.drop_branches(rooms, &mut setup, EndReason::AnsweredElsewhere, &Why::Ours(ELSEWHERE));
        let Setup { caller: waits, request, .. } = *setup;
        match (waits, caller) {
            (Caller::Invite(server, flow), Some(mut caller)) => {
                rooms.counters.calls_answered += 1;
                let described = before.as_ref().filter(|_| answer.message.body().is_empty());
                let described = described.unwrap_or(answer.message).body();
                caller.begin_session(rooms, &self.directory, &request, described);
                let like = (answer.message, &self.passage_back(branch.leg()));
                let beside = (&caller.timer, before.as_ref());
                let Some(ok) = print_answer(rooms, &request, flow, answer.code, like, tag, beside) else {
                    return;
                };
                let answered = Answered {
                    from: Side::Caller,
                    server,
                    server_cseq: request.envelope().map(|env| env.cseq.number).unwrap_or(0),
                    client: branch.txn,
                    client_cseq: branch.cseq,
                    code: answer.code,
                    ok,
                    again_at: rooms.now.mono,
                    interval: Duration::ZERO,
                    give_up_at: rooms.now.mono,
                    gone: None,
                };
                self.begin_talk(rooms, [caller, callee], answered);
            }
            (Caller::Leg(leg, waiting), _) => {
                rooms.counters.calls_answered += 1;
                self.refer_succeeded(rooms);
                let (waiting, callee) = ((leg, *waiting), (branch.leg(), callee));
                self.begin_join(rooms, waiting, callee, answer.message, branch.txn, branch.cseq);
            }
            (Caller::Nobody(wanted), _) => self.own_phone_answered(rooms, callee, *wanted, &branch, answer),
            (Caller::Invite(..), None) | (Caller::Aside(_), _) => {}
        }
    }

    /// A branch is over without an answer, and so perhaps is its place.
    pub(super) fn branch_lost(&mut self, rooms: &mut Rooms, mut setup: Box<Setup>, outcome: InPathOutcome) {
        let decided = setup.is_decided(outcome);
        if decided {
            self.drop_branches(rooms, &mut setup, EndReason::RefusedElsewhere, &Why::Ours(DECLINED));
        }
        if !setup.branches.is_empty() {
            self.phase = Phase::Setup(setup);
            return;
        }
        let asks_the_peer = setup.asks_the_peer(self, outcome);
        if decided || !(setup.may_go_on(outcome) || asks_the_peer) {
            let told = setup.best.as_ref().is_some_and(|best| best.message.is_some());
            let by = if told { EndedBy::Callee } else { EndedBy::Network };
            return self.nobody_took_it(rooms, setup, by);
        }
        if self.next_target(rooms, &mut setup, outcome) {
            self.phase = Phase::Setup(setup);
            return;
        }
        if !asks_the_peer {
            setup.forget_last_resort(self);
        }
        let was_forwarded = match setup.current {
            // With no place left here it is not delivered here after all.
            Some(Stage::Peer(..)) => !setup.stages.is_empty(),
            Some(Stage::PeerQueue(..)) => true,
            Some(Stage::Extension(_) | Stage::Trunk(..) | Stage::Mixer(_) | Stage::Wait(_)) | None => false,
        };
        if was_forwarded {
            rooms.counters.forward_fallbacks += 1;
            let status = match outcome {
                InPathOutcome::Status { code, .. } => code,
                InPathOutcome::TransportFailed | InPathOutcome::NoAnswer => 0,
            };
            self.note(rooms, What::FellBack(status));
            setup.best = None;
        }
        self.advance(rooms, setup);
    }

    /// No response to a branch's INVITE, or none could be delivered.
    pub fn branch_unanswered(&mut self, rooms: &mut Rooms, id: u8, how: CallFailure) {
        let place = match &self.phase {
            Phase::Setup(setup) => setup.branches.iter().position(|branch| branch.id == id),
            Phase::Talk(_) | Phase::Ending => None,
        };
        let Some(place) = place else { return self.loser_unanswered(rooms, id, how) };
        let Some(mut setup) = self.take_setup() else { return };
        let mut branch = setup.branches.remove(place);
        if branch.by_tcp_for_size
            && how == CallFailure::Transport
            && branch.call_by_udp(rooms, self.key, &setup.request)
        {
            setup.branches.push(branch);
            self.phase = Phase::Setup(setup);
            return;
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
        rooms.facts.push(Fact::CallFailed(device, branch.target.flow, how));
        if outcome == InPathOutcome::TransportFailed && branch.target.contact.is_some() {
            return self.flow_failed(rooms, setup, &branch, Ghost::Unreachable);
        }
        flows::suspect(rooms, &branch.target, Ghost::Unanswered);
        setup.offer_best(Best::own(status));
        self.branch_lost(rooms, setup, outcome);
    }

    /// `ring-timeout` is over, or the peer is silent about a call that waits there.
    pub(super) fn ring_timeout(&mut self, rooms: &mut Rooms) {
        let Some(mut setup) = self.take_setup() else { return };
        let why = Why::Ours(b"SIP;cause=480;text=\"ring timeout\"");
        self.drop_branches(rooms, &mut setup, EndReason::RingTimeout, &why);
        let expired = self.expires_at(&setup.request).is_some_and(|at| at <= rooms.now.mono);
        if setup.waits_at_peer() && !expired {
            return self.branch_lost(rooms, setup, InPathOutcome::NoAnswer);
        }
        let told = Best::own(setup.told_then);
        self.finish_setup(rooms, *setup, &told, EndedBy::Server, EndReason::RingTimeout);
    }

    /// The set-up, taken out; the call is then ending unless it is put back. `None` leaves any other phase as it is.
    pub(super) fn take_setup(&mut self) -> Option<Box<Setup>> {
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
        if !matches!(&self.phase, Phase::Setup(setup) if matches!(setup.caller, Caller::Invite(..))) {
            return;
        }
        let Some(mut setup) = self.take_setup() else { return };
        let why = match cancel.filter(|cancel| cancel.header(HeaderName::Reason).is_some()) {
            Some(cancel) => Why::Theirs(cancel),
            None => Why::Ours(b"SIP;cause=487;text=\"Request Terminated\""),
        };
        self.drop_branches(rooms, &mut setup, EndReason::CallerGone, &why);
        self.finish_setup(rooms, *setup, &Best::own(487), EndedBy::Caller, EndReason::Cancel);
    }

    /// Every place was tried in vain: a call that was offered waits again, any other fails.
    pub(super) fn nobody_took_it(&mut self, rooms: &mut Rooms, setup: Box<Setup>, by: EndedBy) {
        let Some(mut setup) = self.follow(rooms, setup) else { return };
        let best = setup.best.take().unwrap_or(Best::own(480));
        if setup.waiting.is_some() {
            return self.unplaced(rooms, setup, best.told());
        }
        let status = best.told();
        if setup.waits_for_phone(rooms, self.key, status) {
            self.phase = Phase::Setup(setup);
            return;
        }
        self.note(rooms, What::Failed(status));
        self.finish_setup(rooms, *setup, &best, by, EndReason::Status(status));
    }

    /// The set-up ends without an answer: whoever waits for one is told, or hung up on.
    pub(super) fn finish_setup(
        &mut self,
        rooms: &mut Rooms,
        mut setup: Setup,
        best: &Best,
        by: EndedBy,
        reason: EndReason,
    ) {
        setup.end_tone(rooms);
        let status = best.told();
        let leg = match &setup.caller {
            Caller::Invite(txn, flow) => {
                if let Some(payload) = setup.print_refusal(rooms, best, *flow, &self.passage_of_refusal()) {
                    rooms.endpoint.respond(*txn, status, payload, rooms.now.mono);
                }
                0
            }
            Caller::Leg(leg, _) => *leg,
            Caller::Nobody(_) | Caller::Aside(_) => 0,
        };
        if let Some(leg) = self.legs.get_mut(usize::from(leg)).filter(|leg| leg.answered.is_none()) {
            leg.status = status;
        }
        self.leg_ended(rooms, usize::from(leg), by, reason);
        self.phase = Phase::Ending;
        self.refer_failed(rooms, status);
        self.end_aside(rooms, &setup.caller, status);
        if let Caller::Leg(_, mut leg) = setup.caller {
            self.hang_up_on(rooms, &mut leg);
        }
        self.denail(rooms);
        let gave_up = matches!(reason, EndReason::Cancel | EndReason::Request);
        self.tell(rooms, if gave_up { News::Ended { leg, by, reason } } else { News::Failed { status } });
        let asked = self.asked.take();
        self.done(rooms, asked, Err(status));
    }
}

pub(super) const ELSEWHERE: &[u8] = b"SIP;cause=200;text=\"Call completed elsewhere\"";
const DECLINED: &[u8] = b"SIP;cause=603;text=\"Declined elsewhere\"";

/// How long a call may ring, and what its caller is told then: `ring-timeout`, or the INVITE's own Expires if that is
/// shorter.
fn patience(request: &Message, ring_timeout: Duration) -> (Duration, u16) {
    match expires(request) {
        Some(expires) if expires < ring_timeout => (expires, 487),
        Some(_) | None => (ring_timeout, 480),
    }
}

/// After how long an INVITE expires by its own word (RFC 3261 13.3.1).
pub(super) fn expires(request: &Message) -> Option<Duration> {
    let seconds = request.header(HeaderName::Expires).and_then(tandem_sip::lexer::number);
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// The caller's user, the dialled user, and the Call-ID of an INVITE.
fn names(request: &Message) -> [Box<[u8]>; 3] {
    let Ok(env) = request.envelope() else { return Default::default() };
    let from = env.from.uri().ok().and_then(|uri| uri.user()).unwrap_or_default();
    let to =
        request.request_uri().and_then(|uri| tandem_sip::Uri::parse(uri).ok()).and_then(|uri| uri.user());
    [from, to.unwrap_or_default(), env.call_id].map(Box::from)
}
