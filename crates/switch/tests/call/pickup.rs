//! INVITE with `Replaces` of an early dialog (RFC 3891, RFC 5359 2.16): somebody takes a call that rings elsewhere.

use std::time::Duration;

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::{Pickup, Watchers};

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, answer, body, cancel_of, codes, directory, from_callee, header, in_dialog,
    invite, line, sdp, with,
};

/// 1001, 1002 and 1004 are registered, and there is no other site.
#[track_caller]
fn office(watchers: Watchers, pickup: Pickup) -> Bed {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        (options.events.dialog_watchers, options.events.call_pickup) = (watchers, pickup);
    }));
    for (dn, at) in [("1001", CALLER), ("1002", CALLEE), ("1004", OTHER)] {
        bed.register(dn, at);
    }
    bed
}

/// 1002, whose calls 1004 may watch, rings for 1001. What it was sent.
#[track_caller]
fn ringing_with(watchers: Watchers, pickup: Pickup) -> (Bed, Message) {
    let mut bed = office(watchers, pickup);
    bed.receive(CALLER, &caller());
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    (bed, offered)
}

fn ringing() -> (Bed, Message) {
    ringing_with(Watchers::Only(["1004".into()].into()), Pickup::Named)
}

fn caller() -> String {
    described(&invite("1001", CALLER, "1002", "call1"), "caller")
}

/// An INVITE with a description of its sender's.
fn described(invite: &str, who: &str) -> String {
    let (head, _) = invite.split_once("Content-Length").unwrap();
    let offer = sdp(who, "sendrecv");
    format!("{head}Content-Length: {}\n\n{offer}", offer.len())
}

fn tag_of(value: &str) -> &str {
    value.split(";tag=").nth(1).unwrap_or_default()
}

/// `Replaces` of the dialog with 1002, told from this server's end.
fn place(offered: &Message) -> String {
    let ours = header(offered, HeaderName::From);
    format!("Replaces: {};to-tag={};from-tag=callee", header(offered, HeaderName::CallId), tag_of(&ours))
}

/// 1004's INVITE.
fn takes(replaces: &str) -> String {
    takes_as(replaces, "pick1")
}

fn takes_as(replaces: &str, id: &str) -> String {
    with(&described(&invite("1004", OTHER, "1001", id), "taker"), replaces)
}

fn refused(bed: &mut Bed, text: &str) -> Option<u16> {
    bed.receive(OTHER, text);
    codes(&bed.take(OTHER)).last().copied()
}

fn typed(text: &str) -> String {
    with(text, "Content-Type: application/sdp")
}

/// 1004 has taken the call, and 1002 has stopped ringing: what 1004 was answered.
#[track_caller]
fn taken(bed: &mut Bed, offered: &Message) -> Message {
    bed.receive(OTHER, &takes(&place(offered)));
    let ok = bed.one(OTHER);
    assert_eq!((ok.code(), body(&ok).contains("a=inactive")), (Some(200), true), "no media yet");
    let cancel = bed.one(CALLEE);
    assert!(line(&cancel).starts_with("CANCEL "));
    assert!(header(&cancel, HeaderName::Reason).contains("cause=200"), "no call was missed there");
    bed.receive(CALLEE, &answer(&cancel, 200, "callee", CALLEE, ""));
    bed.receive(CALLEE, &answer(offered, 487, "callee", CALLEE, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    ok
}

fn reasons(bed: &Bed) -> Vec<(&str, &str)> {
    bed.cdrs[0].legs.iter().map(|leg| (leg.device.as_str(), leg.reason.as_str())).collect()
}

#[test]
fn who_takes_a_ringing_call_is_connected_with_its_caller() {
    let (mut bed, offered) = ringing();
    let ok = taken(&mut bed, &offered);
    assert!(bed.take(CALLER).is_empty(), "nobody has answered yet");
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
    let asked = bed.one(OTHER);
    assert!(
        line(&asked).starts_with("INVITE ") && body(&asked).contains("m=audio 4000"),
        "the caller's offer"
    );
    assert!(!body(&asked).contains("a=inactive"));
    bed.receive(OTHER, &typed(&answer(&asked, 200, "", OTHER, &sdp("taker", "sendrecv"))));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), body(&told).contains("o=taker")), (Some(200), true));
    bed.receive(CALLER, &in_dialog(&told, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(OTHER)).starts_with("ACK "));
    bed.receive(OTHER, &in_dialog(&ok, "INFO", 2, OTHER, "hello"));
    assert_eq!(body(&bed.one(CALLER)), "hello");
    bed.receive(CALLER, &in_dialog(&told, "BYE", 2, CALLER, ""));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
    assert_eq!(reasons(&bed), [("1001", "BYE"), ("1002", "somebody took its place"), ("1004", "BYE")]);
}

