//! Our own requests and what comes back (RFC 3261 17.1, 9.1, 18.1).

use std::time::Instant;

use bytes::Bytes;
use tandem_sip::{Branch, Endpoint, Event, Flow, HeaderName, Message, Method, Received, Transport, TxnId};

use crate::support::{endpoint, flow, message, ms, ours, reply, run_until, sent, start};

/// Starts a request and gives it as it went out.
fn start_request(
    endpoint: &mut Endpoint<u32>,
    method: &str,
    transport: Transport,
    now: Instant,
) -> (TxnId, Branch, Message) {
    let (txn, branch) = endpoint.reserve().unwrap();
    let payload = ours(method, branch.as_ref());
    endpoint.start(txn, Method::parse(method.as_bytes()), flow(transport), payload, 5, now);
    let request = sent(endpoint).pop().unwrap();
    (txn, branch, request)
}

/// Shows the endpoint an answer to `request`.
fn answer(endpoint: &mut Endpoint<u32>, request: &Message, code: u16, now: Instant) -> Received<u32> {
    endpoint.receive(flow(Transport::Udp), Message::parse(reply(request, code)).unwrap(), now)
}

fn methods(endpoint: &mut Endpoint<u32>) -> Vec<Method> {
    sent(endpoint).iter().filter_map(Message::method).collect()
}

fn is_response(received: &Received<u32>, of: TxnId, code: u16) -> bool {
    matches!(received, Received::Response { txn, user: 5, message, .. } if *txn == of && message.code() == Some(code))
}

#[test]
fn a_lost_request_is_repeated_until_it_times_out() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, ..) = start_request(&mut endpoint, "OPTIONS", Transport::Udp, now);
    let log = run_until(&mut endpoint, now, now + ms(32_000));
    assert_eq!(log.len(), 10);
    assert!(log.iter().all(|(_, what)| what == "OPTIONS"));
    assert_eq!(endpoint.poll_event(), Some(Event::Timeout { txn, user: 5 }));
    assert!(endpoint.is_empty());
}

#[test]
fn a_response_finds_its_transaction_and_its_retransmission_is_absorbed() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, _, request) = start_request(&mut endpoint, "BYE", Transport::Udp, now);
    assert!(is_response(&answer(&mut endpoint, &request, 200, now), txn, 200));
    assert!(matches!(answer(&mut endpoint, &request, 200, now), Received::Absorbed));
    run_until(&mut endpoint, now, now + ms(5000));
    assert!(endpoint.is_empty());
    assert!(matches!(answer(&mut endpoint, &request, 200, now), Received::Stray { .. }));
}

#[test]
fn a_refused_invite_is_acknowledged_as_17_1_1_3_says() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch, invite) = start_request(&mut endpoint, "INVITE", Transport::Udp, now);
    assert!(is_response(&answer(&mut endpoint, &invite, 486, now), txn, 486));
    let ack = sent(&mut endpoint).pop().unwrap();
    let envelope = ack.envelope().unwrap();
    assert_eq!(ack.request_uri(), invite.request_uri());
    assert_eq!(envelope.via.branch(), Some(branch.as_ref()));
    assert_eq!(ack.values(HeaderName::Via).count(), 1);
    assert_eq!(ack.header(HeaderName::From), invite.header(HeaderName::From));
    assert_eq!(envelope.to_tag, Some(&b"b2"[..]));
    assert_eq!((envelope.cseq.number, envelope.cseq.method), (7, Method::Ack));
    assert!(ack.lines(HeaderName::Route).eq(invite.lines(HeaderName::Route)));
    assert!(matches!(answer(&mut endpoint, &invite, 486, now), Received::Absorbed));
    assert_eq!(methods(&mut endpoint), [Method::Ack], "each retransmission is acknowledged");
}

#[test]
fn every_2xx_to_an_invite_reaches_the_user_and_none_is_acknowledged_here() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, _, invite) = start_request(&mut endpoint, "INVITE", Transport::Udp, now);
    for _ in 0..3 {
        assert!(is_response(&answer(&mut endpoint, &invite, 200, now), txn, 200));
    }
    assert!(sent(&mut endpoint).is_empty());
    assert_eq!(run_until(&mut endpoint, now, now + ms(32_000)), []);
    assert!(endpoint.is_empty());
}

