//! REFER from a phone within its call (RFC 3515): blind transfer, carried out by this server.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, alone, answer, body, codes, from_callee, header, in_dialog, invite,
    line, sdp, with,
};

/// 1001 talks with 1002, and 1004 is there. What 1001 was answered, and the INVITE that 1002 got.
#[track_caller]
fn talking() -> (Bed, Message, Message) {
    let mut bed = Bed::with(alone());
    bed.register("1004", OTHER);
    let (ok, offered) = bed.established();
    (bed, ok, offered)
}

/// 1002 sends REFER: the responses and NOTIFYs that it gets at once.
#[track_caller]
fn refers(bed: &mut Bed, offered: &Message, to: &str) -> Vec<Message> {
    let refer = with(
        &from_callee(offered, "callee", "REFER", 1, CALLEE, ""),
        &format!("Refer-To: <sip:{to}@10.0.0.1>"),
    );
    bed.receive(CALLEE, &refer);
    bed.take(CALLEE)
}

fn bye_of_callee(offered: &Message) -> String {
    from_callee(offered, "callee", "BYE", 2, CALLEE, "")
}

fn statuses(messages: &[Message]) -> Vec<String> {
    let notify = |message: &&Message| line(message).starts_with("NOTIFY ");
    messages.iter().filter(notify).map(|message| body(message).trim_end().to_owned()).collect()
}

/// The one who was called answers, and the transferee takes what he offers.
#[track_caller]
fn joins(bed: &mut Bed, rings: &Message) {
    bed.receive(OTHER, &answer(rings, 200, "other", OTHER, &sdp("other", "sendrecv")));
    let offer = bed.one(CALLER);
    assert!(line(&offer).starts_with("INVITE ") && body(&offer).contains("a=sendrecv"));
    bed.receive(CALLER, &answer(&offer, 200, "", CALLER, &sdp("caller", "sendrecv")));
    assert!(body(&bed.one(OTHER)).contains("a=sendrecv"), "the answer goes back in the ACK");
    bed.take(CALLER);
}

#[test]
fn the_phone_hears_how_its_transfer_goes_and_is_released_when_somebody_has_come() {
    let (mut bed, _, offered) = talking();
    let told = refers(&mut bed, &offered, "1004");
    assert_eq!(codes(&told), [202]);
    assert!(header(&told[0], HeaderName::Contact).contains("10.0.0.1"));
    assert_eq!(statuses(&told), ["SIP/2.0 100 Trying"]);
    assert_eq!(header(&told[1], HeaderName::Event), "refer;id=1");
    assert!(header(&told[1], HeaderName::SubscriptionState).starts_with("active;expires="));
    assert_eq!(header(&told[1], HeaderName::ContentType), "message/sipfrag;version=2.0");
    let rings = bed.one(OTHER);
    assert!(line(&rings).starts_with("INVITE sip:1004@"), "{}", line(&rings));
    assert!(header(&rings, HeaderName::From).contains("sip:1001@"), "in the name of who is transferred");
    assert!(header(&rings, HeaderName::ReferredBy).contains("sip:1002@"));
    bed.receive(OTHER, &answer(&rings, 180, "other", OTHER, ""));
    assert_eq!(statuses(&bed.take(CALLEE)), ["SIP/2.0 180 Ringing"]);
    assert!(bed.take(CALLER).is_empty(), "the other party is not touched");
    joins(&mut bed, &rings);
    let told = bed.take(CALLEE);
    assert_eq!(statuses(&told), ["SIP/2.0 200 OK"]);
    assert_eq!(header(&told[0], HeaderName::SubscriptionState), "terminated;reason=noresource");
    assert_eq!(told.len(), 1, "it is left to hang up by itself");
    bed.receive(CALLEE, &bye_of_callee(&offered));
    assert_eq!(codes(&bed.take(CALLEE)), [200]);
    bed.pass(Duration::from_secs(3));
    assert!(!bed.lines(CALLEE).iter().any(|line| line.starts_with("BYE ")), "and is not hung up on as well");
    assert_eq!(bed.node.call_list(bed.now).len(), 1);
    bed.receive(OTHER, &from_callee(&rings, "other", "BYE", 1, OTHER, ""));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")));
    bed.nothing_stays();
    let devices: Vec<_> = bed.cdrs[0].legs.iter().map(|leg| leg.device.as_str()).collect();
    assert_eq!(devices, ["1001", "1002", "1004"]);
}

