//! What subscribers are shown: every object as JSON, each with the round in which it last changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use serde::Deserialize;
use serde_json::value::RawValue;
use tandem_stat::{Object, Stat, View};
use tokio::sync::watch;

use crate::limits::MAX_SUBSCRIBED;

/// What the service is to the history at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It writes the history.
    Primary,
    /// Another process writes it.
    Backup,
    /// No database is configured.
    #[default]
    WithoutHistory,
    /// The database cannot be used.
    DatabaseFailed,
}

/// One object as it is shown.
#[derive(Clone)]
pub struct Shown {
    /// Round of its last change.
    pub round: u64,
    /// For `/metrics` and tables.
    pub view: Arc<View>,
    /// As JSON.
    pub json: Arc<RawValue>,
}

/// Everything that is shown.
#[derive(Clone, Default)]
pub struct Published {
    /// Objects.
    pub objects: BTreeMap<Object, Shown>,
    /// What the service is to the history.
    pub role: Role,
    /// Rows of history that this process has written.
    pub rows_written: u64,
    /// Things not counted because a table is full.
    pub untracked: u64,
    /// When the model last took its turn, ms since the Unix epoch.
    pub alive_unix_ms: u64,
}

/// Shared between the model and the endpoint.
pub struct Live {
    published: RwLock<Published>,
    round: watch::Sender<u64>,
}

impl Default for Live {
    fn default() -> Self {
        Self { published: RwLock::default(), round: watch::Sender::new(0) }
    }
}

impl Live {
    /// Shows what has changed. A round is at most once a second: the model's turn.
    pub fn publish(&self, stat: &mut Stat, now_ms: u64, note: impl FnOnce(&mut Published)) {
        let round = *self.round.borrow() + 1;
        if let Ok(mut published) = self.published.write() {
            for object in stat.take_changed() {
                let Some(view) = stat.view(&object, now_ms) else { continue };
                let Ok(json) = serde_json::value::to_raw_value(&view) else { continue };
                let known = published.objects.get(&object);
                if known.is_none_or(|known| known.json.get() != json.get()) {
                    let shown = Shown { round, view: Arc::new(view), json: Arc::from(json) };
                    published.objects.insert(object, shown);
                }
            }
            published.untracked = stat.untracked();
            published.alive_unix_ms = now_ms;
            note(&mut published);
        }
        self.round.send_replace(round);
    }

    /// Reads.
    pub fn with<T>(&self, read: impl FnOnce(&Published) -> T) -> Option<T> {
        self.published.read().ok().map(|published| read(&published))
    }

    /// Wakes at each round.
    pub fn rounds(&self) -> watch::Receiver<u64> {
        self.round.subscribe()
    }
}

/// What a subscriber says: the objects that he wants from now on, instead of those before. `queue:*` means every queue,
/// `*` everything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Names and beginnings of names.
    pub subscribe: Vec<String>,
}

/// What a subscriber has asked for.
#[derive(Debug, Default)]
pub struct Wanted {
    names: BTreeSet<Object>,
    prefixes: Vec<String>,
}

impl Wanted {
    /// Reads a subscription.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let said: Subscribe = serde_json::from_str(text)
            .map_err(|error| format!("{error}; expected {{\"subscribe\": [\"queue:*\", \"agent:ID\"]}}"))?;
        if said.subscribe.len() > MAX_SUBSCRIBED {
            return Err(format!("at most {MAX_SUBSCRIBED} names; \"agent:*\" stands for every agent"));
        }
        let mut wanted = Self::default();
        for name in said.subscribe {
            match name.strip_suffix('*') {
                Some(prefix) => wanted.prefixes.push(prefix.to_owned()),
                None => {
                    let object = name.parse().map_err(|why| format!("\"{name}\": {why}"))?;
                    wanted.names.insert(object);
                }
            }
        }
        Ok(wanted)
    }

    fn wants(&self, object: &Object) -> bool {
        if self.names.contains(object) {
            return true;
        }
        let name = object.to_string();
        self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// The wanted objects that changed after a round, and the round up to which that is everything.
    pub fn changes(&self, live: &Live, after: u64) -> (u64, Vec<Arc<RawValue>>) {
        let changes = live.with(|published| {
            let mut round = after;
            let mut changes = Vec::new();
            for (object, shown) in published.objects.iter().filter(|(_, shown)| shown.round > after) {
                round = round.max(shown.round);
                if self.wants(object) {
                    changes.push(Arc::clone(&shown.json));
                }
            }
            (round, changes)
        });
        changes.unwrap_or((after, Vec::new()))
    }
}
