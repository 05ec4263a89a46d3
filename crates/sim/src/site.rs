//! One site: a [`Node`], and everything around it that a real server has: its clock, its sockets, its committer.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_peer::{Batch, ReplicaSet};
use tandem_sip::{Flow, Message, Transmit, Transport};
use tandem_switch::anchor::AnchorNews;
use tandem_switch::cti::{CtiInput, LinkId, Outgoing};
use tandem_switch::{Cdr, Directory, Event, Input, Node, Now, Output, Restored, Term};

use crate::broken::{Broken, Comes};
use crate::dice::Dice;
use crate::engine::Engine;
use crate::oracle::Invariant;
use crate::oracle::agents::Agents;
use crate::pair::{Heard, News, Pair};
use crate::recorder::Recorder;
use crate::sites::SiteId;
use crate::time::At;
use crate::wire::{Over, Packet, Wire};

/// Packets that the kernel keeps for a stopped process; further ones are dropped.
const SOCKET_BUFFER: usize = 256;

/// The wall clock at the start, ms since the Unix epoch.
const WALL_START_MS: u64 = 1_800_000_000_000;

/// What the worst clock of a simulation ([`Site::drift_ppm`]) may make of the longest timer that an oracle knows, 33 s.
const MOST_DRIFT: Duration = Duration::from_millis(200);

/// Sockets by index, as the directory lists them.
const UDP: u8 = 0;
const TCP: u8 = 1;

/// One site.
#[derive(Debug)]
pub struct Site {
    /// Which one.
    pub id: SiteId,
    /// Its configuration.
    pub directory: Arc<Directory>,
    /// The configuration that its server is given: the same, unless that server is [`Broken`].
    pub given: Arc<Directory>,
    broken: Option<Broken>,
    telling: VecDeque<Outgoing>,
    /// Its server; `None` while the process is dead, and at a pair.
    bare: Option<Node>,
    /// Its servers, if it is a pair.
    pub pair: Option<Box<Pair>>,
    /// A pair's server has spoken, and has not stopped since.
    pub speaks: bool,
    /// The session of the oracles' own client at a pair, and the number of the last event that it has.
    pub overhears: Option<(String, u64)>,
    /// That client has missed something, and knows of nothing any more.
    pub is_deaf: bool,
    /// How often it was started.
    pub incarnation: u32,
    /// How far its wall clock is off, ms.
    pub skew_ms: i64,
    /// How fast its clocks run, parts per million more than the world's.
    pub drift_ppm: i32,
    /// Stopped: it neither reads nor writes, and its clock runs on.
    pub frozen: bool,
    /// How long its committer takes.
    pub commit_delay: Duration,
    /// Batches on their way to the committer, and the longest that one of them may take.
    pub uncommitted: (u32, Duration),
    /// What its committer has: it outlives the process.
    pub disk: ReplicaSet,
    /// Batches that the committer was given and has not confirmed.
    unconfirmed: VecDeque<Batch>,
    /// What the committer was given reaches the disk although the process dies before it hears so.
    pub dies_late: bool,
    /// It dies at its next `Store`, before anything that waits for it.
    pub dies_at_store: bool,
    /// Everything it reported.
    pub events: Vec<(At, Event)>,
    drained: bool,
    agents: Option<Agents>,
    /// Its media server.
    pub engine: Engine,
    /// Its call records.
    pub cdrs: Vec<Cdr>,
    /// Who writes them.
    pub recorder: Recorder,
    /// What clients of the CTI interface ask of a stopped process.
    pub cti_inbox: VecDeque<CtiInput>,
    /// When its timer is to fire next, as far as the queue knows.
    pub armed: Option<At>,
    /// Datagrams that nobody could read.
    pub unreadable: u64,
    inbox: VecDeque<Packet>,
    connections: BTreeMap<SocketAddr, u64>,
    next_connection: u64,
    epoch: Instant,
    dice: Dice,
}

/// What a site asks of the world in one go.
#[derive(Debug)]
pub enum Asked {
    /// Make durable.
    Store(Batch),
    /// Send.
    Send(Packet),
    /// A connection it wants to use is gone.
    NoConnection(Flow),
    /// Tell a client of the CTI interface.
    Tell(Outgoing),
    /// Close a client's connection.
    Close(LinkId),
    /// Nothing: a media server will say this.
    Media(Vec<AnchorNews>),
    /// Nothing: something has become of a pair.
    News(News),
}

