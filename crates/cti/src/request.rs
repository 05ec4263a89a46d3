//! Requests. Each is a struct; what every request may carry (`ReferenceID`, `Reasons`, `AttributeExtensions`) stands in
//! each of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Refusal;
use crate::decode::{Attribute, Members};
use crate::value::KvList;
use crate::word::{AddressType, ControlMode, RegisterMode, RouteType, TreatmentType, WorkMode};

macro_rules! requests {
    ($(
        $(#[$doc:meta])*
        $name:ident = $number:literal {
            $( $(#[$need_doc:meta])* $need:ident : $need_type:ty = $need_json:literal, )*
            ;
            $( $(#[$may_doc:meta])* $may:ident : $may_type:ty = $may_json:literal, )*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                /// The client's own number of the request, unique in its session. A request that comes again with the
                /// same number is not carried out again: it gets the same answer.
                #[serde(rename = "ReferenceID", default, skip_serializing_if = "Option::is_none")]
                pub reference_id: Option<u32>,
                $( $(#[$need_doc])* #[serde(rename = $need_json)] pub $need: $need_type, )*
                $( $(#[$may_doc])* #[serde(rename = $may_json, default, skip_serializing_if = "Option::is_none")]
                   pub $may: Option<$may_type>, )*
                /// Why it is asked for.
                #[serde(rename = "Reasons", default, skip_serializing_if = "KvList::is_empty")]
                pub reasons: KvList,
                /// What does not fit elsewhere.
                #[serde(rename = "AttributeExtensions", default, skip_serializing_if = "KvList::is_empty")]
                pub extensions: KvList,
            }

            impl $name {
                fn this_dn(&self) -> Option<&str> {
                    let attributes = [
                        $( ($need_json, self.$need.text()), )*
                        $( ($may_json, self.$may.as_ref().and_then(Attribute::text)), )*
                    ];
                    let this_dn = attributes.into_iter().find(|(name, _)| *name == "ThisDN");
                    this_dn.and_then(|(_, text): (&str, Option<&str>)| text)
                }

                fn read(members: &mut Members) -> Result<Self, Refusal> {
                    Ok(Self {
                        reference_id: members.optional("ReferenceID")?,
                        $( $need: members.needed($need_json)?, )*
                        $( $may: members.optional($may_json)?, )*
                        reasons: members.optional("Reasons")?.unwrap_or_default(),
                        extensions: members.optional("AttributeExtensions")?.unwrap_or_default(),
                    })
                }
            }
        )*

        /// What a client asks for. `request` in JSON names it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "request")]
        pub enum Request {
            $( $(#[$doc])* $name($name), )*
        }

        impl Request {
            /// Names of all requests with their T-Library numbers.
            pub const NAMES: &'static [(&'static str, u16)] = &[$((stringify!($name), $number),)*];

            /// Its name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            /// `ThisDN`, if it has one.
            #[must_use]
            pub fn this_dn(&self) -> Option<&str> {
                match self { $(Self::$name(request) => request.this_dn(),)* }
            }

            /// Its T-Library number.
            #[must_use]
            pub fn number(&self) -> u16 {
                match self { $(Self::$name(_) => $number,)* }
            }

            /// Reads the attributes of the request of that name; `None` if there is no such request.
            pub(crate) fn read(name: &str, members: &mut Members) -> Option<Result<Self, Refusal>> {
                match name {
                    $(stringify!($name) => Some($name::read(members).map(Self::$name)),)*
                    _ => None,
                }
            }

            /// The schemas of all requests, by name: their attributes, without the `request` that names them.
            pub fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![$((stringify!($name), $name::json_schema(generator)),)*]
            }

            /// `ReferenceID`.
            #[must_use]
            pub fn reference_id(&self) -> Option<u32> {
                match self { $(Self::$name(request) => request.reference_id,)* }
            }
        }
    };
}

requests! {
    /// Opens the session: who the client is, and which session it continues. The first request of a connection.
    TOpenServer = 0 {
        /// User name of a person.
        user_name: String = "UserName",
        /// His password.
        password: String = "Password",
        ;
        /// What the client is, for logs.
        application_name: String = "ApplicationName",
        /// Session to continue.
        session: String = "Session",
        /// `EventSequenceNumber` of the last event that the client has of it.
        after: u64 = "After",
    }
    /// Asks what the server is.
    TQueryServer = 1 { ; }
    /// Asks what the server knows of a DN.
    TQueryAddress = 2 {
        /// The DN.
        this_dn: String = "ThisDN",
        ;
    }
    /// Asks for the events of a DN, and for the right to act there.
    TRegisterAddress = 3 {
        /// The DN.
        this_dn: String = "ThisDN",
        ;
        /// Alone, shared, or watching only.
        register_mode: RegisterMode = "RegisterMode",
        /// Whether to take it from others.
        control_mode: ControlMode = "ControlMode",
        /// What the client expects it to be.
        address_type: AddressType = "AddressType",
    }
    /// Ends that.
    TUnregisterAddress = 4 {
        /// The DN.
        this_dn: String = "ThisDN",
        ;
        /// Unused; taken for compatibility.
        control_mode: ControlMode = "ControlMode",
    }
    /// Logs an agent in at a DN.
    TAgentLogin = 8 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// Agent Login.
        agent_id: String = "AgentID",
        ;
        /// Password of the Agent Login.
        password: String = "Password",
        /// Wanted work mode: `ManualIn` (default) begins NotReady, `AutoIn` Ready.
        work_mode: WorkMode = "WorkMode",
        /// ACD Queue to log in to, beside those that the configuration gives the agent.
        this_queue: String = "ThisQueue",
    }
    /// Logs the agent of a DN out.
    TAgentLogout = 9 {
        /// The DN.
        this_dn: String = "ThisDN",
        ;
        /// Only out of this ACD Queue.
        this_queue: String = "ThisQueue",
    }
    /// The agent takes calls.
    TAgentSetReady = 10 {
        /// The DN.
        this_dn: String = "ThisDN",
        ;
        /// `ManualIn` or `AutoIn`.
        work_mode: WorkMode = "WorkMode",
    }
    /// The agent takes no calls.
    TAgentSetNotReady = 11 {
        /// The DN.
        this_dn: String = "ThisDN",
        ;
        /// `AuxWork`, `AfterCallWork`, `WalkAway` …
        work_mode: WorkMode = "WorkMode",
    }
    /// Makes a call from a DN.
    TMakeCall = 14 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// Whom to call.
        other_dn: String = "OtherDN",
        ;
        /// Data to attach.
        user_data: KvList = "UserData",
    }
    /// Answers a call that rings at a DN.
    TAnswerCall = 16 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        ;
    }
    /// The DN leaves a call.
    TReleaseCall = 17 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        ;
    }
    /// The DN puts a call on hold.
    THoldCall = 18 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        ;
    }
    /// The DN takes a call back from hold.
    TRetrieveCall = 19 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        ;
    }
    /// Holds the call and consults somebody, to add him to a conference.
    TInitiateConference = 20 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// Whom to consult.
        other_dn: String = "OtherDN",
        ;
        /// Data to attach to the consultation.
        user_data: KvList = "UserData",
    }
    /// Joins the call and the consultation in a conference.
    TCompleteConference = 21 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The held call.
        conn_id: String = "ConnID",
        /// The consultation.
        consult_conn_id: String = "ConsultConnID",
        ;
    }
    /// Drops a party from a conference.
    TDeleteFromConference = 22 {
        /// The DN that asks.
        this_dn: String = "ThisDN",
        /// The conference.
        conn_id: String = "ConnID",
        /// The party.
        other_dn: String = "OtherDN",
        ;
    }
    /// Holds the call and consults somebody, to transfer to him.
    TInitiateTransfer = 23 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// Whom to consult.
        other_dn: String = "OtherDN",
        ;
        /// Data to attach to the consultation.
        user_data: KvList = "UserData",
    }
    /// Transfers to somebody without waiting for his answer.
    TMuteTransfer = 24 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// To whom.
        other_dn: String = "OtherDN",
        ;
        /// Data to attach.
        user_data: KvList = "UserData",
    }
    /// Transfers the call in one step.
    TSingleStepTransfer = 25 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// To whom.
        other_dn: String = "OtherDN",
        ;
        /// Data to attach.
        user_data: KvList = "UserData",
    }
    /// Joins the held call with the consulted party and leaves both.
    TCompleteTransfer = 26 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The held call.
        conn_id: String = "ConnID",
        /// The consultation.
        consult_conn_id: String = "ConsultConnID",
        ;
    }
    /// Holds the active call and takes the held one back.
    TAlternateCall = 28 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The active call.
        conn_id: String = "ConnID",
        /// The held call.
        held_conn_id: String = "HeldConnID",
        ;
    }
    /// Ends the active call and takes the held one back.
    TReconnectCall = 29 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The active call.
        conn_id: String = "ConnID",
        /// The held call.
        held_conn_id: String = "HeldConnID",
        ;
    }
    /// Attaches data to a call; a key that is there gets the new value.
    TAttachUserData = 30 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// The data.
        user_data: KvList = "UserData",
        ;
    }
    /// Replaces all data of a call.
    TUpdateUserData = 31 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// The data.
        user_data: KvList = "UserData",
        ;
    }
    /// Removes all data of a call.
    TDeleteUserData = 32 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        ;
    }
    /// Removes one key of a call's data.
    TDeletePair = 33 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// The key.
        key: String = "Key",
        ;
    }
    /// Sends DTMF to the other party.
    TSendDTMF = 34 {
        /// The DN.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// Digits: 0-9, *, #, A-D.
        digits: String = "DTMFDigits",
        ;
    }
    /// Says where a call at a routing point goes.
    TRouteCall = 36 {
        /// The routing point.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        ;
        /// Where it goes; not needed to reject it.
        other_dn: String = "OtherDN",
        /// To a DN, or rejected.
        route_type: RouteType = "RouteType",
        /// Data to attach.
        user_data: KvList = "UserData",
    }
    /// Sends a ringing call somewhere else.
    TRedirectCall = 103 {
        /// The DN at which it rings.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// Where it goes.
        other_dn: String = "OtherDN",
        ;
    }
    /// Asks what the server knows of a call.
    TQueryCall = 108 {
        /// The call.
        conn_id: String = "ConnID",
        ;
        /// The DN that asks.
        this_dn: String = "ThisDN",
    }
    /// Ends a call for all its parties.
    TClearCall = 110 {
        /// The DN that asks.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        ;
    }
    /// Plays something to the caller while he waits.
    TApplyTreatment = 113 {
        /// The queue or routing point.
        this_dn: String = "ThisDN",
        /// The call.
        conn_id: String = "ConnID",
        /// What.
        treatment_type: TreatmentType = "TreatmentType",
        ;
        /// `MUSIC_DN` or `PROMPT`: name of the file.
        parameters: KvList = "TreatmentParms",
    }
    /// A service outside the standard set: 3019 shuts the server down gracefully. Others are answered 51.
    TPrivateRequest = 149 {
        /// Its number.
        service_id: u32 = "ServiceID",
        ;
        /// The DN it is about.
        this_dn: String = "ThisDN",
        /// The call it is about.
        conn_id: String = "ConnID",
        /// What it needs.
        user_data: KvList = "UserData",
    }
}
