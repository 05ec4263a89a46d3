//! The service against a small CTI server of its own, and its history against crashes.

mod history;
mod server;
mod service;
