//! What the tool knows of agents and callers: who waits for which event since when, and what went wrong.

use std::fmt;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Extension of the first agent.
pub const FIRST_DN: u32 = 100_000;
/// AgentID of the first agent.
pub const FIRST_AGENT: u32 = 200_000;
/// Number of the first caller.
pub const FIRST_CALLER: u32 = 5_000_000;
/// The queue.
pub const QUEUE: &str = "7000";

/// Events whose latency is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller's INVITE until EventQueued.
    Queued,
    /// The phone's 180 until EventRinging.
    Ringing,
    /// The phone's 200 until EventEstablished.
    Established,
    /// The phone's BYE until EventReleased.
    Released,
}

/// In the order in which they are shown.
pub const KINDS: [(Kind, &str); 4] = [
    (Kind::Queued, "INVITE → EventQueued"),
    (Kind::Ringing, "180 → EventRinging"),
    (Kind::Established, "200 → EventEstablished"),
    (Kind::Released, "BYE → EventReleased"),
];

/// A moment that an event is waited for since: µs, 0 for none.
#[derive(Debug, Default)]
pub struct Mark(AtomicU64);

/// Marks of one agent.
#[derive(Debug, Default)]
pub struct Seat {
    ringing: Mark,
    established: Mark,
    released: Mark,
}

/// What happened, in all.
#[derive(Debug, Default)]
pub struct Tally {
    pub called: AtomicU64,
    pub answered: AtomicU64,
    pub ended: AtomicU64,
    pub events: AtomicU64,
    /// Calls that the server refused.
    pub refused: AtomicU64,
    /// Messages that came again.
    pub repeated: AtomicU64,
    /// Offers that the server took back.
    pub cancelled: AtomicU64,
    /// EventError, and answers to BYE that are no 200.
    pub errors: AtomicU64,
    /// Desktops whose connection ended.
    pub lost: AtomicU64,
    /// Datagrams that are no SIP, or that nothing belongs to.
    pub strange: AtomicU64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { called, answered, ended, events, refused, repeated, cancelled, errors, lost, strange } =
            self;
        let [called, answered, ended, events] = [called, answered, ended, events].map(|n| n.load(Relaxed));
        let bad = [refused, repeated, cancelled, errors, lost, strange].map(|n| n.load(Relaxed));
        let [refused, repeated, cancelled, errors, lost, strange] = bad;
        write!(f, "in all: {called} calls, {answered} answered, {ended} ended, {events} events; ")?;
        write!(f, "{refused} calls refused, {repeated} repeated messages, {cancelled} offers taken back, ")?;
        write!(f, "{errors} errors, {lost} desktops lost, {strange} strange messages")
    }
}

/// See the module.
#[derive(Debug)]
pub struct Floor {
    pub seats: Vec<Seat>,
    pub callers: Vec<Mark>,
    pub ring: Duration,
    pub talk: Duration,
    pub tally: Tally,
    /// Callers who are not answered yet.
    pub waiting: AtomicI64,
    start: Instant,
    /// µs each, by [`Kind`], since the measurement began.
    latencies: Mutex<[Vec<u32>; 4]>,
}

impl Floor {
    pub fn new(agents: u32, calls: u32, ring_ms: u32, talk_ms: u32) -> Arc<Self> {
        Arc::new(Self {
            seats: (0..agents).map(|_| Seat::default()).collect(),
            callers: (0..calls).map(|_| Mark::default()).collect(),
            ring: Duration::from_millis(ring_ms.into()),
            talk: Duration::from_millis(talk_ms.into()),
            tally: Tally::default(),
            waiting: AtomicI64::new(0),
            start: Instant::now(),
            latencies: Mutex::default(),
        })
    }

    fn mark(&self, kind: Kind, index: u32) -> Option<&Mark> {
        let index = index as usize;
        let seat = || self.seats.get(index);
        match kind {
            Kind::Queued => self.callers.get(index),
            Kind::Ringing => seat().map(|seat| &seat.ringing),
            Kind::Established => seat().map(|seat| &seat.established),
            Kind::Released => seat().map(|seat| &seat.released),
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// What causes the event is about to be sent.
    pub fn caused(&self, kind: Kind, index: u32) {
        if let Some(Mark(since)) = self.mark(kind, index) {
            since.store(self.micros(), Relaxed);
        }
    }

    /// The event is there.
    pub fn told(&self, kind: Kind, index: u32) {
        let Some(Mark(since)) = self.mark(kind, index) else { return };
        let since = since.swap(0, Relaxed);
        let took = u32::try_from(self.micros().saturating_sub(since)).unwrap_or(u32::MAX);
        if since != 0
            && let Ok(mut latencies) = self.latencies.lock()
            && let Some(list) = latencies.get_mut(kind as usize)
        {
            list.push(took);
        }
    }

    /// Latencies since the last question, each list in order.
    pub fn take_latencies(&self) -> [Vec<u32>; 4] {
        let mut taken =
            self.latencies.lock().map(|mut lists| std::mem::take(&mut *lists)).unwrap_or_default();
        taken.iter_mut().for_each(|list| list.sort_unstable());
        taken
    }

    /// Events of these kinds that should have come `after` ago and have not.
    pub fn overdue(&self, after: Duration) -> usize {
        let before = self.micros().saturating_sub(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        let seats = self.seats.iter().flat_map(|seat| [&seat.ringing, &seat.established, &seat.released]);
        let late = |mark: &&Mark| (1..before).contains(&mark.0.load(Relaxed));
        seats.chain(&self.callers).filter(late).count()
    }
}
