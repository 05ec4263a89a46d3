//! Devices whose media a media server carries, and who take a call or a party's place (INVITE with `Replaces`).

use std::time::Duration;

use tandem_sip::{HeaderName, Message};
use tandem_switch::anchor::{End, MediaChoice, Part};
use tandem_switch::limits::ANCHOR_SWEEP_EVERY;

use crate::anchored::{browser, office_with, phone, saying};
use crate::support::{
    Bed, CALLEE, CALLER, OTHER, answer, body, codes, from_callee, header, in_dialog, invite, line, with,
};

/// 1004's leg is anchored so; 1001 and 1002 are plain phones, and 1002 rings for 1001.
#[track_caller]
fn ringing(choice: MediaChoice, media: bool) -> (Bed, Message) {
    let mut bed = Bed::with(office_with(media, move |number| (number == "1004").then_some(choice)));
    for (dn, at) in [("1001", CALLER), ("1002", CALLEE), ("1004", OTHER)] {
        bed.register(dn, at);
    }
    bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &phone("caller")));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    (bed, offered)
}

/// The same, answered.
#[track_caller]
fn talking(choice: MediaChoice, media: bool) -> (Bed, Message) {
    let (mut bed, offered) = ringing(choice, media);
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("callee")));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    (bed, offered)
}

/// 1004's INVITE.
fn takes(offered: &Message, sdp: &str) -> String {
    let ours = header(offered, HeaderName::From);
    let tag = ours.split(";tag=").nth(1).unwrap();
    let id = header(offered, HeaderName::CallId);
    let replaces = format!("Replaces: {id};to-tag={tag};from-tag=callee");
    with(&saying(&invite("1004", OTHER, "1001", "take1"), sdp), &replaces)
}

