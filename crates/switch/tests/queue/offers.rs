//! Offers: one for an agent, one for a call, and what follows when it comes to nothing.

use std::time::Duration;

use tandem_switch::directory::floor::Floor;
use tandem_switch::limits::PAUSE_AFTER_FAILED_MS;
use tandem_switch::queue::OfferEnd;

use crate::floor::{House, login, queue};

#[test]
fn an_agent_has_one_offer_and_a_call_has_one_offer() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"]), queue("801", &["a1", "a2"])]);
    house.available("1");
    house.arrive(1, "800");
    house.arrive(2, "801");
    assert_eq!(house.wishes(), ["1>1"]);
    house.pass(10);
    house.available("1");
    assert_eq!(house.wishes(), [""; 0], "call 1 still rings at him");
    house.available("2");
    assert_eq!(house.wishes(), ["2>2"]);
}

#[test]
fn an_agent_who_answered_gets_no_call_before_he_is_available_again() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    house.available("1");
    house.arrive(1, "800");
    house.available("1");
    house.answered(1);
    house.arrive(2, "800");
    assert_eq!(house.wishes(), ["1>1"]);
    house.available("1");
    assert_eq!(house.wishes(), ["2>1"]);
}

#[test]
fn a_call_that_was_not_taken_is_back_at_its_place_and_goes_to_another() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    house.available("1");
    house.arrive(1, "800");
    house.arrive(2, "800");
    house.failed(1);
    assert_eq!((house.queues.place(1), house.queues.place(2)), (Some(1), Some(2)));
    house.available("2");
    assert_eq!(house.wishes(), ["1>1", "1>2"]);
}

#[test]
fn who_failed_a_call_gets_the_next_one_meanwhile() {
    for early in [true, false] {
        let mut house = House::of(vec![queue("800", &["a1"])]);
        house.available("1");
        house.arrive(1, "800");
        house.arrive(2, "800");
        if early {
            house.available("1");
            house.failed(1);
        } else {
            house.failed(1);
            house.available("1");
        }
        assert_eq!(house.wishes(), ["1>1", "2>1"], "available told early: {early}");
    }
}

#[test]
fn who_failed_a_call_is_offered_it_again_after_a_pause() {
    for why in [OfferEnd::NoAnswer, OfferEnd::Refused(486), OfferEnd::Unreachable, OfferEnd::AgentGone] {
        let mut house = House::of(vec![queue("800", &["a1"])]);
        house.available("1");
        house.arrive(1, "800");
        house.with_desk(|queues, desk| queues.offer_failed(desk, 1, why));
        house.available("1");
        assert_eq!(house.wishes(), ["1>1"]);
        assert_eq!(house.due_in_ms(), Some(PAUSE_AFTER_FAILED_MS));
        house.pass(PAUSE_AFTER_FAILED_MS - 1);
        assert_eq!(house.wishes(), [""; 0]);
        house.pass(1);
        assert_eq!(house.wishes(), ["1>1"]);
    }
}

#[test]
fn after_the_pause_somebody_who_did_not_fail_it_still_goes_before() {
    let mut house = House::of(vec![queue("800", &["a1", "a2", "a3"])]);
    house.available("1");
    house.arrive(1, "800");
    house.failed(1);
    house.available("2");
    house.available("1");
    assert_eq!(house.wishes(), ["1>1", "1>2"]);
    house.pass(PAUSE_AFTER_FAILED_MS);
    house.available("3");
    house.failed(1);
    assert_eq!(house.wishes(), ["1>3"], "agent 1 is idle longer, but failed it");
}

#[test]
fn calls_whose_pause_ends_together_are_served_by_their_order() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    house.arrive(2, "800");
    house.arrive(1, "800");
    house.available("1");
    house.failed(2);
    house.available("1");
    house.failed(1);
    house.available("1");
    assert_eq!(house.wishes(), ["2>1", "1>1"]);
    house.pass(PAUSE_AFTER_FAILED_MS);
    assert_eq!(house.wishes(), ["2>1"]);
}

