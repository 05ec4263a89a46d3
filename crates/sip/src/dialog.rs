//! Dialog state (RFC 3261 12), compact: one buffer, because a server holds 10^5 of them.

mod text;

use crate::builder::Builder;
use crate::error::{HeaderFault, ParseErrorKind};
use crate::flow::Transport;
use crate::header_name::HeaderName;
use crate::lexer;
use crate::limits;
use crate::message::{Envelope, Message};
use crate::name_addr::NameAddr;
use crate::uri::Uri;

use text::{Part, Text};

/// One dialog, seen from our end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    text: Text,
    local_cseq: u32,
    remote_cseq: Option<u32>,
}

/// The Via of a request in the dialog.
#[derive(Clone, Copy, Debug)]
pub struct ViaLine<'a> {
    /// How it is sent.
    pub transport: Transport,
    /// Our address, `host[:port]`.
    pub sent_by: &'a [u8],
    /// From [`Endpoint::reserve`](crate::endpoint::Endpoint::reserve).
    pub branch: &'a [u8],
}

/// How a request stands to those before it (RFC 3261 12.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Higher than all before: process it.
    New,
    /// The same number again: the transaction layer has forgotten the first one, or a method shares it.
    Retransmission,
    /// Lower: answer 500.
    OutOfOrder,
}

impl Dialog {
    /// The dialog of a request that we answer with `local_tag` (RFC 3261 12.1.1).
    ///
    /// # Errors
    /// A missing or broken Contact, a broken Record-Route, or more than [`limits::MAX_ROUTES`] of them.
    pub fn uas(request: &Message, envelope: &Envelope<'_>, local_tag: &[u8]) -> Result<Dialog, HeaderFault> {
        let target =
            target(request)?.ok_or(HeaderFault::new(HeaderName::Contact, ParseErrorKind::Missing))?;
        let (local, remote, routes) =
            (identity(&envelope.to), identity(&envelope.from), routes(request, false)?);
        let remote_tag = envelope.from_tag.unwrap_or_default();
        let text = Text::new([envelope.call_id, &local, local_tag, &remote, remote_tag, target, &routes]);
        let text = text.ok_or(TOO_LONG)?;
        Ok(Dialog { text, local_cseq: 0, remote_cseq: Some(envelope.cseq.number) })
    }

    /// The dialog of a response to our request (RFC 3261 12.1.2). Its From, Call-ID and CSeq are ours, echoed: the
    /// caller has seen that tag and Call-ID are those of its request.
    ///
    /// # Errors
    /// As [`Dialog::uas`].
    pub fn uac(response: &Message, envelope: &Envelope<'_>) -> Result<Dialog, HeaderFault> {
        let target =
            target(response)?.ok_or(HeaderFault::new(HeaderName::Contact, ParseErrorKind::Missing))?;
        let (local, remote, routes) =
            (identity(&envelope.from), identity(&envelope.to), routes(response, true)?);
        let [local_tag, remote_tag] = [envelope.from_tag, envelope.to_tag].map(Option::unwrap_or_default);
        let text = Text::new([envelope.call_id, &local, local_tag, &remote, remote_tag, target, &routes]);
        let text = text.ok_or(TOO_LONG)?;
        Ok(Dialog { text, local_cseq: envelope.cseq.number, remote_cseq: None })
    }

