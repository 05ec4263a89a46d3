//! The changes of one input as one piece of bytes: the form on disk, between servers and in memory.
//!
//! A change is a head of 35 bytes (kind, id, epoch, version, owner, deadline, length) and the encoded value, whose first
//! byte is the version of its fields. Length `u32::MAX` is a deletion, deadline 0 is none.

use super::log::Seq;
use super::record::{Reader, Record, RecordKey, Stamp, Writer};
use crate::time::Deadline;
use bytes::{BufMut, Bytes, BytesMut};

const DELETED: u32 = u32::MAX;
/// Bytes of a change without its value.
pub(super) const HEAD_BYTES: usize = 35;

/// What happened to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// It is now this.
    Put(Bytes),
    /// It is gone.
    Delete,
}

impl Op {
    /// Bytes of the value.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Put(value) => value.len(),
            Self::Delete => 0,
        }
    }

    /// Is there no value?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One change of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which record.
    pub key: RecordKey,
    /// Its place in the order of changes.
    pub stamp: Stamp,
    /// When the record loses its meaning.
    pub deadline: Option<Deadline>,
    /// What happened.
    pub op: Op,
}

impl Change {
    /// Bytes of its stored form.
    #[must_use]
    pub fn bytes(&self) -> usize {
        HEAD_BYTES + self.op.len()
    }
}

/// The changes of one input, to be committed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    seq: Seq,
    bytes: Bytes,
}

impl Batch {
    pub(super) fn new(seq: Seq, bytes: Bytes) -> Self {
        Self { seq, bytes }
    }

    /// A batch read from a store or from another server; `None` if the bytes are not whole changes.
    #[must_use]
    pub fn from_bytes(seq: Seq, bytes: Bytes) -> Option<Self> {
        let mut changes = Changes { bytes: bytes.clone(), at: 0 };
        while changes.next().is_some() {}
        (changes.at == bytes.len()).then_some(Self { seq, bytes })
    }

    /// These changes, as they are: for a snapshot.
    #[must_use]
    pub fn of(seq: Seq, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut out = BytesMut::new();
        for Change { key, stamp, deadline, op } in changes {
            match op {
                Op::Put(value) => {
                    put_head(&mut out, key, stamp, deadline, u32::try_from(value.len()).unwrap_or(0));
                    out.put_slice(&value);
                }
                Op::Delete => put_deletion(&mut out, key, stamp),
            }
        }
        Self { seq, bytes: out.freeze() }
    }

    /// Its place in the order of batches, by which its commitment is reported.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Its stored form.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The changes, in the order in which they were made. Values share the batch's memory.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes { bytes: self.bytes.clone(), at: 0 }
    }
}

/// Walks the changes of a [`Batch`].
#[derive(Debug)]
pub struct Changes {
    bytes: Bytes,
    at: usize,
}

impl Iterator for Changes {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        let mut reader = Reader::new(self.bytes.get(self.at..)?);
        let key = RecordKey { kind: reader.u8()?, id: reader.u64()? };
        let stamp = Stamp { epoch: reader.u32()?, version: reader.u64()?, owner: reader.u16()? };
        let deadline = Some(reader.u64()?).filter(|ms| *ms != 0).map(Deadline::at_unix_ms);
        let length = reader.u32()?;
        let start = self.bytes.len() - reader.remaining();
        let (op, end) = if length == DELETED {
            (Op::Delete, start)
        } else {
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            if end > self.bytes.len() {
                return None;
            }
            (Op::Put(self.bytes.slice(start..end)), end)
        };
        self.at = end;
        Some(Change { key, stamp, deadline, op })
    }
}

fn put_head(out: &mut BytesMut, key: RecordKey, stamp: Stamp, deadline: Option<Deadline>, length: u32) {
    out.put_u8(key.kind);
    out.put_u64(key.id);
    out.put_u32(stamp.epoch);
    out.put_u64(stamp.version);
    out.put_u16(stamp.owner);
    out.put_u64(deadline.map_or(0, Deadline::unix_ms));
    out.put_u32(length);
}

/// Appends "the record is now `value`".
pub(super) fn put_value<V: Record>(out: &mut BytesMut, id: u64, stamp: Stamp, value: &V) {
    put_head(out, RecordKey { kind: V::KIND, id }, stamp, value.deadline(), 0);
    let start = out.len();
    out.put_u8(V::VERSION);
    value.encode(&mut Writer::new(out));
    let length = u32::try_from(out.len() - start).unwrap_or(0).to_be_bytes();
    if let Some(place) = start.checked_sub(length.len()).and_then(|from| out.get_mut(from..start)) {
        place.copy_from_slice(&length);
    }
}

/// Appends "the record is gone".
pub(super) fn put_deletion(out: &mut BytesMut, key: RecordKey, stamp: Stamp) {
    put_head(out, key, stamp, None, DELETED);
}
