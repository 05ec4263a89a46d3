//! IPv6 in SIP messages: the cases of RFC 5118.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use std::net::Ipv6Addr;
use tandem_sip::error::ParseErrorKind as Kind;
use tandem_sip::{Host, Message, NameAddr, Uri, Via};

const GOOD: &str = "REGISTER sip:[2001:db8::10] SIP/2.0\r\n\
    To: sip:user@example.com\r\n\
    From: sip:user@example.com;tag=81x2\r\n\
    Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\r\n\
    Call-ID: SSG9559905523997077@hlau_4100\r\n\
    Max-Forwards: 70\r\n\
    Contact: \"Caller\" <sip:caller@[2001:db8::1]>\r\n\
    CSeq: 98176 REGISTER\r\n\
    Content-Length: 0\r\n\r\n";

fn address(text: &str) -> Host<'static> {
    Host::V6(text.parse::<Ipv6Addr>().unwrap())
}

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

#[test]
fn references_in_brackets_are_read_everywhere() {
    let message = parse(GOOD);
    let envelope = message.envelope().unwrap();
    assert_eq!(envelope.via.host, address("2001:db8::9:1"));
    assert_eq!(Uri::parse(message.request_uri().unwrap()).unwrap().host, address("2001:db8::10"));
}

#[test]
fn a_request_uri_without_brackets_is_no_uri_with_that_host() {
    let message = parse(&GOOD.replace("sip:[2001:db8::10]", "sip:2001:db8::10"));
    assert_eq!(Uri::parse(message.request_uri().unwrap()).unwrap_err().kind, Kind::Port);
}

#[test]
fn a_port_inside_the_brackets_is_part_of_the_address() {
    let ambiguous = Uri::parse(b"sip:[2001:db8::10:5070]").unwrap();
    assert_eq!((ambiguous.host, ambiguous.port), (address("2001:db8::10:5070"), None));
    let clear = Uri::parse(b"sip:[2001:db8::10]:5070").unwrap();
    assert_eq!((clear.host, clear.port), (address("2001:db8::10"), Some(5070)));
}

#[test]
fn received_is_read_with_and_without_brackets() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let via = format!("SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3-111");
        assert_eq!(Via::parse(via.as_bytes()).unwrap().received(), Some("2001:db8::9:255".parse().unwrap()));
    }
}

#[test]
fn an_address_of_the_other_family_in_disguise_is_read() {
    let contact = NameAddr::parse(b"<sip:caller@[::ffff:192.0.2.10]:5062>").unwrap();
    assert_eq!(contact.uri().unwrap().host, address("::ffff:192.0.2.10"));
    assert_eq!(Uri::parse(b"sip:a@[2001:db8::1%25eth0]").unwrap_err().kind, Kind::Host);
}

#[test]
fn three_colons_before_an_ipv4_part_are_taken_for_two() {
    let (three, two) = (&b"[2001:db8:::192.0.2.1]"[..], &b"[2001:db8::192.0.2.1]"[..]);
    assert_eq!(Host::parse(three).unwrap(), Host::parse(two).unwrap());
    for wrong in [&b"[2001:db8:::1]"[..], b"[:::]", b"[1:::2:::192.0.2.1]"] {
        assert_eq!(Host::parse(wrong).unwrap_err().kind, Kind::Host);
    }
}
