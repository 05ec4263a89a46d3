//! Short texts that only this server can read back: what it hands out and does not want to remember.
//!
//! Synthetic initialisation vector (RFC 5297) with HMAC-SHA-256 as its one primitive: the tag of the text begins the key
//! stream that hides it, so the same text gives the same token and nobody can change one unnoticed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::auth::algorithm::hex_digit;

/// Bytes of the tag in front of the hidden text.
const TAG: usize = 12;
/// Longest text, bytes.
pub const MAX_SEALED: usize = 128;

/// See the module.
pub struct Seal {
    keyed: Hmac<Sha256>,
}

impl Seal {
    /// `secret` is random; whoever shares it reads the same tokens. `purpose` keeps those of one use from another.
    #[must_use]
    pub fn new(secret: &[u8; 32], purpose: &[u8]) -> Self {
        let mut key = [0; 64];
        for (to, from) in key.iter_mut().zip(secret) {
            *to = *from;
        }
        let keyed: Hmac<Sha256> = Hmac::new(&key.into());
        Self { keyed: keyed.chain_update(purpose).chain_update(b"\0") }
    }

    /// The token of a text, in hexadecimal; `None` when the text is longer than [`MAX_SEALED`].
    #[must_use]
    pub fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        if text.len() > MAX_SEALED {
            return None;
        }
        let tag = self.tag(text);
        let mut hidden = text.to_vec();
        self.hide(&tag, &mut hidden);
        Some(tag.iter().chain(&hidden).flat_map(|byte| [hex_digit(byte >> 4), hex_digit(*byte)]).collect())
    }

    /// The text of a token; `None` for what this server has not made.
    #[must_use]
    pub fn open(&self, token: &[u8]) -> Option<Vec<u8>> {
        if !token.len().is_multiple_of(2) || token.len() > 2 * (TAG + MAX_SEALED) {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let bytes = token.chunks_exact(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        let bytes = bytes.collect::<Option<Vec<u8>>>()?;
        let (tag, hidden) = bytes.split_at_checked(TAG)?;
        let mut text = hidden.to_vec();
        self.hide(tag, &mut text);
        bool::from(self.tag(&text).ct_eq(tag)).then_some(text)
    }

    /// Eight bytes that stand for these parts.
    #[must_use]
    pub fn mark(&self, parts: &[&[u8]]) -> [u8; 8] {
        let mut mac = self.keyed.clone().chain_update(b"mark");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        first(&mac.finalize().into_bytes())
    }

    fn tag(&self, text: &[u8]) -> [u8; TAG] {
        first(&self.keyed.clone().chain_update(b"tag").chain_update(text).finalize().into_bytes())
    }

    fn hide(&self, tag: &[u8], text: &mut [u8]) {
        for (block, bytes) in (0u8..).zip(text.chunks_mut(32)) {
            let stream = self.keyed.clone().chain_update(b"hide").chain_update(tag).chain_update([block]);
            for (byte, key) in bytes.iter_mut().zip(stream.finalize().into_bytes()) {
                *byte ^= key;
            }
        }
    }
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_with_its_secret_and_purpose_alone() {
        let seal = Seal::new(&[7; 32], b"one");
        for length in [0, 1, 31, 32, 33, MAX_SEALED] {
            let text = vec![b'x'; length];
            let token = seal.seal(&text).unwrap();
            assert_eq!(seal.open(&token), Some(text));
            assert_eq!(Seal::new(&[8; 32], b"one").open(&token), None);
            assert_eq!(Seal::new(&[7; 32], b"two").open(&token), None);
        }
        assert_eq!(seal.seal(&[0; MAX_SEALED + 1]), None);
    }

    #[test]
    fn a_changed_token_is_refused_and_tells_nothing_of_its_text() {
        let seal = Seal::new(&[7; 32], b"one");
        let token = seal.seal(b"1001").unwrap();
        assert!(!token.windows(8).any(|part| part == b"31303031"));
        for place in 0..token.len() {
            let mut other = token.clone();
            other[place] = if other[place] == b'0' { b'1' } else { b'0' };
            assert_eq!(seal.open(&other), None, "{place}");
        }
        for bad in [&b""[..], b"0", b"zz", &token[..token.len() - 2]] {
            assert_eq!(seal.open(bad), None);
        }
    }
}
