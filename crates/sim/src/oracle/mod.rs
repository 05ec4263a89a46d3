//! Oracles: what must be true after every step, whatever happened. Each looks at what went in and out of the servers,
//! in plain text; none asks a server what it thinks.

pub mod agents;
pub mod bystanders;
pub mod calls;
pub mod client_side;
pub mod floor;
pub mod invariant;
pub mod leak;
pub mod link;
pub mod records;
pub mod server_side;
pub mod shape;
pub mod stored;

use std::net::SocketAddr;
use std::time::Duration;

use crate::sites::{Setup, SiteId};
use crate::time::At;
use crate::wire::{Over, Packet, Wire};
use records::Clock;
use tandem_peer::Batch;

use bystanders::{Bystanders, Passing};
use calls::Calls;
use client_side::ClientSide;
use floor::Floor;
pub use invariant::Invariant;
use records::Records;
use server_side::ServerSide;
use stored::Stored;

/// A broken rule: which, by whom, and on what occasion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: At,
    /// Which rule.
    pub rule: Invariant,
    /// One sentence.
    pub text: String,
}

/// All oracles, over all sites.
#[derive(Debug)]
pub struct Oracles {
    sites: Vec<Watch>,
    calls: Calls,
    bystanders: Bystanders,
    violations: Vec<Violation>,
}

/// What is remembered about one site.
#[derive(Debug)]
struct Watch {
    name: &'static str,
    addr: SocketAddr,
    client: ClientSide,
    server: ServerSide,
    /// What was known of the process before, which died.
    before: Option<(ClientSide, ServerSide)>,
    stored: Stored,
    /// A pair: what it stores goes to its members.
    is_pair: bool,
    records: Records,
    floor: Floor,
}

impl Oracles {
    /// Oracles that have seen nothing.
    #[must_use]
    pub fn new(sites: impl Iterator<Item = SiteId>, setup: &Setup) -> Self {
        let persons = setup.floor.iter().flat_map(|floor| &floor.persons);
        let owned = persons.flat_map(|p| p.logins.iter().map(|id| (id.to_string(), p.name.clone())));
        let owners: std::collections::BTreeMap<_, _> = owned.collect();
        let sites = sites.map(|id| Watch {
            name: id.name(),
            addr: id.addr(),
            client: ClientSide::default(),
            server: ServerSide::default(),
            before: None,
            stored: Stored::default(),
            is_pair: setup.pairs.contains(&id),
            records: Records::default(),
            floor: Floor::new(owners.clone()),
        });
        Self {
            sites: sites.collect(),
            calls: Calls::default(),
            bystanders: Bystanders::default(),
            violations: Vec::new(),
        }
    }

    /// The oracle of a site's floor.
    ///
    /// # Panics
    /// If there is no such site.
    #[expect(clippy::indexing_slicing, reason = "there is an oracle for each site")]
    pub fn floor(&mut self, site: SiteId) -> &mut Floor {
        &mut self.sites[site.0].floor
    }

    /// Parties and calls that the floor of a site has not let go.
    #[must_use]
    pub fn floor_left_over(&self, site: SiteId) -> Option<String> {
        self.sites.get(site.0)?.floor.left_over()
    }

    /// Rules broken so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Reports a rule that somebody else found broken.
    pub fn report(&mut self, at: At, rule: Invariant, text: String) {
        self.violations.push(Violation { at, rule, text });
    }

    /// Moments at which a forward and a local ring of one call overlapped because the network had lost something.
    #[must_use]
    pub fn overlaps(&self) -> u64 {
        self.calls.overlaps
    }

    /// A server is given a packet.
    pub fn received(&mut self, site: SiteId, packet: &Packet, now: At) {
        let Ok(text) = packet.wire.text.as_ref() else { return };
        let Some(watch) = self.sites.get_mut(site.0) else { return };
        if text.code().is_some() {
            watch.client.response_came(text, now);
            self.calls.response_came(text);
        } else {
            watch.server.request_came(text, packet, now);
            watch.client.request_came(text);
            watch.stored.request_came(text);
            self.calls.request_came(site, text);
        }
    }

