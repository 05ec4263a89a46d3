//! Agents: who is logged in at which DN, and in which state.
//!
//! One DN holds one agent, one agent sits at one DN.

use std::sync::Arc;

use tandem_cti::{AgentState, KvList, Refusal, WorkMode};
use tandem_peer::ChangeLog;

use crate::directory::Directory;
use crate::directory::floor::WrapUp;
use crate::time::{Deadline, Now};

/// What a change of an agent may look at and write to.
#[derive(Debug)]
pub struct Desk<'a> {
    /// What is configured.
    pub directory: &'a Directory,
    /// Where changes are logged.
    pub log: &'a mut ChangeLog,
    /// The moment.
    pub now: Now,
}

/// A login that was asked for.
#[derive(Clone, Debug)]
pub struct Login<'a> {
    /// DN.
    pub dn: &'a Arc<str>,
    /// AgentID.
    pub agent_id: &'a str,
    /// Password of the Agent Login.
    pub password: Option<&'a str>,
    /// Wanted work mode.
    pub work_mode: WorkMode,
    /// Queue to log in to beside the configured ones.
    pub queue: Option<&'a Arc<str>>,
    /// Why.
    pub reasons: KvList,
    /// Extensions of the request (`AgentEmuLoginOnCall`, `WrapUpTime`).
    pub extensions: KvList,
    /// A call is in progress at the DN.
    pub busy: bool,
    /// The DN is in service now; later changes come by [`Agents::dn_in_service`].
    pub in_service: bool,
    /// Client that asks; what becomes of the agent when it goes is decided by it.
    pub client: u64,
}

/// Why an agent is logged out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogoutBy {
    /// The client at his DN asked.
    Request,
    /// A supervisor asked, with a ReasonCode of his own if he gave one.
    Supervisor,
    /// `dr-force_logout`: the registration expired in `Peered` mode.
    DrForce,
    /// `graceful_shutdown_logout`.
    GracefulShutdown,
    /// `logout-on-out-of-service`.
    OutOfService,
    /// `logout-on-disconnect`.
    Disconnect,
    /// `agent-logout-on-unreg`.
    Unregister,
    /// `auto-logout-timeout`.
    Idle,
    /// `agent-no-answer-action`.
    NoAnswer,
    /// The DN or the Agent Login left the configuration.
    Configuration,
}

/// What happened to an agent, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentNews {
    /// `EventAgentLogin`.
    LoggedIn(Told),
    /// `EventAgentReady`.
    Ready(Told),
    /// `EventAgentNotReady`.
    NotReady(Told),
    /// `EventAgentLogout`; `extensions` holds `ReasonCode` where there is one.
    LoggedOut(Told),
    /// He may be offered calls of queues from now on.
    Available {
        /// His DN.
        dn: Arc<str>,
    },
    /// He may not.
    Unavailable {
        /// His DN.
        dn: Arc<str>,
    },
}

/// Attributes of an agent's event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// His DN.
    pub dn: Arc<str>,
    /// AgentID.
    pub agent_id: Arc<str>,
    /// Work mode.
    pub work_mode: WorkMode,
    /// Why.
    pub reasons: KvList,
    /// Extensions.
    pub extensions: KvList,
}

/// A call at an agent's DN, as far as it matters to his state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The call.
    pub conn: u64,
    /// After-call work follows it, and it makes him busy.
    pub business: bool,
    /// `WrapUpTime` of its extensions or user data (see [`wrap_up_of`]); without it the options hold.
    pub wrap_up: Option<WrapUp>,
}

/// An agent as others see him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// His DN.
    pub dn: Arc<str>,
    /// AgentID.
    pub agent_id: Arc<str>,
    /// State.
    pub state: AgentState,
    /// Work mode.
    pub work_mode: WorkMode,
    /// Queues he named at his login.
    pub queues: Vec<Arc<str>>,
    /// Why he is NotReady.
    pub reasons: KvList,
    /// In this state since, ms since the Unix epoch.
    pub since_unix_ms: u64,
    /// Logged in since, ms since the Unix epoch.
    pub login_unix_ms: u64,
    /// When a timed state ends.
    pub until: Option<Deadline>,
    /// Calls at his DN.
    pub calls: usize,
    /// Whether a queue may offer him a call.
    pub available: bool,
    /// The later of becoming Ready and of the end of his last call, ms since the Unix epoch: the order of agents in a
    /// queue. An offer that came to nothing for no fault of his does not change it.
    pub idle_since_unix_ms: u64,
}

