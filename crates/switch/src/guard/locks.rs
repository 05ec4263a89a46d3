//! Lock-outs: a source that gives wrong credentials too often is not listened to for a while, with the one user, or with
//! any.
//!
//! A source is locked out for the number of its users who fail, not for how often one does: phones that kept an old
//! password behind the address of an office lock out themselves. The user counts as he is named, whether there is such a
//! number or not, so that a lock-out tells nobody which numbers exist. What is remembered is bounded: beyond it whatever would be forgotten first is forgotten now.
//! Lock-outs outlive the process ([`locked`](super::locked)); failures that have not led to one do not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_peer::replica::{Change, ChangeLog, Replicated};

use super::locked::{Kept, LockedOut};
use super::policy::Policy;
use crate::limits::{LOCKED_PROOF_INTERVAL, MAX_LOCKS};
use crate::time::{Deadline, Now};

/// A source with one user, or with any (`None`).
pub type Who = (IpAddr, Option<Arc<str>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    locked: bool,
    /// Forgotten then.
    ends: Instant,
    /// When his credentials are judged again, though he is locked out: see [`Locks::may_prove`].
    judged_from: Option<Instant>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Locks {
    counts: BTreeMap<Who, Count>,
    ends: BTreeSet<(Instant, Who)>,
    locked: usize,
    kept: Kept,
}

/// What followed from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Failures of this user from this source.
    pub failures: u32,
    /// This one locked the user out at this source.
    pub user_locked: bool,
    /// This one locked the source out.
    pub source_locked: bool,
}

impl Locks {
    /// Whether this user may not try from this source (see [`source_of`](super::source_of)) now. `resident`: he is
    /// registered there, so that the lock-out of the source does not concern him.
    #[must_use]
    pub fn holds(&self, source: IpAddr, user: &str, resident: bool, now: Instant) -> bool {
        self.locked > 0
            && ((!resident && self.is_locked(&(source, None), now))
                || self.is_locked(&(source, Some(user.into())), now))
    }

    fn is_locked(&self, who: &Who, now: Instant) -> bool {
        self.counts.get(who).is_some_and(|count| count.locked && count.ends > now)
    }

    /// Whether somebody who is locked out may show credentials all the same, because he calls for help: once in
    /// [`LOCKED_PROOF_INTERVAL`], so that this is no way to guess.
    pub fn may_prove(&mut self, source: IpAddr, user: &str, now: Instant) -> bool {
        let of_user: Who = (source, Some(user.into()));
        let held = [(source, None), of_user].into_iter().filter(|who| self.is_locked(who, now));
        let held: Vec<Who> = held.collect();
        let waits =
            |who: &Who| self.counts.get(who).and_then(|count| count.judged_from).is_some_and(|at| at > now);
        if held.iter().any(waits) {
            return false;
        }
        for who in held {
            if let Some(count) = self.counts.get_mut(&who) {
                count.judged_from = Some(now + LOCKED_PROOF_INTERVAL);
            }
        }
        true
    }

    /// Notes wrong credentials.
    pub fn failed(&mut self, source: IpAddr, user: &str, policy: &Policy, now: Instant) -> Failed {
        self.forget(now);
        let (failures, user_locked) =
            self.count((source, Some(user.into())), 1, policy.lockout_after, policy, now);
        let users = self.counts.range((source, None)..).take_while(|(who, _)| who.0 == source);
        let users = u32::try_from(users.filter(|(who, _)| who.1.is_some()).count()).unwrap_or(u32::MAX);
        let limit = policy.lockout_source_after;
        let source_locked =
            limit > 0 && users >= limit && self.count((source, None), users, limit, policy, now).1;
        Failed { failures, user_locked, source_locked }
    }

    /// The number of failures, and whether this one locks.
    fn count(&mut self, who: Who, more: u32, limit: u32, policy: &Policy, now: Instant) -> (u32, bool) {
        let before = self.take(&who);
        let failures = before.map_or(0, |count| count.failures).saturating_add(more);
        let was = before.is_some_and(|count| count.locked);
        let locked = was || (limit > 0 && failures >= limit);
        let ends = match before.filter(|_| was) {
            Some(count) => count.ends,
            None => now + if locked { policy.lockout_time } else { policy.lockout_window },
        };
        let judged_from = before.and_then(|count| count.judged_from);
        self.put(who, Count { failures, locked, ends, judged_from });
        (failures, locked && !was)
    }

