//! The model's loop: events in, rows and views out.
//!
//! A term begins with what the database holds, if this process has the lock on it, and with nothing if it has not. It
//! ends when the process gets the lock, or when the database fails; the next term begins anew from what is stored. So
//! taking over, starting and going on after a fault are the same thing.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tandem_stat::{Heard, Layout, Stat};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::interval;

use super::lines::Lines;
use super::link::{FromSite, Link, Shared, Told};
use super::live::{Live, Role};
use super::lock::Lock;
use super::store::{Batch, Store};
use crate::config::StatSettings;
use crate::limits::{
    DATABASE_AGAIN, FORGET_AT_ONCE, FORGET_EVERY, HISTORY_COMMIT_EVERY, MAX_BATCH, MAX_CTI_EVENTS,
    PUBLISH_EVERY,
};

/// Now, ms since the Unix epoch.
pub fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Why a term ended.
#[derive(Debug)]
enum End {
    /// The lock is free: this process may write.
    LockIsFree(Lock),
    /// The database failed.
    Database(String),
}

/// Where history goes in a term.
struct History {
    store: Store,
    lines: Option<Lines>,
    batch: Batch,
    written: u64,
    forgotten: Option<Instant>,
    /// The file of JSON lines failed then.
    lines_failed: Option<Instant>,
    _lock: Lock,
}

/// The loop and what it needs.
pub struct Engine {
    settings: StatSettings,
    layout: Layout,
    live: Arc<Live>,
    /// What was last said of the lock, so that it is said once.
    lock_error: Mutex<String>,
}

impl Engine {
    /// An engine that has not begun.
    pub fn new(settings: StatSettings, layout: Layout, live: Arc<Live>) -> Self {
        Self { settings, layout, live, lock_error: Mutex::default() }
    }

    /// Runs until the task is ended.
    pub async fn run(self) {
        let mut lock = self.try_lock();
        let mut rest_until = None::<Instant>;
        loop {
            let (role, history) = match (&self.settings.database, lock.take()) {
                (None, _) => (Role::WithoutHistory, None),
                (Some(_), None) if rest_until.is_some() => (Role::DatabaseFailed, None),
                (Some(_), None) => (Role::Backup, None),
                (Some(path), Some(held)) => match self.open(path, held).await {
                    Ok(history) => (Role::Primary, Some(history)),
                    Err(error) => {
                        tracing::error!(database = %path.display(), %error, "history is not written");
                        rest_until = Some(Instant::now() + DATABASE_AGAIN);
                        (Role::DatabaseFailed, None)
                    }
                },
            };
            tracing::info!(?role, "statistics");
            match self.term(role, history, rest_until).await {
                End::LockIsFree(free) => (lock, rest_until) = (Some(free), None),
                End::Database(error) => {
                    tracing::error!(%error, "the database fails: history stops, and goes on from where it is");
                    rest_until = Some(Instant::now() + DATABASE_AGAIN);
                }
            }
        }
    }

    fn try_lock(&self) -> Option<Lock> {
        let database = self.settings.database.as_deref()?;
        match Lock::try_take(database) {
            Ok(lock) => lock,
            Err(error) => {
                let (path, error) = (Lock::path(database), error.to_string());
                if let Ok(mut said) = self.lock_error.lock()
                    && *said != error
                {
                    tracing::error!(path = %path.display(), %error, "the lock of the history cannot be taken");
                    *said = error;
                }
                None
            }
        }
    }

    async fn open(&self, path: &Path, lock: Lock) -> Result<History, String> {
        let mut store = Store::open(path).await.map_err(|error| error.to_string())?;
        let lines = match &self.settings.json_file {
            Some(file) => Some(Lines::open(file, &mut store).await.map_err(|error| error.to_string())?),
            None => None,
        };
        Ok(History {
            store,
            lines,
            batch: Batch::default(),
            written: 0,
            forgotten: None,
            lines_failed: None,
            _lock: lock,
        })
    }

