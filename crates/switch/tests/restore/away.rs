//! Phones whose connections went with the process, and what waits for them.

use std::time::Duration;

use tandem_sip::{Flow, Message, Transport};

use crate::support::{Bed, CALLEE, CALLER, addr, alone, answer, codes, from_callee, in_dialog, invite, line};
use crate::watcher::subscribe;

/// The phone's end of its connections, which is not where it listens.
const SOCKET: &str = "10.0.0.11:40007";
const GAP: Duration = Duration::from_secs(2);

fn connection(conn: u64) -> Flow {
    Flow { transport: Transport::Ws, local: 0, remote: addr(SOCKET), conn }
}

fn by_ws(text: &str) -> String {
    text.replace("SIP/2.0/UDP", "SIP/2.0/WS")
}

/// 1001 registers by this connection.
fn registers(bed: &mut Bed, conn: u64) {
    let text = format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/WS {CALLER};branch=z9hG4bKr{conn};rport\nFrom: <sip:1001@tandem>;tag=r\n\
         To: <sip:1001@tandem>\nCall-ID: r1001\nCSeq: {conn} REGISTER\nContact: <sip:1001@phone.invalid;transport=ws>;expires=3600\n\
         Content-Length: 0\n\n"
    );
    bed.receive_by(connection(conn), &text);
    let (answers, others): (Vec<Message>, Vec<Message>) =
        bed.take(SOCKET).into_iter().partition(|message| message.code().is_some());
    assert_eq!(codes(&answers), [200]);
    bed.sent.extend(others.into_iter().map(|message| (addr(SOCKET), message)));
}

/// A call from 1001, which speaks by connection 7, and the server dies. The callee's INVITE.
fn cut_off(bed: &mut Bed) -> Message {
    registers(bed, 7);
    bed.register("1002", CALLEE);
    bed.receive_by(connection(7), &by_ws(&invite("1001", CALLER, "1002", "call1")));
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.take(SOCKET).pop().unwrap();
    bed.receive_by(connection(7), &by_ws(&in_dialog(&ok, "ACK", 1, CALLER, "")));
    bed.take(CALLEE);
    bed.pass(Duration::from_secs(40));
    assert_eq!(bed.restart(GAP).calls, 1);
    bed.sent.clear();
    offered
}

#[test]
fn a_request_waits_for_the_phone_and_goes_by_its_new_connection() {
    let mut bed = Bed::with(alone());
    let offered = cut_off(&mut bed);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INFO", 1, CALLEE, ""));
    bed.pass(Duration::from_secs(10));
    assert!(bed.take(SOCKET).is_empty() && bed.take(CALLER).is_empty(), "its connection is gone");
    registers(&mut bed, 8);
    assert_eq!(bed.last_flow, Some(connection(8)));
    let info = bed.one(SOCKET);
    assert!(line(&info).starts_with("INFO "), "{}", line(&info));
    bed.receive_by(connection(8), &answer(&info, 200, "", CALLER, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [200]);
}

#[test]
fn a_request_to_a_phone_that_does_not_come_back_fails_after_20_seconds() {
    let mut bed = Bed::with(alone());
    let offered = cut_off(&mut bed);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INFO", 1, CALLEE, ""));
    bed.pass(Duration::from_millis(19_900));
    assert!(bed.take(CALLEE).is_empty());
    bed.pass(Duration::from_millis(200));
    assert_eq!(codes(&bed.take(CALLEE)), [500]);
    assert_eq!(bed.node.call_list(bed.now).len(), 1, "the call goes on: its phone may yet come back");
}

#[test]
fn a_bye_for_a_phone_that_does_not_come_back_ends_the_call_all_the_same() {
    let mut bed = Bed::with(alone());
    let offered = cut_off(&mut bed);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert_eq!(codes(&bed.take(CALLEE)), [200]);
    bed.pass(Duration::from_secs(60));
    assert_eq!((bed.cdrs.len(), bed.node.call_list(bed.now).len()), (1, 0));
}

/// 1001 watches 1002 by connection 7, and the server dies.
fn watches(bed: &mut Bed) {
    registers(bed, 7);
    let text = subscribe("1002", "dialog", 1, 600).replace("sip:1004@", "sip:1001@");
    bed.receive_by(connection(7), &by_ws(&text));
    let notify = bed.take(SOCKET).pop().unwrap();
    bed.receive_by(connection(7), &answer(&notify, 200, "", CALLER, ""));
    assert_eq!(bed.restart(GAP).watchers, 1);
    bed.pass(Duration::from_secs(20));
    assert!(bed.sent.is_empty());
}

#[test]
fn a_watcher_is_told_when_it_is_back() {
    let mut bed = Bed::with(alone());
    watches(&mut bed);
    registers(&mut bed, 8);
    bed.pass(Duration::from_secs(5));
    let told = bed.one(SOCKET);
    assert!(line(&told).starts_with("NOTIFY ") && bed.last_flow == Some(connection(8)), "{}", line(&told));
}

#[test]
fn a_watcher_that_does_not_come_back_is_forgotten_after_a_minute() {
    let mut bed = Bed::with(alone());
    watches(&mut bed);
    let stored = bed.disk.len();
    bed.pass(Duration::from_secs(50));
    assert_eq!((bed.node.status(bed.now).subscriptions.dialog, bed.disk.len()), (0, stored - 1));
}
