//! [`Node`]: the whole server of one site as one value, and the only place where the rooms meet.
//!
//! A message walks: endpoint (is it a retransmission?) → registrar, call or nothing → outputs. Outputs leave in the
//! order `Store`, then what it justifies.

mod anchored;
mod away;
mod conference;
mod connections;
mod continuity;
mod control;
mod cti;
mod door;
mod drain;
mod drain_record;
mod failure;
mod floor;
mod floor_counts;
mod floor_views;
mod held;
mod migrate;
mod migrate_record;
mod nailed;
mod orders;
mod pages;
mod phones;
mod probes;
mod readiness;
mod refer;
mod register;
mod replaces;
mod requests;
mod responses;
mod restore;
mod subscribe;
mod supervision;
mod views;

use std::sync::Arc;
use std::time::Instant;

use tandem_sip::Received;

use self::continuity::Sweep;
use self::cti::Asking;
use self::drain::Drain;
use self::floor::Floor;
use self::migrate::Migration;
use crate::call::{CallTimer, Calls};
use crate::directory::Directory;
use crate::events::Events;
use crate::explain::{Archive, Explained};
use crate::input::Input;
use crate::metrics::Counters;
use crate::outbox::{Haste, Occasion, Outbox};
use crate::output::Output;
use crate::pace::Pace;
use crate::rooms::{Fact, Rooms};
use crate::signals::Signals;
use crate::storm::Storm;
use crate::time::Now;

pub use drain_record::says_drained;
#[doc(hidden)]
pub use floor_counts::FloorCounts;
pub use readiness::{ExtensionNow, Standing};
pub use restore::{Restored, Term};

/// See the module.
#[derive(Debug)]
pub struct Node {
    rooms: Rooms,
    /// REGISTERs that came faster than they are served.
    storm: Storm<register::Waiting>,
    calls: Calls,
    archive: Archive,
    outbox: Outbox,
    floor: Floor,
    /// Who watches what.
    events: Events,
    /// Until when a phone may answer an INVITE of an earlier process.
    orphans_until: Option<Instant>,
    /// The agent's request that is being carried out.
    asking: Option<Asking>,
    /// Graceful shutdown, while it is under way.
    drain: Option<Drain>,
    /// Graceful migration in shares, while it is under way.
    migration: Option<Migration>,
    sweep: Sweep,
    /// What is seen beside the peer trunk; nothing that decides reads it.
    signals: Signals,
    pace: Pace,
    /// Buffers that are used again.
    spare: Vec<Fact>,
    told: Vec<Output>,
    occasion: Occasion,
}

/// What the next timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A SIP transaction.
    Transaction(tandem_sip::TimerName),
    /// A call.
    Call(CallTimer),
    /// REGISTERs wait for their turn.
    Storm,
    /// A binding expires.
    Expiry,
    /// Something is to be sent to a phone, or told of one.
    Pulse,
    /// A media server is waited for, or anchored legs are looked at.
    Media,
    /// An agent, a queue or a client of the CTI interface.
    Floor,
    /// A drain is looked at.
    Drain,
    /// A migration is looked at.
    Migration,
    /// The return of the peer has lasted long enough.
    Recovery,
    /// A watcher is to be told, or its subscription ends.
    Watcher,
    /// A trunk's or probed device's own timer.
    Device(tandem_peer::trunk::TrunkTimer),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transaction(timer) => write!(f, "transaction timer {timer:?}"),
            Self::Call(timer) => write!(f, "call timer {timer:?}"),
            Self::Storm => f.write_str("a REGISTER has its turn"),
            Self::Expiry => f.write_str("a binding expires"),
            Self::Pulse => f.write_str("a phone is sent something"),
            Self::Media => f.write_str("a media server"),
            Self::Floor => f.write_str("an agent, a queue or a client"),
            Self::Recovery => f.write_str("the return of the peer"),
            Self::Watcher => f.write_str("a subscription"),
            Self::Drain => f.write_str("the drain"),
            Self::Migration => f.write_str("the migration"),
            Self::Device(timer) => write!(f, "device timer {timer:?}"),
        }
    }
}

