//! RFC 3261 figure 6, the non-INVITE client transaction.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ClientFired, OnResponse, TimerName, Timers, earlier};

/// The states of figure 6.
#[derive(Debug)]
pub enum State {
    /// The request is out, nothing has come back.
    Trying {
        /// For retransmission.
        request: Bytes,
        /// When to repeat the request, and the interval that led there; none on a reliable transport.
        timer_e: Option<(Instant, Duration)>,
        /// When to give up.
        timer_f: Instant,
    },
    /// A provisional response came; retransmission goes on, every T2.
    Proceeding {
        /// For retransmission.
        request: Bytes,
        /// When to repeat the request; none on a reliable transport.
        timer_e: Option<Instant>,
        /// When to give up.
        timer_f: Instant,
    },
    /// The final response came.
    Completed {
        /// Until then its retransmissions are absorbed.
        timer_k: Instant,
    },
    /// Over.
    Terminated,
}

/// A non-INVITE client transaction.
#[derive(Debug)]
pub struct ClientNonInvite {
    state: State,
}

impl ClientNonInvite {
    /// The caller has sent `request` at `now`.
    pub fn new(request: Bytes, reliable: bool, timers: &Timers, now: Instant) -> Self {
        let timer_e = (!reliable).then(|| (now + timers.t1, timers.t1));
        ClientNonInvite { state: State::Trying { request, timer_e, timer_f: now + timers.patience() } }
    }

    /// The state, for tests and reports.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// True once nothing is left to do.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// The request as sent, while the state keeps it.
    pub fn request(&self) -> Option<&Bytes> {
        match &self.state {
            State::Trying { request, .. } | State::Proceeding { request, .. } => Some(request),
            State::Completed { .. } | State::Terminated => None,
        }
    }

    /// A response with this status code came.
    pub fn on_response(&mut self, code: u16, reliable: bool, timers: &Timers, now: Instant) -> OnResponse {
        match &mut self.state {
            State::Trying { request, timer_e, timer_f } if code < 200 => {
                let (request, timer_f) = (std::mem::take(request), *timer_f);
                let timer_e = timer_e.map(|_| now + timers.t2);
                self.state = State::Proceeding { request, timer_e, timer_f };
                provisional(code)
            }
            State::Proceeding { .. } if code < 200 => provisional(code),
            State::Trying { .. } | State::Proceeding { .. } => {
                let linger = if reliable { Duration::ZERO } else { timers.t4 };
                self.state = State::Completed { timer_k: now + linger };
                OnResponse::Deliver
            }
            State::Completed { .. } | State::Terminated => OnResponse::Absorb,
        }
    }

    /// The earliest deadline of the state.
    pub fn next_timeout(&self) -> Option<(Instant, TimerName)> {
        match &self.state {
            State::Trying { timer_e, timer_f, .. } => {
                Some(earlier((*timer_f, TimerName::F), timer_e.map(|(at, _)| (at, TimerName::E))))
            }
            State::Proceeding { timer_e, timer_f, .. } => {
                Some(earlier((*timer_f, TimerName::F), timer_e.map(|at| (at, TimerName::E))))
            }
            State::Completed { timer_k } => Some((*timer_k, TimerName::K)),
            State::Terminated => None,
        }
    }

    /// Time has come to `now`.
    pub fn on_timeout(&mut self, timers: &Timers, now: Instant) -> ClientFired {
        match &mut self.state {
            State::Trying { timer_f, .. } | State::Proceeding { timer_f, .. } if *timer_f <= now => {
                self.state = State::Terminated;
                ClientFired::TimedOut
            }
            State::Trying { timer_e: Some((at, interval)), .. } if *at <= now => {
                *interval = interval.saturating_mul(2).min(timers.t2);
                *at = now + *interval;
                ClientFired::Retransmit
            }
            State::Proceeding { timer_e: Some(at), .. } if *at <= now => {
                *at = now + timers.t2;
                ClientFired::Retransmit
            }
            State::Completed { timer_k } if *timer_k <= now => {
                self.state = State::Terminated;
                ClientFired::Nothing
            }
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {
                ClientFired::Nothing
            }
        }
    }

    /// The transport failed. True if the user must be told: it has no final response yet.
    pub fn on_transport_error(&mut self) -> bool {
        let pending = match &self.state {
            State::Trying { .. } | State::Proceeding { .. } => true,
            State::Completed { .. } | State::Terminated => false,
        };
        self.state = State::Terminated;
        pending
    }
}

/// A 100 is between the hops; anything above is the user's.
fn provisional(code: u16) -> OnResponse {
    if code == 100 { OnResponse::Absorb } else { OnResponse::Deliver }
}
