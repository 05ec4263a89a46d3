//! What is asked of the room, and what it tells.

use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{AgentState, KvList, Value, WorkMode};

use crate::directory::floor::WrapUp;
use crate::time::Deadline;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Whether his phone is in service here.
    pub in_service: bool,
    /// The phone is registered and suspected to be gone: it is offered no calls of queues.
    pub suspended: bool,
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
    u64::try_from(value.as_int()?).ok().map(|s| WrapUp::Timed(Duration::from_secs(s)))
}

/// `WrapUpTime` as events carry it: seconds, rounded up, or the string `untimed`.
#[must_use]
pub fn wrap_up_value(wrap_up: WrapUp) -> Value {
    match wrap_up {
        WrapUp::Timed(time) => Value::Int(i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)),
        WrapUp::Untimed => Value::from("untimed"),
    }
}
