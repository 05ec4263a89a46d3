//! What the administration interface shows of the group that a server or a witness belongs to, and what may be ordered of it.

mod fail;
mod metrics;
mod orders;
mod page;

use std::sync::Arc;

use tandem_quorum::Kind;

use super::members::{Links, Summary};
use crate::command::Commands;
use crate::config::{Arbitration, Origin, PairSettings, Role};
use crate::group::Group;

pub use metrics::metrics;
pub use orders::post;
pub use page::{get, health, ready, votes};

/// What is known of the group without asking the member.
#[derive(Clone)]
pub struct About {
    commands: Commands,
    links: Option<Arc<Links>>,
    name: Arc<str>,
    kind: Kind,
    configured: Option<(Role, Arbitration)>,
    /// Where the others find this member.
    address: Arc<str>,
}

impl About {
    /// About the group of a server.
    pub fn server(commands: &Commands, group: &Group, name: &str, pair: Option<&PairSettings>) -> Self {
        let configured = pair.map(|pair| (pair.role, pair.arbitration));
        let address = pair.map_or("", |pair| &pair.member.address);
        Self { configured, ..Self::new(commands, group, name, Kind::Server, address) }
    }

    /// About the group of a witness.
    pub fn witness(commands: &Commands, group: &Group, name: &str, address: &str) -> Self {
        Self::new(commands, group, name, Kind::Witness, address)
    }

    fn new(commands: &Commands, group: &Group, name: &str, kind: Kind, address: &str) -> Self {
        let (links, configured) = (group.links.clone(), None);
        Self {
            commands: commands.clone(),
            links,
            name: name.into(),
            kind,
            configured,
            address: address.into(),
        }
    }

    /// Reads the certificates of the links anew.
    pub fn reload_tls(&self) {
        if let Some(links) = &self.links {
            links.reload_tls();
        }
    }

    /// The configuration was read anew: the others compare it with theirs.
    pub async fn reloaded(&self, origin: &Origin) {
        let (Some(links), origin) = (self.links.clone(), origin.clone()) else { return };
        // Heartbeats share the edge threads, and reading many Extensions takes a while.
        let read = tokio::task::spawn_blocking(move || Summary::read(&origin)).await;
        let summary =
            read.map_err(|error| error.to_string()).and_then(|read| read.map_err(|error| error.report));
        match summary {
            Ok(summary) => links.summary(summary),
            Err(error) => tracing::error!(error, "the configuration is not compared with that of the others"),
        }
    }

    /// Keys in which this server's configuration differs from that of the others.
    fn differing(&self) -> Vec<String> {
        self.links.as_ref().map(|links| links.differing()).unwrap_or_default()
    }
}
