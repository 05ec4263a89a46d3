//! What this site says of itself when somebody asks whether it, or its peer, may be lost. Nothing here changes anything.

use std::sync::Arc;

use super::Node;
use crate::directory::{Directory, DnId, TrunkId};
use crate::rooms::Device;
use crate::routing;
use tandem_peer::Mode;
use tandem_peer::readiness::{Agent, Calls, TrunkNow};

/// How the site stands, all but its Extensions.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What is configured.
    pub directory: Arc<Directory>,
    /// Continuity mode.
    pub mode: Mode,
    /// Whether it shuts down gracefully.
    pub draining: bool,
    /// So many of a hundred new calls and agents it moves to its peer.
    pub moves_away_percent: u8,
    /// Agents who are logged in.
    pub agents: Vec<Agent>,
    /// Trunks.
    pub trunks: Vec<TrunkNow>,
    /// Calls.
    pub calls: Calls,
}

/// How an Extension stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionNow {
    /// It is in service.
    pub in_service: bool,
    /// The longest time that one of its registrations was granted for, s; `None` when it has none.
    pub refresh_s: Option<u32>,
}

impl Node {
    /// How the site stands now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let directory = &self.rooms.directory;
        let peer = directory.options.dr_peer_trunk;
        let peer_name = peer.and_then(|id| directory.trunk(id)).map(|trunk| &*trunk.name);
        let over_peer =
            peer_name.map_or(0, |name| self.calls.iter().filter(|call| call.uses_trunk(name)).count());
        let trunk = |(id, trunk): (u32, &crate::directory::Trunk)| {
            let health = self.rooms.trunks.health(Device::Trunk(TrunkId(id)))?;
            Some(TrunkNow {
                name: trunk.name.to_string(),
                contact: trunk.contact.uri.to_string(),
                peer: peer == Some(TrunkId(id)),
                state: health.phase(),
                reason: health.reason().to_string(),
                oos_check_s: trunk.oos.oos_check_s.into(),
                oos_force_s: trunk.oos.oos_force_s.into(),
            })
        };
        let agent = |agent: crate::agent::View| Agent {
            preferred_site: directory.preferred_site(&agent.agent_id).map(ToString::to_string),
            agent_id: agent.agent_id.to_string(),
            dn: agent.dn.to_string(),
        };
        Standing {
            directory: Arc::clone(directory),
            mode: self.mode(),
            draining: self.is_draining(),
            moves_away_percent: self.rooms.share.as_ref().map_or(0, crate::share::Share::percent),
            agents: self.floor.agents.list().into_iter().map(agent).collect(),
            trunks: (0u32..).zip(directory.trunks()).filter_map(trunk).collect(),
            calls: Calls {
                now: self.calls.len(),
                over_peer,
                most: directory.options.max_calls.min(crate::limits::MAX_CALLS),
            },
        }
    }

    /// How the Extensions from position `from` on stand, `most` of them, in the order of `directory`; `None` when that
    /// is not in force any more.
    #[must_use]
    pub fn extensions_now(
        &self,
        directory: &Arc<Directory>,
        from: usize,
        most: usize,
    ) -> Option<Vec<ExtensionNow>> {
        let current = &self.rooms.directory;
        let now = |id| ExtensionNow {
            in_service: routing::in_service(&self.rooms, current, id),
            refresh_s: self.rooms.registrar.bindings(id).map(|binding| binding.granted_s()).max(),
        };
        let ids = (0u32..).zip(current.extensions()).map(|(id, _)| DnId(id));
        Arc::ptr_eq(directory, current).then(|| ids.skip(from).take(most).map(now).collect())
    }
}
