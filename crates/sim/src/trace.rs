//! What happened, line by line. Every line enters the hash, so two runs are equal if their hashes are.

use std::collections::VecDeque;

use crate::time::At;

/// Lines kept for an oracle's report.
const KEPT: usize = 120;

/// The trace of one run.
#[derive(Debug)]
pub struct Trace {
    last: VecDeque<String>,
    hash: u64,
    lines: u64,
    print: bool,
}

impl Trace {
    /// An empty trace; with `print` every line also goes to standard output.
    #[must_use]
    pub fn new(print: bool) -> Self {
        Self { last: VecDeque::with_capacity(KEPT), hash: 0xcbf2_9ce4_8422_2325, lines: 0, print }
    }

    /// Prints every line from now on.
    pub fn print(&mut self) {
        self.print = true;
    }

    /// Adds a line.
    pub fn line(&mut self, now: At, text: &str) {
        let line = format!("{now:>12} {text}");
        self.absorb(line.as_bytes());
        self.lines += 1;
        if self.print {
            println!("{line}");
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Lets bytes that the lines only summarise count in the hash too.
    pub fn absorb(&mut self, bytes: &[u8]) {
        // FNV-1a over words; it need only tell two runs apart.
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }

    /// The hash over everything so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Lines so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The last lines, oldest first.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}
