//! When the virtual addresses are taken, renewed, announced and dropped, by a clock that is an argument. The lease is the
//! only reason to hold them: when its end has passed they are dropped, whoever is asleep.

use std::time::Instant;

use crate::limits::{
    ADDRESS_ANNOUNCED_AFTER, ADDRESS_GONE_AFTER, ADDRESS_REMOVE_AGAIN, ADDRESS_RENEWED_EVERY,
    MAX_ADDRESS_REMOVALS,
};

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The lease has begun: add the addresses.
    Take,
    /// Give the kernel's entries their whole lifetime again, and add what is not there.
    Renew,
    /// Tell the neighbours; the first time, counted from 0, stands for the moment of the takeover.
    Announce(usize),
    /// Take the addresses away.
    Drop(Why),
}

/// Why the addresses are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The holder was told to.
    StoodDown,
    /// The lease ended, and nobody had extended it.
    LeaseOver,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as before, or as it was to be.
    Done,
    /// An address is there that was not: its neighbours do not know yet.
    News,
    /// Something is left to do.
    Failed,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// The addresses are elsewhere, or nowhere.
    #[default]
    Away,
    /// They are here.
    Held { announced_from: Instant, announced: usize, renew_at: Instant },
    /// They are not to be here, but could not be taken away yet.
    Leaving { why: Why, again_at: Instant, tries: u32 },
}

/// See the module.
#[derive(Debug, Default)]
pub struct Plan {
    state: State,
    until: Option<Instant>,
}

impl Plan {
    /// The lease as it stands: its end, or that there is none. `anew`: an earlier one had ended before it began, so the
    /// addresses may have been elsewhere meanwhile. Says whether that end was missed here.
    pub fn lease(&mut self, until: Option<Instant>, anew: bool) -> bool {
        self.until = until;
        let missed = anew && !self.is_away();
        if missed {
            self.state = State::Away;
        }
        missed
    }

    /// Whether the addresses may be at this machine.
    pub fn is_away(&self) -> bool {
        matches!(self.state, State::Away)
    }

    /// What is to be done at `now`; it is asked again when that is [`done`](Self::done).
    pub fn due(&self, now: Instant) -> Option<Step> {
        let live = self.until.is_some_and(|until| now < until);
        match (self.state, live) {
            (State::Away, false) => None,
            (State::Away | State::Leaving { .. }, true) => Some(Step::Take),
            (State::Held { .. }, false) => Some(Step::Drop(match self.until {
                Some(_) => Why::LeaseOver,
                None => Why::StoodDown,
            })),
            (State::Held { announced_from, announced, renew_at }, true) => {
                let announce_at = ADDRESS_ANNOUNCED_AFTER.get(announced).map(|after| announced_from + *after);
                if announce_at.is_some_and(|at| at <= now) {
                    Some(Step::Announce(announced))
                } else if renew_at + ADDRESS_GONE_AFTER <= now {
                    // The process stood still, and the kernel may have taken them: neighbours may have forgotten them.
                    Some(Step::Take)
                } else {
                    (renew_at <= now).then_some(Step::Renew)
                }
            }
            (State::Leaving { why, again_at, .. }, false) => (again_at <= now).then_some(Step::Drop(why)),
        }
    }

    /// A step was carried out at `now`.
    pub fn done(&mut self, step: Step, outcome: Outcome, now: Instant) {
        self.state = match (self.state, step) {
            (State::Held { announced_from, announced, .. }, Step::Renew) if outcome != Outcome::News => {
                State::Held { announced_from, announced, renew_at: now + ADDRESS_RENEWED_EVERY }
            }
            (_, Step::Take | Step::Renew) => {
                State::Held { announced_from: now, announced: 0, renew_at: now + ADDRESS_RENEWED_EVERY }
            }
            (State::Held { announced_from, announced, renew_at }, Step::Announce(_)) => {
                State::Held { announced_from, announced: announced + 1, renew_at }
            }
            (State::Away | State::Leaving { .. }, Step::Announce(_)) => self.state,
            (state, Step::Drop(why)) => match (state, outcome) {
                (State::Leaving { tries, .. }, Outcome::Failed) if tries + 1 >= MAX_ADDRESS_REMOVALS => {
                    State::Away
                }
                (State::Leaving { tries, .. }, Outcome::Failed) => leaving(why, tries + 1, now),
                (State::Away | State::Held { .. }, Outcome::Failed) => leaving(why, 1, now),
                (_, Outcome::Done | Outcome::News) => State::Away,
            },
        };
    }

