//! What must be kept so that another process goes on where this one stopped.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::count::Tally;
use crate::object::Object;
use crate::station::{Conn, Station};
use crate::wait::Entry;

/// One fact under its key. Facts, rows and stream positions of the same moment belong into one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about; the same fact always has the same key.
    pub key: String,
    /// JSON; `None`: it holds no longer.
    pub value: Option<String>,
}

/// Keys of facts, in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKey {
    /// A DN.
    Station(usize, Arc<str>),
    /// A call at a queue.
    Wait(usize, Conn),
    /// Counts.
    Tally(Object),
    /// The moment of a site's last event.
    Heard(usize),
    /// When an agent was last logged out.
    LoggedOut(Arc<str>),
}

/// Values of facts, as they are stored. They hold names, so that a new configuration does not change their meaning.
#[derive(Debug, Serialize, Deserialize)]
pub enum Stored {
    /// See [`FactKey::Station`].
    Station {
        /// Site.
        site: Arc<str>,
        /// DN.
        dn: Arc<str>,
        /// It.
        station: Station,
    },
    /// See [`FactKey::Wait`].
    Wait {
        /// Site.
        site: Arc<str>,
        /// ConnID.
        conn: Conn,
        /// It.
        entry: Entry,
    },
    /// See [`FactKey::Tally`].
    Tally {
        /// Name of the object.
        object: String,
        /// It.
        tally: Tally,
    },
    /// See [`FactKey::Heard`].
    Heard {
        /// Site.
        site: Arc<str>,
        /// Time, ms.
        unix_ms: u64,
    },
    /// See [`FactKey::LoggedOut`].
    LoggedOut {
        /// AgentID.
        agent: Arc<str>,
        /// Time, ms.
        unix_ms: u64,
    },
}
