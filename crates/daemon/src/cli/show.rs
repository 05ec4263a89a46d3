//! Prints a server's answers for people, or as the JSON they came in.
//!
//! The answer is read field by field: a command line of another version than the server's shows what both know.

use std::io::Write;

use serde_json::Value;

use super::Exit;
use super::client::{self, AskError};
use super::table::{self, Tone, paint};

pub(super) type Row = Vec<(String, Tone)>;

/// Asks the server and prints its answer; `show` makes text of it.
pub fn ask(server: &str, path: &str, json: bool, show: fn(&Value, bool) -> String) -> Exit {
    match client::get(server, path) {
        Ok(answer) if json => {
            say(&format!("{answer:#}\n"));
            Exit::Done
        }
        Ok(answer) => {
            say(&show(&answer, table::colours()));
            Exit::Done
        }
        Err(error) => refused(&error),
    }
}

/// Says why there is no answer.
pub fn refused(error: &AskError) -> Exit {
    eprintln!("tandem: {error}");
    match error {
        AskError::Unreachable { .. } => Exit::Unreachable,
        AskError::Unknown(_) => Exit::Unknown,
        AskError::Address(_) | AskError::Refused { .. } => Exit::Failed,
    }
}

/// Prints to standard output; a reader that has seen enough (`| head`) is no error.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A field as text; control characters of the wire do not reach the terminal.
pub(super) fn text(value: &Value, field: &str) -> String {
    let found = match value.get(field) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", ")
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_))) => other.to_string(),
    };
    found.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

pub(super) fn plain(value: &Value, field: &str) -> (String, Tone) {
    (text(value, field), Tone::Plain)
}

pub(super) fn items(answer: &Value) -> impl Iterator<Item = &Value> {
    answer.as_array().into_iter().flatten()
}

fn in_service(yes: bool) -> (String, Tone) {
    if yes { ("in-service".to_owned(), Tone::Good) } else { ("out-of-service".to_owned(), Tone::Bad) }
}

pub(super) fn seconds(value: &Value, field: &str) -> (String, Tone) {
    let Some(total) = value.get(field).and_then(Value::as_u64) else { return ("-".to_owned(), Tone::Plain) };
    let (h, m, s) = (total / 3600, total / 60 % 60, total % 60);
    let text = match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m{s:02}s"),
        (_, _) => format!("{h}h{m:02}m"),
    };
    (text, Tone::Plain)
}

pub(super) fn list(heads: &[&str], rows: &[Row], none: &str, colours: bool) -> String {
    if rows.is_empty() { format!("{none}\n") } else { table::render(heads, rows, colours) }
}

