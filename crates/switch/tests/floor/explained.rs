//! `tandem why` tells of a call that is over what it told while it was up.

use tandem_cti::Role;

use crate::hall::Hall;
use crate::office::{ANNA, POINT, QUEUE};
use crate::stages::{A, R};

#[track_caller]
fn steps(hall: &Hall, name: &str) -> Vec<String> {
    let why = hall.bed.node.why(name).unwrap_or_else(|| panic!("{name} is known"));
    why.steps.into_iter().map(|step| step.text).collect()
}

#[test]
fn a_call_that_is_over_still_shows_its_steps_at_the_queue_by_every_name() {
    let mut hall = Hall::open();
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    let id = hall.dials("gateway", QUEUE);
    hall.pass(7);
    hall.does(A, r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001","WorkMode":"AutoIn""#);
    hall.pass(1);
    let conn = hall.conn();
    let alive = steps(&hall, &conn);
    assert!(alive.iter().any(|step| step.contains("offered") && step.contains(ANNA)), "{alive:#?}");
    hall.hangs_up("gateway");
    hall.pass(100);
    hall.is_empty();
    for name in [&conn, &id] {
        let over = steps(&hall, name);
        assert_eq!(over[..alive.len()], alive, "by {name}");
    }
    assert!(hall.bed.node.why("00000000000000aa").is_none());
    hall.closes();
}

#[test]
fn a_caller_who_gave_up_at_queue_or_routing_point_is_explained_afterwards() {
    for at in [QUEUE, POINT] {
        let mut hall = Hall::open();
        hall.joins_at(R, "route", Role::RoutingApplication, &[QUEUE, POINT]);
        let id = hall.dials("gateway", at);
        let conn = hall.conn();
        let alive = steps(&hall, &id);
        hall.pass(2);
        hall.hangs_up("gateway");
        hall.pass(100);
        let over = steps(&hall, &conn);
        assert!(over.len() > alive.len() && over.iter().any(|step| step.contains(at)), "{over:#?}");
        hall.closes();
    }
}
