//! The bounds of a journal, and what happens at each.

use std::time::Duration;

/// Bytes set aside for a segment. The next is begun when this is full; a longer batch gets a segment of its own length.
pub const SEGMENT: u64 = 8 << 20;
/// Bytes of the records of one batch; a longer one is refused.
pub const MAX_BATCH: usize = 48 << 20;
/// Bytes that go to the disk together; batches beyond wait for the next write. One batch goes whole.
pub const MAX_GROUP: usize = 4 << 20;
/// Bytes of a snapshot; a longer one is refused.
pub const MAX_SNAPSHOT: usize = 1 << 30;
/// Batches that wait for the disk; a further one is refused.
pub const MAX_WAITING: usize = 16_384;
/// Bytes of records that wait for the disk; a batch beyond is refused, unless nothing else waits.
pub const MAX_WAITING_BYTES: usize = 64 << 20;
/// Snapshots that wait for the disk; a further one is refused.
pub const MAX_WAITING_SNAPSHOTS: usize = 4;
/// Least time from one sync to the next: what comes meanwhile shares the next one. What comes after a pause waits for nothing.
pub const SYNC_EVERY: Duration = Duration::from_millis(2);
/// The same after a sync that as many as a [`CROWD`] have shared: it costs each of them little.
pub const SYNC_EVERY_IN_A_CROWD: Duration = Duration::from_millis(1);
/// See [`SYNC_EVERY_IN_A_CROWD`]; batches.
pub const CROWD: usize = 4;
/// How long a batch that does not ask for it may wait for its sync.
pub const SYNC_WITHIN: Duration = Duration::from_millis(100);
/// Bytes of a snapshot that are written between two syncs, so that it never stands before a batch for long.
pub const SNAPSHOT_STEP: usize = 1 << 20;
