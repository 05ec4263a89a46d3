//! Digest authentication (RFC 3261 22, RFC 7616, RFC 8760): MD5 and SHA-256, `qop=auth`, nonces without a session.
//!
//! Server: [`Nonces`] makes the nonce of a [`Challenge`], [`Credentials::parse`] reads what comes back, and
//! [`verify`] gives the [`Verdict`]. Client: [`Challenge::parse`] and [`answer`].

pub mod algorithm;
pub mod answer;
pub mod challenge;
pub mod credentials;
pub mod nonces;
pub mod verify;

pub use algorithm::{Algorithm, Ha1};
pub use answer::{Login, answer};
pub use challenge::{Challenge, Offer};
pub use credentials::Credentials;
pub use nonces::{Nonce, Nonces};
pub use verify::{Asked, Verdict, verify};

/// Why a challenge or credentials cannot be used: one variant per sin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthError {
    /// Another scheme than Digest.
    Scheme,
    /// The parameter list is not one.
    Syntax,
    /// A parameter stands twice.
    Duplicate,
    /// A mandatory parameter is missing.
    Missing,
    /// Another algorithm than MD5 and SHA-256; the `-sess` variants are among these.
    Algorithm,
    /// Another quality of protection than `auth`.
    Qop,
    /// `nc` is not eight hexadecimal digits.
    NonceCount,
    /// `userhash` or `username*`, which were not offered.
    UserHash,
}

impl std::fmt::Display for AuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AuthError::Scheme => "not the Digest scheme",
            AuthError::Syntax => "malformed parameter list",
            AuthError::Duplicate => "a parameter stands twice",
            AuthError::Missing => "a mandatory parameter is missing",
            AuthError::Algorithm => "algorithm is neither MD5 nor SHA-256",
            AuthError::Qop => "qop is not auth",
            AuthError::NonceCount => "nc is not eight hexadecimal digits",
            AuthError::UserHash => "userhash and username* are not offered",
        })
    }
}

impl std::error::Error for AuthError {}

/// A name and its value.
type Parameter<'a> = (&'a [u8], &'a [u8]);

/// The parameters after the scheme word: `name=token` or `name="quoted"`, names in any case.
///
/// Values come without their quotes and with their escapes, which is the form that digests are made of.
fn parameters(value: &[u8]) -> Result<impl Iterator<Item = Result<Parameter<'_>, AuthError>>, AuthError> {
    let value = crate::lexer::trim(value);
    let (scheme, rest) = value.split_at_checked(6).ok_or(AuthError::Scheme)?;
    if !scheme.eq_ignore_ascii_case(b"Digest") || !rest.first().is_some_and(|b| crate::lexer::is_lws(*b)) {
        return Err(AuthError::Scheme);
    }
    Ok(crate::lexer::elements(rest).map(parameter))
}

fn parameter(element: &[u8]) -> Result<Parameter<'_>, AuthError> {
    let at = memchr::memchr(b'=', element).ok_or(AuthError::Syntax)?;
    let (name, value) = element.split_at_checked(at).ok_or(AuthError::Syntax)?;
    let (name, value) = (crate::lexer::trim(name), crate::lexer::trim(value.get(1..).unwrap_or_default()));
    let value = match value {
        [b'"', inner @ .., b'"'] if is_quoted_content(inner) => inner,
        bare if !bare.is_empty() && bare.iter().all(|b| is_bare(*b)) => bare,
        _ => return Err(AuthError::Syntax),
    };
    if name.is_empty() { Err(AuthError::Syntax) } else { Ok((name, value)) }
}

/// No control characters and no quote but behind a backslash.
fn is_quoted_content(inner: &[u8]) -> bool {
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.next().is_none() => return false,
            b'"' => return false,
            b'\t' => {}
            byte if byte.is_ascii_control() => return false,
            _ => {}
        }
    }
    true
}

/// A token, or the base64 and URI bytes that deployed clients leave unquoted.
fn is_bare(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b',')
}

/// Puts `value` into `slot`, once.
fn once<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) -> Result<(), AuthError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(AuthError::Duplicate),
    }
}
