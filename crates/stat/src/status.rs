//! The one word that says what an agent does: Stat Server's statuses by priority.

use serde::{Deserialize, Serialize};
use tandem_cti::CallType;

/// Status of a DN, an agent or a place. When several hold, the later one here is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Nobody is logged in.
    #[default]
    LoggedOut,
    /// Takes no calls.
    NotReadyForNextCall,
    /// Takes calls and has none.
    WaitForNextCall,
    /// Wraps up.
    AfterCallWork,
    /// A call rings.
    CallRinging,
    /// Is calling.
    CallDialing,
    /// Talks within the switch.
    CallInternal,
    /// Talks to a caller from outside.
    CallInbound,
    /// Talks to somebody outside whom he called.
    CallOutbound,
    /// Talks to somebody about another call.
    CallConsult,
    /// Has a call on hold.
    CallOnHold,
}

impl Status {
    /// Every status, by priority.
    pub const ALL: [Self; 11] = [
        Self::LoggedOut,
        Self::NotReadyForNextCall,
        Self::WaitForNextCall,
        Self::AfterCallWork,
        Self::CallRinging,
        Self::CallDialing,
        Self::CallInternal,
        Self::CallInbound,
        Self::CallOutbound,
        Self::CallConsult,
        Self::CallOnHold,
    ];

    /// The status of somebody who talks in a call of this type. One of unknown type counts as internal.
    #[must_use]
    pub fn talking(call_type: CallType) -> Self {
        match call_type {
            CallType::Unknown | CallType::Internal => Self::CallInternal,
            CallType::Inbound => Self::CallInbound,
            CallType::Outbound => Self::CallOutbound,
            CallType::Consult => Self::CallConsult,
        }
    }

    /// Its name, as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "LoggedOut",
            Self::NotReadyForNextCall => "NotReadyForNextCall",
            Self::WaitForNextCall => "WaitForNextCall",
            Self::AfterCallWork => "AfterCallWork",
            Self::CallRinging => "CallRinging",
            Self::CallDialing => "CallDialing",
            Self::CallInternal => "CallInternal",
            Self::CallInbound => "CallInbound",
            Self::CallOutbound => "CallOutbound",
            Self::CallConsult => "CallConsult",
            Self::CallOnHold => "CallOnHold",
        }
    }

    /// Whether he works for the queues now: takes calls, has one, or wraps one up.
    #[must_use]
    pub fn serves(self) -> bool {
        self >= Self::WaitForNextCall
    }
}
