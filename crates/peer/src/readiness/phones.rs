//! Which agents of a lost site would find their phone at the other, and which would not.

use std::collections::{BTreeMap, BTreeSet};

use super::assess::Loss;
use super::facts::{Agent, Extension, Facts};
use super::report::{Reason, Severity, Ways};

/// What becomes of an agent's phone when his site dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in service at the other site already: registered at both, or reached at a static contact.
    There,
    /// It registers at one site at a time and notices when it has to renew, within so many seconds. Being out of service
    /// at the other site until then is how active-backup phones work.
    Moves(u32),
    /// The other site has no such DN.
    NoDn,
    /// It has a static contact, which does not answer the other site.
    Silent,
    /// It is in service nowhere.
    Nowhere,
}

impl Fate {
    pub fn within_s(&self) -> Option<u32> {
        match self {
            Self::Moves(within_s) => Some(*within_s),
            Self::There | Self::NoDn | Self::Silent | Self::Nowhere => None,
        }
    }

    pub fn is_lost(&self) -> bool {
        match self {
            Self::NoDn | Self::Silent | Self::Nowhere => true,
            Self::There | Self::Moves(_) => false,
        }
    }
}

/// The agents of the site that dies, each with his phone's fate; `None` when one site was not asked.
pub(super) fn fates<'a>(loss: &Loss<'a>) -> Option<Vec<(&'a Agent, Fate)>> {
    let (dead, left) = (loss.dead?, loss.left?);
    let (before, after) = (by_number(dead), by_number(left));
    let moved: BTreeMap<&str, &str> =
        dead.places.iter().filter_map(|place| at_both(place, dead, left)).collect();
    let fate = |agent: &Agent| {
        let number = moved.get(agent.dn.as_str()).copied().unwrap_or(&agent.dn);
        match (before.get(agent.dn.as_str()), after.get(number)) {
            (_, None) => Fate::NoDn,
            (_, Some(there)) if there.in_service => Fate::There,
            (_, Some(there)) if there.fixed => Fate::Silent,
            (Some(here), Some(_)) if here.in_service && !here.fixed => {
                Fate::Moves(here.refresh_s.unwrap_or(dead.options.max_expires_s))
            }
            (Some(_) | None, Some(_)) => Fate::Nowhere,
        }
    };
    Some(dead.agents.iter().map(|agent| (agent, fate(agent))).collect())
}

pub(super) fn by_number(facts: &Facts) -> BTreeMap<&str, &Extension> {
    facts.extensions.iter().map(|extension| (extension.dn.as_str(), extension)).collect()
}

/// The numbers of a place at the two sites.
fn at_both<'a>(place: &'a super::Place, dead: &Facts, left: &Facts) -> Option<(&'a str, &'a str)> {
    let at = |switch: &str| place.dns.iter().find(|(s, _)| s == switch).map(|(_, number)| number.as_str());
    at(&dead.switch).zip(at(&left.switch))
}

/// How the Extensions of both sites are in service, each number once.
pub(super) fn ways(here: &Facts, there: &Facts) -> Ways {
    let (here, there) = (by_number(here), by_number(there));
    let mut ways = Ways::default();
    let numbers: BTreeSet<&str> = here.keys().chain(there.keys()).copied().collect();
    for number in numbers {
        let (at_this, at_peer) = (here.get(number), there.get(number));
        let is = |at: Option<&&Extension>, what: fn(&Extension) -> bool| at.is_some_and(|at| what(at));
        if is(at_this, |phone| phone.port) || is(at_peer, |phone| phone.port) {
            continue;
        }
        let fixed = [at_this, at_peer].into_iter().any(|at| is(at, |phone| phone.fixed && phone.in_service));
        let registered = [at_this, at_peer].map(|at| is(at, |phone| phone.in_service));
        let way = match (fixed, registered) {
            (true, _) => &mut ways.fixed,
            (false, [true, true]) => &mut ways.both,
            (false, [true, false]) => &mut ways.this_site,
            (false, [false, true]) => &mut ways.peer_site,
            (false, [false, false]) => &mut ways.nowhere,
        };
        *way += 1;
    }
    ways
}

/// What is to be said about them.
pub(super) fn judge(loss: &Loss<'_>, reasons: &mut Vec<Reason>) {
    let Some(fates) = fates(loss) else { return };
    let (all, from, to) = (fates.len(), loss.dead_name(), loss.left_name());
    let these = |wanted: fn(&Fate) -> bool| {
        let found: Vec<String> =
            fates.iter().filter(|(_, fate)| wanted(fate)).map(|(agent, _)| name(agent)).collect();
        (found.len(), found)
    };
    let mut lost = |wanted: fn(&Fate) -> bool, id: &str, why: String, advice: &str| {
        let (count, found) = these(wanted);
        if count > 0 {
            let text = format!("{count} of {all} agents of {from} would have no phone at {to}: {why}");
            reasons.push(loss.reason(id, Severity::Blocker).these(count, all, found).says(text, advice));
        }
    };
    lost(
        |fate| *fate == Fate::NoDn,
        "agent-dn-missing",
        format!("their DN does not exist at {to}"),
        "declare the Extension for both switches (`switches` of [[extension]])",
    );
    lost(
        |fate| *fate == Fate::Silent,
        "agent-phone-silent",
        format!("their DN has a static contact that does not answer {to}"),
        "look at `tandem dn list` at the site that would be left, and at the way from it to the phone",
    );
    lost(
        |fate| *fate == Fate::Nowhere,
        "agent-phone-nowhere",
        "their phone is in service at neither site".to_owned(),
        "let the phone register; `tandem dn list` shows since when it does not",
    );
    let (count, found) = these(|fate| fate.within_s().is_some());
    let within_s = fates.iter().filter_map(|(_, fate)| fate.within_s()).max().unwrap_or(0);
    if count == 0 {
        return;
    }
    let goal_s = loss.goal_s;
    let text = format!(
        "the phones of {count} of {all} agents of {from} must move to {to}: they register at one site at a time and \
         renew within {within_s} s"
    );
    let (id, severity, text, advice) = if within_s > goal_s {
        (
            "phones-move-late",
            Severity::Warning,
            format!("{text}, which is more than recovery-goal, {goal_s} s"),
            "lower `max-expires` of [TServer], or have these phones register at both sites",
        )
    } else {
        ("phones-move", Severity::Note, text, "nothing: this is how active-backup phones work")
    };
    reasons.push(loss.reason(id, severity).these(count, all, found).says(text, advice));
}

/// An agent and his DN.
pub(super) fn name(agent: &Agent) -> String {
    format!("{} at {}", agent.agent_id, agent.dn)
}
