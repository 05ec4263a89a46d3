//! Numbers without gaps, and what a client hears that comes back.

use std::sync::Arc;

use tandem_cti::{EventName, RegisterMode, Resumed, Role};
use tandem_switch::cti::LinkId;
use tandem_switch::cti::sessions::Opened;
use tandem_switch::limits::{MAX_STREAM_EVENTS, STREAM_KEPT_MS};

use crate::desk::{ALICE, BOB, CAROL, Client, Desk, dn, ringing};

#[test]
fn each_client_has_numbers_of_its_own_from_1_without_gaps() {
    let mut desk = Desk::new();
    desk.desk_at(ALICE, "1001");
    desk.tell("1001");
    assert_eq!(desk.numbers(), [(1, 1)]);
    let (bob, _) = desk.desk_at(BOB, "1001");
    assert_eq!(desk.sessions.who(LinkId(2)).unwrap().session, bob);
    desk.outgoing();
    for _ in 0..2 {
        desk.tell("1001");
    }
    desk.tell("1002");
    assert_eq!(desk.numbers(), [(1, 2), (2, 1), (1, 3), (2, 2)]);
}

#[test]
fn one_event_is_shared_by_all_who_hear_it_and_dated_once() {
    let mut desk = Desk::new();
    desk.desk_at(ALICE, "1001");
    desk.desk_at(BOB, "1001");
    desk.tell("1001");
    let heard = desk.outgoing();
    assert!(Arc::ptr_eq(&heard[0].event, &heard[1].event));
    assert_eq!(heard[0].event.time, desk.now.unix_ms);
    let dated = tandem_cti::Event { time: 5, ..ringing("1001") };
    desk.sessions.tell(&mut desk.log, desk.now, "1001", dated, None);
    assert_eq!(desk.outgoing()[0].event.time, 5, "an event that knows its own time keeps it");
}

#[test]
fn the_reference_goes_to_the_asker_alone() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.desk_at(BOB, "1001");
    desk.tell_asked("1001", Some((alice, Some(7))));
    let heard: Vec<_> = desk.outgoing().iter().map(|out| (out.link.0, out.reference_id)).collect();
    assert_eq!(heard, [(1, Some(7)), (2, None)]);
}

#[test]
fn an_asker_who_has_not_registered_the_dn_is_answered_too_and_once() {
    let mut desk = Desk::new();
    desk.desk_at(ALICE, "1001");
    let (carol, _) = desk.open(CAROL);
    desk.tell_asked("1001", Some((carol, Some(7))));
    desk.tell_asked("1009", Some((carol, Some(8))));
    let heard: Vec<_> = desk.outgoing().iter().map(|out| (out.link.0, out.reference_id)).collect();
    assert_eq!(heard, [(1, None), (3, Some(7)), (3, Some(8))]);
}

#[test]
fn the_welcome_says_who_where_and_where_the_stream_goes_on() {
    let mut desk = Desk::new();
    desk.opened(CAROL, None);
    let heard = desk.heard(3);
    let welcome = &heard[0];
    assert_eq!((welcome.sequence, welcome.reference_id), (0, Some(1)));
    assert_eq!(welcome.event.event, EventName::LinkConnected);
    assert_eq!(welcome.event.server.as_deref(), Some("site-a"));
    assert_eq!(welcome.event.role, Some(Role::Supervisor));
    assert_eq!(welcome.event.session.as_deref(), Some("00000000000000000000000000000abd"));
    assert_eq!(welcome.event.faults(), Vec::<String>::new());
}

#[test]
fn a_client_that_comes_back_hears_what_it_missed_and_nothing_twice() {
    let mut desk = Desk::new();
    let (_, token) = desk.desk_at(ALICE, "1001");
    for _ in 0..3 {
        desk.tell("1001");
    }
    desk.close(ALICE);
    desk.outgoing();
    desk.tell("1001");
    assert_eq!(desk.numbers(), [], "nothing goes to a lost link");
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 2))), Opened::Continued);
    let heard = desk.heard(9);
    assert_eq!(heard[0].event.resumed, Some(Resumed::Continued));
    assert_eq!(heard[0].event.session.as_deref(), Some(token.as_str()));
    assert_eq!(heard.iter().map(|out| out.sequence).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(heard[1..].iter().all(|out| out.event.event == EventName::Ringing));
    desk.tell("1001");
    assert_eq!(desk.numbers(), [(9, 5)]);
}

#[test]
fn a_missed_answer_keeps_its_reference() {
    let mut desk = Desk::new();
    let (alice, token) = desk.desk_at(ALICE, "1001");
    desk.admit(alice, 7);
    desk.close(ALICE);
    desk.answer(alice, 7, ringing("1001"));
    desk.opened(ALICE.over(9), Some((&token, 0)));
    assert_eq!(desk.heard(9)[1].reference_id, Some(7));
}

#[test]
fn a_client_that_has_everything_continues_with_nothing() {
    let mut desk = Desk::new();
    let (_, token) = desk.desk_at(ALICE, "1001");
    desk.tell("1001");
    desk.close(ALICE);
    desk.outgoing();
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 1))), Opened::Continued);
    assert_eq!(desk.numbers(), [(9, 1)]);
}

