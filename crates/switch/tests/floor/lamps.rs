//! What busy lamps show of agents' phones: calls of queues, and calls over nailed-up connections but not these alone.

use tandem_cti::Role;

use crate::hall::Hall;
use crate::nailed::nails;
use crate::office::{ANNA, BERT, FIXED, QUEUE};

const WATCHER: &str = "10.0.0.88:5060";

/// The state of an Extension's one call as a watcher is told it at this moment, and whom with.
#[track_caller]
fn lamp(hall: &mut Hall, dn: &str) -> Option<(String, String)> {
    let now = hall.bed.now.unix_ms;
    let text = format!(
        "SUBSCRIBE sip:{dn}@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {WATCHER};branch=z9hG4bK{now}{dn};rport\n\
         Max-Forwards: 70\nFrom: <sip:1004@10.0.0.1>;tag=w\nTo: <sip:{dn}@10.0.0.1>\nCall-ID: {now}{dn}\n\
         CSeq: 1 SUBSCRIBE\nContact: <sip:1004@{WATCHER}>\nEvent: dialog\nExpires: 0\nContent-Length: 0\n\n"
    );
    hall.bed.receive(WATCHER, &text);
    let got = hall.bed.take(WATCHER);
    assert_eq!(got[0].code(), Some(200));
    hall.bed.receive(WATCHER, &crate::support::answer(&got[1], 200, "", WATCHER, ""));
    let body = crate::support::body(&got[1]);
    assert!(body.matches("<dialog ").count() < 2, "{body}");
    let between = |from: &str, to: &str| Some(body.split(from).nth(1)?.split(to).next()?.to_owned());
    Some((between("<state>", "<")?, between("<remote><identity>sip:", "@").unwrap_or_default()))
}

fn shown(state: &str, with: &str) -> Option<(String, String)> {
    Some((state.to_owned(), with.to_owned()))
}

#[test]
fn a_call_over_a_nailed_up_connection_is_shown_and_the_connection_alone_is_not() {
    let mut hall = Hall::with(nails("gcti::park", 0));
    hall.joins_at(1, "sam", Role::Supervisor, &[FIXED]);
    hall.does(1, r#""request":"TAgentLogin","ThisDN":"1003","AgentID":"5003","WorkMode":"AutoIn""#);
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 1, "the phone is on the line");
    assert_eq!(lamp(&mut hall, FIXED), None);
    hall.dials(ANNA, QUEUE);
    hall.pass(2);
    assert_eq!(lamp(&mut hall, FIXED), shown("confirmed", ANNA));
    assert_eq!(lamp(&mut hall, ANNA), shown("confirmed", FIXED));
    hall.hangs_up(ANNA);
    hall.pass(2);
    assert_eq!((lamp(&mut hall, FIXED), lamp(&mut hall, ANNA)), (None, None));
}

#[test]
fn who_waits_in_a_queue_is_shown_ringing_the_queue() {
    let mut hall = Hall::open();
    hall.dials(BERT, QUEUE);
    hall.pass(1);
    assert_eq!(lamp(&mut hall, BERT), shown("early", QUEUE));
    hall.hangs_up(BERT);
    hall.pass(1);
    assert_eq!(lamp(&mut hall, BERT), None);
}