    async fn term(&self, role: Role, mut history: Option<History>, rest_until: Option<Instant>) -> End {
        let mut stat = Stat::new(self.layout.clone());
        if let Some(history) = &mut history
            && let Err(error) = restore(&mut stat, &mut history.store).await
        {
            return End::Database(error.to_string());
        }
        let (sender, mut events) = mpsc::channel(MAX_CTI_EVENTS);
        let mut links = JoinSet::new();
        let shared = self.start_links(&stat, &sender, &mut links);
        let (mut publish, mut commit) = (interval(PUBLISH_EVERY), interval(HISTORY_COMMIT_EVERY));
        loop {
            tokio::select! {
                told = events.recv() => {
                    let Some((site, told)) = told else { continue };
                    take(&mut stat, &shared, site, told);
                    if let Some(history) = &mut history {
                        history.collect(&mut stat);
                        if history.batch.rows.len() >= MAX_BATCH
                            && let Err(error) = self.commit(&stat, history).await
                        {
                            return End::Database(error);
                        }
                    } else {
                        while stat.poll_row().is_some() {}
                        stat.take_facts();
                    }
                }
                _ = commit.tick(), if history.is_some() => {
                    if let Some(history) = &mut history
                        && let Err(error) = self.commit(&stat, history).await
                    {
                        return End::Database(error);
                    }
                }
                _ = publish.tick() => {
                    let now_ms = unix_ms();
                    stat.tick(now_ms);
                    let written = history.as_ref().map_or(0, |history| history.written);
                    self.live.publish(&mut stat, now_ms, |published| {
                        (published.role, published.rows_written) = (role, written);
                    });
                    let rested = rest_until.is_none_or(|until| Instant::now() >= until);
                    if history.is_none() && rested && let Some(lock) = self.try_lock() {
                        return End::LockIsFree(lock);
                    }
                }
            }
        }
    }

    fn start_links(
        &self,
        stat: &Stat,
        sender: &mpsc::Sender<FromSite>,
        links: &mut JoinSet<()>,
    ) -> Vec<Arc<Shared>> {
        let mut all = Vec::new();
        for (site, config) in self.settings.sites.iter().enumerate() {
            let shared = Arc::new(Shared::default());
            shared.set_position(stat.position(site));
            let dns = self.layout.addresses(site).cloned().collect();
            let link = Link::new(site, config.clone(), dns, Arc::clone(&shared), sender.clone());
            links.spawn(link.run());
            all.push(shared);
        }
        all
    }

    /// Writes what was collected, with the positions up to which it goes.
    async fn commit(&self, stat: &Stat, history: &mut History) -> Result<(), String> {
        if !history.batch.facts.is_empty() || !history.batch.rows.is_empty() {
            let sites = self.layout.sites.iter().enumerate();
            let positions = sites.filter_map(|(at, site)| Some((site.name.to_string(), stat.position(at)?)));
            history.batch.positions = positions.collect();
            history.store.write(&history.batch).await.map_err(|error| error.to_string())?;
            history.written += history.batch.rows.len() as u64;
            history.batch = Batch::default();
        }
        let rests = history.lines_failed.is_some_and(|at| at.elapsed() < DATABASE_AGAIN);
        if let Some(lines) = history.lines.as_mut().filter(|_| !rests) {
            history.lines_failed = None;
            match lines.write(&mut history.store).await {
                Ok(_) => {}
                Err(super::lines::LinesError::Database(error)) => return Err(error.to_string()),
                Err(super::lines::LinesError::File(error)) => {
                    tracing::error!(%error, "the JSON lines of the history cannot be written; they will follow");
                    history.lines_failed = Some(Instant::now());
                }
            }
        }
        self.forget(history).await
    }

    async fn forget(&self, history: &mut History) -> Result<(), String> {
        let due = history.forgotten.is_none_or(|at| at.elapsed() >= FORGET_EVERY);
        if self.settings.history_days == 0 || !due {
            return Ok(());
        }
        let before = unix_ms().saturating_sub(self.settings.history_days * 86_400_000);
        let gone = history.store.forget(before, FORGET_AT_ONCE).await.map_err(|error| error.to_string())?;
        // There may be more: then the next commit goes on.
        if gone < FORGET_AT_ONCE.unsigned_abs() {
            history.forgotten = Some(Instant::now());
        }
        Ok(())
    }
}

impl History {
    fn collect(&mut self, stat: &mut Stat) {
        while let Some(row) = stat.poll_row() {
            self.batch.rows.push(row);
        }
        self.batch.facts.extend(stat.take_facts().into_iter().map(|fact| (fact.key, fact.value)));
    }
}

fn take(stat: &mut Stat, shared: &[Arc<Shared>], site: usize, told: Told) {
    let Some(shared) = shared.get(site) else { return };
    match told {
        Told::Up => stat.link(site, true, unix_ms()),
        Told::Down => stat.link(site, false, unix_ms()),
        Told::Event(event) => match stat.event(site, &event) {
            Heard::Taken => shared.set_position(stat.position(site)),
            Heard::Missing { expected } => {
                tracing::warn!(site, expected, got = event.sequence, "events are missing; connecting anew");
                shared.reopen.notify_one();
            }
            Heard::Again | Heard::UnknownSite => {}
        },
    }
}

async fn restore(stat: &mut Stat, store: &mut Store) -> Result<(), sqlx::Error> {
    let left = store.left().await?;
    let passed_over = left.facts.iter().filter(|fact| !stat.restore(fact)).count();
    if passed_over > 0 {
        tracing::warn!(passed_over, "stored facts speak of what is no longer configured, or cannot be read");
    }
    for (site, position) in left.positions {
        stat.restore_position(&site, position);
    }
    Ok(())
}
