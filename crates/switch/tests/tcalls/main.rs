//! Calls as the T-Library sees them: facts of the call room and requests in, events and orders out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod basic;
mod conference;
mod consult;
mod data;
mod office;
mod queue;
mod races;
mod refusals;
mod stored;
mod transfer;
