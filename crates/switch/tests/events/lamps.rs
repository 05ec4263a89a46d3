//! Busy lamps (RFC 4235): what a watcher sees of the calls of an Extension.

use std::time::Duration;

use tandem_sip::HeaderName;

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, alone, answer, from_callee, header, in_dialog, invite, sdp, with,
};
use crate::watcher::{WATCHER, accept, told, told_in_time, watching};

const ACTIVE: &str = "<remote><identity>sip:1001@10.0.0.1:5060</identity>";

/// What stands in a document of one dialog: its direction and state.
fn shown(text: &str) -> (&str, &str) {
    let between =
        |from: &str, to: &str| text.split(from).nth(1).and_then(|t| t.split(to).next()).unwrap_or("");
    (between("direction=\"", "\""), between("<state>", "<"))
}

#[test]
fn an_idle_extension_shows_nothing() {
    let mut bed = Bed::with(alone());
    let (_, notify) = watching(&mut bed, "1002", "dialog");
    let text = String::from_utf8_lossy(notify.body()).into_owned();
    assert!(text.contains("version=\"0\" state=\"full\" entity=\"sip:1002@10.0.0.1\""), "{text}");
    assert!(!text.contains("<dialog "), "{text}");
}

#[test]
fn a_call_is_shown_from_its_ring_to_its_end() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    bed.pass(Duration::from_secs(2));
    let offered = bed.offered();
    assert!(bed.take(WATCHER).is_empty(), "an INVITE that does not ring is nobody's lamp");
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let (text, state) = told(&mut bed);
    assert_eq!(shown(&text), ("recipient", "early"));
    assert!(text.contains("version=\"1\" state=\"partial\"") && text.contains(ACTIVE), "{text}");
    assert!(state.starts_with("active;expires=59"), "{state}");
    bed.take(CALLER);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let ok = bed.one(CALLER);
    assert!(bed.take(WATCHER).is_empty(), "one NOTIFY a second");
    let text = told_in_time(&mut bed);
    assert_eq!(shown(&text), ("recipient", "confirmed"));
    assert!(text.contains("pname=\"+sip.rendering\" pval=\"yes\""), "{text}");
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.pass(Duration::from_secs(5));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let (text, _) = told(&mut bed);
    assert_eq!(shown(&text), ("recipient", "terminated"));
    assert!(text.contains("version=\"3\""), "{text}");
    bed.pass(Duration::from_secs(5));
    assert!(bed.take(WATCHER).is_empty(), "nothing is told twice");
}

#[test]
fn what_changes_within_a_second_is_told_together() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    bed.pass(Duration::from_secs(2));
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    told(&mut bed);
    bed.receive(CALLEE, &answer(&offered, 486, "callee", CALLEE, ""));
    bed.take(CALLER);
    bed.take(CALLEE);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call2"));
    let again = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&again, 180, "callee2", CALLEE, ""));
    let text = told_in_time(&mut bed);
    assert_eq!(text.matches("<dialog ").count(), 2, "{text}");
    assert!(text.contains("<state>terminated</state>") && text.contains("<state>early</state>"), "{text}");
}

#[test]
fn a_ring_that_ends_before_it_could_be_told_is_not_told() {
    let mut bed = Bed::with(alone());
    let (_, _) = watching(&mut bed, "1002", "dialog");
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 486, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(5));
    assert!(bed.take(WATCHER).is_empty());
}

#[test]
fn a_caller_is_shown_trying_then_ringing_somebody() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1001", "dialog");
    bed.pass(Duration::from_secs(2));
    let offered = bed.offered();
    let (text, _) = told(&mut bed);
    assert_eq!(shown(&text), ("initiator", "trying"));
    assert!(text.contains("<identity>sip:1002@10.0.0.1:5060</identity>"), "{text}");
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(2));
    // The caller's lamp follows with what else changes at his DN.
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let seen = bed.take(WATCHER).pop().unwrap();
    accept(&mut bed, &seen);
    bed.pass(Duration::from_secs(2));
    let last = bed.take(WATCHER).pop().unwrap_or(seen);
    assert_eq!(shown(&String::from_utf8_lossy(last.body())), ("initiator", "confirmed"));
}

