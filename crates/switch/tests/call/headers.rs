//! What passes from leg to leg, what stays, and what neither side learns of the other.

use bytes::Bytes;
use tandem_sip::{HeaderName, Message};
use tandem_switch::Input;

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, alone, alone_telling_redirections, answer, flow, from_callee, header,
    in_dialog, invite, with, without,
};

const CALLER_IP: &str = "10.0.0.11";
const CALLEE_IP: &str = "10.0.0.12";

/// Whether a message, but for its Via and Request-URI, shows an address.
fn shows(message: &Message, address: &str) -> bool {
    let text = String::from_utf8_lossy(message.bytes()).into_owned();
    text.lines().skip(1).any(|line| line.contains(address) && !line.starts_with("Via:"))
}

const IDENTITIES: &str = "P-Asserted-Identity: \"A\" <sip:1001@10.0.0.11:5060>\nRemote-Party-ID: <sip:1001@10.0.0.11>;party=calling\n\
     Diversion: <sip:9@10.0.0.11>;reason=busy\nHistory-Info: <sip:9@10.0.0.11>;index=1\nReply-To: <sip:1001@10.0.0.11>\n\
     Referred-By: <sip:1001@10.0.0.11>";

#[test]
fn neither_side_sees_the_other_s_address_in_anything_that_passes() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), IDENTITIES));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    assert_eq!(header(&offered, HeaderName::Diversion), "<sip:9@10.0.0.1:5060>;reason=busy");
    assert_eq!(offered.other(b"Reply-To"), Some(&b"<sip:1001@10.0.0.1:5060>"[..]));
    let his = "P-Asserted-Identity: <sip:1002@10.0.0.12>\nWarning: 399 10.0.0.12:5060 \"hm\"";
    bed.receive(CALLEE, &with(&answer(&offered, 180, "callee", CALLEE, ""), his));
    bed.receive(CALLEE, &with(&answer(&offered, 200, "callee", CALLEE, ""), his));
    let to_caller = bed.take(CALLER);
    let ok = to_caller.last().unwrap().clone();
    assert_eq!(header(&ok, HeaderName::Warning), "399 10.0.0.1:5060 \"hm\"");
    bed.receive(CALLER, &with(&in_dialog(&ok, "ACK", 1, CALLER, ""), IDENTITIES));
    bed.receive(CALLER, &with(&in_dialog(&ok, "INFO", 2, CALLER, ""), IDENTITIES));
    bed.receive(CALLER, &with(&in_dialog(&ok, "INVITE", 3, CALLER, ""), IDENTITIES));
    let mut to_callee = vec![offered.clone()];
    to_callee.extend(bed.take(CALLEE));
    bed.take(CALLER);
    bed.receive(CALLEE, &with(&from_callee(&offered, "callee", "UPDATE", 1, CALLEE, ""), his));
    bed.receive(CALLER, &with(&in_dialog(&ok, "BYE", 4, CALLER, ""), IDENTITIES));
    to_callee.extend(bed.take(CALLEE));
    let to_caller = to_caller.into_iter().chain(bed.take(CALLER));
    assert!(to_callee.len() >= 6);
    for message in to_callee {
        assert!(!shows(&message, CALLER_IP), "{:?}", message.bytes());
    }
    for message in to_caller {
        assert!(!shows(&message, CALLEE_IP), "{:?}", message.bytes());
    }
}

#[test]
fn a_redirection_of_the_callee_is_told_without_his_address() {
    let mut bed = Bed::with(alone_telling_redirections());
    let offered = bed.offered();
    let moved = answer(&offered, 302, "callee", CALLEE, "").replace(
        &format!("<sip:x@{CALLEE}>"),
        &format!("<sip:1004@{CALLEE}>;q=1, <sip:1003@elsewhere.example>"),
    );
    bed.receive(CALLEE, &moved);
    let told = bed.one(CALLER);
    assert_eq!(told.code(), Some(302));
    assert_eq!(
        header(&told, HeaderName::Contact),
        "<sip:1004@10.0.0.1:5060>;q=1, <sip:1003@elsewhere.example>"
    );
}

#[test]
fn bodies_pass_byte_for_byte() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    let body: Vec<u8> = (0u8..=255).chain(*b"\r\n\r\n--boundary\0").collect();
    let head = invite("1001", CALLER, "1002", "call1").replace("\n\nv=0~", "\n\n").replace('\n', "\r\n");
    let head = head
        .replace("application/sdp", "multipart/mixed;boundary=\"boundary\"")
        .replace("Length: 4", &format!("Length: {}", body.len()));
    let bytes: Bytes = [head.as_bytes(), &body].concat().into();
    let message = Message::parse(bytes).unwrap();
    bed.node.handle_input(Input::Sip { flow: flow(CALLER), message }, bed.now);
    bed.drain();
    let offered = bed.one(CALLEE);
    assert_eq!(offered.body(), body);
    assert_eq!(header(&offered, HeaderName::ContentType), "multipart/mixed;boundary=\"boundary\"");
}

