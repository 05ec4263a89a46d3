//! INVITEs of this server's own in a call: over trunks that challenge, over connections, and too long for UDP.

use tandem_sip::{HeaderName, Transport};
use tandem_switch::call::control::{Begun, Operation};
use tandem_switch::call::{News, Ticket};

use crate::support::{Bed, CALLEE, CALLER, GATEWAY, alone, answer, body, header, in_dialog, line, sdp, with};
use crate::trunks::{CHALLENGE, dialled, gateways};

fn done(outcome: Result<(), u16>) -> News {
    News::Done { ticket: Ticket(7), outcome }
}

/// A call over the gateway that has credentials, answered.
#[track_caller]
fn outside() -> Bed {
    let mut bed = Bed::with(gateways(true));
    let offered = dialled(&mut bed);
    bed.receive(GATEWAY, &answer(&offered, 200, "gw", GATEWAY, ""));
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(GATEWAY);
    bed.news();
    bed
}

#[test]
fn a_gateway_that_challenges_is_answered_once() {
    for again in [200, 401] {
        let mut bed = outside();
        bed.operate(Operation::Hold(0)).unwrap();
        let asked = bed.one(GATEWAY);
        bed.receive(GATEWAY, &with(&answer(&asked, 401, "", GATEWAY, ""), CHALLENGE));
        let second = bed.take(GATEWAY).pop().unwrap();
        assert!(
            header(&second, HeaderName::Authorization).contains("username=\"user\"")
                || header(&second, HeaderName::ProxyAuthorization).contains("username=\"user\"")
        );
        assert_ne!(header(&second, HeaderName::CSeq), header(&asked, HeaderName::CSeq));
        if again == 200 {
            bed.receive(GATEWAY, &answer(&second, 200, "", GATEWAY, &sdp("gw", "sendrecv")));
            let asked = bed.one(CALLER);
            bed.receive(CALLER, &answer(&asked, 200, "", CALLER, &sdp("caller", "sendrecv")));
            assert_eq!(bed.news(), [News::Held { leg: 0 }, done(Ok(()))]);
        } else {
            bed.receive(GATEWAY, &with(&answer(&second, 401, "", GATEWAY, ""), CHALLENGE));
            assert_eq!(bed.news(), [done(Err(401))]);
        }
    }
}

#[test]
fn digits_to_a_gateway_that_challenges_go_on() {
    let mut bed = outside();
    bed.operate(Operation::Dtmf(1, "42".into())).unwrap();
    let info = bed.one(GATEWAY);
    bed.receive(GATEWAY, &with(&answer(&info, 401, "", GATEWAY, ""), CHALLENGE));
    let again = bed.one(GATEWAY);
    assert_eq!(body(&again), body(&info));
    bed.receive(GATEWAY, &answer(&again, 200, "", GATEWAY, ""));
    let next = bed.one(GATEWAY);
    assert!(body(&next).starts_with("Signal=2"));
    bed.receive(GATEWAY, &answer(&next, 200, "", GATEWAY, ""));
    assert_eq!(bed.news(), [done(Ok(()))]);
}

#[test]
fn a_long_offer_goes_by_tcp_and_by_udp_when_that_fails() {
    let mut bed = Bed::with(alone());
    bed.established();
    bed.operate(Operation::Retrieve(0)).unwrap();
    bed.operate(Operation::Hold(0)).unwrap();
    for at in [CALLEE, CALLER] {
        let asked = bed.one(at);
        bed.receive(at, &answer(&asked, 200, "", at, &sdp("x", "sendrecv")));
        bed.take(at);
    }
    bed.operate(Operation::Retrieve(0)).unwrap();
    let asked = bed.one(CALLER);
    let long = format!(
        "{}{}",
        sdp("caller", "sendrecv"),
        "a=candidate:1 1 UDP 1 10.0.0.1 1 typ host\u{1}".repeat(40)
    );
    bed.receive(CALLER, &answer(&asked, 200, "", CALLER, &long));
    let offer = bed.one(CALLEE);
    assert!(header(&offer, HeaderName::Via).starts_with("SIP/2.0/TCP "));
    bed.refuse(CALLEE, Transport::Tcp);
    let offer = bed.one(CALLEE);
    assert!(header(&offer, HeaderName::Via).starts_with("SIP/2.0/UDP "));
    bed.news();
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    assert_eq!(bed.news(), [News::Retrieved { leg: 0 }, done(Ok(()))]);
}

#[test]
fn operations_that_wait_for_a_phone_are_bounded() {
    let mut bed = Bed::with(alone());
    bed.established();
    for _ in 0..8 {
        assert_eq!(bed.operate(Operation::Dtmf(1, "1".into())), Ok(Begun::Later));
    }
    assert_eq!(bed.operate(Operation::Dtmf(1, "1".into())), Err(503));
    bed.operate(Operation::Clear).unwrap();
    bed.nothing_stays();
}

#[test]
fn why_says_what_requests_did() {
    let mut bed = Bed::with(alone());
    bed.established();
    bed.operate(Operation::Hold(0)).unwrap();
    let asked = bed.one(CALLEE);
    assert!(line(&asked).starts_with("INVITE "));
    bed.receive(CALLEE, &answer(&asked, 488, "", CALLEE, ""));
    bed.operate(Operation::Dtmf(1, "1".into())).unwrap();
    let steps = bed.node.why("call1").unwrap().steps;
    let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
    assert!(texts.contains(&"in vain (488): the caller's party holds the other, by request"), "{texts:?}");
    assert!(texts.contains(&"the callee's phone was sent digits, by request"), "{texts:?}");
}