#[test]
fn a_100_is_absorbed_and_a_180_is_not() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, _, invite) = start_request(&mut endpoint, "INVITE", Transport::Udp, now);
    assert!(matches!(answer(&mut endpoint, &invite, 100, now), Received::Absorbed));
    assert!(is_response(&answer(&mut endpoint, &invite, 180, now), txn, 180));
    assert_eq!(endpoint.next_timeout(), None, "nothing is repeated any more");
}

#[test]
fn responses_that_are_not_to_our_request_are_stray() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch, request) = start_request(&mut endpoint, "BYE", Transport::Udp, now);
    let text = String::from_utf8(reply(&request, 200).to_vec()).unwrap().replace("\r\n", "\n");
    let mut guess = branch.as_ref().to_vec();
    *guess.last_mut().unwrap() = if guess.ends_with(b"b") { b'c' } else { b'b' };
    let ours = std::str::from_utf8(branch.as_ref()).unwrap();
    let forged = [
        text.replace(ours, std::str::from_utf8(&guess).unwrap()),
        text.replace("7 BYE", "7 INVITE"),
        text.replace("From:", "Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bKx\nFrom:"),
        text.replace("Call-ID: ", "Call-ID: two words "),
    ];
    for text in &forged {
        let received = endpoint.receive(flow(Transport::Udp), message(text), now);
        assert!(matches!(received, Received::Stray { .. }), "{text}");
    }
    assert_eq!(endpoint.counters().stray, 4);
    assert!(is_response(&endpoint.receive(flow(Transport::Udp), message(&text), now), txn, 200));
}

#[test]
fn a_cancel_is_sent_once_something_was_heard_and_its_200_is_absorbed() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch, invite) = start_request(&mut endpoint, "INVITE", Transport::Udp, now);
    assert_eq!(endpoint.branch(txn), Some(branch));
    let cancel = ours("CANCEL", branch.as_ref());
    assert!(endpoint.cancel(txn, cancel.clone(), now));
    assert!(sent(&mut endpoint).is_empty(), "RFC 3261 9.1: not before a provisional response");
    assert!(matches!(answer(&mut endpoint, &invite, 100, now), Received::Absorbed));
    assert_eq!(methods(&mut endpoint), [Method::Cancel]);
    assert!(endpoint.cancel(txn, cancel.clone(), now), "a second time changes nothing");
    assert!(sent(&mut endpoint).is_empty());
    let cancel = Message::parse(cancel).unwrap();
    assert!(matches!(answer(&mut endpoint, &cancel, 200, now), Received::Absorbed));
    assert!(is_response(&answer(&mut endpoint, &invite, 487, now), txn, 487));
    assert_eq!(methods(&mut endpoint), [Method::Ack]);
    run_until(&mut endpoint, now, now + ms(32_000));
    assert!(endpoint.is_empty());
}

#[test]
fn a_lost_cancel_is_repeated() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch, invite) = start_request(&mut endpoint, "INVITE", Transport::Udp, now);
    answer(&mut endpoint, &invite, 180, now);
    endpoint.cancel(txn, ours("CANCEL", branch.as_ref()), now);
    sent(&mut endpoint);
    let log = run_until(&mut endpoint, now, now + ms(1500));
    assert_eq!(log, [(500, "CANCEL".to_string()), (1500, "CANCEL".to_string())]);
}

#[test]
fn a_cancelled_invite_without_a_final_response_times_out() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch, invite) = start_request(&mut endpoint, "INVITE", Transport::Udp, now);
    answer(&mut endpoint, &invite, 180, now);
    endpoint.cancel(txn, ours("CANCEL", branch.as_ref()), now);
    run_until(&mut endpoint, now, now + ms(32_000));
    assert_eq!(endpoint.poll_event(), Some(Event::Timeout { txn, user: 5 }));
    assert_eq!(endpoint.poll_event(), None, "the CANCEL is nobody's business");
    assert!(endpoint.is_empty());
}

#[test]
fn on_a_stream_the_cancel_ends_with_its_invite() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch, invite) = start_request(&mut endpoint, "INVITE", Transport::Tcp, now);
    answer(&mut endpoint, &invite, 180, now);
    endpoint.cancel(txn, ours("CANCEL", branch.as_ref()), now);
    assert_eq!(endpoint.len(), 2);
    assert!(is_response(&answer(&mut endpoint, &invite, 487, now), txn, 487));
    assert_eq!((endpoint.len(), endpoint.next_timeout()), (0, None));
}

