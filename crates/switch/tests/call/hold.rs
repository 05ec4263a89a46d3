//! Hold and retrieve, by request and by a party's own phone.

use std::time::Duration;

use tandem_sip::{HeaderName, Message, Transport};
use tandem_switch::call::control::{Begun, Operation};
use tandem_switch::call::{News, Ticket};

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, body, codes, from_callee, header, in_dialog, line, sdp,
};

const DONE: News = News::Done { ticket: Ticket(7), outcome: Ok(()) };

fn done(status: u16) -> News {
    News::Done { ticket: Ticket(7), outcome: Err(status) }
}

/// An answered call, of which nothing has been told.
fn answered() -> (Bed, Message, Message) {
    let mut bed = Bed::with(alone());
    let (ok, offered) = bed.established();
    bed.news();
    (bed, ok, offered)
}

/// The INVITE without an offer that one party gets.
#[track_caller]
fn asked(bed: &mut Bed, at: &str) -> Message {
    let invite = bed.one(at);
    assert!(line(&invite).starts_with("INVITE "), "{}", line(&invite));
    assert_eq!(invite.body(), b"");
    invite
}

/// One party is asked, and parked.
#[track_caller]
fn parked(bed: &mut Bed, at: &str) {
    let invite = asked(bed, at);
    bed.receive(at, &answer(&invite, 200, "", at, &sdp("party", "sendrecv")));
    let acks: Vec<Message> = bed.take(at);
    let ack = acks.first().expect("an ACK");
    assert!(line(ack).starts_with("ACK "));
    assert!(
        body(ack).contains("a=inactive\r\n") && body(ack).contains("m=audio 9 RTP/AVP 0\r\n"),
        "{}",
        body(ack)
    );
    assert_eq!(header(ack, HeaderName::ContentType), "application/sdp");
}

/// The caller holds, by request.
#[track_caller]
fn held(bed: &mut Bed) {
    assert_eq!(bed.operate(Operation::Hold(0)), Ok(Begun::Later));
    parked(bed, CALLEE);
    parked(bed, CALLER);
    assert_eq!(bed.news(), [News::Held { leg: 0 }, DONE]);
}

#[test]
fn hold_by_request_parks_both_and_retrieve_connects_them_again() {
    let (mut bed, _, _) = answered();
    held(&mut bed);
    assert_eq!(bed.operate(Operation::Retrieve(0)), Ok(Begun::Later));
    let invite = asked(&mut bed, CALLER);
    bed.receive(CALLER, &answer(&invite, 200, "", CALLER, &sdp("caller", "sendrecv")));
    assert!(bed.take(CALLER).is_empty(), "the offer waits for its answer");
    let offer = bed.one(CALLEE);
    let origin =
        |message: &Message| body(message).lines().find(|line| line.starts_with("o=")).unwrap().to_owned();
    assert!(
        origin(&offer).starts_with("o=- ") && origin(&offer).ends_with(" 2 IN IP4 10.0.0.1"),
        "{}",
        origin(&offer)
    );
    assert!(body(&offer).contains("c=IN IP4 10.0.0.77"), "all but the origin is the caller's");
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    assert_eq!(bed.one(CALLEE).body(), b"", "an ACK without a description");
    let ack = bed.one(CALLER);
    assert!(
        origin(&ack).ends_with(" 2 IN IP4 10.0.0.1") && origin(&ack) != origin(&offer),
        "{}",
        origin(&ack)
    );
    assert_eq!(bed.news(), [News::Retrieved { leg: 0 }, DONE]);
    assert_eq!(bed.operate(Operation::Retrieve(0)), Ok(Begun::Done), "once more is nothing new");
    assert_eq!(bed.operate(Operation::Clear), Ok(Begun::Done));
}

#[test]
fn holding_twice_is_done_at_once_and_meanwhile_it_is_too_early() {
    let (mut bed, _, _) = answered();
    assert_eq!(bed.operate(Operation::Hold(0)), Ok(Begun::Later));
    assert_eq!(bed.operate(Operation::Hold(0)), Err(491));
    assert_eq!(bed.operate(Operation::Hold(9)), Err(481));
    parked(&mut bed, CALLEE);
    parked(&mut bed, CALLER);
    assert_eq!(bed.operate(Operation::Hold(0)), Ok(Begun::Done));
    assert_eq!(bed.news().len(), 2);
}

