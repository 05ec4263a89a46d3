//! Calls that are sent on, parked or ended by request before they are answered.

use std::time::Duration;

use tandem_switch::call::control::Operation;
use tandem_switch::call::{EndReason, News};
use tandem_switch::cdr::EndedBy;
use tandem_switch::routing::Onwards;

use crate::floor::{QUEUE, bed, on_to};
use crate::support::{CALLEE, CALLER, OTHER, answer, cancel_of, codes, in_dialog, invite, line};

#[test]
fn a_ringing_call_is_redirected_and_the_caller_hears_the_new_phone() {
    let mut bed = bed();
    let first = bed.offered();
    bed.receive(CALLEE, &answer(&first, 180, "callee", CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLER)), [180]);
    bed.register("1004", OTHER);
    bed.news();
    let key = bed.key();
    bed.steer(key, Operation::Redirect(on_to(3))).unwrap();
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    assert!(matches!(
        &bed.news()[..],
        [News::Missed { leg: 1, status: 487, reason: EndReason::TakenBack }, News::Offered { leg: 2, .. }]
    ));
    let second = bed.one(OTHER);
    bed.receive(CALLEE, &answer(&first, 487, "callee", CALLEE, ""));
    bed.receive(OTHER, &answer(&second, 183, "other", OTHER, "early"));
    assert_eq!(bed.one(CALLER).body(), b"early");
    bed.receive(OTHER, &answer(&second, 200, "other", OTHER, "answer"));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
}

#[test]
fn a_redirection_that_fails_is_told_to_the_caller() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    bed.steer(key, Operation::Redirect(on_to(1))).unwrap();
    assert_eq!(codes(&bed.take(CALLER)), [480], "nobody is registered there");
    assert!(bed.news().contains(&News::Failed { status: 480 }));
    bed.nothing_stays();
}

#[test]
fn a_waiting_call_that_is_redirected_rings_as_long_as_it_may() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    bed.register("1002", CALLEE);
    bed.steer(key, Operation::Redirect(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 180, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(30));
    assert_eq!(codes(&bed.take(CALLER)), [180, 480]);
    bed.receive(CALLEE, &answer(&offer, 487, "callee", CALLEE, ""));
    bed.nothing_stays();
}

#[test]
fn a_ringing_call_is_parked_and_waits_from_then_on() {
    let mut bed = bed();
    let first = bed.offered();
    bed.receive(CALLEE, &answer(&first, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    bed.news();
    let key = bed.key();
    bed.steer(key, Operation::Park(QUEUE.into())).unwrap();
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    assert_eq!(codes(&bed.take(CALLER)), [182]);
    assert!(matches!(&bed.news()[..], [News::Missed { leg: 1, .. }, News::Parked { at }] if &**at == QUEUE));
    bed.receive(CALLEE, &answer(&first, 487, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(300));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "waiting", "ring-timeout is over");
    bed.steer(key, Operation::Clear).unwrap();
    bed.nothing_stays();
}

#[test]
fn the_callers_leg_released_while_it_rings_ends_the_call() {
    let mut bed = bed();
    let first = bed.offered();
    bed.receive(CALLEE, &answer(&first, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    bed.news();
    let key = bed.key();
    bed.steer(key, Operation::Release(0)).unwrap();
    assert_eq!(codes(&bed.take(CALLER)), [480]);
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    assert!(matches!(
        &bed.news()[..],
        [
            News::Missed { leg: 1, reason: EndReason::CallerGone, .. },
            News::Ended { leg: 0, by: EndedBy::Caller, reason: EndReason::Request }
        ]
    ));
    bed.receive(CALLEE, &answer(&first, 487, "callee", CALLEE, ""));
    bed.nothing_stays();
    assert_eq!(bed.cdrs[0].legs[0].reason, "by request");
}

#[test]
fn a_dn_released_while_all_its_phones_ring_refuses_with_all_of_them() {
    let mut bed = bed();
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.register("1002", OTHER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    let (first, second) = (bed.one(CALLEE), bed.one(OTHER));
    bed.receive(CALLEE, &answer(&first, 180, "one", CALLEE, ""));
    bed.receive(OTHER, &answer(&second, 180, "two", OTHER, ""));
    bed.take(CALLER);
    let key = bed.key();
    bed.steer(key, Operation::Release(2)).unwrap();
    assert_eq!(codes(&bed.take(CALLER)), [480]);
    assert!(line(&bed.one(CALLEE)).starts_with("CANCEL "));
    assert!(line(&bed.one(OTHER)).starts_with("CANCEL "));
    bed.receive(CALLEE, &answer(&first, 487, "one", CALLEE, ""));
    bed.receive(OTHER, &answer(&second, 487, "two", OTHER, ""));
    bed.nothing_stays();
}

#[test]
fn an_agent_released_while_an_offer_rings_leaves_the_call_waiting() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    bed.register("1002", CALLEE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 180, "agent", CALLEE, ""));
    bed.news();
    bed.steer(key, Operation::Release(1)).unwrap();
    assert!(matches!(
        &bed.news()[..],
        [News::Missed { leg: 1, status: 480, reason: EndReason::Request }, News::Unplaced { status: 480 }]
    ));
    assert!(bed.take(CALLER).is_empty());
    bed.receive(CALLEE, &answer(&offer, 487, "agent", CALLEE, ""));
    bed.steer(key, Operation::Clear).unwrap();
    bed.nothing_stays();
}

#[test]
fn why_tells_every_step_of_a_waiting_call() {
    let mut bed = bed();
    let (key, _) = bed.waits_at(QUEUE);
    bed.steer(key, Operation::Offer(on_to(1))).unwrap();
    bed.steer(key, Operation::Redirect(on_to(3))).unwrap();
    let why = bed.node.why("call1").unwrap();
    let steps: Vec<&str> = why.steps.iter().map(|step| step.text.as_str()).collect();
    for wanted in
        ["parked at queue 7000", "nobody took the offer (480); parked again", "sent on to 1004 by request"]
    {
        assert!(steps.contains(&wanted), "{wanted} in {steps:?}");
    }
}

#[test]
fn a_cancel_that_comes_after_the_answer_does_not_end_what_the_call_goes_on_to() {
    let mut bed = bed();
    bed.established();
    bed.register("1004", OTHER);
    let key = bed.key();
    bed.steer(key, Operation::Replace(1, Onwards::To(on_to(3)))).unwrap();
    let second = bed.one(OTHER);
    bed.receive(OTHER, &answer(&second, 180, "other", OTHER, ""));
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert!(bed.take(OTHER).is_empty(), "it goes on ringing (RFC 3261 9.2)");
    bed.steer(key, Operation::Release(0)).unwrap();
    assert!(line(&bed.one(OTHER)).starts_with("CANCEL "));
    bed.receive(OTHER, &answer(&second, 487, "other", OTHER, ""));
    bed.nothing_stays();
}
