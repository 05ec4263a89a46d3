//! Bytes that could not be read: one variant per sin, the place where it was found, and no strings.

use crate::header_name::HeaderName;
use std::fmt;

/// Which rule the bytes broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ParseErrorKind {
    /// Nothing but line ends.
    Empty,
    /// Longer than [`MAX_MESSAGE`](crate::limits::MAX_MESSAGE).
    MessageTooLong,
    /// The header section does not end in an empty line.
    Truncated,
    /// A line feed without its carriage return.
    BareLf,
    /// A carriage return without its line feed.
    BareCr,
    /// A NUL outside a quoted pair.
    NulByte,
    /// The start line is neither a request line nor a status line.
    StartLine,
    /// Longer than [`MAX_START_LINE`](crate::limits::MAX_START_LINE).
    StartLineTooLong,
    /// More than the one space between the parts of the start line, or a space at its end.
    StartLineSpaces,
    /// The method is not a token, or is too long.
    Method,
    /// A SIP version other than 2.0.
    Version,
    /// Not three digits between 100 and 699.
    StatusCode,
    /// A Request-URI that is no URI: empty, enclosed in `<>`, or with a blank inside.
    RequestUri,
    /// A header line whose name is no token or lacks its colon.
    HeaderName,
    /// Longer than [`MAX_HEADER_NAME`](crate::limits::MAX_HEADER_NAME).
    HeaderNameTooLong,
    /// Longer than [`MAX_HEADER_LINE`](crate::limits::MAX_HEADER_LINE).
    HeaderTooLong,
    /// More than [`MAX_HEADERS`](crate::limits::MAX_HEADERS).
    TooManyHeaders,
    /// A mandatory header is absent.
    Missing,
    /// A header that may stand once stands twice.
    Duplicate,
    /// Not a number, or one that does not fit.
    Number,
    /// A Content-Length beyond the end of the message.
    ContentLengthTooLong,
    /// A CSeq number of 2^31 or more.
    CSeqTooLarge,
    /// The CSeq method differs from the method of the request.
    CSeqMethod,
    /// Not a Call-ID: empty, too long, or with a blank inside.
    CallId,
    /// The Via is not `SIP/2.0/transport`.
    ViaProtocol,
    /// Longer than its limit: a Via, a tag, a host.
    TooLong,
    /// A host that is neither a name nor an address.
    Host,
    /// A port that is not 0 to 65535.
    Port,
    /// An empty parameter, a name that is no token, or blanks in a value.
    Param,
    /// More than [`MAX_PARAMS`](crate::limits::MAX_PARAMS).
    TooManyParams,
    /// A quoted string without its closing quote.
    UnclosedQuote,
    /// A `<` without its `>`.
    UnclosedAngle,
    /// A display name that is neither tokens nor a quoted string.
    DisplayName,
    /// An address outside `<>` that holds `?` or `,` (RFC 3261 20.10).
    BareAddress,
    /// Bytes after the end of a value.
    Trailing,
    /// A URI without a scheme, or one that is no scheme.
    UriScheme,
    /// The user part is empty or holds a byte that must be escaped.
    UriUser,
    /// A `%` without two hexadecimal digits.
    UriEscape,
    /// A byte that a URI cannot hold.
    UriByte,
    /// Longer than [`MAX_URI`](crate::limits::MAX_URI).
    UriTooLong,
    /// A tel number without digits, or with something else among them.
    TelNumber,
}

