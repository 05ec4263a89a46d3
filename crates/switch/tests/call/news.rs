//! What a plain call tells the floor, in its order.

use std::time::Duration;

use tandem_switch::call::{Carried, EndReason, Far, News};
use tandem_switch::cdr::EndedBy;

use crate::floor::bed;
use crate::support::{CALLEE, CALLER, GATEWAY, OTHER, answer, cancel_of, in_dialog, invite};

#[test]
fn a_call_tells_who_calls_whom_and_how_it_went() {
    let mut bed = bed();
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    let mut told = bed.news();
    let News::Opened { uuid, origin, from, to, parked, carried, ticket } = told.remove(0) else { panic!() };
    assert_eq!(format!("{uuid:032x}"), bed.cdrs[0].call_uuid);
    assert_eq!((origin, &*from, &*to), (Far::Extension("1001".into()), "1001", "1002"));
    assert_eq!((parked, carried, ticket), (None, Carried::default(), None));
    let reason = EndReason::Bye;
    assert_eq!(
        told,
        [
            News::Offered { leg: 1, to: Far::Extension("1002".into()) },
            News::Ringing { leg: 1 },
            News::Answered { leg: 1 },
            News::Ended { leg: 0, by: EndedBy::Caller, reason },
            News::Ended { leg: 1, by: EndedBy::Caller, reason },
            News::Over,
        ]
    );
}

#[test]
fn a_refused_call_tells_the_status_that_its_caller_is_told() {
    let mut bed = bed();
    bed.receive(CALLER, &invite("1001", CALLER, "5555", "call0"));
    let told = bed.news();
    assert!(matches!(&told[..], [News::Opened { .. }, News::Failed { status: 404 }, News::Over]), "{told:?}");
    bed.take(CALLER);
    let offered = bed.offered();
    bed.receive(CALLEE, &answer(&offered, 486, "callee", CALLEE, ""));
    let told = bed.news();
    let reason = EndReason::Status(486);
    assert_eq!(told[2], News::Missed { leg: 1, status: 486, reason });
    assert_eq!(told[3..], [News::Failed { status: 486 }, News::Over]);
}

#[test]
fn a_caller_who_gives_up_and_a_ring_timeout_are_told_apart() {
    let mut bed = bed();
    bed.offered();
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "1002", "call1")));
    let told = bed.news();
    assert!(
        matches!(
            &told[2..],
            [
                News::Missed { leg: 1, status: 487, reason: EndReason::CallerGone },
                News::Ended { leg: 0, by: EndedBy::Caller, reason: EndReason::Cancel }
            ]
        ),
        "{told:?}"
    );
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call2"));
    let offered = bed.take(CALLEE).pop().unwrap();
    bed.receive(CALLEE, &answer(&offered, 180, "callee", CALLEE, ""));
    bed.news();
    bed.pass(Duration::from_secs(181));
    let told = bed.news();
    assert!(told.contains(&News::Missed { leg: 1, status: 487, reason: EndReason::RingTimeout }), "{told:?}");
    assert!(told.contains(&News::Failed { status: 480 }));
}

#[test]
fn contacts_that_are_not_chosen_are_missed() {
    let mut bed = bed();
    bed.register("1002", CALLEE);
    bed.register("1002", OTHER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    let second = bed.one(OTHER);
    bed.receive(OTHER, &answer(&second, 200, "two", OTHER, ""));
    let told = bed.news();
    assert_eq!(
        told[3..],
        [
            News::Answered { leg: 1 },
            News::Missed { leg: 2, status: 487, reason: EndReason::AnsweredElsewhere }
        ]
    );
}

#[test]
fn calls_over_trunks_name_the_trunk() {
    let mut bed = bed();
    bed.register("1002", CALLEE);
    bed.receive(GATEWAY, &invite("0301", GATEWAY, "1002", "in1"));
    assert!(matches!(&bed.news()[0], News::Opened { origin: Far::Trunk(name), .. } if &**name == "gateway"));
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "out1"));
    assert_eq!(bed.news()[1], News::Offered { leg: 1, to: Far::Trunk("gateway".into()) });
}
