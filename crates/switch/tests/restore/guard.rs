//! Who is locked out, and what Extensions spend, after a restart.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::trunk::TrunkOptions;
use tandem_switch::Input;
use tandem_switch::directory::DnClass;
use tandem_switch::guard::TollLimits;

use crate::bench::{STRANGER, bed as guarded};
use crate::support::{Bed, CALLER, GATEWAY, addr, answer, directory, in_dialog, invite, line};

const GAP: Duration = Duration::from_secs(100);
/// The kind of the records of lock-outs.
const LOCKED_OUT: u8 = 16;

/// 1001 is locked out at an address, for 300 s from now on.
fn locked_out() -> Bed {
    let mut bed = guarded(|options| options.guard.lockout_after = 3);
    for id in [1, 11] {
        assert_eq!(bed.tries("1001", STRANGER, "wrong", id), Some(401));
    }
    assert_eq!(written(&bed), Vec::<u64>::new(), "a failure is not stored");
    assert_eq!(bed.tries("1001", STRANGER, "wrong", 21), Some(401));
    assert_eq!(written(&bed), [1]);
    bed
}

/// How often each record of a lock-out has been written.
fn written(bed: &Bed) -> Vec<u64> {
    let records = bed.disk.changes().filter(|change| change.key.kind == LOCKED_OUT);
    records.map(|change| change.stamp.version).collect()
}

#[test]
fn who_is_locked_out_is_so_after_a_restart_until_his_time_is_over() {
    let mut bed = locked_out();
    let restored = bed.restart(GAP);
    assert_eq!(restored.locked_out, 1);
    assert!(restored.to_string().contains("1 lock-outs go on"), "{restored}");
    let held = &bed.node.lock_outs(bed.now)[0];
    assert_eq!((&*held.source, held.user.as_deref(), held.failures), ("203.0.113.7", Some("1001"), 3));
    assert_eq!(held.for_s, 200);
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 31), Some(403));
    assert_eq!(bed.tries("1002", STRANGER, "secret-1002", 31), Some(200), "another user there");
    assert_eq!(bed.restart(GAP).locked_out, 1, "nor does a second restart let him in");
    bed.pass(Duration::from_secs(101));
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 41), Some(200));
    bed.pass(Duration::from_secs(1));
    assert_eq!(written(&bed), Vec::<u64>::new());
}

#[test]
fn a_source_that_is_locked_out_as_a_whole_is_so_after_a_restart() {
    let mut bed = guarded(|options| options.guard.lockout_source_after = 4);
    for n in 0..4 {
        bed.tries(&format!("20{n}"), STRANGER, "wrong", 1);
    }
    assert_eq!(bed.restart(GAP).locked_out, 1);
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 1), Some(403));
}

#[test]
fn a_lock_out_that_an_operator_ended_or_that_ended_meanwhile_is_not_taken_up() {
    let mut bed = locked_out();
    bed.node.handle_input(Input::Release { source: addr(STRANGER).ip() }, bed.now);
    bed.drain();
    assert_eq!((bed.restart(GAP).locked_out, written(&bed)), (0, vec![]));
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 31), Some(200));
    let mut bed = locked_out();
    assert_eq!((bed.restart(3 * GAP).locked_out, written(&bed)), (0, vec![]));
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 31), Some(200));
}

#[test]
fn a_clock_that_was_set_back_locks_nobody_out_for_longer() {
    let mut bed = locked_out();
    bed.now.unix_ms -= 3_600_000;
    assert_eq!(bed.restart(Duration::ZERO).locked_out, 1);
    assert_eq!(bed.node.lock_outs(bed.now)[0].for_s, 300);
    bed.pass(Duration::from_secs(300));
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 31), Some(200));
}

/// 1001 may have so many calls beyond the switch at once; 112 is for help.
fn limited(calls: u32) -> Bed {
    let base = crate::support::alone();
    Bed::with(directory(|options, extensions, trunks| {
        *options = base.options.clone();
        options.emergency.numbers =
            vec![tandem_switch::guard::emergency::Number { dialled: "112".into(), sent: "112".into() }];
        options.emergency.trunks = vec![tandem_switch::directory::TrunkId(0)];
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        let toll = TollLimits { calls: Some(calls), ..TollLimits::default() };
        extensions[0].class = Arc::new(DnClass { toll, ..DnClass::clone(&extensions[0].class) });
    }))
}

/// 1001 dials out and is answered: the 200 that he gets.
fn talks(bed: &mut Bed, number: &str, id: &str) -> tandem_sip::Message {
    bed.receive(CALLER, &invite("1001", CALLER, number, id));
    let offered = bed.one(GATEWAY);
    bed.receive(GATEWAY, &answer(&offered, 200, id, GATEWAY, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    assert_eq!(ok.code(), Some(200));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.take(GATEWAY);
    ok
}

fn refused(bed: &mut Bed, id: &str) -> bool {
    bed.receive(CALLER, &invite("1001", CALLER, "9333", id));
    let offered = bed.lines(GATEWAY).iter().any(|line| line.starts_with("INVITE "));
    assert_eq!(offered, bed.take(CALLER).pop().unwrap().code() != Some(403));
    !offered
}

#[test]
fn calls_beyond_the_switch_count_against_their_limit_after_a_restart_until_they_end() {
    let mut bed = limited(2);
    let ok = talks(&mut bed, "9111", "a");
    talks(&mut bed, "9222", "b");
    for round in 0..3 {
        assert_eq!(bed.node.status(bed.now).guard.external_calls, 2, "round {round}");
        assert!(refused(&mut bed, &format!("c{round}")), "round {round}");
        bed.pass(Duration::from_secs(40));
        assert_eq!(bed.restart(Duration::from_secs(2)).calls, 2);
        bed.sent.clear();
    }
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(GATEWAY).pop().unwrap();
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(GATEWAY, &answer(&bye, 200, "", GATEWAY, ""));
    bed.take(CALLER);
    assert!(!refused(&mut bed, "d"), "one that ended makes room");
}

#[test]
fn a_call_that_was_being_set_up_counts_once_when_it_is_called_for_anew() {
    let mut bed = limited(1);
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "9111", "a"));
    bed.take(GATEWAY);
    bed.take(CALLER);
    assert_eq!(bed.restart(Duration::from_secs(1)).setups, 1);
    assert!(bed.lines(GATEWAY).iter().any(|line| line.starts_with("INVITE ")));
    assert_eq!(bed.node.status(bed.now).guard.external_calls, 1);
    bed.take(CALLER);
    assert!(refused(&mut bed, "b"));
}

#[test]
fn a_call_for_help_is_one_after_a_restart() {
    let mut bed = limited(0);
    talks(&mut bed, "112", "help");
    assert_eq!(bed.node.status(bed.now).guard.emergency_calls, 1);
    bed.restart(Duration::from_secs(2));
    assert_eq!(bed.node.status(bed.now).guard.emergency_calls, 1);
    assert_eq!(bed.node.status(bed.now).guard.external_calls, 0);
}
