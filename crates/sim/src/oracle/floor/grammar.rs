//! In which order the events of one party may come: by DN and ConnID.

use std::collections::BTreeMap;

use tandem_cti::{Event, EventName};

/// Where a party stands, by what was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Dials.
    Dialing,
    /// Rings.
    Ringing,
    /// Talks.
    Talking,
    /// Has put the call on hold.
    Holding,
    /// Waits at a queue or routing point.
    Waiting,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Grammar {
    parties: BTreeMap<(String, String), Party>,
}

impl Grammar {
    /// Calls at a DN.
    pub fn at(&self, dn: &str) -> impl Iterator<Item = (&str, Party)> {
        let at = self.parties.iter().filter(move |((at, _), _)| at == dn);
        at.map(|((_, conn), party)| (conn.as_str(), *party))
    }

    /// Parties that have not left.
    #[must_use]
    pub fn left_over(&self) -> Option<String> {
        self.parties.iter().next().map(|((dn, conn), party)| format!("{dn} is {party:?} in {conn} for ever"))
    }

    /// The next event.
    pub fn hears(&mut self, event: &Event, found: &mut Vec<String>) {
        let (Some(dn), Some(conn)) = (&event.this_dn, &event.conn_id) else { return };
        let key = (dn.clone(), conn.clone());
        let was = self.parties.get(&key).copied();
        let Some(next) = self.next(&key, was, event) else {
            found.push(format!("{} at {dn} in {conn}, which is {was:?} there", event.event.as_str()));
            return;
        };
        match next {
            Some(party) => self.parties.insert(key, party),
            None => self.parties.remove(&key),
        };
    }

    /// What the party is after the event: nothing once it has left. `None` when the event may not come.
    fn next(&mut self, key: &(String, String), was: Option<Party>, event: &Event) -> Option<Option<Party>> {
        use Party::{Dialing, Holding, Ringing, Talking, Waiting};
        match (event.event, was) {
            (EventName::Dialing, None) => Some(Some(Dialing)),
            (EventName::Ringing, None) => Some(Some(Ringing)),
            (EventName::Queued | EventName::RouteRequest, None) => Some(Some(Waiting)),
            (EventName::RouteUsed, _) => Some(was),
            (EventName::DestinationBusy, Some(Dialing)) => Some(was),
            (EventName::Established, Some(Dialing | Ringing)) => Some(Some(Talking)),
            (EventName::Held, Some(Talking)) => Some(Some(Holding)),
            (EventName::Retrieved, Some(Holding)) => Some(Some(Talking)),
            // A routing point where no application listens asks nobody.
            (EventName::Diverted, None) if key.0.starts_with("79") => Some(None),
            (EventName::Diverted, Some(Waiting)) => Some(None),
            (EventName::Abandoned, Some(Waiting | Ringing)) => Some(None),
            (EventName::Released, Some(Dialing | Ringing | Talking | Holding)) => Some(None),
            (EventName::PartyChanged, was) => {
                let previous = event.previous_conn_id.clone().map(|conn| (key.0.clone(), conn));
                let came_from = previous.and_then(|key| self.parties.remove(&key));
                was.or(came_from).map(Some)
            }
            (EventName::PartyAdded | EventName::PartyDeleted | EventName::AttachedDataChanged, Some(_)) => {
                Some(was)
            }
            (EventName::TreatmentApplied | EventName::TreatmentNotApplied | EventName::TreatmentEnd, _) => {
                Some(was)
            }
            (EventName::Error | EventName::PartyInfo | EventName::Ack | EventName::PrivateInfo, _) => {
                Some(was)
            }
            _ => None,
        }
    }
}
