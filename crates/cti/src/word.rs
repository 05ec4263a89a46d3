//! The small vocabularies of attributes: work modes, call types and states, roles of parties.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `WorkMode` of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum WorkMode {
    /// None is given (0).
    #[default]
    Unknown,
    /// Ready only when the agent says so, call by call (1).
    ManualIn,
    /// Ready as soon as a call and its after-call work are over (2).
    AutoIn,
    /// A pause prescribed by law after a call; only with NotReady (2, as the T-Library has it).
    LegalGuard,
    /// Wrapping up (3).
    AfterCallWork,
    /// Other work (4).
    AuxWork,
    /// No call is to be disconnected (5).
    NoCallDisconnect,
    /// Away from the desk (6).
    WalkAway,
    /// Back at the desk (7).
    ReturnBack,
}

impl WorkMode {
    /// The T-Library's number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::ManualIn => 1,
            Self::AutoIn | Self::LegalGuard => 2,
            Self::AfterCallWork => 3,
            Self::AuxWork => 4,
            Self::NoCallDisconnect => 5,
            Self::WalkAway => 6,
            Self::ReturnBack => 7,
        }
    }

    /// Its name, as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::ManualIn => "ManualIn",
            Self::AutoIn => "AutoIn",
            Self::LegalGuard => "LegalGuard",
            Self::AfterCallWork => "AfterCallWork",
            Self::AuxWork => "AuxWork",
            Self::NoCallDisconnect => "NoCallDisconnect",
            Self::WalkAway => "WalkAway",
            Self::ReturnBack => "ReturnBack",
        }
    }
}

/// `CallType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CallType {
    /// Not known (0).
    #[default]
    Unknown,
    /// Between DNs of this switch (1).
    Internal,
    /// From outside (2).
    Inbound,
    /// To outside (3).
    Outbound,
    /// A consultation (4).
    Consult,
}

/// `CallState`: how a party came to, or left, its call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CallState {
    /// As usual.
    #[default]
    Ok,
    /// By a transfer.
    Transferred,
    /// By a conference.
    Conferenced,
    /// By an error.
    GeneralError,
    /// By an error of the system.
    SystemError,
    /// The other side released.
    RemoteRelease,
    /// The other side was busy.
    Busy,
    /// The other side did not answer.
    NoAnswer,
    /// Redirected to somewhere else.
    Redirected,
    /// Forwarded to somewhere else, the peer site included.
    Forwarded,
}

/// `ThisDNRole` and `OtherDNRole`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DnRole {
    /// The one who called.
    Origination,
    /// The one who was called.
    Destination,
    /// The one who was added to a conference.
    ConferenceMember,
    /// The one to whom it was transferred.
    NewParty,
    /// A queue or routing point that the call waits at.
    RoleNone,
}

/// State of a party as queries report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PartyState {
    /// Has begun a call (0x1, dialling 0x10001).
    Dialing,
    /// Waits in a queue (0x9).
    Queued,
    /// Rings (0xA).
    Alerting,
    /// Hears busy (0xB).
    Busy,
    /// Talks (0xC).
    Connected,
    /// Is on hold, or holds (0xE).
    Held,
    /// Could not be connected (0xF).
    Failed,
}

impl PartyState {
    /// The T-Library's number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Dialing => 0x1_0001,
            Self::Queued => 0x9,
            Self::Alerting => 0xA,
            Self::Busy => 0xB,
            Self::Connected => 0xC,
            Self::Held => 0xE,
            Self::Failed => 0xF,
        }
    }
}

/// What a DN is: `AddressType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AddressType {
    /// Extension.
    Extension,
    /// ACD Queue.
    #[serde(rename = "ACDQueue")]
    AcdQueue,
    /// Routing Point.
    RoutingPoint,
    /// Call Processing Port.
    CallProcessingPort,
    /// Trunk.
    Trunk,
}

/// `AgentState` as queries report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AgentState {
    /// Nobody is logged in.
    #[default]
    LoggedOut,
    /// Logged in, takes no calls.
    NotReady,
    /// Takes calls.
    Ready,
    /// On a business call; Ready when it ends.
    BusyReady,
    /// On a business call; NotReady when it ends.
    BusyNotReady,
    /// On a business call; after-call work when it ends.
    BusyAfterCallWork,
}

/// Role of a person: what his client may do and see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Works with calls at the DNs that he registers, under his own Agent Logins.
    Agent,
    /// Takes part in routing: routing points and queues.
    RoutingApplication,
    /// Sees every DN and may log out any agent.
    Supervisor,
    /// Everything, private services included.
    Administrator,
}

/// `RegisterMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegisterMode {
    /// Other clients may register the DN too.
    #[default]
    Share,
    /// No other client may act there; others may only monitor.
    Private,
    /// Events only; no request may be made for the DN.
    Monitor,
}

/// `ControlMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ControlMode {
    /// As configured.
    #[default]
    Default,
    /// Take it from whoever is in the way.
    Force,
    /// Only within the server.
    Local,
}

/// `TreatmentType`: what a waiting caller hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TreatmentType {
    /// Music, from a file.
    #[default]
    Music,
    /// An announcement, played once.
    PlayAnnouncement,
    /// Ringback.
    RingBack,
    /// Nothing.
    Silence,
}

/// `RouteType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteType {
    /// To a DN or number.
    #[default]
    Default,
    /// Refuse the call.
    Reject,
}
