//! The program's edges to the world. Each is bounded, and none holds a rule of telephony.

pub mod admin;
pub mod cdr;
pub mod crowd;
pub mod cti;
pub mod dns;
pub mod http;
pub mod isolation;
pub mod media;
pub mod metrics;
mod orders;
pub mod resolve;
mod stream;
pub mod stun;
pub mod tcp;
pub mod tls;
pub mod udp;
mod udp_errors;
mod ws;
