//! Requests, phones, time and reloads in any order: every request has one answer, every event is as documented, and nothing
//! is left when all is over.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use tandem_cti::{EventName, Request, Role};
use tandem_switch::{DrainOrder, Input};

use crate::answers::spoken;
use crate::hall::Hall;
use crate::nailed::nails;
use crate::office::{ANNA, BERT, DORA, FIXED, POINT, QUEUE, office};
use crate::phones::Acts;
use crate::stages::{A, B, R, ROOT};

const DNS: [&str; 6] = [ANNA, BERT, DORA, FIXED, QUEUE, POINT];
const PHONES: [&str; 6] = [ANNA, BERT, FIXED, DORA, "gateway", "mixer"];
const ACTS: [Acts; 6] =
    [Acts::Answers, Acts::Answers, Acts::Rings, Acts::Refuses(486), Acts::Refuses(480), Acts::Dead];

#[derive(Clone, Debug)]
enum Step {
    /// Client, request and its variant, DN, and which calls.
    Asks(Index, Index, Index, Index, [Index; 2]),
    Acts(Index, Index),
    Dials(Index, Index),
    PicksUp(Index),
    HangsUp(Index),
    /// A phone transfers a call: to a number, or to the party of its next call.
    Refers(Index, Option<Index>),
    Passes(u64),
    Reloads(bool),
}

