//! Every record is gone by its deadline: what a server has stored and not deleted when its own wall clock shows that the
//! record has lost its meaning, it acts upon still.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tandem_peer::Batch;
use tandem_peer::replica::{Op, RecordKey};

use crate::time::{At, ms, secs};

/// A timer that is due runs in the same moment; a deadline in milliseconds is rounded.
const TICK: Duration = ms(5);

/// A server that waits does not notice that its wall clock has jumped: it does at its next probe.
const UNNOTICED: Duration = secs(15);

/// What a server's wall clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// How far it is off: another value than before means that it jumped, and nobody noticed before the next step.
    pub skew_ms: i64,
}

/// What one server has stored.
#[derive(Debug, Default)]
pub struct Records {
    deadlines: BTreeMap<RecordKey, u64>,
    next: BTreeSet<(u64, RecordKey)>,
    skew_ms: i64,
    jumped: Option<At>,
    /// Since when a record that is past its deadline has been there, step after step.
    late_since: Option<At>,
    excused: bool,
}

impl Records {
    /// A batch went to the committer.
    pub fn store(&mut self, batch: &Batch) {
        for change in batch.changes() {
            if let Some(old) = self.deadlines.remove(&change.key) {
                self.next.remove(&(old, change.key));
            }
            if let (Op::Put(_), Some(deadline)) = (change.op, change.deadline) {
                self.deadlines.insert(change.key, deadline.unix_ms());
                self.next.insert((deadline.unix_ms(), change.key));
            }
        }
    }

    /// The server was stopped for a while: its timers run late, once.
    pub fn excuse(&mut self) {
        self.excused = true;
    }

    /// A record that should be gone. `slack` is what a slow committer adds: batches are handed to it one after the other.
    pub fn overdue(&mut self, slack: Duration, clock: Clock, now: At) -> Option<String> {
        if std::mem::replace(&mut self.skew_ms, clock.skew_ms) != clock.skew_ms {
            self.jumped = Some(now);
        }
        let excused = std::mem::take(&mut self.excused);
        let past = |(deadline, _): &&(u64, RecordKey)| *deadline < clock.unix_ms;
        let unnoticed = self.jumped.is_some_and(|at| now - at < UNNOTICED);
        let Some((deadline, key)) = self.next.first().filter(past).filter(|_| !unnoticed) else {
            self.late_since = None;
            return None;
        };
        let late = Duration::from_millis(clock.unix_ms - deadline);
        let first_seen = self.late_since.is_none();
        let since = *self.late_since.get_or_insert(now);
        // Late by the clock on the wall, unless that has just jumped; and still there when its timer has had its turn.
        let overdue = now - since > TICK + slack || (!excused && first_seen && late > TICK + slack);
        overdue
            .then(|| format!("record {} of kind {} is there {late:?} after its deadline", key.id, key.kind))
    }
}
