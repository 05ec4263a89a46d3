//! Where requests within a dialog go whose next hop is the name in the contact of its trunk: each request is located for
//! itself (RFC 3261 8.1.2, RFC 3263 4). It stays with the target that the dialog runs over while that is in service; when
//! that is lost, another target of the name has the dialog as well, for which proxies name themselves so.

use tandem_sip::locate::{Candidate, Wanted};
use tandem_sip::{Flow, Uri};

use super::leg::Leg;
use crate::directory::TrunkId;
use crate::rooms::Rooms;
use crate::trunks::Target;

impl Leg {
    /// The trunk whose name is the next hop.
    fn named_trunk(&self, rooms: &Rooms) -> Option<TrunkId> {
        let directory = &rooms.directory;
        let id = directory.trunk_named(self.name.as_deref()?)?;
        let own = directory.trunk(id)?.contact.resolve.as_ref()?;
        let next = Wanted::of(&Uri::parse(self.dialog.next_hop()).ok()?)?;
        let same = next.host == own.host && (next.port == own.port || next.port.is_none());
        same.then_some(id)
    }

    fn is_at(&self, target: &Target) -> bool {
        target.at.is_some_and(|at| at.addr == self.flow.remote)
    }

    /// The flow by which a request leaves now.
    pub(super) fn way(&self, rooms: &Rooms) -> Flow {
        if self.is_on_connection() {
            return self.flow;
        }
        let Some(trunk) = self.named_trunk(rooms) else { return self.flow };
        let targets = rooms.trunks.targets(trunk);
        if targets.iter().any(|target| self.is_at(target) && target.health.in_service()) {
            return self.flow;
        }
        let serving =
            targets.iter().filter(|target| target.health.in_service()).filter_map(|target| target.at);
        serving.min_by_key(|at| at.priority).map_or(self.flow, |at| flow_to(rooms, at))
    }

    /// Nothing can be delivered where the leg is: a new connection is next, or another target. False: there is none.
    pub(super) fn fail_over(&mut self, rooms: &mut Rooms) -> bool {
        self.cannot_dial(rooms) || self.reconnect() || self.next_target(rooms)
    }

    /// The target behind the one that was tried in vain is next. False: there is none.
    pub(super) fn next_target(&mut self, rooms: &Rooms) -> bool {
        let Some(trunk) = self.named_trunk(rooms) else { return false };
        let targets = rooms.trunks.targets(trunk);
        let tried = targets.iter().position(|target| self.is_at(target));
        let next = targets.iter().skip(tried.map_or(0, |place| place + 1)).find_map(|target| target.at);
        let Some(next) = next else { return false };
        self.flow = flow_to(rooms, next);
        true
    }
}

fn flow_to(rooms: &Rooms, at: Candidate) -> Flow {
    rooms.flow_to(at.transport, at.addr)
}
