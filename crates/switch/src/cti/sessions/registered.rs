//! Who has registered which DN.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;
use tandem_cti::RegisterMode;

use crate::cti::SessionId;

/// A session that has registered a DN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watcher {
    pub session: SessionId,
    pub mode: RegisterMode,
}

/// Sessions by DN, each list in the order of registration.
#[derive(Debug, Default)]
pub(super) struct Registered {
    by_dn: HashMap<Arc<str>, SmallVec<[Watcher; 2]>, foldhash::fast::RandomState>,
    total: usize,
}

impl Registered {
    /// Registrations of all DNs.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Who has registered this DN.
    pub fn of(&self, dn: &str) -> &[Watcher] {
        self.by_dn.get(dn).map_or(&[], SmallVec::as_slice)
    }

    /// Notes a registration, or its new mode.
    pub fn put(&mut self, dn: &Arc<str>, session: SessionId, mode: RegisterMode) {
        let watchers = match self.by_dn.get_mut(dn) {
            Some(watchers) => watchers,
            None => self.by_dn.entry(Arc::clone(dn)).or_default(),
        };
        match watchers.iter_mut().find(|watcher| watcher.session == session) {
            Some(watcher) => watcher.mode = mode,
            None => {
                watchers.push(Watcher { session, mode });
                self.total += 1;
            }
        }
    }

    /// Forgets one.
    pub fn remove(&mut self, dn: &str, session: SessionId) {
        let Some(watchers) = self.by_dn.get_mut(dn) else { return };
        let before = watchers.len();
        watchers.retain(|watcher| watcher.session != session);
        self.total -= before - watchers.len();
        if watchers.is_empty() {
            self.by_dn.remove(dn);
        }
    }
}
