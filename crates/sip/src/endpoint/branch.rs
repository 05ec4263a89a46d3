//! The branch of a request that we send (RFC 3261 8.1.1.7): unique, not to be guessed, and it says where its
//! transaction is kept, so that a response is matched without a table.

use super::TxnId;
use super::keys::Keyed;

/// What tells RFC 3261 branches from those of RFC 2543.
const COOKIE: &[u8; 7] = b"z9hG4bK";

/// Lower-case base 32: a branch is a token, which may be compared in any case.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Characters of the slot, the generation and the keyed hash over both.
const SLOT: usize = 5;
const GENERATION: usize = 7;
const PROOF: usize = 13;

const LEN: usize = COOKIE.len() + SLOT + GENERATION + PROOF;

/// Slots that a branch can name.
pub(super) const MAX_SLOTS: usize = 1 << (5 * SLOT);

/// A branch to print in the Via of a request: 32 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Branch([u8; LEN]);

impl Branch {
    pub(super) fn new(id: TxnId, key: &Keyed) -> Self {
        let mut text = [0; LEN];
        let mut to = text.iter_mut();
        for (digit, byte) in COOKIE.iter().zip(to.by_ref()) {
            *byte = *digit;
        }
        let fields = [
            (u64::from(id.slot), SLOT),
            (u64::from(id.generation), GENERATION),
            (key.hash_id(id.slot, id.generation), PROOF),
        ];
        for (number, width) in fields {
            for n in (0..width).rev() {
                let digit = DIGITS.get((number >> (5 * n)) as usize & 31).copied().unwrap_or(b'a');
                if let Some(byte) = to.next() {
                    *byte = digit;
                }
            }
        }
        Branch(text)
    }

    /// The transaction that a branch names, if the branch is one of ours.
    pub(super) fn open(text: &[u8], key: &Keyed) -> Option<TxnId> {
        if text.len() != LEN {
            return None;
        }
        let rest = text.strip_prefix(COOKIE)?;
        let slot = u32::try_from(number(rest.get(..SLOT)?)?).ok()?;
        let generation = u32::try_from(number(rest.get(SLOT..SLOT + GENERATION)?)?).ok()?;
        let id = TxnId { slot, generation };
        (Branch::new(id, key).0 == text).then_some(id)
    }
}

impl AsRef<[u8]> for Branch {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

fn number(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |number, byte| {
        let digit = match byte {
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        Some((number << 5) | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_names_its_transaction_and_nobody_elses_key_opens_it() {
        let key = Keyed::new(1);
        for (slot, generation) in [(0, 0), (399_999, 7), (77, u32::MAX)] {
            let id = TxnId { slot, generation };
            let branch = Branch::new(id, &key);
            assert_eq!(Branch::open(branch.as_ref(), &key), Some(id));
            assert_eq!(Branch::open(branch.as_ref(), &Keyed::new(2)), None);
        }
    }

    #[test]
    fn a_changed_branch_opens_nothing() {
        let key = Keyed::new(1);
        let branch = Branch::new(TxnId { slot: 5, generation: 9 }, &key);
        for at in 0..LEN {
            let mut text = branch.0;
            text[at] = if text[at] == b'b' { b'c' } else { b'b' };
            assert_eq!(Branch::open(&text, &key), None, "byte {at}");
        }
        assert_eq!(Branch::open(b"z9hG4bK", &key), None);
        assert_eq!(Branch::open(b"", &key), None);
    }
}
