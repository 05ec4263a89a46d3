//! A SIP message: one buffer, and where its parts lie in it (RFC 3261 7).
//!
//! Nothing is copied or decoded: what a relay does not touch leaves byte for byte as it came. The start line and the
//! header lines are found once; values are read when asked, the mandatory ones together in [`Message::envelope`].

mod envelope;
mod scan;

pub use envelope::Envelope;

use crate::error::{HeaderFault, ParseError};
use crate::header_name::HeaderName;
use crate::lexer;
use crate::limits;
use crate::start_line::{Method, StartLine};
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;

/// A stretch of the message buffer. Sixteen bits suffice: see [`limits::MAX_MESSAGE`].
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    at: u16,
    len: u16,
}

/// Where one header lies.
#[derive(Clone, Copy, Debug)]
struct HeaderSpan {
    name: HeaderName,
    name_len: u8,
    name_at: u16,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
enum Start {
    Request { method: Method, token: Span, uri: Span },
    Status { code: u16, reason: Span },
}

/// A parsed message. Cloning it copies no text.
#[derive(Clone, Debug)]
pub struct Message {
    bytes: Bytes,
    start: Start,
    headers: SmallVec<[HeaderSpan; limits::INLINE_HEADERS]>,
    body: Span,
    fault: Option<HeaderFault>,
}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name, if known.
    pub name: HeaderName,
    /// The name as it stands in the message.
    pub name_token: &'a [u8],
    /// The value without the blanks around it; folds (`CRLF` and blank) may stand inside.
    pub value: &'a [u8],
}

impl<'a> Header<'a> {
    /// The value on one line; borrowed unless it was folded.
    #[must_use]
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        lexer::unfold(self.value)
    }
}

impl Message {
    /// Reads a datagram or one framed message. Allocates nothing up to [`limits::INLINE_HEADERS`] headers.
    ///
    /// Without a Content-Length the body is the rest of `bytes`; what lies behind a declared body is ignored
    /// (RFC 3261 18.3). A sin of the start line or of Content-Length that leaves the headers readable (a version
    /// other than 2.0, stray blanks, a length beyond the end) is kept for [`Message::envelope`] to report,
    /// so that the request can be answered.
    ///
    /// # Errors
    /// The bytes cannot be split into a start line, headers and a body, or exceed a limit.
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        scan::message(bytes)
    }

    /// The whole message as it was received.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether it is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The first line.
    #[must_use]
    pub fn start(&self) -> StartLine<'_> {
        match self.start {
            Start::Request { method, token, uri } => {
                StartLine::Request { method, method_token: self.slice(token), uri: self.slice(uri) }
            }
            Start::Status { code, reason } => StartLine::Status { code, reason: self.slice(reason) },
        }
    }

    /// The method of a request.
    #[must_use]
    pub const fn method(&self) -> Option<Method> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Status { .. } => None,
        }
    }

    /// The method of a request as it stands in the message.
    #[must_use]
    pub fn method_token(&self) -> Option<&[u8]> {
        match self.start {
            Start::Request { token, .. } => Some(self.slice(token)),
            Start::Status { .. } => None,
        }
    }

    /// The status code of a response, 100 to 699.
    #[must_use]
    pub const fn code(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Status { code, .. } => Some(code),
        }
    }

    /// The reason phrase of a response, raw.
    #[must_use]
    pub fn reason(&self) -> Option<&[u8]> {
        match self.start {
            Start::Request { .. } => None,
            Start::Status { reason, .. } => Some(self.slice(reason)),
        }
    }

    /// The Request-URI of a request, raw.
    #[must_use]
    pub fn request_uri(&self) -> Option<&[u8]> {
        match self.start {
            Start::Request { uri, .. } => Some(self.slice(uri)),
            Start::Status { .. } => None,
        }
    }

    /// The header lines in order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = Header<'_>> + ExactSizeIterator + Clone {
        self.headers.iter().map(|span| Header {
            name: span.name,
            name_token: self.slice(Span { at: span.name_at, len: u16::from(span.name_len) }),
            value: self.slice(span.value),
        })
    }

    /// The value of the first line called `name`.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.lines(name).next()
    }

    /// The values of the lines called `name`, each as a whole.
    pub fn lines(&self, name: HeaderName) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        self.headers.iter().filter(move |span| span.name == name).map(|span| self.slice(span.value))
    }

    /// The comma-separated elements of all lines called `name`. For headers that are lists: Via, Contact, Route,
    /// Supported … (not for Date or Authorization, whose commas mean something else).
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &[u8]> + Clone {
        self.lines(name).flat_map(lexer::elements)
    }

    /// The value of the first line with a name that [`HeaderName`] does not list, in any case.
    #[must_use]
    pub fn other(&self, name: &[u8]) -> Option<&[u8]> {
        self.headers()
            .find(|h| h.name == HeaderName::Other && h.name_token.eq_ignore_ascii_case(name))
            .map(|h| h.value)
    }

    /// Whether a list header (Supported, Require, Allow …) names `token`, in any case.
    #[must_use]
    pub fn has_token(&self, name: HeaderName, token: &[u8]) -> bool {
        self.values(name).any(|value| value.eq_ignore_ascii_case(token))
    }

    /// The same message in a buffer of its own size: what is kept for long does not hold on to the block that it was
    /// received into.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self { bytes: Bytes::copy_from_slice(&self.bytes), ..self.clone() }
    }

    /// The body: Content-Length bytes, or the rest of the datagram.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.slice(self.body)
    }

    /// The body, sharing the buffer of the message.
    #[must_use]
    pub fn body_bytes(&self) -> Bytes {
        let at = usize::from(self.body.at);
        self.bytes.slice(at..at + usize::from(self.body.len))
    }

    /// Reads the headers that every message has.
    ///
    /// # Errors
    /// The first fault found, in the order: start line and Content-Length, Via, From, To, Call-ID, CSeq, Max-Forwards.
    pub fn envelope(&self) -> Result<Envelope<'_>, HeaderFault> {
        Envelope::read(self)
    }

    fn slice(&self, span: Span) -> &[u8] {
        let at = usize::from(span.at);
        self.bytes.get(at..at + usize::from(span.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_number_of_headers_needs_no_allocation() {
        let with = |count: usize| {
            let text = format!("BYE sip:a SIP/2.0\r\n{}\r\n", "n: v\r\n".repeat(count));
            Message::parse(text.into()).unwrap()
        };
        assert!(!with(limits::INLINE_HEADERS).headers.spilled());
        assert!(with(limits::INLINE_HEADERS + 1).headers.spilled());
        assert_eq!(size_of::<HeaderSpan>(), 8);
    }
}
