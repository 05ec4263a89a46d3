//! History as JSON lines, from committed rows, each exactly once.
//!
//! A line holds its row's number `n`. The file is its own high-water mark: what is written next is the row after the
//! last whole line. A line that a crash cut off is taken away and written again. The database keeps the mark too, for
//! when the file has been moved away and a new one begins.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::store::Store;
use crate::limits::{MAX_JSON_LINE, MAX_LINES_AT_ONCE};

/// Why lines could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    /// The file.
    #[error("{0}")]
    File(#[from] io::Error),
    /// The database.
    #[error("{0}")]
    Database(#[from] sqlx::Error),
}

/// The file.
pub struct Lines {
    path: PathBuf,
    file: File,
    /// Last row that it has.
    n: i64,
}

impl Lines {
    /// Opens the file and finds out what it has.
    ///
    /// # Errors
    /// What the operating system or SQLite says.
    pub async fn open(path: &Path, store: &mut Store) -> Result<Self, LinesError> {
        let (file, last) = open(path)?;
        let n = last.max(store.mark(&name(path)).await?);
        Ok(Self { path: path.to_owned(), file, n })
    }

    /// Writes the rows that the file does not have yet; true if there may be more.
    ///
    /// # Errors
    /// What the operating system or SQLite says.
    pub async fn write(&mut self, store: &mut Store) -> Result<bool, LinesError> {
        let rows = store.rows_after(self.n, MAX_LINES_AT_ONCE).await?;
        let Some((last, _)) = rows.last() else { return Ok(false) };
        if !self.is_in_place() {
            (self.file, _) = open(&self.path)?;
        }
        let mut text = String::new();
        for (n, json) in &rows {
            // The row is an object: its number goes in front.
            text.push_str(&format!("{{\"n\":{n},{}\n", json.strip_prefix('{').unwrap_or(json)));
        }
        if let Err(error) = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data()) {
            // Perhaps a part of it is there: what is there is found out anew.
            let (file, there) = open(&self.path)?;
            (self.file, self.n) = (file, self.n.max(there));
            return Err(error.into());
        }
        self.n = *last;
        store.set_mark(&name(&self.path), self.n).await?;
        Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX) >= MAX_LINES_AT_ONCE)
    }

    /// Whether the path still names the open file: log rotation moves it away.
    fn is_in_place(&self) -> bool {
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(open)) => (there.dev(), there.ino()) == (open.dev(), open.ino()),
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Opens the file for appending, without a cut-off line at its end; gives the number of its last row.
fn open(path: &Path) -> io::Result<(File, i64)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(MAX_JSON_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    (&mut file).take(MAX_JSON_LINE).read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    if whole < tail.len() {
        file.set_len(from + whole as u64)?;
    }
    let mut lines = tail.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
    let last = lines.rfind(|line| !line.is_empty());
    let row = last.and_then(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
    Ok((file, row.and_then(|row| row.get("n")?.as_i64()).unwrap_or(0)))
}
