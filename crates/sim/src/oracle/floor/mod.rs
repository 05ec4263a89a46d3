//! What the contact-centre floor of one site owes, seen by a client that hears every DN: the grammar of call events, whom
//! a queue may offer a call to and in which order, and that nobody hears the calls of a seat that is another's now.

mod grammar;
mod lines;
mod seats;

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_cti::{Event, EventName, Role};

use super::Invariant;
use crate::time::At;

use grammar::Grammar;
use lines::Lines;
use seats::Seats;

/// The oracle of one site's floor.
#[derive(Debug, Default)]
pub struct Floor {
    grammar: Grammar,
    lines: Lines,
    seats: Seats,
    /// Which person an Agent Login belongs to.
    owners: BTreeMap<String, Arc<str>>,
    /// Extension DNs are agents' seats; queues and routing points are not.
    found: Vec<(At, Invariant, String)>,
}

impl Floor {
    /// An oracle that knows whose the Agent Logins are.
    #[must_use]
    pub fn new(owners: BTreeMap<String, Arc<str>>) -> Self {
        Self { owners, ..Self::default() }
    }

    /// The server died: it owes nobody anything.
    pub fn forget(&mut self) {
        *self = Self::new(std::mem::take(&mut self.owners));
    }

    /// The server tells an event of a DN.
    pub fn hears(&mut self, event: &Event, wall_ms: u64, now: At) {
        let mut found = Vec::new();
        // A call that is offered still belongs to its queue: the queue hears that it was abandoned.
        if event.event != EventName::Abandoned || !self.lines.is_offered(event) {
            self.grammar.hears(event, &mut found);
        }
        // A call rings or is offered by what was true before this event.
        self.lines.hears(event, &self.seats, &self.grammar, &mut found);
        let twice = self.seats.hears(event, wall_ms);
        self.found.extend(found.into_iter().map(|text| (now, Invariant::FloorInOrder, text)));
        self.found.extend(twice.map(|text| (now, Invariant::OneLogin, text)));
    }

    /// A client is told an event.
    pub fn told(&mut self, person: &str, role: Role, event: &Event, now: At) {
        if role != Role::Agent || event.conn_id.is_none() || event.event == EventName::PartyInfo {
            return;
        }
        let Some(dn) = event.this_dn.as_deref() else { return };
        let Some((agent, since_ms)) = self.seats.sits(dn) else { return };
        let Some(owner) = self.owners.get(agent) else { return };
        if **owner != *person && event.time > since_ms {
            let name = event.event.as_str();
            let text = format!("{person} hears {name} of {dn}, where {agent} sits");
            self.found.push((now, Invariant::FloorInOrder, text));
        }
    }

    /// Rules that were broken since this was asked last.
    pub fn take_found(&mut self) -> Vec<(At, Invariant, String)> {
        std::mem::take(&mut self.found)
    }

    /// Parties that have not left their calls.
    #[must_use]
    pub fn left_over(&self) -> Option<String> {
        self.grammar.left_over().or_else(|| self.lines.left_over())
    }
}
