//! What is sent to phones: over UDP so that the way to them stays open, and over any flow to find out whether they are
//! there.
//!
//! A phone behind a NAT is sent something at an interval. A binding that was taken out of use is asked at growing
//! intervals whether it lives after all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::directory::DnId;
use crate::limits::{GHOST_ASKED_AFTER, GHOST_ASKED_AFTER_MOST};

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The mapping of a NAT is kept open.
    KeepAlive,
    /// A binding in quarantine is asked whether it lives.
    Ghost,
}

/// One binding that is sent something.
#[derive(Debug)]
struct Pulse {
    dn: DnId,
    kind: Kind,
    at: Option<Instant>,
    /// The pause after the next one, for a ghost.
    pause: Duration,
    /// A question waits for its answer.
    asked: bool,
    /// It has answered one before: silence means something.
    answers: bool,
}

/// Something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// To a binding of this DN.
    pub dn: DnId,
    /// Its record.
    pub binding: u64,
    /// What for.
    pub kind: Kind,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pulses {
    all: BTreeMap<u64, Pulse>,
    due: BTreeSet<(Instant, u64)>,
    /// Those that have no time yet.
    fresh: Vec<u64>,
}

impl Pulses {
    /// A binding is to be sent something from now on, or for another reason than until now.
    pub fn begin(&mut self, binding: u64, dn: DnId, kind: Kind) {
        let answers = self.all.get(&binding).is_some_and(|pulse| pulse.answers);
        self.end(binding);
        let pulse = Pulse { dn, kind, at: None, pause: GHOST_ASKED_AFTER, asked: false, answers };
        self.all.insert(binding, pulse);
        self.fresh.push(binding);
    }

    /// Nothing more is sent to a binding.
    pub fn end(&mut self, binding: u64) {
        if let Some(at) = self.all.remove(&binding).and_then(|pulse| pulse.at) {
            self.due.remove(&(at, binding));
        }
    }

    /// Gives a time to what has none: keep-alives are spread over their interval, ghosts are asked at once.
    pub fn settle(&mut self, interval: Duration, now: Instant) {
        for binding in std::mem::take(&mut self.fresh) {
            let Some(pulse) = self.all.get_mut(&binding).filter(|pulse| pulse.at.is_none()) else { continue };
            let at = match pulse.kind {
                Kind::KeepAlive if interval.is_zero() => continue,
                Kind::KeepAlive => now + interval.mul_f64(share(binding)),
                Kind::Ghost => now,
            };
            pulse.at = Some(at);
            self.due.insert((at, binding));
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one that is due, and sets its next time. One whose last question is open is passed over: its transaction
    /// still asks.
    pub fn pop(&mut self, interval: Duration, now: Instant) -> Option<Due> {
        loop {
            let (at, binding) = *self.due.first().filter(|(at, _)| *at <= now)?;
            self.due.remove(&(at, binding));
            let Some(pulse) = self.all.get_mut(&binding) else { continue };
            pulse.at = match pulse.kind {
                Kind::KeepAlive if interval.is_zero() => None,
                Kind::KeepAlive => Some(now + interval),
                Kind::Ghost => {
                    let pause = pulse.pause;
                    pulse.pause = (pause * 2).min(GHOST_ASKED_AFTER_MOST);
                    Some(now + pause)
                }
            };
            self.due.extend(pulse.at.map(|at| (at, binding)));
            if !pulse.asked {
                return Some(Due { dn: pulse.dn, binding, kind: pulse.kind });
            }
        }
    }

    /// A question is on its way.
    pub fn asked(&mut self, binding: u64) {
        if let Some(pulse) = self.all.get_mut(&binding) {
            pulse.asked = true;
        }
    }

    /// It was answered; the DN that the binding belongs to.
    pub fn answered(&mut self, binding: u64) -> Option<DnId> {
        let pulse = self.all.get_mut(&binding)?;
        (pulse.asked, pulse.answers) = (false, true);
        Some(pulse.dn)
    }

    /// It was not answered; the DN of the binding if that means that nobody is there: it used to answer, or `sure` says
    /// so.
    pub fn unanswered(&mut self, binding: u64, sure: bool) -> Option<DnId> {
        let pulse = self.all.get_mut(&binding)?;
        pulse.asked = false;
        (pulse.kind == Kind::KeepAlive && (sure || pulse.answers)).then_some(pulse.dn)
    }
}

/// A share of the interval, the same for the same binding, and even over many.
fn share(binding: u64) -> f64 {
    let mixed = binding.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    f64::from(u32::try_from(mixed).unwrap_or(0)) / f64::from(u32::MAX)
}
