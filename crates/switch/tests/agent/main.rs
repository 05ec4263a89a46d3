//! Agents through their public API: requests and calls in, news out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod acw;
mod admission;
mod availability;
mod bounds;
mod busy;
mod drain;
mod floor;
mod guard;
mod leaving;
mod model;
mod random;
mod records;
mod reload;
mod stance;
