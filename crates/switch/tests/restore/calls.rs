//! Answered calls after a restart.

use std::time::Duration;

use tandem_sip::HeaderName;

use crate::support::{
    Bed, CALLEE, CALLER, alone, answer, codes, from_callee, header, in_dialog, invite, line,
};

const GAP: Duration = Duration::from_secs(2);

fn cseq(message: &tandem_sip::Message) -> u32 {
    header(message, HeaderName::CSeq).split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn bca_12_either_party_ends_an_answered_call_after_a_restart() {
    for caller_hangs_up in [true, false] {
        let mut bed = Bed::with(alone());
        let (ok, offered) = bed.established();
        bed.pass(Duration::from_secs(40));
        assert_eq!(bed.restart(GAP).calls, 1);
        assert!(bed.sent.is_empty(), "{:?}", bed.sent.iter().map(|(_, m)| line(m)).collect::<Vec<_>>());
        let (far, bye) = if caller_hangs_up {
            bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
            assert_eq!(bed.one(CALLER).code(), Some(200));
            (CALLEE, bed.one(CALLEE))
        } else {
            bed.receive(CALLEE, &from_callee(&offered, "callee", "BYE", 1, CALLEE, ""));
            assert_eq!(bed.one(CALLEE).code(), Some(200));
            (CALLER, bed.one(CALLER))
        };
        assert!(line(&bye).starts_with("BYE "), "{}", line(&bye));
        assert!(cseq(&bye) > 1, "a number that the dead process cannot have used");
        bed.receive(far, &answer(&bye, 200, "", far, ""));
        assert_eq!(bed.cdrs.len(), 1);
        let cdr = &bed.cdrs[0];
        assert_eq!(cdr.legs.iter().map(|leg| &*leg.device).collect::<Vec<_>>(), ["1001", "1002"]);
        assert!(cdr.legs.iter().all(|leg| leg.status == 200 && leg.answered_unix_ms.is_some()));
        assert_eq!(bed.disk.len(), 2, "only the two registrations");
    }
}

#[test]
fn a_reinvite_after_a_restart_reaches_the_other_party_with_a_higher_number() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.pass(Duration::from_secs(40));
    bed.restart(GAP);
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "offer"));
    assert_eq!(codes(&bed.take(CALLER)), [100]);
    let passed = bed.one(CALLEE);
    assert!(line(&passed).starts_with("INVITE ") && cseq(&passed) > 1);
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, "answer"));
    let again = bed.one(CALLER);
    assert_eq!((again.code(), again.body()), (Some(200), &b"answer"[..]));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
}

#[test]
fn an_answer_that_was_stored_and_not_sent_is_sent_after_the_restart() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.commit = false;
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    assert!(bed.sent.is_empty());
    bed.commit = true;
    // The batch is on the disk, and the process dies before it hears so.
    bed.persist_silently();
    bed.restart(GAP);
    let ok = bed.one(CALLER);
    assert_eq!((ok.code(), ok.body()), (Some(200), &b"answer"[..]));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    assert!(line(&bed.one(CALLEE)).starts_with("ACK "));
    bed.pass(Duration::from_secs(60));
    assert!(bed.take(CALLER).is_empty() && bed.node.call_list(bed.now).len() == 1);
}

#[test]
fn a_2xx_to_an_invite_within_the_call_that_the_dead_process_passed_on_is_acknowledged() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.receive(CALLER, &in_dialog(&ok, "INVITE", 2, CALLER, "offer"));
    let passed = bed.one(CALLEE);
    bed.take(CALLER);
    bed.restart(GAP);
    let refused = bed.one(CALLER);
    assert_eq!((refused.code(), cseq(&refused)), (Some(500), 2));
    bed.receive(CALLEE, &answer(&passed, 200, "", CALLEE, "answer"));
    let ack = bed.one(CALLEE);
    assert_eq!((line(&ack).starts_with("ACK "), cseq(&ack)), (true, cseq(&passed)));
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 2, CALLER, ""));
    let mends = bed.one(CALLER);
    assert!(line(&mends).starts_with("INVITE ") && mends.body().is_empty(), "both are described anew");
}

