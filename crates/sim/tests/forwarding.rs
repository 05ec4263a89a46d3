//! Business Continuity Forwarding: by 302, in path, its guards against loops, and its way back.

use tandem_peer::DrForward;
use tandem_sim::{A, B, Refusal, Setup, Sim, secs};

fn peered(seed: u64, change: impl FnOnce(&mut Setup)) -> Sim {
    let mut setup = Setup::default();
    change(&mut setup);
    let mut sim = Sim::new(seed, setup);
    sim.run_for(secs(1));
    sim.expect(sim.mode(A) == "peered" && sim.mode(B) == "peered", "both sites see each other");
    sim
}

#[test]
fn an_internal_call_follows_its_phone_to_the_other_site_in_path() {
    let mut sim = peered(60, |_| {});
    let alice = sim.phone("1001").registers_at(A).on();
    let bob = sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    sim.expect(sim.was_offered(bob, call), "Bob took it at B");
    assert_eq!((sim.calls(A).len(), sim.calls(B).len()), (1, 1), "both servers are in the path");
    assert_eq!(sim.counter(A, "tandem_dr_forwards_in_path_total"), 1);
    assert_eq!(sim.counter(B, "tandem_dr_forwards_received_total"), 1);
    sim.settle();
}

#[test]
fn a_call_from_a_gateway_that_may_be_redirected_leaves_this_site() {
    let mut sim = peered(61, |setup| setup.redirect = true);
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    let bob = sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(gateway, "1002");
    sim.expect(sim.was_offered(bob, call), "Bob took it at B");
    sim.run_for(secs(1));
    assert_eq!((sim.calls(A).len(), sim.calls(B).len()), (0, 1), "A has left the path");
    assert_eq!(sim.counter(A, "tandem_dr_forwards_redirected_total"), 1);
    let record = sim.cdrs(A).last().expect("A keeps a record of it");
    assert_eq!((record.to.as_str(), record.legs.first().map(|leg| leg.status)), ("1002", Some(302)));
    sim.settle();
}

#[test]
fn a_call_from_a_gateway_that_may_not_be_redirected_stays_in_path() {
    let mut sim = peered(62, |setup| setup.redirect = false);
    let gateway = sim.gateway(1).with(|p| p.load_share = false).on();
    sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(1));
    sim.call_answered(gateway, "1002");
    assert_eq!((sim.calls(A).len(), sim.calls(B).len()), (1, 1));
    assert_eq!(sim.counter(A, "tandem_dr_forwards_in_path_total"), 1);
    sim.settle();
}

/// Guard (a): the phone is registered nowhere, so each site believes that it is at the other.
#[test]
fn a_call_that_came_from_the_peer_never_goes_back() {
    let mut sim = peered(63, |_| {});
    let alice = sim.phone("1001").registers_at(A).on();
    sim.run_for(secs(1));
    let call = sim.call(alice, "1002");
    sim.run_until(secs(5), "refused", |sim| sim.result(call).is_some());
    assert_eq!(sim.result(call), Some(480));
    assert_eq!(sim.counter(B, "tandem_dr_forwards_in_path_total"), 0, "B sends nothing back");
    sim.settle();
}

/// Guard (b): the second INVITE after a 302 comes from the gateway, not from the peer.
#[test]
fn a_redirected_call_is_not_redirected_back() {
    for load_share in [false, true] {
        let mut sim = peered(64, |setup| setup.redirect = true);
        let gateway = sim.gateway(1).with(|p| p.load_share = load_share).on();
        sim.run_for(secs(1));
        let call = sim.call(gateway, "1002");
        sim.run_until(secs(5), "refused", |sim| sim.result(call) == Some(480));
        let redirected = |site| sim.counter(site, "tandem_dr_forwards_redirected_total");
        assert_eq!(redirected(A) + redirected(B), 1);
        sim.settle();
    }
}

/// Guard (d): a gateway that strips URI parameters takes the marker away; B sends it back once, and A remembers.
#[test]
fn a_redirected_call_that_lost_its_marker_ends_where_it_began() {
    let mut sim = peered(65, |setup| setup.redirect = true);
    let gateway = sim.gateway(1).with(|p| (p.load_share, p.strips_parameters) = (false, true)).on();
    sim.run_for(secs(1));
    let call = sim.call(gateway, "1002");
    sim.run_until(secs(5), "refused", |sim| sim.result(call) == Some(480));
    let redirected = |site| sim.counter(site, "tandem_dr_forwards_redirected_total");
    assert_eq!((redirected(A), redirected(B)), (1, 1), "A does not redirect a second time");
}