/// `tandem status`.
pub fn status(answer: &Value, colours: bool) -> String {
    let mode = text(answer, "mode");
    let soon = answer.get("peered_in_s").and_then(Value::as_u64);
    let (tone, meaning) = match (mode.as_str(), soon) {
        ("peered", _) => (Tone::Good, "the peer site is up; calls may be forwarded to it".to_owned()),
        ("single-site", None) => {
            (Tone::Bad, "the peer site is lost; every call is delivered here".to_owned())
        }
        ("single-site", Some(s)) => {
            (Tone::Bad, format!("the peer site is back; peered in {s} s (dr-recovery-delay)"))
        }
        ("stand-alone", _) => (Tone::Plain, "no peer site is configured".to_owned()),
        _ => (Tone::Plain, String::new()),
    };
    let out = text(answer, "trunks_out_of_service");
    let out_tone = if out == "-" { Tone::Good } else { Tone::Bad };
    let drain = match answer.get("draining").and_then(Value::as_bool) {
        Some(true) => {
            paint("draining", Tone::Bad, colours) + "  nothing new is taken: `tandem drain --status`"
        }
        Some(false) | None => "no".to_owned(),
    };
    let migration = match answer.get("migration").and_then(Value::as_str) {
        Some(line) => format!("{}  `tandem migrate --status`", paint(line, Tone::Bad, colours)),
        None => "no".to_owned(),
    };
    let drill = answer.get("drill").and_then(Value::as_str).map(|kind| {
        let kind = paint(kind, Tone::Bad, colours);
        ("drill", format!("{kind}  this server isolates itself for a rehearsal: `tandem drill status`"))
    });
    let failure = answer.get("peer_failure").filter(|failure| failure.is_object()).map(|failure| {
        let thought = paint(&text(failure, "text"), Tone::Bad, colours);
        ("peer failure", format!("{thought}  {}", text(failure, "because")))
    });
    let watching = |package: &str| {
        let count = answer.get("subscriptions").and_then(|all| all.get(package)).and_then(Value::as_u64);
        count.unwrap_or(0)
    };
    let subscriptions = format!(
        "{} to calls, {} to contacts, {} to mailboxes",
        watching("dialog"),
        watching("reg"),
        watching("message_summary")
    );
    let lines = [
        ("server", text(answer, "server")),
        ("switch", text(answer, "switch")),
        ("mode", format!("{}  {meaning}", paint(&mode, tone, colours))),
        ("drain", drain),
        ("migration", migration),
        ("peer trunk", text(answer, "peer_trunk")),
        ("calls", text(answer, "calls")),
        (
            "extensions",
            format!("{} of {} in service", text(answer, "in_service"), text(answer, "extensions")),
        ),
        ("bindings", text(answer, "bindings")),
        ("trunks out", paint(&out, out_tone, colours)),
        ("transactions", text(answer, "transactions")),
        ("guard", guard(answer, colours)),
        ("subscriptions", subscriptions),
    ];
    lines
        .iter()
        .chain(&datagrams(answer, colours))
        .chain(&failure)
        .chain(&drill)
        .map(|(name, value)| format!("{name:<13} {}\n", value.trim_end()))
        .collect()
}

/// What was lost before it was read, or found no room to wait.
fn datagrams(answer: &Value, colours: bool) -> Option<(&'static str, String)> {
    let count = |field| answer.get(field).and_then(Value::as_u64).unwrap_or(0);
    let (lost, crowded) = (count("udp_lost"), count("udp_crowded"));
    let line = paint(&format!("{lost} lost in the kernel, {crowded} crowded out"), Tone::Bad, colours);
    let where_to_look = "since start: \"What to watch\" in docs/operations.md";
    (lost + crowded > 0).then(|| ("datagrams", format!("{line}  {where_to_look}")))
}

/// Who is kept out now, and who calls for help.
fn guard(answer: &Value, colours: bool) -> String {
    let guard = answer.get("guard");
    let number = |field| guard.and_then(|guard| guard.get(field)).and_then(Value::as_u64).unwrap_or(0);
    let locked = match number("locked_out") {
        0 => "nobody locked out".to_owned(),
        n => format!("{}: `tandem guard list`", paint(&format!("{n} locked out"), Tone::Bad, colours)),
    };
    let help = match number("emergency_calls") {
        0 => String::new(),
        n => format!("; {}", paint(&format!("{n} emergency calls"), Tone::Bad, colours)),
    };
    let overload = match guard.and_then(|guard| guard.get("overloaded_by")).and_then(Value::as_str) {
        None => String::new(),
        Some(why) => {
            let pressure = format!("overloaded, pressure {} of 1000", number("pressure"));
            format!("; {}: {why}", paint(&pressure, Tone::Bad, colours))
        }
    };
    format!("{locked}; {} external calls on accounts{help}{overload}", number("external_calls"))
}

/// `tandem dn list`.
pub fn dn(answer: &Value, colours: bool) -> String {
    let row = |dn: &Value| {
        let state = in_service(dn.get("in_service").and_then(Value::as_bool).unwrap_or(false));
        vec![plain(dn, "dn"), plain(dn, "kind"), state, plain(dn, "contacts"), plain(dn, "reason")]
    };
    let rows: Vec<Row> = items(answer).map(row).collect();
    list(&["DN", "KIND", "STATE", "CONTACTS", "REASON"], &rows, "no DN is configured", colours)
}

