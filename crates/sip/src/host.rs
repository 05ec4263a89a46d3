//! A host and its port, as URIs and Via headers hold them (RFC 3261 25.1 `hostport`).

use crate::class::is_host;
use crate::error::{ParseError, ParseErrorKind};
use crate::lexer::Cursor;
use crate::limits;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host: an address or a name.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// `192.0.2.1`
    V4(Ipv4Addr),
    /// `[2001:db8::1]`
    V6(Ipv6Addr),
    /// `example.com`
    Name(&'a [u8]),
}

impl<'a> Host<'a> {
    /// Reads a host alone, an IPv6 address with or without its brackets.
    ///
    /// # Errors
    /// `Host`, `TooLong`.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        if let Some(address) = ascii(value).and_then(|s| s.parse().ok()) {
            return Ok(Self::V6(address));
        }
        let mut cursor = Cursor::new(value);
        let host = Self::read(&mut cursor)?;
        if cursor.peek().is_some() { Err(cursor.error(ParseErrorKind::Host)) } else { Ok(host) }
    }

    /// Reads a host and leaves the cursor behind it.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        if cursor.peek() == Some(b'[') {
            return Self::read_reference(cursor);
        }
        let start = *cursor;
        let name = cursor.take_while(is_host);
        if name.is_empty() {
            return Err(start.error(ParseErrorKind::Host));
        }
        if name.len() > limits::MAX_HOST {
            return Err(start.error(ParseErrorKind::TooLong));
        }
        if name.first().is_some_and(u8::is_ascii_digit)
            && let Some(address) = ascii(name).and_then(|s| s.parse().ok())
        {
            return Ok(Self::V4(address));
        }
        Ok(Self::Name(name))
    }

    fn read_reference(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let start = *cursor;
        cursor.eat(b'[');
        let text = ascii(cursor.take_while(|b| b != b']')).unwrap_or_default();
        match (text.parse().ok().or_else(|| three_colons(text)), cursor.eat(b']')) {
            (Some(address), true) => Ok(Self::V6(address)),
            _ => Err(start.error(ParseErrorKind::Host)),
        }
    }

    /// The address, if it is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
            Self::Name(_) => None,
        }
    }
}

/// Names compare without case, addresses by value; a name never equals an address (RFC 3261 19.1.4).
impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::V4(a), Self::V4(b)) => a == b,
            (Self::V6(a), Self::V6(b)) => a == b,
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V4(_) | Self::V6(_) | Self::Name(_), _) => false,
        }
    }
}

impl Eq for Host<'_> {}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(&String::from_utf8_lossy(name)),
        }
    }
}

/// Reads the digits of a port.
pub(crate) fn read_port(cursor: &mut Cursor<'_>) -> Result<u16, ParseError> {
    let start = *cursor;
    let digits = cursor.take_while(|b| b.is_ascii_digit());
    crate::lexer::number(digits).and_then(|n| u16::try_from(n).ok()).ok_or(start.error(ParseErrorKind::Port))
}

/// Three colons before an IPv4 part: what senders print that follow the grammar of RFC 3261 to the letter (RFC 5118 4.10).
fn three_colons(text: &str) -> Option<Ipv6Addr> {
    let (before, after) = text.split_once(":::")?;
    after.parse::<Ipv4Addr>().ok()?;
    format!("{before}::{after}").parse().ok()
}

fn ascii(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
