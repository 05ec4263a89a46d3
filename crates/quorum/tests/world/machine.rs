//! One machine: its clock, its disk, its process, and the state that the process keeps.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use tandem_quorum::{Input, Lease, Member, Note, Persisted, Settings, Snapshot, StandDown};

use super::disk::Disk;

pub struct Machine {
    pub at: usize,
    pub settings: Settings,
    member: Option<Member>,
    pub disk: Disk,
    /// What it starts from while its disk is empty.
    first: Persisted,
    /// How much faster than true time its clock is, in millionths.
    drift: i64,
    offset: u64,
    pub life: u64,
    pub paused: bool,
    pub backlog: Vec<Input>,
    pub wake_at: Option<u64>,
    /// The values that were agreed on, with their places.
    pub state: Vec<(u64, u64)>,
    pub applied: u64,
    /// What it proposed and is not agreed on yet.
    pub proposed: BTreeSet<u64>,
    pub serves: Vec<(u64, u32)>,
    pub stood_down: Vec<(u64, StandDown)>,
    pub notes: Vec<Note>,
    /// Bytes that a snapshot is longer than its values.
    pub padding: usize,
}

impl Machine {
    pub fn new(at: usize, settings: Settings, first: Persisted, drift: i64, offset: u64) -> Self {
        Self {
            at,
            settings,
            member: None,
            disk: Disk::new(400),
            first,
            drift,
            offset,
            life: 0,
            paused: false,
            backlog: Vec::new(),
            wake_at: None,
            state: Vec::new(),
            applied: 0,
            proposed: BTreeSet::new(),
            serves: Vec::new(),
            stood_down: Vec::new(),
            notes: Vec::new(),
            padding: 0,
        }
    }

    pub fn clock(&self, start: Instant, now: u64) -> Instant {
        let drifted = now as i64 + now as i64 * self.drift / 1_000_000;
        start + Duration::from_micros(drifted as u64 + self.offset)
    }

    /// The true moment at which the clock shows `at`.
    pub fn global(&self, start: Instant, at: Instant) -> u64 {
        let shown = (at.saturating_duration_since(start).as_nanos() as i64).div_euclid(1_000) + 1
            - self.offset as i64;
        let mut guess = shown * 1_000_000 / (1_000_000 + self.drift) - 2;
        while self.clock(start, guess.max(0) as u64) < at {
            guess += 1;
        }
        guess.max(0) as u64
    }

    pub fn member(&self) -> &Member {
        self.member.as_ref().unwrap()
    }

    pub fn member_mut(&mut self) -> &mut Member {
        self.member.as_mut().unwrap()
    }

    pub fn is_on(&self) -> bool {
        self.member.is_some()
    }

    pub fn runs(&self) -> bool {
        self.is_on() && !self.paused
    }

    pub fn may_send(&self, now: Instant) -> bool {
        self.runs() && self.member().lease().holds_at(now)
    }

    /// Until when its lease lasts by its clock, if it has one; a paused process keeps it.
    pub fn lease_end(&self, now: Instant) -> Option<Instant> {
        match self.member.as_ref()?.lease() {
            Lease::None => None,
            Lease::Until(end) => (now < end).then_some(end),
            Lease::Sole => Some(now + Duration::from_micros(10)),
        }
    }

    pub fn apply(&mut self, index: u64, value: u64) {
        assert!(index > self.applied, "entry {index} after {}", self.applied);
        self.applied = index;
        self.state.push((index, value));
    }

    pub fn snapshot(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u64(self.state.len() as u64);
        for (index, value) in &self.state {
            out.put_u64(*index);
            out.put_u64(*value);
        }
        out.resize(out.len() + self.padding, 7);
        out.freeze()
    }

    pub fn install(&mut self, snapshot: &Snapshot) {
        let number = |part: &[u8]| u64::from_be_bytes(part.try_into().unwrap());
        let pair = |pair: &[u8]| (number(&pair[..8]), number(&pair[8..]));
        let count = snapshot.data.get(..8).map_or(0, number) as usize;
        self.state = snapshot
            .data
            .chunks(8)
            .skip(1)
            .take(2 * count)
            .collect::<Vec<_>>()
            .concat()
            .chunks(16)
            .map(pair)
            .collect();
        self.applied = snapshot.base.index;
    }

    pub fn power_off(&mut self, luck: u64) {
        self.member = None;
        self.disk.power_off(luck);
        self.state.clear();
        self.applied = 0;
        self.proposed.clear();
        self.backlog.clear();
        self.paused = false;
        self.wake_at = None;
    }

    pub fn power_on(&mut self, now: Instant) {
        self.life += 1;
        let persisted = if self.disk.is_empty() { self.first.clone() } else { self.disk.read() };
        let settings = Settings { boot: self.life, ..self.settings.clone() };
        self.member = Some(Member::start(settings, persisted, now).unwrap());
    }

    pub fn picture(&self, now: Instant) -> String {
        match &self.member {
            None => format!("{}: off", self.at),
            Some(member) => format!(
                "{}{}: {:?} votes {:?} state {}",
                self.at,
                if self.paused { " (paused)" } else { "" },
                member.status(now),
                member.votes(),
                self.state.len()
            ),
        }
    }
}
