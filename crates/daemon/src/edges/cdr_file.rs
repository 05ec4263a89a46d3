//! The file of call records: JSON lines, appended. What the disk does not take waits and is tried again, so that a file
//! never lacks a part of a line in its middle.

use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tandem_switch::Cdr;

use crate::limits::{CDR_LATEST_BYTES, MAX_CDR_KNOWN, MAX_CDR_QUEUE};

/// See the module.
pub struct CdrFile {
    path: PathBuf,
    file: File,
    /// Whether a written line counts when it would outlive a power loss only.
    syncs: bool,
    /// Lines that are not in the file.
    lines: Vec<u8>,
    /// The call of each, and where it ends.
    ends: VecDeque<(u128, usize)>,
    /// Bytes of the first that are in the file.
    cut: usize,
    known: Known,
    /// Calls whose lines are in the file, and may be on no disk yet.
    written: Vec<u128>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is written with the next ones.
    Waits,
    /// The file has it.
    Known,
    /// Too many wait for the disk.
    Dropped,
}

impl CdrFile {
    /// Opens a file, which is made if it is not there.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path, syncs: bool) -> io::Result<Self> {
        let file = append_to(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            syncs,
            lines: Vec::new(),
            ends: VecDeque::new(),
            cut: 0,
            known: latest(path)?,
            written: Vec::new(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lines that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.ends.len()
    }

    /// Takes a record.
    pub fn add(&mut self, uuid: u128, record: &Cdr) -> Added {
        if self.known.has(uuid) {
            self.written.push(uuid);
            return Added::Known;
        }
        if self.ends.iter().any(|(waits, _)| *waits == uuid) {
            return Added::Waits;
        }
        let begin = self.lines.len();
        if self.ends.len() >= MAX_CDR_QUEUE || serde_json::to_writer(&mut self.lines, record).is_err() {
            self.lines.truncate(begin);
            return Added::Dropped;
        }
        self.lines.push(b'\n');
        self.ends.push_back((uuid, self.lines.len()));
        Added::Waits
    }

    /// Writes what waits. Gives how many whole lines were written, and what stopped it.
    pub fn write(&mut self) -> (u64, io::Result<()>) {
        let mut whole = 0;
        while let Some(rest) = self.lines.get(self.cut..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return (whole, Err(ErrorKind::WriteZero.into())),
                Ok(bytes) => whole += self.has_taken(bytes),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (whole, Err(error)),
            }
        }
        (whole, Ok(()))
    }

    fn has_taken(&mut self, bytes: usize) -> u64 {
        let to = self.cut + bytes;
        let (mut lines, mut whole) = (0, 0);
        while let Some((uuid, end)) = self.ends.pop_front_if(|(_, end)| *end <= to) {
            self.known.add(uuid);
            self.written.push(uuid);
            (lines, whole) = (lines + 1, end);
        }
        self.lines.drain(..whole.min(self.lines.len()));
        self.ends.iter_mut().for_each(|(_, end)| *end -= whole);
        self.cut = to - whole;
        lines
    }

    /// Calls whose records will outlive this process, each once.
    ///
    /// # Errors
    /// The disk refused what was written since this was asked last: it is not known what of it is there, and it is not
    /// asked for again.
    pub fn kept(&mut self) -> io::Result<Vec<u128>> {
        let kept = std::mem::take(&mut self.written);
        if self.syncs && !kept.is_empty() && self.file.metadata()?.is_file() {
            self.file.sync_data()?;
        }
        Ok(kept)
    }

    /// The file was moved away: a new one of its name is written to from now on. What it had is with [`kept`](Self::kept)
    /// before that.
    ///
    /// # Errors
    /// What the operating system says; the old one is written to then.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path)?;
        // A line that was cut off in the old one is whole in the new one.
        self.cut = 0;
        Ok(())
    }
}

/// Calls whose records were written last: a server that was killed, or another that took over and gave back, may give
/// their records again.
#[derive(Default)]
struct Known {
    calls: HashSet<u128>,
    in_order: VecDeque<u128>,
}

impl Known {
    fn has(&self, uuid: u128) -> bool {
        self.calls.contains(&uuid)
    }

    fn add(&mut self, uuid: u128) {
        if self.calls.insert(uuid) {
            self.in_order.push_back(uuid);
        }
        if self.in_order.len() > MAX_CDR_KNOWN
            && let Some(first) = self.in_order.pop_front()
        {
            self.calls.remove(&first);
        }
    }
}

