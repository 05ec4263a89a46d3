//! A call that waits at a queue or routing point: what its caller hears, the offers, and every way in which it ends.

use std::time::Duration;

use tandem_sip::{HeaderName, Message, Transport};
use tandem_switch::call::control::Operation;
use tandem_switch::call::{EndReason, Far, News};
use tandem_switch::directory::floor::Treatment;

use crate::floor::{POINT, QUEUE, bed, on_to};
use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, answer, cancel_of, codes, header, in_dialog, invite, line, with,
};

/// A call waits at the queue and is offered to 1002: its key, and the INVITE.
#[track_caller]
fn offered(bed: &mut Bed) -> (tandem_switch::arena::Key, Message) {
    let (key, _) = bed.waits_at(QUEUE);
    bed.register("1002", CALLEE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    (key, bed.one(CALLEE))
}

fn tag(message: &Message) -> String {
    header(message, HeaderName::To).split_once(";tag=").unwrap().1.to_owned()
}

#[test]
fn a_call_to_a_queue_is_told_that_it_is_queued_and_one_to_a_routing_point_rings() {
    for (number, code) in [(QUEUE, 182), (POINT, 180)] {
        let mut bed = bed();
        let (_, heard) = bed.waits_at(number);
        assert_eq!(heard.code(), Some(code));
        assert!(heard.body().is_empty());
        assert_eq!(header(&heard, HeaderName::Contact), "<sip:10.0.0.1:5060>");
        let told = bed.news();
        assert!(
            matches!(&told[..], [News::Opened { origin: Far::Extension(dn), parked: Some(at), .. }]
                if &**dn == "1001" && &**at == number),
            "{told:?}"
        );
        assert_eq!(bed.node.call_list(bed.now)[0].state, "waiting");
    }
}

#[test]
fn a_trunk_reaches_queues_and_routing_points() {
    let mut bed = bed();
    bed.receive(GATEWAY, &invite("0301", GATEWAY, QUEUE, "in1"));
    assert_eq!(codes(&bed.take(GATEWAY)), [100, 182]);
    bed.receive(GATEWAY, &invite("0301", GATEWAY, "9123", "in2"));
    assert_eq!(codes(&bed.take(GATEWAY)), [404], "but not the dial plan");
}

#[test]
fn a_waiting_call_does_not_time_out_and_is_told_again_every_minute() {
    let mut bed = bed();
    bed.waits_at(QUEUE);
    bed.pass(Duration::from_secs(601));
    assert_eq!(codes(&bed.take(CALLER)), [182; 10]);
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, QUEUE, "call1")));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    bed.nothing_stays();
}

#[test]
fn an_invite_that_expires_by_its_own_word_does_so_while_it_waits() {
    let mut bed = bed();
    bed.register("1001", CALLER);
    bed.receive(CALLER, &with(&invite("1001", CALLER, QUEUE, "call1"), "Expires: 400"));
    bed.pass(Duration::from_secs(399));
    assert!(codes(&bed.take(CALLER)).iter().all(|code| *code < 200));
    bed.pass(Duration::from_secs(2));
    assert_eq!(codes(&bed.take(CALLER)).first(), Some(&487));
    bed.nothing_stays();
}

#[test]
fn the_answer_of_an_agent_comes_in_the_dialog_in_which_the_caller_waited() {
    let mut bed = bed();
    let (_, queued) = bed.waits_at(QUEUE);
    bed.register("1002", CALLEE);
    let key = bed.key();
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    assert_eq!(offer.body(), b"v=0~", "the caller's own offer");
    assert!(header(&offer, HeaderName::From).contains("sip:1001@"));
    bed.receive(CALLEE, &answer(&offer, 180, "agent", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offer, 183, "agent", CALLEE, "early media"));
    assert!(bed.take(CALLER).is_empty(), "he keeps his treatment");
    bed.receive(CALLEE, &answer(&offer, 200, "agent", CALLEE, "answer"));
    let ok = bed.one(CALLER);
    assert_eq!((ok.code(), ok.body()), (Some(200), &b"answer"[..]));
    assert_eq!(tag(&ok), tag(&queued));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(CALLEE);
    bed.receive(CALLEE, &answer(&bye[0], 200, "", CALLEE, ""));
    let told = bed.news();
    assert!(
        matches!(
            &told[1..],
            [
                News::Offered { leg: 1, .. },
                News::Ringing { leg: 1 },
                News::Answered { leg: 1 },
                News::Ended { leg: 0, reason: EndReason::Bye, .. },
                News::Ended { leg: 1, .. },
                News::Over,
            ]
        ),
        "{told:?}"
    );
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].to, QUEUE);
    assert_eq!(bed.cdrs[0].legs.len(), 2);
}

