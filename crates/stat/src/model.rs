//! The model: takes events, gives views, rows and facts. The rules stand in the files beside it: [`crate::agents`],
//! [`crate::calls`], [`crate::snapshot`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tandem_cti::{Event, EventName, Resumed};

use crate::count::{Delta, Tally, day_of};
use crate::fact::{Fact, FactKey, Stored};
use crate::layout::{Layout, QueueLayout};
use crate::limits::{MAX_AGENTS, MAX_OBJECTS};
use crate::object::Object;
use crate::row::Row;
use crate::station::{Conn, Station};
use crate::stream::{Place, Position, Stream};
use crate::wait::Waits;

/// An event that is further in the past than this compared with the one before it shows that the site's clock was set
/// back; one that is less is taken to have happened at the same moment.
const CLOCK_SET_BACK_MS: u64 = 60_000;

/// What an event was to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It counts.
    Taken,
    /// It was heard before and does not count again.
    Again,
    /// Events before it are missing: the connection has to be opened anew from the position.
    Missing {
        /// Number that was expected.
        expected: u64,
    },
    /// There is no such site.
    UnknownSite,
}

/// One site, as far as it is seen.
#[derive(Debug, Default)]
pub(crate) struct Site {
    pub up: bool,
    pub link_since_ms: u64,
    /// Time of its last event.
    pub heard_ms: u64,
    pub stream: Stream,
}

/// Which objects a name belongs to.
#[derive(Debug, Default)]
struct Index {
    place_of: BTreeMap<(usize, Arc<str>), Object>,
    groups_of: BTreeMap<Arc<str>, Vec<Object>>,
    queues_of: BTreeMap<Arc<str>, Vec<Object>>,
}

/// Statistics of all sites.
#[derive(Debug)]
pub struct Stat {
    pub(crate) layout: Layout,
    index: Index,
    pub(crate) sites: Vec<Site>,
    pub(crate) stations: BTreeMap<(usize, Arc<str>), Station>,
    /// DNs at which each agent is logged in.
    pub(crate) desks: BTreeMap<Arc<str>, BTreeSet<(usize, Arc<str>)>>,
    pub(crate) logged_out_ms: BTreeMap<Arc<str>, u64>,
    pub(crate) waits: Waits,
    /// How many calls that came to a DN have each ConnID.
    pub(crate) incoming: BTreeMap<(usize, Conn), usize>,
    pub(crate) tallies: BTreeMap<Object, Tally>,
    untracked: u64,
    stale_facts: BTreeSet<FactKey>,
    changed: BTreeSet<Object>,
    rows: VecDeque<Row>,
    minute: u64,
}

