//! Reliable provisional responses (RFC 3262) where only one side knows them. A caller who takes no others is sent them by
//! this server, each until his PRACK comes, in the numbers of each early dialog of his; what a callee sends reliably to a
//! caller who does not know them is acknowledged here. Where both know them they pass, and so do the PRACKs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::{Envelope, Flow, HeaderName, Message, Method, TxnId, lexer};

use super::best::Best;
use super::branch::Why;
use super::incoming::{Answer, Incoming};
use super::leg::Ask;
use super::record::EndReason;
use super::setup::{Caller, Setup};
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::ids::Tag;
use crate::limits::MAX_UNACKNOWLEDGED;
use crate::reject::Reject;
use crate::rooms::{Rooms, Use};

/// The option tag.
pub(super) const RELIABLE: &[u8] = b"100rel";

/// What the caller makes of reliable provisional responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Knows {
    /// He does not know them.
    #[default]
    Nothing,
    /// He takes them, and others.
    Both,
    /// He takes no others (`Require: 100rel`).
    OnlyThem,
}

impl Knows {
    fn of(invite: &Message) -> Self {
        if invite.has_token(HeaderName::Require, RELIABLE) {
            Self::OnlyThem
        } else if invite.has_token(HeaderName::Supported, RELIABLE) {
            Self::Both
        } else {
            Self::Nothing
        }
    }
}

/// The reliable provisional responses of one early dialog of the caller.
#[derive(Debug)]
pub(super) struct Series {
    tag: Tag,
    last: u32,
    out: Option<Out>,
    waiting: VecDeque<Out>,
    /// Number of the callee's response that the latest acknowledged one passed on, with that one's.
    passed: Option<(u32, u32)>,
}

/// One of them.
#[derive(Debug)]
struct Out {
    number: u32,
    /// The callee's own number, if he sent it reliably.
    theirs: Option<u32>,
    code: u16,
    payload: Bytes,
    again_at: Instant,
    interval: Duration,
    give_up_at: Instant,
}

/// A response that waits: a 2xx until the caller has acknowledged what went before it (RFC 3262 3), or one that is for
/// another call to hear (`aside`). Its transaction may say nothing more.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) branch: u8,
    pub(super) txn: TxnId,
    pub(super) response: Message,
    pub(super) flow: Flow,
}

impl Held {
    pub(super) fn new(branch: u8, txn: TxnId, response: &Message, flow: Flow) -> Self {
        Self { branch, txn, response: response.detach(), flow }
    }

    pub(super) fn is_answer(&self) -> bool {
        self.response.code().is_some_and(|code| code >= 200)
    }

    /// Whether this 2xx is not the one that waits, come again, but somebody else's.
    pub(super) fn is_beside(&self, branch: u8, env: &Envelope<'_>) -> bool {
        let known = self.response.envelope().is_ok_and(|held| held.to_tag == env.to_tag);
        self.is_answer() && (self.branch != branch || !known)
    }
}

/// The number of a response that was sent reliably.
pub(super) fn number(response: &Message) -> Option<u32> {
    let digits = response.header(HeaderName::RSeq)?.trim_ascii();
    let number = lexer::number(digits).and_then(|number| u32::try_from(number).ok())?;
    Some(number).filter(|_| response.has_token(HeaderName::Require, RELIABLE))
}

/// Number of the response, CSeq and method of a `RAck`.
pub(super) fn rack(prack: &Message) -> Option<(u32, u32, &[u8])> {
    let rack = prack.header(HeaderName::RAck)?;
    let mut words = rack.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let mut digits = || words.next().and_then(lexer::number).and_then(|number| u32::try_from(number).ok());
    let (number, cseq) = (digits()?, digits()?);
    Some((number, cseq, words.next()?))
}

impl Setup {
    /// Takes the caller's INVITE as it goes to callees: what he insists on is only offered to them.
    pub(super) fn learn_caller(&mut self, rooms: &mut Rooms) {
        self.knows = Knows::of(&self.request);
        if self.knows == Knows::OnlyThem
            && let Some(request) = with_reliable(rooms, &self.request, Some(HeaderName::Supported))
        {
            self.request = request;
        }
    }

    /// The caller's INVITE as he sent it, for another process to take.
    pub(super) fn as_it_came(&self, rooms: &mut Rooms) -> Bytes {
        let insists = (self.knows == Knows::OnlyThem)
            .then(|| with_reliable(rooms, &self.request, Some(HeaderName::Require)))
            .flatten();
        insists.as_ref().unwrap_or(&self.request).bytes().clone()
    }

    /// Whether this server numbers what it sends in an early dialog. Another process cannot go on with the numbers of this
    /// one, which nobody stored: it opens an early dialog of its own.
    pub(super) fn numbers_its_own(&self) -> bool {
        self.knows == Knows::OnlyThem
    }

    /// Whether callees are asked for reliable provisional responses though the caller does not know them: not without an
    /// offer, for then they would make one that he could not answer.
    pub(super) fn asks_for_reliable(&self) -> bool {
        self.knows == Knows::Nothing && !self.hides_progress() && !self.request.body().is_empty()
    }

