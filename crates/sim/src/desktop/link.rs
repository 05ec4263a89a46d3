//! Connections between desktops and sites: in order, with the network's delay, until they break.

use std::collections::BTreeMap;

use tandem_cti::{EventName, Malformed, Resumed, Role, Unreadable};
use tandem_switch::Input;
use tandem_switch::cti::{CtiInput, LinkId, Outgoing};

use super::{DeskId, Desktop};
use crate::net::Refusal;
use crate::oracle::Invariant;
use crate::sim::{Coming, Sim};
use crate::sites::SiteId;
use crate::time::{At, secs};

/// How long it takes to notice that the other end of a connection is silent: the keep-alive of the CTI edge.
const PATIENCE: std::time::Duration = secs(10);

/// The connection of the oracles' own client.
pub(crate) const OVERHEARING: u64 = u64::MAX;

/// One connection.
#[derive(Debug)]
pub struct Link {
    desk: DeskId,
    site: SiteId,
    incarnation: u32,
    /// Whether anything passes.
    up: bool,
    /// Nothing overtakes what was sent before, either way.
    to_site: At,
    to_desk: At,
}

/// Every connection.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<LinkId, Link>,
    next: u64,
}

impl Sim {
    /// A desktop opens a connection and its session.
    pub fn connect(&mut self, id: DeskId) {
        let now = self.now();
        let Some(desk) = self.desks.get(id.0).filter(|desk| desk.link.is_none()) else { return };
        let site = desk.site;
        let reachable = !self.net.is_cut(desk.addr, site.addr().ip())
            && self.sites.get(site.0).is_some_and(|site| site.node().is_some());
        if !reachable {
            self.note(&format!("{} cannot reach {}", self.desk_name(id), site.name()));
            return self.reconnect_later(id);
        }
        self.links.next += 1;
        let link = LinkId(self.links.next);
        let incarnation = self.sites.get(site.0).map_or(0, |site| site.incarnation);
        let fresh = Link { desk: id, site, incarnation, up: true, to_site: now, to_desk: now };
        self.links.links.insert(link, fresh);
        let Some(desk) = self.desks.get_mut(id.0) else { return };
        desk.link = Some(link);
        let resume = desk.session.as_deref().map(|session| (session.into(), desk.last));
        let (person, role) = (desk.person.clone(), desk.role);
        let open =
            CtiInput::Open { link, person, role, application: "desktop".into(), resume, reference_id: None };
        self.note(&format!("{} connects to {}", self.desk_name(id), site.name()));
        self.send_to_site(link, open);
    }

    fn reconnect_later(&mut self, id: DeskId) {
        if let Some(after) = self.desks.get(id.0).and_then(|desk| desk.reconnects) {
            self.at(after, move |sim| sim.connect(id));
        }
    }

    /// Sends a request as JSON; the answer has this reference.
    pub(super) fn send_request(&mut self, id: DeskId, reference: u32, json: &str) {
        let Some(link) = self.desks.get(id.0).and_then(|desk| desk.link) else { return };
        self.note(&format!("{} asks {json}", self.desk_name(id)));
        let input = match tandem_cti::decode(json) {
            Ok(request) => {
                if let Some(desk) = self.desks.get_mut(id.0) {
                    desk.asks(reference, &request);
                }
                if let Some(dn) = request.this_dn() {
                    self.excuse_calls_at(dn);
                }
                CtiInput::Request { link, request: Box::new(request) }
            }
            Err(Unreadable::Malformed(Malformed { reference_id, refusal })) => {
                if let Some(desk) = self.desks.get_mut(id.0) {
                    desk.asks_nonsense(reference);
                }
                CtiInput::Malformed { link, reference_id, refusal }
            }
            Err(Unreadable::Fatal(fatal)) => return self.note(&format!("no request: {fatal}")),
        };
        self.send_to_site(link, input);
    }

    /// What a desktop asks of a DN may end the calls that the DN has.
    fn excuse_calls_at(&mut self, dn: &str) {
        for device in self.uas.iter().filter(|ua| ua.profile.number == dn) {
            self.oracles.failed(device.profile.addr, "a desktop asked something of a party");
        }
    }

    fn send_to_site(&mut self, id: LinkId, input: CtiInput) {
        let (now, latency) = (self.now(), self.net.weather.latency);
        let Some(link) = self.links.links.get_mut(&id).filter(|link| link.up) else { return };
        link.to_site = link.to_site.max(now + latency);
        let at = link.to_site;
        self.come(at, Coming::CtiToSite { link: id, input });
    }

