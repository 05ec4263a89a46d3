//! Flows (RFC 5626 6), paths (RFC 3327) and `nat`.

use crate::desk::{Desk, Register, tcp, udp};
use tandem_sip::{Flow, HeaderName, Transport};
use tandem_switch::directory::{DnClass, Nat, Options, PathMode, Registration};
use tandem_switch::registrar::Ghost;

const PLAIN: &str = "<sip:1001@10.0.0.5>";
const FLOW: &str = "<sip:1001@10.0.0.5>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";

fn flow(reg_id: u32, contact: &str) -> Register {
    let line = format!("<{contact}>;+sip.instance=\"<urn:uuid:1>\";reg-id={reg_id}");
    Register::of("1001").contact(&line).header("Supported: path, outbound".into())
}

fn regs(desk: &Desk) -> Vec<(u32, String)> {
    desk.bindings("1001")
        .iter()
        .map(|b| (b.reg_id(), String::from_utf8_lossy(b.uri()).into_owned()))
        .collect()
}

#[test]
fn flows_of_one_instance_stand_beside_each_other_and_each_replaces_itself() {
    let mut desk = Desk::new();
    let (one, two) = (tcp("203.0.113.9:1001", 1), tcp("203.0.113.9:1002", 2));
    let done = desk.register(&flow(1, "sip:a@10.0.0.5").flow(one)).unwrap();
    assert!(done.outbound && done.first_hop);
    desk.register(&flow(2, "sip:b@10.0.0.5").flow(two).call_id("2")).unwrap();
    assert_eq!(regs(&desk).len(), 2);
    assert!(desk.bindings("1001").iter().all(|b| b.reachable()));
    let moved = tcp("198.51.100.77:9", 3);
    desk.register(&flow(1, "sip:c@10.9.9.9").flow(moved).call_id("3")).unwrap();
    let mut seen = regs(&desk);
    seen.sort();
    assert_eq!(seen, [(1, "sip:c@10.9.9.9".into()), (2, "sip:b@10.0.0.5".into())]);
    assert!(desk.bindings("1001").iter().any(|b| b.flow() == moved && b.reg_id() == 1));
}

#[test]
fn a_flow_is_removed_by_its_number_whatever_its_contact_is() {
    let mut desk = Desk::new();
    desk.register(&flow(1, "sip:a@192.0.2.10")).unwrap();
    desk.register(&flow(1, "sip:b@192.0.2.10").expires("0").cseq(2)).unwrap();
    assert!(desk.registrar.is_empty());
}

#[test]
fn a_flow_whose_connection_is_gone_is_not_dialled_although_its_contact_could_be() {
    let mut desk = Desk::new();
    let over = tcp("192.0.2.10:33333", 17);
    desk.register(&flow(1, "sip:a@192.0.2.10:5066;transport=tcp").flow(over)).unwrap();
    desk.flow_failed(over);
    assert_eq!(desk.only("1001").quarantine().unwrap().why, Ghost::ConnectionClosed);
}

#[test]
fn over_udp_a_flow_is_its_source() {
    let mut desk = Desk::new();
    let seen = udp("203.0.113.9:4444");
    desk.register(&flow(1, "sip:a@203.0.113.9:5060").via("SIP/2.0/UDP 203.0.113.9:5060").flow(seen)).unwrap();
    assert_eq!(desk.only("1001").flow(), seen);
}

#[test]
fn two_flows_in_one_request_are_refused() {
    let both = "<sip:a@192.0.2.10>;+sip.instance=\"<urn:uuid:1>\";reg-id=1, \
                <sip:b@192.0.2.10>;+sip.instance=\"<urn:uuid:1>\";reg-id=2";
    let mut desk = Desk::new();
    assert_eq!(desk.refusal(&Register::of("1001").contact(both)), (400, Some("More Than One Flow at Once")));
}

#[test]
fn a_reg_id_without_an_instance_means_nothing() {
    let mut desk = Desk::new();
    let done = desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>;reg-id=1")).unwrap();
    assert_eq!((done.outbound, desk.only("1001").reg_id()), (false, 0));
}

