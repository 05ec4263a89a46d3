//! Media servers (rtpengine): players for callers who wait, and sessions that carry the media of anchored legs. Each has
//! a task, which makes it at an engine that works, obeys, and removes it at the end.

mod anchor;
mod describe;
mod engine;
mod place;
mod player;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tandem_switch::Input;
use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder, Seat};
use tandem_switch::media::{MediaId, MediaNews, MediaOrder};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

use self::anchor::{Describe, Session, TakeUp, Wanted};
use self::engine::Engine;
use self::place::{Names, Place};
use self::player::{Player, Wish};
use crate::command::Commands;
use crate::config::MediaSettings;
use crate::limits::{
    BETWEEN_LOST, MAX_ANCHOR_ORDERS, MAX_MEDIA_PLAYERS, MAX_MEDIA_PROVED, MAX_MEDIA_SESSIONS,
    MEDIA_FIRST_WORD,
};

/// What happened.
#[derive(Debug, Default)]
pub struct MediaCounters {
    /// Files that began to play.
    pub plays: AtomicU64,
    /// Orders to play, and players, that failed.
    pub failures: AtomicU64,
    /// Descriptions of anchored legs that no engine made.
    pub unbridged: AtomicU64,
    /// Anchored legs whose engine was lost, and who were offered another.
    pub moved: AtomicU64,
}

/// The session of an anchored leg, as orders reach it.
struct Carried {
    orders: mpsc::Sender<Wanted>,
    place: Arc<Place>,
    name: Arc<str>,
}

/// Music is no reason to end a call: where there is no session, or too much waits for it, there is none.
fn music(carried: Option<&Carried>, wanted: Wanted) {
    if carried.is_some_and(|carried| carried.orders.try_send(wanted).is_err()) {
        tracing::warn!("a media server is too slow for music");
    }
}

/// See the module.
pub struct MediaEdge {
    runtime: Handle,
    commands: Commands,
    engines: Vec<Arc<Engine>>,
    directory: String,
    /// Name at the engines of the network that is this side of anchored legs.
    network: Option<String>,
    /// What this process is called in names.
    process: String,
    names: OnceLock<Names>,
    next: AtomicU64,
    players: Mutex<BTreeMap<MediaId, watch::Sender<Wish>>>,
    sessions: Mutex<BTreeMap<AnchorId, Carried>>,
    /// Held by the session that tells of its loss.
    pace: tokio::sync::Mutex<()>,
    /// One for each session of an earlier process that is asked after.
    proving: Semaphore,
    /// All sessions of earlier processes that go on are known.
    taken_up: watch::Sender<bool>,
    /// See [`MediaCounters`].
    pub counters: MediaCounters,
}

impl MediaEdge {
    /// Opens sockets to the engines and begins to watch them; callers who wait again are played to at once, so one of them
    /// gets a moment to answer. `server` is its name, `process` is random: engines are shared between servers, and outlive
    /// them.
    ///
    /// # Errors
    /// What the operating system says about the sockets.
    pub async fn start(
        settings: Option<&MediaSettings>,
        server: &str,
        process: u64,
        commands: Commands,
    ) -> io::Result<Arc<Self>> {
        let mut engines = Vec::new();
        for addr in settings.map(|settings| settings.engines.as_slice()).unwrap_or_default() {
            let engine = Engine::open(*addr, process).await?;
            tokio::spawn(Arc::clone(&engine).run());
            engines.push(engine);
        }
        let host = nix::unistd::gethostname().unwrap_or_default();
        let edge = Arc::new(Self {
            runtime: Handle::current(),
            commands,
            engines,
            directory: settings.map(|settings| settings.directory.clone()).unwrap_or_default(),
            network: settings.and_then(|settings| settings.network.clone()),
            process: format!("{server}@{}-{process:016x}", host.to_string_lossy()),
            names: OnceLock::new(),
            next: AtomicU64::new(0),
            players: Mutex::default(),
            sessions: Mutex::default(),
            pace: tokio::sync::Mutex::default(),
            proving: Semaphore::new(MAX_MEDIA_PROVED),
            taken_up: watch::Sender::new(false),
            counters: MediaCounters::default(),
        });
        for engine in &edge.engines {
            tokio::spawn(sweep::run(Arc::clone(&edge), Arc::clone(engine)));
        }
        let works = async {
            while !edge.engines.is_empty() && !edge.has_engine() {
                sleep(MEDIA_FIRST_WORD / 100).await;
            }
        };
        // Those that are silent still are heard later.
        let _ = timeout(MEDIA_FIRST_WORD, works).await;
        Ok(edge)
    }

