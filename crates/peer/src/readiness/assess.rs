//! Both directions, one after the other, and what concerns both.

use super::facts::Facts;
use super::report::{Lost, MAX_EXAMPLES, Outlook, Reason, Report, Severity, score};
use super::{objects, pair, phones};

/// Why nothing is known of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAsked {
    /// What happened, in one sentence.
    pub text: String,
    /// What to do.
    pub advice: String,
}

/// One loss: what is known of the site that dies and of the one that is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss<'a> {
    pub lost: Lost,
    pub dead: Option<&'a Facts>,
    pub left: Option<&'a Facts>,
    /// `recovery-goal` of the site that was asked, s.
    pub goal_s: u32,
}

impl<'a> Loss<'a> {
    /// What the site that dies is called.
    pub fn dead_name(&self) -> &'a str {
        self.dead.map_or(self.unnamed(), |facts| &facts.server)
    }

    /// What the site that is left is called.
    pub fn left_name(&self) -> &'a str {
        self.left.map_or(self.unnamed(), |facts| &facts.server)
    }

    fn unnamed(&self) -> &'static str {
        "the peer site"
    }

    /// A reason about this loss.
    pub fn reason(&self, id: &str, severity: Severity) -> Found {
        Found::new(self.lost, id, severity)
    }
}

/// A reason that is being written.
pub(super) struct Found(Reason);

impl Found {
    pub fn new(lost: Lost, id: &str, severity: Severity) -> Self {
        Self(Reason {
            id: id.to_owned(),
            severity,
            lost,
            text: String::new(),
            advice: String::new(),
            count: 1,
            of: 1,
            examples: Vec::new(),
        })
    }

    /// How many of how many are concerned, and some of them.
    pub fn these(mut self, count: usize, of: usize, examples: impl IntoIterator<Item = String>) -> Self {
        (self.0.count, self.0.of) = (count, of);
        self.0.examples = examples.into_iter().take(MAX_EXAMPLES).collect();
        self
    }

    pub fn says(mut self, text: String, advice: &str) -> Reason {
        self.0.text = text;
        advice.clone_into(&mut self.0.advice);
        self.0
    }
}

/// Compares what two sites say of themselves. Without the peer's facts what this site knows alone is judged.
#[must_use]
pub fn assess(here: &Facts, there: Result<&Facts, &NotAsked>) -> Report {
    let has_peer = here.peer_trunk().is_some();
    let known = there.ok();
    let goal_s = here.goals.recovery_goal_s;
    let losses = [
        Loss { lost: Lost::ThisSite, dead: Some(here), left: known, goal_s },
        Loss { lost: Lost::PeerSite, dead: known, left: Some(here), goal_s },
    ];
    let mut reasons = Vec::new();
    let mut outlooks = Vec::new();
    match there {
        Err(why) if has_peer => reasons.push(not_asked(why)),
        Ok(_) | Err(_) => {}
    }
    if !has_peer {
        reasons.push(pair::no_peer(here));
    }
    for loss in losses {
        let outlook = outlook(&loss);
        phones::judge(&loss, &mut reasons);
        objects::judge(&loss, &mut reasons);
        pair::judge(&loss, &mut reasons);
        outlooks.push(outlook);
    }
    pair::judge_both(here, known, &mut reasons);
    reasons.sort_by_key(|reason| (reason.severity, reason.lost));
    for outlook in &mut outlooks {
        outlook.score = score(&reasons, outlook.lost);
    }
    Report {
        server: here.server.clone(),
        unix_ms: here.unix_ms,
        peer: known.map(|facts| facts.server.clone()),
        complete: known.is_some() || !has_peer,
        ready: !reasons.iter().any(|reason| reason.severity == Severity::Blocker),
        score: outlooks.iter().map(|outlook| outlook.score).min().unwrap_or(0),
        outlooks,
        phones: known.map(|there| phones::ways(here, there)),
        reasons,
    }
}

fn not_asked(why: &NotAsked) -> Reason {
    Found::new(Lost::Either, "peer-not-asked", Severity::Blocker).says(why.text.clone(), &why.advice)
}

fn outlook(loss: &Loss<'_>) -> Outlook {
    let fates = phones::fates(loss);
    let count = |of: fn(&phones::Fate) -> bool| {
        fates.as_ref().map(|fates| fates.iter().filter(|(_, fate)| of(fate)).count())
    };
    Outlook {
        lost: loss.lost,
        server: loss.dead_name().to_owned(),
        left: loss.left_name().to_owned(),
        score: 0,
        agents: loss.dead.map(|facts| facts.agents.len()),
        phone_there: count(|fate| *fate == phones::Fate::There),
        phone_moves: count(|fate| matches!(fate, phones::Fate::Moves(_))),
        moves_within_s: fates.as_ref().and_then(|fates| fates.iter().filter_map(|(_, f)| f.within_s()).max()),
        phone_lost: count(|fate| fate.is_lost()),
        calls_lost: loss.dead.map(|facts| facts.calls.now),
    }
}
