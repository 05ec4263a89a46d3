//! Collects the changes of one input into a batch.

use super::batch::{self, Batch};
use super::record::{Record, RecordKey, Stamp};
use bytes::BytesMut;

/// Numbers the batches of one process, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// The changes made since the last [`take_batch`](ChangeLog::take_batch). Encodes into one buffer whose memory is used
/// again once earlier batches are dropped.
#[derive(Debug)]
pub struct ChangeLog {
    owner: u16,
    epoch: u32,
    last: Seq,
    pending: BytesMut,
}

impl ChangeLog {
    /// The log of server `owner`, writing in `epoch`.
    #[must_use]
    pub fn new(owner: u16, epoch: u32) -> Self {
        Self { owner, epoch, last: Seq(0), pending: BytesMut::new() }
    }

    /// The epoch in which changes are written.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// This server became primary again: changes are written in a new epoch. An older one is ignored.
    pub fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = self.epoch.max(epoch);
    }

    /// The changes since the last call, or `None` if there are none.
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.pending.is_empty() {
            return None;
        }
        self.last.0 += 1;
        Some(Batch::new(self.last, self.pending.split().freeze()))
    }

    /// The batch taken last; `Seq(0)` before the first.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.last
    }

    pub(super) fn stamp(&self, previous_version: u64) -> Stamp {
        Stamp { epoch: self.epoch, version: previous_version + 1, owner: self.owner }
    }

    pub(super) fn put<V: Record>(&mut self, id: u64, stamp: Stamp, value: &V) {
        batch::put_value(&mut self.pending, id, stamp, value);
    }

    pub(super) fn delete(&mut self, key: RecordKey, stamp: Stamp) {
        batch::put_deletion(&mut self.pending, key, stamp);
    }
}
