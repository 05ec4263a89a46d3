//! The tables of `docs/cti.md`, between `<!-- generated: NAME -->` and `<!-- end -->`.

use std::fmt::Write;

use schemars::SchemaGenerator;
use serde_json::Value as Json;
use tandem_cti::{Carries, ErrorCode, EventName, Request};

use crate::schema;

const END: &str = "<!-- end -->";

/// The page with its tables as the code has them.
pub fn fill(page: &str) -> String {
    let mut out = page.to_owned();
    let tables = [("errors", errors()), ("requests", requests()), ("events", events()), ("words", words())];
    for (name, table) in tables {
        let begin = format!("<!-- generated: {name} -->\n");
        let (before, rest) = out.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
        let (_, after) = rest.split_once(END).unwrap();
        out = format!("{before}{begin}{table}{END}{after}");
    }
    out
}

fn codes<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

fn errors() -> String {
    let mut table = String::from("| code | T-Library | says, unless it can say more |\n|---|---|---|\n");
    for code in ErrorCode::ALL {
        writeln!(table, "| {} | {} | {} |", code.number(), screaming(code.name()), code.text()).unwrap();
    }
    table
}

/// `InvConnid` as `TERR_INV_CONNID`.
fn screaming(name: &str) -> String {
    let mut out = "TERR".to_owned();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

fn requests() -> String {
    let mut table =
        String::from("| request | no. | what it does | needs | may have |\n|---|---|---|---|---|\n");
    let all = schema::requests(&mut SchemaGenerator::default());
    for ((name, schema), (_, number)) in all.iter().zip(Request::NAMES) {
        let needed: Vec<&str> =
            schema["required"].as_array().unwrap().iter().filter_map(Json::as_str).collect();
        let mut may: Vec<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let common = ["ReferenceID", "Reasons", "AttributeExtensions"];
        may.retain(|attribute| !needed.contains(attribute) && !common.contains(attribute));
        may.sort_unstable();
        let summary = schema["description"].as_str().unwrap().replace('\n', " ");
        let needed = codes(needed.into_iter().filter(|attribute| *attribute != "request"));
        writeln!(table, "| `{name}` | {number} | {summary} | {needed} | {} |", codes(may)).unwrap();
    }
    table
}

fn events() -> String {
    let mut table = String::from(
        "| event | no. | what it says | always | where it means something |\n|---|---|---|---|---|\n",
    );
    for name in EventName::ALL {
        let Carries { always, sometimes } = name.carries();
        let calls = EventName::Ringing.carries().sometimes;
        let (mut sometimes, mut rest) = (sometimes.to_vec(), "");
        if calls.iter().all(|attribute| sometimes.contains(attribute) || always.contains(attribute)) {
            sometimes.retain(|attribute| !calls.contains(attribute));
            rest = "*what calls have*";
        }
        let (always, sometimes) = (codes(always.iter().copied()), codes(sometimes) + rest);
        let (text, number) = (name.as_str(), name.number());
        writeln!(table, "| `{text}` | {number} | {} | {always} | {sometimes} |", schema::summary(*name))
            .unwrap();
    }
    let calls = codes(EventName::Ringing.carries().sometimes.iter().copied());
    writeln!(table, "\n*What calls have*: {calls}.").unwrap();
    table
}

fn words() -> String {
    let mut table = String::from("| attribute | values |\n|---|---|\n");
    let definitions = schema::whole()["$defs"].as_object().unwrap().clone();
    let mut names: Vec<&String> = definitions.keys().collect();
    names.sort();
    for name in names {
        let Some(all) = definitions[name].get("oneOf").and_then(Json::as_array) else { continue };
        let words: Option<Vec<String>> = all
            .iter()
            .map(|one| {
                let description = one.get("description")?.as_str()?.trim_end_matches('.').replace('\n', " ");
                Some(format!("`{}`: {description}", one.get("const")?.as_str()?))
            })
            .collect();
        if let Some(words) = words {
            writeln!(table, "| `{name}` | {} |", words.join("<br>")).unwrap();
        }
    }
    table
}
