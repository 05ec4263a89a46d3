//! CANCEL at every moment.

use std::time::Duration;

use tandem_sip::HeaderName;

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, cancel_of, codes, header, in_dialog, invite, line, with,
};

fn cancel() -> String {
    cancel_of(&invite("1001", CALLER, "1002", "call1"))
}

#[test]
fn a_cancel_before_any_response_waits_for_one_at_the_callee() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLER, &cancel());
    let told = bed.take(CALLER);
    assert_eq!(codes(&told), [200, 487]);
    assert_eq!(header(&told[0], HeaderName::To), header(&told[1], HeaderName::To), "RFC 3261 9.2");
    assert!(bed.take(CALLEE).is_empty(), "nothing may be cancelled that has not answered");
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let cancel = bed.one(CALLEE);
    for name in [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId] {
        assert_eq!(header(&cancel, name), header(&offered, name), "{name:?}");
    }
    assert_eq!(cancel.request_uri(), offered.request_uri());
    assert_eq!(header(&cancel, HeaderName::CSeq), "1 CANCEL");
    bed.receive(CALLEE, &answer(&cancel, 200, "callee", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 487, "callee", CALLEE, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    assert!(bed.take(CALLER).is_empty(), "the caller has his 487");
    bed.nothing_stays();
    assert_eq!((bed.cdrs[0].legs[0].status, bed.cdrs[0].legs[0].reason.as_str()), (487, "CANCEL"));
}

#[test]
fn a_cancel_whose_callee_stays_silent_leaves_nothing() {
    let mut bed = Bed::with(alone());
    bed.offered();
    bed.receive(CALLER, &cancel());
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[1].reason, "the caller gave up");
}

#[test]
fn the_caller_s_reasons_reach_the_callee() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let reasons = "Reason: Q.850;cause=16\nReason: SIP;cause=487";
    bed.receive(CALLER, &with(&cancel(), reasons));
    let cancel = bed.one(CALLEE);
    let passed: Vec<&[u8]> = cancel.lines(HeaderName::Reason).collect();
    assert_eq!(passed, [&b"Q.850;cause=16"[..], b"SIP;cause=487"]);
}

#[test]
fn a_cancel_that_crosses_the_answer_changes_nothing() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &cancel());
    assert_eq!(codes(&bed.take(CALLER)), [200], "the CANCEL's own answer");
    bed.pass(Duration::from_millis(600));
    assert_eq!(codes(&bed.take(CALLER)), [200], "the answer is still repeated");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn an_answer_that_crosses_the_cancel_is_hung_up() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.receive(CALLER, &cancel());
    assert_eq!(codes(&bed.take(CALLER)), [180, 200, 487]);
    bed.take(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let lines = bed.lines(CALLEE);
    assert!(lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "), "{lines:?}");
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].status, 487);
}

#[test]
fn a_cancel_after_the_refusal_is_answered_and_does_nothing_else() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 486, "callee", CALLEE, ""));
    bed.receive(CALLER, &cancel());
    assert_eq!(codes(&bed.take(CALLER)), [486, 200]);
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].status, 486);
}

#[test]
fn a_cancel_of_nothing_is_told_481() {
    let mut bed = Bed::with(alone());
    bed.receive(CALLER, &cancel());
    assert_eq!(codes(&bed.take(CALLER)), [481]);
}

#[test]
fn a_repeated_cancel_is_answered_again_and_acts_once() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.receive(CALLER, &cancel());
    bed.receive(CALLER, &cancel());
    assert_eq!(codes(&bed.take(CALLER)), [180, 200, 487, 200]);
    assert_eq!(bed.take(CALLEE).len(), 1);
}

#[test]
fn a_bye_in_an_early_dialog_is_a_cancel_of_the_caller_and_nothing_of_the_callee() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let ringing = bed.one(CALLER);
    let bye = crate::support::from_callee(&offered, "callee", "BYE", 1, CALLEE, "");
    bed.receive(CALLEE, &bye);
    assert_eq!(codes(&bed.take(CALLEE)), [481]);
    bed.receive(CALLER, &in_dialog(&ringing, "BYE", 2, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    assert!(bed.lines(CALLEE)[0].starts_with("CANCEL "));
    bed.nothing_stays();
}
