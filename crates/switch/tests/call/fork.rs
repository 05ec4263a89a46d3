//! One call, several contacts: who wins, what the others hear, and which refusal is told.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, alone, alone_telling_redirections, answer, codes, header, in_dialog, invite,
    line, with,
};

/// 1002 has two contacts and both are offered the call.
fn forked(bed: &mut Bed) -> [Message; 2] {
    bed.register("1002", CALLEE);
    bed.register("1002", OTHER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    bed.take(CALLER);
    [bed.one(CALLEE), bed.one(OTHER)]
}

#[test]
fn the_first_to_answer_wins_and_the_others_stop_ringing() {
    let mut bed = Bed::with(alone());
    let [first, second] = forked(&mut bed);
    assert_ne!(header(&first, HeaderName::CallId), header(&second, HeaderName::CallId));
    bed.receive(CALLEE, &answer(&first, 180, "one", CALLEE, ""));
    bed.receive(OTHER, &answer(&second, 180, "two", OTHER, ""));
    let rings = bed.take(CALLER);
    assert_ne!(header(&rings[0], HeaderName::To), header(&rings[1], HeaderName::To), "two early dialogs");
    bed.receive(OTHER, &answer(&second, 200, "two", OTHER, "answer"));
    let ok = bed.one(CALLER);
    assert_eq!(header(&ok, HeaderName::To), header(&rings[1], HeaderName::To));
    let cancel = bed.one(CALLEE);
    assert!(line(&cancel).starts_with("CANCEL "));
    assert_eq!(header(&cancel, HeaderName::Reason), "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert_eq!(header(&cancel, HeaderName::Via), header(&first, HeaderName::Via));
    bed.receive(CALLEE, &answer(&cancel, 200, "one", CALLEE, ""));
    bed.receive(CALLEE, &answer(&first, 487, "one", CALLEE, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    let reasons: Vec<&str> = bed.cdrs[0].legs.iter().map(|leg| leg.reason.as_str()).collect();
    assert_eq!(reasons, ["BYE", "BYE", "answered elsewhere"]);
}

#[test]
fn a_late_answer_of_a_loser_is_hung_up_once_and_acknowledged_as_often_as_it_comes() {
    let mut bed = Bed::with(alone());
    let [first, second] = forked(&mut bed);
    bed.receive(CALLEE, &answer(&first, 180, "one", CALLEE, ""));
    bed.receive(OTHER, &answer(&second, 200, "two", OTHER, ""));
    bed.take(CALLEE);
    bed.take(CALLER);
    let late = answer(&first, 200, "one", CALLEE, "");
    bed.receive(CALLEE, &late);
    let hung_up = bed.take(CALLEE);
    assert_eq!(line(&hung_up[0]), format!("ACK sip:x@{CALLEE} SIP/2.0"));
    assert_eq!(line(&hung_up[1]), format!("BYE sip:x@{CALLEE} SIP/2.0"));
    assert_eq!(header(&hung_up[1], HeaderName::CSeq), "2 BYE");
    bed.receive(CALLEE, &late);
    assert_eq!(bed.lines(CALLEE), [format!("ACK sip:x@{CALLEE} SIP/2.0")]);
    bed.receive(CALLEE, &answer(&hung_up[1], 200, "", CALLEE, ""));
    assert!(bed.take(CALLER).is_empty(), "the caller never hears of it");
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn a_second_answer_behind_one_contact_is_hung_up_and_the_call_goes_on() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    bed.receive(CALLEE, &answer(&offered, 200, "twin", CALLEE, ""));
    let hung_up = bed.take(CALLEE);
    assert!(line(&hung_up[0]).starts_with("ACK ") && line(&hung_up[1]).starts_with("BYE "));
    assert!(header(&hung_up[1], HeaderName::To).ends_with(";tag=twin"));
    bed.receive(CALLEE, &answer(&hung_up[1], 200, "", CALLEE, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert!(header(&bed.one(CALLEE), HeaderName::To).ends_with(";tag=callee"));
    bed.nothing_stays();
}

#[test]
fn an_answer_that_comes_when_the_call_is_forgotten_is_hung_up_all_the_same() {
    let mut bed = Bed::with(alone());
    let [first, second] = forked(&mut bed);
    bed.receive(OTHER, &answer(&second, 486, "two", OTHER, ""));
    bed.receive(CALLEE, &answer(&first, 200, "one", CALLEE, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(CALLEE).pop().unwrap();
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    assert!(bed.node.call_list(bed.now).is_empty());
    bed.receive(CALLEE, &answer(&first, 200, "twin", CALLEE, ""));
    let hung_up = bed.take(CALLEE);
    assert!(line(&hung_up[0]).starts_with("ACK ") && line(&hung_up[1]).starts_with("BYE "));
    bed.nothing_stays();
}

#[test]
fn a_6xx_speaks_for_the_person_and_stops_the_others() {
    let mut bed = Bed::with(alone());
    let [first, second] = forked(&mut bed);
    bed.receive(CALLEE, &answer(&first, 180, "one", CALLEE, ""));
    bed.receive(OTHER, &answer(&second, 603, "two", OTHER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [180, 603]);
    let cancel = bed.one(CALLEE);
    assert_eq!(header(&cancel, HeaderName::Reason), "SIP;cause=603;text=\"Declined elsewhere\"");
    bed.receive(CALLEE, &answer(&first, 487, "one", CALLEE, ""));
    bed.nothing_stays();
    let reasons: Vec<&str> = bed.cdrs[0].legs.iter().map(|leg| leg.reason.as_str()).collect();
    assert_eq!(reasons, ["603 Decline", "603 Decline", "refused elsewhere"]);
}

#[test]
fn the_best_refusal_is_told_when_all_have_refused() {
    for ([one, two], told) in [
        ([486, 404], 486),
        ([408, 486], 486),
        ([503, 486], 486),
        ([407, 486], 486),
        ([404, 484], 484),
        ([486, 302], 302),
        ([503, 503], 500),
        ([401, 500], 500),
    ] {
        let mut bed = Bed::with(alone_telling_redirections());
        let [first, second] = forked(&mut bed);
        bed.receive(CALLEE, &answer(&first, one, "one", CALLEE, ""));
        assert!(bed.take(CALLER).is_empty(), "the other still rings");
        bed.receive(OTHER, &answer(&second, two, "two", OTHER, ""));
        assert_eq!(codes(&bed.take(CALLER)), [told], "{one} and {two}");
        bed.nothing_stays();
    }
}

#[test]
fn a_503_and_its_retry_after_of_one_contact_do_not_speak_for_this_server() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.receive(CALLEE, &with(&answer(&offered, 503, "one", CALLEE, ""), "Retry-After: 100"));
    let told = bed.one(CALLER);
    assert_eq!(line(&told), "SIP/2.0 500 Server Internal Error");
    assert_eq!(told.header(HeaderName::RetryAfter), None);
}

#[test]
fn more_early_dialogs_than_fit_do_not_confuse_the_answer() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    for n in 0..40 {
        bed.receive(CALLEE, &answer(&offered, 180, &format!("t{n}"), CALLEE, ""));
    }
    assert_eq!(bed.take(CALLER).len(), 16);
    bed.receive(CALLEE, &answer(&offered, 200, "t39", "10.0.0.77:5060", ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    let ack = bed.one("10.0.0.77:5060");
    assert!(header(&ack, HeaderName::To).ends_with(";tag=t39"));
}

#[test]
fn a_contact_that_never_answers_its_cancel_is_given_up() {
    let mut bed = Bed::with(alone());
    let [first, second] = forked(&mut bed);
    bed.receive(CALLEE, &answer(&first, 180, "one", CALLEE, ""));
    bed.receive(OTHER, &answer(&second, 200, "two", OTHER, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(OTHER).pop().unwrap();
    bed.receive(OTHER, &answer(&bye, 200, "", OTHER, ""));
    assert_eq!(bed.node.call_list(bed.now).len(), 1);
    bed.pass(Duration::from_secs(33));
    assert_eq!(bed.node.call_list(bed.now).len(), 0);
    bed.nothing_stays();
}

#[test]
fn a_final_response_of_a_broken_contact_ends_its_branch() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    let from = header(&offered, HeaderName::From);
    bed.receive(CALLEE, &answer(&offered, 486, "one", CALLEE, "").replace(&from, "<sip:x@y>;tag=wrong"));
    assert_eq!(codes(&bed.take(CALLER)), [486]);
    bed.nothing_stays();
}

#[test]
fn a_caller_who_takes_199_is_told_which_early_dialog_is_over() {
    for (takes, told) in [("Supported: 199", vec![180, 180, 199]), ("Supported: path", vec![180, 180])] {
        let mut bed = Bed::with(alone());
        bed.register("1002", CALLEE);
        bed.register("1002", OTHER);
        bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), takes));
        bed.take(CALLER);
        let [one, other] = [bed.one(CALLEE), bed.one(OTHER)];
        bed.receive(CALLEE, &answer(&one, 180, "one", CALLEE, ""));
        bed.receive(OTHER, &answer(&other, 180, "other", OTHER, ""));
        bed.receive(CALLEE, &answer(&one, 486, "one", CALLEE, ""));
        let heard = bed.take(CALLER);
        assert_eq!(codes(&heard), told);
        if let Some(ended) = heard.get(2) {
            assert_eq!(header(ended, HeaderName::To), header(&heard[0], HeaderName::To));
            assert_eq!(header(ended, HeaderName::Reason), "SIP;cause=486");
        }
        bed.receive(OTHER, &answer(&other, 200, "other", OTHER, ""));
        assert_eq!(header(&bed.one(CALLER), HeaderName::To), header(&heard[1], HeaderName::To));
    }
}
