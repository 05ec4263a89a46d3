//! How fast sources come: a token bucket for each, another for the lines that are logged about it, and one for all lines:
//! whoever forges a source for each datagram does not fill the log.
//!
//! Two tables of which the older is dropped when the younger is full: the memory is bounded, and a source that keeps
//! coming stays.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::limits::{GUARD_LINES, MAX_SOURCES, SOURCE_LINES};

/// Thousandths of a token.
const TOKEN: u64 = 1_000;

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: u64,
    at: Instant,
}

impl Bucket {
    /// One that holds `burst`, and is full.
    pub(crate) fn full(burst: u32, now: Instant) -> Self {
        Self { tokens: u64::from(burst) * TOKEN, at: now }
    }

    /// Takes one token of a bucket that holds `burst` and gains `rate` a second.
    pub(crate) fn take(&mut self, rate: u32, burst: u32, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_millis().min(1_000_000);
        let gained = u64::try_from(gained).unwrap_or(0) * u64::from(rate);
        (self.tokens, self.at) = ((self.tokens + gained).min(u64::from(burst) * TOKEN), now);
        let taken = self.tokens.checked_sub(TOKEN);
        self.tokens = taken.unwrap_or(self.tokens);
        taken.is_some()
    }
}

#[derive(Clone, Copy, Debug)]
struct Source {
    requests: Option<Bucket>,
    lines: Bucket,
    unlogged: u32,
}

type Table = HashMap<IpAddr, Source, foldhash::fast::RandomState>;

/// See the module.
#[derive(Debug, Default)]
pub struct Sources {
    young: Table,
    old: Table,
    /// For lines about all sources.
    lines: Option<Bucket>,
}

impl Sources {
    /// Whether a request of this source (see [`source_of`](super::source_of)) is within `rate` a second and `burst` at
    /// once.
    pub fn may_ask(&mut self, source: IpAddr, rate: u32, burst: u32, now: Instant) -> bool {
        let full = Bucket::full(burst, now);
        self.of(source, now).requests.get_or_insert(full).take(rate, burst, now)
    }

    /// Whether a line about this source may be logged, and how many were held back since the one before.
    pub fn may_log(&mut self, source: IpAddr, now: Instant) -> Option<u32> {
        let mut lines = self.lines.unwrap_or(Bucket::full(GUARD_LINES, now));
        let found = self.of(source, now);
        let may = found.lines.take(1, SOURCE_LINES, now) && lines.take(GUARD_LINES, GUARD_LINES, now);
        let said = if may {
            Some(std::mem::take(&mut found.unlogged))
        } else {
            found.unlogged = found.unlogged.saturating_add(1);
            None
        };
        self.lines = Some(lines);
        said
    }

    fn of(&mut self, source: IpAddr, now: Instant) -> &mut Source {
        if !self.young.contains_key(&source) && self.young.len() >= MAX_SOURCES {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        let lines = Bucket::full(SOURCE_LINES, now);
        self.young
            .entry(source)
            .or_insert_with(|| old.remove(&source).unwrap_or(Source { requests: None, lines, unlogged: 0 }))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn asked(sources: &mut Sources, source: IpAddr, times: usize, now: Instant) -> usize {
        (0..times).filter(|_| sources.may_ask(source, 10, 20, now)).count()
    }

    #[test]
    fn a_source_has_its_burst_and_then_its_rate_and_others_have_their_own() {
        let (mut sources, start) = (Sources::default(), Instant::now());
        assert_eq!(asked(&mut sources, ip(1), 100, start), 20);
        assert_eq!(asked(&mut sources, ip(2), 5, start), 5);
        assert_eq!(asked(&mut sources, ip(1), 100, start + Duration::from_millis(500)), 5);
        assert_eq!(asked(&mut sources, ip(1), 100, start + Duration::from_secs(3_600)), 20);
    }

    #[test]
    fn lines_about_a_source_are_held_back_and_counted() {
        let (mut sources, start) = (Sources::default(), Instant::now());
        let said = (0..SOURCE_LINES + 7).filter(|_| sources.may_log(ip(1), start).is_some()).count();
        assert_eq!(said, SOURCE_LINES as usize);
        assert_eq!(sources.may_log(ip(1), start + Duration::from_secs(1)), Some(7));
    }

    #[test]
    fn lines_about_all_sources_together_are_held_back_too() {
        let (mut sources, start) = (Sources::default(), Instant::now());
        let mut said = |after: Duration| {
            let mut about = |n: u32| sources.may_log(IpAddr::from(n.to_be_bytes()), start + after).is_some();
            (0..20_000).filter(|n| about(*n)).count()
        };
        assert_eq!(said(Duration::ZERO), GUARD_LINES as usize);
        assert_eq!(said(Duration::from_millis(500)), GUARD_LINES as usize / 2);
    }

    #[test]
    fn a_flood_of_sources_is_not_remembered_without_end_and_a_busy_one_stays() {
        let (mut sources, now) = (Sources::default(), Instant::now());
        assert_eq!(asked(&mut sources, ip(1), 100, now), 20);
        for n in 0..3 * MAX_SOURCES as u32 {
            sources.may_ask(IpAddr::from(n.to_be_bytes()), 10, 20, now);
            if n % 1_000 == 0 {
                assert!(!sources.may_ask(ip(1), 10, 20, now), "after {n} others");
            }
        }
        assert!(sources.young.len() <= MAX_SOURCES && sources.old.len() <= MAX_SOURCES);
    }
}
