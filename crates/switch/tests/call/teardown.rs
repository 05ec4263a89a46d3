//! How an answered call ends, whatever crosses what.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};
use tandem_switch::cdr::EndedBy;

use crate::support::{Bed, CALLEE, CALLER, alone, answer, codes, from_callee, header, in_dialog, line, with};

/// Answered, but the caller's ACK is missing.
fn answered(bed: &mut Bed) -> (Message, Message) {
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    (bed.one(CALLER), offered)
}

#[test]
fn the_callee_hangs_up_and_the_record_says_so() {
    let mut bed = Bed::with(alone());
    let (_, offered) = bed.established();
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [200]);
    let bye = bed.one(CALLER);
    assert_eq!(
        (line(&bye).as_str(), header(&bye, HeaderName::CSeq).as_str()),
        ("BYE sip:1001@10.0.0.11:5060 SIP/2.0", "1 BYE")
    );
    bed.receive(CALLER, &answer(&bye, 200, "", CALLER, ""));
    assert!(bed.node.call_list(bed.now).is_empty());
    assert!(bed.cdrs[0].legs.iter().all(|leg| leg.ended_by == EndedBy::Callee && leg.reason == "BYE"));
}

#[test]
fn what_a_bye_carries_reaches_the_other_side() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let bye = in_dialog(&ok, "BYE", 2, CALLER, "isup");
    bed.receive(CALLER, &with(&bye, "Reason: Q.850;cause=16\nUser-to-User: 00ff;encoding=hex"));
    let passed = bed.one(CALLEE);
    assert_eq!(header(&passed, HeaderName::Reason), "Q.850;cause=16");
    assert_eq!(header(&passed, HeaderName::UserToUser), "00ff;encoding=hex");
    assert_eq!(passed.body(), b"isup");
}

#[test]
fn a_bye_that_nobody_answers_ends_all_the_same() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    assert!(bed.lines(CALLEE).len() > 5, "it was repeated");
}

#[test]
fn byes_that_cross_are_both_answered_200() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let ours = bed.one(CALLEE);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [200]);
    bed.receive(CALLEE, &answer(&ours, 481, "", CALLEE, ""));
    bed.nothing_stays();
}

#[test]
fn a_callee_who_hangs_up_before_the_ack_waits_for_it_at_the_caller() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = answered(&mut bed);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    let at_callee: Vec<String> = bed.lines(CALLEE);
    assert_eq!(at_callee, ["SIP/2.0 200 OK".to_owned(), format!("ACK sip:x@{CALLEE} SIP/2.0")]);
    assert!(bed.take(CALLER).is_empty(), "no BYE before the ACK (RFC 3261 15)");
    bed.pass(Duration::from_millis(600));
    assert_eq!(codes(&bed.take(CALLER)), [200], "the 200 may have been lost: it is repeated");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLER)).starts_with("BYE "));
    assert!(bed.take(CALLEE).is_empty());
    bed.nothing_stays();
}

#[test]
fn a_caller_who_never_acknowledges_a_call_that_is_over_gets_his_bye_in_the_end() {
    let mut bed = Bed::with(alone());
    let (_, offered) = answered(&mut bed);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    bed.pass(Duration::from_secs(33));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
    assert!(bed.cdrs[0].legs.iter().all(|leg| leg.reason == "BYE"));
}

#[test]
fn a_caller_who_hangs_up_before_his_ack_ends_the_call_at_both_sides() {
    let mut bed = Bed::with(alone());
    let (ok, _) = answered(&mut bed);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    let lines = bed.lines(CALLEE);
    assert!(lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "), "{lines:?}");
    bed.pass(Duration::from_secs(10));
    assert!(bed.take(CALLER).is_empty(), "the 200 is not repeated to him");
    bed.nothing_stays();
}

#[test]
fn a_bye_that_crosses_a_reinvite_takes_it_back() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, "hold"));
    let reinvite = bed.one(CALLER);
    bed.receive(CALLER, &answer(&reinvite, 100, "", CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let at_caller = bed.lines(CALLER);
    assert_eq!(at_caller[0], "SIP/2.0 200 OK");
    let at_callee = bed.lines(CALLEE);
    assert!(at_callee.iter().any(|line| line.starts_with("SIP/2.0 487")), "{at_callee:?}");
    assert!(at_callee.iter().any(|line| line.starts_with("BYE ")), "{at_callee:?}");
    bed.receive(CALLER, &answer(&reinvite, 200, "", CALLER, "too late"));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("ACK ")), "each 2xx gets its ACK");
    bed.nothing_stays();
}

#[test]
fn a_reinvite_that_is_never_decided_does_not_outlive_its_call() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "hold"));
    let reinvite = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&reinvite, 180, "", CALLEE, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 3, CALLER, ""));
    bed.nothing_stays();
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("CANCEL ")));
}

#[test]
fn a_request_that_waits_is_told_487_when_the_call_ends() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INFO", 1, CALLEE, "5"));
    bed.take(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [487]);
    bed.nothing_stays();
}

#[test]
fn a_request_after_the_end_is_told_481() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.take(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 3, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [481]);
    let bye = bed.take(CALLEE).pop().unwrap();
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 4, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [481]);
}
