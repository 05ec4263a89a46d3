//! `tandem readiness`: what would be lost if either site died now.

use clap::Args;
use serde_json::Value;

use super::client::{self, Person};
use super::show::{self, items, text};
use super::table::{self, Tone, paint};
use super::{Exit, drain, failed};

pub const HELP: &str = "\
The server looks at itself and asks its peer ([peer-http]) what it sees, now, and lays the two side by side: which agents
would have no phone at the other site, which would first have to wait for theirs to move, which DNs, Agent Logins and places
are missing there, which trunks lead from one site only, how many calls would be lost, whether timers fit. It changes nothing
and keeps nothing but the score, for /metrics.

A score of 100 is perfect; below 50 something speaks against losing, or switching off, that site: a BLOCKER.

It needs a person with the role supervisor or administrator; the password comes from TANDEM_CTI_PASSWORD, or is asked for on a
terminal.

Exit codes, for scripts:
  0  ready: no blocker for either site
  1  not ready
  2  it could not be asked: no server, not allowed, or the peer did not answer (what is known is printed all the same)

Examples:
  tandem readiness --user admin
  tandem readiness --user admin --json | jq '.reasons[] | select(.severity == \"blocker\")'
  tandem readiness --user admin && tandem drain --user admin";

const PATH: &str = "/api/readiness";

/// Arguments of `tandem readiness`.
#[derive(Debug, Args)]
pub struct Readiness {
    /// User name of a supervisor or administrator
    #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME")]
    user: String,
    /// Print the report as JSON (docs/operations.md describes it)
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(server: &str, readiness: &Readiness) -> Exit {
    let password = match drain::password(&readiness.user) {
        Ok(password) => password,
        Err(why) => {
            failed(&why);
            return Exit::NotAsked;
        }
    };
    let person = Person { user: &readiness.user, password: &password };
    let report = match client::get_as(server, PATH, &person) {
        Ok(report) => report,
        Err(error) => {
            show::refused(&error);
            return Exit::NotAsked;
        }
    };
    if readiness.json {
        show::say(&format!("{report:#}\n"));
    } else {
        show::say(&shown(&report, table::colours()));
    }
    let is = |field| report.get(field).and_then(Value::as_bool).unwrap_or(false);
    match (is("complete"), is("ready")) {
        (true, true) => Exit::Done,
        (true, false) => Exit::Failed,
        (false, _) => Exit::NotAsked,
    }
}

fn shown(report: &Value, colours: bool) -> String {
    let flag = |field| report.get(field).and_then(Value::as_bool).unwrap_or(false);
    let verdict = match (flag("complete"), flag("ready")) {
        (true, true) => paint("READY", Tone::Good, colours),
        (true, false) => paint("NOT READY", Tone::Bad, colours),
        (false, _) => paint("UNKNOWN", Tone::Bad, colours),
    };
    let sites = match text(report, "peer").as_str() {
        "-" => text(report, "server"),
        peer => format!("{} and {peer}", text(report, "server")),
    };
    let mut out = format!("{sites}: {verdict}, score {} of 100\n\n", text(report, "score"));
    for outlook in items(field(report, "outlooks")) {
        let heading = format!("if {} died now", text(outlook, "server"));
        out.push_str(&format!("{heading:<28} score {:>3}   {}\n", text(outlook, "score"), summary(outlook)));
    }
    if let Some(phones) = report.get("phones").filter(|phones| phones.is_object()) {
        let (server, peer) = (text(report, "server"), text(report, "peer"));
        let count = |name| text(phones, name);
        out.push_str(&format!(
            "phones: {} at both sites, {} at {server} only, {} at {peer} only, {} with a static contact, {} out of service\n",
            count("both"),
            count("this_site"),
            count("peer_site"),
            count("fixed"),
            count("nowhere"),
        ));
    }
    for reason in items(field(report, "reasons")) {
        out.push_str(&one(report, reason, colours));
    }
    out
}

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// What a loss would mean, in one line.
fn summary(outlook: &Value) -> String {
    let number = |name| outlook.get(name).and_then(Value::as_u64);
    let left = text(outlook, "left");
    let mut parts = Vec::new();
    match (number("agents"), number("phone_there"), number("phone_moves"), number("phone_lost")) {
        (Some(0), ..) => parts.push("no agent is logged in there".to_owned()),
        (Some(agents), Some(there), Some(moves), Some(lost)) => {
            let within = number("moves_within_s").map(|s| format!(" within {s} s")).unwrap_or_default();
            parts.push(format!(
                "{agents} agents: {there} have their phone at {left} already, {moves} move it{within}, {lost} have none"
            ));
        }
        (Some(agents), ..) => parts.push(format!("{agents} agents")),
        (None, ..) => parts.push("not known: it was not asked".to_owned()),
    }
    parts.extend(number("calls_lost").map(|calls| format!("{calls} calls lost")));
    parts.join("; ")
}

/// One reason: what is so, who is concerned, what to do.
fn one(report: &Value, reason: &Value, colours: bool) -> String {
    let severity = text(reason, "severity");
    let tone = if severity == "blocker" { Tone::Bad } else { Tone::Plain };
    let word = paint(&severity.to_uppercase(), tone, colours);
    let lost = text(reason, "lost");
    let outlook = items(field(report, "outlooks")).find(|outlook| text(outlook, "lost") == lost);
    let when = outlook.map(|outlook| format!(", if {} dies", text(outlook, "server"))).unwrap_or_default();
    let mut out = format!("\n{word}{when}  [{}]\n  {}\n", text(reason, "id"), text(reason, "text"));
    let examples: Vec<&str> = items(field(reason, "examples")).filter_map(Value::as_str).collect();
    let count = reason.get("count").and_then(Value::as_u64).unwrap_or(0);
    if !examples.is_empty() {
        let more = count.saturating_sub(u64::try_from(examples.len()).unwrap_or(0));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        out.push_str(&format!("  {}{more}\n", text(reason, "examples")));
    }
    out.push_str(&format!("  to do: {}\n", text(reason, "advice")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "server": "site-a", "peer": "site-b", "complete": true, "ready": false, "score": 34,
            "phones": { "both": 30, "this_site": 9, "peer_site": 3, "fixed": 1, "nowhere": 2 },
            "outlooks": [
                { "lost": "this-site", "server": "site-a", "left": "site-b", "score": 34, "agents": 41, "phone_there": 30,
                  "phone_moves": 9, "moves_within_s": 30, "phone_lost": 2, "calls_lost": 12 },
                { "lost": "peer-site", "server": "site-b", "left": "site-a", "score": 100, "agents": 0, "phone_there": 0,
                  "phone_moves": 0, "moves_within_s": null, "phone_lost": 0, "calls_lost": 0 },
            ],
            "reasons": [
                { "id": "agent-dn-missing", "severity": "blocker", "lost": "this-site", "text": "2 of 41 agents …",
                  "advice": "declare it", "count": 12, "of": 41, "examples": ["2001 at 1001", "2002 at 1002"] },
                { "id": "versions-differ", "severity": "warning", "lost": "either", "text": "1 and 2", "advice": "same",
                  "count": 1, "of": 1, "examples": [] },
            ],
        })
    }

