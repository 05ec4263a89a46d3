//! `tandem stat`: the statistics service as a process of its own, and what one knows.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::table::{self, Tone};
use super::{Exit, Shape, failed, misconfigured, show};
use crate::config::{self, LogFormat, Origin};
use crate::{log, stat};

/// `tandem stat`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Stat {
    #[command(subcommand)]
    view: Option<View>,
    /// File with [stat] and the `include` of the servers: a server's own file, or one without a server
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Log filter, such as debug or info,tandem=debug; wins over RUST_LOG
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Shape of log lines
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
enum View {
    /// Queues, and agents by what they do
    Show {
        /// Address of the statistics service
        #[arg(long, env = "TANDEM_STAT", default_value = "http://127.0.0.1:8070", value_name = "URL")]
        stat: String,
        #[command(flatten)]
        shape: Shape,
    },
}

/// Runs it.
pub fn run(arguments: Stat) -> Exit {
    let Stat { view, config, log, log_format } = arguments;
    match (view, config) {
        (Some(View::Show { stat, shape }), _) => show::ask(&stat, "/stat.json", shape.json, tables),
        (None, Some(path)) => serve(path, log.as_deref(), log_format.unwrap_or(LogFormat::Text)),
        (None, None) => failed("name a file: tandem stat --config FILE"),
    }
}

fn serve(path: PathBuf, filter: Option<&str>, format: LogFormat) -> Exit {
    let config = match config::load_stat(&Origin::File(path)) {
        Ok(config) => config,
        Err(error) => return misconfigured(&error),
    };
    if let Err(error) = log::start(filter, "info", format) {
        return failed(&error);
    }
    match stat::serve(config) {
        Ok(()) => Exit::Done,
        Err(error) => failed(&format!("{error:#}")),
    }
}

fn tables(answer: &Value, colours: bool) -> String {
    let now = answer.get("time").and_then(Value::as_u64).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or_default()
    });
    let objects = || answer.get("objects").and_then(Value::as_array).into_iter().flatten();
    let of_kind = |kinds: &'static [&str]| {
        objects().filter(move |object| kinds.contains(&text(object, "kind").as_str()))
    };
    let queues: Vec<_> = of_kind(&["queue", "routing-point"]).map(|queue| queue_row(queue, now)).collect();
    let agents: Vec<_> = of_kind(&["agent"]).map(|agent| agent_row(agent, now)).collect();
    let queue_heads = [
        "QUEUE",
        "WAITING",
        "LONGEST",
        "ESTIMATE",
        "READY",
        "OFFERED",
        "HANDLED",
        "ABANDONED",
        "AVG WAIT",
        "SERVICE",
    ];
    let agent_heads = ["AGENT", "STATUS", "FOR", "WHERE", "HANDLED", "MISSED", "AVG HANDLE", "WHY"];
    format!(
        "{}\n{}",
        some(&queue_heads, &queues, "no queues", colours),
        some(&agent_heads, &agents, "no agents", colours)
    )
}

fn some(heads: &[&str], rows: &[Vec<(String, Tone)>], none: &str, colours: bool) -> String {
    if rows.is_empty() { format!("{none}\n") } else { table::render(heads, rows, colours) }
}

