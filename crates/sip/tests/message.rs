//! Reading messages (RFC 3261 7): what is kept, what is refused, and where the limits are.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use tandem_sip::error::ParseErrorKind as Kind;
use tandem_sip::{HeaderName, Message, Method, limits, response_to};

const HEAD: &str =
    "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n";

fn parse(text: impl AsRef<[u8]>) -> Result<Message, Kind> {
    Message::parse(Bytes::copy_from_slice(text.as_ref())).map_err(|e| e.kind)
}

fn invite(extra: &str) -> Message {
    parse(format!("INVITE sip:b@h SIP/2.0\r\n{HEAD}CSeq: 1 INVITE\r\n{extra}\r\n")).unwrap()
}

fn fault(message: &Message) -> (HeaderName, Kind) {
    let fault = message.envelope().unwrap_err();
    (fault.header, fault.kind)
}

#[test]
fn empty_lines_before_a_message_are_ignored() {
    let message = parse(format!("\r\n\r\nOPTIONS sip:h SIP/2.0\r\n{HEAD}CSeq: 1 OPTIONS\r\n\r\n")).unwrap();
    assert_eq!(message.method(), Some(Method::Options));
    assert_eq!(parse("\r\n\r\n").unwrap_err(), Kind::Empty);
    assert_eq!(parse("").unwrap_err(), Kind::Empty);
}

#[test]
fn compact_names_are_their_long_forms() {
    let text = "SIP/2.0 200 OK\r\nv: SIP/2.0/TCP h\r\nF: <sip:a@h>;tag=1\r\nt: <sip:b@h>\r\nI: c\r\nCSeq: 1 BYE\r\n\
                m: <sip:x>\r\nk: timer\r\nc: a/b\r\nl: 2\r\n\r\nhi";
    let message = parse(text).unwrap();
    assert!(message.envelope().is_ok());
    assert!(message.has_token(HeaderName::Supported, b"TIMER"));
    assert_eq!((message.header(HeaderName::ContentType), message.body()), (Some(&b"a/b"[..]), &b"hi"[..]));
    assert_eq!(message.headers().next().unwrap().name_token, b"v");
}

#[test]
fn values_on_one_line_and_on_many_lines_are_one_list() {
    let message =
        invite("Route: <sip:1;x=a>, <sip:2>\r\nX: y\r\nRoute:\r\n \"a, b\" <sip:3>\r\nroute : <sip:4>\r\n");
    let routes: Vec<_> = message.values(HeaderName::Route).collect();
    assert_eq!(routes, [&b"<sip:1;x=a>"[..], b"<sip:2>", b"\"a, b\" <sip:3>", b"<sip:4>"]);
    assert_eq!(message.lines(HeaderName::Route).count(), 3);
}

#[test]
fn folds_stay_in_the_value_and_vanish_in_the_unfolded_view() {
    let message = invite("Subject: one\r\n\t two  \r\n  three\r\n");
    assert_eq!(message.header(HeaderName::Subject), Some(&b"one\r\n\t two  \r\n  three"[..]));
    let subject = message.headers().find(|h| h.name == HeaderName::Subject).unwrap();
    assert_eq!(subject.unfolded().as_ref(), b"one two three");
}

#[test]
fn line_ends_other_than_crlf_are_refused() {
    assert_eq!(parse("OPTIONS sip:h SIP/2.0\nTo: x\n\n").unwrap_err(), Kind::BareLf);
    assert_eq!(parse("OPTIONS sip:h SIP/2.0\r\nTo: x\ny\r\n\r\n").unwrap_err(), Kind::BareLf);
    assert_eq!(parse("OPTIONS sip:h SIP/2.0\r\nTo: x\ry\r\n\r\n").unwrap_err(), Kind::BareCr);
}

