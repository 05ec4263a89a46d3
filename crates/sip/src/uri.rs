//! SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966).

mod compare;

use crate::class::{is_uri, is_uri_param, is_user};
use crate::error::{ParseError, ParseErrorKind};
pub use crate::host::Host;
use crate::host::read_port;
use crate::lexer::Cursor;
use crate::limits;
use crate::params::Params;
use std::borrow::Cow;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other: answered with 416 as a Request-URI.
    Other,
}

/// A URI, its parts borrowed from the message.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The password after the user, raw. Deprecated, never sent by this server.
    pub password: Option<&'a [u8]>,
    /// The host; an empty name for a `tel:` URI or an unknown scheme.
    pub host: Host<'a>,
    /// The port, if it stands there.
    pub port: Option<u16>,
    /// The URI's own parameters.
    pub params: Params<'a>,
    /// What stands after `?`, raw; empty if nothing.
    pub headers: &'a [u8],
    user: Option<&'a [u8]>,
    raw: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI that fills `value`, blanks excluded.
    ///
    /// # Errors
    /// `UriScheme`, `UriUser`, `UriEscape`, `UriByte`, `UriTooLong`, `Host`, `Port`, `Param`, `TelNumber`.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        if value.len() > limits::MAX_URI {
            return Err(ParseError::new(ParseErrorKind::UriTooLong, limits::MAX_URI));
        }
        let mut cursor = Cursor::new(value);
        let scheme = read_scheme(&mut cursor)?;
        check_bytes(&cursor)?;
        let mut uri = Self {
            scheme,
            password: None,
            host: Host::Name(&[]),
            port: None,
            params: Params::EMPTY,
            headers: &[],
            user: None,
            raw: value,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => uri.read_sip(cursor)?,
            Scheme::Tel => uri.read_tel(cursor)?,
            Scheme::Other => {}
        }
        Ok(uri)
    }

    /// The user part, raw; the number of a `tel:` URI.
    #[must_use]
    pub const fn user(&self) -> Option<&'a [u8]> {
        self.user
    }

    /// The user part with its `%` escapes resolved.
    #[must_use]
    pub fn user_unescaped(&self) -> Option<Cow<'a, [u8]>> {
        self.user.map(unescape)
    }

    /// The user part as a telephone number: without escapes, without the parameters of a telephone subscriber and
    /// without visual separators (RFC 3966 3). `+1-212-555` is `+1212555`.
    #[must_use]
    pub fn number(&self) -> Option<Vec<u8>> {
        let user = self.user_unescaped()?;
        let subscriber = user.split(|b| *b == b';').next().unwrap_or_default();
        Some(subscriber.iter().copied().filter(|b| !is_visual_separator(*b)).collect())
    }

    /// The whole URI as it was read.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The scheme as it was read.
    #[must_use]
    pub fn scheme_token(&self) -> &'a [u8] {
        self.raw.split(|b| *b == b':').next().unwrap_or_default()
    }

    /// Whether both URIs are equal by RFC 3261 19.1.4, or RFC 3966 5 for `tel:`.
    #[must_use]
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        compare::equivalent(self, other)
    }

    /// The `headers` part as name and value pairs, both raw.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.headers.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
            let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default())
        })
    }

    fn read_sip(&mut self, mut cursor: Cursor<'a>) -> Result<(), ParseError> {
        if let Some(at) = memchr::memchr(b'@', cursor.rest()) {
            self.read_userinfo(&cursor, at)?;
            cursor.take(at + 1);
        }
        self.host = Host::read(&mut cursor)?;
        if cursor.eat(b':') {
            self.port = Some(read_port(&mut cursor)?);
        }
        if !matches!(cursor.peek(), None | Some(b';' | b'?')) {
            return Err(cursor.error(ParseErrorKind::UriByte));
        }
        self.read_params(&mut cursor)?;
        if cursor.eat(b'?') {
            self.headers = cursor.take(usize::MAX);
            if let Some(at) = self.headers.iter().position(|b| !is_header(*b)) {
                return Err(ParseError::new(
                    ParseErrorKind::UriByte,
                    self.raw.len() - self.headers.len() + at,
                ));
            }
        }
        if cursor.peek().is_some() { Err(cursor.error(ParseErrorKind::UriByte)) } else { Ok(()) }
    }

    fn read_userinfo(&mut self, start: &Cursor<'a>, at: usize) -> Result<(), ParseError> {
        let mut cursor = *start;
        let userinfo = cursor.take(at);
        let colon = memchr::memchr(b':', userinfo);
        let user = userinfo.get(..colon.unwrap_or(at)).unwrap_or_default();
        let bad = user.iter().position(|b| !is_user(*b));
        if user.is_empty() || bad.is_some() {
            return Err(ParseError::new(ParseErrorKind::UriUser, start.at() + bad.unwrap_or(0)));
        }
        self.user = Some(user);
        self.password = colon.and_then(|c| userinfo.get(c + 1..));
        Ok(())
    }

    fn read_tel(&mut self, mut cursor: Cursor<'a>) -> Result<(), ParseError> {
        let number = cursor.take_while(|b| b != b';');
        let digits = number.strip_prefix(b"+").unwrap_or(number);
        let global = digits.len() < number.len();
        let fits = |b: &u8| {
            is_visual_separator(*b)
                || if global { b.is_ascii_digit() } else { b.is_ascii_hexdigit() || matches!(b, b'*' | b'#') }
        };
        if !digits.iter().all(fits) || digits.iter().all(|b| is_visual_separator(*b)) {
            return Err(cursor.error(ParseErrorKind::TelNumber));
        }
        self.user = Some(number);
        self.read_params(&mut cursor)?;
        if cursor.peek().is_some() { Err(cursor.error(ParseErrorKind::UriByte)) } else { Ok(()) }
    }

    fn read_params(&mut self, cursor: &mut Cursor<'a>) -> Result<(), ParseError> {
        let start = *cursor;
        let raw = cursor.take_while(|b| b != b'?');
        let mut inner = Cursor::new(raw);
        let mut count = 0;
        while inner.peek().is_some() {
            count += 1;
            if count > limits::MAX_PARAMS {
                return Err(ParseError::new(ParseErrorKind::TooManyParams, start.at() + inner.at()));
            }
            if !inner.eat(b';') || inner.take_while(is_uri_param).is_empty() {
                return Err(ParseError::new(ParseErrorKind::Param, start.at() + inner.at()));
            }
            if inner.eat(b'=') {
                inner.take_while(is_uri_param);
            }
        }
        self.params = Params::trusted(raw);
        Ok(())
    }
}

