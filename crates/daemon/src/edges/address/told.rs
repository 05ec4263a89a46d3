//! What keepalived says of the virtual addresses, by `tandem ha notify` in its `notify_master`, `notify_backup` and
//! `notify_fault`.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// A state of VRRP (RFC 9568 6.4), or that keepalived is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum VrrpState {
    /// This machine has the addresses.
    Master,
    /// Another has them.
    Backup,
    /// This machine cannot have them.
    Fault,
}

/// The last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it says.
    pub state: VrrpState,
    /// Since when.
    pub since: Instant,
}
