//! What the floor holds: tests ask whether anything is left when all is quiet.

use super::Node;

/// How much of each the floor holds.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FloorCounts {
    /// Calls that have a ConnID.
    pub conns: usize,
    /// Keys of the call room that lead to one.
    pub keys: usize,
    /// Requests that wait for what becomes of them.
    pub tickets: usize,
    /// Orders that wait until their calls are at rest.
    pub held: usize,
    /// Calls that wait at queues and routing points.
    pub places: usize,
    /// Rings that are supervised, offers, and offers that are being taken back.
    pub supervised: usize,
    /// Calls that agents' DNs have.
    pub agent_calls: usize,
}

impl Node {
    /// See [`FloorCounts`].
    #[doc(hidden)]
    #[must_use]
    pub fn floor_counts(&self) -> FloorCounts {
        let (conns, keys, tickets) = self.floor.tcalls.counts();
        FloorCounts {
            conns,
            keys,
            tickets,
            held: self.floor.held.len(),
            places: self.floor.queues.waiting(),
            supervised: self.floor.supervision.len(),
            agent_calls: self.floor.agents.calls_at_dns(),
        }
    }

    /// What the agents' room was told since this was asked last.
    #[doc(hidden)]
    pub fn overhear_agents(&mut self) -> Vec<crate::agent::heard::Told> {
        self.floor.agents.overhear()
    }

    /// Every agent who is logged in.
    #[doc(hidden)]
    #[must_use]
    pub fn agents(&self) -> Vec<crate::agent::View> {
        self.floor.agents.list()
    }
}
