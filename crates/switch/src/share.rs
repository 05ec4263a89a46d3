//! The share of new calls that graceful migration sends to the peer: exactly that many of any hundred, evenly spread.

use std::collections::BTreeSet;
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Share {
    percent: u8,
    /// The queues whose calls are meant; `None` is every queue and routing point.
    queues: Option<BTreeSet<Arc<str>>>,
    credit: u8,
    /// Calls that were sent to the peer.
    pub sent: u64,
    /// Calls that were asked about and stayed.
    pub kept: u64,
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Percentage in force.
    pub percent: u8,
    /// It goes to the peer.
    pub goes: bool,
}

impl Share {
    /// Nothing yet, of the calls of these queues, or of all.
    #[must_use]
    pub fn of(queues: Option<BTreeSet<Arc<str>>>) -> Self {
        Self { queues, ..Self::default() }
    }

    /// Percentage in force.
    #[must_use]
    pub fn percent(&self) -> u8 {
        self.percent
    }

    /// From now on this many of a hundred go.
    pub fn set(&mut self, percent: u8) {
        self.percent = percent.min(100);
        self.credit = 0;
    }

    /// The queues that are meant from now on.
    pub fn are(&mut self, queues: Option<BTreeSet<Arc<str>>>) {
        self.queues = queues;
    }

    /// Whether calls for this number are meant.
    #[must_use]
    pub fn means(&self, number: &str) -> bool {
        self.queues.as_ref().is_none_or(|queues| queues.contains(number))
    }

    /// Whether it is all that there is to distribute.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.percent == 100 && self.queues.is_none()
    }

    /// The next new call for this queue or routing point; `None` if it is not one of those meant.
    pub fn turn(&mut self, number: &str) -> Option<Turn> {
        if !self.means(number) {
            return None;
        }
        let due = self.credit + self.percent;
        let goes = due >= 100;
        self.credit = if goes { due - 100 } else { due };
        if goes {
            self.sent += 1;
        } else {
            self.kept += 1;
        }
        Some(Turn { percent: self.percent, goes })
    }
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lot = if self.goes { "goes" } else { "stays" };
        write!(f, "graceful migration sends {} % of new calls to the peer: this one {lot}", self.percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_hundred_calls_exactly_the_share_goes() {
        for percent in 0..=100u8 {
            let mut share = Share::of(None);
            share.set(percent);
            for _ in 0..3 {
                let gone = (0..100).filter(|_| share.turn("7000").is_some_and(|turn| turn.goes)).count();
                assert_eq!(gone, usize::from(percent));
            }
            assert_eq!((share.sent, share.kept), (3 * u64::from(percent), 3 * u64::from(100 - percent)));
        }
    }

    #[test]
    fn those_that_go_are_spread_evenly() {
        let mut share = Share::of(None);
        share.set(25);
        let goes: Vec<bool> = (0..8).map(|_| share.turn("7000").unwrap().goes).collect();
        assert_eq!(goes, [false, false, false, true, false, false, false, true]);
    }

    #[test]
    fn calls_of_other_queues_are_not_counted() {
        let mut share = Share::of(Some(["7001".into()].into()));
        share.set(50);
        assert_eq!(share.turn("7000"), None);
        let goes: Vec<bool> = (0..4).map(|_| share.turn("7001").unwrap().goes).collect();
        assert_eq!(goes, [false, true, false, true]);
        assert!(!share.is_everything());
    }
}