impl Site {
    /// A site whose server has just started.
    #[must_use]
    pub fn new(
        id: SiteId,
        directory: Arc<Directory>,
        given: Arc<Directory>,
        broken: Option<Broken>,
        pairs: bool,
        seed: u64,
        epoch: Instant,
    ) -> Self {
        let mut site = Self {
            engine: Engine::new(directory.options.media),
            id,
            directory,
            given,
            broken,
            telling: VecDeque::new(),
            bare: None,
            pair: None,
            speaks: false,
            overhears: None,
            is_deaf: false,
            incarnation: 0,
            skew_ms: 0,
            drift_ppm: 0,
            frozen: false,
            commit_delay: Duration::ZERO,
            uncommitted: (0, Duration::ZERO),
            disk: ReplicaSet::new(),
            unconfirmed: VecDeque::new(),
            dies_late: false,
            dies_at_store: false,
            events: Vec::new(),
            drained: false,
            agents: None,
            cdrs: Vec::new(),
            recorder: Recorder::default(),
            cti_inbox: VecDeque::new(),
            armed: None,
            unreadable: 0,
            inbox: VecDeque::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
            epoch,
            dice: Dice::new(seed, id.name()),
        };
        if pairs {
            let clock = site.seen(At::START);
            site.pair = Some(Box::new(Pair::new(site.given.clone(), seed, id.name(), clock)));
            site.recorder.takes_its_time = true;
        } else {
            site.start(At::START);
        }
        site
    }

