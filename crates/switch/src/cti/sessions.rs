//! Clients: who is connected, which DNs each has registered, and the numbered stream of events that each hears.

use std::sync::Arc;

use tandem_cti::{ControlMode, Event, Refusal, RegisterMode, Role};
use tandem_peer::ChangeLog;

use super::{LinkId, Outgoing, SessionId};
use crate::time::{Deadline, Now};

/// What a session may be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The session.
    pub session: SessionId,
    /// User name.
    pub person: Arc<str>,
    /// Role.
    pub role: Role,
}

/// What became of a session that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A new one.
    New,
    /// It goes on, and the missed events have been sent again.
    Continued,
    /// It goes on with a gap: its DNs must be described anew.
    Gap {
        /// DNs that it has registered.
        dns: Vec<Arc<str>>,
    },
}

/// Whether a request is to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Yes.
    New,
    /// It came before with this `ReferenceID`: its answer was sent again, or will come when it is there.
    Again,
}

/// A session that is over, or a registration that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The client has been away longer than it may (`logout-on-disconnect` counts from the loss of the connection, see
    /// [`Gone::Disconnected`]).
    Session {
        /// The session.
        session: SessionId,
        /// DNs that it had registered.
        dns: Vec<Arc<str>>,
    },
    /// Its connection was lost and none replaced it in time.
    Disconnected {
        /// The session.
        session: SessionId,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sessions {}

impl Sessions {
    /// Opens a session, or continues one. Its answer `EventLinkConnected` is the first event that the link hears;
    /// after it, with [`Opened::Continued`], what was missed.
    #[allow(clippy::too_many_arguments, reason = "what a client says of itself, and what it acts upon")]
    pub fn open(
        &mut self,
        _log: &mut ChangeLog,
        _now: Now,
        _link: LinkId,
        _person: Arc<str>,
        _role: Role,
        _application: &str,
        _resume: Option<(&str, u64)>,
        _reference_id: Option<u32>,
        _server: &str,
        _token: u128,
    ) -> Opened {
        Opened::New
    }

    /// The connection is gone.
    pub fn closed(&mut self, _log: &mut ChangeLog, _now: Now, _link: LinkId) {}

    /// Who speaks on this connection; `None` before it is opened.
    #[must_use]
    pub fn who(&self, _link: LinkId) -> Option<Who> {
        None
    }

    /// Whether a request is new.
    pub fn admit(&mut self, _session: SessionId, _reference_id: Option<u32>) -> Admitted {
        Admitted::New
    }

    /// Registers a DN for a session.
    ///
    /// # Errors
    /// 506 if another has it privately.
    pub fn register(
        &mut self,
        _log: &mut ChangeLog,
        _session: SessionId,
        _dn: &Arc<str>,
        _mode: RegisterMode,
        _control: ControlMode,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// Ends that.
    ///
    /// # Errors
    /// 41 if it was not registered.
    pub fn unregister(
        &mut self,
        _log: &mut ChangeLog,
        _session: SessionId,
        _dn: &str,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// Whether a session may make requests for a DN: it has registered it, not as a monitor.
    #[must_use]
    pub fn controls(&self, _session: SessionId, _dn: &str) -> bool {
        false
    }

    /// Whether anybody has registered the DN.
    #[must_use]
    pub fn is_watched(&self, _dn: &str) -> bool {
        false
    }

    /// How many sessions of a role have registered a DN and are connected.
    #[must_use]
    pub fn count(&self, _dn: &str, _role: Role) -> usize {
        0
    }

    /// Tells everybody who has registered the DN; `asked` is the client whose request it answers, if one's does.
    pub fn tell(
        &mut self,
        _log: &mut ChangeLog,
        _now: Now,
        _dn: &str,
        _event: Event,
        _asked: Option<(SessionId, Option<u32>)>,
    ) {
    }

    /// Answers one client.
    pub fn answer(
        &mut self,
        _log: &mut ChangeLog,
        _now: Now,
        _session: SessionId,
        _reference_id: Option<u32>,
        _event: Event,
    ) {
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, _log: &mut ChangeLog, _now: Now) {}

    /// When the next timer is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        None
    }

    /// What leaves, in order.
    pub fn poll_outgoing(&mut self) -> Option<Outgoing> {
        None
    }

    /// Sessions and registrations that are over.
    pub fn poll_gone(&mut self) -> Option<Gone> {
        None
    }
}