fn pick(index: Index, of: &[&'static str]) -> &'static str {
    of[index.index(of.len())]
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        12 => (index(), index(), index(), index(), [index(), index()])
            .prop_map(|(a, b, c, d, e)| Step::Asks(a, b, c, d, e)),
        2 => (index(), index()).prop_map(|(a, b)| Step::Acts(a, b)),
        4 => (index(), index()).prop_map(|(a, b)| Step::Dials(a, b)),
        2 => index().prop_map(Step::PicksUp),
        1 => index().prop_map(Step::HangsUp),
        3 => (index(), any::<Option<Index>>()).prop_map(|(a, b)| Step::Refers(a, b)),
        3 => (0u64..20).prop_map(Step::Passes),
        1 => any::<bool>().prop_map(Step::Reloads),
    ]
}

/// Requests that lead further are asked more often than others.
const OFTEN: [&str; 14] = [
    "TAgentLogin",
    "TAgentLogin",
    "TAgentSetReady",
    "TMakeCall",
    "TMakeCall",
    "THoldCall",
    "TInitiateTransfer",
    "TInitiateConference",
    "TCompleteTransfer",
    "TCompleteConference",
    "TAlternateCall",
    "TReconnectCall",
    "TRouteCall",
    "TMuteTransfer",
];

fn request(hall: &Hall, [name, variant, dn]: [Index; 3], calls: [Index; 2]) -> String {
    let all = Request::NAMES.iter().map(|(name, _)| *name);
    // The shutdown is for good: it has tests of its own.
    let names: Vec<&str> = all.filter(|name| *name != "TPrivateRequest").chain(OFTEN).collect();
    let name = pick(name, &names);
    let mut conns: Vec<String> = hall.heard.iter().filter_map(|told| told.event.conn_id.clone()).collect();
    conns.dedup();
    let latest = conns.split_off(conns.len().saturating_sub(8));
    let conn = |index: Index| {
        if latest.is_empty() { "00000000000000aa" } else { &*latest[index.index(latest.len())] }
    };
    let variants = spoken(name, (conn(calls[0]), conn(calls[1])));
    variant.get(&variants).replace(r#""ThisDN":"1001""#, &format!(r#""ThisDN":"{}""#, pick(dn, &DNS)))
}

fn take(hall: &mut Hall, step: &Step) -> Option<(u64, u32, String)> {
    match step {
        Step::Asks(client, name, variant, dn, calls) => {
            let link = *client.get(&[A, B, R, ROOT][..]);
            let text = request(hall, [*name, *variant, *dn], *calls);
            return Some((link, hall.asks(link, &text), text));
        }
        Step::Acts(phone, acts) => hall.acts(pick(*phone, &PHONES), *acts.get(&ACTS[..])),
        Step::Dials(from, to) => {
            let from = pick(*from, &[ANNA, BERT, DORA, "gateway"]);
            hall.dials(from, pick(*to, &DNS));
        }
        Step::PicksUp(phone) => hall.picks_up(pick(*phone, &PHONES)),
        Step::HangsUp(phone) => hall.hangs_up(pick(*phone, &PHONES)),
        Step::Refers(phone, to) => {
            let to = to.map(|to| pick(to, &DNS));
            hall.refers(pick(*phone, &[ANNA, BERT, DORA, FIXED, "gateway"]), to);
        }
        Step::Passes(seconds) => hall.pass(*seconds),
        Step::Reloads(whole) => hall.reloads(office(|plans| {
            if !whole {
                plans.floor.queues.clear();
                plans.extensions.retain(|extension| *extension.number != *DORA);
            }
        })),
    }
    None
}

/// The clients of these tests.
fn opens(mut hall: Hall) -> Hall {
    hall.joins_at(A, "anna", Role::Supervisor, &[ANNA, BERT, QUEUE]);
    hall.joins_at(B, "bert", Role::Agent, &[BERT, DORA, FIXED]);
    hall.joins_at(R, "route", Role::RoutingApplication, &[QUEUE, POINT]);
    hall.joins_at(ROOT, "root", Role::Administrator, &[ANNA, DORA, FIXED, POINT]);
    hall
}

/// Calls that exist, nailed-up connections among them, and logins so far. What a conference puts together at the mixer is
/// made of calls that are there.
fn begun(hall: &Hall) -> (BTreeSet<String>, usize) {
    let list = hall.bed.node.call_list(hall.bed.now).into_iter();
    let calls = list.filter(|call| !call.devices.iter().any(|device| device == "mixer"));
    let calls = calls.map(|call| call.call_uuid).collect();
    let logins = hall.heard.iter().filter(|told| told.event.event == EventName::AgentLogin).count();
    (calls, logins)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_leaves_each_request_answered_once_and_nothing_behind(steps in prop::collection::vec(step(), 1..50)) {
        let mut hall = opens(Hall::open());
        let asked: Vec<_> = steps.iter().filter_map(|step| take(&mut hall, step)).collect();
        hall.reloads(office(|_| {}));
        hall.closes();
        hall.pass(400);
        for (link, reference, text) in asked {
            let answers = hall.answers(link, reference);
            let brief: Vec<_> = answers.iter().map(|e| (e.event, e.error_code)).collect();
            prop_assert_eq!(brief.len(), 1, "{} of {}: {:?}", text, link, brief);
        }
        hall.is_empty();
    }

    /// Whatever can begin a call is among these steps: an INVITE of a phone or gateway for an Extension, a queue or a
    /// routing point, every request of the CTI interface, a login with a nailed-up connection, a reload, and what timers
    /// do to calls that wait, ring or overflow.
    #[test]
    fn no_sequence_begins_a_call_or_a_login_during_a_drain(
        before in prop::collection::vec(step(), 1..30),
        during in prop::collection::vec(step(), 1..30),
    ) {
        let mut hall = opens(Hall::with(nails("gcti::park", 0)));
        for step in &before {
            take(&mut hall, step);
        }
        let (mut known, logins) = begun(&hall);
        let order = DrainOrder::Start { by: "a test".into() };
        hall.bed.node.handle_input(Input::Drain(order), hall.bed.now);
        hall.bed.drain();
        hall.run();
        for step in &during {
            take(&mut hall, step);
            let (calls, logins_now) = begun(&hall);
            prop_assert!(calls.is_subset(&known), "{:?} began {:?}", step, calls.difference(&known));
            prop_assert_eq!(logins_now, logins, "{:?} logged somebody in", step);
            known = calls;
        }
        hall.closes();
        prop_assert_eq!(hall.bed.node.drain_status(hall.bed.now).state, "drained");
    }
}