    /// The server that serves, while its process is there.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        match &self.pair {
            None => self.bare.as_ref(),
            Some(pair) => pair.node(),
        }
    }

    /// Another server of a pair has the address: nobody is connected to it yet.
    pub fn promoted(&mut self) {
        self.speaks = true;
        self.incarnation += 1;
        self.engine.forsaken();
        self.connections.clear();
        // It counts for itself.
        self.next_connection = 1;
    }

    /// Starts the server anew with what its committer has.
    pub fn recover(&mut self, now: At) -> Restored {
        self.drained = false;
        self.incarnation += 1;
        self.frozen = false;
        let (seed, clock) = (self.dice.seed(), self.seen(now));
        let term = Term { owner: 0, epoch: self.incarnation };
        let (node, restored) = Node::restored(self.given.clone(), seed, term, self.disk.changes(), clock);
        // The reference model has not heard who was logged in before.
        self.agents = None;
        self.bare = Some(node);
        self.engine.forsaken();
        restored
    }

    /// The committer is given a batch.
    pub fn given_to_disk(&mut self, batch: &Batch) {
        self.unconfirmed.push_back(batch.clone());
    }

    /// What the committer has confirmed is on the disk.
    pub fn on_disk(&mut self, seq: u64) {
        while let Some(batch) = self.unconfirmed.pop_front_if(|batch| batch.seq().0 <= seq) {
            self.disk.apply_all(&batch);
        }
    }

    /// Starts the server anew: nothing is kept.
    pub fn start(&mut self, now: At) {
        self.disk = ReplicaSet::new();
        self.drained = false;
        let seed = self.dice.seed();
        self.incarnation += 1;
        self.frozen = false;
        let clock = self.seen(now);
        let mut node = Node::new(self.given.clone(), seed, clock);
        let has_floor = !self.directory.floor().logins.is_empty();
        self.agents = has_floor.then(|| Agents::new(&self.directory, &mut node, clock.unix_ms));
        self.bare = Some(node);
    }

    /// The process dies: whatever it held is gone.
    pub fn die(&mut self) {
        if self.dies_late {
            self.on_disk(u64::MAX);
        }
        self.unconfirmed.clear();
        self.recorder.dies();
        self.bare = None;
        self.speaks = false;
        if let Some(pair) = &mut self.pair {
            pair.all_die();
        }
        self.frozen = false;
        self.dies_at_store = false;
        self.uncommitted = (0, Duration::ZERO);
        self.inbox.clear();
        self.cti_inbox.clear();
        self.telling.clear();
        self.connections.clear();
        self.armed = None;
    }

    /// What its clocks show.
    #[must_use]
    pub fn clock(&self, now: At) -> Now {
        let shown = self.shown(now.micros());
        let wall = WALL_START_MS + shown / 1_000;
        let mono = self.epoch + Duration::from_micros(shown);
        Now { mono, unix_ms: wall.saturating_add_signed(self.skew_ms) }
    }

    /// What its server sees of its clocks.
    pub(crate) fn seen(&self, now: At) -> Now {
        let clock = self.clock(now);
        let stopped = self.broken.as_ref().is_some_and(Broken::stops_clock);
        if stopped { Now { unix_ms: WALL_START_MS, ..clock } } else { clock }
    }

    /// Microseconds since the start as its own clocks count them.
    fn shown(&self, micros: u64) -> u64 {
        let off = i128::from(micros) * i128::from(self.drift_ppm) / 1_000_000;
        micros.saturating_add_signed(i64::try_from(off).unwrap_or(0))
    }

    /// The first moment at which its own clocks show so much.
    fn when(&self, shown: At) -> At {
        let rate = 1_000_000 + i128::from(self.drift_ppm);
        let micros = i128::from(shown.micros()) * 1_000_000 / rate;
        let mut micros = u64::try_from(micros).unwrap_or(u64::MAX).saturating_sub(2);
        while self.shown(micros) < shown.micros() {
            micros += 1;
        }
        At::START + Duration::from_micros(micros)
    }

    /// Whether it runs and reads its sockets.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pair.is_some() || (self.bare.is_some() && !self.frozen)
    }

    /// Keeps a packet for a stopped process. False if the buffer was full.
    pub fn buffer(&mut self, packet: Packet) -> bool {
        let fits = self.inbox.len() < SOCKET_BUFFER;
        if fits {
            self.inbox.push_back(packet);
        }
        fits
    }

    /// The process goes on: what the kernel kept for it.
    pub fn thaw(&mut self) -> VecDeque<Packet> {
        self.frozen = false;
        std::mem::take(&mut self.inbox)
    }

    /// Gives the server a fact.
    pub fn handle(&mut self, mut input: Input, now: At) {
        let clock = self.seen(now);
        if let (Some(broken), Input::Cti(input)) = (&self.broken, &mut input) {
            broken.asked(input);
        }
        if let Some(pair) = &mut self.pair {
            pair.handle(input, clock);
        } else if let Some(node) = &mut self.bare {
            node.handle_input(input, clock);
        }
    }

    /// Lets the server look at the clock.
    pub fn tick(&mut self, now: At) {
        let clock = self.seen(now);
        let calls = self.recorder.runs(&mut self.cdrs, now);
        let recorded = (!calls.is_empty()).then_some(Input::Recorded { calls });
        if let Some(pair) = &mut self.pair {
            if let Some(recorded) = recorded {
                pair.handle(recorded, clock);
            }
            return pair.happen(now, clock);
        }
        let Some(node) = &mut self.bare else { return };
        if let Some(recorded) = recorded {
            node.handle_input(recorded, clock);
        }
        node.handle_timeout(clock);
    }

    /// When the server wants to look at the clock again, and why.
    #[must_use]
    pub fn next_timeout(&self) -> Option<(At, String)> {
        let at = |due: Instant| self.when(At::after_start(due.saturating_duration_since(self.epoch)));
        let records = self.recorder.next().map(|at| (at, "call records are written".to_owned()));
        let due = match (&self.pair, &self.bare) {
            (Some(pair), _) => {
                let due = pair.comes_at().into_iter().chain(pair.poll_timeout().map(at)).min();
                due.map(|due| (due, String::new()))
            }
            (None, Some(node)) => node.poll_timeout().map(|(due, reason)| {
                let spins = self.broken.as_ref().is_some_and(Broken::spins);
                (at(if spins { self.epoch } else { due }), reason.to_string())
            }),
            (None, None) => return None,
        };
        due.into_iter().chain(records).min_by_key(|(at, _)| *at)
    }

    /// The fact that a packet arrived; `None` when nobody could read it.
    pub fn input_of(&mut self, packet: Packet) -> Option<Input> {
        let packet = match &mut self.broken {
            None => packet,
            Some(broken) => match broken.comes(packet) {
                Comes::Heard(packet) => packet,
                Comes::Kept => return None,
            },
        };
        let flow = match packet.over {
            Over::Udp => Flow { transport: Transport::Udp, local: UDP, remote: packet.from, conn: 0 },
            Over::Tcp => {
                let conn = self.connection(packet.from);
                Flow { transport: Transport::Tcp, local: TCP, remote: packet.from, conn }
            }
        };
        match Message::parse(packet.wire.bytes) {
            Ok(message) => Some(Input::Sip { flow, message }),
            Err(_) => {
                self.unreadable += 1;
                None
            }
        }
    }

    /// The fact that a packet was refused: the connection that it was to travel on is closed.
    #[must_use]
    pub fn refused(&mut self, over: Over, remote: SocketAddr) -> Input {
        let (transport, local) =
            if over == Over::Udp { (Transport::Udp, UDP) } else { (Transport::Tcp, TCP) };
        let closed = if over == Over::Tcp { self.connections.remove(&remote) } else { None };
        Input::FlowFailed { flow: Flow { transport, local, remote, conn: closed.unwrap_or(0) } }
    }

    fn connection(&mut self, remote: SocketAddr) -> u64 {
        let fresh = self.next_connection;
        let conn = *self.connections.entry(remote).or_insert(fresh);
        if conn == fresh {
            self.next_connection += 1;
        }
        conn
    }

    /// A batch went to a committer that takes its time.
    pub fn commits(&mut self) {
        let (count, longest) = self.uncommitted;
        self.uncommitted = (count + 1, longest.max(self.commit_delay));
    }

    /// The committer is done with a batch.
    pub fn committed(&mut self) {
        let left = self.uncommitted.0.saturating_sub(1);
        self.uncommitted = (left, if left == 0 { Duration::ZERO } else { self.uncommitted.1 });
    }

    /// How much later than it was decided something may leave.
    #[must_use]
    pub fn slack(&self) -> Duration {
        let pair = self.pair.as_ref().map_or(Duration::ZERO, |pair| pair.slack());
        self.uncommitted.1.max(self.commit_delay).max(pair)
    }

    /// How much later than another would do it something may happen, by a slow committer and a slow clock.
    #[must_use]
    pub fn lateness(&self) -> Duration {
        let drift = if self.drift_ppm == 0 { Duration::ZERO } else { MOST_DRIFT };
        self.slack() + drift
    }

    /// Whether it has shut down gracefully, to the end.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_running() && self.drained
    }

    /// Whether its agents are as the reference model says; what is wrong, if they are not.
    pub fn check_agents(&mut self) -> Option<(Invariant, String)> {
        self.agents.as_mut()?.step(self.bare.as_mut()?)
    }

    /// The next thing the server asks for.
    pub fn poll(&mut self, now: At) -> Option<Asked> {
        loop {
            if let Some(packet) = self.broken.as_mut().and_then(Broken::says) {
                return Some(Asked::Send(packet));
            }
            if let Some(told) = self.telling.pop_front() {
                return Some(Asked::Tell(told));
            }
            let output = match &mut self.pair {
                None => self.bare.as_mut()?.poll_output()?,
                Some(_) => match self.heard(now)? {
                    Heard::Node(output) => output,
                    Heard::News(news) => return Some(Asked::News(news)),
                },
            };
            match output {
                Output::Store(batch) => {
                    if self.broken.as_ref().is_some_and(Broken::opens_gate) {
                        self.handle(Input::Persisted { seq: batch.seq().0 }, now);
                    }
                    return Some(Asked::Store(batch));
                }
                Output::Event(event) => {
                    if let Some(broken) = &mut self.broken {
                        broken.reported(&event);
                    }
                    self.drained |= matches!(event, Event::Drained { .. });
                    self.events.push((now, event));
                }
                Output::Cti(told) => match &mut self.broken {
                    None => return Some(Asked::Tell(told)),
                    Some(broken) => self.telling.extend(broken.told(told)),
                },
                Output::CtiClose(link) => return Some(Asked::Close(link)),
                // Nothing is played: callers have ringback.
                Output::Media(order) => {
                    if let Some(news) = order.failed("no media server") {
                        self.handle(Input::Media(news), now);
                    }
                }
                Output::Anchor(order) => {
                    let news = self.engine.asked(&order);
                    if !news.is_empty() {
                        return Some(Asked::Media(news));
                    }
                }
                Output::Cdr(cdr) => {
                    let calls = self.recorder.takes(*cdr, &mut self.cdrs, now);
                    if !calls.is_empty() {
                        self.handle(Input::Recorded { calls }, now);
                    }
                }
                Output::Transmit(Transmit { flow, payload }) => {
                    let leaves = self.broken.as_mut().map(|broken| broken.leaves(flow, payload.clone()));
                    if let Some((flow, payload)) = leaves.unwrap_or(Some((flow, payload))) {
                        return Some(self.send(flow, Wire::read(payload)));
                    }
                }
            }
        }
    }

    fn heard(&mut self, now: At) -> Option<Heard> {
        let clock = self.seen(now);
        self.pair.as_mut()?.poll(now, clock)
    }

    fn send(&mut self, flow: Flow, wire: Wire) -> Asked {
        let over = if flow.transport == Transport::Udp { Over::Udp } else { Over::Tcp };
        if over == Over::Tcp {
            let known = self.connections.get(&flow.remote).copied();
            if flow.conn != 0 && known != Some(flow.conn) {
                return Asked::NoConnection(flow);
            }
            self.connection(flow.remote);
        }
        Asked::Send(Packet { over, from: self.id.addr(), to: flow.remote, wire })
    }
}
