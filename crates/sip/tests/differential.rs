//! Messages printed by somebody else's types are read by us to the values that went in; and where `rsip` cannot follow,
//! this says so, so that nobody believes it to be an oracle for more than it is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use tandem_sip::rsip_bridge::{Unprintable, print_request, print_response, reads_as};
use tandem_sip::{Builder, HeaderName, Message, NameAddr, StartLine, Uri, Via};

#[derive(Clone, Debug)]
struct Sample {
    method: String,
    user: String,
    host: String,
    port: Option<u16>,
    display: String,
    tag: String,
    call_id: String,
    cseq: u32,
    branch: String,
    hops: usize,
    extra: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sample {
    fn uri(&self) -> String {
        let port = self.port.map(|p| format!(":{p}")).unwrap_or_default();
        format!("sip:{}@{}{port}", self.user, self.host)
    }

    fn headers(&self) -> Vec<(String, String)> {
        let via = |hop| format!("SIP/2.0/UDP {};branch=z9hG4bK{}{hop};rport", self.host, self.branch);
        let mut headers: Vec<(String, String)> =
            (0..=self.hops).map(|hop| ("Via".into(), via(hop))).collect();
        headers.push(("From".into(), format!("\"{}\" <{}>;tag={}", self.display, self.uri(), self.tag)));
        headers.push(("To".into(), format!("<{}>", self.uri())));
        headers.push(("Call-ID".into(), self.call_id.clone()));
        headers.push(("CSeq".into(), format!("{} {}", self.cseq, self.method)));
        headers.push(("Max-Forwards".into(), "70".into()));
        headers.extend(self.extra.clone());
        headers
    }

    fn print(&self, response: Option<u16>) -> Bytes {
        let headers = self.headers();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        match response {
            None => print_request(&self.method, &self.uri(), &headers, &self.body).unwrap(),
            Some(code) => print_response(code, "So Be It", &headers, &self.body),
        }
    }

    fn check(&self, message: &Message) -> Result<(), TestCaseError> {
        let envelope = message.envelope().unwrap();
        prop_assert_eq!(
            envelope.via.branch().map(<[u8]>::to_vec),
            Some(format!("z9hG4bK{}0", self.branch).into_bytes())
        );
        prop_assert_eq!(envelope.via.rport(), Some(None));
        let vias: Vec<_> = message.values(HeaderName::Via).map(|v| Via::parse(v).unwrap()).collect();
        prop_assert_eq!(vias.len(), self.hops + 1);
        prop_assert_eq!(envelope.from.display_unquoted().into_owned(), self.display.as_bytes());
        prop_assert_eq!(envelope.from_tag, Some(self.tag.as_bytes()));
        prop_assert_eq!(envelope.to_tag, None);
        prop_assert_eq!(envelope.call_id, self.call_id.as_bytes());
        prop_assert_eq!(
            (envelope.cseq.number, envelope.cseq.method.as_str()),
            (self.cseq, self.method.as_str())
        );
        prop_assert_eq!(envelope.max_forwards, Some(70));
        let uri = envelope.to.uri().unwrap();
        prop_assert_eq!(uri.user(), Some(self.user.as_bytes()));
        prop_assert_eq!((uri.host.to_string(), uri.port), (self.host.clone(), self.port));
        for (name, value) in &self.extra {
            let found = message.headers().filter(|h| h.name_token.eq_ignore_ascii_case(name.as_bytes()));
            prop_assert!(found.clone().any(|h| h.value == value.as_bytes()), "{} is lost", name);
        }
        prop_assert_eq!(message.body(), &self.body[..]);
        Ok(())
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let method = prop::sample::select(vec![
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "OPTIONS",
        "INFO",
        "UPDATE",
        "PRACK",
        "MESSAGE",
        "NOTIFY",
        "SUBSCRIBE",
        "REFER",
        "PUBLISH",
    ]);
    let host = prop_oneof![
        "[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9-]{0,6}[a-z]){0,3}",
        "10\\.[1-9]\\.[1-9]\\.[1-9][0-9]"
    ];
    let address =
        ("[a-z0-9][a-zA-Z0-9._-]{0,20}", host, proptest::option::of(any::<u16>()), "[a-zA-Z ,;<>@]{1,20}");
    let dialog =
        ("[a-zA-Z0-9]{1,20}", "[a-zA-Z0-9]{1,20}(@[a-z0-9.]{1,10})?", 0..0x7fff_ffffu32, "[a-zA-Z0-9]{1,30}");
    let extra = proptest::collection::vec(("X-[A-Za-z0-9-]{1,20}", "[!-~]([ -~]{0,30}[!-~])?"), 0..40);
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    (method, address, dialog, 0usize..4, extra, body).prop_map(
        |(method, address, dialog, hops, extra, body)| {
            let (user, host, port, display) = address;
            let (tag, call_id, cseq, branch) = dialog;
            let method = method.to_owned();
            Sample { method, user, host, port, display, tag, call_id, cseq, branch, hops, extra, body }
        },
    )
}

proptest! {
    #[test]
    fn a_request_that_rsip_prints_is_read_to_the_same_values(sample in sample()) {
        let message = Message::parse(sample.print(None)).unwrap();
        let StartLine::Request { method, uri, .. } = message.start() else { unreachable!("printed as a request") };
        prop_assert_eq!(method.as_str(), &sample.method);
        prop_assert!(Uri::parse(uri).unwrap().equivalent(&Uri::parse(sample.uri().as_bytes()).unwrap()));
        sample.check(&message)?;
    }

    #[test]
    fn a_response_that_rsip_prints_is_read_to_the_same_values(sample in sample(), code in 100u16..700) {
        let message = Message::parse(sample.print(Some(code))).unwrap();
        prop_assert_eq!(message.start(), StartLine::Status { code, reason: b"So Be It" });
        sample.check(&message)?;
    }
}

proptest! {
    #[test]
    fn what_we_print_rsip_reads_to_the_same_values(sample in sample()) {
        let mut buf = Vec::new();
        let mut builder = Builder::request(&mut buf, sample.method.as_bytes(), sample.uri().as_bytes());
        for (name, value) in sample.headers() {
            builder.raw_header(name.as_bytes(), value.as_bytes());
        }
        let bytes = builder.finish(b"");
        for (name, value) in sample.headers() {
            prop_assert!(reads_as(&bytes, name.as_bytes(), value.as_bytes()), "rsip lost {}: {}", name, value);
        }
    }
}

const HEAD: &str = "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";

fn options(extra: &str) -> String {
    format!(
        "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{HEAD}{extra}Content-Length: 0\r\n\r\n"
    )
}

/// Messages that are sound and that `rsip` refuses, or reads to something else.
#[test]
fn rsip_cannot_follow_here() {
    assert!(
        reads_as(options("").as_bytes(), b"Via", b"SIP/2.0/UDP h;branch=z9hG4bK1"),
        "the plain message is common"
    );
    let cases = [
        ("compact names", options("").replace("Via:", "v:"), "Via", "SIP/2.0/UDP h;branch=z9hG4bK1"),
        ("a blank before the colon", options("Subject : x\r\n"), "Subject", "x"),
        ("folded lines", options("Subject: x\r\n y\r\n"), "Subject", "x y"),
        ("extension methods", options("").replace("OPTIONS", "NEWONE"), "Call-ID", "c"),
        (
            "an IPv6 Request-URI",
            options("").replace("sip:b@h SIP", "sip:b@[2001:db8::1] SIP"),
            "Call-ID",
            "c",
        ),
        ("a tel Request-URI", options("").replace("sip:b@h SIP", "tel:+1-201-555-0123 SIP"), "Call-ID", "c"),
        ("empty lines before a message", format!("\r\n{}", options("")), "Call-ID", "c"),
    ];
    for (what, text, name, value) in cases {
        let ours = Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        assert!(ours.envelope().is_ok(), "{what}");
        let name_ours = HeaderName::parse(name.as_bytes());
        let header = ours.headers().find(|h| h.name == name_ours).unwrap();
        assert_eq!(header.unfolded().as_ref(), value.as_bytes(), "{what}");
        assert!(!reads_as(text.as_bytes(), name.as_bytes(), value.as_bytes()), "rsip has learned {what}");
    }
}

#[test]
fn rsip_cannot_print_here() {
    assert_eq!(print_request("NEWONE", "sip:a@h", &[], b""), Err(Unprintable::Method));
    assert_eq!(print_request("OPTIONS", "sip:a@[2001:db8::1]", &[], b""), Err(Unprintable::Uri));
}

#[test]
fn a_quoted_instance_identifier_is_read() {
    let contact = b"<sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:0,1;2>\";reg-id=1";
    let address = NameAddr::parse(contact).unwrap();
    assert_eq!(address.params.unquoted(b"+sip.instance").unwrap().as_ref(), b"<urn:uuid:0,1;2>");
    assert_eq!(address.params.number(b"reg-id"), Some(1));
}
