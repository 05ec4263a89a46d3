//! Requests as the endpoint takes them (RFC 3261 17.2.3, 8.2.2.2, 9.2, 18.2; RFC 3581).

use std::time::Instant;

use tandem_sip::{Endpoint, Event, Flow, HeaderName, Message, Received, TimerName, Transport, TxnId};

use crate::support::{
    endpoint, flow, message, ms, new_request, reply, request, request_with, run_until, sent, start,
};

const BRANCH: &str = "z9hG4bK-one";
const UDP: &str = "SIP/2.0/UDP 192.0.2.7:5070";

/// An INVITE that came by UDP.
fn invited(endpoint: &mut Endpoint<u32>, now: Instant) -> (TxnId, Message) {
    new_request(endpoint.receive(flow(Transport::Udp), request("INVITE", BRANCH), now))
}

fn codes(endpoint: &mut Endpoint<u32>) -> Vec<u16> {
    sent(endpoint).iter().filter_map(Message::code).collect()
}

#[test]
fn a_retransmitted_invite_is_absorbed_and_answered_with_the_last_response() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, invite) = invited(&mut endpoint, now);
    let again = endpoint.receive(flow(Transport::Udp), request("INVITE", BRANCH), now);
    assert!(matches!(again, Received::Absorbed));
    assert!(sent(&mut endpoint).is_empty());
    endpoint.respond(txn, 180, reply(&invite, 180), now);
    let again = endpoint.receive(flow(Transport::Udp), request("INVITE", BRANCH), now);
    assert!(matches!(again, Received::Absorbed));
    assert_eq!(codes(&mut endpoint), [180, 180]);
}

#[test]
fn a_silent_user_makes_the_transaction_send_100() {
    let (mut endpoint, now) = (endpoint(), start());
    invited(&mut endpoint, now);
    assert_eq!(endpoint.next_timeout(), Some((now + ms(200), TimerName::Trying)));
    assert_eq!(run_until(&mut endpoint, now, now + ms(5000)), [(200, "100".to_string())]);
}

#[test]
fn the_ack_of_a_refusal_ends_its_retransmission() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, invite) = invited(&mut endpoint, now);
    endpoint.respond(txn, 486, reply(&invite, 486), now);
    assert_eq!(codes(&mut endpoint), [486]);
    let log = run_until(&mut endpoint, now, now + ms(1600));
    assert_eq!(log, [(500, "486".to_string()), (1500, "486".to_string())]);
    let ack = request_with("ACK", BRANCH, UDP, ";tag=b2");
    assert!(matches!(endpoint.receive(flow(Transport::Udp), ack, now + ms(1600)), Received::Absorbed));
    assert!(run_until(&mut endpoint, now, now + ms(60_000)).is_empty());
    assert!(endpoint.is_empty());
    assert_eq!(endpoint.poll_event(), None);
}

#[test]
fn a_refusal_that_is_never_acknowledged_is_reported() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, invite) = invited(&mut endpoint, now);
    endpoint.attach(txn, 7);
    endpoint.respond(txn, 486, reply(&invite, 486), now);
    run_until(&mut endpoint, now, now + ms(60_000));
    assert_eq!(endpoint.poll_event(), Some(Event::AckTimeout { txn, user: 7 }));
    assert!(endpoint.is_empty());
}

#[test]
fn the_ack_of_a_2xx_goes_to_the_user_whatever_its_branch() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, invite) = invited(&mut endpoint, now);
    endpoint.respond(txn, 200, reply(&invite, 200), now);
    for branch in [BRANCH, "z9hG4bK-two"] {
        let ack = request_with("ACK", branch, UDP, ";tag=b2");
        assert!(matches!(endpoint.receive(flow(Transport::Udp), ack, now), Received::Ack { .. }), "{branch}");
    }
    assert_eq!(endpoint.len(), 1, "an ACK makes no transaction");
}

#[test]
fn a_2xx_that_the_user_repeats_passes_and_a_retransmitted_invite_does_not_make_a_second_call() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, invite) = invited(&mut endpoint, now);
    endpoint.respond(txn, 200, reply(&invite, 200), now);
    endpoint.respond(txn, 200, reply(&invite, 200), now + ms(500));
    assert_eq!(codes(&mut endpoint), [200, 200]);
    let again = endpoint.receive(flow(Transport::Udp), request("INVITE", BRANCH), now + ms(600));
    assert!(matches!(again, Received::Absorbed));
    assert_eq!(run_until(&mut endpoint, now, now + ms(32_001)), []);
    assert!(endpoint.is_empty());
}

