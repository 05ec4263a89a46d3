//! Call detail records: one a call, written when its last leg has ended.

use serde::Serialize;

/// Who ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// The party at the caller's end.
    Caller,
    /// The party at the callee's end.
    Callee,
    /// This server (ring timeout, audit, shutdown, refusal).
    Server,
    /// Nobody: the other side went silent or its transport failed.
    Network,
}

impl EndedBy {
    /// The printed form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "by the caller",
            Self::Callee => "by the callee",
            Self::Server => "by this server",
            Self::Network => "by nobody: the network",
        }
    }
}

/// One leg of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LegRecord {
    /// `caller` or `callee`.
    pub side: &'static str,
    /// SIP Call-ID of this leg's dialog.
    pub sip_call_id: String,
    /// Number of the Extension, or name of the Trunk, at the far end.
    pub device: String,
    /// Final status of its INVITE; 0 if there was none.
    pub status: u16,
    /// When it began to ring, ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ringing_unix_ms: Option<u64>,
    /// When it was answered, ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_unix_ms: Option<u64>,
    /// When it ended, ms since the Unix epoch.
    pub ended_unix_ms: u64,
    /// Who ended it.
    pub ended_by: EndedBy,
    /// Why, e.g. `BYE`, `CANCEL`, `486 Busy Here`, `ring timeout`, `answered elsewhere`.
    pub reason: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cdr {
    /// `CallUUID`: 32 hexadecimal digits.
    pub call_uuid: String,
    /// Server that handled the call.
    pub server: String,
    /// User part of the caller's address.
    pub from: String,
    /// Number the caller dialled.
    pub to: String,
    /// When the INVITE arrived, ms since the Unix epoch.
    pub start_unix_ms: u64,
    /// When the last leg ended, ms since the Unix epoch.
    pub end_unix_ms: u64,
    /// Session-ID as the caller's messages have it (RFC 7989): his UUID, and that of who answered him.
    pub session_id: String,
    /// The legs, the caller's first.
    pub legs: Vec<LegRecord>,
}
