//! A user agent: a phone, or a gateway to the outside. Written from RFC 3261 apart from the server under test; the
//! two share no transaction layer, no dialog code and no parser.

pub mod calling;
pub mod client;
pub mod digest;
pub mod leg;
pub mod offer;
pub mod profile;
pub mod registration;
pub mod reliable;
pub mod ringing;
pub mod server;
pub mod session;
pub mod watching;
pub mod within;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use client::{Client, Purpose};
pub use leg::{By, End, Leg, Phase, Role};
pub use profile::{Manners, OnCall, Profile, Registers, Reliable};
use registration::Binding;
use server::Server;
pub use session::SessionTimers;
use watching::Watch;

use crate::dice::Dice;
use crate::text::Text;
use crate::time::At;
use crate::wire::{Over, Packet, Wire};

/// A phone or a gateway.
#[derive(Debug)]
pub struct Ua {
    /// What it is like. A scenario may change it at any time.
    pub profile: Profile,
    /// Its registrations, one a site.
    pub bindings: Vec<Binding>,
    /// Packets to send.
    pub out: Vec<Packet>,
    /// Lines for the trace.
    pub notes: Vec<String>,
    /// Broken promises that only the device could see, for the oracles.
    pub faults: Vec<String>,
    legs: BTreeMap<u64, Leg>,
    clients: Vec<Client>,
    servers: Vec<Server>,
    watches: Vec<Watch>,
    next_leg: u64,
    next_site: usize,
    dice: Dice,
}

impl Ua {
    /// A device that has just been switched on.
    #[must_use]
    pub fn new(profile: Profile, seed: u64, now: At) -> Self {
        let dice = Dice::new(seed, &profile.name);
        let mut ua = Self {
            bindings: Vec::new(),
            out: Vec::new(),
            notes: Vec::new(),
            faults: Vec::new(),
            legs: BTreeMap::new(),
            clients: Vec::new(),
            servers: Vec::new(),
            watches: Vec::new(),
            next_leg: 1,
            next_site: 0,
            dice,
            profile,
        };
        ua.start_registering(now);
        ua
    }

    /// Power off and on: calls and transactions are forgotten, registration begins anew.
    pub fn reboot(&mut self, now: At) {
        self.legs.clear();
        self.clients.clear();
        self.servers.clear();
        self.watches.clear();
        self.start_registering(now);
    }

