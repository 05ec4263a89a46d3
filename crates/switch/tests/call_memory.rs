//! What an established call costs: resident memory of this process, before and after many of them.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::time::Duration;

use support::{Bed, CALLEE, CALLER, alone, answer, in_dialog, invite, with};

const OFFER: &str = "v=0~o=- 1 1 IN IP4 10.0.0.11~s=-~c=IN IP4 10.0.0.11~t=0 0~m=audio 4000 RTP/AVP 0 8 101~\
     a=rtpmap:0 PCMU/8000~a=rtpmap:8 PCMA/8000~a=rtpmap:101 telephone-event/8000~a=fmtp:101 0-15~a=ptime:20~a=sendrecv~";

fn establish(bed: &mut Bed, id: usize) {
    let text = invite("1001", CALLER, "1002", &format!("3848276298220188511@10.0.0.11-{id}"));
    let text = text.replace("v=0~", OFFER).replace("Length: 4", &format!("Length: {}", OFFER.len()));
    bed.receive(
        CALLER,
        &with(&text, "User-Agent: phone/1.0\nAllow: INVITE, ACK, CANCEL, BYE\nSupported: timer"),
    );
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 180, "a6c85cf", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 200, "a6c85cf", CALLEE, OFFER));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.sent.clear();
    bed.transports.clear();
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// Establishes calls in batches, so that transactions of one batch reuse the room of those before it.
fn grow(bed: &mut Bed, from: usize, to: usize) -> usize {
    for batch in (from..to).step_by(500) {
        for id in batch..batch + 500 {
            establish(bed, id);
        }
        bed.pass(Duration::from_secs(70));
    }
    resident()
}

#[test]
fn an_established_call_costs_at_most_three_and_a_half_kilobytes() {
    let mut bed = Bed::with(alone());
    bed.keeps = false;
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    let before = grow(&mut bed, 0, 1_000);
    let after = grow(&mut bed, 1_000, 5_000);
    assert_eq!(bed.node.call_list(bed.now).len(), 5_000);
    let each = after.saturating_sub(before) / 4_000;
    println!("{each} bytes for each established call");
    assert!((200..=3_584).contains(&each), "{each} bytes");
}
