//! What this node believes about the devices it probes: every Trunk DN, and Extensions with a static contact.

pub(crate) mod believed;
mod line;
mod load;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tandem_peer::continuity::{Mode, PeerTrunk, RedirectMemory};
use tandem_peer::replica::{Change, ChangeLog};
use tandem_peer::trunk::{Action, CallFailure, ProbeId, TrunkHealth, TrunkOptions, TrunkTimer};
use tandem_sip::locate::{Candidate, Wanted};
use tandem_sip::{Flow, TxnId};

use self::believed::{Beliefs, Believed, Seen};
use self::line::Line;
pub use self::line::{Consequence, Target, TargetNo};
pub use self::load::{Full, TrunkLoad};
use crate::directory::{Directory, DnId, TrunkId};
use crate::event::Event;
use crate::explain::KnownBy;
use crate::rooms::{Device, Fact};
use crate::time::Now;

/// See the module.
#[derive(Debug)]
pub struct Trunks {
    trunks: Vec<Line>,
    /// Options of each trunk, as configured.
    options: Vec<TrunkOptions>,
    extensions: BTreeMap<DnId, TrunkHealth>,
    by_addr: HashMap<SocketAddr, TrunkId, foldhash::fast::RandomState>,
    /// Trunks that open connections, whose port is any.
    by_ip: HashMap<IpAddr, TrunkId, foldhash::fast::RandomState>,
    probes: BTreeMap<(Device, TargetNo), TxnId>,
    /// When each device's target wants to be woken, kept in step by [`Trunks::change`].
    wakes: BTreeSet<(Instant, Device, TargetNo)>,
    last_no: u32,
    mode: Mode,
    beliefs: Beliefs,
    /// Calls over each trunk.
    pub load: TrunkLoad,
    /// Callers redirected a moment ago (loop guard d).
    pub redirects: RedirectMemory,
}

impl Trunks {
    /// Nothing is known yet; what is probed is probed at once.
    #[must_use]
    pub fn new(directory: &Directory, now: Now) -> Self {
        Self::numbered(directory, 0, now)
    }

    fn numbered(directory: &Directory, mut last_no: u32, now: Now) -> Self {
        let mut lines = Vec::with_capacity(directory.trunks().len());
        for trunk in directory.trunks() {
            last_no += 1;
            lines.push(Line::new(trunk, TargetNo(last_no), now.mono));
        }
        let mut trunks = Self {
            trunks: lines,
            options: directory.trunks().iter().map(|trunk| trunk.oos).collect(),
            extensions: BTreeMap::new(),
            by_addr: HashMap::default(),
            by_ip: HashMap::default(),
            probes: BTreeMap::new(),
            wakes: BTreeSet::new(),
            last_no,
            mode: Mode::StandAlone,
            beliefs: Beliefs::default(),
            load: TrunkLoad::default(),
            redirects: RedirectMemory::new(),
        };
        for id in probed_extensions(directory) {
            let options = directory.extension(id).map(|e| e.class.oos).unwrap_or_default();
            trunks.extensions.insert(id, TrunkHealth::new(options, now.mono));
        }
        trunks.mode = Mode::of(trunks.peer(directory).map(|peer| peer.in_service));
        trunks.index();
        trunks.schedule();
        trunks
    }

    /// Takes a new configuration: what is believed of a device follows its name.
    pub fn adopt(&mut self, old: &Directory, new: &Directory, now: Now, facts: &mut Vec<Fact>) {
        let mut next = Self::numbered(new, self.last_no, now);
        for (id, trunk) in (0u32..).zip(new.trunks()) {
            let older = old.trunk_named(&trunk.name);
            let contact = older.and_then(|id| old.trunk(id)).map(|older| &older.contact);
            let before = older.and_then(|id| self.trunks.get_mut(id.0 as usize));
            let (Some(line), Some(before)) = (next.trunks.get_mut(id as usize), before) else { continue };
            let same = |older: &crate::directory::StaticContact| {
                (&older.addr, &older.resolve, older.transport)
                    == (&trunk.contact.addr, &trunk.contact.resolve, trunk.contact.transport)
            };
            line.inherit(before, contact.is_some_and(same));
            for consequence in line.options_changed(trunk.oos, now.mono) {
                facts.extend(event_of(&trunk.name, consequence));
            }
        }
        for (id, health) in &mut next.extensions {
            let Some(extension) = new.extension(*id) else { continue };
            let before = old.find(extension.number.as_bytes()).and_then(|id| self.extensions.remove(&id));
            if let Some(before) = before {
                *health = before;
                let action = health.options_changed(extension.class.oos, now.mono).and_then(of_extension);
                facts.extend(action.and_then(|action| event_of(&extension.number, action)));
            }
        }
        next.mode = self.mode;
        next.redirects = std::mem::take(&mut self.redirects);
        next.load = std::mem::take(&mut self.load);
        next.load.forget(|name| new.trunk_named(name).is_some());
        next.beliefs = std::mem::take(&mut self.beliefs);
        next.index();
        next.schedule();
        let trunks = (0u32..).zip(&next.trunks).map(|(id, _)| Device::Trunk(TrunkId(id)));
        next.beliefs.adopted(trunks.chain(next.extensions.keys().copied().map(Device::Extension)));
        *self = next;
    }

