//! Requests: checked in the order of RFC 3261 8.2 (method, Request-URI, Require), then handed to their room.

use tandem_sip::{
    Builder, Dialog, Envelope, Flow, HeaderFault, HeaderName, Message, Method, NameAddr, Scheme, TxnId, Uri,
    Via, response_to,
};

use super::Node;
use super::door::Door;
use super::register::REGISTRAR_DOES;
use crate::admission::Purpose;
use crate::call::{
    Call, Incoming, Opening, Privacy, SUPPORTED, Stage, is_private, unsupported, unsupported_beside,
};
use crate::directory::TrunkId;
use crate::events::ALLOW_EVENTS;
use crate::explain::KnownBy;
use crate::guard::Offence;
use crate::ids::Tag;
use crate::limits::MAX_HELD_OUTPUTS;
use crate::outbox::Occasion;
use crate::reject::Reject;
use crate::rooms::{ALLOW, Device, Use, phrase};
use crate::routing::{Way, route};

impl Node {
    pub(super) fn request(&mut self, txn: TxnId, flow: Flow, request: &Message) {
        self.rooms.counters.requests += 1;
        let Ok(env) = request.envelope() else { return };
        let trunk = self.came_from_a_trunk(flow);
        if env.to_tag.is_none() {
            match self.door(flow, trunk, request, &env) {
                Door::Open => {}
                Door::Refused(reject) => {
                    return self.rooms.refuse_and_forget(txn, flow, request, &env, &reject);
                }
                Door::Unheard => return self.rooms.endpoint.forget(txn),
            }
        }
        let incoming = Incoming { txn, flow, message: request, env: &env };
        if let Err(reject) = self.dispatch(&incoming) {
            self.rooms.refuse(txn, flow, request, &env, &reject);
        }
    }

    fn dispatch(&mut self, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let Incoming { txn, flow, message: request, env } = *incoming;
        if env.max_forwards == Some(0) && goes_further(env) {
            return Err(Reject::new(483));
        }
        if self.outbox.len() > MAX_HELD_OUTPUTS && !self.rooms.asks_for_help(request) {
            self.rooms.counters.refused_full += 1;
            return Err(Reject::full());
        }
        if env.to_tag.is_some() {
            return self.within_dialog(incoming);
        }
        match env.cseq.method {
            Method::Invite => {
                let now = self.rooms.now.mono;
                if let Some((code, answer)) = self.rooms.repeated.answer_to(env, now) {
                    self.rooms.endpoint.respond(txn, code, answer, now);
                    return Ok(());
                }
                if !self.rooms.asks_for_help(request) {
                    check_uri(request)?;
                }
                check_require(request)?;
                self.invite(incoming)
            }
            Method::Register => {
                check_uri(request)?;
                check_register_require(request)?;
                self.register(txn, flow, request, env);
                Ok(())
            }
            Method::Options => {
                check_uri(request)?;
                check_require(request)?;
                self.options(txn, flow, request, env);
                Ok(())
            }
            Method::Subscribe => {
                check_uri(request)?;
                check_require(request)?;
                self.subscribe(incoming)
            }
            Method::Notify => self.unsolicited(incoming),
            Method::Bye | Method::Update | Method::Prack | Method::Info | Method::Message => {
                // Known methods that mean nothing outside a dialog (RFC 3261 12.2.2).
                Err(Reject::new(481))
            }
            Method::Ack | Method::Cancel => Ok(()),
            Method::Refer => {
                check_uri(request)?;
                check_require(request)?;
                self.refer_outside(incoming)
            }
            Method::Publish | Method::Other => Err(Reject::new(405).with(HeaderName::Allow, ALLOW)),
        }
    }

