//! One side of an answered call: its dialog, and where requests within it go.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tandem_sip::dialog::{Dialog, ViaLine};
use tandem_sip::{Flow, HeaderName, Host, Message, Method, TxnId, Uri};

use super::credentials::Authorization;
use super::headers;
use super::hold::Hold;
use super::incoming::hops;
use super::news::LegNo;
use super::passage::Passage;
use super::session::Session;
use super::session_id::SessionIds;
use super::timer::Timer;
use crate::arena::Key;
use crate::away::{Missing, Waiting};
use crate::directory::{Directory, DnId};
use crate::registrar::Phone;
use crate::rooms::{Device, Rooms, Use, own_headers};
use crate::stored::GONE;
use crate::time::Now;

/// Which end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one who called.
    Caller,
    /// The one who was called.
    Callee,
}

impl Side {
    /// The opposite end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "caller's",
            Self::Callee => "callee's",
        })
    }
}

/// One side of a call.
#[derive(Clone, Debug)]
pub struct Leg {
    /// RFC 3261 section 12.
    pub dialog: Dialog,
    /// Where requests in the dialog go.
    pub flow: Flow,
    /// The far end.
    pub device: Device,
    /// What the far end is called in the configuration, once the call is answered: records name it so.
    pub name: Option<Arc<str>>,
    /// The leg's number in its call.
    pub no: LegNo,
    /// The far end is behind a NAT: its Contact is not where it is reached.
    pub nat: bool,
    /// How the party here holds the other one.
    pub holds: Hold,
    /// The session that this server itself describes to the far end, once it has done so.
    pub session: Option<Session>,
    /// Session UUIDs of its far end and of whom that speaks with.
    pub session_ids: SessionIds,
    /// Its session timer.
    pub(super) timer: Timer,
    /// The nailed-up connection that it is lent from.
    pub nailed: Option<Key>,
    /// What answered the far end's challenge to the INVITE; its ACK repeats it (RFC 3261 22.1).
    pub authorization: Option<Box<Authorization>>,
}

/// A request of ours within a dialog.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Method token.
    pub method: &'a [u8],
    /// CSeq number.
    pub cseq: u32,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// The other side's message whose headers and body are passed on.
    pub like: Option<&'a Message>,
    /// A session description instead of the body that `like` has.
    pub sdp: Option<&'a [u8]>,
    /// A header and a body of this server's own.
    pub own: Option<Own<'a>>,
    /// `RAck` of a PRACK, counted in this leg's numbers.
    pub rack: Option<&'a [u8]>,
    /// `Reason` (RFC 3326).
    pub reason: Option<&'a [u8]>,
    /// The answer to the challenge that the request met before.
    pub authorization: Option<&'a Authorization>,
    /// Who sent `like` is believed in what he says of persons.
    pub believed: bool,
    /// Stay with UDP however long it is: TCP was tried in vain (RFC 3261 18.1.1).
    pub udp_only: bool,
}

/// What a request of this server's own says.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Headers of it.
    pub headers: &'a [(HeaderName, &'a [u8])],
    /// Its body.
    pub body: &'a [u8],
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its transaction.
    pub txn: TxnId,
    /// It outgrew UDP and went by TCP.
    pub by_tcp_for_size: bool,
}

impl<'a> Ask<'a> {
    /// A request of this server's own.
    #[must_use]
    pub fn own(method: &'a [u8], cseq: u32) -> Self {
        Self {
            method,
            cseq,
            max_forwards: 70,
            like: None,
            sdp: None,
            own: None,
            rack: None,
            reason: None,
            authorization: None,
            believed: false,
            udp_only: false,
        }
    }
}

impl Leg {
    /// A leg whose far end sent `message` by `flow`.
    #[must_use]
    pub fn new(dialog: Dialog, flow: Flow, device: Device, nat: bool) -> Self {
        let mut leg = Self {
            dialog,
            flow,
            device,
            name: None,
            no: 0,
            nat,
            holds: Hold::No,
            session: None,
            session_ids: SessionIds::default(),
            timer: Timer::default(),
            nailed: None,
            authorization: None,
        };
        leg.aim();
        leg
    }

