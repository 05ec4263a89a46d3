//! `tandem readiness`: what would be lost if this site died now, or the peer. This server collects its own facts, asks the
//! peer's administration interface for its facts, and lays them side by side ([`tandem_peer::readiness`]). It asks when it
//! is asked itself, keeps nothing of the answer but the score, and no rule of the server reads any of it.

mod collect;
pub mod control;
pub mod page;
mod peer;

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use tandem_peer::readiness::{Facts, Goals, NotAsked, Report, Severity, assess};
use tokio::sync::Semaphore;

pub use peer::{PeerError, get};

use crate::command::{Commands, Unanswered};
use crate::config::PeerHttp;
use crate::limits::MAX_FACTS_AT_ONCE;

/// Where the peer's facts are asked for.
pub const FACTS: &str = "/api/readiness/facts";

/// Why there is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReport {
    /// The node does not answer.
    #[error("{0}")]
    Unanswered(#[from] Unanswered),
    /// The configuration is being reloaded again and again.
    #[error("the configuration changed while the Extensions were looked at; ask again")]
    Changing,
    /// Too many ask at once.
    #[error("readiness is being asked for already; ask again when that is done")]
    Busy,
}

/// The outcome of the last run, for `/metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// When, s since the Unix epoch.
    pub unix_s: u64,
    /// The loss and its score.
    pub scores: Vec<(&'static str, usize)>,
    /// The severity and how many reasons of it there are.
    pub reasons: [(&'static str, usize); 3],
}

/// What readiness is asked of.
pub struct Readiness {
    peer: Option<PeerHttp>,
    goals: Goals,
    runs: Semaphore,
    facts: Semaphore,
    last: Mutex<Option<Ran>>,
}

impl Readiness {
    /// Nothing has been asked yet.
    pub fn new(peer: Option<PeerHttp>, goals: Goals) -> Arc<Self> {
        let (runs, facts) = (Semaphore::new(1), Semaphore::new(MAX_FACTS_AT_ONCE));
        Arc::new(Self { peer, goals, runs, facts, last: Mutex::new(None) })
    }

    /// What this site says of itself.
    ///
    /// # Errors
    /// See [`NoReport`].
    pub async fn facts(&self, commands: &Commands) -> Result<Facts, NoReport> {
        let _place = self.facts.try_acquire().map_err(|_| NoReport::Busy)?;
        collect::facts(commands, self.goals).await
    }

    /// Asks both sites and assesses what they say. One run at a time.
    ///
    /// # Errors
    /// See [`NoReport`]. A peer that cannot be asked is no error: the report says so.
    pub async fn ask(&self, commands: &Commands) -> Result<Report, NoReport> {
        let _run = self.runs.try_acquire().map_err(|_| NoReport::Busy)?;
        let begun_ms = unix_ms();
        let (here, there) = tokio::join!(collect::facts(commands, self.goals), self.ask_peer());
        let (mut here, there) = (here?, there);
        if let Ok(there) = &there {
            // Somewhere between question and answer the peer read its clock: only what lies outside is a difference.
            here.unix_ms = there.unix_ms.clamp(begun_ms, unix_ms().max(begun_ms));
        }
        let judged = tokio::task::spawn_blocking(move || {
            let there = there.and_then(|there| not_itself(&here, there));
            assess(&here, there.as_ref())
        });
        let report = judged.await.map_err(|_| NoReport::Unanswered(Unanswered::Stopping))?;
        if let Ok(mut last) = self.last.lock() {
            *last = Some(Ran::of(&report));
        }
        Ok(report)
    }

    /// The outcome of the last run.
    pub fn last(&self) -> Option<Ran> {
        self.last.lock().ok()?.clone()
    }

    async fn ask_peer(&self) -> Result<Facts, NotAsked> {
        let peer = self.peer.as_ref().ok_or(PeerError::NotConfigured)?;
        let answer = get(peer, FACTS, true).await?;
        let read = tokio::task::spawn_blocking(move || serde_json::from_slice(&answer));
        match read.await {
            Ok(Ok(facts)) => Ok(facts),
            Ok(Err(_)) | Err(_) => Err(PeerError::Unreadable.into()),
        }
    }
}

/// A server that asks itself would find itself ready.
fn not_itself(here: &Facts, there: Facts) -> Result<Facts, NotAsked> {
    let same = here.server == there.server || here.switch == there.switch;
    if same { Err(PeerError::Itself.into()) } else { Ok(there) }
}

impl Ran {
    fn of(report: &Report) -> Self {
        let count = |severity: Severity| {
            let found = report.reasons.iter().filter(|reason| reason.severity == severity);
            (severity.as_str(), found.count())
        };
        Self {
            unix_s: report.unix_ms / 1000,
            scores: report.outlooks.iter().map(|outlook| (outlook.lost.as_str(), outlook.score)).collect(),
            reasons: [Severity::Blocker, Severity::Warning, Severity::Note].map(count),
        }
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