#[test]
fn a_bye_that_was_stored_and_not_sent_is_sent_after_the_restart_and_the_record_written_once() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.commit = false;
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert!(bed.sent.is_empty() && bed.cdrs.is_empty());
    bed.commit = true;
    bed.persist_silently();
    assert_eq!(bed.restart(GAP).ending, 1);
    let bye = bed.one(CALLEE);
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    assert_eq!((bed.cdrs.len(), bed.disk.len()), (1, 2));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(bed.one(CALLER).code(), Some(481), "the call is over");
    assert_eq!(bed.restart(GAP).calls, 0);
}

#[test]
fn what_a_restored_server_stores_is_what_it_was_restored_from() {
    let mut bed = Bed::with(alone());
    bed.established();
    let values = |bed: &Bed| bed.disk.changes().map(|change| (change.key, change.op)).collect::<Vec<_>>();
    let before = values(&bed);
    bed.restart(GAP);
    bed.pass(Duration::from_millis(1));
    assert_eq!(values(&bed), before);
}

#[test]
fn nothing_that_a_restored_server_makes_up_was_made_up_before() {
    let mut bed = Bed::with(alone());
    let mut seen = std::collections::BTreeSet::new();
    bed.register("1001", CALLER);
    bed.register("1002", CALLEE);
    for round in 0..3 {
        bed.receive(CALLER, &invite("1001", CALLER, "1002", &format!("call{round}")));
        let invites = bed.take(CALLEE).into_iter().filter(|message| line(message).starts_with("INVITE "));
        for invite in invites {
            for name in [HeaderName::CallId, HeaderName::Via, HeaderName::From] {
                assert!(
                    seen.insert(header(&invite, name)),
                    "the {name:?} of an INVITE was that of another one"
                );
            }
        }
        bed.restart(GAP);
    }
}

#[test]
fn the_record_of_an_answered_call_takes_less_than_two_kilobytes() {
    let mut bed = Bed::with(alone());
    bed.established();
    let bytes = bed.disk.changes().filter(|change| change.key.kind != 1).map(|change| change.op.len());
    let bytes: Vec<usize> = bytes.collect();
    println!("{bytes:?} bytes of call records");
    assert!(bytes.iter().sum::<usize>() < 2_048, "{bytes:?}");
}

#[test]
fn a_call_whose_record_is_not_confirmed_gives_the_same_record_again() {
    let mut bed = Bed::with(alone());
    let (ok, _) = bed.established();
    bed.records = false;
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(CALLEE).pop().unwrap();
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    assert_eq!((bed.cdrs.len(), bed.disk.len(), bed.node.unwritten()), (1, 3, 1));
    assert_eq!(bed.restart(GAP).ending, 1);
    let again = bed.take(CALLEE).pop().unwrap();
    bed.records = true;
    bed.receive(CALLEE, &answer(&again, 481, "", CALLEE, ""));
    assert_eq!((bed.cdrs.len(), bed.disk.len(), bed.node.unwritten()), (2, 2, 0));
    assert_eq!(bed.cdrs[0], bed.cdrs[1], "whoever writes knows it by its CallUUID");
}

#[test]
fn an_invite_that_comes_again_because_its_answer_was_lost_is_no_second_call() {
    let mut bed = Bed::with(alone());
    let offered = bed.offered();
    bed.commit = false;
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
    bed.commit = true;
    bed.persist_silently();
    bed.restart(GAP);
    let ok = bed.one(CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    let again = bed.one(CALLER);
    assert_eq!((again.code(), again.bytes()), (Some(200), ok.bytes()));
    assert!(bed.take(CALLEE).is_empty() && bed.node.call_list(bed.now).len() == 1);
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    let bye = bed.take(CALLEE).pop().unwrap();
    assert!(line(&bye).starts_with("BYE "));
    bed.receive(CALLEE, &answer(&bye, 200, "", CALLEE, ""));
    assert_eq!((bed.cdrs.len(), bed.disk.len()), (1, 2));
    bed.pass(Duration::from_secs(40));
    bed.take(CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    assert!(line(&bed.one(CALLEE)).starts_with("INVITE "), "a later call may have any name");
}
