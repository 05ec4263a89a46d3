//! The door as phones, strangers and scanners meet it, what Extensions may spend, and calls for help.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod doors;
mod help;
mod loads;
mod tolls;
