//! Everything that can happen to a [`Node`](crate::Node).

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::locate::{Candidate, Wanted};
use tandem_sip::{Flow, Message};

use crate::anchor::AnchorNews;
use crate::cti::CtiInput;
use crate::directory::Directory;
use crate::media::MediaNews;

/// One fact from outside.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every input is a message; boxing it would allocate for each"
)]
pub enum Input {
    /// A readable message arrived.
    Sip {
        /// Where it came from, and by which socket or connection.
        flow: Flow,
        /// The message.
        message: Message,
    },
    /// Sending on this flow failed (refused, unreachable), or its connection closed.
    FlowFailed {
        /// The flow; with `conn == 0` every transaction towards that remote is meant.
        flow: Flow,
    },
    /// The batch with this sequence number, and all before it, will survive this process.
    Persisted {
        /// [`Batch::seq`](tandem_peer::Batch) of an [`Output::Store`](crate::Output).
        seq: u64,
    },
    /// The records for the operator of these calls, by `CallUUID`, are where they outlive this process. A driver collects
    /// them and says so about once a second; until then what is stored of a call stays, and another process gives its
    /// record again.
    Recorded {
        /// `CallUUID`s; one that nobody waits for is passed over.
        calls: Vec<u128>,
    },
    /// A client of the CTI interface did something.
    Cti(CtiInput),
    /// A media server plays, or does not.
    Media(MediaNews),
    /// Whoever is locked out at this source may try again.
    Release {
        /// Its address.
        source: std::net::IpAddr,
    },
    /// How much waits for the node. A driver says so every tenth of a second while it has something to do.
    Load(crate::overload::Load),
    /// A media server describes an anchored leg, or does not.
    Anchor(AnchorNews),
    /// A new configuration takes effect, whole.
    Directory(Arc<Directory>),
    /// Graceful shutdown starts, or is called off.
    Drain(DrainOrder),
    /// Graceful migration in shares begins, changes or ends.
    Migrate(MigrateOrder),
    /// This server was cut off from these devices for a while (a drill): their calls are asked whether they live.
    Audit {
        /// Numbers of Extensions and names of Trunks.
        devices: Vec<Box<str>>,
    },
    /// What the peer's administration interface said, asked while [`Node::asks_control`](crate::Node::asks_control). It
    /// explains the loss of the peer and changes nothing.
    PeerControl(tandem_peer::failure::Control),
    /// A name leads to these places (RFC 3263).
    Located {
        /// What was looked for.
        wanted: Wanted,
        /// Where it leads; empty when that cannot be found out, and what was known before stays.
        found: Vec<Candidate>,
    },
}

/// Graceful shutdown, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainOrder {
    /// Take nothing new; end when what runs has ended. One that is under way goes on.
    Start {
        /// Who asks, for the log and `tandem drain --status`.
        by: Box<str>,
    },
    /// Back to service. Agents that were logged out stay so.
    Abort {
        /// Who asks.
        by: Box<str>,
    },
}

/// Graceful migration in shares, as it is asked for. What cannot be done changes nothing
/// ([`Node::may_migrate`](crate::Node::may_migrate) says why).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrateOrder {
    /// So much goes to the peer, or comes back from there.
    To(Migrate),
    /// Nobody further is moved, and no step is taken, until it goes on.
    Pause {
        /// Who asks.
        by: Box<str>,
        /// False: it goes on.
        paused: bool,
    },
    /// It ends where it is: new calls stay here, and agents who were logged out may log in again.
    Abort {
        /// Who asks.
        by: Box<str>,
    },
}

/// See [`MigrateOrder::To`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrate {
    /// The other site, as people call it.
    pub to: Box<str>,
    /// Who asks.
    pub by: Box<str>,
    /// So many of a hundred, 0 to 100; 0 rolls back what there is.
    pub percent: u8,
    /// Only agents of this group, and calls of the queues that it serves.
    pub group: Option<Arc<str>>,
    /// So many more, or fewer, at once, 1 to 100.
    pub step: u8,
    /// The time between steps.
    pub every: Duration,
}
