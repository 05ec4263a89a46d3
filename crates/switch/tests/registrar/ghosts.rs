//! Bindings that lead nowhere: put away, asked, taken back or removed.

use std::time::Duration;

use crate::desk::{Desk, Register, tcp, udp};
use tandem_switch::directory::{DnClass, Options, Registration};
use tandem_switch::registrar::{Ghost, Happened, Kind};

const PRIVATE: &str = "<sip:1001@10.0.0.5;transport=tcp>";

fn phone(contact: &str) -> Register {
    Register::of("1001").contact(contact)
}

fn happened(desk: &mut Desk) -> Vec<Happened> {
    std::iter::from_fn(|| desk.registrar.poll_news()).map(|news| news.what).collect()
}

fn reachable(desk: &Desk) -> Vec<bool> {
    desk.bindings("1001").iter().map(|b| b.reachable()).collect()
}

#[test]
fn the_last_binding_of_a_dn_keeps_it_in_service_until_it_expires_although_its_flow_is_dead() {
    let mut desk = Desk::new();
    let over = tcp("203.0.113.9:33333", 17);
    desk.register(&phone(PRIVATE).expires("100").flow(over)).unwrap();
    desk.flow_failed(over);
    assert_eq!(happened(&mut desk), [Happened::PutAway(Ghost::ConnectionClosed)]);
    desk.pass(99);
    assert_eq!((desk.expire(), reachable(&desk)), (vec![], vec![false]));
    desk.pass(1);
    assert_eq!(desk.expire(), [desk.dn("1001")]);
    assert_eq!(happened(&mut desk), [], "it expired");
}

#[test]
fn an_option_takes_the_dn_out_of_service_with_its_last_flow() {
    let registration = Registration {
        out_of_service_on_flow_failure: true,
        ghost_quarantine: Duration::from_secs(20),
        ..Registration::default()
    };
    let mut desk = Desk::with(Options { registration, ..Options::default() }, DnClass::default());
    let over = tcp("203.0.113.9:33333", 17);
    desk.register(&phone(PRIVATE).flow(over)).unwrap();
    desk.flow_failed(over);
    desk.pass(19);
    assert_eq!(desk.expire(), []);
    desk.pass(1);
    let mut gone = Vec::new();
    desk.registrar.expire(&mut desk.log, desk.now, &mut gone);
    assert_eq!(gone, [(desk.dn("1001"), Some(Ghost::ConnectionClosed))]);
    assert_eq!(happened(&mut desk)[1..], [Happened::Removed(Ghost::ConnectionClosed)]);
}

#[test]
fn a_phone_that_comes_back_over_another_connection_leaves_nothing_behind() {
    let mut desk = Desk::new();
    let over = tcp("203.0.113.9:33333", 17);
    desk.register(&phone(PRIVATE).flow(over)).unwrap();
    desk.flow_failed(over);
    desk.register(&phone(PRIVATE).flow(tcp("203.0.113.9:33334", 18)).cseq(2)).unwrap();
    assert_eq!(reachable(&desk), [true]);
}

#[test]
fn a_rebooted_phone_with_a_new_port_and_call_id_makes_a_ghost_of_what_it_left() {
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10:5060>")).unwrap();
    desk.pass(1);
    let again = phone("<sip:1001@192.0.2.10:5062>").call_id("after-the-boot");
    desk.register(&again).unwrap();
    assert_eq!(reachable(&desk), [true, false]);
    assert_eq!(desk.bindings("1001")[1].quarantine().unwrap().why, Ghost::Superseded);
    desk.pass(1);
    desk.register(&again.cseq(2)).unwrap();
    desk.pass(29);
    assert_eq!((desk.expire(), desk.registrar.len()), (vec![], 1), "30 s after it was put away");
    let superseded = |happened: fn(Ghost) -> Happened| happened(Ghost::Superseded);
    assert_eq!(happened(&mut desk), [superseded(Happened::PutAway), superseded(Happened::Removed)]);
}

#[test]
fn the_same_instance_at_another_address_supersedes_and_another_instance_does_not() {
    let of = |instance: &str, at: &str| {
        phone(&format!("<sip:1001@{at}>;+sip.instance=\"<urn:uuid:{instance}>\"")).call_id(at)
    };
    let mut desk = Desk::new();
    desk.register(&of("a", "192.0.2.10")).unwrap();
    desk.register(&of("b", "192.0.2.10:5070")).unwrap();
    assert_eq!(reachable(&desk), [true, true]);
    desk.pass(1);
    desk.register(&of("a", "192.0.2.77")).unwrap();
    let left: Vec<_> = desk.bindings("1001").into_iter().filter(|b| !b.reachable()).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].uri(), b"sip:1001@192.0.2.10");
}

#[test]
fn ghosts_do_not_keep_a_phone_from_registering() {
    let mut desk = Desk::new();
    for boot in 0..20 {
        let port = 5060 + 2 * boot;
        desk.register(&phone(&format!("<sip:1001@192.0.2.10:{port}>")).call_id(&format!("boot-{boot}")))
            .unwrap();
        desk.pass(1);
    }
    assert!(desk.registrar.len() <= 3);
    assert_eq!(reachable(&desk).iter().filter(|reachable| **reachable).count(), 1);
}

#[test]
fn what_is_superseded_is_asked_and_taken_back_when_it_answers() {
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10:5060>")).unwrap();
    desk.register(&phone("<sip:1001@192.0.2.10:5062>").call_id("a-second-softphone")).unwrap();
    let due = desk.registrar.pop_pulse(desk.now.mono).unwrap();
    assert_eq!(due.kind, Kind::Ghost);
    desk.registrar.asked(due.binding);
    desk.registrar.answered(due.binding, &mut desk.log, desk.now);
    assert_eq!(reachable(&desk), [true, true]);
    desk.register(&phone("<sip:1001@192.0.2.10:5062>").call_id("a-second-softphone").cseq(2)).unwrap();
    assert_eq!(reachable(&desk), [true, true], "a refresh supersedes nothing");
    assert_eq!(desk.registrar.pop_pulse(desk.now.mono), None);
}

