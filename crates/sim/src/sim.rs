//! The simulation: one clock, one queue, one seed; sites, devices and the network between them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tandem_peer::continuity::Mode;
use tandem_peer::failure::Control;
use tandem_switch::cti::{CtiInput, LinkId, Outgoing};
use tandem_switch::{DrainOrder, Input, MigrateOrder};

use crate::broken::{self, Broken};
use crate::desktop::Desktop;
use crate::desktop::link::Links;
use crate::desktop::roamer::Roamers;
use crate::engine;
use crate::net::{Fate, Net, Refusal};
use crate::oracle::bystanders::Passing;
use crate::oracle::link::Link;
use crate::oracle::records::Clock;
use crate::oracle::{Invariant, Oracles, Violation};
use crate::queue::Queue;
use crate::site::{Asked, Site};
use crate::sites::{A, B, Setup, SiteId};
use crate::time::At;
use crate::trace::Trace;
use crate::ua::{Manners, Profile, Ua};
use crate::wire::{Over, Packet};

/// Set to anything, it makes every simulation print its trace: for a scenario that fails.
pub const TRACE_VARIABLE: &str = "TANDEM_SIM_TRACE";

/// A device by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UaId(pub usize);

/// Something that will happen.
pub(crate) enum Coming {
    Arrives(Packet),
    Refused { over: Over, from: SocketAddr, to: SocketAddr },
    SiteTimer(SiteId),
    UaTimer(UaId),
    Persisted { site: SiteId, incarnation: u32, seq: u64 },
    CtiToSite { link: LinkId, input: CtiInput },
    CtiToDesk(Outgoing),
    CtiLost(LinkId),
    Act(Box<dyn FnOnce(&mut Sim)>),
}

/// A link that slow is as good as cut for whoever asks whether a call lives, twice so much at least.
const TOO_LATE: Duration = Duration::from_millis(900);

/// Timers of one server that may fire at one moment before it is called stuck.
const SPIN_LIMIT: u32 = 20_000;

/// A rule that was broken, with what led to it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The first broken rule.
    pub violation: Violation,
    /// The last lines of the trace.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        let Violation { at, rule, text } = &self.violation;
        writeln!(f, "seed {} breaks {rule} at {at} s: {text}", self.seed)
    }
}

/// The simulation.
pub struct Sim {
    /// Its seed.
    pub seed: u64,
    /// How the sites are configured.
    pub setup: Setup,
    /// The network.
    pub net: Net,
    /// What happened.
    pub trace: Trace,
    now: At,
    queue: Queue<Coming>,
    pub(crate) sites: Vec<Site>,
    pub(crate) uas: Vec<Ua>,
    pub(crate) desks: Vec<Desktop>,
    pub(crate) links: Links,
    pub(crate) roamers: Roamers,
    by_addr: BTreeMap<SocketAddr, UaId>,
    armed: Vec<Option<At>>,
    pub(crate) oracles: Oracles,
    link: Link,
    pub(crate) byes: Vec<(At, SiteId, SocketAddr)>,
    pub(crate) next_label: u32,
    spins: (At, u32),
}

