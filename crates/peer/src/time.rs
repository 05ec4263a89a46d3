//! Moments that outlive a process.
//!
//! Protocol timers are `std::time::Instant` and are handed in. A moment that is stored or sent to another server
//! (a registration's expiry, the end of a wrap-up) is a [`Deadline`] on the wall clock, because a monotonic clock
//! means nothing to another process.

use std::time::Duration;

/// An absolute wall-clock moment in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(u64);

impl Deadline {
    /// The moment `unix_ms` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn at_unix_ms(unix_ms: u64) -> Self {
        Self(unix_ms)
    }

    /// The moment `wait` after `now_unix_ms`, at the far end of time when the sum would overflow.
    #[must_use]
    pub fn after(now_unix_ms: u64, wait: Duration) -> Self {
        Self(now_unix_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0
    }

    /// Has the moment come?
    #[must_use]
    pub const fn is_past(self, now_unix_ms: u64) -> bool {
        self.0 <= now_unix_ms
    }

    /// Time left until the moment; zero when it has come.
    #[must_use]
    pub const fn remaining(self, now_unix_ms: u64) -> Duration {
        Duration::from_millis(self.0.saturating_sub(now_unix_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_past_at_its_own_moment() {
        let deadline = Deadline::after(1_000, Duration::from_secs(2));
        assert_eq!(deadline.unix_ms(), 3_000);
        assert!(!deadline.is_past(2_999));
        assert!(deadline.is_past(3_000));
    }

    #[test]
    fn remaining_time_never_goes_below_zero() {
        let deadline = Deadline::at_unix_ms(3_000);
        assert_eq!(deadline.remaining(1_000), Duration::from_secs(2));
        assert_eq!(deadline.remaining(9_000), Duration::ZERO);
    }

    #[test]
    fn a_deadline_beyond_the_end_of_time_stays_there() {
        assert_eq!(Deadline::after(u64::MAX - 1, Duration::MAX).unix_ms(), u64::MAX);
    }
}
