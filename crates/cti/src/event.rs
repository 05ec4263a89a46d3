//! One event: a flat set of attributes, of which each event carries those that mean something to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::EventName;
use crate::value::KvList;
use crate::word::{AddressType, AgentState, CallState, CallType, DnRole, PartyState, Role, WorkMode};

/// What a client hears. A client overlooks attributes that it does not know: later servers may tell more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Its name.
    pub event: EventName,
    /// The T-Library's message number of it.
    pub number: u16,
    /// Its place in the stream of this session, from 1, without gaps. An answer that only the asking client hears has
    /// one too. `EventLinkConnected` is no part of the stream: it names the number after which the stream goes on, 0 in
    /// a new session.
    #[serde(rename = "EventSequenceNumber", default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// When it happened, ms since the Unix epoch.
    #[serde(rename = "Time", default)]
    pub time: u64,
    /// The request it answers, if this client made it.
    #[serde(rename = "ReferenceID", default, skip_serializing_if = "Option::is_none")]
    pub reference_id: Option<u32>,
    /// DN whose event it is.
    #[serde(rename = "ThisDN", default, skip_serializing_if = "Option::is_none")]
    pub this_dn: Option<String>,
    /// Role of that DN in the call.
    #[serde(rename = "ThisDNRole", default, skip_serializing_if = "Option::is_none")]
    pub this_dn_role: Option<DnRole>,
    /// The other party: a DN, or a number outside.
    #[serde(rename = "OtherDN", default, skip_serializing_if = "Option::is_none")]
    pub other_dn: Option<String>,
    /// Its role.
    #[serde(rename = "OtherDNRole", default, skip_serializing_if = "Option::is_none")]
    pub other_dn_role: Option<DnRole>,
    /// A third party: who transferred, who was added, where the call was diverted to.
    #[serde(rename = "ThirdPartyDN", default, skip_serializing_if = "Option::is_none")]
    pub third_party_dn: Option<String>,
    /// Queue that the call came through, or that is meant.
    #[serde(rename = "ThisQueue", default, skip_serializing_if = "Option::is_none")]
    pub this_queue: Option<String>,
    /// The call: 16 hexadecimal digits.
    #[serde(rename = "ConnID", default, skip_serializing_if = "Option::is_none")]
    pub conn_id: Option<String>,
    /// The call it came from: of a consultation the primary call, of a merged call the one that was given up.
    #[serde(rename = "PreviousConnID", default, skip_serializing_if = "Option::is_none")]
    pub previous_conn_id: Option<String>,
    /// The call as CDRs and traces name it: 32 hexadecimal digits.
    #[serde(rename = "CallUUID", default, skip_serializing_if = "Option::is_none")]
    pub call_uuid: Option<String>,
    /// What kind of call.
    #[serde(rename = "CallType", default, skip_serializing_if = "Option::is_none")]
    pub call_type: Option<CallType>,
    /// How it came to this.
    #[serde(rename = "CallState", default, skip_serializing_if = "Option::is_none")]
    pub call_state: Option<CallState>,
    /// Calling number.
    #[serde(rename = "ANI", default, skip_serializing_if = "Option::is_none")]
    pub ani: Option<String>,
    /// Dialled number.
    #[serde(rename = "DNIS", default, skip_serializing_if = "Option::is_none")]
    pub dnis: Option<String>,
    /// Agent Login.
    #[serde(rename = "AgentID", default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Work mode of the agent.
    #[serde(rename = "WorkMode", default, skip_serializing_if = "Option::is_none")]
    pub work_mode: Option<WorkMode>,
    /// State of the agent, in answers that describe a DN.
    #[serde(rename = "AgentState", default, skip_serializing_if = "Option::is_none")]
    pub agent_state: Option<AgentState>,
    /// What the DN is, in answers that describe one.
    #[serde(rename = "AddressType", default, skip_serializing_if = "Option::is_none")]
    pub address_type: Option<AddressType>,
    /// Whether the DN is in service, in answers that describe one.
    #[serde(rename = "InService", default, skip_serializing_if = "Option::is_none")]
    pub in_service: Option<bool>,
    /// Calls at the DN, or parties of the call, in answers that describe one.
    #[serde(rename = "Parties", default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<PartyInfo>,
    /// Data attached to the call.
    #[serde(rename = "UserData", default, skip_serializing_if = "KvList::is_empty")]
    pub user_data: KvList,
    /// Why the agent did it.
    #[serde(rename = "Reasons", default, skip_serializing_if = "KvList::is_empty")]
    pub reasons: KvList,
    /// What does not fit elsewhere (`ReasonCode`, `WrapUpTime` …).
    #[serde(rename = "AttributeExtensions", default, skip_serializing_if = "KvList::is_empty")]
    pub extensions: KvList,
    /// Number of an error.
    #[serde(rename = "ErrorCode", default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u16>,
    /// What is wrong, in a sentence.
    #[serde(rename = "ErrorMessage", default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Name of the server, in answers about the connection.
    #[serde(rename = "Server", default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Session, in answers about the connection: named again when the client reconnects.
    #[serde(rename = "Session", default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What became of the session that the client named.
    #[serde(rename = "Resumed", default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
    /// Role of the person.
    #[serde(rename = "Role", default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// What became of a session that a client named when it reconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Resumed {
    /// It goes on; the missed events follow.
    Continued,
    /// It goes on, but some events are gone: a snapshot of every registered DN follows.
    Gap,
    /// It is not known: this is a new one.
    New,
}

/// A party of a call, or a call at a DN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartyInfo {
    /// The call.
    #[serde(rename = "ConnID")]
    pub conn_id: String,
    /// The party: a DN, or a number outside.
    #[serde(rename = "DN")]
    pub dn: String,
    /// Its role.
    #[serde(rename = "Role")]
    pub role: DnRole,
    /// Its state.
    #[serde(rename = "State")]
    pub state: PartyState,
    /// The other party.
    #[serde(rename = "OtherDN", default, skip_serializing_if = "Option::is_none")]
    pub other_dn: Option<String>,
    /// What kind of call.
    #[serde(rename = "CallType")]
    pub call_type: CallType,
    /// Queue that the call came through.
    #[serde(rename = "ThisQueue", default, skip_serializing_if = "Option::is_none")]
    pub this_queue: Option<String>,
    /// Data attached to the call.
    #[serde(rename = "UserData", default, skip_serializing_if = "KvList::is_empty")]
    pub user_data: KvList,
}

impl Event {
    /// An event that carries nothing yet.
    #[must_use]
    pub fn new(event: EventName) -> Self {
        Self {
            event,
            number: event.number(),
            sequence: None,
            time: 0,
            reference_id: None,
            this_dn: None,
            this_dn_role: None,
            other_dn: None,
            other_dn_role: None,
            third_party_dn: None,
            this_queue: None,
            conn_id: None,
            previous_conn_id: None,
            call_uuid: None,
            call_type: None,
            call_state: None,
            ani: None,
            dnis: None,
            agent_id: None,
            work_mode: None,
            agent_state: None,
            address_type: None,
            in_service: None,
            parties: Vec::new(),
            user_data: KvList::new(),
            reasons: KvList::new(),
            extensions: KvList::new(),
            error_code: None,
            error_message: None,
            server: None,
            session: None,
            resumed: None,
            role: None,
        }
    }

    /// The refusal of a request.
    #[must_use]
    pub fn error(refusal: &crate::Refusal, reference_id: Option<u32>) -> Self {
        Self {
            reference_id,
            error_code: Some(refusal.code.number()),
            error_message: Some(refusal.message.clone().into_owned()),
            ..Self::new(EventName::Error)
        }
    }
}