    /// Every leg, oldest first, those that are over included.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.values()
    }

    /// One leg.
    #[must_use]
    pub fn leg(&self, id: u64) -> Option<&Leg> {
        self.legs.get(&id)
    }

    /// A message came.
    pub fn receive(&mut self, packet: &Packet, now: At) {
        let text = match packet.wire.text.as_ref() {
            Ok(text) => text,
            Err(why) => {
                self.faults.push(format!("{} received an unreadable message: {why}", self.profile.name));
                return;
            }
        };
        match text.code() {
            Some(code) => self.receive_response(text, code, now),
            None => self.receive_request(text, packet, now),
        }
    }

    fn receive_response(&mut self, response: &Text, code: u16, now: At) {
        let Some((_, method)) = response.cseq() else { return };
        let branch = response.branch();
        let Some(client) = self.clients.iter_mut().find(|c| c.branch == branch && c.method == method) else {
            return;
        };
        let purpose = client.purpose;
        if !client.answered(code, now) {
            if let Some(ack) = client.ack.clone() {
                let (to, over) = (client.to, client.over);
                self.emit(ack, to, over);
            }
            return;
        }
        if method == "INVITE" && code >= 300 {
            self.acknowledge_refusal(response);
        }
        match purpose {
            Purpose::Register(site) => self.register_answered(site, response, code, now),
            Purpose::Invite(leg) => self.invite_answered(leg, response, code, now),
            Purpose::Reinvite(leg) => self.reinvite_answered(leg, response, code, now),
            Purpose::Bye(leg) => self.bye_answered(leg, code, now),
            Purpose::Within(leg) => self.within_answered(leg, response, code, now),
            Purpose::Watch(place) => self.watch_answered(place, response, code, now),
            Purpose::CleanUp => {}
        }
    }

    /// RFC 3261 17.1.1.3: the ACK of a refusal belongs to the INVITE's own transaction.
    fn acknowledge_refusal(&mut self, response: &Text) {
        let branch = response.branch().to_owned();
        let Some(client) = self.clients.iter_mut().find(|c| c.branch == branch && c.method == "INVITE")
        else {
            return;
        };
        let Ok(invite) = client.wire.text.as_ref() else { return };
        let mut ack = Text::request("ACK", invite.uri().unwrap_or_default());
        for name in ["Via", "From", "Call-ID", "Route", "Max-Forwards"] {
            for value in invite.all(name) {
                ack = ack.with(name, value);
            }
        }
        let cseq = invite.cseq().map_or(0, |(n, _)| n);
        ack = ack.with("To", response.get("To").unwrap_or_default()).with("CSeq", format!("{cseq} ACK"));
        let wire = Wire::print(&ack);
        client.ack = Some(wire.clone());
        let (to, over) = (client.to, client.over);
        self.emit(wire, to, over);
    }

    fn receive_request(&mut self, request: &Text, packet: &Packet, now: At) {
        if let Some(at) = self.servers.iter().position(|s| s.matches(request)) {
            let Some(server) = self.servers.get_mut(at) else { return };
            if request.method() == "ACK" {
                server.acknowledged();
            } else if let Some(last) = server.last.clone() {
                let (to, over) = (server.to, server.over);
                self.emit(last, to, over);
            }
            return;
        }
        if self.profile.manners.is_mute && request.to_tag().is_none() {
            return;
        }
        match request.method() {
            "ACK" => self.take_ack(request, now),
            "CANCEL" => self.take_cancel(request, packet, now),
            "INVITE" if request.to_tag().is_none() => self.take_invite(request, packet, now),
            _ if request.to_tag().is_none() => self.take_outside(request, packet, now),
            "NOTIFY" if self.take_notify(request, packet, now) => {}
            _ => self.take_within(request, packet, now),
        }
    }

    /// OPTIONS and the like outside any dialog.
    fn take_outside(&mut self, request: &Text, packet: &Packet, now: At) {
        let code = if request.method() == "OPTIONS" { 200 } else { 405 };
        let at = self.admit(request, packet);
        self.respond(at, code, |r| r.with("Allow", offer::ALLOW), now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: At) {
        self.client_timeouts(now);
        self.server_timeouts(now);
        self.registration_timeouts(now);
        let due: Vec<u64> = self
            .legs
            .values()
            .filter(|l| l.next_timeout().is_some_and(|at| at <= now))
            .map(|l| l.id)
            .collect();
        for id in due {
            self.leg_timeout(id, now);
        }
    }

    fn client_timeouts(&mut self, now: At) {
        let mut at = 0;
        while let Some(client) = self.clients.get_mut(at) {
            match client.handle_timeout(now) {
                None => at += 1,
                Some(client::Due::Resend) => {
                    let (wire, to, over) = (client.wire.clone(), client.to, client.over);
                    self.emit(wire, to, over);
                    at += 1;
                }
                Some(client::Due::Forget) => {
                    self.clients.swap_remove(at);
                }
                Some(client::Due::Timeout) => {
                    let client = self.clients.swap_remove(at);
                    self.timed_out(&client, now);
                }
            }
        }
    }

    fn timed_out(&mut self, client: &Client, now: At) {
        match client.purpose {
            Purpose::Register(site) => self.register_failed(site, "no answer", now),
            Purpose::Invite(leg) => self.invite_unanswered(leg, now),
            Purpose::Reinvite(leg) | Purpose::Within(leg) => self.within_unanswered(leg, now),
            Purpose::Bye(leg) => self.bye_unanswered(leg, now),
            Purpose::Watch(place) => self.watch_unanswered(place, now),
            Purpose::CleanUp => {}
        }
    }

    fn server_timeouts(&mut self, now: At) {
        let mut at = 0;
        while let Some(server) = self.servers.get_mut(at) {
            match server.handle_timeout(now) {
                None => at += 1,
                Some(server::Due::Resend) => {
                    let (last, to, over) = (server.last.clone(), server.to, server.over);
                    if let Some(last) = last {
                        self.emit(last, to, over);
                    }
                    at += 1;
                }
                Some(server::Due::Forget) => {
                    self.servers.swap_remove(at);
                }
                Some(server::Due::NoAck) => {
                    let server = self.servers.swap_remove(at);
                    if let (Some(leg), 200..300) = (server.leg, server.code) {
                        self.hang_up(leg, now);
                    }
                }
            }
        }
    }

    /// The next moment at which [`handle_timeout`](Self::handle_timeout) has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<At> {
        let clients = self.clients.iter().map(Client::next_timeout).min();
        let servers = self.servers.iter().filter_map(Server::next_timeout).min();
        let legs = self.legs.values().filter_map(Leg::next_timeout).min();
        let bindings = self.bindings.iter().filter_map(Binding::next_timeout).min();
        [clients, servers, legs, bindings].into_iter().flatten().min()
    }

    fn over(&self) -> Over {
        if self.profile.tcp { Over::Tcp } else { Over::Udp }
    }

    fn emit(&mut self, wire: Wire, to: SocketAddr, over: Over) {
        self.out.push(Packet { over, from: self.profile.addr, to, wire });
    }

    fn contact(&self) -> String {
        let (number, addr) = (&self.profile.number, self.profile.addr);
        let tcp = if self.profile.tcp { ";transport=tcp" } else { "" };
        format!("<sip:{number}@{addr}{tcp}>")
    }

    fn via(&mut self, over: Over) -> String {
        let token = if over == Over::Tcp { "TCP" } else { "UDP" };
        let (addr, branch) = (self.profile.addr, self.dice.hex());
        format!("SIP/2.0/{token} {addr};branch=z9hG4bK{branch};rport")
    }

    /// Sends a request in a transaction of its own. The Via comes first.
    fn send_request(
        &mut self,
        mut request: Text,
        to: SocketAddr,
        purpose: Purpose,
        patience: Duration,
        now: At,
    ) {
        let over = self.over();
        let via = self.via(over);
        request.headers.insert(0, ("Via".into(), via));
        let wire = Wire::print(&request);
        self.clients.push(Client::new(wire.clone(), to, over, purpose, patience, now));
        self.emit(wire, to, over);
    }

    /// Opens a server transaction and says its place.
    fn admit(&mut self, request: &Text, packet: &Packet) -> usize {
        self.servers.push(Server::new(request.clone(), packet.from, packet.over));
        self.servers.len() - 1
    }

    /// Responds in the server transaction at this place.
    fn respond(&mut self, at: usize, code: u16, fill: impl FnOnce(Text) -> Text, now: At) {
        let own_tag = self.dice.hex();
        let Some(server) = self.servers.get_mut(at) else { return };
        let leg = server.leg.and_then(|id| self.legs.get(&id));
        let tag = leg.map_or(own_tag.as_str(), |leg| leg.dialog.local_tag());
        let tag = (code > 100).then_some(tag);
        let wire = Wire::print(&fill(Text::response(&server.request, code, tag)));
        server.responded(code, wire.clone(), now);
        let (to, over) = (server.to, server.over);
        self.emit(wire, to, over);
    }
}
