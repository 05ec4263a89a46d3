//! The page for people: one file without anything from outside, light or dark as its reader's machine, fit for paper.

use std::fmt::Write as _;

use serde_json::Value;

use super::fingerprint;

const STYLE: &str = include_str!("page.css");
/// Names that stand in a cell; more are folded away.
const MAX_NAMES: usize = 20;
const OPEN: &str = "<script type=\"application/json\" id=\"signed-report\">";
const CLOSE: &str = "</script>";

/// The signed report that a page holds.
pub fn embedded(page: &str) -> Option<String> {
    let (_, rest) = page.split_once(OPEN)?;
    let (json, _) = rest.split_once(CLOSE)?;
    Some(json.to_owned())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A field as text that may stand in a page.
fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => escape(text),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            escape(&other.to_string())
        }
    }
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_default()
}

fn items<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> + Clone {
    value.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

/// Milliseconds as seconds.
fn seconds(value: &Value, path: &str) -> String {
    let ms = value.pointer(path).and_then(Value::as_f64);
    ms.map_or_else(|| "–".to_owned(), |ms| format!("{:.2} s", ms / 1000.0))
}

/// A moment in UTC (days to a date after Howard Hinnant's `civil_from_days`).
fn utc(unix_ms: u64) -> String {
    let (seconds, days) = (unix_ms / 1000 % 86_400, unix_ms / 86_400_000);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {h:02}:{m:02}:{s:02} UTC")
}

/// A table: its caption, heads and rows; the cells are fit for a page.
fn table(page: &mut String, caption: &str, heads: &[&str], rows: &[Vec<String>]) {
    let _ = write!(page, "<div class=\"wide\"><table><caption>{caption}</caption><thead><tr>");
    for head in heads {
        let _ = write!(page, "<th scope=\"col\">{head}</th>");
    }
    page.push_str("</tr></thead><tbody>");
    for row in rows {
        page.push_str("<tr>");
        for cell in row {
            let _ = write!(page, "<td>{cell}</td>");
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>\n");
}

/// The page.
pub fn page(signed: &Value) -> String {
    let report = signed.get("report").unwrap_or(&Value::Null);
    let (kind, verdict) = (text(report, "/drill/kind"), text(report, "/verdict"));
    let title = format!("{kind}: {verdict}");
    let began = utc(report.get("began_unix_ms").and_then(Value::as_u64).unwrap_or_default());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Drill {title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the report</a>\n\
         <header>\n<h1>Drill: {kind}</h1>\n<p class=\"verdict {verdict}\">{verdict}</p>\n\
         <p>{began} · {} and {} · {}</p>\n",
        text(report, "/sites/site/name"),
        text(report, "/sites/peer/name"),
        text(report, "/drill/injected_by"),
    );
    if report.get("pair").is_some_and(Value::is_object) {
        let _ = writeln!(
            page,
            "<p>Lost: {} ({}) · took over: {} ({}, epoch {})</p>",
            text(report, "/pair/lost"),
            text(report, "/pair/lost_http"),
            text(report, "/pair/took_over"),
            text(report, "/pair/took_over_http"),
            text(report, "/pair/epoch")
        );
    }
    if !report.get("aborted").is_none_or(Value::is_null) {
        let _ = writeln!(page, "<p class=\"why\">Ended early: {}</p>", text(report, "/aborted"));
    }
    page.push_str("</header>\n<main id=\"main\">\n");
    goals(&mut page, report);
    picture(&mut page, report);
    recovery(&mut page, report);
    calls(&mut page, report);
    moves(&mut page, report);
    about(&mut page, report);
    timeline(&mut page, report);
    signature(&mut page, signed);
    page.push_str("</main>\n");
    // Within a script only "<" could end it; in JSON it stands in strings alone.
    let _ = writeln!(page, "{OPEN}{}{CLOSE}", signed.to_string().replace('<', "\\u003c"));
    page.push_str("</body>\n</html>\n");
    page
}

fn goals(page: &mut String, report: &Value) {
    let row = |goal: &Value| {
        let met = goal.get("met").and_then(Value::as_bool).unwrap_or(false);
        let mark =
            if met { "<span class=\"good\">✓ met</span>" } else { "<span class=\"bad\">✗ missed</span>" };
        vec![mark.to_owned(), text(goal, "/goal"), text(goal, "/wanted"), text(goal, "/seen")]
    };
    let rows: Vec<Vec<String>> = items(report, "/goals").map(row).collect();
    page.push_str("<h2>Goals</h2>\n");
    table(page, "What was to be shown, and what was seen", &["", "Goal", "Wanted", "Seen"], &rows);
}

/// Phases, calls and lines of the timeline over time.
fn picture(page: &mut String, report: &Value) {
    const WIDTH: f64 = 1000.0;
    let end = items(report, "/phases").map(|phase| number(phase, "/to_ms")).fold(1.0, f64::max);
    let x = |ms: f64| ms / end * WIDTH;
    page.push_str(
        "<h2>Course</h2>\n<figure>\n<svg viewBox=\"0 0 1025 140\" role=\"img\" \
         aria-label=\"Phases and calls over time; the tables below say the same\">\n",
    );
    for (place, phase) in items(report, "/phases").enumerate() {
        let (from, to) = (number(phase, "/from_ms"), number(phase, "/to_ms"));
        let (name, class) = (text(phase, "/name"), if place % 2 == 0 { "even" } else { "odd" });
        let lost =
            if matches!(&*name, "loss to service" | "alone" | "one server short") { " lost" } else { "" };
        let (left, width) = (x(from), (x(to) - x(from)).max(1.0));
        let _ = write!(
            page,
            "<g><title>{name}: {:.2} s to {:.2} s</title><rect class=\"phase {class}{lost}\" x=\"{left:.1}\" y=\"20\" \
             width=\"{width:.1}\" height=\"90\"/>",
            from / 1000.0,
            to / 1000.0
        );
        if width > 7.0 * name.len() as f64 {
            let _ = write!(page, "<text x=\"{:.1}\" y=\"14\">{name}</text>", left + 2.0);
        }
        page.push_str("</g>\n");
    }
    for call in items(report, "/calls/begun") {
        let (at, lost) = (number(call, "/0"), number(call, "/1") > 0.0);
        let (class, y) = if lost { ("call bad", 85) } else { ("call", 45) };
        let _ = write!(page, "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{y}\" r=\"3\"/>", x(at));
    }
    let tick = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];
    let step = tick.into_iter().find(|step| end / 1000.0 / step <= 12.0).unwrap_or(600.0);
    let mut at = 0.0;
    while at * 1000.0 <= end {
        let left = x(at * 1000.0);
        let _ = write!(
            page,
            "<line x1=\"{left:.1}\" x2=\"{left:.1}\" y1=\"110\" y2=\"116\"/><text x=\"{left:.1}\" y=\"130\">{at:.0} s</text>"
        );
        at += step;
    }
    page.push_str(
        "\n</svg>\n<figcaption>Each dot is a call at the moment it began: above those that ended as they should, below those \
         that were lost. The marked phases are those of the failure.</figcaption>\n</figure>\n",
    );
}

fn recovery(page: &mut String, report: &Value) {
    let row = |step: &Value| {
        let of = format!("{} of {}", text(step, "/count"), text(step, "/of"));
        vec![
            text(step, "/what"),
            of,
            seconds(step, "/p50_ms"),
            seconds(step, "/p95_ms"),
            seconds(step, "/max_ms"),
        ]
    };
    let rows: Vec<Vec<String>> = items(report, "/recovery/steps").map(row).collect();
    page.push_str("<h2>Recovery</h2>\n");
    let heads = ["What", "Of whom", "Median", "95th percentile", "Longest"];
    table(page, "Counted from the loss, unless it says from where", &heads, &rows);
}

fn calls(page: &mut String, report: &Value) {
    let row = |group: &Value| {
        vec![
            text(group, "/what"),
            text(group, "/calls"),
            text(group, "/answered"),
            text(group, "/lost"),
            seconds(group, "/setup/p50_ms"),
            seconds(group, "/setup/max_ms"),
        ]
    };
    let rows: Vec<Vec<String>> = items(report, "/calls/groups").map(row).collect();
    page.push_str("<h2>Calls</h2>\n");
    let heads = ["Calls", "All", "Answered", "Lost", "Answered after (median)", "(longest)"];
    table(page, "Calls of the drill's own gateway", &heads, &rows);
    let why = report.pointer("/calls/lost_because").and_then(Value::as_object);
    let rows: Vec<Vec<String>> =
        why.into_iter().flatten().map(|(why, count)| vec![count.to_string(), escape(why)]).collect();
    if rows.is_empty() {
        page.push_str("<p>No call was lost.</p>\n");
        return;
    }
    table(page, "Why calls were lost", &["Calls", "Why"], &rows);
    let row = |call: &Value| {
        vec![
            text(call, "/number"),
            seconds(call, "/began_ms"),
            seconds(call, "/ended_ms"),
            text(call, "/why"),
        ]
    };
    let rows: Vec<Vec<String>> = items(report, "/calls/lost").map(row).collect();
    let _ = writeln!(page, "<details><summary>Each lost call ({})</summary>", rows.len());
    table(page, "Lost calls", &["For", "Began at", "Ended at", "Why"], &rows);
    page.push_str("</details>\n");
}

fn moves(page: &mut String, report: &Value) {
    page.push_str("<h2>Who moved, and who did not</h2>\n");
    let names = |path: &str| {
        let list: Vec<String> = items(report, path).filter_map(Value::as_str).map(escape).collect();
        match list.len() {
            0 => "nobody".to_owned(),
            few if few <= MAX_NAMES => format!("{few}: {}", list.join(", ")),
            many => format!("<details><summary>{many}</summary>{}</details>", list.join(", ")),
        }
    };
    let rows = [
        ("Phones that moved", "/moves/phones_moved"),
        ("Phones that did not", "/moves/phones_not_moved"),
        ("Agents who moved", "/moves/agents_moved"),
        ("Agents who did not", "/moves/agents_not_moved"),
        ("Phones not back afterwards", "/moves/phones_not_back"),
        ("Agents not back afterwards", "/moves/agents_not_back"),
        ("Real agents without a login at the end of the failure", "/real/agents_down_at_the_end_of_the_loss"),
        ("Real agents without a login afterwards", "/real/agents_down_afterwards"),
    ];
    let mut rows: Vec<Vec<String>> =
        rows.into_iter().map(|(what, path)| vec![what.to_owned(), names(path)]).collect();
    for (what, path) in [
        ("Logins refused because the phone was not there", "/moves/logins_refused_phone_not_there"),
        ("Established calls of real parties lost", "/real/established_calls_lost"),
    ] {
        rows.push(vec![what.to_owned(), text(report, path)]);
    }
    table(page, "Parties of the drill, and real ones as the servers tell", &["What", "Who"], &rows);
}

fn about(page: &mut String, report: &Value) {
    page.push_str("<h2>How it was made</h2>\n");
    let _ = writeln!(page, "<pre><code>{}</code></pre>", text(report, "/drill/command"));
    let rows: Vec<Vec<String>> = [
        ("Phones of the site", "/parties/phones_at_site"),
        ("Phones of the peer", "/parties/phones_at_peer"),
        ("Desktops", "/parties/desktops"),
        ("Calls held throughout", "/parties/held_calls"),
        ("Share of real Extensions, %", "/drill/share_percent"),
        ("oos-check and oos-force of the site, s", "/sites/site/oos_check_s"),
        ("oos-check and oos-force of the peer, s", "/sites/peer/oos_check_s"),
    ]
    .into_iter()
    .map(|(what, path)| {
        let force = path.strip_suffix("oos_check_s").map(|site| text(report, &format!("{site}oos_force_s")));
        let value = text(report, path);
        vec![what.to_owned(), force.map_or(value.clone(), |force| format!("{value} + {force}"))]
    })
    .chain(
        [
            ("A phone asks its site every", "/parties/phones_refresh_ms"),
            ("and gives it up after", "/parties/phones_give_up_ms"),
            ("A desktop tries its site for (site-timeout)", "/parties/site_timeout_ms"),
            ("The gateway calls every", "/parties/call_every_ms"),
            ("and gives a silent site up after", "/parties/gateway_gives_up_ms"),
            ("People talk for", "/parties/talk_ms"),
        ]
        .into_iter()
        .map(|(what, path)| vec![what.to_owned(), seconds(report, path)]),
    )
    .collect();
    table(page, "Parties and timers", &["What", ""], &rows);
    let guards: Vec<String> = items(report, "/drill/guards").filter_map(Value::as_str).map(escape).collect();
    if !guards.is_empty() {
        let _ = writeln!(page, "<p>Guards: {}.</p>", guards.join(", "));
    }
    page.push_str("<h3>Not measured</h3>\n<ul>\n");
    for line in items(report, "/not_measured").filter_map(Value::as_str) {
        let _ = writeln!(page, "<li>{}</li>", escape(line));
    }
    page.push_str("</ul>\n");
}

fn timeline(page: &mut String, report: &Value) {
    let row = |line: &Value| vec![seconds(line, "/at_ms"), text(line, "/text")];
    let rows: Vec<Vec<String>> = items(report, "/timeline").map(row).collect();
    let open = if rows.len() <= 60 { " open" } else { "" };
    let _ = writeln!(page, "<h2>Timeline</h2>\n<details{open}><summary>{} lines</summary>", rows.len());
    table(page, "What happened", &["At", "What"], &rows);
    page.push_str("</details>\n");
}

fn signature(page: &mut String, signed: &Value) {
    use base64::Engine as _;
    let key = signed.pointer("/signature/public_key").and_then(Value::as_str).unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(key).unwrap_or_default();
    let _ = writeln!(
        page,
        "<h2>Signature</h2>\n<p>Ed25519, key <code>{}</code> (fingerprint <code>{}</code>). Check this page, or the JSON \
         beside it, with <code>tandem drill verify FILE</code>.</p>",
        escape(key),
        fingerprint(&bytes)
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(super::utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(super::utc(1_709_210_096_000), "2024-02-29 12:34:56 UTC");
        assert_eq!(super::utc(1_795_239_158_168), "2026-11-21 05:32:38 UTC");
    }
}
