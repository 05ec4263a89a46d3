//! Reading requests: every request comes back as it was written, every fault is named, nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tandem_cti::limits::{
    MAX_KEY_BYTES, MAX_LIST_BYTES, MAX_NAME_BYTES, MAX_PASSWORD_BYTES, MAX_REQUEST_BYTES,
};
use tandem_cti::{ErrorCode, Fatal, Malformed, Request, Unreadable, decode};

/// A value that fits an attribute of this name.
fn sample(name: &str) -> Json {
    match name {
        "ReferenceID" => json!(4_294_967_295u32),
        "After" => json!(u64::MAX),
        "ServiceID" => json!(3019),
        "UserData" | "Reasons" | "AttributeExtensions" | "TreatmentParms" => {
            json!({"text": "ä", "number": -1, "list": {"inner": {"deep": {"deepest": 1}}}})
        }
        "RegisterMode" => json!("Monitor"),
        "ControlMode" => json!("Force"),
        "AddressType" => json!("ACDQueue"),
        "WorkMode" => json!("AfterCallWork"),
        "RouteType" => json!("Reject"),
        "TreatmentType" => json!("RingBack"),
        _ => json!("1001"),
    }
}

/// Names of a request's attributes, and which of them must be there.
fn attributes(request: &str) -> (Vec<String>, Vec<String>) {
    let mut generator = schemars::SchemaGenerator::default();
    let (_, schema) =
        Request::schemas(&mut generator).into_iter().find(|(name, _)| *name == request).unwrap();
    let names = schema.get("properties").unwrap().as_object().unwrap().keys().cloned().collect();
    let needed = schema.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
    (names, needed.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
}

/// A request with every attribute it has.
fn full(request: &str) -> Json {
    let mut whole = json!({"request": request});
    for name in attributes(request).0 {
        whole[&name] = sample(&name);
    }
    whole
}

fn refused(json: &Json) -> Malformed {
    match decode(&json.to_string()) {
        Err(Unreadable::Malformed(malformed)) => malformed,
        other => panic!("{json}: {other:?}"),
    }
}

fn message(json: &Json, code: ErrorCode) -> String {
    let refusal = refused(json).refusal;
    assert_eq!(refusal.code, code, "{refusal}");
    refusal.message.into_owned()
}

#[test]
fn every_request_comes_back_as_it_was_written() {
    for (name, number) in Request::NAMES {
        let request = decode(&full(name).to_string()).unwrap();
        assert_eq!((request.name(), request.number()), (*name, *number));
        assert_eq!(request.reference_id(), Some(u32::MAX), "{name}");
        assert_eq!(request.this_dn(), full(name).get("ThisDN").and_then(Json::as_str), "{name}");
        let written = serde_json::to_value(&request).unwrap();
        assert_eq!(written, full(name), "{name}");
        assert_eq!(serde_json::from_value::<Request>(written).unwrap(), request);
    }
}

#[test]
fn every_request_needs_exactly_what_its_schema_requires() {
    for (name, _) in Request::NAMES {
        let (all, needed) = attributes(name);
        for attribute in all {
            let mut json = full(name);
            json.as_object_mut().unwrap().remove(&attribute);
            if needed.contains(&attribute) {
                assert_eq!(
                    message(&json, ErrorCode::InvalidAttr),
                    format!("attribute {attribute} is missing")
                );
            } else {
                assert!(decode(&json.to_string()).is_ok(), "{name} without {attribute}");
            }
            json[&attribute] = Json::Null;
            assert_eq!(decode(&json.to_string()).is_err(), needed.contains(&attribute), "null is absent");
        }
    }
}

#[test]
fn an_attribute_of_the_wrong_type_is_named() {
    for (name, _) in Request::NAMES {
        for attribute in attributes(name).0 {
            for wrong in [json!(true), json!([]), json!(1.5), json!(-1)] {
                let mut json = full(name);
                json[&attribute] = wrong;
                let text = message(&json, ErrorCode::InvalidAttr);
                assert!(text.starts_with(&format!("attribute {attribute}: ")), "{name}: {text}");
            }
        }
    }
}

#[test]
fn an_unknown_request_gets_51_with_the_closest_name() {
    let json = json!({"request": "TMakecal", "ReferenceID": 7});
    assert_eq!(refused(&json).reference_id, Some(7));
    assert_eq!(
        message(&json, ErrorCode::UnsupOper),
        "request TMakecal is not known; did you mean TMakeCall?"
    );
    assert_eq!(message(&json!({"request": "Mumble"}), ErrorCode::UnsupOper), "request Mumble is not known");
    assert_eq!(message(&json!({}), ErrorCode::InvalidAttr), "attribute request is missing");
    assert_eq!(
        message(&json!({"request": 14}), ErrorCode::InvalidAttr),
        "attribute request: expected a string"
    );
}

#[test]
fn an_unknown_attribute_gets_53_with_the_closest_name() {
    let json = json!({"request": "TQueryAddress", "ThisDn": "1001", "ThisDN": "1001"});
    assert_eq!(
        message(&json, ErrorCode::InvalidAttr),
        "TQueryAddress has no attribute ThisDn; did you mean ThisDN?"
    );
    let json = json!({"request": "TQueryServer", "Banana": 1});
    assert_eq!(message(&json, ErrorCode::InvalidAttr), "TQueryServer has no attribute Banana");
}

#[test]
fn a_word_that_is_none_gets_the_vocabulary() {
    let json = json!({"request": "TRegisterAddress", "ThisDN": "1", "RegisterMode": "share"});
    let text = message(&json, ErrorCode::InvalidAttr);
    assert_eq!(
        text,
        "attribute RegisterMode: unknown variant share, expected one of Share, Private, Monitor"
    );
}

#[test]
fn a_reference_that_cannot_be_read_is_not_echoed() {
    for wrong in [json!(-1), json!(4_294_967_296u64), json!("7")] {
        let malformed = refused(&json!({"request": "TQueryServer", "ReferenceID": wrong}));
        assert_eq!(malformed.reference_id, None);
        assert!(malformed.refusal.message.starts_with("attribute ReferenceID: expected a whole number"));
    }
}

#[test]
fn what_cannot_be_answered_is_fatal() {
    let fatal = |text: &str| match decode(text) {
        Err(Unreadable::Fatal(fatal)) => fatal,
        other => panic!("{other:?}"),
    };
    for text in ["", "TMakeCall", "{\"request\":", "{} {}", &"[".repeat(1_000)] {
        assert_eq!(fatal(text), Fatal::NotJson);
    }
    for text in ["[]", "7", "null", "\"TMakeCall\""] {
        assert_eq!(fatal(text), Fatal::NotAnObject);
    }
    let padded = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    assert_eq!(fatal(&padded(MAX_REQUEST_BYTES + 1)), Fatal::TooLong);
    assert!(matches!(decode(&padded(MAX_REQUEST_BYTES)), Err(Unreadable::Malformed(_))));
    assert!(Fatal::TooLong.to_string().contains(&MAX_REQUEST_BYTES.to_string()));
}

#[test]
fn texts_have_a_longest_length_and_no_control_characters() {
    let query = |dn: &str| json!({"request": "TQueryAddress", "ThisDN": dn});
    assert!(decode(&query(&"1".repeat(MAX_NAME_BYTES)).to_string()).is_ok());
    let faults = [
        ("1".repeat(MAX_NAME_BYTES + 1), "longer than 128 bytes"),
        (String::new(), "empty"),
        ("1001\r\nVia: x".to_owned(), "contains a control character"),
        ("10\u{0}01".to_owned(), "contains a control character"),
    ];
    for (dn, fault) in faults {
        assert_eq!(message(&query(&dn), ErrorCode::InvalidAttr), format!("attribute ThisDN: {fault}"));
    }
    let open = |password: &str| json!({"request": "TOpenServer", "UserName": "a", "Password": password});
    assert!(decode(&open("").to_string()).is_ok(), "a wrong password, not a wrong request");
    assert!(decode(&open(&"p".repeat(MAX_PASSWORD_BYTES)).to_string()).is_ok());
    let text = message(&open(&"p".repeat(MAX_PASSWORD_BYTES + 1)), ErrorCode::InvalidAttr);
    assert_eq!(text, "attribute Password: longer than 256 bytes");
}

#[test]
fn only_what_a_phone_can_dial_is_sent_as_dtmf() {
    let send =
        |digits: &str| json!({"request": "TSendDTMF", "ThisDN": "1", "ConnID": "2", "DTMFDigits": digits});
    assert!(decode(&send("0123456789*#ABCD").to_string()).is_ok());
    for wrong in ["12 3", "a", "E", "1\u{661}"] {
        let text = message(&send(wrong), ErrorCode::InvalidAttr);
        assert_eq!(text, "attribute DTMFDigits: only 0123456789*#ABCD can be sent");
    }
}

fn attach(data: impl Into<Json>) -> Json {
    json!({"request": "TAttachUserData", "ThisDN": "1", "ConnID": "2", "UserData": data.into()})
}

#[test]
fn a_list_of_pairs_has_a_bound_on_size_depth_and_keys() {
    let fits = attach(json!({"k": "v".repeat(MAX_LIST_BYTES - 1)}));
    assert!(decode(&fits.to_string()).is_ok());
    let too_large = attach(json!({"k": "v".repeat(MAX_LIST_BYTES)}));
    assert_eq!(
        message(&too_large, ErrorCode::InvalidAttr),
        "attribute UserData: more than 65536 bytes in all"
    );
    let halves = attach(json!({"a": {"k": "v".repeat(40_000)}, "b": {"k": "v".repeat(40_000)}}));
    assert_eq!(message(&halves, ErrorCode::InvalidAttr), "attribute UserData: more than 65536 bytes in all");
    let numbers: serde_json::Map<String, Json> = (0..6_000).map(|n| (format!("{n:04}"), json!(0))).collect();
    assert_eq!(
        message(&attach(Json::Object(numbers)), ErrorCode::InvalidAttr),
        "attribute UserData: more than 65536 bytes in all"
    );
    assert!(decode(&attach(json!({"1": {"2": {"3": {"4": 1}}}})).to_string()).is_ok());
    let deep = attach(json!({"1": {"2": {"3": {"4": {}}}}}));
    assert_eq!(message(&deep, ErrorCode::InvalidAttr), "attribute UserData: lists lie more than 4 deep");
    assert!(decode(&attach(json!({"k".repeat(MAX_KEY_BYTES): 1})).to_string()).is_ok());
    for key in [String::new(), "k".repeat(MAX_KEY_BYTES + 1)] {
        let text = message(&attach(json!({ &key: 1 })), ErrorCode::InvalidAttr);
        assert_eq!(text, format!("attribute UserData: a key has 1 to 256 bytes, not {}", key.len()));
    }
    for value in [json!(1.5), json!(true), json!([1]), json!(null), json!(u64::MAX)] {
        let text = message(&attach(json!({"Key": value})), ErrorCode::InvalidAttr);
        assert_eq!(text, "attribute UserData: Key must be a string, a whole number or an object");
    }
}

#[test]
fn a_refusal_repeats_little_of_what_it_refuses() {
    let long = "x\n".repeat(10_000);
    let texts = [
        message(&json!({"request": long[..128].replace('\n', "y")}), ErrorCode::UnsupOper),
        message(&json!({"request": "TQueryServer", &long: 1}), ErrorCode::InvalidAttr),
        message(
            &json!({"request": "TAgentSetReady", "ThisDN": "1", "WorkMode": long}),
            ErrorCode::InvalidAttr,
        ),
    ];
    for text in texts {
        assert!(text.len() < 400 && !text.contains('\n'), "{text}");
    }
}

fn arbitrary_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,20}".prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reading_never_panics_whatever_comes(text in any::<String>()) {
        let _ = decode(&text);
    }

    #[test]
    fn reading_never_panics_on_damaged_requests(
        which in 0..Request::NAMES.len(),
        at in any::<prop::sample::Index>(),
        letter in any::<char>(),
    ) {
        let mut text: Vec<char> = full(Request::NAMES[which].0).to_string().chars().collect();
        let at = at.index(text.len());
        text[at] = letter;
        let _ = decode(&text.into_iter().collect::<String>());
    }

    #[test]
    fn what_is_read_with_odd_values_is_written_back_the_same(
        which in 0..Request::NAMES.len(),
        attribute in any::<prop::sample::Index>(),
        value in arbitrary_json(),
    ) {
        let name = Request::NAMES[which].0;
        let all = attributes(name).0;
        let mut json = full(name);
        json[&all[attribute.index(all.len())]] = value;
        if let Ok(request) = decode(&json.to_string()) {
            let again = decode(&serde_json::to_string(&request).unwrap()).unwrap();
            prop_assert_eq!(again, request);
        }
    }
}