#[test]
fn a_phone_may_tell_the_dialog_from_the_other_end() {
    let (mut bed, offered) = ringing();
    let turned =
        place(&offered).replace("to-tag", "x").replace("from-tag", "to-tag").replace(";x=", ";from-tag=");
    bed.receive(OTHER, &takes(&format!("{turned};early-only")));
    assert_eq!(bed.one(OTHER).code(), Some(200));
}

#[test]
fn who_may_take_what_rings_is_configured() {
    let named = || Watchers::Only(["1004".into()].into());
    for (watchers, pickup, may) in [
        (named(), Pickup::Named, true),
        (Watchers::Everyone, Pickup::Named, false),
        (Watchers::Everyone, Pickup::Watchers, true),
        (named(), Pickup::Watchers, true),
        (Watchers::Own, Pickup::Watchers, false),
        (named(), Pickup::Own, false),
    ] {
        let (mut bed, offered) = ringing_with(watchers.clone(), pickup);
        let got = refused(&mut bed, &takes(&place(&offered)));
        assert_eq!(got, Some(if may { 200 } else { 403 }), "{watchers:?} {pickup:?}");
        assert_eq!(bed.take(CALLEE).is_empty(), !may, "it rings on for who may not");
    }
}

#[test]
fn a_second_phone_of_the_extension_that_rings_may_always_take_its_call() {
    let (mut bed, offered) = ringing_with(Watchers::Own, Pickup::Own);
    bed.register("1002", "10.0.0.14:5060");
    let text = takes(&place(&offered)).replace("sip:1004@caller", "sip:1002@caller");
    bed.receive("10.0.0.14:5060", &text.replace(OTHER, "10.0.0.14:5060"));
    assert_eq!(bed.one("10.0.0.14:5060").code(), Some(200));
}

#[test]
fn the_race_with_the_answer_is_decided_once() {
    let (mut bed, offered) = ringing();
    bed.receive(OTHER, &takes(&place(&offered)));
    let ok = bed.one(OTHER);
    // 1002 answers before it hears the CANCEL.
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let sent = bed.lines(CALLEE);
    assert!(
        sent.iter().any(|line| line.starts_with("ACK ")) && sent.iter().any(|line| line.starts_with("BYE "))
    );
    assert!(bed.take(CALLER).is_empty(), "1002 did not get the call");
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
    assert!(line(&bed.one(OTHER)).starts_with("INVITE "));

    let (mut bed, offered) = ringing();
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    bed.take(CALLER);
    assert_eq!(refused(&mut bed, &takes(&format!("{};early-only", place(&offered)))), Some(486));
}

#[test]
fn each_early_dialog_that_cannot_be_replaced_has_its_own_answer() {
    let (mut bed, offered) = ringing();
    let place = place(&offered);
    assert_eq!(refused(&mut bed, &takes_as(&place.replace("=callee", "=nobody"), "p1")), Some(481));
    // The caller's own dialog was not begun by this server (RFC 3891 3).
    let his = "Replaces: call1;to-tag=x;from-tag=fcall1";
    assert_eq!(refused(&mut bed, &takes_as(his, "p2")), Some(481));
    let bare =
        with(&invite("1004", OTHER, "1001", "p3"), &place).replace("Content-Type: application/sdp\n", "");
    let bare = bare.replace("Content-Length: 4", "Content-Length: 0").replace("v=0~", "");
    assert_eq!(refused(&mut bed, &bare), Some(488), "without an offer");
    assert!(bed.take(CALLEE).is_empty() && bed.take(CALLER).is_empty(), "it rings on");
    bed.receive(OTHER, &takes(&place));
    assert_eq!(bed.one(OTHER).code(), Some(200));
    assert_eq!(refused(&mut bed, &takes_as(&place, "p4")), Some(603), "the second one comes too late");
}

#[test]
fn a_caller_who_gives_up_before_the_taker_has_acknowledged_ends_it_for_both() {
    let (mut bed, offered) = ringing();
    let ok = taken(&mut bed, &offered);
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert!(codes(&bed.take(CALLER)).contains(&487));
    assert!(bed.take(OTHER).is_empty(), "no BYE before the ACK (RFC 3261 15)");
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
    let bye = bed.one(OTHER);
    assert!(line(&bye).starts_with("BYE "));
    bed.nothing_stays_after(OTHER, &answer(&bye, 200, "", OTHER, ""));
}

#[test]
fn a_caller_who_gives_up_while_the_taker_is_connected_ends_it_for_both() {
    let (mut bed, offered) = ringing();
    let ok = taken(&mut bed, &offered);
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
    let asked = bed.one(OTHER);
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert!(codes(&bed.take(CALLER)).contains(&487));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("BYE ")));
    // His answer crossed it, and is acknowledged all the same.
    bed.receive(OTHER, &typed(&answer(&asked, 200, "", OTHER, &sdp("taker", "sendrecv"))));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("ACK ")));
    bed.nothing_stays();
}

