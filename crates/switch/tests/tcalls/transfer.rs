//! Transfers: two-step, mute, single-step.

use tandem_switch::call::{EndReason, News};
use tandem_switch::cti::calls::{NOBODY, Order};

use super::consult::{AT, consulted, consulting};
use super::office::{Office, c, list, ticket};

const JOINED: [&str; 4] = [
    "c1 1002 Released(Transferred) >1001 #2",
    "c2 1002 Released(Transferred) >1003 was c1",
    "c1 1003 PartyChanged(Transferred) >1001 by 1002 was c2",
    "c1 1001 PartyChanged(Transferred) >1003 by 1002",
];

#[test]
fn completing_a_transfer_releases_the_one_and_joins_the_others() {
    let mut office = Office::new();
    let (key, consult) = consulted(&mut office);
    let (ticket, order) =
        office.order("TCompleteTransfer", &[AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))]);
    assert_eq!(order, Order::Transfer { ticket, key, kept: 0, consult, moved: 1 });
    office.moved((consult, 1), (key, 5));
    let told = office.told();
    let is_state = |line: &&String| line.matches(' ').count() == 1 || line.contains(" is ");
    let events: Vec<_> = told.iter().filter(|line| !is_state(line)).cloned().collect();
    assert_eq!(events, JOINED);
    let states: Vec<_> = told.iter().filter(is_state).cloned().collect();
    assert_eq!(states, ["c1 -1002", "c2 -1002", "c2 1003 is c1"]);
    office.ended(key, 1);
    office.news(consult, News::Over);
    office.done(ticket);
    assert_eq!(office.told(), Vec::<String>::new());
    office.ended(key, 5);
    office.ended(key, 0);
    assert_eq!(office.events(), ["c1 1003 Released >1001", "c1 1001 Released >1003"]);
    office.assert_empty();
}

#[test]
fn two_ordinary_calls_of_a_dn_are_transferred_like_a_consultation() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    office.held(key, 1);
    let consult = office.talking("1002", "1003");
    let (_, order) = office.order("TCompleteTransfer", &[AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))]);
    assert!(matches!(order, Order::Transfer { kept: 0, moved: 1, .. }), "{order:?}");
    office.moved((consult, 1), (key, 2));
    let events = office.events();
    assert_eq!(events.len(), 4);
    assert_eq!(events[2], "c1 1003 PartyChanged(Transferred) >1001 by 1002 was c2");
}

#[test]
fn data_of_both_calls_join_and_the_kept_calls_win() {
    let mut office = Office::new();
    let (key, consult) = consulted(&mut office);
    for (conn, data) in [(1, r#"{"a":"kept","b":"kept"}"#), (2, r#"{"b":"consult","c":"consult"}"#)] {
        office.ask("TAttachUserData", &[AT, ("ConnID", &c(conn)), ("UserData", data)]).unwrap();
    }
    office.orders();
    office.order("TCompleteTransfer", &[AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))]);
    office.moved((consult, 1), (key, 5));
    let joined = list(&[("a", "kept"), ("b", "kept"), ("c", "consult")]);
    assert_eq!(office.calls.user_data(1), joined);
}

#[test]
fn a_transfer_may_be_completed_while_it_rings() {
    let mut office = Office::new();
    let (key, consult) = consulting(&mut office, "TInitiateTransfer");
    let complete = [AT, ("ConnID", &c(1)), ("ConsultConnID", &c(2))];
    assert_eq!(office.ask("TCompleteTransfer", &complete), Err(496), "nothing rings yet");
    office.ringing(consult, 1);
    office.order("TCompleteTransfer", &complete);
    office.told();
    office.moved((consult, 1), (key, 5));
    office.told();
    office.answered(key, 5);
    // The other side was told when it was transferred.
    assert_eq!(office.events(), ["c1 1003 Established >1001"]);
}

#[test]
fn a_mute_transfer_holds_calls_and_leaves_when_it_rings() {
    let mut office = Office::new();
    let (key, consult) = consulting(&mut office, "TMuteTransfer");
    assert_eq!(office.orders(), []);
    office.told();
    office.ringing(consult, 1);
    let orders = office.orders();
    let transfer = ticket(&orders[0]);
    assert_eq!(orders, [Order::Transfer { ticket: transfer, key, kept: 0, consult, moved: 1 }]);
    office.told();
    office.moved((consult, 1), (key, 2));
    office.done(transfer);
    let events = office.events();
    assert_eq!(events[0], "c1 1002 Released(Transferred) >1001");
    assert_eq!(events[2], "c1 1003 PartyChanged(Transferred) >1001 by 1002 was c2");
    office.ended(key, 0);
    office.ended(key, 2);
    office.assert_empty();
}

#[test]
fn a_mute_transfer_to_a_busy_phone_takes_the_call_back() {
    let mut office = Office::new();
    let (key, consult) = consulting(&mut office, "TMuteTransfer");
    office.told();
    office.missed(consult, 1, 486, EndReason::Status(486));
    office.news(consult, News::Failed { status: 486 });
    let events = office.events();
    assert_eq!(
        events.last().unwrap(),
        "c2 1002 Released(Busy) >1003 was c1",
        "it was answered by EventDialing"
    );
    assert_eq!(office.orders(), [Order::Retrieve { ticket: NOBODY, key, leg: 1 }]);
}

#[test]
fn a_single_step_transfer_releases_rings_and_changes_the_party() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let (ticket, order) = office.order("TSingleStepTransfer", &[AT, ("ConnID", &c(1)), ("OtherDN", "1003")]);
    assert_eq!(order, Order::Replace { ticket, key, leg: 1, to: "1003".into() });
    office.done(ticket);
    office.ended(key, 1);
    office.offered(key, 2, "1003");
    office.ringing(key, 2);
    assert_eq!(office.events(), ["c1 1002 Released(Transferred) >1001 #1", "c1 1003 Ringing >1001"]);
    office.answered(key, 2);
    assert_eq!(
        office.events(),
        ["c1 1003 Established >1001", "c1 1001 PartyChanged(Transferred) >1003 by 1002"]
    );
    office.ended(key, 0);
    office.ended(key, 2);
    office.assert_empty();
}
