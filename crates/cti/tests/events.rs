//! Writing events: once for all, and each client's own members put in.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::{
    Body, CallType, Carries, ErrorCode, Event, EventName, PartyInfo, PartyState, Refusal, Value, WorkMode,
    encode,
};

fn ringing() -> Event {
    Event {
        time: 1_700_000_000_000,
        this_dn: Some("1001".into()),
        conn_id: Some("00000000000000ff".into()),
        call_type: Some(CallType::Inbound),
        user_data: [("who, \"he\"".to_owned(), Value::from("ä\n"))].into(),
        ..Event::new(EventName::Ringing)
    }
}

#[test]
fn an_event_comes_back_with_the_number_and_reference_of_its_client() {
    for name in EventName::ALL {
        let event = Event { event: *name, number: name.number(), ..ringing() };
        let text = encode(&event, 18_446_744_073_709_551_615, Some(7));
        let read: Event = serde_json::from_str(&text).unwrap();
        assert_eq!(read, Event { sequence: Some(u64::MAX), reference_id: Some(7), ..event });
    }
}

#[test]
fn an_event_begins_with_its_name_and_place() {
    let text = encode(&ringing(), 5, None);
    assert!(
        text.starts_with(r#"{"event":"EventRinging","number":60,"EventSequenceNumber":5,"Time":"#),
        "{text}"
    );
    assert!(!text.contains("ReferenceID"));
}

#[test]
fn one_body_serves_clients_with_different_numbers() {
    let body = Body::of(&ringing());
    for (sequence, reference) in [(1, None), (2, Some(0)), (3, Some(u32::MAX))] {
        assert_eq!(body.with(sequence, reference), encode(&ringing(), sequence, reference));
    }
}

#[test]
fn an_events_own_number_gives_way_to_the_clients() {
    let event = Event { sequence: Some(99), reference_id: Some(98), ..ringing() };
    assert_eq!(encode(&event, 5, Some(6)), encode(&ringing(), 5, Some(6)));
}

#[test]
fn a_client_overlooks_what_a_later_server_adds() {
    let text = encode(&ringing(), 5, None).replace("\"ThisDN\"", "\"Novelty\":{\"a\":[1]},\"ThisDN\"");
    let read: Event = serde_json::from_str(&text).unwrap();
    assert_eq!(read, Event { sequence: Some(5), ..ringing() });
}

#[test]
fn an_event_tells_which_promised_attribute_it_lacks_and_which_is_not_its_own() {
    assert_eq!(ringing().faults(), Vec::<String>::new());
    let event = Event { call_type: None, in_service: Some(true), ..ringing() };
    assert_eq!(event.faults(), ["EventRinging lacks CallType", "EventRinging does not carry InService"]);
}

#[test]
fn every_attribute_in_the_table_is_one_of_the_schema() {
    let schema = schemars::schema_for!(Event);
    let known = schema.get("properties").unwrap().as_object().unwrap();
    let mut used: Vec<&str> = Carries::EVERY.to_vec();
    for name in EventName::ALL {
        let Carries { always, sometimes } = name.carries();
        for attribute in always.iter().chain(sometimes) {
            assert!(known.contains_key(*attribute), "{name:?}: {attribute}");
            let times =
                [always, sometimes, Carries::EVERY].concat().iter().filter(|a| a == &attribute).count();
            assert_eq!(times, 1, "{name:?}: {attribute}");
            used.push(attribute);
        }
    }
    let unused: Vec<&String> = known.keys().filter(|name| !used.contains(&name.as_str())).collect();
    assert!(unused.is_empty(), "no event carries {unused:?}");
}

#[test]
fn the_numbers_are_those_of_the_t_library() {
    let numbers = [
        (EventName::Error, 52),
        (EventName::Registered, 53),
        (EventName::Established, 64),
        (EventName::RouteRequest, 71),
        (EventName::AgentNotReady, 76),
        (EventName::AttachedDataChanged, 85),
        (EventName::PartyInfo, 109),
        (EventName::DnBackInService, 148),
        (EventName::PrivateInfo, 150),
    ];
    for (name, number) in numbers {
        assert_eq!(name.number(), number);
    }
    assert!(EventName::ALL.is_sorted_by_key(|name| name.number()), "by number");
    assert_eq!(WorkMode::LegalGuard.number(), WorkMode::AutoIn.number());
    assert_eq!(PartyState::Dialing.number(), 0x1_0001);
    assert!(ErrorCode::ALL.is_sorted_by_key(|code| code.number()), "by number");
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_number(code.number()), Some(*code));
    }
    assert_eq!(ErrorCode::from_number(0), None);
}

#[test]
fn a_refusal_becomes_an_error_with_number_and_sentence() {
    let event = Event::error(&Refusal::because(ErrorCode::InvConnid, "no call ff"), Some(3));
    assert_eq!((event.error_code, event.error_message.as_deref()), (Some(56), Some("no call ff")));
    assert_eq!(event.faults(), Vec::<String>::new());
    assert!(encode(&event, 1, event.reference_id).contains(r#""ReferenceID":3"#));
}

#[test]
fn a_party_is_written_without_what_it_lacks() {
    let party = PartyInfo {
        conn_id: "00000000000000ff".into(),
        dn: "1001".into(),
        role: tandem_cti::DnRole::Destination,
        state: PartyState::Connected,
        other_dn: None,
        call_type: CallType::Internal,
        this_queue: None,
        user_data: tandem_cti::KvList::new(),
    };
    let text = serde_json::to_string(&party).unwrap();
    assert_eq!(
        text,
        r#"{"ConnID":"00000000000000ff","DN":"1001","Role":"Destination","State":"Connected","CallType":"Internal"}"#
    );
    assert_eq!(serde_json::from_str::<PartyInfo>(&text).unwrap(), party);
}
