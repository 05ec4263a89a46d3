//! The bounds of a member, and what happens at each.

use std::time::Duration;

/// Members of a group, learners included. A change that would make more is refused.
pub const MAX_MEMBERS: usize = 7;

/// Bytes of a member's address. A longer one is refused.
pub const MAX_ADDRESS: usize = 255;

/// Bytes of one proposal. A longer one is refused.
pub const MAX_PROPOSAL: usize = 1 << 20;

/// Proposals that wait for their commitment. At half of it [`congested`](crate::Member::congested) is true and new work
/// is to be refused; at the whole a proposal is.
pub const MAX_UNCOMMITTED: u64 = 8_192;

/// Bytes of proposals that wait for their commitment; as [`MAX_UNCOMMITTED`].
pub const MAX_UNCOMMITTED_BYTES: u64 = 32 << 20;

/// Bytes of one frame. A longer one is refused where it is read.
pub const MAX_FRAME: usize = 4 << 20;

/// Bytes of entries in one message to a member; a single longer entry travels alone.
pub const MAX_APPEND: u64 = 256 << 10;

/// Messages with entries to one member that are not acknowledged yet; the next wait.
pub const MAX_IN_FLIGHT: usize = 128;

/// Bytes of committed entries handed over at once.
pub const MAX_APPLIED_AT_ONCE: u64 = 4 << 20;

/// Entries after the latest snapshot at which the next is asked for: so many are read within a moment at a start.
pub const SNAPSHOT_AFTER: u64 = 100_000;

/// Bytes of entries after the latest snapshot at which the next is asked for, unless that was longer itself: then as many as it
/// had.
pub const SNAPSHOT_AFTER_BYTES: u64 = 8 << 20;

/// Entries kept behind a snapshot, so that a member that is a little behind needs no snapshot.
pub const KEPT_BEHIND: u64 = 5_000;

/// Bytes of a snapshot. A larger one is refused, by its maker as by its receiver.
pub const MAX_SNAPSHOT: u64 = 1 << 30;

/// Bytes of a snapshot in one frame.
pub const CHUNK: usize = 256 << 10;

/// Chunks on their way to one member.
pub const CHUNKS_IN_FLIGHT: u64 = 4;

/// Ticks without an acknowledged chunk before the last acknowledged place is sent from again.
pub const CHUNK_PATIENCE: u32 = 15;

/// Times that is done before the member counts as unreachable for this snapshot.
pub const CHUNK_TRIES: u32 = 8;

/// Entries that a member may lack and yet be promoted to a voter: it has the rest within a moment.
pub const NEARLY: u64 = 200;

/// Entries that a backup may lack for a switchover to begin; it gets them while proposals wait.
pub const SYNCHRONISED: u64 = 500;

/// A write that takes longer is told of.
pub const SLOW_DISK: Duration = Duration::from_millis(500);

/// A leader whose disk takes longer hands over to a synchronised server.
pub const STALLED_DISK: Duration = Duration::from_millis(1_500);

/// Terms that a takeover by hand jumps over: a former primary cannot reach the new epoch by restarting.
pub const TERMS_PER_GENERATION: u64 = 1 << 16;

/// No member speaks of a higher term: an epoch is 32 bits.
pub const MAX_TERM: u64 = u32::MAX as u64 - 1;

/// No log is longer.
pub const MAX_INDEX: u64 = 1 << 62;

/// Samples of when entries were made, to tell a member's lag in time.
pub const LAG_SAMPLES: usize = 512;