fn text(object: &Value, field: &str) -> String {
    let found = object.get(field).and_then(Value::as_str).unwrap_or("-");
    found.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn count(object: &Value, field: &str) -> String {
    object.get(field).and_then(Value::as_u64).map_or_else(|| "-".to_owned(), |count| count.to_string())
}

fn length(ms: Option<u64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{}:{:02}", ms / 60_000, ms / 1_000 % 60))
}

fn since(object: &Value, field: &str, now: u64) -> Option<u64> {
    let since = object.get(field).and_then(Value::as_u64).filter(|since| *since > 0)?;
    Some(now.saturating_sub(since))
}

fn plain(text: String) -> (String, Tone) {
    (text, Tone::Plain)
}

fn name(object: &Value) -> String {
    let name = text(object, "object");
    name.split_once(':').map_or(name.clone(), |(_, rest)| rest.to_owned())
}

/// Counts are those of today.
fn queue_row(queue: &Value, now: u64) -> Vec<(String, Tone)> {
    let none = Value::Null;
    let today = queue.get("today").unwrap_or(&none);
    let level = today.get("service_level").and_then(Value::as_f64);
    let ready = queue.get("agents").map_or_else(|| "-".to_owned(), |agents| count(agents, "WaitForNextCall"));
    let stale = queue.get("stale").and_then(Value::as_bool).unwrap_or(false);
    let tone = if stale { Tone::Bad } else { Tone::Plain };
    let mut row = vec![(if stale { format!("{} (not connected)", name(queue)) } else { name(queue) }, tone)];
    row.extend(
        [
            count(queue, "waiting"),
            length(since(queue, "longest_waiting_since_unix_ms", now)),
            length(queue.get("estimated_wait_ms").and_then(Value::as_u64)),
            if ready == "-" { "0".to_owned() } else { ready },
            count(today, "offered"),
            count(today, "handled"),
            count(today, "abandoned"),
            length(today.get("average_wait_ms").and_then(Value::as_u64)),
            level.map_or_else(|| "-".to_owned(), |level| format!("{:.0} %", level * 100.0)),
        ]
        .map(plain),
    );
    row
}

fn agent_row(agent: &Value, now: u64) -> Vec<(String, Tone)> {
    let none = Value::Null;
    let today = agent.get("today").unwrap_or(&none);
    let place = match (text(agent, "site").as_str(), text(agent, "dn").as_str()) {
        ("-", _) => "-".to_owned(),
        (site, dn) => format!("{site}:{dn}"),
    };
    let stale = agent.get("stale").and_then(Value::as_bool).unwrap_or(false);
    let status = text(agent, "status");
    let status = if stale { (format!("{status}?"), Tone::Bad) } else { plain(status) };
    let why = match (text(agent, "work_mode").as_str(), text(agent, "reason").as_str()) {
        ("-" | "Unknown", reason) => reason.to_owned(),
        (mode, "-") => mode.to_owned(),
        (mode, reason) => format!("{mode}, {reason}"),
    };
    vec![
        plain(name(agent)),
        status,
        plain(length(since(agent, "status_since_unix_ms", now))),
        plain(place),
        plain(count(today, "handled")),
        plain(count(today, "missed")),
        plain(length(today.get("average_handle_ms").and_then(Value::as_u64))),
        plain(why),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_and_agents_are_shown_as_tables() {
        let answer = serde_json::json!({ "time": 100_000, "objects": [
            { "object": "queue:site-a:7000", "kind": "queue", "waiting": 2, "estimated_wait_ms": 61_000,
              "longest_waiting_since_unix_ms": 70_000, "agents": { "WaitForNextCall": 3 },
              "today": { "offered": 9, "handled": 6, "abandoned": 1, "average_wait_ms": 5_000, "service_level": 0.8 } },
            { "object": "agent:anna", "kind": "agent", "status": "NotReadyForNextCall",
              "status_since_unix_ms": 40_000, "site": "site-a", "dn": "1001", "work_mode": "AuxWork",
              "reason": "Break=lunch\u{1b}", "today": { "handled": 4, "missed": 0 } },
            { "object": "agent:bert", "kind": "agent", "status": "LoggedOut", "status_since_unix_ms": 0, "stale": true },
        ] });
        let shown = tables(&answer, false);
        assert!(shown.contains("site-a:7000  2        0:30     1:01      3      9        6"), "{shown}");
        assert!(shown.contains("0:05      80 %"), "{shown}");
        assert!(
            shown.contains("anna   NotReadyForNextCall  1:00  site-a:1001  4        0       -"),
            "{shown}"
        );
        assert!(shown.contains("AuxWork, Break=lunch?"), "{shown}");
        assert!(shown.contains("bert   LoggedOut?           -     -"), "{shown}");
    }
}
