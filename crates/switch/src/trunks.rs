//! What this node believes about the devices it probes: every Trunk DN, and Extensions with a static contact.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use tandem_peer::continuity::{Mode, PeerTrunk, RedirectMemory};
use tandem_peer::trunk::{Action, CallFailure, ProbeId, TrunkHealth, TrunkTimer};
use tandem_sip::{Flow, TxnId};

use crate::directory::{Directory, DnId, TrunkId};
use crate::event::Event;
use crate::explain::KnownBy;
use crate::rooms::{Device, Fact};
use crate::time::Now;

/// See the module.
#[derive(Debug)]
pub struct Trunks {
    trunks: Vec<Line>,
    extensions: BTreeMap<DnId, TrunkHealth>,
    by_addr: HashMap<SocketAddr, TrunkId, foldhash::fast::RandomState>,
    /// Trunks that open connections, whose port is any.
    by_ip: HashMap<IpAddr, TrunkId, foldhash::fast::RandomState>,
    probes: BTreeMap<Device, TxnId>,
    /// When each device wants to be woken, kept in step by [`Trunks::change`].
    wakes: BTreeSet<(Instant, Device)>,
    mode: Mode,
    /// Callers redirected a moment ago (loop guard d).
    pub redirects: RedirectMemory,
}

#[derive(Debug)]
struct Line {
    health: TrunkHealth,
    addr: Option<SocketAddr>,
    connects: bool,
}

