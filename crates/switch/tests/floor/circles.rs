//! Configurations and requests that lead a call back to where it was: it ends with a refusal, and soon.

use std::time::Duration;

use tandem_cti::{EventName, Role};
use tandem_switch::directory::floor::{NoAnswerOverflow, Queue, RoutingPoint};

use crate::hall::Hall;
use crate::office::{ANNA, POINT, Plans, QUEUE, point, queue};
use crate::phones::Acts;
use crate::stages::{A, R};

/// A queue that sends its calls on at once.
fn sends_on(number: &str, to: &str) -> Queue {
    Queue { overflow_without_agents: true, overflow: Some(to.into()), ..queue(number, &[]) }
}

fn defaults_to(number: &str, to: &str) -> RoutingPoint {
    RoutingPoint { default_dn: Some(to.into()), ..point(number) }
}

/// Somebody calls this number: he is refused within a minute, and nothing is left.
#[track_caller]
fn ends(change: impl FnOnce(&mut Plans), number: &str) -> Hall {
    let mut hall = Hall::with(change);
    hall.joins(R, "sam", Role::Supervisor);
    hall.dials("gateway", number);
    hall.pass(60);
    assert_eq!(hall.phone("gateway").calls(), 0, "the caller was refused");
    hall.is_empty();
    hall
}

#[test]
fn a_queue_that_overflows_to_itself_refuses() {
    ends(|plans| plans.floor.queues = vec![sends_on(QUEUE, QUEUE)], QUEUE);
}

#[test]
fn queues_that_overflow_in_a_circle_refuse() {
    ends(
        |plans| {
            plans.floor.queues =
                vec![sends_on("7000", "7001"), sends_on("7001", "7002"), sends_on("7002", "7000")];
        },
        QUEUE,
    );
}

#[test]
fn a_full_queue_that_overflows_to_another_full_one_refuses() {
    let full = |number: &str, to: &str| Queue { max_length: 1, ..sends_on(number, to) };
    ends(|plans| plans.floor.queues = vec![full("7000", "7001"), full("7001", "7000")], QUEUE);
}

#[test]
fn queues_in_a_circle_that_wait_a_while_each_pass_the_caller_on_and_keep_him() {
    let slow = |number: &str, to: &str| Queue {
        overflow_without_agents: false,
        max_wait: Duration::from_secs(1),
        ..sends_on(number, to)
    };
    let mut hall = Hall::with(|plans| plans.floor.queues = vec![slow("7000", "7001"), slow("7001", "7000")]);
    hall.joins_at(R, "sam", Role::Supervisor, &["7000"]);
    hall.dials("gateway", QUEUE);
    hall.pass(60);
    let came = hall.told(R, QUEUE).into_iter().filter(|name| *name == EventName::Queued).count();
    assert!((29..=31).contains(&came), "{came} times in a minute, a second in each");
    hall.closes();
}

#[test]
fn a_routing_point_whose_default_is_itself_refuses() {
    ends(|plans| plans.floor.routing_points = vec![defaults_to(POINT, POINT)], POINT);
}

#[test]
fn a_routing_point_and_a_queue_that_send_to_each_other_refuse() {
    ends(
        |plans| {
            plans.floor.routing_points = vec![defaults_to(POINT, QUEUE)];
            plans.floor.queues = vec![sends_on(QUEUE, POINT)];
        },
        POINT,
    );
}

#[test]
fn a_route_to_the_routing_point_itself_is_asked_for_again_or_refused_but_never_loops() {
    let mut hall = Hall::open();
    hall.joins_at(R, "route", Role::RoutingApplication, &[POINT]);
    hall.dials("gateway", POINT);
    for _ in 0..100 {
        let conn = hall.conn();
        let route =
            format!(r#""request":"TRouteCall","ThisDN":"{POINT}","ConnID":"{conn}","OtherDN":"{POINT}""#);
        if hall.answer(R, &route).event == EventName::Error {
            break;
        }
    }
    hall.pass(60);
    assert_eq!(hall.phone("gateway").calls(), 0);
    hall.is_empty();
}

#[test]
fn an_offer_that_nobody_takes_and_that_overflows_to_its_own_queue_is_offered_again_each_time_after_a_ring() {
    let mut hall = Hall::with(|plans| {
        plans.floor.options.agent_no_answer_timeout = Some(Duration::from_secs(5));
        plans.floor.options.agent_no_answer_overflow = Some(vec![NoAnswerOverflow::To(QUEUE.into())]);
    });
    hall.acts(ANNA, Acts::Rings);
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.does(A, r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001","WorkMode":"AutoIn""#);
    hall.dials("gateway", QUEUE);
    hall.pass(60);
    let rings = hall.told(A, ANNA).into_iter().filter(|name| *name == EventName::Ringing).count();
    assert!((5..=12).contains(&rings), "{rings} offers in a minute, of 5 s each");
    hall.closes();
}

#[test]
fn a_direct_call_that_overflows_to_the_same_phone_rings_on_and_ends() {
    let mut hall = Hall::with(|plans| {
        plans.floor.options.agent_no_answer_timeout = Some(Duration::from_secs(5));
        plans.floor.options.agent_no_answer_overflow = Some(vec![NoAnswerOverflow::To(ANNA.into())]);
    });
    hall.acts(ANNA, Acts::Rings);
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.does(A, r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001""#);
    hall.dials("gateway", ANNA);
    hall.pass(200);
    let rings = hall.told(A, ANNA).into_iter().filter(|name| *name == EventName::Ringing).count();
    assert_eq!((rings, hall.phone("gateway").calls()), (1, 0), "ring-timeout ends it");
    hall.closes();
}

#[test]
fn agents_and_groups_that_do_not_exist_serve_nobody_and_harm_nobody() {
    let mut hall = Hall::with(|plans| {
        let ghosts = Queue { groups: vec!["nobody".into()], ..queue("7001", &["9998", "9999"]) };
        plans.floor.queues.push(ghosts);
    });
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.does(A, r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001","WorkMode":"AutoIn""#);
    hall.dials("gateway", "7001");
    hall.pass(60);
    assert!(!hall.told(A, ANNA).contains(&EventName::Ringing));
    assert_eq!(hall.bed.node.floor_counts().places, 1, "he waits on");
    hall.closes();
}