#[test]
fn a_party_that_cannot_be_parked_is_not_held() {
    for code in [488, 500, 603] {
        let (mut bed, _, _) = answered();
        bed.operate(Operation::Hold(0)).unwrap();
        let invite = asked(&mut bed, CALLEE);
        bed.receive(CALLEE, &answer(&invite, code, "", CALLEE, ""));
        assert_eq!(bed.news(), [done(code)]);
        assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
        assert!(bed.take(CALLER).is_empty());
    }
}

#[test]
fn a_party_is_held_even_if_the_holder_s_own_phone_will_not_be_parked() {
    let (mut bed, _, _) = answered();
    bed.operate(Operation::Hold(0)).unwrap();
    parked(&mut bed, CALLEE);
    let invite = asked(&mut bed, CALLER);
    bed.receive(CALLER, &answer(&invite, 488, "", CALLER, ""));
    assert_eq!(bed.news(), [News::Held { leg: 0 }, DONE]);
}

#[test]
fn an_offer_that_the_other_side_refuses_is_answered_and_the_call_stays_held() {
    let (mut bed, _, _) = answered();
    held(&mut bed);
    bed.operate(Operation::Retrieve(0)).unwrap();
    let invite = asked(&mut bed, CALLER);
    bed.receive(CALLER, &answer(&invite, 200, "", CALLER, &sdp("caller", "sendrecv")));
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 488, "", CALLEE, ""));
    assert!(body(&bed.one(CALLER)).contains("a=inactive"), "an ACK with an answer");
    assert_eq!(bed.news(), [done(488)]);
    assert_eq!(bed.operate(Operation::Hold(0)), Ok(Begun::Done), "still held");
}

#[test]
fn invites_that_cross_are_tried_again_after_a_while() {
    let (mut bed, _, offered) = answered();
    bed.operate(Operation::Hold(0)).unwrap();
    let invite = asked(&mut bed, CALLEE);
    let theirs = from_callee(&offered, "callee", "INVITE", 1, CALLEE, "");
    bed.receive(CALLEE, &theirs);
    assert_eq!(codes(&bed.take(CALLEE)), [491]);
    bed.receive(CALLEE, &theirs.replace("INVITE sip", "ACK sip").replace(" INVITE\n", " ACK\n"));
    bed.receive(CALLEE, &answer(&invite, 491, "", CALLEE, ""));
    bed.take(CALLEE);
    bed.pass(Duration::from_millis(2_090));
    assert!(bed.take(CALLEE).is_empty(), "who owns the Call-ID waits longer");
    bed.pass(Duration::from_millis(1_920));
    let again = bed.take(CALLEE).pop().expect("the INVITE again");
    assert_ne!(header(&again, HeaderName::CSeq), header(&invite, HeaderName::CSeq));
    bed.receive(CALLEE, &answer(&again, 200, "", CALLEE, &sdp("callee", "sendrecv")));
    assert!(body(&bed.one(CALLEE)).contains("a=inactive"));
    parked(&mut bed, CALLER);
    assert_eq!(bed.news(), [News::Held { leg: 0 }, DONE]);
}

#[test]
fn endless_glare_is_given_up() {
    let (mut bed, _, _) = answered();
    bed.operate(Operation::Hold(0)).unwrap();
    for _ in 0..=5 {
        let invite = bed.take(CALLEE).pop().expect("an INVITE");
        bed.receive(CALLEE, &answer(&invite, 491, "", CALLEE, ""));
        bed.take(CALLEE);
        bed.pass(Duration::from_secs(4));
    }
    assert_eq!(bed.news(), [done(491)]);
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
}

#[test]
fn a_dialog_that_is_gone_ends_the_call() {
    for code in [481, 408] {
        let (mut bed, _, _) = answered();
        bed.operate(Operation::Hold(0)).unwrap();
        let invite = asked(&mut bed, CALLEE);
        bed.receive(CALLEE, &answer(&invite, code, "", CALLEE, ""));
        assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")), "{code}");
        assert_eq!(bed.news()[0], done(code));
        bed.nothing_stays();
    }
}

#[test]
fn silence_ends_the_call_and_a_dead_transport_does_not() {
    let (mut bed, _, _) = answered();
    bed.operate(Operation::Hold(0)).unwrap();
    bed.refuse(CALLEE, Transport::Udp);
    assert_eq!(bed.news(), [done(500)]);
    assert_eq!(bed.node.call_list(bed.now)[0].state, "established");
    bed.operate(Operation::Hold(0)).unwrap();
    bed.pass(Duration::from_secs(33));
    assert_eq!(bed.news()[0], done(408));
    bed.nothing_stays();
}

