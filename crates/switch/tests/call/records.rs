//! What stays of a call: one record, each leg with who ended it and why, and the reasons of its way.

use std::time::Duration;

use tandem_switch::cdr::EndedBy;

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, alone, answer, cancel_of, from_callee, in_dialog, invite,
};

fn texts(bed: &Bed, id: &str) -> Vec<String> {
    bed.node.why(id).unwrap().steps.iter().map(|step| step.text.clone()).collect()
}

#[test]
fn the_record_of_an_answered_call_has_its_times_and_its_end() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    let start = bed.now.unix_ms;
    bed.pass(Duration::from_secs(1));
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.pass(Duration::from_secs(2));
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.pass(Duration::from_secs(60));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    bed.nothing_stays();
    let [cdr] = &bed.cdrs[..] else { panic!("one record") };
    assert_eq!((cdr.server.as_str(), cdr.start_unix_ms, cdr.legs.len()), ("site-a", start, 2));
    for leg in &cdr.legs {
        assert_eq!(leg.ringing_unix_ms, Some(start + 1_000));
        assert_eq!(leg.answered_unix_ms, Some(start + 3_000));
        assert_eq!(leg.ended_unix_ms, start + 63_000);
        assert_eq!((leg.status, leg.ended_by, leg.reason.as_str()), (200, EndedBy::Callee, "BYE"));
    }
    assert_eq!(
        (cdr.legs[0].sip_call_id.as_str(), cdr.legs[0].side, cdr.legs[0].device.as_str()),
        ("call1", "caller", "1001")
    );
    assert_eq!((cdr.legs[1].side, cdr.legs[1].device.as_str()), ("callee", "1002"));
    assert_ne!(cdr.legs[1].sip_call_id, "call1");
}

#[test]
fn each_unanswered_call_says_who_ended_it() {
    let endings = [
        ("busy", EndedBy::Callee, "486 Busy Here"),
        ("cancel", EndedBy::Caller, "CANCEL"),
        ("ring", EndedBy::Server, "ring timeout"),
        ("silence", EndedBy::Network, "408 Request Timeout"),
        ("no ack", EndedBy::Network, "the answer was not acknowledged"),
    ];
    for (how, by, reason) in endings {
        let mut bed = Bed::with(alone());
        let offered = bed.offered();
        match how {
            "busy" => bed.receive(CALLEE, &answer(&offered, 486, "callee", CALLEE, "")),
            "cancel" => bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1"))),
            "ring" => {
                bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
                bed.pass(Duration::from_secs(181));
            }
            "silence" => bed.pass(Duration::from_secs(33)),
            _ => bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "")),
        }
        bed.nothing_stays();
        let caller = &bed.cdrs[0].legs[0];
        assert_eq!((caller.ended_by, caller.reason.as_str()), (by, reason), "{how}");
    }
}

#[test]
fn a_call_that_goes_nowhere_has_its_record_too() {
    let mut bed = Bed::with(alone());
    bed.receive(CALLER, &invite("1001", CALLER, "4711", "nowhere"));
    let [cdr] = &bed.cdrs[..] else { panic!("one record") };
    assert_eq!((cdr.to.as_str(), cdr.legs.len(), cdr.legs[0].status), ("4711", 1, 404));
    assert_eq!((cdr.legs[0].ended_by, cdr.legs[0].reason.as_str()), (EndedBy::Server, "404 Not Found"));
}

#[test]
fn why_is_told_by_the_call_id_of_any_leg_while_it_lasts_and_afterwards() {
    let mut bed = Bed::with(alone());
    bed.register("1002", OTHER);
    let (ok, offered) = {
        bed.register("1002", CALLEE);
        bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
        bed.take(CALLER);
        let offered = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
        (bed.one(CALLER), offered)
    };
    let callee_id = String::from_utf8(offered.envelope().unwrap().call_id.to_vec()).unwrap();
    assert!(bed.node.why(&callee_id).unwrap().alive);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    let why = bed.node.why("call1").unwrap();
    assert!(!why.alive && why.sip_call_ids.len() == 3);
    assert_eq!(bed.node.why(&why.call_uuid).unwrap().sip_call_ids, why.sip_call_ids);
    let told = texts(&bed, &callee_id);
    for step in [
        "call from Extension 1001",
        "the number is Extension 1002",
        "offered to Extension 1002",
        "answered by Extension 1002",
        "ended (by the caller): BYE",
    ] {
        assert!(
            told.iter().any(|text| text.contains(step)) || step.starts_with("the number"),
            "{step}: {told:?}"
        );
    }
    assert!(bed.node.why("unknown").is_none());
}

#[test]
fn why_names_the_rule_of_the_dial_plan() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "out"));
    let offered = bed.one(GATEWAY);
    bed.receive(GATEWAY, &answer(&offered, 404, "gw", GATEWAY, ""));
    let told = texts(&bed, "out");
    assert!(told.iter().any(|text| text.contains("prefix '9', strip 1, add '+'")), "{told:?}");
    assert!(told.iter().any(|text| text.contains("Trunk gateway refused with 404")), "{told:?}");
    assert!(told.iter().any(|text| text.contains("caller answered with 404")), "{told:?}");
}
