//! What Extensions spend on calls that leave the switch by a trunk, held against their limits; and which calls are
//! emergency calls. A stolen password then costs minutes, not a month's income.
//!
//! A call is on the account of whoever caused it to leave: who dialled, or who sent it on. Calls that run are on their
//! accounts after a restart too, for each is stored with its [`Bill`]; what the last minute and the day have cost before is
//! not stored, for it would take a record at the end of each call. A day is one of UTC.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_peer::replica::{Reader, Writer};

use crate::limits::MAX_TOLL_PER_MINUTE;
use crate::rooms::Device;
use crate::time::Now;

const DAY_MS: u64 = 86_400_000;
const MINUTE: Duration = Duration::from_secs(60);

/// `external-calls` and its fellows, of one level. `None`: not said there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TollLimits {
    /// `external-calls`: at once.
    pub calls: Option<u32>,
    /// `external-calls-per-minute`.
    pub per_minute: Option<u32>,
    /// `external-minutes-per-day`.
    pub minutes_per_day: Option<u32>,
    /// `external-allow`: what the dialled number must begin with.
    pub allow: Option<Vec<Box<str>>>,
    /// `external-deny`: what it must not begin with; the longer prefix wins.
    pub deny: Option<Vec<Box<str>>>,
}

impl TollLimits {
    /// Those of a DN, and for what it does not say those of the server.
    #[must_use]
    pub fn or(&self, server: &Self) -> Self {
        Self {
            calls: self.calls.or(server.calls),
            per_minute: self.per_minute.or(server.per_minute),
            minutes_per_day: self.minutes_per_day.or(server.minutes_per_day),
            allow: self.allow.as_ref().or(server.allow.as_ref()).cloned(),
            deny: self.deny.as_ref().or(server.deny.as_ref()).cloned(),
        }
    }

    /// Whether calls must be counted for them.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.calls.is_some() || self.per_minute.is_some() || self.minutes_per_day.is_some()
    }

    fn admits(&self, number: &[u8]) -> bool {
        let longest = |list: &Option<Vec<Box<str>>>| {
            let fits = list.iter().flatten().filter(|prefix| number.starts_with(prefix.as_bytes()));
            fits.map(|prefix| prefix.len()).max()
        };
        match (longest(&self.allow), longest(&self.deny)) {
            (Some(allowed), Some(denied)) => allowed > denied,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => self.allow.is_none(),
        }
    }
}

/// The limit that a call would have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TollRule {
    /// `external-calls`.
    Calls(u32),
    /// `external-calls-per-minute`.
    PerMinute(u32),
    /// `external-minutes-per-day`.
    MinutesPerDay(u32),
    /// `external-allow` or `external-deny`.
    Number,
}

impl std::fmt::Display for TollRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Calls(n) => write!(f, "external-calls = {n}"),
            Self::PerMinute(n) => write!(f, "external-calls-per-minute = {n}"),
            Self::MinutesPerDay(n) => write!(f, "external-minutes-per-day = {n}"),
            Self::Number => f.write_str("external-allow and external-deny"),
        }
    }
}

#[derive(Debug, Default)]
struct Account {
    running: u32,
    recent: VecDeque<Instant>,
    day: u64,
    spent_ms: u64,
}

/// Whose account a call is on, and whether it is for help: what is stored of that with the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Who pays, and since when, Unix ms; in the order of their numbers.
    payers: Vec<(Arc<str>, u64)>,
    for_help: bool,
}

impl Bill {
    /// That of a call which costs nobody anything.
    #[must_use]
    pub const fn none() -> Self {
        Self { payers: Vec::new(), for_help: false }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.bool(self.for_help);
        let payers = u8::try_from(self.payers.len()).unwrap_or(u8::MAX);
        out.u8(payers);
        for (dn, since) in self.payers.iter().take(usize::from(payers)) {
            out.str(dn);
            out.u64(*since);
        }
    }

    pub(crate) fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let mut bill = Self { for_help: fields.bool()?, payers: Vec::new() };
        for _ in 0..fields.u8()? {
            bill.payers.push((fields.str()?.into(), fields.u64()?));
        }
        Some(bill)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: BTreeMap<Arc<str>, Account>,
    /// Calls on somebody's account, by `CallUUID`: on whose, and since when, Unix ms, in the order of their numbers.
    charged: BTreeMap<u128, Vec<(Arc<str>, u64)>>,
    emergencies: BTreeMap<u128, ()>,
    day: u64,
}