#[test]
fn a_phone_that_refuses_leaves_the_call_waiting_and_the_next_one_gets_it() {
    let mut bed = bed();
    let (key, first) = offered(&mut bed);
    bed.receive(CALLEE, &answer(&first, 486, "busy", CALLEE, ""));
    assert!(bed.take(CALLER).is_empty());
    let told = bed.news();
    assert!(
        matches!(&told[2..], [News::Missed { leg: 1, status: 486, .. }, News::Unplaced { status: 486 }]),
        "{told:?}"
    );
    bed.register("1004", OTHER);
    bed.steer(key, Operation::Offer(on_to(3))).unwrap();
    let second = bed.one(OTHER);
    assert!(matches!(&bed.news()[..], [News::Offered { leg: 2, to: Far::Extension(dn) }] if &**dn == "1004"));
    bed.receive(OTHER, &answer(&second, 200, "agent", OTHER, "answer"));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    let legs: Vec<(&str, u16)> =
        bed.cdrs[0].legs.iter().map(|leg| (leg.device.as_str(), leg.status)).collect();
    assert_eq!(legs, [("1001", 200), ("1002", 486), ("1004", 200)]);
}

#[test]
fn an_offer_to_a_phone_that_is_not_there_or_says_nothing_comes_back() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    assert!(matches!(bed.news().last(), Some(News::Unplaced { status: 480 })), "not registered");
    bed.register("1002", CALLEE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    bed.pass(Duration::from_secs(33));
    let told = bed.news();
    assert!(
        matches!(
            &told[..],
            [
                News::Offered { leg: 1, .. },
                News::Missed { leg: 1, status: 408, reason: EndReason::NoResponse },
                News::Unplaced { status: 408 }
            ]
        ),
        "{told:?}"
    );
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    bed.refuse(CALLEE, Transport::Udp);
    assert!(matches!(bed.news().last(), Some(News::Unplaced { status: 480 })));
    bed.take(CALLER);
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, QUEUE, "call1")));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    bed.nothing_stays();
}

#[test]
fn an_offered_call_rings_as_long_as_the_queue_lets_it() {
    let mut bed = bed();
    let (_, offer) = offered(&mut bed);
    bed.receive(CALLEE, &answer(&offer, 180, "agent", CALLEE, ""));
    bed.pass(Duration::from_secs(500));
    assert!(bed.take(CALLEE).is_empty(), "no CANCEL by ring-timeout");
    assert!(codes(&bed.take(CALLER)).iter().all(|code| *code == 182));
}

#[test]
fn an_offer_that_is_taken_back_is_cancelled_and_its_late_answer_hung_up() {
    let mut bed = bed();
    let (key, offer) = offered(&mut bed);
    bed.receive(CALLEE, &answer(&offer, 180, "agent", CALLEE, ""));
    bed.news();
    bed.steer(key, Operation::TakeBack).unwrap();
    assert!(matches!(
        &bed.news()[..],
        [News::Missed { leg: 1, status: 487, reason: EndReason::TakenBack }, News::Unplaced { status: 487 }]
    ));
    bed.steer(key, Operation::TakeBack).unwrap();
    assert!(bed.news().is_empty(), "it waits already");
    let cancel = bed.one(CALLEE);
    assert!(line(&cancel).starts_with("CANCEL "));
    // Its 2xx crosses the CANCEL.
    bed.receive(CALLEE, &answer(&offer, 200, "agent", CALLEE, "answer"));
    let sent = bed.lines(CALLEE);
    assert!(sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "), "{sent:?}");
    assert!(bed.take(CALLER).is_empty());
    assert_eq!(bed.node.call_list(bed.now)[0].state, "waiting");
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    bed.steer(key, Operation::Clear).unwrap();
    assert_eq!(codes(&bed.take(CALLER)), [480]);
    bed.nothing_stays();
}

#[test]
fn a_caller_who_gives_up_ends_the_offer_too() {
    let mut bed = bed();
    let (_, offer) = offered(&mut bed);
    bed.receive(CALLEE, &answer(&offer, 180, "agent", CALLEE, ""));
    bed.news();
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, QUEUE, "call1")));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    assert!(matches!(
        &bed.news()[..],
        [
            News::Missed { leg: 1, status: 487, reason: EndReason::CallerGone },
            News::Ended { leg: 0, reason: EndReason::Cancel, .. }
        ]
    ));
    bed.receive(CALLEE, &answer(&offer, 487, "agent", CALLEE, ""));
    bed.nothing_stays();
}