    /// A name in the contacts of trunks has been located; what follows for each of them. Nothing was found: they keep
    /// what they have.
    pub fn located(
        &mut self,
        directory: &Directory,
        wanted: &Wanted,
        found: &[Candidate],
        now: Now,
    ) -> Vec<(TrunkId, Consequence)> {
        if found.is_empty() {
            return Vec::new();
        }
        let mut told = Vec::new();
        for (id, trunk) in (0u32..).zip(directory.trunks()) {
            if trunk.contact.resolve.as_ref() != Some(wanted) {
                continue;
            }
            let (Some(line), last_no) = (self.trunks.get_mut(id as usize), &mut self.last_no) else {
                continue;
            };
            let next_no = || {
                *last_no += 1;
                TargetNo(*last_no)
            };
            let turned = line.located(trunk.oos, found, next_no, now.mono);
            told.extend(turned.map(|turned| (TrunkId(id), turned)));
            self.beliefs.turned(Device::Trunk(TrunkId(id)));
        }
        self.index();
        self.schedule();
        told
    }

    fn index(&mut self) {
        self.by_addr.clear();
        self.by_ip.clear();
        for (id, line) in (0u32..).zip(&self.trunks) {
            for at in line.targets.iter().filter_map(|target| target.at) {
                self.by_addr.entry(at.addr).or_insert(TrunkId(id));
                if at.transport.is_reliable() {
                    self.by_ip.entry(at.addr.ip()).or_insert(TrunkId(id));
                }
            }
        }
    }

    /// Whose trunk the source of a message is: its contact, or an address in its networks. Whoever opens connections comes
    /// from any port of his. A trunk that must show a certificate is known over TLS only, where it has shown one.
    #[must_use]
    pub fn identify(&self, directory: &Directory, flow: Flow) -> Option<(TrunkId, KnownBy)> {
        let source = flow.remote;
        let proven = |id: &TrunkId| {
            flow.transport.is_secure()
                || directory.trunk(*id).is_none_or(|trunk| !trunk.tls_client_certificate)
        };
        let connected = || self.by_ip.get(&source.ip()).filter(|_| flow.transport.is_reliable());
        if let Some(id) = self.by_addr.get(&source).or_else(connected).filter(|id| proven(id)) {
            return Some((*id, KnownBy::TrunkAddress));
        }
        let mut inside = directory.trunk_sources().filter(|(_, net)| net.contains(&source.ip()));
        let inside = inside.find(|(id, _)| proven(id))?;
        Some((inside.0, KnownBy::TrunkNetwork))
    }

    /// Every place that a trunk leads to.
    #[must_use]
    pub fn targets(&self, id: TrunkId) -> &[Target] {
        self.trunks.get(id.0 as usize).map_or(&[], |line| line.targets.as_slice())
    }

    /// Where one of its targets is.
    #[must_use]
    pub fn target_at(&self, id: TrunkId, no: TargetNo) -> Option<Candidate> {
        self.trunks.get(id.0 as usize)?.target(no)?.at
    }

    /// Where a call to a trunk is sent: these places, in this order (RFC 3263 4.2). Empty while no place is known, or
    /// every one asked to be left alone.
    #[must_use]
    pub fn ways(&self, id: TrunkId, now: Now, draw: impl FnMut(u32) -> u32) -> SmallVec<[Candidate; 2]> {
        self.trunks.get(id.0 as usize).map(|line| line.ways(now.mono, draw)).unwrap_or_default()
    }

