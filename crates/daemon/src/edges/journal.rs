//! The journal in the state directory, as the quorum needs it.

use std::path::Path;
use std::time::Instant;

use tandem_journal::{Condition, Counters, Journal, Keep, OpenError, Parts, Progress, Recovered, Refused};
use tandem_quorum::{Persisted, Record, Replay, Snapshot, Unreadable, Write};
use tokio::sync::watch;

/// The latest that the journal has told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Writes up to this one are stored.
    pub stored: u64,
    /// How the journal is.
    pub condition: Condition,
}

/// Where a member's writes go: to a journal, or nowhere.
pub struct JournalEdge {
    journal: Option<Journal>,
    told: watch::Sender<Told>,
}

/// Why there is no journal to go on with.
#[derive(Debug, thiserror::Error)]
pub enum NoJournal {
    /// It cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It holds no member.
    #[error("the journal in {directory}: {why}; start the release that wrote it, or move the directory away")]
    Member {
        /// Where it lies.
        directory: String,
        /// What is wrong.
        why: NoMember,
    },
}

impl JournalEdge {
    /// Opens the journal in this directory. The member that it holds is `None` where none has been.
    ///
    /// # Errors
    /// See [`NoJournal`].
    pub fn open(directory: &Path) -> Result<(Self, Option<Persisted>), NoJournal> {
        let begin = Instant::now();
        let told = watch::Sender::default();
        let (journal, recovered) = Journal::open(directory, tell(told.clone()))?;
        let Recovered { segments, bytes, cut, .. } = recovered;
        if let Some(cut) = cut {
            let (offset, bytes) = (cut.offset, cut.bytes);
            tracing::info!(
                offset,
                bytes,
                "the journal ended with a write that was never reported done: cut off"
            );
        }
        let records = recovered.records.len();
        let member = persisted(recovered)
            .map_err(|why| NoJournal::Member { directory: directory.display().to_string(), why })?;
        let ms = begin.elapsed().as_millis();
        tracing::info!(directory = %directory.display(), segments, records, bytes, ms, "journal read");
        Ok((Self { journal: Some(journal), told }, member))
    }

    /// Forgets everything at the end of the process.
    pub fn in_memory() -> Self {
        Self { journal: None, told: watch::Sender::default() }
    }

    /// Tells what is stored, and how the journal is, whenever it changes; what is not looked at in time is passed over.
    pub fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// Hands a write over; never waits.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn write(&self, write: &Write) -> Result<(), Refused> {
        match &self.journal {
            Some(journal) => journal.append(batch(write)),
            None => {
                self.told.send_modify(|told| told.stored = write.token);
                Ok(())
            }
        }
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        self.journal.as_ref().map_or(Condition::Fine, Journal::condition)
    }

    /// What it has done; `None` for one in memory.
    pub fn counters(&self) -> Option<&Counters> {
        self.journal.as_ref().map(Journal::counters)
    }
}

fn tell(told: watch::Sender<Told>) -> impl FnMut(Progress) + Send + 'static {
    move |progress| match progress {
        Progress::Stored { token } => told.send_modify(|told| told.stored = token),
        Progress::Condition(condition) => {
            match &condition {
                Condition::Fine => tracing::info!("journal: fine again"),
                Condition::Degraded(why) => tracing::warn!(%why, "journal: degraded"),
                Condition::Failed(why) => tracing::error!(%why, "journal: failed, nothing more is stored"),
            }
            told.send_modify(|told| told.condition = condition);
        }
    }
}

/// What is stored is whole, and yet makes no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoMember {
    /// The records do not fit together, or are of a later release.
    #[error("{0}")]
    Records(#[from] Unreadable),
    /// The snapshot is of a later release, or none.
    #[error("the snapshot is of a later release, or none")]
    Snapshot,
}

/// Which record of a kind stays until the next of that kind comes.
const IDENTITY: u8 = 1;
/// See [`IDENTITY`].
const HARD_STATE: u8 = 2;

/// How a record of the quorum is kept.
pub fn record(record: &Record) -> tandem_journal::Record {
    let keep = match record {
        Record::Identity(_) => Keep::Latest(IDENTITY),
        Record::Hard(_) => Keep::Latest(HARD_STATE),
        Record::Entry(entry) => Keep::Place(entry.index),
        Record::Installed { .. } => Keep::Loose,
    };
    tandem_journal::Record { keep, bytes: record.encode() }
}

/// How a write of the quorum is kept.
fn batch(write: &Write) -> tandem_journal::Batch {
    tandem_journal::Batch {
        token: write.token,
        fresh: write.fresh,
        snapshot: write.snapshot.as_ref().map(|snapshot| Parts(snapshot.parts())),
        records: write.records.iter().map(record).collect(),
        first_needed: write.first_needed,
        sync: write.sync,
    }
}

