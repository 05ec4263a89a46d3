//! Admission of REGISTERs that arrive faster than they are served: after a site is lost, or the power comes back.
//!
//! Up to the configured rate each is served as it comes. Beyond it they wait, so that calls do not: first the phones of
//! agents on calls, then those of agents who are logged in, then all others that have shown who they are, then those that
//! have only said so, agents first; each in the order of arrival. What waits
//! is in its transaction, so that its repetitions cost nothing. When the wait would be longer than a phone repeats its
//! request, the last of the lowest rank is refused with 503, and a Retry-After made of the backlog and of chance, so
//! that those who were refused do not come back as one.
//!
//! A source may have as many waiting as there are places left (dynamic thresholds, Choudhury and Hahne 1998): one alone
//! half of them, two a third each, so that nobody behind one address keeps the others out. Beyond that it is the last of
//! its own lowest rank that is refused.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits::{
    MAX_WAITING_REGISTERS, REGISTER_PATIENCE, REGISTERS_LOOKED_AT, REGISTERS_OF_ANY_SOURCE,
    STORM_WORTH_TELLING,
};

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
    /// Of these, those whose source had its share waiting.
    pub crowded: u64,
    /// The last source of which that is true.
    pub crowd: Option<IpAddr>,
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
    queues: [VecDeque<Waiting<T>>; 5],
    /// How many wait of each source that has a share, by rank.
    sources: BTreeMap<IpAddr, [usize; 5]>,
    /// When the next one may be served, were none ever served ahead.
    free_at: Option<Instant>,
    burst: Option<(Instant, Burst)>,
    told: Option<Told>,
}

#[derive(Debug)]
struct Waiting<T> {
    since: Instant,
    source: Option<IpAddr>,
    item: T,
}

impl<T> Default for Storm<T> {
    fn default() -> Self {
        Self { queues: Default::default(), sources: BTreeMap::new(), free_at: None, burst: None, told: None }
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

    /// One waits from now on. When there are too many, in all or of its source, the one that must go instead: itself, or
    /// one of lower rank. `source`: `None` if it has no share, but any number.
    pub fn wait(
        &mut self,
        rank: Rank,
        source: Option<IpAddr>,
        item: T,
        rate: u32,
        now: Instant,
    ) -> Option<T> {
        let crowded = source.filter(|source| self.has_its_share(*source, rate));
        self.insert(rank, Waiting { since: now, source, item });
        let waiting = self.waiting();
        let too_many = waiting > most(rate);
        let (_, burst) = self.burst.get_or_insert((now, Burst::default()));
        burst.waited += 1;
        if waiting == STORM_WORTH_TELLING && burst.most < waiting {
            self.told = Some(Told::Begun);
        }
        burst.most = burst.most.max(waiting);
        burst.refused += u64::from(too_many || crowded.is_some());
        if crowded.is_some() {
            burst.crowded += 1;
            burst.crowd = crowded;
        }
        match crowded {
            Some(source) => self.remove_last_of(source, rank),
            None if too_many => (0..5).rev().find_map(|rank| self.take(rank, VecDeque::pop_back)),
            None => None,
        }
        .map(|gone| gone.item)
    }

    /// Whether a source has as many waiting as places are left.
    fn has_its_share(&self, source: IpAddr, rate: u32) -> bool {
        let free = most(rate).saturating_sub(self.waiting());
        let has = self.sources.get(&source).map_or(0, |by_rank| by_rank.iter().sum());
        has >= free.max(REGISTERS_OF_ANY_SOURCE)
    }

    fn insert(&mut self, rank: Rank, waiting: Waiting<T>) {
        let rank = rank as usize;
        let counted = waiting.source.map(|source| self.sources.entry(source).or_default());
        if let Some(count) = counted.and_then(|by_rank| by_rank.get_mut(rank)) {
            *count += 1;
        }
        if let Some(queue) = self.queues.get_mut(rank) {
            queue.push_back(waiting);
        }
    }

    /// Takes one out of the queue of a rank.
    fn take(
        &mut self,
        rank: usize,
        which: impl FnOnce(&mut VecDeque<Waiting<T>>) -> Option<Waiting<T>>,
    ) -> Option<Waiting<T>> {
        let gone = self.queues.get_mut(rank).and_then(which)?;
        if let Some(source) = gone.source
            && let Some(by_rank) = self.sources.get_mut(&source)
        {
            if let Some(count) = by_rank.get_mut(rank) {
                *count -= 1;
            }
            if *by_rank == [0; 5] {
                self.sources.remove(&source);
            }
        }
        Some(gone)
    }

    /// Takes out the last of a source's lowest rank, if that is among the last that wait at this rank; else its last of
    /// `rank`, which stands at the very end.
    fn remove_last_of(&mut self, source: IpAddr, rank: Rank) -> Option<Waiting<T>> {
        let lowest = self.sources.get(&source)?.iter().rposition(|count| *count > 0)?;
        let last_of_it = |queue: &mut VecDeque<Waiting<T>>| {
            let from_the_end =
                queue.iter().rev().take(REGISTERS_LOOKED_AT).position(|one| one.source == Some(source))?;
            queue.remove(queue.len() - 1 - from_the_end)
        };
        self.take(lowest, last_of_it).or_else(|| self.take(rank as usize, VecDeque::pop_back))
    }

    /// The next one whose turn has come.
    pub fn pop(&mut self, rate: u32, now: Instant) -> Option<T> {
        if self.waiting() == 0 || !self.take_turn(rate, now) {
            return None;
        }
        let Waiting { since, item, .. } = (0..5).find_map(|rank| self.take(rank, VecDeque::pop_front))?;
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
                assert_eq!(storm.wait(Rank::Other, None, n, RATE, now), None);
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
        let burst =
            Burst { waited: 4_979, most: 4_979, longest_ms: 4_979, lasted_ms: 4_979, ..Burst::default() };
        assert_eq!(storm.poll_told(), Some(Told::Over(burst)));
    }

    #[test]
    fn agents_on_calls_come_first_and_then_those_who_are_logged_in() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        flood(&mut storm, 200, now);
        assert_eq!(storm.wait(Rank::Stranger, None, 1_004, RATE, now), None);
        assert_eq!(storm.wait(Rank::SaysAgent, None, 1_003, RATE, now), None);
        assert_eq!(storm.wait(Rank::LoggedIn, None, 1_001, RATE, now), None);
        assert_eq!(storm.wait(Rank::OnCall, None, 1_002, RATE, now), None);
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
        assert_eq!(storm.wait(Rank::Other, None, 77, RATE, now), Some(77));
        assert_eq!(
            storm.wait(Rank::OnCall, None, 78, RATE, now),
            Some(10_020),
            "an agent takes the place of the last"
        );
        assert_eq!(storm.waiting(), 10_000);
        for chance in [0, 7, 20] {
            assert_eq!(storm.retry_after_s(RATE, |below| chance.min(below - 1)), 10 + chance);
        }
    }