    /// Where a call for help is sent: as any other, and then to the places that asked to be left alone.
    #[must_use]
    pub fn ways_for_help(
        &self,
        id: TrunkId,
        now: Now,
        draw: impl FnMut(u32) -> u32,
    ) -> SmallVec<[Candidate; 2]> {
        let mut ways = self.ways(id, now, draw);
        ways.extend(self.trunks.get(id.0 as usize).into_iter().flat_map(|line| line.resting(now.mono)));
        ways
    }

    /// May calls be sent to this trunk?
    #[must_use]
    pub fn in_service(&self, id: TrunkId) -> bool {
        let line = self.trunks.get(id.0 as usize).zip(self.options.get(id.0 as usize));
        line.is_some_and(|(line, options)| line.in_service(*options))
    }

    /// Since when a trunk is in or out of service.
    #[must_use]
    pub fn since(&self, id: TrunkId) -> Option<Instant> {
        self.trunks.get(id.0 as usize).map(Line::since)
    }

    /// Whether an Extension with a static contact answers; `None` when nobody probes it.
    #[must_use]
    pub fn extension_answers(&self, id: DnId) -> Option<bool> {
        self.extensions.get(&id).map(TrunkHealth::in_service)
    }

    /// Extensions with a static contact that are known to be dead.
    #[must_use]
    pub fn extensions_out(&self) -> usize {
        self.extensions.values().filter(|health| !health.in_service()).count()
    }

    /// What is believed about a device; of a trunk with several targets, what decides about it.
    #[must_use]
    pub fn health(&self, device: Device) -> Option<&TrunkHealth> {
        match device {
            Device::Trunk(id) => self.trunks.get(id.0 as usize)?.speaks().map(|target| &target.health),
            Device::Extension(id) => self.extensions.get(&id),
            Device::Mixer => None,
        }
    }

    fn health_of(&self, device: Device, no: TargetNo) -> Option<&TrunkHealth> {
        match device {
            Device::Trunk(id) => self.trunks.get(id.0 as usize)?.target(no).map(|target| &target.health),
            Device::Extension(id) => self.extensions.get(&id),
            Device::Mixer => None,
        }
    }

    /// The continuity mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Judges the mode anew, by the peer trunk alone; the mode until now, if it is another one.
    pub fn judge(&mut self, directory: &Directory, now: Now) -> Option<Mode> {
        let delay = directory.options.dr_recovery_delay;
        let next = self.mode.next(self.peer(directory), delay, now.mono);
        let before = std::mem::replace(&mut self.mode, next);
        (before != next).then_some(before)
    }

    /// When the mode is to be judged anew although nothing is heard of the peer trunk.
    #[must_use]
    pub fn judged_at(&self, directory: &Directory) -> Option<Instant> {
        self.mode.ends_at(self.peer(directory), directory.options.dr_recovery_delay)
    }

    fn peer(&self, directory: &Directory) -> Option<PeerTrunk> {
        let peer = directory.options.dr_peer_trunk?;
        Some(PeerTrunk { in_service: self.in_service(peer), since: self.since(peer)? })
    }

