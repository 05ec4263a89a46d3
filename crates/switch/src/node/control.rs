//! Call control without a desktop: what requests do to calls, and what calls tell. Tools and tests drive calls so.

use super::Node;
use crate::arena::Key;
use crate::call::{Calls, News};
use crate::rooms::Rooms;
use crate::time::Now;

impl Node {
    /// Does something to calls; then drain [`Node::poll_output`].
    pub fn control<T>(&mut self, now: Now, act: impl FnOnce(&mut Calls, &mut Rooms) -> T) -> T {
        self.rooms.now = now;
        let outcome = act(&mut self.calls, &mut self.rooms);
        while let Some(over) = self.calls.poll_over() {
            self.keep(Some(over));
        }
        self.flush();
        outcome
    }

    /// What calls have told since this was asked last; nothing is kept before it is asked for the first time.
    pub fn overhear(&mut self) -> Vec<(Key, News)> {
        self.rooms.overheard.replace(Vec::new()).unwrap_or_default()
    }
}
