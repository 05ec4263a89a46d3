//! URI comparison (RFC 3261 19.1.4, RFC 3966 5).

use super::{Scheme, Uri, is_visual_separator, split_escape};
use crate::params::Params;

/// Parameters that must stand in both URIs or in neither, even with their default value.
const SIGNIFICANT: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];

pub(super) fn equivalent(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    // The same text is the same URI, also one with a parameter given twice, whose values match no other's.
    if a.raw == b.raw {
        return true;
    }
    if a.scheme != b.scheme {
        return false;
    }
    match a.scheme {
        Scheme::Sip | Scheme::Sips => sip(a, b),
        Scheme::Tel => tel(a, b),
        Scheme::Other => {
            let (scheme_a, scheme_b) = (a.scheme_token(), b.scheme_token());
            scheme_a.eq_ignore_ascii_case(scheme_b)
                && a.raw.get(scheme_a.len()..) == b.raw.get(scheme_b.len()..)
        }
    }
}

fn sip(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    same_option(a.user, b.user, Case::Sensitive)
        && same_option(a.password, b.password, Case::Sensitive)
        && a.host == b.host
        && a.port == b.port
        && sip_params(&a.params, &b.params)
        && headers_within(a, b)
        && headers_within(b, a)
}

fn sip_params(a: &Params<'_>, b: &Params<'_>) -> bool {
    SIGNIFICANT.iter().all(|name| find(a, name).is_some() == find(b, name).is_some())
        && a.iter()
            .all(|(name, value)| find(b, name).is_none_or(|other| same_option(value, other, Case::Ignored)))
}

/// Every header of `a` stands in `b` with the same value: headers are never passed over.
fn headers_within(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    a.header_pairs().all(|(name, value)| {
        b.header_pairs().any(|(n, v)| same(name, n, Case::Ignored) && same(value, v, Case::Ignored))
    })
}

fn tel(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    let digits = |uri: &Uri<'_>| -> Vec<u8> {
        let number = uri.user.unwrap_or_default().iter().copied();
        number.filter(|b| !is_visual_separator(*b)).map(|b| b.to_ascii_lowercase()).collect()
    };
    digits(a) == digits(b)
        && tel_params_within(&a.params, &b.params)
        && tel_params_within(&b.params, &a.params)
}

fn tel_params_within(a: &Params<'_>, b: &Params<'_>) -> bool {
    a.iter().all(|(name, value)| find(b, name).is_some_and(|other| same_option(value, other, Case::Ignored)))
}

fn find<'a>(params: &Params<'a>, name: &[u8]) -> Option<Option<&'a [u8]>> {
    params.iter().find(|(n, _)| same(n, name, Case::Ignored)).map(|(_, value)| value)
}

#[derive(Clone, Copy)]
enum Case {
    Sensitive,
    Ignored,
}

fn same_option(a: Option<&[u8]>, b: Option<&[u8]>, case: Case) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b, case),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether two strings are equal when a byte outside the reserved set equals its `%` escape.
fn same(a: &[u8], b: &[u8], case: Case) -> bool {
    if a == b {
        return true;
    }
    Units { rest: a, case }.eq(Units { rest: b, case })
}

/// The bytes of a string, each with whether it is an escaped reserved character: `%3B` is not `;`.
struct Units<'a> {
    rest: &'a [u8],
    case: Case,
}

impl Iterator for Units<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<(u8, bool)> {
        let (first, tail) = self.rest.split_first()?;
        let (byte, escaped, tail) = match split_escape(self.rest) {
            Some((byte, tail)) => (byte, is_reserved(byte), tail),
            None => (*first, false, tail),
        };
        self.rest = tail;
        let byte = match self.case {
            Case::Sensitive => byte,
            Case::Ignored => byte.to_ascii_lowercase(),
        };
        Some((byte, escaped))
    }
}

const fn is_reserved(byte: u8) -> bool {
    matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',')
}
