//! The log in memory, as the engine reads it: what is written, or on its way to the disk.

use std::cell::Cell;
use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{Entry, Snapshot as RaftSnapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use crate::message::{entry_of, entry_to};
use crate::roster::{Roster, Votes};
use crate::stored::{Base, HardState, Persisted, Snapshot};

/// Bytes of an entry beside its data, about.
const ENTRY_OVERHEAD: u64 = 32;

#[derive(Debug)]
pub(crate) struct Log {
    hard: HardState,
    /// Who voted where the engine begins to read.
    start: Base,
    snapshot: Snapshot,
    /// The state at the snapshot's place is not held: nobody could be sent it.
    let_go: bool,
    /// The term of the entry before the first.
    front_term: u64,
    first: u64,
    entries: VecDeque<Entry>,
    /// What a snapshot from before this place says of votes was overruled by hand: it is not for others.
    overruled: u64,
    /// The engine needs a later snapshot than there is.
    wanted: Cell<bool>,
}

impl Log {
    pub(crate) fn new(from: &Persisted) -> Self {
        let base = &from.snapshot.base;
        let first = from.entries.first().map_or(base.index + 1, |entry| entry.index);
        let front_term = if first == base.index + 1 { base.term } else { 0 };
        let mut entries: VecDeque<Entry> = from.entries.iter().map(entry_to).collect();
        let mut log_first = first;
        // The term before the first entry is known only where the log touches the snapshot: give up one entry to know it.
        let mut term = front_term;
        if first <= base.index
            && let Some(front) = entries.pop_front()
        {
            term = front.term;
            log_first += 1;
        }
        let mut start = base.clone();
        if let Some(takeover) = &from.identity.takeover
            && takeover.index >= base.index
        {
            start.votes = takeover.votes.clone();
            start.roster = takeover.roster.clone();
        }
        let overruled = from.identity.takeover.as_ref().map_or(0, |takeover| takeover.index);
        let last = (log_first + entries.len() as u64).saturating_sub(1);
        let commit = from.hard.commit.clamp(base.index.min(last), last);
        let hard = HardState { commit, ..from.hard };
        let snapshot = from.snapshot.clone();
        Self {
            hard,
            start,
            snapshot,
            let_go: false,
            front_term: term,
            first: log_first,
            entries,
            overruled,
            wanted: Cell::new(false),
        }
    }

    /// Where the engine begins, and who voted there.
    pub(crate) fn start(&self) -> &Base {
        &self.start
    }

    pub(crate) fn snapshot_held(&self) -> &Snapshot {
        &self.snapshot
    }

    pub(crate) fn hard(&self) -> HardState {
        self.hard
    }

    /// The entries behind `index`.
    pub(crate) fn behind(&self, index: u64) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.index > index).cloned().collect()
    }

    pub(crate) fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
    }

    pub(crate) fn last(&self) -> u64 {
        (self.first + self.entries.len() as u64).saturating_sub(1)
    }

    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        if index + 1 == self.first {
            return Some(self.front_term);
        }
        self.get(index).map(|entry| entry.term)
    }

    fn get(&self, index: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(index.checked_sub(self.first)?).ok()?)
    }

    /// Appends entries; they replace those from the first one's place on.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(from) = entries.first().map(|entry| entry.index) else { return };
        let keep = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.entries.truncate(keep);
        self.entries.extend(entries.iter().cloned());
    }

    /// A snapshot came from the leader: it is all there is.
    pub(crate) fn install(&mut self, snapshot: Snapshot) {
        self.entries.clear();
        self.first = snapshot.base.index + 1;
        self.front_term = snapshot.base.term;
        self.hard.commit = self.hard.commit.max(snapshot.base.index);
        self.snapshot = snapshot;
        self.let_go = false;
    }

    /// A snapshot was made here: entries more than `kept` before it go. Returns the first that is left.
    pub(crate) fn compact(&mut self, snapshot: Snapshot, kept: u64) -> u64 {
        let behind = snapshot.base.index + 1;
        if behind < self.first {
            // Entries have left memory since it was asked for: whoever needs a snapshot needs a later one.
            return behind;
        }
        let from = behind.saturating_sub(kept).clamp(self.first, self.last() + 1);
        self.cut(from);
        self.snapshot = snapshot;
        self.let_go = false;
        self.wanted.set(false);
        from
    }

    /// Entries up to this one are handed over, on the disk, and nobody else's: they leave memory, and the state of the snapshot
    /// with them.
    pub(crate) fn let_go(&mut self, index: u64, votes: &Votes, roster: &Roster) {
        let Some(term) = self.term_at(index).filter(|_| index >= self.first) else { return };
        self.cut(index + 1);
        let base = &mut self.snapshot.base;
        (base.index, base.term) = (index, term);
        if base.votes != *votes || base.roster != *roster {
            (base.votes, base.roster) = (votes.clone(), roster.clone());
        }
        if !self.let_go {
            self.snapshot.data = Bytes::new();
            self.let_go = true;
        }
    }

    /// The state at the snapshot's place is not held.
    pub(crate) fn has_let_go(&self) -> bool {
        self.let_go
    }

    /// The log begins here.
    fn cut(&mut self, from: u64) {
        self.front_term = self.term_at(from - 1).unwrap_or(self.front_term);
        let gone = usize::try_from(from - self.first).unwrap_or(0).min(self.entries.len());
        self.entries.drain(..gone);
        self.first = from;
    }

    pub(crate) fn is_snapshot_wanted(&self) -> bool {
        self.wanted.get()
    }

    /// What a start from this log would read.
    pub(crate) fn persisted(&self, identity: crate::stored::Identity) -> Persisted {
        let entries = self.entries.iter().map(entry_of).collect();
        Persisted { identity, hard: self.hard, snapshot: self.snapshot.clone(), entries, fresh: false }
    }
}

fn size(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len()) as u64 + ENTRY_OVERHEAD
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let mut hard = raft::eraftpb::HardState::default();
        hard.set_term(self.hard.term);
        hard.set_vote(self.hard.vote);
        hard.set_commit(self.hard.commit);
        Ok(RaftState::new(hard, self.start.votes.to_raft()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first {
            return Err(Error::Store(StorageError::Compacted));
        }
        let (skip, count) = (low - self.first, high.saturating_sub(low));
        let (Ok(skip), Ok(count)) = (usize::try_from(skip), usize::try_from(count)) else {
            return Err(Error::Store(StorageError::Unavailable));
        };
        let most = max_size.into().unwrap_or(u64::MAX);
        let mut taken = 0_u64;
        let within = |entry: &&Entry| {
            let first = taken == 0;
            taken = taken.saturating_add(size(entry));
            first || taken <= most
        };
        Ok(self.entries.iter().skip(skip).take(count).take_while(within).cloned().collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index + 1 < self.first {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.term_at(index).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// The place alone: the state travels in chunks of its own. A member that was not in the group there needs a later one.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<RaftSnapshot> {
        let base = &self.snapshot.base;
        let needed = request_index.max(self.overruled).max(1);
        if self.let_go || base.index < needed || !base.votes.knows(to) {
            self.wanted.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(raft_snapshot(base))
    }
}

/// The engine's view of a place in the log.
pub(crate) fn raft_snapshot(base: &Base) -> RaftSnapshot {
    let mut snapshot = RaftSnapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = base.index;
    metadata.term = base.term;
    metadata.set_conf_state(base.votes.to_raft());
    snapshot
}
