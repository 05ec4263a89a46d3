//! A disk that takes its time: what is written is there once it says so; of the rest, some may be, in order.

use std::collections::VecDeque;

use bytes::Bytes;
use tandem_quorum::{Persisted, Replay, Snapshot, Write};

#[derive(Default)]
pub struct Disk {
    snapshot: Option<Bytes>,
    /// Blocks, each the records of one write.
    journal: Vec<Vec<Bytes>>,
    waiting: VecDeque<Write>,
    busy: bool,
    /// How long a write takes, about.
    pub micros: u64,
    /// It answers nothing.
    pub stalled: bool,
    /// It says that it has what it does not have yet.
    pub lies: bool,
}

impl Disk {
    pub fn new(micros: u64) -> Self {
        Self { micros, ..Self::default() }
    }

    /// Takes a write; is it the only one?
    pub fn accept(&mut self, write: Write) -> bool {
        self.waiting.push_back(write);
        !self.busy
    }

    /// Begins with the next write, and says how long it takes.
    pub fn next(&mut self) -> Option<u64> {
        self.busy = !self.waiting.is_empty() && !self.stalled;
        self.busy.then_some(self.micros.max(2))
    }

    /// The oldest write is done.
    pub fn finish(&mut self) -> Option<u64> {
        self.busy = false;
        let write = self.waiting.pop_front()?;
        let token = write.token;
        self.keep(write, true);
        Some(token)
    }

    fn keep(&mut self, write: Write, whole: bool) {
        if write.fresh {
            self.snapshot = None;
            self.journal.clear();
        }
        if let Some(snapshot) = write.snapshot {
            self.snapshot = Some(snapshot.encode());
        }
        if whole {
            let records: Vec<Bytes> = write.records.iter().map(tandem_quorum::Record::encode).collect();
            if !records.is_empty() {
                self.journal.push(records);
            }
        }
    }

    /// The power goes: some of what waited is kept, the last of it perhaps with its snapshot only.
    pub fn power_off(&mut self, luck: u64) {
        let kept = luck % (self.waiting.len() as u64 + 1);
        for _ in 0..kept {
            if let Some(write) = self.waiting.pop_front() {
                self.keep(write, true);
            }
        }
        if luck & (1 << 32) != 0
            && let Some(write) = self.waiting.pop_front()
            && !write.fresh
        {
            self.keep(write, false);
        }
        self.waiting.clear();
        self.busy = false;
    }

    pub fn is_empty(&self) -> bool {
        self.journal.is_empty()
    }

    /// Everything is gone: a new disk.
    pub fn wipe(&mut self) {
        self.snapshot = None;
        self.journal.clear();
    }

    pub fn read(&self) -> Persisted {
        let snapshot = self.snapshot.clone().map(|bytes| Snapshot::decode(bytes).unwrap());
        let mut replay = Replay::new(snapshot);
        for record in self.journal.iter().flatten() {
            replay.record(record.clone()).unwrap();
        }
        replay.finish().unwrap()
    }
}
