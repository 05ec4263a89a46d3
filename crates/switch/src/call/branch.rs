//! One INVITE to one possible callee.

use std::sync::Arc;

use tandem_sip::{Dialog, Envelope, Flow, HeaderName, Message, Method, TxnId};

use super::carried::Printed;
use super::credentials::{Authorization, Challenged};
use super::headers;
use super::incoming::hops;
use super::leg::{Ask, Leg};
use super::news::LegNo;
use super::passage::Passage;
use super::presented::{self, Presented};
use super::reliable::RELIABLE;
use super::session_id::SessionIds;
use super::timer::Timer;
use crate::arena::Key;
use crate::directory::{Directory, DnClass, DnId};
use crate::ids::{LegCallId, Tag};
use crate::limits::{MAX_LEGS, ORPHAN_CSEQ_STEP, RESTORED_CSEQ_STEP};
use crate::rooms::{Device, Rooms, Use, own_headers};

/// Where a branch goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// The far end.
    pub device: Device,
    /// Request-URI.
    pub uri: Box<[u8]>,
    /// Where the INVITE is sent.
    pub flow: Flow,
    /// The far end is behind a NAT.
    pub nat: bool,
    /// Carry the loop marker: the call is being forwarded to the peer.
    pub marked: bool,
    /// Ask for reliable provisional responses, which are acknowledged here.
    pub reliable: bool,
    /// What the call carries, printed: for the peer only.
    pub carried: Option<Box<Printed>>,
    /// Who calls, as this far end is told, where the caller's own words are not enough.
    pub presented: Option<Box<Presented>>,
    /// What is said of the session if the caller does not say it.
    pub session_ids: SessionIds,
    /// The phone is to answer by itself: its Alert-Info and Call-Info say so.
    pub answers: Option<Arc<DnClass>>,
    /// The registered contact that it is.
    pub contact: Option<Bound>,
}

/// A registered contact.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Its DN, in the directory in force when it was looked up.
    pub dn: DnId,
    /// Its record.
    pub record: u64,
    /// The proxies on the way, as a Route header has them (RFC 3327).
    pub path: Option<Box<[u8]>>,
}

/// See the module.
#[derive(Debug)]
pub struct Branch {
    /// Its number in the call.
    pub id: u8,
    pub(super) target: Target,
    pub(super) txn: TxnId,
    pub(super) tag: Tag,
    pub(super) call_id: LegCallId,
    /// CSeq of its INVITE.
    pub(super) cseq: u32,
    /// What answers the challenge of its first INVITE.
    pub(super) authorization: Option<Box<Authorization>>,
    /// What session timer its INVITE asks for.
    pub(super) timer: Timer,
    /// A CANCEL was asked for.
    pub(super) cancelled: bool,
    /// Highest CSeq of a request in its early dialogs, once they are given up: a BYE after a late 2xx goes beyond it.
    pub(super) spent: u32,
    /// The request outgrew UDP and went by TCP; should TCP fail, UDP is tried (RFC 3261 18.1.1).
    pub(super) by_tcp_for_size: bool,
}

/// Branches from this number on go to the phone of who makes a call by request: all of them are leg 0, which is in
/// the record once.
pub(super) const OWN_PHONE: u8 = MAX_LEGS;

/// Place of a branch among the call's legs; none for one to the caller's own phone.
pub(super) fn place(id: u8) -> Option<usize> {
    (id < OWN_PHONE).then(|| usize::from(id) + 1)
}

impl Branch {
    pub(super) fn place(&self) -> Option<usize> {
        place(self.id)
    }

    /// The leg that it is, or is to be.
    pub(super) fn leg(&self) -> LegNo {
        if self.id < OWN_PHONE { self.id + 1 } else { 0 }
    }

    /// Sends the INVITE. `None` when the transaction table is full.
    pub(super) fn call(
        rooms: &mut Rooms,
        key: Key,
        id: u8,
        target: Target,
        request: &Message,
    ) -> Option<Self> {
        let (txn, name) = rooms.endpoint.reserve()?;
        let timer = Timer::new(rooms.directory.session_timer(target.device));
        let mut branch = Self {
            id,
            txn,
            tag: rooms.ids.tag(),
            call_id: rooms.ids.call_id(),
            target,
            cseq: 1,
            authorization: None,
            timer,
            cancelled: false,
            spent: 0,
            by_tcp_for_size: false,
        };
        branch.start(rooms, key, request, name.as_ref(), false).then_some(branch)
    }

    /// Sends the INVITE by UDP although it is long: TCP was tried in vain.
    pub(super) fn call_by_udp(&mut self, rooms: &mut Rooms, key: Key, request: &Message) -> bool {
        self.call_again(rooms, key, request, true)
    }

    /// Sends the INVITE again with the answer to the trunk's challenge. False: it cannot be answered, or was already.
    pub(super) fn answer_challenge(
        &mut self,
        rooms: &mut Rooms,
        directory: &Directory,
        key: Key,
        request: &Message,
        response: &Message,
    ) -> bool {
        if self.authorization.is_some() {
            return false;
        }
        let Target { device, uri, .. } = &self.target;
        let challenged = Challenged { device: *device, response, method: b"INVITE", uri };
        let Some(authorization) = Authorization::answering(rooms, directory, challenged) else {
            return false;
        };
        self.authorization = Some(Box::new(authorization));
        self.call_again(rooms, key, request, false)
    }

