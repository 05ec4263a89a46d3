//! What a caller asks not to be told of him (RFC 3323, RFC 3325 9.3).

use tandem_sip::{HeaderName, Host, Message, Uri, lexer};

/// `Privacy` of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the words of one header, each there or not")]
pub struct Privacy {
    id: bool,
    user: bool,
    header: bool,
    history: bool,
    none: bool,
    critical: bool,
    /// A word that this server cannot see to: `session`, or one that it does not know.
    beyond: bool,
}

impl Privacy {
    /// What a request asks for.
    #[must_use]
    pub fn of(request: &Message) -> Self {
        let mut privacy = Self::default();
        for line in request.lines(HeaderName::Privacy) {
            for word in line.split(|byte| matches!(byte, b';' | b',')).map(lexer::trim) {
                let is = |known: &[u8]| word.eq_ignore_ascii_case(known);
                let slot = match () {
                    () if is(b"id") => &mut privacy.id,
                    () if is(b"user") => &mut privacy.user,
                    () if is(b"header") => &mut privacy.header,
                    () if is(b"history") => &mut privacy.history,
                    () if is(b"none") => &mut privacy.none,
                    () if is(b"critical") => &mut privacy.critical,
                    () => &mut privacy.beyond,
                };
                *slot |= !word.is_empty();
            }
        }
        privacy
    }

    /// Whether the caller is not to be named.
    #[must_use]
    pub fn withholds(self) -> bool {
        !self.none && (self.id || self.user || self.header)
    }

    /// Whether `id` is among the words.
    #[must_use]
    pub fn asks_id(self) -> bool {
        self.id
    }

    /// Whether the caller wants to be named whatever is configured.
    #[must_use]
    pub fn is_refused(self) -> bool {
        self.none
    }

    /// Whether the request must fail because what it asks for cannot be done here (RFC 3323 5).
    #[must_use]
    pub fn is_beyond(self) -> bool {
        self.critical && self.beyond && !self.none
    }

    /// What remains to be asked of those who follow: what this server has seen to is taken out.
    #[must_use]
    pub(super) fn rest(self) -> Option<Box<[u8]>> {
        let words = [(self.id, "id"), (self.history, "history"), (self.beyond, "session")];
        let rest: Vec<&str> = words.into_iter().filter(|(asked, _)| *asked).map(|(_, word)| word).collect();
        (!rest.is_empty()).then(|| rest.join(";").into_bytes().into())
    }
}

/// Whether the sender of a request asks not to be named, or does not name himself.
#[must_use]
pub fn is_private(request: &Message) -> bool {
    let from = request.envelope().ok().and_then(|env| env.from.uri().ok());
    Privacy::of(request).withholds() || from.is_some_and(|uri| is_anonymous(&uri))
}

/// Whether a URI is the one of nobody (RFC 3323 4.1.1.3).
fn is_anonymous(uri: &Uri<'_>) -> bool {
    matches!(uri.host, Host::Name(name) if name.eq_ignore_ascii_case(b"anonymous.invalid"))
}
