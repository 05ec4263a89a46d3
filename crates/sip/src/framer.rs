//! Messages out of a byte stream (RFC 3261 18.3, 7.5; keep-alive of RFC 5626 4.4.1).

use crate::error::ParseErrorKind;
use crate::header_name::HeaderName;
use crate::lexer::{self, is_token};
use crate::limits;
use bytes::{Buf, Bytes, BytesMut};
use std::fmt;

/// Cuts a stream into messages. It looks at no more than it must: where the header section ends, and Content-Length.
#[derive(Debug, Default)]
pub struct Framer {
    buf: BytesMut,
    /// Bytes of `buf` known to hold no end of the header section.
    searched: usize,
    /// Length of the message at the head of `buf`, once its header section is complete.
    length: Option<usize>,
    failed: Option<FrameError>,
    oversized: Option<Bytes>,
}

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framed {
    /// One whole message, for [`Message::parse`](crate::message::Message::parse).
    Message(Bytes),
    /// A double CRLF between messages: the peer wants one CRLF back (RFC 5626 4.4.1).
    KeepAlive,
}

/// Why a stream cannot be cut any further: there is no telling where the next message begins, so the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameError {
    /// No Content-Length, mandatory on streams (RFC 3261 20.14).
    MissingContentLength,
    /// A Content-Length that is no number, or two that differ.
    ContentLength(ParseErrorKind),
    /// A message longer than [`limits::MAX_MESSAGE`], or a header section that does not end within it.
    TooLong,
    /// More was pushed than the caller took out.
    Overflow,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingContentLength => f.write_str("no Content-Length on a stream"),
            Self::ContentLength(kind) => write!(f, "Content-Length: {kind:?}"),
            Self::TooLong => f.write_str("message too long"),
            Self::Overflow => f.write_str("stream buffer overflow"),
        }
    }
}

impl std::error::Error for FrameError {}

impl Framer {
    /// A framer for a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they were read. Take out all messages before the next push: above
    /// [`limits::MAX_STREAM_BUFFER`] the stream fails.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.buf.len() + bytes.len() > limits::MAX_STREAM_BUFFER {
            self.failed.get_or_insert(FrameError::Overflow);
        }
        if self.failed.is_none() {
            self.buf.extend_from_slice(bytes);
        }
    }

    /// The next message or keep-alive; `None` until more bytes come.
    ///
    /// # Errors
    /// See [`FrameError`]. An error is final: it is returned from then on.
    #[expect(clippy::should_implement_trait, reason = "an iterator ends, a stream waits")]
    pub fn next(&mut self) -> Result<Option<Framed>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.advance().inspect_err(|error| {
            self.failed = Some(*error);
            self.buf = BytesMut::new();
        })
    }

    /// Whether a message has begun that is not whole yet: line ends alone are none.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        !self.buf.iter().all(|byte| b"\r\n".contains(byte))
    }

    /// After [`FrameError::TooLong`]: the header section of the message, if it is the body that is too long, so that its
    /// sender can be told.
    #[must_use]
    pub fn oversized(&self) -> Option<Bytes> {
        self.oversized.clone()
    }

    /// Bytes waiting for the rest of their message.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buf.len()
    }

    fn advance(&mut self) -> Result<Option<Framed>, FrameError> {
        if self.length.is_none() {
            if self.skip_empty_lines() {
                return Ok(Some(Framed::KeepAlive));
            }
            self.length = self.find_length()?;
        }
        let Some(length) = self.length.filter(|length| self.buf.len() >= *length) else { return Ok(None) };
        self.length = None;
        self.searched = 0;
        Ok(Some(Framed::Message(self.buf.split_to(length).freeze())))
    }

    /// Drops line ends before a message; whether a pair of them asks for an answer.
    fn skip_empty_lines(&mut self) -> bool {
        if self.buf.starts_with(b"\r\n\r\n") {
            self.buf.advance(4);
            self.searched = 0;
            return true;
        }
        // A lone CRLF at the end of the buffer may be the first half of a pair.
        while self.buf.starts_with(b"\r\n") && !matches!(self.buf.get(2), None | Some(b'\r')) {
            self.buf.advance(2);
            self.searched = 0;
        }
        false
    }

    fn find_length(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.searched.saturating_sub(3);
        let unseen = self.buf.get(from..).unwrap_or_default();
        let Some(found) = memchr::memmem::find(unseen, b"\r\n\r\n").filter(|at| from + at > 0) else {
            self.searched = self.buf.len();
            let full = self.buf.len() > limits::MAX_MESSAGE;
            return if full { Err(FrameError::TooLong) } else { Ok(None) };
        };
        let head_len = from + found + 4;
        let length = content_length(self.buf.get(..head_len).unwrap_or_default())?;
        let total = usize::try_from(length).ok().and_then(|length| length.checked_add(head_len));
        let fits = total.filter(|total| *total <= limits::MAX_MESSAGE);
        if fits.is_none() && head_len <= limits::MAX_MESSAGE {
            self.oversized = Some(self.buf.split_to(head_len).freeze());
        }
        fits.map(Some).ok_or(FrameError::TooLong)
    }
}

