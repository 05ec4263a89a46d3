//! Printing messages: nothing that goes in breaks out of its line, and what a response owes its request is there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use std::net::SocketAddr;
use tandem_sip::{Builder, HeaderName, Message, Transport, Via, response_to};

const REQUEST: &str = "INVITE sip:b@h SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.1:5070 ;rport;received=9.9.9.9;branch=z9hG4bK1;x=\"a,b\", SIP/2.0/TCP p1;branch=z9hG4bK0\r\n\
    v: SIP/2.0/TLS p0;branch=z9hG4bKz\r\n\
    From: \"A\"\r\n <sip:a@h>;tag=1\r\n\
    To: sip:b@h\r\n\
    Call-ID: c@h\r\n\
    CSeq: 7 INVITE\r\n\
    Timestamp: 54\r\n\
    Content-Length: 0\r\n\r\n";

fn message(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn respond(request: &str, code: u16, tag: Option<&[u8]>, source: Option<&str>) -> Message {
    let request = message(request);
    let source: Option<SocketAddr> = source.map(|s| s.parse().unwrap());
    let mut buf = Vec::new();
    let envelope = request.envelope().unwrap();
    let bytes = response_to(&mut buf, &request, &envelope, code, b"Reason", tag, source).finish(b"");
    Message::parse(bytes).unwrap()
}

#[test]
fn a_request_is_printed_line_by_line() {
    let mut buf = b"left over".to_vec();
    let bytes = Builder::request(&mut buf, b"INVITE", b"sip:b@h")
        .via(Transport::Udp, b"192.0.2.1:5060", b"z9hG4bKx")
        .header(HeaderName::From, b"<sip:a@h>;tag=1")
        .parts(HeaderName::To, &[b"<", b"sip:b@h", b">"])
        .cseq(u32::MAX, b"INVITE")
        .number(HeaderName::MaxForwards, 70)
        .number(HeaderName::Expires, 0)
        .raw_header(b"X-Mine", b"yes")
        .finish(b"\0body");
    let expected = b"INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\n\
        From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCSeq: 4294967295 INVITE\r\nMax-Forwards: 70\r\nExpires: 0\r\n\
        X-Mine: yes\r\nContent-Length: 5\r\n\r\n\0body";
    assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn a_line_end_in_a_value_becomes_a_space() {
    let mut buf = Vec::new();
    let bytes = Builder::request(&mut buf, b"BYE\r\nX: 1", b"sip:b@h\r\nX: 2 SIP/2.0\r\n")
        .header(HeaderName::Subject, b"a\r\nX: 3\r\n\r\nX: 4")
        .raw_header(b"X-Bad\r\nX", b"5")
        .raw_header(b"", b"6")
        .finish(b"");
    let message = Message::parse(bytes).unwrap();
    let names: Vec<_> = message.headers().map(|h| h.name).collect();
    assert_eq!(names, [HeaderName::Subject, HeaderName::ContentLength]);
    assert_eq!(message.header(HeaderName::Subject), Some(&b"a X: 3 X: 4"[..]));
    let mut buf = Vec::new();
    let response = Message::parse(Builder::response(&mut buf, 200, b"OK\r\nX: 7").finish(b"")).unwrap();
    assert_eq!(response.reason(), Some(&b"OK X: 7"[..]));
}

#[test]
fn there_is_one_content_length_whatever_the_caller_adds() {
    let mut buf = Vec::new();
    let bytes = Builder::response(&mut buf, 200, b"OK")
        .header(HeaderName::ContentLength, b"9")
        .raw_header(b"l", b"9")
        .number(HeaderName::ContentLength, 9)
        .copy(&message(REQUEST), HeaderName::ContentLength)
        .finish(b"hi");
    let message = Message::parse(bytes).unwrap();
    assert_eq!(message.lines(HeaderName::ContentLength).collect::<Vec<_>>(), [b"2"]);
}

#[test]
fn copied_headers_are_verbatim() {
    let request =
        message("MESSAGE sip:b SIP/2.0\r\nX-a:  1\r\n\t2 \r\nm: <sip:1>,<sip:2>\r\nContact: <sip:3>\r\n\r\n");
    let mut buf = Vec::new();
    let mut builder = Builder::response(&mut buf, 200, b"OK");
    builder.copy(&request, HeaderName::Contact);
    for header in request.headers().filter(|h| h.name == HeaderName::Other) {
        builder.copy_line(&header);
    }
    let bytes = builder.finish(b"");
    let expected = "SIP/2.0 200 OK\r\nContact: <sip:1>,<sip:2>\r\nContact: <sip:3>\r\nX-a: 1\r\n\t2\r\n\
                    Content-Length: 0\r\n\r\n";
    assert_eq!(bytes, expected.as_bytes());
}

#[test]
fn a_response_carries_what_it_owes_its_request() {
    let response = respond(REQUEST, 180, Some(b"new"), Some("192.0.2.9:1024"));
    let vias: Vec<_> = response.values(HeaderName::Via).collect();
    assert_eq!(vias.len(), 3);
    assert_eq!(vias[0], b"SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;x=\"a,b\";received=192.0.2.9;rport=1024");
    assert_eq!(vias[1..], [&b"SIP/2.0/TCP p1;branch=z9hG4bK0"[..], b"SIP/2.0/TLS p0;branch=z9hG4bKz"]);
    let (request, envelope) = (message(REQUEST), response.envelope().unwrap());
    assert_eq!(response.header(HeaderName::From), request.header(HeaderName::From));
    assert_eq!((envelope.to_tag, envelope.call_id), (Some(&b"new"[..]), &b"c@h"[..]));
    assert_eq!(envelope.cseq.number, 7);
    assert_eq!(response.header(HeaderName::Timestamp), None);
    assert_eq!(respond(REQUEST, 100, None, None).header(HeaderName::Timestamp), Some(&b"54"[..]));
}

#[test]
fn blanks_around_the_elements_of_a_via_line_do_no_harm() {
    let request = REQUEST.replace("x=\"a,b\", SIP", "x=\"a,b\" \r\n , \r\n SIP");
    let response = respond(&request, 180, None, Some("10.0.0.1:5070"));
    let vias: Vec<_> = response.values(HeaderName::Via).collect();
    assert_eq!(vias[0], b"SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;x=\"a,b\";received=10.0.0.1;rport=5070");
    assert_eq!(vias[1..], [&b"SIP/2.0/TCP p1;branch=z9hG4bK0"[..], b"SIP/2.0/TLS p0;branch=z9hG4bKz"]);
}

#[test]
fn a_tag_that_the_request_has_is_kept() {
    let request = REQUEST.replace("To: sip:b@h", "To: <sip:b@h>;tag=old");
    let response = respond(&request, 200, Some(b"new"), None);
    assert_eq!(response.header(HeaderName::To), Some(&b"<sip:b@h>;tag=old"[..]));
}

#[test]
fn received_is_added_when_sent_by_is_not_the_source() {
    let top = |sent_by: &str, params: &str, source: &str| {
        let request = format!(
            "BYE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bK1{params}\r\nFrom: <sip:a>;tag=1\r\n\
             To: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n"
        );
        let response = respond(&request, 200, None, Some(source));
        let via = Via::parse(response.header(HeaderName::Via).unwrap()).unwrap();
        (via.received().map(|ip| ip.to_string()), via.rport().flatten())
    };
    assert_eq!(top("192.0.2.1", "", "192.0.2.1:9999"), (None, None));
    assert_eq!(top("192.0.2.1", "", "[::ffff:192.0.2.1]:9999"), (None, None));
    assert_eq!(top("[::ffff:192.0.2.1]", "", "192.0.2.1:9999"), (None, None));
    assert_eq!(top("host.example", "", "192.0.2.1:5060"), (Some("192.0.2.1".into()), None));
    assert_eq!(top("192.0.2.2", "", "192.0.2.1:5060"), (Some("192.0.2.1".into()), None));
    assert_eq!(top("192.0.2.1", ";rport", "192.0.2.1:9999"), (Some("192.0.2.1".into()), Some(9999)));
    assert_eq!(
        top("192.0.2.1", ";rport=1;received=1.1.1.1", "192.0.2.1:9"),
        (Some("192.0.2.1".into()), Some(9))
    );
    assert_eq!(top("[2001:db8::1]", ";rport", "[2001:db8::2]:7"), (Some("2001:db8::2".into()), Some(7)));
}

/// A value as one line holds it: neither blanks at its ends nor control characters.
fn value() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![0x21u8..=0x7e, 0x80u8..=0xff], 1..40)
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        headers in proptest::collection::vec(("[A-Za-z][A-Za-z0-9.!%*_+`'~-]{0,30}", value()), 0..60),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        code in 100u16..700,
    ) {
        let mut buf = Vec::new();
        let mut builder = Builder::response(&mut buf, code, b"Why Not");
        for (name, value) in &headers {
            builder.raw_header(name.as_bytes(), value);
        }
        let message = Message::parse(builder.finish(&body)).unwrap();
        prop_assert_eq!(message.code(), Some(code));
        prop_assert_eq!(message.reason(), Some(&b"Why Not"[..]));
        prop_assert_eq!(message.body(), &body[..]);
        let length = |name: &str| HeaderName::parse(name.as_bytes()) == HeaderName::ContentLength;
        let sent: Vec<_> = headers.iter().filter(|(name, _)| !length(name)).collect();
        prop_assert_eq!(message.headers().len(), sent.len() + 1);
        for (header, (name, value)) in message.headers().zip(sent) {
            prop_assert_eq!(header.name_token, name.as_bytes());
            prop_assert_eq!(header.value, &value[..]);
        }
    }
}

#[test]
fn a_sender_that_would_keep_its_flow_is_told_how_often() {
    for (transport, told) in [("UDP", ";keep=25"), ("TCP", ";keep=110"), ("WSS", ";keep=110")] {
        let text = format!(
            "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.1;branch=z9hG4bK1;keep\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:a@h>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
        );
        let request = Message::parse(text.into_bytes().into()).unwrap();
        let env = request.envelope().unwrap();
        let mut buf = Vec::new();
        let source = Some("192.0.2.1:5060".parse().unwrap());
        let response = response_to(&mut buf, &request, &env, 200, b"OK", Some(b"t"), source).finish(b"");
        let response = Message::parse(response).unwrap();
        let via = String::from_utf8_lossy(response.header(HeaderName::Via).unwrap()).into_owned();
        assert!(via.ends_with(told), "{via}");
    }
}
