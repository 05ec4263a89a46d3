//! The gate.

use super::batch::{Change, Op};
use super::log::ChangeLog;
use super::record::{Record, RecordKey, Stamp};
use std::ops::Deref;

/// A value that survives. Read it like the value itself; change it through [`update`](Self::update) only.
///
/// It must end in [`delete`](Self::delete): a value that is merely dropped stays in the store.
#[derive(Debug)]
#[must_use = "a value that is dropped without `delete` stays in the store"]
pub struct Replicated<V> {
    value: V,
    id: u64,
    version: u64,
    epoch: u32,
    owner: u16,
}

impl<V: Record> Replicated<V> {
    /// Stores a new value under a number that no other record of its kind has or had.
    pub fn create(id: u64, value: V, log: &mut ChangeLog) -> Self {
        let stamp = log.stamp(0);
        log.put(id, stamp, &value);
        Self { value, id, version: stamp.version, epoch: stamp.epoch, owner: stamp.owner }
    }

    /// Takes up a stored value again, after a restart or a takeover. `None` if it is a deletion, of another kind, or
    /// unreadable.
    #[must_use]
    pub fn restore(change: &Change) -> Option<Self> {
        Self::restore_as(change, |_| ())
    }

    /// The same of a value of which `adjust` finds again what means something in this process only. That is not logged:
    /// whoever takes the value up once more does the same.
    #[must_use]
    pub fn restore_as(change: &Change, adjust: impl FnOnce(&mut V)) -> Option<Self> {
        if change.key.kind != V::KIND {
            return None;
        }
        let Op::Put(bytes) = &change.op else { return None };
        let Stamp { epoch, version, owner } = change.stamp;
        let mut value = V::decode(bytes)?;
        adjust(&mut value);
        Some(Self { value, id: change.key.id, version, epoch, owner })
    }

    /// Changes the value and logs the change.
    pub fn update<R>(&mut self, log: &mut ChangeLog, change: impl FnOnce(&mut V) -> R) -> R {
        let answer = change(&mut self.value);
        let stamp = log.stamp(self.version);
        Stamp { epoch: self.epoch, version: self.version, owner: self.owner } = stamp;
        log.put(self.id, stamp, &self.value);
        answer
    }

    /// Lets go of something that takes room in this process and that the record may go on holding until its next change.
    /// Only for what does no harm should it come back.
    pub fn let_go(&mut self, forget: impl FnOnce(&mut V)) {
        forget(&mut self.value);
    }

    /// Ends the value and logs its end.
    pub fn delete(self, log: &mut ChangeLog) -> V {
        log.delete(self.key(), log.stamp(self.version));
        self.value
    }

    /// The record's name.
    #[must_use]
    pub fn key(&self) -> RecordKey {
        RecordKey { kind: V::KIND, id: self.id }
    }

    /// The stamp of the latest change.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { epoch: self.epoch, version: self.version, owner: self.owner }
    }
}

impl<V> Deref for Replicated<V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.value
    }
}
