//! A member starts from what it has on its disk.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use raft::{Config, RawNode};

use super::Member;
use super::lease::Rounds;
use crate::io::{Output, Standing, Stopped, Write};
use crate::limits::{MAX_APPEND, MAX_APPLIED_AT_ONCE, MAX_IN_FLIGHT};
use crate::log::Log;
use crate::settings::Settings;
use crate::stored::{Persisted, Record};
use crate::timing::BadTiming;

/// Why a member cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotStart {
    /// Its name is 0.
    NoName,
    /// The timing cannot work.
    Timing(BadTiming),
    /// The log does not follow its snapshot, or ends before what was agreed on: a part of the disk is lost.
    Log {
        /// The snapshot's place.
        snapshot: u64,
        /// The log's first entry, if it has any.
        first: Option<u64>,
        /// The log's last entry, or the snapshot's place.
        last: u64,
        /// Up to where it was agreed on.
        committed: u64,
    },
    /// The engine refuses.
    Engine(String),
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("a member needs a name other than 0"),
            Self::Timing(bad) => bad.fmt(f),
            Self::Log { snapshot, first, last, committed } => write!(
                f,
                "the log does not go with its snapshot: snapshot {snapshot}, log {first:?} to {last}, agreed on to {committed}"
            ),
            Self::Engine(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CannotStart {}

fn check(persisted: &Persisted) -> Result<(), CannotStart> {
    let snapshot = persisted.snapshot.base.index;
    let first = persisted.entries.first().map(|entry| entry.index);
    let last = persisted.last_index();
    let committed = persisted.hard.commit;
    let row = persisted.entries.iter().zip(first.unwrap_or(0)..).all(|(entry, index)| entry.index == index);
    let joined = first.is_none_or(|first| first >= 1 && first <= snapshot + 1) && last >= snapshot;
    match row && joined && committed <= last {
        true => Ok(()),
        false => Err(CannotStart::Log { snapshot, first, last, committed }),
    }
}

impl Member {
    /// A member with what it has on its disk. It begins to act at once: drain [`poll_output`](Self::poll_output). The state
    /// comes as [`Output::Install`] and [`Output::Committed`], like everything later.
    ///
    /// # Errors
    /// Why it cannot start. Nothing has been written then.
    pub fn start(settings: Settings, persisted: Persisted, now: Instant) -> Result<Self, CannotStart> {
        let id = persisted.identity.id;
        if id.0 == 0 {
            return Err(CannotStart::NoName);
        }
        settings.timing.check().map_err(CannotStart::Timing)?;
        check(&persisted)?;
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let applied = persisted.snapshot.base.index;
        let engine = engine(&settings, &persisted, applied, &logger)?;
        let start = engine.store().start().clone();
        let behind = persisted.entries.iter().filter(|entry| entry.index > applied);
        let mut member = Self {
            next_tick: now + settings.timing.tick,
            quiet_until: Some(now + settings.timing.quiet()),
            identity: persisted.identity.clone(),
            told: Standing::Follower { epoch: 0, leader: None },
            roster: start.roster,
            votes: start.votes,
            settings,
            engine,
            logger,
            applied,
            now,
            stopped: None,
            heard_successor: false,
            outputs: VecDeque::new(),
            dirty: true,
            asking: 0,
            pending: VecDeque::new(),
            token: 0,
            slow_disk_told: false,
            rounds: Rounds::default(),
            serving: None,
            rested: None,
            reason: None,
            switch: None,
            peers: BTreeMap::new(),
            sending: BTreeMap::new(),
            receiving: None,
            arrived: None,
            wanted: None,
            latest: (applied, persisted.snapshot.data.len() as u64),
            bytes_since_snapshot: behind.map(|entry| entry.data.len() as u64).sum(),
            uncommitted_bytes: 0,
            trail: VecDeque::new(),
            proposed: None,
        };
        member.begin(persisted);
        Ok(member)
    }

    fn begin(&mut self, persisted: Persisted) {
        if let Some(me) = self.roster.get(self.identity.id) {
            self.settings.kind = me.kind;
        }
        if persisted.fresh {
            let records = vec![Record::Identity(persisted.identity.clone()), Record::Hard(persisted.hard)];
            let snapshot = Some(persisted.snapshot.clone()).filter(|snapshot| snapshot.base.index > 0);
            self.write_own(Write { fresh: true, snapshot, records, ..Write::default() }, None);
        }
        if !persisted.snapshot.data.is_empty() {
            self.outputs.push_back(Output::Install(persisted.snapshot));
        }
        if !self.roster.members().is_empty() {
            self.outputs.push_back(Output::Roster(self.roster.clone()));
        }
        if let Some(successor) = self.identity.superseded {
            let committed = self.engine.raft.raft_log.committed;
            let (by, generation) = (successor.by, successor.generation);
            self.stopped = Some(Stopped::Superseded { by, generation, committed });
        } else if self.is_sole_voter() {
            // There is nobody whose word could be broken.
            let _ = self.engine.campaign();
        }
    }

    /// Goes on from another log.
    pub(super) fn replace_engine(&mut self, persisted: &Persisted) {
        // What was checked at the start holds for what became of it; should it not, the member stays stopped.
        let Ok(engine) = engine(&self.settings, persisted, self.applied, &self.logger) else { return };
        let start = engine.store().start().clone();
        self.engine = engine;
        self.votes = start.votes;
        self.roster = start.roster;
        self.stopped = None;
        self.heard_successor = false;
        self.wanted = None;
        self.arrived = None;
        self.rested = None;
        self.quiet_until = Some(self.now + self.settings.timing.quiet());
    }
}

fn engine(
    settings: &Settings,
    persisted: &Persisted,
    applied: u64,
    logger: &slog::Logger,
) -> Result<RawNode<Log>, CannotStart> {
    let election_tick = usize::try_from(settings.timing.election_ticks).unwrap_or(usize::MAX);
    let patience = settings.patience();
    let config = Config {
        id: persisted.identity.id.0,
        applied,
        election_tick,
        // One value only: the engine draws from the process's own dice.
        min_election_tick: patience,
        max_election_tick: patience + 1,
        // Heartbeats are sent from here, each with the number of its round.
        heartbeat_tick: election_tick - 1,
        check_quorum: true,
        pre_vote: true,
        batch_append: true,
        max_size_per_msg: MAX_APPEND,
        max_inflight_msgs: MAX_IN_FLIGHT,
        max_committed_size_per_ready: MAX_APPLIED_AT_ONCE,
        ..Config::default()
    };
    RawNode::new(&config, Log::new(persisted), logger)
        .map_err(|refusal| CannotStart::Engine(refusal.to_string()))
}
