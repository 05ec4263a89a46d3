//! The `reg` package (RFC 3680): the contacts of an Extension, for its owner.

use std::time::Duration;

use crate::support::{Bed, OTHER, alone};
use crate::watcher::{WATCHER, told, told_in_time, watching};

#[test]
fn contacts_come_and_go() {
    let mut bed = Bed::with(alone());
    let (_, notify) = watching(&mut bed, "1004", "reg");
    let text = String::from_utf8_lossy(notify.body()).into_owned();
    assert!(text.contains("aor=\"sip:1004@10.0.0.1\" id=\"a\" state=\"init\""), "{text}");
    bed.pass(Duration::from_secs(2));
    bed.register("1004", OTHER);
    let (text, _) = told(&mut bed);
    assert!(text.contains("version=\"1\" state=\"full\"") && text.contains("state=\"active\""), "{text}");
    assert!(text.contains(&format!("<uri>sip:1004@{OTHER}</uri>")), "{text}");
    assert!(text.contains("event=\"registered\" q=\"1.000\" expires=\"3600\""), "{text}");
    bed.pass(Duration::from_secs(10));
    bed.receive(OTHER, &removal());
    assert_eq!(bed.one(OTHER).code(), Some(200));
    let (text, _) = told(&mut bed);
    assert!(text.contains("id=\"a\" state=\"terminated\""), "{text}");
    assert!(text.contains("state=\"terminated\" event=\"unregistered\""), "{text}");
}

#[test]
fn a_contact_that_expires_is_told_and_a_refresh_is_not() {
    let mut bed = Bed::with(alone());
    let short = registration(30, 1);
    bed.receive(OTHER, &short);
    bed.take(OTHER);
    watching(&mut bed, "1004", "reg");
    bed.pass(Duration::from_secs(10));
    bed.receive(OTHER, &registration(30, 2));
    bed.take(OTHER);
    bed.pass(Duration::from_secs(2));
    assert!(bed.take(WATCHER).is_empty());
    bed.pass(Duration::from_secs(29));
    let text = told_in_time(&mut bed);
    assert!(text.contains("state=\"terminated\" event=\"expired\""), "{text}");
}

fn registration(expires: u32, cseq: u32) -> String {
    format!(
        "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {OTHER};branch=z9hG4bKreg{cseq};rport\nFrom: <sip:1004@tandem>;tag=r\n\
         To: <sip:1004@tandem>\nCall-ID: reg\nCSeq: {cseq} REGISTER\nContact: <sip:1004@{OTHER}>;expires={expires}\n\
         Content-Length: 0\n\n"
    )
}

fn removal() -> String {
    registration(0, 9)
}