#[test]
fn a_nul_stands_only_in_a_quoted_pair() {
    assert_eq!(parse("OPTIONS sip:h SIP/2.0\r\nTo: x\0y\r\n\r\n").unwrap_err(), Kind::NulByte);
    assert!(parse("OPTIONS sip:h SIP/2.0\r\nTo: \"x\\\0y\" <sip:a>\r\n\r\n").is_ok());
    assert_eq!(parse("OPTIONS sip:h SIP/2.0\r\nT\0: x\r\n\r\n").unwrap_err(), Kind::HeaderName);
}

#[test]
fn a_message_without_its_empty_line_is_truncated() {
    for text in [
        "OPTIONS sip:h SIP/2.0",
        "OPTIONS sip:h SIP/2.0\r\n",
        "OPTIONS sip:h SIP/2.0\r\nTo: x\r\n",
        "OPTIONS",
    ] {
        assert_eq!(parse(text).unwrap_err(), Kind::Truncated, "{text}");
    }
}

#[test]
fn start_lines_that_are_none_are_refused() {
    for (line, kind) in [
        ("INVITE", Kind::StartLine),
        ("INVITE sip:h", Kind::StartLine),
        ("INVITE sip:h HTTP/1.1", Kind::StartLine),
        ("IN/VITE sip:h SIP/2.0", Kind::StartLine),
        (" INVITE sip:h SIP/2.0", Kind::Method),
        ("SIP/2.0 99 x", Kind::StatusCode),
        ("SIP/2.0 700 x", Kind::StatusCode),
        ("SIP/2.0 2000 x", Kind::StatusCode),
        ("SIP/2.0 20x x", Kind::StatusCode),
        ("SIP/2.0", Kind::Version),
        ("SIP/3.0 200 OK", Kind::Version),
    ] {
        assert_eq!(parse(format!("{line}\r\n\r\n")).unwrap_err(), kind, "{line}");
    }
}

#[test]
fn the_version_is_read_in_any_case() {
    assert!(parse(format!("BYE sip:b@h sip/2.0\r\n{HEAD}CSeq: 1 BYE\r\n\r\n")).unwrap().envelope().is_ok());
    assert_eq!(parse("sIp/2.0 200\r\n\r\n").unwrap().code(), Some(200));
}

#[test]
fn the_body_ends_with_content_length_or_with_the_datagram() {
    assert_eq!(invite("l: 0\r\n").body(), b"");
    let head = format!("INFO sip:b@h SIP/2.0\r\n{HEAD}CSeq: 1 INFO\r\n");
    assert_eq!(parse(format!("{head}\r\nall of it")).unwrap().body(), b"all of it");
    let cut = parse(format!("{head}l: 3\r\n\r\nall of it")).unwrap();
    assert_eq!((cut.body(), cut.body_bytes().as_ref()), (&b"all"[..], &b"all"[..]));
    let long = parse(format!("{head}l: 10\r\n\r\nall of it")).unwrap();
    assert_eq!(fault(&long), (HeaderName::ContentLength, Kind::ContentLengthTooLong));
}

#[test]
fn content_lengths_must_agree() {
    let head = format!("INFO sip:b@h SIP/2.0\r\n{HEAD}CSeq: 1 INFO\r\n");
    assert_eq!(parse(format!("{head}l: 2\r\nContent-Length: 02\r\n\r\nhi")).unwrap().body(), b"hi");
    let two = parse(format!("{head}l: 2\r\nl: 1\r\n\r\nhi")).unwrap();
    assert_eq!(fault(&two), (HeaderName::ContentLength, Kind::Duplicate));
    let none = parse(format!("{head}l:\r\n\r\nhi")).unwrap();
    assert_eq!(fault(&none), (HeaderName::ContentLength, Kind::Number));
}

#[test]
fn a_second_single_header_is_a_fault() {
    for line in ["f: <sip:x>;tag=2", "To: <sip:x>", "Call-ID: d", "CSeq: 1 INVITE"] {
        let message = invite(&format!("{line}\r\n"));
        let name = HeaderName::parse(line.split(':').next().unwrap().as_bytes());
        assert_eq!(fault(&message), (name, Kind::Duplicate));
    }
    let twice = invite("Max-Forwards: 1\r\nMax-Forwards: 1\r\n");
    assert_eq!(fault(&twice), (HeaderName::MaxForwards, Kind::Duplicate));
}

