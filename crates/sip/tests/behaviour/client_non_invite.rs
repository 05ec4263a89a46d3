//! RFC 3261 figure 6, arrow by arrow.

use std::time::Instant;

use bytes::Bytes;
use tandem_sip::txn::client_non_invite::ClientNonInvite;
use tandem_sip::txn::{ClientFired, OnResponse};
use tandem_sip::{TimerName, Timers};

use crate::support::{ms, start};

fn trying(reliable: bool) -> (ClientNonInvite, Timers, Instant) {
    let (timers, now) = (Timers::default(), start());
    (ClientNonInvite::new(Bytes::from_static(b"BYE"), reliable, &timers, now), timers, now)
}

#[test]
fn timer_e_doubles_up_to_t2_until_timer_f_ends_it() {
    let (mut fsm, timers, start) = trying(false);
    let mut sent = Vec::new();
    loop {
        let (at, _) = fsm.next_timeout().unwrap();
        match fsm.on_timeout(&timers, at) {
            ClientFired::Retransmit => sent.push((at - start).as_millis()),
            ClientFired::TimedOut => {
                assert_eq!((at - start).as_millis(), 32_000);
                break;
            }
            ClientFired::Nothing => panic!("a deadline without an action"),
        }
    }
    assert_eq!(sent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
}

#[test]
fn in_proceeding_the_request_is_repeated_every_t2() {
    let (mut fsm, timers, start) = trying(false);
    assert_eq!(fsm.on_response(100, false, &timers, start + ms(100)), OnResponse::Absorb);
    assert_eq!(fsm.on_response(183, false, &timers, start + ms(150)), OnResponse::Deliver);
    assert_eq!(fsm.next_timeout(), Some((start + ms(4100), TimerName::E)));
    assert_eq!(fsm.on_timeout(&timers, start + ms(4100)), ClientFired::Retransmit);
    assert_eq!(fsm.next_timeout(), Some((start + ms(8100), TimerName::E)));
}

#[test]
fn the_final_response_is_delivered_once_and_absorbed_until_timer_k() {
    let (mut fsm, timers, start) = trying(false);
    assert_eq!(fsm.on_response(200, false, &timers, start), OnResponse::Deliver);
    assert_eq!(fsm.on_response(200, false, &timers, start), OnResponse::Absorb);
    assert_eq!(fsm.next_timeout(), Some((start + timers.t4, TimerName::K)));
    assert_eq!(fsm.request(), None, "a finished transaction keeps no request");
    fsm.on_timeout(&timers, start + timers.t4);
    assert!(fsm.is_terminated());
}

#[test]
fn a_reliable_transport_repeats_nothing_and_lingers_not() {
    let (mut fsm, timers, start) = trying(true);
    assert_eq!(fsm.next_timeout(), Some((start + timers.patience(), TimerName::F)));
    fsm.on_response(404, true, &timers, start + ms(30));
    assert_eq!(fsm.next_timeout(), Some((start + ms(30), TimerName::K)));
}

#[test]
fn a_late_clock_ends_the_transaction_without_a_last_retransmission() {
    let (mut fsm, timers, start) = trying(false);
    assert_eq!(fsm.on_timeout(&timers, start + ms(60_000)), ClientFired::TimedOut);
}
