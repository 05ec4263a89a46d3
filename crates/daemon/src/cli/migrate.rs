//! `tandem migrate`: moves a share of the work to the other site, and back.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{self, AskError, Person};
use super::drain;
use super::show::{self, Row, items, list, seconds, text};
use super::table::{self, Tone, paint};
use super::{Exit, failed};

pub const HELP: &str = "\
So many of a hundred new calls for queues and routing points go to the other site (by 302 where the caller's trunk takes one,
else in the signalling path; marked, so that none comes back), and so many of a hundred agents are logged out with the ReasonCode
graceful_shutdown_logout: idle ones first, the others when their call and their after-call work are over. Their desktops log in
at the other site; a login here is refused as long as they belong there. A direct call follows its agent, as dr-forward says.

It needs the other site: it begins only when `tandem readiness` finds nothing that forbids it, and while the peer is lost,
every call stays here and everybody may log in. The share stands until it is changed. Run it at the site that work leaves;
with that site's own name in --to it comes back.

Changing anything needs a person with the role administrator; the password comes from TANDEM_CTI_PASSWORD, or is asked for on
a terminal.

Examples:
  tandem migrate --to site-b --percent 10 --user admin                     a tenth, at once
  tandem migrate --to site-b --percent 100 --step 10 --every 120 --wait --user admin
                                                                           everything, a tenth each two minutes
  tandem migrate --to site-b --percent 50 --group late --user admin        half of one agent group, and its queues
  tandem migrate --status                                                  how far it is, and who is waited for
  tandem migrate --pause --user admin                                      nobody further is moved; --resume goes on
  tandem migrate --roll-back --user admin                                  back again, in the same steps
  tandem migrate --abort --user admin                                      it ends at once: what was moved may come back";

const PATH: &str = "/api/migrate";
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `tandem migrate`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["to", "status", "pause", "resume", "abort", "roll_back"]))]
pub struct Migrate {
    /// Site that the work goes to: the peer, or this one to have it back
    #[arg(long, value_name = "SITE", requires = "percent")]
    to: Option<String>,
    /// So many of a hundred calls and agents
    #[arg(long, value_name = "N", requires = "to", conflicts_with_all = ["status", "pause", "resume", "abort", "roll_back"], value_parser = clap::value_parser!(u8).range(0..=100))]
    percent: Option<u8>,
    /// Only the agents of this group, and the calls of the queues that it serves
    #[arg(long, value_name = "GROUP", requires = "to")]
    group: Option<String>,
    /// So many of a hundred more at a time [default: all at once]
    #[arg(long, value_name = "N", requires = "to", value_parser = clap::value_parser!(u8).range(1..=100))]
    step: Option<u8>,
    /// Seconds between steps [default: 60]
    #[arg(long, value_name = "SECONDS", requires = "to")]
    every: Option<u64>,
    /// Move it although readiness names reasons against it
    #[arg(long, requires = "to")]
    force: bool,
    /// Only say how far it is
    #[arg(long)]
    status: bool,
    /// Move nobody further for now
    #[arg(long)]
    pause: bool,
    /// Go on
    #[arg(long)]
    resume: bool,
    /// End it at once
    #[arg(long)]
    abort: bool,
    /// Bring everything back, in the steps in which it went
    #[arg(long)]
    roll_back: bool,
    /// User name of an administrator
    #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME", required_unless_present = "status")]
    user: Option<String>,
    /// Go on saying how far it is, until it has arrived
    #[arg(long, conflicts_with_all = ["status", "pause", "abort"])]
    wait: bool,
    /// Print the server's answer as JSON; with --wait one line a second
    #[arg(long)]
    json: bool,
}

impl Migrate {
    /// What the server is asked; `None` is only how far it is.
    fn order(&self) -> Option<Value> {
        let action = match (&self.to, self.pause, self.resume, self.abort, self.roll_back) {
            (Some(_), ..) => "start",
            (None, true, ..) => "pause",
            (None, _, true, ..) => "resume",
            (None, _, _, true, _) => "abort",
            (None, _, _, _, true) => "roll-back",
            (None, false, false, false, false) => return None,
        };
        let mut order = json!({ "action": action });
        if let (Some(to), Some(fields)) = (&self.to, order.as_object_mut()) {
            fields.insert("to".to_owned(), json!(to));
            fields.insert("percent".to_owned(), json!(self.percent));
            fields.insert("force".to_owned(), json!(self.force));
            let optional =
                [("group", json!(self.group)), ("step", json!(self.step)), ("every", json!(self.every))];
            for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
                fields.insert(name.to_owned(), value);
            }
        }
        Some(order)
    }
}

