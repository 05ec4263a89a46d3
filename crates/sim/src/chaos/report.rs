//! What many runs add up to, and what a failing one says: which rule, how to see it again, and its shortest form.

use std::fmt;

use super::many::Outcome;
use super::plan::Plan;
use super::shrink::{Shortest, shrink};
use super::{Broke, Summary};
use crate::oracle::Invariant;

/// Failing runs that are brought into their shortest form; a broken build fails thousands, and the first few tell.
const MOST_SHRUNK: usize = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct Report {
    runs: u64,
    calls: u64,
    answered: usize,
    faults: u64,
    overlaps: u64,
    lines: u64,
    /// Over the traces, in whatever order they came.
    hash: u64,
    broken: Vec<(Plan, Invariant)>,
}

impl Report {
    /// Takes the outcome of a run. What there is to say at once: nothing, unless it failed.
    pub fn hears(&mut self, plan: &Plan, outcome: Outcome) -> Option<String> {
        self.runs += 1;
        match outcome {
            Ok(summary) => {
                self.add(&summary);
                None
            }
            Err(broke) => {
                self.broken.push((plan.clone(), broke.failure.violation.rule));
                Some(told(plan, &broke, self.broken.len() <= MOST_SHRUNK))
            }
        }
    }

    fn add(&mut self, one: &Summary) {
        self.calls += u64::from(one.calls);
        self.answered += one.answered;
        self.faults += u64::from(one.faults);
        self.overlaps += one.overlaps;
        self.lines += one.lines;
        self.hash ^= one.hash.rotate_left(u32::try_from(one.seed % 64).unwrap_or(0));
    }

    /// Whether every run kept every rule.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }

    /// Runs so far.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }
}

/// What a failing run says.
#[must_use]
pub fn told(plan: &Plan, broke: &Broke, shortest: bool) -> String {
    let Broke { failure, played } = broke;
    let mut text = format!("seed {} breaks {}\n", plan.seed, failure.violation.rule);
    if shortest {
        let Shortest { plan: short, failure, runs } = shrink(plan, broke);
        text = format!("{failure}replay:   {plan}\nshortest: {short}\n");
        text += &format!(
            "          found in {runs} runs, of {} acts and a cast of {}\n",
            played.acts, played.cast
        );
    } else {
        text += &format!("replay:   {plan}\n");
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, calls, answered, faults, overlaps, lines, hash, broken } = self;
        let clean = runs - u64::try_from(broken.len()).unwrap_or(0);
        writeln!(
            f,
            "{clean} of {runs} runs kept every rule: {calls} calls ({answered} answered), {faults} faults,"
        )?;
        writeln!(
            f,
            "{overlaps} overlaps of forward and local ring after lost messages, {lines} trace lines, hash {hash:016x}"
        )?;
        for (plan, rule) in broken {
            writeln!(f, "broken: {rule}: {plan}")?;
        }
        Ok(())
    }
}
