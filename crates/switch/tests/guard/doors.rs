//! Lock-outs, limits, scanners and networks.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::Message;
use tandem_switch::directory::DnClass;
use tandem_switch::guard::scanners::Sign;
use tandem_switch::guard::{Manner, Offence};

use crate::bench::{STRANGER, bed, guarded, proven, register};
use crate::support::{Bed, CALLEE, CALLER, GATEWAY, codes, invite, with};

const OPTIONS: &str = "OPTIONS sip:100@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bKo1;rport\n\
                       Max-Forwards: 70\nFrom: <sip:100@1.1.1.1>;tag=o\nTo: <sip:100@10.0.0.1>\nCall-ID: o\n\
                       CSeq: 1 OPTIONS\nContent-Length: 0\n\n";

fn quick(options: &mut tandem_switch::directory::Options) {
    options.guard.lockout_after = 3;
    options.guard.lockout_source_after = 6;
}

/// The OPTIONS as another request.
fn another(id: &str) -> String {
    OPTIONS.replace("bKo1", &format!("bK{id}")).replace("Call-ID: o\n", &format!("Call-ID: {id}\n"))
}

#[test]
fn after_wrong_passwords_the_right_one_is_not_heard_until_the_lock_out_is_over() {
    let mut bed = bed(quick);
    for id in [1, 11, 21] {
        assert_eq!(bed.tries("1001", STRANGER, "wrong", id), Some(401));
    }
    assert_eq!(
        bed.offences(),
        [
            Offence::WrongCredentials(1),
            Offence::WrongCredentials(2),
            Offence::WrongCredentials(3),
            Offence::UserLockedOut(300)
        ]
    );
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 31), Some(403));
    assert_eq!(bed.node.counters().refused_locked_out, 1);
    bed.pass(Duration::from_secs(300));
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 41), Some(200));
}

#[test]
fn a_number_that_does_not_exist_is_locked_out_like_one_that_does() {
    let mut bed = bed(quick);
    for dn in ["1001", "9999"] {
        let told: Vec<_> = (0..5).map(|n| bed.tries(dn, STRANGER, "wrong", 1 + 10 * n)).collect();
        assert_eq!(told, [Some(401), Some(401), Some(401), Some(403), Some(403)], "{dn}");
    }
}

#[test]
fn a_source_that_tries_many_numbers_is_locked_out_as_a_whole_and_others_are_not() {
    let mut bed = bed(quick);
    for n in 0..6u32 {
        bed.tries(&format!("20{n}"), STRANGER, "wrong", 1);
    }
    assert_eq!(bed.incidents().last().unwrap(), &("source locked out", "203.0.113.7".to_owned()));
    assert_eq!(bed.tries("1001", "203.0.113.7:9999", "secret-1001", 1), Some(403), "from any port");
    assert_eq!(bed.tries("1001", "203.0.113.8:5060", "secret-1001", 1), Some(200), "its neighbour");
}

#[test]
fn a_locked_out_source_hears_nothing_if_configured_so() {
    let mut bed = bed(|options| {
        quick(options);
        options.guard.lockout_answer = Manner::Silence;
    });
    for id in [1, 11, 21] {
        bed.tries("1001", STRANGER, "wrong", id);
    }
    assert_eq!(bed.told(STRANGER, &register("1001", STRANGER, 31)), None);
    assert_eq!(bed.node.status(bed.now).transactions, 0, "it costs no memory");
}

#[test]
fn the_phone_that_is_registered_stays_in_when_its_neighbour_behind_the_nat_is_locked_out() {
    let mut bed = bed(quick);
    assert_eq!(bed.tries("1001", "203.0.113.7:4001", "secret-1001", 1), Some(200));
    for n in 0..6 {
        bed.tries(&format!("7{n}"), STRANGER, "wrong", 100 + 10 * n);
    }
    assert_eq!(bed.tries("1003", STRANGER, "x", 1), Some(403), "the source is locked out");
    assert_eq!(bed.tries("1001", "203.0.113.7:4001", "secret-1001", 51), Some(200));
    let call = invite("1001", "203.0.113.7:4001", "1002", "c").replace("caller.example", "tandem");
    assert_eq!(bed.told("203.0.113.7:4001", &call), Some(401), "asked for its password, like always");
}

#[test]
fn networks_that_are_allowed_are_never_locked_out() {
    let mut bed = bed(|options| {
        quick(options);
        options.guard.allow = vec!["203.0.113.0/24".parse().unwrap()];
    });
    let told: Vec<_> = (0..10).map(|n| bed.tries("1001", STRANGER, "wrong", 1 + 10 * n)).collect();
    assert_eq!(told, [Some(401); 10]);
    assert!(bed.incidents().iter().all(|(words, _)| *words == "wrong credentials"));
}