#[test]
fn a_request_on_two_ways_is_merged_but_one_in_a_dialog_is_not() {
    let (mut endpoint, now) = (endpoint(), start());
    invited(&mut endpoint, now);
    let other_way = request("INVITE", "z9hG4bK-other");
    assert!(matches!(endpoint.receive(flow(Transport::Udp), other_way, now), Received::Merged { .. }));
    let in_dialog = request_with("INVITE", "z9hG4bK-third", UDP, ";tag=b2");
    new_request(endpoint.receive(flow(Transport::Udp), in_dialog, now));
}

#[test]
fn once_the_first_way_is_forgotten_the_request_is_new() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, first) = new_request(endpoint.receive(flow(Transport::Udp), request("OPTIONS", BRANCH), now));
    endpoint.respond(txn, 200, reply(&first, 200), now);
    run_until(&mut endpoint, now, now + ms(32_000));
    new_request(endpoint.receive(
        flow(Transport::Udp),
        request("OPTIONS", "z9hG4bK-other"),
        now + ms(32_001),
    ));
}

#[test]
fn a_cancel_names_the_invite_and_what_it_is_for() {
    let (mut endpoint, now) = (endpoint(), start());
    let (invite, _) = invited(&mut endpoint, now);
    endpoint.attach(invite, 9);
    let Received::Cancel { txn, invite: named, message, .. } =
        endpoint.receive(flow(Transport::Udp), request("CANCEL", BRANCH), now)
    else {
        panic!("not a CANCEL")
    };
    assert_eq!(named, Some((invite, Some(9))));
    endpoint.respond(txn, 200, reply(&message, 200), now);
    let again = endpoint.receive(flow(Transport::Udp), request("CANCEL", BRANCH), now);
    assert!(matches!(again, Received::Absorbed));
    assert_eq!(codes(&mut endpoint), [200, 200]);
}

#[test]
fn a_cancel_for_nothing_or_from_another_sender_names_no_invite() {
    let (mut endpoint, now) = (endpoint(), start());
    invited(&mut endpoint, now);
    for (branch, via) in [("z9hG4bK-none", UDP), (BRANCH, "SIP/2.0/UDP 192.0.2.7:5071")] {
        let cancel = request_with("CANCEL", branch, via, "");
        let received = endpoint.receive(flow(Transport::Udp), cancel, now);
        assert!(matches!(received, Received::Cancel { invite: None, .. }), "{branch} {via}");
    }
}

#[test]
fn one_branch_serves_two_senders_and_two_methods() {
    let (mut endpoint, now) = (endpoint(), start());
    new_request(endpoint.receive(flow(Transport::Udp), request("OPTIONS", BRANCH), now));
    new_request(endpoint.receive(flow(Transport::Udp), request("MESSAGE", BRANCH), now));
    let named = request_with("INFO", BRANCH, "SIP/2.0/UDP Phone.example.com", ";tag=b2");
    new_request(endpoint.receive(flow(Transport::Udp), named, now));
    let same = request_with("INFO", BRANCH, "SIP/2.0/UDP phone.EXAMPLE.com:5060", ";tag=b2");
    assert!(matches!(endpoint.receive(flow(Transport::Udp), same, now), Received::Absorbed));
}

#[test]
fn without_the_magic_cookie_requests_match_by_their_headers() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, invite) = new_request(endpoint.receive(flow(Transport::Udp), request("INVITE", "1"), now));
    assert!(matches!(
        endpoint.receive(flow(Transport::Udp), request("INVITE", "1"), now),
        Received::Absorbed
    ));
    endpoint.respond(txn, 486, reply(&invite, 486), now);
    let foreign = request_with("ACK", "1", UDP, ";tag=someone-else");
    assert!(matches!(endpoint.receive(flow(Transport::Udp), foreign, now), Received::Ack { .. }));
    let ack = request_with("ACK", "1", UDP, ";tag=b2");
    assert!(matches!(endpoint.receive(flow(Transport::Udp), ack, now), Received::Absorbed));
}

