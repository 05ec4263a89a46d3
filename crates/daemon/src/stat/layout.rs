//! Which objects exist at which site, from the files that the servers read too. What is wrong in them is the servers'
//! to say (`tandem check`); here the keys that statistics need are read, and the rest is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use tandem_stat::{GroupLayout, Layout, PlaceLayout, QueueKind, QueueLayout, SiteLayout};

use crate::config::{ConfigError, StatConfig, expand};

/// Threshold of the service level where a queue names none, s; routing points have this one.
const SERVICE_LEVEL_S: u64 = 20;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

fn names(list: Option<&OneOrMany>) -> &[String] {
    list.map_or(&[], OneOrMany::names)
}

fn expanded(list: Option<&OneOrMany>) -> impl Iterator<Item = Arc<str>> {
    names(list).iter().flat_map(|text| expand(text).unwrap_or_default()).map(Arc::from)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Objects {
    extension: Vec<Numbered>,
    agent_login: Vec<Numbered>,
    place: Vec<PlaceTable>,
    agent_group: Vec<GroupTable>,
    acd_queue: Vec<QueueTable>,
    routing_point: Vec<Numbered>,
}

/// An Extension, an Agent Login or a Routing Point.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Numbered {
    #[serde(alias = "id")]
    number: Option<OneOrMany>,
    #[serde(alias = "ids")]
    numbers: Option<OneOrMany>,
    switches: Option<OneOrMany>,
    #[serde(default)]
    skills: BTreeMap<String, u32>,
}

impl Numbered {
    fn all(&self) -> impl Iterator<Item = Arc<str>> {
        expanded(self.number.as_ref()).chain(expanded(self.numbers.as_ref()))
    }
}

#[derive(Deserialize)]
struct PlaceTable {
    name: String,
    dns: OneOrMany,
}

#[derive(Deserialize)]
struct GroupTable {
    name: String,
    agents: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct QueueTable {
    number: String,
    switches: Option<OneOrMany>,
    agents: Option<OneOrMany>,
    agent_groups: Option<OneOrMany>,
    #[serde(default)]
    skills: BTreeMap<String, u32>,
    service_level: Option<u64>,
}

fn is_on(switches: Option<&OneOrMany>, switch: &str) -> bool {
    let named = names(switches);
    named.is_empty() || named.iter().any(|name| name == switch)
}

/// Everything that the configuration's files declare for the sites that the service looks at.
///
/// # Errors
/// A file that is not readable as what it should be.
pub fn read(config: &StatConfig) -> Result<Layout, ConfigError> {
    let mut all = Objects::default();
    for file in &config.files {
        let found: Objects = toml::from_str(&file.text)
            .map_err(|error| ConfigError::unreadable(&file.name, error.message()))?;
        all.extension.extend(found.extension);
        all.agent_login.extend(found.agent_login);
        all.place.extend(found.place);
        all.agent_group.extend(found.agent_group);
        all.acd_queue.extend(found.acd_queue);
        all.routing_point.extend(found.routing_point);
    }
    let sites = config.settings.sites.iter().map(|site| all.site(&site.switch)).collect();
    let places = all.place.iter().map(place).collect();
    let groups = all.agent_group.iter();
    let groups = groups.map(|group| GroupLayout {
        name: group.name.as_str().into(),
        agents: expanded(group.agents.as_ref()).collect(),
    });
    Ok(Layout { sites, places, groups: groups.collect(), utc_offset_min: config.settings.utc_offset_min })
}

fn place(table: &PlaceTable) -> PlaceLayout {
    let dns = table.dns.names().iter().filter_map(|dn| dn.split_once(':'));
    PlaceLayout {
        name: table.name.as_str().into(),
        dns: dns.map(|(switch, number)| (switch.into(), number.into())).collect(),
    }
}

impl Objects {
    /// Agents work at the Extensions in places; where there are no places of a switch, at all its Extensions.
    fn site(&self, switch: &str) -> SiteLayout {
        let in_places = self.place.iter().map(place).flat_map(|place| place.dns);
        let mut extensions: BTreeSet<Arc<str>> =
            in_places.filter(|(at, _)| &**at == switch).map(|(_, dn)| dn).collect();
        if extensions.is_empty() {
            let here = self.extension.iter().filter(|table| is_on(table.switches.as_ref(), switch));
            extensions.extend(here.flat_map(Numbered::all));
        }
        let logins: Vec<&Numbered> =
            self.agent_login.iter().filter(|table| is_on(table.switches.as_ref(), switch)).collect();
        let queues = self.acd_queue.iter().filter(|table| is_on(table.switches.as_ref(), switch));
        let points = self.routing_point.iter().filter(|table| is_on(table.switches.as_ref(), switch));
        let points = points.flat_map(Numbered::all).map(|number| {
            let service_level_ms = SERVICE_LEVEL_S * 1_000;
            let agents = BTreeSet::new();
            (number, QueueLayout { kind: QueueKind::RoutingPoint, agents, service_level_ms })
        });
        let queues = queues.map(|queue| (queue.number.as_str().into(), self.queue(queue, &logins)));
        SiteLayout {
            name: switch.into(),
            extensions,
            queues: queues.chain(points).collect(),
            agents: logins.iter().flat_map(|table| table.all()).collect(),
        }
    }

