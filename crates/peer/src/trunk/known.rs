//! What outlives the process of what is believed about a trunk: the belief, not the probes that were on their way.

use super::{Reason, State, TrunkHealth, TrunkOptions, TrunkRole};
use std::time::Instant;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// May calls be sent to it?
    pub in_service: bool,
    /// Since when it is in or out of service.
    pub since: Instant,
    /// Why.
    pub reason: Reason,
    /// When a trunk that nobody probes is given another try.
    pub back_at: Option<Instant>,
    /// It was judged as the peer trunk, which has more to show before it counts as alive.
    pub role: TrunkRole,
}

impl TrunkHealth {
    /// What is believed, for whoever serves after this process.
    #[must_use]
    pub fn known(&self) -> Known {
        let back_at = match self.state {
            State::Resting { back_at } => Some(back_at),
            State::InService { .. } | State::Probing { .. } | State::OutOfService { .. } => None,
        };
        let (in_service, role) = (self.in_service(), self.options.role);
        Known { in_service, since: self.since, reason: self.reason, back_at, role }
    }

    /// A trunk of which an earlier process has left a belief. It holds until the device is asked, which is due at once: a
    /// belief that is wrong by now lasts no longer than `oos-force`. A trunk that has become the peer trunk meanwhile has
    /// everything to show, and one that nobody probes any more is given a try.
    #[must_use]
    pub fn resumed(options: TrunkOptions, known: Known, now: Instant) -> Self {
        if options.role == TrunkRole::Peer && known.role == TrunkRole::Other {
            return Self::new(options, now);
        }
        let state = match (options.is_probed(), known.in_service) {
            (true, true) => State::InService { next_check: Some(now) },
            (true, false) => State::OutOfService { next_check: now, in_flight: Vec::new() },
            (false, true) => State::InService { next_check: None },
            (false, false) => {
                let latest = now + options.recovery_period();
                State::Resting { back_at: known.back_at.unwrap_or(now).clamp(now, latest) }
            }
        };
        let Known { since, reason, .. } = known;
        Self { options, state, probes_sent: 0, last_sent: None, since: since.min(now), reason }
    }
}
