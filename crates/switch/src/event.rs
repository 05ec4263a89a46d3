//! What an operator or a desktop wants to know as it happens, by the T-Library's event names where it has one.

use std::sync::Arc;

use tandem_peer::Mode;

use crate::registrar::Happened;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `EventDNOutOfService` (147): an Extension lost its last contact, or a device stopped answering.
    DnOutOfService {
        /// `ThisDN`: number of the Extension or name of the Trunk.
        dn: Arc<str>,
        /// Why, for a person.
        reason: Box<str>,
    },
    /// `EventDNBackInService` (148).
    DnBackInService {
        /// `ThisDN`: number of the Extension or name of the Trunk.
        dn: Arc<str>,
        /// Why, for a person.
        reason: Box<str>,
    },
    /// One target of a trunk with several stopped answering; the trunk has others.
    TargetOutOfService {
        /// Name of the Trunk.
        dn: Arc<str>,
        /// Transport and address.
        target: Box<str>,
        /// Why, for a person.
        reason: Box<str>,
    },
    /// It answers again.
    TargetBackInService {
        /// Name of the Trunk.
        dn: Arc<str>,
        /// Transport and address.
        target: Box<str>,
        /// Why, for a person.
        reason: Box<str>,
    },
    /// Graceful shutdown has begun.
    DrainStarted {
        /// Who asked.
        by: Box<str>,
        /// Calls in progress.
        calls: usize,
        /// Agents logged in.
        agents: usize,
    },
    /// It was called off.
    DrainAborted {
        /// Who asked.
        by: Box<str>,
    },
    /// It is done: no call, no agent, and every BYE had its time. The process may end.
    Drained {
        /// How long it took, ms.
        lasted_ms: u64,
    },
    /// Graceful migration in shares.
    Migration {
        /// What happened.
        news: MigrationNews,
        /// Who asked for it.
        by: Box<str>,
        /// The other site.
        to: Box<str>,
        /// So many of a hundred go there now.
        percent: u8,
        /// So many are to go.
        target: u8,
    },
    /// The sites are peered again. Who logged in meanwhile, or lost his phone meanwhile, is not where his phone is.
    PeeredAgain {
        /// Agents logged in at DNs that are out of service here.
        agents_without_phone: usize,
        /// Whether they are logged out now (`dr-recovery-sweep`); those who are not will be at the end of the grace
        /// after a start, or stay.
        logged_out: bool,
    },
    /// What seems to have failed when the peer was lost is thought otherwise now.
    PeerFailure {
        /// What is thought.
        rating: tandem_peer::failure::Rating,
        /// What it is judged from.
        seen: tandem_peer::failure::Seen,
    },
    /// A source misbehaves: a line that fail2ban reads.
    Guard(Box<crate::guard::Incident>),
    /// More comes than is done: requests are refused, or not any more.
    Overload(crate::overload::Change),
    /// An Extension may make no further external call for now.
    TollBarred {
        /// Its number.
        dn: Arc<str>,
        /// What was dialled.
        dialled: Box<str>,
        /// The limit.
        rule: crate::guard::TollRule,
    },
    /// Somebody calls for help.
    EmergencyCall {
        /// Who.
        from: Box<str>,
        /// The number that is sent to the emergency trunks.
        number: Box<str>,
    },
    /// REGISTERs come faster than they are served, or do not any more.
    Storm(crate::storm::Told),
    /// Something happened to a registered contact that nobody asked for.
    Binding {
        /// Number of the Extension.
        dn: Arc<str>,
        /// The contact URI.
        contact: Box<str>,
        /// What: put into quarantine, back in use, or removed from there.
        what: Happened,
    },
    /// The continuity mode of this server changed.
    ModeChanged {
        /// Mode until now.
        from: Mode,
        /// Mode from now on.
        to: Mode,
    },
}

/// What happens to a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationNews {
    /// It begins.
    Started,
    /// It has another aim.
    Changed,
    /// It took a step.
    Step,
    /// It was stopped for a while.
    Paused,
    /// It goes on.
    Resumed,
    /// It ended where it was.
    Aborted,
    /// Everything is back.
    RolledBack,
}

impl std::fmt::Display for MigrationNews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Started => "begins",
            Self::Changed => "has another aim",
            Self::Step => "takes a step",
            Self::Paused => "is paused",
            Self::Resumed => "goes on",
            Self::Aborted => "was aborted",
            Self::RolledBack => "is rolled back",
        })
    }
}
