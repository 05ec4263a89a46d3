//! What an operator may see.

use std::net::SocketAddr;

use super::{Node, floor_views};
use crate::cti::calls::parse_conn_id;
use crate::directory::{DnId, TrunkId};
use crate::events::Package;
use crate::rooms::{Device, Rooms};
use crate::share::Share;
use crate::time::Now;
use crate::view;
use tandem_peer::trunk::Phase;

impl Node {
    /// The last batch that something waits for, and the last that something in a hurry waits, or waited, for; 0 for none.
    #[must_use]
    pub fn waits_for(&self) -> (u64, u64) {
        self.outbox.waits_for()
    }

    /// `tandem status`.
    #[must_use]
    pub fn status(&self, now: Now) -> view::Status {
        let directory = &self.rooms.directory;
        let out = |id: &u32| !self.rooms.trunks.in_service(TrunkId(*id));
        let name = |id: u32| directory.trunk(TrunkId(id)).map(|trunk| trunk.name.to_string());
        let trunks = (0u32..).zip(directory.trunks()).map(|(id, _)| id);
        view::Status {
            server: directory.server.name.to_string(),
            switch: directory.server.switch.to_string(),
            mode: self.mode().to_string(),
            peered_in_s: self.peered_in(now).map(|wait| wait.as_millis().div_ceil(1000) as u64),
            peer_trunk: directory.options.dr_peer_trunk.and_then(|id| name(id.0)),
            calls: self.calls.len(),
            extensions: directory.extensions().len(),
            in_service: self.extensions_in_service(),
            bindings: self.rooms.registrar.len(),
            trunks_out_of_service: trunks.filter(out).filter_map(name).collect(),
            transactions: self.rooms.endpoint.len(),
            subscriptions: view::Subscriptions {
                dialog: self.events.count(Package::Dialog),
                reg: self.events.count(Package::Reg),
                message_summary: self.events.count(Package::MessageSummary),
            },
            guard: self.guard_view(now),
            draining: self.is_draining(),
            peer_failure: self.failure_view(now),
            migration: self.migration_line(),
            migration_percent: self.rooms.share.as_ref().map_or(0, Share::percent),
        }
    }

    /// Extensions that can be rung here, without looking at each: those that are registered, and those with a static
    /// contact that are not known to be dead.
    fn extensions_in_service(&self) -> usize {
        let fixed =
            self.rooms.directory.static_extensions().saturating_sub(self.rooms.trunks.extensions_out());
        self.rooms.registrar.registered_dns() + fixed
    }

