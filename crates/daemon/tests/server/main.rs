//! The real binary on loopback: what an operator and a phone see of it.

mod lifecycle;
mod phone;
mod process;
mod registration;
