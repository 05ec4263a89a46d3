//! Calls at queues and routing points: from their arrival until it is known what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_QUEUED;
use crate::station::Conn;

/// Where a call of a queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// In the queue.
    Queued,
    /// On its way to an agent since, ms.
    Offered(u64),
    /// Not in the queue when the service saw it again at, ms; perhaps an agent has it.
    Missing(u64),
}

/// A call that entered a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// ConnID that it entered with: a transfer may give it another one.
    pub first_conn: Conn,
    /// Number of the queue.
    pub queue: Arc<str>,
    /// When it entered, ms.
    pub since_ms: u64,
    /// Where it is.
    pub state: Waiting,
    /// The caller.
    pub caller: Option<Arc<str>>,
}

/// All calls at queues; a call is at one queue of a site at most.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    entries: BTreeMap<(usize, Conn), Entry>,
}

impl Waits {
    /// The call, if it is at a queue of the site.
    pub fn get(&self, site: usize, conn: Conn) -> Option<&Entry> {
        self.entries.get(&(site, conn))
    }

    /// The same, to change its state.
    pub fn get_mut(&mut self, site: usize, conn: Conn) -> Option<&mut Entry> {
        self.entries.get_mut(&(site, conn))
    }

    /// A call enters; false if the table is full.
    pub fn enter(&mut self, site: usize, conn: Conn, entry: Entry) -> bool {
        if self.entries.len() >= MAX_QUEUED {
            return false;
        }
        self.entries.insert((site, conn), entry);
        true
    }

    /// It is known what became of it.
    pub fn leave(&mut self, site: usize, conn: Conn) -> Option<Entry> {
        self.entries.remove(&(site, conn))
    }

    /// The calls of one site.
    pub fn of_site(&self, site: usize) -> impl Iterator<Item = (Conn, &Entry)> {
        let range = self.entries.range((site, Conn::MIN)..=(site, Conn::MAX));
        range.map(|((_, conn), entry)| (*conn, entry))
    }

    /// The calls of one queue.
    pub fn of_queue<'a>(&'a self, site: usize, queue: &'a str) -> impl Iterator<Item = (Conn, &'a Entry)> {
        self.of_site(site).filter(move |(_, entry)| &*entry.queue == queue)
    }
}