#[test]
fn a_party_that_hangs_up_meanwhile_ends_the_call_and_the_operation() {
    for step in 0..4 {
        let (mut bed, ok, _) = answered();
        if step < 2 {
            bed.operate(Operation::Hold(0)).unwrap();
        } else {
            held(&mut bed);
            bed.operate(Operation::Retrieve(0)).unwrap();
        }
        let waits = match step {
            0 => asked(&mut bed, CALLEE),
            1 => {
                parked(&mut bed, CALLEE);
                asked(&mut bed, CALLER)
            }
            2 => asked(&mut bed, CALLER),
            _ => {
                let invite = asked(&mut bed, CALLER);
                bed.receive(CALLER, &answer(&invite, 200, "", CALLER, &sdp("caller", "sendrecv")));
                bed.one(CALLEE)
            }
        };
        let at = if matches!(step, 0 | 3) { CALLEE } else { CALLER };
        bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
        assert_eq!(bed.news()[0], done(0), "step {step}");
        bed.receive(at, &answer(&waits, 200, "", at, &sdp("late", "sendrecv")));
        assert!(
            bed.lines(at).iter().any(|line| line.starts_with("ACK ")),
            "a late 2xx is acknowledged: {step}"
        );
        bed.nothing_stays();
    }
}

#[test]
fn a_ringing_phone_does_not_hold_an_operation_for_ever() {
    let (mut bed, _, _) = answered();
    bed.operate(Operation::Hold(0)).unwrap();
    let invite = asked(&mut bed, CALLEE);
    bed.receive(CALLEE, &answer(&invite, 180, "", CALLEE, ""));
    bed.pass(Duration::from_secs(33));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("CANCEL ")));
    bed.receive(CALLEE, &answer(&invite, 487, "", CALLEE, ""));
    assert_eq!(bed.news(), [done(487)]);
}

#[test]
fn an_answer_without_a_description_parks_nobody() {
    let (mut bed, _, _) = answered();
    bed.operate(Operation::Hold(0)).unwrap();
    let invite = asked(&mut bed, CALLEE);
    bed.receive(CALLEE, &answer(&invite, 200, "", CALLEE, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    assert_eq!(bed.news(), [done(488)]);
}

#[test]
fn what_phones_offer_while_the_call_is_held_by_request_flows_nowhere() {
    let (mut bed, ok, _) = answered();
    held(&mut bed);
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, &sdp("caller", "sendrecv")));
    let passed = bed.one(CALLEE);
    assert!(body(&passed).contains("a=inactive") && !body(&passed).contains("sendrecv"), "{}", body(&passed));
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, &sdp("callee", "inactive")));
    let back = bed.take(CALLER).pop().unwrap();
    assert!(body(&back).contains("o=- ") && body(&back).contains(" 2 IN IP4 10.0.0.1"), "{}", body(&back));
    assert_eq!(bed.news(), [], "still held");
}

#[test]
fn a_phone_that_holds_by_itself_is_told_of() {
    for way in ["sendonly", "inactive"] {
        let (mut bed, ok, _) = answered();
        bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, &sdp("caller", way)));
        let passed = bed.one(CALLEE);
        assert_eq!(
            body(&passed).into_bytes(),
            sdp("caller", way).replace('\u{1}', "\n").into_bytes(),
            "untouched"
        );
        assert_eq!(bed.news(), [], "not before it is accepted");
        bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, &sdp("callee", "recvonly")));
        assert_eq!(bed.news(), [News::Held { leg: 0 }]);
        bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
        bed.take(CALLEE);
        bed.receive(CALLER, &in_dialog(&ok, "UPDATE", 3, CALLER, &sdp("caller", "sendrecv")));
        let passed = bed.one(CALLEE);
        bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, &sdp("callee", "sendrecv")));
        assert_eq!(bed.news(), [News::Retrieved { leg: 0 }]);
    }
}

#[test]
fn a_phone_that_still_holds_when_it_is_to_take_back_says_so() {
    let (mut bed, ok, _) = answered();
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, &sdp("caller", "sendonly")));
    let passed = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, &sdp("callee", "recvonly")));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    bed.take(CALLEE);
    bed.take(CALLER);
    bed.news();
    bed.operate(Operation::Retrieve(0)).unwrap();
    let invite = asked(&mut bed, CALLER);
    bed.receive(CALLER, &answer(&invite, 200, "", CALLER, &sdp("caller", "sendonly")));
    let offer = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offer, 200, "", CALLEE, &sdp("callee", "recvonly")));
    assert_eq!(bed.news(), [done(488)]);
}

