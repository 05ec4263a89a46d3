//! A failure that this server inflicts on itself, because somebody rehearses it (`tandem drill`): the peer site is out of
//! reach, or slow, or this whole site is gone for chosen parties. It acts where messages come in and go out, so that the
//! server behind it notices what it would notice, and does what it would do.
//!
//! It ends when it is told to, when its time is over, and by itself when nobody renews it: whoever began it may die. No
//! restart brings it back.

mod cut;
mod order;
pub mod page;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use serde::Serialize;
use tandem_sip::{Flow, Message};

pub use cut::{Cut, Known};
pub use order::{Asked, Kind, Order};

use crate::limits::DRILL_RENEW_WITHIN;

/// What becomes of a message that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes out.
    Sent,
    /// Nobody will ever hear of it.
    Dropped,
    /// It goes out after this long.
    Later(Duration),
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It was told to.
    Ordered,
    /// Nobody renewed it.
    NotRenewed,
    /// It lasted as long as it was to.
    TimeOver,
    /// The server shuts down gracefully, which matters more.
    Draining,
}

/// Why an order is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIsolated {
    /// Another one is under way.
    #[error("a drill is under way: {kind} by {by}, number {id}; it ends by `tandem drill abort`")]
    UnderWay {
        /// Its number.
        id: u64,
        /// What it rehearses.
        kind: &'static str,
        /// Whose it is.
        by: Box<str>,
    },
    /// There is none.
    #[error("no drill is under way")]
    Off,
    /// There is none of this number.
    #[error("no drill of the number {0} is under way")]
    Unknown(u64),
}

/// What happened so far.
#[derive(Debug, Default)]
pub struct Figures {
    received_dropped: AtomicU64,
    sent_dropped: AtomicU64,
    delayed: AtomicU64,
    delayed_dropped: AtomicU64,
    links_closed: AtomicU64,
    links_refused: AtomicU64,
}

struct Active {
    id: u64,
    order: Order,
    by: Box<str>,
    cut: Cut,
    since: Instant,
    renewed: Instant,
    figures: Figures,
}

/// The one before.
#[derive(Clone, Debug, Serialize)]
pub struct Last {
    /// Its number.
    pub id: u64,
    /// What it rehearsed.
    pub kind: Kind,
    /// Whose it was.
    pub by: Box<str>,
    /// Why it ended.
    pub ended: Ended,
    /// How long it lasted, ms.
    pub lasted_ms: u64,
}

#[derive(Default)]
struct State {
    taken: u64,
    active: Option<Active>,
    last: Option<Last>,
}

/// See the module.
#[derive(Default)]
pub struct Isolation {
    on: AtomicBool,
    state: RwLock<State>,
}

impl Active {
    /// Why it is over, if it is.
    fn over(&self, now: Instant) -> Option<Ended> {
        if now >= self.since + self.order.lasts {
            return Some(Ended::TimeOver);
        }
        (now >= self.renewed + DRILL_RENEW_WITHIN).then_some(Ended::NotRenewed)
    }
}

impl Isolation {
    /// Whether anything is cut off. False costs one load.
    pub fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks what is cut off now; `otherwise` when nothing is. It is over at its time, whether or not anybody looked.
    fn asked<T>(&self, now: Instant, otherwise: T, question: impl FnOnce(&Active) -> T) -> T {
        if !self.is_on() {
            return otherwise;
        }
        self.read().active.as_ref().filter(|active| active.over(now).is_none()).map_or(otherwise, question)
    }

    /// Begins; gives its number.
    ///
    /// # Errors
    /// [`NotIsolated::UnderWay`].
    pub fn start(&self, order: Order, cut: Cut, by: &str, now: Instant) -> Result<u64, NotIsolated> {
        let mut state = self.write();
        if let Some(Active { id, order, by, .. }) = &state.active {
            return Err(NotIsolated::UnderWay { id: *id, kind: order.kind.name(), by: by.clone() });
        }
        state.taken += 1;
        let id = state.taken;
        tracing::warn!(id, kind = order.kind.name(), by, "drill: this server isolates itself");
        let (since, renewed) = (now, now);
        state.active =
            Some(Active { id, order, by: by.into(), cut, since, renewed, figures: Figures::default() });
        self.on.store(true, Relaxed);
        Ok(id)
    }

