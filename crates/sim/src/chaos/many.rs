//! Many runs at once, on as many threads as the machine has processors: each run has a world of its own.

use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use super::plan::Plan;
use super::{Broke, Summary, play};

/// What came of one run.
pub type Outcome = Result<Summary, Box<Broke>>;

/// Runs plans until there is none left or `heard` says that it has heard enough. `heard` is told of each, in no order.
pub fn run_all(plans: impl Iterator<Item = Plan> + Send, heard: impl FnMut(&Plan, Outcome) -> bool + Send) {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let plans = Mutex::new(Some(plans));
    let heard = Mutex::new(heard);
    let next = || plans.lock().ok()?.as_mut()?.next();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(plan) = next() {
                    let outcome = play(&plan, false);
                    let Ok(mut heard) = heard.lock() else { return };
                    let enough = !heard(&plan, outcome);
                    drop(heard);
                    if enough && let Ok(mut plans) = plans.lock() {
                        *plans = None;
                    }
                }
            });
        }
    });
}
