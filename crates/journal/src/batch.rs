//! What is handed to a journal.

use bytes::Bytes;

/// Until when a record is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// As long as any record before it.
    Loose,
    /// Until places up to its own are not needed any more: [`Batch::first_needed`].
    Place(u64),
    /// Until another comes with the same number.
    Latest(u8),
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Until when it is needed.
    pub keep: Keep,
    /// What it says.
    pub bytes: Bytes,
}

/// A long piece of bytes and what stands before it, which nobody has to copy together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub [Bytes; 2]);

impl Parts {
    /// Bytes of both.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// They hold nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Bytes> for Parts {
    fn from(bytes: Bytes) -> Self {
        Self([Bytes::new(), bytes])
    }
}

/// Something to be written, whole or not at all, before anything that is handed over later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What the answer names. Tokens rise.
    pub token: u64,
    /// Everything that was stored before is void, the snapshot too. On a failed journal this begins a new one.
    pub fresh: bool,
    /// To be kept in place of the snapshot from before. With records, or `fresh`, it is on the disk before them. Alone
    /// it is written beside what comes later, and answered at once: what it stands for can be made of what is stored.
    pub snapshot: Option<Parts>,
    /// To be appended.
    pub records: Vec<Record>,
    /// Records with a place before this one are not needed any more, once the snapshot is on the disk.
    pub first_needed: Option<u64>,
    /// The answer waits until a power loss cannot take it back; otherwise until the end of the process cannot.
    pub sync: bool,
}

impl Batch {
    /// Bytes of its records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.iter().map(|record| record.bytes.len()).sum()
    }

    /// It holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// It changes more than the end of the log.
    pub(crate) fn stands_apart(&self) -> bool {
        self.fresh || self.snapshot.is_some()
    }
}
