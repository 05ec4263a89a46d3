//! How fast a loss is noticed, and how much shorter than that a lease is.
//!
//! Raft counts ticks. A follower that acknowledged its leader's heartbeat elects nobody else for
//! [`election_ticks`](Timing::election_ticks), so a leader may rely on that acknowledgement for a little less, counted from
//! the moment at which it *sent* the heartbeat. The little is one tick, because a count begins in the middle of one, and
//! what two clocks may drift apart.

use std::fmt;
use std::time::Duration;

/// Two monotonic clocks differ by less than this share, in millionths. NTP slews by 500.
pub const DRIFT_PPM: u32 = 10_000;

/// The lengths that a group works with. All members of a group use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The unit of the others.
    pub tick: Duration,
    /// Ticks without a leader's word before a member may help elect another.
    pub election_ticks: u32,
    /// Ticks from one heartbeat of a leader to the next.
    pub heartbeat_ticks: u32,
}

impl Default for Timing {
    /// 400 ms of silence before anybody else may lead, a heartbeat each 40 ms.
    fn default() -> Self {
        Self { tick: Duration::from_millis(20), election_ticks: 20, heartbeat_ticks: 2 }
    }
}

/// Why a [`Timing`] cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTiming {
    /// The tick is shorter than 1 ms or longer than 1 s.
    Tick,
    /// There are no three heartbeats in an election timeout: one that is lost would cost the lease.
    Heartbeats,
    /// The election timeout is longer than 10,000 ticks.
    Election,
}

impl fmt::Display for BadTiming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tick => "a tick is 1 ms to 1 s long",
            Self::Heartbeats => "the election timeout must hold at least four heartbeats",
            Self::Election => "the election timeout is at most 10,000 ticks",
        })
    }
}

impl std::error::Error for BadTiming {}

impl Timing {
    /// Can a group work so?
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check(self) -> Result<Self, BadTiming> {
        if self.tick < Duration::from_millis(1) || self.tick > Duration::from_secs(1) {
            return Err(BadTiming::Tick);
        }
        if self.election_ticks > 10_000 {
            return Err(BadTiming::Election);
        }
        if self.heartbeat_ticks == 0 || self.election_ticks / self.heartbeat_ticks < 4 {
            return Err(BadTiming::Heartbeats);
        }
        Ok(self)
    }

    /// Silence after which a member may help elect another leader, by its own clock.
    #[must_use]
    pub fn election(self) -> Duration {
        self.tick * self.election_ticks
    }

    /// How long after it was sent a heartbeat that a quorum acknowledged lets its sender serve, by the sender's clock.
    #[must_use]
    pub fn lease(self) -> Duration {
        let counted = self.tick * self.election_ticks.saturating_sub(1);
        counted.saturating_sub(drift(counted)).saturating_sub(self.tick / 2)
    }

    /// How long a member that was restarted helps elect nobody: as it has forgotten what it acknowledged.
    #[must_use]
    pub fn quiet(self) -> Duration {
        self.election() + drift(self.election()) + self.tick
    }
}

fn drift(length: Duration) -> Duration {
    length * DRIFT_PPM / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_before_the_fastest_clock_elects_another() {
        let timing = Timing::default();
        // The follower's count begins just before a tick, and its clock is as fast as it may be.
        let fastest = timing.tick * (timing.election_ticks - 1);
        let fastest = fastest - drift(fastest);
        assert!(timing.lease() < fastest, "{:?} {fastest:?}", timing.lease());
        assert!(timing.lease() > timing.tick * timing.heartbeat_ticks * 6, "six heartbeats may be lost");
        assert!(timing.quiet() > timing.election());
    }

    #[test]
    fn a_timing_in_which_one_lost_heartbeat_costs_the_lease_is_refused() {
        let lame = Timing { election_ticks: 6, ..Timing::default() };
        assert_eq!(lame.check(), Err(BadTiming::Heartbeats));
        assert_eq!(Timing { tick: Duration::ZERO, ..lame }.check(), Err(BadTiming::Tick));
        assert_eq!(Timing { election_ticks: 20_000, ..lame }.check(), Err(BadTiming::Election));
        assert_eq!(Timing::default().check(), Ok(Timing::default()));
    }
}
