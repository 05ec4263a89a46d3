//! UPDATE (RFC 3311): offers that cross, and sides that do not take it.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, body, codes, from_callee, header, in_dialog, invite, line, sdp, with,
};

const TYPE: &str = "Content-Type: application/sdp";

/// A call whose callee says with his 200 that he takes these methods: the caller's 200, and the INVITE.
#[track_caller]
fn call(bed: &mut Bed, allowed: &str) -> (Message, Message) {
    let offered = bed.offered();
    let ok = answer(&offered, 200, "callee", CALLEE, "answer");
    bed.receive(CALLEE, &with(&ok, &format!("Allow: {allowed}")));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    (ok, offered)
}

fn state(bed: &Bed) -> &'static str {
    bed.node.call_list(bed.now).first().map_or("none", |call| call.state)
}

#[test]
fn an_offer_for_one_who_takes_no_update_goes_by_invite_and_its_answer_back() {
    let mut bed = Bed::with(alone());
    let (ok, _) = call(&mut bed, "INVITE, ACK, BYE");
    let held = sdp("caller", "sendonly");
    bed.receive(CALLER, &with(&in_dialog(&ok, "UPDATE", 2, CALLER, &held), TYPE));
    assert!(bed.take(CALLER).is_empty(), "an UPDATE gets no 100");
    let passed = bed.one(CALLEE);
    assert!(line(&passed).starts_with("INVITE "));
    assert_eq!(body(&passed), held.replace('\u{1}', "\n"));
    bed.receive(CALLEE, &answer(&passed, 180, "", CALLEE, ""));
    assert!(bed.take(CALLER).is_empty());
    bed.receive(CALLEE, &with(&answer(&passed, 200, "", CALLEE, &sdp("callee", "recvonly")), TYPE));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), header(&told, HeaderName::CSeq).as_str()), (Some(200), "2 UPDATE"));
    assert!(body(&told).contains("a=recvonly"));
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 3, CALLER, "next"));
    assert_eq!(codes(&bed.take(CALLER)), [100], "the way is free again");
}

#[test]
fn a_refusal_of_that_invite_is_the_answer_to_the_update() {
    for (code, told) in [(488, 488), (491, 491), (503, 500)] {
        let mut bed = Bed::with(alone());
        let (ok, _) = call(&mut bed, "INVITE, ACK, BYE");
        bed.receive(CALLER, &in_dialog(&ok, "UPDATE", 2, CALLER, "new"));
        let passed = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&passed, code, "", CALLEE, ""));
        assert_eq!(codes(&bed.take(CALLER)), [told]);
        assert_eq!(state(&bed), "established");
    }
}

#[test]
fn a_phone_that_rings_about_it_is_not_waited_for_longer_than_the_update_lasts() {
    let mut bed = Bed::with(alone());
    let (ok, _) = call(&mut bed, "INVITE, ACK, BYE");
    bed.receive(CALLER, &in_dialog(&ok, "UPDATE", 2, CALLER, "new"));
    let passed = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&passed, 180, "", CALLEE, ""));
    bed.pass(Duration::from_secs(16));
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    bed.receive(CALLEE, &answer(&passed, 487, "", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [487]);
}

#[test]
fn without_an_offer_it_is_answered_here_for_one_who_takes_no_update() {
    let mut bed = Bed::with(alone());
    let (ok, _) = call(&mut bed, "INVITE, ACK, BYE");
    bed.receive(CALLER, &in_dialog(&ok, "UPDATE", 2, "10.0.0.44:5060", ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn before_the_answer_an_offer_for_one_who_takes_no_update_is_told_504() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), "Allow: INVITE, ACK, BYE"));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 183, "callee", CALLEE, "early"));
    bed.take(CALLER);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "UPDATE", 1, CALLEE, "his"));
    assert_eq!(codes(&bed.take(CALLEE)), [504]);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "UPDATE", 2, CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [200]);
    assert!(bed.take(CALLER).is_empty());
    assert_eq!(state(&bed), "ringing");
}

#[test]
fn a_second_offer_of_one_side_is_told_500_and_one_of_the_other_491_until_the_first_is_answered() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = call(&mut bed, "INVITE, UPDATE");
    bed.receive(CALLER, &in_dialog(&ok, "UPDATE", 2, CALLER, "one"));
    let passed = bed.one(CALLEE);
    bed.receive(CALLER, &in_dialog(&ok, "UPDATE", 3, CALLER, "two"));
    let refused = bed.one(CALLER);
    assert_eq!(refused.code(), Some(500));
    assert!(header(&refused, HeaderName::RetryAfter).parse::<u32>().unwrap() <= 10);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "UPDATE", 1, CALLEE, "his"));
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "UPDATE", 2, CALLEE, ""));
    let free = bed.one(CALLER);
    assert!(line(&free).starts_with("UPDATE "), "without an offer nothing crosses");
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, "fine"));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "UPDATE", 3, CALLEE, "his"));
    assert_eq!(body(&bed.one(CALLER)), "his");
}

#[test]
fn an_offer_that_meets_a_reinvite_on_its_way_is_told_491() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = call(&mut bed, "INVITE, UPDATE");
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "mine"));
    bed.take(CALLEE);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "UPDATE", 1, CALLEE, "his"));
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
}

#[test]
fn offers_in_two_early_dialogs_do_not_cross() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    let mut early = Vec::new();
    for tag in ["one", "two"] {
        bed.receive(CALLEE, &answer(&offered, 183, tag, CALLEE, ""));
        early.push(bed.one(CALLER));
    }
    for (n, dialog) in early.iter().enumerate() {
        bed.receive(CALLER, &in_dialog(dialog, "UPDATE", 2 + u32::try_from(n).unwrap(), CALLER, "offer"));
        let passed = bed.one(CALLEE);
        assert!(header(&passed, HeaderName::To).ends_with(["one", "two"][n]));
    }
    bed.receive(CALLEE, &from_callee(&offered, "one", "UPDATE", 1, CALLEE, "his"));
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
}
