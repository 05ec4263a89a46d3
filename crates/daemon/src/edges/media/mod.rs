//! Media servers (rtpengine): players for callers who wait. Each player has a task, which makes it at the first engine
//! that works, obeys the latest wish, and removes it when the wish is withdrawn.

mod describe;
mod engine;
mod player;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use tandem_switch::Input;
use tandem_switch::media::{MediaId, MediaNews, MediaOrder};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::engine::Engine;
use self::player::{Player, Wish};
use crate::command::Commands;
use crate::config::MediaSettings;
use crate::limits::MAX_MEDIA_PLAYERS;

/// What happened.
#[derive(Debug, Default)]
pub struct MediaCounters {
    /// Files that began to play.
    pub plays: AtomicU64,
    /// Orders to play, and players, that failed.
    pub failures: AtomicU64,
}

/// See the module.
pub struct MediaEdge {
    runtime: Handle,
    commands: Commands,
    engines: Vec<Arc<Engine>>,
    directory: String,
    /// Names of players at engines begin with it.
    prefix: u64,
    next: AtomicU64,
    players: Mutex<BTreeMap<MediaId, watch::Sender<Wish>>>,
    /// See [`MediaCounters`].
    pub counters: MediaCounters,
}

impl MediaEdge {
    /// Opens sockets to the engines and begins to watch them. `prefix` is random: engines are shared between servers,
    /// and outlive them.
    ///
    /// # Errors
    /// What the operating system says about the sockets.
    pub async fn start(
        settings: Option<&MediaSettings>,
        prefix: u64,
        commands: Commands,
    ) -> io::Result<Arc<Self>> {
        let mut engines = Vec::new();
        for addr in settings.map(|settings| settings.engines.as_slice()).unwrap_or_default() {
            let engine = Engine::open(*addr, prefix).await?;
            tokio::spawn(Arc::clone(&engine).run());
            engines.push(engine);
        }
        Ok(Arc::new(Self {
            runtime: Handle::current(),
            commands,
            engines,
            directory: settings.map(|settings| settings.directory.clone()).unwrap_or_default(),
            prefix,
            next: AtomicU64::new(0),
            players: Mutex::default(),
            counters: MediaCounters::default(),
        }))
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
                        let name = format!("tandem-{:016x}-{}", self.prefix, self.next.fetch_add(1, Relaxed));
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
