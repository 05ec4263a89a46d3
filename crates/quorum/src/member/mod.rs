//! [`Member`]: one member of a group as one value.
//!
//! It is driven like the server itself: tell it a fact, drain its outputs, ask when it wants to be woken. The engine decides
//! who leads and what is agreed on; what is here decides who may *serve*, and until when:
//!
//! * a lease, counted from the sending of the heartbeats that a quorum acknowledged ([`lease`]);
//! * messages that the engine must not see, because they would break that lease or the engine ([`admit`]);
//! * what leaves only after the disk has it ([`ready`]);
//! * handing over, by agreement ([`switch`]) and by hand ([`takeover`]).

mod admit;
mod change;
mod chunks;
mod lead;
mod lease;
mod ready;
mod start;
mod state;
mod switch;
mod takeover;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft::{RawNode, StateRole};

use self::chunks::{Receiving, Sending};
use self::lease::Rounds;
use self::ready::Pending;
use self::switch::Switch;
use crate::io::{Input, Lease, Note, Output, Reason, Refused, StandDown, Standing, Stopped, Write};
use crate::limits::{
    LAG_SAMPLES, MAX_PROPOSAL, MAX_UNCOMMITTED, MAX_UNCOMMITTED_BYTES, SLOW_DISK, STALLED_DISK,
};
use crate::log::Log;
use crate::roster::{MemberId, Roster, Votes};
use crate::settings::Settings;
use crate::stored::{Base, Identity, Snapshot};

pub use start::CannotStart;

/// See the module.
pub struct Member {
    settings: Settings,
    identity: Identity,
    engine: RawNode<Log>,
    logger: slog::Logger,
    roster: Roster,
    /// The last roster that this leader has proposed, and its place.
    proposed: Option<(u64, Roster)>,
    votes: Votes,
    /// The last entry handed over.
    applied: u64,
    stopped: Option<Stopped>,
    /// The generation that made this member's a thing of the past has spoken.
    heard_successor: bool,
    outputs: VecDeque<Output>,
    /// Something was proposed that the engine has not been asked about.
    dirty: bool,
    now: Instant,
    next_tick: Instant,
    /// Until then it helps elect nobody: it may have acknowledged a leader before it was started.
    quiet_until: Option<Instant>,
    /// Ticks as a candidate to be.
    asking: u32,
    pending: VecDeque<Pending>,
    token: u64,
    slow_disk_told: bool,
    rounds: Rounds,
    /// The epoch in which it serves.
    serving: Option<u32>,
    /// The epoch in which it served until its lease ended.
    rested: Option<u32>,
    /// Why it is about to stop serving.
    reason: Option<StandDown>,
    told: Standing,
    switch: Option<Switch>,
    peers: BTreeMap<u64, Heard>,
    sending: BTreeMap<u64, Sending>,
    receiving: Option<Receiving>,
    arrived: Option<Snapshot>,
    /// The snapshot that was asked for.
    wanted: Option<Base>,
    /// The place and the length of the latest snapshot on the disk.
    latest: (u64, u64),
    bytes_since_snapshot: u64,
    uncommitted_bytes: u64,
    /// When the log reached which length.
    trail: VecDeque<(u64, Instant)>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    boot: u64,
    at: Instant,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("status", &self.status(self.now)).finish_non_exhaustive()
    }
}

impl Member {
    /// Handles one fact; then drain [`poll_output`](Self::poll_output).
    pub fn handle_input(&mut self, input: Input, now: Instant) {
        self.advance(now);
        match input {
            Input::Frame { bytes } => self.frame_came(&bytes),
            Input::Stored { token } => self.stored(token),
            Input::SnapshotMade { index, data } => self.snapshot_made(index, data),
        }
        self.work();
    }

