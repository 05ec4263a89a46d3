//! What the engine asks for, in the order in which it may happen.
//!
//! A leader's messages leave at once: its own disk writes meanwhile. A follower's leave when the disk has what they promise.
//! One kind need not wait: the answer to a heartbeat promises only to follow, and that the member knows this term must be on
//! the disk for it. So a disk that stalls for a moment costs nobody the lease.

use std::time::Instant;

use bytes::Bytes;
use raft::StateRole;
use raft::eraftpb::{ConfChangeV2, Entry, EntryType, Message, MessageType, Snapshot as RaftSnapshot};

use super::Member;
use crate::io::{Note, Output, StandDown, Stopped, Write};
use crate::message::entry_of;
use crate::roster::{MemberId, Roster, Votes};
use crate::settings::Durability;
use crate::stored::{Base, HardState, Persisted, Record, Snapshot};
use crate::wire::Take;

/// A write that the disk has not answered, and what waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) token: u64,
    pub(super) since: Instant,
    /// The engine's number of it.
    number: Option<u64>,
    held: Vec<Message>,
    install: Option<Base>,
    /// It holds a term or a vote.
    promises: bool,
    pub(super) then: Option<Then>,
}

/// What a member becomes once the disk says so.
#[derive(Debug)]
pub(super) enum Then {
    /// The sole voter of a new generation.
    TakenOver(Box<Persisted>),
    /// Empty.
    Emptied(Box<Persisted>),
    /// The predecessor of `to`.
    Relinquished { to: MemberId },
}

/// First byte of an entry's context: its data is the roster.
pub(super) const ROSTER: u8 = b'R';

impl Member {
    pub(super) fn collect(&mut self) {
        while self.stopped.is_none() && self.engine.has_ready() {
            let mut ready = self.engine.ready();
            let number = ready.number();
            for message in ready.take_messages() {
                self.send(&message);
            }
            for state in ready.take_read_states() {
                self.acknowledged(&state.request_ctx);
            }
            let held = ready.take_persisted_messages();
            let committed = ready.take_committed_entries();
            let hard =
                ready.hs().map(|hard| HardState { term: hard.term, vote: hard.vote, commit: hard.commit });
            let (entries, snapshot) = (ready.take_entries(), ready.snapshot().clone());
            let write = self.keep(hard, &entries, &snapshot);
            self.engine.advance_append_async(ready);
            self.file(number, write, held);
            self.apply(committed);
        }
    }

    /// Puts what must be kept into the log in memory, and says what to write.
    fn keep(&mut self, hard: Option<HardState>, entries: &[Entry], snapshot: &RaftSnapshot) -> Kept {
        let mut kept = Kept::default();
        let before = self.engine.store().hard();
        if !snapshot.is_empty() {
            let place = snapshot.get_metadata().index;
            let arrived =
                self.arrived.take().filter(|arrived| arrived.base.index == place).unwrap_or_default();
            self.engine.mut_store().install(arrived.clone());
            kept.records.push(Record::Installed { index: place });
            kept.snapshot = Some(arrived);
        }
        if let Some(hard) = hard {
            self.engine.mut_store().set_hard(hard);
            kept.promises = (hard.term, hard.vote) != (before.term, before.vote);
        }
        if kept.promises || kept.snapshot.is_some() || !entries.is_empty() {
            kept.records.push(Record::Hard(self.engine.store().hard()));
        }
        self.engine.mut_store().append(entries);
        for entry in entries {
            self.bytes_since_snapshot += entry.data.len() as u64;
            kept.records.push(Record::Entry(entry_of(entry)));
        }
        kept
    }

    /// Writes what is to be written and has the messages wait for it.
    fn file(&mut self, number: u64, kept: Kept, held: Vec<Message>) {
        let promised = kept.promises || self.pending.iter().any(|write| write.promises);
        let at_once = |message: &Message| !promised && message.msg_type == MessageType::MsgHeartbeatResponse;
        let (now, held): (Vec<Message>, Vec<Message>) = held.into_iter().partition(at_once);
        for message in now {
            self.send(&message);
        }
        let idle = self.pending.is_empty();
        if kept.records.is_empty() {
            match self.pending.back_mut() {
                Some(last) => {
                    last.number = Some(number);
                    last.held.extend(held);
                }
                None => self.kept(number, held),
            }
            return;
        }
        let eager =
            self.settings.durability == Durability::Eager && !kept.promises && kept.snapshot.is_none();
        self.token += 1;
        let token = self.token;
        let install = kept.snapshot.as_ref().map(|snapshot| snapshot.base.clone());
        let Kept { snapshot, records, promises } = kept;
        self.write(Write { token, snapshot, records, sync: !eager, ..Write::default() });
        if eager && idle {
            self.kept(number, held);
        } else {
            let number = Some(number);
            self.pending.push_back(Pending {
                token,
                since: self.now,
                number,
                held,
                install,
                promises,
                then: None,
            });
        }
    }

    fn kept(&mut self, number: u64, held: Vec<Message>) {
        self.engine.on_persist_ready(number);
        for message in held {
            self.send(&message);
        }
    }

    /// Writes something of the member's own.
    pub(super) fn write_own(&mut self, write: Write, then: Option<Then>) {
        self.token += 1;
        let token = self.token;
        self.write(Write { token, sync: true, ..write });
        let (since, held) = (self.now, Vec::new());
        self.pending.push_back(Pending {
            token,
            since,
            number: None,
            held,
            install: None,
            promises: true,
            then,
        });
    }