#[test]
fn a_missing_mandatory_header_is_named() {
    let full = format!("{HEAD}CSeq: 1 BYE\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        let rest: String = full.split_inclusive("\r\n").filter(|line| !line.starts_with(name)).collect();
        let message = parse(format!("BYE sip:b@h SIP/2.0\r\n{rest}\r\n")).unwrap();
        assert_eq!(fault(&message), (HeaderName::parse(name.as_bytes()), Kind::Missing));
    }
}

#[test]
fn max_forwards_is_a_byte() {
    assert_eq!(invite("Max-Forwards: 0255\r\n").envelope().unwrap().max_forwards, Some(255));
    assert_eq!(invite("").envelope().unwrap().max_forwards, None);
    for bad in ["256", "-1", "", "7 0"] {
        let message = invite(&format!("Max-Forwards: {bad}\r\n"));
        assert_eq!(fault(&message), (HeaderName::MaxForwards, Kind::Number), "{bad}");
    }
}

#[test]
fn a_response_may_carry_any_cseq_method() {
    let message = parse(format!("SIP/2.0 200 OK\r\n{HEAD}CSeq: 1 NEWMETHOD\r\n\r\n")).unwrap();
    assert_eq!(message.envelope().unwrap().cseq.method_token, b"NEWMETHOD");
}

#[test]
fn a_second_tag_or_branch_is_a_fault() {
    let text = "BYE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1;TAG=2\r\nTo: <sip:b>\r\n\
                Call-ID: c\r\nCSeq: 1 BYE\r\n\r\n";
    assert_eq!(fault(&parse(text).unwrap()), (HeaderName::From, Kind::Duplicate));
    let text = text.replace(";TAG=2", "").replace("branch=z9hG4bK1", "branch=z9hG4bK1;branch=z9hG4bK2");
    assert_eq!(fault(&parse(text).unwrap()), (HeaderName::Via, Kind::Duplicate));
}

#[test]
fn a_request_leaves_room_in_via_and_to_for_what_its_answer_adds() {
    let request = |via: String, to: String| {
        Message::parse(Bytes::from(format!(
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx{via}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>{to}\r\n\
             Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )))
        .unwrap()
    };
    let first_fault =
        |via: String, to: String| request(via, to).envelope().err().map(|fault| (fault.header, fault.kind));
    let many = || ";a".repeat(62);
    assert_eq!(first_fault(many(), String::new()), Some((HeaderName::Via, Kind::TooManyParams)));
    assert_eq!(first_fault(String::new(), many() + ";b"), Some((HeaderName::To, Kind::TooManyParams)));
    let long = format!(";a={}", "x".repeat(1_000));
    assert_eq!(first_fault(long, String::new()), Some((HeaderName::Via, Kind::TooLong)));

    let fits = request(format!(";rport;a={}{}", "x".repeat(800), ";a".repeat(59)), many());
    let envelope = fits.envelope().unwrap();
    let source = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().ok();
    let answer = response_to(&mut Vec::new(), &fits, &envelope, 200, b"OK", Some(b"t"), source).finish(b"");
    let answer = Message::parse(answer).unwrap();
    assert_eq!(answer.envelope().unwrap().via.rport(), Some(Some(65535)));
}

#[test]
fn an_empty_tag_or_branch_is_a_fault() {
    for (header, from, to) in [
        (HeaderName::From, "tag=1", "tag="),
        (HeaderName::From, "tag=1", "tag"),
        (HeaderName::To, "<sip:b@h>", "<sip:b@h>;tag ="),
        (HeaderName::Via, "branch=z9hG4bK1", "branch="),
    ] {
        let head = HEAD.replace(from, to);
        let message = parse(format!("BYE sip:b@h SIP/2.0\r\n{head}CSeq: 1 BYE\r\n\r\n")).unwrap();
        assert_eq!(fault(&message), (header, Kind::Param), "{to}");
    }
}

