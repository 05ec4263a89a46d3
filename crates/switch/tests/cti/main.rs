//! The CTI rooms through their public API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

mod bounds;
mod desk;
mod idempotency;
mod presence;
mod records;
mod registering;
mod streams;
