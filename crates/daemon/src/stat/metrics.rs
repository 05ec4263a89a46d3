//! The page that Prometheus reads: queues, groups and sites. Agents and places are too many for labels; `/stat.json` has
//! them.

use std::fmt::Write as _;

use tandem_stat::{Object, View};

use super::live::{Published, Role};

type Value = fn(&View, u64) -> Option<f64>;

#[allow(clippy::cast_precision_loss, reason = "counts of calls and milliseconds are far below 2^52")]
fn number(value: u64) -> f64 {
    value as f64
}

fn seconds(ms: Option<u64>) -> Option<f64> {
    ms.map(|ms| number(ms) / 1_000.0)
}

const SERIES: [(&str, &str, &str, Value); 13] = [
    ("waiting", "gauge", "Calls that wait now", |view, _| view.waiting.map(number)),
    ("ringing", "gauge", "Waiting calls that ring at an agent", |view, _| view.ringing.map(number)),
    ("longest_waiting_seconds", "gauge", "How long the longest waiting call waits", |view, now| {
        view.waiting?;
        let since = view.longest_waiting_since_unix_ms;
        Some(since.and_then(|since| seconds(Some(now.saturating_sub(since)))).unwrap_or(0.0))
    }),
    ("estimated_wait_seconds", "gauge", "Wait of a call that came now", |view, _| {
        seconds(view.estimated_wait_ms)
    }),
    ("service_level_15m", "gauge", "Share answered within the threshold, last 15 minutes", |view, _| {
        view.last_15_min.service_level
    }),
    ("offered_total", "counter", "Calls that entered", |view, _| Some(number(view.total.counts.offered))),
    ("handled_total", "counter", "Calls answered", |view, _| Some(number(view.total.counts.handled))),
    ("abandoned_total", "counter", "Calls whose caller gave up", |view, _| {
        Some(number(view.total.counts.abandoned))
    }),
    ("diverted_total", "counter", "Calls that left for somewhere else", |view, _| {
        Some(number(view.total.counts.diverted))
    }),
    ("unseen_total", "counter", "Calls that left while the service was cut off", |view, _| {
        Some(number(view.total.counts.unseen))
    }),
    ("answered_wait_seconds_sum", "counter", "Sum of the waits of answered calls", |view, _| {
        seconds(Some(view.total.counts.wait_ms))
    }),
    ("answered_wait_seconds_count", "counter", "Answered calls whose wait is known", |view, _| {
        Some(number(view.total.counts.waits))
    }),
    ("connected", "gauge", "Whether the site's CTI server is connected", |view, _| {
        view.connected.map(|up| if up { 1.0 } else { 0.0 })
    }),
];

/// The page.
pub fn page(published: &Published, now_ms: u64) -> String {
    let mut page = String::new();
    let shown = published.objects.iter();
    let labelled: Vec<(String, &View)> =
        shown.filter_map(|(object, shown)| Some((labels(object)?, &*shown.view))).collect();
    for (name, kind, help, value) in SERIES {
        let _ = writeln!(page, "# HELP tandem_stat_{name} {help}\n# TYPE tandem_stat_{name} {kind}");
        for (labels, view) in &labelled {
            if let Some(value) = value(view, now_ms) {
                let _ = writeln!(page, "tandem_stat_{name}{{{labels}}} {value}");
            }
        }
    }
    page.push_str("# HELP tandem_stat_agents Agents in each status\n# TYPE tandem_stat_agents gauge\n");
    for (labels, view) in &labelled {
        for (status, count) in view.agents.iter().flatten() {
            let _ = writeln!(page, "tandem_stat_agents{{{labels},status=\"{status}\"}} {count}");
        }
    }
    let primary = u8::from(published.role == Role::Primary);
    for (name, kind, help, value) in [
        ("writes_history", "gauge", "Whether this process writes the history", u64::from(primary)),
        ("rows_total", "counter", "Rows of history that this process has written", published.rows_written),
        ("untracked_total", "counter", "Events not counted because a table is full", published.untracked),
    ] {
        let _ = writeln!(page, "# HELP tandem_stat_{name} {help}\n# TYPE tandem_stat_{name} {kind}");
        let _ = writeln!(page, "tandem_stat_{name} {value}");
    }
    page
}

fn labels(object: &Object) -> Option<String> {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    match object {
        Object::Site(site) => Some(format!("kind=\"site\",site=\"{}\"", quoted(site))),
        Object::Queue(site, queue) => {
            Some(format!("kind=\"queue\",site=\"{}\",queue=\"{}\"", quoted(site), quoted(queue)))
        }
        Object::Group(group) => Some(format!("kind=\"group\",group=\"{}\"", quoted(group))),
        Object::Agent(_) | Object::Place(_) => None,
    }
}
