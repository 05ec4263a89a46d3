//! One anchored leg: its messages in their order, each described as the other end must see it before it goes on.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;
use tandem_peer::Replicated;
use tandem_sip::{Flow, Message, Method, Origin, Received, Sdp, Transmit};

use super::music::Music;
use super::order::{AnchorId, AnchorOrder, End, Part, Profile, Seat, Speaks};
use super::roles::Roles;
use super::stored::Kept;
use super::text;
use super::{Lives, Next, Ready, Taker, Unbridged};
use crate::arena::Key;
use crate::call::description;
use crate::ids::Tag;
use crate::rooms::Use;

/// See the module.
#[derive(Debug)]
pub(super) struct Anchor {
    pub(super) id: AnchorId,
    pub(super) profile: Profile,
    /// The call that it began in.
    pub(super) call: Key,
    pub(super) call_id: Box<[u8]>,
    /// From-tag of the INVITE that makes the dialog.
    pub(super) tag: Box<[u8]>,
    /// Our tag in the dialog, once it is known.
    pub(super) own: Option<Tag>,
    /// When it ended. Until its transactions are over, repetitions of its messages leave as they did before.
    pub(super) ended: Option<Instant>,
    /// Its descriptions pass as they are: no media server took it, and it can do without.
    pub(super) direct: bool,
    /// A 2xx to the INVITE that makes the dialog has passed.
    pub(super) confirmed: bool,
    /// An answer to it could not be described, and it was told a refusal instead.
    refused: bool,
    /// The device made the dialog: it was not called.
    pub(super) came: bool,
    /// Its session.
    pub(super) seat: Option<Seat>,
    /// Both ends have been described there.
    pub(super) agreed: bool,
    /// What is stored of it.
    pub(super) kept: Option<Replicated<Kept>>,
    pub(super) asked: Option<Asked>,
    pub(super) waiting: VecDeque<Held>,
    pub(super) roles: Roles,
    turn: u32,
    /// Session identifier in what this server tells either end, and the versions so far (RFC 3264 8).
    pub(super) session: u64,
    pub(super) versions: [u64; 2],
    /// The latest description of the far end, and of the near one, with what the other end was told.
    latest: [Option<Known>; 2],
    pub(super) music: Music,
}

/// A question that is out; it is about the first message that waits.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) turn: u32,
    /// When it is given up.
    pub(super) until: Instant,
    from: End,
    part: Part,
    sdp: Bytes,
}

#[derive(Debug)]
struct Known {
    part: Part,
    sdp: Bytes,
    told: Bytes,
}

/// A message that waits.
#[derive(Debug)]
pub(super) enum Held {
    /// The INVITE that opened the call.
    Caller(Message),
    /// The INVITE by which a device takes part in a call that is there.
    Taker(Box<Taker>),
    /// From the device.
    In(Received<Use>),
    /// To the device.
    Out(Transmit, Message),
}

/// The message in what the transaction layer gives, where it may carry a description.
pub(super) fn message_of(received: &Received<Use>) -> Option<&Message> {
    match received {
        Received::Request { message, .. }
        | Received::Ack { message, .. }
        | Received::Response { message, .. } => Some(message),
        Received::Absorbed
        | Received::Merged { .. }
        | Received::Cancel { .. }
        | Received::Stray { .. }
        | Received::BadRequest { .. }
        | Received::Full { .. } => None,
    }
}

fn replaced(received: Received<Use>, new: Message) -> Received<Use> {
    match received {
        Received::Request { txn, flow, .. } => Received::Request { txn, flow, message: new },
        Received::Ack { flow, .. } => Received::Ack { flow, message: new },
        Received::Response { txn, user, flow, .. } => Received::Response { txn, user, message: new, flow },
        other @ (Received::Absorbed
        | Received::Merged { .. }
        | Received::Cancel { .. }
        | Received::Stray { .. }
        | Received::BadRequest { .. }
        | Received::Full { .. }) => other,
    }
}

impl Held {
    fn from(&self) -> End {
        match self {
            Self::Caller(_) | Self::Taker(_) | Self::In(_) => End::Far,
            Self::Out(..) => End::Near,
        }
    }

    pub(super) fn message(&self) -> Option<&Message> {
        match self {
            Self::Caller(message) | Self::Out(_, message) => Some(message),
            Self::Taker(taker) => Some(&taker.message),
            Self::In(received) => message_of(received),
        }
    }
}

/// What becomes of a message.
enum Step {
    Pass,
    Told(Bytes),
    Ask(Part, Bytes),
}

