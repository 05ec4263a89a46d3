//! The links between the members of a site's group (primary, backup, witness): mutual TLS 1.3, and over it the frames of
//! [`tandem_quorum`] beside a few words of the links themselves.
//!
//! Each member dials each other one, so two connections join a pair of them; frames go by one's own while that lives, and
//! come by either. Whoever is dialled must have a certificate for the host that was dialled; whoever dials, for the host at
//! which the group reaches him. The authority behind both signs members and nobody else.
//!
//! [`dial`] and [`accept`] make connections, [`hello`] is what is said first and [`admission`] what follows from it,
//! [`link`] carries words and frames ([`word`]), [`room`] knows who is there, [`comparison`] finds keys in which two servers
//! are configured differently ([`summary`]).

mod accept;
mod admission;
pub mod authority;
mod comparison;
mod dial;
mod error;
mod hello;
mod link;
mod own;
mod reader;
mod room;
mod said;
mod security;
mod summary;
#[cfg(test)]
mod tests;
mod word;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use tandem_quorum::{MemberId, Roster};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::address::Presence;
use super::tcp::bind;
use crate::limits::DAY;
pub use error::LinkError;
pub use hello::Introduction;
use room::Room;
pub use room::Seen;
use security::Security;
pub use summary::Summary;

/// Where a member is reached by the others, and how it proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// `host:port` at which the others reach it. The host stands in its certificate.
    pub advertise: String,
    /// Its certificate chain, a PEM file.
    pub certificate: PathBuf,
    /// The key of that, a PEM file.
    pub key: PathBuf,
    /// The authority that signs members and nobody else, a PEM file.
    pub ca: PathBuf,
}

/// Every link of a member. They end when it is dropped.
pub struct Links {
    room: Arc<Room>,
    stop: CancellationToken,
    #[cfg(test)]
    listens: SocketAddr,
}

impl Links {
    /// Opens the listener. Frames that come go to `frames`; while that is full, those who send wait. `summary`: of this
    /// server's configuration; a witness has none.
    ///
    /// # Errors
    /// The files do not fit each other or `advertise`, or the address cannot be listened on.
    pub fn start(
        edges: &Handle,
        settings: &LinkSettings,
        me: Introduction,
        summary: Option<Summary>,
        frames: mpsc::Sender<Bytes>,
    ) -> Result<Arc<Self>> {
        let security = Security::new(settings)?;
        let failed = || format!("cannot listen on {} for the other members of the group", settings.listen);
        let listener = bind(settings.listen, Presence::Always).with_context(failed)?;
        let _inside = edges.enter();
        let listener = TcpListener::from_std(listener).with_context(failed)?;
        #[cfg(test)]
        let listens = listener.local_addr()?;
        let stop = CancellationToken::new();
        let room = Arc::new(Room::new(edges.clone(), stop.clone(), security, me, summary, frames));
        edges.spawn(stop.clone().run_until_cancelled_owned(accept::accept(Arc::clone(&room), listener)));
        let daily = Arc::clone(&room);
        edges.spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(DAY).await;
                daily.security.look();
            }
        }));
        Ok(Arc::new(Self {
            room,
            stop,
            #[cfg(test)]
            listens,
        }))
    }

    /// Hands a frame to whichever connection to the member lives; never waits. Without any, or with too much on its way
    /// already, the frame is dropped and counted.
    pub fn send(&self, to: MemberId, frame: Bytes) {
        self.room.send(to, frame);
    }

    /// Whom to be linked with from now on. Of an empty one nobody is dialled, and whoever has a certificate may come.
    pub fn roster(&self, roster: &Roster) {
        self.room.set_roster(roster);
    }

    /// The group that this member belongs to.
    pub fn group(&self, group: u64) {
        self.room.set_group(group);
    }

    /// This server's configuration was read anew.
    pub fn summary(&self, summary: Summary) {
        self.room.set_summary(summary);
    }

    /// Asks whoever is at `address` (`host:port`) who it is, before it is added to the group.
    ///
    /// # Errors
    /// Nobody answers there, or nobody who could be a member.
    pub async fn introduce(&self, address: &str) -> Result<Introduction, LinkError> {
        dial::introduce(&self.room, address).await
    }

    /// How it stands with each member of the group, and with others that are linked.
    pub fn seen(&self) -> Vec<Seen> {
        self.room.seen()
    }

    /// Keys in which this server's configuration differs from that of another server of the group, as far as known. At most
    /// [`MAX_DIFFERING`](crate::limits::MAX_DIFFERING) of them, and then a word that there are more.
    pub fn differing(&self) -> Vec<String> {
        self.room.differing()
    }

    /// Reads the certificates anew. What cannot be used changes nothing; connections that are open go on.
    pub fn reload_tls(&self) {
        match self.room.security.reload() {
            Ok(()) => tracing::info!("certificates of the members' links read anew"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the certificates of the members' links stay as they were");
            }
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
