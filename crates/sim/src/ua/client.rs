//! Client transactions of a phone or gateway: RFC 3261 17.1, as a list and two deadlines each.

use std::net::SocketAddr;
use std::time::Duration;

use crate::time::{At, ms, secs};
use crate::wire::{Over, Wire};

/// T1 of every simulated device.
pub const T1: Duration = ms(500);
/// T2 of every simulated device.
pub const T2: Duration = secs(4);
/// 64*T1.
pub const PATIENCE: Duration = secs(32);

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// REGISTER at the site with this index.
    Register(usize),
    /// The INVITE that opens this leg.
    Invite(u64),
    /// An INVITE within this leg's dialog.
    Reinvite(u64),
    /// BYE.
    Bye(u64),
    /// UPDATE, INFO, OPTIONS and the like within this leg's dialog.
    Within(u64),
    /// SUBSCRIBE of the subscription with this index.
    Watch(usize),
    /// Nothing hangs on its answer: CANCEL, PRACK, the BYE of a dialog nobody wanted, the word of a mailbox.
    CleanUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    /// A final response came; the entry stays to recognise its retransmissions.
    Done,
}

/// One client transaction.
#[derive(Debug)]
pub struct Client {
    /// Branch of its Via.
    pub branch: String,
    /// Method.
    pub method: String,
    /// The printed request.
    pub wire: Wire,
    /// Where it goes.
    pub to: SocketAddr,
    /// How it travels.
    pub over: Over,
    /// What it is for.
    pub purpose: Purpose,
    /// The ACK to its non-2xx final, to repeat.
    pub ack: Option<Wire>,
    state: State,
    resend_at: Option<At>,
    interval: Duration,
    ends_at: At,
    cancelled: bool,
}

/// What a deadline asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Send the request again.
    Resend,
    /// Nobody answered (Timer B or F, or the device's own shorter patience).
    Timeout,
    /// Forget it.
    Forget,
}

impl Client {
    /// A transaction whose request has just been sent.
    #[must_use]
    pub fn new(
        wire: Wire,
        to: SocketAddr,
        over: Over,
        purpose: Purpose,
        patience: Duration,
        now: At,
    ) -> Self {
        let (branch, method) = match wire.text.as_ref() {
            Ok(text) => (text.branch().to_owned(), text.method().to_owned()),
            Err(_) => (String::new(), String::new()),
        };
        let resend_at = (over == Over::Udp).then(|| now + T1);
        let ends_at = now + patience;
        let state = State::Calling;
        Self {
            branch,
            method,
            wire,
            to,
            over,
            purpose,
            ack: None,
            state,
            resend_at,
            interval: T1,
            ends_at,
            cancelled: false,
        }
    }

    /// Whether no final response has come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Done
    }

    /// Whether a provisional response has come and no final one.
    #[must_use]
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// A response came. True if its user should see it.
    pub fn answered(&mut self, code: u16, now: At) -> bool {
        let invite = self.method == "INVITE";
        match (self.state, code) {
            (State::Done, _) => invite && code / 100 == 2,
            (State::Calling | State::Proceeding, ..200) => {
                self.state = State::Proceeding;
                if invite {
                    self.resend_at = None;
                }
                if invite && !self.cancelled {
                    // RFC 3261 gives a ringing INVITE no end; the device's user does.
                    self.ends_at = now + secs(300);
                }
                true
            }
            (State::Calling | State::Proceeding, _) => {
                self.state = State::Done;
                self.resend_at = None;
                self.ends_at = now + PATIENCE;
                true
            }
        }
    }

    /// The user has sent CANCEL: a 487 must come within 64*T1 (RFC 3261 9.1).
    pub fn cancelled(&mut self, now: At) {
        self.cancelled = true;
        self.ends_at = now + PATIENCE;
    }

    /// The next deadline.
    #[must_use]
    pub fn next_timeout(&self) -> At {
        self.resend_at.map_or(self.ends_at, |at| at.min(self.ends_at))
    }

    /// What is due now.
    pub fn handle_timeout(&mut self, now: At) -> Option<Due> {
        if self.ends_at <= now {
            return Some(if self.is_open() { Due::Timeout } else { Due::Forget });
        }
        if self.resend_at.is_none_or(|at| at > now) {
            return None;
        }
        let ceiling = if self.method == "INVITE" { PATIENCE } else { T2 };
        self.interval = if self.state == State::Proceeding { T2 } else { (self.interval * 2).min(ceiling) };
        self.resend_at = Some(now + self.interval);
        Some(Due::Resend)
    }
}
