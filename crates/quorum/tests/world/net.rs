//! Links between machines: each direction by itself.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng;

use super::MS;

#[derive(Default)]
pub struct Net {
    cut: BTreeMap<(usize, usize), bool>,
    /// How much longer a direction takes.
    pub slow: BTreeMap<(usize, usize), u64>,
    /// Percent of frames that are lost.
    pub loss: u64,
    /// Percent of frames that are late, and so overtaken.
    pub late: u64,
    /// How late, at most.
    pub late_by: u64,
    /// What was sent, to whom, while somebody listens.
    pub tap: Option<Vec<(usize, bytes::Bytes)>>,
}

impl Net {
    /// Cuts or mends one direction.
    pub fn set_one_way(&mut self, from: usize, to: usize, cut: bool) {
        self.cut.insert((from, to), cut);
    }

    pub fn set(&mut self, one: usize, other: usize, cut: bool) {
        self.set_one_way(one, other, cut);
        self.set_one_way(other, one, cut);
    }

    pub fn isolate(&mut self, machine: usize, cut: bool) {
        for other in 0..8 {
            self.set(machine, other, cut);
        }
    }

    pub fn mend(&mut self) {
        *self = Self::default();
    }

    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.get(&(from, to)).copied().unwrap_or(false)
    }

    /// When a frame arrives, if it does.
    pub fn delay(&self, from: usize, to: usize, dice: &mut ChaCha8Rng) -> Option<u64> {
        let (loss, late, jitter) = (dice.next_u64() % 100, dice.next_u64() % 100, dice.next_u64());
        if self.is_cut(from, to) || loss < self.loss {
            return None;
        }
        let base = 100 + jitter % 400;
        let more = if late < self.late { dice.next_u64() % self.late_by.max(MS) } else { 0 };
        let slow = self.slow.get(&(from, to)).copied().unwrap_or(0);
        Some(base + more + slow)
    }
}
