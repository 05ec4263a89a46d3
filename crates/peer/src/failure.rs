//! Site dead or link dead? The inter-site trunk cannot tell, and the rules do not ask: they follow it alone. What else is
//! seen explains the loss to whoever is woken by it, and says how sure that is. Nothing here reaches
//! [`continuity`](crate::continuity).

use std::fmt;

/// Phones that have to come over before their move says something: one or two were switched on by chance.
pub const PHONES_THAT_SPEAK: usize = 3;
/// Calls of gateways that have to be there, or to be missing, before their number says something.
pub const CALLS_THAT_SPEAK: u64 = 10;

/// What is looked at beside the trunk (`dr-failure-signals`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureSignals {
    /// The peer's administration interface.
    pub control: bool,
    /// How many calls gateways send here.
    pub gateways: bool,
    /// Phones that come over.
    pub phones: bool,
}

impl FailureSignals {
    /// All of them.
    pub const ALL: Self = Self { control: true, gateways: true, phones: true };

    /// Whether anything is looked at.
    #[must_use]
    pub const fn any(self) -> bool {
        self.control || self.gateways || self.phones
    }
}

/// What the peer's administration interface said when it was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// It answers, and its server is well.
    Answers,
    /// Something answers there, but the server is not well, or is not there.
    Ailing,
    /// Nothing answers.
    Silent,
}

/// Calls that came from gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateways {
    /// In one minute before the loss.
    pub per_minute: u64,
    /// Since the loss.
    pub since: u64,
    /// Seconds since the loss.
    pub seconds: u64,
}

impl Gateways {
    /// Calls that would have come as before.
    #[must_use]
    pub const fn expected(self) -> u64 {
        self.per_minute.saturating_mul(self.seconds) / 60
    }

    /// Clearly more than before: half as many again, and more than chance makes of it (three standard deviations).
    #[must_use]
    pub const fn jumped(self) -> bool {
        let expected = self.expected();
        let more = self.since.saturating_sub(expected);
        let spread = if expected == 0 { 1 } else { expected };
        self.since >= CALLS_THAT_SPEAK
            && more.saturating_mul(2) >= expected
            && more.saturating_mul(more) > spread.saturating_mul(9)
    }

    /// None comes where many were to be expected.
    #[must_use]
    pub const fn stopped(self) -> bool {
        self.since == 0 && self.expected() >= CALLS_THAT_SPEAK
    }
}

/// What is seen beside the trunk; `None`: it is not looked at, or not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The peer's administration interface.
    pub control: Option<Control>,
    /// Phones that were out of service here while both sites saw each other and registered here since.
    pub phones_moved: Option<usize>,
    /// Calls of gateways.
    pub gateways: Option<Gateways>,
}

/// What seems to have failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing tells.
    Unknown,
    /// The peer site.
    SiteDead,
    /// The link between the sites; the peer works.
    LinkDead,
    /// The peer works, but phones or gateways do not reach it either.
    PeerCutOff,
    /// This site: its gateways do not reach it either.
    ThisSiteCutOff,
}

impl Cause {
    /// All that may be said.
    pub const ALL: [Self; 5] =
        [Self::Unknown, Self::SiteDead, Self::LinkDead, Self::PeerCutOff, Self::ThisSiteCutOff];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SiteDead => "site-dead",
            Self::LinkDead => "link-dead",
            Self::PeerCutOff => "peer-cut-off",
            Self::ThisSiteCutOff => "this-site-cut-off",
        }
    }
}

/// How sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// One sign, which may have another reason.
    Possible,
    /// Signs that do not depend on each other.
    Likely,
    /// It was seen.
    Certain,
}

impl Confidence {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// What is thought of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rating {
    /// What seems to have failed.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
}

impl Rating {
    /// Nothing tells.
    pub const UNKNOWN: Self = Self { cause: Cause::Unknown, confidence: Confidence::Possible };

    const fn new(cause: Cause, confidence: Confidence) -> Self {
        Self { cause, confidence }
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Unknown => f.write_str("unknown"),
            Cause::SiteDead => write!(f, "site dead: {}", self.confidence.as_str()),
            Cause::LinkDead => write!(f, "link dead: {}", self.confidence.as_str()),
            Cause::PeerCutOff => {
                write!(f, "peer cut off from phones or gateways too: {}", self.confidence.as_str())
            }
            Cause::ThisSiteCutOff => write!(f, "this site cut off: {}", self.confidence.as_str()),
        }
    }
}

impl Seen {
    /// What seems to have failed. A site is never certain to be dead: nobody can see that from here.
    #[must_use]
    pub fn judge(&self) -> Rating {
        let phones = self.phones_moved.is_some_and(|moved| moved >= PHONES_THAT_SPEAK);
        let more_calls = self.gateways.is_some_and(Gateways::jumped);
        let no_calls = self.gateways.is_some_and(Gateways::stopped);
        let elsewhere = usize::from(phones) + usize::from(more_calls);
        match (self.control, elsewhere) {
            (Some(Control::Answers), 0) => Rating::new(Cause::LinkDead, Confidence::Certain),
            (Some(Control::Answers), _) => Rating::new(Cause::PeerCutOff, Confidence::Likely),
            (Some(Control::Ailing), _) => Rating::new(Cause::SiteDead, Confidence::Likely),
            (Some(Control::Silent), 0) if no_calls => Rating::new(Cause::ThisSiteCutOff, Confidence::Likely),
            (None, 0) if no_calls => Rating::new(Cause::ThisSiteCutOff, Confidence::Possible),
            (Some(Control::Silent), 0) => Rating::new(Cause::SiteDead, Confidence::Possible),
            (Some(Control::Silent), _) => Rating::new(Cause::SiteDead, Confidence::Likely),
            (None, 0) => Rating::UNKNOWN,
            (None, 1) => Rating::new(Cause::SiteDead, Confidence::Possible),
            (None, _) => Rating::new(Cause::SiteDead, Confidence::Likely),
        }
    }
}

