//! What an operator or a desktop wants to know as it happens, by the T-Library's event names where it has one.

use std::sync::Arc;

use tandem_peer::Mode;

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
    /// The continuity mode of this server changed.
    ModeChanged {
        /// Mode until now.
        from: Mode,
        /// Mode from now on.
        to: Mode,
    },
}
