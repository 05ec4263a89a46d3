//! The flows of RFC 3665 section 3, with this server where the proxies are: what each party sends and gets, in order.

use std::time::Duration;

use tandem_sip::auth::{self, Challenge, Login};
use tandem_sip::{HeaderName, Message};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, alone, answer, body, cancel_of, codes, directory, from_callee,
    header, in_dialog, invite, line, with, without,
};

const OFFER: &str = "v=0~o=alice 2890844526 2890844526 IN IP4 client.atlanta.example.com~s=-~c=IN IP4 192.0.2.101~t=0 0~\
     m=audio 49172 RTP/AVP 0~a=rtpmap:0 PCMU/8000~";
const ANSWER: &str = "v=0~o=bob 2890844527 2890844527 IN IP4 client.biloxi.example.com~s=-~c=IN IP4 192.0.2.201~t=0 0~\
     m=audio 3456 RTP/AVP 0~a=rtpmap:0 PCMU/8000~";

fn text(sdp: &str) -> String {
    sdp.replace('~', "\u{1}")
}

fn said(sdp: &str) -> String {
    sdp.replace('~', "\n")
}

/// F1: alice's INVITE, with her offer or without one.
fn f1(offer: Option<&str>) -> String {
    let whole = invite("1001", CALLER, "1002", "3848276298220188511@atlanta.example.com");
    let described = offer.map(text).unwrap_or_default();
    let whole =
        whole.replace("v=0~", &described).replace("Length: 4", &format!("Length: {}", described.len()));
    if offer.is_some() { whole } else { without(&whole, "Content-Type") }
}

/// F1 is sent and reaches bob.
#[track_caller]
fn reaches_bob(bed: &mut Bed, f1: &str) -> Message {
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.receive(CALLER, f1);
    assert_eq!(codes(&bed.take(CALLER)), [100]);
    bed.one(CALLEE)
}

