//! What was stored gives the same bindings back.

use crate::desk::{Desk, Register, tcp};
use proptest::prelude::*;
use tandem_peer::ReplicaSet;
use tandem_peer::replica::Op;
use tandem_switch::registrar::Registrar;

/// A second registrar, from the records that the first one logged.
fn restarted(desk: &mut Desk) -> Desk {
    let mut stored = ReplicaSet::new();
    while let Some(batch) = desk.log.take_batch() {
        for change in batch.changes() {
            stored.apply(&change);
        }
    }
    let mut next = Desk::new();
    next.now = desk.now;
    next.registrar = Registrar::new(&next.directory);
    next.log.begin_epoch(2);
    for change in stored.changes() {
        assert!(next.registrar.restore(&change, &next.directory, &mut next.log));
    }
    next
}

fn all(desk: &Desk) -> Vec<Vec<tandem_switch::registrar::Binding>> {
    ["1001", "1002", "1003", "1004"].map(|n| desk.bindings(n)).into()
}

#[test]
fn bindings_survive_a_restart_whole_and_in_order() {
    let mut desk = Desk::new();
    let two = "<sip:a@192.0.2.10>;q=0.5;+sip.instance=\"<urn:uuid:1>\", <sip:b@192.0.2.99:5070>";
    desk.register(&Register::of("1001").contact(two)).unwrap();
    desk.pass(1);
    desk.register(&Register::of("1001").contact("<sip:c@phone.example.com>;q=0.5").cseq(2)).unwrap();
    desk.register(&Register::of("1002").contact("<sip:x@192.0.2.12>")).unwrap();
    desk.register(&Register::of("1002").contact("*").expires("0").cseq(2)).unwrap();
    let mut next = restarted(&mut desk);
    assert_eq!(all(&next), all(&desk));
    assert_eq!(next.registrar.next_expiry(), desk.registrar.next_expiry());
    next.register(&Register::of("1001").contact("<sip:b@192.0.2.99:5070>").cseq(3)).unwrap();
    assert_eq!(next.registrar.len(), 3, "a refresh after the restart finds its binding");
    assert_eq!(next.refusal(&Register::of("1001").contact("<sip:c@phone.example.com>").cseq(2)).0, 500);
}

#[test]
fn a_restart_ends_connections_like_their_closing_does() {
    let mut desk = Desk::new();
    let (dialable, private) = ("<sip:1001@192.0.2.10:5066>", "<sip:1002@10.0.0.2>");
    desk.register(&Register::of("1001").contact(dialable).flow(tcp("192.0.2.10:33333", 17))).unwrap();
    desk.register(&Register::of("1002").contact(private).flow(tcp("203.0.113.9:33333", 18))).unwrap();
    let next = restarted(&mut desk);
    for conn in [17, 18] {
        desk.flow_failed(tcp("192.0.2.10:33333", conn));
    }
    assert_eq!(all(&next), all(&desk));
    assert_eq!(next.only("1001").flow(), tcp("192.0.2.10:5066", 0));
    assert!(!next.only("1002").reachable());
}

#[test]
fn a_new_binding_after_a_restart_takes_no_number_that_was_used() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>")).unwrap();
    let mut next = restarted(&mut desk);
    next.register(&Register::of("1002").contact("<sip:b@192.0.2.10>")).unwrap();
    assert_eq!(restarted(&mut next).registrar.len(), 1, "only what was logged since the restart");
    let batch = {
        next.register(&Register::of("1003").contact("<sip:c@192.0.2.10>")).unwrap();
        next.log.take_batch().unwrap()
    };
    assert_eq!(batch.changes().map(|c| c.key.id).collect::<Vec<_>>(), [3]);
}

#[test]
fn the_record_of_a_dn_that_is_no_more_is_deleted() {
    let mut desk = Desk::new();
    desk.register(&Register::of("1001").contact("<sip:a@192.0.2.10>")).unwrap();
    let change = desk.log.take_batch().unwrap().changes().next().unwrap();
    let mut next = Desk::new();
    next.directory = crate::desk::directory(&["2000"], Default::default(), Default::default());
    next.registrar = Registrar::new(&next.directory);
    next.log.begin_epoch(2);
    assert!(next.registrar.restore(&change, &next.directory, &mut next.log));
    assert!(next.registrar.is_empty());
    let deletion = next.log.take_batch().unwrap().changes().next().unwrap();
    assert_eq!((deletion.key, deletion.op), (change.key, Op::Delete));
}

#[test]
fn every_change_is_logged_before_it_is_told() {
    let mut desk = Desk::new();
    let logged = |desk: &mut Desk, phone: Register| {
        desk.register(&phone).unwrap();
        desk.log.take_batch().map_or(0, |batch| batch.changes().count())
    };
    let phone = || Register::of("1001").contact("<sip:a@192.0.2.10>");
    assert_eq!(logged(&mut desk, phone()), 1);
    assert_eq!(logged(&mut desk, phone().cseq(2)), 1);
    assert_eq!(logged(&mut desk, phone().contact("<sip:b@192.0.2.10>").cseq(3)), 2);
    assert_eq!(logged(&mut desk, Register::of("1001").contact("*").expires("0").cseq(4)), 2);
    desk.register(&phone().cseq(5)).unwrap();
    desk.log.take_batch().unwrap();
    desk.pass(3600);
    desk.expire();
    assert_eq!(desk.log.take_batch().unwrap().changes().filter(|c| c.op == Op::Delete).count(), 1);
}

proptest! {
    #[test]
    fn damaged_records_are_refused_or_read_but_never_panic(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut desk = Desk::new();
        desk.register(&Register::of("1001").contact("<sip:a@[2001:db8::1]>;x=y").flow(tcp("[2001:db8::1]:9", 4))).unwrap();
        let mut change = desk.log.take_batch().unwrap().changes().next().unwrap();
        let Op::Put(bytes) = &change.op else { panic!("not stored") };
        let mut bytes = bytes.to_vec();
        let position = at.index(bytes.len());
        bytes[position] = byte;
        bytes.truncate(cut.index(bytes.len() * 4).min(bytes.len()));
        change.op = Op::Put(bytes.into());
        let mut next = Desk::new();
        if next.registrar.restore(&change, &next.directory, &mut next.log) {
            next.lines("1001");
        }
    }
}
