//! Outputs in the order in which they may leave. What follows a `Store` waits until that batch is committed, so the
//! outside world is never told more than what is stored.

use std::collections::VecDeque;

use tandem_peer::Batch;

use crate::output::Output;

/// The queue between the node and its driver.
#[derive(Debug, Default)]
pub struct Outbox {
    stores: VecDeque<Batch>,
    held: VecDeque<Held>,
    issued: u64,
    committed: u64,
}

#[derive(Debug)]
struct Held {
    after: u64,
    output: Output,
}

impl Outbox {
    /// A batch leaves at once; everything pushed from now on waits for it.
    pub fn store(&mut self, batch: Batch) {
        self.issued = self.issued.max(batch.seq().0);
        self.stores.push_back(batch);
    }

    /// An output that depends on every batch issued so far.
    pub fn push(&mut self, output: Output) {
        self.held.push_back(Held { after: self.issued, output });
    }

    /// The batch `seq`, and all before it, are committed.
    pub fn persisted(&mut self, seq: u64) {
        self.committed = self.committed.max(seq);
    }

    /// What may leave next.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(batch) = self.stores.pop_front() {
            return Some(Output::Store(batch));
        }
        let committed = self.committed;
        self.held.pop_front_if(|held| held.after <= committed).map(|held| held.output)
    }

    /// Outputs that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }
}