    /// Sends the INVITE again with the longer session interval that a 422 asks for (RFC 4028 7.3). False: it does not help.
    pub(super) fn lengthen_session(
        &mut self,
        rooms: &mut Rooms,
        key: Key,
        request: &Message,
        response: &Message,
    ) -> bool {
        response.code() == Some(422)
            && self.timer.lengthen(response)
            && self.call_again(rooms, key, request, false)
    }

    fn call_again(&mut self, rooms: &mut Rooms, key: Key, request: &Message, udp_only: bool) -> bool {
        let Some((txn, name)) = rooms.endpoint.reserve() else { return false };
        (self.txn, self.by_tcp_for_size) = (txn, false);
        self.cseq += 1;
        self.start(rooms, key, request, name.as_ref(), udp_only)
    }

    fn start(&mut self, rooms: &mut Rooms, key: Key, request: &Message, name: &[u8], udp_only: bool) -> bool {
        let mut flow = self.target.flow;
        let mut payload = self.print(rooms, request, flow, name);
        let wanted = rooms.endpoint.pick_transport(flow, payload.as_ref().map_or(0, bytes::Bytes::len));
        if wanted.transport != flow.transport && !udp_only {
            flow = wanted;
            self.by_tcp_for_size = true;
            payload = self.print(rooms, request, flow, name);
        }
        let Some(payload) = payload else {
            rooms.endpoint.release(self.txn);
            return false;
        };
        rooms.endpoint.start(
            self.txn,
            Method::Invite,
            flow,
            payload,
            Use::Branch(key, self.id),
            rooms.now.mono,
        );
        true
    }

    fn print(&self, rooms: &mut Rooms, request: &Message, flow: Flow, name: &[u8]) -> Option<bytes::Bytes> {
        request.envelope().ok()?;
        let lines = &rooms.lines;
        let ours = lines.sent_by.as_bytes();
        let mut builder = tandem_sip::Builder::request(&mut rooms.scratch, b"INVITE", &self.target.uri);
        builder.via(flow.transport, lines.via(flow), name);
        self.route(&mut builder);
        builder.number(HeaderName::MaxForwards, u64::from(hops(request)));
        self.identity(&mut builder, request, ours);
        builder.cseq(self.cseq, b"INVITE");
        own_headers(&mut builder, lines.contact(flow));
        if let Some(authorization) = &self.authorization {
            builder.header(authorization.name, &authorization.value);
        }
        if self.target.marked {
            builder.header(HeaderName::XTandemForwarded, rooms.directory.server.name.as_bytes());
        }
        if let Some(replaces) = request.header(HeaderName::Replaces).filter(|_| self.target.marked) {
            builder.header(HeaderName::Replaces, replaces);
        }
        if let Some(carried) = &self.target.carried {
            carried.print(&mut builder);
        }
        if let Some(class) = &self.target.answers {
            class.answer.print(&mut builder);
        }
        let inside = Passage::default();
        let presented = self.target.presented.as_deref();
        if let Some(presented) = presented {
            presented.print(&mut builder);
        }
        headers::relay(&mut builder, request, ours, presented.map_or(&inside, |p| &p.passage));
        if let Some(presented) = presented {
            presented.print_behind(&mut builder);
        }
        if self.target.reliable {
            builder.header(HeaderName::Supported, RELIABLE);
        }
        if request.header(HeaderName::SessionId).is_none() && !self.target.session_ids.is_nil() {
            self.target.session_ids.print(&mut builder);
        }
        self.timer.print_opening(&mut builder);
        Some(builder.finish(request.body()))
    }

    /// The way through proxies, the same in its INVITE and its CANCEL.
    fn route(&self, builder: &mut tandem_sip::Builder<'_>) {
        if let Some(path) = self.target.contact.as_ref().and_then(|contact| contact.path.as_ref()) {
            builder.header(HeaderName::Route, path);
        }
    }

    /// From, To and Call-ID of this branch's dialog, the same in its INVITE and its CANCEL.
    fn identity(&self, builder: &mut tandem_sip::Builder<'_>, request: &Message, host: &[u8]) {
        let Ok(env) = request.envelope() else { return };
        presented::print_from(builder, self.target.presented.as_deref(), request, host, &self.tag.text());
        let dialled = env.to.uri().ok().and_then(|uri| uri.user()).unwrap_or_default();
        if dialled.is_empty() {
            builder.parts(HeaderName::To, &[b"<", &self.target.uri, b">"]);
        } else {
            builder.parts(HeaderName::To, &[b"<sip:", dialled, b"@", host, b">"]);
        }
        builder.header(HeaderName::CallId, &self.call_id.text());
    }

