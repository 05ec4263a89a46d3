//! What mailboxes said last (RFC 3842), by the number of the Extension that they belong to.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tandem_peer::replica::{Change, ChangeLog, Replicated};

use super::stored::Said;
use crate::limits::{MAX_MAILBOXES, MAX_SUMMARY_BYTES};

/// `Content-Type` of a summary.
pub const SUMMARY_TYPE: &[u8] = b"application/simple-message-summary";

/// See the module.
#[derive(Debug, Default)]
pub struct Mailboxes {
    said: BTreeMap<Arc<str>, Replicated<Said>>,
}

/// Why a summary is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// It is longer than [`MAX_SUMMARY_BYTES`].
    TooLong,
    /// There are [`MAX_MAILBOXES`].
    Full,
}

impl Mailboxes {
    /// Keeps what a mailbox says, in a record of this number if it is its first word. True: it said something else before.
    ///
    /// # Errors
    /// See [`NotKept`].
    pub(crate) fn says(
        &mut self,
        dn: &Arc<str>,
        summary: Bytes,
        record: u64,
        log: &mut ChangeLog,
    ) -> Result<bool, NotKept> {
        if summary.len() > MAX_SUMMARY_BYTES {
            return Err(NotKept::TooLong);
        }
        let full = self.said.len() >= MAX_MAILBOXES;
        match self.said.get_mut(dn) {
            Some(known) if known.summary == summary => Ok(false),
            Some(known) => {
                known.update(log, |said| said.summary = summary);
                Ok(true)
            }
            None if full => Err(NotKept::Full),
            None => {
                let said = Said { number: Arc::clone(dn), summary };
                self.said.insert(Arc::clone(dn), Replicated::create(record, said, log));
                Ok(true)
            }
        }
    }

    /// Takes up what a mailbox had said to the process before. False: it cannot be read.
    pub(crate) fn restore(&mut self, change: &Change) -> bool {
        let Some(said) = Replicated::<Said>::restore(change) else { return false };
        self.said.insert(Arc::clone(&said.number), said);
        true
    }

    /// What it said last.
    #[must_use]
    pub fn of(&self, dn: &str) -> Option<&Bytes> {
        self.said.get(dn).map(|said| &said.summary)
    }

    /// Mailboxes that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.said.len()
    }

    /// Is none known?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Forgets those of numbers that are no more.
    pub(crate) fn forget(&mut self, gone: impl Fn(&str) -> bool, log: &mut ChangeLog) {
        for (_, said) in self.said.extract_if(.., |dn, _| gone(dn)) {
            said.delete(log);
        }
    }
}
