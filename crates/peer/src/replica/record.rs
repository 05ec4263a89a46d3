//! What a stored record is, and the small binary form of its fields.

use crate::time::Deadline;
use bytes::{BufMut, BytesMut};

/// A type that is stored as a record: one byte that says which [`VERSION`](Self::VERSION) of its fields follows, and the
/// fields.
///
/// Servers of two versions read each other's records, so that the members of a pair are upgraded one after the other.
/// Fields are only ever added, behind those that are there, and each addition raises the version: an older server
/// passes over what it does not know, a newer one reads what is not there as [`Reader::since`] says. Whatever cannot be
/// added so is a kind of its own: a server that does not know it leaves its records where they are.
pub trait Record: Sized {
    /// Tells the kinds of records apart in a store. Never reuse a number.
    const KIND: u8;

    /// Counts the additions to the fields.
    const VERSION: u8 = 1;

    /// Appends the fields.
    fn encode(&self, out: &mut Writer<'_>);

    /// Reads back what [`encode`](Self::encode) wrote; `None` if that is not such a value.
    fn read(fields: &mut Reader<'_>) -> Option<Self>;

    /// Reads a stored value; `None` if these bytes are none. Bytes that are left over are an error unless a newer version
    /// wrote them.
    #[must_use]
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Reader::stored(bytes)?;
        let value = Self::read(&mut fields)?;
        if fields.version <= Self::VERSION {
            fields.end()?;
        }
        Some(value)
    }

    /// When the record loses its meaning, if ever: a store may drop it then.
    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

/// Names a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// [`Record::KIND`] of its type.
    pub kind: u8,
    /// Its number among records of that kind; never reused within an epoch.
    pub id: u64,
}

/// Who wrote a change, and when in the order of things. Ordered by epoch, then version, then owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The term in which the writer was primary.
    pub epoch: u32,
    /// Counts the changes of this record, from 1.
    pub version: u64,
    /// The server that wrote it.
    pub owner: u16,
}

/// Appends fields to a record. Numbers are big-endian, byte strings carry their length.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Writer<'a> {
    /// Appends to this buffer.
    pub fn new(out: &'a mut BytesMut) -> Self {
        Self { out }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.u8(value.into());
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.out.put_u16(value);
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.out.put_u32(value);
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.out.put_u64(value);
    }

    /// A moment on the wall clock.
    pub fn deadline(&mut self, value: Deadline) {
        self.u64(value.unix_ms());
    }

    /// A byte string. (Its length fits: the messages that fill records are bounded far below 4 GiB.)
    pub fn bytes(&mut self, value: &[u8]) {
        self.out.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.out.put_slice(value);
    }

    /// A text.
    pub fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// An optional field: a truth value, then the field if there is one.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Reads the fields of a record in the order in which they were written. `None` means the bytes are not what they
/// should be.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    version: u8,
}

impl<'a> Reader<'a> {
    /// Starts at the first field, of this version.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, version: u8::MAX }
    }

    /// The same of a stored value, which says its version; there is no version 0.
    #[must_use]
    pub fn stored(bytes: &'a [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        (*version != 0).then_some(Self { rest, version: *version })
    }

    /// A field that was added in this version; `absent` stands for it in an older record.
    pub fn since<T>(
        &mut self,
        version: u8,
        absent: T,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if self.version < version { Some(absent) } else { read(self) }
    }

    /// Succeeds when nothing is left.
    pub fn end(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// A truth value.
    pub fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A moment on the wall clock.
    pub fn deadline(&mut self) -> Option<Deadline> {
        self.u64().map(Deadline::at_unix_ms)
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    /// A text.
    pub fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// An optional field. The outer `None` is an error, the inner one an absent field.
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Some(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were_written() {
        let mut out = BytesMut::new();
        let mut writer = Writer::new(&mut out);
        writer.u8(7);
        writer.bool(true);
        writer.u16(300);
        writer.u32(70_000);
        writer.u64(1 << 40);
        writer.deadline(Deadline::at_unix_ms(99));
        writer.str("sip:1001@a");
        writer.option(Some("tag"), Writer::str);
        writer.option(None::<u16>, Writer::u16);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.u8(), Some(7));
        assert_eq!(reader.bool(), Some(true));
        assert_eq!(reader.u16(), Some(300));
        assert_eq!(reader.u32(), Some(70_000));
        assert_eq!(reader.u64(), Some(1 << 40));
        assert_eq!(reader.deadline(), Some(Deadline::at_unix_ms(99)));
        assert_eq!(reader.str(), Some("sip:1001@a"));
        assert_eq!(reader.option(Reader::str), Some(Some("tag")));
        assert_eq!(reader.option(Reader::u16), Some(None));
        assert_eq!(reader.end(), Some(()));
    }

    #[test]
    fn short_or_foreign_bytes_are_refused() {
        assert_eq!(Reader::new(&[1, 2, 3]).u32(), None);
        assert_eq!(Reader::new(&[0, 0, 0, 9, b'x']).bytes(), None);
        assert_eq!(Reader::new(&[2]).bool(), None);
        assert_eq!(Reader::new(&[0, 0, 0, 1, 0xff]).str(), None);
        assert_eq!(Reader::new(&[0]).end(), None);
    }
}