    /// Says that whoever began it is still there.
    ///
    /// # Errors
    /// [`NotIsolated::Unknown`]; it is over.
    pub fn renew(&self, id: u64, now: Instant) -> Result<(), NotIsolated> {
        let mut state = self.write();
        let active = state.active.as_mut().filter(|active| active.id == id && active.over(now).is_none());
        active.map(|active| active.renewed = now).ok_or(NotIsolated::Unknown(id))
    }

    /// Ends it, whosoever it is unless a number is given. Gives the devices that were cut off.
    ///
    /// # Errors
    /// [`NotIsolated::Off`], [`NotIsolated::Unknown`].
    pub fn end(&self, id: Option<u64>, now: Instant) -> Result<Vec<Box<str>>, NotIsolated> {
        self.finish(now, |active| id.is_none_or(|id| id == active.id).then_some(Ended::Ordered))
            .ok_or(id.map_or(NotIsolated::Off, NotIsolated::Unknown))
    }

    /// Ends it when its time has come, or when the server is `draining`. Gives the devices that were cut off.
    pub fn expire(&self, draining: bool, now: Instant) -> Option<Vec<Box<str>>> {
        self.finish(now, |active| active.over(now).or(draining.then_some(Ended::Draining)))
    }

    fn finish(&self, now: Instant, is_over: impl FnOnce(&Active) -> Option<Ended>) -> Option<Vec<Box<str>>> {
        let mut state = self.write();
        let ended = is_over(state.active.as_ref()?)?;
        let Active { id, order: Order { kind, .. }, by, mut cut, since, .. } = state.active.take()?;
        self.on.store(false, Relaxed);
        let lasted = now.saturating_duration_since(since);
        let lasted_ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(id, kind = kind.name(), %by, ?ended, lasted_ms, "drill: the isolation is over");
        state.last = Some(Last { id, kind, by, ended, lasted_ms });
        Some(cut.take_devices())
    }

    /// Whether a message that arrived reaches the server.
    pub fn lets_in(&self, flow: Flow, message: &Message, now: Instant) -> bool {
        let (passes, learned) = self.asked(now, (true, None), |active| {
            let cut = &active.cut;
            let learned = cut.registers(active.order.kind, message);
            let drops = learned.is_some() || cut.drops_inbound(active.order.kind, flow, message);
            active.figures.received_dropped.fetch_add(u64::from(drops), Relaxed);
            (!drops, learned.filter(|_| !cut.knows(flow.remote)))
        });
        if let Some(dn) = learned
            && let Some(active) = &mut self.write().active
        {
            active.cut.learn(dn, flow.remote);
        }
        passes
    }

    /// What becomes of a message to this flow; `waiting` are delayed already.
    pub fn fate(&self, flow: Flow, waiting: usize, now: Instant) -> Fate {
        self.asked(now, Fate::Sent, |active| {
            let fate = active.cut.fate(&active.order, flow, waiting);
            let figures = &active.figures;
            let counter = match fate {
                Fate::Sent => return fate,
                Fate::Later(_) => &figures.delayed,
                Fate::Dropped if active.order.kind == Kind::SlowLink => &figures.delayed_dropped,
                Fate::Dropped => &figures.sent_dropped,
            };
            counter.fetch_add(1, Relaxed);
            fate
        })
    }

    /// Whether the administration interface is silent for somebody.
    pub fn is_silent(&self, remote: IpAddr, now: Instant) -> bool {
        self.asked(now, false, |active| active.cut.is_silent(active.order.kind, remote))
    }

