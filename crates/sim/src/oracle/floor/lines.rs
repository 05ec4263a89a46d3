//! Calls that wait: in which order they are offered, and to whom. A call has one place until it is answered or gone.

use std::collections::{BTreeMap, BTreeSet};

use tandem_cti::{CallState, Event, EventName};

use super::grammar::Grammar;
use super::seats::Seats;

/// A call that waits, or is offered.
#[derive(Clone, Debug)]
struct Waits {
    queue: String,
    priority: i64,
    /// By its arrival at this queue.
    arrived: u64,
    /// By its arrival at the first queue or routing point. A call that overflows is served by this, one that was sent on
    /// by request by the other; events do not tell which it was.
    earliest: u64,
    /// The DN that it is offered to.
    offered: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Lines {
    waits: BTreeMap<String, Waits>,
    /// Who has failed which call; he is not offered it again so soon.
    failed: BTreeSet<(String, String)>,
    arrivals: u64,
    /// Calls that wait nowhere, or at a routing point, by their first arrival.
    moved: BTreeMap<String, u64>,
}

impl Lines {
    /// A call that waits.
    #[must_use]
    pub fn left_over(&self) -> Option<String> {
        self.waits.iter().next().map(|(conn, waits)| format!("{conn} is left at {waits:?}"))
    }

    /// Whether an event of a queue is about a call that is offered from there.
    #[must_use]
    pub fn is_offered(&self, event: &Event) -> bool {
        let waits = event.conn_id.as_deref().and_then(|conn| self.waits.get(conn));
        waits.is_some_and(|waits| waits.offered.is_some() && event.this_dn.as_deref() == Some(&*waits.queue))
    }

    /// The next event. `seats` and `grammar` know what came before it, this one included in `grammar`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other event changes no place")]
    pub fn hears(&mut self, event: &Event, seats: &Seats, grammar: &Grammar, found: &mut Vec<String>) {
        let (Some(dn), Some(conn)) = (event.this_dn.as_deref(), event.conn_id.as_deref()) else { return };
        match event.event {
            EventName::RouteRequest => {
                self.arrivals += 1;
                self.moved.entry(conn.to_owned()).or_insert(self.arrivals);
            }
            EventName::Queued => self.queued(conn, dn, event),
            EventName::Diverted => self.diverted(conn, dn, event, seats, grammar, found),
            EventName::Abandoned => self.gone(conn, |waits| waits.queue == dn),
            EventName::Established => self.gone(conn, |waits| waits.is_at(dn)),
            _ => {}
        }
    }

    fn queued(&mut self, conn: &str, dn: &str, event: &Event) {
        let before = self.waits.get(conn).cloned();
        if let Some(dn) = before.as_ref().and_then(|waits| waits.offered.clone()) {
            self.failed.insert((conn.to_owned(), dn));
        }
        let (earliest, arrived) = before.map_or_else(
            || {
                self.arrivals += 1;
                (self.moved.remove(conn).unwrap_or(self.arrivals), self.arrivals)
            },
            |waits| (waits.earliest, waits.arrived),
        );
        let priority = event.user_data.get("Priority").and_then(tandem_cti::Value::as_int).unwrap_or(0);
        let waits = Waits { queue: dn.to_owned(), priority, arrived, earliest, offered: None };
        self.waits.insert(conn.to_owned(), waits);
    }

    fn diverted(
        &mut self,
        conn: &str,
        queue: &str,
        event: &Event,
        seats: &Seats,
        grammar: &Grammar,
        found: &mut Vec<String>,
    ) {
        let to = event.third_party_dn.as_deref().unwrap_or_default();
        let Some(waits) = self.waits.get(conn).cloned() else { return };
        let redirected = event.call_state == Some(CallState::Redirected);
        let Some(ready) = seats.is_ready(to).filter(|_| !redirected) else {
            // Sent on for good: an overflow, or a request.
            self.waits.remove(conn);
            self.moved.insert(conn.to_owned(), waits.earliest);
            return;
        };
        if !ready {
            found.push(format!("{queue} offers {conn} to {to}, who is not ready"));
        }
        if seats.is_out(to) {
            found.push(format!("{queue} offers {conn} to {to}, which is out of service"));
        }
        if let Some((other, party)) = grammar.at(to).find(|(other, _)| *other != conn) {
            found.push(format!("{queue} offers {conn} to {to}, who is {party:?} in {other}"));
        }
        let offered = |waits: &Waits| waits.offered.as_deref() == Some(to);
        if let Some((other, _)) = self.waits.iter().find(|(other, waits)| *other != conn && offered(waits)) {
            found.push(format!("{queue} offers {conn} to {to}, who is offered {other}"));
        }
        let goes_first = |other: &&Waits| {
            let (his, mine) = ((-other.priority, other.arrived), (-waits.priority, waits.earliest));
            other.queue == queue && other.offered.is_none() && his < mine
        };
        let first = self.waits.iter().find(|(other, waits)| {
            goes_first(waits) && !self.failed.contains(&((*other).clone(), to.to_owned()))
        });
        if let Some((other, _)) = first {
            found.push(format!("{queue} offers {conn} to {to} before {other}, which came first"));
        }
        if let Some(waits) = self.waits.get_mut(conn) {
            waits.offered = Some(to.to_owned());
        }
    }

    fn gone(&mut self, conn: &str, is_over: impl FnOnce(&Waits) -> bool) {
        if self.waits.get(conn).is_some_and(is_over) {
            self.waits.remove(conn);
            self.failed.retain(|(of, _)| of != conn);
        }
    }
}

impl Waits {
    fn is_at(&self, dn: &str) -> bool {
        self.offered.as_deref() == Some(dn)
    }
}
