//! `Authorization` and `Proxy-Authorization` (RFC 7616 3.4).

use std::borrow::Cow;

use super::{Algorithm, AuthError, once, parameters};

/// What a client answered. Text is as it stands between the quotes, escapes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// See [`user`](Self::user) for the name without escapes.
    pub username: &'a [u8],
    /// The realm of the challenge that is answered.
    pub realm: &'a [u8],
    /// Its nonce.
    pub nonce: &'a [u8],
    /// The Request-URI as the client saw it.
    pub uri: &'a [u8],
    /// Hexadecimal.
    pub response: &'a [u8],
    /// MD5 if none is named.
    pub algorithm: Algorithm,
    /// The client's nonce.
    pub cnonce: &'a [u8],
    /// As printed; it is part of the digest.
    pub nc: &'a [u8],
    /// As a number.
    pub nonce_count: u32,
    /// What the challenge carried, if it came back.
    pub opaque: Option<&'a [u8]>,
}

impl<'a> Credentials<'a> {
    /// Reads a header value. `qop=auth` is required: without it nothing tells a replay from a request.
    ///
    /// # Errors
    /// [`AuthError`], one variant per sin.
    pub fn parse(value: &'a [u8]) -> Result<Self, AuthError> {
        let (mut username, mut realm, mut nonce, mut uri, mut response) = (None, None, None, None, None);
        let (mut algorithm, mut cnonce, mut nc, mut opaque, mut qop) = (None, None, None, None, None);
        for parameter in parameters(value)? {
            let (name, value) = parameter?;
            let slot = match name {
                name if name.eq_ignore_ascii_case(b"username") => &mut username,
                name if name.eq_ignore_ascii_case(b"realm") => &mut realm,
                name if name.eq_ignore_ascii_case(b"nonce") => &mut nonce,
                name if name.eq_ignore_ascii_case(b"uri") => &mut uri,
                name if name.eq_ignore_ascii_case(b"response") => &mut response,
                name if name.eq_ignore_ascii_case(b"algorithm") => &mut algorithm,
                name if name.eq_ignore_ascii_case(b"cnonce") => &mut cnonce,
                name if name.eq_ignore_ascii_case(b"nc") => &mut nc,
                name if name.eq_ignore_ascii_case(b"opaque") => &mut opaque,
                name if name.eq_ignore_ascii_case(b"qop") => &mut qop,
                name if name.eq_ignore_ascii_case(b"username*") => return Err(AuthError::UserHash),
                name if name.eq_ignore_ascii_case(b"userhash") && value.eq_ignore_ascii_case(b"true") => {
                    return Err(AuthError::UserHash);
                }
                _ => continue,
            };
            once(slot, value)?;
        }
        if !qop.ok_or(AuthError::Missing)?.eq_ignore_ascii_case(b"auth") {
            return Err(AuthError::Qop);
        }
        let nc = nc.ok_or(AuthError::Missing)?;
        Ok(Credentials {
            username: username.ok_or(AuthError::Missing)?,
            realm: realm.ok_or(AuthError::Missing)?,
            nonce: nonce.ok_or(AuthError::Missing)?,
            uri: uri.ok_or(AuthError::Missing)?,
            response: response.ok_or(AuthError::Missing)?,
            algorithm: algorithm
                .map_or(Some(Algorithm::Md5), Algorithm::parse)
                .ok_or(AuthError::Algorithm)?,
            cnonce: cnonce.ok_or(AuthError::Missing)?,
            nc,
            nonce_count: nonce_count(nc).ok_or(AuthError::NonceCount)?,
            opaque,
        })
    }

    /// The credentials for `realm` among several header lines (RFC 3261 22.3). `None`: there are none for it.
    pub fn for_realm(
        lines: impl Iterator<Item = &'a [u8]>,
        realm: &[u8],
    ) -> Option<Result<Credentials<'a>, AuthError>> {
        let mut broken = None;
        for parsed in lines.map(Credentials::parse) {
            match parsed {
                Ok(credentials) if credentials.realm == realm => return Some(Ok(credentials)),
                Ok(_) | Err(AuthError::Scheme) => {}
                Err(error) => broken = Some(Err(error)),
            }
        }
        broken
    }

    /// The user name without escapes, to look the user up by.
    #[must_use]
    pub fn user(&self) -> Cow<'a, [u8]> {
        if !self.username.contains(&b'\\') {
            return Cow::Borrowed(self.username);
        }
        let mut bytes = self.username.iter().copied();
        let mut name = Vec::with_capacity(self.username.len());
        while let Some(byte) = bytes.next() {
            name.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
        }
        Cow::Owned(name)
    }
}

/// `nc` is 8LHEX; upper-case digits are read too.
fn nonce_count(nc: &[u8]) -> Option<u32> {
    super::algorithm::from_hex::<4>(nc).map(u32::from_be_bytes)
}
