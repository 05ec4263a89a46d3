//! What a member keeps on its disk, and the bytes it is kept as.
//!
//! A journal is a sequence of [`Record`]s and, beside it, the latest [`Snapshot`]. [`Replay`] makes a [`Persisted`] of
//! them after a restart. The bytes carry no checksum and no length: those are the journal's.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::limits::TERMS_PER_GENERATION;
use crate::roster::{MemberId, MemberInfo, Roster, Votes};
use crate::wire::{Take, put_piece};

/// Who a member is. Changes with a takeover by hand only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Tells groups apart; 0 until a group has taken the member in.
    pub group: u64,
    /// Counts takeovers by hand. Members of an older one are told so and stop.
    pub generation: u32,
    /// The member.
    pub id: MemberId,
    /// Who has made this generation, and with it what this member has, a thing of the past.
    pub superseded: Option<Successor>,
    /// Where and with whom this generation began, if it began with a takeover by this member.
    pub takeover: Option<Takeover>,
}

/// Who goes on where a member stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Successor {
    /// The member that took over.
    pub by: MemberId,
    /// Its generation.
    pub generation: u32,
}

/// How a generation began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// What the log said about votes up to here counts no more.
    pub index: u64,
    /// Who votes since.
    pub votes: Votes,
    /// Who belongs to the group since.
    pub roster: Roster,
}

/// What a voter must never forget: Raft's hard state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The highest term heard of.
    pub term: u64,
    /// Whom it voted for in that term; 0 for nobody.
    pub vote: u64,
    /// Up to where the log is known to be agreed on.
    pub commit: u64,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place, from 1.
    pub index: u64,
    /// The term in which it was made.
    pub term: u64,
    /// 0: a batch of records, or nothing. 2: a change of votes.
    pub kind: u8,
    /// The batch.
    pub data: Bytes,
    /// Of a change: what changes. Empty for a batch.
    pub context: Bytes,
}

/// The place in the log that a snapshot stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// The last entry it holds.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Who voted there.
    pub votes: Votes,
    /// Who belonged to the group there.
    pub roster: Roster,
}

/// Everything up to a place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// That place.
    pub base: Base,
    /// The state there, as its owner encodes it; empty for no state.
    pub data: Bytes,
}

impl Base {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u64(self.index);
        out.put_u64(self.term);
        self.votes.encode(out);
        self.roster.encode(out);
    }

    pub(crate) fn decode(take: &mut Take) -> Option<Self> {
        let (index, term) = (take.u64()?, take.u64()?);
        Some(Self { index, term, votes: Votes::decode(take)?, roster: Roster::decode(take)? })
    }
}

impl Snapshot {
    /// Its bytes in two parts: the place, then the state as it is.
    #[must_use]
    pub fn parts(&self) -> [Bytes; 2] {
        let mut base = BytesMut::new();
        self.base.encode(&mut base);
        [base.freeze(), self.data.clone()]
    }

    /// Its bytes in one piece.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        self.parts().concat().into()
    }

    /// Reads [`encode`](Self::encode) back, sharing memory. `None` if it is none.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        let mut take = Take::new(bytes);
        let base = Base::decode(&mut take)?;
        Some(Self { base, data: take.rest() })
    }
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Who the member is now.
    Identity(Identity),
    /// What it must not forget now.
    Hard(HardState),
    /// An entry; it replaces the one at its place and all behind it.
    Entry(LogEntry),
    /// A snapshot came from the leader: the log goes on behind its place, and what was there before is void.
    Installed {
        /// The snapshot's place.
        index: u64,
    },
}

const IDENTITY: u8 = 1;
const HARD: u8 = 2;
const ENTRY: u8 = 3;
const INSTALLED: u8 = 4;

