//! RFC 3261 figure 7 with RFC 6026, arrow by arrow.

use std::time::Instant;

use bytes::Bytes;
use tandem_sip::txn::ServerFired;
use tandem_sip::txn::server_invite::{OnAck, ServerInvite};
use tandem_sip::{TimerName, Timers};

use crate::support::{ms, start};

const ANSWER: Bytes = Bytes::from_static(b"answer");

fn proceeding() -> (ServerInvite, Timers, Instant) {
    let now = start();
    (ServerInvite::new(Bytes::from_static(b"INVITE"), now), Timers::default(), now)
}

#[test]
fn silence_of_the_user_asks_for_a_100_after_200_ms() {
    let (mut fsm, timers, start) = proceeding();
    assert_eq!(fsm.next_timeout(), Some((start + ms(200), TimerName::Trying)));
    assert_eq!(fsm.on_timeout(&timers, start + ms(200)), ServerFired::SendTrying);
    fsm.on_respond(100, &ANSWER, false, &timers, start + ms(200));
    assert_eq!(fsm.next_timeout(), None);
    assert_eq!(fsm.unanswered(), None, "the INVITE is not kept once something has answered it");
}

#[test]
fn a_retransmitted_invite_gets_the_last_provisional_response() {
    let (mut fsm, timers, start) = proceeding();
    assert_eq!(fsm.on_retransmission(), None);
    fsm.on_respond(100, &Bytes::from_static(b"100"), false, &timers, start);
    fsm.on_respond(180, &Bytes::from_static(b"180"), false, &timers, start);
    assert_eq!(fsm.on_retransmission(), Some(&Bytes::from_static(b"180")));
}

#[test]
fn after_a_2xx_invites_are_absorbed_and_more_2xx_pass_until_timer_l() {
    let (mut fsm, timers, start) = proceeding();
    assert!(fsm.on_respond(200, &ANSWER, false, &timers, start));
    assert_eq!(fsm.on_retransmission(), None, "the user repeats its 2xx, not the transaction");
    assert!(fsm.on_respond(200, &ANSWER, false, &timers, start + ms(500)));
    assert!(!fsm.on_respond(486, &ANSWER, false, &timers, start + ms(500)));
    assert_eq!(fsm.on_ack(false, &timers, start + ms(600)), OnAck::Deliver);
    assert_eq!(fsm.next_timeout(), Some((start + timers.patience(), TimerName::L)));
    fsm.on_timeout(&timers, start + timers.patience());
    assert!(fsm.is_terminated());
}

#[test]
fn a_refusal_is_repeated_at_t1_doubling_to_t2_until_timer_h_reports_it() {
    let (mut fsm, timers, start) = proceeding();
    assert!(fsm.on_respond(486, &ANSWER, false, &timers, start));
    let mut sent = Vec::new();
    loop {
        let (at, _) = fsm.next_timeout().unwrap();
        match fsm.on_timeout(&timers, at) {
            ServerFired::Retransmit => sent.push((at - start).as_millis()),
            ServerFired::NoAck => {
                assert_eq!((at - start).as_millis(), 32_000);
                break;
            }
            ServerFired::Nothing | ServerFired::SendTrying => panic!("a deadline without an action"),
        }
    }
    assert_eq!(sent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
    assert!(fsm.is_terminated());
}

#[test]
fn the_ack_of_a_refusal_stops_it_and_timer_i_absorbs_the_rest() {
    let (mut fsm, timers, start) = proceeding();
    fsm.on_respond(486, &ANSWER, false, &timers, start);
    assert_eq!(fsm.on_ack(false, &timers, start + ms(40)), OnAck::Absorb);
    assert_eq!(fsm.on_retransmission(), None);
    assert_eq!(fsm.on_ack(false, &timers, start + ms(80)), OnAck::Absorb);
    assert_eq!(fsm.next_timeout(), Some((start + ms(40) + timers.t4, TimerName::I)));
    assert_eq!(fsm.last(), None, "an acknowledged refusal is not kept");
}

#[test]
fn on_a_stream_the_refusal_is_sent_once_but_its_ack_is_waited_for() {
    let (mut fsm, timers, start) = proceeding();
    fsm.on_respond(603, &ANSWER, true, &timers, start);
    assert_eq!(fsm.next_timeout(), Some((start + timers.patience(), TimerName::H)));
    fsm.on_ack(true, &timers, start + ms(9));
    assert_eq!(fsm.next_timeout(), Some((start + ms(9), TimerName::I)));
}

#[test]
fn an_answer_after_the_refusal_is_not_sent() {
    let (mut fsm, timers, start) = proceeding();
    fsm.on_respond(486, &ANSWER, false, &timers, start);
    for code in [180, 200, 487] {
        assert!(!fsm.on_respond(code, &ANSWER, false, &timers, start), "{code}");
    }
}