impl Sim {
    /// Sites set up like this; no devices yet.
    ///
    /// # Panics
    /// If the setup makes no valid directory.
    #[must_use]
    pub fn new(seed: u64, setup: Setup) -> Self {
        // Only differences to this moment are ever used.
        #[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing")]
        let epoch = Instant::now();
        let ids = [A, B].into_iter().take(setup.sites);
        let mut sites = Vec::new();
        for id in ids.clone() {
            let directory = setup.directory(id);
            assert!(directory.is_ok(), "{directory:?}");
            let given =
                broken::configured(&setup).map_or_else(|| setup.directory(id), |other| other.directory(id));
            assert!(given.is_ok(), "{given:?}");
            let broken = setup.broken.map(|rule| Broken::new(rule, id));
            let pairs = setup.pairs.contains(&id);
            let site = |(directory, given)| Site::new(id, directory, given, broken, pairs, seed, epoch);
            sites.extend(directory.ok().zip(given.ok()).map(site));
        }
        let mut sim = Self {
            seed,
            net: Net::new(seed),
            trace: Trace::new(std::env::var_os(TRACE_VARIABLE).is_some()),
            now: At::START,
            queue: Queue::default(),
            sites,
            uas: Vec::new(),
            desks: Vec::new(),
            links: Links::default(),
            roamers: Roamers::default(),
            by_addr: BTreeMap::new(),
            armed: Vec::new(),
            oracles: Oracles::new(ids.clone(), &setup),
            link: Link::default(),
            byes: Vec::new(),
            next_label: 1,
            spins: (At::START, 0),
            setup,
        };
        for id in ids {
            sim.drain(id);
            sim.overhear(id);
        }
        sim
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> At {
        self.now
    }

    /// Adds a device and switches it on.
    pub fn add(&mut self, profile: Profile) -> UaId {
        let id = UaId(self.uas.len());
        self.by_addr.insert(profile.addr, id);
        self.uas.push(Ua::new(profile, self.seed, self.now));
        self.armed.push(None);
        self.drain_ua(id);
        id
    }

    /// Does something later.
    pub fn at(&mut self, after: Duration, act: impl FnOnce(&mut Self) + 'static) {
        self.queue.push(self.now + after, Coming::Act(Box::new(act)));
    }

    /// Something will happen at that moment.
    pub(crate) fn come(&mut self, at: At, coming: Coming) {
        self.queue.push(at, coming);
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The first rule that an oracle finds broken.
    pub fn try_run_for(&mut self, time: Duration) -> Result<(), Box<Failure>> {
        let end = self.now + time;
        self.check()?;
        while self.queue.next_at().is_some_and(|at| at <= end) {
            self.step();
            self.check()?;
        }
        self.now = end;
        Ok(())
    }

    /// Lets time pass, step by step, until something is true. False if it was not within the limit.
    ///
    /// # Errors
    /// The first rule that an oracle finds broken.
    pub fn try_run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<bool, Box<Failure>> {
        let end = self.now + limit;
        while !done(self) {
            if self.queue.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return Ok(false);
            }
            self.step();
            self.check()?;
        }
        Ok(true)
    }

    fn check(&self) -> Result<(), Box<Failure>> {
        match self.oracles.violations().first() {
            None => Ok(()),
            Some(violation) => Err(Box::new(self.failure(violation.clone()))),
        }
    }

    /// A broken rule with what led to it.
    #[must_use]
    pub fn failure(&self, violation: Violation) -> Failure {
        Failure { seed: self.seed, violation, trace: self.trace.last().map(str::to_owned).collect() }
    }

    fn step(&mut self) {
        let Some((at, coming)) = self.queue.pop() else { return };
        self.now = at;
        match coming {
            Coming::Arrives(packet) => self.arrive(packet),
            Coming::Refused { over, from, to } => self.refused(over, from, to),
            Coming::SiteTimer(site) => self.site_timer(site),
            Coming::UaTimer(ua) => self.ua_timer(ua),
            Coming::Persisted { site, incarnation, seq } => self.persisted(site, incarnation, seq),
            Coming::CtiToSite { link, input } => self.cti_arrives(link, input),
            Coming::CtiToDesk(outgoing) => self.cti_heard(&outgoing),
            Coming::CtiLost(link) => self.cti_lost(link),
            Coming::Act(act) => act(self),
        }
    }

    /// Writes a line into the trace.
    pub fn note(&mut self, text: &str) {
        self.trace.line(self.now, text);
    }

    /// Name of whatever has this address.
    #[must_use]
    pub fn name_of(&self, addr: SocketAddr) -> String {
        if let Some(site) = self.sites.iter().find(|site| site.id.addr() == addr) {
            return site.id.name().to_owned();
        }
        let ua = self.by_addr.get(&addr).and_then(|id| self.uas.get(id.0));
        ua.map_or_else(|| addr.to_string(), |ua| ua.profile.name.clone())
    }

    fn site_at(&self, ip: IpAddr) -> Option<SiteId> {
        self.sites.iter().find(|site| site.id.addr().ip() == ip).map(|site| site.id)
    }

    fn transmit(&mut self, packet: Packet) {
        let (over, from, to) = (packet.over, packet.from, packet.to);
        let summary =
            packet.wire.text.as_ref().as_ref().map_or_else(|why| format!("?? {why}"), |t| t.summary());
        self.trace.absorb(&packet.wire.bytes);
        let wire = packet.wire.clone();
        let fates = self.net.carry(packet, self.now);
        let lost = fates.iter().find_map(|fate| match fate {
            Fate::Lost(why) => Some(*why),
            Fate::Refused { .. } => Some("refused"),
            Fate::Arrives { .. } => None,
        });
        let tail = lost.map(|why| format!(" [{why}]")).unwrap_or_default();
        let tcp = if over == Over::Tcp { " (TCP)" } else { "" };
        let line = format!("{} -> {}{tcp} {summary}{tail}", self.name_of(from), self.name_of(to));
        self.note(&line);
        if let Ok(text) = wire.text.as_ref() {
            let lost = lost.is_some() || self.net.slowed(from.ip(), to.ip()) >= TOO_LATE;
            self.oracles.passes(&Passing { text, from, to, lost }, self.now);
            if self.has_bad_manners(from) || self.has_bad_manners(to) {
                self.oracles.failed(from, "a party has bad manners");
                self.oracles.failed(to, "a party has bad manners");
            }
        }
        for fate in fates {
            self.schedule(fate, over, from, to);
        }
    }

    fn schedule(&mut self, fate: Fate, over: Over, from: SocketAddr, to: SocketAddr) {
        match fate {
            Fate::Arrives { after, packet } => self.queue.push(self.now + after, Coming::Arrives(packet)),
            Fate::Refused { after } => self.queue.push(self.now + after, Coming::Refused { over, from, to }),
            Fate::Lost(_) => {}
        }
    }

    fn arrive(&mut self, packet: Packet) {
        let (over, from, to) = (packet.over, packet.from, packet.to);
        if let Some(how) = self.net.refusal_of(to.ip()) {
            let fate = self.net.refuse(how, over, "receiver is dead");
            self.oracles.failed(to, "a party was dead");
            let line = format!("{} is dead: a packet from {} fails", self.name_of(to), self.name_of(from));
            self.note(&line);
            self.schedule(fate, over, from, to);
            return;
        }
        if let Some(site) = self.site_at(to.ip()) {
            self.deliver_to_site(site, packet);
        } else if let Some(id) = self.by_addr.get(&to).copied() {
            if let Some(ua) = self.uas.get_mut(id.0) {
                ua.receive(&packet, self.now);
            }
            self.drain_ua(id);
        } else {
            let fate = self.net.refuse(Refusal::Refused, over, "nobody");
            self.schedule(fate, over, from, to);
        }
    }

    pub(crate) fn deliver_to_site(&mut self, id: SiteId, packet: Packet) {
        let now = self.now;
        let Some(site) = self.sites.get_mut(id.0).filter(|site| site.node().is_some()) else { return };
        if let Some(pair) = site.pair.as_mut().filter(|pair| pair.is_paused()) {
            return pair.keep(packet);
        }
        if site.frozen {
            if !site.buffer(packet) {
                self.note(&format!("{} is stopped and its socket buffer full", id.name()));
            }
            return;
        }
        self.oracles.received(id, &packet, now);
        if let Some(input) = site.input_of(packet) {
            site.handle(input, now);
        }
        self.drain(id);
        self.oracles.handled(id);
    }

    fn refused(&mut self, over: Over, from: SocketAddr, to: SocketAddr) {
        let now = self.now;
        let Some(id) = self.site_at(from.ip()) else { return };
        let Some(site) = self.sites.get_mut(id.0).filter(|site| site.is_running()) else { return };
        self.oracles.refused(id, over, to);
        let input = site.refused(over, to);
        site.handle(input, now);
        self.note(&format!("{} hears that {to} is unreachable", id.name()));
        self.drain(id);
    }

    fn site_timer(&mut self, id: SiteId) {
        let now = self.now;
        let Some(site) = self.sites.get_mut(id.0) else { return };
        if site.armed == Some(now) {
            site.armed = None;
        }
        if !site.is_running() {
            return;
        }
        let due = site.next_timeout();
        if due.as_ref().is_some_and(|(at, _)| *at <= now) {
            self.spins = if self.spins.0 == now { (now, self.spins.1 + 1) } else { (now, 1) };
            if self.spins.1 > SPIN_LIMIT {
                let text = format!("{} spins on its timer {due:?}", id.name());
                self.oracles.report(now, Invariant::NoBusyLoop, text);
                return;
            }
            site.tick(now);
        }
        self.drain(id);
    }

    fn ua_timer(&mut self, id: UaId) {
        let now = self.now;
        if let Some(armed) = self.armed.get_mut(id.0).filter(|armed| **armed == Some(now)) {
            *armed = None;
        }
        if let Some(ua) = self.uas.get_mut(id.0) {
            ua.handle_timeout(now);
        }
        self.drain_ua(id);
    }

    fn persisted(&mut self, id: SiteId, incarnation: u32, seq: u64) {
        let now = self.now;
        let Some(site) = self.sites.get_mut(id.0).filter(|site| site.incarnation == incarnation) else {
            return;
        };
        if !site.is_running() {
            // The disk is done; the stopped process hears of it when it goes on.
            if site.frozen {
                let again = Coming::Persisted { site: id, incarnation, seq };
                self.queue.push(now + Duration::from_millis(50), again);
            }
            return;
        }
        self.oracles.persisted(id, seq);
        site.on_disk(seq);
        site.handle(Input::Persisted { seq }, now);
        // What leaves now was decided before; only then is the batch forgotten.
        self.drain(id);
        if let Some(site) = self.sites.get_mut(id.0) {
            site.committed();
        }
    }

    /// Carries out what a server asks for until it asks for nothing, then arms its timer.
    pub(crate) fn drain(&mut self, id: SiteId) {
        let now = self.now;
        let mut committed = None;
        loop {
            let Some(site) = self.sites.get_mut(id.0) else { return };
            let Some(asked) = site.poll(now) else {
                let Some(seq) = committed.take() else { break };
                self.oracles.persisted(id, seq);
                site.on_disk(seq);
                site.handle(Input::Persisted { seq }, now);
                continue;
            };
            match asked {
                Asked::Store(batch) if site.dies_at_store => {
                    site.given_to_disk(&batch);
                    self.note(&format!("{} dies between a Store and what waits for it", id.name()));
                    self.crash(id, Refusal::Refused);
                    return;
                }
                Asked::Store(batch) => {
                    let seq = batch.seq().0;
                    let (incarnation, delay) = (site.incarnation, site.commit_delay);
                    self.oracles.store(id, &batch);
                    site.given_to_disk(&batch);
                    if delay > Duration::ZERO {
                        site.commits();
                        self.queue.push(now + delay, Coming::Persisted { site: id, incarnation, seq });
                    } else {
                        committed = Some(seq);
                    }
                }
                Asked::Send(packet) => {
                    let held = site.slack() > Duration::ZERO;
                    self.oracles.sent(id, packet.to, &packet.wire, held, now);
                    let text = packet.wire.text.as_ref().as_ref();
                    if text.is_ok_and(|text| text.code().is_none() && text.method() == "BYE") {
                        self.byes.push((now, id, packet.to));
                    }
                    self.transmit(packet);
                }
                Asked::Tell(outgoing) => self.cti_told(id, outgoing),
                Asked::Close(link) => self.cti_closed_by_site(link),
                Asked::Media(news) => {
                    let incarnation = site.incarnation;
                    self.at(engine::TAKES, move |sim| sim.engine_says(id, incarnation, news));
                }
                Asked::News(news) => self.pair_news(id, news),
                Asked::NoConnection(flow) => {
                    let gone = Coming::Refused { over: Over::Tcp, from: id.addr(), to: flow.remote };
                    self.queue.push(now, gone);
                }
            }
        }
        if let Some(wrong) = self.sites.get_mut(id.0).and_then(Site::check_agents) {
            let (rule, what) = wrong;
            self.oracles.report(now, rule, format!("{}: {what}", id.name()));
        }
        if self.sites.get(id.0).is_some_and(Site::is_drained) {
            self.leaves_nothing(id);
            return self.crash(id, Refusal::Refused);
        }
        self.arm_site(id);
        let Some(site) = self.sites.get(id.0) else { return };
        let clock = Clock { unix_ms: site.clock(now).unix_ms, skew_ms: site.skew_ms };
        self.oracles.step(id, site.lateness(), clock, now);
        self.watch_link();
    }

    /// Another server of a site begins to watch its peer.
    pub(crate) fn watches_link_anew(&mut self) {
        self.link = Link::default();
    }

    /// Sites that can reach each other must be peered within the bound.
    fn watch_link(&mut self) {
        let now = self.now;
        let [a, b] = self.sites.as_slice() else { return };
        let serves = |site: &Site| site.is_running() && site.node().is_some_and(|node| !node.is_draining());
        let whole = serves(a) && serves(b) && self.net.is_calm_between(A.addr().ip(), B.addr().ip());
        if self.link.looks(whole, &self.setup, a.lateness() + b.lateness(), now) {
            let alone = |site: &&Site| site.node().is_some_and(|node| node.mode() == Mode::SingleSite);
            if let Some(alone) = self.sites.iter().find(alone) {
                let (name, bound) = (alone.id.name(), Link::bound(&self.setup));
                let text = format!("{name} is not peered {bound:?} after both sites could reach each other");
                self.oracles.report(now, Invariant::PeeredAgain, text);
            }
        }
    }

    /// Whether a site that shuts down gracefully, and is done, has ended every call.
    fn leaves_nothing(&mut self, id: SiteId) {
        let calls = self.calls(id);
        let left = calls.iter().filter(|call| call.state != "ending").count();
        if left > 0 {
            let text = format!("{} has shut down gracefully, and had {left} calls: {calls:?}", id.name());
            self.oracles.report(self.now, Invariant::BystandersKeepTheirCalls, text);
        }
    }

    fn has_bad_manners(&self, addr: SocketAddr) -> bool {
        let ua = self.by_addr.get(&addr).and_then(|id| self.uas.get(id.0));
        ua.is_some_and(|ua| ua.profile.manners != Manners::default())
    }

    fn arm_site(&mut self, id: SiteId) {
        let now = self.now;
        let Some(site) = self.sites.get_mut(id.0).filter(|site| site.is_running()) else { return };
        let Some((at, _)) = site.next_timeout() else { return };
        let at = at.max(now);
        if site.armed.is_none_or(|armed| at < armed) {
            site.armed = Some(at);
            self.queue.push(at, Coming::SiteTimer(id));
        }
    }

    /// Sends what a device wants to send, then arms its timer.
    pub(crate) fn drain_ua(&mut self, id: UaId) {
        let now = self.now;
        let Some(ua) = self.uas.get_mut(id.0) else { return };
        let (out, notes, faults) =
            (std::mem::take(&mut ua.out), std::mem::take(&mut ua.notes), std::mem::take(&mut ua.faults));
        let due = ua.next_timeout().map(|at| at.max(now));
        notes.iter().for_each(|note| self.note(note));
        faults.into_iter().for_each(|fault| self.oracles.report(now, Invariant::SipAsWritten, fault));
        out.into_iter().for_each(|packet| self.transmit(packet));
        let (Some(at), Some(armed)) = (due, self.armed.get_mut(id.0)) else { return };
        if armed.is_none_or(|armed| at < armed) {
            *armed = Some(at);
            self.queue.push(at, Coming::UaTimer(id));
        }
    }

    /// The process of a site dies with everything it held. Packets to it are refused, or vanish with its host.
    pub fn crash(&mut self, id: SiteId, how: Refusal) {
        let Some(site) = self.sites.get_mut(id.0) else { return };
        let speaks = if site.pair.is_some() { site.speaks } else { site.node().is_some() };
        site.die();
        self.net.take_down(id.addr().ip(), how);
        self.cti_site_died(id, how);
        if speaks {
            self.oracles.forget(id);
        }
        self.watch_link();
        self.note(&format!("{} crashes", id.name()));
    }

    /// The connections of a device to every site are closed.
    pub fn drop_connections(&mut self, id: UaId) {
        let (now, to) = (self.now, self.uas.get(id.0).map(|ua| ua.profile.addr));
        let Some(to) = to else { return };
        self.note(&format!("device {} drops its connections", id.0));
        for from in self.sites.iter().map(|site| site.id.addr()).collect::<Vec<_>>() {
            self.queue.push(now, Coming::Refused { over: Over::Tcp, from, to });
        }
    }

    /// A site is told to shut down gracefully, or to go on after all. Its process ends when it is done.
    pub fn order_drain(&mut self, id: SiteId, order: DrainOrder) {
        let now = self.now;
        self.note(&format!("{}: {order:?}", id.name()));
        // A stopped process takes no orders.
        if let Some(site) = self.sites.get_mut(id.0).filter(|site| site.is_running()) {
            site.handle(Input::Drain(order), now);
            self.drain(id);
        }
    }

    /// A site hears what its peer's administration interface says; nothing may follow from it.
    pub fn hear_control(&mut self, id: SiteId, said: Control) {
        let now = self.now;
        if let Some(site) = self.sites.get_mut(id.0).filter(|site| site.is_running()) {
            site.handle(Input::PeerControl(said), now);
            self.drain(id);
        }
    }

    /// A site is told to move a share of its work to the other, or to stop that.
    ///
    /// # Errors
    /// Why it will not.
    pub fn order_migration(&mut self, id: SiteId, order: MigrateOrder) -> Result<(), String> {
        let now = self.now;
        self.note(&format!("{}: {order:?}", id.name()));
        let site = self.sites.get_mut(id.0).filter(|site| site.is_running()).ok_or("the site is down")?;
        let node = site.node().ok_or("the site is down")?;
        let answer = node.may_migrate(&order);
        site.handle(Input::Migrate(order), now);
        self.drain(id);
        answer
    }

    /// A site reads a changed configuration (SIGHUP).
    ///
    /// # Panics
    /// If the setup makes no valid directory.
    pub fn reload(&mut self, id: SiteId, change: impl FnOnce(&mut Setup)) {
        let (now, mut setup) = (self.now, self.setup.clone());
        change(&mut setup);
        let directory = setup.directory(id);
        assert!(directory.is_ok(), "{directory:?}");
        self.note(&format!("{} reads its configuration anew", id.name()));
        self.link = Link::default();
        if let (Some(site), Ok(directory)) = (self.sites.get_mut(id.0), directory) {
            site.directory = directory.clone();
            site.given = directory.clone();
            site.handle(Input::Directory(directory), now);
        }
        self.drain(id);
    }

    /// A dead site starts again, empty.
    pub fn restart(&mut self, id: SiteId) {
        let now = self.now;
        if self.sites.get(id.0).is_some_and(|site| site.pair.is_some()) {
            return self.recover(id);
        }
        self.net.bring_up(id.addr().ip());
        let Some(site) = self.sites.get_mut(id.0) else { return };
        if site.node().is_some() {
            return;
        }
        site.start(now);
        self.note(&format!("{} starts", id.name()));
        self.drain(id);
        self.overhear(id);
    }

    /// A dead site starts again with what it has stored.
    pub fn recover(&mut self, id: SiteId) {
        let now = self.now;
        if let Some(site) = self.sites.get_mut(id.0).filter(|site| site.pair.is_some()) {
            site.start_pair(now);
            return self.drain(id);
        }
        self.net.bring_up(id.addr().ip());
        let Some(site) = self.sites.get_mut(id.0).filter(|site| site.node().is_none()) else { return };
        let restored = site.recover(now);
        self.oracles.goes_on(id);
        self.note(&format!("{} starts again with {restored}", id.name()));
        self.drain(id);
    }

    /// The process of a site is stopped (SIGSTOP): packets wait for it, its clock runs on.
    pub fn freeze(&mut self, id: SiteId) {
        if let Some(site) = self.sites.get_mut(id.0) {
            match &mut site.pair {
                Some(pair) => (0..3).for_each(|place| pair.pause(place)),
                None => site.frozen = site.node().is_some(),
            }
        }
        self.oracles.excuse(id);
        self.watch_link();
        self.note(&format!("{} is stopped", id.name()));
    }

    /// A stopped process goes on (SIGCONT).
    pub fn thaw(&mut self, id: SiteId) {
        if self.sites.get(id.0).is_some_and(|site| site.pair.is_some()) {
            return (0..3).for_each(|place| self.resume_server(id, place));
        }
        let Some(site) = self.sites.get_mut(id.0).filter(|site| site.frozen) else { return };
        let waiting = site.thaw();
        self.oracles.failed(id.addr(), "a server in its path was stopped");
        site.armed = None;
        self.note(&format!("{} goes on", id.name()));
        for packet in waiting {
            self.deliver_to_site(id, packet);
        }
        let now = self.now;
        while let Some(site) = self.sites.get_mut(id.0) {
            let Some(input) = site.cti_inbox.pop_front() else { break };
            site.handle(Input::Cti(input), now);
            self.drain(id);
        }
        self.drain(id);
    }
}