impl Stat {
    /// A model that knows what exists and nothing of what goes on.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let mut index = Index::default();
        for place in &layout.places {
            for (site, dn) in &place.dns {
                if let Some(site) = layout.sites.iter().position(|known| known.name == *site) {
                    index.place_of.insert((site, Arc::clone(dn)), Object::Place(Arc::clone(&place.name)));
                }
            }
        }
        for group in &layout.groups {
            for agent in &group.agents {
                let groups = index.groups_of.entry(Arc::clone(agent)).or_default();
                groups.push(Object::Group(Arc::clone(&group.name)));
            }
        }
        for site in &layout.sites {
            for (number, queue) in &site.queues {
                for agent in &queue.agents {
                    let queues = index.queues_of.entry(Arc::clone(agent)).or_default();
                    queues.push(Object::Queue(Arc::clone(&site.name), Arc::clone(number)));
                }
            }
        }
        let sites = layout.sites.iter().map(|_| Site::default()).collect();
        let mut stat = Self {
            layout,
            index,
            sites,
            stations: BTreeMap::new(),
            desks: BTreeMap::new(),
            logged_out_ms: BTreeMap::new(),
            waits: Waits::default(),
            incoming: BTreeMap::new(),
            tallies: BTreeMap::new(),
            untracked: 0,
            stale_facts: BTreeSet::new(),
            changed: BTreeSet::new(),
            rows: VecDeque::new(),
            minute: 0,
        };
        stat.changed = stat.objects().collect();
        stat
    }

    /// What exists.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Takes an event of a site.
    pub fn event(&mut self, site: usize, event: &Event) -> Heard {
        let Some(state) = self.sites.get_mut(site) else { return Heard::UnknownSite };
        if event.event == EventName::LinkConnected {
            let resumed = event.resumed.unwrap_or(Resumed::New);
            state.stream.opened(event.session.as_deref(), resumed, event.sequence);
            return Heard::Taken;
        }
        match event.sequence.map(|sequence| state.stream.take(sequence)) {
            Some(Place::Again) => return Heard::Again,
            Some(Place::Missing(expected)) => return Heard::Missing { expected },
            Some(Place::Next) | None => {}
        }
        let before_ms = state.heard_ms;
        let set_back = event.time.saturating_add(CLOCK_SET_BACK_MS) < before_ms;
        let time_ms = if set_back { event.time } else { event.time.max(before_ms) };
        state.heard_ms = time_ms;
        self.stale_facts.insert(FactKey::Heard(site));
        self.tell(site, event, time_ms);
        if time_ms / 1_000 != before_ms / 1_000 {
            self.settle(site, time_ms);
        }
        Heard::Taken
    }

    fn tell(&mut self, site: usize, event: &Event, time_ms: u64) {
        let Some(known) = self.layout.sites.get(site) else { return };
        let Some(dn) = event.this_dn.as_deref() else { return };
        if let Some((number, _)) = known.queues.get_key_value(dn) {
            let number = Arc::clone(number);
            self.queue_event(site, &number, event, time_ms);
        } else if let Some(dn) = known.extensions.get(dn) {
            let dn = Arc::clone(dn);
            self.station_event(site, &dn, event, time_ms);
        }
    }

    /// The connection to a site's server came up or broke.
    pub fn link(&mut self, site: usize, up: bool, unix_ms: u64) {
        let Some(state) = self.sites.get_mut(site) else { return };
        if state.up != up {
            (state.up, state.link_since_ms) = (up, unix_ms);
            self.changed.extend(self.objects());
        }
    }

    /// Lets time pass: what leaves a window changes its objects.
    pub fn tick(&mut self, now_ms: u64) {
        if now_ms / 60_000 != self.minute {
            self.minute = now_ms / 60_000;
            let fading = self.tallies.iter().filter(|(_, tally)| tally.fades());
            self.changed.extend(fading.map(|(object, _)| object.clone()));
        }
    }

    /// Where a site's stream is continued after what was taken so far.
    #[must_use]
    pub fn position(&self, site: usize) -> Option<Position> {
        self.sites.get(site)?.stream.position()
    }

    /// Goes on at a stored position.
    pub fn restore_position(&mut self, site: &str, position: Position) {
        let at = self.layout.sites.iter().position(|known| &*known.name == site);
        if let Some(state) = at.and_then(|site| self.sites.get_mut(site)) {
            state.stream.restore(position);
        }
    }

    /// The next row of history, the oldest first.
    pub fn poll_row(&mut self) -> Option<Row> {
        self.rows.pop_front()
    }

    /// Objects that have changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<Object> {
        std::mem::take(&mut self.changed)
    }

    /// Things that happened and are counted nowhere, because a table is full.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// Facts that have changed since the last call.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        let keys = std::mem::take(&mut self.stale_facts);
        keys.into_iter().filter_map(|key| self.fact(&key)).collect()
    }

    fn fact(&self, key: &FactKey) -> Option<Fact> {
        let site_name = |site: usize| self.layout.sites.get(site).map(|site| Arc::clone(&site.name));
        let (key, stored) = match key {
            FactKey::Station(at, dn) => {
                let site = site_name(*at)?;
                let station = self.stations.get(&(*at, Arc::clone(dn))).filter(|found| !found.is_bare());
                let stored = |station: &Station| Stored::Station {
                    site: Arc::clone(&site),
                    dn: Arc::clone(dn),
                    station: station.clone(),
                };
                (format!("dn:{site}:{dn}"), station.map(stored))
            }
            FactKey::Wait(at, conn) => {
                let site = site_name(*at)?;
                let entry = self.waits.get(*at, *conn).cloned();
                let stored = |entry| Stored::Wait { site: Arc::clone(&site), conn: *conn, entry };
                (format!("wait:{site}:{conn:016x}"), entry.map(stored))
            }
            FactKey::Tally(object) => {
                let tally = self.tallies.get(object)?.clone();
                (format!("tally:{object}"), Some(Stored::Tally { object: object.to_string(), tally }))
            }
            FactKey::Heard(at) => {
                let (site, unix_ms) = (site_name(*at)?, self.sites.get(*at)?.heard_ms);
                (format!("heard:{site}"), Some(Stored::Heard { site, unix_ms }))
            }
            FactKey::LoggedOut(agent) => {
                let unix_ms = *self.logged_out_ms.get(agent)?;
                let agent = Arc::clone(agent);
                (format!("logged-out:{agent}"), Some(Stored::LoggedOut { agent, unix_ms }))
            }
        };
        let value = stored.and_then(|stored| serde_json::to_string(&stored).ok());
        Some(Fact { key, value })
    }

    /// Takes a stored fact; false if it cannot be read or speaks of what is no longer configured.
    pub fn restore(&mut self, value: &str) -> bool {
        let Ok(stored) = serde_json::from_str(value) else { return false };
        let site_no = |name: &str| self.layout.sites.iter().position(|site| &*site.name == name);
        match stored {
            Stored::Station { site, dn, station } => {
                let Some(at) = site_no(&site) else { return false };
                if !self.layout.sites.get(at).is_some_and(|site| site.extensions.contains(&dn)) {
                    return false;
                }
                if let Some(login) = &station.login {
                    self.desks.entry(Arc::clone(&login.agent)).or_default().insert((at, Arc::clone(&dn)));
                }
                for (conn, _) in station.legs.iter().filter(|(_, leg)| leg.incoming) {
                    *self.incoming.entry((at, *conn)).or_default() += 1;
                }
                self.stations.insert((at, dn), station);
                true
            }
            Stored::Wait { site, conn, entry } => {
                let Some(at) = site_no(&site) else { return false };
                self.queue_layout(at, &entry.queue).is_some() && self.waits.enter(at, conn, entry)
            }
            Stored::Tally { object, tally } => {
                let Ok(object) = object.parse() else { return false };
                self.tallies.insert(object, tally);
                true
            }
            Stored::Heard { site, unix_ms } => {
                let state = site_no(&site).and_then(|at| self.sites.get_mut(at));
                state.map(|state| state.heard_ms = unix_ms).is_some()
            }
            Stored::LoggedOut { agent, unix_ms } => {
                self.logged_out_ms.insert(agent, unix_ms);
                true
            }
        }
    }

    /// Every object that has a view.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Object> + use<> {
        let mut all = BTreeSet::new();
        for site in &self.layout.sites {
            all.insert(Object::Site(Arc::clone(&site.name)));
            let queue = |number| Object::Queue(Arc::clone(&site.name), Arc::clone(number));
            all.extend(site.queues.keys().map(queue));
            all.extend(site.agents.iter().map(|agent| Object::Agent(Arc::clone(agent))));
        }
        all.extend(self.layout.groups.iter().map(|group| Object::Group(Arc::clone(&group.name))));
        all.extend(self.layout.places.iter().map(|place| Object::Place(Arc::clone(&place.name))));
        all.extend(self.desks.keys().map(|agent| Object::Agent(Arc::clone(agent))));
        all.extend(self.logged_out_ms.keys().map(|agent| Object::Agent(Arc::clone(agent))));
        all.into_iter()
    }

    pub(crate) fn queue_layout(&self, site: usize, number: &str) -> Option<&QueueLayout> {
        self.layout.sites.get(site)?.queues.get(number)
    }

    pub(crate) fn site_name(&self, site: usize) -> Arc<str> {
        self.layout.sites.get(site).map(|site| Arc::clone(&site.name)).unwrap_or_default()
    }

    /// The objects that count what happens at a queue.
    pub(crate) fn queue_objects(&self, site: usize, number: &Arc<str>) -> [Object; 2] {
        let name = self.site_name(site);
        [Object::Queue(Arc::clone(&name), Arc::clone(number)), Object::Site(name)]
    }

    /// The objects that count what an agent does at a DN.
    pub(crate) fn desk_objects(&self, site: usize, dn: &Arc<str>, agent: Option<&Arc<str>>) -> Vec<Object> {
        let mut objects: Vec<Object> = self.place_of(site, dn).into_iter().collect();
        if let Some(agent) = agent {
            objects.push(Object::Agent(Arc::clone(agent)));
            objects.extend(self.index.groups_of.get(agent).into_iter().flatten().cloned());
        }
        objects
    }

    pub(crate) fn place_of(&self, site: usize, dn: &Arc<str>) -> Option<Object> {
        self.index.place_of.get(&(site, Arc::clone(dn))).cloned()
    }

    pub(crate) fn count(&mut self, objects: impl IntoIterator<Item = Object>, at_ms: u64, delta: Delta) {
        let day_no = day_of(at_ms, self.layout.utc_offset_min);
        for object in objects {
            if self.tallies.len() >= MAX_OBJECTS && !self.tallies.contains_key(&object) {
                self.lose();
                continue;
            }
            self.stale_facts.insert(FactKey::Tally(object.clone()));
            self.changed.insert(object.clone());
            self.tallies.entry(object).or_default().add(at_ms, day_no, delta);
        }
    }

    pub(crate) fn push_row(&mut self, row: Row) {
        self.rows.push_back(row);
    }

    pub(crate) fn lose(&mut self) {
        self.untracked += 1;
    }

    pub(crate) fn touch_wait(&mut self, site: usize, conn: Conn, queue: &Arc<str>) {
        self.stale_facts.insert(FactKey::Wait(site, conn));
        self.changed.extend(self.queue_objects(site, queue));
    }

    /// Takes a DN out to change it; [`Self::put`] brings it back.
    pub(crate) fn take(&mut self, site: usize, dn: &Arc<str>) -> Station {
        self.stations.remove(&(site, Arc::clone(dn))).unwrap_or_default()
    }

    pub(crate) fn put(&mut self, site: usize, dn: &Arc<str>, mut station: Station, time_ms: u64) {
        station.restate(time_ms);
        let agent = station.login.as_ref().map(|login| Arc::clone(&login.agent));
        self.changed.extend(self.desk_objects(site, dn, agent.as_ref()));
        self.changed.insert(Object::Site(self.site_name(site)));
        if let Some(agent) = &agent {
            self.touch_queues_of(agent);
            let named = station.login.iter().flat_map(|login| &login.queues);
            let named: Vec<Object> = named.flat_map(|queue| self.queue_objects(site, queue)).collect();
            self.changed.extend(named);
        }
        self.stale_facts.insert(FactKey::Station(site, Arc::clone(dn)));
        self.stations.insert((site, Arc::clone(dn)), station);
    }

    fn touch_queues_of(&mut self, agent: &Arc<str>) {
        self.changed.extend(self.index.queues_of.get(agent).into_iter().flatten().cloned());
    }

    /// An agent sits down at a DN, or gets up.
    pub(crate) fn seat(&mut self, site: usize, dn: &Arc<str>, agent: &Arc<str>, at_ms: u64, sits: bool) {
        let desk = (site, Arc::clone(dn));
        if sits {
            self.desks.entry(Arc::clone(agent)).or_default().insert(desk);
        } else {
            if let Some(desks) = self.desks.get_mut(agent) {
                desks.remove(&desk);
                if desks.is_empty() {
                    self.desks.remove(agent);
                }
            }
            if self.logged_out_ms.len() < MAX_AGENTS || self.logged_out_ms.contains_key(agent) {
                self.logged_out_ms.insert(Arc::clone(agent), at_ms);
                self.stale_facts.insert(FactKey::LoggedOut(Arc::clone(agent)));
            } else {
                self.lose();
            }
        }
        let touched = self.desk_objects(site, dn, Some(agent));
        self.changed.extend(touched);
        self.touch_queues_of(agent);
    }
}
