//! Calls that requests make (RFC 3725 flow IV): the caller's own phone first, without an offer, then the destination.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::{HeaderName, Message, Transport};
use tandem_switch::arena::Key;
use tandem_switch::call::control::{Make, Operation};
use tandem_switch::call::{EndReason, Far, News, Ticket};
use tandem_switch::cdr::EndedBy;
use tandem_switch::directory::{AnswerMode, DnClass};

use crate::floor::{QUEUE, bed, made, on_to};
use crate::support::{Bed, CALLEE, CALLER, OTHER, answer, directory, from_callee, header, line};

const OFFER: &str =
    "v=0\r\no=- 5 1 IN IP4 10.0.0.11\r\ns=-\r\nc=IN IP4 10.0.0.11\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const OTHERS: &str =
    "v=0\r\no=- 9 1 IN IP4 10.0.0.12\r\ns=-\r\nc=IN IP4 10.0.0.12\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";

/// A 200 with a session description.
fn ok(request: &Message, tag: &str, at: &str, body: &str) -> String {
    let text = answer(request, 200, tag, at, body).replace('\r', "");
    // The support's newlines become CRLF when they are received.
    let length = body.len();
    let (head, body) = text.split_once("\n\n").unwrap();
    let head: Vec<String> = head
        .lines()
        .map(|line| {
            if line.starts_with("Content-Length") { format!("Content-Length: {length}") } else { line.into() }
        })
        .collect();
    format!("{}\nContent-Type: application/sdp\n\n{body}", head.join("\n"))
}

/// 1001's phone is called for a call to 1002, and both are registered.
#[track_caller]
fn called(bed: &mut Bed) -> (Key, Message) {
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let key = bed.make(made()).unwrap();
    (key, bed.one(CALLER))
}

/// Its phone has answered, and 1002's is called.
#[track_caller]
fn half_made(bed: &mut Bed) -> (Key, Message, Message) {
    let (key, first) = called(bed);
    bed.receive(CALLER, &ok(&first, "own", CALLER, OFFER));
    let ack = bed.one(CALLER);
    assert!(line(&ack).starts_with("ACK "));
    (key, first, bed.one(CALLEE))
}

#[test]
fn the_own_phone_is_called_without_an_offer_and_answered_inactively() {
    let mut bed = bed();
    let (_, first) = called(&mut bed);
    assert!(first.body().is_empty());
    assert!(header(&first, HeaderName::From).starts_with("<sip:1002@10.0.0.1:5060>;tag="));
    assert_eq!(header(&first, HeaderName::To), "<sip:1001@10.0.0.1:5060>");
    let told = bed.news();
    assert!(
        matches!(&told[..], [News::Opened { origin: Far::Extension(dn), from, to, ticket: Some(Ticket(7)), parked: None, .. }]
            if &**dn == "1001" && &**from == "1001" && &**to == "1002"),
        "{told:?}"
    );
    bed.receive(CALLER, &answer(&first, 180, "own", CALLER, ""));
    assert!(bed.news().is_empty(), "one's own phone does not ring for anybody");
    bed.receive(CALLER, &ok(&first, "own", CALLER, OFFER));
    let ack = bed.one(CALLER);
    let body = String::from_utf8(ack.body().to_vec()).unwrap();
    assert!(body.contains("a=inactive") && body.contains("m=audio "), "{body}");
    let second = bed.one(CALLEE);
    assert!(second.body().is_empty());
    assert!(header(&second, HeaderName::From).starts_with("<sip:1001@10.0.0.1:5060>;tag="));
    let told = bed.news();
    assert!(matches!(&told[..], [News::Answered { leg: 0 }, News::Offered { leg: 1, .. }]), "{told:?}");
}

#[test]
fn both_phones_talk_when_the_second_has_answered() {
    let mut bed = bed();
    let (_, first, second) = half_made(&mut bed);
    bed.news();
    bed.receive(CALLEE, &answer(&second, 180, "far", CALLEE, ""));
    bed.receive(CALLEE, &ok(&second, "far", CALLEE, OTHERS));
    let reinvite = bed.one(CALLER);
    assert!(line(&reinvite).starts_with("INVITE "), "{}", line(&reinvite));
    assert!(String::from_utf8_lossy(reinvite.body()).contains("m=audio 6000 "));
    bed.receive(CALLER, &ok(&reinvite, "", CALLER, OFFER));
    assert!(line(&bed.one(CALLER)).starts_with("ACK "));
    let ack = bed.one(CALLEE);
    assert!(line(&ack).starts_with("ACK ") && String::from_utf8_lossy(ack.body()).contains("m=audio 4000 "));
    let told = bed.news();
    assert!(matches!(&told[..2], [News::Ringing { leg: 1 }, News::Answered { leg: 1 }]), "{told:?}");
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.receive(CALLER, &from_callee(&first, "own", "BYE", 1, CALLER, ""));
    let bye = bed.one(CALLEE);
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    bed.nothing_stays();
    let legs: Vec<(&str, &str, u16)> =
        bed.cdrs[0].legs.iter().map(|leg| (leg.side, leg.device.as_str(), leg.status)).collect();
    assert_eq!(legs, [("caller", "1001", 200), ("callee", "1002", 200)]);
}

