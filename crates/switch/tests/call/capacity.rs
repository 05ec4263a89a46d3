//! `capacity` and `max-calls-per-second` of trunks: what is counted, where a call goes instead, and what is never kept away.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::{DialRule, Directory, TrunkCapacity, TrunkId};
use tandem_switch::{Input, view};

use crate::support::{
    Bed, CALLER, GATEWAY, OTHER, answer, cancel_of, codes, directory, from_callee, header, in_dialog, invite,
    line,
};

/// The gateway carries this much; the second trunk, at OTHER, carries everything.
fn bed(capacity: TrunkCapacity, second: bool) -> Bed {
    let made = office(capacity, second);
    let mut bed = Bed::with(made);
    bed.register("1001", CALLER);
    bed
}

fn office(capacity: TrunkCapacity, second: bool) -> Arc<Directory> {
    let made = directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks[0].capacity = capacity;
        trunks[1] = crate::support::trunk("second", OTHER);
    });
    let trunks = if second { vec![TrunkId(0), TrunkId(1)] } else { vec![TrunkId(0)] };
    let rule = DialRule { prefix: "9".into(), strip: 1, add: "+".into(), trunks };
    let (server, options) = (made.server.clone(), made.options.clone());
    let (extensions, trunks) = (made.extensions().to_vec(), made.trunks().to_vec());
    Arc::new(Directory::new(server, options, extensions, trunks, vec![rule]).unwrap())
}

fn calls(calls: u32) -> TrunkCapacity {
    TrunkCapacity { calls, ..TrunkCapacity::default() }
}

/// 1001 dials out: the INVITE that the gateway gets, if it gets one.
fn dials(bed: &mut Bed, id: &str) -> Option<Message> {
    bed.receive(CALLER, &invite("1001", CALLER, "95550", id));
    bed.take(GATEWAY).into_iter().find(|message| line(message).starts_with("INVITE "))
}

fn shown(bed: &Bed) -> view::Trunk {
    bed.node.trunk_list(bed.now).remove(0)
}

#[test]
fn a_call_beyond_the_capacity_goes_to_the_next_trunk() {
    let mut bed = bed(calls(1), true);
    assert!(dials(&mut bed, "c1").is_some());
    assert!(dials(&mut bed, "c2").is_none());
    assert_eq!(line(&bed.one(OTHER)), format!("INVITE sip:+5550@{OTHER} SIP/2.0"));
    let why = bed.node.why("c2").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("its capacity")), "{:?}", why.steps);
    assert_eq!((shown(&bed).calls, shown(&bed).capacity, shown(&bed).refused), (1, 1, 1));
}

#[test]
fn without_another_trunk_the_caller_is_told_that_no_circuit_is_free() {
    let mut bed = bed(calls(1), false);
    assert!(dials(&mut bed, "c1").is_some());
    bed.take(CALLER);
    assert!(dials(&mut bed, "c2").is_none());
    let told = bed.take(CALLER);
    assert_eq!(codes(&told), [100, 503]);
    assert!(header(&told[1], HeaderName::Reason).starts_with("Q.850;cause=34"));
}

#[test]
fn a_place_is_free_again_however_its_call_ends() {
    let mut bed = bed(calls(1), false);
    // Refused.
    let offered = dials(&mut bed, "c1").unwrap();
    bed.receive(GATEWAY, &answer(&offered, 486, "gw", GATEWAY, ""));
    // Given up while it rings.
    let offered = dials(&mut bed, "c2").unwrap();
    bed.receive(GATEWAY, &answer(&offered, 180, "gw", GATEWAY, ""));
    bed.receive(CALLER, &cancel_of(&invite("1001", CALLER, "95550", "c2")));
    // Answered, and hung up.
    let offered = dials(&mut bed, "c3").unwrap();
    bed.take(CALLER);
    bed.receive(GATEWAY, &answer(&offered, 200, "gw", GATEWAY, "answer"));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(dials(&mut bed, "c4").is_none(), "it takes the place while it lasts");
    bed.receive(GATEWAY, &from_callee(&offered, "gw", "BYE", 1, GATEWAY, ""));
    assert!(dials(&mut bed, "c5").is_some());
}

