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

impl Reason {
    /// A small number for it, and what it carries, for records.
    #[must_use]
    pub const fn code(self) -> (u8, u16) {
        match self {
            Self::Started => (0, 0),
            Self::BecamePeer => (1, 0),
            Self::NotAnswered { oos_force_s } => (2, oos_force_s),
            Self::ProbeRefused(status) => (3, status),
            Self::ProbeTransportFailed => (4, 0),
            Self::CallFailed(CallFailure::Timeout) => (5, 0),
            Self::CallFailed(CallFailure::Transport) => (6, 0),
            Self::ProbeAnswered(status) => (7, status),
            Self::RequestReceived => (8, 0),
            Self::RecoveryTimeoutOver => (9, 0),
            Self::CheckingOff => (10, 0),
        }
    }

    /// The reason with this number. A later release may know more of them: what this one does not know it has not heard of.
    #[must_use]
    pub const fn of_code(code: u8, carried: u16) -> Self {
        match code {
            1 => Self::BecamePeer,
            2 => Self::NotAnswered { oos_force_s: carried },
            3 => Self::ProbeRefused(carried),
            4 => Self::ProbeTransportFailed,
            5 => Self::CallFailed(CallFailure::Timeout),
            6 => Self::CallFailed(CallFailure::Transport),
            7 => Self::ProbeAnswered(carried),
            8 => Self::RequestReceived,
            9 => Self::RecoveryTimeoutOver,
            10 => Self::CheckingOff,
            _ => Self::Started,
        }
    }

    /// Whether it is that nothing was heard at all, rather than something that is no good.
    #[must_use]
    pub const fn is_silence(self) -> bool {
        matches!(self, Self::NotAnswered { .. } | Self::ProbeTransportFailed)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_number_of_its_own_and_one_of_a_later_release_is_not_heard_of() {
        let all = [
            Reason::Started,
            Reason::BecamePeer,
            Reason::NotAnswered { oos_force_s: 5 },
            Reason::ProbeRefused(503),
            Reason::ProbeTransportFailed,
            Reason::CallFailed(CallFailure::Timeout),
            Reason::CallFailed(CallFailure::Transport),
            Reason::ProbeAnswered(200),
            Reason::RequestReceived,
            Reason::RecoveryTimeoutOver,
            Reason::CheckingOff,
        ];
        for (number, reason) in (0u8..).zip(all) {
            let (code, carried) = reason.code();
            assert_eq!((code, Reason::of_code(code, carried)), (number, reason));
        }
        assert_eq!(Reason::of_code(200, 7), Reason::Started);
    }
}
