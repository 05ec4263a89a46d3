//! `tandem ha status`, and the orders for a group.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::super::client::{self, AskError, Person};
use super::super::show::{Row, items, list, plain, text};
use super::super::table::{self, Tone, paint};
use super::super::{Exit, drain, failed, say, show};
use crate::config::Config;
use crate::member;

pub const STATUS_HELP: &str = "\
ROLE is what a member is now; VOTES whether it has a say in who serves; HEARD when it was heard last; LAG what it lacks of what the
primary has, in changes and in the age of the first of them; READY whether it could take over now, and why not. Ask the server that
serves: it alone knows LAG and READY of the others.

Examples:
  tandem ha status
  tandem --server http://192.0.2.12:8060 ha status     as the backup sees it";

pub const FOUND_HELP: &str = "\
A server with member-listen in [ha] and an empty state directory waits to be added to the group of another: it cannot know whether
its site is new or its disk was lost. This says that the site is new. The server must not run; the state directory must be empty. A
server that ran alone before has a group already: it needs no founding.

Example:
  tandem ha found --config /etc/tandem/site.toml && systemctl start tandem";

pub const ADD_HELP: &str = "\
The member must run and must not belong to a group. It learns first; with a backup and a witness there are three votes, and then
either server may be lost. With arbitration = \"manual\" the backup learns for good, and takes over by command alone.

Examples:
  tandem ha add 192.0.2.12:5071 --user admin                        a backup
  tandem ha add 192.0.2.13:5071 --user admin                        a witness
  tandem ha add 192.0.2.14:5071 --replace backup --user admin       a new machine for one that is lost";

pub const REMOVE_HELP: &str = "\
Backup and witness leave together: two voters would stop at the loss of either.

Example:
  tandem ha remove backup witness-a --user admin";

pub const SWITCHOVER_HELP: &str = "\
Refused while the other server is not ready, with the reason. Waits until the other serves, and says so. Calls, registrations,
agents and desktops stay; connections (TCP, TLS, WebSocket, CTI) are made anew by their clients.

Example, an upgrade without loss: upgrade and restart the backup, then
  tandem ha switchover --user admin        and upgrade and restart this one";

pub const TAKEOVER_HELP: &str = "\
Asked of the backup. Make sure that the former primary is off: two servers that serve at once have two truths, and what the former
one took down meanwhile is lost. When it comes back it is told, stands down, and says what it had alone; then `tandem ha rejoin`
there makes it the backup.

Example:
  tandem --server http://192.0.2.12:8060 ha takeover --user admin";

pub const REJOIN_HELP: &str = "\
What the server has is given up. `tandem ha status` there says how much of it the others never had.

Example:
  tandem --server http://192.0.2.11:8060 ha rejoin --user admin";

/// Who orders.
#[derive(Debug, Args)]
pub struct By {
    /// User name of an administrator; the password comes from TANDEM_CTI_PASSWORD, or is asked for on a terminal
    #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME")]
    user: String,
}

const PATH: &str = "/api/ha";
/// How long an order may take to come true.
const WITHIN: Duration = Duration::from_secs(15);

impl By {
    fn post(&self, server: &str, body: &Value) -> Result<Value, Exit> {
        let password = drain::password(&self.user).map_err(|why| failed(&why))?;
        let person = Person { user: &self.user, password: &password };
        client::post(server, PATH, &person, body).map_err(|error| show::refused(&error))
    }

    /// Orders something, and shows the group after it.
    pub fn order(&self, server: &str, body: &Value) -> Exit {
        match self.post(server, body) {
            Ok(answer) => {
                say(&shown(&answer, table::colours()));
                Exit::Done
            }
            Err(exit) => exit,
        }
    }

    /// Orders the other server to serve, and waits until it does.
    pub fn switch_over(&self, server: &str, body: &Value) -> Exit {
        let before = match self.post(server, body) {
            Ok(answer) => epoch(&answer),
            Err(exit) => return exit,
        };
        let mut given_up = false;
        let told = wait_for(server, |answer| {
            let role = text(answer, "role");
            if role == "stopped" && yes_no(answer, "successor_heard") == Some(true) {
                given_up = true;
                return Some(String::new());
            }
            let other = items(answer.get("members").unwrap_or(&Value::Null))
                .find(|member| text(member, "role") == "primary" && text(member, "id") != text(answer, "id"));
            let other = other.filter(|_| role != "primary" && epoch(answer) > before)?;
            Some(format!("{} serves now; this server stands by\n", named(other)))
        });
        match told {
            // Without a witness whoever hands over gives up what it has: the other one has all of it.
            Some(Exit::Done) if given_up => match self.post(server, &json!({ "action": "rejoin" })) {
                Ok(_) => {
                    say("the other server serves now; this one joins it anew, as its backup\n");
                    Exit::Done
                }
                Err(exit) => exit,
            },
            Some(exit) => exit,
            None => failed("the other server has not taken over; `tandem ha status` and the log say why"),
        }
    }

