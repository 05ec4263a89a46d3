//! The sites themselves: trunks, calls, timers, a drain, where agents prefer to be, versions and clocks.

use std::collections::{BTreeMap, BTreeSet};

use super::assess::{Found, Loss};
use super::facts::{CLOCKS_APART_MS, Extension, Facts, TrunkNow};
use super::phones;
use super::report::{Lost, Reason, Severity};
use crate::continuity::DrForward;
use crate::trunk::Phase;

/// A server without a peer.
pub(super) fn no_peer(here: &Facts) -> Reason {
    let text = format!("{} has no peer site: whatever it does is lost with it", here.server);
    Found::new(Lost::Either, "no-peer", Severity::Blocker)
        .says(text, "declare a [[trunk]] to the other site and name it in `dr-peer-trunk` of [TServer]")
}

/// What the loss of one site would mean.
pub(super) fn judge(loss: &Loss<'_>, reasons: &mut Vec<Reason>) {
    if let Some(left) = loss.left {
        drain(loss, left, reasons);
        moving(loss, left, reasons);
        detection(loss, left, reasons);
        trunks_down(loss, left, reasons);
    }
    if let Some(dead) = loss.dead {
        calls(loss, dead, reasons);
    }
    if let (Some(dead), Some(left)) = (loss.dead, loss.left) {
        single_homed(loss, dead, left, reasons);
        capacity(loss, dead, left, reasons);
    }
}

fn drain(loss: &Loss<'_>, left: &Facts, reasons: &mut Vec<Reason>) {
    if left.draining {
        let text = format!("{} is being shut down gracefully: it takes nothing new", loss.left_name());
        reasons.push(
            loss.reason("left-site-drains", Severity::Blocker)
                .says(text, "wait until it is back, or call it off there: `tandem drain --abort`"),
        );
    }
}

/// What is moved to a site that moves work away itself would go round.
fn moving(loss: &Loss<'_>, left: &Facts, reasons: &mut Vec<Reason>) {
    if left.moves_away_percent > 0 {
        let (to, percent) = (loss.left_name(), left.moves_away_percent);
        let text =
            format!("{to} itself moves {percent} % of its new calls and agents to {}", loss.dead_name());
        reasons.push(
            loss.reason("left-site-migrates", Severity::Blocker)
                .says(text, "bring them back first, there: `tandem migrate --roll-back`"),
        );
    }
}

/// How soon the loss is noticed by the server that is left, and by the desktops of the other.
fn detection(loss: &Loss<'_>, left: &Facts, reasons: &mut Vec<Reason>) {
    let Some(trunk) = left.peer_trunk() else { return };
    let (from, to, detection_s) = (loss.dead_name(), loss.left_name(), trunk.detection_s());
    if trunk.state == Phase::OutOfService {
        let text = format!(
            "{to} does not see {from}: its trunk {} is out of service ({})",
            trunk.name, trunk.reason
        );
        reasons.push(
            loss.reason("peer-trunk-out", Severity::Blocker)
                .says(text, "mend the way between the sites first: `tandem trunk list` at both"),
        );
    }
    if detection_s > loss.goal_s {
        let text = format!(
            "{to} needs up to {detection_s} s (oos-check + oos-force) to notice, more than recovery-goal, {} s",
            loss.goal_s
        );
        let advice = "lower `oos-check` or `oos-force` of the trunk to the peer";
        reasons.push(loss.reason("detection-late", Severity::Warning).says(text, advice));
    }
    let (id, text, advice) = match loss.dead.and_then(|dead| dead.goals.site_timeout_s) {
        None => return,
        Some(0) => (
            "desktops-stay",
            format!(
                "desktops of {from} would not go to {to} by themselves: site-timeout of [desktop] there is 0"
            ),
            "give desktops a site-timeout of at least oos-check + oos-force of the other site",
        ),
        Some(wait_s) if wait_s < detection_s => (
            "desktops-early",
            format!(
                "desktops of {from} come to {to} after {wait_s} s (site-timeout), before it has noticed (up to \
                 {detection_s} s, oos-check + oos-force): logins of agents whose phone has not moved are refused at first"
            ),
            "raise site-timeout to at least oos-check + oos-force of the other site, or lower these",
        ),
        Some(_) => return,
    };
    reasons.push(loss.reason(id, Severity::Warning).says(text, advice));
}

