//! Emergency calls: they get through.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::trunk::TrunkOptions;
use tandem_sip::{HeaderName, Message};
use tandem_switch::directory::{Directory, Options, TrunkId};
use tandem_switch::guard::emergency::Number;
use tandem_switch::guard::{Emergency, TollLimits};
use tandem_switch::{DrainOrder, Event, Input};

use crate::bench::{STRANGER, guarded, register};
use crate::support::{
    Bed, CALLER, GATEWAY, answer, body, codes, directory, header, in_dialog, invite, line, with,
};

fn number(dialled: &str, sent: &str) -> Number {
    Number { dialled: dialled.into(), sent: sent.into() }
}

fn careful(change: impl FnOnce(&mut Options)) -> Arc<Directory> {
    guarded(|options, _| {
        options.emergency = Emergency {
            numbers: vec![number("112", "112"), number("9112", "112")],
            trunks: vec![TrunkId(0)],
            without_credentials: false,
        };
        change(options);
    })
}

fn bed(change: impl FnOnce(&mut Options)) -> Bed {
    let mut bed = Bed::with(careful(change));
    assert_eq!(bed.tries("1001", CALLER, "secret-1001", 1), Some(200));
    bed
}

/// The INVITE that the gateway gets when 1001 calls this number.
#[track_caller]
fn called(bed: &mut Bed, text: &str) -> Message {
    bed.receive(CALLER, text);
    bed.one(GATEWAY)
}

#[test]
fn a_registered_phone_that_dials_for_help_is_asked_nothing() {
    let mut bed = bed(|_| {});
    for (dialled, id) in [("112", "a"), ("9112", "b"), ("1-1-2", "d")] {
        let offered = called(&mut bed, &invite("1001", CALLER, dialled, id));
        assert_eq!(line(&offered), format!("INVITE sip:112@{GATEWAY} SIP/2.0"));
    }
    let urn =
        invite("1001", CALLER, "x", "c").replace("INVITE sip:x@10.0.0.1", "INVITE urn:service:sos.fire");
    assert_eq!(line(&called(&mut bed, &urn)), format!("INVITE sip:112@{GATEWAY} SIP/2.0"));
    let status = bed.node.status(bed.now);
    assert_eq!(status.guard.emergency_calls, 4);
    let said = |event: &&Event| matches!(event, Event::EmergencyCall { from, number } if &**from == "1001" && &**number == "112");
    assert_eq!(bed.events.iter().filter(said).count(), 4);
    let why = bed.node.why("a").unwrap();
    assert!(why.steps.iter().any(|step| step.text.contains("emergency")), "{:?}", why.steps);
}

#[test]
fn where_the_caller_is_and_how_urgent_it_is_reach_the_gateway() {
    let mut bed = bed(|_| {});
    let place = "<cid:p@a>";
    let text = with(&invite("1001", CALLER, "112", "a"), &format!("Geolocation: {place}"));
    let text = with(&with(&text, "Geolocation-Routing: yes"), "Resource-Priority: esnet.1");
    let text = text.replace("application/sdp", "multipart/mixed;boundary=b");
    let offered = called(&mut bed, &text);
    let named = |name: &str| {
        let found = offered.headers().find(|h| h.name_token.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|h| String::from_utf8_lossy(h.value).into_owned())
    };
    assert_eq!(named("Geolocation").as_deref(), Some(place));
    assert_eq!(named("Geolocation-Routing").as_deref(), Some("yes"));
    assert_eq!(named("Resource-Priority").as_deref(), Some("esnet.1"));
    assert_eq!(header(&offered, HeaderName::ContentType), "multipart/mixed;boundary=b");
    assert_eq!(body(&offered), "v=0~");
}

#[test]
fn no_limit_and_no_lock_out_keeps_anybody_from_calling_for_help() {
    let mut bed = bed(|options| {
        options.emergency.without_credentials = true;
        options.toll = TollLimits { calls: Some(0), deny: Some(vec!["".into()]), ..TollLimits::default() };
        options.guard.lockout_after = 1;
        options.guard.requests_per_second = 2;
        options.guard.deny = vec!["203.0.113.0/24".parse().unwrap()];
        options.max_calls = 1;
    });
    assert_eq!(bed.told(STRANGER, &register("1002", STRANGER, 1)), None, "he is not heard");
    for id in ["a", "b", "c"] {
        bed.receive(STRANGER, &with(&invite("1002", STRANGER, "112", id), "User-Agent: sipvicious"));
        assert_eq!(line(&bed.one(GATEWAY)), format!("INVITE sip:112@{GATEWAY} SIP/2.0"));
    }
    bed.take(CALLER);
    assert_eq!(
        bed.told(CALLER, &invite("1001", CALLER, "112x", "d")),
        Some(401),
        "another number is another matter"
    );
}