    /// When something is due next, unless the lease changes; `None`: nothing is.
    pub fn next(&self) -> Option<Instant> {
        match self.state {
            State::Away => None,
            State::Held { announced_from, announced, renew_at } => {
                let announce_at = ADDRESS_ANNOUNCED_AFTER.get(announced).map(|after| announced_from + *after);
                [announce_at, Some(renew_at), self.until].into_iter().flatten().min()
            }
            State::Leaving { again_at, .. } => Some(again_at),
        }
    }
}

fn leaving(why: Why, tries: u32, now: Instant) -> State {
    State::Leaving { why, again_at: now + ADDRESS_REMOVE_AGAIN, tries }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A plan, its clock, and everything that it asked for, with the time in ms.
    struct Bench {
        plan: Plan,
        start: Instant,
        asked: Vec<(u64, Step)>,
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    impl Bench {
        fn new() -> Self {
            Self { plan: Plan::default(), start: Instant::now(), asked: Vec::new() }
        }

        /// Carries out what is due at a time, with these outcomes of the steps that are no announcements.
        fn at(&mut self, time: u64, outcome: Outcome) {
            let now = self.start + ms(time);
            while let Some(step) = self.plan.due(now) {
                self.asked.push((time, step));
                assert!(self.asked.len() < 1_000, "it never rests: {:?}", self.asked.last());
                let outcome = if matches!(step, Step::Announce(_)) { Outcome::Done } else { outcome };
                self.plan.done(step, outcome, now);
            }
        }

        fn lease(&mut self, until: u64) {
            let _ = self.plan.lease(Some(self.start + ms(until)), false);
        }

        /// Wakes up when the plan wants to, up to a time.
        fn run_to(&mut self, end: u64) {
            for _ in 0..1_000 {
                let next = self.plan.next().filter(|next| *next <= self.start + ms(end));
                let Some(next) = next else { return };
                let time = next.saturating_duration_since(self.start).as_millis();
                self.at(u64::try_from(time).unwrap(), Outcome::Done);
            }
            panic!("it wants to be woken without end: {:?}", self.plan);
        }

        fn times(&self, wanted: impl Fn(Step) -> bool) -> Vec<u64> {
            self.asked.iter().filter(|(_, step)| wanted(*step)).map(|(time, _)| *time).collect()
        }
    }

    #[test]
    fn a_takeover_is_told_at_once_and_again_until_the_former_holders_kernel_is_silent() {
        let mut bench = Bench::new();
        bench.lease(60_000);
        bench.at(7, Outcome::News);
        bench.run_to(20_000);
        assert_eq!(bench.asked[..2], [(7, Step::Take), (7, Step::Announce(0))]);
        let told = bench.times(|step| matches!(step, Step::Announce(_)));
        assert_eq!(told, [7, 107, 1_007, 2_507, 5_007]);
    }

    #[test]
    fn the_kernels_entry_is_renewed_well_within_its_lifetime_as_long_as_the_lease_lasts() {
        let mut bench = Bench::new();
        bench.lease(3_000);
        bench.at(0, Outcome::News);
        bench.run_to(2_999);
        assert_eq!(bench.times(|step| step == Step::Renew), [500, 1_000, 1_500, 2_000, 2_500]);
        bench.lease(6_000);
        bench.run_to(3_600);
        assert!(!bench.asked.iter().any(|(_, step)| matches!(step, Step::Drop(_))), "{:?}", bench.asked);
    }

    #[test]
    fn the_addresses_go_at_the_end_of_the_lease_without_being_told() {
        let mut bench = Bench::new();
        bench.lease(730);
        bench.at(0, Outcome::News);
        bench.run_to(10_000);
        assert_eq!(bench.asked.last(), Some(&(730, Step::Drop(Why::LeaseOver))));
        assert!(bench.plan.is_away() && bench.plan.next().is_none());
    }

    #[test]
    fn a_lease_that_is_over_when_the_thread_wakes_renews_nothing() {
        let mut bench = Bench::new();
        bench.lease(400);
        bench.at(0, Outcome::News);
        bench.asked.clear();
        // Renewal and announcement are overdue, too: the process was stopped.
        bench.at(9_000, Outcome::Done);
        assert_eq!(bench.asked, [(9_000, Step::Drop(Why::LeaseOver))]);
    }

    #[test]
    fn a_renewal_that_the_kernel_may_not_have_waited_for_is_another_takeover() {
        let mut bench = Bench::new();
        bench.lease(60_000);
        bench.at(0, Outcome::News);
        bench.run_to(5_500);
        bench.asked.clear();
        // Renewed at 5,500, due at 6,000.
        bench.at(7_499, Outcome::Done);
        bench.at(9_499, Outcome::Done);
        assert_eq!(bench.asked, [(7_499, Step::Renew), (9_499, Step::Take), (9_499, Step::Announce(0))]);
    }

    #[test]
    fn standing_down_drops_at_once() {
        let mut bench = Bench::new();
        bench.lease(60_000);
        bench.at(0, Outcome::News);
        let _ = bench.plan.lease(None, false);
        bench.at(10, Outcome::Done);
        assert_eq!(bench.asked.last(), Some(&(10, Step::Drop(Why::StoodDown))));
    }

    #[test]
    fn a_lease_after_one_that_ended_unseen_is_another_takeover() {
        let mut bench = Bench::new();
        bench.lease(400);
        bench.at(0, Outcome::News);
        // The process was stopped, and goes on with a new lease before the thread has seen the end of the old one.
        assert!(bench.plan.lease(Some(bench.start + ms(9_000)), true), "the end was missed");
        bench.asked.clear();
        bench.at(8_000, Outcome::Done);
        assert_eq!(bench.asked, [(8_000, Step::Take), (8_000, Step::Announce(0))]);
    }

    #[test]
    fn what_cannot_be_removed_is_tried_again_and_then_left_to_the_kernel() {
        let mut bench = Bench::new();
        bench.lease(60_000);
        bench.at(0, Outcome::News);
        let _ = bench.plan.lease(None, false);
        for time in (0..=2_000).step_by(10) {
            bench.at(time, Outcome::Failed);
        }
        assert_eq!(bench.times(|step| matches!(step, Step::Drop(_))), [0, 100, 200]);
        assert!(bench.plan.is_away());
        // A lease that comes while they could not be removed takes them again.
        let mut bench = Bench::new();
        bench.lease(60_000);
        bench.at(0, Outcome::News);
        let _ = bench.plan.lease(None, false);
        bench.at(1, Outcome::Failed);
        bench.lease(60_000);
        bench.at(2, Outcome::News);
        assert_eq!(bench.asked[3..], [(2, Step::Take), (2, Step::Announce(0))]);
    }

    #[test]
    fn an_address_that_comes_late_is_announced_from_then_on() {
        let mut bench = Bench::new();
        bench.lease(60_000);
        bench.at(0, Outcome::Failed);
        bench.run_to(5_400);
        bench.asked.clear();
        bench.at(5_500, Outcome::News);
        assert_eq!(bench.asked, [(5_500, Step::Renew), (5_500, Step::Announce(0))]);
    }
}
