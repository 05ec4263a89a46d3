//! `tandem drain`: shuts a site down gracefully, shows how far it is, calls it off.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{self, AskError, Person};
use super::show::{self, Row, items, list, plain, seconds, text};
use super::table::{self, Tone, paint};
use super::{Exit, failed};
use crate::password;

pub const HELP: &str = "\
From then on the server refuses new calls as shutdown-sip-reject-code says, answers OPTIONS with 503 so that gateways and
the peer site turn away, hands waiting callers over to the peer, and logs agents out as soon as their work is done, with the
ReasonCode graceful_shutdown_logout. Calls go on until their parties end them. The process ends when no call is left,
graceful-shutdown-sip-timeout has passed since, and nobody is logged in. SIGUSR1 starts the same.

Starting and calling off need a person with the role administrator; the password comes from TANDEM_CTI_PASSWORD, or is asked
for on a terminal.

Examples:
  tandem drain --user admin            start it
  tandem drain --user admin --wait     start it, and say how far it is until the process has ended
  tandem drain --status                calls and agents left, what they are waited for, how long it may take
  tandem drain --user admin --abort    back to service; agents that were logged out stay so";

const PATH: &str = "/api/drain";
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `tandem drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// User name of an administrator
    #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME", required_unless_present = "status")]
    user: Option<String>,
    /// Only say how far it is
    #[arg(long, conflicts_with_all = ["abort", "wait"])]
    status: bool,
    /// Call it off
    #[arg(long, conflicts_with = "wait")]
    abort: bool,
    /// Go on saying how far it is, until the process has ended
    #[arg(long)]
    wait: bool,
    /// Print the server's answer as JSON; with --wait one line a second
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(server: &str, drain: &Drain) -> Exit {
    let answer = match (&drain.user, drain.status) {
        (_, true) | (None, _) => client::get(server, PATH),
        (Some(user), false) => match password(user) {
            Ok(password) => {
                let action = if drain.abort { "abort" } else { "start" };
                let person = Person { user, password: &password };
                client::post(server, PATH, &person, &json!({ "action": action }))
            }
            Err(why) => return failed(&why),
        },
    };
    match answer {
        Ok(answer) if drain.wait => wait(server, drain.json, answer),
        Ok(answer) if drain.json => {
            show::say(&format!("{answer:#}\n"));
            Exit::Done
        }
        Ok(answer) => {
            show::say(&status(&answer, table::colours()));
            Exit::Done
        }
        Err(error) => show::refused(&error),
    }
}

pub(super) fn password(user: &str) -> Result<String, String> {
    match (std::env::var("TANDEM_CTI_PASSWORD"), std::io::stdin().is_terminal()) {
        (Ok(password), _) => Ok(password),
        (Err(_), true) => password::read(&format!("Password of {user}: ")).map_err(|error| error.to_string()),
        (Err(_), false) => Err("no password: set TANDEM_CTI_PASSWORD".to_owned()),
    }
}

/// Says how far it is whenever that changes. A server that is gone has ended.
fn wait(server: &str, json: bool, first: Value) -> Exit {
    let (mut answer, mut said) = (first, String::new());
    loop {
        let line = if json { answer.to_string() } else { short(&answer) };
        if line != said {
            show::say(&format!("{line}\n"));
            said = line;
        }
        if text(&answer, "state") == "in-service" {
            return failed("it was called off");
        }
        std::thread::sleep(LOOK_EVERY);
        answer = match client::get(server, PATH) {
            Ok(answer) => answer,
            Err(AskError::Unreachable { .. }) => {
                if !json {
                    show::say("the process has ended\n");
                }
                return Exit::Done;
            }
            Err(error) => return show::refused(&error),
        };
    }
}

fn short(answer: &Value) -> String {
    let waits: Vec<&str> = answer
        .get("waits_for")
        .and_then(Value::as_array)
        .map(|waits| waits.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if waits.is_empty() { text(answer, "state") } else { format!("waits for {}", waits.join(", ")) }
}

/// `tandem drain --status`.
fn status(answer: &Value, colours: bool) -> String {
    let state = text(answer, "state");
    if state == "in-service" {
        return format!("{}: no drain is under way\n", paint(&state, Tone::Good, colours));
    }
    let mut out = format!(
        "{} for {} by {}; {}\n",
        paint(&state, Tone::Bad, colours),
        seconds(answer, "since_s").0,
        text(answer, "by"),
        short(answer)
    );
    out.push_str(&format!(
        "calls   {} of {} left\nagents  {} of {} left\nabout   {} ({})\n",
        text(answer, "calls_left"),
        text(answer, "calls_then"),
        text(answer, "agents_left"),
        text(answer, "agents_then"),
        seconds(answer, "estimate_s").0,
        text(answer, "estimate"),
    ));
    let field = |name| answer.get(name).unwrap_or(&Value::Null);
    let calls: Vec<Row> = items(field("calls")).map(call).collect();
    if !calls.is_empty() {
        out.push('\n');
        out.push_str(&list(&["CALL", "FROM", "TO", "STATE", "AGE"], &calls, "", colours));
    }
    let agents: Vec<Row> = items(field("agents")).map(agent).collect();
    if !agents.is_empty() {
        out.push('\n');
        out.push_str(&list(&["AGENT", "DN", "WAITED FOR", "ENDS IN"], &agents, "", colours));
    }
    out
}

fn call(call: &Value) -> Row {
    vec![
        plain(call, "sip_call_id"),
        plain(call, "from"),
        plain(call, "to"),
        plain(call, "state"),
        seconds(call, "age_s"),
    ]
}

pub(super) fn agent(agent: &Value) -> Row {
    vec![plain(agent, "agent_id"), plain(agent, "dn"), plain(agent, "why"), seconds(agent, "until_s")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_says_who_is_waited_for_and_how_long_it_may_take() {
        let answer = json!({
            "state": "draining", "by": "admin", "since_s": 65, "calls_then": 9, "agents_then": 4, "calls_left": 1,
            "agents_left": 1, "estimate_s": 130, "estimate": "1 calls that last 200 s on average, then 10 s for BYEs",
            "waits_for": ["1 calls in progress", "1 agents logged in"],
            "calls": [{"sip_call_id": "x@y", "from": "0301234", "to": "7000", "state": "established", "age_s": 70}],
            "agents": [{"agent_id": "2001", "dn": "1001", "why": "a call at his DN", "until_s": null}],
        });
        let shown = status(&answer, false);
        for part in [
            "draining for 1m05s by admin",
            "1 of 9 left",
            "1 of 4 left",
            "2m10s",
            "0301234",
            "a call at his DN",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let idle = status(&json!({ "state": "in-service" }), false);
        assert_eq!(idle, "in-service: no drain is under way\n");
    }
}
