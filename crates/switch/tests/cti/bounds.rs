//! What happens when a table is full.

use tandem_cti::{ErrorCode, RegisterMode, Role};
use tandem_switch::cti::LinkId;
use tandem_switch::cti::sessions::{Gone, Opened};
use tandem_switch::limits::{MAX_CLIENT_REGISTRATIONS, MAX_DNS_PER_SESSION, MAX_SESSIONS};

use crate::desk::{CAROL, Client, Desk};

fn client(link: usize) -> Client {
    Client { link: link as u64, person: "crowd", role: Role::Agent }
}

#[test]
fn a_full_server_refuses_a_session_and_takes_the_place_of_one_that_is_away() {
    let mut desk = Desk::new();
    let (first, _) = desk.open(client(1));
    for link in 2..=MAX_SESSIONS {
        desk.open(client(link));
        desk.log.take_batch();
    }
    assert_eq!(desk.opened(client(0), None), Opened::Full);
    let heard = desk.heard(0);
    assert_eq!((heard[0].sequence, heard[0].reference_id), (0, Some(1)));
    assert_eq!(heard[0].event.error_code, Some(ErrorCode::ResUnavail.number()));
    assert_eq!(desk.closing(), [0]);
    assert_eq!(desk.sessions.who(LinkId(0)), None);
    desk.close(client(1));
    desk.pass_s(1);
    desk.close(client(2));
    desk.gone();
    assert_eq!(desk.opened(client(0), None), Opened::New);
    assert!(
        matches!(desk.gone()[..], [Gone::Session { session, .. }] if session == first),
        "the longest away"
    );
    assert_eq!(desk.sessions.list().len(), MAX_SESSIONS);
}

#[test]
fn a_client_within_its_grace_keeps_its_place() {
    let mut desk = Desk::new();
    desk.sessions.set_disconnect_grace(std::time::Duration::from_secs(10));
    for link in 1..=MAX_SESSIONS {
        desk.open(client(link));
        desk.log.take_batch();
    }
    desk.close(client(1));
    assert_eq!(desk.opened(client(0), None), Opened::Full);
}

#[test]
fn registrations_are_bounded_for_each_session_and_for_all() {
    let mut desk = Desk::new();
    let sessions = MAX_CLIENT_REGISTRATIONS / MAX_DNS_PER_SESSION;
    let mut last = None;
    for link in 1..=sessions {
        let (session, _) = desk.open(client(link));
        for number in 0..MAX_DNS_PER_SESSION {
            desk.register(session, &number.to_string(), RegisterMode::Monitor).unwrap();
        }
        desk.log.take_batch();
        last = Some(session);
        let refusal = desk.register(session, "more", RegisterMode::Monitor).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ResUnavail);
    }
    let (carol, _) = desk.open(CAROL.over(9_999));
    let refusal = desk.register(carol, "1", RegisterMode::Monitor).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::ResUnavail);
    let full = last.unwrap();
    desk.register(full, "1", RegisterMode::Share).unwrap();
    desk.sessions.unregister(&mut desk.log, full, "1").unwrap();
    desk.register(carol, "1", RegisterMode::Monitor).unwrap();
}

#[test]
fn ten_thousand_desktops_and_one_who_watches_them_all_hear_each_event_once() {
    let mut desk = Desk::new();
    let (carol, _) = desk.open(CAROL.over(20_000));
    for link in 1..=10_000 {
        let (session, _) = desk.open(client(link));
        desk.register(session, &link.to_string(), RegisterMode::Share).unwrap();
        desk.register(carol, &link.to_string(), RegisterMode::Monitor).unwrap();
    }
    desk.commit();
    for link in 1..=10_000 {
        desk.tell(&link.to_string());
        assert_eq!(desk.numbers(), [(link, 1), (20_000, link)]);
    }
}