/// Trunks other than that to the peer.
fn gateways(facts: &Facts) -> Vec<&TrunkNow> {
    facts.trunks.iter().filter(|trunk| !trunk.peer).collect()
}

fn trunks_down(loss: &Loss<'_>, left: &Facts, reasons: &mut Vec<Reason>) {
    let trunks = gateways(left);
    let down: Vec<&TrunkNow> = trunks.iter().filter(|t| t.state == Phase::OutOfService).copied().collect();
    if down.is_empty() {
        return;
    }
    let (count, all, to) = (down.len(), trunks.len(), loss.left_name());
    let (severity, text) = if count == all {
        (Severity::Blocker, format!("no trunk of {to} is in service: it has no way in or out"))
    } else {
        (Severity::Warning, format!("{count} of {all} trunks of {to} are out of service"))
    };
    let names = down.iter().map(|trunk| format!("{} ({})", trunk.name, trunk.reason));
    let found = loss.reason("trunks-out", severity).these(count, all, names);
    reasons.push(found.says(text, "`tandem trunk list` there says why"));
}

/// Gateways and carriers that only the site that dies has a trunk to, known by their contacts.
fn single_homed(loss: &Loss<'_>, dead: &Facts, left: &Facts, reasons: &mut Vec<Reason>) {
    let there: BTreeSet<&str> = gateways(left).iter().map(|trunk| trunk.contact.as_str()).collect();
    let trunks = gateways(dead);
    let alone: Vec<&&TrunkNow> = trunks.iter().filter(|t| !there.contains(t.contact.as_str())).collect();
    if alone.is_empty() {
        return;
    }
    let (count, all, from, to) = (alone.len(), trunks.len(), loss.dead_name(), loss.left_name());
    let (severity, text) = if there.is_empty() {
        (Severity::Blocker, format!("{to} has no trunk of its own: all {all} are lost with {from}"))
    } else {
        (Severity::Warning, format!("{count} of {all} trunks lead from {from} only, and are lost with it"))
    };
    let names = alone.iter().map(|trunk| format!("{} to {}", trunk.name, trunk.contact));
    let advice =
        "declare a [[trunk]] with the same contact at the other site, and let the gateway use both sites";
    reasons.push(loss.reason("trunks-single-homed", severity).these(count, all, names).says(text, advice));
}

fn calls(loss: &Loss<'_>, dead: &Facts, reasons: &mut Vec<Reason>) {
    let calls = dead.calls;
    if calls.now == 0 {
        return;
    }
    let text = format!(
        "{} calls go through {} now and would be lost; {} of them go through both sites",
        calls.now,
        loss.dead_name(),
        calls.over_peer
    );
    let advice = "to switch a site off without losing them: `tandem drain`";
    reasons
        .push(loss.reason("calls-lost", Severity::Note).these(calls.now, calls.now, []).says(text, advice));
}

fn capacity(loss: &Loss<'_>, dead: &Facts, left: &Facts, reasons: &mut Vec<Reason>) {
    let both = dead.calls.now + left.calls.now;
    if both > left.calls.most {
        let text = format!(
            "{} takes {} calls at once (max-calls); both sites have {both} now",
            loss.left_name(),
            left.calls.most
        );
        let found = loss.reason("max-calls-low", Severity::Warning);
        reasons.push(
            found.these(both - left.calls.most, both, []).says(text, "raise `max-calls` of [TServer] there"),
        );
    }
}