    /// The next timer of any device.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Device, TrunkTimer)> {
        let (at, device, no) = self.wakes.first()?;
        let (_, timer) = self.health_of(*device, *no)?.poll_timeout()?;
        Some((*at, *device, timer))
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Now, told: &mut Vec<(Device, Consequence)>) {
        while let Some((at, device, no)) = self.wakes.first().copied() {
            if at > now.mono {
                return;
            }
            let change = self.change(device, no, now, |health| health.handle_timeout(now.mono));
            told.extend(change.map(|change| (device, change)));
        }
    }

    /// A new probe goes out; gives the transaction of the one before it, if its answer can no longer count.
    pub fn probing(&mut self, device: Device, target: TargetNo, txn: TxnId) -> Option<TxnId> {
        let options = self.health_of(device, target)?.options();
        let outlived = options.oos_force_s <= options.oos_check_s;
        self.probes.insert((device, target), txn).filter(|_| outlived)
    }

    /// A final answer to a probe.
    pub fn probe_answered(
        &mut self,
        device: Device,
        target: TargetNo,
        probe: ProbeId,
        status: u16,
        now: Now,
    ) -> Option<Consequence> {
        self.change(device, target, now, |health| health.probe_answered(probe, status, now.mono))
    }

    /// A probe could not be delivered.
    pub fn probe_failed(
        &mut self,
        device: Device,
        target: TargetNo,
        probe: ProbeId,
        now: Now,
    ) -> Option<Consequence> {
        self.change(device, target, now, |health| health.probe_transport_failed(probe, now.mono))
    }

    /// A call attempt by this flow went unanswered.
    pub fn call_failed(
        &mut self,
        device: Device,
        flow: Flow,
        how: CallFailure,
        now: Now,
    ) -> Option<Consequence> {
        let target = self.target_of(device, flow)?;
        self.change(device, target, now, |health| health.call_failed(how, now.mono))
    }

    /// A valid request came from the device by this flow.
    pub fn request_received(&mut self, device: Device, flow: Flow, now: Now) -> Option<Consequence> {
        let target = self.target_of(device, flow)?;
        self.change(device, target, now, |health| health.request_received(now.mono))
    }

    /// A trunk's target at the end of this flow asked to be left alone for so long (RFC 3261 21.5.4).
    pub fn rest(&mut self, id: TrunkId, flow: Flow, retry_after: Duration, now: Now) {
        if let Some(line) = self.trunks.get_mut(id.0 as usize)
            && let Some(target) = line.at(flow)
        {
            line.rest(target, retry_after, now.mono);
            self.beliefs.turned(Device::Trunk(id));
        }
    }

    fn target_of(&self, device: Device, flow: Flow) -> Option<TargetNo> {
        match device {
            Device::Trunk(id) => self.trunks.get(id.0 as usize)?.at(flow),
            Device::Extension(_) => Some(TargetNo::default()),
            Device::Mixer => None,
        }
    }

    /// Lets a device's state machine handle something, and notes when it wants to be woken next.
    fn change(
        &mut self,
        device: Device,
        no: TargetNo,
        now: Now,
        act: impl FnOnce(&mut TrunkHealth) -> Option<Action>,
    ) -> Option<Consequence> {
        let health = self.health_of(device, no)?;
        let (before, known) = (health.poll_timeout().map(|(at, _)| at), health.known());
        let consequence = match device {
            Device::Trunk(id) => {
                let options = *self.options.get(id.0 as usize)?;
                self.trunks.get_mut(id.0 as usize)?.change(options, no, now.mono, act)
            }
            Device::Extension(id) => act(self.extensions.get_mut(&id)?).and_then(of_extension),
            Device::Mixer => None,
        };
        let health = self.health_of(device, no);
        let after = health.and_then(TrunkHealth::poll_timeout).map(|(at, _)| at);
        if health.is_some_and(|health| health.known() != known) {
            self.beliefs.turned(device);
        }
        if before != after {
            self.wakes.extend(after.map(|at| (at, device, no)));
            if let Some(before) = before {
                self.wakes.remove(&(before, device, no));
            }
        }
        consequence
    }

    /// Stores what has become of devices since this was asked last.
    pub fn keep(&mut self, directory: &Directory, now: Now, log: &mut ChangeLog, next_record: &mut u64) {
        if self.beliefs.are_settled() {
            return;
        }
        let mut beliefs = std::mem::take(&mut self.beliefs);
        for device in beliefs.take_turned() {
            if let Some(seen) = self.seen(directory, device) {
                beliefs.keep(&seen, now, log, next_record);
            }
        }
        let is_there = |is_trunk, name: &str| match is_trunk {
            true => directory.trunk_named(name).is_some(),
            false => directory.find(name.as_bytes()).is_some_and(|id| self.extensions.contains_key(&id)),
        };
        beliefs.prune(is_there, log);
        self.beliefs = beliefs;
    }

    fn seen<'a>(&'a self, directory: &'a Directory, device: Device) -> Option<Seen<'a>> {
        match device {
            Device::Trunk(id) => {
                let (line, trunk) = (self.trunks.get(id.0 as usize)?, directory.trunk(id)?);
                let places = line.targets.iter().map(Seen::place).collect();
                let (name, contact, since) = (&trunk.name, &trunk.contact.uri, line.since());
                Some(Seen { is_trunk: true, name, contact, since, places })
            }
            Device::Extension(id) => {
                let (health, extension) = (self.extensions.get(&id)?, directory.extension(id)?);
                let contact = &extension.class.contact.as_ref()?.uri;
                let places = SmallVec::from_iter([(None, health, None)]);
                let (name, since) = (&extension.number, health.since());
                Some(Seen { is_trunk: false, name, contact, since, places })
            }
            Device::Mixer => None,
        }
    }

    /// Takes up what an earlier process believed of a device, which is asked at once. False: that cannot be read.
    pub fn restore(
        &mut self,
        change: &Change,
        directory: &Directory,
        now: Now,
        log: &mut ChangeLog,
        next_record: &mut u64,
    ) -> bool {
        *next_record = change.key.id.max(*next_record);
        let Some(record) = self.beliefs.read(change, log) else { return false };
        let Some(record) = record else { return true };
        let Some(device) = self.resume(&record, directory, now) else {
            record.delete(log);
            return true;
        };
        let mut beliefs = std::mem::take(&mut self.beliefs);
        if let Some(seen) = self.seen(directory, device) {
            beliefs.took_up(record, &seen);
        }
        self.beliefs = beliefs;
        true
    }

    fn resume(&mut self, record: &Believed, directory: &Directory, now: Now) -> Option<Device> {
        let first = record.places.first()?;
        if !record.is_trunk {
            let id = directory.find(record.name.as_bytes())?;
            let health = self.extensions.get_mut(&id)?;
            *health = TrunkHealth::resumed(*health.options(), first.known(now), now.mono);
            return Some(Device::Extension(id));
        }
        let id = directory.trunk_named(&record.name)?;
        let (line, last_no) = (self.trunks.get_mut(id.0 as usize)?, &mut self.last_no);
        let next_no = || {
            *last_no += 1;
            TargetNo(*last_no)
        };
        line.resume(directory.trunk(id)?, record, next_no, now);
        Some(Device::Trunk(id))
    }

    /// All that an earlier process believed has been taken up. Gives the number of devices that it knew something of, and
    /// of those that are out of service. The mode is what it was, unless the peer trunk was back for too short a time.
    pub fn restored(&mut self, directory: &Directory, now: Now) -> (usize, usize) {
        let delay = directory.options.dr_recovery_delay;
        self.mode = Mode::SingleSite.next(self.peer(directory), delay, now.mono);
        self.index();
        self.schedule();
        let devices = (0u32..).zip(&self.trunks).filter(|(id, _)| !self.in_service(TrunkId(*id)));
        (self.beliefs.len(), devices.count() + self.extensions_out())
    }

    fn schedule(&mut self) {
        let targets = |(id, line): (u32, &Line)| {
            let of_line = |target: &Target| {
                Some((target.health.poll_timeout()?.0, Device::Trunk(TrunkId(id)), target.no))
            };
            line.targets.iter().filter_map(of_line).collect::<SmallVec<[_; 2]>>()
        };
        let trunks = (0u32..).zip(&self.trunks).flat_map(targets);
        let extension = |(id, health): (&DnId, &TrunkHealth)| {
            Some((health.poll_timeout()?.0, Device::Extension(*id), TargetNo::default()))
        };
        self.wakes = trunks.chain(self.extensions.iter().filter_map(extension)).collect();
    }
}

