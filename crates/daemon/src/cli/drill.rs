//! `tandem drill`: rehearses a failure on a running pair, says what a server has cut off, calls it off, checks reports.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{self, Person};
use super::drain::password;
use super::show::{self, say, text};
use super::{Exit, Shape, failed};
use crate::drill::plan::Plan;
use crate::drill::report::{self, Key};
use crate::drill::{self, Guard, Kind, Task, Verdict};

pub const HELP: &str = "\
A drill brings its own phones, desktops and gateway (--plan names them), has the site cut itself off, measures how everybody
comes back, and ends the failure. Only the drill's own parties lose the site, and with --share some real ones. But whatever
is lost, both sites lose each other for everybody: calls are not forwarded, and calls over the link are lost. Guards end it
early. A site that is not told every second that the drill goes on ends its isolation by itself within 5 s.

ha-loss is another thing: the server that serves the site really ends, as by kill -9, and another server of the same site takes
over (docs/ha.md). It hits everybody at the site, for as long as that takes; nothing is cut off, nothing is taken back: the
server begins anew by itself, as the one that stands by. It is refused while nobody is ready to take over.

Examples:
  tandem drill site-loss --plan drill.toml --user admin
  tandem drill site-loss --plan drill.toml --user admin --share 5% --guard calls-lost=0 --guard agents-down=3 --guard wait=60s
  tandem drill link-loss --plan drill.toml --user admin --report reports/tuesday
  tandem drill slow-link --plan drill.toml --user admin --delay 400ms
  tandem drill ha-loss --plan drill.toml --user admin
  tandem drill status                       what the server at --server has cut off now
  tandem drill abort --user admin           end it, whosoever it is
  tandem drill verify reports/tuesday.json  whether a report is as it was signed

Exit codes of a drill:
  0  every goal was met
  1  a goal was missed
  2  it could not run; nothing was lost
  3  a guard, an interrupt or a fault ended it early";

const PATH: &str = "/api/drill";
/// What went wrong before anything was lost; clap uses the same for a wrong command line.
const COULD_NOT_RUN: u8 = 2;
/// How long a site may be silent that loses a server.
const ANSWERS_AGAIN: Duration = Duration::from_secs(2);
/// It was ended early.
pub const ABORTED: u8 = 3;

/// Arguments of `tandem drill`.
#[derive(Debug, Args)]
pub struct Drill {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The site is lost: for the drill's parties, for a share of the real Extensions, and for its peer
    SiteLoss(Course),
    /// The link between the sites is lost, and nothing else
    LinkLoss(Course),
    /// What the site sends to its peer is late
    SlowLink(Course),
    /// The server that serves the site ends as by kill -9; another one of the same site must take over
    HaLoss(Course),
    /// What the server at --server has cut off now, and how its last drill ended
    Status(Shape),
    /// End the isolation of the server at --server, whosoever it is
    Abort {
        /// User name of an administrator
        #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME")]
        user: String,
    },
    /// Check the signature of a report
    Verify {
        /// The report: its JSON file or its page
        file: PathBuf,
        /// Fingerprint or public key that must have signed it; otherwise the key of this machine is looked at
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Directory of this machine's key
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct Course {
    /// Sites and parties of the drill (TOML); config/drill.toml explains every key
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// User name of an administrator of the site; the password from TANDEM_CTI_PASSWORD, or asked for
    #[arg(long, env = "TANDEM_CTI_USER", value_name = "NAME", required_unless_present = "inject_with")]
    user: Option<String>,
    /// Share of the real Extensions that lose the site too; always the same ones (site-loss)
    #[arg(long, value_name = "N%", default_value = "0", value_parser = share)]
    share: u8,
    /// How late messages to the peer are (slow-link)
    #[arg(long, value_name = "TIME", value_parser = drill::duration)]
    delay: Option<Duration>,
    /// Ends the drill: calls-lost=N, agents-down=N, wait=TIME, recovery=TIME; may be given several times
    #[arg(long = "guard", value_name = "GUARD")]
    guards: Vec<Guard>,
    /// Everybody must be served again within this time from the loss; with ha-loss the site must answer (2s)
    #[arg(long, value_name = "TIME", value_parser = drill::duration)]
    goal: Option<Duration>,
    /// How long everything is watched before the loss
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = drill::duration)]
    before: Duration,
    /// How long everybody may take to be served again; then the drill ends
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = drill::duration)]
    lasts: Duration,
    /// How long the failure goes on when everybody is served again
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = drill::duration)]
    hold: Duration,
    /// How long everything is watched after the return
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = drill::duration)]
    after: Duration,
    /// Shell command that brings the failure about instead of the site: it gets `start KIND`, later `end KIND`
    #[arg(long, value_name = "COMMAND")]
    inject_with: Option<String>,
    /// Write NAME.json and NAME.html
    #[arg(long, value_name = "NAME")]
    report: Option<PathBuf>,
    /// Directory of the key that signs reports; made at its first use
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print the signed report instead of what happens
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|share| *share <= 100);
    number.ok_or_else(|| "a share is 0% to 100%".to_owned())
}

