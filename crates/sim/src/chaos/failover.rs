//! What happens within a site that is a pair: a server dies, is stopped, cut off or slow, or hands over; after a while all
//! is well again.

use std::time::Duration;

use super::{Chaos, refusal};
use crate::sites::A;
use crate::time::secs;

/// How much later than usual a pair's answers may come while something is done to it.
pub(super) const PATIENCE: Duration = secs(5);

impl Chaos {
    pub(super) fn fail_over(&mut self, lasts: Duration) {
        let place = usize::try_from(self.dice.below(3)).unwrap_or(0);
        let other = (place + 1 + usize::from(self.dice.chance(500))) % 3;
        match self.dice.below(9) {
            0..3 => {
                let how = refusal(&mut self.dice);
                self.sim.kill_server(A, place, how);
            }
            3 => self.sim.pause_server(A, place),
            4 => self.sim.unplug_server(A, place, true),
            5 => self.sim.stall_disk(A, place, true),
            6 => self.sim.pair_mut(A).links.cut(place, other, true),
            7 => {
                let links = &mut self.sim.pair_mut(A).links;
                (links.loss, links.late) = (30, 50);
            }
            // One that is refused, because the other server is away or behind, is as good as any.
            _ => drop(self.sim.switch_over(A, false)),
        }
        self.sim.at(lasts, |sim| sim.mend_pair(A));
    }
}
