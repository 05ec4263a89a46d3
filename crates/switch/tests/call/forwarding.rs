//! Calls for an Extension that is out of service here: to the peer by 302 or in the path, each loop guard, and when
//! the call comes back.

use std::time::Duration;

use tandem_peer::DrForward;
use tandem_sip::{HeaderName, Message, Transport};

use crate::support::{
    Bed, CALLEE, CALLER, GATEWAY, PEER, answer, codes, directory, header, in_dialog, invite, line, with,
};

/// The peer answers its probe: both sites are there. 1001 is registered here, 1002 is not.
fn peered(redirect: bool) -> Bed {
    let mut bed = Bed::with(directory(|_, _, trunks| {
        for trunk in trunks.iter_mut().take(1) {
            trunk.oosp_transfer_enabled = redirect;
        }
    }));
    let probe = bed.one(PEER);
    assert!(line(&probe).starts_with("OPTIONS "));
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    assert_eq!(bed.node.status(bed.now).mode, "peered");
    bed.register("1001", CALLER);
    bed
}

fn call(bed: &mut Bed) -> Vec<Message> {
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
    bed.take(PEER)
}

#[test]
fn a_phone_s_call_goes_over_the_peer_trunk_marked_and_with_its_number_as_dialled() {
    let mut bed = peered(false);
    let forwarded = call(&mut bed).remove(0);
    assert_eq!(line(&forwarded), format!("INVITE sip:1002@{PEER} SIP/2.0"));
    assert_eq!(header(&forwarded, HeaderName::XTandemForwarded), "site-a");
    bed.receive(PEER, &answer(&forwarded, 200, "b", PEER, ""));
    let ok = bed.take(CALLER).pop().unwrap();
    bed.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
    bed.receive(CALLER, &in_dialog(&ok, "BYE", 2, CALLER, ""));
    bed.nothing_stays();
    assert_eq!(bed.node.counters().forwards_in_path, 1);
}

#[test]
fn a_trunk_that_may_be_redirected_gets_a_marked_302() {
    let mut bed = peered(true);
    bed.receive(GATEWAY, &invite("5550001", GATEWAY, "1002", "in"));
    let told = bed.one(GATEWAY);
    assert_eq!(told.code(), Some(302));
    assert_eq!(header(&told, HeaderName::Contact), format!("<sip:1002@{PEER};x-tandem-forwarded=site-a>"));
    assert!(bed.take(PEER).is_empty());
    bed.nothing_stays();
}

#[test]
fn a_trunk_that_may_not_be_redirected_is_forwarded_in_the_path() {
    let mut bed = peered(false);
    bed.receive(GATEWAY, &invite("5550001", GATEWAY, "1002", "in"));
    assert_eq!(codes(&bed.take(GATEWAY)), [100]);
    assert!(line(&bed.one(PEER)).starts_with("INVITE "));
}

#[test]
fn what_came_from_the_peer_or_was_forwarded_before_never_goes_there() {
    let marked = with(&invite("1001", CALLER, "1002", "c"), "X-Tandem-Forwarded: site-b");
    let in_uri = invite("1001", CALLER, "1002", "c")
        .replace("sip:1002@10.0.0.1 SIP", "sip:1002@10.0.0.1;x-tandem-forwarded=site-b SIP");
    let short = invite("1001", CALLER, "1002", "c").replace("Max-Forwards: 70", "Max-Forwards: 1");
    for (from, text) in
        [(PEER, invite("1001", PEER, "1002", "c")), (CALLER, marked), (CALLER, in_uri), (CALLER, short)]
    {
        let mut bed = peered(false);
        bed.receive(from, &text);
        let sent = bed.take(from);
        assert_eq!(sent.last().and_then(Message::code), Some(480), "{text}");
        assert!(!bed.lines(PEER).iter().any(|line| line.starts_with("INVITE ")), "{text}");
    }
}

#[test]
fn a_caller_who_was_redirected_and_is_back_is_not_redirected_again() {
    let mut bed = peered(true);
    bed.receive(GATEWAY, &invite("5550001", GATEWAY, "1002", "one"));
    assert_eq!(bed.take(GATEWAY)[0].code(), Some(302));
    bed.receive(GATEWAY, &invite("5550001", GATEWAY, "1002", "two"));
    assert_eq!(bed.take(GATEWAY).last().unwrap().code(), Some(480));
    bed.receive(GATEWAY, &invite("5550002", GATEWAY, "1002", "three"));
    assert_eq!(bed.take(GATEWAY)[0].code(), Some(302), "another caller is");
    bed.pass(Duration::from_millis(9_900));
    bed.pass(Duration::from_millis(200));
    bed.receive(GATEWAY, &invite("5550001", GATEWAY, "1002", "four"));
    assert_eq!(bed.take(GATEWAY).last().unwrap().code(), Some(302), "after a while it is a new call");
}