impl Node {
    /// A node that knows its configuration and nothing else. `seed` is all the randomness it will ever have.
    #[must_use]
    pub fn new(directory: Arc<Directory>, seed: [u8; 32], now: Now) -> Self {
        let calls = Calls::new(directory.options.max_calls.min(crate::limits::MAX_CALLS));
        let mut rooms = Rooms::new(directory, seed, now);
        // The upper half of every ConnID of this life of the server.
        let high = u32::try_from(rooms.ids.below(u64::from(u32::MAX))).unwrap_or(0);
        let mut floor = Floor::new(high);
        floor.sessions.set_disconnect_grace(rooms.directory.floor().logout_on_disconnect_grace);
        Self {
            rooms,
            storm: Storm::default(),
            calls,
            archive: Archive::default(),
            outbox: Outbox::default(),
            floor,
            events: Events::default(),
            orphans_until: None,
            asking: None,
            drain: None,
            migration: None,
            sweep: Sweep::starting(now),
            signals: Signals::new(now.mono),
            pace: Pace::default(),
            spare: Vec::new(),
            told: Vec::new(),
            occasion: Occasion::Other,
        }
    }

    /// Handles one fact from outside; then drain [`Node::poll_output`].
    pub fn handle_input(&mut self, input: Input, now: Now) {
        self.rooms.now = now;
        self.outbox.begin();
        match input {
            Input::Sip { flow, message } => {
                let received = self.rooms.endpoint.receive(flow, message, now.mono);
                self.received(received);
            }
            Input::FlowFailed { flow } => {
                self.rooms.endpoint.transport_failed(flow, now.mono);
                self.rooms.registrar.flow_failed(flow, &mut self.rooms.log, now);
                self.endpoint_events();
            }
            Input::Persisted { seq } => self.outbox.persisted(seq),
            Input::Recorded { calls } => {
                let rooms = &mut self.rooms;
                calls.into_iter().for_each(|uuid| rooms.unwritten.written(uuid, &mut rooms.log));
            }
            Input::Cti(input) => self.cti(input),
            Input::Media(news) => {
                let (id, _) = news.of();
                let over = self.calls.with(&mut self.rooms, id.call, |call, rooms| call.media(rooms, news));
                self.keep(over);
            }
            Input::Load(load) => self.load(load),
            Input::Anchor(news) => self.anchor_news(news),
            Input::Release { source } => {
                self.rooms.guard.locks.release(crate::guard::source_of(source));
            }
            Input::Directory(directory) => {
                let before = Arc::clone(&self.rooms.directory);
                self.rooms.adopt(directory);
                self.mode_may_have_changed();
                self.floor_adopts(&before);
                self.migration_adopts();
                self.signals_adopt(&before);
                self.events_adopt();
            }
            Input::Drain(order) => self.drain_order(order),
            Input::Migrate(order) => self.migrate_order(order),
            Input::Audit { devices } => {
                self.audit_legs(|_, name| devices.iter().any(|device| **device == *name));
            }
            Input::PeerControl(control) => self.control_seen(control),
            Input::Located { wanted, found } => self.located(&wanted, &found),
        }
        self.flush();
    }

    /// Runs every timer that is due; then drain [`Node::poll_output`].
    pub fn handle_timeout(&mut self, now: Now) {
        self.rooms.now = now;
        self.outbox.begin();
        self.rooms.endpoint.handle_timeout(now.mono);
        self.endpoint_events();
        while let Some(key) = self.calls.next_due(now.mono) {
            let over = self.calls.with(&mut self.rooms, key, |call, rooms| call.handle_timeout(rooms));
            self.keep(over);
        }
        self.run_registers();
        self.expire();
        self.run_pulses();
        self.run_away();
        self.rooms.run_takebacks();
        self.run_floor();
        self.run_drain();
        self.run_migration();
        self.rooms.acks.expire(now.mono);
        self.rooms.guard.locks.forget(now.mono);
        self.run_anchor_timers();
        self.run_devices();
        self.run_continuity();
        self.flush();
    }