/// `tandem reg list`.
pub fn reg(answer: &Value, colours: bool) -> String {
    let row = |binding: &Value| {
        let q = binding.get("q").and_then(Value::as_u64).unwrap_or(1000);
        let q = (format!("{}.{:03}", q / 1000, q % 1000), Tone::Plain);
        let expires = seconds(binding, "expires_s");
        let reached = (format!("{}{}", text(binding, "reached_at"), how_reached(binding)), Tone::Plain);
        let state = match binding.get("quarantine").and_then(Value::as_str) {
            Some(why) => (format!("{why}, removed in {}", seconds(binding, "removed_in_s").0), Tone::Bad),
            None => ("ok".to_owned(), Tone::Good),
        };
        let instance = match binding.get("reg_id").and_then(Value::as_u64) {
            Some(flow) => format!("{} flow {flow}", text(binding, "instance")),
            None => text(binding, "instance"),
        };
        let instance = (instance, Tone::Plain);
        vec![plain(binding, "dn"), state, q, expires, reached, plain(binding, "contact"), instance]
    };
    let rows: Vec<Row> = items(answer).map(row).collect();
    let heads = ["DN", "STATE", "Q", "EXPIRES", "REACHED AT", "CONTACT", "INSTANCE"];
    list(&heads, &rows, "nobody is registered", colours)
}

/// What stands between this server and a phone.
fn how_reached(binding: &Value) -> String {
    match (binding.get("nat").and_then(Value::as_bool), binding.get("path").and_then(Value::as_str)) {
        (_, Some(_)) => format!(" by {}", text(binding, "path")),
        (Some(true), None) => " (nat)".to_owned(),
        (Some(false) | None, None) => String::new(),
    }
}

/// `tandem call list`.
pub fn call(answer: &Value, colours: bool) -> String {
    let row = |call: &Value| {
        let age = seconds(call, "age_s");
        let (from, to, state) = (plain(call, "from"), plain(call, "to"), plain(call, "state"));
        vec![from, to, state, age, plain(call, "devices"), plain(call, "sip_call_id")]
    };
    let rows: Vec<Row> = items(answer).map(row).collect();
    list(&["FROM", "TO", "STATE", "AGE", "DEVICES", "CALL-ID"], &rows, "no call", colours)
}