    /// The right credentials: the count of this user begins anew.
    pub fn succeeded(&mut self, source: IpAddr, user: &str) {
        if !self.counts.is_empty() {
            self.take(&(source, Some(user.into())));
        }
    }

    /// Lets a source try again, with all its users: how many lock-outs that ended.
    pub fn release(&mut self, source: IpAddr) -> usize {
        let mine: Vec<Who> = self
            .counts
            .range((source, None)..)
            .take_while(|(who, _)| who.0 == source)
            .map(|(who, _)| who.clone())
            .collect();
        mine.iter().filter_map(|who| self.take(who)).filter(|count| count.locked).count()
    }

    /// Those locked out now, how often they failed and how long it still lasts, in order of their addresses.
    pub fn list(&self, now: Instant) -> impl Iterator<Item = (&Who, u32, Duration)> {
        let held = self.counts.iter().filter(move |(_, count)| count.locked && count.ends > now);
        held.map(move |(who, count)| (who, count.failures, count.ends.saturating_duration_since(now)))
    }

    /// Those locked out.
    #[must_use]
    pub fn len(&self, now: Instant) -> usize {
        if self.locked == 0 { 0 } else { self.list(now).count() }
    }

    /// Whether nobody is locked out.
    #[must_use]
    pub fn is_empty(&self, now: Instant) -> bool {
        self.len(now) == 0
    }

    fn put(&mut self, who: Who, count: Count) {
        while self.counts.len() >= MAX_LOCKS {
            let Some((_, oldest)) = self.ends.pop_first() else { break };
            self.take(&oldest);
        }
        if count.locked {
            self.locked += 1;
            self.kept.turned(&who);
        }
        self.ends.insert((count.ends, who.clone()));
        self.counts.insert(who, count);
    }

    fn take(&mut self, who: &Who) -> Option<Count> {
        let (who, count) = self.counts.remove_entry(who)?;
        if count.locked {
            self.locked -= 1;
            self.kept.turned(&who);
        }
        self.ends.remove(&(count.ends, who));
        Some(count)
    }

    /// Stores which lock-outs have begun and ended since this was asked last.
    pub(crate) fn keep(&mut self, now: Now, log: &mut ChangeLog, next_record: &mut u64) {
        if self.kept.is_settled() {
            return;
        }
        let counts = &self.counts;
        let locked = |who: &Who| {
            let Count { failures, ends, .. } = *counts.get(who).filter(|count| count.locked)?;
            let ends = Deadline::after(now.unix_ms, ends.saturating_duration_since(now.mono));
            Some(LockedOut { who: who.clone(), failures, ends })
        };
        self.kept.store(locked, log, next_record);
    }

    /// Takes up a lock-out of an earlier process. One that is over is deleted, and none lasts longer than one that begins
    /// now: a clock that was set back locks nobody out for ever. False: the record cannot be read.
    pub(crate) fn restore(
        &mut self,
        change: &Change,
        policy: &Policy,
        now: Now,
        log: &mut ChangeLog,
    ) -> bool {
        let Some(record) = Replicated::<LockedOut>::restore(change) else { return false };
        if record.ends.is_past(now.unix_ms)
            || self.counts.contains_key(&record.who)
            || self.counts.len() >= MAX_LOCKS
        {
            record.delete(log);
            return true;
        }
        let ends = now.mono + record.ends.remaining(now.unix_ms).min(policy.lockout_time);
        let count = Count { failures: record.failures, locked: true, ends, judged_from: None };
        let who = record.who.clone();
        self.kept.took_up(record);
        self.put(who, count);
        true
    }

