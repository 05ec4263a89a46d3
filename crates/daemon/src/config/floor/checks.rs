//! The parts of the floor held against each other: every name must be declared, every number must lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use tandem_switch::directory::floor::{AgentLogin, Floor};

use super::{Around, FloorObjects, Names, OnSwitches};
use crate::config::closest::closest;
use crate::config::extension::Kind;
use crate::config::fault::At;
use crate::config::reader::Reader;
use crate::config::target::Target;

/// Names that are declared twice, or not at all.
pub fn names(reader: &Reader, floor: &FloorObjects) {
    let persons = || floor.persons.iter();
    unique(reader, "person", persons().map(|(person, ..)| (&*person.value.name, &person.at)));
    unique(reader, "place", floor.places.iter().map(|(place, _)| (&*place.value.name, &place.at)));
    unique(reader, "agent-group", floor.groups.iter().map(|(group, _)| (&*group.value.name, &group.at)));
    logins_once(reader, &floor.logins);
    let logins: BTreeSet<&str> = floor.logins.iter().map(|login| &*login.object.id).collect();
    let groups: BTreeSet<&str> = floor.groups.iter().map(|(group, _)| &*group.value.name).collect();
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (person, names, _) in persons() {
        known(reader, ("agent-logins", "Agent Login"), names, &logins);
        for name in names {
            if let Some(owner) = owners.insert(&name.value, &person.value.name)
                && *owner != *person.value.name
            {
                let text = format!("the Agent Login \"{}\" belongs to \"{owner}\" already", name.value);
                reader.fault(name.at.clone(), text, "one person owns it");
            }
        }
    }
    for (_, names) in &floor.groups {
        known(reader, ("agents", "Agent Login"), names, &logins);
    }
    for (_, agents, of_groups) in &floor.queues {
        known(reader, ("agents", "Agent Login"), agents, &logins);
        known(reader, ("agent-groups", "agent group"), of_groups, &groups);
    }
}

fn unique<'a>(reader: &Reader, kind: &str, names: impl Iterator<Item = (&'a str, &'a At)>) {
    let mut seen = BTreeSet::new();
    for (name, at) in names {
        if !seen.insert(name) {
            let text = format!("[[{kind}]] \"{name}\" is declared twice");
            reader.fault(at.clone(), text, "give it another name or remove one");
        }
    }
}

/// An Agent Login may be declared once for each switch.
fn logins_once(reader: &Reader, logins: &[OnSwitches<AgentLogin>]) {
    let mut seen: BTreeMap<&str, Vec<&OnSwitches<AgentLogin>>> = BTreeMap::new();
    for login in logins {
        let id = &*login.object.id;
        let others = seen.entry(id).or_default();
        let overlaps = |other: &&OnSwitches<AgentLogin>| {
            login.switches.is_empty() || login.switches.iter().any(|name| other.is_on(name))
        };
        if others.iter().any(|other| other.switches.is_empty() || overlaps(other)) {
            let text = format!("the Agent Login {id} is declared twice for one switch");
            reader.fault(login.at.clone(), text, "each AgentID may stand in one [[agent-login]]");
        }
        others.push(login);
    }
}

fn known(reader: &Reader, (key, noun): (&str, &str), names: &Names, declared: &BTreeSet<&str>) {
    let mut blamed = BTreeSet::new();
    for name in names.iter().filter(|name| !declared.contains(&*name.value)) {
        // A range of unknown names is one mistake.
        if blamed.insert(name.at.span.start) {
            let hint = match closest(&name.value, declared.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("declare it with [[{}]]", noun.to_lowercase().replace(' ', "-")),
            };
            let text = format!("`{key}` names the {noun} \"{}\", which is not there", name.value);
            reader.fault(name.at.clone(), text, hint);
        }
    }
}

/// A place holds Extensions; with two sites it holds one at each.
pub fn places(reader: &Reader, floor: &FloorObjects, around: &Around<'_>) {
    for (place, stand) in &floor.places {
        let name = &place.value.name;
        for ((switch, number), at) in place.value.dns.iter().zip(stand) {
            if let Some(kind) = no_extension(floor, switch, number, around) {
                let text = format!("`dns` of the place \"{name}\" names {switch}:{number}, {kind}");
                let hint = "agents work at Extensions only; declare it with [[extension]], in a file that both sites include";
                reader.fault(at.clone(), text, hint);
            }
        }
        let switches: BTreeSet<&str> = place.value.dns.iter().map(|(switch, _)| &**switch).collect();
        let at = || stand.last().unwrap_or(&place.at).clone();
        if switches.len() < place.value.dns.len() {
            let text = format!("`dns` of the place \"{name}\" names two DNs at one switch");
            reader.fault(at(), text, "an agent works at one Extension of a switch");
        }
        if around.has_peer && switches.len() < 2 {
            let missing = around.dns.switches.iter().find(|switch| !switches.contains(&***switch));
            let missing = missing.map_or("the peer's switch", |switch| &**switch);
            let text = format!("`dns` of the place \"{name}\" names no Extension at {missing}");
            let hint = "with two sites a place needs the preferred and the peer Extension: name both";
            reader.fault(at(), text, hint);
        }
    }
}

