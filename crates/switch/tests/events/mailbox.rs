//! `message-summary` (RFC 3842): from the mailbox to the phones.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::HeaderName;
use tandem_switch::Directory;

use crate::support::{Bed, CALLEE, GATEWAY, OTHER, alone, body, directory, header};
use crate::watcher::{WATCHER, told, watching};

const SOME: &str = "Messages-Waiting: yes\u{1}Voice-Message: 2/0 (0/0)\u{1}";

fn with_mailbox() -> Arc<Directory> {
    directory(|options, _, _| {
        options.dr_peer_trunk = None;
        options.events.mwi_source = Some("gateway".into());
    })
}

/// What the mailbox says of an Extension.
fn says(dn: &str, summary: &str, id: u32) -> String {
    format!(
        "NOTIFY sip:{dn}@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {GATEWAY};branch=z9hG4bKmwi{id};rport\nMax-Forwards: 70\n\
         From: <sip:voicemail@vm.example>;tag=v\nTo: <sip:{dn}@10.0.0.1>\nCall-ID: mwi{id}\nCSeq: 1 NOTIFY\n\
         Contact: <sip:{GATEWAY}>\nEvent: message-summary\nSubscription-State: active\n\
         Content-Type: application/simple-message-summary\nContent-Length: {}\n\n{summary}",
        summary.len()
    )
}

#[test]
fn every_registered_phone_is_told_unasked() {
    let mut bed = Bed::with(with_mailbox());
    bed.register("1002", CALLEE);
    bed.register("1002", OTHER);
    bed.receive(GATEWAY, &says("1002", SOME, 1));
    assert_eq!(bed.one(GATEWAY).code(), Some(200));
    for phone in [CALLEE, OTHER] {
        let notify = bed.one(phone);
        assert_eq!(notify.request_uri(), Some(format!("sip:1002@{phone}").as_bytes()));
        assert_eq!(header(&notify, HeaderName::Event), "message-summary");
        assert_eq!(header(&notify, HeaderName::SubscriptionState), "active");
        assert_eq!(header(&notify, HeaderName::ContentType), "application/simple-message-summary");
        assert_eq!(body(&notify), SOME.replace('\u{1}', "\n"));
        assert!(!String::from_utf8_lossy(notify.bytes()).contains("vm.example"), "the mailbox stays hidden");
    }
}

#[test]
fn a_phone_that_comes_later_is_told_when_it_registers() {
    let mut bed = Bed::with(with_mailbox());
    bed.receive(GATEWAY, &says("1004", SOME, 1));
    bed.take(GATEWAY);
    bed.receive(WATCHER, &register());
    let got = bed.take(WATCHER);
    assert_eq!(got[0].code(), Some(200));
    assert_eq!(body(&got[1]), SOME.replace('\u{1}', "\n"));
}

#[test]
fn who_subscribed_is_told_in_his_dialog_only() {
    let mut bed = Bed::with(with_mailbox());
    bed.receive(WATCHER, &register());
    bed.take(WATCHER);
    let (_, notify) = watching(&mut bed, "1004", "message-summary");
    assert_eq!(
        (body(&notify), notify.header(HeaderName::ContentType)),
        (String::new(), None),
        "not known yet"
    );
    bed.pass(Duration::from_secs(2));
    bed.receive(GATEWAY, &says("1004", SOME, 1));
    let (text, state) = told(&mut bed);
    assert_eq!(text, SOME.replace('\u{1}', "\n"));
    assert!(state.starts_with("active;expires="), "{state}");
    bed.pass(Duration::from_secs(2));
    bed.receive(GATEWAY, &says("1004", SOME, 2));
    bed.pass(Duration::from_secs(2));
    assert!(bed.take(WATCHER).is_empty(), "nothing new");
}

#[test]
fn only_the_mailbox_itself_may_say_what_waits() {
    let mut bed = Bed::with(with_mailbox());
    bed.receive(CALLEE, &says("1001", SOME, 1).replace("sip:voicemail@vm.example", "sip:1002@x"));
    assert_eq!(bed.one(CALLEE).code(), Some(403));
    for (text, status) in [
        (says("7777", SOME, 2), 404),
        (says("1001", &"x".repeat(3000), 3), 413),
        (says("1001", SOME, 4).replace("application/simple-message-summary", "text/plain"), 415),
        (says("1001", SOME, 5).replace("Event: message-summary", "Event: dialog"), 481),
    ] {
        bed.receive(GATEWAY, &text);
        assert_eq!(bed.one(GATEWAY).code(), Some(status), "{text}");
    }
    let mut bed = Bed::with(alone());
    bed.receive(GATEWAY, &says("1001", SOME, 6));
    assert_eq!(bed.one(GATEWAY).code(), Some(481), "no mailbox is configured");
}

#[test]
fn phones_that_did_not_subscribe_may_be_left_alone() {
    let mut bed = Bed::with(directory(|options, _, _| {
        options.events.mwi_source = Some("gateway".into());
        options.events.mwi_implicit_notify = false;
    }));
    bed.register("1002", CALLEE);
    bed.receive(GATEWAY, &says("1002", SOME, 1));
    assert_eq!(bed.one(GATEWAY).code(), Some(200));
    assert!(bed.take(CALLEE).is_empty());
}

fn register() -> String {
    format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {WATCHER};branch=z9hG4bKreg;rport\nFrom: <sip:1004@tandem>;tag=r\n\
         To: <sip:1004@tandem>\nCall-ID: reg\nCSeq: 1 REGISTER\nContact: <sip:1004@{WATCHER}>;expires=600\n\
         Content-Length: 0\n\n"
    )
}
