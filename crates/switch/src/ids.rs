//! Tags, Call-IDs and call UUIDs: random, unguessable, and the same again for the same seed (RFC 3261 19.3).

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

/// One seeded cryptographic generator.
#[derive(Debug)]
pub struct Ids {
    rng: ChaCha12Rng,
}

/// A tag of ours: 64 random bits, printed as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// A Call-ID of ours: 128 random bits, printed as 32 hexadecimal digits. It names no host, so it tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegCallId(pub u128);

impl Ids {
    /// The generator of one node.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { rng: ChaCha12Rng::from_seed(seed) }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A new tag.
    pub fn tag(&mut self) -> Tag {
        Tag(self.bits())
    }

    /// A new Call-ID.
    pub fn call_id(&mut self) -> LegCallId {
        LegCallId(self.wide())
    }

    /// A new `CallUUID`.
    pub fn uuid(&mut self) -> u128 {
        self.wide()
    }

    /// A number below `bound` (0 when `bound` is 0).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    fn wide(&mut self) -> u128 {
        (u128::from(self.bits()) << 64) | u128::from(self.bits())
    }
}

impl Tag {
    /// The printed form.
    #[must_use]
    pub fn text(self) -> [u8; 16] {
        hex(&self.0.to_be_bytes())
    }

    /// Reads a printed tag; `None` for anything this server cannot have made.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 16 {
            return None;
        }
        text.iter().try_fold(0u64, |sum, digit| Some((sum << 4) | u64::from(value(*digit)?))).map(Self)
    }
}

impl LegCallId {
    /// The printed form.
    #[must_use]
    pub fn text(self) -> [u8; 32] {
        hex(&self.0.to_be_bytes())
    }
}

/// Lower-case hexadecimal digits of some bytes; `N` is twice their number.
#[must_use]
pub fn hex<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [b'0'; N];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
    }
    out
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (mut one, mut two) = (Ids::new([7; 32]), Ids::new([7; 32]));
        assert_eq!((one.tag(), one.call_id(), one.uuid()), (two.tag(), two.call_id(), two.uuid()));
        assert_ne!(one.tag(), Ids::new([8; 32]).tag());
    }

    #[test]
    fn a_tag_reads_back_and_a_foreign_one_does_not() {
        let tag = Ids::new([1; 32]).tag();
        assert_eq!(Tag::parse(&tag.text()), Some(tag));
        for foreign in ["", "12", "00000000000000zz", "00000000000000000", "000000000000000A"] {
            assert_eq!(Tag::parse(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