/// A preferred site is a switch of which some Extension or place is known.
pub fn preferred_sites(reader: &Reader, floor: &FloorObjects, around: &Around<'_>) {
    let in_places = floor.places.iter().flat_map(|(place, _)| &place.value.dns).map(|(switch, _)| &**switch);
    let mut switches: BTreeSet<&str> = in_places.chain([around.switch]).collect();
    switches.extend(around.dns.switches.iter().map(|switch| &**switch));
    for site in floor.persons.iter().filter_map(|(.., site)| site.as_ref()) {
        if !switches.contains(&*site.value) {
            let hint = match closest(&site.value, switches.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => {
                    format!("known switches: {}", switches.iter().copied().collect::<Vec<_>>().join(", "))
                }
            };
            let text =
                format!("`preferred-site` names the switch \"{}\", which is not known here", site.value);
            reader.fault(site.at.clone(), text, hint);
        }
    }
}

/// What a number is that is no Extension; `None` for one that is.
fn no_extension(
    floor: &FloorObjects,
    switch: &str,
    number: &str,
    around: &Around<'_>,
) -> Option<&'static str> {
    let here = switch == around.switch;
    match around.dns.kinds.get(number).filter(|_| here) {
        Some(Kind::Extension) => None,
        Some(Kind::Port) => Some("a Call Processing Port"),
        None if !here && around.dns.declares(switch, number) => None,
        None => Some(match floor.kind_of(number) {
            Some("[[acd-queue]]") => "an ACD Queue",
            Some(_) => "a Routing Point",
            None => "which is no Extension",
        }),
    }
}

/// Queues and routing points share one number space with the Extensions of their switch.
pub fn numbers(reader: &Reader, floor: &FloorObjects, around: &Around<'_>) {
    let queues =
        floor.queues.iter().map(|(queue, ..)| (&*queue.object.number, &queue.at, queue.is_on(around.switch)));
    let points =
        floor.points.iter().map(|point| (&*point.object.number, &point.at, point.is_on(around.switch)));
    let mut seen = BTreeSet::new();
    for (number, at, _) in queues.chain(points).filter(|(.., here)| *here) {
        if !seen.insert(number) || around.dns.kinds.contains_key(number) {
            let text = format!("DN {number} is declared twice for the switch \"{}\"", around.switch);
            reader.fault(at.clone(), text, "Extensions, queues and Routing Points share one number space");
        }
    }
}

/// Whether every number that calls are sent to leads somewhere.
pub fn targets(reader: &Reader, targets: &[Target], floor: &Floor, around: &Around<'_>) {
    let dns: BTreeSet<&str> = floor
        .queues
        .iter()
        .map(|queue| &*queue.number)
        .chain(floor.routing_points.iter().map(|point| &*point.number))
        .collect();
    for target in targets {
        let (number, key) = (&*target.number, target.key);
        let known = dns.contains(number) || around.dns.kinds.contains_key(number);
        if !known && !around.dial_plan.iter().any(|rule| number.starts_with(&*rule.prefix)) {
            let text = format!("`{key}` names {number}, which leads nowhere");
            let hint = "name a DN of this switch, or a number that [[dial-plan]] sends to a trunk";
            reader.fault(target.at.clone(), text, hint);
        }
    }
    let queues = floor.queues.iter().map(|queue| (&queue.number, &queue.overflow, "overflow", "queue"));
    let points = floor.routing_points.iter();
    let points = points.map(|point| (&point.number, &point.default_dn, "default-dn", "Routing Point"));
    for (number, to, key, what) in queues.chain(points).filter(|(number, to, ..)| to.as_ref() == Some(number))
    {
        let at = targets.iter().find(|t| t.key == key && Some(&*t.number) == to.as_deref());
        let at = at.map_or(At { file: 0, span: 0..0 }, |target| target.at.clone());
        let text = format!("`{key}` of the {what} {number} is the {what} itself");
        reader.fault(at, text, "name another DN");
    }
}