    fn within_dialog(&mut self, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let Incoming { message: request, env, .. } = *incoming;
        let tag = env.to_tag.and_then(Tag::parse).ok_or_else(|| Reject::new(481))?;
        if let (Method::Subscribe, Some(key)) = (env.cseq.method, self.events.by_tag(tag)) {
            return self.resubscribe(key, incoming);
        }
        let key = self.rooms.tags.get(&tag).copied().ok_or_else(|| Reject::new(481))?;
        if env.cseq.method == Method::Subscribe {
            return Err(Reject::because(403, "Subscribe Outside the Call"));
        }
        check_require(request)?;
        if env.cseq.method == Method::Bye {
            self.occasion = Occasion::Parting;
        }
        if self.call(key, |call, rooms| call.request(rooms, tag, incoming)) {
            Ok(())
        } else {
            Err(Reject::new(481))
        }
    }

    fn invite(&mut self, incoming: &Incoming<'_>) -> Result<(), Reject> {
        let Incoming { txn, flow, message: request, env } = *incoming;
        if request.header(HeaderName::Replaces).is_some() {
            return self.invite_replacing(incoming);
        }
        let for_help = self.rooms.asks_for_help(request);
        if !for_help && let Some(reject) = self.drain_answer(flow, request) {
            return Err(reject);
        }
        // Before anybody proves who he is: what cannot become a call tells nobody whether a password is right.
        check_dialog(request, env)?;
        let (origin, known_by) = self.origin(flow, request, env)?;
        let refusal = self.rooms.directory.session_timer(origin).refusal(request);
        if let Some(refusal) = refusal.filter(|_| !for_help) {
            return Err(refusal);
        }
        self.call_seen(origin);
        if if for_help { self.calls.is_full_for_help() } else { self.calls.is_full() } {
            self.rooms.counters.refused_full += 1;
            return Err(Reject::full());
        }
        if !for_help && Privacy::of(request).is_beyond() {
            return Err(Reject::because(500, "Requested Privacy Not Available"));
        }
        let mut found = route(&mut self.rooms, &self.floor.agents, origin, request, env);
        if self.turns_away_anonymous(&found.outcome, request) {
            found.outcome = Err(Reject::because(433, "Anonymity Disallowed"));
        }
        let opening = Opening {
            txn,
            flow,
            request: request.detach(),
            origin,
            known_by,
            outcome: found.outcome,
            steps: found.steps,
            ring_timeout: found.ring_timeout,
        };
        let over = self.calls.open(&mut self.rooms, opening);
        self.keep(over);
        Ok(())
    }

    /// `reject-anonymous` of the Extension that is called, and a caller who does not say who he is (RFC 5079).
    fn turns_away_anonymous(&self, outcome: &Result<Way, Reject>, request: &Message) -> bool {
        let first = match outcome {
            Ok(Way::Try(stages)) => stages.first(),
            Ok(Way::Wait(_)) | Err(_) => None,
        };
        let Some(Stage::Extension(dn)) = first else { return false };
        let called = self.rooms.directory.extension(*dn);
        called.is_some_and(|called| called.class.presentation.rejects_anonymous) && is_private(request)
    }

    /// Who calls: a trunk by its address, a phone by the flow it registered over, anybody else by credentials.
    pub(super) fn origin(
        &mut self,
        flow: Flow,
        request: &Message,
        env: &Envelope<'_>,
    ) -> Result<(Device, KnownBy), Reject> {
        let rooms = &mut self.rooms;
        let for_help = env.cseq.method == Method::Invite && rooms.asks_for_help(request);
        let trunk = rooms.trunks.identify(&rooms.directory, flow);
        if let Some((id, KnownBy::TrunkAddress)) = trunk {
            return Ok((Device::Trunk(id), KnownBy::TrunkAddress));
        }
        let user = env.from.uri().ok().and_then(|uri| uri.user_unescaped());
        let dn = user.and_then(|user| rooms.directory.find(&user));
        let registered = dn.filter(|dn| rooms.registrar.is_from_binding(*dn, flow));
        if let Some(dn) = registered {
            rooms.registrar.heard(dn, flow, &mut rooms.log, rooms.now);
        }
        if let (None, Some((id, known_by))) = (registered, trunk) {
            return Ok((Device::Trunk(id), known_by));
        }
        if let Some(believed) = rooms.believed_in_need(registered, dn, for_help) {
            return Ok(believed);
        }
        if rooms.directory.options.authenticate.invite {
            rooms.prove(flow, request, env, dn, Purpose::Invite)?;
            let dn = dn.ok_or_else(|| Reject::new(403))?;
            rooms.may_come_from_there(dn, flow, request, env)?;
            return Ok((Device::Extension(dn), KnownBy::Credentials));
        }
        let known_by = if registered.is_some() { KnownBy::Registration } else { KnownBy::Trust };
        let Some(dn) = dn else {
            rooms.incident(Offence::UnknownCaller, flow, request, env);
            return Err(Reject::because(403, "Unknown Caller"));
        };
        rooms.may_come_from_there(dn, flow, request, env)?;
        Ok((Device::Extension(dn), known_by))
    }