/// The REGISTER of a phone behind a proxy at 192.0.2.50.
fn behind_proxy(mut phone: Register, path: &str) -> Register {
    phone.flow = udp("192.0.2.50:5060");
    phone.via = "SIP/2.0/UDP 192.0.2.50:5060;branch=z9hG4bKp, SIP/2.0/UDP 10.0.0.5".into();
    phone.header(format!("Path: {path}"))
}

#[test]
fn a_first_hop_that_keeps_no_flows_is_told_by_439() {
    let mut desk = Desk::new();
    let plain = behind_proxy(flow(1, "sip:a@10.0.0.5"), "<sip:192.0.2.50;lr>");
    assert_eq!(desk.refusal(&plain), (439, Some("First Hop Lacks Outbound Support")));
    let mut unsaid = plain.clone();
    unsaid.headers.remove(0);
    assert!(!desk.register(&unsaid).unwrap().outbound, "a phone that does not ask for it registers as ever");
    assert_eq!(desk.only("1001").reg_id(), 0);
    let mut no_path = plain;
    no_path.headers.pop();
    assert_eq!(desk.refusal(&no_path.cseq(2)).0, 439);
    let edge = behind_proxy(flow(1, "sip:a@10.0.0.5"), "<sip:192.0.2.60;lr>, <sip:tok@192.0.2.50;lr;ob>");
    let done = desk.register(&edge.cseq(3)).unwrap();
    assert_eq!((done.outbound, done.first_hop), (true, false));
}

#[test]
fn a_path_is_kept_as_the_way_and_leads_to_its_first_proxy() {
    let mut desk = Desk::new();
    let phone = Register::of("1001").contact("<sip:1001@10.0.0.5>");
    desk.register(&behind_proxy(phone, "<sip:192.0.2.60:5070;lr>,<sip:192.0.2.50;lr>")).unwrap();
    let binding = desk.only("1001");
    assert_eq!(binding.path(), b"<sip:192.0.2.60:5070;lr>, <sip:192.0.2.50;lr>");
    assert_eq!(binding.flow(), udp("192.0.2.60:5070"));
    assert!(
        !desk.registrar.is_from_binding(desk.dn("1001"), udp("192.0.2.50:5060")),
        "a proxy is not a phone"
    );
}

#[test]
fn a_path_that_names_a_host_leads_where_the_request_came_from() {
    let mut desk = Desk::new();
    let phone = Register::of("1001").contact("<sip:1001@10.0.0.5>");
    desk.register(&behind_proxy(phone, "<sip:edge.example.com;lr>")).unwrap();
    assert_eq!(desk.only("1001").flow(), udp("192.0.2.50:5060"));
}

#[test]
fn a_proxy_whose_connection_closed_is_dialled_where_its_path_says_and_its_phones_stay_reachable() {
    let (closed, tls) = (tcp("192.0.2.50:40100", 17), Transport::Tls);
    let over_tls = Flow { transport: tls, ..closed };
    for (over, contact, path, dialled) in [
        (closed, PLAIN, "<sip:192.0.2.60:5070;transport=tcp;lr>,<sip:10.0.0.9;lr>", "192.0.2.60:5070"),
        (closed, PLAIN, "<sip:edge.example.com;transport=tcp;lr>", "192.0.2.50:5060"),
        (closed, PLAIN, "<sip:edge.example.com:5090;lr>", "192.0.2.50:5090"),
        (over_tls, PLAIN, "<sip:edge.example.com;transport=tls;lr>", "192.0.2.50:5061"),
        (closed, FLOW, "<sip:tok@192.0.2.50;transport=tcp;lr;ob>", "192.0.2.50:5060"),
    ] {
        let mut desk = Desk::new();
        let phone = behind_proxy(Register::of("1001").contact(contact), path);
        desk.register(&phone.flow(over)).unwrap();
        assert_eq!(desk.only("1001").flow(), over, "{path}");
        desk.flow_failed(over);
        let binding = desk.only("1001");
        assert!(binding.reachable(), "{path}");
        let wanted = Flow { conn: 0, remote: dialled.parse().unwrap(), ..over };
        assert_eq!(binding.flow(), wanted, "{path}");
        assert_eq!(binding.source(), over.remote, "{path}");
        assert_eq!(desk.registrar.poll_news(), None, "nothing happened to the phone");
    }
}