#[test]
fn a_waiting_caller_may_end_his_early_dialog_by_bye() {
    let mut bed = bed();
    let (_, queued) = bed.waits_at(QUEUE);
    bed.receive(CALLER, &in_dialog(&queued, "UPDATE", 2, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&queued, "OPTIONS", 3, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [491, 200]);
    bed.receive(CALLER, &in_dialog(&queued, "BYE", 4, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    bed.nothing_stays();
}

#[test]
fn an_agents_phone_is_not_asked_for_reliable_responses_that_nobody_would_acknowledge() {
    let mut bed = bed();
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, QUEUE, "call1"), "Supported: 100rel, timer"));
    bed.take(CALLER);
    let key = bed.key();
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    let supported: Vec<&[u8]> = offer.values(HeaderName::Supported).collect();
    assert!(supported.contains(&&b"timer"[..]) && !supported.contains(&&b"100rel"[..]));
}

#[test]
fn a_caller_who_insists_on_reliable_responses_is_told_so_and_answered() {
    let mut bed = bed();
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, QUEUE, "call1"), "Require: 100rel"));
    let told = bed.take(CALLER);
    assert_eq!(codes(&told), [100, 182]);
    let (ringing, number) = (&told[1], header(&told[1], HeaderName::RSeq));
    assert!(ringing.has_token(HeaderName::Require, b"100rel"));
    let prack = with(&in_dialog(ringing, "PRACK", 2, CALLER, ""), &format!("RAck: {number} 1 INVITE"));
    bed.receive(CALLER, &prack);
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    bed.pass(Duration::from_secs(59));
    assert!(bed.take(CALLER).is_empty());
    let key = bed.key();
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    assert_eq!(offer.header(HeaderName::Require), None);
    bed.receive(CALLEE, &answer(&offer, 200, "agent", CALLEE, "answer"));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    bed.nothing_stays();
}

#[test]
fn another_treatment_is_told_at_once_and_the_same_one_is_not() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    bed.steer(key, Operation::Treat(Treatment::Queued)).unwrap();
    assert!(bed.take(CALLER).is_empty());
    bed.steer(key, Operation::Treat(Treatment::Ringback)).unwrap();
    assert_eq!(codes(&bed.take(CALLER)), [180]);
}

#[test]
fn a_waiting_call_is_refused_with_the_status_that_is_asked_for() {
    let mut bed = bed();
    let (key, queued) = bed.waits_at(QUEUE);
    assert_eq!(bed.steer(key, Operation::Refuse(200)), Err(501));
    bed.steer(key, Operation::Refuse(486)).unwrap();
    let refusal = bed.one(CALLER);
    assert_eq!((refusal.code(), tag(&refusal)), (Some(486), tag(&queued)));
    assert!(bed.news().contains(&News::Failed { status: 486 }));
    bed.nothing_stays();
}

#[test]
fn what_a_waiting_or_ringing_call_cannot_do_is_refused_and_changes_nothing() {
    let mut bed = bed();
    let (key, offer) = offered(&mut bed);
    assert_eq!(bed.steer(key, Operation::Offer(on_to(3))), Err(491), "one offer at a time");
    assert_eq!(bed.steer(key, Operation::Hold(0)), Err(501));
    assert_eq!(bed.steer(key, Operation::Release(9)), Err(481));
    bed.receive(CALLEE, &answer(&offer, 200, "agent", CALLEE, "answer"));
    assert_eq!(bed.steer(key, Operation::TakeBack), Err(501), "answered");
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    assert_eq!(bed.steer(key, Operation::TakeBack), Err(481), "gone");
}

#[test]
fn offers_end_when_the_call_has_no_leg_left_and_it_can_still_be_refused() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    bed.register("1002", CALLEE);
    let mut offers = 0;
    while bed.steer(key, Operation::Offer(on_to(1))).is_ok() {
        let offer = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&offer, 486, "busy", CALLEE, ""));
        bed.take(CALLEE);
        offers += 1;
    }
    assert_eq!(offers, usize::from(tandem_switch::limits::MAX_LEGS));
    bed.steer(key, Operation::Refuse(480)).unwrap();
    assert_eq!(codes(&bed.take(CALLER)), [480]);
    bed.nothing_stays();
}