/// What matters whichever site is lost.
pub(super) fn judge_both(here: &Facts, there: Option<&Facts>, reasons: &mut Vec<Reason>) {
    for facts in [Some(here), there].into_iter().flatten() {
        unforwarded(facts, reasons);
    }
    let Some(there) = there else { return };
    priorities(here, there, reasons);
    if here.version != there.version {
        let text =
            format!("{} runs version {}, {} runs {}", here.server, here.version, there.server, there.version);
        let found = Found::new(Lost::Either, "versions-differ", Severity::Warning);
        reasons.push(found.says(text, "bring both to the same version, one after the other"));
    }
    let apart_ms = here.unix_ms.abs_diff(there.unix_ms);
    if apart_ms > CLOCKS_APART_MS {
        let text = format!(
            "the clocks of {} and {} differ by {} s: logs and reports of the two cannot be laid side by side",
            here.server,
            there.server,
            apart_ms.div_ceil(1000)
        );
        let found = Found::new(Lost::Either, "clocks-apart", Severity::Warning);
        reasons.push(found.says(text, "let NTP keep both (chronyc tracking, timedatectl)"));
    }
}

/// A static contact is in service at both sites, so only the agent's login can tell which one a call is for.
fn unforwarded(facts: &Facts, reasons: &mut Vec<Reason>) {
    if facts.peer_trunk().is_none() {
        return;
    }
    let fixed = || facts.extensions.iter().filter(|extension| extension.fixed && !extension.port);
    let wrong = || fixed().filter(|e| e.dr_forward.unwrap_or(facts.options.dr_forward) != DrForward::NoAgent);
    let (count, all) = (wrong().count(), fixed().count());
    if count > 0 {
        let text = format!(
            "{count} of {all} DNs with a static contact at {} have another dr-forward than no-agent: calls for agents \
             logged in at the other site are not sent there",
            facts.server
        );
        let found = Found::new(Lost::Either, "static-not-forwarded", Severity::Warning);
        let found = found.these(count, all, wrong().map(|extension| extension.dn.clone()));
        reasons.push(found.says(text, "set `dr-forward = \"no-agent\"` in their [[extension]]"));
    }
}

/// Whether agents, their desktops and their phones are at the site that each prefers.
fn priorities(here: &Facts, there: &Facts, reasons: &mut Vec<Reason>) {
    let (phones_here, phones_there) = (phones::by_number(here), phones::by_number(there));
    let both = [(here, &phones_here, &phones_there), (there, &phones_there, &phones_here)];
    let elsewhere = |facts: &Facts, site: &str| site != facts.switch && site != facts.server;
    let mut away = Vec::new();
    let mut apart = Vec::new();
    for (at, phones_at, phones_other) in both {
        for agent in &at.agents {
            let preferred = agent.preferred_site.as_deref();
            let phone = |phones: &BTreeMap<&str, &Extension>| {
                phones.get(agent.dn.as_str()).is_some_and(|phone| phone.in_service && !phone.fixed)
            };
            if preferred.is_some_and(|site| elsewhere(at, site)) {
                away.push(format!("{}, {}", phones::name(agent), at.server));
            } else if preferred.is_some() && !phone(phones_at) && phone(phones_other) {
                apart.push(format!("{}, {}", phones::name(agent), at.server));
            }
        }
    }
    let all = here.agents.len() + there.agents.len();
    let mut say = |id: &str, found: Vec<String>, text: &str, advice: &str| {
        if !found.is_empty() {
            let reason = Found::new(Lost::Either, id, Severity::Warning).these(found.len(), all, found);
            reasons.push(reason.says(text.to_owned(), advice));
        }
    };
    say(
        "agents-not-at-preferred-site",
        away,
        "agents work at another site than the one that their desktop prefers: the loss of one site moves more of them \
         than it should",
        "let them start their desktops anew, or correct `preferred-site` of [[person]]",
    );
    say(
        "phones-not-at-preferred-site",
        apart,
        "desktops prefer one site and the phones register at the other: after a loss each would go its own way",
        "give desktop (`preferred-site` of [[person]]) and phone the same first site",
    );
}
