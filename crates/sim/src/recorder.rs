//! Who writes call records: now and then, as the daemon does, or at once. What it has not written dies with the process.

use std::time::Duration;

use tandem_switch::Cdr;

use crate::time::At;

/// How often it writes what waits, and how often it confirms what it wrote.
const WRITES_EVERY: Duration = Duration::from_millis(100);
const CONFIRMS_EVERY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Recorder {
    /// It takes its time.
    pub takes_its_time: bool,
    waiting: Vec<Cdr>,
    writes_at: Option<At>,
    written: Vec<u128>,
    confirms_at: Option<At>,
}

impl Recorder {
    /// A record. Gives the calls that are confirmed at once.
    pub fn takes(&mut self, cdr: Cdr, file: &mut Vec<Cdr>, now: At) -> Vec<u128> {
        self.waiting.push(cdr);
        if self.takes_its_time {
            self.writes_at.get_or_insert(now + WRITES_EVERY);
            return Vec::new();
        }
        self.write(file, now);
        self.confirms_at = None;
        std::mem::take(&mut self.written)
    }

    /// What is in the file is not written again: a server that dies may give its last records again.
    fn write(&mut self, file: &mut Vec<Cdr>, now: At) {
        for cdr in self.waiting.drain(..) {
            self.written.extend(u128::from_str_radix(&cdr.call_uuid, 16).ok());
            if !file.iter().any(|written| written.call_uuid == cdr.call_uuid) {
                file.push(cdr);
            }
        }
        self.writes_at = None;
        self.confirms_at.get_or_insert(now + CONFIRMS_EVERY);
    }

    /// Does what is due, and gives the calls that are confirmed.
    pub fn runs(&mut self, file: &mut Vec<Cdr>, now: At) -> Vec<u128> {
        if self.writes_at.is_some_and(|at| at <= now) {
            self.write(file, now);
        }
        match self.confirms_at.take_if(|at| *at <= now) {
            Some(_) => std::mem::take(&mut self.written),
            None => Vec::new(),
        }
    }

    /// When it has something to do next.
    pub fn next(&self) -> Option<At> {
        self.writes_at.into_iter().chain(self.confirms_at).min()
    }

    /// The process dies.
    pub fn dies(&mut self) {
        *self = Self { takes_its_time: self.takes_its_time, ..Self::default() };
    }
}
