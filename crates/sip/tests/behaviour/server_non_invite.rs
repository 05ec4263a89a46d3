//! RFC 3261 figure 8, arrow by arrow.

use bytes::Bytes;
use tandem_sip::txn::server_non_invite::ServerNonInvite;
use tandem_sip::{TimerName, Timers};

use crate::support::start;

const ANSWER: Bytes = Bytes::from_static(b"answer");

#[test]
fn a_retransmitted_request_gets_the_last_response_once_there_is_one() {
    let (mut fsm, timers, start) = (ServerNonInvite::default(), Timers::default(), start());
    assert_eq!(fsm.on_retransmission(), None);
    assert!(fsm.on_respond(183, &Bytes::from_static(b"183"), false, &timers, start));
    assert_eq!(fsm.on_retransmission(), Some(&Bytes::from_static(b"183")));
    assert!(fsm.on_respond(200, &ANSWER, false, &timers, start));
    assert_eq!(fsm.on_retransmission(), Some(&ANSWER));
}

#[test]
fn only_one_final_response_is_sent_and_timer_j_ends_it() {
    let (mut fsm, timers, start) = (ServerNonInvite::default(), Timers::default(), start());
    assert!(fsm.on_respond(404, &ANSWER, false, &timers, start));
    assert!(!fsm.on_respond(200, &ANSWER, false, &timers, start));
    assert_eq!(fsm.next_timeout(), Some((start + timers.patience(), TimerName::J)));
    fsm.on_timeout(start + timers.patience());
    assert!(fsm.is_terminated());
}

#[test]
fn on_a_stream_the_final_response_is_the_end() {
    let (mut fsm, timers, start) = (ServerNonInvite::default(), Timers::default(), start());
    assert!(fsm.on_respond(200, &ANSWER, true, &timers, start));
    assert!(fsm.is_terminated());
}

#[test]
fn an_unanswered_request_has_no_timer() {
    let fsm = ServerNonInvite::default();
    assert_eq!(fsm.next_timeout(), None);
}