fn read_scheme(cursor: &mut Cursor<'_>) -> Result<Scheme, ParseError> {
    let start = *cursor;
    let scheme = cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !cursor.eat(b':') {
        return Err(start.error(ParseErrorKind::UriScheme));
    }
    Ok(if scheme.eq_ignore_ascii_case(b"sip") {
        Scheme::Sip
    } else if scheme.eq_ignore_ascii_case(b"sips") {
        Scheme::Sips
    } else if scheme.eq_ignore_ascii_case(b"tel") {
        Scheme::Tel
    } else {
        Scheme::Other
    })
}

/// Printable ASCII without the delimiters that no URI holds, and whole escapes.
fn check_bytes(cursor: &Cursor<'_>) -> Result<(), ParseError> {
    let rest = cursor.rest();
    if let Some(at) = rest.iter().position(|b| !is_uri(*b)) {
        return Err(ParseError::new(ParseErrorKind::UriByte, cursor.at() + at));
    }
    for at in memchr::memchr_iter(b'%', rest) {
        if !rest.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return Err(ParseError::new(ParseErrorKind::UriEscape, cursor.at() + at));
        }
    }
    Ok(())
}

/// `hname` and `hvalue` with what joins them, escapes included.
fn is_header(byte: u8) -> bool {
    is_uri_param(byte) || matches!(byte, b'?' | b'=')
}

/// What people put between digits to read them (RFC 3966 3).
const fn is_visual_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b'(' | b')')
}

/// `value` with its `%` escapes resolved; broken escapes stay as they are.
#[must_use]
pub fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, tail)) = rest.split_first() {
        let (decoded, tail) = split_escape(rest).unwrap_or((*byte, tail));
        out.push(decoded);
        rest = tail;
    }
    Cow::Owned(out)
}

/// The byte that the escape at the start of `value` stands for, and what follows it.
fn split_escape(value: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, tail @ ..] = value else { return None };
    let hex = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some((hex(*high)? << 4 | hex(*low)?, tail))
}
