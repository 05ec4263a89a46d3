//! Dialog state (RFC 3261 12): how it comes about, what it prints, and that it survives being stored.

use proptest::prelude::*;
use tandem_sip::{Dialog, HeaderName, Message, Order, ParseErrorKind, Transport, ViaLine};

use crate::support::message;

const VIA: ViaLine<'static> =
    ViaLine { transport: Transport::Udp, sent_by: b"198.51.100.1", branch: b"z9hG4bKabc" };

fn invite(extra: &str) -> Message {
    message(&format!(
        "INVITE sip:1002@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\n\
         From: \"A, \\\"x\\\"\" <sip:1001@example.com>;tag=a1;x=y\nTo: sip:1002@example.com\nCall-ID: c1@192.0.2.7\n\
         CSeq: 4 INVITE\n{extra}Content-Length: 0\n\n"
    ))
}

fn ok(extra: &str) -> Message {
    message(&format!(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1\nFrom: <sip:1001@example.com>;tag=ours\n\
         To: <sip:1002@example.com>;tag=b2\nCall-ID: leg@198.51.100.1\nCSeq: 7 INVITE\n{extra}Content-Length: 0\n\n"
    ))
}

fn uas(extra: &str) -> Dialog {
    let invite = invite(extra);
    Dialog::uas(&invite, &invite.envelope().unwrap(), b"b2").unwrap()
}

fn uac(extra: &str) -> Dialog {
    let ok = ok(extra);
    Dialog::uac(&ok, &ok.envelope().unwrap()).unwrap()
}

/// The request that a dialog prints.
fn printed(dialog: &Dialog, method: &str, cseq: u32) -> Message {
    let mut buf = Vec::new();
    Message::parse(dialog.request(&mut buf, method.as_bytes(), cseq, VIA, 70).finish(b"")).unwrap()
}

fn routes(message: &Message) -> Vec<&str> {
    message.lines(HeaderName::Route).map(|route| std::str::from_utf8(route).unwrap()).collect()
}