/// What a member starts from; `None` where no member has been.
///
/// # Errors
/// What is stored is whole, but makes no member.
pub fn persisted(recovered: Recovered) -> Result<Option<Persisted>, NoMember> {
    let Recovered { snapshot, records, .. } = recovered;
    if snapshot.is_none() && records.is_empty() {
        return Ok(None);
    }
    let snapshot = snapshot.map(|bytes| Snapshot::decode(bytes).ok_or(NoMember::Snapshot)).transpose()?;
    let mut replay = Replay::new(snapshot);
    records.into_iter().try_for_each(|bytes| replay.record(bytes))?;
    Ok(Some(replay.finish()?))
}

#[cfg(test)]
mod tests {
    use tandem_quorum::{Input, Kind, Member, MemberId, MemberInfo, Output, Seat, Settings};

    use super::*;

    /// A server alone, from what its directory holds; what it has agreed on is taken out of it.
    struct Alone {
        member: Member,
        journal: JournalEdge,
        told: watch::Receiver<Told>,
        committed: Vec<bytes::Bytes>,
    }

    impl Alone {
        async fn start(folder: &Path, snapshot_after: u64) -> Self {
            let (journal, found) = JournalEdge::open(folder).unwrap();
            Self::with(journal, found, snapshot_after).await
        }

        async fn with(journal: JournalEdge, found: Option<Persisted>, snapshot_after: u64) -> Self {
            let told = journal.told();
            let me =
                MemberInfo { id: MemberId(1), kind: Kind::Server, seat: Seat::Voter, address: String::new() };
            let found = found.unwrap_or_else(|| Persisted::found(7, me));
            let settings = Settings { snapshot_after, kept_behind: 5, ..Settings::new(Kind::Server, 0, 1) };
            let member = Member::start(settings, found, Instant::now()).unwrap();
            let mut alone = Self { member, journal, told, committed: Vec::new() };
            alone.settle().await;
            alone
        }

        async fn settle(&mut self) {
            let mut waits = 0;
            loop {
                while let Some(output) = self.member.poll_output() {
                    match output {
                        Output::Write(write) => {
                            waits = write.token;
                            self.journal.write(&write).unwrap();
                        }
                        Output::Committed { batch, .. } if !batch.is_empty() => self.committed.push(batch),
                        Output::SnapshotWanted { index } => {
                            let data = bytes::Bytes::from(self.committed.len().to_string());
                            self.member.handle_input(Input::SnapshotMade { index, data }, Instant::now());
                        }
                        Output::Install(snapshot) => self.committed = vec![snapshot.data],
                        Output::Committed { .. }
                        | Output::Send { .. }
                        | Output::Standing(_)
                        | Output::Serve { .. }
                        | Output::StandDown { .. }
                        | Output::Roster(_)
                        | Output::Note(_) => {}
                    }
                }
                if waits == 0 {
                    return;
                }
                let token = self.told.wait_for(|told| told.stored >= waits).await.unwrap().stored;
                waits = 0;
                self.member.handle_input(Input::Stored { token }, Instant::now());
            }
        }

        async fn propose(&mut self, text: &str) {
            self.member.propose(bytes::Bytes::copy_from_slice(text.as_bytes()), Instant::now()).unwrap();
            self.settle().await;
        }
    }

    #[tokio::test]
    async fn a_member_goes_on_with_what_its_journal_holds() {
        let folder = tempfile::tempdir().unwrap();
        let mut alone = Alone::start(folder.path(), 1_000).await;
        for n in 0..20 {
            alone.propose(&format!("record {n}")).await;
        }
        let before = alone.committed.clone();
        assert_eq!(before.len(), 20);
        drop(alone);
        let again = Alone::start(folder.path(), 1_000).await;
        assert_eq!(again.committed, before, "all that was agreed on is handed over once more");
        assert!(again.member.lease().holds_at(Instant::now()));
    }

    #[tokio::test]
    async fn a_member_goes_on_from_its_latest_snapshot_and_the_entries_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut alone = Alone::start(folder.path(), 10).await;
        for n in 0..35 {
            alone.propose(&format!("record {n}")).await;
        }
        drop(alone);
        let mut again = Alone::start(folder.path(), 10).await;
        let base: usize = std::str::from_utf8(&again.committed[0]).unwrap().parse().unwrap();
        assert!((25..=35).contains(&base), "{base}");
        assert_eq!(again.committed.len() - 1 + base, 35, "the snapshot and what follows it");
        again.propose("one more").await;
        assert_eq!(again.committed.last().unwrap(), "one more");
    }

    #[tokio::test]
    async fn a_member_without_a_disk_serves_and_forgets() {
        let mut alone = Alone::with(JournalEdge::in_memory(), None, 1_000).await;
        alone.propose("record").await;
        assert_eq!(alone.committed, ["record"]);
        assert!(alone.journal.counters().is_none() && alone.journal.condition() == Condition::Fine);
    }

    #[test]
    fn a_snapshot_of_something_else_makes_no_member() {
        let snapshot = Some(bytes::Bytes::from_static(b"?"));
        let refused = persisted(Recovered { snapshot, ..Recovered::default() }).unwrap_err();
        assert_eq!(refused, NoMember::Snapshot);
        assert_eq!(persisted(Recovered::default()), Ok(None), "nothing is no fault");
    }
}
