//! Nonces that the server need not remember until they are used (RFC 7616 5.4), and the replay window of `nc`.
//!
//! A nonce is its own record: when it was issued, a serial number, and an HMAC-SHA-256 over both and over whom it was
//! given to. Memory is spent only on those with which somebody has authenticated, and that table is bounded.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::algorithm::{from_hex, hex_digit};

/// Bytes of a nonce: 6 of time, 4 of serial number, 14 of HMAC.
const RAW: usize = 24;

/// Largest clock difference, in milliseconds, to the server of the same secret that issued a nonce.
const SKEW_MS: u64 = 30_000;

/// A nonce as it is printed: 48 hexadecimal characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; RAW * 2]);

impl Nonce {
    fn of(raw: [u8; RAW]) -> Self {
        let mut text = [0; RAW * 2];
        for (pair, byte) in text.chunks_exact_mut(2).zip(raw) {
            pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte)]);
        }
        Nonce(text)
    }
}

impl AsRef<[u8]> for Nonce {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// When it was issued (Unix milliseconds), and its serial number: unique, and ordered by age.
type Serial = (u64, u32);

/// Which nonce counts were seen: the highest, and a bit for each of the 64 up to it.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    /// True the first time a count is shown. Counts may overtake each other by up to 63 (several transports, loss).
    fn accept(&mut self, nc: u32) -> bool {
        if nc > self.highest {
            self.seen = self.seen.checked_shl(nc - self.highest).unwrap_or(0) | 1;
            self.highest = nc;
            return true;
        }
        let bit = 1u64.checked_shl(self.highest - nc).unwrap_or(0);
        let fresh = nc > 0 && bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

/// Issues nonces, and tells which are still good.
pub struct Nonces {
    keyed: Hmac<Sha256>,
    opaque: Nonce,
    lifetime_ms: u64,
    capacity: usize,
    serial: u32,
    used: BTreeMap<Serial, Window>,
    /// Nonces up to this one are good only if they are in `used`: one of them was forgotten.
    forgotten: Option<Serial>,
}

impl Nonces {
    /// `secret` is random; servers that share it accept each other's nonces. A nonce is good for `lifetime_ms`; at
    /// most `capacity` used ones are remembered, and the oldest is forgotten (and stale) when there are more.
    #[must_use]
    pub fn new(secret: &[u8; 32], lifetime_ms: u64, capacity: usize) -> Self {
        let mut key = [0; 64];
        for (to, from) in key.iter_mut().zip(secret) {
            *to = *from;
        }
        let keyed: Hmac<Sha256> = Hmac::new(&key.into());
        let mut raw = [0; RAW];
        for (to, from) in raw.iter_mut().zip(keyed.clone().chain_update(b"opaque").finalize().into_bytes()) {
            *to = from;
        }
        let opaque = Nonce::of(raw);
        Nonces {
            keyed,
            opaque,
            lifetime_ms,
            capacity: capacity.max(1),
            serial: 0,
            used: BTreeMap::new(),
            forgotten: None,
        }
    }

    /// A fresh nonce for a source, as the driver names sources. It is nobody else's: who comes with it from there has
    /// been answered there.
    pub fn issue(&mut self, source: &[u8], unix_ms: u64) -> Nonce {
        self.serial = self.serial.wrapping_add(1);
        Nonce::of(self.seal((unix_ms, self.serial), source))
    }

    /// Whether this nonce was given to this source, and is in time.
    #[must_use]
    pub fn is_live(&self, nonce: &[u8], source: &[u8], unix_ms: u64) -> bool {
        self.open(nonce, source).is_some_and(|serial| self.in_time(serial, unix_ms))
    }

    fn in_time(&self, (issued_ms, _): Serial, unix_ms: u64) -> bool {
        issued_ms.saturating_add(self.lifetime_ms) >= unix_ms && issued_ms <= unix_ms.saturating_add(SKEW_MS)
    }

    /// The `opaque` of every challenge: it says that the challenge is ours, and nothing else.
    #[must_use]
    pub fn opaque(&self) -> Nonce {
        self.opaque
    }

    /// How many used nonces are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.used.len()
    }

    /// Whether this nonce is ours and in time, and this is the first time it comes with `nc`. To be asked after the
    /// digest was found right, so that nobody else can use up counts.
    pub(super) fn accept(&mut self, nonce: &[u8], nc: u32, source: &[u8], unix_ms: u64) -> bool {
        let serial = self.open(nonce, source).filter(|serial| self.in_time(*serial, unix_ms));
        let Some(serial) = serial else { return false };
        if let Some(window) = self.used.get_mut(&serial) {
            return window.accept(nc);
        }
        if self.forgotten.is_some_and(|forgotten| serial <= forgotten) {
            return false;
        }
        let mut window = Window::default();
        let fresh = window.accept(nc);
        self.used.insert(serial, window);
        self.forget(unix_ms);
        fresh
    }

    /// Drops what has expired, and the oldest above the bound.
    fn forget(&mut self, unix_ms: u64) {
        while let Some(oldest) = self.used.first_entry() {
            let serial = *oldest.key();
            let expired = serial.0.saturating_add(self.lifetime_ms) < unix_ms;
            if !expired && self.used.len() <= self.capacity {
                return;
            }
            self.used.pop_first();
            self.forgotten = self.forgotten.max(Some(serial));
        }
    }

    fn seal(&self, (unix_ms, serial): Serial, source: &[u8]) -> [u8; RAW] {
        let mut raw = [0; RAW];
        let (head, mac) = raw.split_at_mut(10);
        let fields = unix_ms.to_be_bytes().into_iter().skip(2).chain(serial.to_be_bytes());
        for (to, from) in head.iter_mut().zip(fields) {
            *to = from;
        }
        let full = self.keyed.clone().chain_update(&*head).chain_update(source).finalize().into_bytes();
        for (to, from) in mac.iter_mut().zip(full) {
            *to = from;
        }
        raw
    }

    /// The serial of a nonce that was sealed with our secret for this source.
    fn open(&self, nonce: &[u8], source: &[u8]) -> Option<Serial> {
        let raw = from_hex::<RAW>(nonce)?;
        let number = |from: usize, to: usize| {
            raw.get(from..to).map(|bytes| bytes.iter().fold(0u64, |n, b| (n << 8) | u64::from(*b)))
        };
        let serial = (number(0, 6)?, u32::try_from(number(6, 10)?).ok()?);
        bool::from(self.seal(serial, source).ct_eq(&raw)).then_some(serial)
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").field("remembered", &self.used.len()).finish_non_exhaustive()
    }
}