    pub(super) fn stored(&mut self, token: u64) {
        while let Some(write) = self.pending.pop_front_if(|write| write.token <= token) {
            match write.then {
                Some(then) => self.become_then(then),
                None if self.stopped.is_some() => {}
                None => {
                    if let Some(number) = write.number {
                        self.kept(number, write.held);
                    }
                    if let Some(base) = write.install {
                        self.installed(base);
                    }
                }
            }
        }
    }

    /// Is a snapshot on its way to the disk?
    pub(super) fn is_installing(&self) -> bool {
        self.pending.iter().any(|write| write.install.is_some())
    }

    /// The snapshot that came is on the disk: it is the state now.
    fn installed(&mut self, base: Base) {
        if base.index <= self.applied {
            return;
        }
        self.applied = base.index;
        self.engine.advance_apply_to(base.index);
        self.bytes_since_snapshot = 0;
        self.wanted = None;
        let data = self.engine.store().snapshot_held().data.clone();
        self.latest = (base.index, data.len() as u64);
        self.note(Note::SnapshotReceived { bytes: data.len() as u64 });
        self.adopt_roster(base.roster.clone());
        self.adopt_votes(base.votes.clone());
        self.outputs.push_back(Output::Install(Snapshot { base, data }));
    }

    fn apply(&mut self, committed: Vec<Entry>) {
        let Some(last) = committed.last().map(|entry| entry.index) else { return };
        for entry in committed {
            self.applied = entry.index;
            if self.is_leader() {
                self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(entry.data.len() as u64);
            }
            self.hand_over_entry(entry);
        }
        if self.stopped.is_none() {
            self.engine.advance_apply_to(last);
            if self.is_alone() {
                self.engine.mut_store().let_go(last, &self.votes, &self.roster);
            }
            self.want_snapshot();
        }
    }

    pub(super) fn hand_over_entry(&mut self, entry: Entry) {
        let overruled = self.identity.takeover.as_ref().is_some_and(|takeover| entry.index <= takeover.index);
        match (entry.entry_type, entry.context.first()) {
            (EntryType::EntryNormal, None) if entry.data.is_empty() => {}
            (EntryType::EntryNormal, None) => {
                let epoch = u32::try_from(entry.term).unwrap_or(u32::MAX);
                self.outputs.push_back(Output::Committed { index: entry.index, epoch, batch: entry.data });
            }
            _ if overruled => {}
            (EntryType::EntryNormal, Some(&ROSTER)) => {
                if let Some(roster) = Roster::decode(&mut Take::new(entry.data)) {
                    self.adopt_roster(roster);
                }
            }
            // Of a later release.
            (EntryType::EntryNormal, Some(_)) => {}
            (EntryType::EntryConfChange | EntryType::EntryConfChangeV2, _) => {
                self.change_votes(&entry.context);
            }
        }
    }

    fn change_votes(&mut self, context: &Bytes) {
        // The engine itself proposes to leave a joint configuration, with nothing in it.
        let change = match context.is_empty() {
            true => Some(ConfChangeV2::default()),
            false => super::change::decode(context.clone()),
        };
        let Some(state) = change.and_then(|change| self.engine.apply_conf_change(&change).ok()) else {
            return;
        };
        self.adopt_votes(Votes::of(&state));
        // Up to where the log was agreed on is written with the next entry only. Here it is at once: after a crash of everybody
        // those who are left must know that they vote.
        let records = vec![Record::Hard(self.engine.store().hard())];
        self.write_own(Write { records, ..Write::default() }, None);
    }

    fn adopt_votes(&mut self, votes: Votes) {
        if votes.voters != self.votes.voters {
            self.note(Note::Voters(votes.voters.iter().copied().map(MemberId).collect()));
        }
        let was_sole = self.is_sole_voter();
        self.votes = votes;
        if was_sole && !self.is_sole_voter() && self.is_leader() {
            self.no_longer_sole();
        }
        if self.is_leader() && self.has_lost_its_vote() {
            self.reason = self.serving.map(|_| StandDown::Deposed);
        }
        if !self.votes.knows(self.id()) && !self.votes.learners_next.contains(&self.id()) {
            self.stop(Stopped::Dismissed, StandDown::Dismissed);
        }
    }

    fn adopt_roster(&mut self, roster: Roster) {
        if roster == self.roster {
            return;
        }
        if let Some(me) = roster.get(self.identity.id) {
            self.settings.kind = me.kind;
        }
        self.roster = roster.clone();
        self.outputs.push_back(Output::Roster(roster));
    }

    /// Takes no part any more.
    pub(super) fn stop(&mut self, stopped: Stopped, reason: StandDown) {
        self.stopped = Some(stopped);
        self.reason = self.serving.map(|_| reason);
        self.rounds.clear();
        self.sending.clear();
        self.receiving = None;
        self.switch = None;
        // Why it serves no more comes before what it is then.
        self.assess();
        self.tell_standing();
    }

    /// Follows again, in the same epoch: nobody leads until somebody is elected.
    pub(super) fn step_down(&mut self, reason: StandDown) {
        if self.engine.raft.state == StateRole::Leader && !self.is_sole_voter() {
            self.reason = self.serving.map(|_| reason);
            let term = self.engine.raft.term;
            self.engine.raft.become_follower(term, raft::INVALID_ID);
        }
    }
}

#[derive(Debug, Default)]
struct Kept {
    snapshot: Option<Snapshot>,
    records: Vec<Record>,
    promises: bool,
}
