//! An example of each request and event.

use schemars::SchemaGenerator;
use serde_json::{Value as Json, json};
use tandem_cti::{Carries, EventName};

use crate::schema;

/// A request with everything it needs and what makes it understood.
pub fn request(name: &str) -> Json {
    let all = schema::requests(&mut SchemaGenerator::default());
    let (_, schema) = all.into_iter().find(|(known, _)| *known == name).unwrap();
    let mut example = json!({"request": name, "ReferenceID": 12});
    for attribute in schema["required"].as_array().unwrap() {
        let attribute = attribute.as_str().unwrap();
        if attribute != "request" {
            example[attribute] = value(attribute);
        }
    }
    let telling: &[(&str, Json)] = match name {
        "TOpenServer" => &[("ApplicationName", json!("desktop 2.1"))],
        "TRegisterAddress" => &[("RegisterMode", json!("Share"))],
        "TAgentLogin" => &[("WorkMode", json!("ManualIn")), ("Password", json!("1234"))],
        "TAgentSetNotReady" => &[("WorkMode", json!("AuxWork")), ("Reasons", json!({"Break": "lunch"}))],
        "TRouteCall" => &[("OtherDN", json!("1002")), ("RouteType", json!("Default"))],
        "TApplyTreatment" => &[("TreatmentParms", json!({"MUSIC_DN": "waiting"}))],
        "TUnregisterAddress" | "TAgentLogout" | "TQueryCall" => &[],
        _ => &[],
    };
    for (attribute, value) in telling {
        example[*attribute] = value.clone();
    }
    example
}

/// An event with everything it always has and what makes it understood.
pub fn event(name: EventName) -> Json {
    let mut example = json!({
        "event": name.as_str(),
        "number": name.number(),
        "EventSequenceNumber": 41,
        "Time": 1_770_000_000_000_u64,
    });
    let Carries { always, sometimes } = name.carries();
    let telling = ["ThisDNRole", "OtherDN", "OtherDNRole", "CallState", "AgentState", "WorkMode", "UserData"];
    let told = sometimes.iter().filter(|attribute| telling.contains(attribute));
    for attribute in always.iter().chain(told) {
        example[*attribute] = value(attribute);
    }
    if matches!(name, EventName::Error | EventName::Ack | EventName::AddressInfo | EventName::LinkConnected) {
        example["ReferenceID"] = json!(12);
    }
    if name == EventName::LinkConnected {
        example["EventSequenceNumber"] = json!(0);
    }
    if name == EventName::AgentLogout {
        example["AttributeExtensions"] = json!({"ReasonCode": "dr-force_logout"});
    }
    example
}

fn value(attribute: &str) -> Json {
    match attribute {
        "UserData" => json!({"CustomerID": "47-11", "Priority": 3}),
        "TreatmentType" => json!("Music"),
        "ServiceID" => json!(3019),
        "ConnID" => json!("5f1c02a900000007"),
        "ConsultConnID" | "HeldConnID" => json!("5f1c02a900000008"),
        "OtherDN" => json!("1002"),
        "ThisQueue" => json!("8000"),
        "AgentID" => json!("a1001"),
        "UserName" => json!("alice"),
        "Password" => json!("secret"),
        "DTMFDigits" => json!("42#"),
        "Key" => json!("CustomerID"),
        "CallType" => json!("Inbound"),
        "CallState" => json!("Ok"),
        "ThisDNRole" => json!("Destination"),
        "OtherDNRole" => json!("Origination"),
        "AgentState" => json!("NotReady"),
        "WorkMode" => json!("AuxWork"),
        "ErrorCode" => json!(56),
        "ErrorMessage" => json!("invalid ConnID"),
        "Server" => json!("site-a"),
        "Session" => json!("0c8b1d6f2a9e43b7a5d01f6e7c3b9a24"),
        "Resumed" => json!("New"),
        "Role" => json!("agent"),
        _ => json!("1001"),
    }
}