/// What it is judged from.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        let mut part = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            let done = write!(f, "{between}{text}");
            between = ", ";
            done
        };
        match self.control {
            Some(Control::Answers) => part(f, format_args!("the peer's status interface answers"))?,
            Some(Control::Ailing) => {
                part(f, format_args!("the peer's status interface answers, but its server is not well"))?;
            }
            Some(Control::Silent) => part(f, format_args!("control link silent"))?,
            None => {}
        }
        if let Some(moved) = self.phones_moved {
            part(f, format_args!("{moved} phones moved here"))?;
        }
        if let Some(gateways) = self.gateways {
            let (since, expected) = (gateways.since, gateways.expected());
            part(f, format_args!("gateways sent {since} calls where {expected} were to be expected"))?;
        }
        if between.is_empty() { f.write_str("nothing seen yet") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(control: Option<Control>, phones: Option<usize>, gateways: Option<(u64, u64, u64)>) -> String {
        let gateways = gateways.map(|(per_minute, since, seconds)| Gateways { per_minute, since, seconds });
        Seen { control, phones_moved: phones, gateways }.judge().to_string()
    }

    const SAME: Option<(u64, u64, u64)> = Some((60, 60, 60));
    const MORE: Option<(u64, u64, u64)> = Some((60, 120, 60));
    const NONE: Option<(u64, u64, u64)> = Some((60, 0, 60));

    #[test]
    fn a_peer_that_answers_elsewhere_is_alive_and_its_link_is_dead() {
        let answers = Some(Control::Answers);
        assert_eq!(rated(answers, None, None), "link dead: certain");
        assert_eq!(rated(answers, Some(2), SAME), "link dead: certain");
        assert_eq!(rated(answers, Some(2), NONE), "link dead: certain");
    }

    #[test]
    fn a_peer_that_answers_but_is_left_by_phones_or_gateways_is_cut_off_from_them() {
        for (phones, gateways) in [(Some(3), None), (None, MORE), (Some(41), MORE)] {
            let rated = rated(Some(Control::Answers), phones, gateways);
            assert_eq!(rated, "peer cut off from phones or gateways too: likely");
        }
    }

    #[test]
    fn silence_alone_is_little_and_with_phones_or_gateways_is_much() {
        let silent = Some(Control::Silent);
        assert_eq!(rated(silent, None, None), "site dead: possible");
        assert_eq!(rated(silent, Some(2), SAME), "site dead: possible");
        assert_eq!(rated(silent, Some(41), None), "site dead: likely");
        assert_eq!(rated(silent, None, MORE), "site dead: likely");
        assert_eq!(rated(silent, Some(41), MORE), "site dead: likely");
        assert_eq!(rated(Some(Control::Ailing), None, None), "site dead: likely");
    }

    #[test]
    fn without_the_control_link_phones_and_gateways_speak_for_themselves() {
        assert_eq!(rated(None, None, None), "unknown");
        assert_eq!(rated(None, Some(0), SAME), "unknown");
        assert_eq!(rated(None, Some(3), None), "site dead: possible");
        assert_eq!(rated(None, None, MORE), "site dead: possible");
        assert_eq!(rated(None, Some(3), MORE), "site dead: likely");
    }

    #[test]
    fn a_site_whose_gateways_fall_silent_too_is_itself_cut_off() {
        assert_eq!(rated(Some(Control::Silent), Some(0), NONE), "this site cut off: likely");
        assert_eq!(rated(None, None, NONE), "this site cut off: possible");
        assert_eq!(rated(Some(Control::Silent), Some(41), NONE), "site dead: likely");
    }

    #[test]
    fn few_calls_say_nothing_and_chance_is_no_jump() {
        let jumped = |per_minute, since, seconds| Gateways { per_minute, since, seconds }.jumped();
        assert!(!jumped(0, 9, 60) && jumped(0, 10, 60));
        assert!(!jumped(60, 83, 60), "23 more than 60 are within chance");
        assert!(!jumped(60, 89, 60) && jumped(60, 90, 60), "half as many again");
        assert!(!jumped(600, 899, 60) && jumped(600, 900, 60));
        assert!(jumped(600, 30, 1) && !jumped(600, 10, 1));
        let stopped = |per_minute, since, seconds| Gateways { per_minute, since, seconds }.stopped();
        assert!(!stopped(60, 0, 9) && stopped(60, 0, 10) && !stopped(60, 1, 10));
    }

    #[test]
    fn what_it_is_judged_from_is_said() {
        let gateways = Some(Gateways { per_minute: 60, since: 120, seconds: 60 });
        let seen = Seen { control: Some(Control::Silent), phones_moved: Some(41), gateways };
        let said =
            "control link silent, 41 phones moved here, gateways sent 120 calls where 60 were to be expected";
        assert_eq!(seen.to_string(), said);
        assert_eq!(Seen::default().to_string(), "nothing seen yet");
    }
}
