//! The client's side: what to print in `Authorization` for a challenge (RFC 7616 3.4).

use super::Challenge;

/// Who logs in.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The user name, as it is to stand between quotes.
    pub user: &'a [u8],
    /// In the clear.
    pub password: &'a [u8],
}

/// The header value that answers `challenge` for a request of `method` to `uri`. `cnonce` is fresh randomness in
/// token characters; `nc` counts the requests answered with this nonce, from 1.
#[must_use]
pub fn answer(
    challenge: &Challenge<'_>,
    login: Login<'_>,
    method: &[u8],
    uri: &[u8],
    cnonce: &[u8],
    nc: u32,
) -> Vec<u8> {
    let algorithm = challenge.algorithm;
    let ha1 = algorithm.hash(&[login.user, challenge.realm, login.password]);
    let nc = format!("{nc:08x}");
    let response = if challenge.qop_auth {
        algorithm.response(&ha1, challenge.nonce, nc.as_bytes(), cnonce, method, uri)
    } else {
        let ha2 = algorithm.hash(&[method, uri]);
        algorithm.hash(&[ha1.as_ref(), challenge.nonce, ha2.as_ref()])
    };
    let mut out = Vec::with_capacity(320);
    let mut first = true;
    let mut field = |name: &str, value: &[u8], quoted: bool| {
        out.extend_from_slice(if first { b"Digest " } else { b", " });
        first = false;
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(if quoted { b"=\"" } else { b"=" });
        out.extend_from_slice(value);
        if quoted {
            out.push(b'"');
        }
    };
    field("username", login.user, true);
    field("realm", challenge.realm, true);
    field("nonce", challenge.nonce, true);
    field("uri", uri, true);
    field("response", response.as_ref(), true);
    field("algorithm", algorithm.as_str().as_bytes(), false);
    if let Some(opaque) = challenge.opaque {
        field("opaque", opaque, true);
    }
    if challenge.qop_auth {
        field("cnonce", cnonce, true);
        field("qop", b"auth", false);
        field("nc", nc.as_bytes(), false);
    }
    out
}