    /// A request, or the loss of the connection, arrives at the site.
    pub(crate) fn cti_arrives(&mut self, id: LinkId, input: CtiInput) {
        let now = self.now();
        let Some(link) = self.links.links.get(&id) else { return };
        let (site, closes) = (link.site, matches!(input, CtiInput::Closed { .. }));
        if !link.up && !closes {
            return;
        }
        let incarnation = link.incarnation;
        let Some(at) = self.sites.get_mut(site.0).filter(|at| at.incarnation == incarnation) else { return };
        if at.frozen {
            at.cti_inbox.push_back(input);
            return;
        }
        if at.node().is_none() {
            // A pair's server that rests for lack of a lease hears of it when it goes on.
            if at.speaks {
                at.cti_inbox.push_back(input);
            }
            return;
        }
        if let Some(at) = self.sites.get_mut(site.0) {
            at.handle(Input::Cti(input), now);
        }
        self.drain(site);
    }

    /// A site tells a client.
    pub(crate) fn cti_told(&mut self, site: SiteId, outgoing: Outgoing) {
        let (now, latency) = (self.now(), self.net.weather.latency);
        if outgoing.link.0 == OVERHEARING {
            let wall = self.sites.get(site.0).map_or(0, |at| at.clock(now).unix_ms);
            if !self.still_overhears(site, &outgoing) {
                return;
            }
            return self.oracles.floor(site).hears(&outgoing.event, wall, now);
        }
        let id = outgoing.link;
        let Some(link) = self.links.links.get_mut(&id) else { return };
        link.to_desk = link.to_desk.max(now + latency);
        let (at, up, desk) = (link.to_desk, link.up, link.desk);
        if let Some(desk) = self.desks.get(desk.0) {
            self.oracles.floor(site).told(&desk.person, desk.role, &outgoing.event, now);
        }
        if up {
            self.come(at, Coming::CtiToDesk(outgoing));
        }
    }

    /// A site closes a connection.
    pub(crate) fn cti_closed_by_site(&mut self, id: LinkId) {
        let (now, latency) = (self.now(), self.net.weather.latency);
        let Some(link) = self.links.links.get_mut(&id) else { return };
        let at = link.to_desk.max(now + latency);
        self.come(at, Coming::CtiLost(id));
    }

    /// An event arrives at its desktop.
    pub(crate) fn cti_heard(&mut self, outgoing: &Outgoing) {
        let now = self.now();
        let Some(link) = self.links.links.get(&outgoing.link).filter(|link| link.up) else { return };
        let id = link.desk;
        let Some(desk) = self.desks.get_mut(id.0).filter(|desk| desk.link == Some(outgoing.link)) else {
            return;
        };
        desk.hears(outgoing, now);
        let faults = std::mem::take(&mut desk.faults);
        let line = format!("{} hears {}", self.desk_name(id), brief(outgoing));
        self.note(&line);
        faults.into_iter().for_each(|fault| self.oracles.report(now, Invariant::ClientsHearAll, fault));
        self.roamer_hears(id, outgoing);
    }

    /// A desktop notices that its connection is gone.
    pub(crate) fn cti_lost(&mut self, id: LinkId) {
        let Some(link) = self.links.links.get_mut(&id) else { return };
        link.up = false;
        let desk_id = link.desk;
        let Some(desk) = self.desks.get_mut(desk_id.0).filter(|desk| desk.link == Some(id)) else { return };
        desk.link = None;
        self.note(&format!("{} has lost its connection", self.desk_name(desk_id)));
        self.reconnect_later(desk_id);
        self.roamer_lost(desk_id);
    }

    /// A connection breaks: nothing passes any more, and each end notices at once or by silence.
    pub fn break_link(&mut self, desk: DeskId, how: Refusal) {
        let Some(id) = self.desks.get(desk.0).and_then(|desk| desk.link) else { return };
        self.note(&format!("the connection of {} breaks ({how:?})", self.desk_name(desk)));
        self.breaks(id, how, true);
    }

    fn breaks(&mut self, id: LinkId, how: Refusal, site_notices: bool) {
        let now = self.now();
        let Some(link) = self.links.links.get_mut(&id).filter(|link| link.up) else { return };
        link.up = false;
        let after = if how == Refusal::Refused { self.net.weather.latency } else { PATIENCE };
        self.come(now + after, Coming::CtiLost(id));
        if site_notices {
            let input = CtiInput::Closed { link: id };
            self.come(now + after, Coming::CtiToSite { link: id, input });
        }
    }