#[test]
fn a_phone_that_does_not_hang_up_after_its_transfer_is_hung_up_on() {
    let (mut bed, _, offered) = talking();
    refers(&mut bed, &offered, "1004");
    let rings = bed.one(OTHER);
    joins(&mut bed, &rings);
    bed.take(CALLEE);
    bed.pass(Duration::from_secs(2));
    let bye = bed.take(CALLEE);
    assert!(
        bye.iter().any(|message| line(message).starts_with("BYE ")),
        "{:?}",
        bye.iter().map(line).collect::<Vec<_>>()
    );
    bed.nothing_stays_after(OTHER, &from_callee(&rings, "other", "BYE", 1, OTHER, ""));
}

#[test]
fn a_call_that_nobody_takes_goes_on_as_it_was() {
    for code in [486, 404, 603, 480] {
        let (mut bed, ok, offered) = talking();
        refers(&mut bed, &offered, "1004");
        let rings = bed.one(OTHER);
        bed.receive(OTHER, &answer(&rings, 180, "other", OTHER, ""));
        bed.take(CALLEE);
        bed.receive(OTHER, &answer(&rings, code, "other", OTHER, ""));
        let told = bed.take(CALLEE);
        assert!(statuses(&told)[0].starts_with(&format!("SIP/2.0 {code} ")), "{code}");
        assert_eq!(header(&told[0], HeaderName::SubscriptionState), "terminated;reason=noresource");
        assert!(bed.take(CALLER).is_empty());
        // Requests pass between the two as before, and another transfer may follow.
        bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, "still here"));
        assert_eq!(body(&bed.one(CALLEE)), "still here");
        let again =
            with(&from_callee(&offered, "callee", "REFER", 3, CALLEE, ""), "Refer-To: <sip:1004@10.0.0.1>");
        bed.receive(CALLEE, &again);
        assert_eq!(codes(&bed.take(CALLEE)), [202]);
        bed.receive(CALLER, &in_dialog(&ok, "BYE", 3, CALLER, ""));
        let rings = bed.take(OTHER);
        assert!(rings.iter().any(|message| line(message).starts_with("INVITE ")));
        bed.receive(OTHER, &answer(rings.last().unwrap(), 487, "other", OTHER, ""));
        bed.nothing_stays();
        let record =
            bed.cdrs.iter().find(|cdr| cdr.legs.len() >= 3).expect("the leg that was tried is in the record");
        assert_eq!(record.legs[2].status, code);
    }
}

#[test]
fn nobody_is_lost_when_the_phone_hangs_up_at_once() {
    for rings_first in [false, true] {
        let (mut bed, _, offered) = talking();
        refers(&mut bed, &offered, "1004");
        let rings = bed.one(OTHER);
        if rings_first {
            bed.receive(OTHER, &answer(&rings, 180, "other", OTHER, ""));
            bed.take(CALLEE);
        }
        bed.receive(CALLEE, &bye_of_callee(&offered));
        assert_eq!(codes(&bed.take(CALLEE)), [200]);
        assert!(bed.take(CALLER).is_empty(), "the other party waits");
        joins(&mut bed, &rings);
        // The subscription outlives the call (RFC 5057 5.2); a phone that has forgotten it says 481.
        let told = bed.take(CALLEE);
        assert_eq!(statuses(&told), ["SIP/2.0 200 OK"]);
        bed.receive(CALLEE, &answer(&told[0], 481, "", CALLEE, ""));
        assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
        bed.nothing_stays_after(OTHER, &from_callee(&rings, "other", "BYE", 1, OTHER, ""));
    }
}

#[test]
fn a_party_that_waits_in_vain_is_hung_up_on() {
    let (mut bed, _, offered) = talking();
    refers(&mut bed, &offered, "1004");
    let rings = bed.one(OTHER);
    bed.receive(CALLEE, &bye_of_callee(&offered));
    bed.take(CALLEE);
    bed.receive(OTHER, &answer(&rings, 486, "other", OTHER, ""));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")), "it is told, not left");
    assert_eq!(statuses(&bed.take(CALLEE)), ["SIP/2.0 486 Busy Here"]);
    bed.nothing_stays();
}

