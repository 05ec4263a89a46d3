//! What a caller asks not to be told of him (RFC 3323, RFC 3325 9.3).

use tandem_sip::{HeaderName, Host, Message, Uri};

/// Whether the sender of a request asks not to be named, or does not name himself.
#[must_use]
pub fn is_private(request: &Message) -> bool {
    const WORDS: [&[u8]; 3] = [b"id", b"user", b"header"];
    let asks = request.lines(HeaderName::Privacy).any(|line| {
        let mut words = line.split(|byte| *byte == b';').map(tandem_sip::lexer::trim);
        words.any(|word| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)))
    });
    let from = request.envelope().ok().and_then(|env| env.from.uri().ok());
    asks || from.is_some_and(|uri| is_anonymous(&uri))
}

/// Whether a URI is the one of nobody (RFC 3323 4.1.1.3).
pub(super) fn is_anonymous(uri: &Uri<'_>) -> bool {
    matches!(uri.host, Host::Name(name) if name.eq_ignore_ascii_case(b"anonymous.invalid"))
}