    /// The number that the next provisional response in this early dialog gets, for a caller who takes only reliable ones.
    pub(super) fn next_number(&mut self, rooms: &mut Rooms, tag: Tag) -> Option<u32> {
        if self.knows != Knows::OnlyThem {
            return None;
        }
        let at = self.series.iter().position(|series| series.tag == tag).unwrap_or_else(|| {
            // RFC 3262 3: between 1 and 2^31 - 1, with room above.
            let last = 1 + u32::try_from(rooms.ids.below(1 << 30)).unwrap_or(0);
            let (waiting, passed) = (VecDeque::new(), None);
            self.series.push(Series { tag, last, out: None, waiting, passed });
            self.series.len() - 1
        });
        let series = self.series.get_mut(at)?;
        series.last += 1;
        Some(series.last)
    }

    /// Sends the caller a provisional response, reliably if it has a number; after those that he has not acknowledged yet.
    pub(super) fn send_provisional(
        &mut self,
        rooms: &mut Rooms,
        txn: TxnId,
        (code, payload): (u16, Bytes),
        tag: Tag,
        number: Option<(u32, Option<u32>)>,
    ) {
        let Some((number, theirs)) = number else {
            return rooms.endpoint.respond(txn, code, payload, rooms.now.mono);
        };
        let Some(series) = self.series.iter_mut().find(|series| series.tag == tag) else { return };
        let now = rooms.now.mono;
        let timers = rooms.directory.options.timers;
        let out = Out {
            number,
            theirs,
            code,
            payload,
            again_at: now,
            interval: timers.t1 / 2,
            give_up_at: now + timers.patience(),
        };
        if series.waiting.len() >= MAX_UNACKNOWLEDGED {
            // The number is the next one's.
            series.last -= 1;
            return;
        }
        series.waiting.push_back(out);
        series.go_on(rooms, txn);
    }

    /// A callee's response as it may be sent reliably though he did not: without a description that would be an offer, for
    /// he does not expect an answer to it (RFC 3262 5). `None`: as it is.
    pub(super) fn passable(
        &self,
        rooms: &mut Rooms,
        response: &Message,
        theirs: Option<u32>,
    ) -> Option<Message> {
        let offers = self.knows == Knows::OnlyThem
            && theirs.is_none()
            && self.request.body().is_empty()
            && !response.body().is_empty();
        if !offers {
            return None;
        }
        let mut builder =
            tandem_sip::Builder::response(&mut rooms.scratch, response.code()?, response.reason()?);
        let of_body = |name| matches!(name, HeaderName::ContentType | HeaderName::ContentLength);
        for header in response.headers().filter(|header| !of_body(header.name)) {
            builder.copy_line(&header);
        }
        Message::parse(builder.finish(b"")).ok()
    }

    /// When a response is sent again, or given up.
    pub(super) fn provisional_due(&self) -> Option<Instant> {
        self.series
            .iter()
            .filter_map(|series| series.out.as_ref())
            .map(|out| out.again_at.min(out.give_up_at))
            .min()
    }

    /// Whether the caller still has to acknowledge something.
    fn is_unacknowledged(&self) -> bool {
        self.series.iter().any(|series| series.out.is_some())
    }

    /// The callee's number of the response that the caller acknowledges as `number`.
    pub(super) fn passed_number(&self, tag: Tag, number: u32) -> Option<u32> {
        if self.knows != Knows::OnlyThem {
            return Some(number);
        }
        let passed = self.series.iter().find(|series| series.tag == tag)?.passed?;
        (passed.0 == number).then_some(passed.1)
    }
}

impl Series {
    /// Sends the next response, if none is out.
    fn go_on(&mut self, rooms: &mut Rooms, txn: TxnId) {
        if self.out.is_none() {
            self.out = self.waiting.pop_front();
            if let Some(out) = &mut self.out {
                out.give_up_at = rooms.now.mono + rooms.directory.options.timers.patience();
                out.send(rooms, txn);
            }
        }
    }
}

impl Out {
    fn send(&mut self, rooms: &mut Rooms, txn: TxnId) {
        rooms.endpoint.respond(txn, self.code, self.payload.clone(), rooms.now.mono);
        self.interval *= 2;
        self.again_at = rooms.now.mono + self.interval;
    }
}

impl Call {
    /// Sends again what the caller has not acknowledged; a caller who never does is refused (RFC 3262 3).
    pub(super) fn provisional_timeout(&mut self, rooms: &mut Rooms) {
        let Some(mut setup) = self.take_setup() else { return };
        let (now, mut given_up) = (rooms.now.mono, false);
        if let Caller::Invite(txn, _) = setup.caller {
            for out in setup.series.iter_mut().filter_map(|series| series.out.as_mut()) {
                given_up |= out.give_up_at <= now;
                if out.again_at <= now {
                    out.send(rooms, txn);
                }
            }
        }
        if given_up {
            let why = Why::Ours(b"SIP;cause=504;text=\"No PRACK\"");
            self.drop_branches(rooms, &mut setup, EndReason::CallerGone, &why);
            return self.finish_setup(rooms, *setup, &Best::own(504), EndedBy::Network, EndReason::NoPrack);
        }
        self.phase = Phase::Setup(setup);
    }

