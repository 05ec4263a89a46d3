//! Whatever happens in whatever order: no call is lost and none is counted twice.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tandem_cti::{AgentState, Event, EventName, PartyState};

use crate::floor::*;

const QUEUES: [&str; 2] = ["7000", "7001"];
const DNS: [&str; 3] = ["1001", "1002", "1003"];

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Queue(EventName, usize, u64, Option<usize>),
    Leg(EventName, usize, u64, Option<usize>),
    Agent(EventName, usize, bool),
    DescribeQueue(usize, Vec<u64>),
    DescribeDn(usize, Vec<(u64, bool)>),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let queue_event = prop::sample::select(vec![
        EventName::Queued,
        EventName::RouteRequest,
        EventName::Diverted,
        EventName::Abandoned,
        EventName::PartyChanged,
    ]);
    let leg_event = prop::sample::select(vec![
        EventName::Ringing,
        EventName::Dialing,
        EventName::Established,
        EventName::Held,
        EventName::Retrieved,
        EventName::Released,
        EventName::Abandoned,
        EventName::PartyChanged,
    ]);
    let agent_event =
        prop::sample::select(vec![EventName::AgentLogin, EventName::AgentReady, EventName::AgentLogout]);
    let conn = || 1..6u64;
    prop_oneof![
        3 => (0..40_000u64).prop_map(Step::Pass),
        6 => (queue_event, 0..2usize, conn(), prop::option::of(0..4usize))
            .prop_map(|(name, queue, conn, to)| Step::Queue(name, queue, conn, to)),
        6 => (leg_event, 0..3usize, conn(), prop::option::of(0..2usize))
            .prop_map(|(name, dn, conn, queue)| Step::Leg(name, dn, conn, queue)),
        2 => (agent_event, 0..3usize, any::<bool>()).prop_map(|(name, dn, anna)| Step::Agent(name, dn, anna)),
        1 => (0..2usize, prop::collection::vec(conn(), 0..3))
            .prop_map(|(queue, conns)| Step::DescribeQueue(queue, conns)),
        1 => (0..3usize, prop::collection::vec((conn(), any::<bool>()), 0..2))
            .prop_map(|(dn, legs)| Step::DescribeDn(dn, legs)),
        1 => Just(Step::Restart),
    ]
}

fn run(floor: &mut Floor, step: Step) {
    match step {
        Step::Pass(ms) => floor.pass(ms),
        Step::Queue(name, queue, conn, to) => {
            let to = to.map(|to| DNS.get(to).copied().unwrap_or("+49").to_owned());
            let previous = Some(format!("{:016x}", conn % 5 + 1));
            let event =
                Event { third_party_dn: to, previous_conn_id: previous, ..call(name, QUEUES[queue], conn) };
            floor.tell(A, event);
        }
        Step::Leg(name, dn, conn, queue) => {
            let queue = queue.map(|queue| QUEUES[queue].to_owned());
            let previous = Some(format!("{:016x}", conn % 5 + 1));
            floor.tell(
                A,
                Event { this_queue: queue, previous_conn_id: previous, ..call(name, DNS[dn], conn) },
            );
        }
        Step::Agent(name, dn, anna) => {
            floor.tell(A, agent_event(name, DNS[dn], if anna { "anna" } else { "bert" }));
        }
        Step::DescribeQueue(queue, conns) => {
            let parties = conns.iter().map(|conn| party("+49", *conn, PartyState::Queued, None)).collect();
            floor.tell(A, describe(QUEUES[queue], None, parties));
        }
        Step::DescribeDn(dn, legs) => {
            let state = |up| if up { PartyState::Connected } else { PartyState::Alerting };
            let leg = |(conn, up): &(u64, bool)| party(DNS[dn], *conn, state(*up), Some("7000"));
            let legs = legs.iter().map(leg).collect();
            floor.tell(A, describe(DNS[dn], Some(("anna", AgentState::Ready)), legs));
        }
        Step::Restart => {
            let rows = std::mem::take(&mut floor.rows);
            *floor = floor.restart();
            floor.rows = rows;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_that_entered_is_waiting_or_counted_once(steps in prop::collection::vec(step(), 0..120)) {
        let mut floor = floor();
        for step in steps {
            run(&mut floor, step);
            let mut sums = (0, 0);
            for queue in QUEUES {
                let view = floor.view(&format!("queue:site-a:{queue}"));
                let counts = view.total.counts;
                let left = counts.handled + counts.abandoned + counts.diverted + counts.unseen;
                prop_assert_eq!(counts.offered, view.waiting.unwrap() + left);
                prop_assert!(counts.within <= counts.leveled && counts.waits <= counts.handled);
                sums = (sums.0 + counts.offered, sums.1 + view.waiting.unwrap());
            }
            let site = floor.view("site:site-a");
            prop_assert_eq!(sums, (site.total.counts.offered, site.waiting.unwrap()));
        }
    }

    #[test]
    fn every_row_has_an_id_of_its_own_and_its_times_in_order(
        steps in prop::collection::vec(step(), 0..120)
    ) {
        let mut floor = floor();
        // Two facts of one DN in the same millisecond do not come from a server, so time passes with every step.
        for step in steps {
            floor.pass(1);
            run(&mut floor, step);
        }
        let ids: BTreeSet<&str> = floor.rows.iter().map(tandem_stat::Row::id).collect();
        prop_assert_eq!(ids.len(), floor.rows.len());
    }
}
