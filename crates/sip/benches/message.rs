//! What the wire costs per message, in time and in allocations: `cargo bench -p tandem-sip --bench message`.

#![allow(clippy::expect_used, reason = "the samples are sound")]

use bytes::Bytes;
use divan::{Bencher, black_box};
use tandem_sip::{Builder, HeaderName, Message, Transport, Uri, response_to};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

/// What a softphone sends: about 700 bytes, 12 headers and a body.
const INVITE: &[u8] = b"INVITE sip:1002@192.0.2.10:5060 SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.21:5062;rport;branch=z9hG4bKPj3f7c1d0a9be84c55\r\n\
Max-Forwards: 70\r\n\
From: \"Alice Example\" <sip:1001@example.com>;tag=9fxced76sl\r\n\
To: <sip:1002@example.com>\r\n\
Contact: <sip:1001@192.0.2.21:5062;ob>\r\n\
Call-ID: 3848276298220188511@192.0.2.21\r\n\
CSeq: 20711 INVITE\r\n\
Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, OPTIONS\r\n\
Supported: replaces, 100rel, timer\r\n\
User-Agent: Softphone/2.4 (Linux)\r\n\
Content-Type: application/sdp\r\n\
Content-Length: 197\r\n\
\r\n\
v=0\r\n\
o=alice 2890844526 2890844526 IN IP4 192.0.2.21\r\n\
s=-\r\n\
c=IN IP4 192.0.2.21\r\n\
t=0 0\r\n\
m=audio 49170 RTP/AVP 0 8 101\r\n\
a=rtpmap:0 PCMU/8000\r\n\
a=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\n";

fn main() {
    let message = Message::parse(Bytes::from_static(INVITE)).expect("the sample is sound");
    println!("{} bytes, {} headers, body {}", INVITE.len(), message.headers().len(), message.body().len());
    message.envelope().expect("its envelope too");
    divan::main();
}

#[divan::bench]
fn parse() -> Message {
    Message::parse(black_box(Bytes::from_static(INVITE))).expect("sound")
}

#[divan::bench]
fn parse_and_envelope() -> u32 {
    let message = Message::parse(black_box(Bytes::from_static(INVITE))).expect("sound");
    let envelope = black_box(message.envelope().expect("sound"));
    envelope.cseq.number
}

/// The INVITE of the second leg: new dialog identifiers, everything else as it came.
#[divan::bench]
fn print_relayed_invite(bencher: Bencher) {
    let message = Message::parse(Bytes::from_static(INVITE)).expect("sound");
    let mut buf = Vec::with_capacity(2048);
    bencher.bench_local(move || relay(black_box(&message), &mut buf));
}

fn relay(message: &Message, buf: &mut Vec<u8>) -> Bytes {
    Builder::request(buf, b"INVITE", b"sip:1002@192.0.2.33:5064;transport=udp")
        .via(Transport::Udp, b"192.0.2.10:5060", b"z9hG4bK00000001c0ffee00")
        .number(HeaderName::MaxForwards, 69)
        .parts(HeaderName::From, &[b"\"Alice Example\" <sip:1001@example.com>;tag=", b"8c0ffee8"])
        .header(HeaderName::To, b"<sip:1002@example.com>")
        .header(HeaderName::Contact, b"<sip:192.0.2.10:5060>")
        .header(HeaderName::CallId, b"0f1e2d3c4b5a6978@192.0.2.10")
        .cseq(1, b"INVITE")
        .copy(message, HeaderName::Allow)
        .copy(message, HeaderName::Supported)
        .copy(message, HeaderName::UserAgent)
        .copy(message, HeaderName::ContentType)
        .finish(message.body())
}

#[divan::bench]
fn print_response(bencher: Bencher) {
    let message = Message::parse(Bytes::from_static(INVITE)).expect("sound");
    let envelope = message.envelope().expect("sound");
    let source = "192.0.2.21:5062".parse().ok();
    let mut buf = Vec::with_capacity(2048);
    bencher.bench_local(|| {
        response_to(&mut buf, black_box(&message), &envelope, 180, b"Ringing", Some(b"a6c85cf"), source)
            .finish(b"")
    });
}

#[divan::bench]
fn parse_uri() -> bool {
    Uri::parse(black_box(b"sip:1001@192.0.2.21:5062;transport=tcp;ob")).expect("sound").port.is_some()
}
