//! Ghosts: bindings that are still registered and lead nowhere any more.

use std::fmt;

use tandem_peer::trunk::CallFailure;

use crate::time::Deadline;

/// Why a binding is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ghost {
    /// The connection that it was reached over is gone, and its contact cannot be dialled.
    ConnectionClosed,
    /// The network says that nobody is there (ICMP), or nothing could be sent.
    Unreachable,
    /// A request to it went unanswered.
    Unanswered,
    /// The same phone registered anew from elsewhere.
    Superseded,
    /// The proxy that kept its flow says that it failed (430, RFC 5626 11.5).
    FlowFailed,
}

impl Ghost {
    /// Every reason; the position is its stored form.
    pub(super) const ALL: [Self; 5] =
        [Self::ConnectionClosed, Self::Unreachable, Self::Unanswered, Self::Superseded, Self::FlowFailed];

    /// What the failure of a request says about the contact that it was for.
    #[must_use]
    pub const fn after(failure: CallFailure) -> Self {
        match failure {
            CallFailure::Timeout => Self::Unanswered,
            CallFailure::Transport => Self::Unreachable,
        }
    }

    /// The reason as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionClosed => "connection-closed",
            Self::Unreachable => "unreachable",
            Self::Unanswered => "unanswered",
            Self::Superseded => "superseded",
            Self::FlowFailed => "flow-failed",
        }
    }
}

impl fmt::Display for Ghost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionClosed => "its connection is gone",
            Self::Unreachable => "the network says that nobody is there",
            Self::Unanswered => "it does not answer",
            Self::Superseded => "the phone registered anew from elsewhere",
            Self::FlowFailed => "the proxy in front of it has lost it",
        })
    }
}

/// A binding is kept out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Why.
    pub why: Ghost,
    /// When it is removed, unless it shows a sign of life before or expires.
    pub until: Deadline,
}
