//! CSeq (RFC 3261 20.16, 8.1.1.5).

use crate::error::{ParseError, ParseErrorKind};
use crate::lexer::{self, Cursor};
use crate::limits;
use crate::start_line::Method;

/// `314159 INVITE`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2^31.
    pub number: u32,
    /// The method, if known.
    pub method: Method,
    /// The method as it stands in the message.
    pub method_token: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// Reads a header value.
    ///
    /// # Errors
    /// `Number`, `CSeqTooLarge`, `Method`, `Trailing`.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.skip_lws();
        let digits = cursor.take_while(|b| b.is_ascii_digit());
        if digits.is_empty() {
            return Err(cursor.error(ParseErrorKind::Number));
        }
        let number = lexer::number(digits)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n < limits::CSEQ_BOUND)
            .ok_or(ParseError::new(ParseErrorKind::CSeqTooLarge, 0))?;
        let before = cursor.at();
        cursor.skip_lws();
        let method_token = cursor.token();
        if method_token.is_empty() || cursor.at() == before + method_token.len() {
            return Err(cursor.error(ParseErrorKind::Method));
        }
        cursor.skip_lws();
        if cursor.peek().is_some() {
            return Err(cursor.error(ParseErrorKind::Trailing));
        }
        Ok(Self { number, method: Method::parse(method_token), method_token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_folds_are_read() {
        let cseq = CSeq::parse(b"0009\r\n  INVITE").unwrap();
        assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    }

    #[test]
    fn numbers_of_two_to_the_thirty_first_and_above_are_refused() {
        assert_eq!(CSeq::parse(b"2147483647 ACK").unwrap().number, 2_147_483_647);
        for big in [&b"2147483648 ACK"[..], b"36893488147419103232 ACK"] {
            assert_eq!(CSeq::parse(big).unwrap_err().kind, ParseErrorKind::CSeqTooLarge);
        }
    }

    #[test]
    fn the_method_is_mandatory_and_last() {
        assert_eq!(CSeq::parse(b"8").unwrap_err().kind, ParseErrorKind::Method);
        assert_eq!(CSeq::parse(b"8INVITE").unwrap_err().kind, ParseErrorKind::Method);
        assert_eq!(CSeq::parse(b"INVITE").unwrap_err().kind, ParseErrorKind::Number);
        assert_eq!(CSeq::parse(b"8 INVITE x").unwrap_err().kind, ParseErrorKind::Trailing);
        assert_eq!(CSeq::parse(b"8 NEW-one").unwrap().method_token, b"NEW-one");
    }
}
