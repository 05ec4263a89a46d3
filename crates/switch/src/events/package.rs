//! Event packages: what can be watched, and in which form it is told.

use tandem_sip::lexer;
use tandem_sip::params::Params;
use tandem_sip::{HeaderName, Message};

use crate::limits::{MAX_EVENT_ID_BYTES, MIN_SUBSCRIPTION_S};
use crate::reject::Reject;

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Package {
    /// `dialog` (RFC 4235): the calls of an Extension; busy lamps.
    Dialog,
    /// `reg` (RFC 3680): the contacts of an Extension.
    Reg,
    /// `message-summary` (RFC 3842): messages that wait in its mailbox.
    MessageSummary,
}

/// `Allow-Events` of this server.
pub const ALLOW_EVENTS: &[u8] = b"dialog, reg, message-summary";

impl Package {
    /// Every package.
    pub const ALL: [Self; 3] = [Self::Dialog, Self::Reg, Self::MessageSummary];

    /// Its name in `Event`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dialog => "dialog",
            Self::Reg => "reg",
            Self::MessageSummary => "message-summary",
        }
    }

    /// `Content-Type` of its documents.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Dialog => "application/dialog-info+xml",
            Self::Reg => "application/reginfo+xml",
            Self::MessageSummary => "application/simple-message-summary",
        }
    }

    /// Granted when a SUBSCRIBE names no time, s (RFC 4235 3.4, RFC 3680 4.4, RFC 3842 3.4).
    #[must_use]
    pub const fn default_expires_s(self) -> u32 {
        match self {
            Self::Dialog | Self::MessageSummary => 3_600,
            Self::Reg => 3_761,
        }
    }

    /// Granted at most, s.
    #[must_use]
    pub const fn max_expires_s(self) -> u32 {
        86_400
    }
}

/// `Event`: the package and the subscriber's own mark (RFC 6665 8.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// The package.
    pub package: Package,
    /// The `id` parameter.
    pub id: Option<Box<[u8]>>,
}

impl EventType {
    /// What a request is about.
    ///
    /// # Errors
    /// 489 with `Allow-Events` for a package that is not known here, or without an `Event` (RFC 6665 4.2.1.1), 400 for
    /// one that cannot be read.
    pub fn of(request: &Message) -> Result<Self, Reject> {
        let refused = || Reject::new(489).with(HeaderName::AllowEvents, ALLOW_EVENTS);
        let value = request.header(HeaderName::Event).ok_or_else(refused)?;
        let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let (name, params) = value.split_at_checked(end).unwrap_or((value, b""));
        let name = lexer::trim(name);
        let package = Package::ALL.into_iter().find(|p| p.as_str().as_bytes() == name).ok_or_else(refused)?;
        let params = Params::parse(params).map_err(|_| Reject::because(400, "Bad Event"))?;
        let id = params.value(b"id");
        if id.is_some_and(|id| id.len() > MAX_EVENT_ID_BYTES) {
            return Err(Reject::because(400, "Event id Too Long"));
        }
        Ok(Self { package, id: id.map(Box::from) })
    }

    /// As it is printed.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut out = self.package.as_str().as_bytes().to_vec();
        if let Some(id) = &self.id {
            out.extend_from_slice(b";id=");
            out.extend_from_slice(id);
        }
        out
    }
}

/// Whether the subscriber can read the package's documents (RFC 6665 4.2.1.1): one that names no `Accept` can.
///
/// # Errors
/// 406.
pub(super) fn check_accept(request: &Message, package: Package) -> Result<(), Reject> {
    let wanted = package.content_type().as_bytes();
    let mut none = true;
    for value in request.values(HeaderName::Accept) {
        none = false;
        let range = value.split(|byte| *byte == b';').next().map(lexer::trim).unwrap_or_default();
        let all_of_type = range.strip_suffix(b"/*").is_some_and(|kind| {
            kind == b"*" || wanted.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind))
        });
        if all_of_type || range.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
    }
    if none { Ok(()) } else { Err(Reject::new(406).with(HeaderName::Accept, wanted)) }
}

/// Seconds that a SUBSCRIBE is granted; 0 ends the subscription, or is a fetch.
///
/// # Errors
/// 423 below [`MIN_SUBSCRIPTION_S`], 400 for what is no number.
pub(super) fn granted(request: &Message, package: Package) -> Result<u32, Reject> {
    let Some(asked) = request.header(HeaderName::Expires) else { return Ok(package.default_expires_s()) };
    let asked = lexer::number(lexer::trim(asked)).ok_or_else(|| Reject::because(400, "Bad Expires"))?;
    let seconds = u32::try_from(asked).unwrap_or(u32::MAX).min(package.max_expires_s());
    if seconds != 0 && seconds < MIN_SUBSCRIPTION_S {
        return Err(Reject::new(423).with(HeaderName::MinExpires, MIN_SUBSCRIPTION_S.to_string()));
    }
    Ok(seconds)
}
