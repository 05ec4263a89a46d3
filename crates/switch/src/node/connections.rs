//! Which connections may be closed: those that nobody is reached over.

use std::collections::BTreeSet;

use super::Node;

impl Node {
    /// Of these connections, those that a registered contact, a call or a subscription is reached over. Looks at every call
    /// and subscription: for whoever asks now and then, about many.
    #[must_use]
    pub fn in_use(&self, connections: &[u64]) -> Vec<u64> {
        let asked: BTreeSet<u64> = connections.iter().copied().collect();
        let registrar = &self.rooms.registrar;
        let mut used: BTreeSet<u64> =
            asked.iter().copied().filter(|conn| registrar.reaches_over(*conn)).collect();
        let mut each = |conn: u64| {
            if asked.contains(&conn) {
                used.insert(conn);
            }
        };
        self.calls.iter().for_each(|call| call.connections(&mut each));
        self.events.iter().for_each(|(_, subscription)| each(subscription.leg.flow.conn));
        used.into_iter().collect()
    }
}