#[test]
fn two_softphones_on_one_machine_keep_both_their_contacts_over_connections_too() {
    let (first, second) = (tcp("192.0.2.10:40001", 17), tcp("192.0.2.10:40002", 18));
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10:40001;transport=tcp>").flow(first)).unwrap();
    let other = phone("<sip:1001@192.0.2.10:40002;transport=tcp>").call_id("a-second-softphone");
    desk.register(&other.flow(second)).unwrap();
    assert_eq!(reachable(&desk).iter().filter(|reachable| **reachable).count(), 1);
    let due = desk.registrar.pop_pulse(desk.now.mono).expect("it is asked over its connection");
    let flow = desk.registrar.binding(due.dn, due.binding).unwrap().flow();
    assert_eq!((due.kind, flow), (Kind::Ghost, first));
    desk.registrar.asked(due.binding);
    desk.registrar.answered(due.binding, &mut desk.log, desk.now);
    assert_eq!(reachable(&desk), [true, true]);
    desk.pass(60);
    desk.expire();
    assert_eq!(reachable(&desk), [true, true]);
}

#[test]
fn a_connection_that_closes_while_its_phone_is_asked_ends_the_questions() {
    let (first, second) = (tcp("192.0.2.10:40001", 17), tcp("192.0.2.10:40002", 18));
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@10.0.0.5:40001;transport=tcp>").flow(first)).unwrap();
    let again = phone("<sip:1001@10.0.0.5:40002;transport=tcp>").call_id("after-the-boot");
    desk.register(&again.flow(second)).unwrap();
    assert!(desk.registrar.next_pulse().is_some());
    desk.flow_failed(first);
    assert_eq!(desk.registrar.next_pulse(), None);
    desk.pass(30);
    desk.expire();
    assert_eq!(reachable(&desk), [true]);
}

#[test]
fn a_binding_in_quarantine_is_asked_at_growing_intervals_and_lives_when_its_phone_is_heard() {
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10>")).unwrap();
    let (record, flow) = (1, udp("192.0.2.10:5060"));
    desk.registrar.suspect(desk.dn("1001"), record, flow, Ghost::Unreachable, &mut desk.log, desk.now);
    assert_eq!(reachable(&desk), [false]);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let at = desk.registrar.next_pulse().unwrap();
        let pause = at.saturating_duration_since(desk.now.mono);
        pauses.push(pause.as_secs());
        desk.now = desk.now.plus(pause);
        assert_eq!(desk.registrar.pop_pulse(desk.now.mono).unwrap().binding, record);
    }
    assert_eq!(pauses, [0, 5, 10, 20, 40, 60]);
    desk.registrar.heard(desk.dn("1001"), udp("192.0.2.99:5060"), &mut desk.log, desk.now);
    assert_eq!(reachable(&desk), [false], "that was somebody else");
    desk.registrar.heard(desk.dn("1001"), flow, &mut desk.log, desk.now);
    assert_eq!((reachable(&desk), desk.registrar.next_pulse()), (vec![true], None));
    let put_away = Happened::PutAway(Ghost::Unreachable);
    assert_eq!(happened(&mut desk), [put_away, Happened::TakenBack]);
}

#[test]
fn a_phone_behind_a_nat_is_kept_alive_and_judged_by_it_only_once_it_has_answered() {
    let mut desk = Desk::new();
    let seen = udp("203.0.113.9:40001");
    desk.register(&phone("<sip:1001@10.0.0.5>").via("SIP/2.0/UDP 10.0.0.5").flow(seen)).unwrap();
    assert!(desk.only("1001").nat());
    let first = desk.registrar.next_pulse().unwrap();
    assert!(first <= desk.now.mono + Duration::from_secs(30));
    let ask = |desk: &mut Desk| {
        desk.pass(30);
        let due = desk.registrar.pop_pulse(desk.now.mono).unwrap();
        assert_eq!(due.kind, Kind::KeepAlive);
        desk.registrar.asked(due.binding);
        assert_eq!(desk.registrar.pop_pulse(desk.now.mono), None, "once an interval");
        due.binding
    };
    let silent = ask(&mut desk);
    desk.registrar.unanswered(silent, Ghost::Unanswered, &mut desk.log, desk.now);
    assert_eq!(reachable(&desk), [true], "it may be a phone that knows no OPTIONS");
    let answering = ask(&mut desk);
    desk.registrar.answered(answering, &mut desk.log, desk.now);
    let silent = ask(&mut desk);
    desk.registrar.unanswered(silent, Ghost::Unanswered, &mut desk.log, desk.now);
    assert_eq!(reachable(&desk), [false]);
}

#[test]
fn without_an_interval_and_without_a_nat_nobody_is_sent_anything() {
    let registration = Registration { nat_keepalive_interval: Duration::ZERO, ..Registration::default() };
    let mut desk = Desk::with(Options { registration, ..Options::default() }, DnClass::default());
    let seen = udp("203.0.113.9:40001");
    desk.register(&phone("<sip:1001@10.0.0.5>").via("SIP/2.0/UDP 10.0.0.5").flow(seen)).unwrap();
    assert_eq!(desk.registrar.next_pulse(), None);
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10>")).unwrap();
    assert_eq!(desk.registrar.next_pulse(), None);
}
