//! What a server must not forget, on its disk: a log of opaque records in segments, and the latest snapshot beside it.
//!
//! [`Journal`] is the whole: one thread writes, batches that wait while the disk works go to it together, and their
//! tokens are told when they are there. [`format`](mod@format) is what lies on the disk, [`read`] and [`recover`] make
//! sense of it after whatever happened, [`log`] writes it so that they can.

mod batch;
mod blocks;
mod counters;
mod disk;
mod error;
pub mod format;
mod journal;
pub mod limits;
pub mod log;
mod queue;
pub mod read;
pub mod recover;

pub use batch::{Batch, Keep, Parts, Record};
pub use counters::{Counters, SYNC_BOUNDS};
pub use disk::{Dir, Disk, Open, is_held};
pub use error::{Condition, Failure, OpenError, Refused, Why};
pub use journal::{Journal, Progress, inspect};
pub use recover::{Cut, Recovered};
