//! The whole node as its clients and phones see it: datagrams, requests and time go in; messages and events come out.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod circles;
mod described;
mod explained;
mod hall;
mod holds;
mod lamps;
mod nailed;
mod office;
mod phones;
mod pickup;
mod random;
mod refer;
mod reload;
mod rights;
mod seats;
mod stages;
