//! How phones register in real networks: NAT, flows that fail, paths through proxies, and storms.

use std::time::Duration;

/// `nat`: whether the address in a phone's Contact is one at which it can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nat {
    /// Judged by each message: a Via or Contact that names another address than the one it came from, a Contact with a
    /// private address that is not its source.
    #[default]
    Auto,
    /// Every phone is reached where its messages come from.
    Yes,
    /// Every phone is reached at its Contact, unless that names no address.
    No,
}

/// `nat-keepalive`: what keeps the mapping of a NAT open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepAlive {
    /// OPTIONS, whose answer also tells that the phone is there.
    #[default]
    Options,
    /// An empty line twice: less work for both, and it tells nothing.
    Crlf,
}

/// `path-mode`: a Path that the phone did not ask for (RFC 3327 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathMode {
    /// It is kept and followed, and not told back.
    #[default]
    Lazy,
    /// The REGISTER is refused with 420.
    Strict,
}

/// Options of registration, by their names in `[TServer]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `nat`.
    pub nat: Nat,
    /// `nat-keepalive`.
    pub nat_keepalive: KeepAlive,
    /// `nat-keepalive-interval`: how often a phone behind a NAT that registered over UDP is sent something; zero: never.
    pub nat_keepalive_interval: Duration,
    /// `flow-timer`, s: how often a phone with RFC 5626 is told to keep its flow alive; 0: it is told nothing.
    pub flow_timer_s: u32,
    /// `ghost-quarantine`: how long a binding whose flow is dead, or that another one superseded, is kept out of use
    /// before it is removed, while the DN has another binding. Zero: only those whose connection is gone are.
    pub ghost_quarantine: Duration,
    /// `out-of-service-on-flow-failure`: the last binding of a DN too is removed after that time; otherwise the DN stays
    /// in service until its registration expires.
    pub out_of_service_on_flow_failure: bool,
    /// `path-mode`.
    pub path_mode: PathMode,
    /// `service-route`: told to phones as the way of their requests (RFC 3608); none unless configured.
    pub service_route: Option<Box<str>>,
    /// `gruu`: phones that ask for it are told addresses of their own (RFC 5627).
    pub gruu: bool,
    /// `register-rate`: REGISTERs served in one second; more wait.
    pub register_rate: u32,
    /// `expires-spread`: while REGISTERs wait, granted times are shortened by up to so many of a hundred.
    pub expires_spread: u32,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            nat: Nat::Auto,
            nat_keepalive: KeepAlive::Options,
            nat_keepalive_interval: Duration::from_secs(30),
            flow_timer_s: 120,
            ghost_quarantine: Duration::from_secs(30),
            out_of_service_on_flow_failure: false,
            path_mode: PathMode::Lazy,
            service_route: None,
            gruu: true,
            register_rate: 10_000,
            expires_spread: 25,
        }
    }
}
