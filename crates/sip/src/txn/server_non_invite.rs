//! RFC 3261 figure 8, the non-INVITE server transaction.

use std::time::Instant;

use bytes::Bytes;

use super::{TimerName, Timers};

/// The states of figure 8.
#[derive(Debug)]
pub enum State {
    /// The user has not answered.
    Trying,
    /// The user sent a provisional response.
    Proceeding {
        /// Repeated for each retransmission of the request.
        last: Bytes,
    },
    /// The user sent the final response.
    Completed {
        /// Repeated for each retransmission of the request.
        last: Bytes,
        /// End of that.
        timer_j: Instant,
    },
    /// Over.
    Terminated,
}

/// A non-INVITE server transaction.
#[derive(Debug)]
pub struct ServerNonInvite {
    state: State,
}

impl Default for ServerNonInvite {
    fn default() -> Self {
        ServerNonInvite { state: State::Trying }
    }
}

impl ServerNonInvite {
    /// The state, for tests and reports.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// True once nothing is left to do.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }

    /// The request came again: the response to repeat, if any.
    pub fn on_retransmission(&self) -> Option<&Bytes> {
        match &self.state {
            State::Proceeding { last } | State::Completed { last, .. } => Some(last),
            State::Trying | State::Terminated => None,
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
        match &self.state {
            State::Trying | State::Proceeding { .. } => {
                self.state = if code < 200 {
                    State::Proceeding { last: payload.clone() }
                } else if reliable {
                    State::Terminated
                } else {
                    State::Completed { last: payload.clone(), timer_j: now + timers.patience() }
                };
                true
            }
            State::Completed { .. } | State::Terminated => false,
        }
    }

    /// The earliest deadline of the state.
    pub fn next_timeout(&self) -> Option<(Instant, TimerName)> {
        match &self.state {
            State::Completed { timer_j, .. } => Some((*timer_j, TimerName::J)),
            State::Trying | State::Proceeding { .. } | State::Terminated => None,
        }
    }

    /// Time has come to `now`.
    pub fn on_timeout(&mut self, now: Instant) {
        match &self.state {
            State::Completed { timer_j, .. } if *timer_j <= now => self.state = State::Terminated,
            State::Trying | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {}
        }
    }
}
