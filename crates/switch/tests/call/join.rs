//! A call made by request: its two parties are called one after the other, and connected.

use std::time::Duration;

use tandem_sip::{Message, Transport};
use tandem_switch::call::News;

use crate::support::{Bed, CALLEE, CALLER, alone, answer, body, codes, from_callee, line, sdp};

/// 1001's phone has taken the call and waits; 1002's phone rings. The INVITEs that the two got.
#[track_caller]
fn waiting() -> (Bed, Message, Message) {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = bed.made("1002");
    assert_eq!(own.body(), b"");
    bed.receive(CALLER, &answer(&own, 200, "own", CALLER, &sdp("caller", "sendrecv")));
    assert!(body(&bed.one(CALLER)).contains("a=inactive"), "an ACK that lets nothing flow");
    let offered = bed.one(CALLEE);
    assert_eq!(offered.body(), b"");
    bed.news();
    (bed, own, offered)
}

/// The callee has answered: his offer as the caller's phone gets it.
#[track_caller]
fn joining() -> (Bed, Message, Message, Message) {
    let (mut bed, own, offered) = waiting();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, &sdp("callee", "sendrecv")));
    assert!(bed.take(CALLEE).is_empty(), "his ACK waits for the answer");
    let offer = bed.one(CALLER);
    assert!(line(&offer).starts_with("INVITE ") && body(&offer).contains("a=sendrecv"));
    (bed, own, offered, offer)
}

fn version(message: &Message) -> String {
    let body = body(message);
    let origin = body.lines().find(|line| line.starts_with("o=")).expect("an origin");
    origin.split(' ').nth(2).expect("a version").to_owned()
}

#[test]
fn the_offer_of_who_answers_goes_to_who_waits_and_the_answer_back() {
    let (mut bed, _, offered, offer) = joining();
    assert_eq!(version(&offer), "2", "the session of the inactive answer goes on");
    bed.receive(CALLER, &answer(&offer, 200, "", CALLER, &sdp("caller", "sendrecv")));
    assert_eq!(bed.one(CALLER).body(), b"");
    let ack = bed.one(CALLEE);
    assert!(
        line(&ack).starts_with("ACK ") && body(&ack).contains("o=- ") && body(&ack).contains("a=sendrecv")
    );
    let told = bed.news();
    assert!(told.contains(&News::Answered { leg: 1 }), "{told:?}");
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, &sdp("callee", "sendrecv")));
    assert_eq!(bed.one(CALLEE).bytes(), ack.bytes(), "the ACK again");
    // Each side's session goes on in what the parties exchange themselves.
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, &sdp("callee", "sendonly")));
    let passed = bed.one(CALLER);
    assert_eq!((version(&passed).as_str(), body(&passed).contains("a=sendonly")), ("3", true));
    bed.receive(CALLER, &answer(&passed, 200, "", CALLER, &sdp("caller", "recvonly")));
    let back = bed.take(CALLEE).pop().unwrap();
    assert_eq!(version(&back), "2");
    assert_eq!(bed.news(), [News::Held { leg: 1 }]);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "ACK", 1, CALLEE, ""));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 2, CALLEE, ""));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs.len(), 2);
}

#[test]
fn who_waits_may_refuse_and_then_both_are_released() {
    for code in [488, 603, 481] {
        let (mut bed, _, _, offer) = joining();
        bed.receive(CALLER, &answer(&offer, code, "", CALLER, ""));
        let told = bed.take(CALLEE);
        assert!(line(&told[0]).starts_with("ACK ") && body(&told[0]).contains("a=inactive"), "{code}");
        assert!(line(&told[1]).starts_with("BYE "));
        bed.nothing_stays();
    }
}

#[test]
fn who_waits_hangs_up_while_the_two_are_connected() {
    let (mut bed, own, _, offer) = joining();
    bed.receive(CALLER, &from_callee(&own, "own", "BYE", 1, CALLER, ""));
    let told = bed.lines(CALLEE);
    assert!(told[0].starts_with("ACK ") && told[1].starts_with("BYE "), "{told:?}");
    bed.receive(CALLER, &answer(&offer, 487, "", CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn who_answered_hangs_up_before_he_is_acknowledged() {
    let (mut bed, _, offered, offer) = joining();
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert!(codes(&bed.take(CALLEE)).contains(&200));
    bed.receive(CALLER, &answer(&offer, 200, "", CALLER, &sdp("caller", "sendrecv")));
    let told = bed.lines(CALLER);
    assert!(
        told.iter().any(|line| line.starts_with("ACK ")) && told.iter().any(|line| line.starts_with("BYE "))
    );
    bed.nothing_stays();
}

#[test]
fn silence_of_who_waits_releases_both() {
    let (mut bed, ..) = joining();
    bed.pass(Duration::from_secs(33));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
}

#[test]
fn a_dead_transport_of_who_waits_releases_both() {
    let (mut bed, ..) = joining();
    bed.refuse(CALLER, Transport::Udp);
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
}

#[test]
fn an_answer_without_an_offer_cannot_be_connected() {
    let (mut bed, _, offered) = waiting();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(40));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
}

#[test]
fn glare_with_who_waits_is_tried_again_while_the_other_one_waits_for_his_ack() {
    let (mut bed, _, _, offer) = joining();
    bed.receive(CALLER, &answer(&offer, 491, "", CALLER, ""));
    bed.take(CALLER);
    bed.pass(Duration::from_millis(4_100));
    let again = bed.take(CALLER).pop().expect("the INVITE again");
    assert!(version(&again) > version(&offer));
    bed.receive(CALLER, &answer(&again, 200, "", CALLER, &sdp("caller", "sendrecv")));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("ACK ")));
}
