//! Phones that come back after a restart, and what waits for them.

use super::Node;
use crate::directory::DnId;
use tandem_peer::trunk::CallFailure;

impl Node {
    /// A phone of this DN has registered: what its calls have for it is sent.
    pub(super) fn phone_is_back(&mut self, dn: DnId) {
        let rooms = &mut self.rooms;
        if rooms.away.is_empty() {
            return;
        }
        for waiting in rooms.away.take(dn) {
            let way = rooms.registrar.way_to(dn, waiting.transport, &waiting.target);
            match way {
                Some(flow) => {
                    let (txn, method, payload) = (waiting.txn, waiting.method, waiting.payload);
                    rooms.endpoint.start(txn, method, flow, payload, waiting.used_for, rooms.now.mono);
                }
                None => drop(rooms.away.wait(waiting, rooms.now.mono)),
            }
        }
    }

    /// Gives up what has waited long enough: as if it could not be sent.
    pub(super) fn run_away(&mut self) {
        while let Some(waiting) = self.rooms.away.give_up(self.rooms.now.mono) {
            self.rooms.endpoint.release(waiting.txn);
            self.unanswered(waiting.txn, waiting.used_for, CallFailure::Transport);
        }
    }
}
