//! Things that cross on the way, and what must not be left over.

use tandem_cti::ErrorCode;
use tandem_switch::call::{EndReason, News};
use tandem_switch::cti::calls::{NOBODY, Order};

use super::consult::{AT, consulted, consulting};
use super::office::{Office, c, ticket};

#[test]
fn a_release_that_crosses_a_transfer_refuses_it() {
    let mut office = Office::new();
    let (key, consult) = consulted(&mut office);
    let (ticket, _) = office.order("TCompleteTransfer", &[AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))]);
    office.ended(consult, 1);
    office.ended(consult, 0);
    let events = office.events();
    assert!(!events.contains(&"c2 1002 Released >1003 was c1 #2".to_owned()), "it was not transferred");
    assert_eq!(events.last().unwrap(), "refused 496 #2");
    office.failed(ticket, ErrorCode::InvCallState);
    assert_eq!(office.told(), Vec::<String>::new(), "it is refused once");
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn a_hang_up_just_after_a_transfer_releases_both() {
    let mut office = Office::new();
    let (key, consult) = consulted(&mut office);
    let (ticket, _) = office.order("TCompleteTransfer", &[AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))]);
    office.moved((consult, 1), (key, 5));
    office.told();
    office.ended(key, 0);
    office.ended(key, 5);
    office.news(key, News::Done { ticket, outcome: Err(0) });
    office.news(consult, News::Over);
    office.news(key, News::Over);
    assert_eq!(office.events(), ["c1 1001 Released >1003", "c1 1003 Released >1001"]);
    office.assert_empty();
}

#[test]
fn an_answer_that_crosses_the_abandon_is_refused() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    let (ticket, _) = office.order("TAnswerCall", &[("ThisDN", "1002"), ("ConnID", &c(1))]);
    office.told();
    office.ended(key, 0);
    office.missed(key, 1, 487, EndReason::CallerGone);
    office.news(key, News::Over);
    office.failed(ticket, ErrorCode::InvCallState);
    let events = ["c1 1002 Abandoned >1001", "c1 1001 Released >1002", "refused 496 #1"];
    assert_eq!(office.events(), events);
    office.assert_empty();
}

#[test]
fn a_hold_that_crosses_the_release_is_refused() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    office.order("THoldCall", &[("ThisDN", "1001"), ("ConnID", &c(1))]);
    office.hang_up(key);
    assert_eq!(office.events().last().unwrap(), "refused 496 #1");
    office.assert_empty();
}

#[test]
fn a_call_that_is_over_ends_the_consultation_that_waits_for_its_hold() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    office.order("TInitiateTransfer", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    office.news(key, News::Over);
    assert_eq!(office.events().last().unwrap(), "refused 496 #1");
    office.assert_empty();
}

#[test]
fn a_consultation_goes_on_when_the_held_call_ends() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let (hold, _) = office.order("TInitiateTransfer", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    office.held(key, 1);
    office.done(hold);
    let make = ticket(&office.orders()[0]);
    office.hang_up(key);
    office.told();
    let consult = office.opened(make, "1002", "1003");
    office.answered(consult, 0);
    assert_eq!(office.events(), ["c2 1002 Dialing >1003 was c1 #1"]);
    office.hang_up(consult);
    office.assert_empty();
}

#[test]
fn a_mute_transfer_whose_caller_has_gone_ends_its_call() {
    let mut office = Office::new();
    let (key, consult) = consulting(&mut office, "TMuteTransfer");
    office.told();
    office.hang_up(key);
    assert_eq!(office.events().last().unwrap(), "c1 1002 Released >1001", "the request was answered");
    assert_eq!(office.orders(), [Order::Clear { ticket: NOBODY, key: consult }]);
    office.hang_up(consult);
    office.assert_empty();
}

#[test]
fn a_call_that_nobody_wants_any_more_is_cleared_when_it_opens() {
    let mut office = Office::new();
    let (make, _) = office.order("TMakeCall", &[("ThisDN", "1001"), ("OtherDN", "1002")]);
    office.failed(make, ErrorCode::OutOfService);
    assert_eq!(office.told(), ["refused 58 #1"]);
    let key = office.opened(make, "1001", "1002");
    assert_eq!(office.orders(), [Order::Clear { ticket: NOBODY, key }]);
    office.news(key, News::Over);
    office.assert_empty();
}

#[test]
fn a_made_call_that_fails_before_it_dials_is_refused_with_what_it_met() {
    for (status, code) in [(486, 231), (480, 232), (603, 233), (404, 71), (503, 166)] {
        let mut office = Office::new();
        let (make, _) = office.order("TMakeCall", &[("ThisDN", "1001"), ("OtherDN", "1002")]);
        let key = office.opened(make, "1001", "1002");
        office.missed(key, 0, status, EndReason::Status(status));
        office.news(key, News::Over);
        assert_eq!(office.events(), [format!("refused {code} #1")]);
        office.assert_empty();
    }
}

#[test]
fn whoever_is_left_when_a_call_is_over_is_released() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    office.news(key, News::Over);
    assert_eq!(office.events(), ["c1 1001 Released >1002", "c1 1002 Released >1001"]);
    office.assert_empty();
    let key = office.open("1001", "7000");
    office.told();
    office.news(key, News::Over);
    assert_eq!(office.events(), ["c2 1001 Released >7000"]);
    office.assert_empty();
}

#[test]
fn facts_of_unknown_calls_and_legs_mean_nothing() {
    let mut office = Office::new();
    let strange = office.key();
    office.ringing(strange, 1);
    office.hang_up(strange);
    let key = office.talking("1001", "1002");
    office.answered(key, 9);
    office.ended(key, 9);
    office.answered(key, 1);
    assert_eq!(office.told(), Vec::<String>::new());
}