impl Trunks {
    /// Nothing is known yet; what is probed is probed at once.
    #[must_use]
    pub fn new(directory: &Directory, now: Now) -> Self {
        let line = |trunk: &crate::directory::Trunk| Line {
            health: TrunkHealth::new(trunk.oos, now.mono),
            addr: trunk.contact.addr,
            connects: trunk.contact.transport.is_reliable(),
        };
        let mut trunks = Self {
            trunks: directory.trunks().iter().map(line).collect(),
            extensions: BTreeMap::new(),
            by_addr: HashMap::default(),
            by_ip: HashMap::default(),
            probes: BTreeMap::new(),
            wakes: BTreeSet::new(),
            mode: Mode::StandAlone,
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
        let mut next = Self::new(new, now);
        for (id, trunk) in (0u32..).zip(new.trunks()) {
            let before = old.trunk_named(&trunk.name).and_then(|id| self.trunks.get_mut(id.0 as usize));
            let (Some(line), Some(before)) = (next.trunks.get_mut(id as usize), before) else { continue };
            std::mem::swap(&mut line.health, &mut before.health);
            line.addr = trunk.contact.addr.or(before.addr);
            if let Some(action) = line.health.options_changed(trunk.oos, now.mono) {
                facts.extend(event_of(&trunk.name, action));
            }
        }
        for (id, health) in &mut next.extensions {
            let Some(extension) = new.extension(*id) else { continue };
            let before = old.find(extension.number.as_bytes()).and_then(|id| self.extensions.remove(&id));
            if let Some(before) = before {
                *health = before;
                if let Some(action) = health.options_changed(extension.class.oos, now.mono) {
                    facts.extend(event_of(&extension.number, action));
                }
            }
        }
        next.mode = self.mode;
        next.redirects = std::mem::take(&mut self.redirects);
        next.index();
        next.schedule();
        *self = next;
    }

    /// The name in a trunk's contact has been resolved.
    pub fn resolved(&mut self, id: TrunkId, addr: Option<SocketAddr>) {
        if let Some(line) = self.trunks.get_mut(id.0 as usize) {
            line.addr = addr;
            self.index();
        }
    }

    fn index(&mut self) {
        self.by_addr.clear();
        self.by_ip.clear();
        for (id, line) in (0u32..).zip(&self.trunks) {
            if let Some(addr) = line.addr {
                self.by_addr.entry(addr).or_insert(TrunkId(id));
                if line.connects {
                    self.by_ip.entry(addr.ip()).or_insert(TrunkId(id));
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

    /// Where requests to a trunk go.
    #[must_use]
    pub fn addr(&self, id: TrunkId) -> Option<SocketAddr> {
        self.trunks.get(id.0 as usize)?.addr
    }

    /// May calls be sent to this trunk?
    #[must_use]
    pub fn in_service(&self, id: TrunkId) -> bool {
        self.trunks.get(id.0 as usize).is_some_and(|line| line.health.in_service())
    }

    /// Whether an Extension with a static contact answers; `None` when nobody probes it.
    #[must_use]
    pub fn extension_answers(&self, id: DnId) -> Option<bool> {
        self.extensions.get(&id).map(TrunkHealth::in_service)
    }

    /// What is believed about a device.
    #[must_use]
    pub fn health(&self, device: Device) -> Option<&TrunkHealth> {
        match device {
            Device::Trunk(id) => self.trunks.get(id.0 as usize).map(|line| &line.health),
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
        let health = &self.trunks.get(directory.options.dr_peer_trunk?.0 as usize)?.health;
        Some(PeerTrunk { in_service: health.in_service(), since: health.since() })
    }

    /// The next timer of any device.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Device, TrunkTimer)> {
        let (at, device) = self.wakes.first()?;
        let (_, timer) = self.health(*device)?.poll_timeout()?;
        Some((*at, *device, timer))
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Now, actions: &mut Vec<(Device, Action)>) {
        while let Some((at, device, _)) = self.poll_timeout() {
            if at > now.mono {
                return;
            }
            let action = self.change(device, |health| health.handle_timeout(now.mono));
            actions.extend(action.map(|action| (device, action)));
        }
    }

    /// A new probe goes out; gives the transaction of the one before it, if its answer can no longer count.
    pub fn probing(&mut self, device: Device, txn: TxnId) -> Option<TxnId> {
        let options = self.health(device)?.options();
        let outlived = options.oos_force_s <= options.oos_check_s;
        self.probes.insert(device, txn).filter(|_| outlived)
    }

    /// A final answer to a probe.
    pub fn probe_answered(
        &mut self,
        device: Device,
        probe: ProbeId,
        status: u16,
        now: Now,
    ) -> Option<Action> {
        self.change(device, |health| health.probe_answered(probe, status, now.mono))
    }

    /// A probe could not be delivered.
    pub fn probe_failed(&mut self, device: Device, probe: ProbeId, now: Now) -> Option<Action> {
        self.change(device, |health| health.probe_transport_failed(probe, now.mono))
    }

    /// A call attempt went unanswered.
    pub fn call_failed(&mut self, device: Device, how: CallFailure, now: Now) -> Option<Action> {
        self.change(device, |health| health.call_failed(how, now.mono))
    }

    /// A valid request came from the device.
    pub fn request_received(&mut self, device: Device, now: Now) -> Option<Action> {
        self.change(device, |health| health.request_received(now.mono))
    }

    /// Lets a device's state machine handle something, and notes when it wants to be woken next.
    fn change(
        &mut self,
        device: Device,
        act: impl FnOnce(&mut TrunkHealth) -> Option<Action>,
    ) -> Option<Action> {
        let health = match device {
            Device::Trunk(id) => self.trunks.get_mut(id.0 as usize).map(|line| &mut line.health),
            Device::Extension(id) => self.extensions.get_mut(&id),
            Device::Mixer => None,
        }?;
        let before = health.poll_timeout().map(|(at, _)| at);
        let action = act(health);
        let after = health.poll_timeout().map(|(at, _)| at);
        if before != after {
            self.wakes.extend(after.map(|at| (at, device)));
            if let Some(before) = before {
                self.wakes.remove(&(before, device));
            }
        }
        action
    }

    fn schedule(&mut self) {
        let trunks = (0u32..).zip(&self.trunks).map(|(id, line)| (Device::Trunk(TrunkId(id)), &line.health));
        let all = trunks.chain(self.extensions.iter().map(|(id, health)| (Device::Extension(*id), health)));
        self.wakes = all.filter_map(|(device, health)| Some((health.poll_timeout()?.0, device))).collect();
    }
}

/// The event that an action of a device's state machine is, if it is one.
#[must_use]
pub fn event_of(name: &str, action: Action) -> Option<Fact> {
    let dn = std::sync::Arc::from(name);
    match action {
        Action::SendProbe { .. } => None,
        Action::DnOutOfService(reason) => {
            Some(Fact::Event(Event::DnOutOfService { dn, reason: reason.to_string().into() }))
        }
        Action::DnBackInService(reason) => {
            Some(Fact::Event(Event::DnBackInService { dn, reason: reason.to_string().into() }))
        }
    }
}

fn probed_extensions(directory: &Directory) -> impl Iterator<Item = DnId> {
    let probed = |extension: &crate::directory::Extension| {
        extension.class.contact.is_some() && extension.class.oos.oos_check_s > 0
    };
    (0u32..).zip(directory.extensions()).filter(move |(_, e)| probed(e)).map(|(id, _)| DnId(id))
}