/// `CallUUID`s of the last records of a file.
fn latest(path: &Path) -> io::Result<Known> {
    #[derive(serde::Deserialize)]
    struct Line {
        call_uuid: String,
    }
    let mut known = Known::default();
    for line in tail(path, CDR_LATEST_BYTES)?.split(|byte| *byte == b'\n') {
        let line = serde_json::from_slice::<Line>(line).ok();
        let uuid = line.and_then(|line| u128::from_str_radix(&line.call_uuid, 16).ok());
        uuid.into_iter().for_each(|uuid| known.add(uuid));
    }
    Ok(known)
}

/// The last bytes of a file; none of what is no file, which is not read.
fn tail(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    let mut tail = Vec::new();
    if metadata.is_file() && metadata.len() > 0 {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(bytes)))?;
        file.take(bytes).read_to_end(&mut tail)?;
    }
    Ok(tail)
}

fn append_to(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // A power loss, or a full disk, may have cut off the last line.
    if tail(path, 1)?.last().is_some_and(|last| *last != b'\n') {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(uuid: u128) -> Cdr {
        Cdr {
            call_uuid: format!("{uuid:032x}"),
            server: "site-a".into(),
            from: "1001".into(),
            to: "1002".into(),
            start_unix_ms: 1,
            end_unix_ms: 2,
            session_id: String::new(),
            legs: Vec::new(),
        }
    }

    fn add(file: &mut CdrFile, uuid: u128) -> Added {
        file.add(uuid, &record(uuid))
    }

    #[test]
    fn a_record_is_kept_once_it_is_written_and_a_known_one_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = CdrFile::open(&folder.path().join("cdr.jsonl"), true).unwrap();
        assert_eq!(
            (add(&mut file, 1), add(&mut file, 2), add(&mut file, 1)),
            (Added::Waits, Added::Waits, Added::Waits)
        );
        assert_eq!(file.kept().unwrap(), []);
        let (lines, outcome) = file.write();
        assert!(outcome.is_ok());
        assert_eq!((lines, file.kept().unwrap(), file.kept().unwrap()), (2, vec![1, 2], vec![]));
        assert_eq!(add(&mut file, 2), Added::Known);
        assert_eq!((file.write().0, file.kept().unwrap()), (0, vec![2]));
    }

    #[test]
    fn a_full_disk_costs_no_record_as_long_as_there_is_room_to_wait() {
        let Ok(mut file) = CdrFile::open(Path::new("/dev/full"), true) else { return };
        for uuid in 1..=MAX_CDR_QUEUE as u128 {
            assert_eq!(add(&mut file, uuid), Added::Waits);
        }
        assert_eq!(add(&mut file, 0), Added::Dropped);
        let (lines, outcome) = file.write();
        assert!(outcome.is_err());
        assert_eq!((lines, file.waiting(), file.kept().unwrap()), (0, MAX_CDR_QUEUE, vec![]));
        let folder = tempfile::tempdir().unwrap();
        file.path = folder.path().join("cdr.jsonl");
        file.reopen().unwrap();
        assert_eq!(file.write().0, MAX_CDR_QUEUE as u64);
        assert_eq!((file.waiting(), file.kept().unwrap().len()), (0, MAX_CDR_QUEUE));
    }

    #[test]
    fn a_line_that_the_disk_took_in_two_parts_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = CdrFile::open(&folder.path().join("cdr.jsonl"), false).unwrap();
        for uuid in 1..=3 {
            assert_eq!(add(&mut file, uuid), Added::Waits);
        }
        let whole = file.lines.clone();
        let first = file.ends.front().unwrap().1;
        assert_eq!(file.has_taken(first + 10), 1);
        assert_eq!((file.cut, file.waiting(), file.kept().unwrap()), (10, 2, vec![1]));
        assert_eq!(file.lines, whole.get(first..).unwrap());
        assert_eq!(file.write().0, 2);
        assert_eq!(std::fs::read(folder.path().join("cdr.jsonl")).unwrap(), whole.get(first + 10..).unwrap());
    }

    #[test]
    fn a_line_that_a_power_loss_cut_off_does_not_spoil_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        std::fs::write(&path, "{\"call_uuid\":\"7\",\"ser").unwrap();
        let mut file = CdrFile::open(&path, true).unwrap();
        assert_eq!(add(&mut file, 7), Added::Waits, "half a record is none");
        file.write().1.unwrap();
        assert_eq!(latest(&path).unwrap().in_order, [7]);
    }

    #[test]
    fn the_calls_that_are_remembered_are_bounded() {
        let mut known = Known::default();
        (0..=MAX_CDR_KNOWN as u128).for_each(|uuid| known.add(uuid));
        assert_eq!((known.calls.len(), known.has(0), known.has(1)), (MAX_CDR_KNOWN, false, true));
    }
}
