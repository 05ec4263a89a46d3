//! Server transactions of a phone or gateway: RFC 3261 17.2, and the 2xx that is repeated until its ACK (13.3.1.4).

use std::net::SocketAddr;
use std::time::Duration;

use super::client::{PATIENCE, T1, T2};
use crate::text::Text;
use crate::time::At;
use crate::wire::{Over, Wire};

/// One server transaction.
#[derive(Debug)]
pub struct Server {
    /// The request.
    pub request: Text,
    /// Where responses go.
    pub to: SocketAddr,
    /// How they travel.
    pub over: Over,
    /// The last response.
    pub last: Option<Wire>,
    /// Status of the last response; 0 before any.
    pub code: u16,
    /// The leg it opened or belongs to.
    pub leg: Option<u64>,
    /// Number of the provisional response that was sent reliably.
    number: Option<u32>,
    resend_at: Option<At>,
    interval: Duration,
    ends_at: Option<At>,
}

/// What a deadline asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Send the last response again.
    Resend,
    /// A final response to an INVITE was never acknowledged.
    NoAck,
    /// Forget it.
    Forget,
}

impl Server {
    /// A transaction whose request has just come.
    #[must_use]
    pub fn new(request: Text, to: SocketAddr, over: Over) -> Self {
        Self {
            request,
            to,
            over,
            last: None,
            code: 0,
            leg: None,
            number: None,
            resend_at: None,
            interval: T1,
            ends_at: None,
        }
    }

    /// Whether a request belongs to this transaction (RFC 3261 17.2.3).
    #[must_use]
    pub fn matches(&self, other: &Text) -> bool {
        let method = if other.method() == "ACK" { "INVITE" } else { other.method() };
        self.request.branch() == other.branch()
            && self.request.sent_by() == other.sent_by()
            && self.request.method() == method
    }

    /// Whether it is an INVITE without a final response.
    #[must_use]
    pub fn is_pending_invite(&self) -> bool {
        self.request.method() == "INVITE" && self.code < 200
    }

    /// A response is sent.
    pub fn responded(&mut self, code: u16, wire: Wire, now: At) {
        self.code = code;
        self.last = Some(wire);
        if code < 200 {
            return;
        }
        self.ends_at = Some(now + PATIENCE);
        let repeats = self.request.method() == "INVITE" && (self.over == Over::Udp || code < 300);
        self.resend_at = repeats.then(|| now + T1);
    }

    /// The response that was sent is repeated until its PRACK comes.
    pub fn responded_reliably(&mut self, number: u32, now: At) {
        (self.number, self.resend_at) = (Some(number), Some(now + T1));
    }

    /// Whether a provisional response waits for its PRACK.
    #[must_use]
    pub fn is_unacknowledged(&self) -> bool {
        self.code < 200 && self.resend_at.is_some()
    }

    /// A PRACK with this number came. False: nothing was sent with it.
    pub fn acknowledged_early(&mut self, number: u32) -> bool {
        let known = self.number == Some(number);
        if known && self.code < 200 {
            self.resend_at = None;
        }
        known
    }

    /// The ACK came: nothing is repeated any more. False if it had come before.
    pub fn acknowledged(&mut self) -> bool {
        self.resend_at.take().is_some()
    }

    /// The next deadline.
    #[must_use]
    pub fn next_timeout(&self) -> Option<At> {
        match (self.resend_at, self.ends_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// What is due now.
    pub fn handle_timeout(&mut self, now: At) -> Option<Due> {
        if self.ends_at.is_some_and(|at| at <= now) {
            return Some(if self.resend_at.is_some() { Due::NoAck } else { Due::Forget });
        }
        if self.resend_at.is_none_or(|at| at > now) {
            return None;
        }
        self.interval = (self.interval * 2).min(T2);
        self.resend_at = Some(now + self.interval);
        Some(Due::Resend)
    }
}
