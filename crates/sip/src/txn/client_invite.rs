//! RFC 3261 figure 5, the INVITE client transaction, with the Accepted state of RFC 6026 (its figure 3).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ClientFired, OnResponse, TimerName, Timers, earlier};

/// The states of figure 5. Bytes are kept only as long as the state may send them again.
#[derive(Debug)]
pub enum State {
    /// The INVITE is out, nothing has come back.
    Calling {
        /// For retransmission, and to build the ACK from.
        invite: Bytes,
        /// When to repeat the INVITE, and the interval that led there; none on a reliable transport.
        timer_a: Option<(Instant, Duration)>,
        /// When to give up.
        timer_b: Instant,
        /// A CANCEL must wait for the first provisional response (section 9.1).
        cancel: Option<Box<Bytes>>,
    },
    /// A provisional response came: no retransmission, and no timer unless it was cancelled.
    Proceeding {
        /// To build the ACK from.
        invite: Bytes,
        /// Set by CANCEL: how long the final response may take.
        cancelled: Option<Instant>,
    },
    /// A 2xx came; others, retransmitted or forked, are still passed up.
    Accepted {
        /// End of that.
        timer_m: Instant,
    },
    /// A final response above 299 came and was acknowledged.
    Completed {
        /// Repeated for each retransmission of the response.
        ack: Bytes,
        /// End of that.
        timer_d: Instant,
    },
    /// Over.
    Terminated,
}

/// What [`ClientInvite::cancel`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// Send the CANCEL now.
    Send,
    /// It is kept until a provisional response allows it.
    Wait,
    /// There is a final response already: nothing to cancel.
    TooLate,
}

/// An INVITE client transaction.
#[derive(Debug)]
pub struct ClientInvite {
    state: State,
}

impl ClientInvite {
    /// The caller has sent `invite` at `now`.
    pub fn new(invite: Bytes, reliable: bool, timers: &Timers, now: Instant) -> Self {
        let timer_a = (!reliable).then(|| (now + timers.t1, timers.t1));
        ClientInvite {
            state: State::Calling { invite, timer_a, timer_b: now + timers.patience(), cancel: None },
        }
    }

    /// The state, for tests and reports.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// True once nothing is left to do.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// True before any final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// The INVITE as sent, while the state keeps it.
    pub fn invite(&self) -> Option<&Bytes> {
        match &self.state {
            State::Calling { invite, .. } | State::Proceeding { invite, .. } => Some(invite),
            State::Accepted { .. } | State::Completed { .. } | State::Terminated => None,
        }
    }

    /// The ACK to repeat in Completed.
    pub fn ack(&self) -> Option<&Bytes> {
        match &self.state {
            State::Completed { ack, .. } => Some(ack),
            State::Calling { .. } | State::Proceeding { .. } | State::Accepted { .. } | State::Terminated => {
                None
            }
        }
    }

    /// The CANCEL that waited for a provisional response, once one is there.
    pub fn take_cancel(&mut self) -> Option<Bytes> {
        match &mut self.state {
            State::Calling { cancel, .. } => cancel.take().map(|payload| *payload),
            State::Proceeding { .. }
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Terminated => None,
        }
    }

    /// A response with this status code came. `ack` prints the ACK from the INVITE; it is called for the first
    /// final response above 299 only.
    pub fn on_response(
        &mut self,
        code: u16,
        reliable: bool,
        timers: &Timers,
        now: Instant,
        ack: impl FnOnce(&Bytes) -> Bytes,
    ) -> OnResponse {
        match &mut self.state {
            State::Calling { invite, .. } | State::Proceeding { invite, .. } => match code {
                ..200 => {
                    if let State::Calling { invite, .. } = &mut self.state {
                        self.state = State::Proceeding { invite: std::mem::take(invite), cancelled: None };
                    }
                    if code == 100 { OnResponse::Absorb } else { OnResponse::Deliver }
                }
                200..300 => {
                    self.state = State::Accepted { timer_m: now + timers.patience() };
                    OnResponse::Deliver
                }
                300.. => {
                    let ack = ack(invite);
                    let linger = if reliable { Duration::ZERO } else { timers.timer_d() };
                    self.state = State::Completed { ack, timer_d: now + linger };
                    OnResponse::DeliverAndAck
                }
            },
            State::Accepted { .. } if (200..300).contains(&code) => OnResponse::Deliver,
            State::Completed { .. } if code >= 300 => OnResponse::RepeatAck,
            State::Accepted { .. } | State::Completed { .. } | State::Terminated => OnResponse::Absorb,
        }
    }

    /// The user wants the call no more (section 9.1). The INVITE then has 64*T1 to end by itself.
    pub fn cancel(&mut self, payload: &Bytes, timers: &Timers, now: Instant) -> OnCancel {
        match &mut self.state {
            State::Calling { cancel, .. } => {
                *cancel = Some(Box::new(payload.clone()));
                OnCancel::Wait
            }
            State::Proceeding { cancelled, .. } => {
                cancelled.get_or_insert(now + timers.patience());
                OnCancel::Send
            }
            State::Accepted { .. } | State::Completed { .. } | State::Terminated => OnCancel::TooLate,
        }
    }

    /// The earliest deadline of the state.
    pub fn next_timeout(&self) -> Option<(Instant, TimerName)> {
        match &self.state {
            State::Calling { timer_a, timer_b, .. } => {
                Some(earlier((*timer_b, TimerName::B), timer_a.map(|(at, _)| (at, TimerName::A))))
            }
            State::Proceeding { cancelled, .. } => cancelled.map(|at| (at, TimerName::Cancelled)),
            State::Accepted { timer_m } => Some((*timer_m, TimerName::M)),
            State::Completed { timer_d, .. } => Some((*timer_d, TimerName::D)),
            State::Terminated => None,
        }
    }

    /// Time has come to `now`.
    pub fn on_timeout(&mut self, now: Instant) -> ClientFired {
        match &mut self.state {
            State::Calling { timer_b, .. } if *timer_b <= now => self.end(ClientFired::TimedOut),
            State::Calling { timer_a: Some((at, interval)), .. } if *at <= now => {
                *interval = interval.saturating_mul(2);
                *at = now + *interval;
                ClientFired::Retransmit
            }
            State::Proceeding { cancelled: Some(at), .. } if *at <= now => self.end(ClientFired::TimedOut),
            State::Accepted { timer_m } if *timer_m <= now => self.end(ClientFired::Nothing),
            State::Completed { timer_d, .. } if *timer_d <= now => self.end(ClientFired::Nothing),
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Terminated => ClientFired::Nothing,
        }
    }

    /// The transport failed. True if the user must be told: it has no final response yet.
    ///
    /// Figure 5 draws this arrow from Calling only, because nothing is sent in Proceeding. A connection that closes
    /// under a proceeding INVITE is known here nonetheless, and waiting for a ring timeout would hide it; a datagram
    /// that was refused is another request's, and says nothing about this one.
    pub fn on_transport_error(&mut self, reliable: bool) -> bool {
        match &self.state {
            State::Proceeding { .. } if !reliable => false,
            State::Calling { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                true
            }
            State::Completed { .. } => {
                self.state = State::Terminated;
                false
            }
            State::Accepted { .. } | State::Terminated => false,
        }
    }

    fn end(&mut self, fired: ClientFired) -> ClientFired {
        self.state = State::Terminated;
        fired
    }
}
