//! Values that must survive a crash of the process, and the one gate through which they change.
//!
//! A [`Replicated`] value is read freely and written only by [`Replicated::update`], which stamps a new version and
//! appends a change to the [`ChangeLog`]. A change that nobody stores therefore cannot be written. The node takes the
//! changes of one input as one [`Batch`], emits it before the outputs that the change justifies, and holds those
//! outputs until the batch is committed. The same batch is the form on disk and between servers; the other side
//! applies it to a [`ReplicaSet`].
//!
//! A change is ordered by its [`Stamp`]: epoch first, then version. Within an epoch one server alone writes a record,
//! so equal stamps mean equal content, and applying changes in any order, any number of times, ends in one state.

mod batch;
mod log;
mod record;
mod set;
mod value;
mod walk;

pub use batch::{Batch, Change, Changes, Op};
pub use log::{ChangeLog, Seq};
pub use record::{Reader, Record, RecordKey, Stamp, Writer};
pub use set::{Applied, ReplicaSet, Stored};
pub use value::Replicated;
