//! Who sits where, by the events of agents.

use std::collections::BTreeMap;

use tandem_cti::{Event, EventName};

/// A seat that somebody has.
#[derive(Clone, Debug)]
struct Seat {
    agent: String,
    since_ms: u64,
    ready: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Seats {
    seats: BTreeMap<String, Seat>,
    out_of_service: BTreeMap<String, bool>,
}

impl Seats {
    /// The agent at a DN, and since when.
    #[must_use]
    pub fn sits(&self, dn: &str) -> Option<(&str, u64)> {
        self.seats.get(dn).map(|seat| (seat.agent.as_str(), seat.since_ms))
    }

    /// Whether the agent at a DN takes calls; `None` if nobody sits there.
    #[must_use]
    pub fn is_ready(&self, dn: &str) -> Option<bool> {
        self.seats.get(dn).map(|seat| seat.ready)
    }

    /// Whether the DN is known to be out of service.
    #[must_use]
    pub fn is_out(&self, dn: &str) -> bool {
        self.out_of_service.get(dn).copied().unwrap_or(false)
    }

    /// The next event. What is wrong, when it is the login of somebody who has another seat.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other event changes no seat")]
    pub fn hears(&mut self, event: &Event, wall_ms: u64) -> Option<String> {
        let dn = event.this_dn.clone()?;
        match event.event {
            EventName::AgentLogin => {
                let agent = event.agent_id.clone().unwrap_or_default();
                let other = self.seats.iter().find(|(at, seat)| **at != dn && seat.agent == agent);
                let twice = other.map(|(at, _)| format!("{agent} logs in at {dn}, and is logged in at {at}"));
                let again = self.seats.get(&dn).filter(|seat| seat.agent == agent);
                if again.is_none() {
                    self.seats.insert(dn, Seat { agent, since_ms: wall_ms, ready: false });
                }
                return twice;
            }
            EventName::AgentLogout => {
                self.seats.remove(&dn);
            }
            EventName::AgentReady | EventName::AgentNotReady => {
                let ready = event.event == EventName::AgentReady;
                if let Some(seat) = self.seats.get_mut(&dn) {
                    seat.ready = ready;
                }
            }
            EventName::DnOutOfService | EventName::DnBackInService => {
                self.out_of_service.insert(dn, event.event == EventName::DnOutOfService);
            }
            _ => {}
        }
        None
    }
}
