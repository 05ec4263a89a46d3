//! Active out-of-service detection of one trunk.
//!
//! A device is asked with OPTIONS (RFC 3261 section 11) every `oos-check` seconds. Silence for `oos-force` seconds, a
//! transport failure or an answer that does not count as alive puts the trunk out of service; an answer that counts
//! brings it back. `oos-force` decides, not the probe's own transaction: its Timer F (32 s) is no input here.
//!
//! ```text
//!            oos-check: send OPTIONS             oos-force, transport failure, bad answer
//! InService ------------------------> Probing ---------------------------------------> OutOfService <-+ oos-check:
//!     ^  ^ <------------------------     good answer                                         |        | send OPTIONS
//!     |  +-----------------------------------------------------------------------------------+--------+
//!     |        good answer to a probe; for any device but the peer also a request from it
//!     +----- recovery-timeout ----- Resting <-- a call failed while nobody probes (oos-check 0)
//! ```
//!
//! Which answers count. An answer counts while its own probe is younger than `oos-force`, and only in the state that
//! sent it: a late answer to a probe from before the doubt says nothing about now, and accepting it would let a dead
//! peer pass for alive beyond `oos-check + oos-force`.
//!
//! What the network refuses. A host refuses for a process that has just died, and the backup of a pair needs a moment to
//! take its address: with `oos-refused-force` a probe that is refused is repeated every second for so long before it
//! puts the trunk out of service, and the time of `oos-force` runs from the first.
//!
//! Where it starts. The peer trunk is out of service until it has answered once, so that the sole survivor of a cold
//! start never refuses a login on behalf of a site that is not there. Any other trunk starts in service, so that the
//! first calls after a start are not turned away. Both are probed at once. After a restart or a takeover a trunk is what
//! it was ([`TrunkHealth::resumed`]), and is probed at once.

mod known;
mod options;
mod reason;

pub use known::Known;
pub use options::{BadTrunkOption, TrunkOptions, TrunkRole};
pub use reason::{CallFailure, Reason};

use crate::limits::PROBE_SPACING;
use std::time::Instant;

/// Names one probe, so that its answer can be told from an older one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(u64);

/// What the caller has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send OPTIONS outside any dialog to the trunk's contact.
    SendProbe {
        /// Hand it back with the answer.
        probe: ProbeId,
        /// The probe's Max-Forwards.
        max_forwards: u8,
    },
    /// Report the DN out of service (`EventDNOutOfService`) and compute the operating mode anew.
    DnOutOfService(Reason),
    /// Report the DN back in service (`EventDNBackInService`) and compute the operating mode anew.
    DnBackInService(Reason),
}

/// Which timer [`TrunkHealth::poll_timeout`] speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkTimer {
    /// The next probe is due, or the repetition of one that was refused.
    OosCheck,
    /// The outstanding probe has been silent for too long.
    OosForce,
    /// A resting trunk is given another try.
    RecoveryTimeout,
}

/// The state by name, for events and `tandem trunk list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Calls may be sent.
    InService,
    /// Calls may be sent; a probe is outstanding.
    Probing,
    /// No call is sent.
    OutOfService,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    id: ProbeId,
    sent: Instant,
}

#[derive(Debug)]
enum State {
    /// `next_check` is `None` when nobody probes.
    InService { next_check: Option<Instant> },
    /// Since `since`. A probe that the network refused is repeated at `again`.
    Probing { probe: Probe, since: Instant, again: Option<Instant> },
    /// `in_flight` holds the probes younger than `oos-force`: one, unless `oos-force` exceeds `oos-check`.
    OutOfService { next_check: Instant, in_flight: Vec<Probe> },
    /// Out of service without probing, until `recovery-timeout` is over.
    Resting { back_at: Instant },
}

/// What is believed about one trunk.
#[derive(Debug)]
pub struct TrunkHealth {
    options: TrunkOptions,
    state: State,
    probes_sent: u64,
    last_sent: Option<Instant>,
    since: Instant,
    reason: Reason,
}

impl TrunkHealth {
    /// A trunk of which nothing is known yet. The first probe is due at once.
    #[must_use]
    pub fn new(options: TrunkOptions, now: Instant) -> Self {
        let state = match options.role {
            _ if !options.is_probed() => State::InService { next_check: None },
            TrunkRole::Peer => State::OutOfService { next_check: now, in_flight: Vec::new() },
            TrunkRole::Other => State::InService { next_check: Some(now) },
        };
        Self { options, state, probes_sent: 0, last_sent: None, since: now, reason: Reason::Started }
    }