impl Record {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Identity(identity) => {
                out.put_u8(IDENTITY);
                out.put_u64(identity.group);
                out.put_u32(identity.generation);
                out.put_u64(identity.id.0);
                out.put_u8(identity.superseded.is_some().into());
                if let Some(successor) = identity.superseded {
                    out.put_u64(successor.by.0);
                    out.put_u32(successor.generation);
                }
                out.put_u8(identity.takeover.is_some().into());
                if let Some(takeover) = &identity.takeover {
                    out.put_u64(takeover.index);
                    takeover.votes.encode(&mut out);
                    takeover.roster.encode(&mut out);
                }
            }
            Self::Hard(hard) => {
                out.put_u8(HARD);
                out.put_u64(hard.term);
                out.put_u64(hard.vote);
                out.put_u64(hard.commit);
            }
            Self::Entry(entry) => {
                out.reserve(entry.data.len() + entry.context.len() + 32);
                out.put_u8(ENTRY);
                entry.encode(&mut out);
            }
            Self::Installed { index } => {
                out.put_u8(INSTALLED);
                out.put_u64(*index);
            }
        }
        out.freeze()
    }

    /// Reads [`encode`](Self::encode) back, sharing memory. `None` if it is none, or of a later release.
    #[must_use]
    pub fn decode(bytes: Bytes) -> Option<Self> {
        let mut take = Take::new(bytes);
        match take.u8()? {
            IDENTITY => {
                let (group, generation) = (take.u64()?, take.u32()?);
                let id = MemberId(take.u64()?);
                let superseded = match take.flag()? {
                    false => None,
                    true => Some(Successor { by: MemberId(take.u64()?), generation: take.u32()? }),
                };
                let takeover = match take.flag()? {
                    false => None,
                    true => Some(Takeover {
                        index: take.u64()?,
                        votes: Votes::decode(&mut take)?,
                        roster: Roster::decode(&mut take)?,
                    }),
                };
                Some(Self::Identity(Identity { group, generation, id, superseded, takeover }))
            }
            HARD => Some(Self::Hard(HardState { term: take.u64()?, vote: take.u64()?, commit: take.u64()? })),
            ENTRY => Some(Self::Entry(LogEntry::decode(&mut take)?)),
            INSTALLED => Some(Self::Installed { index: take.u64()? }),
            _ => None,
        }
    }
}

impl LogEntry {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u64(self.index);
        out.put_u64(self.term);
        out.put_u8(self.kind);
        put_piece(out, &self.context);
        put_piece(out, &self.data);
    }

    pub(crate) fn decode(take: &mut Take) -> Option<Self> {
        let (index, term, kind) = (take.u64()?, take.u64()?, take.u8()?);
        Some(Self { index, term, kind, context: take.piece()?, data: take.piece()? })
    }
}

/// What a member starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persisted {
    /// Who it is.
    pub identity: Identity,
    /// What it must not forget.
    pub hard: HardState,
    /// The latest snapshot; at index 0 for none.
    pub snapshot: Snapshot,
    /// The log, without gaps. It may begin before the snapshot's place and never begins behind its successor.
    pub entries: Vec<LogEntry>,
    /// It is on no disk yet: the member writes it first.
    pub fresh: bool,
}

impl Persisted {
    /// A new group of one, which leads at once. `group` is any number that no other group has.
    #[must_use]
    pub fn found(group: u64, me: MemberInfo) -> Self {
        let id = me.id;
        let base = Base { index: 1, term: 1, votes: Votes::alone(id, Vec::new()), roster: Roster::new([me]) };
        let identity = Identity { group, generation: 0, id, superseded: None, takeover: None };
        Self {
            identity,
            hard: HardState { term: 1, vote: 0, commit: 1 },
            snapshot: Snapshot { base, data: Bytes::new() },
            entries: Vec::new(),
            fresh: true,
        }
    }

    /// A member that knows nothing and waits to be added to a group.
    #[must_use]
    pub fn join(id: MemberId) -> Self {
        Self::emptied(Identity { group: 0, generation: 0, id, superseded: None, takeover: None })
    }

    /// A member that knows nothing but who it is.
    pub(crate) fn emptied(identity: Identity) -> Self {
        Self {
            identity,
            hard: HardState::default(),
            snapshot: Snapshot::default(),
            entries: Vec::new(),
            fresh: true,
        }
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.entries.last().map_or(self.snapshot.base.index, |entry| entry.index)
    }

