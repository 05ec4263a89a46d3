//! What is said about readiness: reasons, what to do about each, and a score.

use serde::{Deserialize, Serialize};

/// Examples named with a reason; the count says how many there are.
pub const MAX_EXAMPLES: usize = 10;

/// How much a reason matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The site must not be lost, nor switched off, like this.
    Blocker,
    /// Something would be worse than it need be.
    Warning,
    /// Good to know; costs nothing.
    Note,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocker => "blocker",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    /// Points that a reason takes from 100: the first number always, the second times the share that is concerned.
    const fn cost(self) -> (usize, usize) {
        match self {
            Self::Blocker => (40, 20),
            Self::Warning => (5, 10),
            Self::Note => (0, 0),
        }
    }
}

/// The loss that a reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lost {
    /// Whichever is lost.
    Either,
    /// That of the site that was asked.
    ThisSite,
    /// That of its peer.
    PeerSite,
}

impl Lost {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThisSite => "this-site",
            Self::PeerSite => "peer-site",
            Self::Either => "either",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Its name, which stays: scripts may look for it.
    pub id: String,
    /// How much it matters.
    pub severity: Severity,
    /// The loss that it is about.
    pub lost: Lost,
    /// What is so, in one sentence.
    pub text: String,
    /// What to do.
    pub advice: String,
    /// How many are concerned.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// Some of them, at most [`MAX_EXAMPLES`].
    pub examples: Vec<String>,
}

impl Reason {
    /// Points that it takes, rounded up.
    #[must_use]
    pub fn cost(&self) -> usize {
        let (always, share) = self.severity.cost();
        always + (share * self.count.min(self.of)).div_ceil(self.of.max(1))
    }
}

/// What the loss of one site would mean now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// The loss.
    pub lost: Lost,
    /// Name of the server that would be lost, as far as it is known.
    pub server: String,
    /// Name of the one that would be left.
    pub left: String,
    /// 0 to 100; below 50 exactly if there is a blocker.
    pub score: usize,
    /// Agents logged in there; `None` when that site was not asked.
    pub agents: Option<usize>,
    /// Of these, agents whose phone is in service at the other site already; `None` when one site was not asked.
    pub phone_there: Option<usize>,
    /// Agents whose phone has to register at the other site first.
    pub phone_moves: Option<usize>,
    /// How long that may take at most, s.
    pub moves_within_s: Option<u32>,
    /// Agents who would have no phone.
    pub phone_lost: Option<usize>,
    /// Calls that would be lost.
    pub calls_lost: Option<usize>,
}

/// How many Extensions are in service, and which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ways {
    /// Registered at both sites.
    pub both: usize,
    /// Registered at the site that was asked only, as an active-backup phone is.
    pub this_site: usize,
    /// Registered at its peer only.
    pub peer_site: usize,
    /// With a static contact at either site, which answers or is not probed.
    pub fixed: usize,
    /// In service at neither.
    pub nowhere: usize,
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The server that was asked.
    pub server: String,
    /// Its clock, ms since the Unix epoch.
    pub unix_ms: u64,
    /// The peer's name, if it was asked.
    pub peer: Option<String>,
    /// Whether the peer was asked, or there is none: without its answer much is not judged.
    pub complete: bool,
    /// Whether either site may be lost: no blocker was found.
    pub ready: bool,
    /// The lower score of the two losses.
    pub score: usize,
    /// This site's loss and the peer's.
    pub outlooks: Vec<Outlook>,
    /// How phones are registered; `None` when the peer was not asked.
    pub phones: Option<Ways>,
    /// What was found, what matters most first.
    pub reasons: Vec<Reason>,
}

impl Report {
    /// Reasons against losing a site, or switching it off.
    pub fn blockers(&self, lost: Lost) -> impl Iterator<Item = &Reason> {
        let about = move |reason: &&Reason| {
            reason.severity == Severity::Blocker && (reason.lost == lost || reason.lost == Lost::Either)
        };
        self.reasons.iter().filter(about)
    }
}

/// 100 less what each reason about this loss costs; below 50 exactly if one is a blocker.
#[must_use]
pub(super) fn score(reasons: &[Reason], lost: Lost) -> usize {
    let about = || reasons.iter().filter(move |r| r.lost == lost || r.lost == Lost::Either);
    let left = 100usize.saturating_sub(about().map(Reason::cost).sum());
    let blocked = about().any(|reason| reason.severity == Severity::Blocker);
    if blocked { left.min(49) } else { left.max(50) }
}
