//! Members of a group on machines of their own: one virtual clock, one seed, faults as they come, and what must hold after
//! every step.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub mod checks;
pub mod disk;
pub mod machine;
pub mod net;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tandem_quorum::{Kind, MemberId, MemberInfo, Note, Output, Persisted, Refused, Seat, Settings, Standing};

use checks::Checks;
use machine::Machine;
use net::Net;

pub const MS: u64 = 1_000;
pub const SECOND: u64 = 1_000_000;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A machine's member wants to be woken.
    Wake { machine: usize },
    /// A frame arrives.
    Frame { machine: usize, from: usize, bytes: Bytes },
    /// A machine's disk is done with its oldest write.
    Disk { machine: usize, life: u64 },
}

pub struct World {
    pub seed: u64,
    pub now: u64,
    pub start: Instant,
    pub dice: ChaCha8Rng,
    pub machines: Vec<Machine>,
    pub net: Net,
    pub checks: Checks,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    counter: u64,
    next_value: u64,
}

pub fn info(id: u64, kind: Kind, seat: Seat) -> MemberInfo {
    MemberInfo { id: MemberId(id), kind, seat, address: format!("10.0.0.{id}:5990") }
}

/// Machine 0, 1: servers; 2: the witness.
pub const KINDS: [Kind; 3] = [Kind::Server, Kind::Server, Kind::Witness];

impl World {
    /// Machines that have never been started: the first founds a group, the others wait to be added.
    pub fn new(seed: u64, kinds: &[Kind]) -> Self {
        let mut world = Self {
            seed,
            now: 0,
            start: Instant::now(),
            dice: ChaCha8Rng::seed_from_u64(seed),
            machines: Vec::new(),
            net: Net::default(),
            checks: Checks::default(),
            events: BinaryHeap::new(),
            counter: 0,
            next_value: 1,
        };
        for (at, kind) in kinds.iter().enumerate() {
            let id = at as u64 + 1;
            let persisted = match at {
                0 => Persisted::found(77, info(id, *kind, Seat::Voter)),
                _ => Persisted::join(MemberId(id)),
            };
            let mut settings = Settings::new(*kind, at as u8, 0);
            settings.snapshot_after = 60;
            settings.kept_behind = 20;
            let drift = world.roll(6_000) as i64 - 3_000;
            let offset = world.roll(1_000 * SECOND);
            world.machines.push(Machine::new(at, settings, persisted, drift, offset));
        }
        for at in 0..kinds.len() {
            world.power_on(at);
        }
        world
    }

    /// A pair with its witness, all voting.
    pub fn trio(seed: u64) -> Self {
        let mut world = Self::new(seed, &KINDS);
        world.run(20 * MS);
        world.add(1, Seat::Voter);
        world.run(60 * MS);
        world.add(2, Seat::Voter);
        world.run_until(SECOND, "three voters", |world| {
            world.machines.iter().all(|machine| machine.member().votes().voters == [1, 2, 3])
        });
        world.run(100 * MS);
        world
    }

    /// A primary that votes alone and a backup that learns.
    pub fn pair(seed: u64) -> Self {
        let mut world = Self::new(seed, &KINDS[..2]);
        world.run(20 * MS);
        world.add(1, Seat::Learner);
        world.run_until(SECOND, "a learner", |world| {
            world.machines[1].member().status(world.local(1)).last > 1
        });
        world
    }

