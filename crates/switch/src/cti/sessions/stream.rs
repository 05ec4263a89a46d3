//! The numbered stream of one session: its latest events, and the answers to its latest requests.

use std::collections::VecDeque;
use std::sync::Arc;

use tandem_cti::{ErrorCode, Event, EventName, Refusal};
use tandem_peer::ChangeLog;
use tandem_peer::replica::Replicated;

use super::Admitted;
use super::record::{Brief, Progress};
use crate::limits::{ANSWER_KEPT_MS, MAX_REMEMBERED_REQUESTS, MAX_STORED_ANSWERS, MAX_STREAM_EVENTS};

/// An event as one client hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub sequence: u64,
    pub reference_id: Option<u32>,
    pub event: Arc<Event>,
}

/// A request and what was answered.
#[derive(Debug)]
struct Asked {
    reference_id: u32,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    Pending,
    Whole(u64, Arc<Event>),
    Gist(Brief),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Stream {
    progress: Replicated<Progress>,
    /// The last of them has the number `progress.last`; there are no gaps.
    kept: VecDeque<(Option<u32>, Arc<Event>)>,
    asked: VecDeque<Asked>,
}

impl Stream {
    /// A stream that begins, or that another server, or an earlier process, has brought to this point.
    pub fn new(progress: Replicated<Progress>) -> Self {
        let gist = |brief: &Brief| Asked { reference_id: brief.reference_id, answer: Answer::Gist(*brief) };
        let asked = progress.answered.iter().map(gist).collect();
        Self { progress, kept: VecDeque::new(), asked }
    }

    /// Number of the last event.
    pub fn last(&self) -> u64 {
        self.progress.last
    }

    /// The stream's end.
    pub fn delete(self, log: &mut ChangeLog) {
        self.progress.delete(log);
    }

    /// Numbers an event and keeps it; those from before `keep_from_ms` are let go.
    pub fn push(
        &mut self,
        log: &mut ChangeLog,
        reference_id: Option<u32>,
        event: Arc<Event>,
        keep_from_ms: u64,
    ) -> Numbered {
        let sequence = self.progress.last + 1;
        let brief = reference_id.and_then(|reference| self.answered(reference, sequence, &event));
        self.progress.update(log, |progress| {
            progress.last = sequence;
            if let Some(brief) = brief {
                progress.answered.push(brief);
                let surplus = progress.answered.len().saturating_sub(MAX_STORED_ANSWERS);
                progress.answered.drain(..surplus);
            }
        });
        let is_old = |(_, event): &(Option<u32>, Arc<Event>)| event.time < keep_from_ms;
        while self.kept.len() >= MAX_STREAM_EVENTS || self.kept.front().is_some_and(is_old) {
            self.kept.pop_front();
        }
        self.kept.push_back((reference_id, Arc::clone(&event)));
        Numbered { sequence, reference_id, event }
    }

    /// Remembers the first event that answers a remembered request.
    fn answered(&mut self, reference_id: u32, sequence: u64, event: &Arc<Event>) -> Option<Brief> {
        let oldest_ms = event.time.saturating_sub(ANSWER_KEPT_MS);
        for asked in &mut self.asked {
            if let Answer::Whole(sequence, event) = &asked.answer
                && event.time < oldest_ms
            {
                asked.answer = Answer::Gist(gist(asked.reference_id, *sequence, event));
            }
        }
        let asked = self.asked.iter_mut().rev().find(|asked| asked.reference_id == reference_id)?;
        let Answer::Pending = asked.answer else { return None };
        asked.answer = Answer::Whole(sequence, Arc::clone(event));
        Some(gist(reference_id, sequence, event))
    }

    /// Whether a request is new; if it is not, its answer as far as there is one.
    pub fn admit(&mut self, reference_id: u32) -> (Admitted, Option<Numbered>) {
        let known = self.asked.iter().rev().find(|asked| asked.reference_id == reference_id);
        let Some(known) = known else {
            if self.asked.len() >= MAX_REMEMBERED_REQUESTS {
                self.asked.pop_front();
            }
            self.asked.push_back(Asked { reference_id, answer: Answer::Pending });
            return (Admitted::New, None);
        };
        let numbered = |sequence, event| Some(Numbered { sequence, reference_id: Some(reference_id), event });
        let answer = match &known.answer {
            Answer::Pending => None,
            Answer::Whole(sequence, event) => numbered(*sequence, Arc::clone(event)),
            Answer::Gist(brief) => numbered(brief.sequence, Arc::new(retold(brief))),
        };
        (Admitted::Again, answer)
    }

    /// What the client misses that has everything up to `after`; `None` if some of it is gone, or if it claims to have
    /// what it was never told.
    pub fn missed(&self, after: u64) -> Option<impl Iterator<Item = Numbered> + '_> {
        let missing = usize::try_from(self.last().checked_sub(after)?).ok()?;
        let skipped = self.kept.len().checked_sub(missing)?;
        let rest = self.kept.iter().skip(skipped);
        Some((after + 1..).zip(rest).map(|(sequence, (reference_id, event))| Numbered {
            sequence,
            reference_id: *reference_id,
            event: Arc::clone(event),
        }))
    }
}

fn gist(reference_id: u32, sequence: u64, event: &Event) -> Brief {
    Brief { reference_id, sequence, unix_ms: event.time, code: event.error_code.unwrap_or(0) }
}

/// An answer of which only the gist is left.
fn retold(brief: &Brief) -> Event {
    let event = match ErrorCode::from_number(brief.code) {
        Some(code) => Event::error(&Refusal::new(code), None),
        None => Event::new(EventName::Ack),
    };
    Event { time: brief.unix_ms, ..event }
}