#[test]
fn a_udp_response_goes_to_the_source_port_with_rport_and_to_sent_by_without() {
    for (via, port) in
        [(UDP, 5070), ("SIP/2.0/UDP 10.0.0.1", 5060), ("SIP/2.0/UDP 10.0.0.1:5070;rport", 40000)]
    {
        let (mut endpoint, now) = (endpoint(), start());
        let request = request_with("OPTIONS", BRANCH, via, "");
        let (txn, options) = new_request(endpoint.receive(flow(Transport::Udp), request, now));
        endpoint.respond(txn, 200, reply(&options, 200), now);
        let to = endpoint.poll_transmit().unwrap().flow.remote;
        assert_eq!(to, format!("192.0.2.7:{port}").parse().unwrap(), "{via}");
    }
}

#[test]
fn a_stream_response_uses_its_connection_and_sent_by_when_that_is_gone() {
    let (mut endpoint, now) = (endpoint(), start());
    let request = request_with("OPTIONS", BRANCH, "SIP/2.0/TCP 10.0.0.1:5072", "");
    let (txn, options) = new_request(endpoint.receive(flow(Transport::Tcp), request, now));
    endpoint.respond(txn, 100, reply(&options, 100), now);
    assert_eq!(endpoint.poll_transmit().unwrap().flow, flow(Transport::Tcp));
    endpoint.transport_failed(flow(Transport::Tcp), now);
    endpoint.respond(txn, 200, reply(&options, 200), now);
    let elsewhere = Flow { remote: "192.0.2.7:5072".parse().unwrap(), conn: 0, ..flow(Transport::Tcp) };
    assert_eq!(endpoint.poll_transmit().unwrap().flow, elsewhere);
    assert!(endpoint.is_empty(), "Timer J is zero on a stream");
}

#[test]
fn a_request_with_a_broken_mandatory_header_is_named_and_an_ack_like_that_is_dropped() {
    let (mut endpoint, now) = (endpoint(), start());
    let broken = |method| {
        message(&format!(
            "{method} sip:x@example.com SIP/2.0\nVia: {UDP};branch={BRANCH}\nFrom: <sip:a@b>;tag=1\n\
             To: <sip:x@example.com>\nCSeq: 1 {method}\nContent-Length: 0\n\n"
        ))
    };
    let received = endpoint.receive(flow(Transport::Udp), broken("INVITE"), now);
    let Received::BadRequest { fault, .. } = received else { panic!("{received:?}") };
    assert_eq!(fault.header, HeaderName::CallId);
    assert!(matches!(endpoint.receive(flow(Transport::Udp), broken("ACK"), now), Received::Absorbed));
    assert!(endpoint.is_empty());
}

#[test]
fn a_full_table_refuses_what_is_new_but_takes_what_belongs_to_a_running_call() {
    let (mut endpoint, now) = (endpoint(), start());
    endpoint.set_capacity(16);
    for n in 0..15 {
        let options = request_with("INFO", &format!("z9hG4bK-{n}"), UDP, ";tag=b2");
        new_request(endpoint.receive(flow(Transport::Udp), options, now));
    }
    let fresh = endpoint.receive(flow(Transport::Udp), request("INVITE", "z9hG4bK-new"), now);
    assert!(matches!(fresh, Received::Full { .. }));
    let bye = request_with("BYE", "z9hG4bK-bye", UDP, ";tag=b2");
    new_request(endpoint.receive(flow(Transport::Udp), bye, now));
    let bye = request_with("BYE", "z9hG4bK-bye2", UDP, ";tag=b2");
    assert!(matches!(endpoint.receive(flow(Transport::Udp), bye, now), Received::Full { .. }));
    assert!(endpoint.reserve().is_none());
    assert_eq!(endpoint.counters().full, 3);
}

#[test]
fn answering_a_transaction_that_is_over_does_nothing() {
    let (mut endpoint, now) = (endpoint(), start());
    let (txn, options) = new_request(endpoint.receive(flow(Transport::Udp), request("OPTIONS", BRANCH), now));
    endpoint.respond(txn, 200, reply(&options, 200), now);
    run_until(&mut endpoint, now, now + ms(32_000));
    let (next, _) = new_request(endpoint.receive(flow(Transport::Udp), request("INFO", "z9hG4bK-2"), now));
    assert_ne!(txn, next);
    endpoint.respond(txn, 404, reply(&options, 404), now);
    assert!(sent(&mut endpoint).is_empty());
}
