//! The head of a response to a request (RFC 3261 8.2.6.2, 18.2.1; RFC 3581 4).

use super::Builder;
use crate::flow::Transport;
use crate::header_name::HeaderName;
use crate::lexer;
use crate::limits::{KEEP_DATAGRAM_S, KEEP_STREAM_S};
use crate::message::{Envelope, Message};
use std::io::Write as _;
use std::net::SocketAddr;

/// Starts a response: every Via of the request (the top one with `received` and `rport`), From, To, Call-ID, CSeq, and
/// for a 100 the Timestamp.
///
/// `to_tag` is added unless the request has a To-tag. `source` is where the request came from, as the socket saw it.
pub fn response_to<'a>(
    buf: &'a mut Vec<u8>,
    request: &Message,
    envelope: &Envelope<'_>,
    code: u16,
    reason: &[u8],
    to_tag: Option<&[u8]>,
    source: Option<SocketAddr>,
) -> Builder<'a> {
    let mut builder = Builder::response(buf, code, reason);
    let mut vias = request.lines(HeaderName::Via);
    match (vias.next(), source) {
        (Some(top), Some(source)) => builder.marked_via(top, envelope, source),
        (Some(top), None) => builder.copy_value(HeaderName::Via, top),
        (None, _) => {}
    }
    for via in vias {
        builder.copy_value(HeaderName::Via, via);
    }
    builder.copy(request, HeaderName::From);
    builder.tagged_to(request, envelope, to_tag);
    builder.copy(request, HeaderName::CallId).copy(request, HeaderName::CSeq);
    if code == 100 {
        builder.copy(request, HeaderName::Timestamp);
    }
    builder
}

impl Builder<'_> {
    /// The first Via line with what the socket saw in its first element: `received` when sent-by says otherwise or
    /// `rport` was asked for, and `rport` filled in. What a sender claims of both is thrown away.
    fn marked_via(&mut self, line: &[u8], envelope: &Envelope<'_>, source: SocketAddr) {
        let via = &envelope.via;
        let (element, others) = lexer::split_element(line);
        let element = lexer::trim(element);
        let ip = source.ip().to_canonical();
        let asks_rport = via.rport().is_some();
        let marks_received = asks_rport || via.host.ip().is_none_or(|host| host.to_canonical() != ip);
        if !self.begin(HeaderName::Via) {
            return;
        }
        let head_len = element.len().saturating_sub(via.params.raw().len());
        self.push_verbatim(lexer::trim(element.get(..head_len).unwrap_or(element)));
        for (name, value) in via.params {
            if name.eq_ignore_ascii_case(b"received") || name.eq_ignore_ascii_case(b"rport") {
                continue;
            }
            self.buf.push(b';');
            self.buf.extend_from_slice(name);
            if value.is_none() && name.eq_ignore_ascii_case(b"keep") {
                // Its sender would keep the flow alive, and is told how often (RFC 6223 4.4).
                let reliable = via.transport.is_some_and(Transport::is_reliable);
                self.buf.push(b'=');
                self.push_number(if reliable { KEEP_STREAM_S } else { KEEP_DATAGRAM_S });
            } else if let Some(value) = value {
                self.buf.push(b'=');
                self.push_verbatim(value);
            }
        }
        if marks_received {
            // Writing to a vector cannot fail.
            let _ = write!(self.buf, ";received={ip}");
        }
        if asks_rport {
            self.buf.extend_from_slice(b";rport=");
            self.push_number(u64::from(source.port()));
        }
        if !others.is_empty() {
            self.buf.push(b',');
            self.push_verbatim(others);
        }
        self.end_line();
    }

    fn tagged_to(&mut self, request: &Message, envelope: &Envelope<'_>, tag: Option<&[u8]>) {
        let Some(to) = request.header(HeaderName::To) else { return };
        match tag {
            Some(tag) if envelope.to_tag.is_none() => {
                self.begin(HeaderName::To);
                self.push_verbatim(to);
                self.buf.extend_from_slice(b";tag=");
                self.push_value(tag);
                self.end_line();
            }
            Some(_) | None => self.copy_value(HeaderName::To, to),
        }
    }
}
