//! Admission of REGISTERs that arrive faster than they are served: after a site is lost, or the power comes back.
//!
//! Up to the configured rate each is served as it comes. Beyond it they wait, so that calls do not: first the phones of
//! agents on calls, then those of agents who are logged in, then all others that have shown who they are, then those that
//! have only said so, agents first; each in the order of arrival. What waits
//! is in its transaction, so that its repetitions cost nothing. When the wait would be longer than a phone repeats its
//! request, the last of the lowest rank is refused with 503, and a Retry-After made of the backlog and of chance, so
//! that those who were refused do not come back as one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits::{MAX_WAITING_REGISTERS, REGISTER_PATIENCE, STORM_WORTH_TELLING};

/// Who is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The phone of an agent on a call.
    OnCall,
    /// The phone of an agent who is logged in.
    LoggedIn,
    /// Any other that has shown who it is.
    Other,
    /// One that says it is the phone of an agent who is logged in.
    SaysAgent,
    /// One that has shown nothing yet.
    Stranger,
}

/// So much may be served ahead of the rate: timers are not finer than this.
const AHEAD: Duration = Duration::from_millis(20);

/// What a storm was, told when it begins and when it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// REGISTERs that had to wait.
    pub waited: u64,
    /// Most that waited at once.
    pub most: usize,
    /// The longest wait, ms.
    pub longest_ms: u64,
    /// REGISTERs refused with 503.
    pub refused: u64,
    /// How long it lasted, ms.
    pub lasted_ms: u64,
}

/// Something that an operator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// REGISTERs wait.
    Begun,
    /// None waits any more.
    Over(Burst),
}

/// The queue before the registrar. `T` is what is needed to serve one later.
#[derive(Debug)]
pub struct Storm<T> {
    queues: [VecDeque<(Instant, T)>; 5],
    /// When the next one may be served, were none ever served ahead.
    free_at: Option<Instant>,
    burst: Option<(Instant, Burst)>,
    told: Option<Told>,
}

impl<T> Default for Storm<T> {
    fn default() -> Self {
        Self { queues: Default::default(), free_at: None, burst: None, told: None }
    }
}

impl<T> Storm<T> {
    /// Whether one that arrives now is served at once.
    pub fn admits(&mut self, rate: u32, now: Instant) -> bool {
        self.waiting() == 0 && self.take_turn(rate, now)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// One waits from now on. When there are too many, the one that must go instead: itself, or one of lower rank.
    pub fn wait(&mut self, rank: Rank, item: T, rate: u32, now: Instant) -> Option<T> {
        let (_, burst) = self.burst.get_or_insert((now, Burst::default()));
        burst.waited += 1;
        let [on_call, logged_in, other, says_agent, stranger] = &mut self.queues;
        match rank {
            Rank::OnCall => on_call.push_back((now, item)),
            Rank::LoggedIn => logged_in.push_back((now, item)),
            Rank::Other => other.push_back((now, item)),
            Rank::SaysAgent => says_agent.push_back((now, item)),
            Rank::Stranger => stranger.push_back((now, item)),
        }
        let waiting = self.waiting();
        let too_many = waiting > most(rate);
        if let Some((_, burst)) = &mut self.burst {
            if waiting == STORM_WORTH_TELLING && burst.most < waiting {
                self.told = Some(Told::Begun);
            }
            burst.most = burst.most.max(waiting);
            burst.refused += u64::from(too_many);
        }
        if !too_many {
            return None;
        }
        self.queues.iter_mut().rev().find_map(VecDeque::pop_back).map(|(_, item)| item)
    }

    /// The next one whose turn has come.
    pub fn pop(&mut self, rate: u32, now: Instant) -> Option<T> {
        if self.waiting() == 0 || !self.take_turn(rate, now) {
            return None;
        }
        let (since, item) = self.queues.iter_mut().find_map(VecDeque::pop_front)?;
        if let Some((_, burst)) = &mut self.burst {
            let waited = now.saturating_duration_since(since).as_millis();
            burst.longest_ms = burst.longest_ms.max(u64::try_from(waited).unwrap_or(u64::MAX));
        }
        if self.waiting() == 0
            && let Some((began, mut burst)) = self.burst.take()
            && burst.most >= STORM_WORTH_TELLING
        {
            let lasted = now.saturating_duration_since(began).as_millis();
            burst.lasted_ms = u64::try_from(lasted).unwrap_or(u64::MAX);
            self.told = Some(Told::Over(burst));
        }
        Some(item)
    }

    /// When the next one may be served, if one waits.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let free_at = self.free_at.filter(|_| self.waiting() > 0)?;
        Some(free_at.checked_sub(AHEAD).unwrap_or(free_at))
    }

