//! Records of another release.

use std::path::Path;
use std::time::Duration;

use tandem_switch::{Input, Migrate, MigrateOrder};

use crate::fixture;
use crate::support::{Bed, GATEWAY, OTHER, PEER, answer, directory, invite};
use crate::watcher::watching;

#[test]
fn what_another_release_stored_of_phones_calls_lamps_and_orders_is_read() {
    let directory = directory(|options, _, _| options.events.mwi_source = Some("gateway".into()));
    let mut bed = Bed::with(directory);
    for probe in bed.take(PEER) {
        bed.receive(PEER, &answer(&probe, 200, "peer", PEER, ""));
    }
    bed.established();
    bed.receive(OTHER, &invite("1004", OTHER, "1002", "call2"));
    bed.receive(
        GATEWAY,
        &format!(
            "NOTIFY sip:1004@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {GATEWAY};branch=z9hG4bKmwi;rport\nMax-Forwards: 70\n\
             From: <sip:voicemail@vm.example>;tag=v\nTo: <sip:1004@10.0.0.1>\nCall-ID: mwi\nCSeq: 1 NOTIFY\n\
             Contact: <sip:{GATEWAY}>\nEvent: message-summary\nSubscription-State: active\n\
             Content-Type: application/simple-message-summary\nContent-Length: 5\n\nM: y\u{1}"
        ),
    );
    watching(&mut bed, "1002", "dialog");
    let (to, by, every) = ("site-b".into(), "ops".into(), Duration::from_secs(600));
    let order = MigrateOrder::To(Migrate { to, by, percent: 75, group: None, step: 25, every });
    bed.node.handle_input(Input::Migrate(order), bed.now);
    bed.drain();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/restore/records.txt");
    fixture::check(&file, &bed.directory, &bed.disk, bed.now.unix_ms + 2_000);
}
