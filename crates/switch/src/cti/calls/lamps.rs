//! What busy lamps show of the calls of an Extension (RFC 4235), whatever the dialogs beneath do.

use tandem_cti::{DnRole, PartyState};

use super::TCalls;
use super::record::TCall;
use crate::arena::Key;
use crate::call::{DialogNames, LegNo};
use crate::events::dialog_info::{Lamp, Remote, State};
use crate::limits::MAX_LAMPS;

/// What lamps show of the calls beneath.
pub trait Beneath {
    /// Whether a party asked not to be named.
    fn hides(&self, key: Key) -> bool;

    /// The dialog at a leg.
    fn dialog(&self, key: Key, leg: LegNo) -> Option<DialogNames>;
}

impl TCalls {
    /// Calls at an Extension, oldest first.
    #[must_use]
    pub fn lamps(&self, dn: &str, beneath: &dyn Beneath) -> Vec<Lamp> {
        let conns = self.out.at.get(dn).into_iter().flatten();
        conns.filter_map(|conn| self.call(*conn)?.lamp(dn, beneath)).take(MAX_LAMPS).collect()
    }
}

impl TCall {
    fn lamp(&self, dn: &str, beneath: &dyn Beneath) -> Option<Lamp> {
        let place = self.named(dn)?;
        let party = self.parties.get(place).filter(|party| party.told)?;
        let rings_somewhere = self.waits.is_some() || self.parties.iter().any(|p| p.is_called() && p.told);
        let state = match party.state {
            PartyState::Dialing if rings_somewhere => State::Early,
            PartyState::Dialing => State::Trying,
            PartyState::Alerting | PartyState::Queued => State::Early,
            PartyState::Connected | PartyState::Held => State::Confirmed,
            PartyState::Busy | PartyState::Failed => return None,
        };
        let other = match self.other(place) {
            Some(other) => Some(&other.name),
            None if self.conference || state == State::Confirmed => None,
            None => Some(&self.dialled),
        };
        let hidden = self.keys.iter().any(|(key, _)| beneath.hides(*key));
        let remote = other
            .filter(|name| !name.is_empty())
            .map(|name| if hidden { Remote::Hidden } else { Remote::Number(std::sync::Arc::clone(name)) });
        Some(Lamp {
            id: self.conn,
            initiator: party.role == DnRole::Origination,
            state,
            held: party.state == PartyState::Held,
            remote,
            dialog: party.legs.iter().find_map(|leg| beneath.dialog(leg.at?, leg.no)),
        })
    }
}
