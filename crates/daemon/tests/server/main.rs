//! The real binary on loopback: what an operator and a phone see of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cti;
mod cti_abuse;
mod cti_tls;
mod desktop;
mod lifecycle;
mod phone;
mod process;
mod registration;