#[test]
fn a_phone_that_wants_no_word_gets_none() {
    for refused in ["Refer-Sub: false", "Require: norefersub"] {
        let (mut bed, _, offered) = talking();
        let refer = from_callee(&offered, "callee", "REFER", 1, CALLEE, "");
        bed.receive(CALLEE, &with(&with(&refer, "Refer-To: <sip:1004@10.0.0.1>"), refused));
        let told = bed.one(CALLEE);
        assert_eq!((told.code(), told.other(b"Refer-Sub")), (Some(202), Some(&b"false"[..])));
        let rings = bed.one(OTHER);
        joins(&mut bed, &rings);
        assert!(bed.take(CALLEE).is_empty());
        bed.nothing_stays_after(OTHER, &from_callee(&rings, "other", "BYE", 1, OTHER, ""));
    }
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    for (refer_to, code) in [
        ("X-None: 1", 400),
        ("Refer-To: <sip:1004@10.0.0.1;method=SUBSCRIBE>", 501),
        ("Refer-To: <mailto:1004@example.com>", 403),
        ("Refer-To: <sip:1004@10.0.0.1>\nRequire: nothing-known", 420),
    ] {
        let (mut bed, _, offered) = talking();
        let refer = from_callee(&offered, "callee", "REFER", 1, CALLEE, "");
        bed.receive(CALLEE, &with(&refer, refer_to));
        assert_eq!(codes(&bed.take(CALLEE)), [code], "{refer_to}");
        assert!(bed.take(OTHER).is_empty() && bed.take(CALLER).is_empty());
        assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    }
}

#[test]
fn numbers_that_lead_nowhere_or_to_a_party_are_told_by_notify() {
    for (to, status) in [("7777", 404), ("1001", 486), ("1002", 486), ("1003x", 404)] {
        let (mut bed, _, offered) = talking();
        let told = refers(&mut bed, &offered, to);
        assert_eq!(codes(&told), [202]);
        assert!(statuses(&told)[1].starts_with(&format!("SIP/2.0 {status} ")), "{to}: {:?}", statuses(&told));
        assert_eq!(bed.node.call_list(bed.now).len(), 1);
    }
}

#[test]
fn two_transfers_of_one_call_do_not_mix() {
    let (mut bed, ok, offered) = talking();
    refers(&mut bed, &offered, "1004");
    bed.receive(CALLER, &with(&in_dialog(&ok, "REFER", 2, CALLER, ""), "Refer-To: <sip:1003@10.0.0.1>"));
    assert_eq!(codes(&bed.take(CALLER)), [491]);
    let rings = bed.one(OTHER);
    joins(&mut bed, &rings);
    bed.take(CALLEE);
    // The one who was transferred may transfer in turn.
    bed.receive(CALLER, &with(&in_dialog(&ok, "REFER", 3, CALLER, ""), "Refer-To: <sip:1003@10.0.0.1>"));
    assert_eq!(codes(&bed.take(CALLER)), [202]);
    assert!(line(&bed.one("10.0.0.33:5060")).starts_with("INVITE sip:1003@"));
}

#[test]
fn a_transfer_waits_for_an_invite_under_way() {
    let (mut bed, ok, offered) = talking();
    refers(&mut bed, &offered, "1004");
    let rings = bed.one(OTHER);
    // The other party puts this one on hold at the same moment.
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "hold"));
    let hold = bed.one(CALLEE);
    bed.take(CALLER);
    bed.receive(OTHER, &answer(&rings, 200, "other", OTHER, &sdp("other", "sendrecv")));
    assert!(bed.take(CALLER).is_empty(), "no second INVITE beside the first");
    bed.receive(CALLEE, &answer(&hold, 200, "callee", CALLEE, "held"));
    bed.take(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    let offer = bed.one(CALLER);
    assert!(line(&offer).starts_with("INVITE "));
    assert!(statuses(&bed.take(CALLEE)).contains(&"SIP/2.0 200 OK".to_owned()));
    bed.receive(CALLER, &answer(&offer, 200, "", CALLER, &sdp("caller", "sendrecv")));
    assert!(body(&bed.one(OTHER)).contains("a=sendrecv"));
}

