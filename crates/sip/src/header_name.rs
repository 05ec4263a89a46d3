//! Header names: the ones this server reads, in any case and in their compact forms (RFC 3261 7.3.3 and the
//! extensions that added one); every other name is [`HeaderName::Other`] and travels as its own bytes.

use std::fmt;

/// A header that the server knows by name.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the header of that name")]
pub enum HeaderName {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    MaxForwards,
    ContentLength,
    ContentType,
    Route,
    RecordRoute,
    Expires,
    MinExpires,
    Supported,
    Require,
    ProxyRequire,
    Unsupported,
    Allow,
    Authorization,
    WwwAuthenticate,
    ProxyAuthorization,
    ProxyAuthenticate,
    RetryAfter,
    Warning,
    Reason,
    UserAgent,
    Server,
    Event,
    SubscriptionState,
    ReferTo,
    ReferredBy,
    Replaces,
    SessionExpires,
    MinSe,
    RSeq,
    RAck,
    PAssertedIdentity,
    Privacy,
    Diversion,
    HistoryInfo,
    UserToUser,
    Path,
    Date,
    Accept,
    ContentEncoding,
    ContentDisposition,
    AllowEvents,
    SessionId,
    ErrorInfo,
    AlertInfo,
    CallInfo,
    Subject,
    Timestamp,
    Identity,
    IdentityInfo,
    RequestDisposition,
    AcceptContact,
    RejectContact,
    /// The private mark of a request that a peer site forwarded: it is never forwarded again.
    XTandemForwarded,
    /// The private mark of a server that is shutting down gracefully.
    XTandemDraining,
    /// Any other header; its name is the token in the message.
    Other,
}

impl HeaderName {
    /// Every name but [`HeaderName::Other`].
    pub const ALL: [Self; 60] = [
        Self::Via,
        Self::From,
        Self::To,
        Self::CallId,
        Self::CSeq,
        Self::Contact,
        Self::MaxForwards,
        Self::ContentLength,
        Self::ContentType,
        Self::Route,
        Self::RecordRoute,
        Self::Expires,
        Self::MinExpires,
        Self::Supported,
        Self::Require,
        Self::ProxyRequire,
        Self::Unsupported,
        Self::Allow,
        Self::Authorization,
        Self::WwwAuthenticate,
        Self::ProxyAuthorization,
        Self::ProxyAuthenticate,
        Self::RetryAfter,
        Self::Warning,
        Self::Reason,
        Self::UserAgent,
        Self::Server,
        Self::Event,
        Self::SubscriptionState,
        Self::ReferTo,
        Self::ReferredBy,
        Self::Replaces,
        Self::SessionExpires,
        Self::MinSe,
        Self::RSeq,
        Self::RAck,
        Self::PAssertedIdentity,
        Self::Privacy,
        Self::Diversion,
        Self::HistoryInfo,
        Self::UserToUser,
        Self::Path,
        Self::Date,
        Self::Accept,
        Self::ContentEncoding,
        Self::ContentDisposition,
        Self::AllowEvents,
        Self::SessionId,
        Self::ErrorInfo,
        Self::AlertInfo,
        Self::CallInfo,
        Self::Subject,
        Self::Timestamp,
        Self::Identity,
        Self::IdentityInfo,
        Self::RequestDisposition,
        Self::AcceptContact,
        Self::RejectContact,
        Self::XTandemForwarded,
        Self::XTandemDraining,
    ];

    /// Reads a name in any case, long or compact. What is not known is [`HeaderName::Other`].
    #[must_use]
    pub fn parse(token: &[u8]) -> Self {
        use HeaderName as N;
        let candidates: &[Self] = match token.len() {
            1 => return Self::compact(token),
            2 => &[N::To],
            3 => &[N::Via],
            4 => &[N::From, N::CSeq, N::RSeq, N::RAck, N::Path, N::Date],
            5 => &[N::Route, N::Allow, N::Event],
            6 => &[N::Reason, N::Server, N::MinSe, N::Accept],
            7 => &[N::CallId, N::Contact, N::Expires, N::Require, N::Warning, N::Privacy, N::Subject],
            8 => &[N::ReferTo, N::Replaces, N::Identity],
            9 => &[N::Supported, N::Diversion, N::CallInfo, N::Timestamp],
            10 => &[N::UserAgent, N::SessionId, N::ErrorInfo, N::AlertInfo],
            11 => &[N::MinExpires, N::Unsupported, N::RetryAfter, N::ReferredBy],
            12 => &[
                N::MaxForwards,
                N::ContentType,
                N::RecordRoute,
                N::HistoryInfo,
                N::UserToUser,
                N::AllowEvents,
            ],
            13 => &[N::ProxyRequire, N::Authorization, N::IdentityInfo],
            14 => &[N::ContentLength, N::AcceptContact, N::RejectContact],
            15 => &[N::SessionExpires],
            16 => &[N::WwwAuthenticate, N::ContentEncoding],
            17 => &[N::XTandemDraining],
            18 => &[N::ProxyAuthenticate, N::SubscriptionState, N::XTandemForwarded],
            19 => {
                &[N::ProxyAuthorization, N::PAssertedIdentity, N::ContentDisposition, N::RequestDisposition]
            }
            _ => return Self::Other,
        };
        // Most candidates of one length part at the first letter.
        let initial = token.first().map(u8::to_ascii_lowercase);
        let matches = |name: &&Self| {
            let name = name.as_str().as_bytes();
            name.first().map(u8::to_ascii_lowercase) == initial && name.eq_ignore_ascii_case(token)
        };
        candidates.iter().find(matches).copied().unwrap_or(Self::Other)
    }