    /// This server serves its group from now on. Told before the first order.
    pub fn serves(&self, group: u64, epoch: u32) {
        let _ = self.names.set(Names::new(group, epoch, &self.process));
    }

    /// Engines, and those that work.
    pub fn engines(&self) -> (usize, usize) {
        (self.engines.len(), self.engines.iter().filter(|engine| engine.is_up()).count())
    }

    /// Players now.
    pub fn players(&self) -> usize {
        self.locked().len()
    }

    /// Carries an order out, sooner or later. What comes back is to be told at once.
    pub fn order(self: &Arc<Self>, order: &MediaOrder) -> Option<MediaNews> {
        match self.begin(order) {
            Ok(()) => None,
            Err(why) => {
                self.counters.failures.fetch_add(1, Relaxed);
                order.failed(why)
            }
        }
    }

    fn begin(self: &Arc<Self>, order: &MediaOrder) -> Result<(), &'static str> {
        let mut players = self.locked();
        let full = players.len() >= MAX_MEDIA_PLAYERS;
        match order {
            MediaOrder::Play { id, turn, offer, file, repeat } => {
                let wish = Wish::Play { turn: *turn, file: Arc::clone(file), repeat: *repeat };
                match players.entry(*id) {
                    Entry::Occupied(player) => {
                        player.get().send(wish).map_err(|_| "the media server was lost")
                    }
                    Entry::Vacant(_) if self.engines.is_empty() => {
                        Err("no media server is configured ([media])")
                    }
                    Entry::Vacant(_) if !self.engines.iter().any(|engine| engine.is_up()) => {
                        Err("no media server answers")
                    }
                    Entry::Vacant(_) if full => Err("too many players"),
                    Entry::Vacant(place) => {
                        let (sender, wishes) = watch::channel(wish);
                        place.insert(sender);
                        let name = self.names().player(self.next.fetch_add(1, Relaxed));
                        let player = Player::new(Arc::clone(self), *id, name, offer.clone(), wishes);
                        self.runtime.spawn(player.run());
                        Ok(())
                    }
                }
            }
            MediaOrder::Quiet { id } => {
                // One that is lost is quiet already.
                let _ = players.get(id).map(|player| player.send(Wish::Quiet));
                Ok(())
            }
            MediaOrder::Stop { id } => {
                players.remove(id);
                Ok(())
            }
        }
    }

    /// Carries an order for an anchored leg out, sooner or later. What comes back is to be told at once.
    pub fn order_anchor(self: &Arc<Self>, order: &AnchorOrder) -> Option<AnchorNews> {
        let failed = |why| {
            self.counters.unbridged.fetch_add(1, Relaxed);
            order.failed(why)
        };
        let mut sessions = self.carried();
        let (id, describe) = match order {
            AnchorOrder::Release { id } => {
                sessions.remove(id);
                return None;
            }
            AnchorOrder::TakeUp { id, seat, answered, music } => {
                if sessions.len() < MAX_MEDIA_SESSIONS {
                    let take_up = TakeUp { answered: *answered, music: music.clone() };
                    sessions.insert(*id, self.take_up(*id, seat, take_up));
                }
                return None;
            }
            AnchorOrder::AllTakenUp => {
                self.taken_up.send_replace(true);
                return None;
            }
            AnchorOrder::Play { id, file } => {
                music(sessions.get(id), Wanted::Music(Some(Arc::clone(file))));
                return None;
            }
            AnchorOrder::Quiet { id } => {
                music(sessions.get(id), Wanted::Music(None));
                return None;
            }
            AnchorOrder::Describe { id, turn, from, part, sdp, profile } => {
                let (sdp, profile) = (sdp.clone(), profile.clone());
                (*id, Describe { turn: *turn, from: *from, part: *part, sdp, profile })
            }
        };
        if self.engines.is_empty() {
            return failed("no media server is configured ([media])");
        }
        let full = sessions.len() >= MAX_MEDIA_SESSIONS;
        let carried = match sessions.entry(id) {
            Entry::Occupied(carried) => carried.into_mut(),
            Entry::Vacant(_) if !self.has_engine() => return failed("no media server answers"),
            Entry::Vacant(_) if full => return failed("too many calls with media"),
            Entry::Vacant(free) => {
                let (orders, taken) = mpsc::channel(MAX_ANCHOR_ORDERS);
                let place = Arc::new(Place::default());
                let name: Arc<str> = self.names().anchor(id).into();
                let session =
                    Session::new(Arc::clone(self), id, Arc::clone(&name), taken, Arc::clone(&place));
                self.runtime.spawn(session.run());
                free.insert(Carried { orders, place, name })
            }
        };
        match carried.orders.try_send(Wanted::Description(describe)) {
            Ok(()) => None,
            Err(_) => failed("the media server is too slow"),
        }
    }

    fn take_up(self: &Arc<Self>, id: AnchorId, seat: &Seat, take_up: TakeUp) -> Carried {
        let (orders, taken) = mpsc::channel(MAX_ANCHOR_ORDERS);
        let (place, name) = (Arc::new(Place::default()), Arc::clone(&seat.name));
        // Before anything is swept.
        place.settle(seat.engine);
        let engine = self.engines.iter().find(|engine| engine.addr == seat.engine).cloned();
        let session = Session::new(Arc::clone(self), id, Arc::clone(&name), taken, Arc::clone(&place));
        self.runtime.spawn(session.go_on(engine, take_up));
        Carried { orders, place, name }
    }

    fn carried(&self) -> std::sync::MutexGuard<'_, BTreeMap<AnchorId, Carried>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Anchored legs now.
    pub fn anchored(&self) -> usize {
        self.carried().len()
    }

    fn has_engine(&self) -> bool {
        self.engines.iter().any(|engine| engine.is_up())
    }

    /// Engines that work, the least loaded first.
    fn by_load(&self) -> Vec<Arc<Engine>> {
        let mut up: Vec<_> = self.engines.iter().filter(|engine| engine.is_up()).cloned().collect();
        up.sort_by_key(|engine| engine.sessions.load(Relaxed));
        up
    }

    fn network(&self) -> Option<&str> {
        self.network.as_deref()
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| Names::new(0, 0, &self.process))
    }

    /// The sessions of anchored legs, and where they are.
    fn places(&self) -> BTreeMap<Arc<str>, Option<SocketAddr>> {
        let carried = self.carried();
        carried.values().map(|carried| (Arc::clone(&carried.name), carried.place.at())).collect()
    }

    /// Resolves when all sessions of earlier processes that go on are known.
    async fn all_taken_up(&self) {
        let _ = self.taken_up.subscribe().wait_for(|all| *all).await;
    }

    /// Resolves for one after the other of those who wait, with time between them.
    async fn paced(&self) {
        let _turn = self.pace.lock().await;
        sleep(BETWEEN_LOST).await;
    }

    async fn tell_anchor(&self, news: AnchorNews) {
        if matches!(news, AnchorNews::Failed { .. }) {
            self.counters.unbridged.fetch_add(1, Relaxed);
        }
        self.commands.input(Input::Anchor(news)).await;
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, BTreeMap<MediaId, watch::Sender<Wish>>> {
        self.players.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tell(&self, news: MediaNews) {
        match &news {
            MediaNews::Playing { .. } => self.counters.plays.fetch_add(1, Relaxed),
            MediaNews::Failed { .. } => self.counters.failures.fetch_add(1, Relaxed),
            MediaNews::Ended { .. } => 0,
        };
        self.commands.input(Input::Media(news)).await;
    }
}
