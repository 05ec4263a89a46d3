//! The contact-centre floor as it is configured: persons, Agent Logins, places, groups, ACD Queues, Routing Points,
//! Call Processing Ports and conference mixers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tandem_cti::Role;

use super::StaticContact;

/// After-call work (`wrap-up-time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrapUp {
    /// This long; zero is none.
    Timed(Duration),
    /// Until the agent ends it (the value of `untimed-wrap-up-value`, or the string `untimed`).
    Untimed,
}

/// `agent-logout-on-unreg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnregister {
    /// The agent stays.
    Stay,
    /// The agent is logged out.
    Logout,
    /// Logged out if this server emulates his login; every login here is one.
    EmuOnly,
}

/// `agent-strict-id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictId {
    /// Any AgentID.
    Any,
    /// Configured Agent Logins only.
    Configured,
    /// Configured ones, with their password.
    Password,
}

/// `agent-no-answer-action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswerAction {
    /// Nothing happens to the agent.
    None,
    /// He is set NotReady.
    NotReady,
    /// He is logged out.
    Logout,
}

/// One step of `agent-no-answer-overflow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswerOverflow {
    /// The call goes on ringing.
    None,
    /// Back to where it was distributed from.
    Recall,
    /// The call is released.
    Release,
    /// To this DN or number.
    To(Arc<str>),
}

/// Options of agents. They stand at the Application, at the DN and at the Agent Login; the order in which they win is
/// [`AgentOptions::effective`]'s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentOptions {
    /// `wrap-up-time`.
    pub wrap_up_time: Option<WrapUp>,
    /// `timed-acw-in-idle`.
    pub timed_acw_in_idle: Option<bool>,
    /// `acw-in-idle-force-ready`.
    pub acw_in_idle_force_ready: Option<bool>,
    /// `legal-guard-time`.
    pub legal_guard_time: Option<Duration>,
    /// `logout-on-out-of-service`.
    pub logout_on_out_of_service: Option<bool>,
    /// `logout-on-disconnect`.
    pub logout_on_disconnect: Option<bool>,
    /// `agent-logout-on-unreg`.
    pub agent_logout_on_unreg: Option<OnUnregister>,
    /// `agent-emu-login-on-call`.
    pub agent_emu_login_on_call: Option<bool>,
    /// `agent-strict-id`.
    pub agent_strict_id: Option<StrictId>,
    /// `auto-logout-timeout`, written in minutes.
    pub auto_logout_timeout: Option<Duration>,
    /// `agent-no-answer-timeout`.
    pub agent_no_answer_timeout: Option<Duration>,
    /// `agent-no-answer-action`, `no-answer-action` at the Agent Login.
    pub agent_no_answer_action: Option<NoAnswerAction>,
    /// `agent-no-answer-overflow`, `no-answer-overflow` at the Agent Login: tried in order.
    pub agent_no_answer_overflow: Option<Vec<NoAnswerOverflow>>,
    /// `inbound-bsns-calls`: direct calls from outside are business calls.
    pub inbound_bsns_calls: Option<bool>,
    /// `outbound-bsns-calls`.
    pub outbound_bsns_calls: Option<bool>,
    /// `internal-bsns-calls`.
    pub internal_bsns_calls: Option<bool>,
    /// `connect-nailedup-on-login`: a Routing Point number or `gcti::park`.
    pub connect_nailedup_on_login: Option<Arc<str>>,
    /// `disconnect-nailedup-timeout`; zero is never.
    pub disconnect_nailedup_timeout: Option<Duration>,
}