impl Anchor {
    pub(super) fn new(id: AnchorId, call: Key, [call_id, tag]: [&[u8]; 2], profile: Profile) -> Self {
        Self {
            id,
            profile,
            call,
            call_id: call_id.into(),
            tag: tag.into(),
            own: None,
            ended: None,
            direct: false,
            confirmed: false,
            refused: false,
            came: false,
            seat: None,
            agreed: false,
            kept: None,
            asked: None,
            waiting: VecDeque::new(),
            roles: Roles::default(),
            turn: 0,
            session: id.0 + 1,
            versions: [0; 2],
            latest: [None, None],
            music: Music::default(),
        }
    }

    /// Whether a message of this end has to wait: for its description, or behind another one of that end.
    pub(super) fn keeps(&self, from: End, message: &Message) -> bool {
        self.waiting.iter().any(|held| held.from() == from) || description(message).is_some()
    }

    fn step(&mut self, held: &Held) -> Step {
        let Some(message) = held.message().filter(|_| !self.direct) else { return Step::Pass };
        if message.code().is_some_and(|code| code >= 300) || description(message).is_none() {
            return Step::Pass;
        }
        let Ok(env) = message.envelope() else { return Step::Pass };
        let from = held.from();
        let Some(part) = self.roles.part(from, message, &env) else { return Step::Pass };
        let [far, near] = &self.latest;
        let known = if from == End::Far { far } else { near };
        match known {
            Some(known) if known.part == part && *known.sdp == *message.body() => {
                let told = known.told.clone();
                Step::Told(self.shown(from, part, &told))
            }
            // A leg that is over asks for nothing more.
            Some(_) | None if self.ended.is_some() => Step::Pass,
            Some(_) | None => Step::Ask(part, message.body_bytes()),
        }
    }

    /// Goes on with what waits until a question is out.
    pub(super) fn run(
        &mut self,
        until: Instant,
        next: &mut SmallVec<[Next; 2]>,
        orders: &mut VecDeque<AnchorOrder>,
    ) {
        while self.asked.is_none()
            && let Some(held) = self.waiting.pop_front()
        {
            match self.step(&held) {
                Step::Pass => next.extend(self.passed(held, None)),
                Step::Told(sdp) => next.extend(self.passed(held, Some(&sdp))),
                Step::Ask(part, sdp) => {
                    self.turn += 1;
                    let (id, turn, from) = (self.id, self.turn, held.from());
                    let profile = self.profile.clone();
                    let [far, _] = &self.latest;
                    let told = match from {
                        End::Far => sdp.clone(),
                        End::Near => self.music.to_device(part, &sdp, far.as_ref().map(|far| &*far.sdp)),
                    };
                    orders.push_back(AnchorOrder::Describe { id, turn, from, part, sdp: told, profile });
                    self.asked = Some(Asked { turn, until, from, part, sdp });
                    self.waiting.push_front(held);
                }
            }
        }
    }

    /// The media server has described it: what the other end is told.
    ///
    /// # Errors
    /// It is no session description.
    pub(super) fn described(&mut self, address: &str, sdp: &[u8]) -> Result<Option<Next>, Unbridged> {
        let Some(asked) = self.asked.take() else { return Ok(None) };
        self.refused = false;
        let browser = self.profile.speaks == Speaks::WebRtc && asked.from == End::Far;
        let plain = if browser { text::plain(sdp) } else { sdp.to_vec() };
        let unreadable =
            || Unbridged { why: "the media server's description is unreadable".into(), refused: true };
        let parsed = Sdp::parse(&plain).map_err(|_| unreadable())?;
        let [to_near, to_far] = &mut self.versions;
        let version = if asked.from == End::Far { to_near } else { to_far };
        *version += 1;
        let origin = Origin { id: self.session, version: *version, address };
        let told = Bytes::from(parsed.with_origin(&origin));
        if asked.from == End::Near {
            self.music.described(&asked.sdp);
        }
        let shown = self.shown(asked.from, asked.part, &told);
        let Some(held) = self.waiting.pop_front() else { return Ok(None) };
        let ready = self.passed(held, Some(&shown));
        let known = Some(Known { part: asked.part, sdp: asked.sdp, told });
        let [far, near] = &mut self.latest;
        *(if asked.from == End::Far { far } else { near }) = known;
        self.agreed |= asked.part == Part::Answer;
        Ok(ready)
    }

    /// What the other end sees of a description, with which an answer is agreed on.
    fn shown(&mut self, from: End, part: Part, told: &Bytes) -> Bytes {
        let shown = match from {
            End::Far => self.music.of_device(part, told.clone()),
            End::Near => told.clone(),
        };
        if part == Part::Answer {
            self.music.agreed();
        }
        shown
    }