/// `WrapUpTime` of a list: seconds, or the string `untimed`. `None` if there is none, or no such thing.
#[must_use]
pub fn wrap_up_of(list: &KvList) -> Option<WrapUp> {
    let value = list.get("WrapUpTime")?;
    if value.as_text() == Some("untimed") {
        return Some(WrapUp::Untimed);
    }
    u64::try_from(value.as_int()?).ok().map(|s| WrapUp::Timed(std::time::Duration::from_secs(s)))
}

/// See the module.
#[derive(Debug, Default)]
pub struct Agents {}

impl Agents {
    /// Takes a new configuration: agents whose DN is gone are logged out.
    pub fn adopt(&mut self, _desk: &mut Desk<'_>) {}

    /// Logs an agent in.
    ///
    /// # Errors
    /// 192 and 119 by `agent-strict-id`, 506 with a call in progress, 527 and 550 for conflicts.
    pub fn login(&mut self, _desk: &mut Desk<'_>, _login: Login<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    /// Logs the agent of a DN out; of one queue only if `queue` is given.
    ///
    /// # Errors
    /// 551 if nobody is logged in; 506 with a call in progress, unless `by` is not a request.
    pub fn logout(
        &mut self,
        _desk: &mut Desk<'_>,
        _dn: &str,
        _by: LogoutBy,
        _queue: Option<&str>,
        _reasons: KvList,
        _extensions: KvList,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// `TAgentSetReady`.
    ///
    /// # Errors
    /// 187 if nobody is logged in, 43 if he is ready already.
    pub fn set_ready(
        &mut self,
        _desk: &mut Desk<'_>,
        _dn: &str,
        _mode: WorkMode,
        _reasons: KvList,
        _extensions: KvList,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// `TAgentSetNotReady`.
    ///
    /// # Errors
    /// 187 if nobody is logged in.
    pub fn set_not_ready(
        &mut self,
        _desk: &mut Desk<'_>,
        _dn: &str,
        _mode: WorkMode,
        _reasons: KvList,
        _extensions: KvList,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// A queue offers him a call: he is not available until it is answered or taken back.
    pub fn offered(&mut self, _desk: &mut Desk<'_>, _dn: &str, _conn: u64) {}

    /// The offer was taken back, or refused, or not answered.
    pub fn offer_over(&mut self, _desk: &mut Desk<'_>, _dn: &str, _conn: u64) {}

    /// `agent-no-answer-timeout` is over with the call still ringing: applies `agent-no-answer-action`.
    pub fn no_answer(&mut self, _desk: &mut Desk<'_>, _dn: &str) {}

    /// A call came to the DN (rings or is dialled).
    pub fn call_began(&mut self, _desk: &mut Desk<'_>, _dn: &str, _work: Work) {}

    /// It is answered.
    pub fn call_established(&mut self, _desk: &mut Desk<'_>, _dn: &str, _work: Work) {}

    /// It left the DN. After-call work begins here: call this before the `EventReleased` is told.
    pub fn call_ended(&mut self, _desk: &mut Desk<'_>, _dn: &str, _conn: u64) {}

    /// The DN is in service or not; only what `logout-on-out-of-service` says and availability follow.
    pub fn dn_in_service(&mut self, _desk: &mut Desk<'_>, _dn: &str, _in_service: bool) {}

    /// The client is gone (`logout-on-disconnect`, `agent-logout-on-unreg`).
    pub fn client_gone(&mut self, _desk: &mut Desk<'_>, _client: u64) {}

    /// A client unregistered the DN (`agent-logout-on-unreg`).
    pub fn unregistered(&mut self, _desk: &mut Desk<'_>, _dn: &str, _client: u64) {}

    /// The agent at a DN.
    #[must_use]
    pub fn at(&self, _dn: &str) -> Option<View> {
        None
    }

    /// Whether an agent is logged in at the DN.
    #[must_use]
    pub fn is_logged_in(&self, _dn: &str) -> bool {
        false
    }

    /// DN at which this agent is logged in.
    #[must_use]
    pub fn dn_of(&self, _agent_id: &str) -> Option<Arc<str>> {
        None
    }

    /// Every agent, by DN.
    #[must_use]
    pub fn list(&self) -> Vec<View> {
        Vec::new()
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, _desk: &mut Desk<'_>) {}

    /// When the next timer is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        None
    }

    /// What happened, oldest first, until there is nothing.
    pub fn poll_news(&mut self) -> Option<AgentNews> {
        None
    }
}
