//! One pass over the bytes: start line, header lines, empty line, body (RFC 3261 7, 18.3).

use super::{HeaderSpan, Message, Span, Start};
use crate::error::{HeaderFault, ParseError, ParseErrorKind};
use crate::header_name::HeaderName;
use crate::lexer::{self, is_token};
use crate::limits;
use crate::start_line::Method;
use crate::uri::Uri;
use bytes::Bytes;
use smallvec::SmallVec;

type Headers = SmallVec<[HeaderSpan; limits::INLINE_HEADERS]>;

pub(super) fn message(bytes: Bytes) -> Result<Message, ParseError> {
    let input: &[u8] = &bytes;
    if input.len() > limits::MAX_MESSAGE {
        return Err(ParseError::new(ParseErrorKind::MessageTooLong, limits::MAX_MESSAGE));
    }
    let start_at = skip_empty_lines(input)?;
    let (end, mut at) = physical_line(input, start_at)?;
    if end - start_at > limits::MAX_START_LINE {
        return Err(ParseError::new(ParseErrorKind::StartLineTooLong, start_at + limits::MAX_START_LINE));
    }
    let (start, mut fault) = start_line(input, start_at, end)?;
    let mut headers = Headers::new();
    while !input.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
        if headers.len() == limits::MAX_HEADERS {
            return Err(ParseError::new(ParseErrorKind::TooManyHeaders, at));
        }
        let (header, next) = header(input, at)?;
        headers.push(header);
        at = next;
    }
    let (body, length_fault) = body(input, at + 2, &headers);
    fault = fault.or(length_fault);
    Ok(Message { start, headers, body, fault, bytes })
}

/// Empty lines before the start line are ignored (RFC 3261 7.5).
fn skip_empty_lines(input: &[u8]) -> Result<usize, ParseError> {
    let at = input.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(input.len());
    if at == input.len() { Err(ParseError::new(ParseErrorKind::Empty, at)) } else { Ok(at) }
}

/// The end of the line that begins at `at`, and the start of the next. A NUL stands only in a quoted pair.
fn physical_line(input: &[u8], at: usize) -> Result<(usize, usize), ParseError> {
    let mut from = at;
    loop {
        let Some(found) = input.get(from..).and_then(|s| memchr::memchr3(b'\r', b'\n', 0, s)) else {
            return Err(ParseError::new(ParseErrorKind::Truncated, input.len()));
        };
        let end = from + found;
        match input.get(end) {
            Some(b'\r') if input.get(end + 1) == Some(&b'\n') => return Ok((end, end + 2)),
            Some(b'\r') => return Err(ParseError::new(ParseErrorKind::BareCr, end)),
            Some(b'\n') => return Err(ParseError::new(ParseErrorKind::BareLf, end)),
            _ if end > at && input.get(end - 1) == Some(&b'\\') => from = end + 1,
            _ => return Err(ParseError::new(ParseErrorKind::NulByte, end)),
        }
    }
}

/// Like [`physical_line`], with the lines that are folded into it.
fn logical_line(input: &[u8], at: usize) -> Result<(usize, usize), ParseError> {
    let (mut end, mut next) = physical_line(input, at)?;
    while input.get(next).is_some_and(|b| matches!(b, b' ' | b'\t')) {
        (end, next) = physical_line(input, next)?;
    }
    Ok((end, next))
}

fn header(input: &[u8], at: usize) -> Result<(HeaderSpan, usize), ParseError> {
    let rest = input.get(at..).unwrap_or_default();
    let name_len = rest.iter().position(|b| !is_token(*b)).unwrap_or(rest.len());
    let blanks =
        rest.get(name_len..).unwrap_or_default().iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let colon = name_len + blanks;
    if name_len == 0 || rest.get(colon) != Some(&b':') {
        let kind = if colon == rest.len() { ParseErrorKind::Truncated } else { ParseErrorKind::HeaderName };
        return Err(ParseError::new(kind, at + colon));
    }
    let Ok(short_len) = u8::try_from(name_len) else {
        return Err(ParseError::new(ParseErrorKind::HeaderNameTooLong, at));
    };
    let name = HeaderName::parse(rest.get(..name_len).unwrap_or_default());
    let value_at = at + colon + 1;
    let (end, next) = logical_line(input, value_at)?;
    if end - at > limits::MAX_HEADER_LINE {
        return Err(ParseError::new(ParseErrorKind::HeaderTooLong, at + limits::MAX_HEADER_LINE));
    }
    let value = trimmed(input, value_at, end);
    Ok((HeaderSpan { name, name_len: short_len, name_at: short(at), value }, next))
}

