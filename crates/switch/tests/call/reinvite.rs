//! INVITE within the dialog: passed on, refused for glare, taken back, lost.

use std::time::Duration;

use tandem_sip::{HeaderName, Message, Transport};

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, cancel_of, codes, from_callee, header, in_dialog, line, with,
};

/// The caller's re-INVITE and what the callee gets of it.
fn held(bed: &mut Bed, ok: &Message, cseq: u32) -> Message {
    bed.receive(CALLER, &in_dialog(ok, "INVITE", cseq, CALLER, "hold"));
    assert_eq!(codes(&bed.take(CALLER)), [100]);
    bed.one(CALLEE)
}

/// The caller's ACK for the refusal of his re-INVITE.
fn refused(ok: &Message, cseq: u32) -> String {
    in_dialog(ok, "INVITE", cseq, CALLER, "").replace("INVITE sip", "ACK sip").replace(" INVITE\n", " ACK\n")
}

#[test]
fn a_reinvite_is_passed_on_and_its_answer_back() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    let passed = held(&mut bed, &ok, 2);
    assert_eq!((passed.body(), header(&passed, HeaderName::CSeq).as_str()), (&b"hold"[..], "2 INVITE"));
    assert_eq!(header(&passed, HeaderName::CallId), header(&offered, HeaderName::CallId));
    assert_eq!(header(&passed, HeaderName::Contact), "<sip:10.0.0.1:5060>");
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, "held"));
    let back = bed.one(CALLER);
    assert_eq!((back.code(), back.body()), (Some(200), &b"held"[..]));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    let ack = bed.one(CALLEE);
    assert_eq!(header(&ack, HeaderName::CSeq), "2 ACK");
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, "held"));
    assert_eq!(bed.one(CALLEE).bytes(), ack.bytes(), "the ACK again");
}

#[test]
fn invites_that_cross_are_told_491_and_a_second_one_500() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    held(&mut bed, &ok, 2);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, "mine"));
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 3, CALLER, "again"));
    let refused = bed.one(CALLER);
    assert_eq!(refused.code(), Some(500));
    assert!(header(&refused, HeaderName::RetryAfter).parse::<u32>().unwrap() <= 10);
}

#[test]
fn an_invite_before_the_first_is_answered_is_refused() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let ringing = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ringing, "INVITE", 2, CALLER, ""));
    let refused = bed.one(CALLER);
    assert_eq!(refused.code(), Some(500));
    assert!(refused.header(HeaderName::RetryAfter).is_some(), "RFC 3261 14.2");
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
}

#[test]
fn an_invite_before_the_ack_is_told_491_and_the_ack_still_passes() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, "mine"));
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "mine"));
    assert_eq!(codes(&bed.take(CALLER)), [491]);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    for code in [488, 491, 500, 603, 480, 483] {
        let mut bed = Bed::with(alone());
        let (ok, _) = bed.established();
        let passed = held(&mut bed, &ok, 2);
        bed.receive(CALLEE, &answer(&passed, code, "", CALLEE, ""));
        assert_eq!(codes(&bed.take(CALLER)), [code]);
        assert_eq!(bed.node.call_list(bed.now)[0].state, "established", "{code}");
    }
}

#[test]
fn a_reinvite_that_finds_no_dialog_ends_the_call_for_both() {
    for code in [481, 408, 404, 410, 604] {
        let mut bed = Bed::with(alone());
        let (ok, _) = bed.established();
        let passed = held(&mut bed, &ok, 2);
        bed.receive(CALLEE, &answer(&passed, code, "", CALLEE, ""));
        let told = bed.lines(CALLER);
        assert!(told[0].starts_with(&format!("SIP/2.0 {code}")) && told[1].starts_with("BYE "), "{told:?}");
        bed.nothing_stays();
    }
}

#[test]
fn a_reinvite_that_meets_silence_ends_the_call_and_one_that_meets_a_dead_transport_does_not() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    held(&mut bed, &ok, 2);
    bed.refuse(CALLEE, Transport::Udp);
    assert_eq!(codes(&bed.take(CALLER)), [500]);
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.receive(CALLER, &refused(&ok, 2));
    held(&mut bed, &ok, 3);
    bed.pass(Duration::from_secs(33));
    let told = bed.lines(CALLER);
    assert!(told[0].starts_with("SIP/2.0 408") && told[1].starts_with("BYE "), "{told:?}");
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].reason, "no response");
}

