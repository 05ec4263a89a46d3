//! The forwarding decision: each rule alone, their order, and that no call can go in a circle.

use proptest::prelude::*;
use tandem_peer::continuity::{CallKind, DrForward, Facts, How, Mode, Originator, Rule, Verdict, decide};

/// A direct inbound call for a DN whose endpoint and agent are at the peer.
fn facts(dr_forward: DrForward) -> Facts {
    Facts {
        mode: Mode::Peered,
        dr_forward,
        call: CallKind::Inbound,
        originator: Originator::ExternalRedirectable,
        from_peer: false,
        marked: false,
        max_forwards: 70,
        redirected_recently: false,
        endpoint_in_service: false,
        agent_logged_in: false,
    }
}

fn rule(facts: Facts) -> (Verdict, Rule) {
    let decision = decide(&facts);
    (decision.verdict, decision.rule)
}

const REDIRECT: Verdict = Verdict::Forward(How::Redirect302);
const IN_PATH: Verdict = Verdict::Forward(How::InPath);

#[test]
fn oos_forwards_what_has_no_endpoint_here() {
    let call = facts(DrForward::Oos);
    assert_eq!(rule(call), (REDIRECT, Rule::EndpointOutOfService));
    let at_home = Facts { endpoint_in_service: true, ..call };
    assert_eq!(rule(at_home), (Verdict::Local, Rule::EndpointInService));
}

#[test]
fn oos_does_not_ask_for_an_agent() {
    let call = Facts { agent_logged_in: true, ..facts(DrForward::Oos) };
    assert_eq!(rule(call), (REDIRECT, Rule::EndpointOutOfService));
}

#[test]
fn no_agent_forwards_what_has_no_agent_here() {
    let call = Facts { endpoint_in_service: true, ..facts(DrForward::NoAgent) };
    assert_eq!(rule(call), (REDIRECT, Rule::NoAgent));
    let at_home = Facts { agent_logged_in: true, ..call };
    assert_eq!(rule(at_home), (Verdict::Local, Rule::AgentLoggedIn));
}

#[test]
fn off_never_forwards() {
    assert_eq!(rule(facts(DrForward::Off)), (Verdict::Local, Rule::ForwardingOff));
}

#[test]
fn sf_11_a_single_site_forwards_nothing() {
    for dr_forward in [DrForward::Oos, DrForward::NoAgent] {
        let call = Facts { mode: Mode::SingleSite, ..facts(dr_forward) };
        assert_eq!(rule(call), (Verdict::Local, Rule::SingleSite));
    }
}

#[test]
fn nf_05_no_way_of_forwarding_is_left_without_the_peer_trunk() {
    for originator in [Originator::ExternalRedirectable, Originator::ExternalInPath, Originator::Internal] {
        let call = Facts { mode: Mode::SingleSite, originator, ..facts(DrForward::Oos) };
        assert_eq!(rule(call), (Verdict::Local, Rule::SingleSite));
    }
}

#[test]
fn a_stand_alone_server_forwards_nothing() {
    let call = Facts { mode: Mode::StandAlone, ..facts(DrForward::Oos) };
    assert_eq!(rule(call), (Verdict::Local, Rule::StandAlone));
}

#[test]
fn nf_09_forwarding_resumes_with_the_mode() {
    let cut = Facts { mode: Mode::of(Some(false)), ..facts(DrForward::Oos) };
    let healed = Facts { mode: Mode::of(Some(true)), ..cut };
    assert_eq!(decide(&cut).verdict, Verdict::Local);
    assert_eq!(decide(&healed).verdict, REDIRECT);
}

#[test]
fn who_cannot_be_redirected_is_carried_over_the_peer_trunk() {
    for originator in [Originator::ExternalInPath, Originator::Internal] {
        let call = Facts { originator, ..facts(DrForward::Oos) };
        assert_eq!(rule(call), (IN_PATH, Rule::EndpointOutOfService));
    }
}

#[test]
fn only_direct_calls_are_forwarded() {
    let subject = [
        (CallKind::Inbound, true),
        (CallKind::Internal, true),
        (CallKind::ThirdParty, true),
        (CallKind::Consult, true),
        (CallKind::Transfer, true),
        (CallKind::RoutedWithoutAgent, true),
        (CallKind::RoutedToAgent, false),
        (CallKind::Group, false),
        (CallKind::NotAnExtension, false),
    ];
    for (call, forwarded) in subject {
        let (verdict, rule) = rule(Facts { call, ..facts(DrForward::Oos) });
        assert_eq!(verdict != Verdict::Local, forwarded, "{call:?}");
        assert_eq!(rule == Rule::NotSubject, !forwarded, "{call:?}");
    }
}