#[test]
fn a_taker_who_cannot_be_connected_is_let_go_and_the_caller_told() {
    for code in [488, 500] {
        let (mut bed, offered) = ringing();
        let ok = taken(&mut bed, &offered);
        bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
        let asked = bed.one(OTHER);
        bed.receive(OTHER, &answer(&asked, code, "", OTHER, ""));
        assert_eq!(codes(&bed.take(CALLER)), [code]);
        assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("BYE ")));
        bed.nothing_stays();
    }
}

#[test]
fn a_taker_who_hangs_up_at_once_leaves_nobody_behind() {
    for acknowledged in [false, true] {
        let (mut bed, offered) = ringing();
        let ok = taken(&mut bed, &offered);
        if acknowledged {
            bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
            bed.one(OTHER);
        }
        bed.receive(OTHER, &in_dialog(&ok, "BYE", 2, OTHER, ""));
        assert_eq!(codes(&bed.take(OTHER)), [200]);
        assert_eq!(codes(&bed.take(CALLER)), [480]);
        bed.nothing_stays();
    }
}

#[test]
fn a_taker_who_never_acknowledges_is_given_up() {
    let (mut bed, offered) = ringing();
    taken(&mut bed, &offered);
    bed.pass(Duration::from_secs(4));
    assert_eq!(codes(&bed.take(OTHER)), [200, 200, 200], "the answer is repeated");
    bed.pass(Duration::from_secs(30));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("BYE ")));
    assert!(codes(&bed.take(CALLER)).last().is_some_and(|code| *code == 480 || *code == 408));
    bed.nothing_stays();
}

#[test]
fn a_forked_extension_stops_ringing_everywhere() {
    let (mut bed, _) = ringing();
    let second = "10.0.0.15:5060";
    bed.register("1002", second);
    bed.receive(CALLER, &caller().replace("call1", "call2"));
    bed.take(CALLER);
    let (one, two) = (bed.one(CALLEE), bed.one(second));
    bed.receive(CALLEE, &answer(&one, 180, "callee", CALLEE, ""));
    bed.receive(second, &answer(&two, 180, "other", second, ""));
    bed.receive(OTHER, &takes(&place(&one)));
    assert_eq!(bed.one(OTHER).code(), Some(200));
    for phone in [CALLEE, second] {
        assert!(bed.lines(phone).iter().any(|line| line.starts_with("CANCEL ")), "{phone}");
    }
}

#[test]
fn a_caller_on_the_line_is_joined_with_who_takes_the_call_that_rings_for_him() {
    let mut bed = office(Watchers::Everyone, Pickup::Watchers);
    let own = bed.made("1002");
    bed.receive(CALLER, &typed(&answer(&own, 200, "own", CALLER, &sdp("caller", "sendrecv"))));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let ok = taken(&mut bed, &offered);
    bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
    let asked = bed.one(OTHER);
    assert!(line(&asked).starts_with("INVITE ") && body(&asked).is_empty());
    bed.receive(OTHER, &typed(&answer(&asked, 200, "", OTHER, &sdp("taker", "sendrecv"))));
    let joined = bed.one(CALLER);
    assert!(
        line(&joined).starts_with("INVITE ")
            && body(&joined).contains("o=")
            && !body(&joined).contains("inactive")
    );
    bed.receive(CALLER, &typed(&answer(&joined, 200, "", CALLER, &sdp("caller", "sendrecv"))));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("ACK ")));
    bed.receive(CALLER, &from_callee(&own, "own", "BYE", 1, CALLER, ""));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
}

#[test]
fn a_restart_while_somebody_takes_a_call_lets_him_go_and_the_phone_rings_again() {
    for acknowledged in [false, true] {
        let (mut bed, offered) = ringing();
        let ok = taken(&mut bed, &offered);
        if acknowledged {
            bed.receive(OTHER, &in_dialog(&ok, "ACK", 1, OTHER, ""));
            assert!(line(&bed.one(OTHER)).starts_with("INVITE "));
        }
        assert_eq!(bed.restart(Duration::from_secs(1)).setups, 1);
        let bye = bed.one(OTHER);
        assert!(line(&bye).starts_with("BYE "), "{}", line(&bye));
        assert_eq!(header(&bye, HeaderName::CallId), header(&ok, HeaderName::CallId));
        bed.receive(OTHER, &answer(&bye, 200, "", OTHER, ""));
        let anew = bed.one(CALLEE);
        bed.receive(CALLEE, &typed(&answer(&anew, 200, "callee", CALLEE, &sdp("callee", "sendrecv"))));
        let ok = bed.take(CALLER).pop().unwrap();
        assert_eq!(ok.code(), Some(200), "acknowledged: {acknowledged}");
        bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
        bed.take(CALLEE);
        bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
        let bye = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
        bed.nothing_is_left();
    }
}
