//! The registrar and its gate, through their public API: REGISTER bytes in, bindings and refusals out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod admission;
mod arbitrary;
mod contacts;
mod desk;
mod expiry;
mod ghosts;
mod model;
mod order;
mod outbound;
mod reach;
mod reload;
mod survival;
