//! The torture messages of RFC 4475, as vectors in `tests/vectors/rfc4475`: the valid ones are read, each invalid one is
//! refused for its own sin.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use bytes::Bytes;
use std::path::PathBuf;
use tandem_sip::error::ParseErrorKind as Kind;
use tandem_sip::{HeaderName, Message, Method, NameAddr, Scheme, StartLine, Transport, Uri, Via};

fn vector(name: &str) -> Bytes {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../tests/vectors/rfc4475", name].iter().collect();
    Bytes::from(std::fs::read(path.with_extension("dat")).unwrap())
}

fn message(name: &str) -> Message {
    Message::parse(vector(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

const VALID: [&str; 28] = [
    "wsinv",
    "intmeth",
    "esc01",
    "escnull",
    "esc02",
    "lwsdisp",
    "longreq",
    "dblreq",
    "semiuri",
    "transports",
    "mpart01",
    "unreason",
    "noreason",
    "baddate",
    "badbranch",
    "inv2543",
    "unkscm",
    "novelsc",
    "unksm2",
    "bext01",
    "invut",
    "regaut01",
    "bcast",
    "zeromf",
    "cparam01",
    "cparam02",
    "regescrt",
    "sdp01",
];

/// Readable, with a fault that the envelope names: 400 for a request (505 for the version), silence for a response.
const FAULTY: [(&str, HeaderName, Kind); 18] = [
    ("badinv01", HeaderName::Via, Kind::Param),
    ("clerr", HeaderName::ContentLength, Kind::ContentLengthTooLong),
    ("ncl", HeaderName::ContentLength, Kind::Number),
    ("scalar02", HeaderName::CSeq, Kind::CSeqTooLarge),
    ("scalarlg", HeaderName::CSeq, Kind::CSeqTooLarge),
    ("quotbal", HeaderName::To, Kind::UnclosedQuote),
    ("ltgtruri", HeaderName::Other, Kind::RequestUri),
    ("lwsruri", HeaderName::Other, Kind::RequestUri),
    ("lwsstart", HeaderName::Other, Kind::StartLineSpaces),
    ("trws", HeaderName::Other, Kind::StartLineSpaces),
    ("escruri", HeaderName::Other, Kind::RequestUri),
    ("badaspec", HeaderName::To, Kind::UriByte),
    ("baddn", HeaderName::From, Kind::DisplayName),
    ("badvers", HeaderName::Other, Kind::Version),
    ("mismatch01", HeaderName::CSeq, Kind::CSeqMethod),
    ("mismatch02", HeaderName::CSeq, Kind::CSeqMethod),
    ("insuf", HeaderName::From, Kind::Missing),
    ("mcl01", HeaderName::ContentLength, Kind::Duplicate),
];

#[test]
fn every_valid_message_is_read_whole() {
    for name in VALID {
        let message = message(name);
        let envelope = message.envelope().unwrap_or_else(|e| panic!("{name}: {e}"));
        envelope.from.uri().unwrap_or_else(|e| panic!("{name} From: {e}"));
        envelope.to.uri().unwrap_or_else(|e| panic!("{name} To: {e}"));
        for via in message.values(HeaderName::Via) {
            Via::parse(via).unwrap_or_else(|e| panic!("{name} Via: {e}"));
        }
        for contact in message.values(HeaderName::Contact) {
            NameAddr::parse(contact).unwrap().uri().unwrap_or_else(|e| panic!("{name} Contact: {e}"));
        }
    }
}

#[test]
fn every_faulty_message_is_refused_for_its_own_sin() {
    for (name, header, kind) in FAULTY {
        let fault = message(name).envelope().err().unwrap_or_else(|| panic!("{name} was accepted"));
        assert_eq!((fault.header, fault.kind), (header, kind), "{name}");
    }
}

#[test]
fn every_vector_is_listed_here() {
    let dir: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../tests/vectors/rfc4475"].iter().collect();
    let named = |file: &str| {
        VALID.contains(&file)
            || FAULTY.iter().any(|(name, ..)| *name == file)
            || ["bigcode", "multi01", "regbadct"].contains(&file)
    };
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(named(&file), "{file} is shown by no test");
    }
}

#[test]
fn a_status_code_beyond_three_digits_is_unreadable() {
    assert_eq!(Message::parse(vector("bigcode")).unwrap_err().kind, Kind::StatusCode);
}

#[test]
fn two_of_each_single_header_are_a_duplicate() {
    assert_eq!(message("multi01").envelope().unwrap_err().kind, Kind::Duplicate);
}

#[test]
fn a_contact_with_headers_needs_its_angle_brackets() {
    let message = message("regbadct");
    assert!(message.envelope().is_ok());
    let contact = message.values(HeaderName::Contact).next().unwrap();
    assert_eq!(NameAddr::parse(contact).unwrap_err().kind, Kind::BareAddress);
}

#[test]
fn the_tortuous_invite_keeps_its_meaning() {
    let message = message("wsinv");
    let envelope = message.envelope().unwrap();
    assert_eq!(envelope.to.uri, b"sip:vivekg@chair-dnrc.example.com");
    assert_eq!(envelope.to_tag, Some(&b"1918181833n"[..]));
    assert_eq!(envelope.from.display_unquoted().as_ref(), br#"J Rosenberg \""#);
    assert_eq!(envelope.from_tag, Some(&b"98asjd8"[..]));
    assert_eq!(envelope.max_forwards, Some(68));
    assert_eq!((envelope.cseq.number, envelope.cseq.method), (9, Method::Invite));
    let vias: Vec<Via> = message.values(HeaderName::Via).map(|v| Via::parse(v).unwrap()).collect();
    let hops: Vec<_> =
        vias.iter().map(|v| (v.transport.unwrap(), v.host.to_string(), v.branch().unwrap())).collect();
    assert_eq!(
        hops,
        [
            (Transport::Udp, "192.0.2.2".to_owned(), &b"390skdjuw"[..]),
            (Transport::Tcp, "spindle.example.com".to_owned(), b"z9hG4bK9ikj8"),
            (Transport::Udp, "192.168.255.111".to_owned(), b"z9hG4bK30239"),
        ]
    );
    assert_eq!(message.header(HeaderName::Subject), Some(&b""[..]));
    assert_eq!(message.other(b"unknownheaderwithunusualvalue"), Some(&b";;,,;;,;"[..]));
    let folded = message.headers().find(|h| h.name_token == b"NewFangledHeader").unwrap();
    assert_eq!(folded.unfolded().as_ref(), b"newfangled value continued newfangled value");
    let contact = NameAddr::parse(message.values(HeaderName::Contact).next().unwrap()).unwrap();
    assert_eq!(contact.display_unquoted().as_ref(), br#"Quoted string """#);
    assert_eq!(contact.params.value(b"newparam"), Some(&b"newvalue"[..]));
    assert_eq!(contact.params.get(b"secondparam"), Some(None));
    assert_eq!(contact.params.value(b"q"), Some(&b"0.33"[..]));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn the_wide_range_of_characters_survives() {
    let message = message("intmeth");
    let method = b"!interesting-Method0123456789_*+`.%indeed'~";
    let StartLine::Request { method: known, method_token, uri } = message.start() else {
        panic!("no request")
    };
    assert_eq!((known, method_token), (Method::Other, &method[..]));
    let uri = Uri::parse(uri).unwrap();
    assert_eq!(uri.user(), Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
    assert_eq!(uri.password, Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
    let envelope = message.envelope().unwrap();
    assert_eq!(envelope.to.display_unquoted().as_ref(), b"BEL:\x07 NUL:\x00 DEL:\x7f");
    assert_eq!(envelope.from_tag, Some(&b"_token~1'+`*%!-."[..]));
    let cyrillic = envelope.from.params.unquoted(b"fromParam''~+*_!.-%").unwrap();
    assert_eq!(std::str::from_utf8(&cyrillic), Ok("работающий"));
    assert_eq!(envelope.call_id, b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    assert_eq!(envelope.cseq.method_token, method);
}

#[test]
fn escapes_mean_something_in_uris_only() {
    let unescaped = |uri: &Uri| uri.user_unescaped().unwrap().into_owned();
    let esc01 = message("esc01");
    let request_uri = Uri::parse(esc01.request_uri().unwrap()).unwrap();
    assert_eq!(
        (request_uri.scheme, unescaped(&request_uri)),
        (Scheme::Sip, b"sips:user@example.com".to_vec())
    );
    assert_eq!(unescaped(&esc01.envelope().unwrap().to.uri().unwrap()), b"user");
    let null = message("escnull");
    let contacts: Vec<_> = null.values(HeaderName::Contact).collect();
    let users: Vec<_> =
        contacts.iter().map(|c| unescaped(&NameAddr::parse(c).unwrap().uri().unwrap())).collect();
    assert_eq!(users, [&b"\0"[..], b"\0\0"]);
    let esc02 = message("esc02");
    assert_eq!(esc02.method(), Some(Method::Other));
    assert_eq!(esc02.lines(HeaderName::Contact).count(), 2);
    assert_eq!(esc02.envelope().unwrap().to.display, br#""%Z%45""#);
}

#[test]
fn long_values_and_many_vias_are_read() {
    let message = message("longreq");
    assert_eq!(message.values(HeaderName::Via).count(), 34);
    let envelope = message.envelope().unwrap();
    assert_eq!(envelope.from_tag.unwrap().len(), 155);
    assert_eq!(envelope.to.uri().unwrap().port, Some(6000));
    assert!(message.lines(HeaderName::Via).next_back().unwrap().ends_with(b"branchvalue"));
}

#[test]
fn a_second_message_behind_the_first_is_ignored_on_a_datagram() {
    let message = message("dblreq");
    assert_eq!(message.method(), Some(Method::Register));
    assert_eq!(message.body(), b"");
}

#[test]
fn parameters_of_the_user_part_are_no_uri_parameters() {
    let message = message("semiuri");
    let uri = Uri::parse(message.request_uri().unwrap()).unwrap();
    assert_eq!(uri.user(), Some(&b"user;par=u%40example.net"[..]));
    assert!(uri.params.is_empty());
    assert_eq!(message.values(HeaderName::Accept).count(), 6);
}

#[test]
fn a_binary_body_arrives_byte_for_byte() {
    let bytes = vector("mpart01");
    let message = Message::parse(bytes.clone()).unwrap();
    assert_eq!(message.body().len(), 553);
    assert!(bytes.ends_with(message.body()));
    assert!(message.body().contains(&0));
}

#[test]
fn reason_phrases_may_be_unusual_or_empty() {
    let unreason = message("unreason");
    assert_eq!(unreason.code(), Some(200));
    assert!(std::str::from_utf8(unreason.reason().unwrap()).unwrap().ends_with("простое"));
    assert_eq!((message("noreason").code(), message("noreason").reason().unwrap().len()), (Some(100), 0));
}

#[test]
fn an_empty_branch_after_the_cookie_identifies_nothing() {
    assert!(!message("badbranch").envelope().unwrap().via.is_magic_cookie());
}

#[test]
fn a_request_of_the_old_protocol_has_no_from_tag() {
    let message = message("inv2543");
    let envelope = message.envelope().unwrap();
    assert_eq!((envelope.from_tag, envelope.via.branch()), (None, None));
    assert_eq!(envelope.to.uri().unwrap().number().unwrap(), b"+16505552222");
}

#[test]
fn an_unknown_scheme_is_read_so_that_it_can_be_refused() {
    let message = message("unkscm");
    assert_eq!(Uri::parse(message.request_uri().unwrap()).unwrap().scheme, Scheme::Other);
}