    /// Whether a client of the CTI interface may connect, or stay: by its address, and its person once he is known.
    pub fn admits(&self, remote: IpAddr, person: Option<&str>, now: Instant) -> bool {
        self.asked(now, true, |active| {
            let admitted = !active.cut.refuses(active.order.kind, remote, person);
            active.figures.links_refused.fetch_add(u64::from(!admitted), Relaxed);
            admitted
        })
    }

    /// Whether a connection of the CTI interface that is open is closed now.
    pub fn closes(&self, remote: IpAddr, person: &str, now: Instant) -> bool {
        self.asked(now, false, |active| {
            let closes = active.cut.refuses(active.order.kind, remote, Some(person));
            active.figures.links_closed.fetch_add(u64::from(closes), Relaxed);
            closes
        })
    }

    /// What is being rehearsed.
    pub fn kind(&self, now: Instant) -> Option<Kind> {
        self.asked(now, None, |active| Some(active.order.kind))
    }

    /// For people and programs.
    pub fn view(&self, now: Instant) -> View {
        let state = self.read();
        let on = state.active.as_ref().map(|active| {
            let Active { id, order, by, cut, since, renewed, figures } = active;
            let ms = |at: Instant| {
                u64::try_from(at.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX)
            };
            let count = |counter: &AtomicU64| counter.load(Relaxed);
            On {
                id: *id,
                kind: order.kind,
                by: by.clone(),
                since_ms: u64::try_from(now.saturating_duration_since(*since).as_millis())
                    .unwrap_or(u64::MAX),
                ends_in_ms: ms(*since + order.lasts),
                renew_within_ms: ms(*renewed + DRILL_RENEW_WITHIN),
                delay_ms: u64::try_from(order.delay.as_millis()).unwrap_or(u64::MAX),
                share: order.share,
                parties: order.parties.clone(),
                devices: cut.devices().to_vec(),
                spared: cut.spared(),
                persons: cut.persons(),
                received_dropped: count(&figures.received_dropped),
                sent_dropped: count(&figures.sent_dropped),
                delayed: count(&figures.delayed),
                delayed_dropped: count(&figures.delayed_dropped),
                links_closed: count(&figures.links_closed),
                links_refused: count(&figures.links_refused),
            }
        });
        View { on, last: state.last.clone() }
    }
}

/// `GET /api/drill`.
#[derive(Debug, Serialize)]
pub struct View {
    /// The one under way.
    pub on: Option<On>,
    /// The one before.
    pub last: Option<Last>,
}

/// An isolation under way.
#[derive(Debug, Serialize)]
pub struct On {
    /// Its number.
    pub id: u64,
    /// What it rehearses.
    pub kind: Kind,
    /// Whose it is.
    pub by: Box<str>,
    /// How long it lasts so far, ms.
    pub since_ms: u64,
    /// When it ends at the latest, ms.
    pub ends_in_ms: u64,
    /// When it ends unless it is renewed, ms.
    pub renew_within_ms: u64,
    /// How long messages to the peer are held back, ms.
    pub delay_ms: u64,
    /// Share of the real Extensions that have lost this site, percent.
    pub share: u8,
    /// Addresses that have lost this site.
    pub parties: Vec<IpAddr>,
    /// Extensions and Trunks that have lost this site.
    pub devices: Vec<Box<str>>,
    /// Extensions that chance chose, and that share their address with others whom it did not: they are left alone.
    pub spared: usize,
    /// Persons whose desktops are kept out.
    pub persons: usize,
    /// Messages that arrived and were not heard.
    pub received_dropped: u64,
    /// Messages that were not sent.
    pub sent_dropped: u64,
    /// Messages sent late.
    pub delayed: u64,
    /// Messages not sent because too many waited.
    pub delayed_dropped: u64,
    /// Connections of desktops that were closed.
    pub links_closed: u64,
    /// Connections of desktops that were refused since.
    pub links_refused: u64,
}