#[test]
fn an_extension_in_service_rings_here_and_with_dr_forward_off_so_does_every_other() {
    let mut bed = peered(false);
    bed.register("1002", CALLEE);
    assert!(call(&mut bed).is_empty());
    assert!(line(&bed.one(CALLEE)).starts_with("INVITE "));
    let mut bed = Bed::with(directory(|options, _, _| options.dr_forward = DrForward::Off));
    let probe = bed.one(PEER);
    bed.receive(PEER, &answer(&probe, 200, "b", PEER, ""));
    assert!(call(&mut bed).is_empty());
    assert_eq!(bed.take(CALLER).last().unwrap().code(), Some(480));
}

#[test]
fn a_lost_peer_gets_no_calls() {
    let mut bed = Bed::new();
    bed.pass(Duration::from_secs(16));
    assert_eq!(bed.node.status(bed.now).mode, "single-site");
    bed.take(PEER);
    assert!(!call(&mut bed).iter().any(|m| line(m).starts_with("INVITE ")));
    assert_eq!(bed.take(CALLER).last().unwrap().code(), Some(480));
}

/// 1002 registers here while the peer is asked; then the peer answers so.
fn meanwhile_registered(bed: &mut Bed) -> Message {
    let forwarded = call(bed).remove(0);
    bed.take(CALLER);
    bed.register("1002", CALLEE);
    forwarded
}

#[test]
fn a_call_that_the_peer_cannot_deliver_is_delivered_here() {
    for how in ["404", "480", "503", "draining", "unreachable", "silent"] {
        let mut bed = peered(false);
        let forwarded = meanwhile_registered(&mut bed);
        match how {
            "draining" => {
                bed.receive(PEER, &with(&answer(&forwarded, 603, "b", PEER, ""), "X-Tandem-Draining: 1"));
            }
            "unreachable" => bed.refuse(PEER, Transport::Udp),
            "silent" => bed.pass(Duration::from_secs(33)),
            code => bed.receive(PEER, &answer(&forwarded, code.parse().unwrap(), "b", PEER, "")),
        }
        let rung = bed.take(CALLEE);
        assert!(rung.first().is_some_and(|m| line(m).starts_with("INVITE ")), "{how}");
        assert!(bed.take(CALLER).is_empty(), "{how}");
        bed.receive(CALLEE, &answer(&rung[0], 486, "callee", CALLEE, ""));
        assert_eq!(codes(&bed.take(CALLER)), [486], "{how}");
        assert_eq!(bed.node.counters().forward_fallbacks, 1);
        bed.nothing_stays();
    }
}

#[test]
fn a_call_that_a_person_refused_at_the_peer_does_not_ring_here() {
    for code in [486, 600, 603, 487, 488, 500, 408] {
        let mut bed = peered(false);
        let forwarded = meanwhile_registered(&mut bed);
        bed.receive(PEER, &answer(&forwarded, code, "b", PEER, ""));
        assert_eq!(codes(&bed.take(CALLER)), [code]);
        assert!(bed.take(CALLEE).is_empty(), "{code}");
        bed.nothing_stays();
    }
}

/// Every answer that a peer can give. What it says of itself (404, 480, 503, and any refusal that carries the drain mark)
/// leaves the call here; all else was said by a person or a phone, or is no reason to ring a second one.
#[test]
fn every_refusal_of_the_peer_falls_back_or_not_by_one_rule() {
    for code in 300..=699 {
        for drains in [false, true] {
            let mut bed = peered(false);
            let forwarded = meanwhile_registered(&mut bed);
            let mut refusal = answer(&forwarded, code, "b", PEER, "");
            if drains {
                refusal = with(&refusal, "X-Tandem-Draining: yes");
            }
            bed.receive(PEER, &refusal);
            let rings_here = bed.lines(CALLEE).iter().any(|line| line.starts_with("INVITE "));
            let wanted = drains || [404, 480, 503].contains(&code);
            assert_eq!(rings_here, wanted, "{code}, marked by a drain: {drains}");
            assert_eq!(bed.node.counters().forward_fallbacks, u64::from(wanted), "{code}");
        }
    }
}

#[test]
fn a_phone_that_rang_at_the_peer_in_vain_does_not_ring_here_as_well() {
    let mut bed = peered(false);
    let forwarded = meanwhile_registered(&mut bed);
    bed.receive(PEER, &answer(&forwarded, 180, "b", PEER, ""));
    bed.receive(PEER, &answer(&forwarded, 480, "b", PEER, ""));
    assert_eq!(codes(&bed.take(CALLER)), [180, 480]);
    assert!(bed.take(CALLEE).is_empty());
    bed.nothing_stays();
}

#[test]
fn a_cancel_reaches_the_peer_and_nothing_rings_here_afterwards() {
    let mut bed = peered(false);
    let forwarded = meanwhile_registered(&mut bed);
    bed.receive(PEER, &answer(&forwarded, 180, "b", PEER, ""));
    bed.receive(CALLER, &crate::support::cancel_of(&invite("1001", CALLER, "1002", "call1")));
    assert!(bed.lines(PEER).iter().any(|line| line.starts_with("CANCEL ")));
    bed.receive(PEER, &answer(&forwarded, 480, "b", PEER, ""));
    assert!(bed.take(CALLEE).is_empty());
    bed.nothing_stays();
}