/// Runs it.
pub fn run(server: &str, migrate: &Migrate) -> Exit {
    let answer = match (&migrate.user, migrate.order()) {
        (_, None) | (None, _) => client::get(server, PATH),
        (Some(user), Some(order)) => match drain::password(user) {
            Ok(password) => client::post(server, PATH, &Person { user, password: &password }, &order),
            Err(why) => return failed(&why),
        },
    };
    match answer {
        Ok(answer) if migrate.wait => wait(server, migrate.json, answer),
        Ok(answer) if migrate.json => {
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

/// Says how far it is whenever that changes, until everybody has gone, or is back.
fn wait(server: &str, json: bool, first: Value) -> Exit {
    let (mut answer, mut said) = (first, String::new());
    loop {
        let line = if json { answer.to_string() } else { short(&answer) };
        if line != said {
            show::say(&format!("{line}\n"));
            said = line;
        }
        let leaving = answer.get("agents_leaving").and_then(Value::as_u64).unwrap_or(0);
        match &*text(&answer, "state") {
            "none" => return Exit::Done,
            "standing" if leaving == 0 => return Exit::Done,
            "paused" => return failed("it was paused"),
            _ => {}
        }
        std::thread::sleep(LOOK_EVERY);
        answer = match client::get(server, PATH) {
            Ok(answer) => answer,
            Err(error @ AskError::Unreachable { .. }) => return show::refused(&error),
            Err(error) => return show::refused(&error),
        };
    }
}

fn short(answer: &Value) -> String {
    if text(answer, "state") == "none" {
        return "nothing is moved".to_owned();
    }
    format!(
        "{}: {} % of {} % to {}; {} agents gone, {} leave when their work is done",
        text(answer, "state"),
        text(answer, "percent"),
        text(answer, "target"),
        text(answer, "to"),
        text(answer, "agents_gone"),
        text(answer, "agents_leaving"),
    )
}

/// `tandem migrate --status`.
fn status(answer: &Value, colours: bool) -> String {
    let state = text(answer, "state");
    if state == "none" {
        return format!("{}: no migration is under way\n", paint("in-service", Tone::Good, colours));
    }
    let whole = || "the whole site".to_owned();
    let group = answer
        .get("group")
        .and_then(Value::as_str)
        .map_or_else(whole, |group| format!("agent group {group}"));
    let step = match answer.get("next_step_s").and_then(Value::as_u64) {
        Some(wait) => format!("{} % more or fewer, in {wait} s", text(answer, "step")),
        None => "none".to_owned(),
    };
    let mut out = format!(
        "{} to {} for {} by {}\n\
         share   {} % of new calls and agents now; {} % is the aim\n\
         of      {group}\n\
         step    {step}\n\
         calls   {} sent, {} stayed\n\
         agents  {} gone, {} leave when their work is done, {} here\n",
        paint(&state, Tone::Bad, colours),
        text(answer, "to"),
        seconds(answer, "since_s").0,
        text(answer, "by"),
        text(answer, "percent"),
        text(answer, "target"),
        text(answer, "calls_sent"),
        text(answer, "calls_kept"),
        text(answer, "agents_gone"),
        text(answer, "agents_leaving"),
        text(answer, "agents_here"),
    );
    let leaving: Vec<Row> = items(answer.get("leaving").unwrap_or(&Value::Null)).map(drain::agent).collect();
    if !leaving.is_empty() {
        out.push('\n');
        out.push_str(&list(&["AGENT", "DN", "WAITED FOR", "ENDS IN"], &leaving, "", colours));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_says_how_far_it_is_and_who_is_waited_for() {
        let answer = json!({
            "state": "moving", "to": "site-b", "by": "admin", "since_s": 65, "group": null, "percent": 20,
            "target": 50, "step": 10, "every_s": 60, "next_step_s": 55, "calls_sent": 4, "calls_kept": 16,
            "agents_here": 8, "agents_gone": 1, "agents_leaving": 1,
            "leaving": [{"agent_id": "2001", "dn": "1001", "why": "a call at his DN", "until_s": null}],
        });
        let shown = status(&answer, false);
        for part in [
            "moving to site-b for 1m05s by admin",
            "20 % of new calls and agents now; 50 % is the aim",
            "the whole site",
            "10 % more or fewer, in 55 s",
            "4 sent, 16 stayed",
            "1 gone, 1 leave when their work is done, 8 here",
            "a call at his DN",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let idle = status(&json!({ "state": "none" }), false);
        assert_eq!(idle, "in-service: no migration is under way\n");
    }
}
