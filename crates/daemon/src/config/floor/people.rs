//! `[[agent-login]]`, `[[person]]`, `[[place]]`, `[[agent-group]]`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use argon2::{Params, PasswordHash};
use tandem_cti::Role;
use tandem_switch::directory::floor::{AgentGroup, AgentLogin, Password, Person, Place, Skills};

use super::{Names, OnSwitches};
use crate::config::agents::{self, Level};
use crate::config::extension::{one_or_many, switches};
use crate::config::fault::At;
use crate::config::numbers;
use crate::config::reader::{Located, Reader, Section};
use crate::limits::{MAX_HASH_ITERATIONS, MAX_HASH_MEMORY_KIB};

/// Levels of a skill.
pub const SKILL_LEVELS: RangeInclusive<u32> = 1..=1_000;

const ROLES: [(&str, Role); 4] = [
    ("agent", Role::Agent),
    ("routing-application", Role::RoutingApplication),
    ("supervisor", Role::Supervisor),
    ("administrator", Role::Administrator),
];

/// The Agent Logins of one table.
pub fn logins(reader: &Reader, mut table: Section<'_>, untimed: u64) -> Vec<OnSwitches<AgentLogin>> {
    let at = table.at();
    let ids = one_or_many(reader, &mut table, ("id", "ids"), "agent1");
    let password = table.string("password");
    let skills = skills(&mut table);
    let mut targets = Vec::new();
    let options = agents::read(&mut table, Level::Login, untimed, &mut targets);
    let switches = switches(&mut table);
    table.finish();
    let ids = ids.unwrap_or_default().into_iter();
    let ids = ids.flat_map(|range| range.value.into_iter().map(move |id| (id, range.at.clone())));
    let login = |(id, at): (String, _)| OnSwitches {
        object: AgentLogin {
            password: password.as_ref().map(|text| Password(text.value.replace("{id}", &id).into())),
            id: id.into(),
            skills: skills.clone(),
            options: options.clone(),
        },
        switches: switches.clone(),
        targets: Vec::new(),
        at,
    };
    let mut logins: Vec<_> = ids.map(login).collect();
    match logins.first_mut() {
        // Logins that are declared alike overflow alike: one of them is enough to have it checked.
        Some(first) => first.targets = targets,
        None if reader.is_clean() => reader.fault(at, "[[agent-login]] declares none", "name an `id`"),
        None => {}
    }
    logins
}

/// `skills`.
pub fn skills(table: &mut Section<'_>) -> Skills {
    let found = table.levels("skills", &SKILL_LEVELS).unwrap_or_default();
    found.into_iter().map(|(name, level)| (Arc::from(name), level.value)).collect::<BTreeMap<_, _>>()
}

/// A person, the Agent Logins that he names, and the switch that he prefers.
pub fn person(mut table: Section<'_>) -> Option<(Located<Person>, Names, Option<Located<String>>)> {
    let at = table.at();
    let user = table.string("user");
    let user = table.required("user", user, "\"jane\"");
    let hash = table.parsed("password-hash", "the output of `tandem hash-password`", phc);
    let hash = table.required("password-hash", hash, "the output of `tandem hash-password`");
    let role = table.choice("role", &ROLES);
    let role = table.required("role", role, "\"agent\"");
    let logins = names(&mut table, "agent-logins", "an Agent Login");
    let preferred_site = table.string("preferred-site");
    if let (Some(role), Some(first)) = (role, logins.first())
        && role != Role::Agent
    {
        let hint = "remove it, or write role = \"agent\"";
        table.fault(first.at.clone(), "`agent-logins` of a person who is no agent", hint);
    }
    table.finish();
    let person = Person {
        name: user?.value.into(),
        password_hash: Password(hash?.value.into()),
        role: role?,
        logins: logins.iter().map(|name| Arc::from(&*name.value)).collect(),
        preferred_site: preferred_site.as_ref().map(|site| Arc::from(&*site.value)),
    };
    Some((Located { value: person, at }, logins, preferred_site))
}

/// A list of names, each kept with its place.
pub fn names(table: &mut Section<'_>, key: &'static str, expected: &str) -> Names {
    table.list(key, expected, |name| Ok(name.to_owned())).unwrap_or_default()
}

/// An argon2id hash that can be checked in reasonable time and memory.
fn phc(text: &str) -> Result<String, String> {
    let hash = PasswordHash::new(text).map_err(|_| "is no password hash in the PHC format".to_owned())?;
    if hash.algorithm != argon2::ARGON2ID_IDENT || hash.hash.is_none() || hash.salt.is_none() {
        return Err("is no hash by argon2id".to_owned());
    }
    let params =
        Params::try_from(&hash).map_err(|_| "has parameters that argon2id does not take".to_owned())?;
    if params.m_cost() > MAX_HASH_MEMORY_KIB || params.t_cost() > MAX_HASH_ITERATIONS {
        return Err(format!(
            "costs more than m={MAX_HASH_MEMORY_KIB},t={MAX_HASH_ITERATIONS} for every login"
        ));
    }
    Ok(text.to_owned())
}

/// A place, and where each of its DNs stands.
pub fn place(mut table: Section<'_>) -> Option<(Located<Place>, Vec<At>)> {
    let at = table.at();
    let name = table.string("name");
    let name = table.required("name", name, "\"desk-1\"");
    let dns = table.list("dns", "a DN written \"switch:number\"", |text| {
        let (switch, number) =
            text.split_once(':').ok_or_else(|| format!("\"{text}\" is not switch:number"))?;
        let number = numbers::one(number)?;
        if switch.is_empty() { Err("names no switch".to_owned()) } else { Ok((switch.to_owned(), number)) }
    });
    let dns = table.required("dns", dns, "[\"site-a:1001\", \"site-b:1001\"]");
    table.finish();
    let dns = dns?;
    let places = dns.iter().map(|found| found.at.clone()).collect();
    let dns = dns.into_iter().map(|found| (found.value.0.into(), found.value.1.into())).collect();
    Some((Located { value: Place { name: name?.value.into(), dns }, at }, places))
}

/// A group, and the Agent Logins in it.
pub fn group(mut table: Section<'_>) -> Option<(Located<AgentGroup>, Names)> {
    let at = table.at();
    let name = table.string("name");
    let name = table.required("name", name, "\"support\"");
    let agents = agent_ids(&mut table, "agents");
    table.finish();
    let group = AgentGroup {
        name: name?.value.into(),
        agents: agents.iter().map(|id| Arc::from(&*id.value)).collect(),
    };
    Some((Located { value: group, at }, agents))
}

/// AgentIDs, ranges among them.
pub fn agent_ids(table: &mut Section<'_>, key: &'static str) -> Names {
    let found = table.list(key, "an AgentID, or a range such as \"agent01-agent20\"", numbers::expand);
    let each = |range: Located<Vec<String>>| {
        range.value.into_iter().map(move |id| Located { value: id, at: range.at.clone() })
    };
    found.unwrap_or_default().into_iter().flat_map(each).collect()
}
