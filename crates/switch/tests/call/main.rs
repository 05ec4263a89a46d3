//! Calls as a SIP engineer sees them: messages in, messages out, and what is left.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod basic;
mod cancel;
mod early;
mod fork;
mod refusals;
mod reinvite;
mod setup;
mod teardown;
