//! From the INVITE to the ACK: bodies, lost answers, lost ACKs, dialogs as odd phones make them.

use std::time::Duration;

use tandem_sip::HeaderName;

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, codes, from_callee, header, in_dialog, invite, line, with, without,
};

#[test]
fn an_offer_in_the_answer_is_acknowledged_with_the_answer_in_the_ack() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    let delayed =
        invite("1001", CALLER, "1002", "call1").replace("v=0~", "").replace("Length: 4", "Length: 0");
    bed.receive(CALLER, &delayed);
    let offered = bed.one(CALLEE);
    assert!(offered.body().is_empty());
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "offer"));
    let all = bed.take(CALLER);
    let ok = all.last().unwrap();
    assert_eq!(ok.body(), b"offer");
    bed.receive(CALLER, &in_dialog(ok, "ACK", 1, CALLER, "answer"));
    assert_eq!(bed.one(CALLEE).body(), b"answer");
}

#[test]
fn early_media_reaches_the_caller_and_a_100_does_not() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 100, "", CALLEE, ""));
    assert!(bed.take(CALLER).is_empty());
    bed.receive(CALLEE, &answer(&offered, 183, "callee", CALLEE, "early"));
    let early = bed.one(CALLER);
    assert_eq!((early.code(), early.body()), (Some(183), &b"early"[..]));
    assert_eq!(header(&early, HeaderName::Contact), "<sip:10.0.0.1:5060>");
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let ok = bed.one(CALLER);
    assert_eq!(header(&ok, HeaderName::To), header(&early, HeaderName::To), "the same dialog");
}

#[test]
fn a_provisional_response_after_the_final_one_goes_nowhere() {
    let mut bed = Bed::with(alone());
    let (_, offered) = bed.established();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    assert!(bed.sent.is_empty(), "{:?}", bed.sent);
}

#[test]
fn an_answer_that_comes_again_gets_its_ack_again_even_during_a_reinvite() {
    let mut bed = Bed::with(alone());
    let (_, offered) = bed.established();
    let ok = answer(&offered, 200, "callee", CALLEE, "answer");
    bed.receive(CALLEE, &ok);
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, "hold"));
    bed.take(CALLEE);
    bed.take(CALLER);
    bed.receive(CALLEE, &ok);
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "), "the ACK was lost and its 2xx comes again");
    assert!(bed.take(CALLER).is_empty(), "the caller has long acknowledged");
}

#[test]
fn an_answer_is_repeated_until_the_ack_comes_and_not_longer() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.one(CALLER);
    bed.pass(Duration::from_millis(3_600));
    assert_eq!(codes(&bed.take(CALLER)), [200, 200, 200], "after 0.5, 1.5 and 3.5 s");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.pass(Duration::from_secs(60));
    assert!(bed.take(CALLER).is_empty());
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn an_ack_with_another_cseq_acknowledges_nothing() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 9, CALLER, ""));
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn an_answer_without_contact_is_reached_where_its_invite_went() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &without(&answer(&offered, 200, "callee", CALLEE, "answer"), "Contact"));
    let ok = bed.one(CALLER);
    assert_eq!((ok.code(), ok.body()), (Some(200), &b"answer"[..]));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert_eq!(line(&bed.one(CALLEE)), format!("ACK sip:1002@{CALLEE} SIP/2.0"));
}

#[test]
fn an_answer_without_to_tag_makes_a_dialog_of_the_older_kind() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 200, "", CALLEE, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(!header(&bed.one(CALLEE), HeaderName::To).contains("tag="));
    let bye = from_callee(&offered, "", "BYE", 1, CALLEE, "").replace(";tag=\n", "\n");
    bed.receive(CALLEE, &bye);
    assert_eq!(bed.one(CALLEE).code(), Some(200));
    assert!(line(&bed.one(CALLER)).starts_with("BYE "));
}

#[test]
fn the_answer_s_record_route_is_the_callee_s_route_and_stays_there() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    let routes = "Record-Route: <sip:10.0.0.50;lr>, <sip:10.0.0.51:5070;lr>";
    bed.receive(CALLEE, &with(&answer(&offered, 200, "callee", CALLEE, ""), routes));
    let ok = bed.one(CALLER);
    assert_eq!(ok.header(HeaderName::RecordRoute), None);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    let ack = bed.one("10.0.0.51:5070");
    let route: Vec<&[u8]> = ack.values(HeaderName::Route).collect();
    assert_eq!(route, [&b"<sip:10.0.0.51:5070;lr>"[..], b"<sip:10.0.0.50;lr>"]);
    assert_eq!(line(&ack), format!("ACK sip:x@{CALLEE} SIP/2.0"));
}

#[test]
fn the_caller_s_record_route_is_copied_back_to_him_and_used_towards_him() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    let proxied = with(&invite("1001", CALLER, "1002", "call1"), "Record-Route: <sip:10.0.0.50;lr>");
    bed.receive(CALLER, &proxied);
    let offered = bed.one(CALLEE);
    assert_eq!(offered.header(HeaderName::RecordRoute), None);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    assert_eq!(header(&ok, HeaderName::RecordRoute), "<sip:10.0.0.50;lr>");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    let bye = bed.one("10.0.0.50:5060");
    assert_eq!(header(&bye, HeaderName::Route), "<sip:10.0.0.50;lr>");
}

#[test]
fn a_call_that_nobody_decides_ends_with_the_ring_timeout() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    bed.pass(Duration::from_secs(181));
    assert_eq!(codes(&bed.take(CALLER))[0], 480);
    let cancel = bed.take(CALLEE).remove(0);
    assert_eq!(line(&cancel), format!("CANCEL sip:1002@{CALLEE} SIP/2.0"));
    assert!(header(&cancel, HeaderName::Reason).contains("480"));
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].reason, "ring timeout");
}

#[test]
fn an_invite_that_expires_earlier_is_told_487_then() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), "Expires: 20"));
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(19));
    assert_eq!(codes(&bed.take(CALLER)), [100, 180]);
    bed.pass(Duration::from_secs(2));
    assert_eq!(codes(&bed.take(CALLER))[0], 487);
    assert!(bed.lines(CALLEE)[0].starts_with("CANCEL "));
    bed.nothing_stays();
}

#[test]
fn silence_of_the_callee_is_a_408_and_his_transport_s_failure_a_480() {
    for (fails, wanted) in [(false, 408), (true, 480)] {
        let mut bed = Bed::with(alone());
        bed.offered();
        if fails {
            bed.refuse(CALLEE, tandem_sip::Transport::Udp);
        } else {
            bed.pass(Duration::from_secs(33));
        }
        assert_eq!(codes(&bed.take(CALLER))[0], wanted);
        bed.nothing_stays();
    }
}
