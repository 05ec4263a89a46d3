//! What trunks and phones are told, and trunks are believed, of who calls.

use std::sync::Arc;

use tandem_switch::directory::{Asserted, Forwarding, PassHeaders, Presentation, TrunkIdentity};

use super::reader::{Reader, Section};
use crate::limits::MAX_HEADER_VALUE;

const ASSERTED: [(&str, Asserted); 4] = [
    ("none", Asserted::Nowhere),
    ("p-asserted-identity", Asserted::PAsserted),
    ("p-preferred-identity", Asserted::PPreferred),
    ("remote-party-id", Asserted::RemoteParty),
];

const FORWARDING: [(&str, Forwarding); 4] = [
    ("none", Forwarding::NONE),
    ("diversion", Forwarding { diversion: true, history_info: false }),
    ("history-info", Forwarding { diversion: false, history_info: true }),
    ("both", Forwarding::BOTH),
];

/// The options of one `[[trunk]]`.
pub fn read(reader: &Reader, table: &mut Section<'_>) -> TrunkIdentity {
    let usual = TrunkIdentity::usual(table.boolean("trusted").unwrap_or(false));
    TrunkIdentity {
        trusted: usual.trusted,
        asserted: table.choice("asserted-identity", &ASSERTED).unwrap_or(usual.asserted),
        cpn: cpn(table),
        restricted: restricted(table),
        forwarding: forwarding(table).unwrap_or(usual.forwarding),
        pass_headers: pass_headers(reader, table).unwrap_or(usual.pass_headers),
    }
}

/// How the Extensions of one table present themselves.
pub fn presentation(table: &mut Section<'_>) -> Presentation {
    Presentation {
        cpn: cpn(table),
        restricted: restricted(table),
        rejects_anonymous: table.boolean("reject-anonymous").unwrap_or(false),
    }
}

/// `forwarding-headers`.
pub fn forwarding(table: &mut Section<'_>) -> Option<Forwarding> {
    table.choice("forwarding-headers", &FORWARDING)
}

fn cpn(table: &mut Section<'_>) -> Option<Box<str>> {
    let found = table.parsed("cpn", "a number; {number} stands for the Extension's", |text| {
        let rest = text.replace("{number}", "");
        let fine = |c: char| c.is_ascii_alphanumeric() || "+*#._-".contains(c);
        if !text.is_empty() && text.len() <= 64 && rest.chars().all(fine) {
            Ok(Box::from(text))
        } else {
            Err(format!("\"{text}\" is not a number"))
        }
    });
    found.map(|found| found.value)
}

fn restricted(table: &mut Section<'_>) -> bool {
    table.choice("cpn-presentation", &[("allowed", false), ("restricted", true)]).unwrap_or(false)
}

fn pass_headers(reader: &Reader, table: &mut Section<'_>) -> Option<PassHeaders> {
    let names =
        table.list("pass-headers", "\"*\", or the name of a header such as \"X-Account\"", |name| {
            let fine = name == "*"
                || (name.len() <= MAX_HEADER_VALUE
                    && name.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("x-"))
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.!%*+`'~".contains(&byte)));
            if fine {
                Ok(Box::<str>::from(name))
            } else {
                Err(format!("\"{name}\" is not the name of a private header"))
            }
        })?;
    let all = names.iter().any(|name| *name.value == *"*");
    if let (true, Some(other)) = (all, names.iter().find(|name| *name.value != *"*")) {
        reader.fault(
            other.at.clone(),
            "`pass-headers` names \"*\" and others",
            "\"*\" is all of them: it stands alone",
        );
    }
    let names: Vec<Box<str>> = names.into_iter().map(|name| name.value).collect();
    Some(if all { PassHeaders::All } else { PassHeaders::Only(Arc::from(names)) })
}
