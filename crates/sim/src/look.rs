//! What a scenario may ask a server: its own views, nothing else.

use tandem_switch::view::{Agent, Call, Drain, Migration, Queue, Status, Why};
use tandem_switch::{Cdr, Event};

use crate::sim::{Sim, UaId};
use crate::site::Site;
use crate::sites::SiteId;
use crate::time::At;

impl Sim {
    fn site(&self, id: SiteId) -> Option<&Site> {
        self.sites.get(id.0)
    }

    /// A site, to change its clock or its committer.
    pub fn site_mut(&mut self, id: SiteId) -> Option<&mut Site> {
        self.sites.get_mut(id.0)
    }

    /// `tandem status`; `None` while the process is dead.
    #[must_use]
    pub fn status(&self, id: SiteId) -> Option<Status> {
        let site = self.site(id)?;
        Some(site.node()?.status(site.clock(self.now())))
    }

    /// Continuity mode by name; empty while the process is dead.
    #[must_use]
    pub fn mode(&self, id: SiteId) -> String {
        self.status(id).map(|status| status.mode).unwrap_or_default()
    }

    /// What the site has thought so far of why its peer was lost, and from what.
    #[must_use]
    pub fn ratings(&self, id: SiteId) -> Vec<String> {
        let rating = |event: &Event| {
            let Event::PeerFailure { rating, seen } = event else { return None };
            Some(format!("{rating} ({seen})"))
        };
        let events = self.site(id).into_iter().flat_map(|site| &site.events);
        events.filter_map(|(_, event)| rating(event)).collect()
    }

    /// Calls now.
    #[must_use]
    pub fn calls(&self, id: SiteId) -> Vec<Call> {
        self.site(id)
            .and_then(|site| Some(site.node()?.call_list(site.clock(self.now()))))
            .unwrap_or_default()
    }

    /// Calls that are not about to end: a BYE to a dead server takes 64*T1 to be given up.
    #[must_use]
    pub fn live_calls(&self, id: SiteId) -> usize {
        self.calls(id).iter().filter(|call| call.state != "ending").count()
    }

    /// Contacts registered for a number.
    #[must_use]
    pub fn bindings(&self, id: SiteId, number: &str) -> usize {
        let Some(site) = self.site(id) else { return 0 };
        let Some(node) = site.node() else { return 0 };
        node.reg_list(site.clock(self.now())).iter().filter(|binding| binding.dn == number).count()
    }

    /// The media server of a site.
    #[must_use]
    pub fn engine(&self, id: SiteId) -> Option<&crate::engine::Engine> {
        self.sites.get(id.0).map(|site| &site.engine)
    }

    /// Whether a DN, or a trunk by name, is in service.
    #[must_use]
    pub fn in_service(&self, id: SiteId, dn: &str) -> bool {
        let Some(site) = self.site(id) else { return false };
        let Some(node) = site.node() else { return false };
        let now = site.clock(self.now());
        node.dn_list(now).iter().any(|row| row.dn == dn && row.in_service)
            || node.trunk_list(now).iter().any(|row| row.name == dn && row.state != "out-of-service")
    }

    /// `tandem drain --status`.
    #[must_use]
    pub fn drain_status(&self, id: SiteId) -> Option<Drain> {
        let site = self.site(id)?;
        Some(site.node()?.drain_status(site.clock(self.now())))
    }

    /// `tandem migrate --status`.
    #[must_use]
    pub fn migration_status(&self, id: SiteId) -> Option<Migration> {
        let site = self.site(id)?;
        Some(site.node()?.migration_status(site.clock(self.now())))
    }

    /// When a site sent BYEs to a device, repetitions included.
    pub fn byes(&self, from: SiteId, to: UaId) -> impl Iterator<Item = At> {
        let addr = self.uas.get(to.0).map(|ua| ua.profile.addr);
        let sent = self.byes.iter().filter(move |(_, site, to)| *site == from && Some(*to) == addr);
        sent.map(|(at, ..)| *at)
    }

    /// Whether the server process of a site is there.
    #[must_use]
    pub fn is_up(&self, id: SiteId) -> bool {
        self.site(id).is_some_and(|site| site.node().is_some())
    }

    /// `tandem queue list` of one queue.
    #[must_use]
    pub fn queue(&self, id: SiteId, number: &str) -> Option<Queue> {
        let site = self.site(id)?;
        let queues = site.node()?.queue_list(site.clock(self.now()));
        queues.into_iter().find(|queue| queue.queue == number)
    }

    /// `tandem agent list`.
    #[must_use]
    pub fn agents(&self, id: SiteId) -> Vec<Agent> {
        let list = |site: &Site| Some(site.node()?.agent_list(site.clock(self.now())));
        self.site(id).and_then(list).unwrap_or_default()
    }

    /// Everything a site reported, with the time.
    pub fn events(&self, id: SiteId) -> impl Iterator<Item = &(At, Event)> {
        self.site(id).into_iter().flat_map(|site| &site.events)
    }

    /// The last moment at which a DN or trunk went out of service there.
    #[must_use]
    pub fn went_out(&self, id: SiteId, name: &str) -> Option<At> {
        let out = self
            .events(id)
            .filter(|(_, event)| matches!(event, Event::DnOutOfService { dn, .. } if **dn == *name));
        out.map(|(at, _)| *at).last()
    }

    /// The last moment at which a DN or trunk came back into service there.
    #[must_use]
    pub fn came_back(&self, id: SiteId, name: &str) -> Option<At> {
        let back = self
            .events(id)
            .filter(|(_, event)| matches!(event, Event::DnBackInService { dn, .. } if **dn == *name));
        back.map(|(at, _)| *at).last()
    }

    /// Call records of a site.
    #[must_use]
    pub fn cdrs(&self, id: SiteId) -> &[Cdr] {
        self.site(id).map_or(&[], |site| &site.cdrs)
    }

    /// `tandem why`.
    #[must_use]
    pub fn why(&self, id: SiteId, sip_call_id: &str) -> Option<Why> {
        self.site(id)?.node()?.why(sip_call_id)
    }

    /// A counter by its name in `/metrics`.
    #[must_use]
    pub fn counter(&self, id: SiteId, name: &str) -> u64 {
        let Some(node) = self.site(id).and_then(|site| site.node()) else { return 0 };
        node.counters().each().find(|(row, ..)| *row == name).map_or(0, |(.., value)| value)
    }
}
