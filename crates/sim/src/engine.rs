//! A site's media servers, as far as its server can tell: descriptions of anchored legs come back as they were, until the
//! engine that has the leg is lost. Another one may take the legs at once, or none for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_sip::Transport;
use tandem_sip::locate::Candidate;
use tandem_switch::Input;
use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder, Seat};

use crate::sim::Sim;
use crate::sites::{SiteId, carrier, gateway_addr};

/// See the module.
#[derive(Debug, Default)]
pub struct Engine {
    works: bool,
    /// Sessions of legs of the server as it is.
    legs: BTreeMap<AnchorId, Arc<str>>,
    /// All sessions, those of a server that died included.
    sessions: BTreeSet<Arc<str>>,
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
        self.sessions.len()
    }

    /// The server died. Its sessions stay.
    pub fn forsaken(&mut self) {
        self.legs.clear();
    }

    /// What it says to an order.
    pub fn asked(&mut self, order: &AnchorOrder) -> Vec<AnchorNews> {
        match order {
            AnchorOrder::Describe { id, turn, sdp, .. } if self.works => {
                self.described += 1;
                let described = AnchorNews::Described { id: *id, turn: *turn, sdp: sdp.clone() };
                if self.legs.contains_key(id) {
                    return vec![described];
                }
                let name: Arc<str> = format!("session-{}", self.described).into();
                self.legs.insert(*id, Arc::clone(&name));
                self.sessions.insert(Arc::clone(&name));
                let seat = Seat { name, engine: ([10, 9, 9, 9], 22_222).into() };
                vec![AnchorNews::Placed { id: *id, seat }, described]
            }
            AnchorOrder::Describe { .. } => order.failed("no media server answers").into_iter().collect(),
            AnchorOrder::TakeUp { id, seat, .. } => {
                self.legs.insert(*id, Arc::clone(&seat.name));
                if self.sessions.contains(&seat.name) {
                    Vec::new()
                } else {
                    vec![AnchorNews::Lost { id: *id }]
                }
            }
            AnchorOrder::AllTakenUp => {
                let named: BTreeSet<_> = self.legs.values().cloned().collect();
                self.sessions.retain(|name| named.contains(name));
                Vec::new()
            }
            AnchorOrder::Release { id } => {
                if let Some(name) = self.legs.remove(id) {
                    self.sessions.remove(&name);
                }
                Vec::new()
            }
            AnchorOrder::Play { .. } | AnchorOrder::Quiet { .. } => Vec::new(),
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
        for id in site.engine.legs.clone().into_keys() {
            site.handle(Input::Anchor(AnchorNews::Lost { id }), now);
        }
        self.drain(id);
    }
}
