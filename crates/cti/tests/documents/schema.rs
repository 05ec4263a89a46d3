//! The JSON Schema (2020-12): a definition for each request, each event and each vocabulary.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value as Json, json};
use tandem_cti::limits::{MAX_NAME_BYTES, MAX_PASSWORD_BYTES};
use tandem_cti::{Carries, Event, EventName, Request};

/// The schema of everything that goes over the connection.
pub fn whole() -> Json {
    let mut generator = SchemaGenerator::default();
    let mut definitions = serde_json::Map::new();
    for (name, schema) in requests(&mut generator) {
        definitions.insert(name.to_owned(), schema);
    }
    let event = Event::json_schema(&mut generator).to_value();
    for name in EventName::ALL {
        definitions.insert(name.as_str().to_owned(), one_event(*name));
    }
    let attributes = json!({
        "description": "Attributes of events; each event says which of them it carries.",
        "properties": event["properties"],
    });
    definitions.insert("EventAttributes".to_owned(), attributes);
    definitions.extend(generator.take_definitions(true));
    definitions["EventAttributes"]["properties"]["event"] = definitions["EventName"].clone();
    definitions.remove("EventName");
    let refer = |name: &str| json!({"$ref": format!("#/$defs/{name}")});
    let requests: Vec<Json> = Request::NAMES.iter().map(|(name, _)| refer(name)).collect();
    let events: Vec<Json> = EventName::ALL.iter().map(|name| refer(name.as_str())).collect();
    definitions
        .insert("Request".to_owned(), json!({"description": "What a client sends.", "oneOf": requests}));
    definitions.insert("Event".to_owned(), json!({"description": "What a client hears.", "oneOf": events}));
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tandem CTI interface",
        "description": "One JSON object a WebSocket text frame: requests to the server, events from it.",
        "oneOf": [refer("Request"), refer("Event")],
        "$defs": definitions,
    });
    unwrap_lines(&mut whole);
    whole
}

/// Each request with the member that names it.
pub fn requests(generator: &mut SchemaGenerator) -> Vec<(&'static str, Json)> {
    let named = |(name, schema): (&'static str, schemars::Schema)| {
        let mut schema = schema.to_value();
        schema["properties"]["request"] = json!({"const": name});
        let needed = schema.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
        let needed: Vec<Json> = std::iter::once(json!("request")).chain(needed).collect();
        schema["required"] = json!(needed);
        schema.as_object_mut().unwrap().remove("$schema");
        for (attribute, property) in schema["properties"].as_object_mut().unwrap() {
            bound(attribute, property);
        }
        (name, schema)
    };
    Request::schemas(generator).into_iter().map(named).collect()
}

/// The bounds of texts, which the types do not say.
fn bound(attribute: &str, property: &mut Json) {
    let is_text = property["type"] == "string" || property["type"][0] == "string";
    if is_text {
        let (least, most) =
            if attribute == "Password" { (0, MAX_PASSWORD_BYTES) } else { (1, MAX_NAME_BYTES) };
        property["minLength"] = json!(least);
        property["maxLength"] = json!(most);
    }
}

/// Comments are wrapped, descriptions are not.
fn unwrap_lines(value: &mut Json) {
    match value {
        Json::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value.as_str().filter(|_| key == "description") {
                    Some(text) => *value = json!(text.replace('\n', " ")),
                    None => unwrap_lines(value),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(unwrap_lines),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

/// An event with the attributes that it carries. Others may come with a later server.
fn one_event(name: EventName) -> Json {
    let Carries { always, sometimes } = name.carries();
    let every = Carries::EVERY.iter().chain(always).chain(sometimes);
    let refer = |attribute: &&str| json!({"$ref": format!("#/$defs/EventAttributes/properties/{attribute}")});
    let mut properties: serde_json::Map<String, Json> =
        every.map(|attribute| ((*attribute).to_owned(), refer(attribute))).collect();
    properties.insert("event".to_owned(), json!({"const": name.as_str()}));
    properties.insert("number".to_owned(), json!({"const": name.number()}));
    let required: Vec<&str> = Carries::EVERY.iter().take(4).chain(always).copied().collect();
    json!({
        "type": "object",
        "description": summary(name),
        "properties": properties,
        "required": required,
    })
}

/// What an event says, in a sentence.
pub fn summary(name: EventName) -> String {
    let schema = schemars::schema_for!(EventName).to_value();
    let mut all = schema["oneOf"].as_array().unwrap().iter();
    let one = all.find(|one| one["const"] == name.as_str()).unwrap();
    one["description"].as_str().unwrap().replace('\n', " ")
}
