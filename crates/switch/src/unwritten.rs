//! Calls that are over and whose records for the operator are not known to be written: their stored records stay until
//! they are, so that a server that starts again, or takes over, gives the records for the operator again.

use std::collections::BTreeMap;

use tandem_peer::ChangeLog;

use crate::call::Concluded;
use crate::limits::MAX_UNWRITTEN;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Unwritten {
    by_uuid: BTreeMap<u128, (u64, Concluded)>,
    in_order: BTreeMap<u64, u128>,
    last: u64,
}

impl Unwritten {
    /// A call is over. If too many are waited for, the one that ended first is waited for no more.
    pub fn add(&mut self, uuid: u128, record: Concluded, log: &mut ChangeLog) {
        self.written(uuid, log);
        if self.len() >= MAX_UNWRITTEN
            && let Some((_, first)) = self.in_order.first_key_value()
        {
            self.written(*first, log);
        }
        self.last += 1;
        self.in_order.insert(self.last, uuid);
        self.by_uuid.insert(uuid, (self.last, record));
    }

    /// The record of this call is written, and what was stored of the call needed no more.
    pub fn written(&mut self, uuid: u128, log: &mut ChangeLog) {
        if let Some((place, record)) = self.by_uuid.remove(&uuid) {
            self.in_order.remove(&place);
            record.delete(log);
        }
    }

    /// How many calls are waited for.
    pub fn len(&self) -> usize {
        self.by_uuid.len()
    }
}