/// Guard (c): Max-Forwards falls over both sites.
#[test]
fn a_call_without_hops_left_is_refused_with_483() {
    let mut sim = peered(66, |_| {});
    let alice = sim.phone("1001").registers_at(A).with(|p| p.max_forwards = 0).on();
    sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(1));
    let call = sim.call(alice, "1002");
    sim.run_until(secs(2), "refused", |sim| sim.result(call).is_some());
    assert_eq!(sim.result(call), Some(483));
    sim.settle();
}

#[test]
fn a_person_who_declines_at_the_peer_is_not_asked_again_at_home() {
    for code in [486, 600, 603] {
        // With no-agent every call is forwarded, so Bob's second phone at A is the way back.
        let mut sim = peered(67 + u64::from(code), |setup| setup.dr_forward = DrForward::NoAgent);
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(B).refuses(code).on();
        let at_home = sim.phone("1002").registers_at(A).on();
        sim.run_for(secs(1));
        let call = sim.call(alice, "1002");
        sim.run_until(secs(5), "refused", |sim| sim.result(call).is_some());
        assert_eq!(sim.result(call), Some(code));
        sim.expect(!sim.was_offered(at_home, call), "the phone at home stays silent");
        sim.settle();
    }
}

#[test]
fn a_forward_that_the_peer_cannot_deliver_falls_back_to_the_phone_at_home() {
    for code in [404, 480, 503] {
        let mut sim = peered(70 + u64::from(code), |setup| setup.dr_forward = DrForward::NoAgent);
        let alice = sim.phone("1001").registers_at(A).on();
        sim.phone("1002").registers_at(B).refuses(code).on();
        let at_home = sim.phone("1002").registers_at(A).on();
        sim.run_for(secs(1));
        let call = sim.call(alice, "1002");
        // A 503 of the phone becomes 500 at B, which is an answer like a person's.
        let falls_back = code != 503;
        sim.run_until(secs(8), "decided", |sim| sim.is_talking(call) || sim.result(call).is_some());
        assert_eq!(sim.was_offered(at_home, call), falls_back, "after a {code}");
        assert_eq!(sim.counter(A, "tandem_dr_forward_fallbacks_total"), u64::from(falls_back));
        sim.settle();
    }
}

/// The peer dies while the trunk is still believed in service: the forward meets a closed port.
#[test]
fn a_forward_that_meets_a_dead_peer_falls_back_at_once() {
    let mut sim = peered(80, |setup| setup.dr_forward = DrForward::NoAgent);
    let alice = sim.phone("1001").registers_at(A).on();
    let at_home = sim.phone("1002").registers_at(A).on();
    sim.run_for(secs(1));
    sim.crash(B, Refusal::Refused);
    let call = sim.call(alice, "1002");
    sim.run_until(secs(3), "the phone at home rings", |sim| sim.rings(at_home, call));
    sim.settle();
}

#[test]
fn a_forward_that_meets_a_full_peer_falls_back() {
    let dn_forward = vec![("1004".to_owned(), DrForward::Off)];
    let mut sim = peered(81, |setup| {
        (setup.dr_forward, setup.dn_forward, setup.max_calls) = (DrForward::NoAgent, dn_forward, 1);
    });
    let alice = sim.phone("1001").registers_at(A).on();
    let at_home = sim.phone("1002").registers_at(A).on();
    let carol = sim.phone("1003").registers_at(B).on();
    sim.phone("1004").registers_at(B).on();
    sim.run_for(secs(1));
    sim.call_answered(carol, "1004");
    let call = sim.call_answered(alice, "1002");
    sim.expect(sim.was_offered(at_home, call), "B has its one call and says 503; the phone at home rings");
    sim.settle();
}

#[test]
fn what_was_decided_about_a_call_can_be_asked() {
    let mut sim = peered(82, |_| {});
    let alice = sim.phone("1001").registers_at(A).on();
    sim.phone("1002").registers_at(B).on();
    sim.run_for(secs(1));
    let call = sim.call_answered(alice, "1002");
    let id = sim.caller_leg(call).unwrap().call_id().to_owned();
    let why = sim.why(A, &id).expect("the call is known by its Call-ID");
    let text = why.steps.iter().map(|step| step.text.as_str()).collect::<Vec<_>>().join("; ");
    assert!(text.to_lowercase().contains("peer") || text.contains("forward"), "{text}");
    sim.settle();
}