    /// Where the session is from now on.
    pub(super) fn placed(&mut self, seat: Seat) {
        if self.seat.as_ref() != Some(&seat) {
            (self.seat, self.agreed) = (Some(seat), false);
        }
    }

    /// The session at the media server is gone: whatever was described is to be described anew.
    pub(super) fn forget(&mut self) {
        (self.latest, self.agreed) = ([None, None], false);
        self.music.stopped();
    }

    fn passed(&mut self, held: Held, sdp: Option<&[u8]>) -> Option<Next> {
        let message = held.message()?;
        let new = match sdp {
            Some(sdp) => text::with_body(message, sdp)?,
            None => message.clone(),
        };
        if new.code().is_some_and(|code| (200..300).contains(&code)) {
            self.confirmed |= new.envelope().is_ok_and(|env| env.cseq.method == Method::Invite);
        }
        Some(match held {
            Held::Caller(_) => Next::Ready(Ready::Caller(self.call, Ok(new))),
            Held::Taker(taker) => Next::Ready(Ready::Taker(Box::new(Taker { message: new, ..*taker }))),
            Held::In(received) => Next::Ready(Ready::In(replaced(received, new))),
            Held::Out(transmit, _) => {
                Next::Out(Transmit { flow: transmit.flow, payload: new.bytes().clone() })
            }
        })
    }

    /// The first message cannot be described: what becomes of it instead. A leg that can do without a media server goes
    /// without if it has not been described before.
    pub(super) fn failed(&mut self, why: Unbridged) -> [Option<Next>; 2] {
        self.asked = None;
        let Some(held) = self.waiting.pop_front() else { return [None, None] };
        let fresh = self.latest.iter().all(Option::is_none);
        if self.profile.speaks == Speaks::Rtp && fresh && !self.confirmed {
            self.direct = true;
            return [self.passed(held, None), None];
        }
        let hang_up = self.own.map(|own| Next::Ready(Ready::HangUp(own, why.clone())));
        match held {
            Held::Caller(_) => {
                self.direct = true;
                [Some(Next::Ready(Ready::Caller(self.call, Err(why)))), None]
            }
            Held::Taker(taker) => {
                let Taker { txn, flow, message, .. } = *taker;
                Self::failed_in(Received::Request { txn, flow, message }, None, why)
            }
            Held::In(received) => Self::failed_in(received, hang_up, why),
            Held::Out(Transmit { flow, .. }, message) => self.failed_out(flow, &message, hang_up, why),
        }
    }

    fn failed_in(received: Received<Use>, hang_up: Option<Next>, why: Unbridged) -> [Option<Next>; 2] {
        match &received {
            Received::Request { .. } => [Some(Next::Ready(Ready::Refuse(received, why))), None],
            Received::Response { user, message, .. } => {
                let ends = matches!(user, Use::Branch(..)) && message.code().is_some_and(|code| code >= 200);
                let bare = text::with_body(message, b"");
                let bare = bare.map(|bare| Next::Ready(Ready::In(replaced(received, bare))));
                [bare, hang_up.filter(|_| ends)]
            }
            Received::Ack { .. } => [Some(Next::Ready(Ready::In(received))), hang_up],
            Received::Absorbed
            | Received::Merged { .. }
            | Received::Cancel { .. }
            | Received::Stray { .. }
            | Received::BadRequest { .. }
            | Received::Full { .. } => [None, None],
        }
    }

    fn failed_out(
        &mut self,
        flow: Flow,
        message: &Message,
        hang_up: Option<Next>,
        why: Unbridged,
    ) -> [Option<Next>; 2] {
        let out = |payload| Next::Out(Transmit { flow, payload });
        let bare = || text::with_body(message, b"").map(|bare| out(bare.bytes().clone()));
        match (message.method(), message.code()) {
            (Some(Method::Ack), _) => [bare(), hang_up],
            (Some(_), _) => {
                let refusal = text::refusal_of(message, 488, &why.warning());
                let own = self.own;
                [refusal.map(|message| Next::Ready(Ready::Answer { flow, message, own, why })), None]
            }
            (None, Some(..200)) => [bare(), None],
            (None, _) => {
                let refusal = text::refusing(message, &why.warning()).map(out);
                // A device that acknowledges no refusal has had the answer itself, from a server that is lost.
                let had = self.confirmed && std::mem::replace(&mut self.refused, true);
                let had = self.own.filter(|_| had).map(|own| Next::Ready(Ready::Refused(own, why)));
                [refusal, if self.confirmed { had } else { hang_up }]
            }
        }
    }

    /// By what it is looked for among the calls.
    pub(super) fn lives(&self) -> Lives<'_> {
        Lives { own: self.own, call: self.call, call_id: &self.call_id }
    }
}
