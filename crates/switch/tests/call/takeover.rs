//! INVITE with `Replaces` (RFC 3891): somebody takes a party's place in an answered call.

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::Watchers;

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, answer, body, codes, directory, from_callee, header, in_dialog, invite, line,
    sdp, with,
};

/// 1001 talks with 1002, whose calls 1004 may watch. What 1001 was answered, and the INVITE that 1002 got.
#[track_caller]
fn talking() -> (Bed, Message, Message) {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        options.events.dialog_watchers = Watchers::Only(["1004".into()].into());
    }));
    bed.register("1004", OTHER);
    let (ok, offered) = bed.established();
    (bed, ok, offered)
}

fn tag_of(value: &str) -> &str {
    value.split(";tag=").nth(1).unwrap_or_default()
}

/// `Replaces` of the call's dialog with 1002, told from this server's end.
fn place_of_callee(offered: &Message) -> String {
    let ours = header(offered, HeaderName::From);
    format!("Replaces: {};to-tag={};from-tag=callee", header(offered, HeaderName::CallId), tag_of(&ours))
}

/// 1004's INVITE, with its own description.
fn wants(replaces: &str) -> String {
    let plain = invite("1004", OTHER, "1002", "pick1");
    let (head, _) = plain.split_once("Content-Length").unwrap();
    let offer = sdp("other", "sendrecv");
    with(&format!("{head}Content-Length: {}\n\n{offer}", offer.len()), replaces)
}

fn last(messages: &[Message]) -> Option<u16> {
    codes(messages).last().copied()
}

#[test]
fn who_takes_a_place_has_the_other_party_and_who_had_it_is_released() {
    let (mut bed, ok, offered) = talking();
    bed.receive(OTHER, &wants(&place_of_callee(&offered)));
    assert_eq!(codes(&bed.take(OTHER)), [100]);
    assert!(bed.take(CALLEE).is_empty(), "nothing is decided yet");
    let asked = bed.one(CALLER);
    assert!(line(&asked).starts_with("INVITE ") && body(&asked).contains("m=audio 4000"));
    assert!(body(&asked).contains("IN IP4 10.0.0.1"), "the session is this server's");
    bed.receive(CALLER, &answer(&asked, 200, "", CALLER, &sdp("caller", "sendrecv")));
    let told = bed.one(OTHER);
    assert_eq!((told.code(), body(&told).contains("o=caller")), (Some(200), true));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.receive(OTHER, &in_dialog(&told, "ACK", 1, OTHER, ""));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("ACK ")));
    bed.receive(OTHER, &in_dialog(&told, "INFO", 2, OTHER, "hello"));
    assert_eq!(body(&bed.one(CALLER)), "hello");
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
    let reasons: Vec<_> =
        bed.cdrs[0].legs.iter().map(|leg| (leg.device.as_str(), leg.reason.as_str())).collect();
    assert_eq!(reasons, [("1001", "BYE"), ("1002", "somebody took its place"), ("1004", "BYE")]);
}

#[test]
fn a_place_that_the_other_party_does_not_give_stays_taken() {
    for code in [488, 491, 500] {
        let (mut bed, ok, offered) = talking();
        bed.receive(OTHER, &wants(&place_of_callee(&offered)));
        let asked = bed.one(CALLER);
        bed.receive(CALLER, &answer(&asked, code, "", CALLER, ""));
        assert_eq!(last(&bed.take(OTHER)), Some(code));
        assert!(bed.take(CALLEE).is_empty());
        bed.take(CALLER);
        bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, "still here"));
        assert_eq!(body(&bed.one(CALLEE)), "still here");
        bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
        bed.nothing_stays();
    }
}

#[test]
fn a_party_that_hangs_up_meanwhile_ends_it_for_all() {
    let (mut bed, ok, offered) = talking();
    bed.receive(OTHER, &wants(&place_of_callee(&offered)));
    let asked = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert!(codes(&bed.take(OTHER)).contains(&487));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")));
    bed.receive(CALLER, &answer(&asked, 487, "", CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn each_dialog_that_cannot_be_replaced_has_its_own_answer() {
    let (mut bed, ok, offered) = talking();
    let place = place_of_callee(&offered);
    let asks = |bed: &mut Bed, text: String| {
        bed.receive(OTHER, &text);
        last(&bed.take(OTHER))
    };
    let again = |text: String, id: &str| text.replace("pick1", id);
    assert_eq!(asks(&mut bed, wants("Replaces: x;to-tag=1;from-tag=2")), Some(481));
    assert_eq!(asks(&mut bed, again(wants("Replaces: x"), "p2")), Some(400));
    assert_eq!(asks(&mut bed, again(wants(&format!("{place}\n{place}")), "p3")), Some(400));
    assert_eq!(asks(&mut bed, again(wants(&format!("{place};early-only")), "p4")), Some(486));
    assert_eq!(asks(&mut bed, again(wants(&place.replace("callee", "nobody")), "p5")), Some(481));
    // 1003 is not named as one who may.
    let stranger = again(wants(&place), "p6").replace("sip:1004@caller", "sip:1003@caller");
    assert_eq!(asks(&mut bed, stranger), Some(403));
    assert!(bed.take(CALLER).is_empty() && bed.take(CALLEE).is_empty());
    // While it ends there is nothing to take.
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(asks(&mut bed, again(wants(&place), "p7")), Some(603));
}

#[test]
fn a_second_phone_of_the_same_extension_may_take_its_call() {
    let (mut bed, _, offered) = talking();
    bed.register("1002", "10.0.0.14:5060");
    let text = wants(&place_of_callee(&offered)).replace("sip:1004@caller", "sip:1002@caller");
    bed.receive("10.0.0.14:5060", &text.replace(OTHER, "10.0.0.14:5060"));
    assert_eq!(codes(&bed.take("10.0.0.14:5060")), [100]);
    assert!(line(&bed.one(CALLER)).starts_with("INVITE "));
}

#[test]
fn a_party_that_hangs_up_before_its_place_is_refused_ends_the_call() {
    for code in [200, 488] {
        let (mut bed, _, offered) = talking();
        bed.receive(OTHER, &wants(&place_of_callee(&offered)));
        let asked = bed.one(CALLER);
        bed.receive(CALLEE, &from_callee(&offered, "callee", "INFO", 1, CALLEE, "x"));
        bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 2, CALLEE, ""));
        assert_eq!(codes(&bed.take(CALLEE)), [491, 200]);
        bed.receive(CALLER, &answer(&asked, code, "", CALLER, &sdp("caller", "sendrecv")));
        let told = bed.take(CALLER);
        assert_eq!(told.iter().any(|message| line(message).starts_with("BYE ")), code == 488, "{code}");
        assert!(bed.take(CALLEE).is_empty());
    }
}
