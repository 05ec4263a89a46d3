//! While more comes than is done: who is refused, and who is not.

use std::time::Duration;

use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::TrunkId;
use tandem_switch::guard::Emergency;
use tandem_switch::guard::emergency::Number;
use tandem_switch::overload::{Burden, Change};
use tandem_switch::{Event, Input, Load};

use crate::bench::{STRANGER, bed, register};
use crate::support::{Bed, CALLEE, CALLER, GATEWAY, answer, header, in_dialog, invite};

fn options(at: &str, id: u32) -> String {
    register("1001", at, id).replace("REGISTER", "OPTIONS")
}

/// Time passes while the driver is so far behind.
fn under(bed: &mut Bed, behind: Duration, seconds: u64) {
    for _ in 0..seconds * 10 {
        bed.pass(Duration::from_millis(100));
        bed.node.handle_input(Input::Load(Load { waits: behind, queued_percent: 0 }), bed.now);
        bed.drain();
    }
}

fn pressed() -> Bed {
    let mut bed = bed(|options| {
        let help = Number { dialled: "112".into(), sent: "112".into() };
        options.emergency =
            Emergency { numbers: vec![help], trunks: vec![TrunkId(0)], ..Emergency::default() };
    });
    assert_eq!(bed.tries("1001", CALLER, "secret-1001", 1), Some(200));
    assert_eq!(bed.tries("1002", CALLEE, "secret-1002", 1), Some(200));
    bed
}

fn of_the_load(bed: &Bed) -> Vec<Change> {
    let changes = bed.events.iter().filter_map(|event| {
        let Event::Overload(change) = event else { return None };
        Some(*change)
    });
    changes.collect()
}

/// The gateway calls 1002, who answers: the 200.
fn talks(bed: &mut Bed) -> Message {
    bed.receive(GATEWAY, &invite("0301", GATEWAY, "1002", "talk"));
    let offered = bed.take(CALLEE).pop().unwrap();
    bed.receive(CALLEE, &answer(&offered, 200, "t", CALLEE, ""));
    let ok = bed.take(GATEWAY).pop().unwrap();
    bed.receive(GATEWAY, &in_dialog(&ok, "ACK", 1, GATEWAY, ""));
    bed.take(CALLEE);
    ok
}

#[test]
fn strangers_are_told_to_come_later_while_calls_in_progress_and_calls_for_help_notice_nothing() {
    let mut bed = pressed();
    let ok = talks(&mut bed);
    under(&mut bed, Duration::from_secs(1), 10);
    for (text, at) in [
        (options(STRANGER, 1), STRANGER),
        (invite("1003", STRANGER, "1002", "s"), STRANGER),
        (invite("0301", GATEWAY, "1002", "new"), GATEWAY),
    ] {
        bed.receive(at, &text);
        let refused = bed.take(at).pop().unwrap();
        assert_eq!(refused.code(), Some(503), "{}", text.lines().next().unwrap());
        let after: u64 = header(&refused, HeaderName::RetryAfter).parse().unwrap();
        assert!((12..=24).contains(&after), "Retry-After: {after}");
    }
    let counters = bed.node.counters();
    assert_eq!((counters.shed_chat, counters.shed_calls, counters.shed_registrations), (1, 2, 0));
    assert_eq!(bed.told(GATEWAY, &options(GATEWAY, 3)), Some(200), "a trunk's probe");
    bed.receive(CALLER, &invite("1001", CALLER, "112", "help"));
    assert_eq!(bed.take(GATEWAY).len(), 1, "a call for help");
    bed.receive(GATEWAY, &in_dialog(&ok, "BYE", 2, GATEWAY, ""));
    assert_eq!(bed.take(CALLEE).len(), 1, "what belongs to a call");
}

#[test]
fn what_matters_less_goes_first_and_when_it_is_over_everybody_comes_in() {
    let mut bed = pressed();
    under(&mut bed, Duration::from_millis(100), 2);
    assert_eq!(bed.told(STRANGER, &options(STRANGER, 1)), Some(503));
    assert_eq!(
        bed.told(CALLER, &invite("1001", CALLER, "9123", "a")),
        Some(401),
        "a phone that is registered"
    );
    assert_eq!(of_the_load(&bed), [Change::Begins(Burden::Behind)], "said once");
    let status = bed.node.status(bed.now).guard;
    assert!(status.pressure > 0 && status.overloaded_by.is_some(), "{status:?}");
    under(&mut bed, Duration::ZERO, 5);
    assert_eq!(bed.told(STRANGER, &options(STRANGER, 2)), Some(200));
    assert_eq!(of_the_load(&bed), [Change::Begins(Burden::Behind), Change::Ends(1)]);
}

#[test]
fn a_flood_of_registers_of_strangers_is_shed_before_calls_and_refreshes_are() {
    let mut bed = pressed();
    under(&mut bed, Duration::from_millis(100), 2);
    let pressure = |bed: &Bed| bed.node.status(bed.now).guard.pressure;
    while pressure(&bed) < 540 {
        let seen = pressure(&bed);
        under(&mut bed, Duration::from_millis(100), 1);
        assert!(pressure(&bed) > seen);
    }
    for id in 1..20 {
        let text = register("1001", STRANGER, id).replace("Content-Length", "X-Any: y\nContent-Length");
        bed.told(STRANGER, &text);
    }
    let shed = bed.node.counters().shed_registrations;
    assert!((18..=19).contains(&shed), "shed {shed}");
    bed.take(CALLER);
    assert_eq!(bed.told(CALLER, &register("1001", CALLER, 50)), Some(401), "by its own flow");
    bed.receive(GATEWAY, &invite("0301", GATEWAY, "1002", "new"));
    assert_eq!(bed.take(CALLEE).len(), 1, "a call");
    assert_eq!(bed.node.counters().shed_registrations, shed);
}
