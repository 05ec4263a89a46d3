//! What the loss of a connection means, and when.

use std::time::Duration;

use tandem_cti::EventName;
use tandem_switch::cti::LinkId;
use tandem_switch::cti::sessions::{Gone, Opened};
use tandem_switch::limits::SESSION_LINGER;

use crate::desk::{ALICE, BOB, Desk, dn};

const MS: Duration = Duration::from_millis(1);

#[test]
fn without_a_grace_a_lost_client_is_disconnected_at_once_and_the_session_lingers() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    assert_eq!(desk.sessions.poll_timeout(), None);
    desk.close(ALICE);
    assert_eq!(desk.gone(), [Gone::Disconnected { session: alice }]);
    desk.pass(SESSION_LINGER - MS);
    assert_eq!(desk.gone(), []);
    assert!(desk.sessions.is_watched("1001"));
    desk.pass(MS);
    let gone = Gone::Session { session: alice, person: dn("alice"), dns: vec![dn("1001")] };
    assert_eq!(desk.gone(), [gone]);
    assert!(!desk.sessions.is_watched("1001"));
    assert_eq!(desk.sessions.poll_timeout(), None);
    assert_eq!(desk.sessions.list(), []);
}

#[test]
fn within_the_grace_a_lost_client_may_come_back_unnoticed() {
    let mut desk = Desk::new();
    desk.sessions.set_disconnect_grace(Duration::from_secs(10));
    let (alice, token) = desk.desk_at(ALICE, "1001");
    desk.close(ALICE);
    desk.pass_s(9);
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 0))), Opened::Continued);
    desk.pass_s(1_000);
    assert_eq!(desk.gone(), []);
    desk.close(ALICE.over(9));
    desk.pass(Duration::from_secs(10) - MS);
    assert_eq!(desk.gone(), []);
    desk.pass(MS);
    assert_eq!(desk.gone(), [Gone::Disconnected { session: alice }]);
    desk.pass(SESSION_LINGER - Duration::from_secs(10));
    assert!(matches!(desk.gone()[..], [Gone::Session { .. }]), "the linger counts from the loss");
}

#[test]
fn a_grace_longer_than_the_linger_is_kept() {
    let mut desk = Desk::new();
    desk.sessions.set_disconnect_grace(SESSION_LINGER * 2);
    let (_, token) = desk.desk_at(ALICE, "1001");
    desk.close(ALICE);
    desk.pass(SESSION_LINGER * 2 - MS);
    assert_eq!(desk.gone(), []);
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 0))), Opened::Continued);
}

#[test]
fn a_disconnected_client_may_still_continue_its_session() {
    let mut desk = Desk::new();
    let (alice, token) = desk.desk_at(ALICE, "1001");
    desk.close(ALICE);
    desk.pass_s(299);
    desk.gone();
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 0))), Opened::Continued);
    desk.pass_s(1_000);
    assert_eq!(desk.gone(), []);
    assert_eq!(desk.sessions.who(LinkId(9)).unwrap().session, alice);
}

#[test]
fn a_session_that_is_over_is_not_continued() {
    let mut desk = Desk::new();
    let (_, token) = desk.desk_at(ALICE, "1001");
    desk.close(ALICE);
    desk.pass(SESSION_LINGER);
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 0))), Opened::New);
}

#[test]
fn a_link_that_opens_again_leaves_its_first_session() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    assert_eq!(desk.opened(ALICE, None), Opened::New);
    assert_eq!(desk.gone(), [Gone::Disconnected { session: alice }]);
    let sessions = desk.sessions.list();
    assert_eq!(sessions.iter().map(|view| view.link).collect::<Vec<_>>(), [None, Some(LinkId(1))]);
}

#[test]
fn the_list_shows_every_session_as_it_is() {
    let mut desk = Desk::new();
    desk.desk_at(ALICE, "1001");
    desk.pass_s(1);
    desk.open(BOB);
    desk.tell("1001");
    desk.close(ALICE);
    let list = desk.sessions.list();
    let seen: Vec<_> = list.iter().map(|v| (&*v.person, v.link, v.dns, v.last)).collect();
    assert_eq!(seen, [("alice", None, 1, 1), ("bob", Some(LinkId(2)), 0, 0)]);
    assert_eq!(list[1].since_unix_ms - list[0].since_unix_ms, 1_000);
    assert_eq!(&*list[0].application, "test");
}

#[test]
fn a_takeover_gives_clients_time_to_come_back() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    let (_, token) = desk.desk_at(BOB, "1002");
    desk.fail_over();
    assert!(desk.sessions.is_watched("1001"));
    desk.pass_s(59);
    assert_eq!(desk.gone(), [], "nobody is logged out by a takeover");
    assert_eq!(desk.opened(BOB.over(9), Some((&token, 0))), Opened::Continued);
    assert_eq!(desk.heard(9)[0].event.event, EventName::LinkConnected);
    desk.pass_s(1);
    assert_eq!(desk.gone(), [Gone::Disconnected { session: alice }]);
    desk.pass(SESSION_LINGER);
    assert_eq!(desk.gone().len(), 1);
    assert_eq!(desk.sessions.list().len(), 1);
}
