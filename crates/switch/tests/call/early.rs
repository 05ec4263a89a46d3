//! Reliable provisional responses (RFC 3262), UPDATE (RFC 3311) and the other requests within a dialog.

use std::time::Duration;

use tandem_sip::{HeaderName, Message, Transport};

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, codes, from_callee, header, in_dialog, invite, line, with,
};

/// The callee sends a reliable 183: what the caller got, and the callee's INVITE.
fn reliable(bed: &mut Bed) -> (Message, Message) {
    bed.register("1002", CALLEE);
    let offer = with(&invite("1001", CALLER, "1002", "call1"), "Supported: 100rel, replaces")
        .replace("1 INVITE", "41 INVITE");
    bed.receive(CALLER, &offer);
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    assert!(offered.has_token(HeaderName::Supported, b"100rel"));
    let early = with(&answer(&offered, 183, "callee", CALLEE, "early"), "Require: 100rel\nRSeq: 701");
    bed.receive(CALLEE, &early);
    (bed.one(CALLER), offered)
}

#[test]
fn a_prack_is_passed_on_with_the_numbers_of_the_other_leg() {
    let mut bed = Bed::with(alone());
    let (early, offered) = reliable(&mut bed);
    assert_eq!(
        (header(&early, HeaderName::RSeq), header(&early, HeaderName::Require)),
        ("701".into(), "100rel".into())
    );
    let prack = with(&in_dialog(&early, "PRACK", 42, CALLER, "more"), "RAck: 701 41 INVITE");
    bed.receive(CALLER, &prack);
    let passed = bed.one(CALLEE);
    assert_eq!(line(&passed), format!("PRACK sip:x@{CALLEE} SIP/2.0"));
    assert_eq!(header(&passed, HeaderName::RAck), "701 1 INVITE");
    assert_eq!((header(&passed, HeaderName::CSeq).as_str(), passed.body()), ("2 PRACK", &b"more"[..]));
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, "fine"));
    let back = bed.one(CALLER);
    assert_eq!((back.code(), back.body()), (Some(200), &b"fine"[..]));
    bed.receive(
        CALLEE,
        &with(&answer(&offered, 183, "callee", CALLEE, "early"), "Require: 100rel\nRSeq: 702"),
    );
    assert_eq!(header(&bed.one(CALLER), HeaderName::RSeq), "702");
}

#[test]
fn a_reliable_response_that_comes_again_is_passed_again() {
    let mut bed = Bed::with(alone());
    let (early, offered) = reliable(&mut bed);
    bed.receive(
        CALLEE,
        &with(&answer(&offered, 183, "callee", CALLEE, "early"), "Require: 100rel\nRSeq: 701"),
    );
    assert_eq!(bed.one(CALLER).bytes(), early.bytes());
}