impl Ledger {
    /// Whether an external call may be put on this account.
    ///
    /// # Errors
    /// The limit that forbids it.
    pub fn admit(&self, dn: &str, limits: &TollLimits, number: &[u8], now: Now) -> Result<(), TollRule> {
        if !limits.admits(number) {
            return Err(TollRule::Number);
        }
        let Some(account) = self.accounts.get(dn).filter(|_| limits.counts()) else {
            return match limits {
                TollLimits { calls: Some(0), .. } => Err(TollRule::Calls(0)),
                TollLimits { per_minute: Some(0), .. } => Err(TollRule::PerMinute(0)),
                TollLimits { minutes_per_day: Some(0), .. } => Err(TollRule::MinutesPerDay(0)),
                _ => Ok(()),
            };
        };
        if let Some(most) = limits.calls.filter(|most| account.running >= *most) {
            return Err(TollRule::Calls(most));
        }
        let minute = account.recent.iter().rev().take_while(|at| **at + MINUTE > now.mono).count();
        if let Some(most) = limits.per_minute.filter(|most| minute >= *most as usize) {
            return Err(TollRule::PerMinute(most));
        }
        let spent = if account.day == now.unix_ms / DAY_MS { account.spent_ms } else { 0 };
        let spent = spent + self.running_ms(dn, account.running, now);
        match limits.minutes_per_day.filter(|most| spent >= u64::from(*most) * 60_000) {
            Some(most) => Err(TollRule::MinutesPerDay(most)),
            None => Ok(()),
        }
    }

    /// How long calls on this account run already. Looked for only while there are some.
    fn running_ms(&self, dn: &str, running: u32, now: Now) -> u64 {
        if running == 0 {
            return 0;
        }
        let mine = self.charged.values().flatten().filter(|(payer, _)| **payer == *dn);
        mine.map(|(_, since)| now.unix_ms.saturating_sub(*since)).sum()
    }

    /// Puts a call on somebody's account. Once for each call, however often it leaves.
    pub fn charge(&mut self, uuid: u128, dn: &Arc<str>, now: Now) {
        let today = now.unix_ms / DAY_MS;
        if self.day != today {
            self.day = today;
            self.accounts.retain(|_, account| account.running > 0);
        }
        let account = self.accounts.entry(Arc::clone(dn)).or_default();
        account.recent.push_back(now.mono);
        while account.recent.len() > MAX_TOLL_PER_MINUTE {
            account.recent.pop_front();
        }
        if on(&mut self.charged, uuid, dn, now.unix_ms) {
            account.running += 1;
        }
    }

    /// What is stored of it with a call.
    #[must_use]
    pub fn bill(&self, uuid: u128) -> Bill {
        Bill {
            payers: self.charged.get(&uuid).cloned().unwrap_or_default(),
            for_help: self.is_emergency(uuid),
        }
    }

    /// Whether that is this.
    #[must_use]
    pub fn is_billed(&self, uuid: u128, bill: &Bill) -> bool {
        self.charged.get(&uuid).map_or(&[][..], Vec::as_slice) == bill.payers.as_slice()
            && self.is_emergency(uuid) == bill.for_help
    }

    /// A call of an earlier process goes on.
    pub fn goes_on(&mut self, uuid: u128, bill: &Bill) {
        if bill.for_help {
            self.emergency(uuid);
        }
        for (dn, since) in &bill.payers {
            if on(&mut self.charged, uuid, dn, *since) {
                self.accounts.entry(Arc::clone(dn)).or_default().running += 1;
            }
        }
    }

    /// Whether a call is an emergency call.
    #[must_use]
    pub fn is_emergency(&self, uuid: u128) -> bool {
        self.emergencies.contains_key(&uuid)
    }

    /// A call is an emergency call.
    pub fn emergency(&mut self, uuid: u128) {
        self.emergencies.insert(uuid, ());
    }

    /// Emergency calls now.
    #[must_use]
    pub fn emergencies(&self) -> usize {
        self.emergencies.len()
    }