    fn ip(last: u32) -> Option<IpAddr> {
        Some(IpAddr::from((0x0a00_0000 + last).to_be_bytes()))
    }

    /// So many of this source find a place; the others are refused themselves.
    fn crowd(storm: &mut Storm<u32>, source: u32, count: u32, now: Instant) -> usize {
        let mut wait = |n: u32| storm.wait(Rank::Stranger, ip(source), n, RATE, now);
        (0..count).filter(|n| wait(*n).is_none_or(|gone| gone != *n)).count()
    }

    #[test]
    fn one_source_gets_half_of_the_places_and_there_is_one_for_any_other() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        assert_eq!(crowd(&mut storm, 1, 20_000, now), 5_000);
        assert_eq!(crowd(&mut storm, 2, 20_000, now), 2_500);
        assert_eq!(crowd(&mut storm, 3, 1, now), 1);
        assert_eq!(flood(&mut storm, 2_499, now), 0, "who has no share is bound by nothing but the places");
        assert_eq!(storm.waiting(), 10_000);
        let (_, burst) = storm.burst.unwrap();
        assert_eq!((burst.refused, burst.crowded, burst.crowd), (32_500, 32_500, ip(2)));
    }

    #[test]
    fn a_source_with_its_share_gives_up_its_own_last_of_the_lowest_rank() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        crowd(&mut storm, 1, 5_000, now);
        assert_eq!(crowd(&mut storm, 2, 3, now), 3);
        assert_eq!(storm.wait(Rank::LoggedIn, ip(1), 7_001, RATE, now), Some(4_999));
        assert_eq!(storm.wait(Rank::SaysAgent, ip(1), 7_002, RATE, now), Some(4_998));
        assert_eq!(storm.wait(Rank::Stranger, ip(1), 7_003, RATE, now), Some(7_003));
        assert_eq!(storm.sources[&ip(1).unwrap()], [0, 1, 0, 1, 4_998]);
        // Its last stands too far before the end to be looked for.
        assert_eq!(crowd(&mut storm, 3, 2_000, now), 2_000);
        assert_eq!(storm.wait(Rank::LoggedIn, ip(1), 7_004, RATE, now), Some(7_004));
    }

    #[test]
    fn when_no_place_is_left_a_source_without_many_still_takes_that_of_a_lower_rank() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        flood(&mut storm, 10_021, now);
        assert_eq!(storm.wait(Rank::LoggedIn, ip(1), 1, RATE, now), Some(10_020));
        let many = (0..100).filter(|n| storm.wait(Rank::LoggedIn, ip(1), *n, RATE, now) != Some(*n)).count();
        assert_eq!(many, REGISTERS_OF_ANY_SOURCE - 1);
    }

    #[test]
    fn who_was_served_leaves_nothing_behind() {
        let (mut storm, now) = (Storm::<u32>::default(), start());
        for source in 0..3_000 {
            crowd(&mut storm, source, 5, now);
        }
        assert_eq!(storm.waiting(), 10_000);
        for later in 0..11_000 {
            storm.pop(RATE, now + ms(later));
        }
        assert!(storm.waiting() == 0 && storm.sources.is_empty());
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