    fn compact(token: &[u8]) -> Self {
        match token.first().map(u8::to_ascii_lowercase) {
            Some(b'a') => Self::AcceptContact,
            Some(b'b') => Self::ReferredBy,
            Some(b'c') => Self::ContentType,
            Some(b'd') => Self::RequestDisposition,
            Some(b'e') => Self::ContentEncoding,
            Some(b'f') => Self::From,
            Some(b'i') => Self::CallId,
            Some(b'j') => Self::RejectContact,
            Some(b'k') => Self::Supported,
            Some(b'l') => Self::ContentLength,
            Some(b'm') => Self::Contact,
            Some(b'n') => Self::IdentityInfo,
            Some(b'o') => Self::Event,
            Some(b'r') => Self::ReferTo,
            Some(b's') => Self::Subject,
            Some(b't') => Self::To,
            Some(b'u') => Self::AllowEvents,
            Some(b'v') => Self::Via,
            Some(b'x') => Self::SessionExpires,
            Some(b'y') => Self::Identity,
            _ => Self::Other,
        }
    }

    /// The long form, as a message prints it. Empty for [`HeaderName::Other`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Via => "Via",
            Self::From => "From",
            Self::To => "To",
            Self::CallId => "Call-ID",
            Self::CSeq => "CSeq",
            Self::Contact => "Contact",
            Self::MaxForwards => "Max-Forwards",
            Self::ContentLength => "Content-Length",
            Self::ContentType => "Content-Type",
            Self::Route => "Route",
            Self::RecordRoute => "Record-Route",
            Self::Expires => "Expires",
            Self::MinExpires => "Min-Expires",
            Self::Supported => "Supported",
            Self::Require => "Require",
            Self::ProxyRequire => "Proxy-Require",
            Self::Unsupported => "Unsupported",
            Self::Allow => "Allow",
            Self::Authorization => "Authorization",
            Self::WwwAuthenticate => "WWW-Authenticate",
            Self::ProxyAuthorization => "Proxy-Authorization",
            Self::ProxyAuthenticate => "Proxy-Authenticate",
            Self::RetryAfter => "Retry-After",
            Self::Warning => "Warning",
            Self::Reason => "Reason",
            Self::UserAgent => "User-Agent",
            Self::Server => "Server",
            Self::Event => "Event",
            Self::SubscriptionState => "Subscription-State",
            Self::ReferTo => "Refer-To",
            Self::ReferredBy => "Referred-By",
            Self::Replaces => "Replaces",
            Self::SessionExpires => "Session-Expires",
            Self::MinSe => "Min-SE",
            Self::RSeq => "RSeq",
            Self::RAck => "RAck",
            Self::PAssertedIdentity => "P-Asserted-Identity",
            Self::Privacy => "Privacy",
            Self::Diversion => "Diversion",
            Self::HistoryInfo => "History-Info",
            Self::UserToUser => "User-to-User",
            Self::Path => "Path",
            Self::Date => "Date",
            Self::Accept => "Accept",
            Self::ContentEncoding => "Content-Encoding",
            Self::ContentDisposition => "Content-Disposition",
            Self::AllowEvents => "Allow-Events",
            Self::SessionId => "Session-ID",
            Self::ErrorInfo => "Error-Info",
            Self::AlertInfo => "Alert-Info",
            Self::CallInfo => "Call-Info",
            Self::Subject => "Subject",
            Self::Timestamp => "Timestamp",
            Self::Identity => "Identity",
            Self::IdentityInfo => "Identity-Info",
            Self::RequestDisposition => "Request-Disposition",
            Self::AcceptContact => "Accept-Contact",
            Self::RejectContact => "Reject-Contact",
            Self::XTandemForwarded => "X-Tandem-Forwarded",
            Self::XTandemDraining => "X-Tandem-Draining",
            Self::Other => "",
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_long_name_is_read_back_in_any_case() {
        for name in HeaderName::ALL {
            assert_eq!(HeaderName::parse(name.as_str().as_bytes()), name);
            assert_eq!(HeaderName::parse(name.as_str().to_uppercase().as_bytes()), name);
            assert_eq!(HeaderName::parse(name.as_str().to_lowercase().as_bytes()), name);
        }
    }

    #[test]
    fn every_registered_compact_form_is_read() {
        let forms: [(&[u8], HeaderName); 20] = [
            (b"a", HeaderName::AcceptContact),
            (b"b", HeaderName::ReferredBy),
            (b"c", HeaderName::ContentType),
            (b"d", HeaderName::RequestDisposition),
            (b"e", HeaderName::ContentEncoding),
            (b"f", HeaderName::From),
            (b"i", HeaderName::CallId),
            (b"j", HeaderName::RejectContact),
            (b"k", HeaderName::Supported),
            (b"l", HeaderName::ContentLength),
            (b"m", HeaderName::Contact),
            (b"n", HeaderName::IdentityInfo),
            (b"o", HeaderName::Event),
            (b"r", HeaderName::ReferTo),
            (b"s", HeaderName::Subject),
            (b"t", HeaderName::To),
            (b"u", HeaderName::AllowEvents),
            (b"v", HeaderName::Via),
            (b"x", HeaderName::SessionExpires),
            (b"y", HeaderName::Identity),
        ];
        for (token, name) in forms {
            assert_eq!(HeaderName::parse(token), name);
            assert_eq!(HeaderName::parse(&token.to_ascii_uppercase()), name);
        }
    }

    #[test]
    fn unknown_names_are_other() {
        for token in [&b""[..], b"z", b"Vie", b"X-Unknown", b"P-Asserted-Identitz"] {
            assert_eq!(HeaderName::parse(token), HeaderName::Other);
        }
    }
}
