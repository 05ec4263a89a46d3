//! Phones over TCP that ring or talk when the server dies: they are known by their instance when they come back.

use std::time::Duration;

use tandem_sip::{Flow, HeaderName, Message, Transport};

use crate::support::{
    Bed, CALLER, addr, alone, answer, cancel_of, codes, from_callee, header, in_dialog, invite, line,
};

const GAP: Duration = Duration::from_secs(1);
/// Ends of a phone's connections, one after the other. Its Contact names them, though nobody listens there.
const BEFORE: &str = "10.0.0.12:40007";
const AFTER: &str = "10.0.0.12:40008";
/// Another phone of the same number.
const OTHER_BEFORE: &str = "10.0.0.13:40007";
const OTHER_AFTER: &str = "10.0.0.13:40008";

fn by(at: &str, conn: u64) -> Flow {
    Flow { transport: Transport::Tcp, local: 0, remote: addr(at), conn }
}

/// 1002 registers from there by this connection, as this instance.
fn registers(bed: &mut Bed, at: &str, conn: u64, instance: &str) {
    let text = format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/TCP {at};branch=z9hG4bKr{conn};rport\nFrom: <sip:1002@tandem>;tag=r\n\
         To: <sip:1002@tandem>\nCall-ID: r{conn}\nCSeq: {conn} REGISTER\n\
         Contact: <sip:1002@{at};transport=tcp>;expires=3600;+sip.instance=\"<urn:uuid:{instance}>\"\nContent-Length: 0\n\n"
    );
    let (_, others) = split(bed, at, |bed| bed.receive_by(by(at, conn), &text));
    bed.sent.extend(others.into_iter().map(|message| (addr(at), message)));
}

/// What was sent there meanwhile: the 200 of a REGISTER, and all else.
fn split(bed: &mut Bed, at: &str, act: impl FnOnce(&mut Bed)) -> (Message, Vec<Message>) {
    act(bed);
    let (mut answers, others): (Vec<Message>, Vec<Message>) =
        bed.take(at).into_iter().partition(|message| header(message, HeaderName::CSeq).ends_with("REGISTER"));
    assert_eq!(codes(&answers), [200]);
    (answers.remove(0), others)
}

fn by_tcp(text: &str) -> String {
    text.replace("SIP/2.0/UDP", "SIP/2.0/TCP")
}

/// 1001 calls 1002, whose phone or phones have registered. The INVITE that came there.
fn called(bed: &mut Bed, id: &str) -> Message {
    bed.receive(CALLER, &invite("1001", CALLER, "1002", id));
    let offered = bed.take(BEFORE).pop().unwrap();
    bed.receive_by(by(BEFORE, 7), &answer(&offered, 180, "callee", BEFORE, ""));
    offered
}

/// The same, answered.
fn talking(bed: &mut Bed, id: &str) -> (Message, Message) {
    let offered = called(bed, id);
    bed.receive_by(by(BEFORE, 7), &answer(&offered, 200, "callee", BEFORE, "answer"));
    let ok = bed.take(CALLER).pop().unwrap();
    assert_eq!(ok.code(), Some(200));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(BEFORE);
    // What the server owes either party of the answer is over.
    bed.pass(Duration::from_secs(40));
    (offered, ok)
}

fn with_phone() -> Bed {
    let mut bed = Bed::with(alone());
    bed.register("1001", CALLER);
    registers(&mut bed, BEFORE, 7, "a");
    bed
}

