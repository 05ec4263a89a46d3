//! All records of a group as bytes: what a snapshot of the log holds. Batches, each behind its length (32 bits, big-endian).

use std::fmt;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tandem_peer::replica::{Batch, ReplicaSet, Seq};

/// Bytes of records that are put together before the next length, and at once.
const PIECE: usize = 256 << 10;

/// Between two pieces.
const PAUSE: Duration = Duration::from_millis(5);

/// Why bytes are no snapshot: it is cut off, or somebody else wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSnapshot {
    /// The byte at which they stop being one.
    pub at: usize,
}

impl fmt::Display for BadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the snapshot cannot be read from byte {} on", self.at)
    }
}

impl std::error::Error for BadSnapshot {}

/// A snapshot that is being made, a piece at a time, so that nothing waits for it.
#[derive(Debug)]
pub struct Making {
    /// The place in the log that it stands for.
    pub index: u64,
    /// When the next piece is to be made.
    pub next: Instant,
    out: BytesMut,
}

impl Making {
    /// Of the records as they are now.
    pub fn begin(records: &mut ReplicaSet, index: u64, now: Instant) -> Self {
        records.begin_walk();
        Self { index, next: now, out: BytesMut::new() }
    }

    /// The next piece. The bytes of all records, if it was the last.
    pub fn go_on(&mut self, records: &mut ReplicaSet, now: Instant) -> Option<Bytes> {
        self.next = now + PAUSE;
        let Some(batch) = records.walk_on(PIECE) else { return Some(self.out.split().freeze()) };
        // A batch is little longer than a piece.
        self.out.put_u32(u32::try_from(batch.bytes().len()).unwrap_or(u32::MAX));
        self.out.put_slice(batch.bytes());
        // A small state is one piece.
        (batch.bytes().len() < PIECE).then(|| self.out.split().freeze())
    }
}

/// Reads them back. Values share memory with `bytes`.
pub fn decode(mut bytes: Bytes) -> Result<ReplicaSet, BadSnapshot> {
    let whole = bytes.len();
    let mut records = ReplicaSet::new();
    while !bytes.is_empty() {
        let at = whole - bytes.len();
        let length = bytes.try_get_u32().ok().and_then(|length| usize::try_from(length).ok());
        let piece = length.filter(|length| *length <= bytes.len()).map(|length| bytes.split_to(length));
        let batch = piece.and_then(|piece| Batch::from_bytes(Seq(0), piece)).ok_or(BadSnapshot { at })?;
        for change in batch.changes() {
            records.apply(&change);
        }
    }
    Ok(records)
}
