//! Prints what the contact-centre floor looks like.

use serde_json::Value;

use super::show::{Row, items, list, plain, seconds, steps, text};
use super::table::Tone;

fn flag(value: &Value, field: &str, (yes, no): (&str, &str)) -> (String, Tone) {
    match value.get(field).and_then(Value::as_bool) {
        Some(true) => (yes.to_owned(), Tone::Good),
        Some(false) => (no.to_owned(), Tone::Plain),
        None => ("-".to_owned(), Tone::Plain),
    }
}

fn row(agent: &Value) -> Row {
    let state = text(agent, "state");
    let tone = if state.starts_with("NotReady") { Tone::Bad } else { Tone::Good };
    vec![
        plain(agent, "agent_id"),
        plain(agent, "dn"),
        (state, tone),
        plain(agent, "work_mode"),
        seconds(agent, "since_s"),
        seconds(agent, "until_s"),
        plain(agent, "calls"),
        flag(agent, "available", ("yes", "no")),
        phone(agent),
        plain(agent, "reason"),
    ]
}

/// Whether his phone is there, as far as this site knows.
fn phone(agent: &Value) -> (String, Tone) {
    if agent.get("phone_suspected").and_then(Value::as_bool) == Some(true) {
        return ("suspect".to_owned(), Tone::Bad);
    }
    flag(agent, "phone_in_service", ("here", "out"))
}

const AGENT_HEADS: [&str; 10] =
    ["AGENT", "DN", "STATE", "WORK MODE", "FOR", "ENDS IN", "CALLS", "AVAILABLE", "PHONE", "REASON"];

/// `tandem agent list`.
pub fn agent(answer: &Value, colours: bool) -> String {
    let rows: Vec<Row> = items(answer).map(row).collect();
    list(&AGENT_HEADS, &rows, "nobody is logged in", colours)
}

/// `tandem agent why`.
pub fn agent_why(answer: &Value, colours: bool) -> String {
    let rows: Vec<Row> = answer.get("agent").filter(|agent| agent.is_object()).map(row).into_iter().collect();
    let nobody = format!("{} is not logged in", text(answer, "asked"));
    format!("{}\n{}", list(&AGENT_HEADS, &rows, &nobody, colours), steps(answer))
}

/// `tandem queue list`.
pub fn queue(answer: &Value, colours: bool) -> String {
    let row = |queue: &Value| {
        let number = |field| queue.get(field).and_then(Value::as_u64).unwrap_or(0);
        let unserved = number("waiting") > 0 && number("agents") == 0 && text(queue, "kind") == "acd-queue";
        let tone = if unserved { Tone::Bad } else { Tone::Plain };
        vec![
            plain(queue, "queue"),
            plain(queue, "kind"),
            (text(queue, "waiting"), tone),
            plain(queue, "offered"),
            seconds(queue, "longest_wait_s"),
            (text(queue, "agents"), tone),
            plain(queue, "available"),
        ]
    };
    let rows: Vec<Row> = items(answer).map(row).collect();
    let heads = ["QUEUE", "KIND", "WAITING", "RINGING", "LONGEST WAIT", "AGENTS", "AVAILABLE"];
    list(&heads, &rows, "no queue is configured", colours)
}

/// `tandem session list`.
pub fn session(answer: &Value, colours: bool) -> String {
    let row = |session: &Value| {
        vec![
            plain(session, "session"),
            plain(session, "person"),
            plain(session, "role"),
            flag(session, "connected", ("connected", "away")),
            seconds(session, "age_s"),
            plain(session, "dns"),
            plain(session, "last"),
            plain(session, "application"),
        ]
    };
    let rows: Vec<Row> = items(answer).map(row).collect();
    let heads = ["SESSION", "PERSON", "ROLE", "STATE", "AGE", "DNS", "EVENTS", "APPLICATION"];
    list(&heads, &rows, "no session is open", colours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn empty_lists_say_so() {
        assert_eq!(agent(&json!([]), false), "nobody is logged in\n");
        assert_eq!(queue(&json!([]), false), "no queue is configured\n");
        assert_eq!(session(&json!([]), false), "no session is open\n");
    }

    #[test]
    fn an_agent_is_one_line_and_what_he_typed_cannot_steer_the_terminal() {
        let shown = agent(
            &json!([{ "agent_id": "2001", "dn": "1001", "state": "NotReady", "work_mode": "AfterCallWork",
                "since_s": 65, "until_s": 5, "calls": 0, "available": false,
                "phone_in_service": false, "reason": "\u{1b}[2Jlunch" }]),
            false,
        );
        let line = shown.lines().nth(1).unwrap();
        assert!(line.starts_with("2001   1001  NotReady  AfterCallWork  1m05s"), "{line}");
        assert!(line.contains("no         out") && line.ends_with("?[2Jlunch"), "{line}");
    }

    #[test]
    fn why_tells_the_agent_and_the_steps() {
        let steps = json!([{ "unix_ms": 5, "text": "now: not logged in", "considered": ["7000: no"] }]);
        let shown = agent_why(&json!({ "asked": "2001", "agent": null, "steps": steps }), false);
        assert!(shown.starts_with("2001 is not logged in\n"), "{shown}");
        assert!(shown.contains("now: not logged in\n") && shown.contains("- 7000: no"), "{shown}");
    }
}
