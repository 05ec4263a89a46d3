//! Reliable provisional responses (RFC 3262) where only one side knows them.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, alone, answer, body, cancel_of, codes, directory, header, in_dialog, invite,
    line, with, without,
};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// 1001 calls 1002 by an INVITE with this line: what the callee gets.
#[track_caller]
fn offered(bed: &mut Bed, extra: &str) -> Message {
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = invite("1001", CALLER, "1002", "call1");
    bed.receive(CALLER, &if extra.is_empty() { own } else { with(&own, extra) });
    bed.take(CALLER);
    bed.one(CALLEE)
}

fn number(response: &Message) -> u32 {
    assert!(response.has_token(HeaderName::Require, b"100rel"));
    header(response, HeaderName::RSeq).parse().unwrap()
}

fn prack(response: &Message, cseq: u32) -> String {
    let rack = format!("RAck: {} 1 INVITE", number(response));
    with(&in_dialog(response, "PRACK", cseq, CALLER, ""), &rack)
}

const SDP: &str = "Content-Type: application/sdp";

#[test]
fn a_caller_who_takes_only_reliable_responses_gets_them_from_this_server() {
    let mut bed = Bed::with(alone());
    let offer = offered(&mut bed, "Require: 100rel");
    assert!(offer.header(HeaderName::Require).is_none() && offer.has_token(HeaderName::Supported, b"100rel"));
    bed.receive(CALLEE, &answer(&offer, 180, "callee", CALLEE, ""));
    bed.receive(CALLEE, &with(&answer(&offer, 183, "callee", CALLEE, "early"), SDP));
    let ringing = bed.one(CALLER);
    assert_eq!(ringing.code(), Some(180), "one at a time");
    bed.pass(ms(500));
    assert_eq!(bed.one(CALLER).bytes(), ringing.bytes(), "again after T1");
    bed.pass(ms(999));
    assert!(bed.take(CALLER).is_empty());
    bed.pass(ms(1));
    assert_eq!(bed.one(CALLER).bytes(), ringing.bytes(), "then after twice as long each time");
    bed.receive(CALLER, &prack(&ringing, 2));
    let told = bed.take(CALLER);
    assert_eq!(codes(&told), [200, 183]);
    assert_eq!(number(&told[1]), number(&ringing) + 1);
    assert_eq!(body(&told[1]), "early");
    assert!(bed.take(CALLEE).is_empty(), "the callee knows nothing of it");
}

#[test]
fn the_answer_waits_until_what_went_before_it_is_acknowledged() {
    let mut bed = Bed::with(alone());
    let offer = offered(&mut bed, "Require: 100rel");
    bed.receive(CALLEE, &with(&answer(&offer, 183, "callee", CALLEE, "early"), SDP));
    let progress = bed.one(CALLER);
    bed.receive(CALLEE, &with(&answer(&offer, 200, "callee", CALLEE, "early"), SDP));
    bed.receive(CALLEE, &with(&answer(&offer, 200, "callee", CALLEE, "early"), SDP));
    assert!(bed.take(CALLER).is_empty(), "RFC 3262 3: no 2xx before the PRACK");
    bed.receive(CALLER, &prack(&progress, 2));
    let told = bed.take(CALLER);
    assert_eq!(codes(&told), [200, 200]);
    assert_eq!(header(&told[1], HeaderName::CSeq), "1 INVITE");
    bed.receive(CALLER, &in_dialog(&told[1], "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn who_answers_and_waits_for_the_prack_is_hung_up_on_when_the_caller_takes_the_call_back() {
    let mut bed = Bed::with(alone());
    let offer = offered(&mut bed, "Require: 100rel");
    bed.receive(CALLEE, &with(&answer(&offer, 183, "callee", CALLEE, "early"), SDP));
    bed.receive(CALLEE, &with(&answer(&offer, 200, "callee", CALLEE, "early"), SDP));
    bed.receive(CALLER, &cancel_of(&with(&invite("1001", CALLER, "1002", "call1"), "Require: 100rel")));
    let hung_up = bed.take(CALLEE);
    assert_eq!(hung_up.len(), 2, "a CANCEL would be too late");
    assert!(line(&hung_up[0]).starts_with("ACK ") && line(&hung_up[1]).starts_with("BYE "));
    bed.receive(CALLEE, &answer(&hung_up[1], 200, "", CALLEE, ""));
    bed.nothing_stays();
}

#[test]
fn of_two_who_answer_before_the_prack_the_second_is_hung_up_on() {
    let mut bed = Bed::with(alone());
    bed.register("1002", OTHER);
    let first = offered(&mut bed, "Require: 100rel");
    let second = bed.one(OTHER);
    bed.receive(CALLEE, &answer(&first, 180, "one", CALLEE, ""));
    let ringing = bed.one(CALLER);
    bed.receive(CALLEE, &with(&answer(&first, 200, "one", CALLEE, "sdp"), SDP));
    bed.receive(OTHER, &with(&answer(&second, 200, "two", OTHER, "sdp"), SDP));
    let hung_up = bed.take(OTHER);
    assert!(line(&hung_up[0]).starts_with("ACK ") && line(&hung_up[1]).starts_with("BYE "));
    bed.receive(OTHER, &answer(&hung_up[1], 200, "", OTHER, ""));
    bed.receive(CALLER, &prack(&ringing, 2));
    let ok = bed.take(CALLER).pop().unwrap();
    assert_eq!((ok.code(), &*header(&ok, HeaderName::CSeq)), (Some(200), "1 INVITE"));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 3, CALLER, ""));
    bed.nothing_stays();
    let reasons: Vec<&str> = bed.cdrs[0].legs.iter().map(|leg| leg.reason.as_str()).collect();
    assert_eq!(reasons, ["BYE", "BYE", "answered elsewhere"]);
}