fn trimmed(input: &[u8], from: usize, to: usize) -> Span {
    let value = input.get(from..to).unwrap_or_default();
    let leading = value.iter().position(|b| !lexer::is_lws(*b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !lexer::is_lws(*b)).map_or(leading, |last| last + 1);
    span(from + leading, from + end)
}

/// Request line or status line: told apart by the `/`, which no method holds.
fn start_line(input: &[u8], from: usize, to: usize) -> Result<(Start, Option<HeaderFault>), ParseError> {
    let line = input.get(from..to).unwrap_or_default();
    let name = line.get(..4).unwrap_or_default();
    if name.eq_ignore_ascii_case(b"SIP/") { status_line(line, from) } else { request_line(line, from) }
}

fn status_line(line: &[u8], from: usize) -> Result<(Start, Option<HeaderFault>), ParseError> {
    if line.get(4..8).is_none_or(|version| version != b"2.0 ") {
        return Err(ParseError::new(ParseErrorKind::Version, from + 4));
    }
    let rest = line.get(8..).unwrap_or_default();
    let code = match rest {
        [a @ b'1'..=b'6', b, c] | [a @ b'1'..=b'6', b, c, b' ', ..] => lexer::number(&[*a, *b, *c]),
        _ => None,
    };
    let Some(code) = code.and_then(|code| u16::try_from(code).ok()) else {
        return Err(ParseError::new(ParseErrorKind::StatusCode, from + 8));
    };
    let to = from + line.len();
    Ok((Start::Status { code, reason: span((from + 12).min(to), to) }, None))
}

/// A line that departs from `Method SP URI SP SIP/2.0` but can be taken apart yields a fault instead of an error.
fn request_line(line: &[u8], from: usize) -> Result<(Start, Option<HeaderFault>), ParseError> {
    let method_len = line.iter().position(|b| !is_token(*b)).unwrap_or(line.len());
    if method_len == 0 || method_len > limits::MAX_METHOD {
        return Err(ParseError::new(ParseErrorKind::Method, from));
    }
    let (Some(b' '), Some(last)) = (line.get(method_len), memchr::memrchr(b' ', lexer::trim(line))) else {
        return Err(ParseError::new(ParseErrorKind::StartLine, from + method_len));
    };
    let (uri_at, uri_end) = (method_len + 1, last.max(method_len + 1));
    let uri = line.get(uri_at..uri_end).unwrap_or_default();
    let version = line.get(last + 1..).unwrap_or_default();
    if !version.get(..4).is_some_and(|sip| sip.eq_ignore_ascii_case(b"SIP/")) {
        return Err(ParseError::new(ParseErrorKind::StartLine, from + last + 1));
    }
    let kind = if lexer::trim(version).get(4..).is_none_or(|v| v != b"2.0") {
        Some(ParseErrorKind::Version)
    } else if uri != lexer::trim(uri) || version != lexer::trim(version) {
        Some(ParseErrorKind::StartLineSpaces)
    } else if uri.len() > limits::MAX_URI {
        Some(ParseErrorKind::UriTooLong)
    } else if uri.is_empty()
        || uri.iter().any(|b| lexer::is_lws(*b) || matches!(b, b'<' | b'>' | b'"'))
        || has_headers(uri)
    {
        Some(ParseErrorKind::RequestUri)
    } else {
        None
    };
    let token = line.get(..method_len).unwrap_or_default();
    let start = Start::Request {
        method: Method::parse(token),
        token: span(from, from + method_len),
        uri: trimmed(line, uri_at, uri_end).shifted(from),
    };
    Ok((start, kind.map(|kind| HeaderFault::new(HeaderName::Other, kind))))
}

/// A Request-URI carries no header part (RFC 3261 19.1.1, table 1); a `?` in its user part is none.
fn has_headers(uri: &[u8]) -> bool {
    memchr::memchr(b'?', uri).is_some() && Uri::parse(uri).is_ok_and(|uri| !uri.headers.is_empty())
}

/// The body by Content-Length, or the rest of the bytes.
fn body(input: &[u8], at: usize, headers: &Headers) -> (Span, Option<HeaderFault>) {
    let rest = span(at, input.len());
    let mut length = None;
    for header in headers.iter().filter(|h| h.name == HeaderName::ContentLength) {
        let value = input.get(header.value.range()).unwrap_or_default();
        let Some(declared) = lexer::number(value) else {
            return (rest, Some(HeaderFault::new(HeaderName::ContentLength, ParseErrorKind::Number)));
        };
        if length.replace(declared).is_some_and(|before| before != declared) {
            return (rest, Some(HeaderFault::new(HeaderName::ContentLength, ParseErrorKind::Duplicate)));
        }
    }
    match length.map(usize::try_from) {
        None => (rest, None),
        Some(Ok(length)) if length <= input.len() - at => (span(at, at + length), None),
        Some(_) => {
            let fault = HeaderFault::new(HeaderName::ContentLength, ParseErrorKind::ContentLengthTooLong);
            (rest, Some(fault))
        }
    }
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        usize::from(self.at)..usize::from(self.at) + usize::from(self.len)
    }

    fn shifted(self, by: usize) -> Self {
        Self { at: self.at + short(by), len: self.len }
    }
}

fn span(from: usize, to: usize) -> Span {
    Span { at: short(from), len: short(to.saturating_sub(from)) }
}

/// Offsets fit: a message is at most [`limits::MAX_MESSAGE`] bytes, which [`message`] checks first.
const fn short(offset: usize) -> u16 {
    offset as u16
}