    /// Every connection to a site whose process died breaks.
    pub(crate) fn cti_site_died(&mut self, site: SiteId, how: Refusal) {
        let up = self.links.links.iter().filter(|(_, link)| link.site == site && link.up);
        let ids: Vec<LinkId> = up.map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.breaks(id, how, false));
        self.oracles.floor(site).forget();
    }

    /// Connections to a server of a pair that does not serve any more break: all of them, or those that are not to the
    /// server that has just begun to serve.
    pub(crate) fn old_links_break(&mut self, site: SiteId, all: bool) {
        let incarnation = self.sites.get(site.0).map_or(0, |at| at.incarnation);
        let old = |link: &&Link| link.site == site && link.up && (all || link.incarnation < incarnation);
        let ids: Vec<LinkId> =
            self.links.links.iter().filter(|(_, link)| old(link)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.breaks(id, Refusal::Refused, false));
    }

    /// The oracles' own client follows its stream over a pair's servers, until it misses something.
    fn still_overhears(&mut self, site: SiteId, outgoing: &Outgoing) -> bool {
        let Some(at) = self.sites.get_mut(site.0).filter(|at| at.pair.is_some()) else { return true };
        let event = &outgoing.event;
        if event.event == EventName::LinkConnected {
            let missed = event.resumed == Some(Resumed::Gap);
            at.overhears = event.session.clone().map(|session| (session, outgoing.sequence));
            if missed && !std::mem::replace(&mut at.is_deaf, true) {
                self.note("the oracles' client has missed something");
                self.oracles.floor(site).forget();
            }
        } else if let Some((_, last)) = at.overhears.as_mut().filter(|_| outgoing.sequence != 0) {
            *last = outgoing.sequence;
        }
        self.sites.get(site.0).is_some_and(|at| !at.is_deaf)
    }

    /// A desktop's process dies, and its connection with it.
    pub fn crash_desktop(&mut self, id: DeskId) {
        self.break_link(id, Refusal::Refused);
        if let Some(desk) = self.desks.get_mut(id.0) {
            desk.crash();
        }
    }

    /// The oracles' own client listens to every DN of a site that has just started.
    pub(crate) fn overhear(&mut self, site: SiteId) {
        let now = self.now();
        if self.setup.floor.is_none() || !self.setup.overheard {
            return;
        }
        let link = LinkId(OVERHEARING);
        let Some(at) = self.sites.get_mut(site.0).filter(|at| at.node().is_some()) else { return };
        let resume = at.overhears.as_ref().map(|(session, last)| (session.as_str().into(), *last));
        let goes_on = resume.is_some();
        let directory = at.directory.clone();
        let extensions = directory.extensions().iter().map(|extension| extension.number.to_string());
        let floor = directory.floor();
        let queues = floor.queues.iter().map(|queue| queue.number.to_string());
        let points = floor.routing_points.iter().map(|point| point.number.to_string());
        let (person, application) = ("sue".into(), "oracle".into());
        let role = Role::Supervisor;
        let open = CtiInput::Open { link, person, role, application, resume, reference_id: None };
        at.handle(Input::Cti(open), now);
        if goes_on {
            return self.drain(site);
        }
        for dn in extensions.chain(queues).chain(points) {
            let json =
                format!(r#"{{"request":"TRegisterAddress","ThisDN":"{dn}","RegisterMode":"Monitor"}}"#);
            let Ok(request) = tandem_cti::decode(&json) else { continue };
            at.handle(Input::Cti(CtiInput::Request { link, request: Box::new(request) }), now);
        }
        self.drain(site);
    }

    fn desk_name(&self, id: DeskId) -> String {
        self.desks.get(id.0).map_or_else(String::new, |desk: &Desktop| format!("{}@{}", desk.person, id.0))
    }
}

fn brief(outgoing: &Outgoing) -> String {
    let event = &outgoing.event;
    let mut line = format!("#{} {}", outgoing.sequence, event.event.as_str());
    let parts = [
        ("dn", event.this_dn.clone()),
        ("conn", event.conn_id.clone()),
        ("prev", event.previous_conn_id.clone()),
        ("other", event.other_dn.clone()),
        ("third", event.third_party_dn.clone()),
        ("queue", event.this_queue.clone()),
        ("state", event.call_state.map(|state| format!("{state:?}"))),
        ("mode", event.work_mode.map(|mode| format!("{mode:?}"))),
        ("error", event.error_code.map(|code| code.to_string())),
        ("why", event.error_message.clone()),
        ("ref", outgoing.reference_id.map(|reference| reference.to_string())),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            line.push_str(&format!(" {name}={value}"));
        }
    }
    line
}
