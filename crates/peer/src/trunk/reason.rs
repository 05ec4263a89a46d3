//! Why a trunk changed its state, in words for the person on call.

use std::fmt;

/// How a call to the device failed before any answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFailure {
    /// The INVITE was never answered (Timer B, RFC 3261 section 17.1.1.2).
    Timeout,
    /// The transport could not deliver it.
    Transport,
}

/// Why the trunk is in the state it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing has been heard of the device since this server started.
    Started,
    /// The trunk has just become the peer trunk and has not yet answered as such.
    BecamePeer,
    /// No answer to OPTIONS within `oos-force`.
    NotAnswered {
        /// The `oos-force` that ran out, seconds.
        oos_force_s: u16,
    },
    /// OPTIONS was answered with a status that does not count as alive.
    ProbeRefused(u16),
    /// OPTIONS could not be delivered.
    ProbeTransportFailed,
    /// A call failed while nobody probes (`oos-check` 0, `recovery-timeout` set).
    CallFailed(CallFailure),
    /// OPTIONS was answered with a status that counts as alive.
    ProbeAnswered(u16),
    /// The device sent a request.
    RequestReceived,
    /// `recovery-timeout` is over; the device is given another try.
    RecoveryTimeoutOver,
    /// `oos-check` was set to 0: nobody judges the device any more.
    CheckingOff,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("not heard of since this server started"),
            Self::BecamePeer => f.write_str("has become the peer trunk and has not answered OPTIONS yet"),
            Self::NotAnswered { oos_force_s } => {
                write!(f, "no answer to OPTIONS within oos-force ({oos_force_s} s)")
            }
            Self::ProbeRefused(status) => write!(f, "OPTIONS was answered {status}"),
            Self::ProbeTransportFailed => f.write_str("OPTIONS could not be delivered"),
            Self::CallFailed(CallFailure::Timeout) => f.write_str("a call was never answered"),
            Self::CallFailed(CallFailure::Transport) => f.write_str("a call could not be delivered"),
            Self::ProbeAnswered(status) => write!(f, "OPTIONS was answered {status}, which counts as alive"),
            Self::RequestReceived => f.write_str("the device sent a request"),
            Self::RecoveryTimeoutOver => f.write_str("recovery-timeout is over"),
            Self::CheckingOff => f.write_str("oos-check is 0, nobody judges it"),
        }
    }
}
