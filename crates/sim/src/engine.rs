//! A site's media servers, as far as its server can tell: descriptions of anchored legs come back as they were, until the
//! engine that has the leg is lost. Another one may take the legs at once, or none for a while.

use std::collections::BTreeSet;

use tandem_sip::Transport;
use tandem_sip::locate::Candidate;
use tandem_switch::Input;
use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder};

use crate::sim::Sim;
use crate::sites::{SiteId, carrier, gateway_addr};

/// See the module.
#[derive(Debug, Default)]
pub struct Engine {
    works: bool,
    legs: BTreeSet<AnchorId>,
    /// Descriptions made.
    pub described: u64,
}

impl Engine {
    /// One that works, if there is any.
    #[must_use]
    pub fn new(works: bool) -> Self {
        Self { works, ..Self::default() }
    }

    /// Legs that it carries.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// What it says to an order.
    pub fn asked(&mut self, order: &AnchorOrder) -> Option<AnchorNews> {
        match order {
            AnchorOrder::Describe { id, turn, sdp, .. } if self.works => {
                self.legs.insert(*id);
                self.described += 1;
                Some(AnchorNews::Described { id: *id, turn: *turn, sdp: sdp.clone() })
            }
            AnchorOrder::Describe { .. } => order.failed("no media server answers"),
            AnchorOrder::Release { id } => {
                self.legs.remove(id);
                None
            }
            AnchorOrder::Play { .. } | AnchorOrder::Quiet { .. } => None,
        }
    }
}

impl Sim {
    /// The Domain Name System tells a site where the carrier's gateways are: each by its priority and its number.
    pub fn locates(&mut self, id: SiteId, records: &[(u16, u8)]) {
        let record = |(n, (priority, gateway)): (u8, &(u16, u8))| Candidate {
            transport: Transport::Udp,
            addr: gateway_addr(*gateway),
            priority: *priority,
            weight: 0,
            record: n,
        };
        let found = (0u8..).zip(records).map(record).collect();
        let now = self.now();
        if let Some(site) = self.site_mut(id) {
            site.handle(Input::Located { wanted: carrier(), found }, now);
        }
        self.drain(id);
    }

    /// A site's engine is lost.
    pub fn lose_engine(&mut self, id: SiteId) {
        self.note(&format!("the media server of {} is lost", id.name()));
        if let Some(site) = self.site_mut(id) {
            site.engine.works = false;
        }
    }

    /// One works again, and takes the legs of the one that was lost.
    pub fn engine_works(&mut self, id: SiteId) {
        self.note(&format!("a media server of {} works", id.name()));
        let now = self.now();
        let Some(site) = self.site_mut(id) else { return };
        site.engine.works = true;
        for id in site.engine.legs.clone() {
            site.handle(Input::Anchor(AnchorNews::Lost { id }), now);
        }
        self.drain(id);
    }
}
