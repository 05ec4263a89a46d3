//! Calls for an Extension all of whose contacts are in quarantine: called all the same, but not waited for, and then the
//! peer site is asked, under the guards of every forwarded call.

use std::time::Duration;

use tandem_peer::DrForward;
use tandem_sip::{Flow, HeaderName, Message, Transport};
use tandem_switch::directory::{Directory, Options, Registration};
use tandem_switch::{Event, Input};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, OTHER, PEER, answer, codes, directory, flow, header, invite, line,
};

/// `trunk-target-timeout`, and a little more.
const PATIENCE: Duration = Duration::from_millis(4_100);

fn office(change: impl FnOnce(&mut Options)) -> std::sync::Arc<Directory> {
    directory(|options, _, trunks| {
        options.registration = Registration::default();
        trunks[0].oosp_transfer_enabled = true;
        change(options);
    })
}

/// Both sites are there, 1001 and 1002 are registered here, and 1002's contact is in quarantine: a call to it went
/// unanswered by the network.
fn suspected(change: impl FnOnce(&mut Options)) -> Bed {
    let mut bed = Bed::with(office(change));
    if let Some(probe) = bed.take(PEER).pop() {
        bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    }
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.receive(
        GATEWAY,
        &crate::support::with(&invite("555", GATEWAY, "1002", "c0"), "X-Tandem-Forwarded: b"),
    );
    assert!(line(&bed.one(CALLEE)).starts_with("INVITE "));
    bed.refuse(CALLEE, Transport::Udp);
    assert_eq!(codes(&bed.take(GATEWAY)), [100, 480]);
    assert!(bed.node.reg_list(bed.now).iter().any(|binding| binding.quarantine == Some("unreachable")));
    bed
}

/// 1001 calls 1002: the INVITE that the suspected phone gets.
#[track_caller]
fn call(bed: &mut Bed) -> Message {
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "c1"));
    assert_eq!(bed.one(CALLER).code(), Some(100));
    let mut sent = bed.take(CALLEE);
    sent.retain(|message| line(message).starts_with("INVITE "));
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

#[track_caller]
fn forwarded(bed: &mut Bed) -> Option<Message> {
    bed.take(PEER).into_iter().find(|message| line(message).starts_with("INVITE "))
}

/// The responses that somebody got, without those that were sent again.
fn told(bed: &mut Bed, who: &str) -> Vec<u16> {
    let mut told = codes(&bed.take(who));
    told.dedup();
    told
}

#[test]
fn a_suspected_phone_that_is_silent_is_not_waited_for_and_the_peer_is_asked() {
    let mut bed = suspected(|_| {});
    call(&mut bed);
    bed.pass(Duration::from_secs(3));
    assert!(forwarded(&mut bed).is_none(), "it may still answer");
    bed.pass(PATIENCE);
    let at_peer = forwarded(&mut bed).expect("the peer is asked");
    assert_eq!(line(&at_peer), format!("INVITE sip:1002@{PEER} SIP/2.0"));
    assert_eq!(header(&at_peer, HeaderName::XTandemForwarded), "site-a");
    bed.receive(PEER, &answer(&at_peer, 180, "b", PEER, ""));
    bed.receive(PEER, &answer(&at_peer, 200, "b", PEER, "answer"));
    assert_eq!(codes(&bed.take(CALLER)), [180, 200]);
    let why = bed.node.why("c1").unwrap();
    let told = |part: &str| why.steps.iter().any(|step| step.text.contains(part));
    assert!(told("1002 gave no answer") && told("sent over the peer trunk"), "{:?}", why.steps);
    assert_eq!(bed.node.counters().forwards_in_path, 1);
}

#[test]
fn a_suspected_phone_whose_way_is_dead_sends_the_call_to_the_peer_at_once() {
    let mut bed = suspected(|_| {});
    call(&mut bed);
    bed.refuse(CALLEE, Transport::Udp);
    assert!(forwarded(&mut bed).is_some());
}

#[test]
fn a_phone_that_is_found_dead_by_this_very_call_sends_it_to_the_peer_too() {
    let mut bed = Bed::with(office(|_| {}));
    let probe = bed.one(PEER);
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    call(&mut bed);
    bed.refuse(CALLEE, Transport::Udp);
    assert!(forwarded(&mut bed).is_some());
    assert_eq!(codes(&bed.take(CALLER)), [0; 0]);
}

#[test]
fn a_suspected_phone_that_answers_is_suspected_no_more() {
    let mut bed = suspected(|_| {});
    let offered = call(&mut bed);
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    assert!(bed.node.reg_list(bed.now).iter().all(|binding| binding.quarantine.is_none()));
    bed.pass(PATIENCE);
    assert_eq!(codes(&bed.take(CALLER)), [180], "it rings as any other");
    assert!(forwarded(&mut bed).is_none());
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
}

#[test]
fn what_a_person_or_a_phone_says_is_not_asked_of_the_peer_again() {
    for (code, told) in [(486, 486), (600, 600), (603, 603), (480, 480), (404, 404), (503, 500)] {
        let mut bed = suspected(|_| {});
        let offered = call(&mut bed);
        bed.receive(CALLEE, &answer(&offered, code, "callee", CALLEE, ""));
        assert_eq!(codes(&bed.take(CALLER)), [told]);
        bed.pass(PATIENCE);
        assert!(forwarded(&mut bed).is_none(), "{code}");
    }
}