#[test]
fn of_two_who_answer_a_transfer_that_waits_the_second_is_hung_up_on() {
    let (mut bed, ok, offered) = talking();
    bed.register("1004", GATEWAY);
    refers(&mut bed, &offered, "1004");
    let [first, second] = [bed.one(OTHER), bed.one(GATEWAY)];
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "hold"));
    bed.receive(OTHER, &answer(&first, 200, "one", OTHER, &sdp("one", "sendrecv")));
    for _ in 0..2 {
        bed.receive(GATEWAY, &answer(&second, 200, "two", GATEWAY, &sdp("two", "sendrecv")));
        let hung_up = bed.take(GATEWAY);
        assert!(line(&hung_up[0]).starts_with("ACK "), "{}", line(&hung_up[0]));
        if let Some(bye) = hung_up.get(1) {
            bed.receive(GATEWAY, &answer(bye, 200, "", GATEWAY, ""));
        }
    }
    assert!(bed.take(OTHER).is_empty(), "the first waits");
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 3, CALLER, ""));
    let hung_up = bed.take(OTHER);
    assert!(line(&hung_up[0]).starts_with("ACK ") && line(&hung_up[1]).starts_with("BYE "));
    bed.receive(OTHER, &answer(&hung_up[1], 200, "", OTHER, ""));
    bed.pass(Duration::from_secs(40));
    bed.nothing_stays();
}

#[test]
fn a_phone_that_hangs_up_in_the_middle_of_an_invite_leaves_the_other_party_waiting() {
    for reply in [None, Some(200), Some(488)] {
        let (mut bed, ok, offered) = talking();
        // Its own, or the other party's.
        let own = reply.is_some();
        if own {
            bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 1, CALLEE, "hold"));
            let refer = from_callee(&offered, "callee", "REFER", 2, CALLEE, "");
            bed.receive(CALLEE, &with(&refer, "Refer-To: <sip:1004@10.0.0.1>"));
        } else {
            refers(&mut bed, &offered, "1004");
            bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "hold"));
        }
        let asked = bed.take(CALLER);
        if own {
            bed.receive(CALLER, &answer(&asked[0], 100, "", CALLER, ""));
        }
        let rings = bed.one(OTHER);
        bed.take(CALLEE);
        bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 3, CALLEE, ""));
        let told = bed.take(CALLER);
        if let Some(code) = reply {
            assert!(told.iter().any(|message| line(message).starts_with("CANCEL ")));
            bed.receive(CALLER, &answer(&asked[0], code, "", CALLER, "x"));
            bed.take(CALLER);
        } else {
            assert_eq!(codes(&told), [491]);
            bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
        }
        joins(&mut bed, &rings);
        assert_eq!(bed.node.call_list(bed.now)[0].state, "established", "{reply:?}");
    }
}

#[test]
fn a_party_that_is_transferred_and_hangs_up_ends_the_transfer() {
    let (mut bed, ok, offered) = talking();
    refers(&mut bed, &offered, "1004");
    let rings = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rings, 180, "other", OTHER, ""));
    bed.take(CALLEE);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let told = bed.take(CALLEE);
    assert_eq!(statuses(&told), ["SIP/2.0 487 Request Terminated"]);
    assert!(told.iter().any(|message| line(message).starts_with("BYE ")));
    assert!(bed.lines(OTHER).iter().any(|line| line.starts_with("CANCEL ")));
    bed.receive(OTHER, &answer(&rings, 487, "other", OTHER, ""));
    bed.nothing_stays();
}

