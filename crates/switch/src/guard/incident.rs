//! What is said of a source that misbehaves: one line each, in a form that fail2ban reads (docs/operations.md).

use std::net::SocketAddr;

use tandem_sip::Transport;

use super::scanners::Sign;
use crate::limits::MAX_INCIDENT_TEXT;

/// What a source did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Credentials that were wrong or unreadable; the number of them for this user from there.
    WrongCredentials(u32),
    /// One too many: the user is locked out at this source for so many seconds.
    UserLockedOut(u64),
    /// The same for all users.
    SourceLockedOut(u64),
    /// A request that a scanner sent.
    Scanner(Sign),
    /// More requests than `requests-per-second`.
    TooFast,
    /// It is in `deny`, or not in `allow-from` of the listener.
    Denied,
    /// The phone is who it says, and not in `allow-from` of its Extension.
    NotFromThere,
    /// Without authentication: a caller whom nobody knows.
    UnknownCaller,
}

impl Offence {
    /// The words of the log line; fail2ban's filter names each.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::WrongCredentials(_) => "wrong credentials",
            Self::UserLockedOut(_) => "user locked out",
            Self::SourceLockedOut(_) => "source locked out",
            Self::Scanner(_) => "scanner",
            Self::TooFast => "too many requests",
            Self::Denied => "denied network",
            Self::NotFromThere => "extension not allowed from there",
            Self::UnknownCaller => "unknown caller",
        }
    }

    /// What else is to be said of it.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::WrongCredentials(failures) => format!("failure {failures}"),
            Self::UserLockedOut(s) | Self::SourceLockedOut(s) => format!("for {s} s"),
            Self::Scanner(sign) => sign.to_string(),
            Self::TooFast | Self::Denied | Self::NotFromThere | Self::UnknownCaller => String::new(),
        }
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// What it did.
    pub offence: Offence,
    /// Where it came from, as the datagram or connection says.
    pub source: SocketAddr,
    /// By which transport.
    pub transport: Transport,
    /// Who it says it is.
    pub user: Box<str>,
    /// What it asked for.
    pub method: Box<str>,
    /// Its User-Agent.
    pub agent: Box<str>,
    /// Lines about this source that were held back since the one before.
    pub unlogged: u32,
}

/// How much of a text of the wire is kept, bytes.
#[must_use]
pub fn longest(text: &[u8]) -> usize {
    text.len().min(MAX_INCIDENT_TEXT)
}

/// Text of the wire for a line: readable, and not longer than a line should be.
#[must_use]
pub fn readable(text: &[u8]) -> Box<str> {
    let text = text.get(..longest(text)).unwrap_or_default();
    String::from_utf8_lossy(text)
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect::<String>()
        .into()
}