    /// What an operator is to be told, once.
    pub fn poll_told(&mut self) -> Option<Told> {
        self.told.take()
    }

    /// Seconds after which one that is refused may come again: when what waits now is served, and then spread over twice
    /// that time. `chance` gives a number below its argument.
    pub fn retry_after_s(&self, rate: u32, chance: impl FnOnce(u64) -> u64) -> u64 {
        let backlog_s = (self.waiting() as u64).div_ceil(u64::from(rate.max(1))).max(1);
        backlog_s + chance(2 * backlog_s + 1)
    }

    fn take_turn(&mut self, rate: u32, now: Instant) -> bool {
        let free_at = self.free_at.map_or(now, |at| at.max(now));
        if free_at > now + AHEAD {
            return false;
        }
        self.free_at = Some(free_at + Duration::from_secs(1) / rate.max(1));
        true
    }
}

/// How many may wait: no longer than a phone is patient.
fn most(rate: u32) -> usize {
    let patient = u64::from(rate) * REGISTER_PATIENCE.as_secs();
    usize::try_from(patient).unwrap_or(usize::MAX).min(MAX_WAITING_REGISTERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing")]
    fn start() -> Instant {
        Instant::now()
    }

    const RATE: u32 = 1_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Offers these at once; those that are served at once.
    fn flood(storm: &mut Storm<u32>, count: u32, now: Instant) -> u32 {
        let offer = |n: u32| {
            let admitted = storm.admits(RATE, now);
            if !admitted {
                assert_eq!(storm.wait(Rank::Other, n, RATE, now), None);
            }
            admitted
        };
        (0..count).map(offer).filter(|admitted| *admitted).count().try_into().unwrap()
    }

    #[test]
    fn below_the_rate_nobody_waits() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        for n in 0..10_000 {
            assert!(storm.admits(RATE, now + ms(n)), "{n}");
        }
        assert_eq!((storm.waiting(), storm.next(), storm.poll_told()), (0, None, None));
    }

    #[test]
    fn a_flood_is_served_in_order_at_the_rate_and_told_twice() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        let at_once = flood(&mut storm, 5_000, now);
        assert_eq!(at_once, 21);
        assert_eq!(storm.poll_told(), Some(Told::Begun));
        assert_eq!(storm.poll_told(), None);
        let (mut at, mut next) = (now, at_once);
        while storm.waiting() > 0 {
            at = storm.next().unwrap().max(at);
            while let Some(n) = storm.pop(RATE, at) {
                assert_eq!(n, next);
                next += 1;
            }
        }
        assert_eq!((next, at - now), (5_000, ms(4_979)));
        let burst = Burst { waited: 4_979, most: 4_979, longest_ms: 4_979, refused: 0, lasted_ms: 4_979 };
        assert_eq!(storm.poll_told(), Some(Told::Over(burst)));
    }

    #[test]
    fn agents_on_calls_come_first_and_then_those_who_are_logged_in() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        flood(&mut storm, 200, now);
        assert_eq!(storm.wait(Rank::Stranger, 1_004, RATE, now), None);
        assert_eq!(storm.wait(Rank::SaysAgent, 1_003, RATE, now), None);
        assert_eq!(storm.wait(Rank::LoggedIn, 1_001, RATE, now), None);
        assert_eq!(storm.wait(Rank::OnCall, 1_002, RATE, now), None);
        let at = now + ms(100);
        let served: Vec<u32> = std::iter::from_fn(|| storm.pop(RATE, at)).take(3).collect();
        assert_eq!(served, [1_002, 1_001, 21]);
        let served: Vec<u32> = (101..500).filter_map(|later| storm.pop(RATE, now + ms(later))).collect();
        assert_eq!(served[served.len() - 3..], [199, 1_003, 1_004], "who has only said so comes last");
    }

    #[test]
    fn when_too_many_wait_the_last_of_the_lowest_rank_goes() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        flood(&mut storm, 10_021, now);
        assert_eq!(storm.waiting(), 10_000);
        assert_eq!(storm.wait(Rank::Other, 77, RATE, now), Some(77));
        assert_eq!(
            storm.wait(Rank::OnCall, 78, RATE, now),
            Some(10_020),
            "an agent takes the place of the last"
        );
        assert_eq!(storm.waiting(), 10_000);
        for chance in [0, 7, 20] {
            assert_eq!(storm.retry_after_s(RATE, |below| chance.min(below - 1)), 10 + chance);
        }
    }

    #[test]
    fn a_short_wait_is_not_worth_a_word() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        flood(&mut storm, 60, now);
        for later in 1..60 {
            storm.pop(RATE, now + ms(later));
        }
        assert_eq!((storm.waiting(), storm.poll_told()), (0, None));
    }
}
