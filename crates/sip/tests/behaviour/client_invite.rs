//! RFC 3261 figure 5 with RFC 6026, arrow by arrow.

use std::time::Instant;

use bytes::Bytes;
use tandem_sip::txn::client_invite::{ClientInvite, OnCancel, State};
use tandem_sip::txn::{ClientFired, OnResponse};
use tandem_sip::{TimerName, Timers};

use crate::support::{ms, start};

fn calling(reliable: bool) -> (ClientInvite, Timers, Instant) {
    let (timers, now) = (Timers::default(), start());
    (ClientInvite::new(Bytes::from_static(b"INVITE"), reliable, &timers, now), timers, now)
}

fn show(fsm: &mut ClientInvite, code: u16, reliable: bool, now: Instant) -> OnResponse {
    fsm.on_response(code, reliable, &Timers::default(), now, |_| Bytes::from_static(b"ACK"))
}

#[test]
fn timer_a_doubles_until_timer_b_ends_it() {
    let (mut fsm, _, start) = calling(false);
    let mut sent = Vec::new();
    loop {
        let (at, _) = fsm.next_timeout().unwrap();
        match fsm.on_timeout(at) {
            ClientFired::Retransmit => sent.push((at - start).as_millis()),
            ClientFired::TimedOut => {
                assert_eq!((at - start).as_millis(), 32_000);
                break;
            }
            ClientFired::Nothing => panic!("a deadline without an action"),
        }
    }
    assert_eq!(sent, [500, 1500, 3500, 7500, 15500, 31500]);
    assert!(fsm.is_terminated());
    assert_eq!(fsm.next_timeout(), None);
}

#[test]
fn a_reliable_transport_repeats_nothing() {
    let (fsm, timers, start) = calling(true);
    assert_eq!(fsm.next_timeout(), Some((start + timers.patience(), TimerName::B)));
}

#[test]
fn a_provisional_response_stops_all_timers() {
    let (mut fsm, _, start) = calling(false);
    assert_eq!(show(&mut fsm, 100, false, start), OnResponse::Absorb);
    assert_eq!(fsm.next_timeout(), None);
    assert_eq!(show(&mut fsm, 180, false, start), OnResponse::Deliver);
    assert_eq!(show(&mut fsm, 180, false, start), OnResponse::Deliver);
    assert!(matches!(fsm.state(), State::Proceeding { .. }));
}

#[test]
fn a_2xx_opens_accepted_in_which_every_2xx_is_delivered_until_timer_m() {
    let (mut fsm, timers, start) = calling(false);
    assert_eq!(show(&mut fsm, 200, false, start), OnResponse::Deliver);
    assert_eq!(show(&mut fsm, 200, false, start + ms(500)), OnResponse::Deliver);
    assert_eq!(show(&mut fsm, 183, false, start + ms(500)), OnResponse::Absorb);
    assert_eq!(show(&mut fsm, 486, false, start + ms(500)), OnResponse::Absorb);
    assert_eq!(fsm.next_timeout(), Some((start + timers.patience(), TimerName::M)));
    assert_eq!(fsm.on_timeout(start + timers.patience()), ClientFired::Nothing);
    assert!(fsm.is_terminated());
}

#[test]
fn a_refusal_is_delivered_once_and_acknowledged_each_time() {
    let (mut fsm, timers, start) = calling(false);
    assert_eq!(show(&mut fsm, 486, false, start), OnResponse::DeliverAndAck);
    assert_eq!(show(&mut fsm, 486, false, start + ms(900)), OnResponse::RepeatAck);
    assert_eq!(show(&mut fsm, 200, false, start + ms(900)), OnResponse::Absorb);
    assert_eq!(fsm.ack(), Some(&Bytes::from_static(b"ACK")));
    assert_eq!(fsm.next_timeout(), Some((start + timers.timer_d(), TimerName::D)));
}

#[test]
fn timer_d_is_32_seconds_even_if_t1_is_short_and_zero_on_streams() {
    let timers = Timers { t1: ms(10), ..Timers::default() };
    assert_eq!(timers.timer_d(), ms(32_000));
    let (mut fsm, _, start) = calling(true);
    show(&mut fsm, 500, true, start);
    assert_eq!(fsm.next_timeout(), Some((start, TimerName::D)));
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let (mut fsm, timers, start) = calling(false);
    let cancel = Bytes::from_static(b"CANCEL");
    assert_eq!(fsm.cancel(&cancel, &timers, start), OnCancel::Wait);
    assert_eq!(fsm.take_cancel(), Some(cancel));
    show(&mut fsm, 100, false, start);
    assert_eq!(fsm.cancel(&Bytes::new(), &timers, start + ms(5)), OnCancel::Send);
    assert_eq!(fsm.next_timeout(), Some((start + ms(5) + timers.patience(), TimerName::Cancelled)));
    assert_eq!(fsm.on_timeout(start + ms(5) + timers.patience()), ClientFired::TimedOut);
}

#[test]
fn after_a_final_response_there_is_nothing_to_cancel() {
    let (mut fsm, timers, start) = calling(false);
    show(&mut fsm, 200, false, start);
    assert_eq!(fsm.cancel(&Bytes::new(), &timers, start), OnCancel::TooLate);
}

#[test]
fn a_refused_datagram_does_not_end_an_invite_that_is_proceeding() {
    let (mut fsm, _, start) = calling(false);
    show(&mut fsm, 180, false, start);
    assert!(!fsm.on_transport_error(false), "the datagram was another request's");
    assert!(fsm.on_transport_error(true));
}

#[test]
fn a_transport_error_matters_before_the_final_response_only() {
    let (mut fsm, _, start) = calling(true);
    assert!(fsm.on_transport_error(true));
    assert!(fsm.is_terminated());
    let (mut fsm, ..) = calling(true);
    show(&mut fsm, 200, true, start);
    assert!(!fsm.on_transport_error(true));
    assert!(!fsm.is_terminated(), "RFC 6026: Accepted outlives its transport");
}
