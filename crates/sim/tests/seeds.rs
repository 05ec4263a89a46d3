//! Random histories: each is different, each can be replayed, and none breaks a rule.
#![allow(clippy::panic)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tandem_sim::chaos::many::run_all;
use tandem_sim::chaos::only::Only;
use tandem_sim::chaos::report::told;
use tandem_sim::chaos::{self, Plan};

/// Runs a thousand seeds with a floor and a thousand without, on all processors, until one breaks a rule.
#[test]
fn two_thousand_seeds_keep_every_rule() {
    let (kept, mut broken) = (AtomicU32::new(0), None);
    let plans = (0..1_000).flat_map(|seed| [Plan::new(seed, false), Plan::new(seed, true)]);
    run_all(plans, |plan, outcome| match outcome {
        Ok(_) => {
            kept.fetch_add(1, Ordering::Relaxed);
            true
        }
        Err(broke) => {
            broken.get_or_insert((plan.clone(), broke));
            false
        }
    });
    if let Some((plan, broke)) = broken {
        panic!("{}", told(&plan, &broke, true));
    }
    assert_eq!(kept.into_inner(), 2_000);
}

/// The first site is a pair, whose servers die, stop, are cut off and hand over beside everything else.
#[test]
fn seeds_with_a_pair_keep_every_rule() {
    for seed in 0..4 {
        let plan = Plan { pairs: true, ..Plan::new(seed, true) };
        if let Err(broke) = chaos::play(&plan, false) {
            panic!("{}", told(&plan, &broke, true));
        }
    }
}

fn hash(plan: &Plan) -> Result<(u64, u64), String> {
    chaos::run(plan, false)
        .map(|summary| (summary.hash, summary.lines))
        .map_err(|failure| failure.to_string())
}

#[test]
fn one_plan_gives_one_history() {
    for seed in [1, 2, 3] {
        let lasts = Duration::from_secs(120);
        let plan = Plan { lasts, ..Plan::new(seed, seed == 2) };
        assert_eq!(hash(&plan), hash(&plan));
    }
}

#[test]
fn two_seeds_give_two_histories() {
    assert_ne!(hash(&Plan::new(11, false)), hash(&Plan::new(12, false)));
}

/// An act has its own dice: it is the same with or without those before it.
#[test]
fn without_acts_and_cast_nothing_happens() {
    let none: Only = "none".parse().unwrap_or_default();
    let quiet = Plan { acts: none.clone(), cast: none, ..Plan::new(11, true) };
    let summary = chaos::run(&quiet, false).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((summary.calls, summary.faults), (0, 0));
}
