//! The journal on a disk in memory that loses power, and on a real one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod crash;
mod damage;
mod memory;
mod thread;
