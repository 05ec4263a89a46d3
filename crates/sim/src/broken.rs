//! Servers that do not keep one rule: the real server, and in front of it somebody who takes that rule away. Whoever looks
//! from outside, as the oracles do, sees a server that breaks it. By these the oracles themselves are tested.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tandem_cti::{EventName, Request};
use tandem_sip::Flow;
use tandem_switch::Event;
use tandem_switch::cti::{CtiInput, Outgoing};
use tandem_switch::directory::floor::{AgentLogin, Floor, WrapUp};

use crate::desktop::link::OVERHEARING;
use crate::oracle::Invariant;
use crate::sites::{Setup, SiteId, gateway_addr};
use crate::text::{Start, Text};
use crate::time::secs;
use crate::wire::{Packet, Wire};

/// What an agent who is logged in elsewhere is called before the server, so that it takes him for another.
const ALIAS: &str = "-too";

/// URI parameter and header of a call that was forwarded once.
const MARKER_PARAM: &str = ";x-tandem-forwarded";
const MARKER_HEADER: &str = "X-Tandem-Forwarded";

/// Who stands between one server and the world.
#[derive(Debug)]
pub struct Broken {
    rule: Invariant,
    site: SiteId,
    /// Branches of INVITEs that are not what they seem.
    branches: BTreeSet<String>,
    /// The peer trunk has been out of service.
    peer_was_lost: bool,
    /// What it says in the server's name.
    says: VecDeque<Packet>,
    told: u32,
}

/// What becomes of a packet that comes.
pub enum Comes {
    /// The server hears this.
    Heard(Packet),
    /// The server does not hear of it.
    Kept,
}

impl Broken {
    /// Takes a rule away from a site.
    #[must_use]
    pub fn new(rule: Invariant, site: SiteId) -> Self {
        let (branches, says) = (BTreeSet::new(), VecDeque::new());
        Self { rule, site, branches, peer_was_lost: false, says, told: 0 }
    }

    fn is_peer(&self, addr: SocketAddr) -> bool {
        addr == self.site.other().addr()
    }

    /// Whether the server's wall clock stands still: its records never come to their deadlines.
    #[must_use]
    pub fn stops_clock(&self) -> bool {
        self.rule == Invariant::RecordsEndInTime
    }

    /// Whether the server is told that its records are safe before they are.
    #[must_use]
    pub fn opens_gate(&self) -> bool {
        self.rule == Invariant::StoredBeforeTold
    }

    /// Whether the server always has something to do.
    #[must_use]
    pub fn spins(&self) -> bool {
        self.rule == Invariant::NoBusyLoop
    }

    /// What is said in the server's name.
    pub fn says(&mut self) -> Option<Packet> {
        self.says.pop_front()
    }

    /// A packet comes for the server.
    #[expect(clippy::wildcard_enum_match_arm, reason = "each rule is broken in one way")]
    pub fn comes(&mut self, packet: Packet) -> Comes {
        let Ok(text) = packet.wire.text.as_ref() else { return Comes::Heard(packet) };
        let from_peer = self.is_peer(packet.from);
        let request = text.code().is_none();
        match self.rule {
            Invariant::NoForwardingLoop if from_peer && request => self.comes_from_nowhere(&packet, text),
            Invariant::NoRingBesideForward if from_peer && !request => self.loses_patience(&packet, text),
            Invariant::BystandersKeepTheirCalls if !from_peer && self.peer_was_lost => {
                self.answers_bye(&packet, text, 481)
            }
            Invariant::NothingStuck if !from_peer => self.answers_bye(&packet, text, 200),
            _ => None,
        }
        .unwrap_or(Comes::Heard(packet))
    }

