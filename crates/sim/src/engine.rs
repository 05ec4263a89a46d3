//! A site's media servers, as far as its server can tell: descriptions of anchored legs come back as they were. Sessions
//! are as rtpengine has them: an offer for one that it does not know makes it, an answer is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tandem_sip::Transport;
use tandem_sip::locate::Candidate;
use tandem_switch::Input;
use tandem_switch::anchor::{AnchorId, AnchorNews, AnchorOrder, Part, Seat};

use crate::sim::Sim;
use crate::sites::{SiteId, carrier, gateway_addr};
use crate::time::ms;

/// How long an engine takes to say something.
pub(crate) const TAKES: Duration = ms(2);

/// See the module.
#[derive(Debug, Default)]
pub struct Engine {
    works: bool,
    /// Legs of the server as it is.
    legs: BTreeMap<AnchorId, Leg>,
    /// All sessions, those of a server that died included, and whether both their ends are described.
    sessions: BTreeMap<Arc<str>, bool>,
    /// Descriptions made.
    pub described: u64,
}

/// What the server's side knows of a leg.
#[derive(Debug)]
struct Leg {
    session: Arc<str>,
    /// It is at an engine, as far as is known.
    placed: bool,
    /// This process has made an offer, which another engine can be told before the answer.
    offered: bool,
}

impl Engine {
    /// One that works, if there is any.
    #[must_use]
    pub fn new(works: bool) -> Self {
        Self { works, ..Self::default() }
    }

    /// Sessions.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.sessions.len()
    }

    /// Sessions through which media flow.
    #[must_use]
    pub fn carries(&self) -> usize {
        self.sessions.values().filter(|agreed| **agreed).count()
    }

    /// The server died. Its sessions stay.
    pub fn forsaken(&mut self) {
        self.legs.clear();
    }

    /// It is lost, and with it what it had.
    fn lost(&mut self) {
        self.works = false;
        self.sessions.clear();
        self.legs.values_mut().for_each(|leg| leg.placed = false);
    }

    /// Legs that another engine can take.
    fn homeless(&self) -> Vec<AnchorId> {
        self.legs.iter().filter(|(_, leg)| !leg.placed).map(|(id, _)| *id).collect()
    }

    /// What it says to an order.
    pub fn asked(&mut self, order: &AnchorOrder) -> Vec<AnchorNews> {
        match order {
            AnchorOrder::Describe { id, turn, part, sdp, .. } if self.works => {
                let described = AnchorNews::Described { id: *id, turn: *turn, sdp: sdp.clone() };
                self.describes(*id, *turn, *part, described)
            }
            AnchorOrder::Describe { .. } => order.failed("no media server answers").into_iter().collect(),
            AnchorOrder::TakeUp { id, seat, .. } => {
                let session = Arc::clone(&seat.name);
                let placed = self.sessions.contains_key(&session);
                self.legs.insert(*id, Leg { session, placed, offered: false });
                if placed || !self.works { Vec::new() } else { vec![AnchorNews::Lost { id: *id }] }
            }
            AnchorOrder::AllTakenUp => {
                let named: BTreeSet<_> = self.legs.values().map(|leg| &leg.session).collect();
                self.sessions.retain(|name, _| named.contains(name));
                Vec::new()
            }
            AnchorOrder::Release { id } => {
                if let Some(leg) = self.legs.remove(id) {
                    self.sessions.remove(&leg.session);
                }
                Vec::new()
            }
            AnchorOrder::Play { .. } | AnchorOrder::Quiet { .. } => Vec::new(),
        }
    }

    fn describes(&mut self, id: AnchorId, turn: u32, part: Part, described: AnchorNews) -> Vec<AnchorNews> {
        self.described += 1;
        let fresh =
            || Leg { session: format!("session-{}", self.described).into(), placed: false, offered: false };
        let leg = self.legs.entry(id).or_insert_with(fresh);
        let known = leg.placed && self.sessions.contains_key(&leg.session);
        if part == Part::Answer && !known && !leg.offered {
            let why = "Unknown call-id".into();
            return vec![AnchorNews::Failed { id, turn, why, refused: true }];
        }
        let agreed = self.sessions.entry(Arc::clone(&leg.session)).or_default();
        *agreed |= part == Part::Answer;
        leg.offered |= part == Part::Offer;
        if std::mem::replace(&mut leg.placed, true) {
            return vec![described];
        }
        let seat = Seat { name: Arc::clone(&leg.session), engine: ([10, 9, 9, 9], 22_222).into() };
        // Who gave the answer was told of the engine that is lost.
        let lost = (part == Part::Answer).then_some(AnchorNews::Lost { id });
        [AnchorNews::Placed { id, seat }, described].into_iter().chain(lost).collect()
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

    /// What a site's engine says reaches the process that asked, if that is still there.
    pub(crate) fn engine_says(&mut self, id: SiteId, incarnation: u32, news: Vec<AnchorNews>) {
        let now = self.now();
        let Some(site) = self.site_mut(id).filter(|site| site.incarnation == incarnation) else { return };
        news.into_iter().for_each(|news| site.handle(Input::Anchor(news), now));
        self.drain(id);
    }

    /// A site's engine is lost.
    pub fn lose_engine(&mut self, id: SiteId) {
        self.note(&format!("the media server of {} is lost", id.name()));
        if let Some(site) = self.site_mut(id) {
            site.engine.lost();
        }
    }

    /// One works again, and takes the legs of the one that was lost.
    pub fn engine_works(&mut self, id: SiteId) {
        self.note(&format!("a media server of {} works", id.name()));
        let now = self.now();
        let Some(site) = self.site_mut(id) else { return };
        site.engine.works = true;
        for id in site.engine.homeless() {
            site.handle(Input::Anchor(AnchorNews::Lost { id }), now);
        }
        self.drain(id);
    }
}