    /// Takes the INVITE back (RFC 3261 9.1). The transaction layer waits for a provisional response if it must.
    pub(super) fn cancel(&mut self, rooms: &mut Rooms, request: &Message, reason: &Why<'_>) {
        if std::mem::replace(&mut self.cancelled, true) {
            return;
        }
        if let Some(payload) = self.print_cancel(rooms, request, reason) {
            rooms.endpoint.cancel(self.txn, payload, rooms.now.mono);
        }
    }

    /// What takes the INVITE back.
    pub(super) fn print_cancel(
        &self,
        rooms: &mut Rooms,
        request: &Message,
        reason: &Why<'_>,
    ) -> Option<bytes::Bytes> {
        let (name, flow) = (rooms.endpoint.branch(self.txn)?, rooms.endpoint.flow(self.txn)?);
        let lines = &rooms.lines;
        let mut builder = tandem_sip::Builder::request(&mut rooms.scratch, b"CANCEL", &self.target.uri);
        builder.via(flow.transport, lines.via(flow), name.as_ref());
        self.route(&mut builder);
        builder.number(HeaderName::MaxForwards, 70);
        self.identity(&mut builder, request, lines.sent_by.as_bytes());
        builder.cseq(self.cseq, b"CANCEL");
        match reason {
            Why::Ours(reason) => builder.header(HeaderName::Reason, reason),
            Why::Theirs(message) => builder.copy(message, HeaderName::Reason),
        };
        Some(builder.finish(b""))
    }

    /// Whether a response is one of this branch's dialog.
    pub(super) fn owns(&self, env: &Envelope<'_>) -> bool {
        env.from_tag == Some(&self.tag.text()) && env.call_id == self.call_id.text()
    }
}

/// The `Reason` of a CANCEL (RFC 3326).
#[derive(Clone, Copy, Debug)]
pub(super) enum Why<'a> {
    /// This server's own.
    Ours(&'a [u8]),
    /// That of the caller's CANCEL or BYE, every line of it.
    Theirs(&'a Message),
}

/// A 2xx without the Contact that it must have (RFC 3261 12.1.1): the dialog is then reached where its INVITE went.
pub(super) fn with_contact(rooms: &mut Rooms, response: &Message, uri: &[u8]) -> Option<Message> {
    let code = response.code()?;
    let mut builder = tandem_sip::Builder::response(&mut rooms.scratch, code, response.reason()?);
    for header in response.headers().filter(|header| header.name != HeaderName::Contact) {
        builder.copy_line(&header);
    }
    builder.parts(HeaderName::Contact, &[b"<", uri, b">"]);
    Message::parse(builder.finish(response.body())).ok()
}

/// The far end of a dialog that nobody wants.
#[derive(Clone, Copy, Debug)]
pub struct Stranger {
    /// Who it is, where that is known.
    pub device: Device,
    /// Where its answer came from.
    pub flow: Flow,
    /// Its Contact is not where it is reached.
    pub nat: bool,
    /// Highest CSeq that it was sent before its answer.
    pub spent: u32,
}

impl Stranger {
    /// Somebody of whom nothing is left but his answer: he is reached where it came from, with a CSeq beyond what an
    /// earlier process may have used while he rang.
    #[must_use]
    pub fn unknown(flow: Flow) -> Self {
        let (device, spent) = (Device::Extension(DnId(u32::MAX)), RESTORED_CSEQ_STEP);
        Self { device, flow, nat: true, spent }
    }

    /// Acknowledges a 2xx whose dialog is being ended, or is not known any more: every 2xx gets its ACK (RFC 3261
    /// 13.2.2.4), or the other side repeats it for 64*T1. Gives the dialog that it made.
    pub fn acknowledge(self, rooms: &mut Rooms, invite: TxnId, response: &Message) -> Option<Leg> {
        let env = response.envelope().ok()?;
        let dialog = Dialog::uac(response, &env).ok()?;
        let leg = Leg::new(dialog, self.flow, self.device, self.nat);
        leg.acknowledge(rooms, invite, env.cseq.number, None);
        Some(leg)
    }

    /// Ends a dialog that no process here has any record of: ACK, then BYE. However many had it, none went so far with its CSeq.
    pub fn forget(self, rooms: &mut Rooms, invite: TxnId, response: &Message) {
        let Some(mut leg) = self.acknowledge(rooms, invite, response) else { return };
        leg.dialog.skip_cseq(ORPHAN_CSEQ_STEP);
        let bye = leg.dialog.next_cseq();
        let _ = leg.ask(rooms, &Ask::own(b"BYE", bye), Use::Nobody);
    }

    /// Ends a dialog that nobody wants, made by a 2xx that came after the CANCEL or beside another one: ACK, then BYE.
    /// False: there is no BYE whose answer will come.
    pub fn hang_up(self, rooms: &mut Rooms, invite: TxnId, response: &Message, used_for: Use) -> bool {
        let Some(mut leg) = self.acknowledge(rooms, invite, response) else { return false };
        let mut bye = leg.dialog.next_cseq();
        while bye <= self.spent {
            bye = leg.dialog.next_cseq();
        }
        leg.ask(rooms, &Ask::own(b"BYE", bye), used_for).is_some()
    }
}
