//! A server that dies and goes on from what it has stored.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/fixture.rs"]
mod fixture;
#[path = "../support/mod.rs"]
mod support;

mod away;
#[allow(dead_code)]
#[path = "../guard/bench.rs"]
mod bench;
mod calls;
mod guard;
mod orders;
mod registrations;
mod returns;
mod setups;
mod trunks;
mod versions;
#[allow(dead_code)]
#[path = "../events/watcher.rs"]
mod watcher;
mod watchers;
