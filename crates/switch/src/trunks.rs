//! What this node believes about the devices it probes: every Trunk DN, and Extensions with a static contact.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use tandem_peer::continuity::{Mode, RedirectMemory};
use tandem_peer::trunk::{Action, CallFailure, ProbeId, TrunkHealth, TrunkTimer};

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
    /// Callers redirected a moment ago (loop guard d).
    pub redirects: RedirectMemory,
}

#[derive(Debug)]
struct Line {
    health: TrunkHealth,
    addr: Option<SocketAddr>,
}

impl Trunks {
    /// Nothing is known yet; what is probed is probed at once.
    #[must_use]
    pub fn new(directory: &Directory, now: Now) -> Self {
        let line = |trunk: &crate::directory::Trunk| Line {
            health: TrunkHealth::new(trunk.oos, now.mono),
            addr: trunk.contact.addr,
        };
        let mut trunks = Self {
            trunks: directory.trunks().iter().map(line).collect(),
            extensions: BTreeMap::new(),
            by_addr: HashMap::default(),
            redirects: RedirectMemory::new(),
        };
        for id in probed_extensions(directory) {
            let options = directory.extension(id).map(|e| e.class.oos).unwrap_or_default();
            trunks.extensions.insert(id, TrunkHealth::new(options, now.mono));
        }
        trunks.index();
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
        next.redirects = std::mem::take(&mut self.redirects);
        next.index();
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
        for (id, line) in (0u32..).zip(&self.trunks) {
            if let Some(addr) = line.addr {
                self.by_addr.entry(addr).or_insert(TrunkId(id));
            }
        }
    }

    /// Whose trunk a source address is: exactly its contact, or one in its networks.
    #[must_use]
    pub fn identify(&self, directory: &Directory, source: SocketAddr) -> Option<(TrunkId, KnownBy)> {
        if let Some(id) = self.by_addr.get(&source) {
            return Some((*id, KnownBy::TrunkAddress));
        }
        let inside = directory.trunk_sources().find(|(_, net)| net.contains(&source.ip()))?;
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
        }
    }

    /// The continuity mode (semantics 1.3).
    #[must_use]
    pub fn mode(&self, directory: &Directory) -> Mode {
        Mode::of(directory.options.dr_peer_trunk.map(|id| self.in_service(id)))
    }

    /// The next timer of any device.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Device, TrunkTimer)> {
        self.all()
            .filter_map(|(device, health)| {
                let (at, timer) = health.poll_timeout()?;
                Some((at, device, timer))
            })
            .min_by_key(|(at, device, _)| (*at, *device))
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Now, actions: &mut Vec<(Device, Action)>) {
        while let Some((at, device, _)) = self.poll_timeout() {
            if at > now.mono {
                return;
            }
            let action = self.health_mut(device).and_then(|health| health.handle_timeout(now.mono));
            actions.extend(action.map(|action| (device, action)));
        }
    }

    /// A final answer to a probe.
    pub fn probe_answered(
        &mut self,
        device: Device,
        probe: ProbeId,
        status: u16,
        now: Now,
    ) -> Option<Action> {
        self.health_mut(device)?.probe_answered(probe, status, now.mono)
    }

    /// A probe could not be delivered.
    pub fn probe_failed(&mut self, device: Device, probe: ProbeId, now: Now) -> Option<Action> {
        self.health_mut(device)?.probe_transport_failed(probe, now.mono)
    }

    /// A call attempt went unanswered.
    pub fn call_failed(&mut self, device: Device, how: CallFailure, now: Now) -> Option<Action> {
        self.health_mut(device)?.call_failed(how, now.mono)
    }

    /// A valid request came from the device.
    pub fn request_received(&mut self, device: Device, now: Now) -> Option<Action> {
        self.health_mut(device)?.request_received(now.mono)
    }

    fn health_mut(&mut self, device: Device) -> Option<&mut TrunkHealth> {
        match device {
            Device::Trunk(id) => self.trunks.get_mut(id.0 as usize).map(|line| &mut line.health),
            Device::Extension(id) => self.extensions.get_mut(&id),
        }
    }

    fn all(&self) -> impl Iterator<Item = (Device, &TrunkHealth)> {
        let trunks = (0u32..).zip(&self.trunks).map(|(id, line)| (Device::Trunk(TrunkId(id)), &line.health));
        trunks.chain(self.extensions.iter().map(|(id, health)| (Device::Extension(*id), health)))
    }
}

/// The event that an action of a device's state machine is, if it is one.
#[must_use]
pub fn event_of(name: &str, action: Action) -> Option<Fact> {
    let dn = Box::from(name);
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
