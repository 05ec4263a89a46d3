//! The last loop guard: what this server redirected a moment ago.
//!
//! A 302 carries the mark of a forwarded call as a URI parameter, but gateways may strip it. The same call that comes
//! back within ten seconds is therefore recognised by DN and caller and delivered locally.

use crate::limits::{REDIRECT_MEMORY, REDIRECTS_MAX};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

type Key = (Box<str>, Box<str>);

/// Redirections of the last ten seconds. The oldest is forgotten early when there are too many; the other loop guards
/// still hold then.
#[derive(Debug, Default)]
pub struct RedirectMemory {
    latest: BTreeMap<Key, Instant>,
    in_order: VecDeque<(Instant, Key)>,
}

impl RedirectMemory {
    /// Nothing remembered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A call for `dn` by `caller` is being redirected now.
    ///
    /// `caller` is whatever tells one caller from another when the call comes back: the From user part, or the
    /// Call-ID when the caller is anonymous, since a redirected client keeps it (RFC 3261 section 8.1.3.4).
    pub fn remember(&mut self, dn: &str, caller: &str, now: Instant) {
        self.forget_old(now);
        if self.in_order.len() >= REDIRECTS_MAX {
            self.forget_oldest();
        }
        let key: Key = (dn.into(), caller.into());
        self.latest.insert(key.clone(), now);
        self.in_order.push_back((now, key));
    }

    /// Was this caller redirected for this DN within the last ten seconds?
    #[must_use]
    pub fn is_recent(&self, dn: &str, caller: &str, now: Instant) -> bool {
        let key: Key = (dn.into(), caller.into());
        self.latest.get(&key).is_some_and(|at| now < *at + REDIRECT_MEMORY)
    }

    /// How many redirections are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_order.len()
    }

    /// Is nothing remembered?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    fn forget_old(&mut self, now: Instant) {
        while self.in_order.front().is_some_and(|(at, _)| now >= *at + REDIRECT_MEMORY) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((at, key)) = self.in_order.pop_front()
            && self.latest.get(&key) == Some(&at)
        {
            self.latest.remove(&key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_redirection_is_remembered_for_ten_seconds() {
        let (mut memory, start) = (RedirectMemory::new(), Instant::now());
        memory.remember("1001", "5551234", start);
        assert!(memory.is_recent("1001", "5551234", start + Duration::from_millis(9_999)));
        assert!(!memory.is_recent("1001", "5551234", start + Duration::from_secs(10)));
    }

    #[test]
    fn another_dn_or_another_caller_is_not_meant() {
        let (mut memory, start) = (RedirectMemory::new(), Instant::now());
        memory.remember("1001", "5551234", start);
        assert!(!memory.is_recent("1002", "5551234", start));
        assert!(!memory.is_recent("1001", "5559999", start));
        assert!(!memory.is_recent("10015", "551234", start));
    }

    #[test]
    fn a_second_redirection_prolongs_the_memory_of_the_first() {
        let (mut memory, start) = (RedirectMemory::new(), Instant::now());
        memory.remember("1001", "5551234", start);
        memory.remember("1001", "5551234", start + Duration::from_secs(6));
        memory.remember("1002", "5551234", start + Duration::from_secs(12));
        assert!(memory.is_recent("1001", "5551234", start + Duration::from_secs(15)));
    }

    #[test]
    fn the_oldest_is_forgotten_when_the_memory_is_full() {
        let (mut memory, start) = (RedirectMemory::new(), Instant::now());
        for caller in 0..=REDIRECTS_MAX {
            memory.remember("1001", &caller.to_string(), start);
        }
        assert_eq!(memory.len(), REDIRECTS_MAX);
        assert!(!memory.is_recent("1001", "0", start));
        assert!(memory.is_recent("1001", "1", start));
    }

    #[test]
    fn old_redirections_leave_no_trace() {
        let (mut memory, start) = (RedirectMemory::new(), Instant::now());
        for caller in 0..100 {
            memory.remember("1001", &caller.to_string(), start);
        }
        memory.remember("1002", "5551234", start + Duration::from_secs(11));
        assert_eq!(memory.len(), 1);
        assert_eq!(memory.latest.len(), 1);
    }
}
