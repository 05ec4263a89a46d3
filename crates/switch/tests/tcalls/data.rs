//! User data, and what queries say.

use tandem_cti::{DnRole, PartyState};
use tandem_switch::cti::calls::Order;

use super::office::{Office, c, list};

const AT: (&str, &str) = ("ThisDN", "1001");

#[test]
fn attached_data_is_told_to_every_party_with_who_did_it() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let order = office.ask("TAttachUserData", &[AT, ("ConnID", &c(1)), ("UserData", r#"{"a":"1"}"#)]);
    assert_eq!(order, Ok(Some(Order::Attach { key, user_data: list(&[("a", "1")]) })));
    assert_eq!(
        office.events(),
        ["c1 1001 AttachedDataChanged >1002 by 1001 #1", "c1 1002 AttachedDataChanged >1001 by 1001"]
    );
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn data_is_attached_replaced_and_deleted() {
    let mut office = Office::new();
    office.talking("1001", "1002");
    let conn = c(1);
    let ask = |office: &mut Office, request: &str, more: Option<(&str, &str)>| {
        let mut attributes = vec![AT, ("ConnID", &*conn)];
        attributes.extend(more);
        office.ask(request, &attributes).map(|_| office.calls.user_data(1))
    };
    let data = |json| Some(("UserData", json));
    let told = ask(&mut office, "TAttachUserData", data(r#"{"a":"1","b":"2"}"#));
    assert_eq!(told, Ok(list(&[("a", "1"), ("b", "2")])));
    let told = ask(&mut office, "TAttachUserData", data(r#"{"b":"3"}"#));
    assert_eq!(told, Ok(list(&[("a", "1"), ("b", "3")])));
    let told = ask(&mut office, "TDeletePair", Some(("Key", "a")));
    assert_eq!(told, Ok(list(&[("b", "3")])));
    assert_eq!(ask(&mut office, "TDeletePair", Some(("Key", "a"))), Err(53));
    let told = ask(&mut office, "TUpdateUserData", data(r#"{"z":"9"}"#));
    assert_eq!(told, Ok(list(&[("z", "9")])));
    assert_eq!(ask(&mut office, "TDeleteUserData", None), Ok(list(&[])));
}

#[test]
fn data_beyond_the_bounds_is_refused_and_changes_nothing() {
    let mut office = Office::new();
    office.talking("1001", "1002");
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(65_536));
    let keys: Vec<String> = (0..257).map(|n| format!(r#""{n}":"""#)).collect();
    let many = format!("{{{}}}", keys.join(","));
    let deep = format!("{}{}", r#"{"a":"#.repeat(8), "{\"a\":1}") + &"}".repeat(8);
    for data in [long, many, deep] {
        let asked = office.ask("TAttachUserData", &[AT, ("ConnID", &c(1)), ("UserData", &data)]);
        assert_eq!(asked, Err(53));
        assert_eq!(office.calls.user_data(1), list(&[]));
    }
    assert_eq!(office.told(), Vec::<String>::new());
}

#[test]
fn queries_say_what_is_at_a_dn_and_in_a_call() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    assert!(office.calls.is_busy("1002"));
    assert_eq!(office.calls.at("1002"), [], "nothing rings there yet");
    office.ringing(key, 1);
    let at = office.calls.at("1002").remove(0);
    assert_eq!((at.conn_id, at.state, at.role), (c(1), PartyState::Alerting, DnRole::Destination));
    assert_eq!(at.other_dn.as_deref(), Some("1001"));
    office.answered(key, 1);
    office.held(key, 0);
    let states: Vec<_> = office.calls.parties(1).into_iter().map(|p| (p.dn, p.state)).collect();
    assert_eq!(states, [("1001".to_owned(), PartyState::Held), ("1002".to_owned(), PartyState::Connected)]);
    office.told();
    assert_eq!(office.ask("TQueryCall", &[("ConnID", &c(1))]), Ok(None));
    assert_eq!(office.told(), ["answer PartyInfo"]);
    assert_eq!(office.ask("TQueryCall", &[("ConnID", &c(9))]), Err(56));
    office.hang_up(key);
    assert!(!office.calls.is_busy("1002"));
}
