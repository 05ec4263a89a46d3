//! Calls to phones with several flows, behind proxies, and on flows that are dead (RFC 5626, RFC 3327).

use std::time::Duration;

use tandem_sip::{Flow, HeaderName, Message, Transport};
use tandem_switch::directory::{Extension, Registration};
use tandem_switch::registrar::{Ghost, Happened};
use tandem_switch::{Event, Input};

use crate::support::{
    Bed, CALLEE, CALLER, OTHER, answer, codes, directory, flow, header, in_dialog, invite, line, without,
};

const INSTANCE: &str = "+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"";

/// Contacts that are dead are put into quarantine.
fn bed() -> Bed {
    Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.registration = Registration::default();
        trunks.iter_mut().for_each(|trunk| trunk.oos = Default::default());
    }))
}

/// 1002 registers from `at`; the answer.
fn register(bed: &mut Bed, at: &str, call_id: &str, params: &str, more: &str) -> Message {
    bed.receive(
        at,
        &format!(
            "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{call_id};rport\nFrom: <sip:1002@tandem>;tag=r\n\
             To: <sip:1002@tandem>\nCall-ID: {call_id}\nCSeq: 1 REGISTER\nContact: <sip:1002@{at}>;expires=3600{params}\n\
             Supported: path, outbound\n{more}Content-Length: 0\n\n"
        ),
    );
    bed.one(at)
}

/// Two flows of one instance, the one from OTHER newer.
fn two_flows(bed: &mut Bed) {
    for (at, reg_id) in [(CALLEE, 1), (OTHER, 2)] {
        let ok = register(bed, at, &format!("r{reg_id}"), &format!(";{INSTANCE};reg-id={reg_id}"), "");
        assert_eq!(ok.code(), Some(200));
        assert_eq!(header(&ok, HeaderName::Require), "outbound");
        assert_eq!(ok.other(b"Flow-Timer"), Some(&b"120"[..]));
        bed.pass(Duration::from_secs(1));
    }
}

fn call(bed: &mut Bed, id: &str) {
    bed.receive(CALLER, &invite("1001", CALLER, "1002", id));
    assert_eq!(bed.one(CALLER).code(), Some(100));
}

fn quarantined(bed: &Bed) -> Vec<Happened> {
    let of = |event: &Event| if let Event::Binding { what, .. } = event { Some(*what) } else { None };
    bed.events.iter().filter_map(of).collect()
}

#[test]
fn one_flow_of_an_instance_is_called_the_latest() {
    let mut bed = bed();
    two_flows(&mut bed);
    call(&mut bed, "c1");
    assert_eq!(line(&bed.one(OTHER)), format!("INVITE sip:1002@{OTHER} SIP/2.0"));
    assert!(bed.take(CALLEE).is_empty());
}

#[test]
fn when_the_network_says_that_a_flow_is_dead_the_next_one_is_tried_at_once() {
    let mut bed = bed();
    two_flows(&mut bed);
    call(&mut bed, "c1");
    bed.one(OTHER);
    bed.refuse(OTHER, Transport::Udp);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    assert_eq!(bed.one(CALLER).code(), Some(200));
    assert_eq!(quarantined(&bed), [Happened::PutAway(Ghost::Unreachable)]);
    let listed = bed.node.reg_list(bed.now);
    let states: Vec<_> = listed.iter().map(|b| (b.reg_id, b.quarantine)).collect();
    assert!(
        states.contains(&(Some(2), Some("unreachable"))) && states.contains(&(Some(1), None)),
        "{states:?}"
    );
}

#[test]
fn a_proxy_that_lost_the_flow_makes_the_next_one_be_tried() {
    let mut bed = bed();
    two_flows(&mut bed);
    call(&mut bed, "c1");
    let offered = bed.one(OTHER);
    bed.receive(OTHER, &answer(&offered, 430, "edge", OTHER, ""));
    assert!(line(&bed.one(OTHER)).starts_with("ACK "));
    assert!(line(&bed.one(CALLEE)).starts_with("INVITE "));
    assert_eq!(quarantined(&bed), [Happened::PutAway(Ghost::FlowFailed)]);
}

