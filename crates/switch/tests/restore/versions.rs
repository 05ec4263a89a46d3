//! Records of another release.

use std::path::Path;
use std::time::Duration;

use tandem_switch::anchor::{AnchorNews, AnchorOrder, MediaChoice, Seat};
use tandem_switch::call::NailUp;
use tandem_switch::directory::DnId;
use tandem_switch::{Input, Migrate, MigrateOrder, Restored};

use crate::bench::{STRANGER, guarded};
use crate::fixture;
use crate::support::{Bed, CALLER, GATEWAY, OTHER, PEER, answer, directory, invite, sdp, with};
use crate::watcher::watching;

#[test]
fn what_another_release_stored_of_phones_calls_lamps_and_orders_is_read() {
    let directory = directory(|options, extensions, _| {
        (options.events.mwi_source, options.media) = (Some("gateway".into()), true);
        for extension in extensions.iter_mut().filter(|extension| &*extension.number == "1004") {
            let mut class = (*extension.class).clone();
            class.media.choice = MediaChoice::Anchor;
            extension.class = class.into();
        }
    });
    let mut bed = Bed::with(directory);
    for probe in bed.take(PEER) {
        bed.receive(PEER, &answer(&probe, 200, "peer", PEER, ""));
    }
    bed.established();
    let calls = with(&invite("1004", OTHER, "1002", "call2"), "Content-Type: application/sdp");
    let (head, _) = calls.split_once("Content-Length").unwrap();
    let offer = sdp("1004", "sendrecv");
    bed.receive(OTHER, &format!("{head}Content-Length: {}\n\n{offer}", offer.len()));
    bed.receive(
        GATEWAY,
        &format!(
            "NOTIFY sip:1004@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {GATEWAY};branch=z9hG4bKmwi;rport\nMax-Forwards: 70\n\
             From: <sip:voicemail@vm.example>;tag=v\nTo: <sip:1004@10.0.0.1>\nCall-ID: mwi\nCSeq: 1 NOTIFY\n\
             Contact: <sip:{GATEWAY}>\nEvent: message-summary\nSubscription-State: active\n\
             Content-Type: application/simple-message-summary\nContent-Length: 5\n\nM: y\u{1}"
        ),
    );
    anchored(&mut bed);
    watching(&mut bed, "1002", "dialog");
    let (to, by, every) = ("site-b".into(), "ops".into(), Duration::from_secs(600));
    let order = MigrateOrder::To(Migrate { to, by, percent: 75, group: None, step: 25, every });
    bed.node.handle_input(Input::Migrate(order), bed.now);
    bed.drain();
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/restore").join(name);
    let at = bed.now.unix_ms + 2_000;
    let restored = fixture::check(&file("records.txt"), &bed.directory, &bed.disk, at);
    assert_eq!(restored.trunks, 1);
    // Calls had no accounts then, and trunks and anchored legs no records.
    let older = fixture::older(&file("older.txt"), &bed.directory, at);
    assert_eq!(Restored { trunks: 1, trunks_out: 0, anchored: 1, ..older }, restored);
}

#[test]
fn what_another_release_stored_of_trunks_lock_outs_and_nailed_up_connections_is_read() {
    let mut bed = Bed::with(guarded(|options, _| {
        options.guard.lockout_after = 2;
        options.authenticate.invite = false;
        options.toll.calls = Some(5);
    }));
    for id in [1, 11] {
        bed.tries("1001", STRANGER, "wrong", id);
    }
    bed.receive(CALLER, &invite("1002", CALLER, "9123", "a"));
    let offered = bed.one(GATEWAY);
    bed.receive(GATEWAY, &with(&answer(&offered, 503, "b", GATEWAY, ""), "Retry-After: 30"));
    bed.pass(Duration::from_secs(60));
    bed.receive(CALLER, &invite("1002", CALLER, "9456", "b"));
    let offered = bed.take(GATEWAY).pop().unwrap();
    bed.receive(GATEWAY, &answer(&offered, 200, "b", GATEWAY, "answer"));
    assert_eq!(bed.node.status(bed.now).guard.external_calls, 1);
    let nail = NailUp { ticket: None, dn: DnId(2), at: "gcti::park".into(), idle: Duration::ZERO };
    bed.node.control(bed.now, |calls, rooms| calls.nail(rooms, nail)).unwrap();
    bed.drain();
    let phone = "10.0.0.33:5060";
    let first = bed.one(phone);
    let ok = answer(&first, 200, "nail", phone, &sdp("phone", "sendrecv"));
    bed.receive(phone, &with(&ok, "Content-Type: application/sdp"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/restore/guard.txt");
    let restored = fixture::check(&file, &bed.directory, &bed.disk, bed.now.unix_ms + 2_000);
    assert_eq!((restored.calls, restored.nailed), (1, 1));
    assert_eq!((restored.trunks, restored.locked_out), (1, 1));
}

/// A media server carries what 1004 offers.
fn anchored(bed: &mut Bed) {
    let AnchorOrder::Describe { id, turn, sdp, .. } = bed.anchors.remove(0) else {
        panic!("1004 is anchored")
    };
    let seat = Seat { name: "tandem-7-00000001-a0".into(), engine: "10.0.0.50:22222".parse().unwrap() };
    for news in [AnchorNews::Placed { id, seat }, AnchorNews::Described { id, turn, sdp }] {
        bed.node.handle_input(Input::Anchor(news), bed.now);
    }
    bed.drain();
}
