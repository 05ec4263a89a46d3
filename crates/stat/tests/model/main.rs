//! The model hears events and counts. One file a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    missing_docs
)]

mod agents;
mod conserved;
mod floor;
mod gaps;
mod queues;