#[test]
fn bca_12_requests_to_a_phone_that_cannot_be_dialled_wait_for_it() {
    let mut bed = with_phone();
    let (_, one) = talking(&mut bed, "call1");
    let (_, two) = talking(&mut bed, "call2");
    assert_eq!(bed.restart(GAP).calls, 2);
    bed.sent.clear();
    bed.receive(CALLER, &in_dialog(&one, "INFO", 2, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&two, "BYE", 2, CALLER, ""));
    assert_eq!(bed.take(BEFORE).len(), 2, "it is dialled where its Contact says");
    bed.refuse(BEFORE, Transport::Tcp);
    bed.pass(Duration::from_secs(15));
    assert_eq!(codes(&bed.take(CALLER)), [200], "of the BYE");
    registers(&mut bed, AFTER, 8, "a");
    let mut sent = bed.take(AFTER);
    sent.sort_by_key(|message| std::cmp::Reverse(line(message)));
    let lines: Vec<String> = sent.iter().map(line).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("INFO ") && lines[1].starts_with("BYE "), "{lines:?}");
    bed.receive_by(by(AFTER, 8), &answer(&sent[0], 200, "", AFTER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
}

#[test]
fn a_request_to_a_phone_that_cannot_be_dialled_and_does_not_come_back_fails_after_20_seconds() {
    let mut bed = with_phone();
    let (_, ok) = talking(&mut bed, "call1");
    bed.restart(GAP);
    bed.sent.clear();
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
    bed.refuse(BEFORE, Transport::Tcp);
    bed.pass(Duration::from_millis(19_900));
    assert!(bed.take(CALLER).is_empty());
    bed.pass(Duration::from_millis(200));
    assert_eq!(codes(&bed.take(CALLER)), [500]);
}

#[test]
fn another_phone_of_the_number_that_comes_back_first_is_not_taken_for_it() {
    let mut bed = with_phone();
    registers(&mut bed, OTHER_BEFORE, 17, "b");
    let (_, ok) = talking(&mut bed, "call1");
    bed.restart(GAP);
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
    bed.refuse(BEFORE, Transport::Tcp);
    bed.sent.clear();
    registers(&mut bed, OTHER_AFTER, 18, "b");
    assert!(bed.sent.is_empty(), "{:?}", bed.sent);
    registers(&mut bed, AFTER, 8, "a");
    assert!(line(&bed.one(AFTER)).starts_with("INFO "));
}

#[test]
fn bca_12_a_dialog_that_was_bound_anew_is_known_to_the_next_server_that_goes_on() {
    let mut bed = with_phone();
    registers(&mut bed, OTHER_BEFORE, 17, "b");
    let (offered, ok) = talking(&mut bed, "call1");
    bed.restart(GAP);
    registers(&mut bed, AFTER, 8, "a");
    registers(&mut bed, OTHER_AFTER, 18, "b");
    // From here on nothing but the flow of the dialog says which of the two it is.
    bed.restart(GAP);
    bed.sent.clear();
    let (last, other) = ("10.0.0.12:40009", "10.0.0.13:40009");
    registers(&mut bed, other, 19, "b");
    registers(&mut bed, last, 9, "a");
    bed.receive(CALLER, &in_dialog(&ok, "INFO", 2, CALLER, ""));
    bed.take(CALLER);
    assert!(line(&bed.one(last)).starts_with("INFO ") && bed.take(other).is_empty());
    bed.receive_by(by(last, 9), &by_tcp(&from_callee(&offered, "callee", "BYE", 1, last, "")));
    assert_eq!(codes(&bed.take(last)), [200]);
    assert!(line(&bed.take(CALLER).pop().unwrap()).starts_with("BYE "));
}

/// 1002 rings, and the server dies.
fn rings(bed: &mut Bed) -> Message {
    let offered = called(bed, "call1");
    assert_eq!(codes(&bed.take(CALLER)), [100, 180]);
    assert_eq!(bed.restart(GAP).setups, 1);
    bed.refuse(BEFORE, Transport::Tcp);
    bed.sent.clear();
    offered
}

fn branch(message: &Message) -> Vec<u8> {
    message.envelope().unwrap().via.branch().unwrap().to_vec()
}

#[test]
fn bca_12_a_phone_that_rang_rings_no_more_once_it_is_back_and_is_called_anew() {
    let mut bed = with_phone();
    let offered = rings(&mut bed);
    bed.pass(Duration::from_secs(10));
    assert_eq!(codes(&bed.take(CALLER)), [100], "he waits");
    registers(&mut bed, AFTER, 8, "a");
    let told = bed.take(AFTER);
    let lines: Vec<String> = told.iter().map(line).collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("CANCEL ") && lines[1].starts_with("INVITE "),
        "{lines:?}"
    );
    assert_eq!(branch(&told[0]), branch(&offered));
    bed.receive_by(by(AFTER, 8), &answer(&told[0], 200, "callee", AFTER, ""));
    bed.receive_by(by(AFTER, 8), &answer(&offered, 487, "callee", AFTER, ""));
    assert!(line(&bed.one(AFTER)).starts_with("ACK "));
    bed.receive_by(by(AFTER, 8), &answer(&told[1], 200, "again", AFTER, "answer"));
    let ok = bed.take(CALLER).pop().unwrap();
    assert_eq!(ok.code(), Some(200));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(AFTER).pop().unwrap();
    bed.receive_by(by(AFTER, 8), &answer(&bye, 200, "", AFTER, ""));
    bed.pass(Duration::from_secs(100));
    assert_eq!((bed.cdrs.len(), bed.node.call_list(bed.now).len()), (1, 0), "{:?}", bed.cdrs);
}