/// Runs it.
pub fn run(server: &str, drill: Drill) -> ExitCode {
    let exit = match drill.what {
        What::SiteLoss(course) => return rehearse(Kind::SiteLoss, course),
        What::LinkLoss(course) => return rehearse(Kind::LinkLoss, course),
        What::SlowLink(course) => return rehearse(Kind::SlowLink, course),
        What::HaLoss(course) => return rehearse(Kind::HaLoss, course),
        What::Status(shape) => show::ask(server, PATH, shape.json, |answer, _| status(answer)),
        What::Abort { user } => abort(server, &user),
        What::Verify { file, key, state } => verify(&file, key.as_deref(), state),
    };
    exit.into()
}

fn could_not_run(why: &str) -> ExitCode {
    eprintln!("tandem: the drill could not run: {why}");
    COULD_NOT_RUN.into()
}

fn task(kind: Kind, course: &Course) -> Result<Task, String> {
    let delay = match (kind, course.delay) {
        (Kind::SlowLink, None) => return Err("slow-link needs --delay, such as --delay 400ms".to_owned()),
        (Kind::SlowLink, Some(delay)) => delay,
        (Kind::SiteLoss | Kind::LinkLoss | Kind::HaLoss, None) => Duration::ZERO,
        (Kind::SiteLoss | Kind::LinkLoss | Kind::HaLoss, Some(_)) => {
            return Err("--delay is for slow-link".to_owned());
        }
    };
    if course.share > 0 && (kind != Kind::SiteLoss || course.inject_with.is_some()) {
        return Err("--share is for site-loss, when the site cuts itself off".to_owned());
    }
    if kind == Kind::HaLoss && course.inject_with.is_some() {
        return Err("--inject-with is not for ha-loss: the server ends by an order to it".to_owned());
    }
    let mut plan = Plan::load(&course.plan)?;
    plan.loyal = kind == Kind::HaLoss;
    let user = course.user.clone().unwrap_or_default();
    let password = if course.inject_with.is_some() { String::new() } else { password(&user)? };
    let words: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
    Ok(Task {
        kind,
        plan: Arc::new(plan),
        user,
        password,
        share: course.share,
        delay,
        guards: course.guards.clone(),
        goal: course.goal.or((kind == Kind::HaLoss).then_some(ANSWERS_AGAIN)),
        before: course.before,
        lasts: course.lasts,
        hold: course.hold,
        after: course.after,
        inject_with: course.inject_with.clone(),
        quiet: course.json,
        command: format!("tandem {}", words.join(" ")),
    })
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=%@,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn rehearse(kind: Kind, course: Course) -> ExitCode {
    let folder = course.state.clone().unwrap_or_else(Key::usual_folder);
    let ready = task(kind, &course).and_then(|task| Ok((task, Key::load(&folder)?)));
    let (task, key) = match ready {
        Ok(ready) => ready,
        Err(why) => return could_not_run(&why),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return could_not_run(&error.to_string()),
    };
    let done = runtime.block_on(drill::run(task));
    runtime.shutdown_background();
    let (verdict, report) = match done {
        Ok(done) => done,
        Err(why) => return could_not_run(&why),
    };
    if !course.json {
        say(&summary(&report));
    }
    let signed = report::signed(&report, &key);
    if course.json {
        say(&format!("{signed:#}\n"));
    }
    let name = course.report.unwrap_or_else(|| PathBuf::from(format!("drill-{}", kind.name())));
    match report::write(&name, &signed) {
        Ok([json, html]) if !course.json => {
            say(&format!("report  {} and {}\n", json.display(), html.display()));
        }
        Ok(_) => {}
        Err(why) => eprintln!("tandem: the report is not written: {why}"),
    }
    match verdict {
        Verdict::Passed => ExitCode::SUCCESS,
        Verdict::Missed => ExitCode::FAILURE,
        Verdict::Aborted => ABORTED.into(),
    }
}

/// What a drill showed, in a few lines.
fn summary(report: &Value) -> String {
    let mut out = String::from("\n");
    let goals = report.get("goals").unwrap_or(&Value::Null);
    for goal in show::items(goals) {
        let met = goal.get("met").and_then(Value::as_bool).unwrap_or(false);
        let mark = if met { "met   " } else { "MISSED" };
        out.push_str(&format!(
            "{mark}  {}: {} (wanted: {})\n",
            text(goal, "goal"),
            text(goal, "seen"),
            text(goal, "wanted")
        ));
    }
    if let Some(pair) = report.get("pair").filter(|pair| pair.is_object()) {
        let [lost, lost_http, took, took_http, epoch] =
            ["lost", "lost_http", "took_over", "took_over_http", "epoch"].map(|field| text(pair, field));
        out.push_str(&format!(
            "pair    {lost} ({lost_http}) was lost, {took} ({took_http}) took over (epoch {epoch})\n"
        ));
    }
    let why = report.pointer("/calls/lost_because").and_then(Value::as_object);
    for (why, count) in why.into_iter().flatten() {
        let calls = if count.as_u64() == Some(1) { "call" } else { "calls" };
        out.push_str(&format!("lost    {count} {calls}: {why}\n"));
    }
    out.push_str(&format!("verdict {}", text(report, "verdict")));
    if let Some(why) = report.get("aborted").and_then(Value::as_str) {
        out.push_str(&format!(": {why}"));
    }
    out.push('\n');
    out
}

fn status(answer: &Value) -> String {
    let null = Value::Null;
    let (on, last) = (answer.get("on").unwrap_or(&null), answer.get("last").unwrap_or(&null));
    let mut out = String::new();
    if on.is_null() {
        out.push_str("no drill is on\n");
    } else {
        let s = |field: &str| on.get(field).and_then(Value::as_u64).unwrap_or_default() / 1000;
        let count = |field: &str| on.get(field).and_then(Value::as_array).map_or(0, Vec::len);
        out.push_str(&format!(
            "{} by {} for {} s; ends in {} s at the latest, in {} s unless it is renewed\n",
            text(on, "kind"),
            text(on, "by"),
            s("since_ms"),
            s("ends_in_ms"),
            s("renew_within_ms"),
        ));
        out.push_str(&format!(
            "cut off   {} addresses of parties, {} devices, {} persons; share {} % ({} spared: their address is shared)\n",
            count("parties"),
            count("devices"),
            text(on, "persons"),
            text(on, "share"),
            text(on, "spared"),
        ));
        out.push_str(&format!(
            "messages  {} not heard, {} not sent, {} late; connections of desktops: {} closed, {} refused\n",
            text(on, "received_dropped"),
            text(on, "sent_dropped"),
            text(on, "delayed"),
            text(on, "links_closed"),
            text(on, "links_refused"),
        ));
    }
    if !last.is_null() {
        let lasted = last.get("lasted_ms").and_then(Value::as_f64).unwrap_or_default() / 1000.0;
        out.push_str(&format!(
            "the last  {} by {}, {lasted:.1} s; ended: {}\n",
            text(last, "kind"),
            text(last, "by"),
            text(last, "ended")
        ));
    }
    out
}

fn abort(server: &str, user: &str) -> Exit {
    let password = match password(user) {
        Ok(password) => password,
        Err(why) => return failed(&why),
    };
    let person = Person { user, password: &password };
    match client::post(server, PATH, &person, &json!({ "action": "end" })) {
        Ok(answer) => {
            say(&status(&answer));
            Exit::Done
        }
        Err(error) => show::refused(&error),
    }
}

fn verify(file: &std::path::Path, key: Option<&str>, state: Option<PathBuf>) -> Exit {
    let proven = match report::read(file).and_then(|signed| report::verify(&signed)) {
        Ok(proven) => proven,
        Err(why) => return failed(&why),
    };
    let fingerprint = report::fingerprint(&proven.key);
    let printed = report::printed(&proven.key);
    let folder = state.unwrap_or_else(Key::usual_folder);
    let whose = match key {
        Some(key) if key == fingerprint || key == printed => "the key that was asked for",
        Some(_) => return failed(&format!("it is as it was signed, but by another key: {fingerprint}")),
        None if Key::is_in(&folder, &proven.key) => "this machine's key",
        None => "a key that this machine does not know; compare it with --key",
    };
    say(&format!("as it was signed: a drill that {} · {whose}: {fingerprint}\n", proven.verdict));
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!((share("5%"), share("100")), (Ok(5), Ok(100)));
        assert!(share("101%").is_err() && share("many").is_err());
    }

    #[test]
    fn a_summary_says_which_server_was_lost_and_which_took_over() {
        let mut report = json!({ "verdict": "passed", "pair": {
            "lost": "north", "lost_http": "http://n", "took_over": "south", "took_over_http": "http://s", "epoch": 5,
        } });
        assert!(summary(&report).contains("north (http://n) was lost, south (http://s) took over (epoch 5)"));
        report["pair"] = Value::Null;
        assert!(!summary(&report).contains("pair"));
    }

    #[test]
    fn the_command_in_a_report_can_be_given_to_a_shell_again() {
        assert_eq!(quoted("--guard=calls-lost=0"), "--guard=calls-lost=0");
        assert_eq!(quoted("it's sh cut.sh"), "'it'\\''s sh cut.sh'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_status_says_what_is_cut_off_and_how_the_last_one_ended() {
        let said = status(&json!({
            "on": { "kind": "site-loss", "by": "admin", "since_ms": 3100, "ends_in_ms": 57000, "renew_within_ms": 4200,
                "parties": ["127.0.0.9"], "devices": ["1001", "1002"], "persons": 1, "share": 5, "spared": 0,
                "received_dropped": 7, "sent_dropped": 8, "delayed": 0, "links_closed": 1, "links_refused": 2 },
            "last": { "kind": "link-loss", "by": "admin", "lasted_ms": 5100, "ended": "not-renewed" },
        }));
        for part in
            ["site-loss by admin for 3 s", "2 devices", "7 not heard, 8 not sent", "ended: not-renewed"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
