//! What a leg's record will say.

use std::fmt;

use tandem_peer::audit::AuditEnd;

use crate::cdr::{EndedBy, LegRecord};
use crate::directory::Directory;
use crate::ids::LegCallId;
use crate::rooms::{Device, Rooms, phrase};

/// Why a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// BYE.
    Bye,
    /// CANCEL.
    Cancel,
    /// A final response.
    Status(u16),
    /// `ring-timeout` was over.
    RingTimeout,
    /// Another contact answered first.
    AnsweredElsewhere,
    /// Another contact refused for the person (6xx).
    RefusedElsewhere,
    /// The caller gave up before this contact answered.
    CallerGone,
    /// A 2xx was not acknowledged for 64*T1.
    NoAck,
    /// A reliable provisional response was not acknowledged for 64*T1 (RFC 3262).
    NoPrack,
    /// No response within Timer B or F.
    NoResponse,
    /// The transport could not deliver.
    TransportFailed,
    /// The audit over a lost trunk ended it.
    Audit(AuditEnd),
    /// No media server could carry its media.
    NoMedia,
    /// The answer could not be used (it named no Contact).
    UnusableAnswer,
    /// A request asked for it.
    Request,
    /// The call was offered elsewhere, or waits again.
    TakenBack,
    /// The leg goes on in another call.
    Moved,
    /// Somebody took the party's place (`Replaces`).
    TakenOver,
    /// It was to take a party's place, and the other party did not want it.
    NotTakenOver,
    /// `disconnect-nailedup-timeout` was over.
    Idle,
    /// This server was started anew while it was being set up, and could not go on with it.
    Restart,
    /// The session timer ran out: the far end did not refresh, or could not be reached any more (RFC 4028 10).
    SessionExpired,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bye => f.write_str("BYE"),
            Self::Cancel => f.write_str("CANCEL"),
            Self::Status(status) => write!(f, "{status} {}", phrase(*status)),
            Self::RingTimeout => f.write_str("ring timeout"),
            Self::AnsweredElsewhere => f.write_str("answered elsewhere"),
            Self::RefusedElsewhere => f.write_str("refused elsewhere"),
            Self::CallerGone => f.write_str("the caller gave up"),
            Self::NoAck => f.write_str("the answer was not acknowledged"),
            Self::NoPrack => f.write_str("a reliable provisional response was not acknowledged"),
            Self::NoResponse => f.write_str("no response"),
            Self::TransportFailed => f.write_str("the transport could not deliver"),
            Self::Audit(end) => write!(f, "{end}"),
            Self::NoMedia => f.write_str("no media server could carry its media"),
            Self::Request => f.write_str("by request"),
            Self::TakenOver => f.write_str("somebody took its place"),
            Self::NotTakenOver => f.write_str("the other party did not accept it"),
            Self::Moved => f.write_str("went on in another call"),
            Self::Idle => f.write_str("no call came for disconnect-nailedup-timeout"),
            Self::SessionExpired => f.write_str("the session timer ran out"),
            Self::Restart => f.write_str("the server was started anew"),
            Self::TakenBack => f.write_str("the offer was taken back"),
            Self::UnusableAnswer => f.write_str("the answer named no usable Contact"),
        }
    }
}

/// Which dialog a leg is.
#[derive(Clone, Debug)]
pub(super) enum LegId {
    /// The caller's own Call-ID.
    Theirs(Box<[u8]>),
    /// One of ours.
    Ours(LegCallId),
}

/// Facts of one leg, gathered as it lives.
#[derive(Clone, Debug)]
pub struct LegFacts {
    /// The far end.
    pub device: Device,
    pub(super) id: LegId,
    /// Final status of its INVITE.
    pub status: u16,
    /// When it began to ring, ms since the Unix epoch.
    pub ringing: Option<u64>,
    /// When it was answered, ms since the Unix epoch.
    pub answered: Option<u64>,
    /// When it ended, ms since the Unix epoch, by whom and why.
    pub ended: Option<(u64, EndedBy, EndReason)>,
}

impl LegFacts {
    pub(super) fn new(device: Device, id: LegId) -> Self {
        Self { device, id, status: 0, ringing: None, answered: None, ended: None }
    }

    /// Whether this is its Call-ID.
    pub(super) fn is(&self, call_id: &[u8]) -> bool {
        match &self.id {
            LegId::Theirs(text) => **text == *call_id,
            LegId::Ours(id) => id.text() == call_id,
        }
    }

    /// Its Call-ID.
    #[must_use]
    pub fn call_id(&self) -> Box<str> {
        match &self.id {
            LegId::Theirs(text) => String::from_utf8_lossy(text).into(),
            LegId::Ours(id) => String::from_utf8_lossy(&id.text()).into(),
        }
    }

    pub(super) fn record(&self, directory: &Directory, place: usize, end: u64) -> LegRecord {
        let (ended, by, reason) = self.ended.unwrap_or((end, EndedBy::Server, EndReason::Bye));
        LegRecord {
            side: if place == 0 { "caller" } else { "callee" },
            sip_call_id: self.call_id().into(),
            device: Rooms::name_of(directory, self.device).to_owned(),
            status: self.status,
            ringing_unix_ms: self.ringing,
            answered_unix_ms: self.answered,
            ended_unix_ms: ended,
            ended_by: by,
            reason: reason.to_string(),
        }
    }
}
