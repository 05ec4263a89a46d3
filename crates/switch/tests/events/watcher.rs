//! A phone that watches.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};

use crate::support::{Bed, answer, body, header};

/// The phone of 1004, which watches others.
pub const WATCHER: &str = "10.0.0.14:5060";

/// A SUBSCRIBE of 1004.
pub fn subscribe(to: &str, package: &str, cseq: u32, expires: u32) -> String {
    let branch = format!("z9hG4bKsub{to}{}{cseq}", package.replace([';', '='], "-"));
    format!(
        "SUBSCRIBE sip:{to}@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {WATCHER};branch={branch};rport\n\
         Max-Forwards: 70\nFrom: <sip:1004@10.0.0.1>;tag=w{to}\nTo: <sip:{to}@10.0.0.1>\nCall-ID: sub{to}{package}\n\
         CSeq: {cseq} SUBSCRIBE\nContact: <sip:1004@{WATCHER}>\nEvent: {package}\nExpires: {expires}\n\
         Content-Length: 0\n\n"
    )
}

/// The same within the dialog that `ok` made.
pub fn again(ok: &Message, to: &str, package: &str, cseq: u32, expires: u32) -> String {
    let text = subscribe(to, package, cseq, expires);
    text.replace(&format!("To: <sip:{to}@10.0.0.1>\n"), &format!("To: {}\n", header(ok, HeaderName::To)))
}

/// 1004 subscribes: the 200, and the first NOTIFY, which it answers.
#[track_caller]
pub fn watching(bed: &mut Bed, to: &str, package: &str) -> (Message, Message) {
    bed.receive(WATCHER, &subscribe(to, package, 1, 600));
    let mut got = bed.take(WATCHER);
    assert_eq!(got.len(), 2, "a 200 and a NOTIFY");
    let notify = got.pop().unwrap();
    let ok = got.pop().unwrap();
    assert_eq!(ok.code(), Some(200));
    accept(bed, &notify);
    (ok, notify)
}

/// The watcher answers a NOTIFY with 200.
pub fn accept(bed: &mut Bed, notify: &Message) {
    assert_eq!(notify.method_token(), Some(&b"NOTIFY"[..]));
    bed.receive(WATCHER, &answer(notify, 200, "", WATCHER, ""));
}

/// The one NOTIFY that the watcher got, perhaps repeated, answered; and what it says of the subscription.
#[track_caller]
pub fn told(bed: &mut Bed) -> (String, String) {
    let got = bed.take(WATCHER);
    let notify = got.first().expect("a NOTIFY");
    assert!(got.iter().all(|again| again.bytes() == notify.bytes()), "one NOTIFY: {got:?}");
    accept(bed, notify);
    (body(notify), header(notify, HeaderName::SubscriptionState))
}

/// The same a second later, when the pace allows it.
#[track_caller]
pub fn told_in_time(bed: &mut Bed) -> String {
    bed.pass(Duration::from_secs(1));
    told(bed).0
}
