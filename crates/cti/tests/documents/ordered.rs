//! JSON and YAML whose members come in one order, whatever map the JSON crate is built with.

use std::fmt::Write;

use serde_json::Value as Json;

/// Members that come first, in this order; the others follow by name.
const FIRST: [&str; 29] = [
    "$schema",
    "asyncapi",
    "info",
    "title",
    "version",
    "name",
    "summary",
    "description",
    "defaultContentType",
    "servers",
    "channels",
    "operations",
    "components",
    "host",
    "protocol",
    "pathname",
    "action",
    "channel",
    "type",
    "const",
    "enum",
    "$ref",
    "request",
    "event",
    "number",
    "EventSequenceNumber",
    "Time",
    "ReferenceID",
    "ThisDN",
];

fn rank(key: &str) -> (usize, &str) {
    (FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len()), key)
}

fn members(json: &serde_json::Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut members: Vec<_> = json.iter().collect();
    members.sort_by_key(|(key, _)| rank(key));
    members
}

pub fn json(value: &Json) -> String {
    let mut out = String::new();
    write_json(value, 0, &mut out);
    out
}

fn write_json(value: &Json, depth: usize, out: &mut String) {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match value {
        Json::Object(map) if !map.is_empty() => {
            out.push_str("{\n");
            for (at, (key, value)) in members(map).into_iter().enumerate() {
                let comma = if at == 0 { "" } else { ",\n" };
                write!(out, "{comma}{inner}{}: ", Json::from(key.as_str())).unwrap();
                write_json(value, depth + 1, out);
            }
            write!(out, "\n{outer}}}").unwrap();
        }
        Json::Array(items) if items.iter().any(|item| item.is_object()) => {
            out.push_str("[\n");
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ",\n" });
                out.push_str(&inner);
                write_json(item, depth + 1, out);
            }
            write!(out, "\n{outer}]").unwrap();
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            write!(out, "{value}").unwrap();
        }
    }
}

pub fn yaml(value: &Json) -> String {
    let mut out = String::new();
    write_yaml(value, 0, &mut out);
    out
}

fn is_scalar(value: &Json) -> bool {
    match value {
        Json::Object(map) => map.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

/// Every JSON scalar is a YAML one, strings in their quotes.
fn write_yaml(value: &Json, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Json::Object(map) => {
            for (key, value) in members(map) {
                let is_plain = key.chars().all(|c| c.is_ascii_alphanumeric() || "_-$".contains(c));
                let key = if is_plain { key.clone() } else { Json::from(key.as_str()).to_string() };
                if is_scalar(value) {
                    writeln!(out, "{indent}{key}: {value}").unwrap();
                } else {
                    writeln!(out, "{indent}{key}:").unwrap();
                    write_yaml(value, depth + 1, out);
                }
            }
        }
        Json::Array(items) => {
            for item in items {
                if is_scalar(item) {
                    writeln!(out, "{indent}- {item}").unwrap();
                } else {
                    let mut inner = String::new();
                    write_yaml(item, depth + 1, &mut inner);
                    writeln!(out, "{indent}- {}", inner.trim()).unwrap();
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {
            writeln!(out, "{indent}{value}").unwrap();
        }
    }
}

/// Every `$ref` within.
pub fn references(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            found.extend(map.get("$ref").and_then(Json::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, found)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn members_come_in_order_in_both_forms() {
    let value = serde_json::json!({"b": [], "a": [{"z": 1, "request": "T"}, "x: y"], "title": "\"q\""});
    assert_eq!(yaml(&value), "title: \"\\\"q\\\"\"\na:\n  - request: \"T\"\n    z: 1\n  - \"x: y\"\nb: []\n");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json(&value)).unwrap(), value);
    assert!(json(&value).starts_with("{\n  \"title\": "));
}