#[test]
fn a_phone_is_asked_to_answer_by_itself_as_its_dn_says() {
    let mut bed = Bed::with(directory(|options, extensions, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        let answer = AnswerMode {
            make_call_alert_info: Some("<file://auto>".into()),
            make_call_call_info: Some("<sip:local>;answer-after=0".into()),
            ..AnswerMode::default()
        };
        extensions[0].class = Arc::new(DnClass { answer, ..DnClass::default() });
    }));
    bed.node.overhear();
    let (_, first) = called(&mut bed);
    assert_eq!(header(&first, HeaderName::AlertInfo), "<file://auto>");
    assert_eq!(header(&first, HeaderName::CallInfo), "<sip:local>;answer-after=0");
    bed.receive(CALLER, &ok(&first, "own", CALLER, OFFER));
    let second = bed.one(CALLEE);
    assert_eq!(second.header(HeaderName::AlertInfo), None, "the destination's phone rings");
}

#[test]
fn a_dn_without_a_phone_makes_no_call_and_nothing_is_told() {
    let mut bed = bed();
    assert_eq!(bed.make(made()), Err(480));
    assert!(bed.news().is_empty());
    assert_eq!(bed.node.counters().calls, 0);
    bed.nothing_stays();
}

#[test]
fn the_own_phone_refuses_is_silent_or_cannot_be_reached() {
    for how in ["refuses", "is silent", "is gone", "rings on"] {
        let mut bed = bed();
        let (_, first) = called(&mut bed);
        bed.news();
        let wanted = match how {
            "refuses" => {
                bed.receive(CALLER, &answer(&first, 486, "own", CALLER, ""));
                486
            }
            "is silent" => {
                bed.pass(Duration::from_secs(29));
                // ring-timeout comes first.
                bed.pass(Duration::from_secs(4));
                480
            }
            "rings on" => {
                bed.receive(CALLER, &answer(&first, 180, "own", CALLER, ""));
                bed.pass(Duration::from_secs(31));
                480
            }
            _ => {
                bed.refuse(CALLER, Transport::Udp);
                480
            }
        };
        let told = bed.news();
        assert_eq!(told.first(), Some(&News::Failed { status: wanted }), "{how}");
        assert!(bed.take(CALLEE).is_empty(), "the destination hears nothing: {how}");
        if how == "rings on" {
            assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("CANCEL ")));
            bed.receive(CALLER, &answer(&first, 487, "own", CALLER, ""));
        }
        bed.nothing_stays();
        assert_eq!(bed.cdrs[0].legs.len(), 1, "{how}");
    }
}

#[test]
fn one_of_the_own_phones_takes_the_call_and_the_others_stop_ringing() {
    let mut bed = bed();
    bed.register("1001", OTHER);
    let (_, first) = called(&mut bed);
    let other = bed.one(OTHER);
    bed.receive(CALLER, &answer(&first, 180, "own", CALLER, ""));
    bed.receive(OTHER, &ok(&other, "two", OTHER, OFFER));
    assert!(line(&bed.one(CALLER)).starts_with("CANCEL "));
    assert!(line(&bed.one(OTHER)).starts_with("ACK "));
    bed.receive(CALLER, &answer(&first, 487, "own", CALLER, ""));
    let second = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&second, 486, "far", CALLEE, ""));
    let told = bed.news();
    assert!(told.iter().all(|news| !matches!(news, News::Missed { leg: 0, .. })), "{told:?}");
    assert!(bed.lines(OTHER)[0].starts_with("BYE "));
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].sip_call_id, header(&other, HeaderName::CallId));
}

#[test]
fn a_phone_that_answers_without_an_offer_is_hung_up_on() {
    let mut bed = bed();
    let (_, first) = called(&mut bed);
    bed.receive(CALLER, &answer(&first, 200, "own", CALLER, ""));
    let sent = bed.lines(CALLER);
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "), "{sent:?}");
    assert!(bed.take(CALLEE).is_empty());
    bed.nothing_stays();
}