    /// The 2xx of an early dialog of ours: its route set and target replace those of the provisional response
    /// (RFC 3261 13.2.2.4).
    ///
    /// # Errors
    /// A broken Contact or Record-Route; the dialog is as before.
    pub fn confirm(&mut self, response: &Message) -> Result<(), HeaderFault> {
        let routes = routes(response, true)?;
        let target = target(response)?.unwrap_or(self.text.get(Part::Target));
        let text = self.text.replace(target, &routes).ok_or(TOO_LONG)?;
        self.text = text;
        Ok(())
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &[u8] {
        self.text.get(Part::CallId)
    }

    /// Our tag.
    #[must_use]
    pub fn local_tag(&self) -> &[u8] {
        self.text.get(Part::LocalTag)
    }

    /// The other end's tag; empty for an element of RFC 2543.
    #[must_use]
    pub fn remote_tag(&self) -> &[u8] {
        self.text.get(Part::RemoteTag)
    }

    /// Our name and address, without the tag.
    #[must_use]
    pub fn local(&self) -> &[u8] {
        self.text.get(Part::Local)
    }

    /// The other end's name and address, without the tag.
    #[must_use]
    pub fn remote(&self) -> &[u8] {
        self.text.get(Part::Remote)
    }

    /// The last CSeq number that we used; 0 before the first.
    #[must_use]
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The highest CSeq number of the other end, once it has sent a request.
    #[must_use]
    pub fn remote_cseq(&self) -> Option<u32> {
        self.remote_cseq
    }

    /// The URI of the other end's Contact.
    #[must_use]
    pub fn remote_target(&self) -> &[u8] {
        self.text.get(Part::Target)
    }

    /// The Route values, in the order in which a request visits them.
    pub fn route_set(&self) -> impl Iterator<Item = &[u8]> + Clone {
        text::routes(self.text.get(Part::Routes))
    }

    /// Whether a request from the other end belongs to this dialog.
    #[must_use]
    pub fn matches(&self, request: &Envelope<'_>) -> bool {
        request.call_id == self.call_id()
            && request.to_tag.unwrap_or_default() == self.local_tag()
            && request.from_tag.unwrap_or_default() == self.remote_tag()
    }

    /// Whether a response to a request of ours belongs to this dialog.
    #[must_use]
    pub fn matches_response(&self, response: &Envelope<'_>) -> bool {
        response.call_id == self.call_id()
            && response.from_tag.unwrap_or_default() == self.local_tag()
            && response.to_tag.unwrap_or_default() == self.remote_tag()
    }

    /// Judges the CSeq number of a request from the other end, other than ACK and CANCEL, and remembers it.
    pub fn accept_request(&mut self, cseq: u32) -> Order {
        match self.remote_cseq {
            Some(last) if cseq < last => Order::OutOfOrder,
            Some(last) if cseq == last => Order::Retransmission,
            Some(_) | None => {
                self.remote_cseq = Some(cseq);
                Order::New
            }
        }
    }

    /// The CSeq number of our next request, other than ACK and CANCEL.
    pub fn next_cseq(&mut self) -> u32 {
        self.local_cseq = (self.local_cseq + 1).min(limits::CSEQ_BOUND - 1);
        self.local_cseq
    }

    /// Leaves out so many numbers: requests that nobody remembers may have had them.
    pub fn skip_cseq(&mut self, numbers: u32) {
        self.local_cseq = self.local_cseq.saturating_add(numbers).min(limits::CSEQ_BOUND - 1);
    }

    /// Takes the Contact of a target refresh, request or 2xx (RFC 3261 12.2). True if the target changed; a message
    /// without a usable Contact changes nothing.
    pub fn refresh_target(&mut self, message: &Message) -> bool {
        let Ok(Some(target)) = target(message) else { return false };
        if target == self.remote_target() {
            return false;
        }
        let Some(text) = self.text.replace(target, self.text.get(Part::Routes)) else { return false };
        self.text = text;
        true
    }

    /// Where a request goes first: the first Route, or the remote target. A URI.
    #[must_use]
    pub fn next_hop(&self) -> &[u8] {
        self.route_set().next().map_or(self.remote_target(), uri_of)
    }

    /// Starts a request in the dialog (RFC 3261 12.2.1.1): Request-URI, Via, Route, Max-Forwards, From, To, Call-ID
    /// and CSeq. The number of an ACK is that of its INVITE.
    pub fn request<'b>(
        &self,
        buf: &'b mut Vec<u8>,
        method: &[u8],
        cseq: u32,
        via: ViaLine<'_>,
        max_forwards: u8,
    ) -> Builder<'b> {
        let strict = self.route_set().next().map(uri_of).filter(|uri| is_strict(uri));
        let target = self.remote_target();
        let mut builder = Builder::request(buf, method, without_headers(strict.unwrap_or(target)));
        builder.via(via.transport, via.sent_by, via.branch);
        for route in self.route_set().skip(usize::from(strict.is_some())) {
            builder.header(HeaderName::Route, route);
        }
        if strict.is_some() {
            builder.parts(HeaderName::Route, &[b"<", target, b">"]);
        }
        builder.number(HeaderName::MaxForwards, u64::from(max_forwards));
        tagged(&mut builder, HeaderName::From, self.local(), self.local_tag());
        tagged(&mut builder, HeaderName::To, self.remote(), self.remote_tag());
        builder.header(HeaderName::CallId, self.call_id()).cseq(cseq, method);
        builder
    }

    /// The dialog as bytes, for a replicated record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.local_cseq.to_be_bytes());
        out.extend_from_slice(&self.remote_cseq.unwrap_or(NO_CSEQ).to_be_bytes());
        self.text.encode(&mut out);
        out
    }

    /// Reads what [`Dialog::encode`] wrote. `None`: it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Dialog> {
        let (local_cseq, rest) = bytes.split_first_chunk()?;
        let (remote_cseq, rest) = rest.split_first_chunk()?;
        let (local_cseq, remote_cseq) = (u32::from_be_bytes(*local_cseq), u32::from_be_bytes(*remote_cseq));
        if local_cseq >= limits::CSEQ_BOUND || (remote_cseq >= limits::CSEQ_BOUND && remote_cseq != NO_CSEQ) {
            return None;
        }
        let remote_cseq = Some(remote_cseq).filter(|number| *number != NO_CSEQ);
        Some(Dialog { text: Text::decode(rest)?, local_cseq, remote_cseq })
    }
}

