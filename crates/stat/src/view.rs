//! What is shown of an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::count::{Counts, Tally, day_of};
use crate::layout::QueueKind;
use crate::model::Stat;
use crate::object::Object;
use crate::station::{Posture, Station};
use crate::status::Status;
use crate::wait::Waiting;

/// Counts of some time, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Mean wait of answered calls, ms.
    pub average_wait_ms: Option<u64>,
    /// Mean time of an answered call with its after-call work, ms.
    pub average_handle_ms: Option<u64>,
    /// Service level, 0 to 1.
    pub service_level: Option<f64>,
}

impl From<Counts> for Figures {
    fn from(counts: Counts) -> Self {
        Self {
            counts,
            average_wait_ms: counts.average_wait_ms(),
            average_handle_ms: counts.average_handle_ms(),
            service_level: counts.service_level(),
        }
    }
}

/// One object now. Times in states are given by their beginnings, so that a view changes only when something happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct View {
    /// Name, see [`Object`].
    pub object: String,
    /// `site`, `queue`, `routing-point`, `group`, `agent` or `place`.
    pub kind: &'static str,
    /// Status of an agent or place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Since when, ms since the Unix epoch; 0: since before the service looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_since_unix_ms: Option<u64>,
    /// The service is cut off from the site that the status comes from: it may be out of date.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// Site and DN that carry the login, or that the status comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Arc<str>>,
    /// See `site`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dn: Option<Arc<str>>,
    /// Whether that DN is in service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_service: Option<bool>,
    /// Who is logged in at a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Arc<str>>,
    /// Since when he is logged in, ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_since_unix_ms: Option<u64>,
    /// Work mode of NotReady.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_mode: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether a site's server is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Since when it is or is not, ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_since_unix_ms: Option<u64>,
    /// How many agents are in each status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<BTreeMap<&'static str, u64>>,
    /// Calls that wait now, with those that ring at an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// Those of them that are on their way to an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ringing: Option<u64>,
    /// Since when the longest waiting one waits, ms since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_waiting_since_unix_ms: Option<u64>,
    /// How long a call that came now would wait, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_wait_ms: Option<u64>,
    /// Threshold of the service level, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_level_ms: Option<u64>,
    /// Since local midnight.
    pub today: Figures,
    /// Of the running minute and the 14 before it.
    pub last_15_min: Figures,
    /// Of the running minute and the 59 before it.
    pub last_60_min: Figures,
    /// Since the first start.
    pub total: Figures,
}

/// A DN that a status may come from.
struct Desk<'a> {
    site: usize,
    dn: &'a Arc<str>,
    station: &'a Station,
}

impl Stat {
    /// Every object, in order.
    #[must_use]
    pub fn snapshot(&self, now_ms: u64) -> Vec<(Object, View)> {
        self.objects().filter_map(|object| self.view(&object, now_ms).map(|view| (object, view))).collect()
    }

    /// One object; `None` if there is none of that name.
    #[must_use]
    pub fn view(&self, object: &Object, now_ms: u64) -> Option<View> {
        let mut view = match object {
            Object::Agent(agent) => self.agent_view(agent)?,
            Object::Place(place) => self.place_view(place)?,
            Object::Group(group) => {
                let members = &self.layout.groups.iter().find(|known| known.name == *group)?.agents;
                View { agents: Some(self.by_state(members.iter(), None)), ..View::default() }
            }
            Object::Queue(site, number) => self.queue_view(self.site_no(site)?, number)?,
            Object::Site(site) => self.site_view(self.site_no(site)?)?,
        };
        view.object = object.to_string();
        if view.kind.is_empty() {
            view.kind = object.kind();
        }
        let none = Tally::default();
        let tally = self.tallies.get(object).unwrap_or(&none);
        view.today = tally.today(day_of(now_ms, self.layout.utc_offset_min)).into();
        view.last_15_min = tally.last(now_ms, 15).into();
        view.last_60_min = tally.last(now_ms, 60).into();
        view.total = tally.total.into();
        Some(view)
    }

    fn site_no(&self, name: &str) -> Option<usize> {
        self.layout.sites.iter().position(|site| &*site.name == name)
    }

    fn is_up(&self, site: usize) -> bool {
        self.sites.get(site).is_some_and(|site| site.up)
    }

    fn desk<'a>(&'a self, (site, dn): &'a (usize, Arc<str>)) -> Option<Desk<'a>> {
        let station = self.stations.get(&(*site, Arc::clone(dn)))?;
        Some(Desk { site: *site, dn, station })
    }

