//! What a journal has done, for whoever watches it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the classes that syncs are counted in, in µs.
pub const SYNC_BOUNDS: [u64; 10] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000];

/// Each since start, unless said otherwise.
#[derive(Debug, Default)]
pub struct Counters {
    /// Batches written.
    pub batches: AtomicU64,
    /// Records written.
    pub records: AtomicU64,
    /// Bytes written, snapshots apart.
    pub bytes: AtomicU64,
    /// Syncs of the log.
    pub syncs: AtomicU64,
    /// µs that they took together.
    pub sync_us: AtomicU64,
    /// Syncs by their time: up to each of [`SYNC_BOUNDS`] and more than the one before; what took longer is not here.
    pub sync_classes: [AtomicU64; SYNC_BOUNDS.len()],
    /// Snapshots written.
    pub snapshots: AtomicU64,
    /// Batches refused because too many waited.
    pub refused: AtomicU64,
    /// Segments now.
    pub segments: AtomicU64,
    /// Bytes of the segments and the snapshot now.
    pub size: AtomicU64,
    /// Bytes of the snapshot now.
    pub snapshot_size: AtomicU64,
    /// Batches that wait now.
    pub waiting: AtomicU64,
    /// Bytes of records that wait now.
    pub waiting_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn synced(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.syncs, 1);
        add(&self.sync_us, us);
        let class = SYNC_BOUNDS.iter().position(|bound| us <= *bound);
        if let Some(class) = class.and_then(|class| self.sync_classes.get(class)) {
            add(class, 1);
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

pub(crate) fn set(gauge: &AtomicU64, now: usize) {
    gauge.store(now as u64, Ordering::Relaxed);
}
