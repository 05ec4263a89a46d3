//! The contact-centre floor: Agent Logins, persons, places and groups ([`people`]), ACD Queues, Routing Points and the
//! conference mixer ([`dns`]). They are joined when all files are read; [`checks`] holds them against each other.

mod checks;
mod dns;
mod people;

use std::collections::BTreeSet;

use tandem_switch::directory::DialRule;
use tandem_switch::directory::floor::{
    AgentGroup, AgentLogin, Floor, Mixer, Person, Place, Port, Queue, RoutingPoint,
};

use super::application::AgentDefaults;
use super::extension::Dns;
use super::fault::At;
use super::reader::{Located, Reader, Section};
use super::target::Target;
use crate::limits::MAX_FLOOR_OBJECTS;

/// A DN or Agent Login of the floor: it may exist on some switches only.
pub struct OnSwitches<T> {
    object: T,
    switches: Vec<Box<str>>,
    targets: Vec<Target>,
    at: At,
}

/// A name that must be declared somewhere.
type Names = Vec<Located<String>>;

/// Objects of the floor as they were declared.
#[derive(Default)]
pub struct FloorObjects {
    logins: Vec<OnSwitches<AgentLogin>>,
    persons: Vec<(Located<Person>, Names, Option<Located<String>>)>,
    /// With where each of their DNs stands.
    places: Vec<(Located<Place>, Vec<At>)>,
    groups: Vec<(Located<AgentGroup>, Names)>,
    queues: Vec<(OnSwitches<Queue>, Names, Names)>,
    points: Vec<OnSwitches<RoutingPoint>>,
    mixer: Option<Mixer>,
}

/// What the floor stands in.
pub struct Around<'a> {
    /// This server's switch.
    pub switch: &'a str,
    /// Whether there is a peer site.
    pub has_peer: bool,
    /// Extensions and Call Processing Ports.
    pub dns: &'a Dns,
    /// The dial plan.
    pub dial_plan: &'a [DialRule],
}

impl FloorObjects {
    /// How the table is written that declares this number, if an ACD Queue or a Routing Point has it.
    pub fn kind_of(&self, number: &str) -> Option<&'static str> {
        if self.queues.iter().any(|(queue, ..)| *queue.object.number == *number) {
            return Some("[[acd-queue]]");
        }
        self.points.iter().any(|point| *point.object.number == *number).then_some("[[routing-point]]")
    }

    /// Reads the objects of one file.
    pub fn read(&mut self, reader: &Reader, root: &mut Section<'_>, untimed: u64) {
        for table in root.tables("agent-login", "[[agent-login]]") {
            self.logins.extend(people::logins(reader, table, untimed));
        }
        for table in root.tables("person", "[[person]]") {
            self.persons.extend(people::person(table));
        }
        for table in root.tables("place", "[[place]]") {
            self.places.extend(people::place(table));
        }
        for table in root.tables("agent-group", "[[agent-group]]") {
            self.groups.extend(people::group(table));
        }
        for table in root.tables("acd-queue", "[[acd-queue]]") {
            self.queues.extend(dns::queue(table));
        }
        for table in root.tables("routing-point", "[[routing-point]]") {
            self.points.extend(dns::routing_point(table));
        }
        if let Some(table) = root.table("conference", "[conference]") {
            let at = table.at();
            if self.mixer.is_some() {
                reader.fault(at, "[conference] stands in two files", "keep one: there is one mixer");
            }
            self.mixer = dns::mixer(table);
        }
        let most = [self.logins.len(), self.persons.len(), self.places.len(), self.groups.len()];
        let dns = [self.queues.len(), self.points.len()];
        if most.into_iter().chain(dns).any(|count| count > MAX_FLOOR_OBJECTS) {
            let hint = format!("at most {MAX_FLOOR_OBJECTS} of each kind");
            reader.fault(root.at(), "too many Agent Logins, persons, places, groups or queues", hint);
        }
    }

    /// Numbers that places name.
    pub fn numbers_in_places(&self) -> BTreeSet<&str> {
        self.places.iter().flat_map(|(place, _)| &place.value.dns).map(|(_, number)| &**number).collect()
    }

    /// Checks everything against everything, and joins what this server's switch has.
    pub fn join(self, reader: &Reader, around: &Around<'_>, defaults: AgentDefaults) -> Floor {
        checks::names(reader, &self);
        checks::places(reader, &self, around);
        checks::preferred_sites(reader, &self, around);
        checks::numbers(reader, &self, around);
        let mut targets = defaults.targets;
        targets.extend(around.dns.targets.iter().cloned());
        let logins = here(self.logins, around.switch, &mut targets);
        let routing_points = here(self.points, around.switch, &mut targets);
        let queues: Vec<_> = self.queues.into_iter().map(|(queue, ..)| queue).collect();
        let queues = here(queues, around.switch, &mut targets);
        let floor = Floor {
            options: defaults.options,
            logout_on_disconnect_grace: defaults.logout_on_disconnect_grace,
            logins,
            persons: self.persons.into_iter().map(|(person, ..)| person.value).collect(),
            places: self.places.into_iter().map(|(place, _)| place.value).collect(),
            groups: self.groups.into_iter().map(|(group, _)| group.value).collect(),
            queues,
            routing_points,
            ports: around.dns.ports.iter().map(|number| Port { number: number.clone() }).collect(),
            mixer: self.mixer,
        };
        checks::targets(reader, &targets, &floor, around);
        floor
    }
}

/// Those that exist on a switch; where their calls overflow to is added to `targets`.
fn here<T>(objects: Vec<OnSwitches<T>>, switch: &str, targets: &mut Vec<Target>) -> Vec<T> {
    let mut found = Vec::new();
    for object in objects.into_iter().filter(|object| object.is_on(switch)) {
        targets.extend(object.targets);
        found.push(object.object);
    }
    found
}

impl<T> OnSwitches<T> {
    fn is_on(&self, switch: &str) -> bool {
        self.switches.is_empty() || self.switches.iter().any(|name| **name == *switch)
    }
}
