//! The oracles' own tests: a server that does not keep a rule is found out within a thousand seeds, and by that rule's name.
#![allow(clippy::panic)]

use tandem_sim::chaos::shrink::shrink;
use tandem_sim::chaos::{self, Plan};
use tandem_sim::oracle::Invariant;

/// The first of a thousand seeds in which the rule is the first that breaks.
fn is_found_out(rule: Invariant) {
    let plans = (0..500).flat_map(|seed| [Plan::new(seed, true), Plan::new(seed, false)]);
    let mut plans = plans.map(|plan| Plan { broken: Some(rule), ..plan });
    let found =
        plans.find(|plan| chaos::run(plan, false).is_err_and(|failure| failure.violation.rule == rule));
    assert!(found.is_some(), "nobody noticed that {rule} was broken");
}

#[test]
fn a_server_that_forgets_who_forwarded_a_call_is_found_out() {
    is_found_out(Invariant::NoForwardingLoop);
}

#[test]
fn a_server_that_rings_beside_its_own_forward_is_found_out() {
    is_found_out(Invariant::NoRingBesideForward);
}

#[test]
fn a_server_that_logs_an_agent_in_twice_is_found_out() {
    is_found_out(Invariant::OneLogin);
}

#[test]
fn a_server_that_drops_bystanders_with_the_lost_peer_is_found_out() {
    is_found_out(Invariant::BystandersKeepTheirCalls);
}

#[test]
fn a_server_that_never_asks_for_its_peer_again_is_found_out() {
    is_found_out(Invariant::PeeredAgain);
}

#[test]
fn a_server_that_keeps_calls_whose_parties_are_gone_is_found_out() {
    is_found_out(Invariant::NothingStuck);
}

#[test]
fn a_server_that_keeps_records_beyond_their_deadline_is_found_out() {
    is_found_out(Invariant::RecordsEndInTime);
}

#[test]
fn a_server_that_tells_before_it_has_stored_is_found_out() {
    is_found_out(Invariant::StoredBeforeTold);
}

#[test]
fn a_server_that_acknowledges_nothing_is_found_out() {
    is_found_out(Invariant::SipAsWritten);
}

#[test]
fn a_server_that_tells_an_event_twice_is_found_out() {
    is_found_out(Invariant::FloorInOrder);
}

#[test]
fn a_server_with_a_wrap_up_of_its_own_is_found_out() {
    is_found_out(Invariant::AgentsAsModelled);
}

#[test]
fn a_server_that_swallows_events_is_found_out() {
    is_found_out(Invariant::ClientsHearAll);
}

#[test]
fn a_server_that_runs_in_circles_is_found_out() {
    is_found_out(Invariant::NoBusyLoop);
}

/// The shortest form of a failing run is shorter, and its command breaks the same rule.
#[test]
fn the_shortest_form_breaks_the_same_rule() {
    let rule = Invariant::NoForwardingLoop;
    let plan = |seed| Plan { broken: Some(rule), ..Plan::new(seed, false) };
    let broke = (0..1_000).find_map(|seed| chaos::play(&plan(seed), false).err().map(|broke| (seed, broke)));
    let Some((seed, broke)) = broke else { panic!("nothing broke") };
    let rule = broke.failure.violation.rule;
    let shortest = shrink(&plan(seed), &broke);
    let text = shortest.plan.to_string();
    let acts = text.split_once("--acts ").and_then(|(_, rest)| rest.split(' ').next());
    let cast = text.split_once("--cast ").and_then(|(_, rest)| rest.split(' ').next());
    let read = |numbers: Option<&str>| numbers.unwrap_or("all").parse();
    let (Ok(acts), Ok(cast)) = (read(acts), read(cast)) else { panic!("{text} cannot be read") };
    let again = chaos::run(&Plan { acts, cast, ..plan(seed) }, false);
    assert!(again.is_err_and(|failure| failure.violation.rule == rule), "{text}");
    let kept = |numbers: u32| (1..=numbers).filter(|n| shortest.plan.acts.has(*n)).count();
    assert!(kept(broke.played.acts) < 10 && broke.played.acts > 10, "{text}");
}
