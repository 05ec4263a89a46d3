//! Calls over gateways: the next one when one fails, and credentials when one asks for them.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::{HeaderName, Message, Transport};
use tandem_switch::directory::{DialRule, Directory, TrunkId};

use crate::support::{
    Bed, CALLER, GATEWAY, alone, answer, codes, header, in_dialog, invite, line, trunk, with,
};

const SECOND: &str = "10.0.0.98:5060";

/// Two gateways, one after the other, for everything that begins with 9; the first has credentials if `login`.
pub fn gateways(login: bool) -> Arc<Directory> {
    let base = alone();
    let mut first = trunk("first", GATEWAY);
    first.credentials = login.then(|| ("user".into(), "secret".into()));
    let trunks = vec![first, trunk("second", SECOND)];
    let rule =
        DialRule { prefix: "9".into(), strip: 1, add: "".into(), trunks: vec![TrunkId(0), TrunkId(1)] };
    let extensions = base.extensions().to_vec();
    Arc::new(
        Directory::new(base.server.clone(), base.options.clone(), extensions, trunks, vec![rule]).unwrap(),
    )
}

/// 1001 dials out: the INVITE that the first gateway gets.
pub fn dialled(bed: &mut Bed) -> Message {
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "out"));
    bed.take(CALLER);
    bed.one(GATEWAY)
}

#[test]
fn a_gateway_that_is_overloaded_silent_or_unreachable_is_followed_by_the_next() {
    for how in ["503", "silent", "unreachable"] {
        let mut bed = Bed::with(gateways(false));
        let offered = dialled(&mut bed);
        match how {
            "503" => bed.receive(GATEWAY, &answer(&offered, 503, "gw", GATEWAY, "")),
            "silent" => bed.pass(Duration::from_secs(33)),
            _ => bed.refuse(GATEWAY, Transport::Udp),
        }
        assert!(bed.take(CALLER).is_empty(), "{how}");
        let next = bed.take(SECOND).remove(0);
        assert_eq!(line(&next), format!("INVITE sip:123@{SECOND} SIP/2.0"), "{how}");
        bed.receive(SECOND, &answer(&next, 200, "gw", SECOND, ""));
        let ok = bed.one(CALLER);
        bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
        bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
        bed.nothing_stays();
        assert_eq!(bed.cdrs[0].legs.len(), 3);
    }
}

#[test]
fn what_a_gateway_says_of_the_called_party_is_final() {
    for code in [404, 480, 486, 500, 603] {
        let mut bed = Bed::with(gateways(false));
        let offered = dialled(&mut bed);
        bed.receive(GATEWAY, &answer(&offered, code, "gw", GATEWAY, ""));
        assert_eq!(codes(&bed.take(CALLER)), [code]);
        assert!(bed.take(SECOND).is_empty(), "{code}");
        bed.nothing_stays();
    }
}

#[test]
fn when_every_gateway_fails_the_caller_is_told_500() {
    let mut bed = Bed::with(gateways(false));
    let offered = dialled(&mut bed);
    bed.receive(GATEWAY, &answer(&offered, 503, "gw", GATEWAY, ""));
    let next = bed.one(SECOND);
    bed.receive(SECOND, &answer(&next, 503, "gw", SECOND, ""));
    assert_eq!(codes(&bed.take(CALLER)), [500]);
    bed.nothing_stays();
}

#[test]
fn a_cancel_between_two_gateways_reaches_the_one_that_is_asked() {
    let mut bed = Bed::with(gateways(false));
    let offered = dialled(&mut bed);
    bed.receive(GATEWAY, &answer(&offered, 503, "gw", GATEWAY, ""));
    bed.take(GATEWAY);
    let next = bed.one(SECOND);
    bed.receive(SECOND, &answer(&next, 180, "gw", SECOND, ""));
    bed.receive(CALLER, &crate::support::cancel_of(&invite("1001", CALLER, "9123", "out")));
    assert!(line(&bed.one(SECOND)).starts_with("CANCEL "));
    assert!(bed.take(GATEWAY).is_empty());
    bed.nothing_stays();
}

pub const CHALLENGE: &str =
    "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"abc\", algorithm=MD5, qop=\"auth\"";