#[test]
fn a_long_reinvite_goes_by_tcp_and_by_udp_when_that_fails() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let long = "x".repeat(1_400);
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, &long));
    assert!(header(&bed.one(CALLEE), HeaderName::Via).starts_with("SIP/2.0/TCP "));
    bed.refuse(CALLEE, Transport::Tcp);
    let by_udp = bed.one(CALLEE);
    assert!(header(&by_udp, HeaderName::Via).starts_with("SIP/2.0/UDP "));
    assert_eq!(bed.last_transport(CALLEE), Some(Transport::Udp));
    bed.receive(CALLEE, &answer(&by_udp, 200, "", CALLEE, "held"));
    assert_eq!(codes(&bed.take(CALLER)), [100, 200]);
}

#[test]
fn a_party_takes_its_reinvite_back() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let text = in_dialog(&ok, "INVITE", 2, CALLER, "hold");
    let passed = held(&mut bed, &ok, 2);
    bed.receive(CALLEE, &answer(&passed, 180, "", CALLEE, ""));
    bed.take(CALLER);
    let cancel = text
        .replace("INVITE sip", "CANCEL sip")
        .replace("2 INVITE", "2 CANCEL")
        .replace("hold", "")
        .replace("Length: 4", "Length: 0");
    bed.receive(CALLER, &cancel);
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    let cancel = bed.one(CALLEE);
    assert_eq!(header(&cancel, HeaderName::Via), header(&passed, HeaderName::Via));
    assert_eq!(header(&cancel, HeaderName::To), header(&passed, HeaderName::To));
    bed.receive(CALLEE, &answer(&passed, 487, "", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [487]);
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn a_late_cancel_of_an_old_reinvite_leaves_the_next_one_alone() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    let text = in_dialog(&ok, "INVITE", 2, CALLER, "");
    bed.receive(CALLER, &text);
    let passed = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, ""));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, ""));
    let next = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &answer(&next, 180, "", CALLER, ""));
    bed.receive(CALLER, &cancel_of(&text.replace("2 INVITE", "1 INVITE")).replace("1 CANCEL", "2 CANCEL"));
    assert_eq!(bed.lines(CALLER), ["SIP/2.0 200 OK"], "the callee's re-INVITE is not cancelled");
}

#[test]
fn a_reinvite_that_rings_for_ever_is_taken_back() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let passed = held(&mut bed, &ok, 2);
    bed.receive(CALLEE, &answer(&passed, 180, "", CALLEE, ""));
    bed.pass(Duration::from_secs(181));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("CANCEL ")));
    bed.receive(CALLEE, &answer(&passed, 487, "", CALLEE, ""));
    assert_eq!(bed.take(CALLER).last().unwrap().code(), Some(487));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn a_reinvite_moves_its_sender_s_target_and_its_answer_the_other_one() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let moved =
        in_dialog(&ok, "INVITE", 2, CALLER, "").replace("<sip:c@10.0.0.11:5060>", "<sip:new@10.0.0.21:5062>");
    bed.receive(CALLER, &moved);
    let passed = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&passed, 200, "", "10.0.0.22:5064", ""));
    bed.take(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    assert_eq!(line(&bed.one("10.0.0.22:5064")), "ACK sip:x@10.0.0.22:5064 SIP/2.0");
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 3, CALLER, ""));
    bed.take("10.0.0.22:5064");
    let bye = bed.node.call_list(bed.now);
    assert_eq!(bye[0].state, "established");
    bed.pass(Duration::from_secs(33));
    assert!(bed.lines("10.0.0.21:5062").iter().any(|line| line == "BYE sip:new@10.0.0.21:5062 SIP/2.0"));
}

#[test]
fn a_503_to_a_reinvite_is_told_as_500() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    let passed = held(&mut bed, &ok, 2);
    bed.receive(CALLEE, &with(&answer(&passed, 503, "", CALLEE, ""), "Retry-After: 9"));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), told.header(HeaderName::RetryAfter)), (Some(500), None));
}