#[test]
fn a_proxy_that_came_over_a_websocket_cannot_be_dialled() {
    let mut desk = Desk::new();
    let over = Flow { transport: Transport::Ws, ..tcp("192.0.2.50:40100", 17) };
    let phone = behind_proxy(Register::of("1001").contact(PLAIN), "<sip:192.0.2.50:80;transport=ws;lr>");
    desk.register(&phone.flow(over)).unwrap();
    desk.flow_failed(over);
    assert!(!desk.only("1001").reachable());
}

#[test]
fn a_path_is_refused_in_mode_strict_when_the_phone_does_not_know_it() {
    let registration = Registration { path_mode: PathMode::Strict, ..Registration::default() };
    let mut desk = Desk::with(Options { registration, ..Options::default() }, DnClass::default());
    let phone = behind_proxy(Register::of("1001").contact("<sip:1001@10.0.0.5>"), "<sip:192.0.2.50;lr>");
    let reject = desk.register(&phone).unwrap_err();
    assert_eq!(reject.status, 420);
    assert_eq!(reject.headers[0], (HeaderName::Unsupported, b"path".to_vec().into_boxed_slice()));
    desk.register(&phone.header("Supported: path".into())).unwrap();
}

#[test]
fn a_path_that_cannot_be_routed_by_is_refused() {
    for path in ["<mailto:x>x", "sip:[", &["<sip:192.0.2.50;lr>"; 9].join(",")] {
        let mut desk = Desk::new();
        let phone = Register::of("1001").contact("<sip:1001@10.0.0.5>");
        assert_eq!(desk.refusal(&behind_proxy(phone, path)).0, 400, "{path}");
    }
}

#[test]
fn the_option_nat_decides_instead_of_the_signs() {
    let of = |nat, contact: &str, from: &str| {
        let registration = Registration { nat: Nat::Auto, ..Registration::default() };
        let class = DnClass { nat: Some(nat), ..DnClass::default() };
        let mut desk = Desk::with(Options { registration, ..Options::default() }, class);
        let phone = Register::of("1001").contact(contact);
        desk.register(&phone.via("SIP/2.0/UDP 10.0.0.5:5060").flow(udp(from))).unwrap();
        desk.only("1001").flow().remote.to_string()
    };
    assert_eq!(of(Nat::Yes, "<sip:1@203.0.113.9:5060>", "203.0.113.9:4444"), "203.0.113.9:4444");
    assert_eq!(of(Nat::No, "<sip:1@10.0.0.5:5060>", "203.0.113.9:4444"), "10.0.0.5:5060");
    assert_eq!(of(Nat::No, "<sip:1@phone.example.com>", "203.0.113.9:4444"), "203.0.113.9:4444");
}

#[test]
fn a_private_contact_from_a_public_address_is_behind_a_nat_whatever_the_via_says() {
    let mut desk = Desk::new();
    let seen = udp("203.0.113.9:5060");
    let phone =
        Register::of("1001").contact("<sip:1001@192.168.1.5:5060>").via("SIP/2.0/UDP 203.0.113.9:5060");
    desk.register(&phone.flow(seen)).unwrap();
    assert_eq!(desk.only("1001").flow(), seen);
    let inside =
        Register::of("1002").contact("<sip:1002@192.168.1.5:5060>").via("SIP/2.0/UDP 192.168.1.1:5060");
    desk.register(&inside.flow(udp("192.168.1.1:5060"))).unwrap();
    assert_eq!(desk.only("1002").flow(), udp("192.168.1.5:5060"), "within a private network it may be true");
}