#[track_caller]
fn rings(bed: &mut Bed, f2: &Message) {
    bed.receive(CALLEE, &answer(f2, 180, "314159", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [180]);
}

#[track_caller]
fn answers(bed: &mut Bed, f2: &Message, described: &str) -> Message {
    let ok = with(&answer(f2, 200, "314159", CALLEE, &text(described)), "Content-Type: application/sdp");
    bed.receive(CALLEE, &ok);
    bed.one(CALLER)
}

/// A final response, and its ACK.
#[track_caller]
fn refuses(bed: &mut Bed, f2: &Message, code: u16) -> Message {
    bed.receive(CALLEE, &answer(f2, code, "314159", CALLEE, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    let told = bed.one(CALLER);
    let ack = in_dialog(&told, "INVITE", 1, CALLER, "")
        .replace("INVITE sip", "ACK sip")
        .replace(" INVITE\n", " ACK\n");
    bed.receive(
        CALLER,
        &ack.replace("z9hG4bKINVITE110.0.0.11:5060", "z9hG4bK3848276298220188511@atlanta.example.com"),
    );
    told
}

#[track_caller]
fn bob_hangs_up(bed: &mut Bed, f2: &Message) {
    bed.receive(CALLEE, &from_callee(f2, "314159", "BYE", 1, CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [200]);
    let bye = bed.one(CALLER);
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(CALLER, &answer(&bye, 200, "", CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn section_3_1_successful_session_establishment() {
    let mut bed = Bed::with(alone());
    let f2 = reaches_bob(&mut bed, &f1(Some(OFFER)));
    assert_eq!(body(&f2), said(OFFER));
    rings(&mut bed, &f2);
    let ok = answers(&mut bed, &f2, ANSWER);
    assert_eq!(body(&ok), said(ANSWER));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bob_hangs_up(&mut bed, &f2);
}

#[test]
fn section_3_2_session_establishment_through_proxies_on_both_sides() {
    let mut bed = Bed::with(alone());
    let f1 = with(&f1(Some(OFFER)), "Record-Route: <sip:10.0.0.11:5060;lr>");
    let f2 = reaches_bob(&mut bed, &f1);
    assert!(f2.header(HeaderName::RecordRoute).is_none(), "a dialog of its own");
    let route = "Record-Route: <sip:10.0.0.12:5060;lr>, <sip:far.example.com;lr>";
    bed.receive(CALLEE, &with(&answer(&f2, 180, "314159", "10.0.9.9:5060", ""), route));
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    bed.receive(CALLEE, &with(&answer(&f2, 200, "314159", "10.0.9.9:5060", "answer"), route));
    let ok = bed.one(CALLER);
    assert_eq!(header(&ok, HeaderName::RecordRoute), "<sip:10.0.0.11:5060;lr>");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    let ack = bed.one(CALLEE);
    assert_eq!(line(&ack), "ACK sip:x@10.0.9.9:5060 SIP/2.0");
    let routes: Vec<&[u8]> = ack.values(HeaderName::Route).collect();
    assert_eq!(routes, [&b"<sip:far.example.com;lr>"[..], b"<sip:10.0.0.12:5060;lr>"], "in reverse");
    bed.receive(CALLEE, &from_callee(&f2, "314159", "BYE", 1, CALLEE, ""));
    let bye = bed.one(CALLER);
    assert_eq!(header(&bye, HeaderName::Route), "<sip:10.0.0.11:5060;lr>");
}

#[test]
fn section_3_3_session_establishment_with_authentication() {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.authenticate.invite = true;
        trunks.iter_mut().for_each(|trunk| trunk.oos = tandem_peer::trunk::TrunkOptions::default());
    }));
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &f1(Some(OFFER)));
    let told = bed.one(CALLER);
    assert_eq!(told.code(), Some(401), "this server is the far end of alice's dialog, not a proxy");
    assert!(bed.take(CALLEE).is_empty(), "nobody rings before that");
    let challenge = Challenge::best(told.lines(HeaderName::WwwAuthenticate)).unwrap();
    let login = Login { user: b"1001", password: b"secret-1001" };
    let value = auth::answer(&challenge, login, b"INVITE", b"sip:1002@10.0.0.1", b"c", 1);
    let again = f1(Some(OFFER)).replace("1 INVITE", "2 INVITE").replace("z9hG4bK", "z9hG4bKagain");
    bed.receive(CALLER, &with(&again, &format!("Authorization: {}", String::from_utf8(value).unwrap())));
    assert_eq!(codes(&bed.take(CALLER)), [100]);
    let f2 = bed.one(CALLEE);
    assert!(f2.header(HeaderName::Authorization).is_none(), "what proves alice stays here");
    assert_eq!(answers(&mut bed, &f2, ANSWER).code(), Some(200));
}

#[test]
fn section_3_4_session_with_a_first_way_that_fails() {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = tandem_peer::trunk::TrunkOptions::default());
    }));
    bed.register("1002", CALLEE);
    bed.register("1002", OTHER);
    bed.receive(CALLER, &f1(Some(OFFER)));
    bed.take(CALLER);
    let [silent, other] = [bed.one(CALLEE), bed.one(OTHER)];
    bed.receive(OTHER, &answer(&other, 180, "314159", OTHER, ""));
    bed.pass(Duration::from_secs(33));
    assert_eq!(codes(&bed.take(CALLER)), [180], "the way that fails is no answer to alice");
    bed.receive(OTHER, &answer(&other, 200, "314159", OTHER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    drop(silent);
}

#[test]
fn section_3_6_session_with_the_answer_in_the_ack() {
    let mut bed = Bed::with(alone());
    let f2 = reaches_bob(&mut bed, &f1(None));
    assert!(f2.body().is_empty());
    rings(&mut bed, &f2);
    let ok = answers(&mut bed, &f2, OFFER);
    assert_eq!(body(&ok), said(OFFER), "bob offers");
    let ack = with(&in_dialog(&ok, "ACK", 1, CALLER, &text(ANSWER)), "Content-Type: application/sdp");
    bed.receive(CALLER, &ack);
    let passed = bed.one(CALLEE);
    assert_eq!(
        (body(&passed), header(&passed, HeaderName::ContentType)),
        (said(ANSWER), "application/sdp".into())
    );
    bob_hangs_up(&mut bed, &f2);
}

#[test]
fn section_3_7_session_with_reinvite_after_a_change_of_address() {
    let mut bed = Bed::with(alone());
    let f2 = reaches_bob(&mut bed, &f1(Some(OFFER)));
    let ok = answers(&mut bed, &f2, ANSWER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    let moved =
        OFFER.replace("2890844526 2890844526", "2890844526 2890844527").replace("192.0.2.101", "192.0.2.103");
    bed.receive(
        CALLER,
        &with(&in_dialog(&ok, "INVITE", 2, OTHER, &text(&moved)), "Content-Type: application/sdp"),
    );
    bed.sent.retain(|(_, message)| message.code().is_none());
    let f13 = bed.one(CALLEE);
    assert_eq!(body(&f13), said(&moved));
    let agreed = with(&answer(&f13, 200, "", CALLEE, &text(ANSWER)), "Content-Type: application/sdp");
    bed.receive(CALLEE, &agreed);
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 2, OTHER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.sent.clear();
    bed.receive(CALLEE, &from_callee(&f2, "314159", "BYE", 1, CALLEE, ""));
    assert!(line(&bed.one(OTHER)).starts_with(&format!("BYE sip:c@{OTHER}")), "where alice is now");
}

#[test]
fn section_3_8_unsuccessful_no_answer() {
    let mut bed = Bed::with(alone());
    let f1 = f1(Some(OFFER));
    let f2 = reaches_bob(&mut bed, &f1);
    rings(&mut bed, &f2);
    bed.receive(CALLER, &cancel_of(&f1));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    let cancel = bed.one(CALLEE);
    assert!(line(&cancel).starts_with("CANCEL "));
    bed.receive(CALLEE, &without(&answer(&cancel, 200, "314159", CALLEE, ""), "Contact"));
    bed.receive(CALLEE, &answer(&f2, 487, "314159", CALLEE, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.nothing_stays();
}

#[test]
fn section_3_9_unsuccessful_busy() {
    let mut bed = Bed::with(alone());
    let f2 = reaches_bob(&mut bed, &f1(Some(OFFER)));
    assert_eq!(refuses(&mut bed, &f2, 486).code(), Some(486));
    bed.nothing_stays();
}

#[test]
fn section_3_10_unsuccessful_no_response() {
    let mut bed = Bed::with(alone());
    let f2 = reaches_bob(&mut bed, &f1(Some(OFFER)));
    bed.pass(Duration::from_secs(32));
    let repeats = bed.lines(CALLEE);
    assert_eq!(repeats.len(), 6, "RFC 3261 17.1.1.2: after 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s");
    assert!(repeats.iter().all(|repeat| *repeat == line(&f2)));
    assert_eq!(codes(&bed.take(CALLER)), [408]);
    bed.nothing_stays();
}

#[test]
fn section_3_11_unsuccessful_temporarily_unavailable() {
    let mut bed = Bed::with(alone());
    let f2 = reaches_bob(&mut bed, &f1(Some(OFFER)));
    rings(&mut bed, &f2);
    assert_eq!(refuses(&mut bed, &f2, 480).code(), Some(480));
    assert!(bed.take(GATEWAY).is_empty());
    bed.nothing_stays();
}