#[test]
fn a_browser_that_takes_a_ringing_call_is_bridged_to_its_caller() {
    let (mut bed, offered) = ringing(MediaChoice::WebRtc, true);
    bed.receive(OTHER, &takes(&offered, &browser("taker")));
    assert_eq!(codes(&bed.take(OTHER)), [100]);
    assert!(bed.take(CALLEE).is_empty(), "it rings until the media server has described the offer");
    bed.describes(End::Far, Part::Offer);
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("CANCEL ")));
    bed.describes(End::Near, Part::Answer);
    let ok = bed.one(OTHER);
    assert!(body(&ok).contains("UDP/TLS/RTP/SAVPF") && body(&ok).contains("a=inactive"));
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
    bed.describes(End::Near, Part::Offer);
    let asked = bed.one(OTHER);
    assert!(line(&asked).starts_with("INVITE ") && body(&asked).contains("m=audio 40000"));
    assert!(body(&asked).contains("UDP/TLS/RTP/SAVPF"));
    bed.receive(OTHER, &saying(&answer(&asked, 200, "", OTHER, ""), &browser("taker")));
    bed.describes(End::Far, Part::Answer);
    let told = bed.one(CALLER);
    assert_eq!((told.code(), body(&told).contains("RTP/AVP")), (Some(200), true));
    bed.receive(CALLER, &in_dialog(&told, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(OTHER)).starts_with("ACK "));
    bed.receive(CALLER, &in_dialog(&told, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    bed.released();
}

#[test]
fn a_browser_that_takes_a_partys_place_is_bridged_to_the_other_one() {
    let (mut bed, offered) = talking(MediaChoice::WebRtc, true);
    bed.receive(OTHER, &takes(&offered, &browser("taker")));
    assert_eq!(codes(&bed.take(OTHER)), [100]);
    bed.describes(End::Far, Part::Offer);
    let asked = bed.one(CALLER);
    assert!(line(&asked).starts_with("INVITE ") && body(&asked).contains("RTP/AVP"));
    bed.receive(CALLER, &saying(&answer(&asked, 200, "", CALLER, ""), &phone("caller")));
    bed.describes(End::Near, Part::Answer);
    let ok = bed.take(OTHER).pop().unwrap();
    assert_eq!((ok.code(), body(&ok).contains("SAVPF")), (Some(200), true));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
    bed.receive(OTHER, &in_dialog(&ok, "BYE", 2, OTHER, ""));
    bed.nothing_stays();
    bed.released();
}

#[test]
fn a_plain_phone_that_is_to_be_anchored_takes_calls_without_a_media_server_where_there_is_none() {
    for media in [false, true] {
        let (mut bed, offered) = ringing(MediaChoice::Anchor, media);
        bed.receive(OTHER, &takes(&offered, &phone("taker")));
        if media {
            bed.fails(false);
        }
        let ok = bed.take(OTHER).pop().unwrap();
        assert_eq!(ok.code(), Some(200), "media {media}");
        bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
        let asked = bed.one(OTHER);
        assert!(body(&asked).contains("o=") && body(&asked).contains("m=audio 4000"), "the caller's own");
        assert!(bed.anchors.is_empty());
    }
    let (mut bed, offered) = talking(MediaChoice::Anchor, false);
    bed.receive(OTHER, &takes(&offered, &phone("taker")));
    assert!(line(&bed.one(CALLER)).starts_with("INVITE "));
}

#[test]
fn a_browser_that_no_media_server_bridges_takes_nothing_and_is_told_why() {
    for media in [false, true] {
        let (mut bed, offered) = ringing(MediaChoice::WebRtc, media);
        bed.receive(OTHER, &takes(&offered, &browser("taker")));
        if media {
            bed.fails(true);
        }
        let told = bed.take(OTHER).pop().unwrap();
        assert_eq!(told.code(), Some(488));
        assert!(header(&told, HeaderName::Warning).contains("tandem"), "{media}");
        assert!(bed.take(CALLEE).is_empty(), "it rings on");
    }
}

#[test]
fn a_taker_who_waits_for_his_description_is_not_swept_away() {
    let (mut bed, offered) = ringing(MediaChoice::WebRtc, true);
    // The first anchored leg sets the clock of the sweep.
    bed.receive(OTHER, &takes(&offered, &browser("taker")));
    bed.fails(true);
    bed.take(OTHER);
    bed.pass(ANCHOR_SWEEP_EVERY.saturating_sub(Duration::from_millis(500)));
    bed.receive(OTHER, &takes(&offered, &browser("taker")).replace("take1", "take2"));
    let asked = std::mem::take(&mut bed.anchors);
    bed.pass(Duration::from_secs(1));
    bed.released();
    bed.anchors.extend(asked);
    bed.describes(End::Far, Part::Offer);
    bed.describes(End::Near, Part::Answer);
    assert!(codes(&bed.take(OTHER)).ends_with(&[100, 200]));
}

#[test]
fn a_call_that_is_answered_while_the_taker_is_described_is_taken_over_or_not_as_it_is_then() {
    let (mut bed, offered) = ringing(MediaChoice::WebRtc, true);
    bed.receive(OTHER, &takes(&offered, &browser("taker")).replace(";from-tag", ";early-only;from-tag"));
    bed.take(OTHER);
    bed.receive(CALLEE, &saying(&answer(&offered, 200, "callee", CALLEE, ""), &phone("callee")));
    bed.take(CALLER);
    bed.describes(End::Far, Part::Offer);
    assert_eq!(codes(&bed.take(OTHER)), [486]);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    bed.nothing_stays();
    bed.released();
}

#[test]
fn where_no_media_server_stands_before_a_browser_only_another_browser_takes_its_call() {
    for (choice, offer, code) in [
        (MediaChoice::Auto, phone("taker"), 488),
        (MediaChoice::Anchor, phone("taker"), 488),
        (MediaChoice::WebRtc, browser("taker"), 200),
    ] {
        let browsers = move |number: &str| match number {
            "1004" => Some(choice),
            _ => Some(MediaChoice::WebRtc),
        };
        let mut bed = Bed::with(office_with(false, browsers));
        for (dn, at) in [("1001", CALLER), ("1002", CALLEE), ("1004", OTHER)] {
            bed.register(dn, at);
        }
        bed.receive(CALLER, &saying(&invite("1001", CALLER, "1002", "call1"), &browser("caller")));
        bed.take(CALLER);
        let offered = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
        bed.receive(OTHER, &takes(&offered, &offer));
        assert_eq!(codes(&bed.take(OTHER)), [code], "{choice:?}");
    }
}