#[test]
fn each_loop_guard_holds_alone() {
    let call = facts(DrForward::Oos);
    assert_eq!(rule(Facts { from_peer: true, ..call }), (Verdict::Local, Rule::CameFromPeer));
    assert_eq!(rule(Facts { marked: true, ..call }), (Verdict::Local, Rule::AlreadyForwarded));
    let back_again = Facts { redirected_recently: true, ..call };
    assert_eq!(rule(back_again), (Verdict::Local, Rule::RedirectedRecently));
    let last_hop = Facts { max_forwards: 1, originator: Originator::Internal, ..call };
    assert_eq!(rule(last_hop), (Verdict::Local, Rule::MaxForwardsSpent));
    assert_eq!(rule(Facts { max_forwards: 2, ..last_hop }), (IN_PATH, Rule::EndpointOutOfService));
}

#[test]
fn a_redirected_caller_starts_with_hops_of_its_own() {
    let call = Facts { max_forwards: 0, ..facts(DrForward::Oos) };
    assert_eq!(rule(call), (REDIRECT, Rule::EndpointOutOfService));
}

#[test]
fn a_decision_tells_what_was_considered_and_what_matched() {
    let decision = decide(&Facts { marked: true, ..facts(DrForward::NoAgent) });
    let considered: Vec<_> = decision.considered().collect();
    assert_eq!(considered.first(), Some(&(Rule::NotSubject, false)));
    assert_eq!(considered.last(), Some(&(Rule::AlreadyForwarded, true)));
    assert_eq!(considered.iter().filter(|(_, matched)| *matched).count(), 1);
    assert_eq!(decision.to_string(), "delivered here: the call carries the mark of one forwarded before");
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let modes = prop::sample::select(vec![Mode::StandAlone, Mode::Peered, Mode::SingleSite]);
    let rules = prop::sample::select(vec![DrForward::Off, DrForward::NoAgent, DrForward::Oos]);
    let calls = prop::sample::select(vec![
        CallKind::Inbound,
        CallKind::Internal,
        CallKind::RoutedToAgent,
        CallKind::RoutedWithoutAgent,
        CallKind::Group,
    ]);
    let originators = prop::sample::select(vec![
        Originator::ExternalRedirectable,
        Originator::ExternalInPath,
        Originator::Internal,
    ]);
    let guards = (any::<bool>(), any::<bool>(), any::<bool>(), 0u8..=70);
    let state = (any::<bool>(), any::<bool>());
    (modes, rules, calls, originators, guards, state).prop_map(
        |(
            mode,
            dr_forward,
            call,
            originator,
            (from_peer, marked, again, max_forwards),
            (endpoint, agent),
        )| Facts {
            mode,
            dr_forward,
            call,
            originator,
            from_peer,
            marked,
            max_forwards,
            redirected_recently: again,
            endpoint_in_service: endpoint,
            agent_logged_in: agent,
        },
    )
}

proptest! {
    #[test]
    fn a_forward_always_has_every_reason(facts in any_facts()) {
        if let Verdict::Forward(_) = decide(&facts).verdict {
            prop_assert_eq!(facts.mode, Mode::Peered);
            prop_assert!(facts.dr_forward != DrForward::Off);
            prop_assert!(!facts.from_peer && !facts.marked && !facts.redirected_recently);
            prop_assert!(!facts.endpoint_in_service || facts.dr_forward == DrForward::NoAgent);
            prop_assert!(!facts.agent_logged_in || facts.dr_forward == DrForward::Oos);
        }
    }

    /// Whatever the second site believes, a call that the first one forwarded stops there: over the trunk by its
    /// origin, after a 302 by its mark, and if the gateway stripped the mark and comes back to the first site by memory.
    #[test]
    fn a_forwarded_call_never_comes_back(first in any_facts(), second in any_facts()) {
        match decide(&first).verdict {
            Verdict::Local => {}
            Verdict::Forward(How::InPath) => {
                prop_assert_eq!(decide(&Facts { from_peer: true, ..second }).verdict, Verdict::Local);
            }
            Verdict::Forward(How::Redirect302) => {
                prop_assert_eq!(decide(&Facts { marked: true, ..second }).verdict, Verdict::Local);
                prop_assert_eq!(decide(&Facts { redirected_recently: true, ..first }).verdict, Verdict::Local);
            }
        }
    }
}
