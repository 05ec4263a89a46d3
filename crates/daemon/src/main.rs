//! `tandem`: a SIP server for two sites that must never both go quiet.
//!
//! This crate is the program around the sans-IO `Node` of `tandem-switch`: configuration, sockets, clock, HTTP and the
//! command line. [`run`] is the loop, [`serve`] starts it, [`edges`] are what it speaks through.

mod cli;
mod command;
mod config;
mod drill;
mod edges;
mod group;
mod limits;
mod load;
mod log;
mod member;
mod password;
mod pulse;
mod readiness;
mod reload;
mod run;
mod serve;
mod stat;
mod state;
mod systemd;
mod witness;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
