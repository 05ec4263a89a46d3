//! What an operator has ordered, after a restart.

use std::time::Duration;

use tandem_peer::ReplicaSet;
use tandem_switch::{DrainOrder, Event, Input, Migrate, MigrateOrder, says_drained};

use crate::support::{Bed, CALLEE, CALLER, PEER, alone, answer, codes, in_dialog, invite};

const GAP: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(100);

fn drains(bed: &mut Bed) {
    bed.node.handle_input(Input::Drain(DrainOrder::Start { by: "ops".into() }), bed.now);
    bed.drain();
}

fn drained(bed: &Bed) -> usize {
    bed.events.iter().filter(|event| matches!(event, Event::Drained { .. })).count()
}

fn says_so(disk: &ReplicaSet) -> bool {
    disk.changes().any(|change| says_drained(&change))
}

#[test]
fn a_drain_goes_on_after_a_restart_and_ends_with_the_last_call() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    drains(&mut bed);
    let before = bed.node.drain_status(bed.now);
    let restored = bed.restart(GAP);
    assert_eq!(restored.draining.as_deref(), Some("ops"));
    assert!(restored.to_string().contains("the graceful shutdown that ops asked for goes on"), "{restored}");
    let after = bed.node.drain_status(bed.now);
    assert_eq!((after.state, &after.by, after.calls_then), ("draining", &before.by, before.calls_then));
    assert_eq!(after.since_s, Some(2));
    bed.receive(CALLEE, &invite("1002", CALLEE, "1001", "call2"));
    assert_eq!(codes(&bed.take(CALLEE)), [603]);
    bed.pass(LONG);
    assert_eq!((drained(&bed), says_so(&bed.disk)), (0, false));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(CALLEE).pop().unwrap();
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    bed.pass(LONG);
    assert_eq!((drained(&bed), says_so(&bed.disk)), (1, true));
}

#[test]
fn the_end_of_a_drain_is_told_once_it_is_stored() {
    let mut bed = Bed::with(alone());
    drains(&mut bed);
    bed.commit = false;
    bed.pass(LONG);
    assert_eq!(drained(&bed), 0, "the process would end, and the other server would not know");
    bed.persist_silently();
    assert!(says_so(&bed.disk));
}

#[test]
fn a_server_that_is_started_after_its_drain_was_complete_serves() {
    let mut bed = Bed::with(alone());
    drains(&mut bed);
    bed.pass(LONG);
    assert_eq!(drained(&bed), 1);
    assert_eq!(bed.restart(GAP).draining, None);
    assert!(!bed.node.is_draining());
    assert_eq!(bed.disk.len(), 0, "nothing is left of it");
    bed.offered();
}

#[test]
fn a_drain_that_was_called_off_is_not_taken_up() {
    let mut bed = Bed::with(alone());
    for _ in 0..2 {
        drains(&mut bed);
        bed.node.handle_input(Input::Drain(DrainOrder::Abort { by: "ops".into() }), bed.now);
        bed.drain();
    }
    assert_eq!((bed.restart(GAP).draining, bed.disk.len()), (None, 0));
    drains(&mut bed);
    assert_eq!(bed.restart(GAP).draining.as_deref(), Some("ops"), "a later one is");
}

fn migrates(bed: &mut Bed, percent: u8) {
    let (to, by, every) = ("site-b".into(), "ops".into(), Duration::from_secs(600));
    let order = MigrateOrder::To(Migrate { to, by, percent, group: None, step: 25, every });
    assert_eq!(bed.node.may_migrate(&order), Ok(()));
    bed.node.handle_input(Input::Migrate(order), bed.now);
    bed.drain();
}

#[test]
fn a_migration_goes_on_after_a_restart_at_its_share() {
    let mut bed = Bed::new();
    for probe in bed.take(PEER) {
        bed.receive(PEER, &answer(&probe, 200, "peer", PEER, ""));
    }
    migrates(&mut bed, 75);
    bed.pass(Duration::from_secs(5));
    let before = bed.node.migration_status(bed.now);
    assert_eq!((before.percent, before.target), (25, 75));
    let restored = bed.restart(GAP);
    assert_eq!(restored.migrating, Some(("site-b".into(), 25)));
    let after = bed.node.migration_status(bed.now);
    assert_eq!((after.percent, after.target, after.step, after.every_s), (25, 75, 25, 600));
    assert_eq!((after.to, after.by), (before.to, before.by));
    bed.node.handle_input(Input::Migrate(MigrateOrder::Abort { by: "ops".into() }), bed.now);
    bed.drain();
    let kinds: Vec<u8> = bed.disk.changes().map(|change| change.key.kind).collect();
    assert_eq!((bed.restart(GAP).migrating, kinds), (None, vec![15]), "but what is believed of the peer");
}
