//! What an Extension may spend on calls that leave the switch.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::Message;
use tandem_switch::Event;
use tandem_switch::agent::Agents;
use tandem_switch::call::Carried;
use tandem_switch::directory::{Directory, DnClass, DnId};
use tandem_switch::guard::{TollLimits, TollRule};
use tandem_switch::rooms::Device;
use tandem_switch::routing::onward;

use crate::bench::reason;
use crate::support::{Bed, CALLER, GATEWAY, alone, answer, codes, directory, in_dialog, invite, line};

fn limited(server: TollLimits, extension: TollLimits) -> Arc<Directory> {
    let base = alone();
    directory(|options, extensions, trunks| {
        *options = base.options.clone();
        options.toll = server;
        trunks.iter_mut().for_each(|trunk| trunk.oos = tandem_peer::trunk::TrunkOptions::default());
        let class = DnClass { toll: extension, ..DnClass::clone(&extensions[0].class) };
        extensions[0].class = Arc::new(class);
    })
}

/// 1001 dials out; what the gateway and he get.
fn dials(bed: &mut Bed, number: &str, id: &str) -> (Vec<Message>, Message) {
    bed.receive(CALLER, &invite("1001", CALLER, number, id));
    (bed.take(GATEWAY), bed.take(CALLER).pop().unwrap())
}

fn two_at_once() -> TollLimits {
    TollLimits { calls: Some(2), ..TollLimits::default() }
}

#[test]
fn a_call_beyond_the_limit_is_refused_and_explained_and_one_that_ends_makes_room() {
    let mut bed = Bed::with(limited(TollLimits::default(), two_at_once()));
    let (first, _) = dials(&mut bed, "9111", "a");
    assert_eq!(dials(&mut bed, "9222", "b").0.len(), 1);
    let (none, refused) = dials(&mut bed, "9333", "c");
    assert!(none.is_empty());
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Some(403), "SIP;cause=403;text=\"external-calls = 2\"".into())
    );
    let barred = Event::TollBarred { dn: "1001".into(), dialled: "9333".into(), rule: TollRule::Calls(2) };
    assert!(bed.events.contains(&barred), "{:?}", bed.events);
    let why = bed.node.why("c").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("external-calls = 2")), "{:?}", why.steps);
    bed.receive(GATEWAY, &answer(&first[0], 486, "g", GATEWAY, ""));
    bed.take(CALLER);
    bed.take(GATEWAY);
    assert_eq!(dials(&mut bed, "9444", "d").0.len(), 1);
    assert_eq!(bed.node.counters().toll_barred, 1);
}

#[test]
fn calls_within_the_switch_and_those_of_others_are_not_counted() {
    let mut bed = Bed::with(limited(TollLimits::default(), two_at_once()));
    for id in ["a", "b"] {
        dials(&mut bed, "9111", id);
    }
    bed.register("1002", crate::support::CALLEE);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "inside"));
    assert_eq!(codes(&bed.take(CALLER)), [100]);
    bed.receive(CALLER, &invite("1004", CALLER, "9111", "other"));
    assert_eq!(bed.take(GATEWAY).len(), 1);
}

#[test]
fn the_servers_limits_hold_where_the_extension_says_nothing() {
    let server = TollLimits { per_minute: Some(1), deny: Some(vec!["900".into()]), ..TollLimits::default() };
    let mut bed = Bed::with(limited(server, TollLimits::default()));
    assert_eq!(dials(&mut bed, "9001", "a").1.code(), Some(403), "denied");
    assert_eq!(dials(&mut bed, "9111", "b").0.len(), 1);
    assert_eq!(dials(&mut bed, "9111", "c").1.code(), Some(403), "the second of a minute");
    bed.pass(Duration::from_secs(60));
    bed.take(GATEWAY);
    bed.take(CALLER);
    assert_eq!(dials(&mut bed, "9111", "d").0.len(), 1);
}

#[test]
fn minutes_of_answered_calls_are_spent() {
    let extension = TollLimits { minutes_per_day: Some(1), ..TollLimits::default() };
    let mut bed = Bed::with(limited(TollLimits::default(), extension));
    let (offered, _) = dials(&mut bed, "9111", "a");
    bed.receive(GATEWAY, &answer(&offered[0], 200, "g", GATEWAY, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.pass(Duration::from_secs(61));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.take(GATEWAY);
    assert_eq!(dials(&mut bed, "9111", "b").1.code(), Some(403));
    bed.pass(Duration::from_secs(86_400));
    bed.take(CALLER);
    bed.take(GATEWAY);
    assert_eq!(dials(&mut bed, "9111", "c").0.len(), 1);
}

/// What a request that sends a call of the gateway on to 9111 is told.
fn sent_on_by(bed: &mut Bed, payer: Option<DnId>) -> Result<(), u16> {
    bed.node.control(bed.now, |_, rooms| {
        let origin = Device::Trunk(rooms.directory.trunk_named("gateway").unwrap());
        let (agents, kind) = (Agents::default(), tandem_peer::continuity::CallKind::Transfer);
        let found = onward(rooms, &agents, origin, b"9111", b"0301", kind, payer, None, Carried::default());
        found.map(|_| ()).map_err(|reject| reject.status)
    })
}

#[test]
fn a_call_that_is_sent_on_is_on_the_account_of_who_sends_it_on() {
    let none = TollLimits { calls: Some(0), ..TollLimits::default() };
    let mut bed = Bed::with(limited(TollLimits::default(), none));
    assert_eq!(sent_on_by(&mut bed, Some(DnId(0))), Err(403));
    assert_eq!(sent_on_by(&mut bed, Some(DnId(1))), Ok(()));
    assert_eq!(sent_on_by(&mut bed, None), Ok(()), "a queue's own overflow");
}

#[test]
fn separators_write_around_neither_a_limit_nor_the_dial_plan() {
    let denied = TollLimits { deny: Some(vec!["90900".into()]), ..TollLimits::default() };
    let mut bed = Bed::with(limited(TollLimits::default(), denied));
    for (number, id) in [("90900123", "a"), ("9-0900-123", "b"), ("(9)0.900123", "c"), ("9%2D0900123", "d")] {
        let (none, refused) = dials(&mut bed, number, id);
        assert!(none.is_empty(), "{number}");
        assert_eq!(refused.code(), Some(403), "{number}");
    }
    let (offered, _) = dials(&mut bed, "9-1-2", "e");
    assert_eq!(line(&offered[0]), format!("INVITE sip:+12@{GATEWAY} SIP/2.0"));
}
