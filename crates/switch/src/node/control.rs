//! Call control without a floor: what requests do to calls, and what calls tell. Whoever drives calls so takes the place
//! of agents, queues and desktops, which hear nothing of calls from then on.

use super::Node;
use crate::arena::Key;
use crate::call::{Calls, News};
use crate::rooms::Rooms;
use crate::time::Now;

impl Node {
    /// Does something to calls; then drain [`Node::poll_output`].
    pub fn control<T>(&mut self, now: Now, act: impl FnOnce(&mut Calls, &mut Rooms) -> T) -> T {
        self.rooms.now = now;
        self.rooms.overheard.get_or_insert_default();
        let outcome = act(&mut self.calls, &mut self.rooms);
        while let Some(over) = self.calls.poll_over() {
            self.keep(Some(over));
        }
        self.flush();
        outcome
    }

    /// What calls have told since this was asked last, from the first time on that this or [`Node::control`] is used.
    pub fn overhear(&mut self) -> Vec<(Key, News)> {
        self.rooms.overheard.replace(Vec::new()).unwrap_or_default()
    }
}
