//! Parameters: `;name`, `;name=token`, `;name="quoted"` (RFC 3261 7.3.1, `generic-param`).

use crate::class::{is_lws, is_value};
use crate::error::{ParseError, ParseErrorKind};
use crate::lexer::{self, Cursor};
use crate::limits;
use std::borrow::Cow;

/// A list of parameters, read when asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    raw: &'a [u8],
}

/// One parameter: its name, and its value if it has one (quotes included).
pub type Param<'a> = (&'a [u8], Option<&'a [u8]>);

impl<'a> Params<'a> {
    /// No parameters.
    pub const EMPTY: Self = Self { raw: &[] };

    /// Takes `raw`, which starts with `;` or is empty, after checking its form.
    ///
    /// # Errors
    /// `Param` for an empty parameter or a name that is no token, `UnclosedQuote`, `TooManyParams`.
    pub fn parse(raw: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(raw);
        cursor.skip_lws();
        let mut count = 0;
        while cursor.peek().is_some() {
            count += 1;
            if count > limits::MAX_PARAMS {
                return Err(cursor.error(ParseErrorKind::TooManyParams));
            }
            check_param(&mut cursor)?;
        }
        Ok(Self { raw })
    }

    /// Takes `raw` as it is: for bytes whose form was checked before.
    pub(crate) const fn trusted(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The bytes of the list, from the first `;`.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The parameters in order.
    #[must_use]
    pub const fn iter(&self) -> Iter<'a> {
        Iter { rest: self.raw }
    }

    /// The first parameter called `name`, in any case: `Some(None)` for a flag, `Some(Some(value))` otherwise.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether there is a parameter called `name`, with or without a value.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// The value of the first parameter called `name`, quotes included.
    #[must_use]
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.get(name).flatten()
    }

    /// The value of the first parameter called `name`, without quotes and escapes.
    #[must_use]
    pub fn unquoted(&self, name: &[u8]) -> Option<Cow<'a, [u8]>> {
        self.value(name).map(lexer::unquote)
    }

    /// The value of the first parameter called `name` as a number.
    #[must_use]
    pub fn number(&self, name: &[u8]) -> Option<u64> {
        self.value(name).and_then(lexer::number)
    }
}

impl<'a> IntoIterator for Params<'a> {
    type Item = Param<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// `;` name [ `=` value ], blanks allowed around each.
fn check_param(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    if !cursor.eat(b';') {
        return Err(cursor.error(ParseErrorKind::Param));
    }
    cursor.skip_lws();
    if cursor.token().is_empty() {
        return Err(cursor.error(ParseErrorKind::Param));
    }
    cursor.skip_lws();
    if cursor.eat(b'=') {
        cursor.skip_lws();
        if cursor.peek() == Some(b'"') {
            cursor.quoted()?;
        } else {
            cursor.take_while(is_value);
        }
        cursor.skip_lws();
    }
    Ok(())
}

/// The parameters of a [`Params`] in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let mut cursor = Cursor::new(self.rest);
        cursor.take_while(|b| b == b';' || is_lws(b));
        if cursor.peek().is_none() {
            self.rest = &[];
            return None;
        }
        let name = cursor.take_while(|b| b != b';' && b != b'=' && !is_lws(b));
        cursor.skip_lws();
        let mut value = None;
        if cursor.eat(b'=') {
            cursor.skip_lws();
            value = Some(match cursor.peek() {
                Some(b'"') => cursor.quoted().unwrap_or_else(|_| cursor.take(usize::MAX)),
                _ => cursor.take_while(|b| b != b';' && !is_lws(b)),
            });
        }
        cursor.take_while(|b| b != b';');
        self.rest = cursor.rest();
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_values_and_quoted_values_are_told_apart() {
        let params = Params::parse(b" ; lr ;Tag = 98asjd8\r\n ; q=\"a;b=\\\"c\";x=").unwrap();
        assert_eq!(params.get(b"lr"), Some(None));
        assert_eq!(params.value(b"tag"), Some(&b"98asjd8"[..]));
        assert_eq!(params.value(b"q"), Some(&b"\"a;b=\\\"c\""[..]));
        assert_eq!(params.unquoted(b"q").unwrap().as_ref(), b"a;b=\"c");
        assert_eq!(params.value(b"x"), Some(&b""[..]));
        assert_eq!(params.get(b"absent"), None);
        assert_eq!(params.iter().count(), 4);
    }

    #[test]
    fn broken_lists_are_refused() {
        let kind = |raw| Params::parse(raw).unwrap_err().kind;
        assert_eq!(kind(b";;a"), ParseErrorKind::Param);
        assert_eq!(kind(b";a;"), ParseErrorKind::Param);
        assert_eq!(kind(b"a"), ParseErrorKind::Param);
        assert_eq!(kind(b";a=b c"), ParseErrorKind::Param);
        assert_eq!(kind(b";a=\"b"), ParseErrorKind::UnclosedQuote);
        assert_eq!(kind(";a".repeat(limits::MAX_PARAMS + 1).as_bytes()), ParseErrorKind::TooManyParams);
    }
}
