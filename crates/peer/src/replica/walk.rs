//! A walk over all records of a set as they were when it began, some at a time: what changes meanwhile does not show. So a
//! snapshot of a large set is made beside other work, and stands for one place in the order of changes.

use super::batch::{Batch, Change, HEAD_BYTES, Op};
use super::log::Seq;
use super::record::RecordKey;
use super::set::Stored;
use std::collections::BTreeMap;
use std::ops::Bound;

#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The last key that was passed.
    passed: Option<RecordKey>,
    /// What was there when the walk began, of keys that are still to come and have changed since.
    before: BTreeMap<RecordKey, Option<Stored>>,
}

impl Walk {
    /// A record has changed; `old` was there before.
    pub(super) fn changed(&mut self, key: RecordKey, old: Option<Stored>) {
        if self.passed.is_none_or(|passed| key > passed) {
            self.before.entry(key).or_insert(old);
        }
    }

    /// The next records, about so many bytes of them. `None`: all have been passed.
    pub(super) fn go_on(&mut self, records: &BTreeMap<RecordKey, Stored>, bytes: usize) -> Option<Batch> {
        let from = self.passed.map_or(Bound::Unbounded, Bound::Excluded);
        let mut now = records.range((from, Bound::Unbounded)).peekable();
        let (mut some, mut taken) = (Vec::new(), 0);
        while taken < bytes.max(1) {
            let old = self.before.first_key_value().map(|(key, _)| *key);
            let new = now.peek().map(|(key, _)| **key);
            let Some(key) = old.into_iter().chain(new).min() else { break };
            let new = now.next_if(|(at, _)| **at == key).map(|(_, stored)| stored.clone());
            let stored = self.before.remove(&key).unwrap_or(new);
            self.passed = Some(key);
            let Some(Stored { stamp, deadline, value }) = stored else { continue };
            taken += HEAD_BYTES + value.len();
            some.push(Change { key, stamp, deadline, op: Op::Put(value) });
        }
        (!some.is_empty()).then(|| Batch::of(Seq(0), some))
    }
}
