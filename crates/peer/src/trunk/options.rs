//! The options of a monitored trunk, under the vendor's names, and what a configuration check refuses.

use crate::limits::{OOS_CHECK_MAX_S, OOS_FORCE_MAX_S, OPTIONS_MAX_FORWARDS_MAX, REFUSED_FORCE_OF_PEER_S};
use std::fmt;
use std::time::Duration;

/// What the trunk is to this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkRole {
    /// The trunk that `dr-peer-trunk` names: it leads to the other site, and its state decides the operating mode.
    Peer,
    /// Any other monitored device: a gateway, a softswitch.
    Other,
}

/// How one trunk is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkOptions {
    /// `oos-check`: seconds between two OPTIONS probes; 0 switches active detection off.
    pub oos_check_s: u16,
    /// `oos-force`: seconds that an unanswered probe is tolerated.
    pub oos_force_s: u16,
    /// `oos-refused-force`: seconds that a probe is repeated which the network refuses (ICMP, a refused connection, TLS);
    /// 0 is out of service at once. `None` is 3 for the peer, `oos-force` if that is less, and 0 for others.
    pub oos_refused_force_s: Option<u16>,
    /// `recovery-timeout`: with `oos-check` off, seconds that the trunk rests after a failed call; 0 is never.
    pub recovery_timeout_s: u32,
    /// `oos-options-max-forwards`: Max-Forwards of the probe.
    pub oos_options_max_forwards: u8,
    /// `oos-error-check`: does an error answer (408, 5xx, 6xx) count as dead? A 503 from the peer always does.
    pub oos_error_check: bool,
    /// What the trunk is to this server.
    pub role: TrunkRole,
}

impl Default for TrunkOptions {
    /// A trunk that nobody watches.
    fn default() -> Self {
        Self {
            oos_check_s: 0,
            oos_force_s: 5,
            oos_refused_force_s: None,
            recovery_timeout_s: 0,
            oos_options_max_forwards: 70,
            oos_error_check: true,
            role: TrunkRole::Other,
        }
    }
}

/// An option of a trunk that cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTrunkOption {
    /// The peer trunk without `oos-check`: its loss could never be noticed.
    PeerUnchecked,
    /// `oos-check` above the limit.
    CheckTooLong,
    /// `oos-force` above the limit.
    ForceTooLong,
    /// `oos-force = 0` with checking on: the device would be given up before it could answer.
    ForceZero,
    /// `oos-refused-force` above `oos-force`, which would end it.
    RefusedTooLong,
    /// `oos-options-max-forwards` above the limit.
    MaxForwardsTooLarge,
}

impl BadTrunkOption {
    /// The option's name in a configuration file.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::PeerUnchecked | Self::CheckTooLong => "oos-check",
            Self::ForceTooLong | Self::ForceZero => "oos-force",
            Self::RefusedTooLong => "oos-refused-force",
            Self::MaxForwardsTooLarge => "oos-options-max-forwards",
        }
    }
}

impl fmt::Display for BadTrunkOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerUnchecked => f.write_str(
                "the trunk that dr-peer-trunk names needs oos-check, or its loss is never noticed",
            ),
            Self::CheckTooLong => write!(f, "oos-check is at most {OOS_CHECK_MAX_S} seconds"),
            Self::ForceTooLong => write!(f, "oos-force is at most {OOS_FORCE_MAX_S} seconds"),
            Self::ForceZero => {
                f.write_str("oos-force 0 gives the device up before it can answer; use 1 second or more")
            }
            Self::RefusedTooLong => f.write_str("oos-refused-force is at most oos-force, which would end it"),
            Self::MaxForwardsTooLarge => {
                write!(f, "oos-options-max-forwards is at most {OPTIONS_MAX_FORWARDS_MAX}")
            }
        }
    }
}

impl std::error::Error for BadTrunkOption {}

impl TrunkOptions {
    /// The first option that cannot be right, for a configuration check.
    ///
    /// # Errors
    /// See [`BadTrunkOption`].
    pub fn check(&self) -> Result<(), BadTrunkOption> {
        if self.role == TrunkRole::Peer && self.oos_check_s == 0 {
            return Err(BadTrunkOption::PeerUnchecked);
        }
        if self.oos_check_s > OOS_CHECK_MAX_S {
            return Err(BadTrunkOption::CheckTooLong);
        }
        if self.oos_force_s > OOS_FORCE_MAX_S {
            return Err(BadTrunkOption::ForceTooLong);
        }
        if self.oos_check_s > 0 && self.oos_force_s == 0 {
            return Err(BadTrunkOption::ForceZero);
        }
        if self.oos_check_s > 0 && self.refused_s() > self.oos_force_s {
            return Err(BadTrunkOption::RefusedTooLong);
        }
        if self.oos_options_max_forwards > OPTIONS_MAX_FORWARDS_MAX {
            return Err(BadTrunkOption::MaxForwardsTooLarge);
        }
        Ok(())
    }

    /// The longest time from the moment of silence until the trunk is out of service; `None` if nobody probes.
    #[must_use]
    pub fn detection_bound(&self) -> Option<Duration> {
        (self.oos_check_s > 0).then(|| self.check_period() + self.force_period())
    }

    /// Does a final answer with this status prove that the device can take calls?
    ///
    /// A 2xx does, and so does a 3xx or 4xx: who refuses the question is alive. A 408 was made by something on the
    /// way that heard nothing. 5xx and 6xx are errors of the device itself, which `oos-error-check` may forgive,
    /// but a peer that says 503 is draining or is not the primary, and must be sent nothing.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        match status {
            503 => self.role == TrunkRole::Other && !self.oos_error_check,
            408 | 500.. => !self.oos_error_check,
            _ => true,
        }
    }

    /// Whether OPTIONS is sent at all.
    #[must_use]
    pub fn is_probed(&self) -> bool {
        self.oos_check_s > 0
    }

    pub(super) fn check_period(&self) -> Duration {
        Duration::from_secs(self.oos_check_s.into())
    }

    pub(super) fn force_period(&self) -> Duration {
        Duration::from_secs(self.oos_force_s.into())
    }

    /// `oos-refused-force` in force.
    fn refused_s(&self) -> u16 {
        let usual = match self.role {
            TrunkRole::Peer => REFUSED_FORCE_OF_PEER_S.min(self.oos_force_s),
            TrunkRole::Other => 0,
        };
        self.oos_refused_force_s.unwrap_or(usual)
    }

    pub(super) fn refused_period(&self) -> Duration {
        Duration::from_secs(self.refused_s().into())
    }

    pub(super) fn recovery_period(&self) -> Duration {
        Duration::from_secs(self.recovery_timeout_s.into())
    }
}
