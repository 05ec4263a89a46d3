//! What exists: which DNs, queues, agents, places and groups, at which site.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Sites; their order numbers them.
    pub sites: Vec<SiteLayout>,
    /// Places.
    pub places: Vec<PlaceLayout>,
    /// Agent groups.
    pub groups: Vec<GroupLayout>,
    /// Minutes that local midnight is ahead of midnight UTC: where a day begins.
    pub utc_offset_min: i32,
}

/// One site: a switch and what is on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteLayout {
    /// Name of the switch.
    pub name: Arc<str>,
    /// Extensions at which agents work.
    pub extensions: BTreeSet<Arc<str>>,
    /// ACD Queues and Routing Points, by number.
    pub queues: BTreeMap<Arc<str>, QueueLayout>,
    /// Agent Logins.
    pub agents: BTreeSet<Arc<str>>,
}

/// What kind of waiting place a DN is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueKind {
    /// An ACD Queue.
    Queue,
    /// A Routing Point.
    RoutingPoint,
}

/// An ACD Queue or a Routing Point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLayout {
    /// Which of the two.
    pub kind: QueueKind,
    /// AgentIDs that serve it, beside those who name it at their login.
    pub agents: BTreeSet<Arc<str>>,
    /// Threshold of its service level, ms.
    pub service_level_ms: u64,
}

/// A place: the DNs that one agent works at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceLayout {
    /// Its name.
    pub name: Arc<str>,
    /// Site and number of each DN.
    pub dns: Vec<(Arc<str>, Arc<str>)>,
}

/// A group of agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLayout {
    /// Its name.
    pub name: Arc<str>,
    /// AgentIDs.
    pub agents: BTreeSet<Arc<str>>,
}

impl Layout {
    /// The DNs of a site whose events are needed.
    pub fn addresses(&self, site: usize) -> impl Iterator<Item = &Arc<str>> {
        self.sites.get(site).into_iter().flat_map(|site| site.queues.keys().chain(&site.extensions))
    }
}
