//! What mailboxes said last (RFC 3842), by the number of the Extension that they belong to.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::limits::{MAX_MAILBOXES, MAX_SUMMARY_BYTES};

/// `Content-Type` of a summary.
pub const SUMMARY_TYPE: &[u8] = b"application/simple-message-summary";

/// See the module.
#[derive(Debug, Default)]
pub struct Mailboxes {
    said: BTreeMap<Arc<str>, Bytes>,
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
    /// Keeps what a mailbox says. True: it said something else before.
    ///
    /// # Errors
    /// See [`NotKept`].
    pub fn says(&mut self, dn: &Arc<str>, summary: Bytes) -> Result<bool, NotKept> {
        if summary.len() > MAX_SUMMARY_BYTES {
            return Err(NotKept::TooLong);
        }
        let full = self.said.len() >= MAX_MAILBOXES;
        match self.said.get_mut(dn) {
            Some(known) if *known == summary => Ok(false),
            Some(known) => {
                *known = summary;
                Ok(true)
            }
            None if full => Err(NotKept::Full),
            None => {
                self.said.insert(Arc::clone(dn), summary);
                Ok(true)
            }
        }
    }

    /// What it said last.
    #[must_use]
    pub fn of(&self, dn: &str) -> Option<&Bytes> {
        self.said.get(dn)
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
    pub fn forget(&mut self, gone: impl Fn(&str) -> bool) {
        self.said.retain(|dn, _| !gone(dn));
    }
}
