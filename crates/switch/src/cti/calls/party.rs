//! One party of a call, and where the call room knows it.

use std::sync::Arc;

use smallvec::SmallVec;
use tandem_cti::{DnRole, PartyState};

use crate::arena::Key;
use crate::call::LegNo;

/// A leg beneath a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The call beneath; `None` only in a record that was just read.
    pub at: Option<Key>,
    /// Its number there.
    pub no: LegNo,
    /// It rings, or has answered.
    pub rings: bool,
}

/// A party. Forked legs of one DN are one party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// DN, or number outside.
    pub name: Arc<str>,
    /// A DN of this switch: it has events.
    pub inside: bool,
    /// Role.
    pub role: DnRole,
    /// State.
    pub state: PartyState,
    /// `EventDialing` or `EventRinging` was told: others may know of it.
    pub told: bool,
    /// Queue or routing point that it got the call from.
    pub queue: Option<Arc<str>>,
    /// Legs; several while a forked DN rings.
    pub legs: SmallVec<[Leg; 1]>,
}

impl Party {
    /// Whether the leg is its.
    #[must_use]
    pub fn has(&self, key: Key, no: LegNo) -> bool {
        self.legs.iter().any(|leg| leg.at == Some(key) && leg.no == no)
    }

    /// Where a request reaches it: a leg that rings or talks before one that does not yet.
    #[must_use]
    pub fn reached(&self) -> Option<(Key, LegNo)> {
        let leg = self.legs.iter().find(|leg| leg.rings).or_else(|| self.legs.first())?;
        Some((leg.at?, leg.no))
    }

    /// Whether it has answered.
    #[must_use]
    pub fn talks(&self) -> bool {
        matches!(self.state, PartyState::Connected | PartyState::Held)
    }

    /// Whether it is being called.
    #[must_use]
    pub fn is_called(&self) -> bool {
        self.state == PartyState::Alerting
    }
}
