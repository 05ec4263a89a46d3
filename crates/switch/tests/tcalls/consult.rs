//! Consultations: held calls, second calls, and changing between them.

use tandem_cti::{CallType, ErrorCode};
use tandem_switch::arena::Key;
use tandem_switch::call::{News, Ticket};
use tandem_switch::cti::calls::{NOBODY, Order};

use super::office::{Office, c, list, ticket};

pub const AT: (&str, &str) = ("ThisDN", "1002");

/// 1001 talks with 1002, who holds and consults 1003; its phone has answered. The consultation is c2.
pub fn consulting(office: &mut Office, request: &str) -> (Key, Key) {
    let key = office.talking("1001", "1002");
    let (hold, _) = office.order(request, &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    office.held(key, 1);
    office.done(hold);
    let make = ticket(&office.orders()[0]);
    let consult = office.opened(make, "1002", "1003");
    office.answered(consult, 0);
    office.offered(consult, 1, "1003");
    (key, consult)
}

/// The same, and 1003 has answered.
pub fn consulted(office: &mut Office) -> (Key, Key) {
    let keys = consulting(office, "TInitiateTransfer");
    office.ringing(keys.1, 1);
    office.answered(keys.1, 1);
    office.told();
    keys
}

#[test]
fn a_consultation_holds_the_call_and_makes_another_about_it() {
    for request in ["TInitiateTransfer", "TInitiateConference"] {
        let mut office = Office::new();
        let key = office.talking("1001", "1002");
        let data = ("UserData", r#"{"why":"price"}"#);
        let (hold, order) = office.order(request, &[AT, ("ConnID", &c(1)), ("OtherDN", "1003"), data]);
        assert_eq!(order, Order::Hold { ticket: hold, key, leg: 1 });
        office.held(key, 1);
        assert_eq!(office.events(), ["c1 1002 Held >1001"]);
        office.done(hold);
        let orders = office.orders();
        let make = ticket(&orders[0]);
        assert_ne!(make, hold);
        let ordered = Order::Make { ticket: make, from: "1002".into(), to: "1003".into(), consult: true };
        assert_eq!(orders, [ordered]);
        let consult = office.opened(make, "1002", "1003");
        office.answered(consult, 0);
        let event = office.full_events().remove(0);
        assert_eq!((event.conn_id, event.previous_conn_id), (Some(c(2)), Some(c(1))));
        assert_eq!((event.call_type, event.user_data), (Some(CallType::Consult), list(&[("why", "price")])));
        office.offered(consult, 1, "1003");
        office.ringing(consult, 1);
        assert_eq!(office.events(), ["c2 1003 Ringing >1002 was c1"]);
        office.hang_up(consult);
        office.hang_up(key);
        office.assert_empty();
    }
}

#[test]
fn a_call_that_is_held_already_is_consulted_about_at_once() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    office.held(key, 1);
    office.told();
    let (make, order) = office.order("TInitiateTransfer", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    assert!(matches!(order, Order::Make { consult: true, .. }), "{order:?}");
    let consult = office.opened(make, "1002", "1003");
    office.answered(consult, 0);
    assert_eq!(office.events(), ["c2 1002 Dialing >1003 was c1 #1"]);
}

#[test]
fn a_consultation_that_cannot_be_made_takes_the_call_back() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let (hold, _) = office.order("TInitiateTransfer", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    office.held(key, 1);
    office.done(hold);
    let make = ticket(&office.orders()[0]);
    office.told();
    office.failed(make, ErrorCode::OutOfService);
    assert_eq!(office.told(), ["refused 58 #1"]);
    assert_eq!(office.orders(), [Order::Retrieve { ticket: NOBODY, key, leg: 1 }]);
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn a_consulting_phone_that_does_not_answer_takes_the_call_back() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let (hold, _) = office.order("TInitiateTransfer", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    office.held(key, 1);
    office.done(hold);
    let make = ticket(&office.orders()[0]);
    let consult = office.opened(make, "1002", "1003");
    office.told();
    office.missed(consult, 0, 480, tandem_switch::call::EndReason::Status(480));
    office.news(consult, News::Over);
    assert_eq!(office.told(), ["c2 -1002", "refused 232 #1"]);
    assert_eq!(office.orders(), [Order::Retrieve { ticket: NOBODY, key, leg: 1 }]);
}

#[test]
fn a_hold_that_fails_refuses_the_consultation_and_undoes_nothing() {
    let mut office = Office::new();
    office.talking("1001", "1002");
    let (hold, _) = office.order("TInitiateTransfer", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    office.failed(hold, ErrorCode::UnsupOper);
    assert_eq!(office.told(), ["refused 51 #1"]);
    assert_eq!(office.orders(), []);
}

#[test]
fn alternating_holds_the_one_and_takes_the_other_back() {
    let mut office = Office::new();
    let (key, consult) = consulted(&mut office);
    let (hold, order) = office.order("TAlternateCall", &[AT, ("ConnID", &c(2)), ("HeldConnID", &c(1))]);
    assert_eq!(order, Order::Hold { ticket: hold, key: consult, leg: 0 });
    office.held(consult, 0);
    office.done(hold);
    let orders = office.orders();
    let retrieve = ticket(&orders[0]);
    assert_eq!(orders, [Order::Retrieve { ticket: retrieve, key, leg: 1 }]);
    office.news(key, News::Retrieved { leg: 1 });
    office.done(retrieve);
    assert_eq!(office.events(), ["c2 1002 Held >1003 was c1", "c1 1002 Retrieved >1001 #2"]);
    office.hang_up(consult);
    office.hang_up(key);
    office.assert_empty();
}

/// Between the two steps, his phone takes the held call back by itself.
#[test]
fn alternating_to_a_call_that_the_phone_has_taken_back_itself_is_answered_by_its_event() {
    let mut office = Office::new();
    let (key, consult) = consulted(&mut office);
    let (hold, _) = office.order("TAlternateCall", &[AT, ("ConnID", &c(2)), ("HeldConnID", &c(1))]);
    office.held(consult, 0);
    office.news(key, News::Retrieved { leg: 1 });
    office.done(hold);
    let retrieve = ticket(&office.orders()[0]);
    assert_eq!(office.events(), ["c2 1002 Held >1003 was c1", "c1 1002 Retrieved >1001"]);
    office.done(retrieve);
    assert_eq!(office.events(), ["c1 1002 Retrieved >1001 #2"]);
    office.hang_up(consult);
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn alternating_that_cannot_take_the_other_back_goes_back_itself() {
    let mut office = Office::new();
    let (_, consult) = consulted(&mut office);
    let (hold, _) = office.order("TAlternateCall", &[AT, ("ConnID", &c(2)), ("HeldConnID", &c(1))]);
    office.held(consult, 0);
    office.done(hold);
    let retrieve = ticket(&office.orders()[0]);
    office.told();
    office.failed(retrieve, ErrorCode::InvCallState);
    assert_eq!(office.told(), ["refused 496 #2"]);
    assert_eq!(office.orders(), [Order::Retrieve { ticket: NOBODY, key: consult, leg: 0 }]);
}

#[test]
fn reconnecting_ends_the_consultation_and_takes_the_call_back() {
    for over_first in [false, true] {
        let mut office = Office::new();
        let (key, consult) = consulted(&mut office);
        let (release, order) =
            office.order("TReconnectCall", &[AT, ("ConnID", &c(2)), ("HeldConnID", &c(1))]);
        assert_eq!(order, Order::Release { ticket: release, key: consult, leg: 0 });
        if over_first {
            office.hang_up(consult);
            office.done(release);
        } else {
            office.done(release);
            office.hang_up(consult);
        }
        let orders = office.orders();
        let retrieve: Ticket = ticket(&orders[0]);
        assert_eq!(orders, [Order::Retrieve { ticket: retrieve, key, leg: 1 }]);
        office.news(key, News::Retrieved { leg: 1 });
        office.done(retrieve);
        let events = office.events();
        assert_eq!(events[0], "c2 1002 Released >1003 was c1");
        assert_eq!(events[2], "c1 1002 Retrieved >1001 #2");
        office.hang_up(key);
        office.assert_empty();
    }
}
