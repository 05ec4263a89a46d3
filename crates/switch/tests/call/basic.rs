//! One call from INVITE to record, message by message.

use std::time::Duration;

use crate::support::{Bed, CALLEE, CALLER, alone, answer, from_callee, header, in_dialog, invite, line};
use tandem_sip::HeaderName;
use tandem_switch::cdr::EndedBy;

#[test]
fn a_call_is_set_up_talked_over_and_ended_by_the_caller() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(bed.one(CALLER).code(), Some(200));
    let bye = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    assert!(bed.node.call_list(bed.now).is_empty());
    let [cdr] = &bed.cdrs[..] else { panic!("one record") };
    assert_eq!((cdr.from.as_str(), cdr.to.as_str(), cdr.legs.len()), ("1001", "1002", 2));
    assert!(cdr.legs.iter().all(|leg| leg.ended_by == EndedBy::Caller && leg.reason == "BYE"));
    bed.pass(Duration::from_secs(100));
    assert_eq!(bed.node.status(bed.now).transactions, 0);
}

#[test]
fn topology_is_hidden_and_unknown_headers_pass() {
    let mut bed = Bed::new();
    let (ok, offered) = bed.established();
    for (message, alien) in [(&ok, "10.0.0.12"), (&offered, "10.0.0.11")] {
        let text = String::from_utf8_lossy(message.bytes()).replace("Via", "");
        let foreign =
            text.lines().filter(|l| l.contains(alien) && !l.starts_with(':') && !l.starts_with("INVITE"));
        assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&str>::new());
    }
    assert_eq!(offered.other(b"X-Custom"), Some(&b"kept"[..]));
    assert_ne!(header(&ok, HeaderName::CallId), header(&offered, HeaderName::CallId));
    assert_eq!(header(&offered, HeaderName::MaxForwards), "69");
}

#[test]
fn a_lost_ack_is_asked_for_again_and_at_last_ends_the_call() {
    let mut bed = Bed::new();
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(31));
    assert!(bed.take(CALLER).iter().filter(|m| m.code() == Some(200)).count() >= 8);
    assert!(bed.take(CALLEE).is_empty(), "the callee is acknowledged when the caller has");
    bed.pass(Duration::from_secs(2));
    let ended: Vec<String> = bed.take(CALLEE).iter().map(line).collect();
    assert!(ended[0].starts_with("ACK ") && ended[1].starts_with("BYE "), "{ended:?}");
    assert!(bed.take(CALLER).iter().any(|m| line(m).starts_with("BYE ")));
    assert_eq!(bed.node.call_list(bed.now)[0].state, "ending");
}

#[test]
fn a_reinvite_from_the_callee_reaches_the_caller_and_back() {
    let mut bed = Bed::new();
    let (ok, offered) = bed.established();
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INVITE", 7, CALLEE, "hold"));
    assert_eq!(bed.one(CALLEE).code(), Some(100));
    let passed = bed.one(CALLER);
    assert_eq!((passed.body(), header(&passed, HeaderName::CSeq).as_str()), (&b"hold"[..], "1 INVITE"));
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "mine"));
    assert_eq!(bed.one(CALLER).code(), Some(491), "glare");
    bed.receive(CALLER, &answer(&passed, 200, "", CALLER, "held"));
    let held = bed.one(CALLEE);
    assert_eq!((held.code(), held.body()), (Some(200), &b"held"[..]));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "ACK", 7, CALLEE, ""));
    assert!(line(&bed.one(CALLER)).starts_with("ACK "));
}

#[test]
fn a_stored_call_is_committed_before_its_answer_leaves() {
    let mut bed = Bed::new();
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.commit = false;
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    assert!(bed.take(CALLER).is_empty(), "nothing may leave before the call is stored");
    let (seq, now) = (bed.stored, bed.now);
    bed.node.handle_input(tandem_switch::Input::Persisted { seq }, now);
    bed.drain();
    assert_eq!(bed.one(CALLER).code(), Some(200));
}

#[test]
fn the_caller_gives_up_and_the_callee_stops_ringing() {
    let mut bed = Bed::new();
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.take(CALLER);
    let cancel = invite("1001", CALLER, "1002", "call1")
        .replace("INVITE", "CANCEL")
        .replace("Content-Length: 4", "Content-Length: 0")
        .replace("v=0~", "");
    bed.receive(CALLER, &cancel);
    let codes: Vec<_> = bed.take(CALLER).iter().map(|m| m.code().unwrap()).collect();
    assert_eq!(codes, [200, 487]);
    let passed = bed.one(CALLEE);
    assert!(line(&passed).starts_with("CANCEL "));
    assert_eq!(header(&passed, HeaderName::Via), header(&offered, HeaderName::Via));
    // The answer crosses the CANCEL: it is acknowledged and hung up.
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ended: Vec<String> = bed.take(CALLEE).iter().map(line).collect();
    assert!(ended[0].starts_with("ACK ") && ended[1].starts_with("BYE "), "{ended:?}");
    bed.pass(Duration::from_secs(33));
    assert_eq!(bed.cdrs[0].legs[0].status, 487);
}

#[test]
fn a_dialled_number_leaves_by_the_gateway_with_its_digits_changed() {
    let mut bed = Bed::new();
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "out"));
    assert_eq!(line(&bed.one("10.0.0.99:5060")), "INVITE sip:+123@10.0.0.99:5060 SIP/2.0");
}

#[test]
fn a_trunk_reaches_extensions_and_never_the_dial_plan() {
    let mut bed = Bed::new();
    let gateway = "10.0.0.99:5060";
    bed.receive(gateway, &invite("5550001", gateway, "1003", "in"));
    assert_eq!(bed.one(gateway).code(), Some(100));
    assert_eq!(line(&bed.one("10.0.0.33:5060")), "INVITE sip:1003@10.0.0.33:5060 SIP/2.0");
    bed.receive(gateway, &invite("5550001", gateway, "9123", "fraud"));
    assert_eq!(bed.one(gateway).code(), Some(404));
}

#[test]
fn why_tells_the_rule_and_what_was_considered() {
    let mut bed = Bed::new();
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "lost"));
    assert_eq!(bed.take(CALLER).last().unwrap().code(), Some(480));
    let why = bed.node.why("lost").expect("the call is remembered");
    let texts: Vec<&str> = why.steps.iter().map(|step| step.text.as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("the peer trunk is out of service")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("no contact is registered")), "{texts:?}");
    assert!(!why.alive && why.steps.iter().any(|step| !step.considered.is_empty()));
}