    /// Forgets those whose time is over.
    pub(crate) fn forget(&mut self, now: Instant) {
        while let Some((_, who)) = self.ends.first().filter(|(at, _)| *at <= now).cloned() {
            self.take(&who);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);
    const TIME: Duration = Duration::from_secs(300);

    fn policy() -> Policy {
        Policy {
            lockout_after: 3,
            lockout_source_after: 5,
            lockout_window: WINDOW,
            lockout_time: TIME,
            ..Policy::default()
        }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_user_is_locked_out_at_his_source_alone_and_for_its_time_alone() {
        let (mut locks, start) = (Locks::default(), Instant::now());
        for failures in 1..=3 {
            assert!(!locks.holds(ip(1), "1001", false, start));
            let failed = locks.failed(ip(1), "1001", &policy(), start);
            assert_eq!(failed, Failed { failures, user_locked: failures == 3, source_locked: false });
        }
        assert!(locks.holds(ip(1), "1001", false, start));
        assert!(!locks.holds(ip(1), "1002", false, start), "another user there");
        assert!(!locks.holds(ip(2), "1001", false, start), "he himself elsewhere");
        assert!(locks.holds(ip(1), "1001", false, start + TIME - Duration::from_millis(1)));
        assert!(!locks.holds(ip(1), "1001", false, start + TIME));
        assert_eq!(locks.failed(ip(1), "1001", &policy(), start + TIME).failures, 1, "it begins anew");
    }

    #[test]
    fn a_source_is_locked_out_whoever_it_claims_to_be() {
        let (mut locks, now) = (Locks::default(), Instant::now());
        let failed: Vec<bool> = ["1", "2", "3", "4", "5", "6"]
            .map(|user| locks.failed(ip(1), user, &policy(), now).source_locked)
            .into();
        assert_eq!(failed, [false, false, false, false, true, false], "said once");
        assert!(locks.holds(ip(1), "1001", false, now) && !locks.holds(ip(2), "1001", false, now));
        assert!(!locks.holds(ip(1), "1001", true, now), "who is registered there stays");
        assert_eq!(locks.release(ip(1)), 1);
        assert!(!locks.holds(ip(1), "1001", false, now));
    }

    #[test]
    fn a_few_users_who_fail_for_ever_lock_out_nobody_else() {
        let (mut locks, start) = (Locks::default(), Instant::now());
        for n in 0..1_000 {
            let now = start + Duration::from_secs(n);
            for user in ["old", "older"]
                .into_iter()
                .filter(|user| !locks.holds(ip(1), user, false, now))
                .collect::<Vec<_>>()
            {
                assert!(!locks.failed(ip(1), user, &policy(), now).source_locked);
            }
            assert!(!locks.holds(ip(1), "1001", false, now));
        }
    }

    #[test]
    fn who_is_locked_out_and_calls_for_help_is_judged_now_and_then() {
        let (mut locks, now) = (Locks::default(), Instant::now());
        for _ in 0..3 {
            locks.failed(ip(1), "1001", &policy(), now);
        }
        assert!(locks.may_prove(ip(1), "1001", now));
        assert!(!locks.may_prove(ip(1), "1001", now + LOCKED_PROOF_INTERVAL - Duration::from_millis(1)));
        assert!(locks.may_prove(ip(1), "1001", now + LOCKED_PROOF_INTERVAL));
        assert!(locks.may_prove(ip(1), "1002", now), "another is judged always");
    }

    #[test]
    fn the_right_password_and_time_clear_the_count() {
        let (mut locks, start) = (Locks::default(), Instant::now());
        locks.failed(ip(1), "1001", &policy(), start);
        locks.failed(ip(1), "1001", &policy(), start);
        locks.succeeded(ip(1), "1001");
        assert_eq!(locks.failed(ip(1), "1001", &policy(), start).failures, 1);
        assert_eq!(locks.failed(ip(1), "1001", &policy(), start + WINDOW).failures, 1);
    }

    #[test]
    fn a_limit_of_zero_locks_nobody_out() {
        let (mut locks, now) = (Locks::default(), Instant::now());
        let never = Policy { lockout_after: 0, lockout_source_after: 0, ..policy() };
        for _ in 0..1_000 {
            locks.failed(ip(1), "1001", &never, now);
        }
        assert!(!locks.holds(ip(1), "1001", false, now));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_first_to_end_goes_first() {
        let (mut locks, start) = (Locks::default(), Instant::now());
        for _ in 0..3 {
            locks.failed(ip(1), "held", &policy(), start);
        }
        for n in 0..MAX_LOCKS as u32 {
            locks.failed(
                IpAddr::from(n.to_be_bytes()),
                "x",
                &policy(),
                start + Duration::from_micros(n.into()),
            );
        }
        assert!(locks.counts.len() <= MAX_LOCKS && locks.ends.len() == locks.counts.len());
        assert!(locks.holds(ip(1), "held", false, start), "what ends late is kept");
    }
}