#[test]
fn a_refusal_of_a_person_is_not_tried_again_over_another_flow() {
    let mut bed = bed();
    two_flows(&mut bed);
    call(&mut bed, "c1");
    let offered = bed.one(OTHER);
    bed.receive(OTHER, &answer(&offered, 486, "callee", OTHER, ""));
    assert!(bed.take(CALLEE).is_empty());
    assert_eq!(codes(&bed.take(CALLER)), [486]);
}

#[test]
fn a_contact_in_quarantine_is_called_again_as_soon_as_it_answers_a_question() {
    let mut bed = bed();
    register(&mut bed, CALLEE, "r1", "", "");
    call(&mut bed, "c1");
    bed.one(CALLEE);
    bed.refuse(CALLEE, Transport::Udp);
    bed.pass(Duration::from_millis(1));
    let question = bed.one(CALLEE);
    assert_eq!(line(&question), format!("OPTIONS sip:1002@{CALLEE} SIP/2.0"));
    bed.receive(CALLEE, &answer(&question, 405, "phone", CALLEE, ""));
    assert_eq!(quarantined(&bed), [Happened::PutAway(Ghost::Unreachable), Happened::TakenBack]);
    bed.take(CALLER);
    call(&mut bed, "c2");
    assert!(line(&bed.one(CALLEE)).starts_with("INVITE "));
}

#[test]
fn a_phone_behind_proxies_is_called_through_them_and_told_its_path() {
    let mut bed = bed();
    let path = "<sip:10.0.0.13:5060;lr>, <sip:tok@10.7.7.7;lr;ob>";
    let more = format!("Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKdeep\nPath: {path}\n");
    let ok = register(&mut bed, OTHER, "r1", &format!(";{INSTANCE};reg-id=1"), &more);
    assert_eq!(header(&ok, HeaderName::Path), path);
    assert_eq!((header(&ok, HeaderName::Require).as_str(), ok.other(b"Flow-Timer")), ("outbound", None));
    call(&mut bed, "c1");
    let offered = bed.one(OTHER);
    assert_eq!(header(&offered, HeaderName::Route), path);
    bed.receive(CALLER, &crate::support::cancel_of(&invite("1001", CALLER, "1002", "c1")));
    bed.receive(OTHER, &answer(&offered, 180, "phone", OTHER, ""));
    let sent = bed.take(OTHER);
    let cancel = sent.iter().find(|message| line(message).starts_with("CANCEL ")).unwrap();
    assert_eq!(header(cancel, HeaderName::Route), path);
}

#[test]
fn a_path_is_not_told_to_a_phone_that_does_not_know_what_it_is() {
    let mut bed = bed();
    let text = format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {OTHER};branch=z9hG4bKp\nFrom: <sip:1002@tandem>;tag=r\n\
         To: <sip:1002@tandem>\nCall-ID: p\nCSeq: 1 REGISTER\nContact: <sip:1002@{CALLEE}>\nPath: <sip:{OTHER};lr>\n\
         Require: path\nContent-Length: 0\n\n"
    );
    bed.receive(OTHER, &text);
    assert_eq!((bed.take(OTHER)[0].header(HeaderName::Path), bed.node.reg_list(bed.now).len()), (None, 1));
    bed.receive(
        OTHER,
        &without(&text, "Require")
            .replace("z9hG4bKp", "z9hG4bKq")
            .replace("Call-ID: p", "Call-ID: q")
            .replace("\nContent", "\nRequire: path, x\nContent"),
    );
    let refused = bed.one(OTHER);
    assert_eq!((refused.code(), header(&refused, HeaderName::Unsupported).as_str()), (Some(420), "x"));
}