    /// Whether this server can take calls.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn ready(&self) -> Result<(), String> {
        if self.calls.is_full() {
            return Err(format!("the call table is full ({} calls)", self.calls.len()));
        }
        if self.is_draining() {
            return Err("the server is being drained".to_owned());
        }
        if self.outbox.len() > crate::limits::MAX_HELD_OUTPUTS {
            return Err("records are not being committed: outputs are held back".to_owned());
        }
        Ok(())
    }

    /// Local tags that lead to a call; none are left when no call is.
    #[must_use]
    pub fn dialogs(&self) -> usize {
        self.rooms.tags.len()
    }

    /// `tandem call list`. Whoever is called beside a conversation is not one more call.
    #[must_use]
    pub fn call_list(&self, now: Now) -> Vec<view::Call> {
        self.calls.iter().filter(|call| !call.is_aside()).map(|call| call.view(now)).collect()
    }

    /// `tandem trunk list`.
    #[must_use]
    pub fn trunk_list(&self, now: Now) -> Vec<view::Trunk> {
        let directory = &self.rooms.directory;
        let since = |at| now.mono.saturating_duration_since(at).as_secs();
        let target = |target: &crate::trunks::Target| {
            let at = target.at?;
            let wait = target.rests_until.map(|until| until.saturating_duration_since(now.mono).as_secs());
            Some(view::Target {
                transport: at.transport.as_str(),
                addr: at.addr.to_string(),
                priority: at.priority,
                weight: at.weight,
                state: state(target.health.phase()),
                reason: target.health.reason().to_string(),
                since_s: since(target.health.since()),
                left_alone_s: wait.unwrap_or(0),
            })
        };
        let targets = |id| self.rooms.trunks.targets(id).iter().filter_map(target).collect();
        let line = |(id, trunk): (u32, &crate::directory::Trunk)| {
            let health = self.rooms.trunks.health(Device::Trunk(TrunkId(id)))?;
            Some(view::Trunk {
                name: trunk.name.to_string(),
                contact: trunk.contact.uri.to_string(),
                peer: directory.options.dr_peer_trunk == Some(TrunkId(id)),
                state: state(health.phase()),
                reason: health.reason().to_string(),
                since_s: since(self.rooms.trunks.since(TrunkId(id)).unwrap_or(now.mono)),
                targets: targets(TrunkId(id)),
                oos_check_s: trunk.oos.oos_check_s.into(),
                oos_force_s: trunk.oos.oos_force_s.into(),
                calls: self.calls.iter().filter(|call| call.uses_trunk(&trunk.name)).count(),
                capacity: trunk.capacity.calls,
                max_calls_per_second: trunk.capacity.per_second,
                refused: self.rooms.trunks.load.refused(&trunk.name),
            })
        };
        (0u32..).zip(directory.trunks()).filter_map(line).collect()
    }

    /// `tandem why`: by a Call-ID of any leg, the `CallUUID` or the `ConnID`; of a call that came to a queue also what
    /// became of it there.
    #[must_use]
    pub fn why(&self, call_id: &str) -> Option<view::Why> {
        let named = parse_conn_id(call_id).and_then(|conn| self.floor.tcalls.key_of(conn));
        let alive = self
            .calls
            .iter()
            .map(|call| (call.key(), call.explained()))
            .find(|(key, explained)| Some(*key) == named || explained.is(call_id));
        let kept = if alive.is_none() { self.archive.find(call_id) } else { None };
        let explained = alive.as_ref().map(|(_, explained)| explained).or(kept)?;
        let above = alive.as_ref().and_then(|(key, _)| self.floor.tcalls.conn_of(*key)).or(explained.conn);
        let at_queues = above.map(|conn| self.floor.queues.why_call(conn)).unwrap_or_default();
        Some(explained.view(alive.is_some(), at_queues.into_iter().map(floor_views::step).collect()))
    }

    /// Name of the peer trunk, if there is one.
    #[must_use]
    pub fn peer_trunk(&self) -> Option<&str> {
        let directory = &self.rooms.directory;
        Some(&*directory.trunk(directory.options.dr_peer_trunk?)?.name)
    }

    /// Where the peer site is reached: the address of its trunk, and the networks that are its too. Empty without one.
    #[must_use]
    pub fn peer_addresses(&self) -> (Option<SocketAddr>, Vec<ipnet::IpNet>) {
        let directory = &self.rooms.directory;
        let Some(id) = directory.options.dr_peer_trunk else { return (None, Vec::new()) };
        let networks = directory.trunk(id).map(|trunk| trunk.sources.clone()).unwrap_or_default();
        let mut at = self.rooms.trunks.targets(id).iter().filter_map(|target| Some(target.at?.addr));
        let first = at.next();
        (first, networks.into_iter().chain(at.map(|addr| addr.ip().into())).collect())
    }

    /// Every Extension and Trunk with the address that it is reached at; one with several contacts has as many lines.
    #[must_use]
    pub fn reached_at(&self) -> Vec<(Box<str>, SocketAddr)> {
        let directory = &self.rooms.directory;
        let extensions = (0u32..).zip(directory.extensions()).flat_map(|(id, extension)| {
            let fixed = extension.class.contact.as_ref().and_then(|contact| contact.addr);
            let registered = self.rooms.registrar.bindings(DnId(id)).map(|binding| binding.flow().remote);
            registered.chain(fixed).map(|addr| (Box::from(&*extension.number), addr))
        });
        let trunks = (0u32..)
            .zip(directory.trunks())
            .flat_map(|(id, trunk)| {
                self.rooms.trunks.targets(TrunkId(id)).iter().map(move |at| (trunk, at.at))
            })
            .filter_map(|(trunk, at)| Some((Box::from(&*trunk.name), at?.addr)));
        extensions.chain(trunks).collect()
    }

    /// The printed name of a device.
    #[must_use]
    pub fn device_name(&self, device: Device) -> &str {
        Rooms::name_of(&self.rooms.directory, device)
    }
}

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::InService => "in-service",
        Phase::Probing => "probing",
        Phase::OutOfService => "out-of-service",
    }
}
