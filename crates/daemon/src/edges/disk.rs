//! What a server's member has written, and the word that it is stored.
//!
//! A server alone whose journal fails goes on without it, and says so: calls that cannot be made because a disk is full help
//! nobody. What changes from then on is forgotten by a restart. One of several confirms nothing that is not stored: others rely
//! on it, and take over.

use std::collections::VecDeque;

use tandem_journal::{Condition, Counters, Why};
use tandem_quorum::Write;
use tokio::sync::watch;

use super::journal::{JournalEdge, Told};

/// See the module.
pub struct Disk {
    journal: JournalEdge,
    told: watch::Receiver<Told>,
    /// What the journal has no room for yet.
    waiting: VecDeque<Write>,
    /// The last write that was handed over.
    last: u64,
    /// The last write that is stored nowhere.
    unstored: u64,
    /// The last write that the member was told is stored.
    confirmed: u64,
    /// Nobody relies on what it confirms.
    alone: bool,
}

impl Disk {
    /// Writes of a server alone go to this journal.
    pub fn new(journal: JournalEdge) -> Self {
        let (told, waiting) = (journal.told(), VecDeque::new());
        Self { told, journal, waiting, last: 0, unstored: 0, confirmed: 0, alone: true }
    }

    /// Writes of one of several go to this journal.
    pub fn of_member(journal: JournalEdge) -> Self {
        Self { alone: false, ..Self::new(journal) }
    }

    /// Hands a write over; never waits.
    pub fn write(&mut self, write: Write) {
        self.last = write.token;
        self.waiting.push_back(write);
        self.push();
    }

    /// Returns when the journal has told something.
    pub async fn news(&mut self) {
        // Its sender lives as long as the journal.
        let _ = self.told.changed().await;
    }

    /// Up to which write all is stored, if that is more than it was.
    pub fn stored(&mut self) -> Option<u64> {
        self.push();
        let unstored = if self.alone { self.unstored } else { 0 };
        let stored = self.told.borrow().stored.max(unstored);
        let more = stored > self.confirmed;
        self.confirmed = self.confirmed.max(stored);
        more.then_some(stored)
    }

    /// How the journal is.
    pub fn condition(&self) -> Condition {
        self.journal.condition()
    }

    /// What the journal has done; `None` without one.
    pub fn counters(&self) -> Option<&Counters> {
        self.journal.counters()
    }

    fn push(&mut self) {
        while let Some(write) = self.waiting.front() {
            let token = write.token;
            match self.journal.write(write).map_err(|refused| refused.why) {
                Ok(()) => {}
                // What is stored makes room, and is told.
                Err(Why::Full { .. }) => return,
                Err(Why::Failed(_)) => self.unstored = token,
                Err(Why::TooLong { bytes }) => {
                    tracing::error!(bytes, "a write is too long for the journal: a restart would forget it");
                    self.unstored = token;
                }
            }
            self.waiting.pop_front();
        }
        // Writes that waited when the journal failed are told of by nobody else.
        if let Condition::Failed(_) = self.journal.condition() {
            self.unstored = self.unstored.max(self.last);
        }
    }
}