    /// Where an agent works: of several logins one that can be seen, then the latest.
    fn desk_of(&self, agent: &str) -> Option<Desk<'_>> {
        let desks = self.desks.get(agent)?.iter().filter_map(|desk| self.desk(desk));
        desks.max_by_key(|desk| self.precedence(desk))
    }

    /// A DN with a login comes before one without, one that can be seen before one that cannot, a later login before
    /// an earlier one; where nobody is logged in, the DN that does most.
    fn precedence(&self, desk: &Desk<'_>) -> (bool, bool, u64, Status) {
        let login = desk.station.login.as_ref();
        let since = login.map_or(0, |login| login.since_ms);
        (login.is_some(), self.is_up(desk.site), since, desk.station.status)
    }

    fn desk_view(&self, desk: &Desk<'_>) -> View {
        let login = desk.station.login.as_ref();
        View {
            status: Some(desk.station.status),
            status_since_unix_ms: Some(desk.station.status_since_ms),
            stale: !self.is_up(desk.site),
            site: Some(self.site_name(desk.site)),
            dn: Some(Arc::clone(desk.dn)),
            in_service: desk.station.in_service,
            agent: login.map(|login| Arc::clone(&login.agent)),
            login_since_unix_ms: login.map(|login| login.since_ms),
            work_mode: login.and_then(|login| match login.posture {
                Posture::NotReady(mode) => Some(mode.as_str()),
                Posture::Ready | Posture::AfterCallWork => None,
            }),
            reason: login.and_then(|login| login.reason.clone()),
            ..View::default()
        }
    }

    fn agent_view(&self, agent: &Arc<str>) -> Option<View> {
        if let Some(desk) = self.desk_of(agent) {
            return Some(View { agent: None, ..self.desk_view(&desk) });
        }
        let since = self.logged_out_ms.get(agent).copied();
        let configured = self.layout.sites.iter().any(|site| site.agents.contains(agent));
        (configured || since.is_some()).then(|| View {
            status: Some(Status::LoggedOut),
            status_since_unix_ms: Some(since.unwrap_or(0)),
            stale: self.sites.iter().any(|site| !site.up),
            ..View::default()
        })
    }

    fn place_view(&self, name: &str) -> Option<View> {
        let place = self.layout.places.iter().find(|place| &*place.name == name)?;
        let known = place.dns.iter().filter_map(|(site, dn)| Some((self.site_no(site)?, Arc::clone(dn))));
        let keys: Vec<(usize, Arc<str>)> = known.collect();
        let desks = keys.iter().filter_map(|key| self.desk(key));
        let logged_out = View { status: Some(Status::LoggedOut), ..View::default() };
        let governing = desks.max_by_key(|desk| self.precedence(desk));
        Some(governing.map_or(logged_out, |desk| self.desk_view(&desk)))
    }

    fn by_state<'a>(
        &'a self,
        agents: impl Iterator<Item = &'a Arc<str>>,
        site: Option<usize>,
    ) -> BTreeMap<&'static str, u64> {
        let mut states = BTreeMap::new();
        for agent in agents {
            let desk = self.desk_of(agent).filter(|desk| self.is_up(desk.site));
            let desk = desk.filter(|desk| site.is_none_or(|site| site == desk.site));
            let status = desk.map_or(Status::LoggedOut, |desk| desk.station.status);
            *states.entry(status.as_str()).or_default() += 1;
        }
        states
    }

    fn site_view(&self, site: usize) -> Option<View> {
        let (layout, state) = (self.layout.sites.get(site)?, self.sites.get(site)?);
        let here = self.desks.iter().filter(|(_, desks)| desks.iter().any(|(at, _)| *at == site));
        let agents = layout.agents.iter().chain(here.map(|(agent, _)| agent));
        let agents: std::collections::BTreeSet<&Arc<str>> = agents.collect();
        Some(View {
            connected: Some(state.up),
            connected_since_unix_ms: Some(state.link_since_ms),
            stale: !state.up,
            agents: Some(self.by_state(agents.into_iter(), Some(site))),
            ..self.waiting_view(site, None)
        })
    }

    fn waiting_view(&self, site: usize, number: Option<&str>) -> View {
        let (mut waiting, mut ringing, mut longest) = (0, 0, None::<u64>);
        for (_, entry) in self.waits.of_site(site) {
            if number.is_some_and(|number| *entry.queue != *number) {
                continue;
            }
            waiting += 1;
            ringing += u64::from(matches!(entry.state, Waiting::Offered(_)));
            longest = Some(longest.map_or(entry.since_ms, |since| since.min(entry.since_ms)));
        }
        View {
            waiting: Some(waiting),
            ringing: Some(ringing),
            longest_waiting_since_unix_ms: longest,
            ..View::default()
        }
    }

    fn queue_view(&self, site: usize, number: &Arc<str>) -> Option<View> {
        let queue = self.queue_layout(site, number)?;
        let named = self.stations.range((site, Arc::from(""))..).take_while(|((at, _), _)| *at == site);
        let named = named.filter_map(|(_, station)| station.login.as_ref());
        let named = named.filter(|login| login.queues.contains(number)).map(|login| &login.agent);
        let agents: std::collections::BTreeSet<&Arc<str>> = queue.agents.iter().chain(named).collect();
        let view = self.waiting_view(site, Some(number));
        let waiting = view.waiting.unwrap_or_default();
        let agents = self.by_state(agents.into_iter(), Some(site));
        Some(View {
            kind: match queue.kind {
                QueueKind::Queue => "queue",
                QueueKind::RoutingPoint => "routing-point",
            },
            site: Some(self.site_name(site)),
            stale: !self.is_up(site),
            estimated_wait_ms: self.estimate(site, number, waiting, &agents),
            agents: Some(agents),
            service_level_ms: Some(queue.service_level_ms),
            ..view
        })
    }

    /// No wait while an agent waits and no call does. Else everybody ahead, and the call itself, takes an agent for as
    /// long as the last calls took on average, shared by the agents who work for the queue.
    fn estimate(
        &self,
        site: usize,
        number: &Arc<str>,
        waiting: u64,
        agents: &BTreeMap<&'static str, u64>,
    ) -> Option<u64> {
        let free = agents.get(Status::WaitForNextCall.as_str()).copied().unwrap_or_default();
        if free > waiting {
            return Some(0);
        }
        let serving = Status::ALL.iter().filter(|status| status.serves());
        let serving: u64 = serving.filter_map(|status| agents.get(status.as_str())).sum();
        let [queue, _] = self.queue_objects(site, number);
        let average = self.tallies.get(&queue)?.recent_talk_ms()?;
        (waiting + 1).saturating_mul(average).checked_div(serving)
    }
}
