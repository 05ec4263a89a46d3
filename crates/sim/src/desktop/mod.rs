//! A client of the CTI interface: it opens a session, asks, and keeps a transcript of what it hears. It checks by itself
//! what only a client can: that the numbers of its stream have neither gaps nor repeats, over all its connections.

pub mod link;
pub mod roamer;
pub mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{Event, EventName, Request, Resumed, Role};
use tandem_switch::cti::{LinkId, Outgoing};

use crate::sites::SiteId;
use crate::time::At;

/// A desktop by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeskId(pub usize);

/// One event in a transcript.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it arrived.
    pub at: At,
    /// The event, with its number and reference.
    pub event: Event,
}

/// A desktop.
#[derive(Debug)]
pub struct Desktop {
    /// User name.
    pub person: Arc<str>,
    /// Role.
    pub role: Role,
    /// The site it connects to.
    pub site: SiteId,
    /// Its own address, for cuts.
    pub addr: IpAddr,
    /// It tries again so long after a connection was lost; `None`: not at all.
    pub reconnects: Option<Duration>,
    /// Everything it heard, oldest first.
    pub heard: Vec<Heard>,
    /// Its connection.
    pub link: Option<LinkId>,
    /// The session that it continues, by its token.
    pub session: Option<String>,
    /// Number of the last event of that session.
    pub last: u64,
    /// Calls that it knows of and has not heard the end of.
    pub calls: BTreeSet<String>,
    /// Broken promises, for the oracles.
    pub faults: Vec<String>,
    /// Requests by reference.
    pub asked: BTreeMap<u32, Request>,
    nonsense: BTreeSet<u32>,
    answers: BTreeMap<u32, (u64, EventName)>,
    repeated: BTreeSet<u32>,
    /// Numbers of events that it was told it has missed.
    missed: Vec<std::ops::RangeInclusive<u64>>,
    next_reference: u32,
}

impl Desktop {
    /// A desktop that is switched off.
    #[must_use]
    pub fn new(person: &str, role: Role, site: SiteId, addr: IpAddr) -> Self {
        Self {
            person: person.into(),
            role,
            site,
            addr,
            reconnects: None,
            heard: Vec::new(),
            link: None,
            session: None,
            last: 0,
            calls: BTreeSet::new(),
            faults: Vec::new(),
            asked: BTreeMap::new(),
            nonsense: BTreeSet::new(),
            answers: BTreeMap::new(),
            repeated: BTreeSet::new(),
            missed: Vec::new(),
            next_reference: 1,
        }
    }

    /// The next `ReferenceID`.
    pub fn reference(&mut self) -> u32 {
        self.next_reference += 1;
        self.next_reference - 1
    }

    /// A request leaves; one that left before is repeated.
    pub fn asks(&mut self, reference: u32, request: &Request) {
        if self.asked.insert(reference, request.clone()).is_some() {
            self.repeated.insert(reference);
        }
    }

    /// A request leaves that nobody can read.
    pub fn asks_nonsense(&mut self, reference: u32) {
        if !self.nonsense.insert(reference) {
            self.repeated.insert(reference);
        }
    }

    /// The process dies: it has no session any more.
    pub fn crash(&mut self) {
        self.link = None;
        self.forget();
    }

    fn forget(&mut self) {
        (self.session, self.last) = (None, 0);
        self.calls.clear();
        self.answers.clear();
        self.missed.clear();
    }

    /// An event arrives.
    pub fn hears(&mut self, outgoing: &Outgoing, at: At) {
        let Outgoing { sequence, reference_id, .. } = *outgoing;
        let event = Event { sequence: Some(sequence), reference_id, ..outgoing.event.as_ref().clone() };
        if event.event == EventName::LinkConnected {
            self.welcomed(&event, sequence);
        } else if sequence != 0 {
            self.numbered(event.event, sequence, reference_id);
        }
        if let Some(conn) = event.conn_id.clone() {
            let over =
                matches!(event.event, EventName::Released | EventName::Abandoned | EventName::Diverted);
            let _ = if over { self.calls.remove(&conn) } else { self.calls.insert(conn) };
        }
        self.heard.push(Heard { at, event });
    }

    fn welcomed(&mut self, event: &Event, sequence: u64) {
        let known = self.session.is_some();
        match event.resumed {
            Some(Resumed::Continued) if known && sequence == self.last => {}
            Some(Resumed::Gap) if known && sequence >= self.last => {
                self.missed.push(self.last + 1..=sequence);
                self.last = sequence;
            }
            Some(Resumed::New) | None if sequence == 0 => {
                self.forget();
                self.session = event.session.clone();
            }
            other => self.faults.push(format!(
                "{} is welcomed with {other:?} at {sequence}, and its last event was {}",
                self.person, self.last
            )),
        }
        if self.session != event.session {
            self.faults.push(format!("{} is given another session", self.person));
        }
    }

    fn numbered(&mut self, name: EventName, sequence: u64, reference: Option<u32>) {
        if sequence == self.last + 1 {
            self.last = sequence;
            if let Some(reference) = reference {
                self.answered(reference, (sequence, name));
            }
            return;
        }
        // The answer to a repeated request comes again as it was, or for the first time if it was missed.
        let again = reference.filter(|reference| self.repeated.contains(reference));
        let first = again.and_then(|reference| self.answers.get(&reference)).copied();
        let is_missed = first.is_none() && self.missed.iter().any(|missed| missed.contains(&sequence));
        if let Some(reference) = again.filter(|_| is_missed) {
            return self.answered(reference, (sequence, name));
        }
        if first != Some((sequence, name)) {
            self.faults.push(format!(
                "{} hears {} as number {sequence} after {}",
                self.person,
                name.as_str(),
                self.last
            ));
        }
    }

    fn answered(&mut self, reference: u32, answer: (u64, EventName)) {
        if !self.asked.contains_key(&reference) && !self.nonsense.contains(&reference) {
            self.faults.push(format!("{} never asked {reference}", self.person));
        }
        self.answers.entry(reference).or_insert(answer);
    }

    /// The answer to a request: the first event with its reference.
    #[must_use]
    pub fn answer(&self, reference: u32) -> Option<&Event> {
        let mut heard = self.heard.iter().map(|heard| &heard.event);
        heard.find(|event| event.reference_id == Some(reference))
    }

    /// The last event of this name at a DN.
    #[must_use]
    pub fn last_of(&self, name: EventName, dn: &str) -> Option<&Event> {
        let mut heard = self.heard.iter().rev().map(|heard| &heard.event);
        heard.find(|event| event.event == name && event.this_dn.as_deref() == Some(dn))
    }

    /// Names of the events at a DN, oldest first.
    #[must_use]
    pub fn names(&self, dn: &str) -> Vec<&'static str> {
        let at_dn = self.heard.iter().filter(|heard| heard.event.this_dn.as_deref() == Some(dn));
        at_dn.map(|heard| heard.event.event.as_str()).collect()
    }
}
