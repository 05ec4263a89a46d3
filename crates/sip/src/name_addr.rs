//! `"Alice" <sip:alice@example.com>;tag=1` and the bare form without `<>` (RFC 3261 20.10, 25.1 `name-addr`).

use crate::class::{is_display, is_lws, is_uri};
use crate::error::{ParseError, ParseErrorKind};
use crate::lexer::{self, Cursor};
use crate::limits;
use crate::params::Params;
use crate::uri::Uri;
use std::borrow::Cow;

/// An address with its display name and header parameters.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name, raw: quotes, escapes and folds included; empty if there is none.
    pub display: &'a [u8],
    /// The URI, raw.
    pub uri: &'a [u8],
    /// The parameters of the header, not those of the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one element of a From, To, Contact, Route … value. Of the URI only the bytes and the scheme are checked,
    /// [`NameAddr::uri`] reads the rest.
    ///
    /// # Errors
    /// `UnclosedQuote`, `UnclosedAngle`, `DisplayName`, `BareAddress`, `UriScheme`, `UriByte`, `UriTooLong`, `Param`.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.skip_lws();
        if cursor.peek() == Some(b'"') {
            let display = cursor.quoted()?;
            cursor.skip_lws();
            return Self::read_angle(cursor, display);
        }
        // A `<` behind a `;` stands in a parameter of an address without brackets of its own.
        let angle = memchr::memchr2(b'<', b';', cursor.rest());
        let Some(angle) = angle.filter(|at| cursor.rest().get(*at) == Some(&b'<')) else {
            return Self::read_bare(cursor);
        };
        let start = cursor;
        let before = cursor.take(angle);
        if let Some(at) = before.iter().position(|b| !is_display(*b)) {
            return Err(ParseError::new(ParseErrorKind::DisplayName, start.at() + at));
        }
        Self::read_angle(cursor, lexer::trim(before))
    }

    /// The tag, unless it is absent or empty.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value(b"tag").filter(|tag| !tag.is_empty())
    }

    /// The URI, read.
    ///
    /// # Errors
    /// Those of [`Uri::parse`].
    pub fn uri(&self) -> Result<Uri<'a>, ParseError> {
        Uri::parse(self.uri)
    }

    /// The display name without quotes, escapes and folds; empty if there is none.
    #[must_use]
    pub fn display_unquoted(&self) -> Cow<'a, [u8]> {
        match lexer::unfold(self.display) {
            Cow::Borrowed(plain) => lexer::unquote(plain),
            Cow::Owned(line) => Cow::Owned(lexer::unquote(&line).into_owned()),
        }
    }

    /// `<` URI `>` parameters.
    fn read_angle(mut cursor: Cursor<'a>, display: &'a [u8]) -> Result<Self, ParseError> {
        if !cursor.eat(b'<') {
            return Err(cursor.error(ParseErrorKind::DisplayName));
        }
        let start = cursor;
        let uri = cursor.take_while(|b| b != b'>');
        if !cursor.eat(b'>') {
            return Err(start.error(ParseErrorKind::UnclosedAngle));
        }
        check_uri(uri, start.at())?;
        Self::finish(cursor, display, uri)
    }

    /// A URI without `<>`: what follows the first `;` belongs to the header, and `?` or `,` cannot stand in it.
    fn read_bare(mut cursor: Cursor<'a>) -> Result<Self, ParseError> {
        let start = cursor;
        let uri = cursor.take_while(|b| b != b';' && !is_lws(b));
        if let Some(at) = uri.iter().position(|b| matches!(b, b'?' | b',')) {
            return Err(ParseError::new(ParseErrorKind::BareAddress, start.at() + at));
        }
        check_uri(uri, start.at())?;
        Self::finish(cursor, &[], uri)
    }

    fn finish(cursor: Cursor<'a>, display: &'a [u8], uri: &'a [u8]) -> Result<Self, ParseError> {
        let at = cursor.at();
        let params = Params::parse(cursor.rest()).map_err(|e| ParseError::new(e.kind, at + e.at))?;
        Ok(Self { display, uri, params })
    }
}

fn check_uri(uri: &[u8], at: usize) -> Result<(), ParseError> {
    if uri.len() > limits::MAX_URI {
        return Err(ParseError::new(ParseErrorKind::UriTooLong, at));
    }
    if let Some(bad) = uri.iter().position(|b| !is_uri(*b)) {
        return Err(ParseError::new(ParseErrorKind::UriByte, at + bad));
    }
    let colon = memchr::memchr(b':', uri);
    if !uri.first().is_some_and(u8::is_ascii_alphabetic) || colon.is_none() {
        return Err(ParseError::new(ParseErrorKind::UriScheme, at));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(value: &[u8]) -> ParseErrorKind {
        NameAddr::parse(value).unwrap_err().kind
    }

    #[test]
    fn a_quoted_display_name_may_hold_every_delimiter() {
        let addr = NameAddr::parse(br#""a, <b>; \"c\" \\"  <sip:x@y;lr>;tag=7"#).unwrap();
        assert_eq!(addr.display_unquoted().as_ref(), br#"a, <b>; "c" \"#);
        assert_eq!(addr.uri, b"sip:x@y;lr");
        assert_eq!(addr.tag(), Some(&b"7"[..]));
    }

    #[test]
    fn a_bare_address_gives_its_parameters_to_the_header() {
        let addr = NameAddr::parse(b"sip:x@y ;   tag    = 19n").unwrap();
        assert_eq!((addr.uri, addr.tag()), (&b"sip:x@y"[..], Some(&b"19n"[..])));
        assert!(addr.uri().unwrap().params.is_empty());
        assert_eq!(kind(b"sip:x@y?Route=z"), ParseErrorKind::BareAddress);
        let addr = NameAddr::parse(b"sip:x@y;+sip.instance=\"<urn:a>\"").unwrap();
        assert_eq!(addr.params.unquoted(b"+sip.instance").unwrap().as_ref(), b"<urn:a>");
    }

    #[test]
    fn tokens_before_the_address_are_the_display_name() {
        let addr = NameAddr::parse(b"Mr. Watson\r\n <sip:w@example.com>").unwrap();
        assert_eq!(addr.display, b"Mr. Watson");
        assert_eq!(NameAddr::parse(b"<sip:w@example.com>").unwrap().display, b"");
    }

    #[test]
    fn broken_addresses_are_refused() {
        assert_eq!(kind(b"\"Mr. J. User <sip:j@example.com>"), ParseErrorKind::UnclosedQuote);
        assert_eq!(kind(b"Bell, Alexander <sip:a@example.com>"), ParseErrorKind::DisplayName);
        assert_eq!(kind(b"<sip:a@example.com"), ParseErrorKind::UnclosedAngle);
        assert_eq!(kind(b"< sip:a@example.com>"), ParseErrorKind::UriByte);
        assert_eq!(kind(b"<>"), ParseErrorKind::UriScheme);
        assert_eq!(kind(b""), ParseErrorKind::UriScheme);
        assert_eq!(kind(b"<sip:a@b> x"), ParseErrorKind::Param);
    }
}