/// The Content-Length of a header section. Lines that are no header are left for the parser to refuse.
fn content_length(head: &[u8]) -> Result<u64, FrameError> {
    let mut found = None;
    let mut at = 0;
    for end in memchr::memmem::find_iter(head, b"\r\n") {
        let line = head.get(at..end).unwrap_or_default();
        let name_len = line.iter().position(|b| !is_token(*b)).unwrap_or(0);
        let (name, rest) = line.split_at_checked(name_len).unwrap_or_default();
        let next = end + 2;
        if HeaderName::parse(name) == HeaderName::ContentLength
            && let Some(value) = lexer::trim(rest).strip_prefix(b":")
        {
            let folded = head.get(next).is_some_and(|b| matches!(b, b' ' | b'\t'));
            let value = if folded { continuation(value, head, next) } else { lexer::trim(value) };
            let length = lexer::number(value).ok_or(FrameError::ContentLength(ParseErrorKind::Number))?;
            if found.replace(length).is_some_and(|before| before != length) {
                return Err(FrameError::ContentLength(ParseErrorKind::Duplicate));
            }
        }
        at = next;
    }
    found.ok_or(FrameError::MissingContentLength)
}

/// The value of a folded Content-Length: whichever line holds the digits. Digits on two lines are no number.
fn continuation<'a>(first: &'a [u8], head: &'a [u8], mut at: usize) -> &'a [u8] {
    let start = at;
    while head.get(at).is_some_and(|b| matches!(b, b' ' | b'\t')) {
        let rest = head.get(at..).unwrap_or_default();
        at += memchr::memmem::find(rest, b"\r\n").map_or(rest.len(), |end| end + 2);
    }
    let folded = lexer::trim(head.get(start..at).unwrap_or_default());
    match (lexer::trim(first), folded) {
        (first, []) => first,
        ([], folded) => folded,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl : 4\r\n\r\nbody";

    fn message(framer: &mut Framer) -> Option<Bytes> {
        match framer.next().unwrap()? {
            Framed::Message(bytes) => Some(bytes),
            Framed::KeepAlive => panic!("unexpected keep-alive"),
        }
    }

    #[test]
    fn messages_are_cut_however_the_bytes_arrive() {
        let stream = [ONE, ONE].concat();
        for size in 1..stream.len() {
            let mut framer = Framer::new();
            let mut got = Vec::new();
            for chunk in stream.chunks(size) {
                framer.push(chunk);
                got.extend(std::iter::from_fn(|| message(&mut framer)));
            }
            assert_eq!(got, [ONE, ONE], "chunks of {size}");
            assert_eq!(framer.buffered(), 0);
        }
    }

    #[test]
    fn a_double_crlf_is_a_keep_alive_and_a_single_one_is_nothing() {
        let mut framer = Framer::new();
        framer.push(b"\r\n");
        assert_eq!(framer.next(), Ok(None));
        framer.push(b"\r\n");
        assert_eq!(framer.next(), Ok(Some(Framed::KeepAlive)));
        framer.push(b"\r\n");
        framer.push(ONE);
        assert_eq!(message(&mut framer).unwrap(), ONE);
        assert_eq!(framer.next(), Ok(None));
    }

    #[test]
    fn a_folded_content_length_is_read() {
        let mut framer = Framer::new();
        framer.push(b"OPTIONS sip:a SIP/2.0\r\nContent-Length:\r\n 4\r\n\r\nbody");
        assert!(message(&mut framer).unwrap().ends_with(b"body"));
    }

    #[test]
    fn a_stream_without_a_sound_content_length_fails_for_good() {
        let cases: [(&[u8], FrameError); 4] = [
            (b"OPTIONS sip:a SIP/2.0\r\n\r\n", FrameError::MissingContentLength),
            (b"OPTIONS sip:a SIP/2.0\r\nl: -1\r\n\r\n", FrameError::ContentLength(ParseErrorKind::Number)),
            (
                b"OPTIONS sip:a SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n",
                FrameError::ContentLength(ParseErrorKind::Duplicate),
            ),
            (b"OPTIONS sip:a SIP/2.0\r\nl: 65536\r\n\r\n", FrameError::TooLong),
        ];
        for (bytes, error) in cases {
            let mut framer = Framer::new();
            framer.push(bytes);
            assert_eq!(framer.next(), Err(error));
            framer.push(ONE);
            assert_eq!(framer.next(), Err(error));
        }
    }

    #[test]
    fn an_endless_header_section_and_an_unread_buffer_are_refused() {
        let mut framer = Framer::new();
        framer.push(&[b'a'; limits::MAX_MESSAGE + 1]);
        assert_eq!(framer.next(), Err(FrameError::TooLong));
        let mut framer = Framer::new();
        framer.push(&[b'a'; limits::MAX_MESSAGE]);
        framer.push(&vec![b'a'; limits::MAX_STREAM_BUFFER]);
        assert_eq!(framer.next(), Err(FrameError::Overflow));
    }
}