#[test]
fn somebody_who_does_not_answer_in_time_is_given_up() {
    let (mut bed, ok, offered) = talking();
    refers(&mut bed, &offered, "1004");
    let rings = bed.one(OTHER);
    bed.receive(OTHER, &answer(&rings, 180, "other", OTHER, ""));
    bed.take(CALLEE);
    bed.pass(Duration::from_secs(181));
    bed.receive(OTHER, &answer(&rings, 487, "other", OTHER, ""));
    assert!(statuses(&bed.take(CALLEE)).iter().any(|told| told.starts_with("SIP/2.0 480 ")));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn a_phone_reaches_the_outside_by_refer_and_a_trunk_does_not() {
    let (mut bed, _, offered) = talking();
    refers(&mut bed, &offered, "94930");
    assert!(line(&bed.one(GATEWAY)).starts_with("INVITE sip:+4930@"));

    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(GATEWAY, &invite("555", GATEWAY, "1002", "in1"));
    bed.take(GATEWAY);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let ok = bed.one(GATEWAY);
    bed.receive(GATEWAY, &in_dialog(&ok, "ACK", 1, GATEWAY, ""));
    bed.take(CALLEE);
    bed.receive(GATEWAY, &with(&in_dialog(&ok, "REFER", 2, GATEWAY, ""), "Refer-To: <sip:94930@10.0.0.1>"));
    let told = bed.take(GATEWAY);
    assert_eq!(statuses(&told).last().unwrap(), "SIP/2.0 404 Not Found", "a trunk is no toll-free exchange");
    bed.register("1004", OTHER);
    bed.receive(GATEWAY, &with(&in_dialog(&ok, "REFER", 3, GATEWAY, ""), "Refer-To: <sip:1004@10.0.0.1>"));
    assert!(line(&bed.one(OTHER)).starts_with("INVITE sip:1004@"));
}

#[test]
fn a_refer_outside_the_call_names_it_or_is_refused() {
    let (mut bed, _, offered) = talking();
    let outside = |cseq: u32, dn: &str, at: &str, target: &str| {
        format!(
            "REFER sip:10.0.0.1:5060 SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKoutside{cseq};rport\nMax-Forwards: 70\n\
             From: <sip:{dn}@10.0.0.1>;tag=outside\nTo: <sip:10.0.0.1>\nCall-ID: outside{cseq}\nCSeq: {cseq} REFER\n\
             Contact: <sip:x@{at}>\nRefer-To: <sip:1004@10.0.0.1>\n{target}\nContent-Length: 0\n\n"
        )
    };
    bed.receive(CALLEE, &outside(1, "1002", CALLEE, "X-None: 1"));
    assert_eq!(codes(&bed.take(CALLEE)), [403]);
    bed.receive(CALLEE, &outside(2, "1002", CALLEE, "Target-Dialog: x;local-tag=a;remote-tag=b"));
    assert_eq!(codes(&bed.take(CALLEE)), [481]);
    let ours = header(&offered, HeaderName::From);
    let call_id = header(&offered, HeaderName::CallId);
    let target = format!("Target-Dialog: {call_id};local-tag=callee;remote-tag={}", tag_of(&ours));
    // Another party of the switch knows the dialog, and may not use it.
    bed.receive(OTHER, &outside(3, "1004", OTHER, &target));
    assert_eq!(codes(&bed.take(OTHER)), [403]);
    bed.receive(CALLEE, &outside(4, "1002", CALLEE, &target));
    let told = bed.take(CALLEE);
    assert_eq!(codes(&told), [202]);
    assert_eq!(statuses(&told), ["SIP/2.0 100 Trying"]);
    assert_eq!(header(&told[1], HeaderName::CallId), "outside4", "in the dialog of the REFER");
    let rings = bed.one(OTHER);
    joins(&mut bed, &rings);
    let told = bed.take(CALLEE);
    assert_eq!(statuses(&told), ["SIP/2.0 200 OK"]);
    assert_eq!(header(&told[0], HeaderName::CallId), "outside4");
}

/// 1001 talks with 1002 in its first call and with 1004 in its second, whose REFER it then sends in the first: with
/// `Replaces`, as it knows the second.
#[track_caller]
fn consulting() -> (Bed, [Message; 2], Message, Message) {
    let (mut bed, first, offered) = talking();
    bed.receive(CALLER, &invite("1001", CALLER, "1004", "call2"));
    let consulted = bed.one(OTHER);
    bed.receive(OTHER, &answer(&consulted, 200, "other", OTHER, "answer"));
    let second = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&second, "ACK", 1, CALLER, ""));
    bed.take(OTHER);
    (bed, [first, second], offered, consulted)
}

fn tag_of(value: &str) -> &str {
    value.split(";tag=").nth(1).unwrap_or_default()
}

/// `Refer-To` of the second call, as its caller sees it.
fn refer_to_dialog(second: &Message) -> String {
    let (call_id, to, from) = (
        header(second, HeaderName::CallId),
        header(second, HeaderName::To),
        header(second, HeaderName::From),
    );
    let (to, from) = (tag_of(&to), tag_of(&from));
    format!("Refer-To: <sip:1004@10.0.0.1?Replaces={call_id}%3Bto-tag%3D{to}%3Bfrom-tag%3D{from}>")
}

