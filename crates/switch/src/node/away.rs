//! Phones that come back after a restart, and what waits for them.

use std::sync::Arc;

use super::Node;
use crate::directory::DnId;
use tandem_peer::trunk::CallFailure;

impl Node {
    /// A phone of this DN has registered: its dialogs are bound to its new connection, what its calls have for it is sent, what
    /// it rang for is taken back, and whoever called it meanwhile is put through.
    pub(super) fn phone_is_back(&mut self, dn: DnId) {
        if self.rooms.away.is_empty() && self.rooms.takebacks.is_empty() {
            return;
        }
        let Some(number) = self.rooms.directory.extension(dn).map(|e| Arc::clone(&e.number)) else { return };
        let mut missing: Vec<_> = self.rooms.away.missing(&number).collect();
        missing.retain(|key| {
            let mut misses = false;
            self.call(*key, |call, rooms| misses = call.phone_is_back(rooms, &number));
            misses
        });
        self.rooms.away.misses_only(&number, &missing);
        let rooms = &mut self.rooms;
        rooms.phone_rings_no_more(dn);
        for (until, waiting) in rooms.away.take(dn) {
            match rooms.registrar.way_to(dn, &waiting.phone()) {
                Some(flow) => {
                    let (txn, method, payload) = (waiting.txn, waiting.method, waiting.payload);
                    rooms.endpoint.start(txn, method, flow, payload, waiting.used_for, rooms.now.mono);
                }
                None => rooms.away.wait_on(until, waiting),
            }
        }
        for key in self.rooms.away.called(&number) {
            self.goes_on(key);
        }
    }

    /// Gives up what has waited long enough: as if it could not be sent.
    pub(super) fn run_away(&mut self) {
        while let Some(waiting) = self.rooms.away.give_up(self.rooms.now.mono) {
            self.rooms.endpoint.release(waiting.txn);
            self.rooms.away.gives_up = true;
            self.unanswered(waiting.txn, waiting.used_for, CallFailure::Transport);
            self.rooms.away.gives_up = false;
        }
        while let Some(key) = self.rooms.away.call_in_vain(self.rooms.now.mono) {
            self.goes_on(key);
        }
    }
}