#[test]
fn a_source_has_its_burst_of_requests_and_trunks_and_registered_phones_are_not_counted() {
    let mut bed = bed(|options| (options.guard.requests_per_second, options.guard.requests_burst) = (2, 4));
    bed.tries("1001", "203.0.113.7:4001", "secret-1001", 1);
    let told: Vec<_> = (0..4).map(|n| bed.told(STRANGER, &another(&format!("x{n}")))).collect();
    assert_eq!(told, [Some(200), Some(200), Some(503), Some(503)], "two of four went with the REGISTERs");
    let counters = bed.node.counters();
    assert_eq!(counters.refused_too_fast, 2);
    for n in 0..9 {
        let again = another(&format!("p{n}")).replace("sip:100@1.1", "sip:1001@1.1");
        assert_eq!(bed.told("203.0.113.7:4001", &again), Some(200), "the phone");
        assert_eq!(bed.told(GATEWAY, &another(&format!("g{n}"))), Some(200), "the trunk");
    }
    bed.pass(Duration::from_secs(1));
    assert_eq!(bed.told(STRANGER, &another("later")), Some(200));
}

#[test]
fn scanners_hear_nothing_leave_nothing_and_are_reported() {
    let scan = with(OPTIONS, "User-Agent: friendly-scanner");
    let mut silent = bed(|_| {});
    assert_eq!(silent.told(STRANGER, &scan), None);
    assert_eq!(silent.told(STRANGER, &scan), None, "nor when it sends it again");
    assert_eq!(silent.node.status(silent.now).transactions, 0);
    assert_eq!(silent.offences(), [Offence::Scanner(Sign::Agent); 2]);
    assert_eq!(silent.told(GATEWAY, &scan), Some(200), "a trunk may call itself what it likes");
    let mut open = bed(|options| options.guard.scanners = Manner::Answer);
    assert_eq!(open.told(STRANGER, &scan), Some(200));
    assert_eq!(open.incidents().len(), 1, "reported all the same");
}

#[test]
fn networks_that_are_denied_and_listeners_for_others_answer_nothing() {
    let mut denied = bed(|options| options.guard.deny = vec!["203.0.113.0/24".parse().unwrap()]);
    assert_eq!(denied.told(STRANGER, OPTIONS), None);
    assert_eq!(
        denied.told("192.0.2.1:5060", OPTIONS.replace("203.0.113.7", "192.0.2.1").as_str()),
        Some(200)
    );
    let mut inside = bed(|options| options.guard.listeners = vec![vec!["10.0.0.0/8".parse().unwrap()]]);
    assert_eq!(inside.told(STRANGER, OPTIONS), None);
    assert_eq!(inside.tries("1001", CALLER, "secret-1001", 1), Some(200));
    assert_eq!(inside.incidents(), [("denied network", "203.0.113.7".to_owned())]);
}

#[test]
fn an_extension_comes_from_its_networks_only_and_only_who_has_its_password_learns_so() {
    let mut bed = Bed::with(guarded(|_, extensions| {
        let class = DnClass {
            allow_from: vec!["10.0.0.0/8".parse().unwrap()],
            ..DnClass::clone(&extensions[0].class)
        };
        extensions[0].class = Arc::new(class);
    }));
    assert_eq!(bed.tries("1001", CALLER, "secret-1001", 1), Some(200));
    assert_eq!(bed.tries("1001", STRANGER, "wrong", 1), Some(401));
    assert_eq!(bed.tries("1001", STRANGER, "secret-1001", 11), Some(403));
    assert_eq!(bed.tries("1002", STRANGER, "secret-1002", 1), Some(200), "another Extension may");
    let words: Vec<_> = bed.incidents().into_iter().map(|(words, _)| words).collect();
    assert_eq!(words, ["wrong credentials", "extension not allowed from there"]);
    let first = invite("1001", STRANGER, "1002", "c");
    bed.receive(STRANGER, &first);
    let challenged = bed.one(STRANGER);
    assert_eq!(bed.told(STRANGER, &proven(&first, &challenged, "1001", "secret-1001")), Some(403));
}

#[test]
fn a_stranger_gets_one_answer_to_each_message_and_not_many_times_its_bytes() {
    let mut bed = bed(|_| {});
    for text in [
        register("1001", STRANGER, 1),
        invite("1001", STRANGER, "1002", "a"),
        with(&invite("1001", STRANGER, "1002", "b"), "Require: nonsense"),
        invite("1001", STRANGER, "1002", "c").replace("sip:1002@10.0.0.1 SIP", "http://a SIP"),
        OPTIONS.to_owned(),
    ] {
        bed.receive(STRANGER, &text);
        bed.pass(Duration::from_secs(60));
        let answers: Vec<Message> = bed.take(STRANGER);
        let line = text.lines().next().unwrap();
        assert_eq!(answers.len(), 1, "{line}: {:?}", codes(&answers));
        assert!(answers[0].bytes().len() < 3 * text.len(), "{line}: {} bytes", answers[0].bytes().len());
    }
}

#[test]
fn a_known_phones_refused_invite_is_answered_until_it_is_acknowledged() {
    let mut bed = bed(|_| {});
    assert_eq!(bed.tries("1001", CALLER, "secret-1001", 1), Some(200));
    let call = with(&invite("1001", CALLER, "1002", "a"), "Require: nonsense");
    bed.receive(CALLER, &call);
    bed.pass(Duration::from_secs(40));
    assert!(codes(&bed.take(CALLER)).len() > 5, "RFC 3261 timer G");
    assert!(bed.take(CALLEE).is_empty());
}
