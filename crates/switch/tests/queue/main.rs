//! Queues and routing points through their public API: arrivals and agents in, wishes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod agents;
mod floor;
mod model;
mod offers;
mod order;
mod overflow;
mod points;
mod reload;
mod skills;
mod why;
