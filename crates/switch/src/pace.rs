//! How long answered calls lasted lately: what an estimate of the remaining time of a drain is made of.

use std::time::Duration;

/// Weight of one call in the mean: the latest few dozen count.
const WEIGHT: f64 = 1.0 / 32.0;

/// An exponentially weighted mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    seconds: Option<f64>,
}

impl Pace {
    /// A call ended that had been answered.
    pub fn note(&mut self, lasted: Duration) {
        let seconds = lasted.as_secs_f64();
        self.seconds = Some(self.seconds.map_or(seconds, |mean| mean + (seconds - mean) * WEIGHT));
    }

    /// The mean; `None` before the first call has ended.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        self.seconds.map(Duration::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_what_calls_last_lately() {
        let mut pace = Pace::default();
        assert_eq!(pace.mean(), None);
        pace.note(Duration::from_secs(10));
        assert_eq!(pace.mean(), Some(Duration::from_secs(10)));
        for _ in 0..200 {
            pace.note(Duration::from_secs(60));
        }
        assert!(pace.mean().unwrap() > Duration::from_secs(59), "{pace:?}");
    }
}
