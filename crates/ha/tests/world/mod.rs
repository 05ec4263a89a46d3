//! Servers of one site with their disks and the network between them, in virtual time; a phone that registers.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_ha::{Input, Output, Revived, Server, Start};
use tandem_quorum::{
    self as quorum, Change, Kind, MemberId, MemberInfo, Persisted, Replay, Seat, Settings, Snapshot,
};
use tandem_sip::{Flow, Message, Transport};
use tandem_switch::directory::{Authenticate, DnClass, Extension, Listen, Options, Server as Named};
use tandem_switch::{self as switch, Directory, DrainOrder, Event, Now};

pub const PHONE: &str = "10.0.0.11:5060";
/// How long a frame travels, and a write takes.
const TRAVELS: Duration = Duration::from_millis(1);
const WRITES: Duration = Duration::from_millis(2);

fn directory() -> Arc<Directory> {
    let server = Named {
        name: "site-a".into(),
        switch: "switch-a".into(),
        sip_address: "10.0.0.1".into(),
        sip_port: 5060,
        listen: vec![Listen { transport: Transport::Udp, addr: "10.0.0.1:5060".parse().unwrap() }],
        realm: "tandem".into(),
        nonce_secret: [3; 32],
    };
    let authenticate = Authenticate { register: false, invite: false };
    let options = Options { authenticate, ..Options::default() };
    let class = Arc::new(DnClass::default());
    let extensions =
        ["1001", "1002"].map(|number| Extension { number: number.into(), class: Arc::clone(&class) });
    Arc::new(Directory::new(server, options, extensions.into(), Vec::new(), Vec::new()).unwrap())
}

/// A server's disk: what was written, and what is on its way there.
#[derive(Default)]
struct Disk {
    snapshot: Option<Snapshot>,
    records: Vec<Bytes>,
    writing: VecDeque<(Instant, quorum::Write)>,
}

impl Disk {
    fn stored(&mut self, write: quorum::Write) {
        if write.fresh {
            (self.snapshot, self.records) = (None, Vec::new());
        }
        if let Some(snapshot) = write.snapshot {
            self.snapshot = Some(snapshot);
        }
        self.records.extend(write.records.iter().map(quorum::Record::encode));
    }

    fn persisted(&self) -> Option<Persisted> {
        if self.records.is_empty() {
            return None;
        }
        let mut replay = Replay::new(self.snapshot.clone());
        self.records.iter().for_each(|record| replay.record(record.clone()).unwrap());
        Some(replay.finish().unwrap())
    }
}

/// One machine.
pub struct Machine {
    kind: Kind,
    disk: Disk,
    pub server: Option<Server>,
    /// What is made of the records, and when it will be there.
    reviving: Option<(Instant, Box<Revived>)>,
    boots: u64,
    /// Neither frames nor writes go anywhere.
    pub cut_off: bool,
    pub disk_stands: bool,
    /// Statuses of the answers that left, and when.
    pub said: Vec<(Instant, u16)>,
    /// Messages that left, and when.
    pub sent: Vec<(Instant, Message)>,
    /// Calls whose records for the operator left.
    pub over: Vec<u128>,
    /// Writes that the disk was asked for.
    pub writes: usize,
    /// When it began to serve, and when it stopped, in turn.
    pub served: Vec<(Instant, bool)>,
    /// When its process was to end because the site is drained.
    pub ends: Option<Instant>,
}

pub struct World {
    pub now: Now,
    pub machines: Vec<Machine>,
    frames: VecDeque<(Instant, usize, Bytes)>,
    cseq: u32,
    /// How long it takes to make a Node of the records.
    pub restores: Duration,
}

fn member(place: usize, kind: Kind) -> MemberInfo {
    MemberInfo { id: MemberId(place as u64 + 1), kind, seat: Seat::Voter, address: place.to_string() }
}

impl World {
    /// One server of a site, as it is without a word of configuration.
    pub fn alone() -> Self {
        let mut world = Self {
            now: Now { mono: Instant::now(), unix_ms: 1_800_000_000_000 },
            machines: Vec::new(),
            frames: VecDeque::new(),
            cseq: 0,
            restores: Duration::ZERO,
        };
        world.add(Kind::Server);
        world.boot(0, Persisted::found(7, member(0, Kind::Server)));
        world.pass(Duration::from_millis(100));
        world
    }

