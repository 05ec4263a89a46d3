//! RFC 3261 figure 7, the INVITE server transaction, with the Accepted state of RFC 6026 (its figure 5).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{ServerFired, TRYING_AFTER, TimerName, Timers, earlier};

/// The states of figure 7.
#[derive(Debug)]
pub enum State {
    /// No final response yet.
    Proceeding {
        /// What was last sent; none until the first response.
        last: Option<Bytes>,
        /// The INVITE and when to answer it with 100 by ourselves; none after the first response.
        unanswered: Option<(Bytes, Instant)>,
    },
    /// The user sent a 2xx and repeats it by itself; retransmitted INVITEs are absorbed.
    Accepted {
        /// End of that.
        timer_l: Instant,
    },
    /// The user refused: the response is repeated until its ACK comes.
    Completed {
        /// The response.
        last: Bytes,
        /// When to repeat it, and the interval that led there; none on a reliable transport.
        timer_g: Option<(Instant, Duration)>,
        /// When to stop waiting for the ACK.
        timer_h: Instant,
    },
    /// The ACK came; its retransmissions are absorbed.
    Confirmed {
        /// End of that.
        timer_i: Instant,
    },
    /// Over.
    Terminated,
}

/// What to do with an ACK that matches the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAck {
    /// It was for the refusal, or for nothing.
    Absorb,
    /// RFC 6026 7.1: in Accepted it belongs to the user.
    Deliver,
}

/// An INVITE server transaction.
#[derive(Debug)]
pub struct ServerInvite {
    state: State,
}

impl ServerInvite {
    /// `invite` came at `now`.
    pub fn new(invite: Bytes, now: Instant) -> Self {
        ServerInvite {
            state: State::Proceeding { last: None, unanswered: Some((invite, now + TRYING_AFTER)) },
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

    /// The INVITE came again: the response to repeat, if any.
    pub fn on_retransmission(&self) -> Option<&Bytes> {
        self.last()
    }

    /// The last response, while the state keeps it.
    pub fn last(&self) -> Option<&Bytes> {
        match &self.state {
            State::Proceeding { last, .. } => last.as_ref(),
            State::Completed { last, .. } => Some(last),
            State::Accepted { .. } | State::Confirmed { .. } | State::Terminated => None,
        }
    }

    /// The INVITE, as long as nothing has answered it.
    pub fn unanswered(&self) -> Option<&Bytes> {
        match &self.state {
            State::Proceeding { unanswered, .. } => unanswered.as_ref().map(|(invite, _)| invite),
            State::Accepted { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Terminated => None,
        }
    }

    /// The user answers. True if the response is to be sent.
    pub fn on_respond(
        &mut self,
        code: u16,
        payload: &Bytes,
        reliable: bool,
        timers: &Timers,
        now: Instant,
    ) -> bool {
        match &mut self.state {
            State::Proceeding { last, unanswered } => match code {
                ..200 => {
                    *last = Some(payload.clone());
                    *unanswered = None;
                    true
                }
                200..300 => {
                    self.state = State::Accepted { timer_l: now + timers.patience() };
                    true
                }
                300.. => {
                    let timer_g = (!reliable).then(|| (now + timers.t1, timers.t1));
                    self.state =
                        State::Completed { last: payload.clone(), timer_g, timer_h: now + timers.patience() };
                    true
                }
            },
            State::Accepted { .. } => (200..300).contains(&code),
            State::Completed { .. } | State::Confirmed { .. } | State::Terminated => false,
        }
    }

    /// An ACK that matches came.
    pub fn on_ack(&mut self, reliable: bool, timers: &Timers, now: Instant) -> OnAck {
        match &self.state {
            State::Completed { .. } => {
                let linger = if reliable { Duration::ZERO } else { timers.t4 };
                self.state = State::Confirmed { timer_i: now + linger };
                OnAck::Absorb
            }
            State::Accepted { .. } => OnAck::Deliver,
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => OnAck::Absorb,
        }
    }

    /// The earliest deadline of the state.
    pub fn next_timeout(&self) -> Option<(Instant, TimerName)> {
        match &self.state {
            State::Proceeding { unanswered, .. } => {
                unanswered.as_ref().map(|(_, at)| (*at, TimerName::Trying))
            }
            State::Accepted { timer_l } => Some((*timer_l, TimerName::L)),
            State::Completed { timer_g, timer_h, .. } => {
                Some(earlier((*timer_h, TimerName::H), timer_g.map(|(at, _)| (at, TimerName::G))))
            }
            State::Confirmed { timer_i } => Some((*timer_i, TimerName::I)),
            State::Terminated => None,
        }
    }

    /// Time has come to `now`. After [`ServerFired::SendTrying`] the caller answers with a 100.
    pub fn on_timeout(&mut self, timers: &Timers, now: Instant) -> ServerFired {
        match &mut self.state {
            State::Proceeding { unanswered: Some((_, at)), .. } if *at <= now => ServerFired::SendTrying,
            State::Accepted { timer_l } if *timer_l <= now => self.end(ServerFired::Nothing),
            State::Completed { timer_h, .. } if *timer_h <= now => self.end(ServerFired::NoAck),
            State::Completed { timer_g: Some((at, interval)), .. } if *at <= now => {
                *interval = interval.saturating_mul(2).min(timers.t2);
                *at = now + *interval;
                ServerFired::Retransmit
            }
            State::Confirmed { timer_i } if *timer_i <= now => self.end(ServerFired::Nothing),
            State::Proceeding { .. }
            | State::Accepted { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Terminated => ServerFired::Nothing,
        }
    }

    /// The 100 of section 17.2.1 cannot be made from this INVITE: stop trying to.
    pub fn leave_unanswered(&mut self) {
        if let State::Proceeding { unanswered, .. } = &mut self.state {
            *unanswered = None;
        }
    }

    fn end(&mut self, fired: ServerFired) -> ServerFired {
        self.state = State::Terminated;
        fired
    }
}
