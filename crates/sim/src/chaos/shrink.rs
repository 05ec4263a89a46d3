//! The shortest form of a run that breaks a rule: acts and cast are left out, halves first, for as long as the same rule
//! still breaks.

use std::collections::BTreeSet;

use super::Broke;
use super::only::Only;
use super::plan::Plan;
use crate::oracle::Invariant;
use crate::sim::Failure;

/// Runs that a search may take.
const MOST_RUNS: u32 = 400;

/// A run that breaks the rule, and how.
#[derive(Clone, Debug)]
pub struct Shortest {
    /// The run.
    pub plan: Plan,
    /// What it breaks, with its last lines.
    pub failure: Failure,
    /// Runs that the search took.
    pub runs: u32,
}

/// What was played in a run: how many acts and how many of the cast there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Acts.
    pub acts: u32,
    /// Devices and desktops.
    pub cast: u32,
}

struct Search {
    best: Shortest,
    rule: Invariant,
}

/// Looks for the shortest form of a run that broke a rule. At worst it is the run itself.
#[must_use]
pub fn shrink(plan: &Plan, broke: &Broke) -> Shortest {
    let Broke { failure, played } = broke;
    let numbers = |only: &Only, most: u32| (1..=most).filter(|n| only.has(*n)).collect();
    let mut acts: BTreeSet<u32> = numbers(&plan.acts, played.acts);
    let mut cast: BTreeSet<u32> = numbers(&plan.cast, played.cast);
    let best = Shortest { plan: plan.clone(), failure: failure.clone(), runs: 0 };
    let mut search = Search { best, rule: failure.violation.rule };
    loop {
        let before = (acts.len(), cast.len());
        search.narrow(&mut acts, |plan, acts| plan.acts = Only::These(acts));
        search.narrow(&mut cast, |plan, cast| plan.cast = Only::These(cast));
        if before == (acts.len(), cast.len()) || search.best.runs >= MOST_RUNS {
            return search.best;
        }
    }
}

impl Search {
    /// Leaves out runs of numbers, long ones first, then single ones.
    fn narrow(&mut self, kept: &mut BTreeSet<u32>, put: impl Fn(&mut Plan, BTreeSet<u32>)) {
        let mut length = kept.len();
        while length > 0 {
            let mut from = 0;
            while from < kept.len() && self.best.runs < MOST_RUNS {
                let out: BTreeSet<u32> = kept.iter().skip(from).take(length).copied().collect();
                let fewer: BTreeSet<u32> = kept.difference(&out).copied().collect();
                if self.still_breaks(|plan| put(plan, fewer.clone())) {
                    *kept = fewer;
                } else {
                    from += length;
                }
            }
            length /= 2;
        }
    }

    fn still_breaks(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.plan.clone();
        change(&mut plan);
        self.best.runs += 1;
        let Err(failure) = super::run(&plan, false) else { return false };
        let same = failure.violation.rule == self.rule;
        if same {
            (self.best.plan, self.best.failure) = (plan, *failure);
        }
        same
    }
}
