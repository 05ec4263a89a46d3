//! The applying side: the records as the changes seen so far make them.

use super::batch::{Batch, Change, Op};
use super::record::{RecordKey, Stamp};
use super::walk::Walk;
use crate::limits::TOMBSTONES_MAX;
use crate::time::Deadline;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The record is now as the change says.
    Applied,
    /// The record is already as new or newer.
    Stale,
    /// The change was written in an epoch that is over.
    OldEpoch,
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The change that made it so.
    pub stamp: Stamp,
    /// When it loses its meaning.
    pub deadline: Option<Deadline>,
    /// The encoded value.
    pub value: Bytes,
}

/// Records by key. As many as their writer keeps; of deleted ones the latest stamps are remembered, so that a late
/// older copy does not bring them back.
#[derive(Debug, Default)]
pub struct ReplicaSet {
    records: BTreeMap<RecordKey, Stored>,
    tombstones: BTreeMap<RecordKey, Stamp>,
    deleted_in_order: VecDeque<RecordKey>,
    epoch: u32,
    walk: Option<Walk>,
}

impl ReplicaSet {
    /// Nothing stored.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on changes of an older epoch are refused, whatever their record. Never goes back.
    pub fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// Applies one change, unless it is older than what is known.
    pub fn apply(&mut self, change: &Change) -> Applied {
        if change.stamp.epoch < self.epoch {
            return Applied::OldEpoch;
        }
        if self.latest_stamp(&change.key).is_some_and(|known| change.stamp <= known) {
            return Applied::Stale;
        }
        match &change.op {
            Op::Put(value) => {
                self.forget_tombstone(&change.key);
                // A slice would keep the whole batch in memory for as long as the record lives.
                let value = Bytes::copy_from_slice(value);
                let stored = Stored { stamp: change.stamp, deadline: change.deadline, value };
                let old = self.records.insert(change.key, stored);
                self.changed(change.key, old);
            }
            Op::Delete => {
                let old = self.records.remove(&change.key);
                self.changed(change.key, old);
                self.bury(change.key, change.stamp);
            }
        }
        Applied::Applied
    }

    /// Applies every change of a batch.
    pub fn apply_all(&mut self, batch: &Batch) {
        for change in batch.changes() {
            self.apply(&change);
        }
    }

    /// The record under this key.
    #[must_use]
    pub fn get(&self, key: &RecordKey) -> Option<&Stored> {
        self.records.get(key)
    }

    /// How many records are stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Is nothing stored?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All records in the order of their keys, as changes that [`Replicated::restore`](super::Replicated::restore)
    /// reads.
    pub fn changes(&self) -> impl Iterator<Item = Change> + '_ {
        self.records.iter().map(|(key, stored)| Change {
            key: *key,
            stamp: stored.stamp,
            deadline: stored.deadline,
            op: Op::Put(stored.value.clone()),
        })
    }

    /// Begins to walk over all records as they are now. A walk that was under way ends.
    pub fn begin_walk(&mut self) {
        self.walk = Some(Walk::default());
    }

    /// The next records of the walk, about so many bytes of them; `None` at its end. Whoever applies all of them to an empty set
    /// has the set as it was when the walk began. Records keep their stamps, so a set that is past their epoch refuses
    /// them: begin the epoch afterwards.
    pub fn walk_on(&mut self, bytes: usize) -> Option<Batch> {
        let some = self.walk.as_mut().and_then(|walk| walk.go_on(&self.records, bytes));
        if some.is_none() {
            self.walk = None;
        }
        some
    }

    /// Drops the records whose deadline has come.
    pub fn expire(&mut self, now_unix_ms: u64) {
        let over = |stored: &Stored| stored.deadline.is_some_and(|at| at.is_past(now_unix_ms));
        for (key, old) in self.records.extract_if(.., |_, stored| over(stored)) {
            self.walk.iter_mut().for_each(|walk| walk.changed(key, Some(old.clone())));
        }
    }

    fn changed(&mut self, key: RecordKey, old: Option<Stored>) {
        if let Some(walk) = &mut self.walk {
            walk.changed(key, old);
        }
    }

    fn latest_stamp(&self, key: &RecordKey) -> Option<Stamp> {
        let stored = self.records.get(key).map(|stored| stored.stamp);
        stored.or_else(|| self.tombstones.get(key).copied())
    }

    fn bury(&mut self, key: RecordKey, stamp: Stamp) {
        if self.tombstones.insert(key, stamp).is_none() {
            self.deleted_in_order.push_back(key);
        }
        if self.deleted_in_order.len() > TOMBSTONES_MAX
            && let Some(oldest) = self.deleted_in_order.pop_front()
        {
            self.tombstones.remove(&oldest);
        }
    }

    /// A record deleted and made anew is rare: numbers are not reused.
    fn forget_tombstone(&mut self, key: &RecordKey) {
        if self.tombstones.remove(key).is_some() {
            self.deleted_in_order.retain(|buried| buried != key);
        }
    }
}