/// What an action of an Extension's state machine is: it has one place.
#[expect(clippy::unnecessary_wraps, reason = "it is the end of a chain of options")]
fn of_extension(action: Action) -> Option<Consequence> {
    Some(match action {
        Action::SendProbe { probe, max_forwards } => {
            Consequence::Probe { target: TargetNo::default(), probe, max_forwards }
        }
        Action::DnOutOfService(reason) => Consequence::Out(reason),
        Action::DnBackInService(reason) => Consequence::Back(reason),
    })
}

/// The event that a consequence is, if it is one.
#[must_use]
pub fn event_of(name: &str, consequence: Consequence) -> Option<Fact> {
    let dn = std::sync::Arc::from(name);
    let at = |at: Candidate| format!("{} {}", at.transport, at.addr).into_boxed_str();
    Some(Fact::Event(match consequence {
        Consequence::Probe { .. } => return None,
        Consequence::Out(reason) => Event::DnOutOfService { dn, reason: reason.to_string().into() },
        Consequence::Back(reason) => Event::DnBackInService { dn, reason: reason.to_string().into() },
        Consequence::TargetOut(target, reason) => {
            Event::TargetOutOfService { dn, target: at(target), reason: reason.to_string().into() }
        }
        Consequence::TargetBack(target, reason) => {
            Event::TargetBackInService { dn, target: at(target), reason: reason.to_string().into() }
        }
    }))
}

fn probed_extensions(directory: &Directory) -> impl Iterator<Item = DnId> {
    let probed = |extension: &crate::directory::Extension| {
        extension.class.contact.is_some() && extension.class.oos.oos_check_s > 0
    };
    (0u32..).zip(directory.extensions()).filter(move |(_, e)| probed(e)).map(|(id, _)| DnId(id))
}
