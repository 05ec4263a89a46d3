//! What is seen beside the peer trunk when it is lost: phones that come over, calls of gateways, what the peer's
//! administration interface says. It is counted and told, and read by nothing that decides.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_peer::continuity::Mode;
use tandem_peer::failure::{Control, FailureSignals, Gateways, Rating, Seen};

/// Calls of gateways are counted in tens of seconds, for two minutes.
const SLOT: Duration = Duration::from_secs(10);
const SLOTS: u64 = 12;
/// The older half is how things were before: in the newer one the loss may have shown already.
const BEFORE: u64 = 6;
/// Another thought is told at the earliest so long after the last.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub struct Signals {
    /// Since when calls of gateways are counted.
    counted_since: Instant,
    slots: [(u64, u64); SLOTS as usize],
    loss: Option<Loss>,
}

/// The peer is lost.
#[derive(Debug)]
struct Loss {
    since: Instant,
    /// Both sites saw each other before.
    was_peered: bool,
    /// Calls of gateways in the minute before.
    per_minute: Option<u64>,
    /// Calls of gateways since.
    calls: u64,
    /// Phones that came over, and phones whose registration ended here since: those only come back.
    came: BTreeSet<Arc<str>>,
    left: BTreeSet<Arc<str>>,
    control: Option<Control>,
    /// What was told last, and when.
    told: Option<(Instant, Rating)>,
}