/// Where a trunk leads, with what keeps a target from taking calls.
fn targets(trunk: &Value) -> String {
    let targets = trunk.get("targets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let several = targets.len() > 1;
    let one = |target: &Value| {
        let place = format!("{} {}", text(target, "transport"), text(target, "addr"));
        let alone = target.get("left_alone_s").and_then(Value::as_u64).unwrap_or(0);
        match (text(target, "state").as_str(), alone) {
            (_, 1..) => format!("{place} (asked to be left alone for {alone} s)"),
            ("out-of-service", 0) if several => format!("{place} (out: {})", text(target, "reason")),
            _ => place,
        }
    };
    if targets.is_empty() {
        "not located yet".to_owned()
    } else {
        targets.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// `tandem trunk list`.
pub fn trunk(answer: &Value, colours: bool) -> String {
    let row = |trunk: &Value| {
        let state = text(trunk, "state");
        let tone = if state == "out-of-service" { Tone::Bad } else { Tone::Good };
        let peer = trunk.get("peer").and_then(Value::as_bool).unwrap_or(false);
        let role = if peer { "peer" } else { "trunk" };
        vec![
            plain(trunk, "name"),
            (role.to_owned(), Tone::Plain),
            (state, tone),
            seconds(trunk, "since_s"),
            calls_of(trunk),
            (format!("{}+{}", text(trunk, "oos_check_s"), text(trunk, "oos_force_s")), Tone::Plain),
            plain(trunk, "contact"),
            (targets(trunk), Tone::Plain),
            plain(trunk, "reason"),
        ]
    };
    let rows: Vec<Row> = items(answer).map(row).collect();
    let heads = ["TRUNK", "ROLE", "STATE", "FOR", "CALLS", "CHECK+FORCE", "CONTACT", "TARGETS", "REASON"];
    list(&heads, &rows, "no trunk is configured", colours)
}

/// Calls over a trunk, and of how many it takes.
fn calls_of(trunk: &Value) -> (String, Tone) {
    let number = |field| trunk.get(field).and_then(Value::as_u64).unwrap_or(0);
    let (calls, capacity) = (number("calls"), number("capacity"));
    match capacity {
        0 => plain(trunk, "calls"),
        _ => (format!("{calls}/{capacity}"), if calls < capacity { Tone::Plain } else { Tone::Bad }),
    }
}

/// `tandem why`.
pub fn why(answer: &Value, _colours: bool) -> String {
    let alive = answer.get("alive").and_then(Value::as_bool).unwrap_or(false);
    let state = if alive { "alive" } else { "ended" };
    let mut out =
        format!("call {} ({state})\nlegs {}\n\n", text(answer, "call_uuid"), text(answer, "sip_call_ids"));
    out.push_str(&steps(answer));
    out
}

/// The steps of an explanation, each after the time since the first.
pub(super) fn steps(answer: &Value) -> String {
    let mut out = String::new();
    let steps: Vec<&Value> = answer.get("steps").into_iter().flat_map(items).collect();
    let start = steps.first().and_then(|step| step.get("unix_ms")?.as_u64()).unwrap_or_default();
    for step in steps {
        let after = step.get("unix_ms").and_then(Value::as_u64).unwrap_or(start).saturating_sub(start);
        out.push_str(&format!("{:>7}.{:03} s  {}\n", after / 1000, after % 1000, text(step, "text")));
        for considered in step.get("considered").into_iter().flat_map(items) {
            let line: String =
                considered.as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
            out.push_str(&format!("               - {line}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(call(&json!([]), false), "no call\n");
        assert_eq!(reg(&json!([]), false), "nobody is registered\n");
    }

    #[test]
    fn the_status_explains_the_mode() {
        let answer = json!({
            "server": "site-a", "switch": "site-a", "mode": "single-site", "peer_trunk": "to-site-b", "calls": 2,
            "extensions": 10, "in_service": 4, "bindings": 5, "trunks_out_of_service": ["to-site-b"],
            "transactions": 7,
            "peer_failure": {
                "cause": "site-dead", "confidence": "likely", "text": "site dead: likely",
                "because": "control link silent, 41 phones moved here", "since_s": 9,
            },
        });
        let shown = status(&answer, false);
        let failure = "peer failure  site dead: likely  control link silent, 41 phones moved here\n";
        assert!(shown.contains(failure), "{shown}");
        assert!(shown.contains("mode          single-site  the peer site is lost"), "{shown}");
        assert!(shown.contains("extensions    4 of 10 in service"));
        assert!(shown.contains("trunks out    to-site-b\n"));
        let soon = status(&json!({ "mode": "single-site", "peered_in_s": 12 }), false);
        assert!(
            soon.contains("single-site  the peer site is back; peered in 12 s (dr-recovery-delay)"),
            "{soon}"
        );
    }

    #[test]
    fn what_the_wire_brought_cannot_steer_the_terminal() {
        let answer =
            json!([{ "from": "\u{1b}[2Jx", "to": "1002", "state": "ringing", "age_s": 3671, "devices": [] }]);
        let shown = call(&answer, false);
        assert!(!shown.contains('\u{1b}') && shown.contains("?[2Jx") && shown.contains("1h01m"), "{shown}");
    }

    #[test]
    fn why_tells_the_steps_in_order_with_what_was_considered() {
        let answer = json!({
            "call_uuid": "00ff", "sip_call_ids": ["a@x", "b@y"], "alive": false,
            "steps": [
                { "unix_ms": 1000, "text": "rule 5 matched", "considered": ["rule 1: mode is peered"] },
                { "unix_ms": 3250, "text": "answered", "considered": [] },
            ],
        });
        let shown = why(&answer, false);
        assert!(shown.contains("call 00ff (ended)\nlegs a@x, b@y\n"), "{shown}");
        assert!(
            shown.contains("  0.000 s  rule 5 matched\n               - rule 1: mode is peered\n"),
            "{shown}"
        );
        assert!(shown.contains("  2.250 s  answered\n"));
    }
}