impl AgentOptions {
    /// What is in force: every option taken from the first of these that has it. Pass Agent Login, then DN, then
    /// Application. Where none has it the documented default holds, see [`InForce`].
    #[must_use]
    pub fn effective(levels: &[&Self]) -> InForce {
        fn first<T: Clone>(levels: &[&AgentOptions], of: impl Fn(&AgentOptions) -> Option<T>) -> Option<T> {
            levels.iter().find_map(|level| of(level))
        }
        InForce {
            wrap_up_time: first(levels, |o| o.wrap_up_time).unwrap_or(WrapUp::Timed(Duration::ZERO)),
            timed_acw_in_idle: first(levels, |o| o.timed_acw_in_idle).unwrap_or(true),
            acw_in_idle_force_ready: first(levels, |o| o.acw_in_idle_force_ready).unwrap_or(true),
            legal_guard_time: first(levels, |o| o.legal_guard_time).unwrap_or(Duration::ZERO),
            logout_on_out_of_service: first(levels, |o| o.logout_on_out_of_service).unwrap_or(false),
            logout_on_disconnect: first(levels, |o| o.logout_on_disconnect).unwrap_or(true),
            agent_logout_on_unreg: first(levels, |o| o.agent_logout_on_unreg).unwrap_or(OnUnregister::Stay),
            agent_emu_login_on_call: first(levels, |o| o.agent_emu_login_on_call).unwrap_or(false),
            agent_strict_id: first(levels, |o| o.agent_strict_id).unwrap_or(StrictId::Any),
            auto_logout_timeout: first(levels, |o| o.auto_logout_timeout).unwrap_or(Duration::ZERO),
            agent_no_answer_timeout: first(levels, |o| o.agent_no_answer_timeout)
                .unwrap_or(Duration::from_secs(15)),
            agent_no_answer_action: first(levels, |o| o.agent_no_answer_action)
                .unwrap_or(NoAnswerAction::None),
            agent_no_answer_overflow: first(levels, |o| o.agent_no_answer_overflow.clone())
                .unwrap_or_default(),
            inbound_bsns_calls: first(levels, |o| o.inbound_bsns_calls).unwrap_or(false),
            outbound_bsns_calls: first(levels, |o| o.outbound_bsns_calls).unwrap_or(false),
            internal_bsns_calls: first(levels, |o| o.internal_bsns_calls).unwrap_or(false),
            connect_nailedup_on_login: first(levels, |o| o.connect_nailedup_on_login.clone()),
            disconnect_nailedup_timeout: first(levels, |o| o.disconnect_nailedup_timeout)
                .unwrap_or(Duration::ZERO),
        }
    }
}

/// [`AgentOptions`] with every level and default applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// `wrap-up-time`; default none.
    pub wrap_up_time: WrapUp,
    /// `timed-acw-in-idle`; default true.
    pub timed_acw_in_idle: bool,
    /// `acw-in-idle-force-ready`; default true.
    pub acw_in_idle_force_ready: bool,
    /// `legal-guard-time`; default 0.
    pub legal_guard_time: Duration,
    /// `logout-on-out-of-service`; default false.
    pub logout_on_out_of_service: bool,
    /// `logout-on-disconnect`; default true.
    pub logout_on_disconnect: bool,
    /// `agent-logout-on-unreg`; default false.
    pub agent_logout_on_unreg: OnUnregister,
    /// `agent-emu-login-on-call`; default false.
    pub agent_emu_login_on_call: bool,
    /// `agent-strict-id`; default false.
    pub agent_strict_id: StrictId,
    /// `auto-logout-timeout`; default 0, never.
    pub auto_logout_timeout: Duration,
    /// `agent-no-answer-timeout`; default 15 s, 0 is never.
    pub agent_no_answer_timeout: Duration,
    /// `agent-no-answer-action`; default none.
    pub agent_no_answer_action: NoAnswerAction,
    /// `agent-no-answer-overflow`; default none.
    pub agent_no_answer_overflow: Vec<NoAnswerOverflow>,
    /// `inbound-bsns-calls`; default false.
    pub inbound_bsns_calls: bool,
    /// `outbound-bsns-calls`; default false.
    pub outbound_bsns_calls: bool,
    /// `internal-bsns-calls`; default false.
    pub internal_bsns_calls: bool,
    /// `connect-nailedup-on-login`; default off.
    pub connect_nailedup_on_login: Option<Arc<str>>,
    /// `disconnect-nailedup-timeout`; default 0, never.
    pub disconnect_nailedup_timeout: Duration,
}

/// A password of an Agent Login. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub Box<str>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(..)")
    }
}

/// Skills with their levels, higher is better.
pub type Skills = BTreeMap<Arc<str>, u32>;

/// An Agent Login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLogin {
    /// AgentID.
    pub id: Arc<str>,
    /// Password, for `agent-strict-id = passwd`.
    pub password: Option<Password>,
    /// Skills of whoever works under it.
    pub skills: Skills,
    /// Options at this level.
    pub options: AgentOptions,
}

