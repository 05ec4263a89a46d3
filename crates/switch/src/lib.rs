//! The switch of one site: DNs, registrations, trunks and calls, as one sans-IO value, [`Node`].
//!
//! A driver gives it facts ([`Input`]) and the time ([`Now`]), and carries out what it asks for ([`Output`]). It opens
//! no socket, reads no clock and rolls no dice, so the same inputs always give the same outputs.

pub mod admission;
pub mod cdr;
pub mod directory;
pub mod event;
pub mod limits;
pub mod metrics;
pub mod registrar;
pub mod reject;
pub mod time;
pub mod view;

pub use cdr::Cdr;
pub use directory::Directory;
pub use event::Event;
pub use metrics::Counters;
pub use reject::Reject;
pub use time::{Deadline, Now};