#[test]
fn a_phone_that_rang_and_was_lost_is_not_asked_for_at_the_peer() {
    let (mut bed, over) = connected();
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "c1"));
    let offered = bed.one(CALLEE);
    bed.receive_by(over, &answer(&offered, 180, "callee", CALLEE, ""));
    lose(&mut bed, over);
    assert_eq!(codes(&bed.take(CALLER)), [100, 180, 480]);
    assert!(forwarded(&mut bed).is_none());
}

#[test]
fn a_refusal_of_one_phone_keeps_the_silence_of_another_from_the_peer() {
    let mut bed = Bed::with(office(|_| {}));
    let probe = bed.one(PEER);
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    bed.register("1002", OTHER);
    call(&mut bed);
    let offered = bed.one(OTHER);
    bed.receive(OTHER, &answer(&offered, 486, "other", OTHER, ""));
    bed.refuse(CALLEE, Transport::Udp);
    assert_eq!(codes(&bed.take(CALLER)), [486]);
    assert!(forwarded(&mut bed).is_none());
}

#[test]
fn the_refusal_of_the_peer_ends_the_call_with_480_and_nothing_goes_round() {
    for code in [404, 480, 503] {
        let mut bed = suspected(|_| {});
        call(&mut bed);
        bed.pass(PATIENCE);
        let at_peer = forwarded(&mut bed).unwrap();
        bed.take(CALLEE);
        bed.receive(PEER, &answer(&at_peer, code, "b", PEER, ""));
        assert_eq!(codes(&bed.take(CALLER)), [480], "{code}");
        assert!(!bed.lines(CALLEE).iter().any(|line| line.starts_with("INVITE ")), "it is not called twice");
        assert_eq!(bed.node.counters().forward_fallbacks, 0, "nothing fell back");
    }
}

#[test]
fn a_person_who_declines_at_the_peer_has_declined() {
    let mut bed = suspected(|_| {});
    call(&mut bed);
    bed.pass(PATIENCE);
    let at_peer = forwarded(&mut bed).unwrap();
    bed.receive(PEER, &answer(&at_peer, 603, "b", PEER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [603]);
}

#[test]
fn what_came_from_the_peer_is_not_sent_back_to_it() {
    let mut bed = suspected(|_| {});
    bed.receive(PEER, &invite("1001", PEER, "1002", "c2"));
    bed.pass(PATIENCE);
    assert_eq!(told(&mut bed, PEER), [100, 480]);
    let marked = crate::support::with(&invite("1001", CALLER, "1002", "c3"), "X-Tandem-Forwarded: site-b");
    let short = invite("1001", CALLER, "1002", "c4").replace("Max-Forwards: 70", "Max-Forwards: 1");
    for text in [marked, short] {
        bed.receive(CALLER, &text);
        bed.pass(PATIENCE);
        assert_eq!(told(&mut bed, CALLER), [100, 480]);
        assert!(forwarded(&mut bed).is_none());
    }
}

#[test]
fn without_a_peer_or_without_dr_forward_the_caller_is_told_480_soon() {
    fn off(options: &mut Options) {
        options.dr_forward = DrForward::Off;
    }
    fn alone(options: &mut Options) {
        options.dr_peer_trunk = None;
    }
    for change in [off, alone] {
        let mut bed = suspected(change);
        call(&mut bed);
        bed.pass(PATIENCE);
        assert_eq!(codes(&bed.take(CALLER)), [480]);
        assert!(forwarded(&mut bed).is_none());
        assert!(bed.events.iter().all(|event| !matches!(event, Event::DnOutOfService { .. })));
    }
}

/// Both sites are there, and 1002 is registered over a connection, from behind a NAT.
fn connected() -> (Bed, Flow) {
    let mut bed = Bed::with(office(|_| {}));
    let probe = bed.one(PEER);
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    bed.register("1001", CALLER);
    let over = Flow { transport: Transport::Tcp, conn: 17, ..flow(CALLEE) };
    bed.receive_by(
        over,
        &format!(
            "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/TCP {CALLEE};branch=z9hG4bKm;rport\nFrom: <sip:1002@tandem>;tag=r\n\
             To: <sip:1002@tandem>\nCall-ID: m\nCSeq: 1 REGISTER\nContact: <sip:1002@192.168.7.7>;expires=3600\n\
             Content-Length: 0\n\n"
        ),
    );
    assert_eq!(bed.one(CALLEE).code(), Some(200));
    (bed, over)
}

fn lose(bed: &mut Bed, flow: Flow) {
    bed.node.handle_input(Input::FlowFailed { flow }, bed.now);
    bed.drain();
}

#[test]
fn a_phone_whose_connection_is_gone_is_not_dialled_and_the_peer_is_asked_at_once() {
    let (mut bed, over) = connected();
    lose(&mut bed, over);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "c1"));
    assert!(forwarded(&mut bed).is_some());
    let why = bed.node.why("c1").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("in quarantine")), "{:?}", why.steps);
}