#[test]
fn every_dimension_has_its_limit() {
    let with = |header: String| parse(format!("BYE sip:b SIP/2.0\r\n{header}\r\n\r\n"));
    let name = "n".repeat(limits::MAX_HEADER_NAME);
    assert!(with(format!("{name}: v")).is_ok());
    assert_eq!(with(format!("{name}n: v")).unwrap_err(), Kind::HeaderNameTooLong);
    let value = "v".repeat(limits::MAX_HEADER_LINE - 3);
    assert!(with(format!("n: {value}")).is_ok());
    assert_eq!(with(format!("n: {value}v")).unwrap_err(), Kind::HeaderTooLong);
    let many = "n: v\r\n".repeat(limits::MAX_HEADERS - 1);
    assert_eq!(with(format!("{many}n: v")).unwrap().headers().len(), limits::MAX_HEADERS);
    assert_eq!(with(format!("{many}n: v\r\nn: v")).unwrap_err(), Kind::TooManyHeaders);
    let method = "M".repeat(limits::MAX_METHOD + 1);
    assert_eq!(parse(format!("{method} sip:b SIP/2.0\r\n\r\n")).unwrap_err(), Kind::Method);
    let line = "u".repeat(limits::MAX_START_LINE);
    assert_eq!(parse(format!("BYE sip:{line} SIP/2.0\r\n\r\n")).unwrap_err(), Kind::StartLineTooLong);
    let uri = "u".repeat(limits::MAX_URI);
    let message = parse(format!("BYE sip:{uri} SIP/2.0\r\n\r\n")).unwrap();
    assert_eq!(fault(&message), (HeaderName::Other, Kind::UriTooLong));
    let head = "BYE sip:b SIP/2.0\r\n\r\n";
    let body = "b".repeat(limits::MAX_MESSAGE - head.len());
    assert_eq!(parse(format!("{head}{body}")).unwrap().body().len(), body.len());
    assert_eq!(parse(format!("{head}{body}b")).unwrap_err(), Kind::MessageTooLong);
}

#[test]
fn long_mandatory_values_are_faults() {
    let swap = |from: &str, to: String| {
        let head = HEAD.replace(from, &to);
        fault(&parse(format!("BYE sip:b@h SIP/2.0\r\n{head}CSeq: 1 BYE\r\n\r\n")).unwrap())
    };
    let call_id = format!("Call-ID: {}", "c".repeat(limits::MAX_CALL_ID + 1));
    assert_eq!(swap("Call-ID: c", call_id), (HeaderName::CallId, Kind::CallId));
    let tag = format!("tag={}", "1".repeat(limits::MAX_TAG + 1));
    assert_eq!(swap("tag=1", tag), (HeaderName::From, Kind::TooLong));
    let branch = format!("branch={}", "z".repeat(limits::MAX_VIA));
    assert_eq!(swap("branch=z9hG4bK1", branch), (HeaderName::Via, Kind::TooLong));
    assert_eq!(swap("Call-ID: c", "Call-ID: c d".into()), (HeaderName::CallId, Kind::CallId));
}

#[test]
fn unknown_headers_keep_name_and_value() {
    let message = invite("X-OdD_name : \t va;l,ue \u{ff}\r\n");
    let header = message.headers().last().unwrap();
    assert_eq!((header.name, header.name_token), (HeaderName::Other, &b"X-OdD_name"[..]));
    assert_eq!(header.value, "va;l,ue \u{ff}".as_bytes());
    assert_eq!(message.other(b"x-odd_NAME"), Some(header.value));
}

#[test]
fn a_message_is_small_and_its_clones_share_the_text() {
    let message = invite("");
    let clone = message.clone();
    assert_eq!(clone.bytes().as_ptr(), message.bytes().as_ptr());
    assert!(size_of::<Message>() <= 360, "{}", size_of::<Message>());
}