    /// OPTIONS outside a dialog: what this server can do, and that it is there (RFC 3261 11.2).
    /// One that is drained is not, so that nobody sends it new calls.
    fn options(&mut self, txn: TxnId, flow: Flow, request: &Message, env: &Envelope<'_>) {
        if self.is_draining() {
            return self.rooms.respond(
                txn,
                flow,
                request,
                &Reject::because(503, "Service Unavailable (shutting down)"),
            );
        }
        let rooms = &mut self.rooms;
        let tag = rooms.ids.tag().text();
        let source = Some(flow.remote);
        let lines = &rooms.lines;
        let mut builder = response_to(&mut rooms.scratch, request, env, 200, b"OK", Some(&tag), source);
        builder
            .header(HeaderName::Contact, lines.contact(flow))
            .header(HeaderName::Allow, ALLOW)
            .header(HeaderName::AllowEvents, ALLOW_EVENTS)
            .header(HeaderName::Accept, b"application/sdp")
            .header(HeaderName::Supported, SUPPORTED);
        let payload = builder.finish(b"");
        rooms.endpoint.respond(txn, 200, payload, rooms.now.mono);
    }

    pub(super) fn cancel(
        &mut self,
        txn: TxnId,
        invite: Option<(TxnId, Option<Use>)>,
        flow: Flow,
        cancel: &Message,
    ) {
        self.rooms.counters.requests += 1;
        let status = if invite.is_some() { 200 } else { 481 };
        let tag = if let Some((_, Some(Use::Invite(key)))) = invite {
            self.calls.get(key).and_then(Call::caller_tag)
        } else {
            None
        };
        let tag = tag.unwrap_or_else(|| self.rooms.ids.tag());
        self.rooms.respond_as(tag, txn, flow, cancel, &Reject::new(status));
        let Some((cancelled, user)) = invite else { return };
        match user {
            Some(Use::Invite(key)) => {
                self.call(key, |call, rooms| call.cancelled(rooms, Some(cancel)));
            }
            Some(Use::ReinviteFrom(key)) => {
                self.call(key, |call, rooms| call.reinvite_cancelled(rooms, cancelled));
            }
            Some(
                Use::Branch(..)
                | Use::ReinviteTo(_)
                | Use::Relay(..)
                | Use::Bye(..)
                | Use::Stray(_)
                | Use::Audit(..)
                | Use::Refresh(..)
                | Use::Told(..)
                | Use::Probe(..)
                | Use::Notify(_)
                | Use::Pulse(_)
                | Use::Nobody,
            )
            | None => {}
        }
    }

