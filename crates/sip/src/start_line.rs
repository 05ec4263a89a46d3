//! Request line and status line (RFC 3261 7.1, 7.2).

use std::fmt;

/// A request method that the server knows by name (RFC 3261 and its extensions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the method of that name")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Info,
    Update,
    Prack,
    Message,
    Notify,
    Subscribe,
    Refer,
    Publish,
    /// An extension method; its name is the token in the message.
    Other,
}

impl Method {
    /// Every method but [`Method::Other`].
    pub const ALL: [Self; 14] = [
        Self::Invite,
        Self::Ack,
        Self::Bye,
        Self::Cancel,
        Self::Register,
        Self::Options,
        Self::Info,
        Self::Update,
        Self::Prack,
        Self::Message,
        Self::Notify,
        Self::Subscribe,
        Self::Refer,
        Self::Publish,
    ];

    /// Reads a method. Methods are case-sensitive (RFC 3261 7.1).
    #[must_use]
    pub const fn parse(token: &[u8]) -> Self {
        match token {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"REGISTER" => Self::Register,
            b"OPTIONS" => Self::Options,
            b"INFO" => Self::Info,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            b"MESSAGE" => Self::Message,
            b"NOTIFY" => Self::Notify,
            b"SUBSCRIBE" => Self::Subscribe,
            b"REFER" => Self::Refer,
            b"PUBLISH" => Self::Publish,
            _ => Self::Other,
        }
    }

    /// The token. Empty for [`Method::Other`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Message => "MESSAGE",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Refer => "REFER",
            Self::Publish => "PUBLISH",
            Self::Other => "",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// `INVITE sip:1001@example.com SIP/2.0`
    Request {
        /// The method, if known.
        method: Method,
        /// The method as it stands in the message.
        method_token: &'a [u8],
        /// The Request-URI, raw.
        uri: &'a [u8],
    },
    /// `SIP/2.0 180 Ringing`
    Status {
        /// 100 to 699.
        code: u16,
        /// The reason phrase, raw; may be empty.
        reason: &'a [u8],
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive() {
        for method in Method::ALL {
            assert_eq!(Method::parse(method.as_str().as_bytes()), method);
            assert_eq!(Method::parse(method.as_str().to_lowercase().as_bytes()), Method::Other);
        }
    }
}
