//! A request that comes again is not carried out again.

use tandem_cti::{ErrorCode, Event, EventName, Refusal};
use tandem_switch::cti::sessions::Admitted;
use tandem_switch::limits::{ANSWER_KEPT_MS, MAX_REMEMBERED_REQUESTS, MAX_STORED_ANSWERS};

use crate::desk::{ALICE, BOB, Desk, ringing};

#[test]
fn a_repeated_request_gets_its_first_answer_under_its_first_number() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    assert_eq!(desk.admit(alice, 7), Admitted::New);
    desk.tell("1001");
    desk.tell_asked("1001", Some((alice, Some(7))));
    desk.tell("1001");
    let first = desk.outgoing().remove(1);
    assert_eq!(desk.admit(alice, 7), Admitted::Again);
    assert_eq!(desk.heard(1), [first]);
    desk.tell("1001");
    assert_eq!(desk.numbers(), [(1, 4)], "the repetition took no number");
}

#[test]
fn an_error_is_repeated_like_any_answer() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.admit(alice, 7);
    desk.answer(alice, 7, Event::error(&Refusal::new(ErrorCode::InvConnid), Some(7)));
    let first = desk.outgoing();
    desk.admit(alice, 7);
    assert_eq!(desk.outgoing(), first);
}

#[test]
fn the_first_of_several_events_is_the_answer() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.admit(alice, 7);
    for _ in 0..2 {
        desk.tell_asked("1001", Some((alice, Some(7))));
    }
    desk.outgoing();
    desk.admit(alice, 7);
    assert_eq!(desk.numbers(), [(1, 1)]);
}

#[test]
fn a_request_that_is_not_answered_yet_stays_alone() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.admit(alice, 7);
    assert_eq!(desk.admit(alice, 7), Admitted::Again);
    assert_eq!(desk.numbers(), []);
    desk.answer(alice, 7, ringing("1001"));
    assert_eq!(desk.numbers(), [(1, 1)], "the answer comes once");
}

#[test]
fn references_belong_to_their_session_and_requests_without_one_are_always_new() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    let (bob, _) = desk.desk_at(BOB, "1001");
    assert_eq!(desk.admit(alice, 7), Admitted::New);
    assert_eq!(desk.admit(bob, 7), Admitted::New);
    for _ in 0..2 {
        assert_eq!(desk.sessions.admit(alice, None), Admitted::New);
    }
}

#[test]
fn as_many_requests_are_remembered_as_the_limit_says() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    let many = u32::try_from(MAX_REMEMBERED_REQUESTS).unwrap();
    for reference in 0..many {
        assert_eq!(desk.admit(alice, reference), Admitted::New);
    }
    assert_eq!(desk.admit(alice, 0), Admitted::Again);
    desk.admit(alice, many);
    assert_eq!(desk.admit(alice, 1), Admitted::Again);
    assert_eq!(desk.admit(alice, 0), Admitted::New, "the oldest is forgotten");
}

#[test]
fn of_an_old_answer_the_gist_is_left() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    let refused = Event::error(&Refusal::because(ErrorCode::DnBusy, "1002 is busy"), None);
    for (reference, event) in [(1, ringing("1001")), (2, refused)] {
        desk.admit(alice, reference);
        desk.answer(alice, reference, event);
    }
    let then = desk.now.unix_ms;
    desk.pass_s(ANSWER_KEPT_MS / 1_000 + 1);
    desk.admit(alice, 3);
    desk.answer(alice, 3, ringing("1001"));
    desk.outgoing();
    for reference in [1, 2] {
        assert_eq!(desk.admit(alice, reference), Admitted::Again);
    }
    let heard = desk.heard(1);
    assert_eq!((heard[0].sequence, heard[0].event.event, heard[0].event.time), (1, EventName::Ack, then));
    assert_eq!((heard[1].sequence, heard[1].reference_id), (2, Some(2)));
    assert_eq!(heard[1].event.error_code, Some(ErrorCode::DnBusy.number()));
}

#[test]
fn the_latest_requests_are_not_carried_out_again_by_a_backup() {
    let mut desk = Desk::new();
    let (alice, token) = desk.desk_at(ALICE, "1001");
    let many = u32::try_from(MAX_STORED_ANSWERS).unwrap();
    for reference in 0..=many {
        desk.admit(alice, reference);
        desk.tell_asked("1001", Some((alice, Some(reference))));
    }
    desk.admit(alice, 99);
    desk.fail_over();
    desk.opened(ALICE.over(9), Some((&token, u64::from(many) + 1)));
    desk.outgoing();
    assert_eq!(desk.admit(alice, many), Admitted::Again);
    let heard = desk.heard(9);
    assert_eq!((heard[0].sequence, heard[0].event.event), (u64::from(many) + 1, EventName::Ack));
    assert_eq!(desk.admit(alice, 1), Admitted::Again);
    assert_eq!(desk.admit(alice, 0), Admitted::New, "older than what is stored");
    assert_eq!(desk.admit(alice, 99), Admitted::New, "nobody was told anything about it");
}

#[test]
fn an_answer_to_what_was_not_admitted_is_told_and_not_remembered() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.answer(alice, 7, Event::error(&Refusal::new(ErrorCode::InvalidAttr), None));
    assert_eq!(desk.heard(1)[0].reference_id, Some(7));
    assert_eq!(desk.admit(alice, 7), Admitted::New, "the corrected request may use the number again");
}
