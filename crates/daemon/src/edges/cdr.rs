//! Call records as JSON lines. A thread of their own writes them, so that a slow disk never delays a call, and tells the
//! `Node` about once a second which of them are kept: only then does the server forget the calls.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tandem_switch::Cdr;

use super::cdr_file::{Added, CdrFile};
use crate::command::Commands;
use crate::limits::{
    CDR_COMPLAINT_EVERY, CDR_CONFIRM_EVERY, CDR_LOOK_EVERY, DRILL_CALLER, MAX_CDR_CONFIRMED, MAX_CDR_QUEUE,
};
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

/// Where records go.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The file; `None`: they are not written.
    pub file: Option<&'a Path>,
    /// Whether a record counts as kept only when it would outlive a power loss.
    pub syncs: bool,
}

/// The `Node`'s end of the queue. Dropping it writes what waits and ends the thread.
pub struct CdrWriter {
    queue: Option<SyncSender<Box<Cdr>>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<CdrCounters>,
    complained: Option<Instant>,
}

impl CdrWriter {
    /// Opens the file and starts the thread.
    ///
    /// # Errors
    /// What the operating system says about the file or the thread.
    pub fn start(target: Target<'_>, counters: Arc<CdrCounters>, commands: Commands) -> io::Result<Self> {
        let (queue, receiver) = sync_channel(MAX_CDR_QUEUE);
        let file = target.file.map(|path| CdrFile::open(path, target.syncs)).transpose()?;
        let mut sink = Sink {
            file,
            kept: Vec::new(),
            counters: Arc::clone(&counters),
            commands,
            complained: None,
            confirmed: Instant::now(),
        };
        let body = move || sink.run(&receiver);
        let thread = std::thread::Builder::new().name("cdr".to_owned()).spawn(body)?;
        Ok(Self { queue: Some(queue), thread: Some(thread), counters, complained: None })
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
        dropped(&self.counters, &mut self.complained, &lost);
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
    file: Option<CdrFile>,
    /// Calls of which the `Node` is to be told.
    kept: Vec<u128>,
    counters: Arc<CdrCounters>,
    commands: Commands,
    complained: Option<Instant>,
    confirmed: Instant,
}

impl Sink {
    /// Looks at the queue now and then instead of waiting on it: waking this thread for each record would cost the
    /// `Node`'s thread more than the record.
    fn run(&mut self, records: &Receiver<Box<Cdr>>) {
        loop {
            let over = loop {
                match records.try_recv() {
                    Ok(record) => self.add(&record),
                    Err(TryRecvError::Empty) => break false,
                    Err(TryRecvError::Disconnected) => break true,
                }
            };
            self.write();
            self.follow_rotation();
            if over {
                return self.end();
            }
            if self.confirmed.elapsed() >= CDR_CONFIRM_EVERY {
                self.confirm();
            }
            std::thread::sleep(CDR_LOOK_EVERY);
        }
    }

    fn add(&mut self, record: &Cdr) {
        let uuid = u128::from_str_radix(&record.call_uuid, 16).unwrap_or_default();
        let Some(file) = &mut self.file else { return self.kept.push(uuid) };
        match file.add(uuid, record) {
            Added::Waits | Added::Known => {}
            Added::Dropped => dropped(&self.counters, &mut self.complained, record),
        }
    }

    fn write(&mut self) {
        let Some(file) = &mut self.file else { return };
        let (lines, outcome) = file.write();
        self.counters.written.fetch_add(lines, Ordering::Relaxed);
        if let Err(error) = outcome {
            self.complain(&error);
        }
    }

    /// Tells the `Node` what is kept. What its queue has no room for is told the next time.
    fn confirm(&mut self) {
        self.confirmed = Instant::now();
        self.sync();
        while !self.kept.is_empty() {
            let calls = self.kept.split_off(self.kept.len().saturating_sub(MAX_CDR_CONFIRMED));
            if let Err(calls) = self.commands.recorded(calls) {
                self.kept.extend(calls);
                return;
            }
        }
    }

    fn sync(&mut self) {
        match self.file.as_mut().map(CdrFile::kept) {
            Some(Ok(kept)) => self.kept.extend(kept),
            Some(Err(error)) => self.complain(&error),
            None => {}
        }
    }