#[test]
fn an_unregistered_phone_is_asked_for_its_password_unless_configured_otherwise() {
    let mut bed = bed(|_| {});
    assert_eq!(bed.told(STRANGER, &invite("1002", STRANGER, "112", "a")), Some(401));
    assert!(bed.take(GATEWAY).is_empty());
    let mut open = Bed::with(careful(|options| options.emergency.without_credentials = true));
    open.receive(STRANGER, &invite("1002", STRANGER, "112", "a"));
    assert_eq!(open.take(GATEWAY).len(), 1);
    assert_eq!(open.told(STRANGER, &invite("9999", STRANGER, "112", "b")), Some(401), "nobody's number");
}

#[test]
fn a_trunk_that_is_believed_lost_is_asked_all_the_same() {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.emergency = Emergency {
            numbers: vec![number("112", "112")],
            trunks: vec![TrunkId(0)],
            ..Emergency::default()
        };
        trunks[1].oos = TrunkOptions::default();
        trunks[0].oos = TrunkOptions { oos_check_s: 10, oos_force_s: 5, ..TrunkOptions::default() };
    }));
    bed.pass(Duration::from_secs(60));
    assert_eq!(bed.node.status(bed.now).trunks_out_of_service, ["gateway"]);
    bed.take(GATEWAY);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "a"));
    assert_eq!(codes(&bed.take(CALLER)), [100, 480]);
    bed.receive(CALLER, &invite("1001", CALLER, "112", "b"));
    assert_eq!(bed.lines(GATEWAY), [format!("INVITE sip:112@{GATEWAY} SIP/2.0")]);
}

#[test]
fn a_server_that_is_drained_takes_a_call_for_help_and_waits_for_its_end() {
    let mut bed = bed(|_| {});
    bed.node.handle_input(Input::Drain(DrainOrder::Start { by: "test".into() }), bed.now);
    bed.drain();
    assert_eq!(bed.told(CALLER, &invite("1001", CALLER, "9123", "other")), Some(603));
    bed.take(CALLER);
    let offered = called(&mut bed, &invite("1001", CALLER, "112", "a"));
    bed.receive(GATEWAY, &answer(&offered, 200, "g", GATEWAY, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    assert_eq!(ok.code(), Some(200));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.pass(Duration::from_secs(60));
    assert_eq!(bed.node.drain_status(bed.now).state, "draining");
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(GATEWAY).pop().unwrap();
    bed.receive(GATEWAY, &answer(&bye, 200, "", GATEWAY, ""));
    bed.pass(Duration::from_secs(60));
    assert_eq!(bed.node.drain_status(bed.now).state, "drained");
}

#[test]
fn a_trunk_does_not_reach_the_emergency_services_through_this_switch() {
    let mut bed = bed(|_| {});
    bed.receive(GATEWAY, &invite("0301", GATEWAY, "112", "a"));
    assert_eq!(bed.take(GATEWAY).pop().and_then(|m| m.code()), Some(404));
}

#[test]
fn who_calls_for_help_is_named_whatever_is_withheld_from_others() {
    let mut bed = Bed::with(guarded(|options, extensions| {
        options.emergency = Emergency {
            numbers: vec![number("112", "112")],
            trunks: vec![TrunkId(0)],
            without_credentials: false,
        };
        for extension in extensions {
            Arc::make_mut(&mut extension.class).presentation.restricted = true;
        }
    }));
    assert_eq!(bed.tries("1001", CALLER, "secret-1001", 1), Some(200));
    let text = with(&invite("1001", CALLER, "112", "a"), "Privacy: id;session;critical");
    let from = header(&called(&mut bed, &text), HeaderName::From);
    assert!(from.starts_with("\"A\" <sip:1001@"), "{from}");
}

#[test]
fn a_trunk_that_asked_to_be_left_alone_is_asked_for_help_all_the_same() {
    let mut bed = Bed::with(directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        options.emergency = Emergency {
            numbers: vec![number("112", "112")],
            trunks: vec![TrunkId(0)],
            ..Emergency::default()
        };
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
    }));
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "a"));
    let offered = bed.one(GATEWAY);
    bed.receive(GATEWAY, &with(&answer(&offered, 503, "g", GATEWAY, ""), "Retry-After: 60"));
    bed.take(GATEWAY);
    bed.receive(CALLER, &invite("1001", CALLER, "9123", "b"));
    assert!(bed.take(GATEWAY).is_empty(), "other calls leave it alone");
    bed.receive(CALLER, &invite("1001", CALLER, "112", "c"));
    assert_eq!(bed.lines(GATEWAY), [format!("INVITE sip:112@{GATEWAY} SIP/2.0")]);
}