    /// The same log under the sole vote of its member, one generation on.
    pub(crate) fn taken_over(mut self, roster: Roster, learners: Vec<u64>) -> Self {
        let index = self.last_index();
        let passed = u32::try_from(self.hard.term / TERMS_PER_GENERATION).unwrap_or(u32::MAX);
        let named = self.identity.superseded.take().map_or(0, |successor| successor.generation);
        let generation = self.identity.generation.max(passed).max(named).saturating_add(1);
        let votes = Votes::alone(self.identity.id, learners);
        self.identity.generation = generation;
        self.identity.takeover = Some(Takeover { index, votes, roster });
        self.hard = HardState { term: u64::from(generation) * TERMS_PER_GENERATION, vote: 0, commit: index };
        self
    }
}

/// Why a journal makes no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It begins with no identity.
    NoIdentity,
    /// A record is none that this release knows. A later release wrote it, or something else did.
    Record {
        /// Its place in the journal, from 0.
        at: u64,
    },
    /// An entry is missing before this one: the journal lost a part.
    Gap {
        /// The entry that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIdentity => f.write_str("the journal does not say whose it is"),
            Self::Record { at } => write!(f, "record {at} of the journal is of a later release, or none"),
            Self::Gap { expected, found } => {
                write!(
                    f,
                    "the journal goes on with entry {found} where entry {expected} belongs: a part is lost"
                )
            }
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads a journal, record by record.
#[derive(Debug)]
pub struct Replay {
    identity: Option<Identity>,
    hard: HardState,
    snapshot: Snapshot,
    entries: Vec<LogEntry>,
    read: u64,
}

impl Replay {
    /// Begins with the latest snapshot, if there is one.
    #[must_use]
    pub fn new(snapshot: Option<Snapshot>) -> Self {
        let snapshot = snapshot.unwrap_or_default();
        Self { identity: None, hard: HardState::default(), snapshot, entries: Vec::new(), read: 0 }
    }

    /// The next record.
    ///
    /// # Errors
    /// What is wrong with it. The journal is not to be used then.
    pub fn record(&mut self, bytes: Bytes) -> Result<(), Unreadable> {
        let record = Record::decode(bytes).ok_or(Unreadable::Record { at: self.read })?;
        self.decoded(record)
    }

    /// The next record, read already.
    ///
    /// # Errors
    /// What is wrong with it. The journal is not to be used then.
    pub fn decoded(&mut self, record: Record) -> Result<(), Unreadable> {
        self.read += 1;
        match record {
            Record::Identity(identity) => self.identity = Some(identity),
            Record::Installed { .. } => self.entries.clear(),
            Record::Hard(hard) => self.hard = hard,
            Record::Entry(entry) => self.entry(entry)?,
        }
        Ok(())
    }

    fn entry(&mut self, entry: LogEntry) -> Result<(), Unreadable> {
        let Some(first) = self.entries.first().map(|first| first.index) else {
            self.entries.push(entry);
            return Ok(());
        };
        let expected = first + self.entries.len() as u64;
        if entry.index > expected {
            return Err(Unreadable::Gap { expected, found: entry.index });
        }
        let keep = usize::try_from(entry.index.saturating_sub(first)).unwrap_or(0);
        self.entries.truncate(keep);
        self.entries.push(entry);
        Ok(())
    }

    /// What the member starts from.
    ///
    /// # Errors
    /// What is missing.
    pub fn finish(mut self) -> Result<Persisted, Unreadable> {
        let identity = self.identity.ok_or(Unreadable::NoIdentity)?;
        let base = self.snapshot.base.index;
        let last = self.entries.last().map_or(0, |entry| entry.index);
        // Entries that end before the snapshot, or contradict it, were replaced by it.
        let at_base = self.entries.iter().find(|entry| entry.index == base);
        let contradicted = at_base.is_some_and(|entry| entry.term != self.snapshot.base.term);
        if last <= base || contradicted {
            self.entries.clear();
        }
        if let Some(found) = self.entries.first().map(|entry| entry.index).filter(|first| *first > base + 1) {
            return Err(Unreadable::Gap { expected: base + 1, found });
        }
        let Self { hard, snapshot, entries, .. } = self;
        Ok(Persisted { identity, hard, snapshot, entries, fresh: false })
    }
}