#[test]
fn a_challenge_is_answered_once_with_the_trunk_s_credentials() {
    let mut bed = Bed::with(gateways(true));
    let offered = dialled(&mut bed);
    assert_eq!(offered.header(HeaderName::Authorization), None);
    bed.receive(GATEWAY, &with(&answer(&offered, 401, "gw", GATEWAY, ""), CHALLENGE));
    let sent = bed.take(GATEWAY);
    assert!(line(&sent[0]).starts_with("ACK "));
    let again = &sent[1];
    assert_eq!((header(again, HeaderName::CSeq).as_str(), again.body()), ("2 INVITE", &b"v=0~"[..]));
    for name in [HeaderName::CallId, HeaderName::From, HeaderName::To] {
        assert_eq!(header(again, name), header(&offered, name));
    }
    assert_ne!(header(again, HeaderName::Via), header(&offered, HeaderName::Via));
    let credentials = header(again, HeaderName::Authorization);
    assert!(
        credentials.contains("username=\"user\"") && credentials.contains("uri=\"sip:123@10.0.0.99:5060\""),
        "{credentials}"
    );
    assert!(bed.take(CALLER).is_empty());
    bed.receive(GATEWAY, &answer(again, 200, "gw", GATEWAY, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    let ack = bed.one(GATEWAY);
    assert_eq!(header(&ack, HeaderName::CSeq), "2 ACK");
    assert_eq!(header(&ack, HeaderName::Authorization), credentials, "RFC 3261 22.1");
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
    assert_eq!(header(&bed.one(GATEWAY), HeaderName::CSeq), "3 INFO");
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 3, CALLER, ""));
    bed.nothing_stays();
    let why = bed.node.why("out").unwrap();
    assert!(
        why.steps.iter().any(|step| step.text.contains("challenged with 401; answered")),
        "{:?}",
        why.steps
    );
}

#[test]
fn a_challenge_to_credentials_or_without_any_is_told_500_and_recorded() {
    let mut bed = Bed::with(gateways(true));
    let offered = dialled(&mut bed);
    bed.receive(GATEWAY, &with(&answer(&offered, 401, "gw", GATEWAY, ""), CHALLENGE));
    let again = bed.take(GATEWAY).pop().unwrap();
    bed.receive(GATEWAY, &with(&answer(&again, 401, "gw", GATEWAY, ""), CHALLENGE));
    assert_eq!(codes(&bed.take(CALLER)), [500]);
    assert_eq!(bed.cdrs[0].legs[1].status, 401);
    bed.nothing_stays();
    let mut bed = Bed::with(gateways(false));
    let offered = dialled(&mut bed);
    bed.receive(GATEWAY, &with(&answer(&offered, 407, "gw", GATEWAY, ""), CHALLENGE));
    let told = bed.one(CALLER);
    assert_eq!((told.code(), told.header(HeaderName::WwwAuthenticate)), (Some(500), None));
    assert_eq!(bed.cdrs[0].legs[1].reason, "407 Proxy Authentication Required");
    bed.nothing_stays();
}

#[test]
fn a_cancel_after_the_challenge_names_the_second_invite() {
    let mut bed = Bed::with(gateways(true));
    let offered = dialled(&mut bed);
    bed.receive(GATEWAY, &with(&answer(&offered, 401, "gw", GATEWAY, ""), CHALLENGE));
    let again = bed.take(GATEWAY).pop().unwrap();
    bed.receive(GATEWAY, &answer(&again, 180, "gw", GATEWAY, ""));
    bed.receive(CALLER, &crate::support::cancel_of(&invite("1001", CALLER, "9123", "out")));
    let cancel = bed.one(GATEWAY);
    assert_eq!(header(&cancel, HeaderName::CSeq), "2 CANCEL");
    assert_eq!(header(&cancel, HeaderName::Via), header(&again, HeaderName::Via));
    bed.nothing_stays();
}

#[test]
fn requests_within_the_call_answer_challenges_too() {
    let mut bed = Bed::with(gateways(true));
    let offered = dialled(&mut bed);
    bed.receive(GATEWAY, &answer(&offered, 200, "gw", GATEWAY, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(GATEWAY);
    for (cseq, method) in [(2, "INFO"), (3, "INVITE")] {
        bed.receive(CALLER, &in_dialog(&ok, method, cseq, CALLER, "x"));
        let asked = bed.one(GATEWAY);
        bed.receive(GATEWAY, &with(&answer(&asked, 401, "", GATEWAY, ""), CHALLENGE));
        let again = bed.take(GATEWAY).pop().unwrap();
        assert!(header(&again, HeaderName::Authorization).contains("username=\"user\""), "{method}");
        assert_eq!(again.body(), b"x");
        bed.receive(GATEWAY, &with(&answer(&again, 401, "", GATEWAY, ""), CHALLENGE));
        assert_eq!(bed.take(CALLER).last().unwrap().code(), Some(500), "{method}");
    }
    bed.take(GATEWAY);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 4, CALLER, ""));
    let bye = bed.one(GATEWAY);
    bed.receive(GATEWAY, &with(&answer(&bye, 401, "", GATEWAY, ""), CHALLENGE));
    let again = bed.one(GATEWAY);
    assert!(line(&again).starts_with("BYE ") && header(&again, HeaderName::Authorization).contains("user"));
    bed.receive(GATEWAY, &with(&answer(&again, 401, "", GATEWAY, ""), CHALLENGE));
    assert!(bed.take(GATEWAY).is_empty(), "once");
    bed.nothing_stays();
}