    /// A readable request with a broken mandatory header: 400, naming it. Nothing can be said to an ACK, or to a
    /// sender who names no Via; one whose Via cannot be read is answered where the request came from.
    pub(super) fn bad_request(&mut self, flow: Flow, request: &Message, fault: HeaderFault) {
        self.rooms.counters.bad_requests += 1;
        if request.method() == Some(Method::Ack) || request.header(HeaderName::Via).is_none() {
            return;
        }
        let status = fault.status();
        let reason = format!("{} ({fault})", phrase(status));
        let tag = self.rooms.ids.tag().text();
        let mut builder = Builder::response(&mut self.rooms.scratch, status, reason.as_bytes());
        for name in [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            builder.copy(request, name);
        }
        let to = request.header(HeaderName::To).unwrap_or_default();
        match NameAddr::parse(to) {
            Ok(address) if address.tag().is_none() => {
                builder.parts(HeaderName::To, &[to, b";tag=", &tag]);
            }
            Ok(_) | Err(_) => {
                builder.copy(request, HeaderName::To);
            }
        }
        let payload = builder.finish(b"");
        self.rooms.endpoint.reply_stateless(back_to(flow, request), payload);
    }

    /// A trunk that sends requests is alive; that brings back every trunk but the peer's.
    fn came_from_a_trunk(&mut self, flow: Flow) -> Option<TrunkId> {
        let (id, known_by) = self.rooms.trunks.identify(&self.rooms.directory, flow)?;
        if known_by == KnownBy::TrunkAddress {
            let device = Device::Trunk(id);
            let told = self.rooms.trunks.request_received(device, flow, self.rooms.now);
            self.act(device, told);
        }
        Some(id)
    }
}

/// Whether a request is passed on to somebody else: only then its hop count may run out here (RFC 3261 16.3).
fn goes_further(env: &Envelope<'_>) -> bool {
    match env.cseq.method {
        Method::Bye | Method::Register => false,
        Method::Options => env.to_tag.is_some(),
        Method::Invite
        | Method::Ack
        | Method::Cancel
        | Method::Info
        | Method::Update
        | Method::Prack
        | Method::Message
        | Method::Notify
        | Method::Subscribe
        | Method::Refer
        | Method::Publish
        | Method::Other => true,
    }
}

/// The flow back to the sender of a request that has no usable envelope: as RFC 3261 18.2.2 and RFC 3581 say, as far
/// as its Via can be read.
fn back_to(flow: Flow, request: &Message) -> Flow {
    let via = request.values(HeaderName::Via).next().and_then(|via| Via::parse(via).ok());
    match via.filter(|via| via.rport().is_none() && !flow.transport.is_reliable()) {
        Some(via) => {
            let port = via.port.filter(|port| *port != 0).unwrap_or(flow.transport.default_port());
            Flow { remote: std::net::SocketAddr::new(flow.remote.ip(), port), ..flow }
        }
        None => flow,
    }
}

/// An INVITE must name what a dialog with its sender needs (RFC 3261 12.1.1).
pub(super) fn check_dialog(request: &Message, env: &Envelope<'_>) -> Result<(), Reject> {
    let Err(fault) = Dialog::uas(request, env, b"") else { return Ok(()) };
    let reason = if fault.header != HeaderName::Contact {
        "Bad Record-Route"
    } else if request.header(HeaderName::Contact).is_none() {
        "Missing Contact"
    } else {
        "Bad Contact"
    };
    Err(Reject::because(400, reason))
}

fn check_uri(request: &Message) -> Result<(), Reject> {
    let uri = request.request_uri().and_then(|uri| Uri::parse(uri).ok());
    match uri.map(|uri| uri.scheme) {
        Some(Scheme::Sip | Scheme::Sips | Scheme::Tel) => Ok(()),
        Some(Scheme::Other) => Err(Reject::new(416)),
        None => Err(Reject::because(400, "Bad Request-URI")),
    }
}

/// A registrar does more than a call does.
fn check_register_require(request: &Message) -> Result<(), Reject> {
    match unsupported_beside(request, &REGISTRAR_DOES) {
        Some(tags) => Err(Reject::new(420).with(HeaderName::Unsupported, tags)),
        None => Ok(()),
    }
}

fn check_require(request: &Message) -> Result<(), Reject> {
    match unsupported(request) {
        Some(tags) => Err(Reject::new(420).with(HeaderName::Unsupported, tags)),
        None => Ok(()),
    }
}
