//! Outputs in the order in which they may leave. What follows a `Store` waits until that batch is committed, so the
//! outside world is never told more than what is stored.
//!
//! Not everything is in a hurry to be stored: whoever has hung up waits for nothing. A batch for which nothing but patient
//! outputs wait may rest until another comes, and share its way to the disk. What hurries and has no batch of its own would
//! end that rest for nothing: provisional responses and ACKs, which tell nothing of what has ended, wait for the last batch
//! that was in a hurry and overtake the patient ones. An ACK that is passed on overtakes even the record that it came: all it
//! says is that the 200 arrived. Should the server die before that is stored, the 200 and then the ACK are sent once more,
//! which is what happens to either that is lost.

use std::collections::VecDeque;

use tandem_peer::Batch;
use tandem_sip::Transmit;

use crate::anchor::AnchorOrder;
use crate::media::MediaOrder;
use crate::output::Output;

/// How long something may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// It leaves as soon as it may.
    Hurried,
    /// It tells of an end: it may wait for company.
    Patient,
    /// It tells of nothing that a patient batch holds.
    Light,
    /// Nor of what the input at hand stored.
    Ahead,
}

/// What the input at hand is, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occasion {
    #[default]
    Other,
    /// A BYE.
    Parting,
    /// An ACK without a description: what it brought does not have to be remembered.
    Acknowledgement,
}

impl Haste {
    /// Of an output on this occasion.
    pub fn of(output: &Output, occasion: Occasion) -> Self {
        let parts = occasion == Occasion::Parting;
        match output {
            Output::Transmit(Transmit { payload, .. })
                if occasion == Occasion::Acknowledgement && payload.starts_with(b"ACK ") =>
            {
                Self::Ahead
            }
            Output::Transmit(Transmit { payload, .. }) if is_light(payload) => Self::Light,
            Output::Transmit(Transmit { payload, .. }) if parts && is_parting(payload) => Self::Patient,
            // Its thread looks for records now and then.
            Output::Cdr(_) => Self::Patient,
            Output::Event(_)
            | Output::Cti(_)
            | Output::CtiClose(_)
            | Output::Media(MediaOrder::Quiet { .. } | MediaOrder::Stop { .. })
            | Output::Anchor(AnchorOrder::Quiet { .. } | AnchorOrder::Release { .. })
                if parts =>
            {
                Self::Patient
            }
            Output::Store(_)
            | Output::Transmit(_)
            | Output::Event(_)
            | Output::Cti(_)
            | Output::CtiClose(_)
            | Output::Media(_)
            | Output::Anchor(_) => Self::Hurried,
        }
    }
}

/// A provisional response, or an ACK.
fn is_light(message: &[u8]) -> bool {
    message.starts_with(b"SIP/2.0 1") || message.starts_with(b"ACK ")
}

/// How the CSeq of an answer to BYE ends. Should something else do so, too, it waits a moment in vain.
const END_OF_CSEQ: &[u8] = b" BYE\r\n";

/// A BYE, or the answer to one.
fn is_parting(message: &[u8]) -> bool {
    let names = || message.windows(END_OF_CSEQ.len()).any(|part| part == END_OF_CSEQ);
    message.starts_with(b"BYE ") || message.starts_with(b"SIP/2.0 ") && names()
}

/// The queue between the node and its driver.
#[derive(Debug, Default)]
pub struct Outbox {
    stores: VecDeque<Batch>,
    held: VecDeque<Held>,
    /// Those that overtake what is patient.
    light: VecDeque<Held>,
    /// How many outputs there were.
    pushed: u64,
    issued: u64,
    /// The last batch that something hurried waits for.
    hurried: u64,
    /// The last batch before the input at hand.
    before: u64,
    committed: u64,
}

#[derive(Debug)]
struct Held {
    place: u64,
    after: u64,
    output: Output,
}

impl Outbox {
    /// An input comes: batches from now on are its own.
    pub fn begin(&mut self) {
        self.before = self.issued;
    }

    /// A batch leaves at once; everything pushed from now on waits for it, unless it is light.
    pub fn store(&mut self, batch: Batch) {
        self.issued = self.issued.max(batch.seq().0);
        self.stores.push_back(batch);
    }

    /// An output that depends on every batch issued so far; a light one of an input that stored nothing, on those that were in
    /// a hurry.
    pub fn push(&mut self, output: Output, haste: Haste) {
        self.pushed += 1;
        let light = haste == Haste::Ahead || haste == Haste::Light && self.before == self.issued;
        if light && self.hurried < self.issued {
            self.light.push_back(Held { place: self.pushed, after: self.hurried, output });
            return;
        }
        if haste != Haste::Patient {
            self.hurried = self.issued;
        }
        self.held.push_back(Held { place: self.pushed, after: self.issued, output });
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
        let ready = |held: &&Held| held.after <= committed;
        let first = self.held.front().filter(ready).map(|held| held.place);
        let light = self.light.front().filter(ready).map(|held| held.place);
        let queue = match (first, light) {
            (None, Some(_)) => &mut self.light,
            (Some(first), Some(light)) if light < first => &mut self.light,
            (Some(_), _) => &mut self.held,
            (None, None) => return None,
        };
        queue.pop_front().map(|held| held.output)
    }

    /// Outputs that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len() + self.light.len()
    }

    /// The last batch that something waits for, and the last that something hurried waits, or waited, for.
    #[must_use]
    pub fn waits_for(&self) -> (u64, u64) {
        (self.held.back().map_or(0, |held| held.after), self.hurried)
    }
}