    /// A server sends a packet. `held` says that its committer is slow, so that what it sends may have been decided
    /// before what it last received.
    pub fn sent(&mut self, site: SiteId, to: SocketAddr, wire: &Wire, held: bool, now: At) {
        let Some(watch) = self.sites.get_mut(site.0) else { return };
        let text = match wire.text.as_ref() {
            Ok(text) => text,
            Err(why) => {
                let text = format!("{} sends bytes that are no SIP message: {why}", watch.name);
                return self.report(now, Invariant::SipAsWritten, text);
            }
        };
        let (mut sip, mut stored, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        shape::check(text, &wire.bytes, watch.addr, &mut sip);
        if text.code().is_some() {
            watch.server.response_sent(text, wire, to, &mut sip);
            if !watch.is_pair {
                watch.stored.response_sent(text, &mut stored);
            }
            self.calls.response_sent(text, &mut calls);
        } else {
            watch.client.request_sent(text, wire, to, held, now, &mut sip);
            self.calls.request_sent(site, text, to, &mut calls);
        }
        let told = |what: String| format!("{}: {what}: {}", site.name(), text.summary());
        calls.into_iter().for_each(|(rule, what)| self.report(now, rule, told(what)));
        sip.into_iter().for_each(|what| self.report(now, Invariant::SipAsWritten, told(what)));
        stored.into_iter().for_each(|what| self.report(now, Invariant::StoredBeforeTold, told(what)));
    }

    /// Anybody sends a packet.
    pub fn passes(&mut self, packet: &Passing<'_>, now: At) {
        if let Some(text) = self.bystanders.passes(packet) {
            self.report(now, Invariant::BystandersKeepTheirCalls, text);
        }
    }

    /// Something happened to a party, or was asked of it: its calls may end.
    pub fn failed(&mut self, party: SocketAddr, why: &'static str) {
        self.bystanders.failed(party, why);
    }

    /// A server handed a batch to its committer, while it handled the request that came last.
    pub fn store(&mut self, site: SiteId, batch: &Batch) {
        if let Some(watch) = self.sites.get_mut(site.0) {
            watch.stored.store(batch.seq().0);
            watch.records.store(batch);
        }
    }

    /// A server has dealt with what it was given: what it stores from now on has another reason.
    pub fn handled(&mut self, site: SiteId) {
        if let Some(watch) = self.sites.get_mut(site.0) {
            watch.stored.handled();
        }
    }

    /// The committer confirmed.
    pub fn persisted(&mut self, site: SiteId, seq: u64) {
        if let Some(watch) = self.sites.get_mut(site.0) {
            watch.stored.persisted(seq);
        }
    }

    /// A server died, or was stopped: it owes nobody anything any more.
    pub fn forget(&mut self, site: SiteId) {
        if let Some(watch) = self.sites.get_mut(site.0) {
            let (client, server) = (&mut watch.client, &mut watch.server);
            watch.before = Some((std::mem::take(client), std::mem::take(server)));
            watch.stored = Stored::default();
            watch.records = Records::default();
            self.bystanders.failed(watch.addr, "a server in its path died");
        }
        self.calls.forget(site);
    }

    /// A server that died goes on in another process: it speaks in dialogs and of requests that the one before knew.
    pub fn goes_on(&mut self, site: SiteId) {
        if let Some(watch) = self.sites.get_mut(site.0)
            && let Some((mut client, mut server)) = watch.before.take()
        {
            client.outlive();
            server.outlive();
            (watch.client, watch.server) = (client, server);
        }
    }

    /// A server was stopped and goes on: what it owed meanwhile it may pay late.
    pub fn excuse(&mut self, site: SiteId) {
        if let Some(watch) = self.sites.get_mut(site.0) {
            watch.client.excuse();
            watch.server.excuse();
            watch.records.excuse();
            self.bystanders.failed(watch.addr, "a server in its path was stopped");
        }
    }

    /// A server is told that what it sent there was not delivered.
    pub fn refused(&mut self, site: SiteId, over: Over, to: SocketAddr) {
        if let Some(watch) = self.sites.get_mut(site.0) {
            watch.client.refused(over, to);
            watch.server.refused(over, to);
        }
        self.bystanders.failed(to, "a connection broke");
    }

    /// Time has passed: is anything overdue? `slack` is what a slow committer and a wrong clock may add.
    pub fn step(&mut self, site: SiteId, slack: Duration, clock: Clock, now: At) {
        let Some(watch) = self.sites.get_mut(site.0) else { return };
        let mut found = Vec::new();
        if let Some(text) = watch.records.overdue(slack, clock, now) {
            let text = format!("{}: {text}", watch.name);
            self.violations.push(Violation { at: now, rule: Invariant::RecordsEndInTime, text });
        }
        watch.client.overdue(slack, now, &mut found);
        watch.server.overdue(slack, now, &mut found);
        let name = watch.name;
        let floor = watch.floor.take_found();
        for text in found {
            self.report(now, Invariant::SipAsWritten, format!("{name}: {text}"));
        }
        for (at, rule, text) in floor {
            self.report(at, rule, format!("{name}: {text}"));
        }
    }
}