impl ParseErrorKind {
    /// A few words for a log line, a Warning or a reason phrase.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "nothing but line ends",
            Self::MessageTooLong => "message too long",
            Self::Truncated => "no empty line after the headers",
            Self::BareLf => "line feed without carriage return",
            Self::BareCr => "carriage return without line feed",
            Self::NulByte => "NUL outside a quoted pair",
            Self::StartLine => "neither a request line nor a status line",
            Self::StartLineTooLong => "start line too long",
            Self::StartLineSpaces => "stray blanks in the start line",
            Self::Method => "not a method",
            Self::Version => "SIP version other than 2.0",
            Self::StatusCode => "not a status code",
            Self::RequestUri => "not a Request-URI",
            Self::HeaderName => "not a header name",
            Self::HeaderNameTooLong => "header name too long",
            Self::HeaderTooLong => "header too long",
            Self::TooManyHeaders => "too many headers",
            Self::Missing => "missing",
            Self::Duplicate => "given twice",
            Self::Number => "not a number in range",
            Self::ContentLengthTooLong => "length beyond the end of the message",
            Self::CSeqTooLarge => "number of 2^31 or more",
            Self::CSeqMethod => "method differs from the request",
            Self::CallId => "not a Call-ID",
            Self::ViaProtocol => "not SIP/2.0 and a transport",
            Self::TooLong => "value too long",
            Self::Host => "not a host",
            Self::Port => "not a port",
            Self::Param => "malformed parameter",
            Self::TooManyParams => "too many parameters",
            Self::UnclosedQuote => "quoted string without end",
            Self::UnclosedAngle => "no closing angle bracket",
            Self::DisplayName => "malformed display name",
            Self::BareAddress => "address needs angle brackets",
            Self::Trailing => "bytes after the value",
            Self::UriScheme => "no URI scheme",
            Self::UriUser => "malformed user part",
            Self::UriEscape => "malformed escape in URI",
            Self::UriByte => "byte that no URI holds",
            Self::UriTooLong => "URI too long",
            Self::TelNumber => "not a telephone number",
        }
    }
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where reading stopped, and why. Offsets are relative to the slice that was handed to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParseError {
    /// The rule that was broken.
    pub kind: ParseErrorKind,
    /// Offset of the offending byte.
    pub at: usize,
}

impl ParseError {
    /// An error of `kind` at offset `at`.
    #[must_use]
    pub const fn new(kind: ParseErrorKind, at: usize) -> Self {
        Self { kind, at }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.at)
    }
}

impl std::error::Error for ParseError {}

/// A readable message with a bad or missing mandatory header: a request like this deserves a 400
/// (505 for [`ParseErrorKind::Version`]), a response is dropped.
///
/// A fault of the start line carries [`HeaderName::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderFault {
    /// The header at fault.
    pub header: HeaderName,
    /// What is wrong with it.
    pub kind: ParseErrorKind,
}

impl HeaderFault {
    /// A fault of `kind` in `header`.
    #[must_use]
    pub const fn new(header: HeaderName, kind: ParseErrorKind) -> Self {
        Self { header, kind }
    }

    /// What a request with this fault is answered with (RFC 3261 8.2, 21.4.1, 21.4.15, 21.5.6).
    #[must_use]
    pub fn status(&self) -> u16 {
        match (self.header, self.kind) {
            (HeaderName::Other, ParseErrorKind::Version) => 505,
            (HeaderName::Other, ParseErrorKind::UriTooLong) => 414,
            _ => 400,
        }
    }
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.header == HeaderName::Other {
            write!(f, "start line: {}", self.kind)
        } else {
            write!(f, "{}: {}", self.header, self.kind)
        }
    }
}

impl std::error::Error for HeaderFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_is_wrong_and_what_to_answer() {
        let fault = HeaderFault::new(HeaderName::CSeq, ParseErrorKind::CSeqTooLarge);
        assert_eq!((fault.to_string().as_str(), fault.status()), ("CSeq: number of 2^31 or more", 400));
        let version = HeaderFault::new(HeaderName::Other, ParseErrorKind::Version);
        assert_eq!(
            (version.to_string().as_str(), version.status()),
            ("start line: SIP version other than 2.0", 505)
        );
        assert_eq!(HeaderFault::new(HeaderName::Other, ParseErrorKind::UriTooLong).status(), 414);
        assert_eq!(HeaderFault::new(HeaderName::From, ParseErrorKind::UriTooLong).status(), 400);
    }
}
