//! The links between the members of a pair: each way for itself.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dice::Dice;
use crate::time::ms;

/// See the module.
#[derive(Debug)]
pub struct Links {
    /// The shortest time that a frame travels.
    pub travels: Duration,
    /// So much longer at most.
    pub jitter: Duration,
    /// Frames lost, of a thousand.
    pub loss: u32,
    /// Frames that arrive much later than others, of a thousand.
    pub late: u32,
    /// So much later at most.
    pub late_by: Duration,
    cuts: BTreeSet<(usize, usize)>,
}

impl Default for Links {
    /// A switch between them.
    fn default() -> Self {
        Self {
            travels: Duration::from_micros(100),
            jitter: Duration::from_micros(400),
            loss: 0,
            late: 0,
            late_by: ms(300),
            cuts: BTreeSet::new(),
        }
    }
}

impl Links {
    /// Frames from one to another vanish from now on, or no longer.
    pub fn cut(&mut self, from: usize, to: usize, cut: bool) {
        let _ = if cut { self.cuts.insert((from, to)) } else { self.cuts.remove(&(from, to)) };
    }

    /// Everything passes, in time.
    pub fn mend(&mut self) {
        *self = Self { travels: self.travels, jitter: self.jitter, ..Self::default() };
    }

    /// Whether frames from one to another vanish.
    #[must_use]
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// How long a frame travels; `None` if it is lost.
    pub fn delay(&self, from: usize, to: usize, dice: &mut Dice) -> Option<Duration> {
        if self.is_cut(from, to) || dice.chance(self.loss) {
            return None;
        }
        let held =
            if dice.chance(self.late) { dice.between(Duration::ZERO, self.late_by) } else { Duration::ZERO };
        Some(dice.between(self.travels, self.travels + self.jitter) + held)
    }
}
