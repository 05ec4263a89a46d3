//! Messages, flows and time for tests.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::builder::response_to;
use tandem_sip::{Builder, Endpoint, Flow, HeaderName, Message, Received, Timers, Transport};

/// Some instant to count from.
pub fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
    Instant::now()
}

pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn flow(transport: Transport) -> Flow {
    let conn = u64::from(transport.is_reliable());
    Flow { transport, local: 0, remote: "192.0.2.7:40000".parse().unwrap(), conn }
}

pub fn endpoint() -> Endpoint<u32> {
    Endpoint::new(Timers::default(), 42)
}

pub fn message(text: &str) -> Message {
    let text = text.replace('\n', "\r\n");
    Message::parse(Bytes::from(text)).unwrap()
}

/// A request as a phone would send it, outside a dialog.
pub fn request(method: &str, branch: &str) -> Message {
    request_with(method, branch, "SIP/2.0/UDP 192.0.2.7:5070", "")
}

pub fn request_with(method: &str, branch: &str, via: &str, to_tag: &str) -> Message {
    message(&format!(
        "{method} sip:1002@example.com SIP/2.0\nVia: {via};branch={branch}\nMax-Forwards: 70\n\
         From: <sip:1001@example.com>;tag=a1\nTo: <sip:1002@example.com>{to_tag}\nCall-ID: c1@192.0.2.7\n\
         CSeq: 1 {method}\nContact: <sip:1001@192.0.2.7:5070>\nContent-Length: 0\n\n"
    ))
}

/// The response of a user agent to `request`.
pub fn reply(request: &Message, code: u16) -> Bytes {
    let mut buf = Vec::new();
    let envelope = request.envelope().unwrap();
    response_to(&mut buf, request, &envelope, code, b"Whatever", Some(b"b2"), None).finish(b"")
}

/// A request of ours with this branch, two Routes included.
pub fn ours(method: &str, branch: &[u8]) -> Bytes {
    let mut buf = Vec::new();
    let mut builder = Builder::request(&mut buf, method.as_bytes(), b"sip:1002@192.0.2.7:5070");
    builder
        .via(Transport::Udp, b"198.51.100.1", branch)
        .header(HeaderName::MaxForwards, b"70")
        .header(HeaderName::Route, b"<sip:p1.example.com;lr>")
        .header(HeaderName::Route, b"<sip:p2.example.com;lr>")
        .header(HeaderName::From, b"<sip:1001@example.com>;tag=ours")
        .header(HeaderName::To, b"<sip:1002@example.com>")
        .header(HeaderName::CallId, b"leg@198.51.100.1")
        .cseq(7, method.as_bytes());
    builder.finish(b"")
}

/// Everything that is waiting to be sent.
pub fn sent(endpoint: &mut Endpoint<u32>) -> Vec<Message> {
    std::iter::from_fn(|| endpoint.poll_transmit()).map(|t| Message::parse(t.payload).unwrap()).collect()
}

/// Lets the endpoint's timers fire, each at its time, up to `until`; gives what was sent, and when after `start`.
pub fn run_until(endpoint: &mut Endpoint<u32>, start: Instant, until: Instant) -> Vec<(u128, String)> {
    let mut log = Vec::new();
    loop {
        let due = endpoint.next_timeout().map(|(at, _)| at).filter(|at| *at <= until);
        let now = due.unwrap_or(until);
        endpoint.handle_timeout(now);
        for message in sent(endpoint) {
            let what =
                message.code().map_or_else(|| message.method().unwrap().to_string(), |code| code.to_string());
            log.push(((now - start).as_millis(), what));
        }
        if due.is_none() {
            return log;
        }
    }
}

/// The transaction of a new request.
pub fn new_request(received: Received<u32>) -> (tandem_sip::TxnId, Message) {
    let Received::Request { txn, message, .. } = received else { panic!("not a new request: {received:?}") };
    (txn, message)
}