impl Signals {
    /// Nothing is seen yet; the peer has not been seen either.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let mut signals = Self { counted_since: now, slots: [(0, 0); SLOTS as usize], loss: None };
        signals.lost(now, false);
        signals
    }

    /// Calls of gateways are counted from now on.
    pub fn count_from(&mut self, now: Instant) {
        (self.counted_since, self.slots) = (now, [(0, 0); SLOTS as usize]);
        if let Some(loss) = &mut self.loss {
            loss.per_minute = None;
        }
    }

    /// The mode changed.
    pub fn mode_changed(&mut self, from: Mode, to: Mode, now: Instant) {
        match to {
            Mode::SingleSite => self.lost(now, from == Mode::Peered),
            Mode::Peered | Mode::StandAlone => self.loss = None,
        }
    }

    fn lost(&mut self, now: Instant, was_peered: bool) {
        self.loss = Some(Loss {
            since: now,
            was_peered,
            per_minute: self.per_minute(now),
            calls: 0,
            came: BTreeSet::new(),
            left: BTreeSet::new(),
            control: None,
            told: None,
        });
    }

    /// A call came from a trunk that does not lead to the peer.
    pub fn gateway_call(&mut self, now: Instant) {
        let slot = self.slot(now);
        if let Some((number, calls)) = self.slots.get_mut((slot % SLOTS) as usize) {
            *calls = if *number == slot { *calls + 1 } else { 1 };
            *number = slot;
        }
        if let Some(loss) = &mut self.loss {
            loss.calls += 1;
        }
    }

    /// A phone's registration began or ended.
    pub fn phone(&mut self, number: &Arc<str>, in_service: bool) {
        let Some(loss) = self.loss.as_mut().filter(|loss| loss.was_peered) else { return };
        if in_service {
            if !loss.left.contains(number) {
                loss.came.insert(Arc::clone(number));
            }
        } else if !loss.came.contains(number) {
            loss.left.insert(Arc::clone(number));
        }
    }

    /// The peer's administration interface was asked.
    pub fn control(&mut self, control: Control) {
        if let Some(loss) = &mut self.loss {
            loss.control = Some(control);
        }
    }

    /// Judges the loss anew, if there is one; the rating if it is another than was told last, with what it is judged from.
    pub fn judge(&mut self, watched: FailureSignals, now: Instant) -> Option<(Rating, Seen)> {
        let seen = self.seen(watched, now)?;
        let loss = self.loss.as_mut()?;
        let before = loss.told.map_or(Rating::UNKNOWN, |(_, rating)| rating);
        let rating = seen.judge();
        if rating == before || loss.told.is_some_and(|(at, _)| now < at + TOLD_EVERY) {
            return None;
        }
        loss.told = Some((now, rating));
        Some((rating, seen))
    }

    /// What is thought of the loss, and what it is judged from; `None` while there is none.
    #[must_use]
    pub fn told(&self, watched: FailureSignals, now: Instant) -> Option<(Rating, Seen, Duration)> {
        let (seen, loss) = (self.seen(watched, now)?, self.loss.as_ref()?);
        Some((seen.judge(), seen, now.saturating_duration_since(loss.since)))
    }

    fn seen(&self, watched: FailureSignals, now: Instant) -> Option<Seen> {
        let loss = self.loss.as_ref().filter(|_| watched.any())?;
        let seconds = now.saturating_duration_since(loss.since).as_secs();
        let gateways = loss.per_minute.map(|per_minute| Gateways { per_minute, since: loss.calls, seconds });
        Some(Seen {
            control: loss.control.filter(|_| watched.control),
            phones_moved: (watched.phones && loss.was_peered).then_some(loss.came.len()),
            gateways: gateways.filter(|_| watched.gateways && loss.was_peered),
        })
    }

    fn slot(&self, now: Instant) -> u64 {
        // Counted from one: zero is a slot in which nothing was ever counted.
        now.saturating_duration_since(self.counted_since).as_secs() / SLOT.as_secs() + 1
    }

    /// Calls of gateways in the older of the last two minutes; `None` when they are not counted for so long.
    fn per_minute(&self, now: Instant) -> Option<u64> {
        let slot = self.slot(now);
        let (first, end) = (slot.checked_sub(SLOTS).filter(|first| *first > 0)?, slot - BEFORE);
        let older = self.slots.iter().filter(|(number, _)| (first..end).contains(number));
        Some(older.map(|(_, calls)| calls).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing")]
    fn start() -> Instant {
        Instant::now()
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn cause(signals: &Signals, now: Instant) -> String {
        signals.told(FailureSignals::ALL, now).unwrap().0.to_string()
    }

    fn lost_after(start: Instant, seconds: u64) -> Signals {
        let mut signals = Signals::new(start);
        signals.mode_changed(Mode::SingleSite, Mode::Peered, start);
        for second in 0..seconds {
            signals.gateway_call(start + s(second));
        }
        signals.mode_changed(Mode::Peered, Mode::SingleSite, start + s(seconds));
        signals
    }

    #[test]
    fn a_phone_that_comes_over_counts_once_and_one_that_only_comes_back_does_not() {
        let now = start();
        let mut signals = lost_after(now, 10);
        let phones: [Arc<str>; 4] = ["1001", "1002", "1003", "1004"].map(Arc::from);
        signals.phone(&phones[3], false);
        for _ in 0..3 {
            for phone in &phones {
                signals.phone(phone, true);
                signals.phone(phone, false);
            }
        }
        let (rating, seen, _) = signals.told(FailureSignals::ALL, now + s(11)).unwrap();
        assert_eq!((seen.phones_moved, rating.to_string().as_str()), (Some(3), "site dead: possible"));
        signals.mode_changed(Mode::SingleSite, Mode::Peered, now + s(20));
        assert!(signals.told(FailureSignals::ALL, now + s(20)).is_none());
    }

    #[test]
    fn calls_of_gateways_are_held_against_those_of_the_minute_before_the_last() {
        let now = start();
        let mut signals = lost_after(now, 180);
        let gateways = signals.told(FailureSignals::ALL, now + s(240)).unwrap().1.gateways.unwrap();
        assert_eq!((gateways.per_minute, gateways.since, gateways.seconds), (60, 0, 60));
        assert_eq!(cause(&signals, now + s(240)), "this site cut off: possible");
        for second in 0..120 {
            signals.gateway_call(now + s(180 + second / 2));
        }
        assert_eq!(cause(&signals, now + s(240)), "site dead: possible");
        signals.count_from(now + s(240));
        assert_eq!(signals.told(FailureSignals::ALL, now + s(240)).unwrap().1.gateways, None);
        let young = lost_after(now, 60);
        assert_eq!(young.told(FailureSignals::ALL, now + s(120)).unwrap().1.gateways, None);
    }

    #[test]
    fn a_peer_that_was_never_seen_is_told_by_the_control_link_alone() {
        let now = start();
        let mut signals = Signals::new(now);
        (0..9).for_each(|n| signals.phone(&Arc::from(n.to_string()), true));
        assert_eq!(cause(&signals, now + s(200)), "unknown");
        signals.control(Control::Answers);
        assert_eq!(cause(&signals, now + s(200)), "link dead: certain");
    }

    #[test]
    fn a_rating_is_told_when_it_changes_and_at_most_once_a_second() {
        let now = start();
        let mut signals = lost_after(now, 10);
        let at = |signals: &mut Signals, ms| {
            let told = signals.judge(FailureSignals::ALL, now + s(10) + Duration::from_millis(ms));
            told.map(|(rating, _)| rating.to_string())
        };
        assert_eq!(at(&mut signals, 0), None);
        signals.control(Control::Silent);
        assert_eq!(at(&mut signals, 500).as_deref(), Some("site dead: possible"));
        assert_eq!(at(&mut signals, 600), None);
        signals.control(Control::Answers);
        assert_eq!(at(&mut signals, 1400), None);
        assert_eq!(at(&mut signals, 1500).as_deref(), Some("link dead: certain"));
        assert_eq!(at(&mut signals, 9000), None);
    }

    #[test]
    fn what_is_not_watched_is_not_seen() {
        let now = start();
        let mut signals = lost_after(now, 180);
        signals.control(Control::Answers);
        let seen = |watched| signals.told(watched, now + s(240)).map(|(_, seen, _)| seen);
        assert_eq!(seen(FailureSignals::default()), None);
        let only = FailureSignals { phones: true, ..FailureSignals::default() };
        assert_eq!(seen(only), Some(Seen { phones_moved: Some(0), ..Seen::default() }));
    }
}
