//! What waits for the journal's thread: bounded, and taken in groups.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Parts};
use crate::counters::{Counters, add, set};
use crate::error::{Condition, Refused, Why};
use crate::limits::{
    MAX_BATCH, MAX_GROUP, MAX_SNAPSHOT, MAX_WAITING, MAX_WAITING_BYTES, MAX_WAITING_SNAPSHOTS,
};

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Work<T> {
    /// Batches to be written together; one that stands apart comes alone.
    Group(Vec<Batch>),
    /// A helper has done something.
    Done(T),
    /// It is time.
    Late,
    /// Nothing any more.
    End,
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    wake: Condvar,
    pub(crate) counters: Counters,
}

#[derive(Debug)]
struct Inner<T> {
    batches: VecDeque<Batch>,
    /// Of their records.
    bytes: usize,
    /// Of them, those with one.
    snapshots: usize,
    done: VecDeque<T>,
    /// The thread has nothing to do: whoever brings something wakes it.
    idle: bool,
    closing: bool,
    condition: Condition,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let (batches, done, condition) = (VecDeque::new(), VecDeque::new(), Condition::Fine);
        let inner = Inner { batches, bytes: 0, snapshots: 0, done, idle: false, closing: false, condition };
        Self { inner: Mutex::new(inner), wake: Condvar::new(), counters: Counters::default() }
    }

    /// Nobody holds it while anything can go wrong: it is never left half changed.
    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, batch: Batch) -> Result<(), Refused> {
        let mut inner = self.inner();
        if let Some(why) = inner.refuses(&batch) {
            add(&self.counters.refused, 1);
            return Err(Refused { why, batch: Box::new(batch) });
        }
        inner.bytes += batch.len();
        inner.snapshots += usize::from(batch.snapshot.is_some());
        inner.batches.push_back(batch);
        self.gauge(&inner);
        let wakes = std::mem::take(&mut inner.idle);
        drop(inner);
        if wakes {
            self.wake.notify_one();
        }
        Ok(())
    }

    pub(crate) fn done(&self, done: T) {
        self.inner().done.push_back(done);
        self.wake.notify_one();
    }

    /// Ends the thread when it has written what waits.
    pub(crate) fn close(&self) {
        self.inner().closing = true;
        self.wake.notify_one();
    }

    pub(crate) fn condition(&self) -> Condition {
        self.inner().condition.clone()
    }

    /// True if it is another than before.
    pub(crate) fn set_condition(&self, condition: &Condition) -> bool {
        let mut inner = self.inner();
        let changed = inner.condition != *condition;
        inner.condition.clone_from(condition);
        changed
    }

    /// Waits for something to do, but not longer than `until`. Batches gather until `from`, and nobody wakes the thread for them.
    pub(crate) fn take(&self, from: Option<Instant>, until: Option<Instant>) -> Work<T> {
        let mut inner = self.inner();
        loop {
            if let Some(done) = inner.done.pop_front() {
                return Work::Done(done);
            }
            if !inner.batches.is_empty() {
                if let Some(left) = left(from).filter(|_| !inner.closing) {
                    inner = self.wait(inner, Some(left));
                    continue;
                }
                let group = inner.group();
                self.gauge(&inner);
                return Work::Group(group);
            }
            if inner.closing {
                return Work::End;
            }
            let left = left(until);
            if left.is_none() && until.is_some() {
                return Work::Late;
            }
            inner.idle = true;
            inner = self.wait(inner, left);
            inner.idle = false;
        }
    }

    fn wait<'a>(
        &'a self,
        inner: MutexGuard<'a, Inner<T>>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, Inner<T>> {
        match left {
            None => self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
            Some(left) => self.wake.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// Waits for a helper, whatever else waits.
    pub(crate) fn take_done(&self) -> T {
        let mut inner = self.inner();
        loop {
            match inner.done.pop_front() {
                Some(done) => return done,
                None => inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn gauge(&self, inner: &Inner<T>) {
        set(&self.counters.waiting, inner.batches.len());
        set(&self.counters.waiting_bytes, inner.bytes);
    }
}

impl<T> Inner<T> {
    fn refuses(&self, batch: &Batch) -> Option<Why> {
        let (bytes, snapshot) = (batch.len(), batch.snapshot.as_ref().map_or(0, Parts::len));
        if bytes > MAX_BATCH || snapshot > MAX_SNAPSHOT {
            return Some(Why::TooLong { bytes: bytes.max(snapshot) });
        }
        if let Condition::Failed(why) = &self.condition
            && !batch.fresh
        {
            return Some(Why::Failed(why.clone()));
        }
        let full = self.batches.len() >= MAX_WAITING
            || self.bytes + bytes > MAX_WAITING_BYTES && !self.batches.is_empty()
            || batch.snapshot.is_some() && self.snapshots >= MAX_WAITING_SNAPSHOTS;
        full.then_some(Why::Full { batches: self.batches.len(), bytes: self.bytes })
    }

    /// As many as go together. There is at least one.
    fn group(&mut self) -> Vec<Batch> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = self.batches.pop_front_if(|batch| {
            group.is_empty() || !batch.stands_apart() && bytes + batch.len() <= MAX_GROUP
        }) {
            bytes += batch.len();
            let apart = batch.stands_apart();
            self.snapshots -= usize::from(batch.snapshot.is_some());
            group.push(batch);
            if apart {
                break;
            }
        }
        self.bytes -= bytes;
        group
    }
}

/// How long it is until then; `None` if it has come.
fn left(at: Option<Instant>) -> Option<Duration> {
    at.map(|at| at.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::batch::{Keep, Record};

    fn batch(token: u64, length: usize) -> Batch {
        let records = vec![Record { keep: Keep::Loose, bytes: vec![0; length].into() }];
        Batch { token, records, ..Batch::default() }
    }

    fn groups(queue: &Queue<()>) -> Vec<Vec<u64>> {
        queue.close();
        let next = || match queue.take(None, None) {
            Work::Group(group) => Some(group.iter().map(|batch| batch.token).collect()),
            Work::Done(()) | Work::Late | Work::End => None,
        };
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn what_waits_goes_together_but_for_what_stands_apart() {
        let queue = Queue::new();
        let snapshot = Some(Bytes::from_static(b"state").into());
        (1..=2).for_each(|token| queue.push(batch(token, 10)).unwrap());
        queue.push(Batch { snapshot, ..batch(3, 10) }).unwrap();
        queue.push(Batch { fresh: true, ..batch(4, 10) }).unwrap();
        (5..=6).for_each(|token| queue.push(batch(token, 10)).unwrap());
        assert_eq!(groups(&queue), [vec![1, 2], vec![3], vec![4], vec![5, 6]]);
    }

    #[test]
    fn a_group_is_bounded_and_a_longer_batch_goes_alone() {
        let queue = Queue::new();
        for (token, length) in [(1, MAX_GROUP - 10), (2, 11), (3, MAX_GROUP + 1), (4, 1)] {
            queue.push(batch(token, length)).unwrap();
        }
        assert_eq!(groups(&queue), [vec![1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn what_comes_before_its_time_gathers_and_what_closes_waits_for_nothing() {
        let queue = Queue::<()>::new();
        let soon = Instant::now() + Duration::from_millis(1);
        queue.push(batch(1, 10)).unwrap();
        assert!(matches!(queue.take(Some(soon), None), Work::Group(_)));
        assert!(Instant::now() >= soon, "it is not written before");
        queue.push(batch(2, 10)).unwrap();
        queue.close();
        let never = Instant::now() + Duration::from_secs(3_600);
        assert!(matches!(queue.take(Some(never), None), Work::Group(_)));
    }

    #[test]
    fn a_failed_journal_takes_nothing_but_a_fresh_beginning() {
        let queue = Queue::<()>::new();
        queue.set_condition(&Condition::Failed("it is broken".into()));
        assert_eq!(queue.push(batch(1, 1)).unwrap_err().why, Why::Failed("it is broken".into()));
        queue.push(Batch { fresh: true, ..batch(2, 1) }).unwrap();
        assert_eq!(queue.counters.refused.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
