//! The switch of one site: DNs, registrations, trunks and calls, as one sans-IO value, [`Node`].
//!
//! A driver gives it facts ([`Input`]) and the time ([`Now`]), and carries out what it asks for ([`Output`]). It opens
//! no socket, reads no clock and rolls no dice, so the same inputs always give the same outputs.

mod acks;
pub mod admission;
pub mod agent;
pub mod anchor;
pub mod arena;
mod away;
pub mod call;
pub mod cdr;
pub mod cti;
pub mod directory;
pub mod event;
pub mod events;
pub mod explain;
pub mod gruu;
pub mod guard;
pub mod ids;
mod input;
pub mod limits;
mod lines;
pub mod media;
pub mod metrics;
mod nat;
mod node;
mod outbox;
mod output;
pub mod overload;
mod pace;
pub mod queue;
pub mod registrar;
pub mod reject;
pub mod rooms;
pub mod routing;
pub mod share;
mod signals;
mod stored;
pub mod storm;
pub mod time;
pub mod trunks;
mod unwritten;
pub mod view;

pub use cdr::Cdr;
pub use directory::Directory;
pub use event::{Event, MigrationNews};
pub use input::{DrainOrder, Input, Migrate, MigrateOrder};
pub use metrics::Counters;
#[doc(hidden)]
pub use node::FloorCounts;
pub use node::{ExtensionNow, Node, Reason, Restored, Standing, Term, says_drained};
pub use output::Output;
pub use overload::Load;
pub use reject::Reject;
pub use time::{Deadline, Now};
