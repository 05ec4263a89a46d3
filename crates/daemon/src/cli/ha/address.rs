//! `tandem ha address`, for people.

use serde_json::Value;

use super::super::show::{Row, items, list, plain, text};
use super::super::table::{Tone, paint};

/// The answer of `/api/ha/address`.
pub fn shown(answer: &Value, colours: bool) -> String {
    let by = text(answer, "by");
    let number = |field| answer.get(field).and_then(Value::as_u64);
    let mut out = match (by.as_str(), number("held_for_s")) {
        ("netlink", Some(seconds)) => {
            format!("{} for {seconds} s on {}", paint("HERE", Tone::Good, colours), text(answer, "interface"))
        }
        ("netlink", None) => format!("not here; would be on {}", text(answer, "interface")),
        ("notify", _) => match number("told_for_s") {
            Some(seconds) => format!("keepalived said {} {seconds} s ago", text(answer, "told")),
            None => "keepalived has not said anything yet (tandem ha notify)".to_owned(),
        },
        _ => return "no virtual address is configured\n".to_owned(),
    };
    if answer.get("link") == Some(&Value::Bool(false)) {
        out.push_str(&format!("; {}", paint("the interface has no carrier", Tone::Bad, colours)));
    }
    if let Some(lapses) = number("lapses").filter(|lapses| *lapses > 0) {
        out.push_str(&format!("; lost {lapses} times because the server did not come round"));
    }
    out.push_str("\n\n");
    let rows: Vec<Row> = items(answer.get("addresses").unwrap_or(&Value::Null)).map(row).collect();
    out.push_str(&list(&["ADDRESS", "HELD", "CLAIMED BY", "FAULT"], &rows, "", colours));
    out
}

fn row(one: &Value) -> Row {
    vec![plain(one, "address"), plain(one, "held"), plain(one, "claimed_by"), plain(one, "fault")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_the_addresses_are_is_said_first_and_who_else_claims_them() {
        let mut answer = json!({
            "by": "netlink", "interface": "eth0", "link": true, "held_for_s": 7, "takeovers": 1, "lapses": 2,
            "told": null, "told_for_s": null, "addresses": [
                {"address": "192.0.2.10/32", "held": true, "fault": null, "claimed_by": "02:00:5e:10:20:30"},
                {"address": "192.0.2.11/32", "held": false, "fault": "no room", "claimed_by": null},
            ],
        });
        let out = shown(&answer, false);
        for part in ["HERE for 7 s on eth0", "lost 2 times", "02:00:5e:10:20:30", "no room"] {
            assert!(out.contains(part), "{part}: {out}");
        }
        answer["held_for_s"] = Value::Null;
        answer["link"] = Value::Bool(false);
        let out = shown(&answer, false);
        assert!(out.contains("not here; would be on eth0; the interface has no carrier"), "{out}");
        let told = json!({"by": "notify", "told": "master", "told_for_s": 3, "addresses": []});
        assert!(shown(&told, false).starts_with("keepalived said master 3 s ago"));
        assert_eq!(shown(&json!({"by": "none"}), false), "no virtual address is configured\n");
    }
}