    #[test]
    fn a_report_says_what_would_be_lost_who_is_concerned_and_what_to_do() {
        let shown = shown(&report(), false);
        for part in [
            "site-a and site-b: NOT READY, score 34 of 100\n",
            "if site-a died now           score  34   41 agents: 30 have their phone at site-b already, 9 move it within \
             30 s, 2 have none; 12 calls lost\n",
            "if site-b died now           score 100   no agent is logged in there; 0 calls lost\n",
            "BLOCKER, if site-a dies  [agent-dn-missing]\n  2 of 41 agents …\n  2001 at 1001, 2002 at 1002 and 10 more\n",
            "  to do: declare it\n",
            "phones: 30 at both sites, 9 at site-a only, 3 at site-b only, 1 with a static contact, 2 out of service\n",
            "WARNING  [versions-differ]\n  1 and 2\n  to do: same\n",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn a_report_without_the_peer_is_no_verdict() {
        let report = json!({
            "server": "site-a", "peer": null, "complete": false, "ready": false, "score": 40,
            "outlooks": [{ "lost": "peer-site", "server": "the peer site", "score": 40, "agents": null, "calls_lost": null }],
            "reasons": [],
        });
        let shown = shown(&report, false);
        assert!(shown.starts_with("site-a: UNKNOWN, score 40 of 100\n"), "{shown}");
        assert!(
            shown.contains("if the peer site died now") && shown.contains("not known: it was not asked\n")
        );
    }
}