    /// Says which leg of its call it is, and what its far end is called.
    pub(super) fn number(&mut self, no: LegNo, directory: &Directory) {
        self.no = no;
        self.name = Rooms::shared_name(directory, self.device);
    }

    /// Finds where requests go: the first hop of the dialog when that is an address of its own, the flow otherwise.
    pub fn aim(&mut self) {
        if self.nat || self.flow.transport.is_reliable() {
            return;
        }
        // One of the other family cannot be reached by this flow's address: the source can.
        if let Some(remote) = self.first_hop().filter(|at| at.is_ipv4() == self.flow.remote.is_ipv4()) {
            self.flow.remote = remote;
        }
    }

    fn first_hop(&self) -> Option<SocketAddr> {
        // An address of one phone (RFC 5627) names this server.
        address(&Uri::parse(self.dialog.next_hop()).ok().filter(|uri| !uri.params.has(b"gr"))?)
    }

    /// A request of the far end came by this flow: behind a NAT, or by a connection, that is where it is reached from
    /// now on. True if that is news.
    pub fn heard_by(&mut self, flow: Flow) -> bool {
        let moved = (self.nat || self.flow.transport.is_reliable())
            && flow.transport == self.flow.transport
            && flow != self.flow;
        if moved {
            self.flow = flow;
        }
        moved
    }

    /// The connection to the far end is gone: a new one to its Contact is next (RFC 3261 18.1.1). False: there was none,
    /// or it was a new one already.
    pub fn reconnect(&mut self) -> bool {
        if !self.is_on_connection() || self.flow.conn == GONE {
            return false;
        }
        self.flow.conn = 0;
        self.aim_anew();
        true
    }

    /// Requests go to the far end's own address from now on, if it names one.
    pub(super) fn aim_anew(&mut self) {
        if let Some(remote) = self.first_hop() {
            self.flow.remote = remote;
        }
    }

    /// Whether requests go by a connection that the far end opened.
    #[must_use]
    pub fn is_on_connection(&self) -> bool {
        self.flow.transport.is_reliable() && self.flow.conn != 0
    }

    /// A target refresh of the far end (RFC 3261 12.2), request or response.
    pub fn renew(&mut self, message: &Message) {
        self.dialog.refresh_target(message);
        self.aim();
    }

    /// The far end's INVITE is about to be answered with a 2xx that has this body: its session timer begins.
    pub(super) fn begin_session(
        &mut self,
        rooms: &Rooms,
        directory: &Directory,
        invite: &Message,
        answer: &[u8],
    ) {
        self.timer = self.timer.begun_by(&Timer::new(directory.session_timer(self.device)));
        self.timer.accept(invite, rooms.now);
        self.timer.say(answer);
    }

    /// A 2xx of the far end to an INVITE or UPDATE of ours within the dialog: target and session timer begin anew.
    pub fn confirmed(&mut self, ok: &Message, now: Now) {
        self.renew(ok);
        self.timer.accepted(ok, now);
    }

    /// Where a request goes now. `None`: the phone's connection is gone, and it is not back yet.
    pub(crate) fn way_now(&self, rooms: &Rooms) -> Option<Flow> {
        if self.flow.conn != GONE {
            return Some(self.way(rooms));
        }
        let (transport, target) = (self.flow.transport, self.dialog.remote_target());
        rooms.registrar.way_to(self.dn(rooms)?, &Phone { transport, target, instance: self.instance(rooms) })
    }

