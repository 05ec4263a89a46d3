//! Addresses that lead to one phone of a DN alone (RFC 5627).

use std::time::Duration;

use tandem_sip::{HeaderName, Message};

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, alone, answer, codes, from_callee, header, in_dialog, invite, line,
};

/// 1002 registers from `at` as this instance; its public and temporary address.
fn register(bed: &mut Bed, at: &str, instance: &str, call_id: &str, cseq: u32) -> [String; 2] {
    bed.receive(at, &text(at, instance, call_id, cseq, "Supported: gruu\n"));
    let ok = bed.one(at);
    assert_eq!(ok.code(), Some(200));
    let lines: Vec<String> =
        ok.lines(HeaderName::Contact).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let own = lines.iter().find(|line| line.contains(&format!("sip:1002@{at}"))).unwrap();
    ["pub-gruu=\"", "temp-gruu=\""]
        .map(|name| own.split(name).nth(1).unwrap().split('"').next().unwrap().to_owned())
}

fn text(at: &str, instance: &str, call_id: &str, cseq: u32, more: &str) -> String {
    format!(
        "REGISTER sip:10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call_id}{cseq};rport\nFrom: <sip:1002@10.0.0.1>;tag=r\n\
         To: <sip:1002@10.0.0.1>\nCall-ID: {call_id}\nCSeq: {cseq} REGISTER\n\
         Contact: <sip:1002@{at}>;expires=3600;+sip.instance=\"<urn:uuid:{instance}>\"\n{more}Content-Length: 0\n\n"
    )
}

/// Calls this address; who gets an INVITE, and what the caller is told.
fn call(bed: &mut Bed, uri: &str, id: &str) -> (Vec<&'static str>, Vec<u16>) {
    let text = invite("1001", CALLER, "1002", id).replacen("sip:1002@10.0.0.1", uri, 1);
    bed.receive(CALLER, &text);
    let rang = |bed: &mut Bed, at| bed.take(at).iter().any(|message| line(message).starts_with("INVITE "));
    let phones = [CALLEE, OTHER].into_iter().filter(|at| rang(bed, at)).collect();
    (phones, codes(&bed.take(CALLER)))
}

#[test]
fn each_address_rings_its_phone_alone_and_the_number_rings_both() {
    let mut bed = Bed::with(alone());
    let [one, one_temp] = register(&mut bed, CALLEE, "1", "a", 1);
    let [two, two_temp] = register(&mut bed, OTHER, "2", "b", 1);
    assert_eq!(one, "sip:1002@10.0.0.1;gr=urn:uuid:1");
    assert!(one_temp.starts_with("sip:tgruu.") && one_temp.ends_with("@10.0.0.1;gr"), "{one_temp}");
    assert!(!one_temp.contains("1002"), "it tells nobody whose it is");
    for (uri, phone, id) in
        [(&one, CALLEE, "1"), (&two, OTHER, "2"), (&one_temp, CALLEE, "3"), (&two_temp, OTHER, "4")]
    {
        assert_eq!(call(&mut bed, uri, id), (vec![phone], vec![100]), "{uri}");
    }
    assert_eq!(call(&mut bed, "sip:1002@10.0.0.1", "5").0, [CALLEE, OTHER]);
}

#[test]
fn a_call_that_the_phone_of_an_address_sends_on_rings_whom_it_is_sent_to() {
    let mut bed = Bed::with(alone());
    bed.register("1004", OTHER);
    let addresses = register(&mut bed, CALLEE, "1", "a", 1);
    for (uri, id) in addresses.iter().zip(["1", "2"]) {
        let text = invite("1001", CALLER, "1002", id).replacen("sip:1002@10.0.0.1", uri, 1);
        bed.receive(CALLER, &text);
        let offered = bed.one(CALLEE);
        let moved = answer(&offered, 302, "callee", CALLEE, "");
        bed.receive(CALLEE, &moved.replace(&format!("<sip:x@{CALLEE}>"), "<sip:1004@10.0.0.1>"));
        bed.take(CALLEE);
        assert!(line(&bed.one(OTHER)).starts_with("INVITE sip:1004@"), "{uri}");
    }
}

#[test]
fn an_address_of_a_phone_that_is_not_registered_rings_nobody() {
    let mut bed = Bed::with(alone());
    register(&mut bed, CALLEE, "1", "a", 1);
    assert_eq!(call(&mut bed, "sip:1002@10.0.0.1;gr=urn:uuid:9", "1"), (vec![], vec![100, 480]));
    assert_eq!(call(&mut bed, "sip:tgruu.00ff@10.0.0.1;gr", "2"), (vec![], vec![404]));
}

#[test]
fn temporary_addresses_hold_while_the_registration_is_refreshed_and_end_with_its_call_id() {
    let mut bed = Bed::with(alone());
    let [_, first] = register(&mut bed, CALLEE, "1", "a", 1);
    bed.pass(Duration::from_secs(60));
    let [public, second] = register(&mut bed, CALLEE, "1", "a", 2);
    assert_ne!(first, second, "each refresh gives another");
    assert_eq!(call(&mut bed, &first, "1").0, [CALLEE]);
    assert_eq!(call(&mut bed, &second, "2").0, [CALLEE]);
    bed.pass(Duration::from_secs(300));
    bed.take(CALLEE);
    bed.take(CALLER);
    register(&mut bed, CALLEE, "1", "another", 1);
    assert_eq!(call(&mut bed, &second, "3"), (vec![], vec![100, 480]));
    assert_eq!(call(&mut bed, &public, "4").0, [CALLEE], "the public one stays");
}

#[test]
fn who_does_not_ask_or_names_no_instance_is_told_no_address() {
    let mut bed = Bed::with(alone());
    bed.receive(CALLEE, &text(CALLEE, "1", "a", 1, ""));
    assert!(!header(&bed.one(CALLEE), HeaderName::Contact).contains("gruu"));
    let plain = text(CALLEE, "1", "a", 2, "Supported: gruu\n").replace(";+sip.instance=\"<urn:uuid:1>\"", "");
    bed.receive(CALLEE, &plain);
    assert!(!header(&bed.one(CALLEE), HeaderName::Contact).contains("gruu"));
}

#[test]
fn a_dialog_whose_contact_is_such_an_address_is_reached_at_its_phone() {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    let [public, _] = register(&mut bed, CALLEE, "1", "a", 1);
    bed.receive(
        CALLER,
        &invite("1001", CALLER, "1002", "c1")
            .replace(&format!("<sip:1001@{CALLER}>"), "<sip:1001@10.0.0.1;gr=urn:uuid:7>"),
    );
    bed.take(CALLER);
    let offered: Message = bed.one(CALLEE);
    let ok = answer(&offered, 200, "callee", CALLEE, "answer")
        .replace(&format!("<sip:x@{CALLEE}>"), &format!("<{public}>"));
    bed.receive(CALLEE, &ok);
    let answered = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&answered, "ACK", 1, CALLER, ""));
    assert_eq!(line(&bed.one(CALLEE)), format!("ACK {public} SIP/2.0"));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert_eq!(line(&bed.one(CALLER)), "BYE sip:1001@10.0.0.1;gr=urn:uuid:7 SIP/2.0");
}