#[test]
fn a_prack_that_names_another_invite_or_none_is_refused_here() {
    let mut bed = Bed::with(alone());
    let (early, _) = reliable(&mut bed);
    for (n, (rack, wanted)) in [
        ("RAck: 701 40 INVITE", 481),
        ("RAck: 701 41 UPDATE", 481),
        ("RAck: x 41 INVITE", 400),
        ("RAck: 701", 400),
        ("X-No: rack", 400),
    ]
    .into_iter()
    .enumerate()
    {
        let cseq = 50 + u32::try_from(n).unwrap();
        bed.receive(CALLER, &with(&in_dialog(&early, "PRACK", cseq, CALLER, ""), rack));
        assert_eq!(codes(&bed.take(CALLER)), [wanted], "{rack}");
    }
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn a_prack_that_crosses_the_answer_still_reaches_the_callee_and_its_481_ends_nothing() {
    let mut bed = Bed::with(alone());
    let (early, offered) = reliable(&mut bed);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    bed.receive(CALLER, &with(&in_dialog(&early, "PRACK", 42, CALLER, ""), "RAck: 701 41 INVITE"));
    let passed = bed.one(CALLEE);
    assert_eq!(header(&passed, HeaderName::RAck), "701 1 INVITE");
    bed.receive(CALLEE, &answer(&passed, 481, "", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200, 481]);
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn an_update_passes_in_the_early_dialog_both_ways() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 183, "callee", CALLEE, ""));
    let early = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&early, "UPDATE", 2, CALLER, "new"));
    let passed = bed.one(CALLEE);
    assert_eq!(
        (passed.body(), header(&passed, HeaderName::Contact).as_str()),
        (&b"new"[..], "<sip:10.0.0.1:5060>")
    );
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, "ok"));
    let back = bed.one(CALLER);
    assert_eq!(
        (back.body(), header(&back, HeaderName::Contact).as_str()),
        (&b"ok"[..], "<sip:10.0.0.1:5060>")
    );
    bed.receive(CALLEE, &from_callee(&offered, "callee", "UPDATE", 1, CALLEE, "his"));
    let his = bed.one(CALLER);
    assert_eq!((his.body(), header(&his, HeaderName::From)), (&b"his"[..], header(&early, HeaderName::To)));
    bed.receive(CALLER, &answer(&his, 491, "", CALLER, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
}

#[test]
fn requests_within_the_call_pass_both_ways_with_their_bodies() {
    for method in ["INFO", "MESSAGE", "NOTIFY", "OPTIONS", "UPDATE"] {
        let mut bed = Bed::with(alone());
        let (ok, offered) = bed.established();
        bed.receive(CALLER, &with(&in_dialog(&ok, method, 2, CALLER, "a\0b"), "X-Own: 1"));
        let passed = bed.one(CALLEE);
        assert_eq!(
            (line(&passed), passed.body()),
            (format!("{method} sip:x@{CALLEE} SIP/2.0"), &b"a\0b"[..])
        );
        assert_eq!(
            (passed.other(b"X-Own"), header(&passed, HeaderName::MaxForwards).as_str()),
            (Some(&b"1"[..]), "69")
        );
        bed.receive(CALLEE, &answer(&passed, 202, "", CALLEE, "got"));
        let back = bed.one(CALLER);
        assert_eq!((line(&back).as_str(), back.body()), ("SIP/2.0 202 Whatever", &b"got"[..]));
        bed.receive(CALLEE, &from_callee(&offered, "callee", method, 1, CALLEE, "c"));
        assert_eq!(bed.one(CALLER).body(), b"c");
    }
}

#[test]
fn a_405_names_what_the_far_end_allows() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "MESSAGE", 2, CALLER, ""));
    let passed = bed.one(CALLEE);
    bed.receive(CALLEE, &with(&answer(&passed, 405, "", CALLEE, ""), "Allow: INVITE, ACK, BYE"));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), header(&told, HeaderName::Allow).as_str()), (Some(405), "INVITE, ACK, BYE"));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn a_481_within_the_call_ends_it_for_both_and_a_488_does_not() {
    for (code, state) in
        [(481, None), (408, None), (404, None), (488, Some("established")), (503, Some("established"))]
    {
        let mut bed = Bed::with(alone());
        let (ok, _) = bed.established();
        bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
        let passed = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&passed, code, "", CALLEE, ""));
        let calls = bed.node.call_list(bed.now);
        assert_eq!(calls.first().map(|call| call.state).filter(|state| *state != "ending"), state, "{code}");
        let byes = bed.lines(CALLER).iter().filter(|line| line.starts_with("BYE ")).count();
        assert_eq!(byes, usize::from(state.is_none()));
    }
}

#[test]
fn silence_within_the_call_is_told_504_and_ends_it_and_a_dead_transport_is_told_500_and_does_not() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
    bed.refuse(CALLEE, Transport::Udp);
    assert_eq!(codes(&bed.take(CALLER)), [500]);
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 3, CALLER, ""));
    bed.pass(Duration::from_secs(33));
    assert_eq!(codes(&bed.take(CALLER)), [504], "never 408 to a request other than INVITE");
    bed.nothing_stays();
}

#[test]
fn more_waiting_requests_than_fit_are_told_503() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    for n in 2..=18 {
        bed.receive(CALLER, &in_dialog(&ok, "INFO", n, CALLER, ""));
    }
    let refused = bed.one(CALLER);
    assert_eq!(refused.code(), Some(503));
    assert!(refused.header(HeaderName::RetryAfter).is_some());
    assert_eq!(bed.lines(CALLEE).len(), 16);
}

#[test]
fn a_long_request_goes_by_tcp_and_by_udp_when_that_fails() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "MESSAGE", 2, CALLER, &"x".repeat(1_400)));
    assert!(header(&bed.one(CALLEE), HeaderName::Via).starts_with("SIP/2.0/TCP "));
    bed.refuse(CALLEE, Transport::Tcp);
    let by_udp = bed.one(CALLEE);
    assert!(header(&by_udp, HeaderName::Via).starts_with("SIP/2.0/UDP "));
    bed.receive(CALLEE, &answer(&by_udp, 200, "", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
}

#[test]
fn a_long_invite_goes_by_tcp_and_by_udp_when_that_fails() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    let long = invite("1001", CALLER, "1002", "call1")
        .replace("v=0~", &"x".repeat(1_400))
        .replace("Length: 4", "Length: 1400");
    bed.receive(CALLER, &long);
    assert_eq!(bed.last_transport(CALLEE), Some(Transport::Tcp));
    bed.take(CALLEE);
    bed.refuse(CALLEE, Transport::Tcp);
    let by_udp = bed.one(CALLEE);
    assert!(header(&by_udp, HeaderName::Via).starts_with("SIP/2.0/UDP "));
    bed.receive(CALLEE, &answer(&by_udp, 486, "callee", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [100, 486]);
    bed.nothing_stays();
}
