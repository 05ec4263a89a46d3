//! Fields of fixed length, big-endian, and pieces with their length before them: the form of frames and of the journal.

use bytes::{BufMut, Bytes, BytesMut};

/// Takes fields off the front; every method says `None` where the bytes end too early.
#[derive(Debug)]
pub(crate) struct Take {
    bytes: Bytes,
}

impl Take {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// The next `length` bytes, sharing memory.
    pub(crate) fn bytes(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.bytes.len()).then(|| self.bytes.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.as_ref().try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.u8().map(|byte| byte != 0)
    }

    /// A piece with its length in four bytes before it.
    pub(crate) fn piece(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.bytes(length)
    }

    /// Numbers with their count in one byte before them.
    pub(crate) fn numbers(&mut self) -> Option<Vec<u64>> {
        let count = self.u8()?;
        (0..count).map(|_| self.u64()).collect()
    }

    /// Whatever is left.
    pub(crate) fn rest(self) -> Bytes {
        self.bytes
    }
}

pub(crate) fn put_piece(out: &mut BytesMut, piece: &[u8]) {
    out.put_u32(u32::try_from(piece.len()).unwrap_or(u32::MAX));
    out.put_slice(piece);
}

pub(crate) fn put_numbers(out: &mut BytesMut, numbers: &[u64]) {
    out.put_u8(u8::try_from(numbers.len()).unwrap_or(u8::MAX));
    for number in numbers.iter().take(usize::from(u8::MAX)) {
        out.put_u64(*number);
    }
}