#[test]
fn a_phone_that_answers_what_it_rang_for_as_it_comes_back_is_hung_up_on() {
    let mut bed = with_phone();
    let offered = rings(&mut bed);
    bed.receive_by(by(AFTER, 8), &answer(&offered, 200, "callee", AFTER, "answer"));
    let lines = bed.lines(AFTER);
    assert!(lines.len() == 2 && lines[0].starts_with("ACK ") && lines[1].starts_with("BYE "), "{lines:?}");
    registers(&mut bed, AFTER, 8, "a");
    let lines = bed.lines(AFTER);
    assert!(lines.len() == 1 && lines[0].starts_with("INVITE "), "nothing is left to take back: {lines:?}");
}

#[test]
fn another_phone_of_the_number_is_not_told_to_ring_no_more() {
    let mut bed = with_phone();
    registers(&mut bed, OTHER_BEFORE, 17, "b");
    called(&mut bed, "call1");
    bed.restart(GAP);
    bed.refuse(BEFORE, Transport::Tcp);
    bed.refuse(OTHER_BEFORE, Transport::Tcp);
    bed.sent.clear();
    registers(&mut bed, OTHER_AFTER, 18, "b");
    let invites = |lines: &[String]| lines.iter().filter(|line| line.starts_with("INVITE ")).count();
    let cancels = |lines: &[String]| lines.iter().filter(|line| line.starts_with("CANCEL ")).count();
    let lines = bed.lines(OTHER_AFTER);
    assert_eq!((cancels(&lines), invites(&lines)), (1, 1), "its own alone: {lines:?}");
    registers(&mut bed, AFTER, 8, "a");
    let lines = bed.lines(AFTER);
    assert_eq!((cancels(&lines), invites(&lines)), (1, 0), "its own, while the other rings: {lines:?}");
}

#[test]
fn a_caller_whose_callee_does_not_come_back_is_told_so_after_20_seconds() {
    let mut bed = with_phone();
    rings(&mut bed);
    bed.pass(Duration::from_millis(19_900));
    assert_eq!(codes(&bed.take(CALLER)), [100]);
    bed.pass(Duration::from_millis(200));
    assert!(line(&bed.one(BEFORE)).starts_with("INVITE "), "a last time");
    bed.refuse(BEFORE, Transport::Tcp);
    assert_eq!(codes(&bed.take(CALLER)), [480]);
    bed.pass(Duration::from_secs(100));
    assert_eq!((bed.cdrs.len(), bed.node.call_list(bed.now).len()), (1, 0), "{:?}", bed.cdrs);
}

#[test]
fn a_caller_who_waits_for_a_phone_to_come_back_may_give_up() {
    let mut bed = with_phone();
    rings(&mut bed);
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert_eq!(codes(&bed.take(CALLER)), [200, 487]);
    registers(&mut bed, AFTER, 8, "a");
    let lines = bed.lines(AFTER);
    assert!(lines.len() == 1 && lines[0].starts_with("CANCEL "), "{lines:?}");
}