    /// The call has no mark and comes from a gateway.
    fn comes_from_nowhere(&mut self, packet: &Packet, text: &Text) -> Option<Comes> {
        let opens = text.method() == "INVITE" && text.to_tag().is_none();
        if !opens && !self.branches.contains(text.branch()) {
            return None;
        }
        self.branches.insert(text.branch().to_owned());
        let mut text = text.clone();
        text.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(MARKER_HEADER));
        if let Start::Request { uri, .. } = &mut text.start
            && let Some(at) = uri.find(MARKER_PARAM)
        {
            uri.truncate(at);
        }
        Some(Comes::Heard(Packet { from: gateway_addr(1), wire: Wire::print(&text), ..packet.clone() }))
    }

    /// The forward rings: that is as if the peer could not take it.
    fn loses_patience(&mut self, packet: &Packet, text: &Text) -> Option<Comes> {
        if text.method() != "INVITE" || self.branches.contains(text.branch()) {
            return self.branches.contains(text.branch()).then_some(Comes::Kept);
        }
        if !text.code().is_some_and(|code| (101..200).contains(&code)) {
            return None;
        }
        self.branches.insert(text.branch().to_owned());
        let mut refusal = text.clone();
        refusal.start = Start::Status { code: 503, reason: String::new() };
        refusal.body.clear();
        refusal.headers.retain(|(name, _)| !matches!(name.as_str(), "Content-Type" | "Content-Length"));
        Some(Comes::Heard(Packet { wire: Wire::print(&refusal), ..packet.clone() }))
    }

    /// A BYE is answered, and nobody is told.
    fn answers_bye(&mut self, packet: &Packet, text: &Text, code: u16) -> Option<Comes> {
        if text.method() != "BYE" || text.code().is_some() {
            return None;
        }
        let wire = Wire::print(&Text::response(text, code, None));
        let (from, to) = (self.site.addr(), packet.from);
        self.says.push_back(Packet { over: packet.over, from, to, wire });
        Some(Comes::Kept)
    }

    /// A packet of the server's leaves; `None` if it does not.
    #[expect(clippy::wildcard_enum_match_arm, reason = "each rule is broken in one way")]
    pub fn leaves(&mut self, flow: Flow, payload: Bytes) -> Option<(Flow, Bytes)> {
        let Ok(text) = Text::parse(&payload) else { return Some((flow, payload)) };
        let to_peer = self.is_peer(flow.remote);
        let flow = match self.rule {
            Invariant::SipAsWritten if text.method() == "ACK" => return None,
            Invariant::PeeredAgain if self.peer_was_lost && to_peer && text.method() == "OPTIONS" => {
                return Some((flow, payload)).filter(|_| text.code().is_some());
            }
            Invariant::NoRingBesideForward if to_peer && text.method() == "ACK" => {
                return Some((flow, payload)).filter(|_| !self.branches.contains(text.branch()));
            }
            Invariant::NoForwardingLoop if text.code().is_some() && self.branches.contains(text.branch()) => {
                Flow { remote: self.site.other().addr(), ..flow }
            }
            _ => flow,
        };
        Some((flow, payload))
    }

    /// The server reports something.
    pub fn reported(&mut self, event: &Event) {
        if let Event::DnOutOfService { dn, .. } = event {
            self.peer_was_lost |= **dn == *format!("to-{}", self.site.other().name().to_lowercase());
        }
    }

    /// A client asks for something: an agent's login away from his own DN is another agent's.
    pub fn asked(&self, input: &mut CtiInput) {
        let CtiInput::Request { request, .. } = input else { return };
        if let (Invariant::OneLogin, Request::TAgentLogin(login)) = (self.rule, request.as_mut())
            && login.this_dn != format!("100{}", login.agent_id.trim_start_matches('a'))
        {
            login.agent_id.push_str(ALIAS);
        }
    }

    /// A client is told something: this, so often.
    #[expect(clippy::wildcard_enum_match_arm, reason = "each rule is broken in one way")]
    pub fn told(&mut self, mut outgoing: Outgoing) -> Vec<Outgoing> {
        let overheard = outgoing.link.0 == OVERHEARING;
        match self.rule {
            Invariant::OneLogin => {
                let event = Arc::make_mut(&mut outgoing.event);
                let id = event.agent_id.take();
                event.agent_id = id.map(|id| id.trim_end_matches(ALIAS).to_owned());
            }
            Invariant::ClientsHearAll if !overheard => {
                self.told += 1;
                if self.told.is_multiple_of(50) {
                    return Vec::new();
                }
            }
            Invariant::FloorInOrder if overheard && outgoing.event.event == EventName::Ringing => {
                return vec![outgoing.clone(), outgoing];
            }
            _ => {}
        }
        vec![outgoing]
    }
}

/// The configuration that the server is given, if it is another than the one that it should keep.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "each rule is broken in one way")]
pub fn configured(setup: &Setup) -> Option<Setup> {
    let (rule, mut floor) = (setup.broken?, setup.floor.clone()?);
    match rule {
        Invariant::OneLogin => add_aliases(&mut floor),
        Invariant::AgentsAsModelled => floor.options.wrap_up_time = Some(WrapUp::Timed(secs(7))),
        _ => return None,
    }
    Some(Setup { floor: Some(floor), ..setup.clone() })
}

fn add_aliases(floor: &mut Floor) {
    let alias = |id: &Arc<str>| -> Arc<str> { format!("{id}{ALIAS}").into() };
    for at in 0..floor.logins.len() {
        let again = floor.logins.get(at).map(|login| AgentLogin { id: alias(&login.id), ..login.clone() });
        floor.logins.extend(again);
    }
    for person in &mut floor.persons {
        let aliases: Vec<_> = person.logins.iter().map(alias).collect();
        person.logins.extend(aliases);
    }
}
