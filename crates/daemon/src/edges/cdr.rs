//! Call records as JSON lines. A thread of their own writes them, so that a slow disk never delays a call.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tandem_switch::Cdr;

use crate::limits::{CDR_COMPLAINT_EVERY, CDR_FLUSH_EVERY, CDR_LOOK_EVERY, DRILL_CALLER, MAX_CDR_QUEUE};
use crate::log::{self, Worst};

/// What happened to call records, each since start.
#[derive(Debug, Default)]
pub struct CdrCounters {
    /// Records written.
    pub written: AtomicU64,
    /// Records dropped because the queue was full, or that the disk refused.
    pub lost: AtomicU64,
    /// Established calls that were lost.
    pub calls_lost: AtomicU64,
    /// Calls that nobody answered because this server or the network failed.
    pub calls_failed: AtomicU64,
    /// Set to have the file opened anew.
    reopen: AtomicBool,
}

impl CdrCounters {
    /// The file has been moved away: write to a new one of the same name from now on.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }
}

/// The `Node`'s end of the queue. Dropping it writes what waits and ends the thread.
pub struct CdrWriter {
    queue: Option<SyncSender<Box<Cdr>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<CdrCounters>,
    complained: Option<Instant>,
}

impl CdrWriter {
    /// Opens the file and starts the thread; without a file, records are not written.
    ///
    /// # Errors
    /// What the operating system says about the file or the thread.
    pub fn start(path: Option<&Path>, counters: Arc<CdrCounters>) -> io::Result<Self> {
        let mut writer =
            Self { queue: None, thread: None, counters: Arc::clone(&counters), complained: None };
        if let Some(path) = path {
            let (sender, receiver) = sync_channel(MAX_CDR_QUEUE);
            let mut sink = Sink { path: path.to_owned(), file: open(path)?, counters, complained: None };
            let body = move || sink.run(&receiver);
            writer.thread = Some(std::thread::Builder::new().name("cdr".to_owned()).spawn(body)?);
            writer.queue = Some(sender);
        }
        Ok(writer)
    }

    /// Hands a record over; never waits.
    /// A call that `came_in_here` and was lost is counted.
    pub fn write(&mut self, cdr: Box<Cdr>, came_in_here: bool) {
        let counts = came_in_here && !cdr.from.starts_with(DRILL_CALLER);
        match log::worst(&cdr).filter(|_| counts) {
            Some(Worst::Lost(_)) => self.counters.calls_lost.fetch_add(1, Ordering::Relaxed),
            Some(Worst::Failed(_)) => self.counters.calls_failed.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
        let Some(queue) = &self.queue else { return };
        let lost = match queue.try_send(cdr) {
            Ok(()) => return,
            Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) => lost,
        };
        let total = self.counters.lost.fetch_add(1, Ordering::Relaxed) + 1;
        if due(&mut self.complained) {
            tracing::error!(call_uuid = %lost.call_uuid, total, "call record dropped: the disk does not keep up");
        }
    }
}

impl Drop for CdrWriter {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of call records ended badly");
        }
    }
}

struct Sink {
    path: PathBuf,
    file: BufWriter<File>,
    counters: Arc<CdrCounters>,
    complained: Option<Instant>,
}

impl Sink {
    /// Looks at the queue now and then instead of waiting on it: waking this thread for each record would cost the
    /// `Node`'s thread more than the record.
    fn run(&mut self, records: &Receiver<Box<Cdr>>) {
        let mut flushed = Instant::now();
        loop {
            let over = loop {
                match records.try_recv() {
                    Ok(record) => self.append(&record),
                    Err(TryRecvError::Empty) => break false,
                    Err(TryRecvError::Disconnected) => break true,
                }
            };
            if over || flushed.elapsed() >= CDR_FLUSH_EVERY {
                self.flush();
                self.follow_rotation();
                flushed = Instant::now();
            }
            if over {
                return;
            }
            std::thread::sleep(CDR_LOOK_EVERY);
        }
    }

    fn append(&mut self, record: &Cdr) {
        let line = serde_json::to_writer(&mut self.file, record).map_err(io::Error::from);
        match line.and_then(|()| self.file.write_all(b"\n")) {
            Ok(()) => {
                self.counters.written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                self.counters.lost.fetch_add(1, Ordering::Relaxed);
                self.complain(&error);
            }
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.file.flush() {
            self.complain(&error);
        }
    }

    fn follow_rotation(&mut self) {
        if self.counters.reopen.swap(false, Ordering::Relaxed) {
            match open(&self.path) {
                Ok(file) => self.file = file,
                Err(error) => self.complain(&error),
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if due(&mut self.complained) {
            tracing::error!(file = %self.path.display(), %error, "call records cannot be written");
        }
    }
}

fn open(path: &Path) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(OpenOptions::new().create(true).append(true).open(path)?))
}

fn due(last: &mut Option<Instant>) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= CDR_COMPLAINT_EVERY);
    if due {
        *last = Some(Instant::now());
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> Box<Cdr> {
        Box::new(Cdr {
            call_uuid: format!("{number:032x}"),
            server: "site-a".into(),
            from: "1001".into(),
            to: "1002".into(),
            start_unix_ms: number,
            end_unix_ms: number + 1,
            session_id: String::new(),
            legs: Vec::new(),
        })
    }

    #[test]
    fn every_record_is_on_disk_when_the_writer_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        let counters = Arc::new(CdrCounters::default());
        let mut writer = CdrWriter::start(Some(&path), Arc::clone(&counters)).unwrap();
        (0..100).for_each(|n| writer.write(record(n), true));
        drop(writer);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 100);
        assert_eq!(lines[99]["start_unix_ms"], 99);
        assert_eq!(counters.written.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn records_are_appended_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        for n in 0..2 {
            let mut writer = CdrWriter::start(Some(&path), Arc::default()).unwrap();
            writer.write(record(n), true);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_rotated_file_is_opened_anew_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("cdr.jsonl"), folder.path().join("cdr.1"));
        let counters = Arc::new(CdrCounters::default());
        let mut writer = CdrWriter::start(Some(&path), Arc::clone(&counters)).unwrap();
        writer.write(record(1), true);
        std::fs::rename(&path, &moved).unwrap();
        counters.reopen();
        drop(writer);
        assert!(path.exists());
        let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
        assert_eq!(lines(&moved) + lines(&path), 1);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_said_at_start() {
        assert!(CdrWriter::start(Some(Path::new("/nowhere/at/all.jsonl")), Arc::default()).is_err());
    }
}