    /// External calls on accounts now.
    #[must_use]
    pub fn external_calls(&self) -> usize {
        self.charged.values().map(Vec::len).sum()
    }

    /// A party of a call goes on in another: if it is one beyond a trunk, what is on somebody's account, or for help, goes
    /// with it.
    pub fn moves(&mut self, from: u128, to: u128, party: Device) {
        if !matches!(party, Device::Trunk(_)) {
            return;
        }
        if self.emergencies.remove(&from).is_some() {
            self.emergencies.insert(to, ());
        }
        for (dn, since) in self.charged.remove(&from).unwrap_or_default() {
            if !on(&mut self.charged, to, &dn, since)
                && let Some(account) = self.accounts.get_mut(&dn)
            {
                account.running = account.running.saturating_sub(1);
            }
        }
    }

    /// A call is over; `answered_unix_ms` if it was answered.
    pub fn ended(&mut self, uuid: u128, answered_unix_ms: Option<u64>, now: Now) {
        self.emergencies.remove(&uuid);
        for (dn, since) in self.charged.remove(&uuid).unwrap_or_default() {
            let Some(account) = self.accounts.get_mut(&dn) else { continue };
            account.running = account.running.saturating_sub(1);
            let today = now.unix_ms / DAY_MS;
            if account.day != today {
                (account.day, account.spent_ms) = (today, 0);
            }
            let begun = answered_unix_ms.map(|answered| answered.max(since).max(today * DAY_MS));
            account.spent_ms += begun.map_or(0, |begun| now.unix_ms.saturating_sub(begun));
        }
    }
}

