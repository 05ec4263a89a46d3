//! The basic rules of RFC 3261 25.1: linear whitespace, quoted strings, comma-separated lists.

pub use crate::class::{is_lws, is_token};
use crate::error::{ParseError, ParseErrorKind};
use std::borrow::Cow;

/// `value` without the linear whitespace at both ends.
#[must_use]
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = value
        && is_lws(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_lws(*last)
    {
        value = rest;
    }
    value
}

/// `value` on one line: each fold and the blanks around it become one space (RFC 3261 7.3.1).
/// Borrowed as it is when there is no fold.
#[must_use]
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    unfold_into(&mut out, value);
    Cow::Owned(out)
}

/// Appends `value` to `out` on one line, see [`unfold`].
pub fn unfold_into(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    let mut in_fold = false;
    for &byte in value {
        match byte {
            b'\r' | b'\n' => {
                while out.len() > start && out.last().is_some_and(|b| matches!(b, b' ' | b'\t')) {
                    out.pop();
                }
                in_fold = true;
            }
            b' ' | b'\t' if in_fold => {}
            other => {
                if in_fold {
                    out.push(b' ');
                    in_fold = false;
                }
                out.push(other);
            }
        }
    }
}

/// The content of a quoted string: quotes and escapes removed. A value without quotes is returned as it is.
#[must_use]
pub fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = value else { return Cow::Borrowed(value) };
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        out.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(out)
}

/// Digits only, no sign, no overflow; leading zeros are fine.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// The elements of a comma-separated header value (RFC 3261 7.3.1); commas in quotes, `<>` and comments do not
/// separate. Empty elements are passed over.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

/// Splits `value` at its commas, see [`Elements`].
#[must_use]
pub const fn elements(value: &[u8]) -> Elements<'_> {
    Elements { rest: value }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (element, rest) = split_element(self.rest);
            self.rest = rest;
            let element = trim(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// The bytes before the first separating comma, and those after it.
#[must_use]
pub fn split_element(value: &[u8]) -> (&[u8], &[u8]) {
    // Nearly every value has no comma at all.
    if memchr::memchr(b',', value).is_none() {
        return (value, &[]);
    }
    let mut depth = 0usize;
    let (mut quoted, mut angled, mut escaped, mut after_blank) = (false, false, false, true);
    for (at, &byte) in value.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if !angled && depth == 0 => quoted = !quoted,
            _ if quoted => {}
            b'(' if !angled && (after_blank || depth > 0) => depth += 1,
            b')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            b'<' => angled = true,
            b'>' => angled = false,
            b',' if !angled => {
                let (element, rest) = value.split_at_checked(at).unwrap_or((value, &[]));
                return (element, rest.get(1..).unwrap_or_default());
            }
            _ => {}
        }
        after_blank = is_lws(byte);
    }
    (value, &[])
}

/// A reading position in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    len: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, len: input.len() }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn at(&self) -> usize {
        self.len - self.rest.len()
    }

    pub(crate) const fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::new(kind, self.at())
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `n` bytes, or what is left.
    pub(crate) fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at_checked(n).unwrap_or((self.rest, &[]));
        self.rest = rest;
        head
    }

    pub(crate) fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'a [u8] {
        let n = self.rest.iter().position(|b| !accept(*b)).unwrap_or(self.rest.len());
        self.take(n)
    }

    pub(crate) fn token(&mut self) -> &'a [u8] {
        self.take_while(is_token)
    }

    pub(crate) fn skip_lws(&mut self) {
        self.take_while(is_lws);
    }

    /// Takes a quoted string, quotes included. The cursor stands on its opening quote.
    pub(crate) fn quoted(&mut self) -> Result<&'a [u8], ParseError> {
        let mut from = 1;
        while let Some(found) = self.rest.get(from..).and_then(|s| memchr::memchr2(b'"', b'\\', s)) {
            let at = from + found;
            if self.rest.get(at) == Some(&b'"') {
                return Ok(self.take(at + 1));
            }
            from = at + 2;
        }
        Err(self.error(ParseErrorKind::UnclosedQuote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(value: &[u8]) -> Vec<&[u8]> {
        elements(value).collect()
    }

    #[test]
    fn a_comma_inside_quotes_angles_or_a_comment_does_not_separate() {
        assert_eq!(split(b"a, b ,c"), [&b"a"[..], b"b", b"c"]);
        assert_eq!(split(br#""x, \"y" <sip:a@b>, c"#), [&br#""x, \"y" <sip:a@b>"#[..], b"c"]);
        assert_eq!(split(b"<sip:a,b@c;d=\"e>, f"), [&b"<sip:a,b@c;d=\"e>"[..], b"f"]);
        assert_eq!(
            split(b"Softphone (beta, \\), really) , x"),
            [&b"Softphone (beta, \\), really)"[..], b"x"]
        );
    }

    #[test]
    fn empty_elements_are_passed_over() {
        assert_eq!(split(b" , a,, b, "), [&b"a"[..], b"b"]);
        assert!(split(b"").is_empty());
    }

    #[test]
    fn a_parenthesis_inside_an_address_is_no_comment() {
        assert_eq!(split(b"sip:a(b@c, d"), [&b"sip:a(b@c"[..], b"d"]);
    }

    #[test]
    fn a_fold_and_its_blanks_become_one_space() {
        assert_eq!(unfold(b"a \r\n\t b\r\n c").as_ref(), b"a b c");
        assert!(matches!(unfold(b"a  b"), Cow::Borrowed(b"a  b")));
    }

    #[test]
    fn quotes_and_escapes_are_removed() {
        assert_eq!(unquote(br#""a \"b\" \\""#).as_ref(), br#"a "b" \"#);
        assert!(matches!(unquote(b"\"plain\""), Cow::Borrowed(b"plain")));
        assert!(matches!(unquote(b"token"), Cow::Borrowed(b"token")));
    }

    #[test]
    fn numbers_neither_overflow_nor_take_signs() {
        assert_eq!(number(b"0068"), Some(68));
        assert_eq!(number(b"18446744073709551616"), None);
        for bad in [&b""[..], b"+1", b"-1", b"1 ", b"a"] {
            assert_eq!(number(bad), None);
        }
    }
}