/// No request from the other end yet, in the encoded form.
const NO_CSEQ: u32 = u32::MAX;

/// The identifiers of a dialog must fit 16-bit offsets.
const TOO_LONG: HeaderFault = HeaderFault::new(HeaderName::RecordRoute, ParseErrorKind::TooLong);

/// The name-addr of From or To without its parameters.
fn identity(address: &NameAddr<'_>) -> Vec<u8> {
    let display = lexer::unfold(address.display);
    let mut out = Vec::with_capacity(display.len() + address.uri.len() + 3);
    if !display.is_empty() {
        out.extend_from_slice(&display);
        out.push(b' ');
    }
    out.push(b'<');
    out.extend_from_slice(address.uri);
    out.push(b'>');
    out
}

fn tagged(builder: &mut Builder<'_>, name: HeaderName, identity: &[u8], tag: &[u8]) {
    if tag.is_empty() {
        builder.header(name, identity);
    } else {
        builder.parts(name, &[identity, b";tag=", tag]);
    }
}

/// The URI of the first Contact; none if there is no Contact.
fn target(message: &Message) -> Result<Option<&[u8]>, HeaderFault> {
    let fault = |kind| HeaderFault::new(HeaderName::Contact, kind);
    let Some(contact) = message.values(HeaderName::Contact).next() else { return Ok(None) };
    let contact = NameAddr::parse(contact).map_err(|e| fault(e.kind))?;
    contact.uri().map_err(|e| fault(e.kind))?;
    Ok(Some(contact.uri))
}

/// The Record-Route values as they are kept, reversed for the end that sent the request.
fn routes(message: &Message, reversed: bool) -> Result<Vec<u8>, HeaderFault> {
    let fault = |kind| HeaderFault::new(HeaderName::RecordRoute, kind);
    let mut values: smallvec::SmallVec<[&[u8]; 4]> = message.values(HeaderName::RecordRoute).collect();
    if values.len() > limits::MAX_ROUTES {
        return Err(fault(ParseErrorKind::TooLong));
    }
    if reversed {
        values.reverse();
    }
    let mut out = Vec::new();
    for value in values {
        NameAddr::parse(value).and_then(|route| route.uri()).map_err(|e| fault(e.kind))?;
        text::push_route(&mut out, &lexer::unfold(value)).ok_or(TOO_LONG)?;
    }
    Ok(out)
}

/// The URI of a Route value that was checked when it was kept.
fn uri_of(route: &[u8]) -> &[u8] {
    NameAddr::parse(route).map_or(route, |route| route.uri)
}

/// RFC 2543 routers lack `lr`: they expect themselves in the Request-URI.
fn is_strict(uri: &[u8]) -> bool {
    Uri::parse(uri).is_ok_and(|uri| !uri.params.has(b"lr"))
}

/// A Request-URI has no headers (RFC 3261 19.1.1).
fn without_headers(uri: &[u8]) -> &[u8] {
    let at = memchr::memchr(b'?', uri).filter(|_| Uri::parse(uri).is_ok_and(|uri| !uri.headers.is_empty()));
    at.and_then(|at| uri.get(..at)).unwrap_or(uri)
}