#[test]
fn a_held_call_says_that_nothing_is_rendered() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    let (_, offered) = bed.established();
    let text = told_in_time(&mut bed);
    assert!(text.contains("pval=\"yes\""), "{text}");
    bed.pass(Duration::from_secs(2));
    let hold = from_callee(&offered, "callee", "INVITE", 1, CALLEE, &sdp("callee", "sendonly"));
    bed.receive(CALLEE, &with(&hold, "Content-Type: application/sdp"));
    let passed = bed.one(CALLER);
    bed.receive(
        CALLER,
        &with(&answer(&passed, 200, "", CALLER, &sdp("caller", "recvonly")), "Content-Type: application/sdp"),
    );
    let text = told_in_time(&mut bed);
    assert_eq!(shown(&text), ("recipient", "confirmed"));
    assert!(text.contains("pval=\"no\""), "{text}");
}

#[test]
fn who_asked_not_to_be_named_is_not_named_to_watchers() {
    for private in ["Privacy: id", "Privacy: user;critical", "Privacy: header"] {
        let mut bed = Bed::with(alone());
        watching(&mut bed, "1002", "dialog");
        bed.register("1002", CALLEE);
        bed.receive(GATEWAY, &with(&invite("0301234", GATEWAY, "1002", "call1"), private));
        let offered = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
        let text = told_in_time(&mut bed);
        assert_eq!(shown(&text), ("recipient", "early"));
        assert!(text.contains("<identity display=\"Anonymous\">sip:anonymous@anonymous.invalid"), "{text}");
        assert!(!text.contains("0301234"), "{private}: {text}");
    }
}

#[test]
fn a_watcher_that_comes_late_is_told_what_is() {
    let mut bed = Bed::with(alone());
    bed.established();
    let (_, notify) = watching(&mut bed, "1002", "dialog");
    let text = String::from_utf8_lossy(notify.body()).into_owned();
    assert!(text.contains("state=\"full\""), "{text}");
    assert_eq!(shown(&text), ("recipient", "confirmed"));
}

#[test]
fn a_notify_that_waits_for_its_answer_holds_the_next_one_back() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    bed.pass(Duration::from_secs(2));
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let ringing = bed.one(WATCHER);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    bed.pass(Duration::from_millis(1_600));
    let cseq = header(&ringing, HeaderName::CSeq);
    assert!(bed.take(WATCHER).iter().all(|again| header(again, HeaderName::CSeq) == cseq), "only repeats");
    accept(&mut bed, &ringing);
    let (text, _) = told(&mut bed);
    assert_eq!(shown(&text), ("recipient", "confirmed"));
}

#[test]
fn a_ringing_call_is_shown_with_the_dialog_by_which_it_can_be_taken() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let text = told_in_time(&mut bed);
    let ours = header(&offered, HeaderName::From);
    let names = format!(
        "call-id=\"{}\" local-tag=\"callee\" remote-tag=\"{}\" direction=\"recipient\"",
        header(&offered, HeaderName::CallId),
        ours.split(";tag=").nth(1).unwrap()
    );
    assert!(text.contains(&names), "{names} in {text}");
    bed.pass(Duration::from_secs(2));
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let text = told_in_time(&mut bed);
    assert!(text.contains(&names), "the same dialog once it is answered: {text}");
}

#[test]
fn a_callers_lamp_names_his_own_dialog() {
    let mut bed = Bed::with(alone());
    bed.established();
    let (_, notify) = watching(&mut bed, "1001", "dialog");
    let text = String::from_utf8_lossy(notify.body()).into_owned();
    assert!(text.contains("call-id=\"call1\" local-tag=\"fcall1\" remote-tag=\""), "{text}");
    assert!(text.contains("direction=\"initiator\""), "{text}");
}

#[test]
fn the_target_of_a_caller_who_is_not_named_leads_here_and_not_to_him() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    bed.register("1002", CALLEE);
    bed.receive(GATEWAY, &with(&invite("0301234", GATEWAY, "1002", "call1"), "Privacy: id"));
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    let text = told_in_time(&mut bed);
    assert!(text.contains("<target uri=\"sip:anonymous@10.0.0.1:5060\"/></remote>"), "{text}");
    assert!(!text.contains("call1"), "the caller's own Call-ID stays with him: {text}");
}