/// Somebody who connects to the CTI interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// User name.
    pub name: Arc<str>,
    /// argon2id hash of the password, as a PHC string.
    pub password_hash: Password,
    /// What he may do.
    pub role: Role,
    /// Agent Logins that are his; empty for an agent means any that no other person owns.
    pub logins: Vec<Arc<str>>,
    /// `preferred-site`: the switch at which his desktop logs in if it can. Only told to who asks; no rule reads it.
    pub preferred_site: Option<Arc<str>>,
}

impl Person {
    /// Whether he names this Agent Login as his.
    #[must_use]
    pub fn has_login(&self, agent_id: &str) -> bool {
        self.logins.iter().any(|id| **id == *agent_id)
    }
}

/// A place: the DNs that one agent works at, one on each switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: Arc<str>,
    /// `switch:number` pairs.
    pub dns: Vec<(Arc<str>, Arc<str>)>,
}

/// A group of Agent Logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentGroup {
    /// Its name.
    pub name: Arc<str>,
    /// AgentIDs.
    pub agents: Vec<Arc<str>>,
}

/// What a waiting caller hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// 180: ringback of his own phone.
    Ringback,
    /// 182 Queued.
    Queued,
    /// A file, again and again, from the media server.
    Music(Arc<str>),
    /// A file, once, then ringback.
    Announcement(Arc<str>),
}

/// In which order agents are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// Who has been idle longest.
    #[default]
    LongestIdle,
    /// Who has the highest level of the wanted skills, then who has been idle longest.
    HighestSkill,
}

/// An ACD Queue DN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its number.
    pub number: Arc<str>,
    /// AgentIDs that serve it.
    pub agents: Vec<Arc<str>>,
    /// Groups that serve it.
    pub groups: Vec<Arc<str>>,
    /// Minimum levels that an agent needs to serve it. With `agents` and `groups` empty, whoever has them serves it; with
    /// nothing at all here, only who names the queue at his login.
    pub skills: Skills,
    /// Order of agents.
    pub distribution: Distribution,
    /// Priority of its calls where an agent serves several queues; higher first. A call's own (`Priority` in its
    /// user data) comes before it.
    pub priority: i32,
    /// What callers hear.
    pub treatment: Treatment,
    /// Calls that may wait; a further one overflows. Zero is no bound but [`crate::limits::MAX_QUEUED`].
    pub max_length: usize,
    /// How long a call may wait before it overflows; zero is for ever.
    pub max_wait: Duration,
    /// A call overflows at once when no agent of the queue is logged in.
    pub overflow_without_agents: bool,
    /// Where calls overflow to: a DN or number; without one they are refused with 480 (busy: 486).
    pub overflow: Option<Arc<str>>,
    /// Threshold of the service level.
    pub service_level: Duration,
}

/// A Routing Point DN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingPoint {
    /// Its number.
    pub number: Arc<str>,
    /// `default-dn`: where a call goes when nobody routes it in time.
    pub default_dn: Option<Arc<str>>,
    /// `router-timeout`: how long a routing application has.
    pub router_timeout: Duration,
    /// What callers hear meanwhile.
    pub treatment: Treatment,
}

/// A Call Processing Port DN: a device with a fixed contact that takes calls like an Extension, without agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: Arc<str>,
}

/// A mixer for conferences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixer {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is; `{conference}` in the user part stands for the conference's own name.
    pub contact: StaticContact,
}

/// The floor of one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// Agents' options at the Application.
    pub options: AgentOptions,
    /// `logout-on-disconnect-grace`: how long a client may be away before `logout-on-disconnect` applies.
    pub logout_on_disconnect_grace: Duration,
    /// Agent Logins.
    pub logins: Vec<AgentLogin>,
    /// Persons.
    pub persons: Vec<Person>,
    /// Places.
    pub places: Vec<Place>,
    /// Groups.
    pub groups: Vec<AgentGroup>,
    /// ACD Queues.
    pub queues: Vec<Queue>,
    /// Routing Points.
    pub routing_points: Vec<RoutingPoint>,
    /// Numbers of Extensions that are Call Processing Ports.
    pub ports: Vec<Port>,
    /// The mixer, if there is one.
    pub mixer: Option<Mixer>,
}

/// What a DN of the floor is: its place in the list of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloorDn {
    /// An ACD Queue.
    Queue(usize),
    /// A Routing Point.
    RoutingPoint(usize),
}