    /// Orders this server to serve, and waits until it does.
    pub fn take_over(&self, server: &str, body: &Value) -> Exit {
        if let Err(exit) = self.post(server, body) {
            return exit;
        }
        let told = wait_for(server, |answer| {
            let serves = answer.get("serving").and_then(Value::as_bool) == Some(true);
            serves.then(|| "this server serves now\n".to_owned())
        });
        told.unwrap_or_else(|| {
            failed("this server has not taken over; `tandem ha status` and the log say why")
        })
    }
}

fn epoch(answer: &Value) -> u64 {
    answer.get("epoch").and_then(Value::as_u64).unwrap_or_default()
}

/// Asks until the answer will do. A server that stands down begins anew meanwhile and does not answer.
fn wait_for(server: &str, mut done: impl FnMut(&Value) -> Option<String>) -> Option<Exit> {
    let end = Instant::now() + WITHIN;
    while Instant::now() < end {
        match client::get(server, PATH) {
            Ok(answer) => {
                if let Some(told) = done(&answer) {
                    say(&told);
                    return Some(Exit::Done);
                }
            }
            Err(AskError::Unreachable { .. } | AskError::Refused { .. }) => {}
            Err(error @ (AskError::Address(_) | AskError::Unknown(_))) => return Some(show::refused(&error)),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

/// `tandem ha status`.
pub fn status(server: &str, json: bool) -> Exit {
    show::ask(server, PATH, json, shown)
}

/// `tandem ha found`.
pub fn found(config: &Config) -> Exit {
    let ha = &config.settings.ha;
    let Some(pair) = &ha.pair else {
        return failed("[ha] names no member-listen: a server alone needs no founding, it begins by itself");
    };
    match member::found(ha, pair, &config.directory.server.name) {
        Ok(id) => {
            say(&format!(
                "a new group of one: member {id}. Start the server; then `tandem ha add` backup and witness\n"
            ));
            Exit::Done
        }
        Err(error) => failed(&format!("{error:#}")),
    }
}

fn named(member: &Value) -> String {
    match member.get("name").and_then(Value::as_str) {
        Some(_) => format!("{} ({})", text(member, "name"), text(member, "id")),
        None => format!("member {}", text(member, "id")),
    }
}

fn yes_no(value: &Value, field: &str) -> Option<bool> {
    value.get(field).and_then(Value::as_bool)
}

/// The answer of `/api/ha`.
fn shown(answer: &Value, colours: bool) -> String {
    let role = text(answer, "role");
    let serving = yes_no(answer, "serving") == Some(true);
    let lease = match answer.get("lease_ms").and_then(Value::as_u64) {
        Some(ms) => format!("for another {ms} ms without a word of the others"),
        None if serving => "for as long as it likes: it alone decides".to_owned(),
        None => "none".to_owned(),
    };
    let reasons = text(answer, "why_not");
    let ready = match yes_no(answer, "ready") {
        Some(true) if serving => paint("serves", Tone::Good, colours),
        Some(true) if role == "witness" => format!("{}  it votes", paint("ready", Tone::Good, colours)),
        Some(true) => format!("{}  it could take over now", paint("ready", Tone::Good, colours)),
        Some(false) | None => format!("{}  {reasons}", paint("not ready", Tone::Bad, colours)),
    };
    let mut lines = vec![
        ("member", format!("{} ({})", text(answer, "name"), text(answer, "id"))),
        ("role", paint(&role, if role == "stopped" { Tone::Bad } else { Tone::Plain }, colours)),
        ("state", ready),
        ("lease", lease),
        ("epoch", text(answer, "epoch")),
        ("records", format!("{}, up to change {}", text(answer, "records"), text(answer, "applied"))),
        ("journal", text(answer, "journal")),
    ];
    if answer.get("arbitration").is_some_and(Value::is_string) {
        lines.push(("arbitration", text(answer, "arbitration")));
    }
    if answer.get("generation").and_then(Value::as_u64).is_some_and(|takeovers| takeovers > 0) {
        lines.push(("takeovers", text(answer, "generation")));
    }
    if let Some(advice) = answer.get("advice").and_then(Value::as_str) {
        lines.push(("to do", paint(advice, Tone::Bad, colours)));
    }
    let mut out: String = lines.iter().map(|(head, line)| format!("{head:<12} {line}\n")).collect();
    let rows: Vec<Row> = items(answer.get("members").unwrap_or(&Value::Null)).map(row).collect();
    if rows.len() > 1 {
        out.push('\n');
        let heads = ["MEMBER", "ID", "ROLE", "VOTES", "ADDRESS", "HEARD", "LAG", "READY", "VERSION"];
        out.push_str(&list(&heads, &rows, "", colours));
    }
    out
}

fn row(member: &Value) -> Row {
    let heard = match (member.get("heard_ms").and_then(Value::as_u64), yes_no(member, "linked")) {
        (Some(ms), Some(true)) => (format!("{ms} ms ago"), Tone::Plain),
        (_, Some(false)) => match member.get("fault").and_then(Value::as_str) {
            Some(_) => (format!("no link: {}", text(member, "fault")), Tone::Bad),
            None => ("no link".to_owned(), Tone::Bad),
        },
        (None, Some(true)) => ("linked".to_owned(), Tone::Plain),
        (_, None) => ("-".to_owned(), Tone::Plain),
    };
    let number = |field| member.get(field).and_then(Value::as_u64);
    let lag = match (number("snapshot_percent"), number("lag_records")) {
        (Some(percent), _) => (format!("{percent} % of the state"), Tone::Bad),
        (None, Some(0)) => ("none".to_owned(), Tone::Good),
        (None, Some(records)) => (format!("{records} ({} ms)", text(member, "lag_ms")), Tone::Bad),
        (None, None) => ("-".to_owned(), Tone::Plain),
    };
    let ready = match yes_no(member, "ready") {
        Some(true) => ("yes".to_owned(), Tone::Good),
        Some(false) => (text(member, "why_not"), Tone::Bad),
        None => ("-".to_owned(), Tone::Plain),
    };
    vec![
        plain(member, "name"),
        plain(member, "id"),
        plain(member, "role"),
        (if yes_no(member, "votes") == Some(true) { "yes" } else { "no" }.to_owned(), Tone::Plain),
        plain(member, "address"),
        heard,
        lag,
        ready,
        plain(member, "version"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_serves_who_could_and_why_not_is_said() {
        let answer = json!({
            "name": "site-a", "id": "1f", "kind": "server", "group": "7", "role": "primary", "configured": "primary",
            "arbitration": "witness", "serving": true, "epoch": 3, "lease_ms": 340, "generation": 0, "ready": true,
            "why_not": [], "advice": null, "records": 12, "last": 90, "committed": 90, "applied": 90, "journal": "fine",
            "members": [
                {"id": "1f", "name": "site-a", "kind": "server", "role": "primary", "votes": true, "address": "a:1",
                 "version": "0.1.0", "linked": null, "fault": null, "heard_ms": null, "lag_records": null, "lag_ms": null,
                 "snapshot_percent": null, "differs": [], "ready": null, "why_not": []},
                {"id": "2f", "name": "site-a", "kind": "server", "role": "backup", "votes": true, "address": "b:1",
                 "version": "0.1.0", "linked": true, "fault": null, "heard_ms": 12, "lag_records": 4, "lag_ms": 7,
                 "snapshot_percent": null, "differs": ["[server] realm"], "ready": false,
                 "why_not": ["its configuration differs in [server] realm"]},
                {"id": "3f", "name": "witness-a", "kind": "witness", "role": "witness", "votes": true, "address": "c:1",
                 "version": null, "linked": false, "fault": "connection refused", "heard_ms": 900, "lag_records": 0,
                 "lag_ms": 0, "snapshot_percent": null, "differs": [], "ready": null, "why_not": []},
            ],
        });
        let out = shown(&answer, false);
        for part in [
            "role         primary",
            "for another 340 ms",
            "12 ms ago",
            "4 (7 ms)",
            "its configuration differs in [server] realm",
            "no link: connection refused",
        ] {
            assert!(out.contains(part), "{part}: {out}");
        }
    }

    #[test]
    fn one_that_waits_says_what_it_waits_for() {
        let answer = json!({
            "name": "site-a", "id": "2f", "role": "outside", "serving": false, "lease_ms": null, "ready": false,
            "why_not": ["waits to be brought up to date for the first time"],
            "advice": "this server belongs to no group yet", "members": [],
        });
        let out = shown(&answer, false);
        assert!(out.contains("not ready  waits to be brought up to date"), "{out}");
        assert!(
            out.contains("to do        this server belongs to no group yet") && !out.contains("MEMBER"),
            "{out}"
        );
    }
}
