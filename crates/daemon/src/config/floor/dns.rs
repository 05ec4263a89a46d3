//! `[[acd-queue]]`, `[[routing-point]]`, `[conference]`.

use std::sync::Arc;
use std::time::Duration;

use tandem_switch::directory::StaticContact;
use tandem_switch::directory::floor::{Distribution, Mixer, Queue, RoutingPoint, Treatment};
use tandem_switch::media::is_file_name;

use super::people::{agent_ids, names, skills};
use super::{Names, OnSwitches};
use crate::config::application::seconds;
use crate::config::extension::switches;
use crate::config::reader::{Located, Section};
use crate::config::target::Target;
use crate::config::{contact, numbers};
use crate::limits::{MAX_QUEUE_LENGTH, MAX_QUEUE_PRIORITY, MAX_QUEUE_WAIT_S, ROUTER_TIMEOUT_MAX_S};

/// A queue, its agents and its groups.
pub fn queue(mut table: Section<'_>) -> Option<(OnSwitches<Queue>, Names, Names)> {
    let at = table.at();
    let number = number(&mut table, "\"7000\"");
    let agents = agent_ids(&mut table, "agents");
    let groups = names(&mut table, "agent-groups", "the name of an [[agent-group]]");
    let skills = skills(&mut table);
    let mut targets = Vec::new();
    let overflow = target(&mut table, "overflow", &mut targets);
    let ids = |names: &Names| names.iter().map(|name| Arc::from(&*name.value)).collect();
    let queue = Queue {
        number: number.clone().map(|found| found.value.into()).unwrap_or_default(),
        agents: ids(&agents),
        groups: ids(&groups),
        skills,
        distribution: table
            .choice(
                "distribution",
                &[("longest-idle", Distribution::LongestIdle), ("highest-skill", Distribution::HighestSkill)],
            )
            .unwrap_or_default(),
        priority: table
            .integer("priority", 0..=MAX_QUEUE_PRIORITY)
            .and_then(|found| i32::try_from(found.value).ok())
            .unwrap_or(0),
        treatment: treatment(&mut table),
        max_length: table
            .integer("max-length", 0..=MAX_QUEUE_LENGTH)
            .and_then(|found| usize::try_from(found.value).ok())
            .unwrap_or(0),
        max_wait: seconds(&mut table, "max-wait", 0, MAX_QUEUE_WAIT_S).unwrap_or(Duration::ZERO),
        overflow_without_agents: table.boolean("overflow-without-agents").unwrap_or(false),
        overflow,
        service_level: seconds(&mut table, "service-level", 1, MAX_QUEUE_WAIT_S)
            .unwrap_or(Duration::from_secs(20)),
    };
    let switches = switches(&mut table);
    table.finish();
    number?;
    Some((OnSwitches { object: queue, switches, targets, at }, agents, groups))
}

/// A routing point.
pub fn routing_point(mut table: Section<'_>) -> Option<OnSwitches<RoutingPoint>> {
    let at = table.at();
    let number = number(&mut table, "\"7900\"");
    let mut targets = Vec::new();
    let default_dn = target(&mut table, "default-dn", &mut targets);
    let router_timeout = seconds(&mut table, "router-timeout", 1, ROUTER_TIMEOUT_MAX_S);
    let treatment = treatment(&mut table);
    let switches = switches(&mut table);
    table.finish();
    let point = RoutingPoint {
        number: number?.value.into(),
        default_dn,
        router_timeout: router_timeout.unwrap_or(Duration::from_secs(10)),
        treatment,
    };
    Some(OnSwitches { object: point, switches, targets, at })
}

/// The conference mixer.
pub fn mixer(mut table: Section<'_>) -> Option<Mixer> {
    let name = table.string("mixer");
    let name = table.required("mixer", name, "\"mixer\"");
    let expected = "a SIP URI such as \"sip:conf={conference}@192.0.2.40:5060\"";
    let contact = table.parsed("contact", expected, mixer_contact);
    let contact = table.required("contact", contact, "\"sip:conf={conference}@192.0.2.40:5060\"");
    table.finish();
    Some(Mixer { name: name?.value.into(), contact: contact?.value })
}

fn mixer_contact(text: &str) -> Result<StaticContact, String> {
    if !text.contains("{conference}") {
        return Err("lacks {conference}: every conference would be the same one".to_owned());
    }
    match contact::read(text)? {
        contact if contact.addr.is_some() => Ok(contact),
        _ => Err(format!("\"{text}\" names a host; the contact of the mixer needs an address")),
    }
}

fn number(table: &mut Section<'_>, example: &str) -> Option<Located<String>> {
    let number = table.parsed("number", "one number", numbers::one);
    table.required("number", number, example)
}

fn target(table: &mut Section<'_>, key: &'static str, targets: &mut Vec<Target>) -> Option<Arc<str>> {
    let found = table.parsed(key, "a number to send calls to", numbers::one)?;
    targets.push(Target { key, number: found.value.clone(), at: found.at });
    Some(found.value.into())
}

fn treatment(table: &mut Section<'_>) -> Treatment {
    let expected = "\"ringback\", \"queued\", \"music:FILE\" or \"announcement:FILE\"";
    let found = table.parsed("treatment", expected, |text| match (text, text.split_once(':')) {
        ("ringback", _) => Ok(Treatment::Ringback),
        ("queued", _) => Ok(Treatment::Queued),
        (_, Some(("music" | "announcement", file))) if !is_file_name(file) => {
            Err(format!("\"{file}\" is not one name of a file in the directory of [media]"))
        }
        (_, Some(("music", file))) => Ok(Treatment::Music(file.into())),
        (_, Some(("announcement", file))) => Ok(Treatment::Announcement(file.into())),
        (other, _) => Err(format!("\"{other}\" is not a value of it")),
    });
    found.map_or(Treatment::Ringback, |found| found.value)
}
