//! Transactions: RFC 3261 section 17, with the Accepted states of RFC 6026.
//!
//! One file per figure. A machine is pure: it is told what came and when, keeps the timers of its state inside that
//! state (leaving the state stops them), and answers what is to be done. It owns no address and no user; the
//! [`Endpoint`](crate::endpoint::Endpoint) does.

use std::time::{Duration, Instant};

pub mod client_invite;
pub mod client_non_invite;
pub mod server_invite;
pub mod server_non_invite;

/// The base timers of RFC 3261 table 4. Every other timer of section 17 is derived from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; default 500 ms.
    pub t1: Duration,
    /// Longest retransmit interval of non-INVITE requests and INVITE responses; default 4 s.
    pub t2: Duration,
    /// How long a message may remain in the network; default 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

/// RFC 3261 table 4 asks at least this much of Timer D on datagrams.
const TIMER_D_FLOOR: Duration = Duration::from_secs(32);

/// RFC 3261 17.2.1: the transaction sends 100 itself when its user stays silent this long.
pub(crate) const TRYING_AFTER: Duration = Duration::from_millis(200);

impl Timers {
    /// 64*T1, the life of Timers B, F, H, J, L and M.
    pub fn patience(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D of an INVITE over datagrams.
    pub fn timer_d(&self) -> Duration {
        self.patience().max(TIMER_D_FLOOR)
    }
}

/// Which timer a deadline belongs to (RFC 3261 table 4, RFC 6026), so that a schedule explains itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerName {
    /// INVITE request retransmit.
    A,
    /// INVITE transaction timeout.
    B,
    /// Wait for retransmitted non-2xx responses to an INVITE.
    D,
    /// Non-INVITE request retransmit.
    E,
    /// Non-INVITE transaction timeout.
    F,
    /// INVITE response retransmit.
    G,
    /// Wait for the ACK.
    H,
    /// Wait for retransmitted ACKs.
    I,
    /// Wait for retransmitted non-INVITE requests.
    J,
    /// Wait for retransmitted non-INVITE responses.
    K,
    /// Wait for retransmitted INVITEs after a 2xx was sent.
    L,
    /// Wait for retransmitted or forked 2xx after the first one.
    M,
    /// The automatic 100 of section 17.2.1.
    Trying,
    /// A cancelled INVITE that gets no final response (section 9.1).
    Cancelled,
}

/// What a client machine wants done with a response it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnResponse {
    /// A retransmission, or one that means nothing in this state.
    Absorb,
    /// Pass it to the transaction user.
    Deliver,
    /// Pass it to the transaction user and send the ACK.
    DeliverAndAck,
    /// A retransmitted final response: only repeat the ACK.
    RepeatAck,
}

/// What a timer of a client machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFired {
    /// It was not due, or it silently ended the transaction.
    Nothing,
    /// Send the request again.
    Retransmit,
    /// Timer B or F: tell the user; the transaction is over.
    TimedOut,
}

/// What a timer of a server machine asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFired {
    /// It was not due, or it silently ended the transaction.
    Nothing,
    /// Send the last response again.
    Retransmit,
    /// The user stayed silent for 200 ms: send a 100.
    SendTrying,
    /// Timer H: no ACK came; tell the user; the transaction is over.
    NoAck,
}

/// The earlier of two deadlines; the first wins a tie, so name the one that ends the transaction first.
fn earlier(ends: (Instant, TimerName), repeats: Option<(Instant, TimerName)>) -> (Instant, TimerName) {
    match repeats {
        Some(repeats) if repeats.0 < ends.0 => repeats,
        Some(_) | None => ends,
    }
}