#[test]
fn the_called_side_answers_with_its_tag_and_keeps_record_route_in_order() {
    let mut dialog = uas(
        "Contact: <sip:1001@192.0.2.7:5070;ob?X-Junk=1>\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\nRecord-Route: <sip:p3;lr>\n",
    );
    let cseq = dialog.next_cseq();
    let bye = printed(&dialog, "BYE", cseq);
    let envelope = bye.envelope().unwrap();
    assert_eq!(bye.request_uri(), Some(&b"sip:1001@192.0.2.7:5070;ob"[..]));
    assert_eq!(routes(&bye), ["<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>"]);
    assert_eq!(bye.header(HeaderName::From), Some(&b"<sip:1002@example.com>;tag=b2"[..]));
    assert_eq!(bye.header(HeaderName::To), Some(&br#""A, \"x\"" <sip:1001@example.com>;tag=a1"#[..]));
    assert_eq!(
        (envelope.call_id, envelope.cseq.number, envelope.max_forwards),
        (&b"c1@192.0.2.7"[..], 1, Some(70))
    );
    assert_eq!(dialog.next_hop(), b"sip:p1;lr");
    assert_eq!(dialog.remote_cseq(), Some(4));
}

#[test]
fn the_calling_side_reverses_record_route_and_goes_on_counting() {
    let mut dialog = uac("Contact: <sip:1002@192.0.2.8>\nRecord-Route: <sip:p1;lr>,<sip:p2;lr>\n");
    assert_eq!(dialog.next_cseq(), 8);
    let bye = printed(&dialog, "BYE", 8);
    assert_eq!(routes(&bye), ["<sip:p2;lr>", "<sip:p1;lr>"]);
    assert_eq!(bye.header(HeaderName::From), Some(&b"<sip:1001@example.com>;tag=ours"[..]));
    assert_eq!(bye.envelope().unwrap().to_tag, Some(&b"b2"[..]));
    assert_eq!((dialog.remote_cseq(), dialog.accept_request(1)), (None, Order::New));
}

#[test]
fn a_strict_router_stands_in_the_request_uri_and_the_target_in_the_last_route() {
    let dialog = uas("Contact: <sip:1001@192.0.2.7>\nRecord-Route: <sip:old.example.com>, <sip:p2;lr>\n");
    let bye = printed(&dialog, "BYE", 1);
    assert_eq!(bye.request_uri(), Some(&b"sip:old.example.com"[..]));
    assert_eq!(routes(&bye), ["<sip:p2;lr>", "<sip:1001@192.0.2.7>"]);
    assert_eq!(dialog.next_hop(), b"sip:old.example.com");
}

#[test]
fn without_routes_the_next_hop_is_the_remote_target() {
    assert_eq!(uas("Contact: <sip:1001@192.0.2.7>\n").next_hop(), b"sip:1001@192.0.2.7");
}

#[test]
fn a_dialog_needs_a_usable_contact_and_usable_routes() {
    for (extra, header) in [
        ("", HeaderName::Contact),
        ("Contact: *\n", HeaderName::Contact),
        ("Contact: <sip:>\n", HeaderName::Contact),
        ("Contact: <sip:a@b>\nRecord-Route: <nonsense>\n", HeaderName::RecordRoute),
    ] {
        let invite = invite(extra);
        let fault = Dialog::uas(&invite, &invite.envelope().unwrap(), b"b2").unwrap_err();
        assert_eq!(fault.header, header, "{extra:?}");
    }
    let many = format!("Contact: <sip:a@b>\nRecord-Route: {}<sip:z;lr>\n", "<sip:p;lr>,".repeat(32));
    let invite = invite(&many);
    let fault = Dialog::uas(&invite, &invite.envelope().unwrap(), b"b2").unwrap_err();
    assert_eq!(fault.kind, ParseErrorKind::TooLong);
}

#[test]
fn requests_are_ordered_by_cseq() {
    let mut dialog = uas("Contact: <sip:1001@192.0.2.7>\n");
    assert_eq!(dialog.accept_request(4), Order::Retransmission);
    assert_eq!(dialog.accept_request(9), Order::New, "gaps are fine");
    assert_eq!(dialog.accept_request(8), Order::OutOfOrder);
    assert_eq!(dialog.accept_request(9), Order::Retransmission);
}

#[test]
fn a_target_refresh_changes_the_target_and_nothing_else() {
    let mut dialog = uas("Contact: <sip:1001@192.0.2.7>\nRecord-Route: <sip:p1;lr>\n");
    assert!(dialog.refresh_target(&invite("Contact: <sip:1001@203.0.113.5>\nRecord-Route: <sip:evil;lr>\n")));
    assert_eq!(dialog.remote_target(), b"sip:1001@203.0.113.5");
    assert!(dialog.route_set().eq([b"<sip:p1;lr>"]));
    for harmless in ["", "Contact: *\n", "Contact: <sip:1001@203.0.113.5>\n"] {
        assert!(!dialog.refresh_target(&invite(harmless)), "{harmless:?}");
    }
    assert_eq!(dialog.remote_target(), b"sip:1001@203.0.113.5");
}

#[test]
fn the_2xx_replaces_route_set_and_target_of_the_early_dialog() {
    let mut dialog = uac("Contact: <sip:1002@192.0.2.8>\nRecord-Route: <sip:p1;lr>\n");
    dialog.confirm(&ok("Contact: <sip:1002@192.0.2.9>\nRecord-Route: <sip:p1;lr>,<sip:p2;lr>\n")).unwrap();
    assert_eq!(dialog.remote_target(), b"sip:1002@192.0.2.9");
    assert!(dialog.route_set().eq([b"<sip:p2;lr>", b"<sip:p1;lr>"]));
}

#[test]
fn a_request_belongs_to_the_dialog_if_all_three_identifiers_match() {
    let dialog = uas("Contact: <sip:1001@192.0.2.7>\n");
    let bye = |call_id: &str, from: &str, to: &str| {
        message(&format!(
            "BYE sip:x@y SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\nFrom: <sip:a@b>;tag={from}\n\
             To: <sip:c@d>;tag={to}\nCall-ID: {call_id}\nCSeq: 5 BYE\nContent-Length: 0\n\n"
        ))
    };
    let matches = |m: Message| dialog.matches(&m.envelope().unwrap());
    assert!(matches(bye("c1@192.0.2.7", "a1", "b2")));
    assert!(!matches(bye("C1@192.0.2.7", "a1", "b2")));
    assert!(!matches(bye("c1@192.0.2.7", "a2", "b2")));
    let answer = |m: Message| dialog.matches_response(&m.envelope().unwrap());
    assert!(!matches(bye("c1@192.0.2.7", "b2", "a1")));
    assert!(answer(bye("c1@192.0.2.7", "b2", "a1")));
    assert!(!answer(bye("c1@192.0.2.7", "b2", "other-fork")));
}

#[test]
fn a_dialog_survives_being_stored() {
    let mut called = uas("Contact: <sip:1001@192.0.2.7>\nRecord-Route: <sip:p1;lr>, <sip:p2>\n");
    called.next_cseq();
    for dialog in [called, uac("Contact: <sip:1002@192.0.2.8>\n")] {
        let stored = dialog.encode();
        assert_eq!(Dialog::decode(&stored), Some(dialog));
        for cut in 0..21.min(stored.len()) {
            assert_eq!(Dialog::decode(&stored[..cut]), None, "{cut}");
        }
    }
}

proptest! {
    /// Whatever a record holds, reading it yields nothing or a dialog that can be used and stored again.
    #[test]
    fn a_damaged_record_does_no_harm(flips in proptest::collection::vec((0usize..200, any::<u8>()), 0..6)) {
        let mut stored = uas("Contact: <sip:1001@192.0.2.7>\nRecord-Route: <sip:p1;lr>, <sip:p2>\n").encode();
        for (at, byte) in flips {
            if let Some(place) = stored.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(mut dialog) = Dialog::decode(&stored) {
            let mut buf = Vec::new();
            let cseq = dialog.next_cseq();
            dialog.request(&mut buf, b"BYE", cseq, VIA, 70).finish(b"");
            prop_assert_eq!(Dialog::decode(&dialog.encode()), Some(dialog));
        }
    }
}
