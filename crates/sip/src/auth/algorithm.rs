//! The hash functions of digest authentication (RFC 7616 3.4, RFC 8760 2), and HA1, which is all a server keeps.

use md5::Md5;
use sha2::{Digest, Sha256};

/// The algorithms on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Weak, and the only one that most deployed phones know.
    Md5,
    /// The one to prefer.
    Sha256,
}

impl Algorithm {
    /// Reads an `algorithm` value, in any case. `None`: not one of ours (`-sess` variants, SHA-512-256).
    #[must_use]
    pub fn parse(token: &[u8]) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|a| token.eq_ignore_ascii_case(a.as_str().as_bytes()))
    }

    /// The token of challenge and credentials.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The hash, as lower-case hexadecimal, of `parts` joined by colons.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Self::Md5 => Hex::of(joined::<Md5>(parts).as_ref()),
            Self::Sha256 => Hex::of(joined::<Sha256>(parts).as_ref()),
        }
    }

    /// The `response` of RFC 7616 3.4.1 for `qop=auth`.
    #[must_use]
    pub fn response(
        self,
        ha1: &Hex,
        nonce: &[u8],
        nc: &[u8],
        cnonce: &[u8],
        method: &[u8],
        uri: &[u8],
    ) -> Hex {
        let ha2 = self.hash(&[method, uri]);
        self.hash(&[ha1.as_ref(), nonce, nc, cnonce, b"auth", ha2.as_ref()])
    }
}

fn joined<H: Digest>(parts: &[&[u8]]) -> impl AsRef<[u8]> + use<H> {
    let mut hash = H::new();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

/// A hash in lower-case hexadecimal: 32 or 64 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex {
    text: [u8; 64],
    len: u8,
}

impl Hex {
    /// Prints at most 32 bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hex = Hex { text: [0; 64], len: 0 };
        for (pair, byte) in hex.text.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
            hex.len += 2;
        }
        hex
    }
}

impl AsRef<[u8]> for Hex {
    fn as_ref(&self) -> &[u8] {
        self.text.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The digit for the low four bits.
pub(crate) const fn hex_digit(nibble: u8) -> u8 {
    match nibble & 15 {
        n @ 0..10 => b'0' + n,
        n => b'a' + n - 10,
    }
}

/// Reads exactly `N` bytes of hexadecimal, in any case.
pub(crate) fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for digit in pair {
            let value = char::from(*digit).to_digit(16).and_then(|v| u8::try_from(v).ok())?;
            *byte = (*byte << 4) | value;
        }
    }
    Some(bytes)
}

/// `H(user:realm:password)` for both algorithms: what a server needs to know of a password.
///
/// It is as good as the password for this realm, so it is kept as carefully, and `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    /// By MD5.
    pub md5: [u8; 16],
    /// By SHA-256.
    pub sha256: [u8; 32],
}

impl Ha1 {
    /// From a password in the clear.
    #[must_use]
    pub fn from_password(user: &[u8], realm: &[u8], password: &[u8]) -> Self {
        let parts = [user, realm, password];
        let (mut md5, mut sha256) = ([0; 16], [0; 32]);
        md5.copy_from_slice(joined::<Md5>(&parts).as_ref());
        sha256.copy_from_slice(joined::<Sha256>(&parts).as_ref());
        Ha1 { md5, sha256 }
    }

    /// From a password in the clear, for one algorithm alone; the other's hash is left empty and must not be used.
    #[must_use]
    pub fn for_algorithm(algorithm: Algorithm, user: &[u8], realm: &[u8], password: &[u8]) -> Self {
        let parts = [user, realm, password];
        let mut ha1 = Ha1 { md5: [0; 16], sha256: [0; 32] };
        match algorithm {
            Algorithm::Md5 => ha1.md5.copy_from_slice(joined::<Md5>(&parts).as_ref()),
            Algorithm::Sha256 => ha1.sha256.copy_from_slice(joined::<Sha256>(&parts).as_ref()),
        }
        ha1
    }

    /// From the hexadecimal that configuration holds: 32 and 64 digits. `None` if they are not that.
    #[must_use]
    pub fn from_hex(md5: &[u8], sha256: &[u8]) -> Option<Self> {
        Some(Ha1 { md5: from_hex(md5)?, sha256: from_hex(sha256)? })
    }

    /// As the digest wants it.
    #[must_use]
    pub fn hex(&self, algorithm: Algorithm) -> Hex {
        match algorithm {
            Algorithm::Md5 => Hex::of(&self.md5),
            Algorithm::Sha256 => Hex::of(&self.sha256),
        }
    }
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1")
    }
}
