//! Event notification as a SIP engineer sees it: SUBSCRIBE in, NOTIFY out (RFC 6665).
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod contacts;
mod lamps;
mod mailbox;
mod subscriptions;
mod watcher;
