//! One INVITE to one possible callee.

use tandem_sip::{Dialog, Envelope, Flow, HeaderName, Message, Method, TxnId};

use super::headers;
use super::leg::{Ask, Leg};
use crate::arena::Key;
use crate::ids::{LegCallId, Tag};
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
    /// A CANCEL was asked for.
    pub(super) cancelled: bool,
    /// The request outgrew UDP and went by TCP; should TCP fail, UDP is tried (RFC 3261 18.1.1).
    pub(super) by_tcp_for_size: bool,
}

impl Branch {
    /// Sends the INVITE; `again` is the same branch as it was first sent, by TCP, in vain. `None` when the transaction
    /// table is full.
    pub(super) fn call(
        rooms: &mut Rooms,
        key: Key,
        id: u8,
        target: Target,
        request: &Message,
        again: Option<&Self>,
    ) -> Option<Self> {
        let (txn, name) = rooms.endpoint.reserve()?;
        let mut branch = Self {
            id,
            txn,
            tag: again.map_or_else(|| rooms.ids.tag(), |first| first.tag),
            call_id: again.map_or_else(|| rooms.ids.call_id(), |first| first.call_id),
            target,
            cancelled: false,
            by_tcp_for_size: false,
        };
        let mut flow = branch.target.flow;
        let Some(mut payload) = branch.print(rooms, request, flow, name.as_ref()) else {
            rooms.endpoint.release(txn);
            return None;
        };
        let wanted = rooms.endpoint.pick_transport(flow, payload.len());
        if wanted.transport != flow.transport && again.is_none() {
            flow = wanted;
            branch.by_tcp_for_size = true;
            payload = branch.print(rooms, request, flow, name.as_ref())?;
        }
        rooms.endpoint.start(txn, Method::Invite, flow, payload, Use::Branch(key, id), rooms.now.mono);
        Some(branch)
    }

    fn print(&self, rooms: &mut Rooms, request: &Message, flow: Flow, name: &[u8]) -> Option<bytes::Bytes> {
        let env = request.envelope().ok()?;
        let lines = &rooms.lines;
        let mut builder = tandem_sip::Builder::request(&mut rooms.scratch, b"INVITE", &self.target.uri);
        builder.via(flow.transport, lines.sent_by.as_bytes(), name);
        builder.number(HeaderName::MaxForwards, u64::from(env.max_forwards.unwrap_or(70).saturating_sub(1)));
        self.identity(&mut builder, request, lines.sent_by.as_bytes());
        builder.cseq(1, b"INVITE");
        own_headers(&mut builder, lines.contact(flow.transport));
        if self.target.marked {
            builder.header(HeaderName::XTandemForwarded, rooms.directory.server.name.as_bytes());
        }
        headers::relay(&mut builder, request);
        Some(builder.finish(request.body()))
    }

    /// From, To and Call-ID of this branch's dialog, the same in its INVITE and its CANCEL.
    fn identity(&self, builder: &mut tandem_sip::Builder<'_>, request: &Message, host: &[u8]) {
        let Ok(env) = request.envelope() else { return };
        headers::print_from(builder, &env.from, host, &self.tag.text());
        let dialled = env.to.uri().ok().and_then(|uri| uri.user()).unwrap_or_default();
        if dialled.is_empty() {
            builder.parts(HeaderName::To, &[b"<", &self.target.uri, b">"]);
        } else {
            builder.parts(HeaderName::To, &[b"<sip:", dialled, b"@", host, b">"]);
        }
        builder.header(HeaderName::CallId, &self.call_id.text());
    }

    /// Takes the INVITE back (RFC 3261 9.1). The transaction layer waits for a provisional response if it must.
    pub(super) fn cancel(&mut self, rooms: &mut Rooms, request: &Message, reason: &[u8]) {
        if std::mem::replace(&mut self.cancelled, true) {
            return;
        }
        let Some(name) = rooms.endpoint.branch(self.txn) else { return };
        let transport = self.flow(rooms).transport;
        let lines = &rooms.lines;
        let mut builder = tandem_sip::Builder::request(&mut rooms.scratch, b"CANCEL", &self.target.uri);
        builder.via(transport, lines.sent_by.as_bytes(), name.as_ref()).number(HeaderName::MaxForwards, 70);
        self.identity(&mut builder, request, lines.sent_by.as_bytes());
        builder.cseq(1, b"CANCEL").header(HeaderName::Reason, reason);
        let payload = builder.finish(b"");
        rooms.endpoint.cancel(self.txn, payload, rooms.now.mono);
    }

    /// Where its INVITE really went.
    fn flow(&self, rooms: &Rooms) -> Flow {
        if self.by_tcp_for_size {
            rooms.endpoint.pick_transport(self.target.flow, usize::MAX)
        } else {
            self.target.flow
        }
    }

    /// Whether a response is one of this branch's dialog.
    pub(super) fn owns(&self, env: &Envelope<'_>) -> bool {
        env.from_tag == Some(&self.tag.text()) && env.call_id == self.call_id.text()
    }
}

/// Ends a dialog that nobody wants: a 2xx that came after the CANCEL, or a second one. ACK, then BYE.
pub fn hang_up_stray(rooms: &mut Rooms, invite: TxnId, device: Device, flow: Flow, response: &Message) {
    let Some(mut leg) = acknowledge_stray(rooms, invite, device, flow, response) else { return };
    let bye = leg.dialog.next_cseq();
    let _full = leg.ask(rooms, &Ask::own(b"BYE", bye), Use::Nobody);
}

/// Acknowledges a 2xx whose dialog is being ended, or is not known any more: every 2xx gets its ACK (RFC 3261
/// 13.2.2.4), or the other side repeats it for 64*T1. Gives the dialog it made.
pub fn acknowledge_stray(
    rooms: &mut Rooms,
    invite: TxnId,
    device: Device,
    flow: Flow,
    response: &Message,
) -> Option<Leg> {
    let env = response.envelope().ok()?;
    let dialog = Dialog::uac(response, &env).ok()?;
    let leg = Leg::new(dialog, flow, device, false);
    leg.acknowledge(rooms, invite, env.cseq.number, None);
    Some(leg)
}
