//! What decides a run: its seed, and how much of what the seed brings takes part. The same plan gives the same history.

use std::fmt;
use std::time::Duration;

use tandem_peer::failure::FailureSignals;

use super::only::Only;
use crate::oracle::Invariant;
use crate::time::secs;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Calls and faults for so long, then peace.
    pub lasts: Duration,
    /// With agents, desktops and queues.
    pub floor: bool,
    /// The first site is a pair.
    pub pairs: bool,
    /// The sites hear anything at all of each other's administration interface, and watch that much of what is seen beside
    /// the peer trunk. It changes nothing, so no command asks for it.
    pub signals: Option<FailureSignals>,
    /// Calls, requests and faults, numbered from 1 in the order of time. Each has dice of its own, so that one without
    /// another is what it was.
    pub acts: Only,
    /// Phones, gateways and desktops, numbered from 1. Who does not take part is there, and switched off.
    pub cast: Only,
    /// A rule that the servers do not keep ([`crate::broken`]).
    pub broken: Option<Invariant>,
}

impl Plan {
    /// All that a seed brings, for a simulated minute.
    #[must_use]
    pub fn new(seed: u64, floor: bool) -> Self {
        Self {
            seed,
            lasts: secs(60),
            floor,
            pairs: false,
            signals: None,
            acts: Only::All,
            cast: Only::All,
            broken: None,
        }
    }
}

/// The command that runs it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cargo run --release -p tandem-sim -- --seed {}", self.seed)?;
        if self.floor {
            f.write_str(" --floor")?;
        }
        if self.pairs {
            f.write_str(" --pairs")?;
        }
        if self.lasts != secs(60) {
            write!(f, " --minutes {}", self.lasts.as_secs_f64() / 60.0)?;
        }
        if self.acts != Only::All {
            write!(f, " --acts {}", self.acts)?;
        }
        if self.cast != Only::All {
            write!(f, " --cast {}", self.cast)?;
        }
        if let Some(rule) = self.broken {
            write!(f, " --broken {rule}")?;
        }
        f.write_str(" --trace")
    }
}