#[test]
fn an_attended_transfer_joins_the_other_parties_of_both_calls() {
    let (mut bed, [first, second], offered, consulted) = consulting();
    bed.receive(CALLER, &with(&in_dialog(&first, "REFER", 2, CALLER, ""), &refer_to_dialog(&second)));
    let told = bed.take(CALLER);
    assert_eq!(codes(&told), [202]);
    assert_eq!(statuses(&told), ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]);
    let byes =
        |messages: &[Message]| messages.iter().filter(|message| line(message).starts_with("BYE ")).count();
    assert_eq!(byes(&told), 1, "the second call of the party that leaves");
    let asked = bed.one(OTHER);
    assert!(line(&asked).starts_with("INVITE ") && asked.body().is_empty());
    bed.receive(OTHER, &answer(&asked, 200, "", OTHER, &sdp("other", "sendrecv")));
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    assert!(body(&bed.one(OTHER)).contains("a=sendrecv"));
    bed.take(CALLEE);
    bed.receive(CALLER, &in_dialog(&first, "BYE", 3, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INFO", 1, CALLEE, "to-other"));
    assert_eq!(body(&bed.one(OTHER)), "to-other");
    bed.nothing_stays_after(OTHER, &from_callee(&consulted, "other", "BYE", 1, OTHER, ""));
}

#[test]
fn an_attended_transfer_waits_for_an_ack_that_is_late() {
    let (mut bed, first, _) = talking();
    bed.receive(CALLER, &invite("1001", CALLER, "1004", "call2"));
    let consulted = bed.one(OTHER);
    bed.receive(OTHER, &answer(&consulted, 200, "other", OTHER, "answer"));
    let second = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &with(&in_dialog(&first, "REFER", 2, CALLER, ""), &refer_to_dialog(&second)));
    assert_eq!(statuses(&bed.take(CALLER)), ["SIP/2.0 100 Trying"]);
    bed.receive(CALLER, &in_dialog(&second, "ACK", 1, CALLER, ""));
    assert_eq!(statuses(&bed.take(CALLER)), ["SIP/2.0 200 OK"]);
}

#[test]
fn a_transfer_before_the_answer_calls_the_number_for_the_one_who_stays() {
    let (mut bed, first, _) = talking();
    bed.receive(CALLER, &invite("1001", CALLER, "1004", "call2"));
    let consulted = bed.one(OTHER);
    bed.receive(OTHER, &answer(&consulted, 180, "other", OTHER, ""));
    let ringing = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &with(&in_dialog(&first, "REFER", 2, CALLER, ""), &refer_to_dialog(&ringing)));
    let told = bed.take(CALLER);
    assert!(
        codes(&told).contains(&202) && codes(&told).contains(&480),
        "the consultation is given up: {:?}",
        codes(&told)
    );
    let to_other = bed.take(OTHER);
    assert!(to_other.iter().any(|message| line(message).starts_with("CANCEL ")));
    let rings = to_other.iter().find(|message| line(message).starts_with("INVITE ")).expect("a new INVITE");
    assert!(header(rings, HeaderName::From).contains("sip:1002@"), "in the name of who stays");
}

#[test]
fn dialogs_that_are_not_the_partys_own_are_not_joined() {
    let (mut bed, [first, second], _, _) = consulting();
    let unknown = "Refer-To: <sip:1004@10.0.0.1?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>";
    bed.receive(CALLER, &with(&in_dialog(&first, "REFER", 2, CALLER, ""), unknown));
    assert_eq!(statuses(&bed.take(CALLER)).last().unwrap(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    // The other party of the first call has overheard the second call's tags.
    let offered = {
        bed.receive(CALLER, &in_dialog(&first, "INFO", 3, CALLER, "x"));
        bed.one(CALLEE)
    };
    let refer = format!(
        "REFER sip:10.0.0.1:5060 SIP/2.0\nVia: SIP/2.0/UDP {CALLEE};branch=z9hG4bKstolen;rport\nMax-Forwards: 70\n\
         From: {}\nTo: {}\nCall-ID: {}\nCSeq: 1 REFER\nContact: <sip:x@{CALLEE}>\nContent-Length: 0\n\n",
        header(&offered, HeaderName::To),
        header(&offered, HeaderName::From),
        header(&offered, HeaderName::CallId),
    );
    bed.receive(CALLEE, &with(&refer, &refer_to_dialog(&second)));
    assert_eq!(statuses(&bed.take(CALLEE)).last().unwrap(), "SIP/2.0 403 Forbidden");
    assert_eq!(bed.node.call_list(bed.now).len(), 2);
}
