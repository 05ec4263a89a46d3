//! Where requests to a binding go.

use crate::desk::{Desk, Register, tcp, udp};
use tandem_sip::{Flow, Transport};

/// Where requests go after this REGISTER.
fn flow_of(phone: &Register) -> Flow {
    let mut desk = Desk::new();
    desk.register(phone).unwrap();
    desk.only("1001").flow()
}

fn phone(contact: &str) -> Register {
    Register::of("1001").contact(contact)
}

#[test]
fn over_udp_the_address_in_the_contact_is_used() {
    assert_eq!(flow_of(&phone("<sip:1001@192.0.2.10:5070>")), udp("192.0.2.10:5070"));
    assert_eq!(flow_of(&phone("<sip:1001@192.0.2.77>")), udp("192.0.2.77:5060"));
}

#[test]
fn behind_a_nat_the_address_the_register_came_from_is_used() {
    let seen = udp("203.0.113.9:40001");
    let private = phone("<sip:1001@10.0.0.5:5060>").flow(seen);
    assert_eq!(
        flow_of(&private.clone().via("SIP/2.0/UDP 10.0.0.5:5060")),
        seen,
        "sent-by is another address"
    );
    assert_eq!(
        flow_of(&private.via("SIP/2.0/UDP pc.example.com")),
        seen,
        "sent-by is a name, the contact differs"
    );
    let mapped = phone("<sip:1001@203.0.113.9>").flow(seen);
    assert_eq!(
        flow_of(&mapped.clone().via("SIP/2.0/UDP 203.0.113.9:5060;rport")),
        seen,
        "another port is seen"
    );
    let unasked = mapped.via("SIP/2.0/UDP 203.0.113.9:5060");
    assert_eq!(
        flow_of(&unasked),
        udp("203.0.113.9:5060"),
        "a phone that sends from another port without rport"
    );
}

#[test]
fn a_contact_that_names_no_usable_address_is_reached_where_it_came_from() {
    for contact in [
        "<sip:1001@phone.example.com>",
        "<sip:1001@0.0.0.0>",
        "<sip:1001@[2001:db8::1]>",
        "<sip:1001@224.0.0.1>",
    ] {
        assert_eq!(flow_of(&phone(contact)), udp("192.0.2.10:5060"), "{contact}");
    }
}

#[test]
fn a_contact_that_asks_for_tcp_is_dialled_by_tcp() {
    let flow = flow_of(&phone("<sip:1001@192.0.2.10:5062;transport=tcp>"));
    assert_eq!(flow, tcp("192.0.2.10:5062", 0));
    assert_eq!(flow_of(&phone("<sip:1001@192.0.2.10;transport=tls>")), udp("192.0.2.10:5060"));
}

#[test]
fn over_tcp_the_connection_is_used() {
    let over = tcp("192.0.2.10:33333", 17);
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10;transport=tcp>").via("SIP/2.0/TCP 192.0.2.10").flow(over))
        .unwrap();
    assert_eq!(desk.only("1001").flow(), over);
    assert!(desk.registrar.is_from_binding(desk.dn("1001"), over));
    assert!(!desk.registrar.is_from_binding(desk.dn("1001"), tcp("192.0.2.10:33333", 18)));
    assert!(!desk.registrar.is_from_binding(desk.dn("1002"), over));
}

#[test]
fn over_udp_both_the_contact_and_the_sending_address_are_the_phones() {
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10:5070>")).unwrap();
    for (remote, is) in [("192.0.2.10:5070", true), ("192.0.2.10:5060", true), ("192.0.2.11:5060", false)] {
        assert_eq!(desk.registrar.is_from_binding(desk.dn("1001"), udp(remote)), is, "{remote}");
    }
    assert!(!desk.registrar.is_from_binding(desk.dn("1001"), tcp("192.0.2.10:5070", 3)));
}

#[test]
fn a_closed_connection_leaves_a_contact_that_can_be_dialled() {
    let mut desk = Desk::new();
    let over = tcp("192.0.2.10:33333", 17);
    desk.register(&phone("<sip:1001@192.0.2.10:5066;transport=tcp>").flow(over)).unwrap();
    desk.flow_failed(over);
    let binding = desk.only("1001");
    assert!(binding.reachable());
    assert_eq!(binding.flow(), tcp("192.0.2.10:5066", 0));
    assert_eq!(binding.source(), over.remote);
}

#[test]
fn a_closed_connection_from_behind_a_nat_leaves_a_contact_that_cannot_be_reached_until_it_registers_again() {
    let mut desk = Desk::new();
    let over = tcp("203.0.113.9:33333", 17);
    let private = phone("<sip:1001@10.0.0.5;transport=tcp>").flow(over);
    desk.register(&private).unwrap();
    let other =
        Register::of("1002").contact("<sip:1002@10.0.0.6;transport=tcp>").flow(tcp("203.0.113.9:4444", 18));
    desk.register(&other).unwrap();
    desk.flow_failed(over);
    assert!(!desk.only("1001").reachable());
    assert!(desk.registrar.registered(desk.dn("1001")), "it is kept until it expires");
    assert!(desk.only("1002").reachable(), "the other connection stands");
    let again = tcp("203.0.113.9:33400", 19);
    desk.register(&private.flow(again).cseq(2)).unwrap();
    assert!(desk.only("1001").reachable());
    assert_eq!(desk.only("1001").flow(), again);
}

#[test]
fn the_end_of_a_connection_that_a_binding_has_left_does_not_touch_it() {
    let mut desk = Desk::new();
    let (first, second) = (tcp("203.0.113.9:33333", 17), tcp("203.0.113.9:33334", 18));
    desk.register(&phone("<sip:1001@10.0.0.5>").flow(first)).unwrap();
    desk.register(&phone("<sip:1001@10.0.0.5>").flow(second).cseq(2)).unwrap();
    desk.flow_failed(first);
    assert_eq!(desk.only("1001").flow(), second);
    desk.register(&phone("<sip:1001@10.0.0.5>").expires("0").flow(second).cseq(3)).unwrap();
    desk.flow_failed(second);
    assert!(desk.registrar.is_empty());
}

#[test]
fn a_datagram_that_could_not_be_delivered_ends_nothing() {
    let mut desk = Desk::new();
    desk.register(&phone("<sip:1001@192.0.2.10>")).unwrap();
    let before = desk.only("1001");
    desk.flow_failed(udp("192.0.2.10:5060"));
    assert_eq!(desk.only("1001"), before);
}

#[test]
fn an_ipv6_phone_is_reached_at_its_contact() {
    let via = "SIP/2.0/UDP [2001:db8::10]:5060;rport";
    let six = phone("<sip:1001@[2001:db8::10]:5080>").via(via).flow(udp("[2001:db8::10]:5060"));
    assert_eq!(flow_of(&six), udp("[2001:db8::10]:5080"));
    assert_eq!(flow_of(&six).transport, Transport::Udp);
}