#[test]
fn a_caller_who_never_acknowledges_is_refused() {
    let mut bed = Bed::with(alone());
    let offer = offered(&mut bed, "Require: 100rel");
    bed.receive(CALLEE, &answer(&offer, 180, "callee", CALLEE, ""));
    bed.pass(ms(31_999));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "ringing");
    bed.take(CALLER);
    bed.pass(ms(1));
    assert_eq!(codes(&bed.take(CALLER)), [504]);
    assert!(line(&bed.take(CALLEE)[0]).starts_with("CANCEL "));
    bed.receive(CALLEE, &without(&answer(&offer, 487, "callee", CALLEE, ""), "Contact"));
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].reason, "a reliable provisional response was not acknowledged");
}

#[test]
fn a_prack_for_nothing_that_was_sent_is_told_481() {
    let mut bed = Bed::with(alone());
    let offer = offered(&mut bed, "Require: 100rel");
    bed.receive(CALLEE, &answer(&offer, 180, "callee", CALLEE, ""));
    let ringing = bed.one(CALLER);
    for (cseq, rack) in [
        (2, format!("{} 1 INVITE", number(&ringing) + 1)),
        (3, format!("{} 2 INVITE", number(&ringing))),
        (4, format!("{} 1 UPDATE", number(&ringing))),
    ] {
        let text = with(&in_dialog(&ringing, "PRACK", cseq, CALLER, ""), &format!("RAck: {rack}"));
        bed.receive(CALLER, &text);
        assert_eq!(codes(&bed.take(CALLER)), [481], "{rack}");
    }
    bed.receive(CALLER, &prack(&ringing, 5));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    bed.receive(CALLER, &prack(&ringing, 6));
    assert_eq!(codes(&bed.take(CALLER)), [481], "it was acknowledged before");
}

#[test]
fn a_callee_who_knows_them_too_gets_the_prack_in_his_numbers() {
    let mut bed = Bed::with(alone());
    let offer = offered(&mut bed, "Require: 100rel");
    bed.receive(CALLEE, &answer(&offer, 180, "callee", CALLEE, ""));
    let ringing = bed.one(CALLER);
    bed.receive(CALLER, &prack(&ringing, 2));
    bed.take(CALLER);
    let reliable =
        with(&answer(&offer, 183, "callee", CALLEE, "early"), &format!("Require: 100rel\nRSeq: 7\n{SDP}"));
    bed.receive(CALLEE, &reliable);
    bed.receive(CALLEE, &reliable);
    let progress = bed.one(CALLER);
    assert_eq!(number(&progress), number(&ringing) + 1, "numbers of one dialog follow each other");
    bed.receive(CALLER, &prack(&progress, 3));
    let passed = bed.one(CALLEE);
    assert_eq!(
        (line(&passed), header(&passed, HeaderName::RAck)),
        (format!("PRACK sip:x@{CALLEE} SIP/2.0"), "7 1 INVITE".into())
    );
    bed.receive(CALLEE, &answer(&offer, 200, "callee", CALLEE, ""));
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200, 200]);
}