#[test]
fn unknown_headers_pass_as_they_were_written_and_hop_headers_do_not() {
    let mut bed = Bed::with(alone());
    bed.register("1002", CALLEE);
    let more = "X-Folded: one\n  two\nx-oDD: \u{e9}\nSubject: s\nAuthorization: Digest x=\"1\"\nProxy-Authorization: Digest x=\"1\"\n\
         Route: <sip:10.0.0.1;lr>\nUser-Agent: phone/1\nTimestamp: 1\nProxy-Require: privacy\nX-Tandem-Draining: 1\nPath: <sip:p;lr>";
    bed.receive(CALLER, &with(&invite("1001", CALLER, "1002", "call1"), more));
    bed.take(CALLER);
    let offered = bed.one(CALLEE);
    assert_eq!(offered.other(b"X-Folded"), Some(&b"one\r\n  two"[..]));
    assert_eq!(offered.other(b"x-odd"), Some("\u{e9}".as_bytes()));
    assert_eq!(header(&offered, HeaderName::Subject), "s");
    for name in [
        HeaderName::Authorization,
        HeaderName::ProxyAuthorization,
        HeaderName::Route,
        HeaderName::RecordRoute,
        HeaderName::UserAgent,
        HeaderName::Timestamp,
        HeaderName::ProxyRequire,
        HeaderName::XTandemDraining,
        HeaderName::XTandemForwarded,
        HeaderName::Path,
    ] {
        assert_eq!(offered.header(name), None, "{name:?}");
    }
    for name in [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::Contact,
        HeaderName::MaxForwards,
        HeaderName::ContentLength,
    ] {
        assert_eq!(offered.lines(name).count(), 1, "{name:?}");
    }
}

#[test]
fn an_invite_without_max_forwards_starts_at_70_and_one_hop_is_counted() {
    for (given, wanted) in [(None, "69"), (Some("1"), "0"), (Some("200"), "199")] {
        let mut bed = Bed::with(alone());
        bed.register("1002", CALLEE);
        let text = invite("1001", CALLER, "1002", "call1");
        let text = match given {
            Some(hops) => text.replace("Max-Forwards: 70", &format!("Max-Forwards: {hops}")),
            None => without(&text, "Max-Forwards"),
        };
        bed.receive(CALLER, &text);
        assert_eq!(header(&bed.one(CALLEE), HeaderName::MaxForwards), wanted);
    }
}

#[test]
fn the_caller_is_known_to_the_callee_by_name_and_number() {
    for (from, wanted) in [
        ("\"A\" <sip:1001@caller.example>", "\"A\" <sip:1001@10.0.0.1:5060>"),
        ("<sip:1001@10.0.0.11:5060;user=phone>;x=y", "<sip:1001@10.0.0.1:5060>"),
        ("sip:1001@caller.example", "<sip:1001@10.0.0.1:5060>"),
        (
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>",
        ),
        ("<tel:+4930123>", "<tel:+4930123>"),
    ] {
        let mut bed = Bed::with(alone());
        let text = invite("1001", GATEWAY, "1003", "call1").replace("\"A\" <sip:1001@caller.example>", from);
        bed.receive(GATEWAY, &text);
        let offered = bed.one("10.0.0.33:5060");
        let got = header(&offered, HeaderName::From);
        assert_eq!(got.split(";tag=").next(), Some(wanted));
        assert!(!got.contains("fcall1"), "the tag is this leg's own");
    }
}

#[test]
fn a_challenge_of_a_phone_is_not_the_caller_s_to_answer() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    let challenge = with(
        &answer(&offered, 407, "callee", CALLEE, ""),
        "Proxy-Authenticate: Digest realm=\"x\", nonce=\"1\"",
    );
    bed.receive(CALLEE, &challenge);
    let told = bed.one(CALLER);
    assert_eq!((told.code(), told.header(HeaderName::ProxyAuthenticate)), (Some(500), None));
    bed.nothing_stays();
}

#[test]
fn a_phone_behind_a_nat_is_answered_and_asked_where_it_came_from() {
    let mut bed = Bed::with(alone());
    let outside = "192.0.2.7:40001";
    bed.register("1002", CALLEE);
    bed.receive(outside, &invite("1001", "192.168.1.9:5060", "1002", "call1"));
    bed.take(outside);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.one(outside);
    let via = header(&ok, HeaderName::Via);
    assert!(via.contains("received=192.0.2.7") && via.contains("rport=40001"), "{via}");
    bed.receive(outside, &in_dialog(&ok, "ACK", 1, "192.168.1.9:5060", ""));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert_eq!(bed.take(outside).len(), 1, "the BYE");
}

#[test]
fn a_phone_whose_nat_moved_is_reached_where_it_spoke_last() {
    let mut bed = Bed::with(alone());
    let (before, after) = ("192.0.2.7:40001", "192.0.2.7:40002");
    bed.register("1002", CALLEE);
    bed.receive(before, &invite("1001", "192.168.1.9:5060", "1002", "call1"));
    bed.take(before);
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.one(before);
    bed.receive(before, &in_dialog(&ok, "ACK", 1, "192.168.1.9:5060", ""));
    bed.receive(after, &in_dialog(&ok, "INFO", 2, "192.168.1.9:5060", ""));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert!(bed.take(before).is_empty());
    assert!(bed.lines(after).iter().any(|line| line.starts_with("BYE ")));
}