#[test]
fn a_forward_of_which_nothing_was_heard_comes_back_when_the_trunk_is_lost_and_not_after_timer_b() {
    let mut bed = peered(false);
    let forwarded = call(&mut bed).remove(0);
    bed.register("1002", CALLEE);
    bed.take(CALLER);
    // oos-check 10 s and oos-force 5 s: the trunk is lost 15 s after the last answer.
    bed.pass(Duration::from_secs(16));
    assert_eq!(bed.node.status(bed.now).mode, "single-site");
    let rung: Vec<String> = bed.take(CALLEE).iter().map(line).collect();
    assert_eq!(rung.first(), Some(&format!("INVITE sip:1002@{CALLEE} SIP/2.0")), "{rung:?}");
    // The peer had it all the same: as soon as it is heard, it is told to stop.
    bed.take(PEER);
    bed.receive(PEER, &answer(&forwarded, 180, "b", PEER, ""));
    assert!(bed.take(PEER).iter().any(|message| line(message).starts_with("CANCEL ")));
    assert_eq!(bed.node.counters().forward_fallbacks, 1);
}

#[test]
fn a_forward_that_rings_is_left_alone_when_the_trunk_is_lost() {
    let mut bed = peered(false);
    let forwarded = call(&mut bed).remove(0);
    bed.receive(PEER, &answer(&forwarded, 180, "b", PEER, ""));
    bed.register("1002", CALLEE);
    bed.pass(Duration::from_secs(16));
    assert_eq!(bed.node.status(bed.now).mode, "single-site");
    assert!(bed.take(CALLEE).is_empty(), "a person may be about to answer there");
    bed.take(PEER);
    bed.receive(PEER, &answer(&forwarded, 200, "b", PEER, ""));
    assert!(codes(&bed.take(CALLER)).contains(&200));
}

/// oos-check 10 s and oos-force 5 s: lost after 15 s, and still silent at the probe 5 s later (dialog-audit-timeout 5 s).
#[test]
fn a_forward_that_rings_is_given_up_when_the_peer_stays_silent() {
    let mut bed = peered(false);
    let forwarded = call(&mut bed).remove(0);
    bed.receive(PEER, &answer(&forwarded, 180, "b", PEER, ""));
    bed.register("1002", CALLEE);
    bed.pass(Duration::from_secs(19));
    assert_eq!(bed.node.status(bed.now).mode, "single-site");
    assert!(bed.take(CALLEE).is_empty(), "not yet");
    bed.take(PEER);
    bed.pass(Duration::from_secs(2));
    assert!(bed.lines(CALLEE).iter().any(|line| line.starts_with("INVITE ")), "delivered here");
    let cancelled = bed.take(PEER);
    assert!(cancelled.iter().any(|message| line(message).starts_with("CANCEL ")), "and taken back there");
    // The link was cut, and somebody had answered: he is let go at once.
    bed.receive(PEER, &answer(&forwarded, 200, "b", PEER, ""));
    let told: Vec<String> = bed.take(PEER).iter().map(line).collect();
    assert!(told.iter().any(|line| line.starts_with("ACK ")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("BYE ")), "{told:?}");
    assert_eq!(bed.node.counters().forward_fallbacks, 1);
}

/// A peer that is drained refuses its probes, and goes on with the calls that it has.
#[test]
fn a_forward_that_rings_at_a_peer_that_is_drained_rings_on() {
    let mut bed = peered(false);
    let forwarded = call(&mut bed).remove(0);
    bed.receive(PEER, &answer(&forwarded, 180, "b", PEER, ""));
    bed.register("1002", CALLEE);
    for _ in 0..6 {
        bed.pass(Duration::from_secs(10));
        for probe in bed.take(PEER).into_iter().filter(|message| line(message).starts_with("OPTIONS ")) {
            bed.receive(PEER, &answer(&probe, 503, "b", PEER, ""));
        }
    }
    assert_eq!(bed.node.status(bed.now).mode, "single-site");
    assert!(bed.take(CALLEE).is_empty(), "it rings there");
    bed.receive(PEER, &answer(&forwarded, 200, "b", PEER, ""));
    assert!(codes(&bed.take(CALLER)).contains(&200));
}

#[test]
fn a_call_that_the_peer_sheds_does_not_keep_the_next_from_being_forwarded() {
    let mut bed = peered(false);
    let forwarded = call(&mut bed).remove(0);
    bed.receive(PEER, &with(&answer(&forwarded, 503, "b", PEER, ""), "Retry-After: 24"));
    assert_eq!(bed.take(CALLER).last().and_then(Message::code), Some(480));
    bed.take(PEER);
    bed.receive(CALLER, &invite("1001", CALLER, "1002", "call2"));
    assert_eq!(bed.lines(PEER), [format!("INVITE sip:1002@{PEER} SIP/2.0")]);
}