    /// A moment that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.work();
    }

    /// What is to be done next. Drain to `None` before the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && self.dirty {
            self.work();
        }
        self.outputs.pop_front()
    }

    /// When it wants to be woken, and what for. `None`: only by an input.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let tick = self.ticks().then_some((self.next_tick, Reason::Tick));
        let end = match (self.serving, self.rounds.until()) {
            (Some(_), Some(until)) if !self.is_sole_voter() => Some((until, Reason::LeaseEnd)),
            _ => None,
        };
        [tick, end].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Proposes a batch, to be agreed on. Many may be proposed before the outputs are drained; they travel together.
    /// Its commitment comes as [`Output::Committed`] with the index returned here, and its owner then knows that it is
    /// kept. If the member stands down before, nobody knows whether it will be.
    ///
    /// # Errors
    /// Nothing was proposed, for the reason given.
    pub fn propose(&mut self, batch: Bytes, now: Instant) -> Result<u64, Refused> {
        self.advance(now);
        self.may_change()?;
        if batch.len() > MAX_PROPOSAL {
            return Err(Refused::TooLong { bytes: batch.len() });
        }
        let (waiting, bytes) = (self.uncommitted(), self.uncommitted_bytes + batch.len() as u64);
        if waiting >= MAX_UNCOMMITTED || bytes > MAX_UNCOMMITTED_BYTES {
            return Err(Refused::Full { proposals: waiting });
        }
        self.append(Bytes::new(), batch)
    }

    /// So much waits for disks and members that new work is to be refused before a proposal must be.
    #[must_use]
    pub fn congested(&self) -> bool {
        self.uncommitted() * 2 > MAX_UNCOMMITTED || self.uncommitted_bytes * 2 > MAX_UNCOMMITTED_BYTES
    }

    /// Until when anything may leave this server. It is asked at the moment of sending, for each thing that leaves.
    #[must_use]
    pub fn lease(&self) -> Lease {
        match self.serving {
            Some(_) => self.lease_if_leader(),
            None => Lease::None,
        }
    }

    /// Who the member is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The group as it was last agreed on.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Who votes now.
    #[must_use]
    pub fn votes(&self) -> &Votes {
        &self.votes
    }

    fn append(&mut self, context: Bytes, data: Bytes) -> Result<u64, Refused> {
        let length = data.len() as u64;
        let mut message = raft::eraftpb::Message::default();
        message.set_msg_type(raft::eraftpb::MessageType::MsgPropose);
        message.from = self.id();
        message.entries.push(raft::eraftpb::Entry { context, data, ..Default::default() });
        match self.engine.raft.step(message) {
            Ok(()) => {
                self.uncommitted_bytes += length;
                self.dirty = true;
                Ok(self.engine.raft.raft_log.last_index())
            }
            Err(_) => Err(Refused::SwitchingOver),
        }
    }

    /// Proposals and changes are for a member that serves and goes on to.
    fn may_change(&self) -> Result<(), Refused> {
        if self.stopped.is_some() {
            return Err(Refused::Stopped);
        }
        if self.serving.is_none() || !self.lease().holds_at(self.now) {
            return Err(Refused::NotServing { leader: self.leader().filter(|leader| leader.0 != self.id()) });
        }
        match self.switch {
            Some(_) => Err(Refused::SwitchingOver),
            None => Ok(()),
        }
    }

    fn id(&self) -> u64 {
        self.identity.id.0
    }

    fn epoch(&self) -> u32 {
        u32::try_from(self.engine.raft.term).unwrap_or(u32::MAX)
    }

    fn is_leader(&self) -> bool {
        self.stopped.is_none() && self.engine.raft.state == StateRole::Leader
    }

    fn leader(&self) -> Option<MemberId> {
        Some(self.engine.raft.leader_id).filter(|id| *id != 0).map(MemberId)
    }

    fn last(&self) -> u64 {
        self.engine.raft.raft_log.last_index()
    }

    fn uncommitted(&self) -> u64 {
        match self.is_leader() {
            true => self.last().saturating_sub(self.engine.raft.raft_log.committed),
            false => 0,
        }
    }

    fn is_sole_voter(&self) -> bool {
        self.votes.voters == [self.id()] && !self.votes.is_joint()
    }

    fn is_alone(&self) -> bool {
        self.is_sole_voter() && self.votes.learners.is_empty() && self.roster.members().len() <= 1
    }

    fn note(&mut self, note: Note) {
        self.outputs.push_back(Output::Note(note));
    }

    /// A member that leads a group of itself, and waits for nothing, needs no ticks.
    fn ticks(&self) -> bool {
        match &self.stopped {
            Some(_) => self.relinquishing().is_some(),
            None => {
                !(self.is_alone() && self.is_leader() && self.pending.is_empty() && self.switch.is_none())
            }
        }
    }

    /// Lets time pass up to `now`, before anything else happens then: an acknowledgement must not be followed by ticks from
    /// before it. Of late ticks one counts. What the process did not live through is not its leader's silence.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.now < self.next_tick {
            return;
        }
        let tick = self.settings.timing.tick;
        let late = self.now.duration_since(self.next_tick);
        self.next_tick = if late >= tick { self.now + tick } else { self.next_tick + tick };
        if self.ticks() {
            self.tick();
        }
    }

    fn tick(&mut self) {
        if let Some(to) = self.relinquishing() {
            self.relinquish(to);
        }
        if self.stopped.is_some() {
            return;
        }
        // A sole voter becomes leader at once, and the engine takes for granted that its disk has everything then; of anybody who
        // stands for election, that it has no snapshot half way to its disk.
        let waits = self.is_sole_voter() && !self.pending.is_empty() || self.is_installing();
        if self.is_leader() || !waits {
            self.engine.tick();
        }
        if self.is_leader() {
            self.leader_ticks();
        }
        self.candidate_ticks();
        self.chunks_tick();
        self.disk_ticks();
    }

    /// A question that nobody answers, because it was lost or came too early, is asked again soon.
    fn candidate_ticks(&mut self) {
        if self.engine.raft.state != StateRole::PreCandidate {
            self.asking = 0;
            return;
        }
        self.asking += 1;
        if self.asking >= 4 + u32::from(self.settings.rank) {
            self.asking = 0;
            let _ = self.engine.campaign();
        }
    }

    fn leader_ticks(&mut self) {
        if self.rounds.beat_is_due(self.settings.timing.heartbeat_ticks) {
            self.beat();
        }
        let last = self.last();
        if self.trail.back().is_none_or(|(index, _)| *index < last) {
            self.trail.push_back((last, self.now));
            if self.trail.len() > LAG_SAMPLES {
                self.trail.pop_front();
            }
        }
    }

    fn disk_ticks(&mut self) {
        let waits = self.write_waits();
        if waits >= SLOW_DISK && !self.slow_disk_told {
            self.slow_disk_told = true;
            self.note(Note::SlowDisk { waiting: waits });
        } else if waits.is_zero() && self.slow_disk_told {
            self.slow_disk_told = false;
            self.note(Note::DiskAnswers);
        }
        if waits >= STALLED_DISK && self.is_leader() {
            self.hand_over_stalled();
        }
    }

    fn write_waits(&self) -> Duration {
        self.pending.front().map_or(Duration::ZERO, |write| self.now.saturating_duration_since(write.since))
    }

    /// Does what is to be done until the engine has nothing to say.
    fn work(&mut self) {
        self.dirty = false;
        loop {
            self.collect();
            self.tell_standing();
            if self.is_leader() {
                self.lead();
            }
            self.assess();
            if self.stopped.is_some() || !self.engine.has_ready() {
                break;
            }
        }
    }

    fn tell_standing(&mut self) {
        let epoch = self.epoch();
        let standing = match (&self.stopped, self.engine.raft.state) {
            (Some(_), _) => Standing::Stopped,
            (None, StateRole::Leader) => Standing::Leader { epoch },
            (None, StateRole::Follower) => Standing::Follower { epoch, leader: self.leader() },
            (None, StateRole::Candidate | StateRole::PreCandidate) => Standing::Candidate { epoch },
        };
        if standing == self.told {
            return;
        }
        self.told = standing;
        self.rounds.clear();
        self.sending.clear();
        self.trail.clear();
        self.proposed = None;
        self.switch = None;
        self.uncommitted_bytes = 0;
        self.outputs.push_back(Output::Standing(standing));
        if self.is_leader() && self.settings.kind == crate::roster::Kind::Witness {
            self.note(Note::WitnessLeads);
        }
    }

    fn write(&mut self, write: Write) {
        self.outputs.push_back(Output::Write(write));
    }
}
