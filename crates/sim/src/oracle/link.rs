//! Sites that can reach each other are peered again within the bound, and stay so.

use std::time::Duration;

use crate::sites::Setup;
use crate::time::{At, secs};

/// A round trip with everything that delays a packet in a calm network, and a tick.
const ROUND_TRIP: Duration = secs(2);

/// See the module.
#[derive(Debug, Default)]
pub struct Link {
    whole_since: Option<At>,
}

impl Link {
    /// The longest that it may take.
    #[must_use]
    pub fn bound(setup: &Setup) -> Duration {
        setup.detection_bound() + setup.recovery_delay + ROUND_TRIP
    }

    /// Whether both servers run, and every packet between them arrives. `slack` is what slow committers and wrong clocks
    /// may add. True if they must be peered by now.
    pub fn looks(&mut self, whole: bool, setup: &Setup, slack: Duration, now: At) -> bool {
        if !whole {
            self.whole_since = None;
            return false;
        }
        now - *self.whole_since.get_or_insert(now) > Self::bound(setup) + slack
    }
}