    /// A primary, a backup and a witness; the first serves.
    pub fn pair() -> Self {
        let mut world = Self::alone();
        for (place, kind) in [(1, Kind::Server), (2, Kind::Witness)] {
            world.add(kind);
            world.start(place);
        }
        let change =
            Change { set: vec![member(1, Kind::Server), member(2, Kind::Witness)], remove: Vec::new() };
        let now = world.now;
        world.machines[0].server.as_mut().unwrap().change(&change, now).unwrap();
        world.drain(0);
        world.pass(Duration::from_secs(2));
        world
    }

    fn add(&mut self, kind: Kind) {
        let (disk, said, served) = (Disk::default(), Vec::new(), Vec::new());
        self.machines.push(Machine {
            kind,
            disk,
            server: None,
            reviving: None,
            boots: 0,
            cut_off: false,
            disk_stands: false,
            said,
            sent: Vec::new(),
            served,
            over: Vec::new(),
            writes: 0,
            ends: None,
        });
    }

    fn boot(&mut self, place: usize, fresh: Persisted) {
        let now = self.now;
        let machine = &mut self.machines[place];
        machine.boots += 1;
        let settings = Settings::new(machine.kind, u8::try_from(place).unwrap(), machine.boots);
        let settings = Settings { snapshot_after: 200, kept_behind: 50, ..settings };
        let persisted = machine.disk.persisted().unwrap_or(fresh);
        let start = Start { persisted, settings, directory: directory(), seed: [9; 32], owner: 1 };
        machine.server = Some(Server::new(start, now).unwrap());
        self.drain(place);
    }

    /// The process is killed: what was not on the disk is gone.
    pub fn kill(&mut self, place: usize) {
        let machine = &mut self.machines[place];
        (machine.server, machine.reviving) = (None, None);
        machine.disk.writing.clear();
    }

    pub fn start(&mut self, place: usize) {
        self.boot(place, Persisted::join(MemberId(place as u64 + 1)));
    }

    fn drain(&mut self, place: usize) {
        let (now, restores) = (self.now, self.restores);
        self.speak(place, restores);
        // What was made of the records is there, if it is time.
        let machine = &mut self.machines[place];
        if let Some((_, revived)) = machine.reviving.take_if(|(at, _)| *at <= now.mono) {
            machine.server.as_mut().unwrap().handle_input(Input::Revived(revived), now);
            self.speak(place, restores);
        }
    }

    fn speak(&mut self, place: usize, restores: Duration) {
        let now = self.now;
        let machine = &mut self.machines[place];
        while let Some(output) = machine.server.as_mut().and_then(|server| server.poll_output(now)) {
            match output {
                Output::Node(switch::Output::Transmit(transmit)) => {
                    let message = Message::parse(transmit.payload).unwrap();
                    machine.said.extend(message.code().map(|code| (now.mono, code)));
                    machine.sent.push((now.mono, message));
                }
                Output::Node(switch::Output::Cdr(cdr)) => {
                    machine.over.push(u128::from_str_radix(&cdr.call_uuid, 16).unwrap());
                }
                Output::Node(switch::Output::Event(Event::Drained { .. })) | Output::SiteDrained => {
                    machine.ends.get_or_insert(now.mono);
                }
                Output::Node(_) => {}
                Output::Member(quorum::Output::Send { to, frame }) if !machine.cut_off => {
                    let to = usize::try_from(to.0).unwrap() - 1;
                    self.frames.push_back((now.mono + TRAVELS, to, frame));
                }
                Output::Member(quorum::Output::Write(write)) => {
                    machine.writes += 1;
                    machine.disk.writing.push_back((now.mono + WRITES, write));
                }
                Output::Restore(restore) => {
                    machine.reviving = Some((now.mono + restores, Box::new(restore.run())));
                }
                Output::Serving { .. } => machine.served.push((now.mono, true)),
                Output::Stopped { .. } => machine.served.push((now.mono, false)),
                Output::Member(_) | Output::Resumed | Output::Unreadable(_) => {}
            }
        }
    }

