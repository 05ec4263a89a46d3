//! The server's judgement (RFC 7616 3.4.6, 3.5; RFC 3261 22.4).

use subtle::{Choice, ConstantTimeEq};

use super::{Credentials, Ha1, Nonces};
use crate::uri::Uri;

/// What the credentials came with, and what they were asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The realm of this server.
    pub realm: &'a [u8],
    /// The method as it stands in the request; an ACK or CANCEL is never challenged.
    pub method: &'a [u8],
    /// The Request-URI as it stands in the request.
    pub request_uri: &'a [u8],
    /// Where the request came from, as [`Nonces::issue`] was told.
    pub source: &'a [u8],
    /// The time, Unix milliseconds.
    pub unix_ms: u64,
}

/// What to do with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The user is who he says.
    Ok,
    /// He is, but the nonce is expired, forgotten or another server's, or its count was used: challenge with
    /// `stale=true`, and the phone answers without asking him.
    Stale,
    /// Wrong password or unknown user, never told apart: challenge again or refuse.
    Wrong,
    /// The same, with a nonce that this source was not given lately: whoever sent it may be elsewhere. Challenge again,
    /// and hold it against nobody.
    Unproven,
    /// The credentials are for another Request-URI (RFC 7616 3.4.6): 400.
    OtherUri,
}

/// Stands in for the HA1 of a user who does not exist, so that he costs the same work.
const NOBODY: Ha1 = Ha1 { md5: [0; 16], sha256: [0; 32] };

/// Judges `credentials`. `ha1` is that of [`Credentials::user`], or none if there is no such user.
///
/// The digest is computed and compared in the same way whether the user exists or not.
pub fn verify(
    nonces: &mut Nonces,
    credentials: &Credentials<'_>,
    ha1: Option<&Ha1>,
    asked: Asked<'_>,
) -> Verdict {
    if !same_uri(credentials.uri, asked.request_uri) {
        return Verdict::OtherUri;
    }
    let algorithm = credentials.algorithm;
    let expected = algorithm.response(
        &ha1.unwrap_or(&NOBODY).hex(algorithm),
        credentials.nonce,
        credentials.nc,
        credentials.cnonce,
        asked.method,
        credentials.uri,
    );
    let known = Choice::from(u8::from(ha1.is_some()));
    let realm = Choice::from(u8::from(credentials.realm == asked.realm));
    let right = same_digest(expected.as_ref(), credentials.response);
    if !bool::from(known & realm & right) {
        let live = nonces.is_live(credentials.nonce, asked.source, asked.unix_ms);
        return if live { Verdict::Wrong } else { Verdict::Unproven };
    }
    if nonces.accept(credentials.nonce, credentials.nonce_count, asked.source, asked.unix_ms) {
        Verdict::Ok
    } else {
        Verdict::Stale
    }
}

/// Compares without saying by its duration where the difference is. Upper-case digits count as lower-case ones.
fn same_digest(expected: &[u8], given: &[u8]) -> Choice {
    let mut lower = [0; 64];
    for (to, from) in lower.iter_mut().zip(given) {
        *to = from.to_ascii_lowercase();
    }
    lower.get(..expected.len()).unwrap_or_default().ct_eq(expected) & given.len().ct_eq(&expected.len())
}

/// RFC 7616 3.4.6: the two must name one resource, not be the same bytes.
fn same_uri(given: &[u8], request_uri: &[u8]) -> bool {
    given == request_uri
        || matches!((Uri::parse(given), Uri::parse(request_uri)), (Ok(a), Ok(b)) if a.equivalent(&b))
}
