//! How many calls run over each Trunk DN, and how fast new ones come: what `capacity` and `max-calls-per-second` are held
//! against. Counted are legs that have not ended; a call that comes and goes over one trunk takes two places of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::Trunk;
use crate::guard::Bucket;

/// The limit that a call met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// `capacity`.
    Capacity(u32),
    /// `max-calls-per-second`.
    Rate(u32),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity(calls) => write!(f, "{calls} calls run over it, which is its capacity"),
            Self::Rate(calls) => write!(f, "more than {calls} new calls in a second (max-calls-per-second)"),
        }
    }
}

/// See the module. One entry for each trunk that has had a call.
#[derive(Debug, Default)]
pub struct TrunkLoad {
    by_name: BTreeMap<Arc<str>, Held>,
}

#[derive(Debug, Default)]
struct Held {
    legs: u32,
    pace: Option<Bucket>,
    refused: u64,
}

impl TrunkLoad {
    /// Takes a place for a new call, if there is one; whoever is refused is counted. A place that is not used is not
    /// missed: legs are counted when they are there.
    ///
    /// # Errors
    /// The limit that is met.
    pub fn admit(&mut self, trunk: &Trunk, now: Instant) -> Result<(), Full> {
        let limits = trunk.capacity;
        if limits.calls == 0 && limits.per_second == 0 {
            return Ok(());
        }
        let held = self.by_name.entry(Arc::clone(&trunk.name)).or_default();
        let rate = limits.per_second;
        let met = if limits.calls > 0 && held.legs >= limits.calls {
            Some(Full::Capacity(limits.calls))
        } else if rate > 0 && !held.pace.get_or_insert(Bucket::full(rate, now)).take(rate, rate, now) {
            Some(Full::Rate(rate))
        } else {
            None
        };
        held.refused += u64::from(met.is_some());
        met.map_or(Ok(()), Err)
    }

    /// A call has other legs over trunks than before: each is named as often as there are legs.
    pub fn changed(&mut self, before: &[Arc<str>], after: &[Arc<str>]) {
        for name in after {
            self.by_name.entry(Arc::clone(name)).or_default().legs += 1;
        }
        for name in before {
            if let Some(held) = self.by_name.get_mut(name) {
                held.legs = held.legs.saturating_sub(1);
            }
        }
    }

    /// Legs over a trunk.
    #[must_use]
    pub fn legs(&self, trunk: &str) -> u32 {
        self.by_name.get(trunk).map_or(0, |held| held.legs)
    }

    /// Calls that a trunk's limits have kept away.
    #[must_use]
    pub fn refused(&self, trunk: &str) -> u64 {
        self.by_name.get(trunk).map_or(0, |held| held.refused)
    }

    /// Trunks that are no more, and over which nothing runs, are forgotten.
    pub fn forget(&mut self, is_there: impl Fn(&str) -> bool) {
        self.by_name.retain(|name, held| held.legs > 0 || is_there(name));
    }
}