#[test]
fn an_update_meanwhile_is_told_491() {
    let (mut bed, ok, _) = answered();
    bed.operate(Operation::Hold(0)).unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "UPDATE", 2, CALLER, &sdp("caller", "sendrecv")));
    assert_eq!(codes(&bed.take(CALLER)), [491]);
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 3, CALLER, &sdp("caller", "sendrecv")));
    assert_eq!(codes(&bed.take(CALLER)), [491]);
}

#[test]
fn a_phone_that_holds_when_it_is_told_to_is_told() {
    let mut bed = Bed::with(crate::support::directory(|options, extensions, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = Default::default());
        let class = std::sync::Arc::make_mut(&mut extensions[0].class);
        class.answer.notify_hold = true;
    }));
    let (ok, _) = bed.established();
    bed.news();
    assert_eq!(bed.operate(Operation::Hold(0)), Ok(Begun::Later));
    let notify = bed.one(CALLER);
    assert!(line(&notify).starts_with("NOTIFY "));
    assert_eq!(header(&notify, HeaderName::Event), "hold");
    bed.receive(CALLER, &answer(&notify, 200, "", CALLER, ""));
    assert_eq!(bed.news(), [DONE]);
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, &sdp("caller", "sendonly")));
    let passed = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, &sdp("callee", "recvonly")));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    assert_eq!(bed.news(), [News::Held { leg: 0 }]);
    bed.take(CALLER);
    assert_eq!(bed.operate(Operation::Retrieve(0)), Ok(Begun::Later));
    assert_eq!(header(&bed.one(CALLER), HeaderName::Event), "talk");
}

#[test]
fn release_and_clear_end_both_legs_by_request() {
    for (operation, by) in [(Operation::Release(1), "callee"), (Operation::Clear, "server")] {
        let (mut bed, _, _) = answered();
        assert_eq!(bed.operate(operation), Ok(Begun::Done));
        assert!(bed.lines(CALLER)[0].starts_with("BYE ") && bed.lines(CALLEE)[0].starts_with("BYE "));
        bed.nothing_stays();
        let leg = &bed.cdrs[0].legs[0];
        assert_eq!(
            (leg.ended_by.as_str(), leg.reason.as_str()),
            (
                &*format!(
                    "by {}",
                    match by {
                        "server" => "this server".to_owned(),
                        other => format!("the {other}"),
                    }
                ),
                "by request"
            )
        );
    }
}

#[test]
fn digits_go_one_by_one_and_in_order() {
    let (mut bed, _, _) = answered();
    assert_eq!(bed.operate(Operation::Dtmf(1, "5#".into())), Ok(Begun::Later));
    assert_eq!(bed.operate(Operation::Dtmf(1, "a".into())), Ok(Begun::Later));
    for digit in ["5", "#", "A"] {
        let info = bed.one(CALLEE);
        assert_eq!(header(&info, HeaderName::ContentType), "application/dtmf-relay");
        assert_eq!(body(&info), format!("Signal={digit}\r\nDuration=160\r\n"));
        bed.receive(CALLEE, &answer(&info, 200, "", CALLEE, ""));
    }
    assert_eq!(bed.news(), [DONE, DONE]);
    assert_eq!(bed.operate(Operation::Dtmf(1, "x".into())), Err(400));
    assert_eq!(bed.operate(Operation::Dtmf(1, "1".repeat(65).into())), Err(413));
    assert_eq!(bed.operate(Operation::Dtmf(5, "1".into())), Err(481));
}

#[test]
fn digits_that_are_refused_do_not_end_the_call_and_the_next_ones_go() {
    let (mut bed, _, _) = answered();
    bed.operate(Operation::Dtmf(1, "12".into())).unwrap();
    bed.operate(Operation::Dtmf(1, "3".into())).unwrap();
    let info = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&info, 415, "", CALLEE, ""));
    assert_eq!(bed.news(), [done(415)]);
    let info = bed.one(CALLEE);
    assert!(body(&info).starts_with("Signal=3"));
    bed.operate(Operation::Clear).unwrap();
    assert!(bed.news().contains(&done(0)));
    bed.nothing_stays();
}
