//! The journal as its owner has it: batches go in and never wait, a thread of its own writes them, and what is done is
//! told from there.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::batch::{Batch, Parts};
use crate::counters::{Counters, add, set};
use crate::disk::{Dir, Disk};
use crate::error::{Condition, Failure, OpenError, Refused};
use crate::limits::{CROWD, SEGMENT, SYNC_EVERY, SYNC_EVERY_IN_A_CROWD, SYNC_WITHIN};
use crate::log::{Log, Spare, spare, write_snapshot};
use crate::queue::{Queue, Work};
use crate::recover::{Recovered, recover};

/// What is told by the journal's thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The batches up to this token are stored.
    Stored {
        /// Of the last of them.
        token: u64,
    },
    /// The journal is this now.
    Condition(Condition),
}

/// A journal, open. Dropping it writes what waits.
#[derive(Debug)]
pub struct Journal {
    front: Arc<dyn Front>,
    thread: Option<JoinHandle<()>>,
}

/// The queue, whatever the disk.
trait Front: fmt::Debug + Send + Sync {
    fn push(&self, batch: Batch) -> Result<(), Refused>;
    fn close(&self);
    fn condition(&self) -> Condition;
    fn counters(&self) -> &Counters;
}

/// What a directory holds, without changing it; a server may run there.
///
/// # Errors
/// What is wrong with it.
pub fn inspect(path: &Path) -> Result<Recovered, OpenError> {
    recover(&Dir::look(path)?).map(|(recovered, _)| recovered)
}

impl Journal {
    /// Takes the directory, made if it is not there, reads what it holds, and goes on behind it. `tell` is called by the
    /// journal's thread and should not wait for anything.
    ///
    /// # Errors
    /// What is wrong there. Nothing has been changed then, unless the operating system refused a change.
    pub fn open(
        path: &Path,
        tell: impl FnMut(Progress) + Send + 'static,
    ) -> Result<(Self, Recovered), OpenError> {
        Self::on(Arc::new(Dir::lock(path)?), SEGMENT, tell)
    }

    /// The same on any disk, with another length of segments.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn on<D: Disk>(
        disk: Arc<D>,
        segment: u64,
        tell: impl FnMut(Progress) + Send + 'static,
    ) -> Result<(Self, Recovered), OpenError> {
        let (recovered, plan) = recover(&*disk)?;
        let snapshot_size = plan.snapshot_bytes;
        let log = Log::resume(Arc::clone(&disk), plan, segment)?;
        let queue = Arc::new(Queue::new());
        set(&queue.counters.snapshot_size, usize::try_from(snapshot_size).unwrap_or(usize::MAX));
        let (jobs, helper) = channel();
        let here = disk.path("");
        let started = |error: io::Error| Failure {
            doing: "start the threads of the journal in",
            path: here.clone(),
            error: Arc::new(error),
        };
        let (to, of) = (Arc::downgrade(&queue), Arc::clone(&disk));
        let helper = move || help(&*of, &helper, &to);
        let helper =
            std::thread::Builder::new().name("journal-files".into()).spawn(helper).map_err(started)?;
        let writer = Writer {
            disk,
            log,
            queue: Arc::clone(&queue),
            tell: Box::new(tell),
            jobs: Some(jobs),
            helper: Some(helper),
            failed: None,
            unsafe_since: None,
            not_before: None,
            first_needed: 0,
            snapshot: Snapshot::default(),
            spare: Ahead::default(),
        };
        writer.gauge();
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.run());
        let front: Arc<dyn Front> = queue;
        Ok((Self { front, thread: Some(thread.map_err(started)?) }, recovered))
    }

    /// Hands a batch over; never waits.
    ///
    /// # Errors
    /// Why it is not taken. It comes back.
    pub fn append(&self, batch: Batch) -> Result<(), Refused> {
        self.front.push(batch)
    }

    /// How it is.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.front.condition()
    }

    /// What it has done.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.front.counters()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.front.close();
        if let Some(thread) = self.thread.take() {
            // A thread that ended by a fault has told nothing as stored that is not.
            let _ = thread.join();
        }
    }
}

impl<T: fmt::Debug + Send> Front for Queue<T> {
    fn push(&self, batch: Batch) -> Result<(), Refused> {
        Self::push(self, batch)
    }

    fn close(&self) {
        Self::close(self);
    }

