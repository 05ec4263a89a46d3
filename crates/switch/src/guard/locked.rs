//! What is stored of lock-outs: one record while one lasts, written when it begins and deleted when it ends, so that
//! nobody is let in because the server started again, or another took over. Failures on the way there are not stored.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tandem_peer::replica::{ChangeLog, Reader, Record, Replicated, Writer};

use super::locks::Who;
use crate::stored::{address, put_address};
use crate::time::Deadline;

/// A lock-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockedOut {
    pub(super) who: Who,
    pub(super) failures: u32,
    pub(super) ends: Deadline,
}

impl Record for LockedOut {
    const KIND: u8 = 16;

    fn encode(&self, out: &mut Writer<'_>) {
        let (source, user) = &self.who;
        put_address(out, SocketAddr::new(*source, 0));
        out.option(user.as_deref(), Writer::str);
        out.u32(self.failures);
        out.deadline(self.ends);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let source = address(fields)?.ip();
        let user = fields.option(|fields| fields.str().map(Into::into))?;
        Some(Self { who: (source, user), failures: fields.u32()?, ends: fields.deadline()? })
    }

    fn deadline(&self) -> Option<Deadline> {
        Some(self.ends)
    }
}

/// The records of those who are locked out.
#[derive(Debug, Default)]
pub(super) struct Kept {
    records: BTreeMap<Who, Replicated<LockedOut>>,
    /// Their lock-outs began or ended.
    turned: BTreeSet<Who>,
}

impl Kept {
    pub(super) fn turned(&mut self, who: &Who) {
        self.turned.insert(who.clone());
    }

    /// Stores what has turned: of each of them what `locked` says of his lock-out now.
    pub(super) fn store(
        &mut self,
        locked: impl Fn(&Who) -> Option<LockedOut>,
        log: &mut ChangeLog,
        next_record: &mut u64,
    ) {
        for who in std::mem::take(&mut self.turned) {
            match (self.records.remove(&who), locked(&who)) {
                (None, None) => {}
                (Some(record), None) => drop(record.delete(log)),
                (Some(mut record), Some(now)) => {
                    // One that ends when it did is the same, however often he fails meanwhile.
                    if record.ends.unix_ms().abs_diff(now.ends.unix_ms()) >= 1_000 {
                        record.update(log, |record| *record = now);
                    }
                    self.records.insert(who, record);
                }
                (None, Some(now)) => {
                    *next_record += 1;
                    self.records.insert(who, Replicated::create(*next_record, now, log));
                }
            }
        }
    }

    /// Whether there is nothing to store.
    pub(super) fn is_settled(&self) -> bool {
        self.turned.is_empty()
    }

    /// A record was taken up.
    pub(super) fn took_up(&mut self, record: Replicated<LockedOut>) {
        self.records.insert(record.who.clone(), record);
    }
}