#[test]
fn a_client_that_claims_more_than_it_was_told_gets_a_gap() {
    let mut desk = Desk::new();
    let (_, token) = desk.desk_at(ALICE, "1001");
    desk.tell("1001");
    desk.outgoing();
    for claim in [2, u64::MAX] {
        assert_eq!(desk.opened(ALICE.over(9), Some((&token, claim))), Opened::Gap { dns: vec![dn("1001")] });
        assert_eq!(desk.numbers(), [(9, 1)], "the stream goes on after what was told");
        desk.closing();
    }
}

#[test]
fn who_missed_more_than_is_kept_gets_a_gap_and_the_dns_to_describe() {
    let mut desk = Desk::new();
    let (alice, token) = desk.desk_at(ALICE, "1002");
    desk.register(alice, "1001", RegisterMode::Monitor).unwrap();
    desk.close(ALICE);
    for _ in 0..=MAX_STREAM_EVENTS {
        desk.tell("1001");
    }
    let told = MAX_STREAM_EVENTS as u64 + 1;
    assert_eq!(desk.opened(ALICE.over(8), Some((&token, 1))), Opened::Continued);
    assert_eq!(desk.outgoing().len(), MAX_STREAM_EVENTS + 1);
    desk.close(ALICE.over(8));
    let gap = desk.opened(ALICE.over(9), Some((&token, 0)));
    assert_eq!(gap, Opened::Gap { dns: vec![dn("1001"), dn("1002")] });
    let heard = desk.heard(9);
    assert_eq!((heard.len(), heard[0].sequence), (1, told));
    assert_eq!(heard[0].event.resumed, Some(Resumed::Gap));
}

#[test]
fn old_events_of_a_connected_client_are_let_go_and_those_of_one_that_is_away_are_kept() {
    let mut desk = Desk::new();
    let (_, token) = desk.desk_at(ALICE, "1001");
    desk.tell("1001");
    desk.pass_s(STREAM_KEPT_MS / 1_000 + 1);
    desk.tell("1001");
    desk.outgoing();
    assert!(matches!(desk.opened(ALICE, Some((&token, 0))), Opened::Gap { .. }), "the first is gone");
    desk.close(ALICE);
    desk.pass_s(STREAM_KEPT_MS / 1_000 + 1);
    desk.tell("1001");
    desk.outgoing();
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 1))), Opened::Continued);
    assert_eq!(desk.numbers(), [(9, 1), (9, 2), (9, 3)]);
}

#[test]
fn a_session_of_somebody_else_or_of_nobody_is_a_new_one() {
    let mut desk = Desk::new();
    let (alice, token) = desk.desk_at(ALICE, "1001");
    let upper = token.to_uppercase();
    for stolen in
        [token.as_str(), "", "0", "00000000000000000000000000000000", "+0000000000000000000000000000abd"]
    {
        assert_eq!(desk.opened(BOB, Some((stolen, 0))), Opened::New, "{stolen}");
        let heard = desk.outgoing();
        assert_eq!(heard[0].event.resumed, Some(Resumed::New));
        assert_ne!(heard[0].event.session.as_deref(), Some(token.as_str()));
        desk.close(BOB);
    }
    assert!(desk.closing().is_empty(), "alice was not disturbed");
    assert_eq!(desk.sessions.who(LinkId(1)).unwrap().session, alice);
    assert_eq!(desk.opened(ALICE.over(9), Some((&upper, 0))), Opened::Continued);
}

#[test]
fn a_second_connection_takes_the_session_over_and_the_first_is_closed() {
    let mut desk = Desk::new();
    let (alice, token) = desk.desk_at(ALICE, "1001");
    assert_eq!(desk.opened(ALICE.over(9), Some((&token, 0))), Opened::Continued);
    assert_eq!(desk.closing(), [1]);
    desk.outgoing();
    desk.tell("1001");
    assert_eq!(desk.numbers(), [(9, 1)]);
    assert_eq!(desk.sessions.who(LinkId(1)), None);
    desk.close(ALICE);
    assert_eq!(desk.gone(), [], "the end of the old link ends nothing");
    assert_eq!(desk.sessions.who(LinkId(9)).unwrap().session, alice);
}

#[test]
fn a_role_that_was_changed_meanwhile_is_the_new_one() {
    let mut desk = Desk::new();
    let (_, token) = desk.desk_at(ALICE, "1001");
    desk.opened(Client { role: Role::Supervisor, ..ALICE }.over(9), Some((&token, 0)));
    assert_eq!(desk.sessions.who(LinkId(9)).unwrap().role, Role::Supervisor);
    desk.fail_over();
    assert_eq!(desk.sessions.list()[0].role, Role::Supervisor);
}

#[test]
fn a_connection_without_a_session_is_refused_outside_any_stream() {
    let mut desk = Desk::new();
    let refusal = tandem_cti::Refusal::new(tandem_cti::ErrorCode::NoRight);
    desk.sessions.refuse(desk.now, LinkId(5), Some(3), &refusal);
    let heard = desk.heard(5);
    assert_eq!((heard[0].sequence, heard[0].reference_id), (0, Some(3)));
    assert_eq!((heard[0].event.error_code, heard[0].event.time), (Some(55), desk.now.unix_ms));
}