    fn condition(&self) -> Condition {
        Self::condition(self)
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// What takes long and goes on beside the log.
enum Job {
    Snapshot { life: u32, parts: Parts },
    Spare { room: u64 },
}

#[derive(Debug)]
enum Done<F> {
    Snapshot { length: usize, result: Result<(), Failure> },
    Spare(Result<Spare<F>, Failure>),
}

fn help<D: Disk>(disk: &D, jobs: &Receiver<Job>, queue: &Weak<Queue<Done<D::File>>>) {
    for job in jobs {
        let done = match job {
            Job::Snapshot { life, parts } => {
                Done::Snapshot { length: parts.len(), result: write_snapshot(disk, life, &parts) }
            }
            Job::Spare { room } => Done::Spare(spare(disk, room)),
        };
        let Some(queue) = queue.upgrade() else { return };
        queue.done(done);
    }
}

/// The snapshot that is being written, and the one after it.
#[derive(Default)]
struct Snapshot {
    under_way: bool,
    /// Takes the place of any other that waits.
    next: Option<Parts>,
    /// Places before this one are not needed once it is there: of the one under way, and of the next.
    releases: (u64, u64),
    failed: Option<Failure>,
}

/// The spare that is being made.
#[derive(Default)]
struct Ahead {
    under_way: bool,
    failed: Option<Failure>,
}

struct Writer<D: Disk> {
    disk: Arc<D>,
    log: Log<D>,
    queue: Arc<Queue<Done<D::File>>>,
    tell: Box<dyn FnMut(Progress) + Send>,
    jobs: Option<Sender<Job>>,
    helper: Option<JoinHandle<()>>,
    failed: Option<Failure>,
    /// Since when something waits for a sync that nobody waits for.
    unsafe_since: Option<Instant>,
    /// When the next batches are written.
    not_before: Option<Instant>,
    first_needed: u64,
    snapshot: Snapshot,
    spare: Ahead,
}

impl<D: Disk> Writer<D> {
    fn run(mut self) {
        loop {
            let late = self.unsafe_since.map(|since| since + SYNC_WITHIN);
            match self.queue.take(self.not_before, late) {
                Work::Group(batches) => self.group(&batches),
                Work::Done(done) => self.done(done),
                Work::Late => {
                    let synced = self.sync(1);
                    self.check(synced);
                }
                Work::End => break,
            }
            self.look_ahead();
        }
        if self.failed.is_none() {
            let synced = self.sync(1);
            self.check(synced);
        }
        self.let_helper_end();
        self.jobs = None;
        if let Some(helper) = self.helper.take() {
            // It has nothing to do any more: how it ended is of no consequence.
            let _ = helper.join();
        }
    }

    fn group(&mut self, batches: &[Batch]) {
        let Some(last) = batches.last() else { return };
        if self.failed.is_some() && !last.fresh {
            return;
        }
        let written = if last.stands_apart() { self.apart(last) } else { self.together(batches) };
        let forgotten = written.and_then(|()| {
            add(&self.queue.counters.batches, batches.len() as u64);
            (self.tell)(Progress::Stored { token: last.token });
            let first_needed = batches.iter().filter_map(|batch| batch.first_needed).max();
            self.first_needed = self.first_needed.max(first_needed.unwrap_or(0));
            self.forget()
        });
        self.check(forgotten);
        self.gauge();
    }

    fn together(&mut self, batches: &[Batch]) -> Result<(), Failure> {
        let records = batches.iter().flat_map(|batch| &batch.records);
        if records.clone().next().is_some() {
            let bytes = self.log.append(records.clone())?;
            add(&self.queue.counters.bytes, bytes);
            add(&self.queue.counters.records, records.count() as u64);
        }
        let late = self.unsafe_since.is_some_and(|since| since.elapsed() >= SYNC_WITHIN);
        if late || batches.iter().any(|batch| batch.sync) {
            return self.sync(batches.len());
        }
        if !self.log.is_safe() {
            self.unsafe_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn apart(&mut self, batch: &Batch) -> Result<(), Failure> {
        if batch.fresh {
            self.wait_for_files();
            self.log.anew(batch.snapshot.as_ref(), &batch.records)?;
            (self.failed, self.unsafe_since, self.first_needed) = (None, None, 0);
            self.snapshot = Snapshot::default();
            set(&self.queue.counters.snapshot_size, batch.snapshot.as_ref().map_or(0, Parts::len));
            return Ok(());
        }
        let Some(parts) = &batch.snapshot else { return Ok(()) };
        if batch.is_empty() {
            if batch.sync {
                self.sync(1)?;
            }
            self.snapshot.next = Some(parts.clone());
            self.snapshot.releases.1 = batch.first_needed.unwrap_or(0);
            self.next_snapshot();
            return Ok(());
        }
        self.wait_for_files();
        write_snapshot(&*self.disk, self.log.life(), parts)?;
        self.snapshot.failed = None;
        self.snapshot_written(parts.len());
        self.together(std::slice::from_ref(batch))
    }

    /// `sharing`: batches that it is for.
    fn sync(&mut self, sharing: usize) -> Result<(), Failure> {
        self.unsafe_since = None;
        if self.log.is_safe() {
            return Ok(());
        }
        let begin = Instant::now();
        let rest = if sharing >= CROWD { SYNC_EVERY_IN_A_CROWD } else { SYNC_EVERY };
        self.not_before = Some(begin + rest);
        self.log.sync()?;
        self.queue.counters.synced(begin.elapsed());
        Ok(())
    }

    /// The log is as long as the snapshot that would replace its beginning is not on the disk.
    fn forget(&mut self) -> Result<(), Failure> {
        let waits = self.snapshot.under_way || self.snapshot.failed.is_some();
        if waits { Ok(()) } else { self.log.forget(self.first_needed) }
    }

    fn next_snapshot(&mut self) {
        if self.snapshot.under_way {
            return;
        }
        let Some(parts) = self.snapshot.next.take() else { return };
        let job = Job::Snapshot { life: self.log.life(), parts };
        self.snapshot.under_way = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        self.snapshot.releases.0 = std::mem::take(&mut self.snapshot.releases.1);
    }

    fn wait_for_files(&mut self) {
        // What waits would be older than what is about to be written.
        self.snapshot.next = None;
        self.let_helper_end();
    }

    fn let_helper_end(&mut self) {
        while self.snapshot.under_way || self.spare.under_way {
            let done = self.queue.take_done();
            self.done(done);
        }
    }

    fn done(&mut self, done: Done<D::File>) {
        match done {
            Done::Spare(result) => {
                self.spare.under_way = false;
                match result {
                    Ok(spare) => {
                        self.spare.failed = None;
                        self.log.give(spare);
                    }
                    Err(failure) => self.spare.failed = Some(failure),
                }
            }
            Done::Snapshot { length, result } => {
                self.snapshot.under_way = false;
                self.snapshot.failed = result.err();
                if self.snapshot.failed.is_none() {
                    self.snapshot_written(length);
                    if self.failed.is_none() {
                        let forgotten = self.log.forget(self.snapshot.releases.0);
                        self.check(forgotten);
                    }
                }
                self.next_snapshot();
            }
        }
        self.tell_condition();
        self.gauge();
    }

    fn snapshot_written(&self, length: usize) {
        add(&self.queue.counters.snapshots, 1);
        set(&self.queue.counters.snapshot_size, length);
    }

    /// Has the next segment made before it is needed; tried again with each segment.
    fn look_ahead(&mut self) {
        if self.spare.under_way || self.failed.is_some() {
            return;
        }
        if let Some(room) = self.log.spare_wanted() {
            self.spare.under_way =
                self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job::Spare { room }).is_ok());
        }
    }

    fn check(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.failed = Some(failure);
        }
        self.tell_condition();
    }

    fn tell_condition(&mut self) {
        let said = |failure: &Failure| Arc::<str>::from(failure.to_string());
        let condition = match (&self.failed, &self.snapshot.failed, &self.spare.failed) {
            (Some(failure), ..) => Condition::Failed(said(failure)),
            (None, Some(failure), _) | (None, None, Some(failure)) => Condition::Degraded(said(failure)),
            (None, None, None) => Condition::Fine,
        };
        if self.queue.set_condition(&condition) {
            (self.tell)(Progress::Condition(condition));
        }
    }

    fn gauge(&self) {
        let counters = &self.queue.counters;
        let (segments, bytes) = self.log.size();
        set(&counters.segments, segments);
        set(&counters.size, usize::try_from(bytes).unwrap_or(usize::MAX));
    }
}