#[test]
fn within_a_dialog_a_phone_behind_a_nat_is_reached_where_its_requests_come_from() {
    let mut bed = bed();
    let (seen, inside) = ("203.0.113.9:40001", "10.3.3.3:5060");
    bed.register("1002", CALLEE);
    let text = invite("1001", seen, "1002", "c1")
        .replace(&format!("Contact: <sip:1001@{seen}>"), &format!("Contact: <sip:1001@{inside}>"));
    bed.receive(seen, &text);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    let ok = bed.take(seen).pop().unwrap();
    bed.receive(seen, &in_dialog(&ok, "ACK", 1, seen, ""));
    bed.take(CALLEE);
    bed.receive(CALLEE, &crate::support::from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert_eq!(line(&bed.one(seen)), format!("BYE sip:1001@{inside} SIP/2.0"));
}

#[test]
fn the_end_of_a_connection_with_many_phones_is_told_of_in_parts_that_hold_up_nothing() {
    const PHONES: usize = 1_200;
    let mut bed = Bed::with(directory(|options, extensions, _| {
        (options.dr_peer_trunk, options.registration) = (None, Registration::default());
        let class = extensions[0].class.clone();
        let more = |n| Extension { number: format!("5{n:04}").into(), class: class.clone() };
        extensions.extend((0..PHONES).map(more));
    }));
    let over = Flow { transport: Transport::Tcp, conn: 17, ..flow(CALLEE) };
    for n in 0..PHONES {
        bed.receive_by(
            over,
            &format!(
                "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/TCP {CALLEE};branch=z9hG4bKm{n};rport\nFrom: <sip:5{n:04}@tandem>;tag=r\n\
                 To: <sip:5{n:04}@tandem>\nCall-ID: m{n}\nCSeq: 1 REGISTER\nContact: <sip:5{n:04}@192.168.7.7>;expires=3600\n\
                 Content-Length: 0\n\n"
            ),
        );
    }
    bed.pass(Duration::from_secs(5));
    assert_eq!(bed.node.status(bed.now).bindings, PHONES);
    let put_away = |bed: &Bed| bed.node.counters().bindings_quarantined as usize;
    bed.node.handle_input(Input::FlowFailed { flow: over }, bed.now);
    let first = put_away(&bed);
    assert!(first > 0 && first < PHONES, "{first}");
    assert_eq!(bed.node.poll_timeout().map(|(at, _)| at), Some(bed.now.mono), "the rest follows at once");
    bed.drain();
    bed.pass(Duration::ZERO);
    assert_eq!((put_away(&bed), quarantined(&bed).len()), (PHONES, PHONES));
}

#[test]
fn extensions_in_service_are_counted_as_they_are_listed() {
    let listed = |bed: &Bed| {
        let rows = bed.node.dn_list(bed.now);
        rows.iter().filter(|row| row.kind == "extension" && row.in_service).count()
    };
    let mut bed = bed();
    let agree = |bed: &Bed, count: usize| {
        assert_eq!((bed.node.status(bed.now).in_service, listed(bed)), (count, count));
    };
    // 1003 has a static contact.
    agree(&bed, 1);
    bed.register("1001", CALLER);
    two_flows(&mut bed);
    agree(&bed, 3);
    bed.refuse(OTHER, Transport::Udp);
    agree(&bed, 3);
    bed.pass(Duration::from_secs(3_700));
    agree(&bed, 1);
}

#[test]
fn pages_of_contacts_do_not_part_those_of_one_dn() {
    let mut bed = bed();
    bed.register("1001", CALLER);
    two_flows(&mut bed);
    let page = |after, limit| {
        let rows = bed.node.reg_page(after, limit, bed.now);
        rows.map(|rows| rows.iter().map(|row| row.dn.clone()).collect::<Vec<_>>())
    };
    assert_eq!(page(None, 2).unwrap(), ["1001", "1002", "1002"]);
    assert_eq!(page(Some("1001"), 1).unwrap(), ["1002", "1002"]);
    assert_eq!(page(Some("1002"), 1).unwrap(), [""; 0]);
    assert_eq!(page(Some("4711"), 1), None);
}
