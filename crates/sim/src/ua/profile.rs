//! What a phone or a gateway is like: whom it registers with and how it takes and makes calls.

use std::net::SocketAddr;
use std::time::Duration;

use super::session::SessionTimers;
use crate::time::{ms, secs};

/// How a device registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registers {
    /// Not at all: a gateway, or a device with a static contact.
    Never,
    /// At one site; at the next one when that fails.
    Single,
    /// At every site at once.
    Dual,
    /// At the first site; at the others only while the first does not answer.
    ActiveBackup,
}

/// What a device does with a call that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCall {
    /// Rings, then answers.
    Answer {
        /// Time from the first ring.
        after: Duration,
    },
    /// Refuses with this status.
    Refuse {
        /// Status.
        code: u16,
        /// Time from the INVITE; the device rings until then if it is longer than [`Profile::ring_after`].
        after: Duration,
    },
    /// Rings until somebody else ends it.
    RingOn,
    /// Sends it on to another number with a 302.
    SendOn {
        /// Where to.
        to: &'static str,
        /// Time from the first ring.
        after: Duration,
    },
}

/// What a device makes of reliable provisional responses (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliable {
    /// It does not know them.
    #[default]
    No,
    /// It takes them, and sends its own so to whoever takes them.
    Takes,
    /// As a caller it takes no others.
    Only,
}

/// What a device does that no standard allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// It never acknowledges a 2xx.
    pub never_acknowledges: bool,
    /// It ends the call on a BYE, and does not say so.
    pub ignores_bye: bool,
    /// It rings on after a CANCEL, and answers.
    pub answers_after_cancel: bool,
    /// It answers nothing that comes from outside a dialog, as if its program had hung.
    pub is_mute: bool,
}

/// What a device is like. Plain data: a scenario changes what it needs.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Name in the trace, unique in a simulation.
    pub name: String,
    /// Number: the user part of its address.
    pub number: String,
    /// Password of digest authentication.
    pub password: String,
    /// Own address, behind the NAT if there is one.
    pub addr: SocketAddr,
    /// Sites in order of preference.
    pub sites: Vec<SocketAddr>,
    /// How it registers.
    pub registers: Registers,
    /// Expiry it asks for.
    pub expires: Duration,
    /// A REGISTER that nothing answers for so long has failed.
    pub register_timeout: Duration,
    /// Pause before a failed registration is tried again.
    pub register_retry: Duration,
    /// An INVITE that nothing answers for so long goes to the next site.
    pub call_timeout: Duration,
    /// Starts each call at the next site in turn instead of at the preferred one.
    pub load_share: bool,
    /// Follows a 302.
    pub follows_redirect: bool,
    /// Strips the parameters of the URI that a 302 names, as some gateways do.
    pub strips_parameters: bool,
    /// Max-Forwards of the INVITEs it sends.
    pub max_forwards: u8,
    /// What it does with a call that comes in.
    pub on_call: OnCall,
    /// Refuses a call with 486 while it has another.
    pub one_line: bool,
    /// Time from an INVITE to the 180.
    pub ring_after: Duration,
    /// Sends 183 with a body instead of 180.
    pub early_media: bool,
    /// Calls without an offer in the INVITE.
    pub delayed_offer: bool,
    /// Hangs up after talking so long; `None`: leaves that to the others.
    pub talks: Option<Duration>,
    /// Sends by TCP.
    pub tcp: bool,
    /// Reliable provisional responses.
    pub reliable: Reliable,
    /// Session timers; `None`: it knows none.
    pub session: Option<SessionTimers>,
    /// SDP lines to add, so that a message grows beyond the MTU.
    pub padding: usize,
    /// Whether it behaves.
    pub manners: Manners,
}

impl Profile {
    /// A phone with this number at this address: registers with its first site, answers after 500 ms.
    #[must_use]
    pub fn phone(number: &str, addr: SocketAddr, sites: Vec<SocketAddr>) -> Self {
        Self {
            name: number.into(),
            number: number.into(),
            password: format!("secret-{number}"),
            addr,
            sites,
            registers: Registers::Single,
            expires: secs(60),
            register_timeout: secs(4),
            register_retry: secs(5),
            call_timeout: secs(4),
            load_share: false,
            follows_redirect: true,
            strips_parameters: false,
            max_forwards: 70,
            on_call: OnCall::Answer { after: ms(500) },
            one_line: false,
            ring_after: ms(50),
            early_media: false,
            delayed_offer: false,
            talks: None,
            tcp: false,
            reliable: Reliable::No,
            session: None,
            padding: 0,
            manners: Manners::default(),
        }
    }

    /// A gateway: shares the load over its sites, fails over by timeout or 503, follows a 302.
    #[must_use]
    pub fn gateway(name: &str, addr: SocketAddr, sites: Vec<SocketAddr>) -> Self {
        Self {
            registers: Registers::Never,
            load_share: true,
            call_timeout: secs(2),
            ..Self::phone(name, addr, sites)
        }
    }
}
