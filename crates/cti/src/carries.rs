//! Which attributes each event carries.

use crate::event::Event;
use crate::name::EventName;

/// Attributes of an event, by their names in JSON. Every event may also have [`Carries::EVERY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carries {
    /// It always has these.
    pub always: &'static [&'static str],
    /// It has these where they mean something.
    pub sometimes: &'static [&'static str],
}

impl Carries {
    /// What every event may have: the first four always.
    pub const EVERY: &'static [&'static str] =
        &["event", "number", "EventSequenceNumber", "Time", "ReferenceID", "AttributeExtensions"];
}

/// An event of a party.
const PARTY: &[&str] = &["ThisDN", "ConnID", "CallType"];
const PARTY_MAY: &[&str] = &[
    "ThisDNRole",
    "OtherDN",
    "OtherDNRole",
    "ThirdPartyDN",
    "ThisQueue",
    "PreviousConnID",
    "CallUUID",
    "CallState",
    "ANI",
    "DNIS",
    "AgentID",
    "UserData",
    "Reasons",
];
const ROUTE_MAY: &[&str] = &[
    "CallType",
    "ThisDNRole",
    "OtherDN",
    "OtherDNRole",
    "ThirdPartyDN",
    "ThisQueue",
    "PreviousConnID",
    "CallUUID",
    "CallState",
    "ANI",
    "DNIS",
    "AgentID",
    "UserData",
    "Reasons",
];
const PARTY_INFO: &[&str] =
    &["ThisDN", "ThisQueue", "PreviousConnID", "CallType", "CallUUID", "ANI", "DNIS", "Parties", "UserData"];
const QUEUE: &[&str] = &["ThisDN", "ThisQueue", "ConnID", "CallType"];
const QUEUE_MAY: &[&str] = &[
    "ThisDNRole",
    "OtherDN",
    "OtherDNRole",
    "ThirdPartyDN",
    "PreviousConnID",
    "CallUUID",
    "CallState",
    "ANI",
    "DNIS",
    "AgentID",
    "UserData",
    "Reasons",
];
const AGENT: &[&str] = &["ThisDN", "AgentID"];
const AGENT_MAY: &[&str] = &["ThisQueue", "WorkMode", "Reasons"];
const DESCRIBED_MAY: &[&str] =
    &["AddressType", "InService", "AgentID", "AgentState", "WorkMode", "Parties", "Reasons"];
const TREATMENT: &[&str] = &["ThisDN", "ConnID"];
const NOT_APPLIED_MAY: &[&str] = &[
    "CallType",
    "ThisDNRole",
    "OtherDN",
    "OtherDNRole",
    "ThirdPartyDN",
    "ThisQueue",
    "PreviousConnID",
    "CallUUID",
    "CallState",
    "ANI",
    "DNIS",
    "AgentID",
    "UserData",
    "Reasons",
    "ErrorCode",
    "ErrorMessage",
];

impl EventName {
    /// Which attributes it carries.
    #[must_use]
    pub const fn carries(self) -> Carries {
        let (always, sometimes): (&[&str], &[&str]) = match self {
            Self::Error => (&["ErrorCode", "ErrorMessage"], &["ThisDN", "ConnID"]),
            Self::Registered | Self::AddressInfo => (&["ThisDN"], DESCRIBED_MAY),
            Self::Unregistered | Self::DnOutOfService | Self::DnBackInService => (&["ThisDN"], &[]),
            Self::Queued => (QUEUE, QUEUE_MAY),
            Self::Diverted
            | Self::Abandoned
            | Self::Ringing
            | Self::Dialing
            | Self::DestinationBusy
            | Self::Established
            | Self::Released
            | Self::Held
            | Self::Retrieved
            | Self::PartyChanged
            | Self::PartyAdded
            | Self::PartyDeleted
            | Self::RouteRequest
            | Self::AttachedDataChanged => (PARTY, PARTY_MAY),
            Self::RouteUsed => (TREATMENT, ROUTE_MAY),
            Self::AgentLogin | Self::AgentLogout | Self::AgentReady => (AGENT, AGENT_MAY),
            Self::AgentNotReady => (&["ThisDN", "AgentID", "WorkMode"], &["ThisQueue", "Reasons"]),
            Self::ServerInfo => (&["Server"], &["Role", "Session"]),
            Self::LinkDisconnected => (&["Server"], &[]),
            Self::LinkConnected => (&["Server", "Session", "Resumed", "Role"], &[]),
            Self::PartyInfo => (&["ConnID"], PARTY_INFO),
            Self::TreatmentApplied | Self::TreatmentEnd => (TREATMENT, ROUTE_MAY),
            Self::TreatmentNotApplied => (TREATMENT, NOT_APPLIED_MAY),
            Self::Ack | Self::PrivateInfo => (&[], &["ThisDN", "ConnID", "UserData"]),
        };
        Carries { always, sometimes }
    }
}

impl Event {
    /// What is wrong with its attributes: those that the table promises and that are not there, and those that are
    /// there and not in the table. For tests; it serialises the event.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let Ok(serde_json::Value::Object(members)) = serde_json::to_value(self) else {
            return vec!["cannot be written".to_owned()];
        };
        let name = self.event.as_str();
        let Carries { always, sometimes } = self.event.carries();
        let missing = always.iter().filter(|attribute| !members.contains_key(**attribute));
        let is_known = |attribute: &str| {
            [Carries::EVERY, always, sometimes].iter().any(|known| known.contains(&attribute))
        };
        let foreign = members.keys().filter(|attribute| !is_known(attribute));
        missing
            .map(|attribute| format!("{name} lacks {attribute}"))
            .chain(foreign.map(|attribute| format!("{name} does not carry {attribute}")))
            .collect()
    }
}