#[test]
fn without_an_offer_nothing_that_looks_like_one_is_made_reliable() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let bare = without(&invite("1001", CALLER, "1002", "call1"), "Content-Type")
        .replace("Length: 4", "Length: 0")
        .trim_end_matches("v=0~")
        .to_owned();
    bed.receive(CALLER, &with(&bare, "Require: 100rel"));
    bed.take(CALLER);
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &with(&answer(&offer, 183, "callee", CALLEE, "preview"), SDP));
    let progress = bed.one(CALLER);
    assert!(progress.body().is_empty() && progress.header(HeaderName::ContentType).is_none());
}

#[test]
fn for_a_caller_who_does_not_know_them_this_server_acknowledges() {
    let mut bed = Bed::with(alone());
    let offer = offered(&mut bed, "");
    assert!(offer.has_token(HeaderName::Supported, b"100rel"));
    let reliable = |rseq| {
        with(
            &answer(&offer, 183, "callee", CALLEE, "early"),
            &format!("Require: 100rel\nRSeq: {rseq}\n{SDP}"),
        )
    };
    bed.receive(CALLEE, &reliable(41));
    let prack = bed.one(CALLEE);
    assert_eq!(line(&prack), format!("PRACK sip:x@{CALLEE} SIP/2.0"));
    assert_eq!(
        (header(&prack, HeaderName::RAck), header(&prack, HeaderName::CSeq)),
        ("41 1 INVITE".into(), "2 PRACK".into())
    );
    let progress = bed.one(CALLER);
    assert_eq!((progress.code(), body(&progress).as_str()), (Some(183), "early"));
    assert!(progress.header(HeaderName::RSeq).is_none() && progress.header(HeaderName::Require).is_none());
    bed.receive(CALLEE, &answer(&prack, 200, "", CALLEE, ""));
    bed.receive(CALLEE, &reliable(41));
    bed.receive(CALLEE, &reliable(43));
    assert!(bed.sent.is_empty(), "one that came before and one out of turn are dropped");
    bed.receive(CALLEE, &answer(&offer, 200, "callee", CALLEE, ""));
    let ok = bed.one(CALLER);
    assert_eq!(body(&ok), "early", "the caller has not seen it reliably");
    assert_eq!(header(&ok, HeaderName::ContentType), "application/sdp");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(header(&bed.one(CALLEE), HeaderName::CSeq), "3 BYE");
}

#[test]
fn nobody_is_asked_for_them_where_that_is_switched_off_or_nothing_is_offered() {
    let off = directory(|options, extensions, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = tandem_peer::trunk::TrunkOptions::default());
        for extension in extensions {
            std::sync::Arc::make_mut(&mut extension.class).sip_enable_100rel = false;
        }
    });
    let mut bed = Bed::with(off);
    assert!(!offered(&mut bed, "").has_token(HeaderName::Supported, b"100rel"));
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    let bare = without(&invite("1001", CALLER, "1002", "call1"), "Content-Type")
        .replace("Length: 4", "Length: 0")
        .trim_end_matches("v=0~")
        .to_owned();
    bed.receive(CALLER, &bare);
    assert!(!bed.one(CALLEE).has_token(HeaderName::Supported, b"100rel"));
}

#[test]
fn two_callees_who_ring_reliably_are_each_acknowledged_in_their_own_dialog() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.register("1002", OTHER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    bed.take(CALLER);
    for (at, rseq) in [(CALLEE, 5), (OTHER, 900)] {
        let offer = bed.one(at);
        bed.receive(at, &with(&answer(&offer, 180, at, at, ""), &format!("Require: 100rel\nRSeq: {rseq}")));
        assert_eq!(header(&bed.one(at), HeaderName::RAck), format!("{rseq} 1 INVITE"));
    }
    let told = bed.take(CALLER);
    assert_eq!(codes(&told), [180, 180]);
    assert_ne!(header(&told[0], HeaderName::To), header(&told[1], HeaderName::To), "a tag for each");
}
