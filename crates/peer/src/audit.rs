//! The audit of established legs whose signalling runs over a peer trunk that was lost.
//!
//! A lost trunk says nothing about a dialog: the link may be cut while the audio flows. So each such leg is asked
//! within its dialog (OPTIONS or UPDATE), and only its own answer ends it: 408 or 481 (RFC 3261 section 12.2.1.2), or
//! no answer for the configured time.

use crate::limits::{AUDIT_RETRY, AUDITS_PER_SECOND_MAX};
use std::fmt;
use std::time::{Duration, Instant};

/// What came of asking a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    /// A final answer came from the network.
    Answered(u16),
    /// The request could not be delivered, or its transaction timed out.
    Unanswered,
}

/// Why a leg is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditEnd {
    /// The far side does not know the dialog (481) or could not be reached from there (408).
    Status(u16),
    /// Nothing was heard for the configured time.
    NoAnswer,
}

impl fmt::Display for AuditEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the audit of the leg was answered {status}"),
            Self::NoAnswer => f.write_str("the audit of the leg was not answered"),
        }
    }
}

/// What becomes of the leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditVerdict {
    /// It lives; the audit is over.
    Keep,
    /// Not known; ask again at this moment.
    AskAgain(Instant),
    /// End it.
    End(AuditEnd),
}

/// How legs are audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditOptions {
    /// How long a leg may stay unanswered, seconds.
    pub no_answer_s: u32,
    /// How many legs are asked in one second.
    pub per_second: u32,
}

/// One round over all legs of a lost trunk, staggered so that a thousand legs are not a thousand requests at once.
#[derive(Debug, Clone, Copy)]
pub struct AuditRound {
    start: Instant,
    spacing: Duration,
    patience: Duration,
}

impl AuditRound {
    /// A round that begins now.
    #[must_use]
    pub fn new(options: AuditOptions, now: Instant) -> Self {
        let per_second = options.per_second.clamp(1, AUDITS_PER_SECOND_MAX);
        Self {
            start: now,
            spacing: Duration::from_secs(1) / per_second,
            patience: Duration::from_secs(options.no_answer_s.into()),
        }
    }

    /// When the leg at this place of the list is asked for the first time.
    #[must_use]
    pub fn ask_at(&self, place: u32) -> Instant {
        self.start + self.spacing.saturating_mul(place)
    }

    /// When that leg is given up if nothing has been heard by then.
    #[must_use]
    pub fn give_up_at(&self, place: u32) -> Instant {
        self.ask_at(place) + self.patience
    }

    /// What becomes of the leg at this place of the list after this outcome.
    #[must_use]
    pub fn judge(&self, place: u32, outcome: AuditOutcome, now: Instant) -> AuditVerdict {
        match outcome {
            AuditOutcome::Answered(status @ (408 | 481)) => AuditVerdict::End(AuditEnd::Status(status)),
            AuditOutcome::Answered(_) => AuditVerdict::Keep,
            AuditOutcome::Unanswered if now >= self.give_up_at(place) => {
                AuditVerdict::End(AuditEnd::NoAnswer)
            }
            AuditOutcome::Unanswered => {
                AuditVerdict::AskAgain((now + AUDIT_RETRY).min(self.give_up_at(place)))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const OPTIONS: AuditOptions = AuditOptions { no_answer_s: 20, per_second: 50 };

    fn judge(outcome: AuditOutcome, after_s: u64) -> AuditVerdict {
        let start = Instant::now();
        AuditRound::new(OPTIONS, start).judge(0, outcome, start + Duration::from_secs(after_s))
    }

    #[test]
    fn bca_09_a_leg_that_the_far_side_does_not_know_ends() {
        for status in [408, 481] {
            let end = AuditVerdict::End(AuditEnd::Status(status));
            assert_eq!(judge(AuditOutcome::Answered(status), 1), end);
        }
    }

    #[test]
    fn any_other_answer_proves_that_the_leg_lives() {
        for status in [200, 405, 488, 500, 501, 503, 603] {
            assert_eq!(judge(AuditOutcome::Answered(status), 1), AuditVerdict::Keep, "{status}");
        }
    }

    #[test]
    fn bca_08_a_silent_leg_ends_after_the_configured_time_and_not_before() {
        assert!(matches!(judge(AuditOutcome::Unanswered, 19), AuditVerdict::AskAgain(_)));
        assert_eq!(judge(AuditOutcome::Unanswered, 20), AuditVerdict::End(AuditEnd::NoAnswer));
    }

    #[test]
    fn legs_are_asked_one_after_the_other() {
        let start = Instant::now();
        let round = AuditRound::new(OPTIONS, start);
        let in_first_second = (0..1_000).filter(|i| round.ask_at(*i) < start + Duration::from_secs(1));
        assert_eq!(in_first_second.count(), 50);
        assert_eq!(round.give_up_at(100), round.ask_at(100) + Duration::from_secs(20));
    }

    #[test]
    fn a_leg_is_asked_again_after_a_while_and_at_the_latest_when_it_is_given_up() {
        let start = Instant::now();
        let round = AuditRound::new(OPTIONS, start);
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(round.judge(0, AuditOutcome::Unanswered, at(1)), AuditVerdict::AskAgain(at(5)));
        assert_eq!(round.judge(0, AuditOutcome::Unanswered, at(19)), AuditVerdict::AskAgain(at(20)));
    }

    #[test]
    fn a_rate_of_zero_still_audits() {
        let start = Instant::now();
        let round = AuditRound::new(AuditOptions { per_second: 0, ..OPTIONS }, start);
        assert_eq!(round.ask_at(3), start + Duration::from_secs(3));
    }
}