    fn follow_rotation(&mut self) {
        if self.counters.reopen.swap(false, Ordering::Relaxed) {
            self.sync();
            if let Some(Err(error)) = self.file.as_mut().map(CdrFile::reopen) {
                self.complain(&error);
            }
        }
    }

    fn end(&mut self) {
        self.sync();
        let Some(file) = self.file.as_ref().filter(|file| file.waiting() > 0) else { return };
        let records = file.waiting();
        self.counters.lost.fetch_add(records as u64, Ordering::Relaxed);
        tracing::error!(file = %file.path().display(), records, "call records are not written: a restart writes those it still has");
    }

    fn complain(&mut self, error: &io::Error) {
        if let Some(file) = &self.file
            && due(&mut self.complained)
        {
            let (file, waiting) = (file.path().display(), file.waiting());
            tracing::error!(%file, %error, waiting, "call records cannot be written; they wait");
        }
    }
}

fn dropped(counters: &CdrCounters, complained: &mut Option<Instant>, record: &Cdr) {
    let total = counters.lost.fetch_add(1, Ordering::Relaxed) + 1;
    if due(complained) {
        let call_uuid = &*record.call_uuid;
        tracing::error!(%call_uuid, total, "call record dropped: the disk does not keep up");
    }
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
    use tandem_switch::Input;

    use super::*;
    use crate::command::Command;

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

    fn writer(path: &Path, counters: Arc<CdrCounters>) -> io::Result<CdrWriter> {
        CdrWriter::start(Target { file: Some(path), syncs: true }, counters, Commands::channel(8).0)
    }

    #[test]
    fn every_record_is_on_disk_when_the_writer_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        let counters = Arc::new(CdrCounters::default());
        let mut writer = writer(&path, Arc::clone(&counters)).unwrap();
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
    fn records_are_appended_to_what_is_there_and_none_of_it_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        for numbers in [[1, 2], [2, 3]] {
            let mut writer = writer(&path, Arc::default()).unwrap();
            numbers.into_iter().for_each(|number| writer.write(record(number), true));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    fn confirmed(file: Option<&Path>) -> Vec<u128> {
        let (commands, mut receiver) = Commands::channel(8);
        let target = Target { file, syncs: true };
        let mut writer = CdrWriter::start(target, Arc::default(), commands).unwrap();
        (1..=3).for_each(|n| writer.write(record(n), true));
        let command = receiver.blocking_recv().unwrap();
        let Command::Input(Input::Recorded { mut calls }) = command else { panic!("a confirmation") };
        calls.sort_unstable();
        calls
    }

    #[test]
    fn the_node_is_told_what_is_written_together() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(confirmed(Some(&folder.path().join("cdr.jsonl"))), [1, 2, 3]);
    }

    #[test]
    fn without_a_file_the_node_forgets_calls_all_the_same() {
        assert_eq!(confirmed(None), [1, 2, 3]);
    }

    #[test]
    fn what_the_node_has_no_room_for_is_told_later() {
        let (commands, mut receiver) = Commands::channel(1);
        let mut sink = Sink {
            file: None,
            kept: (1..=2 * MAX_CDR_CONFIRMED as u128).collect(),
            counters: Arc::default(),
            commands,
            complained: None,
            confirmed: Instant::now(),
        };
        let mut told = 0;
        for left in [MAX_CDR_CONFIRMED, 0] {
            sink.confirm();
            assert_eq!(sink.kept.len(), left);
            let Ok(Command::Input(Input::Recorded { calls })) = receiver.try_recv() else {
                panic!("a confirmation")
            };
            told += calls.len();
        }
        assert_eq!(told, 2 * MAX_CDR_CONFIRMED);
    }

    #[test]
    fn a_rotated_file_is_opened_anew_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("cdr.jsonl"), folder.path().join("cdr.1"));
        let counters = Arc::new(CdrCounters::default());
        let mut writer = writer(&path, Arc::clone(&counters)).unwrap();
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
        assert!(writer(Path::new("/nowhere/at/all.jsonl"), Arc::default()).is_err());
    }
}
