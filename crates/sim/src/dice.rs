//! The only source of chance. One seed gives one stream per purpose, so that a die thrown for one purpose does not
//! shift the throws for another.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// A seeded stream of throws.
#[derive(Debug)]
pub struct Dice {
    stream: ChaCha8Rng,
}

impl Dice {
    /// The stream for one purpose of one seed.
    #[must_use]
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut key = [0u8; 32];
        for (slot, byte) in key.iter_mut().zip(seed.to_le_bytes().into_iter().chain(purpose.bytes())) {
            *slot = byte;
        }
        Self { stream: ChaCha8Rng::from_seed(key) }
    }

    /// 32 bytes, for whoever wants a seed.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut bytes = [0u8; 32];
        self.stream.fill_bytes(&mut bytes);
        bytes
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.stream.next_u64() % n }
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1_000) < u64::from(per_mille)
    }

    /// A duration from `from` up to but not including `to`.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let span = to.saturating_sub(from).as_micros();
        from + Duration::from_micros(self.below(u64::try_from(span).unwrap_or(u64::MAX)))
    }

    /// One of the items; `None` when there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(usize::try_from(self.below(items.len() as u64)).unwrap_or(0))
    }

    /// 64 bits as 16 hexadecimal digits.
    pub fn hex(&mut self) -> String {
        format!("{:016x}", self.stream.next_u64())
    }
}
