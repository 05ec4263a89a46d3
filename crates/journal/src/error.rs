//! What goes wrong, in words that say what to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::batch::Batch;
use crate::read::Damage;

/// The disk refused something.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {doing} {}: {error}", path.display())]
pub struct Failure {
    /// What was tried.
    pub doing: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why not.
    pub error: Arc<io::Error>,
}

/// Why a journal is not opened. Nothing on the disk has been changed then.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] Failure),
    /// Another process writes there.
    #[error(
        "{} belongs to {}, which runs: stop it, or give this server another state-directory", path.display(),
        holder.map_or_else(|| "another server".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other's process id, if it is readable.
        holder: Option<u32>,
    },
    /// A file is damaged, foreign, or of a later release.
    #[error("{}, byte {}: {}", path.display(), damage.offset, damage.kind)]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A segment is missing.
    #[error(
        "{} is missing, and later parts of the journal are there: bring the file back, or have the server begin with \
         nothing by moving {} away", path.display(), directory.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The directory.
        directory: PathBuf,
    },
    /// A file lies there that no release would name so.
    #[error("{} is no part of a journal: move it away, or name another state-directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// How a journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// What is answered is on the disk.
    #[default]
    Fine,
    /// Records are stored, and something else fails: it says what.
    Degraded(Arc<str>),
    /// Nothing more is stored: it says why. Only a fresh batch, or a new start, ends this.
    Failed(Arc<str>),
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fine => f.write_str("fine"),
            Self::Degraded(why) => write!(f, "degraded: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// A batch that is not taken, and comes back.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// Why.
    pub why: Why,
    /// What was handed over.
    pub batch: Box<Batch>,
}

/// Why a batch is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// As much waits for the disk as may.
    #[error("the disk does not keep up: {batches} batches with {bytes} bytes wait for it")]
    Full {
        /// Batches that wait.
        batches: usize,
        /// Bytes of their records.
        bytes: usize,
    },
    /// The batch, or its snapshot, is longer than any may be.
    #[error("{bytes} bytes are more than one batch or snapshot may have")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Nothing is stored any more.
    #[error("{0}")]
    Failed(Arc<str>),
}
