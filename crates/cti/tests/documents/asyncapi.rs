//! The AsyncAPI 3.0 document: the server receives requests and sends events over one WebSocket.

use serde_json::{Map, Value as Json, json};
use tandem_cti::{Carries, EventName, Request};

use crate::{sample, schema};

/// The document.
pub fn whole() -> Json {
    let (mut messages, mut in_channel) = (Map::new(), Map::new());
    let mut requests = Vec::new();
    let all = schema::requests(&mut schemars::SchemaGenerator::default());
    for ((name, schema), (_, number)) in all.iter().zip(Request::NAMES) {
        let summary = schema["description"].as_str().unwrap().replace('\n', " ");
        let mut message = message(name, &summary, *number, &sample::request(name));
        message["description"] = json!("A request; refused with EventError.");
        messages.insert((*name).to_owned(), message);
        requests.push((*name).to_owned());
    }
    let mut events = Vec::new();
    for name in EventName::ALL {
        let Carries { always, sometimes } = name.carries();
        let mut message =
            message(name.as_str(), &schema::summary(*name), name.number(), &sample::event(*name));
        message["description"] = json!(format!(
            "Always: {}. Where it means something: {}.",
            list(Carries::EVERY.iter().take(4).chain(always)),
            list(sometimes.iter().chain(Carries::EVERY.iter().skip(4))),
        ));
        messages.insert(name.as_str().to_owned(), message);
        events.push(name.as_str().to_owned());
    }
    for name in messages.keys() {
        in_channel.insert(name.clone(), json!({"$ref": format!("#/components/messages/{name}")}));
    }
    let told = |names: &[String]| -> Vec<Json> {
        names.iter().map(|name| json!({"$ref": format!("#/channels/cti/messages/{name}")})).collect()
    };
    json!({
        "asyncapi": "3.0.0",
        "info": info(),
        "defaultContentType": "application/json",
        "servers": {
            "site": {
                "host": "localhost:8061",
                "protocol": "ws",
                "description": "One site: cti-listen of its configuration; wss with cti-certificate.",
            },
        },
        "channels": {
            "cti": {
                "address": "/cti",
                "title": "CTI",
                "description": "One session of a client. The first request is TOpenServer.",
                "messages": in_channel,
            },
        },
        "operations": {
            "receiveRequest": {
                "action": "receive",
                "channel": {"$ref": "#/channels/cti"},
                "summary": "A client asks for something.",
                "messages": told(&requests),
            },
            "sendEvent": {
                "action": "send",
                "channel": {"$ref": "#/channels/cti"},
                "summary": "The server tells a client what happened, or answers it.",
                "messages": told(&events),
            },
        },
        "components": {"messages": messages},
    })
}

fn info() -> Json {
    json!({
        "title": "Tandem CTI interface",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Requests and events of the T-Library as JSON, one message a WebSocket text frame.",
        "license": {"name": "MIT OR Apache-2.0"},
    })
}

fn message(name: &str, summary: &str, number: u16, example: &Json) -> Json {
    json!({
        "name": name,
        "title": name,
        "summary": summary,
        "x-number": number,
        "payload": {"$ref": format!("./schema.json#/$defs/{name}")},
        "examples": [{"payload": example}],
    })
}

fn list<'a>(names: impl Iterator<Item = &'a &'static str>) -> String {
    names.copied().collect::<Vec<_>>().join(", ")
}
