//! `WWW-Authenticate` and `Proxy-Authenticate` (RFC 7616 3.3).

use super::{Algorithm, AuthError, Nonce, Nonces, once, parameters};
use crate::lexer;

/// A challenge, printed by a server or read by a client. Text is as it stands between the quotes, escapes included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// What the user logs in to.
    pub realm: &'a [u8],
    /// The server's nonce.
    pub nonce: &'a [u8],
    /// Comes back unchanged.
    pub opaque: Option<&'a [u8]>,
    /// URIs that the credentials are good for.
    pub domain: Option<&'a [u8]>,
    /// The hash to use.
    pub algorithm: Algorithm,
    /// Whether `qop=auth` is offered; without it the digest is that of RFC 2069.
    pub qop_auth: bool,
    /// The digest was right but its nonce was not: try again without asking the user.
    pub stale: bool,
}

impl<'a> Challenge<'a> {
    /// Reads a header value.
    ///
    /// # Errors
    /// [`AuthError`] for a challenge that this client cannot answer.
    pub fn parse(value: &'a [u8]) -> Result<Self, AuthError> {
        let (mut realm, mut nonce, mut opaque, mut domain) = (None, None, None, None);
        let (mut algorithm, mut qop, mut stale) = (None, None, None);
        for parameter in parameters(value)? {
            let (name, value) = parameter?;
            match name.to_ascii_lowercase().as_slice() {
                b"realm" => once(&mut realm, value)?,
                b"nonce" => once(&mut nonce, value)?,
                b"opaque" => once(&mut opaque, value)?,
                b"domain" => once(&mut domain, value)?,
                b"algorithm" => once(&mut algorithm, value)?,
                b"qop" => once(&mut qop, value)?,
                b"stale" => once(&mut stale, value)?,
                _ => {}
            }
        }
        let algorithm =
            algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse).ok_or(AuthError::Algorithm)?;
        let qop_auth = qop.is_some_and(|qop| lexer::elements(qop).any(|q| q.eq_ignore_ascii_case(b"auth")));
        if qop.is_some() && !qop_auth {
            return Err(AuthError::Qop);
        }
        Ok(Challenge {
            realm: realm.ok_or(AuthError::Missing)?,
            nonce: nonce.ok_or(AuthError::Missing)?,
            opaque,
            domain,
            algorithm,
            qop_auth,
            stale: stale.is_some_and(|stale| stale.eq_ignore_ascii_case(b"true")),
        })
    }

    /// The best of several challenges that this client can answer (RFC 8760 2.4 lets the client choose).
    pub fn best(values: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut best: Option<Self> = None;
        for challenge in values.filter_map(|value| Self::parse(value).ok()) {
            if best.is_none_or(|best| challenge.algorithm > best.algorithm) {
                best = Some(challenge);
            }
        }
        best
    }

    /// Prints the header value at the end of `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Digest realm=\"");
        out.extend_from_slice(self.realm);
        for (name, value) in
            [(&b"domain"[..], self.domain), (b"nonce", Some(self.nonce)), (b"opaque", self.opaque)]
        {
            if let Some(value) = value {
                out.extend_from_slice(b"\", ");
                out.extend_from_slice(name);
                out.extend_from_slice(b"=\"");
                out.extend_from_slice(value);
            }
        }
        out.extend_from_slice(b"\", algorithm=");
        out.extend_from_slice(self.algorithm.as_str().as_bytes());
        if self.qop_auth {
            out.extend_from_slice(b", qop=\"auth\"");
        }
        if self.stale {
            out.extend_from_slice(b", stale=true");
        }
    }
}

/// The header values of a fresh challenge, the preferred algorithm first (RFC 8760 2.3). Both carry one nonce.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    realm: &'a [u8],
    domain: Option<&'a [u8]>,
    nonce: Nonce,
    opaque: Nonce,
    stale: bool,
}

impl<'a> Offer<'a> {
    /// Issues a nonce for a source. `realm` and `domain` stand between quotes as they are: they must not hold `"` or `\`.
    pub fn new(
        nonces: &mut Nonces,
        realm: &'a [u8],
        domain: Option<&'a [u8]>,
        stale: bool,
        (source, unix_ms): (&[u8], u64),
    ) -> Self {
        Offer { realm, domain, nonce: nonces.issue(source, unix_ms), opaque: nonces.opaque(), stale }
    }

    /// Prints the header value for `algorithm` at the end of `out`.
    pub fn write(&self, algorithm: Algorithm, out: &mut Vec<u8>) {
        let challenge = Challenge {
            realm: self.realm,
            nonce: self.nonce.as_ref(),
            opaque: Some(self.opaque.as_ref()),
            domain: self.domain,
            algorithm,
            qop_auth: true,
            stale: self.stale,
        };
        challenge.write(out);
    }

    /// In the order of preference, to print one header line each.
    pub const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];
}
