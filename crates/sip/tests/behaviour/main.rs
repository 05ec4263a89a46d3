//! How transactions, dialogs and digest authentication behave, seen from outside the crate.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod client_invite;
mod client_non_invite;
mod dialog;
mod digest;
mod endpoint_client;
mod endpoint_server;
mod nonces;
mod properties;
mod server_invite;
mod server_non_invite;
mod support;