#[test]
fn an_offer_is_taken_back_when_the_agents_no_answer_timeout_is_over() {
    let mut slow = login("a1", &[]);
    slow.options.agent_no_answer_timeout = Some(Duration::from_secs(40));
    let mut never = login("a2", &[]);
    never.options.agent_no_answer_timeout = Some(Duration::ZERO);
    let logins = vec![slow, never];
    let queues = vec![queue("800", &["a1", "a2", "a3"])];
    let mut house = House::with(Floor { queues, logins, ..Floor::default() });
    for (conn, dn) in [(1, "1"), (2, "2"), (3, "3")] {
        house.available(dn);
        house.arrive(conn, "800");
    }
    house.wishes();
    house.pass(14_999);
    assert_eq!(house.wishes(), [""; 0]);
    house.pass(1);
    assert_eq!(house.wishes(), ["3<3"], "the documented default is 15 s");
    house.pass(25_000);
    assert_eq!(house.wishes(), ["1<1"]);
    house.pass(139_999);
    assert_eq!(house.wishes(), [""; 0]);
    house.pass(1);
    assert_eq!(house.wishes(), ["2<2"], "without supervision it rings for ring-timeout");
    assert_eq!(house.due_in_ms(), None);
}

#[test]
fn an_answer_that_crosses_the_taking_back_counts() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    house.available("1");
    house.arrive(1, "800");
    house.pass(15_000);
    house.answered(1);
    house.failed(1);
    assert_eq!(house.wishes(), ["1>1", "1<1"]);
    assert_eq!((house.view("800").waiting, house.view("800").offered), (0, 0));
}

#[test]
fn a_caller_who_hangs_up_while_it_rings_frees_the_agent() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    house.available("1");
    house.arrive(1, "800");
    house.arrive(2, "800");
    house.available("1");
    house.leave(1);
    assert_eq!(house.wishes(), ["1>1", "2>1"]);
    assert_eq!((house.view("800").waiting, house.view("800").offered), (0, 1));
}

#[test]
fn an_agent_who_is_unavailable_while_it_rings_keeps_the_offer() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    house.available("1");
    house.arrive(1, "800");
    house.unavailable("1");
    assert_eq!(house.view("800").offered, 1);
    house.failed(1);
    house.pass(PAUSE_AFTER_FAILED_MS);
    assert_eq!(house.wishes(), ["1>1"], "he has not been told available");
}

#[test]
fn what_is_said_of_calls_that_are_not_there_changes_nothing() {
    let mut house = House::of(vec![queue("800", &["a1"])]);
    house.arrive(1, "800");
    house.answered(1);
    house.failed(1);
    house.leave(2);
    house.answered(2);
    house.failed(2);
    house.unavailable("9");
    house.log_out("9");
    assert_eq!(house.queues.place(1), Some(1));
    assert_eq!(house.wishes(), [""; 0]);
}

#[test]
fn a_call_that_comes_to_another_queue_is_in_that_one_only() {
    let mut house = House::of(vec![queue("800", &[]), queue("801", &[])]);
    house.arrive(1, "800");
    house.arrive(1, "801");
    assert_eq!((house.view("800").waiting, house.view("801").waiting), (0, 1));
    assert_eq!(house.stored().len(), 1);
}

#[test]
fn each_agent_who_failed_a_call_has_his_own_pause() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    house.available("1");
    house.arrive(1, "800");
    house.failed(1);
    house.available("2");
    house.pass(2_000);
    house.failed(1);
    house.available("2");
    house.wishes();
    house.pass(PAUSE_AFTER_FAILED_MS - 2_000);
    assert_eq!(house.wishes(), [""; 0], "agent 1 is not available");
    house.pass(2_000);
    assert_eq!(house.wishes(), ["1>2"]);
}
