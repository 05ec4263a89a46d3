//! Objects that one site has and the other lacks: the two configurations are meant to hold the same DNs, Agent Logins and
//! places.

use std::collections::BTreeSet;

use super::assess::Loss;
use super::facts::Facts;
use super::report::{Reason, Severity};

const SHARE: &str = "put it into the file that both sites include, or name both switches in its `switches`";

/// What the site that dies has, and the one that is left has not.
pub(super) fn judge(loss: &Loss<'_>, reasons: &mut Vec<Reason>) {
    let (Some(dead), Some(left)) = (loss.dead, loss.left) else { return };
    missing(loss, reasons, "queues-missing", Severity::Blocker, "ACD Queues", &dead.queues, &left.queues);
    let points = (&dead.routing_points, &left.routing_points);
    missing(loss, reasons, "routing-points-missing", Severity::Blocker, "Routing Points", points.0, points.1);
    for (port, id, what) in
        [(false, "extensions-missing", "Extensions"), (true, "ports-missing", "Call Processing Ports")]
    {
        let of = |facts: &Facts| -> Vec<String> {
            facts.extensions.iter().filter(|e| e.port == port).map(|e| e.dn.clone()).collect()
        };
        missing(loss, reasons, id, Severity::Warning, what, &of(dead), &of(left));
    }
    logins(loss, dead, left, reasons);
    let places = |facts: &Facts| -> Vec<String> { facts.places.iter().map(|p| p.name.clone()).collect() };
    let (here, there) = (places(dead), places(left));
    missing(loss, reasons, "places-missing", Severity::Warning, "places", &here, &there);
}

/// An Agent Login that is in use is needed at once; the others are only to be looked after.
fn logins(loss: &Loss<'_>, dead: &Facts, left: &Facts, reasons: &mut Vec<Reason>) {
    let there: BTreeSet<&str> = left.logins.iter().map(String::as_str).collect();
    let working = || dead.agents.iter().map(|agent| agent.agent_id.as_str());
    let configured: BTreeSet<&str> = dead.logins.iter().map(String::as_str).collect();
    let in_use: Vec<String> =
        working().filter(|id| configured.contains(id) && !there.contains(id)).map(str::to_owned).collect();
    if in_use.is_empty() {
        let (id, what) = ("logins-missing", "Agent Logins");
        missing(loss, reasons, id, Severity::Warning, what, &dead.logins, &left.logins);
        return;
    }
    let (count, all, to) = (in_use.len(), dead.agents.len(), loss.left_name());
    let text = format!("{count} of {all} agents of {} have an Agent Login that {to} lacks", loss.dead_name());
    let found = loss.reason("logins-missing", Severity::Blocker).these(count, all, in_use);
    reasons.push(found.says(text, SHARE));
}

fn missing(
    loss: &Loss<'_>,
    reasons: &mut Vec<Reason>,
    id: &str,
    severity: Severity,
    what: &str,
    dead: &[String],
    left: &[String],
) {
    let there: BTreeSet<&str> = left.iter().map(String::as_str).collect();
    let absent = || dead.iter().filter(|name| !there.contains(name.as_str()));
    let (count, all) = (absent().count(), dead.len());
    if count > 0 {
        let (from, to) = (loss.dead_name(), loss.left_name());
        let text = format!("{count} of {all} {what} of {from} do not exist at {to}");
        reasons.push(loss.reason(id, severity).these(count, all, absent().cloned()).says(text, SHARE));
    }
}
