//! Legs over a lost peer trunk are asked whether they live; only their own answer, or silence, ends them.

use std::time::Duration;

use tandem_sip::Message;

use crate::support::{
    Bed, CALLEE, CALLER, PEER, answer, codes, directory, from_callee, in_dialog, invite, line,
};

/// A call from 1001 over the peer trunk, and one between 1003's static contact and 1001 that has nothing to do with it.
fn talking_over_the_peer() -> (Bed, Message) {
    let mut bed = Bed::with(directory(|options, _, _| {
        options.dialog_audit_timeout = Duration::from_secs(8);
    }));
    let probe = bed.one(PEER);
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    bed.register("1001", CALLER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "far"));
    let forwarded = bed.one(PEER);
    bed.receive(PEER, &answer(&forwarded, 200, "b", PEER, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.register("1004", CALLEE);
    bed.receive(CALLER, &invite("1001", CALLER, "1004", "near"));
    let offered = bed.one(CALLEE);
    bed.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, ""));
    let near = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&near, "ACK", 1, CALLER, ""));
    bed.take(CALLEE);
    bed.take(PEER);
    (bed, ok)
}

/// The peer falls silent until its trunk is out of service: the questions asked in the dialog.
fn lost(bed: &mut Bed) -> Vec<Message> {
    let mut asked = Vec::new();
    for _ in 0..60 {
        bed.pass(Duration::from_millis(500));
        asked.extend(
            bed.take(PEER).into_iter().filter(|m| m.envelope().is_ok_and(|env| env.to_tag.is_some())),
        );
        if !asked.is_empty() {
            return asked;
        }
    }
    asked
}

#[test]
fn bca_09_a_leg_that_the_far_side_does_not_know_ends_and_the_other_call_goes_on() {
    for code in [481, 408] {
        let (mut bed, _) = talking_over_the_peer();
        let asked = lost(&mut bed);
        assert_eq!(line(&asked[0]), format!("OPTIONS sip:x@{PEER} SIP/2.0"));
        assert_eq!(bed.node.status(bed.now).mode, "single-site");
        bed.receive(PEER, &answer(&asked[0], code, "", PEER, ""));
        assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")), "{code}");
        assert!(bed.take(CALLEE).is_empty(), "the call that is wholly here is left alone");
        bed.pass(Duration::from_secs(60));
        assert_eq!(bed.node.call_list(bed.now).len(), 1);
        assert!(bed.cdrs[0].legs[0].reason.contains("audit"), "{}", bed.cdrs[0].legs[0].reason);
    }
}

#[test]
fn bca_08_a_leg_that_answers_lives_on_however_it_answers() {
    for code in [200, 405, 488, 500, 503, 603] {
        let (mut bed, _) = talking_over_the_peer();
        let asked = lost(&mut bed);
        bed.receive(PEER, &answer(&asked[0], code, "", PEER, ""));
        for _ in 0..20 {
            bed.pass(Duration::from_secs(1));
            for again in bed.take(PEER) {
                if line(&again).starts_with("OPTIONS ") && again.envelope().unwrap().to_tag.is_some() {
                    bed.receive(PEER, &answer(&again, code, "", PEER, ""));
                }
            }
        }
        assert_eq!(bed.node.call_list(bed.now).len(), 2, "{code}");
        assert!(bed.take(CALLER).is_empty());
    }
}

#[test]
fn bca_08_a_leg_that_stays_silent_ends_after_the_configured_time_and_not_before() {
    let (mut bed, _) = talking_over_the_peer();
    lost(&mut bed);
    bed.pass(Duration::from_secs(7));
    assert!(bed.take(CALLER).is_empty());
    bed.pass(Duration::from_secs(2));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")));
    bed.pass(Duration::from_secs(60));
    assert_eq!(bed.node.call_list(bed.now).len(), 1);
}

#[test]
fn a_party_can_still_hang_up_during_the_audit() {
    let (mut bed, ok) = talking_over_the_peer();
    lost(&mut bed);
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [200]);
    bed.pass(Duration::from_secs(60));
    assert_eq!((bed.node.call_list(bed.now).len(), bed.cdrs[0].legs[0].reason.as_str()), (1, "BYE"));
}

#[test]
fn the_far_side_s_own_requests_pass_during_the_audit() {
    let (mut bed, _) = talking_over_the_peer();
    let asked = lost(&mut bed).remove(0);
    let env = asked.envelope().unwrap();
    assert_eq!(env.cseq.number, 2);
    bed.receive(PEER, &from_callee(&asked, "b", "BYE", 1, PEER, "").replace(";tag=b;tag=b", ";tag=b"));
    assert!(bed.lines(PEER).contains(&"SIP/2.0 200 OK".to_owned()));
    assert!(bed.lines(CALLER).iter().any(|line| line.starts_with("BYE ")));
}