    /// What to do next; `None` when there is nothing until the next input or timer.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.poll()
    }

    /// Calls that are over, and whose records for the operator are not known to be written.
    #[must_use]
    pub fn unwritten(&self) -> usize {
        self.rooms.unwritten.len()
    }

    /// The next moment at which [`Node::handle_timeout`] has something to do, and what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let transaction =
            self.rooms.endpoint.next_timeout().map(|(at, timer)| (at, Reason::Transaction(timer)));
        let call = self.calls.poll_timeout().map(|(at, timer)| (at, Reason::Call(timer)));
        let expiry = self.rooms.registrar.next_expiry();
        let expiry = expiry.map(|deadline| (self.rooms.now.instant_of(deadline), Reason::Expiry));
        let storm = self.storm.next().map(|at| (at, Reason::Storm));
        let pulse = self.phones_timeout().map(|at| (at, Reason::Pulse));
        let device = self.rooms.trunks.poll_timeout().map(|(at, _, timer)| (at, Reason::Device(timer)));
        let floor = self.floor.poll_timeout().map(|at| (self.rooms.now.instant_of(at), Reason::Floor));
        let drain = self.drain_timeout().map(|at| (at, Reason::Drain));
        let migration = self.migration_timeout().map(|at| (at, Reason::Migration));
        let recovery = self.continuity_timeout().map(|at| (at, Reason::Recovery));
        let watcher = self.events.poll_timeout().map(|at| (at, Reason::Watcher));
        let media = self.rooms.anchors.poll_timeout().map(|at| (at, Reason::Media));
        let away = self.rooms.away.poll_timeout().map(|at| (at, Reason::Pulse));
        let takeback = self.rooms.takebacks.poll_timeout().map(|at| (at, Reason::Call(CallTimer::Ring)));
        let all = [
            away,
            takeback,
            transaction,
            call,
            storm,
            expiry,
            pulse,
            floor,
            device,
            drain,
            migration,
            recovery,
            watcher,
            media,
        ];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Messages of anchored legs wait here for their descriptions.
    fn received(&mut self, received: Received<crate::rooms::Use>) {
        if let Some(received) = self.rooms.anchors.incoming(received, self.rooms.now) {
            self.take(received);
        }
    }

    fn take(&mut self, received: Received<crate::rooms::Use>) {
        match received {
            Received::Absorbed => {}
            Received::Request { txn, flow, message } => self.request(txn, flow, &message),
            Received::Merged { txn, flow, message } => {
                self.rooms.respond(txn, flow, &message, &crate::reject::Reject::new(482));
            }
            Received::Cancel { txn, invite, message, flow } => self.cancel(txn, invite, flow, &message),
            Received::Ack { flow: _, message } => self.ack(&message),
            Received::Response { txn, user, message, flow } => self.response(txn, user, flow, &message),
            Received::Stray { flow, message } => self.stray(flow, &message),
            Received::BadRequest { flow, message, fault } => self.bad_request(flow, &message, fault),
            Received::Full { flow, message } if self.rooms.asks_for_help(&message) => {
                let received = self.rooms.endpoint.receive_reserved(flow, message, self.rooms.now.mono);
                if !matches!(received, Received::Full { .. }) {
                    self.received(received);
                }
            }
            Received::Full { flow, message } => {
                self.rooms.counters.refused_full += 1;
                self.rooms.respond_stateless(flow, &message, &crate::reject::Reject::full());
            }
        }
    }

    /// What a call that is over leaves behind.
    fn keep(&mut self, over: Option<Explained>) {
        if let Some(explained) = over {
            self.archive.keep(explained, self.rooms.directory.options.why_history);
        }
    }

    /// Moves what the rooms produced to the outbox, in the order in which it may leave: records first, then messages,
    /// then what clients and operators are told.
    fn flush(&mut self) {
        self.run_anchors();
        self.flush_once();
        while self.run_anchors() {
            self.flush_once();
        }
        self.occasion = Occasion::Other;
    }

    fn put(&mut self, output: Output) {
        let haste = Haste::of(&output, self.occasion);
        self.outbox.push(output, haste);
    }

    fn flush_once(&mut self) {
        self.tell_bindings();
        let mut told = std::mem::take(&mut self.told);
        self.settle(&mut told);
        self.run_events();
        self.rooms.keep_beliefs();
        self.settle_anchors();
        if let Some(batch) = self.rooms.log.take_batch() {
            self.outbox.store(batch);
        }
        self.transmit();
        while let Some(outgoing) = self.floor.sessions.poll_outgoing() {
            self.put(Output::Cti(outgoing));
        }
        while let Some(link) = self.floor.sessions.poll_close() {
            self.put(Output::CtiClose(link));
        }
        for output in told.drain(..) {
            self.put(output);
        }
        self.told = told;
        self.calls.tidy();
    }

    /// Counters since start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            challenges: self.rooms.admission.challenges(),
            authentication_failures: self.rooms.admission.failures(),
            ..self.rooms.counters.clone()
        }
    }
}