#[test]
fn a_destination_that_refuses_or_is_not_there_ends_the_first_leg_with_a_bye() {
    for registered in [true, false] {
        let mut bed = bed();
        bed.register("1001", CALLER);
        if registered {
            bed.register("1002", CALLEE);
        }
        bed.make(made()).unwrap();
        let first = bed.one(CALLER);
        bed.receive(CALLER, &ok(&first, "own", CALLER, OFFER));
        if registered {
            let second = bed.one(CALLEE);
            bed.receive(CALLEE, &answer(&second, 486, "far", CALLEE, ""));
        }
        let sent = bed.take(CALLER);
        assert!(line(&sent[0]).starts_with("ACK ") && line(&sent[1]).starts_with("BYE "));
        bed.receive(CALLER, &answer(&sent[1], 200, "", CALLER, ""));
        let status = if registered { 486 } else { 480 };
        let told = bed.news();
        assert_eq!(told[told.len() - 2..], [News::Failed { status }, News::Over]);
        bed.nothing_stays();
        assert_eq!(bed.cdrs[0].legs[0].status, 200);
    }
}

#[test]
fn the_caller_hangs_up_while_the_destination_rings() {
    let mut bed = bed();
    let (_, first, second) = half_made(&mut bed);
    bed.receive(CALLEE, &answer(&second, 180, "far", CALLEE, ""));
    bed.news();
    bed.receive(CALLER, &from_callee(&first, "own", "INVITE", 1, CALLER, ""));
    assert_eq!(bed.one(CALLER).code(), Some(491), "nobody to agree with yet");
    bed.receive(CALLER, &from_callee(&first, "own", "BYE", 2, CALLER, ""));
    assert_eq!(bed.one(CALLER).code(), Some(200));
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    assert!(matches!(
        &bed.news()[..],
        [
            News::Missed { leg: 1, reason: EndReason::CallerGone, .. },
            News::Ended { leg: 0, by: EndedBy::Caller, reason: EndReason::Bye }
        ]
    ));
    // Its answer crosses the CANCEL.
    bed.receive(CALLEE, &ok(&second, "far", CALLEE, OTHERS));
    let sent = bed.lines(CALLEE);
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "), "{sent:?}");
    bed.nothing_stays();
}

#[test]
fn a_made_call_is_released_by_request_at_every_moment() {
    let mut bed = bed();
    let (key, first) = called(&mut bed);
    assert_eq!(bed.steer(key, Operation::Redirect(on_to(3))), Err(491), "there is no callee yet");
    bed.receive(CALLER, &answer(&first, 180, "own", CALLER, ""));
    bed.steer(key, Operation::Release(0)).unwrap();
    assert!(line(&bed.one(CALLER)).starts_with("CANCEL "));
    bed.receive(CALLER, &answer(&first, 487, "own", CALLER, ""));
    bed.nothing_stays();

    bed.news();
    bed.take(CALLER);
    let key = bed.make(made()).unwrap();
    let first = bed.one(CALLER);
    bed.receive(CALLER, &ok(&first, "own", CALLER, OFFER));
    let second = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&second, 180, "far", CALLEE, ""));
    bed.take(CALLER);
    bed.steer(key, Operation::Clear).unwrap();
    assert!(line(&bed.one(CALLER)).starts_with("BYE "));
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    bed.receive(CALLEE, &answer(&second, 487, "far", CALLEE, ""));
    bed.nothing_stays();
}

#[test]
fn a_call_made_to_a_queue_waits_there_once_the_own_phone_has_answered() {
    let mut bed = bed();
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let make = Make { to: QUEUE.as_bytes().into(), stages: Vec::new(), park: Some(QUEUE.into()), ..made() };
    let key = bed.make(make).unwrap();
    let first = bed.one(CALLER);
    bed.receive(CALLER, &ok(&first, "own", CALLER, OFFER));
    let told = bed.news();
    assert!(
        matches!(&told[1..], [News::Answered { leg: 0 }, News::Parked { at }] if &**at == QUEUE),
        "{told:?}"
    );
    assert!(line(&bed.one(CALLER)).starts_with("ACK "));
    bed.pass(Duration::from_secs(300));
    assert!(bed.take(CALLER).is_empty(), "he is on the line: no responses any more");
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 486, "agent", CALLEE, ""));
    assert!(bed.take(CALLER).is_empty(), "he goes on waiting");
    assert!(matches!(bed.news().last(), Some(News::Unplaced { status: 486 })));
    bed.take(CALLEE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &ok(&offer, "agent", CALLEE, OTHERS));
    let reinvite = bed.one(CALLER);
    bed.receive(CALLER, &ok(&reinvite, "", CALLER, OFFER));
    bed.take(CALLER);
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.receive(CALLER, &from_callee(&first, "own", "BYE", 1, CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn a_number_that_is_no_user_part_is_escaped() {
    let mut bed = bed();
    bed.register("1001", CALLER);
    let to = b"9#1\r\nEvil: 1"[..].into();
    bed.make(Make { to, ..made() }).unwrap();
    let first = bed.one(CALLER);
    assert!(header(&first, HeaderName::From).starts_with("<sip:9%231%0D%0AEvil%3A%201@"));
    assert_eq!(first.other(b"Evil"), None);
}