    fn instance<'a>(&self, rooms: &'a Rooms) -> Option<&'a [u8]> {
        rooms.away.instance(self.name.as_deref()?, self.dialog.local_tag())
    }

    /// Notes who it is that is missed, if its phone is: by that it is known when it comes back.
    pub(super) fn is_missed_by(&self, rooms: &mut Rooms, call: Key) {
        let (Some(number), Some(dn)) = (self.name.clone().filter(|_| self.is_missed()), self.dn(rooms))
        else {
            return;
        };
        let instance = rooms.registrar.instance_at(dn, self.flow, self.dialog.remote_target());
        let (tag, instance) = (self.dialog.local_tag().into(), instance.map(Box::from));
        rooms.away.misses(number, Missing { call, tag, instance });
    }

    /// Whether its phone's connection is gone, and it was not heard of since.
    pub(super) fn is_missed(&self) -> bool {
        self.flow.conn == GONE && matches!(self.device, Device::Extension(_))
    }

    /// A request to a phone whose connection is gone could not be delivered where the phone would have to be dialled: nobody
    /// listens there, and the request waits for the phone. False: it does not.
    pub(crate) fn cannot_dial(&self, rooms: &mut Rooms) -> bool {
        if !self.is_missed() || rooms.away.gives_up {
            return false;
        }
        // Another request may have found that out before.
        let (Some(tried), Some(dn)) = (self.way_now(rooms), self.dn(rooms)) else { return true };
        rooms.registrar.cannot_dial(dn, tried, &mut rooms.log, rooms.now);
        self.way_now(rooms) != Some(tried)
    }

    pub(super) fn dn(&self, rooms: &Rooms) -> Option<DnId> {
        rooms.directory.find(self.name.as_deref()?.as_bytes())
    }

    /// Sends a request once the phone is back. `None`: nobody waits for that.
    fn ask_later(
        &self,
        rooms: &mut Rooms,
        txn: TxnId,
        method: Method,
        payload: Bytes,
        used_for: Use,
    ) -> Option<Sent> {
        let target = self.dialog.remote_target().into();
        let (transport, instance) = (self.flow.transport, self.instance(rooms).map(Box::from));
        let waiting =
            Waiting { dn: self.dn(rooms)?, transport, target, instance, txn, method, payload, used_for };
        rooms.away.wait(waiting, rooms.now.mono).is_none().then_some(Sent { txn, by_tcp_for_size: false })
    }

    /// Sends a request in the dialog. `None` when the transaction table is full.
    pub fn ask(&self, rooms: &mut Rooms, ask: &Ask<'_>, used_for: Use) -> Option<Sent> {
        let (txn, branch) = rooms.endpoint.reserve()?;
        let Some(mut flow) = self.way_now(rooms) else {
            let payload = self.print(rooms, ask, self.flow, branch.as_ref());
            let sent = self.ask_later(rooms, txn, Method::parse(ask.method), payload, used_for);
            if sent.is_none() {
                rooms.endpoint.release(txn);
            }
            return sent;
        };
        let mut payload = self.print(rooms, ask, flow, branch.as_ref());
        let wanted = rooms.endpoint.pick_transport(flow, payload.len());
        let by_tcp_for_size = !ask.udp_only && wanted.transport != flow.transport;
        if by_tcp_for_size {
            flow = wanted;
            payload = self.print(rooms, ask, flow, branch.as_ref());
        }
        let method = Method::parse(ask.method);
        rooms.endpoint.start(txn, method, flow, payload, used_for, rooms.now.mono);
        Some(Sent { txn, by_tcp_for_size })
    }

    /// Sends the ACK for a 2xx to our INVITE, and keeps it in case the 2xx comes again.
    pub fn acknowledge(&self, rooms: &mut Rooms, invite: TxnId, cseq: u32, like: Option<&Message>) {
        self.acknowledge_with(rooms, invite, cseq, like, None);
    }

    /// The same with this session description instead of the one in `like`.
    pub fn acknowledge_with(
        &self,
        rooms: &mut Rooms,
        invite: TxnId,
        cseq: u32,
        like: Option<&Message>,
        sdp: Option<&[u8]>,
    ) {
        let branch = format!("z9hG4bK{:016x}", rooms.ids.bits());
        let authorization = self.authorization.as_deref();
        let ask =
            Ask { like, sdp, max_forwards: like.map_or(70, hops), authorization, ..Ask::own(b"ACK", cseq) };
        let flow = self.way_now(rooms).unwrap_or(self.flow);
        let payload = self.print(rooms, &ask, flow, branch.as_bytes());
        let until = rooms.now.mono + rooms.directory.options.timers.patience();
        rooms.acks.expire(rooms.now.mono);
        rooms.acks.keep(invite, self.dialog.remote_tag(), flow, payload.clone(), until);
        rooms.endpoint.send(flow, payload);
    }

    /// Takes back an INVITE of ours in the dialog. False: it has its final response already.
    pub fn cancel(&self, rooms: &mut Rooms, invite: TxnId, cseq: u32) -> bool {
        let (Some(branch), Some(flow)) = (rooms.endpoint.branch(invite), rooms.endpoint.flow(invite)) else {
            return false;
        };
        let payload = self.print(rooms, &Ask::own(b"CANCEL", cseq), flow, branch.as_ref());
        rooms.endpoint.cancel(invite, payload, rooms.now.mono)
    }

    /// Whether a response belongs to the dialog.
    #[must_use]
    pub fn owns(&self, response: &tandem_sip::Envelope<'_>) -> bool {
        response.call_id == self.dialog.call_id()
            && response.from_tag == Some(self.dialog.local_tag())
            && response.to_tag.unwrap_or_default() == self.dialog.remote_tag()
    }

    fn print(&self, rooms: &mut Rooms, ask: &Ask<'_>, flow: Flow, branch: &[u8]) -> Bytes {
        let via = ViaLine { transport: flow.transport, sent_by: rooms.lines.via(flow), branch };
        let mut builder =
            self.dialog.request(&mut rooms.scratch, ask.method, ask.cseq, via, ask.max_forwards);
        if ask.method == b"NOTIFY" && ask.like.is_none() {
            builder.header(HeaderName::Contact, rooms.lines.contact(flow));
        }
        if matches!(ask.method, b"INVITE" | b"UPDATE") {
            own_headers(&mut builder, rooms.lines.contact(flow));
        }
        if let Some(rack) = ask.rack {
            builder.header(HeaderName::RAck, rack);
        }
        if let Some(reason) = ask.reason {
            builder.header(HeaderName::Reason, reason);
        }
        if let Some(authorization) = ask.authorization {
            builder.header(authorization.name, &authorization.value);
        }
        if let Some(like) = ask.like {
            let mut passage = Passage::to(&rooms.directory, self.name.as_deref(), ask.believed);
            passage.session_ids = self.session_ids;
            headers::relay(&mut builder, like, rooms.lines.sent_by.as_bytes(), &passage);
        } else if !self.session_ids.is_nil() && ask.method != b"CANCEL" {
            self.session_ids.print(&mut builder);
        }
        if matches!(ask.method, b"INVITE" | b"UPDATE") {
            self.timer.print_request(&mut builder);
        }
        match (ask.like, ask.sdp) {
            (Some(like), sdp) => builder.finish(sdp.unwrap_or(like.body())),
            (None, Some(sdp)) => {
                builder.header(HeaderName::ContentType, b"application/sdp");
                builder.finish(sdp)
            }
            (None, None) => {
                let Some(own) = ask.own else { return builder.finish(b"") };
                for (name, value) in own.headers {
                    builder.header(*name, value);
                }
                builder.finish(own.body)
            }
        }
    }
}

/// The address a URI names, if its host is one.
#[must_use]
pub fn address(uri: &Uri<'_>) -> Option<SocketAddr> {
    let ip = match uri.host {
        Host::V4(ip) => ip.into(),
        Host::V6(ip) => ip.into(),
        Host::Name(_) => return None,
    };
    Some(SocketAddr::new(ip, uri.port.unwrap_or(5060)))
}

/// Whether the far end of a dialog is reached where its request came from: it sits behind a NAT, or asks for its flow.
#[must_use]
pub fn behind_nat(
    directory: &Directory,
    device: Device,
    dialog: &Dialog,
    env: &tandem_sip::Envelope<'_>,
    source: SocketAddr,
) -> bool {
    crate::nat::holds_to_flow(crate::nat::of(directory, device), env, dialog.next_hop(), source)
}
