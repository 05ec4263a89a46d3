//! Lamps after a restart.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};

use crate::support::{Bed, CALLER, GATEWAY, alone, answer, body, directory, header, in_dialog};
use crate::watcher::{WATCHER, accept, again, subscribe, told, watching};

const GAP: Duration = Duration::from_secs(2);
/// The kind of the records of subscriptions.
const SUBSCRIPTION: u8 = 13;

fn kept(bed: &Bed) -> usize {
    bed.disk.changes().filter(|change| change.key.kind == SUBSCRIPTION).count()
}

fn cseq(message: &Message) -> u32 {
    header(message, HeaderName::CSeq).split(' ').next().unwrap().parse().unwrap()
}

fn version(message: &Message) -> u32 {
    body(message).split("version=\"").nth(2).unwrap().split('"').next().unwrap().parse().unwrap()
}

#[test]
fn a_busy_lamp_goes_on_after_a_restart() {
    let mut bed = Bed::with(alone());
    let (subscribed, first) = watching(&mut bed, "1002", "dialog");
    let (ok, _) = bed.established();
    bed.pass(Duration::from_secs(5));
    bed.take(WATCHER).iter().for_each(|notify| accept(&mut bed, notify));
    assert_eq!(bed.restart(GAP).watchers, 1);
    let notify = bed.one(WATCHER);
    accept(&mut bed, &notify);
    let text = body(&notify);
    assert!(text.contains("state=\"full\"") && text.contains("<state>confirmed</state>"), "{text}");
    assert!(cseq(&notify) > cseq(&first) + 1 && version(&notify) > version(&first) + 1);
    assert_eq!(header(&notify, HeaderName::CallId), header(&first, HeaderName::CallId));
    bed.pass(GAP);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let (text, state) = told(&mut bed);
    assert!(text.contains("<state>terminated</state>") && state.starts_with("active"), "{text}");
    bed.receive(WATCHER, &again(&subscribed, "1002", "dialog", 2, 600));
    assert_eq!(bed.take(WATCHER)[0].code(), Some(200), "it is refreshed as if nothing had been");
}

#[test]
fn no_number_is_used_twice_however_often_the_server_dies() {
    let mut bed = Bed::with(alone());
    let (_, first) = watching(&mut bed, "1002", "dialog");
    let mut last = (cseq(&first), version(&first));
    for _ in 0..3 {
        bed.restart(GAP);
        let notify = bed.one(WATCHER);
        let now = (cseq(&notify), version(&notify));
        assert!(now.0 > last.0 && now.1 > last.1, "{now:?} after {last:?}");
        last = now;
    }
}

#[test]
fn who_ended_his_subscription_is_told_nothing_after_a_restart() {
    let mut bed = Bed::with(alone());
    let (subscribed, _) = watching(&mut bed, "1002", "dialog");
    assert_eq!(kept(&bed), 1);
    bed.receive(WATCHER, &again(&subscribed, "1002", "dialog", 2, 0));
    let notify = bed.take(WATCHER).pop().unwrap();
    accept(&mut bed, &notify);
    assert_eq!(kept(&bed), 0);
    bed.receive(WATCHER, &subscribe("1001", "dialog", 1, 0));
    assert_eq!(kept(&bed), 0, "who asks once is not kept");
    bed.sent.clear();
    assert_eq!(bed.restart(GAP).watchers, 0);
    assert!(bed.take(WATCHER).is_empty());
}

#[test]
fn a_phone_that_was_restarted_meanwhile_is_told_once() {
    let mut bed = Bed::with(alone());
    watching(&mut bed, "1002", "dialog");
    bed.restart(GAP);
    let notify = bed.one(WATCHER);
    bed.receive(WATCHER, &answer(&notify, 481, "", WATCHER, ""));
    assert_eq!((kept(&bed), bed.restart(GAP).watchers), (0, 0));
}

#[test]
fn many_watchers_are_told_one_after_the_other() {
    let mut bed = Bed::with(alone());
    for watched in ["1001", "1002", "1003"] {
        watching(&mut bed, watched, "dialog");
    }
    bed.restart(GAP);
    assert_eq!(bed.take(WATCHER).len(), 1);
    bed.pass(Duration::from_millis(1));
    assert_eq!(bed.take(WATCHER).len(), 1);
    bed.pass(Duration::from_millis(1));
    assert_eq!(bed.take(WATCHER).len(), 1);
}

#[test]
fn what_a_mailbox_said_is_known_after_a_restart() {
    let mut bed = Bed::with(directory(|options, _, _| {
        options.dr_peer_trunk = None;
        options.events.mwi_source = Some("gateway".into());
    }));
    let summary = "Messages-Waiting: yes\u{1}Voice-Message: 2/0 (0/0)\u{1}";
    bed.receive(
        GATEWAY,
        &format!(
            "NOTIFY sip:1004@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {GATEWAY};branch=z9hG4bKmwi;rport\nMax-Forwards: 70\n\
             From: <sip:voicemail@vm.example>;tag=v\nTo: <sip:1004@10.0.0.1>\nCall-ID: mwi\nCSeq: 1 NOTIFY\n\
             Contact: <sip:{GATEWAY}>\nEvent: message-summary\nSubscription-State: active\n\
             Content-Type: application/simple-message-summary\nContent-Length: {}\n\n{summary}",
            summary.len()
        ),
    );
    watching(&mut bed, "1004", "message-summary");
    bed.sent.clear();
    bed.restart(GAP);
    assert_eq!(told(&mut bed).0, summary.replace('\u{1}', "\n"));
}
