//! Names and numbers of events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// Name of an event; its number is the T-Library's message number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[repr(u16)]
        pub enum EventName {
            $($(#[$doc])* #[serde(rename = $text)] $name = $number,)*
        }

        impl EventName {
            /// Every event, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name, as it is written in JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

events! {
    /// A request was refused.
    Error = 52 "EventError",
    /// A DN is registered; what is going on there.
    Registered = 53 "EventRegistered",
    /// A DN is no longer registered.
    Unregistered = 54 "EventUnregistered",
    /// A call waits at a queue.
    Queued = 57 "EventQueued",
    /// A call left a queue or routing point for somewhere else.
    Diverted = 58 "EventDiverted",
    /// The caller gave up.
    Abandoned = 59 "EventAbandoned",
    /// A call rings at the DN.
    Ringing = 60 "EventRinging",
    /// The DN is calling.
    Dialing = 61 "EventDialing",
    /// The called party is busy.
    DestinationBusy = 63 "EventDestinationBusy",
    /// The party talks.
    Established = 64 "EventEstablished",
    /// The party has left the call.
    Released = 65 "EventReleased",
    /// The party put the call on hold.
    Held = 66 "EventHeld",
    /// The party took the call back.
    Retrieved = 67 "EventRetrieved",
    /// The other party is somebody else now.
    PartyChanged = 68 "EventPartyChanged",
    /// A party joined.
    PartyAdded = 69 "EventPartyAdded",
    /// A party was dropped.
    PartyDeleted = 70 "EventPartyDeleted",
    /// A routing point asks where a call is to go.
    RouteRequest = 71 "EventRouteRequest",
    /// A route was taken.
    RouteUsed = 72 "EventRouteUsed",
    /// An agent logged in.
    AgentLogin = 73 "EventAgentLogin",
    /// An agent logged out, or was.
    AgentLogout = 74 "EventAgentLogout",
    /// An agent is ready.
    AgentReady = 75 "EventAgentReady",
    /// An agent is not ready.
    AgentNotReady = 76 "EventAgentNotReady",
    /// User data of a call changed.
    AttachedDataChanged = 85 "EventAttachedDataChanged",
    /// What the server knows of a DN.
    AddressInfo = 92 "EventAddressInfo",
    /// What the server is.
    ServerInfo = 93 "EventServerInfo",
    /// The client lost its telephony: the server is not able to serve.
    LinkDisconnected = 94 "EventLinkDisconnected",
    /// The client is connected.
    LinkConnected = 95 "EventLinkConnected",
    /// What the server knows of a call.
    PartyInfo = 109 "EventPartyInfo",
    /// A treatment is applied.
    TreatmentApplied = 114 "EventTreatmentApplied",
    /// A treatment could not be applied.
    TreatmentNotApplied = 115 "EventTreatmentNotApplied",
    /// A treatment has ended.
    TreatmentEnd = 116 "EventTreatmentEnd",
    /// A request was carried out that has no event of its own.
    Ack = 138 "EventACK",
    /// A DN went out of service.
    DnOutOfService = 147 "EventDNOutOfService",
    /// A DN is back in service.
    DnBackInService = 148 "EventDNBackInService",
    /// Answer to a private service.
    PrivateInfo = 150 "EventPrivateInfo",
}

impl EventName {
    /// The T-Library's message number.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }
}