    pub fn add(&mut self, machine: usize, seat: Seat) {
        let member = info(machine as u64 + 1, self.machines[machine].settings.kind, seat);
        let now = self.local(0);
        let change = tandem_quorum::Change::add(member);
        let at = self.server().unwrap_or(0);
        self.machines[at].member_mut().change(&change, now).unwrap();
        self.after(at);
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.dice.next_u64() % below.max(1)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    /// A machine's monotonic clock.
    pub fn local(&self, machine: usize) -> Instant {
        self.machines[machine].clock(self.start, self.now)
    }

    fn push(&mut self, at: u64, event: Event) {
        self.counter += 1;
        self.events.push(Reverse((at, self.counter, event)));
    }

    /// Who serves, and may.
    pub fn server(&self) -> Option<usize> {
        (0..self.machines.len()).find(|at| self.machines[*at].may_send(self.local(*at)))
    }

    pub fn run(&mut self, micros: u64) {
        let end = self.now + micros;
        while let Some(Reverse((at, _, _))) = self.events.peek() {
            if *at > end {
                break;
            }
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = end;
        self.check_leases();
    }

    /// Runs until something is so, and says how long that took.
    pub fn run_until(&mut self, most: u64, what: &str, so: impl Fn(&Self) -> bool) -> u64 {
        let began = self.now;
        while !so(self) {
            assert!(self.now - began < most, "not within {} ms: {what}\n{}", most / MS, self.picture());
            self.run(MS);
        }
        self.now - began
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { machine } => {
                if self.machines[machine].wake_at == Some(self.now) {
                    self.machines[machine].wake_at = None;
                }
                let now = self.local(machine);
                if self.machines[machine].runs() {
                    self.machines[machine].member_mut().handle_timeout(now);
                    self.after(machine);
                }
            }
            Event::Frame { machine, from, bytes } => self.frame(machine, from, bytes),
            Event::Disk { machine, life } => {
                if self.machines[machine].life == life && self.machines[machine].is_on() {
                    let token = self.machines[machine].disk.finish();
                    self.tell(machine, token.map(|token| tandem_quorum::Input::Stored { token }));
                    self.next_write(machine);
                }
            }
        }
    }

    fn frame(&mut self, machine: usize, from: usize, bytes: Bytes) {
        if !self.machines[machine].is_on() || self.net.is_cut(from, machine) {
            return;
        }
        self.tell(machine, Some(tandem_quorum::Input::Frame { bytes }));
    }

    /// Tells a member something, now or when its process goes on.
    fn tell(&mut self, machine: usize, input: Option<tandem_quorum::Input>) {
        let Some(input) = input else { return };
        let now = self.local(machine);
        let machine_at = &mut self.machines[machine];
        if machine_at.paused {
            machine_at.backlog.push(input);
            return;
        }
        machine_at.member_mut().handle_input(input, now);
        self.after(machine);
    }

    /// Carries out what a member asks for.
    pub fn after(&mut self, machine: usize) {
        while let Some(output) = self.machines[machine].member_mut().poll_output() {
            self.carry_out(machine, output);
        }
        self.schedule(machine);
        self.check_leases();
    }

    fn schedule(&mut self, machine: usize) {
        let Some((wake, _)) = self.machines[machine].member().poll_timeout() else { return };
        let at = self.machines[machine].global(self.start, wake).max(self.now);
        let sooner = self.machines[machine].wake_at.is_none_or(|planned| at < planned || planned < self.now);
        if sooner {
            self.machines[machine].wake_at = Some(at);
            self.push(at, Event::Wake { machine });
        }
    }

    fn carry_out(&mut self, machine: usize, output: Output) {
        match output {
            Output::Send { to, frame } => {
                let to = to.0 as usize - 1;
                if let Some(tap) = &mut self.net.tap {
                    tap.push((to, frame.clone()));
                }
                if let Some(delay) = self.net.delay(machine, to, &mut self.dice) {
                    self.push(self.now + delay, Event::Frame { machine: to, from: machine, bytes: frame });
                }
            }
            Output::Write(write) => {
                let idle = self.machines[machine].disk.accept(write);
                if idle {
                    self.next_write(machine);
                }
            }
            Output::Committed { index, epoch, batch } => {
                let value = u64::from_be_bytes(batch.as_ref().try_into().unwrap());
                self.checks.applied(machine, index, epoch, value);
                self.machines[machine].apply(index, value);
                if self.machines[machine].proposed.remove(&value) && self.server() == Some(machine) {
                    self.checks.told(value);
                }
            }
            Output::Install(snapshot) => self.machines[machine].install(&snapshot),
            Output::SnapshotWanted { index } => {
                let data = self.machines[machine].snapshot();
                self.tell(machine, Some(tandem_quorum::Input::SnapshotMade { index, data }));
            }
            Output::Serve { epoch, resumed } => {
                self.checks.serves(machine, epoch, resumed, &self.machines[machine].state);
                self.machines[machine].serves.push((self.now, epoch));
            }
            Output::StandDown { reason, .. } => {
                self.machines[machine].proposed.clear();
                self.machines[machine].stood_down.push((self.now, reason));
            }
            Output::Standing(standing) => {
                if standing == Standing::Stopped {
                    self.machines[machine].proposed.clear();
                }
            }
            Output::Roster(_) => {}
            Output::Note(note) => self.noted(machine, note),
        }
    }

    fn noted(&mut self, machine: usize, note: Note) {
        assert!(!matches!(note, Note::BadFrame(_) | Note::OtherGroup { .. }), "{note:?}");
        self.machines[machine].notes.push(note);
    }

    fn next_write(&mut self, machine: usize) {
        if let Some(base) = self.machines[machine].disk.next() {
            let spread = self.roll(base);
            let life = self.machines[machine].life;
            self.push(self.now + base / 2 + spread, Event::Disk { machine, life });
        }
    }

    /// Whoever serves proposes a value; `None` if nobody took it.
    pub fn propose(&mut self) -> Option<u64> {
        let machine = self.server()?;
        self.propose_at(machine).ok()
    }

    pub fn propose_at(&mut self, machine: usize) -> Result<u64, Refused> {
        let value = self.next_value;
        let now = self.local(machine);
        let batch = Bytes::copy_from_slice(&value.to_be_bytes());
        self.machines[machine].member_mut().propose(batch, now)?;
        self.next_value += 1;
        self.machines[machine].proposed.insert(value);
        self.after(machine);
        Ok(value)
    }

    /// Runs while whoever serves proposes something now and then.
    pub fn work(&mut self, micros: u64, every: u64) {
        let end = self.now + micros;
        while self.now < end {
            self.propose();
            self.run(every);
        }
    }

    /// The machine loses its power; what the disk had not finished may or may not be there.
    pub fn power_off(&mut self, machine: usize) {
        let now = self.local(machine);
        let until =
            self.machines[machine].lease_end(now).map(|end| self.machines[machine].global(self.start, end));
        self.checks.died(machine, until);
        let luck = self.dice.next_u64();
        self.machines[machine].power_off(luck);
    }

    pub fn power_on(&mut self, machine: usize) {
        let now = self.local(machine);
        self.machines[machine].power_on(now);
        self.checks.started(machine);
        self.after(machine);
    }

    /// The process is stopped (SIGSTOP) or goes on.
    pub fn pause(&mut self, machine: usize, paused: bool) {
        self.machines[machine].paused = paused;
        if paused || !self.machines[machine].is_on() {
            return;
        }
        let backlog = std::mem::take(&mut self.machines[machine].backlog);
        for input in backlog {
            self.tell(machine, Some(input));
        }
        self.machines[machine].wake_at = None;
        let now = self.local(machine);
        self.machines[machine].member_mut().handle_timeout(now);
        self.after(machine);
    }

    fn check_leases(&mut self) {
        let ends: Vec<Option<u64>> = (0..self.machines.len())
            .map(|at| {
                let end = self.machines[at].lease_end(self.local(at))?;
                Some(self.machines[at].global(self.start, end))
            })
            .collect();
        let picture = self.checks.leases(self.now, &ends);
        assert!(picture.is_none(), "{}\n{}", picture.unwrap_or_default(), self.picture());
    }

    /// Everything works again.
    pub fn heal(&mut self) {
        self.net.mend();
        for machine in 0..self.machines.len() {
            self.machines[machine].disk.micros = 400;
            self.stall(machine, false);
            if self.machines[machine].paused {
                self.pause(machine, false);
            }
            if !self.machines[machine].is_on() {
                self.power_on(machine);
            }
        }
    }

    /// Who was superseded is emptied, as an operator would.
    pub fn take_back(&mut self) {
        for machine in 0..self.machines.len() {
            let status = self.machines[machine].member().status(self.local(machine));
            if matches!(status.stopped, Some(tandem_quorum::Stopped::Superseded { .. }))
                && self.server().is_some()
            {
                self.rejoin(machine).unwrap();
            }
        }
    }

    /// A machine's disk answers nothing, or goes on.
    pub fn stall(&mut self, machine: usize, stalled: bool) {
        let goes_on = self.machines[machine].disk.stalled && !stalled;
        self.machines[machine].disk.stalled = stalled;
        if goes_on {
            self.next_write(machine);
        }
    }

    /// Everybody who belongs to the group has everything that the outside was told of.
    pub fn all_agree(&mut self) {
        self.run_until(6 * SECOND, "everybody has everything", |world| {
            let Some(server) = world.server() else { return false };
            let (state, ids) =
                (&world.machines[server].state, world.machines[server].member().roster().clone());
            let same = |machine: &Machine| machine.is_on() && machine.state == *state;
            ids.members().iter().all(|member| same(&world.machines[member.id.0 as usize - 1]))
        });
        let server = self.server().unwrap();
        self.checks.all_told(server, &self.machines[server].state);
    }

    pub fn switchover(&mut self) -> Result<MemberId, Refused> {
        let at = self.server().ok_or(Refused::NotServing { leader: None })?;
        let now = self.local(at);
        let answer = self.machines[at].member_mut().switchover(None, false, now);
        self.after(at);
        answer
    }

    pub fn takeover(&mut self, at: usize, force: bool) -> Result<(), Refused> {
        let now = self.local(at);
        let answer = self.machines[at].member_mut().takeover(force, now);
        self.after(at);
        answer
    }

    pub fn rejoin(&mut self, at: usize) -> Result<(), Refused> {
        let now = self.local(at);
        let answer = self.machines[at].member_mut().rejoin(now);
        self.after(at);
        answer
    }

    pub fn change(&mut self, change: &tandem_quorum::Change) -> Result<(), Refused> {
        let at = self.server().ok_or(Refused::NotServing { leader: None })?;
        let now = self.local(at);
        let answer = self.machines[at].member_mut().change(change, now);
        self.after(at);
        answer
    }

    pub fn silence(&self, from: u64) -> Duration {
        Duration::from_micros(self.now - from)
    }

    pub fn picture(&self) -> String {
        let mut lines = vec![format!("seed {}, at {} ms", self.seed, self.now / MS)];
        for machine in &self.machines {
            lines.push(machine.picture(self.local(machine.at)));
        }
        lines.join("\n")
    }
}
