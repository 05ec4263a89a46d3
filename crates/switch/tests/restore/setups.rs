//! Calls that nobody had answered when the server died.

use std::time::Duration;

use crate::support::{Bed, CALLEE, CALLER, alone, answer, cancel_of, codes, in_dialog, invite, line};

const GAP: Duration = Duration::from_secs(1);

#[test]
fn a_caller_whose_callee_rang_is_called_for_anew_and_connected() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    assert_eq!(bed.restart(GAP).setups, 1);
    let told = bed.take(CALLEE);
    let lines: Vec<String> = told.iter().map(line).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let cancel = told.iter().find(|message| line(message).starts_with("CANCEL ")).unwrap();
    assert_eq!(cancel.envelope().unwrap().via.branch(), offered.envelope().unwrap().via.branch());
    let anew = told.iter().find(|message| line(message).starts_with("INVITE ")).unwrap();
    assert_ne!(anew.envelope().unwrap().call_id, offered.envelope().unwrap().call_id);
    bed.receive(CALLEE, &answer(cancel, 200, "callee", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 487, "callee", CALLEE, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.receive(CALLEE, &answer(anew, 200, "again", CALLEE, "answer"));
    let ok = bed.take(CALLER).pop().unwrap();
    assert_eq!((ok.code(), ok.body()), (Some(200), &b"answer"[..]));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    bed.pass(Duration::from_secs(100));
    assert_eq!((bed.cdrs.len(), bed.disk.len()), (1, 2), "{:?}", bed.cdrs);
    let reasons: Vec<&str> = bed.cdrs[0].legs.iter().map(|leg| &*leg.reason).collect();
    assert_eq!(reasons, ["BYE", "the server was started anew", "BYE"]);
}

#[test]
fn a_callee_who_answers_what_is_taken_back_is_hung_up_on() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.restart(GAP);
    bed.take(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let lines = bed.lines(CALLEE);
    assert!(lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "), "{lines:?}");
}

#[test]
fn a_caller_may_take_back_the_invite_that_the_dead_process_had() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.restart(GAP);
    bed.sent.clear();
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
}

#[test]
fn a_call_that_failed_is_not_tried_again_and_its_record_is_written() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.commit = false;
    bed.receive(CALLEE, &answer(&offered, 486, "callee", CALLEE, ""));
    bed.persist_silently();
    bed.commit = true;
    bed.cdrs.clear();
    assert_eq!(bed.restart(GAP).setups, 0);
    assert_eq!(bed.cdrs.len(), 1);
    assert_eq!(bed.cdrs[0].legs[1].reason, "486 Busy Here");
    assert_eq!(bed.disk.len(), 2);
}
