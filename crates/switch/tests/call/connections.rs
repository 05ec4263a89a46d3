//! A party that speaks by TCP: where it is reached, and when its connection is gone.

use tandem_sip::{Flow, Message, Transport};
use tandem_switch::Input;

use crate::support::{Bed, CALLEE, CALLER, addr, alone, answer, codes, from_callee, in_dialog, invite, line};

/// The caller's end of his connection, which is not where he listens.
const SOCKET: &str = "10.0.0.11:40007";

fn connection(conn: u64) -> Flow {
    Flow { transport: Transport::Tcp, local: 0, remote: addr(SOCKET), conn }
}

/// A call whose caller speaks by connection 7.
fn established(bed: &mut Bed) -> (Message, Message) {
    bed.register("1002", CALLEE);
    let by_tcp = |text: String| text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    bed.receive_by(connection(7), &by_tcp(invite("1001", CALLER, "1002", "call1")));
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.take(SOCKET).pop().unwrap();
    bed.receive_by(connection(7), &by_tcp(in_dialog(&ok, "ACK", 1, CALLER, "")));
    bed.take(CALLEE);
    (ok, offered)
}

fn lose(bed: &mut Bed, flow: Flow) {
    bed.node.handle_input(Input::FlowFailed { flow }, bed.now);
    bed.drain();
}

#[test]
fn requests_go_by_the_connection_that_the_far_end_opened() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = established(&mut bed);
    assert!(String::from_utf8_lossy(ok.bytes()).contains("Contact: <sip:10.0.0.1:5060;transport=tcp>"));
    bed.receive(CALLEE, &from_callee(&offered, "callee", "INFO", 1, CALLEE, ""));
    assert_eq!(bed.last_flow, Some(connection(7)));
}

#[test]
fn a_connection_that_is_gone_is_replaced_by_one_to_the_contact() {
    for method in ["BYE", "INFO", "INVITE"] {
        let mut bed = Bed::with(alone());
        let (_, offered) = established(&mut bed);
        bed.receive(CALLEE, &from_callee(&offered, "callee", method, 1, CALLEE, ""));
        assert!(line(&bed.one(SOCKET)).starts_with(method));
        lose(&mut bed, connection(7));
        let again = bed.one(CALLER);
        assert!(line(&again).starts_with(method), "{}", line(&again));
        let fresh = Flow { remote: addr(CALLER), conn: 0, ..connection(7) };
        assert_eq!(bed.last_flow, Some(fresh), "{method}");
        bed.take(CALLEE);
        lose(&mut bed, fresh);
        assert!(bed.take(CALLER).is_empty(), "once");
        assert_eq!(codes(&bed.take(CALLEE)), if method == "BYE" { vec![] } else { vec![500] });
    }
}

#[test]
fn a_party_that_connects_again_is_reached_by_its_new_connection() {
    let mut bed = Bed::with(alone());
    let (ok, offered) = established(&mut bed);
    let info = in_dialog(&ok, "INFO", 2, CALLER, "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    bed.receive_by(connection(8), &info);
    bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
    assert!(bed.lines(SOCKET).iter().any(|line| line.starts_with("BYE ")));
    assert_eq!(bed.last_flow.map(|flow| flow.conn), Some(8));
}

#[test]
fn a_connection_is_in_use_while_a_contact_a_call_or_a_subscription_is_reached_over_it() {
    let mut bed = Bed::with(alone());
    let in_use = |bed: &Bed| bed.node.in_use(&[7, 8, 9, 10]);
    let over = |conn: u64, text: &str| (connection(conn), text.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let (flow, invite) = over(7, &invite("1001", CALLER, "1002", "call0"));
    bed.register("1002", CALLEE);
    bed.receive_by(flow, &invite);
    assert_eq!(in_use(&bed), [7], "it rings");
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 486, "callee", CALLEE, ""));
    assert!(in_use(&bed).is_empty(), "nobody wants it");
    bed.take(CALLEE);

    let (ok, _) = established(&mut bed);
    let (flow, register) = over(
        8,
        &format!(
            "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKreg\nFrom: <sip:1004@tandem>;tag=r\n\
             To: <sip:1004@tandem>\nCall-ID: reg\nCSeq: 1 REGISTER\nContact: <sip:1004@10.0.0.77>\nContent-Length: 0\n\n"
        ),
    );
    bed.receive_by(flow, &register);
    let (flow, subscribe) = over(
        9,
        &format!(
            "SUBSCRIBE sip:1002@tandem SIP/2.0\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKsub\nMax-Forwards: 70\n\
             From: <sip:1001@tandem>;tag=w\nTo: <sip:1002@tandem>\nCall-ID: sub\nCSeq: 1 SUBSCRIBE\n\
             Contact: <sip:1001@{CALLER}>\nEvent: dialog\nExpires: 600\nContent-Length: 0\n\n"
        ),
    );
    bed.receive_by(flow, &subscribe);
    assert_eq!(in_use(&bed), [7, 8, 9]);
    let (flow, bye) = over(7, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.receive_by(flow, &bye);
    lose(&mut bed, connection(8));
    assert_eq!(in_use(&bed), [9]);
}
