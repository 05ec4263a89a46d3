//! Nothing is left when everybody has hung up.

use std::time::Duration;

use tandem_switch::view::Status;

use crate::sites::Setup;
use crate::time::secs;

/// How long a call may take to end after its last party has hung up: a transaction to a dead device, then its
/// acknowledgement, with room for a repeated BYE.
pub const QUIET: Duration = secs(150);

/// Transactions that probes keep alive by themselves: each lives 32 s as a server's, 32 s at most as a client's.
#[must_use]
pub fn probes(setup: &Setup) -> usize {
    let peer = usize::from(setup.oos_check_s.max(1));
    let asked_and_asking = if setup.sites > 1 { 2 * (32 / peer + 2) } else { 0 };
    asked_and_asking + setup.gateways.len() * (32 / 10 + 2)
}

/// What is wrong with a server that should be idle.
#[must_use]
pub fn check(status: &Status, calls: usize, setup: &Setup, registrations: usize) -> Vec<String> {
    let mut found = Vec::new();
    if calls != 0 {
        found.push(format!("{}: {calls} calls are left", status.server));
    }
    let most = probes(setup) + registrations;
    if status.transactions > most {
        found.push(format!(
            "{}: {} transactions are left, at most {most} belong to probes and registrations",
            status.server, status.transactions
        ));
    }
    found
}