    /// A PRACK for what this server sent. False: it is for the callee, or for nothing.
    pub(super) fn acknowledged_early(&mut self, rooms: &mut Rooms, to: Tag, incoming: &Incoming<'_>) -> bool {
        if incoming.env.cseq.method != Method::Prack {
            return false;
        }
        let Phase::Setup(setup) = &mut self.phase else { return false };
        let (Caller::Invite(txn, _), Some((number, cseq, b"INVITE"))) =
            (&setup.caller, rack(incoming.message))
        else {
            return false;
        };
        let txn = *txn;
        let Ok(invite) = setup.request.envelope() else { return false };
        let his = invite.call_id == incoming.env.call_id && invite.from_tag == incoming.env.from_tag;
        let series = setup.series.iter_mut().find(|series| series.tag == to);
        let Some(series) = series.filter(|_| his && invite.cseq.number == cseq) else { return false };
        let Some(out) = series.out.take_if(|out| out.number == number) else { return false };
        series.passed = out.theirs.map(|theirs| (number, theirs));
        if out.theirs.is_none() {
            // What is offered here would have to be answered at once, and no callee was asked for that.
            let code = if incoming.message.body().is_empty() { 200 } else { 488 };
            incoming.answer(rooms, &Reject::new(code));
        }
        series.go_on(rooms, txn);
        if out.theirs.is_some() {
            return false;
        }
        self.release_answer(rooms);
        true
    }

    /// Holds a 2xx back while the caller has not acknowledged what went before it. False: it may go.
    pub(super) fn hold_answer(setup: &mut Setup, place: usize, answer: &Answer<'_>) -> bool {
        let waits = setup.is_unacknowledged() || setup.tone_is_busy();
        let Some(branch) = setup.branches.get(place).filter(|_| waits) else {
            return false;
        };
        let (branch, txn) = (branch.id, branch.txn);
        setup.held.get_or_insert_with(|| Box::new(Held::new(branch, txn, answer.message, answer.flow)));
        true
    }

    /// Passes on the 2xx that waited.
    pub(super) fn release_answer(&mut self, rooms: &mut Rooms) {
        let Phase::Setup(setup) = &mut self.phase else { return };
        if setup.is_unacknowledged() || setup.tone_is_busy() {
            return;
        }
        let Some(held) = setup.held.take() else { return };
        self.branch_response(rooms, held.txn, held.branch, &held.response, held.flow);
    }

    /// Acknowledges a response that a callee sent reliably, for a caller who does not know them. False: it came before, or
    /// out of its turn (RFC 3262 4).
    pub(super) fn acknowledge_for_caller(
        &mut self,
        rooms: &mut Rooms,
        setup: &mut Setup,
        early: usize,
        number: u32,
        response: &Message,
    ) -> bool {
        let Setup { pairs, branches, .. } = setup;
        let Some(pair) = pairs.get_mut(early) else { return false };
        let cseq = branches.iter().find(|branch| branch.id == pair.branch).map(|branch| branch.cseq);
        if pair.callee.is_none() || !pair.is_next(number) {
            return false;
        }
        let (Some(cseq), Some(leg)) = (cseq, &mut pair.callee) else { return false };
        let rack = format!("{number} {cseq} INVITE");
        let ask = Ask { rack: Some(rack.as_bytes()), ..Ask::own(b"PRACK", leg.dialog.next_cseq()) };
        if leg.ask(rooms, &ask, Use::Nobody).is_none() {
            rooms.counters.refused_full += 1;
        }
        if !response.body().is_empty() {
            pair.answer = Some(response.detach());
        }
        true
    }
}

/// The INVITE with everything but its wish for reliable provisional responses; with that wish in `instead`.
pub(super) fn with_reliable(
    rooms: &mut Rooms,
    request: &Message,
    instead: Option<HeaderName>,
) -> Option<Message> {
    let (method, uri) = (request.method_token()?, request.request_uri()?);
    let mut builder = tandem_sip::Builder::request(&mut rooms.scratch, method, uri);
    let option = |name| matches!(name, HeaderName::Supported | HeaderName::Require);
    for header in request.headers().filter(|header| header.name != HeaderName::ContentLength) {
        if !option(header.name) {
            builder.copy_line(&header);
        }
    }
    for name in [HeaderName::Supported, HeaderName::Require] {
        for tag in request.values(name).filter(|tag| !tag.eq_ignore_ascii_case(RELIABLE)) {
            builder.header(name, tag);
        }
    }
    if let Some(name) = instead {
        builder.header(name, RELIABLE);
    }
    Message::parse(builder.finish(request.body())).ok()
}
