//! One machine of a pair: its process, its disk, and what waits for a process that is stopped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tandem_ha::{Server, Start};
use tandem_quorum::{
    self as quorum, Kind, MemberId, MemberInfo, Persisted, Replay, Seat, Settings, Snapshot,
};
use tandem_switch::{Directory, Input, Now};

use crate::dice::Dice;
use crate::wire::Packet;

/// What the kernel keeps for a stopped process; further packets are dropped.
const SOCKET_BUFFER: usize = 256;

/// Entries at which the next snapshot is made, and that are kept behind it: few, so that scenarios see snapshots.
const SNAPSHOT_AFTER: u64 = 300;
const KEPT_BEHIND: u64 = 60;

/// What was written, and what is on its way there.
#[derive(Debug)]
pub(super) struct Disk {
    snapshot: Option<Snapshot>,
    records: Vec<Bytes>,
    writing: VecDeque<quorum::Write>,
    /// The shortest time that a write takes; twice as long at most.
    pub takes: Duration,
    /// Nothing is written.
    pub stands: bool,
}

impl Disk {
    fn new() -> Self {
        let (records, writing) = (Vec::new(), VecDeque::new());
        Self { snapshot: None, records, writing, takes: Duration::from_micros(300), stands: false }
    }

    /// Takes a write. True if it is the first of those that wait.
    pub fn accept(&mut self, write: quorum::Write) -> bool {
        self.writing.push_back(write);
        self.writing.len() == 1
    }

    /// The first write is done: its token, and whether others wait.
    pub fn finish(&mut self) -> Option<(u64, bool)> {
        let write = self.writing.pop_front()?;
        let token = write.token;
        self.store(write);
        Some((token, !self.writing.is_empty()))
    }

    /// Whether anything waits to be written.
    pub fn is_busy(&self) -> bool {
        !self.writing.is_empty()
    }

    fn store(&mut self, write: quorum::Write) {
        if write.fresh {
            (self.snapshot, self.records) = (None, Vec::new());
        }
        if let Some(snapshot) = write.snapshot {
            self.snapshot = Some(snapshot);
        }
        self.records.extend(write.records.iter().map(quorum::Record::encode));
    }

    /// The process dies: some of what was on its way is there, in its order.
    fn loses_power(&mut self, dice: &mut Dice) {
        let kept = dice.below(self.writing.len() as u64 + 1);
        for _ in 0..kept {
            self.finish();
        }
        self.writing.clear();
    }

    /// What a process that starts finds; `None` if there is nothing.
    fn persisted(&self) -> Option<Persisted> {
        if self.records.is_empty() {
            return None;
        }
        let mut replay = Replay::new(self.snapshot.clone());
        self.records.iter().try_for_each(|record| replay.record(record.clone())).ok()?;
        replay.finish().ok()
    }
}

/// See the module.
pub(super) struct Machine {
    place: usize,
    kind: Kind,
    pub disk: Disk,
    /// Its process; `None` while it is dead.
    pub server: Option<Server>,
    /// How often it was started: what belongs to an earlier process is void.
    pub life: u64,
    /// The process is stopped (SIGSTOP).
    pub paused: bool,
    /// What other members and the disk have for a stopped process.
    pub backlog: VecDeque<quorum::Input>,
    /// What phones have for it.
    pub inbox: VecDeque<Packet>,
    /// What clients have for it.
    pub waiting: VecDeque<Input>,
    /// The epoch in which it serves, or served last.
    pub epoch: u32,
    /// Its cable is out: neither phones nor members reach it, nor it them.
    pub unplugged: bool,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("place", &self.place)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// A member by its place.
pub(super) fn info(place: usize, kind: Kind) -> MemberInfo {
    let id = MemberId(place as u64 + 1);
    MemberInfo { id, kind, seat: Seat::Voter, address: place.to_string() }
}

/// A member's place.
pub(super) fn place_of(id: MemberId) -> usize {
    usize::try_from(id.0.saturating_sub(1)).unwrap_or(usize::MAX)
}

impl Machine {
    pub fn new(place: usize, kind: Kind) -> Self {
        Self {
            place,
            kind,
            disk: Disk::new(),
            server: None,
            life: 0,
            paused: false,
            backlog: VecDeque::new(),
            inbox: VecDeque::new(),
            waiting: VecDeque::new(),
            epoch: 0,
            unplugged: false,
        }
    }

    /// Its process runs.
    pub fn runs(&self) -> bool {
        self.server.is_some() && !self.paused
    }

    /// Starts the process with what its disk has, or with `fresh`. Why it does not, if it does not.
    pub fn start(
        &mut self,
        fresh: Persisted,
        directory: Arc<Directory>,
        seed: [u8; 32],
        now: Now,
    ) -> Option<String> {
        self.life += 1;
        let rank = u8::try_from(self.place).unwrap_or(u8::MAX);
        let settings = Settings::new(self.kind, rank, self.life);
        let settings = Settings { snapshot_after: SNAPSHOT_AFTER, kept_behind: KEPT_BEHIND, ..settings };
        let persisted = self.disk.persisted().unwrap_or(fresh);
        let owner = u16::try_from(self.place + 1).unwrap_or(u16::MAX);
        let start = Start { persisted, settings, directory, seed, owner };
        match Server::new(start, now) {
            Ok(server) => {
                self.server = Some(server);
                None
            }
            Err(why) => Some(why.to_string()),
        }
    }

    /// The process dies.
    pub fn die(&mut self, dice: &mut Dice) {
        self.server = None;
        self.paused = false;
        self.disk.loses_power(dice);
        self.backlog.clear();
        self.inbox.clear();
        self.waiting.clear();
        self.life += 1;
    }

    /// Keeps a packet for a stopped process.
    pub fn keep(&mut self, packet: Packet) {
        if self.inbox.len() < SOCKET_BUFFER {
            self.inbox.push_back(packet);
        }
    }
}
