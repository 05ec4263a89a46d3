//! Offers in each place where RFC 3261, 3262 and 3311 allow them (RFC 6337 table 1), and in those where the other side has
//! no place for one: each gets an answer or a refusal, never silence, and the call goes on as it was.

use tandem_sip::{HeaderName, Message};

use crate::floor::QUEUE;
use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, body, codes, from_callee, header, in_dialog, invite, line, sdp, with,
};

/// What becomes of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Passed,
    Refused(u16),
}

use Told::{Passed, Refused};

const TYPE: &str = "Content-Type: application/sdp";
const OLD: &str = "Allow: INVITE, ACK, BYE, CANCEL";
const NEW: &str = "Allow: INVITE, ACK, BYE, CANCEL, PRACK, UPDATE";
const RELIABLY: &str = "Require: 100rel\nRSeq: 7";

/// Line of the caller's INVITE, line of the callee's 183, who offers (the callee or not) and by which method.
const TABLE: [(&str, &str, bool, &str, Told); 16] = [
    ("Supported: 100rel", RELIABLY, false, "PRACK", Passed),
    ("Require: 100rel", RELIABLY, false, "PRACK", Passed),
    ("Require: 100rel", NEW, false, "PRACK", Refused(488)),
    ("Supported: 100rel", NEW, false, "PRACK", Passed),
    ("X-Y: none", RELIABLY, false, "PRACK", Passed),
    (NEW, NEW, false, "UPDATE", Passed),
    (NEW, NEW, true, "UPDATE", Passed),
    (NEW, OLD, false, "UPDATE", Refused(504)),
    (OLD, NEW, true, "UPDATE", Refused(504)),
    ("X-Y: none", "X-Y: none", false, "UPDATE", Passed),
    ("X-Y: none", "X-Y: none", true, "UPDATE", Passed),
    ("X-Y: none", RELIABLY, true, "UPDATE", Passed),
    (NEW, NEW, false, "INVITE", Refused(500)),
    (NEW, NEW, true, "INVITE", Refused(491)),
    ("Require: 100rel", RELIABLY, false, "INVITE", Refused(500)),
    ("Supported: 100rel", RELIABLY, true, "INVITE", Refused(491)),
];

/// 1001 has called 1002, which says 183: the INVITE that 1002 got, and what 1001 was told.
#[track_caller]
fn early(bed: &mut Bed, caller: &str, callee: &str) -> (Message, Message) {
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), caller));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    let progress = answer(&offered, 183, "callee", CALLEE, &sdp("callee", "sendrecv"));
    bed.receive(CALLEE, &with(&progress, &format!("{callee}\n{TYPE}")));
    for prack in bed.take(CALLEE) {
        bed.receive(CALLEE, &answer(&prack, 200, "", CALLEE, ""));
    }
    (offered, bed.one(CALLER))
}

#[test]
fn every_offer_before_the_answer_is_passed_on_or_refused() {
    for (caller, callee, by_callee, method, told) in TABLE {
        for code in [200, 488] {
            let case = format!("{caller} / {callee}: {method} of the callee {by_callee}, answered {code}");
            let mut bed = Bed::with(alone());
            let (offered, progress) = early(&mut bed, caller, callee);
            let (from, to) = if by_callee { (CALLEE, CALLER) } else { (CALLER, CALLEE) };
            let offer = sdp("again", "sendrecv");
            let request = if by_callee {
                from_callee(&offered, "callee", method, 1, CALLEE, &offer)
            } else {
                in_dialog(&progress, method, 2, CALLER, &offer)
            };
            let rack = header(&progress, HeaderName::RSeq);
            let rack = if rack.is_empty() { "7".to_owned() } else { rack };
            bed.receive(from, &with(&request, &format!("{TYPE}\nRAck: {rack} 1 INVITE")));
            match told {
                Passed => {
                    let passed = bed.one(to);
                    assert!(line(&passed).starts_with(method) && body(&passed).contains("o=again"), "{case}");
                    let his = if code == 200 { sdp("his", "sendrecv") } else { String::new() };
                    bed.receive(to, &with(&answer(&passed, code, "", to, &his), TYPE));
                    let back = bed.one(from);
                    assert_eq!(
                        (back.code(), body(&back).contains("o=his")),
                        (Some(code), code == 200),
                        "{case}"
                    );
                }
                Refused(code) => {
                    assert_eq!(codes(&bed.take(from)), [code], "{case}");
                    assert!(bed.take(to).is_empty(), "{case}");
                }
            }
            if !by_callee && method != "PRACK" && !header(&progress, HeaderName::RSeq).is_empty() {
                // What was told reliably waits for its own PRACK.
                let prack =
                    with(&in_dialog(&progress, "PRACK", 3, CALLER, ""), &format!("RAck: {rack} 1 INVITE"));
                bed.receive(CALLER, &prack);
                for passed in bed.take(CALLEE) {
                    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, ""));
                }
                bed.take(CALLER);
            }
            bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
            let ok = bed.take(CALLER).pop().unwrap();
            assert_eq!((ok.code(), &*header(&ok, HeaderName::CSeq)), (Some(200), "1 INVITE"), "{case}");
            bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
            bed.receive(CALLER, &in_dialog(&ok, "BYE", 9, CALLER, ""));
            bed.nothing_stays();
        }
    }
}

#[test]
fn a_caller_who_waits_in_a_queue_is_refused_what_nobody_could_answer() {
    for (method, code) in [("UPDATE", 491), ("INVITE", 500), ("PRACK", 481)] {
        let mut bed = crate::floor::bed();
        let (_, heard) = bed.waits_at(QUEUE);
        let request = in_dialog(&heard, method, 2, CALLER, &sdp("again", "sendrecv"));
        bed.receive(CALLER, &with(&request, &format!("{TYPE}\nRAck: 7 1 INVITE")));
        assert_eq!(codes(&bed.take(CALLER)), [code], "{method}");
        assert_eq!(bed.node.call_list(bed.now)[0].state, "waiting");
    }
}

#[test]
fn what_a_party_that_waits_on_the_line_offers_is_answered_here_and_no_media_flow() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let own = bed.made("1002");
    bed.receive(CALLER, &with(&answer(&own, 200, "own", CALLER, &sdp("caller", "sendrecv")), TYPE));
    bed.take(CALLER);
    bed.one(CALLEE);
    let update = from_callee(&own, "own", "UPDATE", 1, CALLER, &sdp("caller", "sendonly"));
    bed.receive(CALLER, &with(&update, TYPE));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), body(&told).contains("a=inactive")), (Some(200), true));
    bed.receive(CALLER, &with(&from_callee(&own, "own", "UPDATE", 2, CALLER, "what"), TYPE));
    assert_eq!(codes(&bed.take(CALLER)), [491], "no description");
    assert!(bed.take(CALLEE).is_empty(), "who rings hears nothing of it");
}
