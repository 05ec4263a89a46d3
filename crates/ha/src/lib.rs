//! One server of a site, alone or in an HA pair, sans-IO: a member of its group, and the [`Node`](tandem_switch::Node) while
//! it serves.
//!
//! ```text
//! Node ── Store ──▶ proposal ──▶ Member ── Write ──▶ disk,  Send ──▶ other members
//!   ▲                              │
//!   └──────── Persisted ◀──── Committed ──▶ agreed: the records of the group
//!                                  │
//!                       Serve: a Node is made of them; StandDown: it is dropped
//! ```
//!
//! A server alone is a group of one voter: the same path, and what it knew when it was killed it knows again when it starts.

mod server;
mod snapshot;

pub use server::{Input, Output, Restore, Revived, Server, Start, Unreadable};
pub use snapshot::BadSnapshot;
