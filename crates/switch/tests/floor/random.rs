//! Requests, phones, time and reloads in any order: every request has one answer, every event is as documented, and nothing
//! is left when all is over.

use proptest::prelude::*;
use proptest::sample::Index;
use tandem_cti::{Request, Role};

use crate::answers::spoken;
use crate::hall::Hall;
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

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_leaves_each_request_answered_once_and_nothing_behind(steps in prop::collection::vec(step(), 1..50)) {
        let mut hall = Hall::open();
        hall.joins_at(A, "anna", Role::Supervisor, &[ANNA, BERT, QUEUE]);
        hall.joins_at(B, "bert", Role::Agent, &[BERT, DORA, FIXED]);
        hall.joins_at(R, "route", Role::RoutingApplication, &[QUEUE, POINT]);
        hall.joins_at(ROOT, "root", Role::Administrator, &[ANNA, DORA, FIXED, POINT]);
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
}