    /// The next moment at which something happens.
    fn next(&self) -> Option<Instant> {
        let frames = self.frames.iter().map(|(at, ..)| *at);
        let machines = self.machines.iter().filter(|machine| machine.server.is_some());
        let timers = machines.clone().filter_map(|machine| machine.server.as_ref()?.poll_timeout());
        let writes =
            machines.filter(|machine| !machine.disk_stands).filter_map(|m| Some(m.disk.writing.front()?.0));
        let revived = self.machines.iter().filter_map(|machine| Some(machine.reviving.as_ref()?.0));
        frames.chain(timers).chain(writes).chain(revived).min()
    }

    pub fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        while let Some(at) = self.next().filter(|at| *at <= end.mono) {
            self.now = self.now.plus(at.saturating_duration_since(self.now.mono));
            self.happen();
        }
        self.now = end;
    }

    fn happen(&mut self) {
        let now = self.now;
        for place in 0..self.machines.len() {
            let machine = &mut self.machines[place];
            let Some(server) = &mut machine.server else { continue };
            while !machine.disk_stands && machine.disk.writing.front().is_some_and(|(at, _)| *at <= now.mono)
            {
                let (_, write) = machine.disk.writing.pop_front().unwrap();
                let token = write.token;
                machine.disk.stored(write);
                server.handle_input(Input::Member(quorum::Input::Stored { token }), now);
            }
            if server.poll_timeout().is_some_and(|at| at <= now.mono) {
                server.handle_timeout(now);
            }
            self.drain(place);
        }
        while self.frames.front().is_some_and(|(at, ..)| *at <= now.mono) {
            let (_, to, bytes) = self.frames.pop_front().unwrap();
            let machine = &mut self.machines[to];
            if let Some(server) = machine.server.as_mut().filter(|_| !machine.cut_off) {
                server.handle_input(Input::Member(quorum::Input::Frame { bytes }), now);
            }
            self.drain(to);
        }
    }

    /// The process is about to end by itself.
    pub fn end(&mut self, place: usize) {
        if let Some(server) = &mut self.machines[place].server {
            server.end();
        }
        self.drain(place);
    }

    /// Somebody tells the Node of this machine something.
    pub fn tell(&mut self, place: usize, input: switch::Input) {
        let now = self.now;
        if let Some(server) = &mut self.machines[place].server {
            server.handle_input(Input::Node(input), now);
        }
        self.drain(place);
    }

    /// A phone says this to this machine.
    pub fn receive(&mut self, place: usize, text: &str) {
        let message = Message::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap();
        let remote: SocketAddr = PHONE.parse().unwrap();
        let flow = Flow { transport: Transport::Udp, local: 0, remote, conn: 0 };
        self.tell(place, switch::Input::Sip { flow, message });
    }

    /// The phone of this number registers at this machine.
    pub fn register(&mut self, place: usize, number: &str) {
        self.cseq += 1;
        let cseq = self.cseq;
        let text = format!(
            "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{cseq}\nFrom: <sip:{number}@tandem>;tag=f\n\
             To: <sip:{number}@tandem>\nCall-ID: {number}\nCSeq: {cseq} REGISTER\nContact: <sip:{number}@{PHONE}>\n\
             Expires: 3600\nContent-Length: 0\n\n"
        );
        self.receive(place, &text);
    }

    /// This server is ordered to drain.
    pub fn order_drain(&mut self, place: usize) {
        let order = switch::Input::Drain(DrainOrder::Start { by: "ops".into() });
        let now = self.now;
        self.machines[place].server.as_mut().unwrap().handle_input(Input::Node(order), now);
        self.drain(place);
    }

    /// The first server hands over to the second.
    pub fn switch_over(&mut self) {
        let now = self.now;
        self.machines[0].server.as_mut().unwrap().switchover(None, false, now).unwrap();
        self.drain(0);
    }

    /// Numbers whose phones are registered, as the server that serves has it; `None` while it does not.
    pub fn registered(&self, place: usize) -> Option<Vec<String>> {
        let node = self.machines[place].server.as_ref()?.node()?;
        Some(node.reg_list(self.now).into_iter().map(|binding| binding.dn).collect())
    }
}