/// Puts a call on an account, since that moment; false if it is on it already.
fn on(charged: &mut BTreeMap<u128, Vec<(Arc<str>, u64)>>, uuid: u128, dn: &Arc<str>, since: u64) -> bool {
    let payers = charged.entry(uuid).or_default();
    match payers.binary_search_by(|(payer, _)| payer.cmp(dn)) {
        Ok(place) => {
            payers.get_mut(place).into_iter().for_each(|payer| payer.1 = since);
            false
        }
        Err(place) => {
            payers.insert(place, (Arc::clone(dn), since));
            true
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_goes_on_in_another_process_is_on_the_accounts_that_it_was_on() {
        let (mut before, now) = (Ledger::default(), now());
        for dn in ["1002", "1001"] {
            before.charge(7, &Arc::from(dn), now);
        }
        before.emergency(7);
        let mut out = bytes::BytesMut::new();
        before.bill(7).encode(&mut Writer::new(&mut out));
        let bill = Bill::read(&mut Reader::new(&out)).unwrap();
        assert!(before.is_billed(7, &bill) && before.is_billed(8, &Bill::default()));
        assert!(!before.is_billed(8, &bill) && !before.is_billed(7, &Bill::default()));
        let (mut after, one) = (Ledger::default(), limits(Some(1), None, None));
        after.goes_on(7, &bill);
        after.goes_on(7, &bill);
        for dn in ["1001", "1002"] {
            assert_eq!(after.admit(dn, &one, b"0", now), Err(TollRule::Calls(1)), "{dn}");
        }
        assert_eq!((after.external_calls(), after.emergencies()), (2, 1));
        after.ended(7, None, now);
        assert_eq!((after.admit("1001", &one, b"0", now), after.emergencies()), (Ok(()), 0));
    }

    fn now() -> Now {
        Now { mono: Instant::now(), unix_ms: 20_000 * DAY_MS + 3_600_000 }
    }

    fn limits(calls: Option<u32>, per_minute: Option<u32>, minutes_per_day: Option<u32>) -> TollLimits {
        TollLimits { calls, per_minute, minutes_per_day, ..TollLimits::default() }
    }

    #[test]
    fn calls_at_once_are_counted_until_they_end() {
        let (mut ledger, now, dn) = (Ledger::default(), now(), Arc::from("1001"));
        let two = limits(Some(2), None, None);
        for uuid in [1, 2] {
            assert_eq!(ledger.admit("1001", &two, b"0", now), Ok(()));
            ledger.charge(uuid, &dn, now);
            ledger.charge(uuid, &dn, now);
        }
        assert_eq!(ledger.admit("1001", &two, b"0", now), Err(TollRule::Calls(2)));
        assert_eq!(ledger.admit("1002", &two, b"0", now), Ok(()), "another's account");
        ledger.ended(1, None, now);
        assert_eq!((ledger.admit("1001", &two, b"0", now), ledger.external_calls()), (Ok(()), 1));
        assert_eq!(ledger.admit("1003", &limits(Some(0), None, None), b"0", now), Err(TollRule::Calls(0)));
    }

    #[test]
    fn a_call_stays_on_the_account_when_its_party_goes_on_in_another() {
        let (mut ledger, now, dn) = (Ledger::default(), now(), Arc::from("1001"));
        let one = limits(Some(1), None, None);
        ledger.charge(1, &dn, now);
        ledger.emergency(1);
        let (inside, outside) = (Device::Mixer, Device::Trunk(crate::directory::TrunkId(0)));
        ledger.moves(1, 3, inside);
        ledger.moves(1, 2, outside);
        ledger.ended(1, None, now);
        assert_eq!(ledger.admit("1001", &one, b"0", now), Err(TollRule::Calls(1)));
        assert_eq!(ledger.emergencies(), 1);
        ledger.ended(2, None, now);
        assert_eq!((ledger.admit("1001", &one, b"0", now), ledger.emergencies()), (Ok(()), 0));
    }

    #[test]
    fn calls_of_the_last_minute_are_counted_whether_they_go_on_or_not() {
        let (mut ledger, now, dn) = (Ledger::default(), now(), Arc::from("1001"));
        let three = limits(None, Some(3), None);
        for uuid in 0..3 {
            assert_eq!(ledger.admit("1001", &three, b"0", now.plus(Duration::from_secs(10))), Ok(()));
            ledger.charge(uuid, &dn, now.plus(Duration::from_secs(10 * uuid as u64)));
            ledger.ended(uuid, None, now);
        }
        let at = |s| ledger.admit("1001", &three, b"0", now.plus(Duration::from_secs(s)));
        assert_eq!(at(59), Err(TollRule::PerMinute(3)));
        assert_eq!(at(60), Ok(()));
    }

    #[test]
    fn minutes_of_a_day_count_what_was_answered_and_what_runs() {
        let (mut ledger, now, dn) = (Ledger::default(), now(), Arc::from("1001"));
        let ten = limits(None, None, Some(10));
        let at = |minutes: u64| now.plus(Duration::from_secs(60 * minutes));
        ledger.charge(1, &dn, now);
        ledger.ended(1, None, at(30));
        assert_eq!(ledger.admit("1001", &ten, b"0", at(30)), Ok(()), "nobody answered");
        ledger.charge(2, &dn, at(30));
        ledger.ended(2, Some(at(31).unix_ms), at(37));
        ledger.charge(3, &dn, at(40));
        assert_eq!(ledger.admit("1001", &ten, b"0", at(43)), Ok(()), "six and three");
        assert_eq!(ledger.admit("1001", &ten, b"0", at(44)), Err(TollRule::MinutesPerDay(10)));
        ledger.ended(3, Some(at(40).unix_ms), at(44));
        assert_eq!(ledger.admit("1001", &ten, b"0", at(45)), Err(TollRule::MinutesPerDay(10)));
        assert_eq!(ledger.admit("1001", &ten, b"0", at(24 * 60)), Ok(()), "another day");
    }

    #[test]
    fn the_longer_prefix_decides_and_with_allow_others_are_denied() {
        let lists = |allow: &[&str], deny: &[&str]| {
            let list = |of: &[&str]| (!of.is_empty()).then(|| of.iter().map(|p| Box::from(*p)).collect());
            TollLimits { allow: list(allow), deny: list(deny), ..TollLimits::default() }
        };
        let admits = |limits: &TollLimits, number: &str| limits.admits(number.as_bytes());
        let international = lists(&["9", "90041"], &["900"]);
        assert!(admits(&international, "9030") && admits(&international, "9004112"));
        assert!(!admits(&international, "900881") && !admits(&international, "7"));
        let server = lists(&[], &["900"]);
        assert!(
            !admits(&lists(&[], &[]).or(&server), "9001") && admits(&lists(&[], &["8"]).or(&server), "9001")
        );
    }
}