    /// May calls be sent to the trunk?
    #[must_use]
    pub fn in_service(&self) -> bool {
        match self.state {
            State::InService { .. } | State::Probing { .. } => true,
            State::OutOfService { .. } | State::Resting { .. } => false,
        }
    }

    /// The state by name.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.state {
            State::InService { .. } => Phase::InService,
            State::Probing { .. } => Phase::Probing,
            State::OutOfService { .. } | State::Resting { .. } => Phase::OutOfService,
        }
    }

    /// Since when the trunk is in or out of service.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Why it is in or out of service.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The options in force.
    #[must_use]
    pub fn options(&self) -> &TrunkOptions {
        &self.options
    }

    /// The next moment at which [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, TrunkTimer)> {
        match &self.state {
            State::InService { next_check } => next_check.map(|at| (at, TrunkTimer::OosCheck)),
            State::Probing { again: Some(at), .. } => Some((*at, TrunkTimer::OosCheck)),
            State::Probing { since, .. } => {
                Some((*since + self.options.force_period(), TrunkTimer::OosForce))
            }
            State::OutOfService { next_check, .. } => Some((*next_check, TrunkTimer::OosCheck)),
            State::Resting { back_at } => Some((*back_at, TrunkTimer::RecoveryTimeout)),
        }
    }

    /// Time has passed. Does nothing before the moment that [`poll_timeout`](Self::poll_timeout) tells.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Action> {
        let (due, timer) = self.poll_timeout()?;
        if now < due {
            return None;
        }
        match timer {
            TrunkTimer::OosCheck => Some(self.send_probe(now)),
            TrunkTimer::OosForce => {
                self.lose(Reason::NotAnswered { oos_force_s: self.options.oos_force_s }, now)
            }
            TrunkTimer::RecoveryTimeout => self.restore(Reason::RecoveryTimeoutOver, now),
        }
    }

    /// A final answer to a probe came from the network. (A timeout of the probe's transaction is no answer, and a
    /// 408 made up by the own transaction layer must not be fed here.)
    pub fn probe_answered(&mut self, id: ProbeId, status: u16, now: Instant) -> Option<Action> {
        if status < 200 || !self.settle(id, now) {
            return None;
        }
        if self.options.accepts(status) {
            self.restore(Reason::ProbeAnswered(status), now)
        } else {
            self.lose(Reason::ProbeRefused(status), now)
        }
    }

    /// The transport could not deliver a probe: connection refused, ICMP unreachable, TLS failure. Within
    /// `oos-refused-force` it is repeated.
    pub fn probe_transport_failed(&mut self, id: ProbeId, now: Instant) -> Option<Action> {
        if !self.settle(id, now) {
            return None;
        }
        let (spacing, patience) = (PROBE_SPACING, self.options.refused_period());
        if let State::Probing { probe, since, again } = &mut self.state
            && probe.sent + spacing <= *since + patience
        {
            *again = Some(now.max(probe.sent + spacing));
            return None;
        }
        self.lose(Reason::ProbeTransportFailed, now)
    }

    /// An INVITE to the device failed without any answer. A probed trunk is asked at once instead of judged by it.
    pub fn call_failed(&mut self, how: CallFailure, now: Instant) -> Option<Action> {
        match &mut self.state {
            State::InService { next_check: Some(next_check) } => {
                let earliest = self.last_sent.map_or(now, |sent| now.max(sent + PROBE_SPACING));
                *next_check = earliest.min(*next_check);
                self.handle_timeout(now)
            }
            State::InService { next_check: None } if self.options.recovery_timeout_s > 0 => {
                self.state = State::Resting { back_at: now + self.options.recovery_period() };
                self.report_out(Reason::CallFailed(how), now)
            }
            State::InService { next_check: None }
            | State::Probing { .. }
            | State::OutOfService { .. }
            | State::Resting { .. } => None,
        }
    }

    /// A valid SIP request came from the device. It brings back any device but the peer: a draining peer still sends
    /// requests, and over a link that works one way only the trunk would flap.
    pub fn request_received(&mut self, now: Instant) -> Option<Action> {
        if self.in_service() || self.options.role == TrunkRole::Peer {
            return None;
        }
        self.restore(Reason::RequestReceived, now)
    }

    /// The device is reached at another address from now on: one that is probed is asked there at once.
    pub fn moved(&mut self, now: Instant) {
        match &mut self.state {
            State::InService { next_check: Some(next_check) } | State::OutOfService { next_check, .. } => {
                *next_check = now.min(*next_check);
            }
            State::Probing { again: Some(again), .. } => *again = now.min(*again),
            State::InService { next_check: None } | State::Probing { .. } | State::Resting { .. } => {}
        }
    }

    /// The configuration changed.
    pub fn options_changed(&mut self, options: TrunkOptions, now: Instant) -> Option<Action> {
        let became_peer = self.options.role == TrunkRole::Other && options.role == TrunkRole::Peer;
        self.options = options;
        if options.is_probed() { self.probe_by_new_options(became_peer, now) } else { self.stop_probing(now) }
    }

    fn probe_by_new_options(&mut self, became_peer: bool, now: Instant) -> Option<Action> {
        if became_peer && self.in_service() {
            self.state = State::OutOfService { next_check: now, in_flight: Vec::new() };
            return self.report_out(Reason::BecamePeer, now);
        }
        let latest = now + self.options.check_period();
        match &mut self.state {
            State::InService { next_check } => {
                *next_check = Some(next_check.map_or(now, |at| at.min(latest)));
            }
            State::Probing { .. } => {}
            State::OutOfService { next_check, .. } => *next_check = latest.min(*next_check),
            State::Resting { .. } => {
                self.state = State::OutOfService { next_check: now, in_flight: Vec::new() };
            }
        }
        None
    }

    fn stop_probing(&mut self, now: Instant) -> Option<Action> {
        if let State::Resting { back_at } = &mut self.state
            && self.options.recovery_timeout_s > 0
        {
            *back_at = (now + self.options.recovery_period()).min(*back_at);
            return None;
        }
        let was_out = !self.in_service();
        self.state = State::InService { next_check: None };
        if was_out { self.report_in(Reason::CheckingOff, now) } else { None }
    }

    fn send_probe(&mut self, now: Instant) -> Action {
        self.probes_sent += 1;
        self.last_sent = Some(now);
        let probe = Probe { id: ProbeId(self.probes_sent), sent: now };
        let patience = self.options.force_period();
        match &mut self.state {
            State::OutOfService { next_check, in_flight } => {
                *next_check = now + self.options.check_period();
                in_flight.retain(|older| now < older.sent + patience);
                in_flight.push(probe);
            }
            State::Probing { probe: last, again, .. } => (*last, *again) = (probe, None),
            State::InService { .. } | State::Resting { .. } => {
                self.state = State::Probing { probe, since: now, again: None };
            }
        }
        Action::SendProbe { probe: probe.id, max_forwards: self.options.oos_options_max_forwards }
    }

    /// Is this the fate of a probe that still counts? In `OutOfService` it is then no longer in flight.
    fn settle(&mut self, id: ProbeId, now: Instant) -> bool {
        let patience = self.options.force_period();
        match &mut self.state {
            State::Probing { probe, again, .. } => probe.id == id && again.is_none(),
            State::OutOfService { in_flight, .. } => {
                in_flight.retain(|probe| now <= probe.sent + patience);
                let young = in_flight.len();
                in_flight.retain(|probe| probe.id != id);
                in_flight.len() < young
            }
            State::InService { .. } | State::Resting { .. } => false,
        }
    }

    /// Bad news about a probed trunk.
    fn lose(&mut self, reason: Reason, now: Instant) -> Option<Action> {
        match &self.state {
            State::Probing { since, .. } => {
                let next_check = now.max(*since + self.options.check_period());
                self.state = State::OutOfService { next_check, in_flight: Vec::new() };
                self.report_out(reason, now)
            }
            State::OutOfService { .. } => {
                self.reason = reason;
                None
            }
            State::InService { .. } | State::Resting { .. } => None,
        }
    }

    /// Good news. The rhythm of the probes is kept.
    fn restore(&mut self, reason: Reason, now: Instant) -> Option<Action> {
        let (next_check, was_out) = match &self.state {
            State::InService { .. } => return None,
            State::Probing { since, .. } => (Some(now.max(*since + self.options.check_period())), false),
            State::OutOfService { next_check, .. } => (Some(*next_check), true),
            State::Resting { .. } => (None, true),
        };
        self.state = State::InService { next_check };
        if was_out { self.report_in(reason, now) } else { None }
    }

    fn report_out(&mut self, reason: Reason, now: Instant) -> Option<Action> {
        self.since = now;
        self.reason = reason;
        Some(Action::DnOutOfService(reason))
    }

    fn report_in(&mut self, reason: Reason, now: Instant) -> Option<Action> {
        self.since = now;
        self.reason = reason;
        Some(Action::DnBackInService(reason))
    }
}