    /// Named agents and those of named groups, or everybody, who have the skills; nobody without any of the three.
    fn queue(&self, queue: &QueueTable, logins: &[&Numbered]) -> QueueLayout {
        let groups = names(queue.agent_groups.as_ref());
        let members = self.agent_group.iter().filter(|group| groups.contains(&group.name));
        let named: BTreeSet<Arc<str>> = members
            .flat_map(|group| expanded(group.agents.as_ref()))
            .chain(expanded(queue.agents.as_ref()))
            .collect();
        let nobody_named = named.is_empty();
        let able = |login: &Numbered| {
            queue.skills.iter().all(|(skill, least)| login.skills.get(skill).is_some_and(|has| has >= least))
        };
        let open = nobody_named && queue.skills.is_empty();
        let able = logins.iter().filter(|login| !open && able(login)).flat_map(|login| login.all());
        QueueLayout {
            kind: QueueKind::Queue,
            agents: able.filter(|agent| nobody_named || named.contains(agent)).collect(),
            service_level_ms: queue.service_level.unwrap_or(SERVICE_LEVEL_S) * 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, load_stat};

    const TEXT: &str = r#"
[stat]
[[stat.site]]
switch = "site-a"
url = "ws://127.0.0.1:1/cti"
user = "u"
password-env = "P"
[[stat.site]]
switch = "site-b"
url = "ws://127.0.0.1:2/cti"
user = "u"
password-env = "P"

[[extension]]
numbers = ["1001-1003", "reception"]
password = "x"
[[agent-login]]
ids = "agent01-agent03"
skills = { german = 5 }
[[agent-login]]
id = "agent09"
switches = ["site-b"]
[[place]]
name = "desk-1"
dns = ["site-a:1001", "site-b:1001"]
[[agent-group]]
name = "sales"
agents = ["agent01-agent02", "agent09"]
[[acd-queue]]
number = "7000"
agent-groups = ["sales"]
service-level = 30
overflow = "1003"
[[acd-queue]]
number = "7001"
switches = ["site-a"]
skills = { german = 3 }
[[acd-queue]]
number = "7002"
[[routing-point]]
number = "7900"
switches = ["site-b"]
"#;

    fn layout(text: &str) -> Layout {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat.toml");
        std::fs::write(&path, text).unwrap();
        read(&load_stat(&Origin::File(path)).unwrap()).unwrap()
    }

    fn list<'a>(names: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<&'a str> {
        names.into_iter().map(|name| &**name).collect()
    }

    #[test]
    fn each_site_has_what_is_declared_for_its_switch() {
        let layout = layout(TEXT);
        let [a, b] = layout.sites.as_slice() else { panic!() };
        assert_eq!(list(a.queues.keys()), ["7000", "7001", "7002"]);
        assert_eq!(list(b.queues.keys()), ["7000", "7002", "7900"]);
        assert_eq!(list(&a.extensions), ["1001"]);
        assert_eq!(list(layout.addresses(0)), ["7000", "7001", "7002", "1001"]);
        assert_eq!((a.agents.len(), b.agents.len()), (3, 4));
        assert_eq!(
            layout.places[0].dns,
            [("site-a".into(), "1001".into()), ("site-b".into(), "1001".into())]
        );
    }

    #[test]
    fn without_places_agents_may_be_at_every_extension() {
        let layout = layout(&TEXT.replace("[[place]]", "[[ignored]]"));
        assert_eq!(list(&layout.sites[0].extensions), ["1001", "1002", "1003", "reception"]);
    }

    #[test]
    fn a_queue_is_served_by_who_is_named_or_able() {
        let layout = layout(TEXT);
        let agents = |site: usize, queue: &str| list(&layout.sites[site].queues[queue].agents);
        assert_eq!(agents(0, "7000"), ["agent01", "agent02"]);
        assert_eq!(agents(1, "7000"), ["agent01", "agent02", "agent09"]);
        assert_eq!(agents(0, "7001"), ["agent01", "agent02", "agent03"]);
        assert!(agents(0, "7002").is_empty());
        assert_eq!(layout.sites[0].queues["7000"].service_level_ms, 30_000);
        assert_eq!(layout.sites[0].queues["7001"].service_level_ms, 20_000);
    }
}