#[test]
fn a_call_that_comes_in_beyond_the_capacity_gets_503_with_retry_after() {
    let mut bed = bed(calls(1), false);
    for (id, told) in [("i1", &[100][..]), ("i2", &[503])] {
        bed.receive(GATEWAY, &invite("555", GATEWAY, "1001", id));
        let answers: Vec<Message> =
            bed.take(GATEWAY).into_iter().filter(|message| message.code().is_some()).collect();
        assert_eq!(codes(&answers), told);
        if told == [503] {
            assert_eq!(header(&answers[0], HeaderName::RetryAfter), "5");
        }
    }
    let why = bed.node.why("i2").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("takes no further call")), "{:?}", why.steps);
    assert!(dials(&mut bed, "c1").is_none(), "calls of both directions are counted together");
}

#[test]
fn with_capacity_limit_inbound_off_calls_that_come_in_are_counted_and_taken() {
    let mut bed = bed(TrunkCapacity { limit_inbound: false, ..calls(1) }, false);
    for id in ["i1", "i2"] {
        bed.receive(GATEWAY, &invite("555", GATEWAY, "1001", id));
        assert_eq!(codes(&bed.take(GATEWAY)), [100]);
    }
    assert!(dials(&mut bed, "c1").is_none());
}

#[test]
fn new_calls_beyond_the_pace_wait_for_the_next_second() {
    let mut bed = bed(TrunkCapacity { per_second: 2, ..TrunkCapacity::default() }, false);
    let tries = |bed: &mut Bed, from: u32| {
        (from..from + 4).filter(|n| dials(bed, &format!("c{n}")).is_some()).count()
    };
    assert_eq!(tries(&mut bed, 0), 2);
    bed.pass(Duration::from_millis(1_000));
    assert_eq!(tries(&mut bed, 10), 2);
    bed.receive(GATEWAY, &invite("555", GATEWAY, "1001", "i1"));
    let told = bed.take(GATEWAY);
    let refused = told.iter().find(|message| message.code() == Some(503)).expect("both directions count");
    assert_eq!(header(refused, HeaderName::RetryAfter), "1");
    assert_eq!(shown(&bed).refused, 5);
}

#[test]
fn an_emergency_call_is_never_kept_away_and_takes_a_place() {
    use tandem_switch::guard::{Emergency, emergency::Number};
    let made = office(calls(1), false);
    let mut options = made.options.clone();
    options.emergency = Emergency {
        numbers: vec![Number { dialled: "112".into(), sent: "112".into() }],
        trunks: vec![TrunkId(0)],
        ..Emergency::default()
    };
    let rules = vec![DialRule { prefix: "9".into(), strip: 1, add: "+".into(), trunks: vec![TrunkId(0)] }];
    let (extensions, trunks) = (made.extensions().to_vec(), made.trunks().to_vec());
    let made = Directory::new(made.server.clone(), options, extensions, trunks, rules).unwrap();
    let mut bed = Bed::with(Arc::new(made));
    bed.register("1001", CALLER);
    assert!(dials(&mut bed, "c1").is_some());
    bed.receive(CALLER, &invite("1001", CALLER, "112", "help"));
    let sent = bed.take(GATEWAY);
    assert!(sent.iter().any(|message| line(message).starts_with("INVITE sip:112@")), "{sent:?}");
    assert_eq!(shown(&bed).calls, 2);
}

#[test]
fn a_capacity_that_is_configured_later_counts_the_calls_that_run() {
    let mut bed = bed(TrunkCapacity::default(), false);
    for id in ["c1", "c2"] {
        assert!(dials(&mut bed, id).is_some());
    }
    bed.node.handle_input(Input::Directory(office(calls(2), false)), bed.now);
    bed.drain();
    assert!(dials(&mut bed, "c3").is_none());
}