#[test]
fn a_final_response_that_crosses_a_waiting_cancel_drops_it() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch, invite) = start_request(&mut endpoint, "INVITE", Transport::Udp, now);
    endpoint.cancel(txn, ours("CANCEL", branch.as_ref()), now);
    assert!(is_response(&answer(&mut endpoint, &invite, 200, now), txn, 200));
    assert!(sent(&mut endpoint).is_empty());
    assert!(!endpoint.cancel(txn, ours("CANCEL", branch.as_ref()), now));
}

#[test]
fn a_closed_connection_fails_what_it_carried_and_nothing_else() {
    let (mut endpoint, now) = (endpoint(), start());
    let (first, ..) = start_request(&mut endpoint, "INVITE", Transport::Tcp, now);
    let (second, _, done) = start_request(&mut endpoint, "OPTIONS", Transport::Tcp, now);
    let (third, ..) = start_request(&mut endpoint, "BYE", Transport::Tcp, now);
    start_request(&mut endpoint, "BYE", Transport::Udp, now);
    assert!(is_response(&answer(&mut endpoint, &done, 200, now), second, 200));
    endpoint.transport_failed(flow(Transport::Tcp), now);
    let mut failed: Vec<_> = std::iter::from_fn(|| endpoint.poll_event()).collect();
    failed.sort_by_key(|event| format!("{event:?}"));
    let error = |txn| Event::TransportError { txn, user: 5 };
    let mut expected = vec![error(first), error(third)];
    expected.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(failed, expected);
    assert_eq!(endpoint.len(), 1);
}

#[test]
fn another_connection_to_the_same_address_is_another_flow() {
    let (mut endpoint, now) = (endpoint(), start());
    start_request(&mut endpoint, "OPTIONS", Transport::Tcp, now);
    endpoint.transport_failed(Flow { conn: 99, ..flow(Transport::Tcp) }, now);
    assert_eq!(endpoint.poll_event(), None);
    endpoint.transport_failed(Flow { conn: 0, ..flow(Transport::Tcp) }, now);
    assert!(matches!(endpoint.poll_event(), Some(Event::TransportError { .. })));
}

#[test]
fn an_abandoned_request_is_quiet() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, _, request) = start_request(&mut endpoint, "BYE", Transport::Udp, now);
    endpoint.abandon(txn);
    assert!(matches!(answer(&mut endpoint, &request, 200, now), Received::Stray { .. }));
    assert_eq!((endpoint.next_timeout(), endpoint.len()), (None, 0));
}

#[test]
fn a_reserved_place_can_be_given_back_but_a_started_one_cannot() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, branch) = endpoint.reserve().unwrap();
    endpoint.release(txn);
    assert!(endpoint.is_empty());
    endpoint.start(txn, Method::Bye, flow(Transport::Udp), ours("BYE", branch.as_ref()), 5, now);
    assert!(sent(&mut endpoint).is_empty());
    let (txn, ..) = start_request(&mut endpoint, "BYE", Transport::Udp, now);
    endpoint.release(txn);
    assert_eq!(endpoint.len(), 1);
}

#[test]
fn an_ack_makes_no_transaction() {
    let (mut endpoint, now) = (endpoint(), start());
    start_request(&mut endpoint, "ACK", Transport::Udp, now);
    assert_eq!((endpoint.len(), endpoint.next_timeout()), (0, None));
}

#[test]
fn a_request_above_the_mtu_leaves_udp() {
    let endpoint = endpoint();
    let tcp = endpoint.pick_transport(flow(Transport::Udp), 1301);
    assert_eq!((tcp.transport, tcp.conn), (Transport::Tcp, 0));
    assert_eq!(endpoint.pick_transport(flow(Transport::Udp), 1300), flow(Transport::Udp));
    assert_eq!(endpoint.pick_transport(flow(Transport::Tls), 9000), flow(Transport::Tls));
}

#[test]
fn branches_differ_and_bear_the_magic_cookie() {
    let mut endpoint = endpoint();
    let mut seen = Vec::new();
    for _ in 0..100 {
        let (txn, branch) = endpoint.reserve().unwrap();
        assert!(branch.as_ref().starts_with(b"z9hG4bK"));
        seen.push(Bytes::copy_from_slice(branch.as_ref()));
        endpoint.release(txn);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 100, "a place that is used again has another branch");
}
