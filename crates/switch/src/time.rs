//! Time as an argument: the core never reads a clock.

use std::time::{Duration, Instant};

pub use tandem_peer::Deadline;

/// The moment at which an input is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time: protocol timers count on it.
    pub mono: Instant,
    /// Wall-clock time in milliseconds since the Unix epoch: deadlines that outlive a process, and records, use it.
    pub unix_ms: u64,
}

impl Now {
    /// The moment `by` later, on both clocks.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self { mono: self.mono + by, unix_ms: self.unix_ms.saturating_add(ms) }
    }

    /// The monotonic instant at which `deadline` is reached; `self.mono` if it is past.
    #[must_use]
    pub fn instant_of(self, deadline: Deadline) -> Instant {
        self.mono + Duration::from_millis(deadline.unix_ms().saturating_sub(self.unix_ms))
    }
}
