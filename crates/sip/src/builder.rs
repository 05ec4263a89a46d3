//! Prints messages into a buffer that the caller keeps and reuses.

mod response;

pub use response::response_to;

use crate::flow::Transport;
use crate::header_name::HeaderName;
use crate::lexer::{self, is_token};
use crate::message::{Header, Message};
use bytes::Bytes;

/// A message in the making. No value that is put into it can end a header line: folds and line ends become a space.
#[derive(Debug)]
pub struct Builder<'a> {
    buf: &'a mut Vec<u8>,
}

impl<'a> Builder<'a> {
    /// Starts a request; `buf` is cleared first.
    pub fn request(buf: &'a mut Vec<u8>, method: &[u8], uri: &[u8]) -> Self {
        buf.clear();
        buf.extend(method.iter().copied().filter(|b| is_token(*b)));
        buf.push(b' ');
        buf.extend(uri.iter().copied().filter(|b| *b > b' '));
        buf.extend_from_slice(b" SIP/2.0\r\n");
        Self { buf }
    }

    /// Starts a response; `buf` is cleared first.
    pub fn response(buf: &'a mut Vec<u8>, code: u16, reason: &[u8]) -> Self {
        buf.clear();
        buf.extend_from_slice(b"SIP/2.0 ");
        let mut builder = Self { buf };
        builder.push_number(u64::from(code));
        builder.buf.push(b' ');
        builder.push_value(reason);
        builder.end_line();
        builder
    }

    /// Adds `name: value`. [`HeaderName::Other`] and Content-Length (see [`Builder::finish`]) add nothing.
    pub fn header(&mut self, name: HeaderName, value: &[u8]) -> &mut Self {
        self.parts(name, &[value])
    }

    /// Adds `name: ` and the parts one after the other.
    pub fn parts(&mut self, name: HeaderName, parts: &[&[u8]]) -> &mut Self {
        if self.begin(name) {
            for part in parts {
                self.push_value(part);
            }
            self.end_line();
        }
        self
    }

    /// Adds `name: number`.
    pub fn number(&mut self, name: HeaderName, number: u64) -> &mut Self {
        if self.begin(name) {
            self.push_number(number);
            self.end_line();
        }
        self
    }

    /// Adds a header by its own name. A name that is no token, or Content-Length, adds nothing.
    pub fn raw_header(&mut self, name: &[u8], value: &[u8]) -> &mut Self {
        let usable = !name.is_empty() && name.iter().all(|b| is_token(*b));
        if usable && HeaderName::parse(name) != HeaderName::ContentLength {
            self.buf.extend_from_slice(name);
            self.buf.extend_from_slice(b": ");
            self.push_value(value);
            self.end_line();
        }
        self
    }

    /// Adds every line called `name` of `message`, the values verbatim.
    pub fn copy(&mut self, message: &Message, name: HeaderName) -> &mut Self {
        for value in message.lines(name) {
            self.copy_value(name, value);
        }
        self
    }

    /// Adds one line of another message, name and value verbatim; Content-Length adds nothing.
    pub fn copy_line(&mut self, header: &Header<'_>) -> &mut Self {
        if header.name != HeaderName::ContentLength {
            self.buf.extend_from_slice(header.name_token);
            self.buf.extend_from_slice(b": ");
            self.push_verbatim(header.value);
            self.end_line();
        }
        self
    }

    /// Adds a Via that asks for symmetric response routing (RFC 3581): `SIP/2.0/transport sent_by;branch=…;rport`.
    /// Over TLS it says that the connection may carry requests the other way, too (RFC 5923 5).
    pub fn via(&mut self, transport: Transport, sent_by: &[u8], branch: &[u8]) -> &mut Self {
        let alias: &[u8] = if transport == Transport::Tls { b";alias" } else { b"" };
        let transport = transport.as_str().as_bytes();
        let parts = [b"SIP/2.0/", transport, b" ", sent_by, b";branch=", branch, b";rport", alias];
        self.parts(HeaderName::Via, &parts)
    }

    /// Adds `CSeq: number method`.
    pub fn cseq(&mut self, number: u32, method: &[u8]) -> &mut Self {
        if self.begin(HeaderName::CSeq) {
            self.push_number(u64::from(number));
            self.buf.push(b' ');
            self.push_value(method);
            self.end_line();
        }
        self
    }

    /// Adds Content-Length, the empty line and `body`, and gives the message in a buffer of its exact size.
    pub fn finish(&mut self, body: &[u8]) -> Bytes {
        self.number_line(b"Content-Length: ", body.len() as u64);
        self.buf.extend_from_slice(b"\r\n");
        self.buf.extend_from_slice(body);
        Bytes::copy_from_slice(self.buf)
    }

    /// Bytes printed so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Never: a builder begins with its start line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    fn begin(&mut self, name: HeaderName) -> bool {
        let usable = name != HeaderName::Other && name != HeaderName::ContentLength;
        if usable {
            self.buf.extend_from_slice(name.as_str().as_bytes());
            self.buf.extend_from_slice(b": ");
        }
        usable
    }

    fn copy_value(&mut self, name: HeaderName, value: &[u8]) {
        if self.begin(name) {
            self.push_verbatim(value);
            self.end_line();
        }
    }

    fn number_line(&mut self, name: &[u8], number: u64) {
        self.buf.extend_from_slice(name);
        self.push_number(number);
        self.end_line();
    }

    /// A value that a parsed message holds: its folds are well-formed and stay.
    fn push_verbatim(&mut self, value: &[u8]) {
        self.buf.extend_from_slice(value);
    }

    fn push_value(&mut self, value: &[u8]) {
        if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
            self.buf.extend_from_slice(value);
        } else {
            lexer::unfold_into(self.buf, value);
        }
    }

    fn push_number(&mut self, mut number: u64) {
        let mut digits = [0u8; 20];
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (number % 10) as u8;
            used += 1;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.buf.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
    }

    fn end_line(&mut self) {
        self.buf.extend_from_slice(b"\r\n");
    }
}
