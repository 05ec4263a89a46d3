//! `[guard]`: what is asked of those whom this server does not know.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::scanners::Patterns;
use crate::directory::contains;

/// What somebody is told who is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A refusal.
    Answer,
    /// Nothing.
    Silence,
}

/// See the module. Zeros switch a limit off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `allow`: networks that are never limited, locked out or taken for scanners. They prove who they are all the same.
    pub allow: Vec<IpNet>,
    /// `deny`: networks whose requests outside a dialog are not answered.
    pub deny: Vec<IpNet>,
    /// `lockout-after`: wrong credentials of one user from one source after which both together are locked out.
    pub lockout_after: u32,
    /// `lockout-source-after`: the same of one source, of whatever users.
    pub lockout_source_after: u32,
    /// `lockout-window`: so long without another failure, and the count begins anew.
    pub lockout_window: Duration,
    /// `lockout-time`: how long a lock-out lasts.
    pub lockout_time: Duration,
    /// `lockout-answer`: 403, or nothing.
    pub lockout_answer: Manner,
    /// `requests-per-second` of one source outside dialogs, trunks and registered phones excepted.
    pub requests_per_second: u32,
    /// `requests-burst`: so many at once.
    pub requests_burst: u32,
    /// `limit-answer`: 503 with Retry-After, or nothing.
    pub limit_answer: Manner,
    /// `scanners`: whether they are answered like anybody else.
    pub scanners: Manner,
    /// `scanner-agents`: what the User-Agent or From of a scanner contains.
    pub scanner_agents: Patterns,
    /// `domains`, in lower case: hosts that requests are for; of unknown sources others are scanners'. Empty: any.
    pub domains: Vec<Box<str>>,
    /// `allow-from` of each `[[listener]]`, by `Flow::local`; an empty list, or none, is everybody.
    pub listeners: Vec<Vec<IpNet>>,
}

/// What the User-Agent of scanners and fraud tools says, as they come.
pub const SCANNER_AGENTS: [&str; 10] = [
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sip-scan",
    "sipscan",
    "sundayddr",
    "sivus",
    "pplsip",
    "vaxsipuseragent",
];

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            lockout_after: 5,
            lockout_source_after: 50,
            lockout_window: Duration::from_secs(300),
            lockout_time: Duration::from_secs(300),
            lockout_answer: Manner::Answer,
            requests_per_second: 0,
            requests_burst: 0,
            limit_answer: Manner::Answer,
            scanners: Manner::Silence,
            scanner_agents: Patterns::new(SCANNER_AGENTS.iter().copied()),
            domains: Vec::new(),
            listeners: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether a source is in `allow`.
    #[must_use]
    pub fn allows(&self, ip: IpAddr) -> bool {
        contains(&self.allow, ip.to_canonical())
    }

    /// Whether requests of a source may come in by a listener.
    #[must_use]
    pub fn admits(&self, local: u8, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if contains(&self.deny, ip) {
            return false;
        }
        self.listeners
            .get(usize::from(local))
            .is_none_or(|networks| networks.is_empty() || contains(networks, ip))
    }
}
