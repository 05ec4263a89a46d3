//! What busy lamps show of the calls of an Extension (RFC 4235), whatever the dialogs beneath do.

use tandem_cti::{DnRole, PartyState};

use super::TCalls;
use super::record::TCall;
use crate::arena::Key;
use crate::events::dialog_info::{Lamp, Remote, State};
use crate::limits::MAX_LAMPS;

impl TCalls {
    /// Calls at an Extension, oldest first. `hides`: a party of the call beneath asked not to be named.
    #[must_use]
    pub fn lamps(&self, dn: &str, hides: &dyn Fn(Key) -> bool) -> Vec<Lamp> {
        let conns = self.out.at.get(dn).into_iter().flatten();
        conns.filter_map(|conn| self.call(*conn)?.lamp(dn, hides)).take(MAX_LAMPS).collect()
    }
}

impl TCall {
    fn lamp(&self, dn: &str, hides: &dyn Fn(Key) -> bool) -> Option<Lamp> {
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
        let hidden = self.keys.iter().any(|(key, _)| hides(*key));
        let remote = other
            .filter(|name| !name.is_empty())
            .map(|name| if hidden { Remote::Hidden } else { Remote::Number(std::sync::Arc::clone(name)) });
        Some(Lamp {
            id: self.conn,
            initiator: party.role == DnRole::Origination,
            state,
            held: party.state == PartyState::Held,
            remote,
        })
    }
}
