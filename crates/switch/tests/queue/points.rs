//! Routing points: a routing application is asked, and has its time.

use std::time::Duration;

use tandem_switch::directory::floor::{Floor, RoutingPoint};

use crate::floor::{House, point};

fn house(points: Vec<RoutingPoint>) -> House {
    House::with(Floor { routing_points: points, ..Floor::default() })
}

#[test]
fn a_routing_application_is_asked_and_the_default_follows_its_silence() {
    let mut house = house(vec![point("900", Some("1001"))]);
    house.routers("900", 1);
    house.arrive(1, "900");
    assert_eq!(house.wishes(), ["1?900"]);
    assert_eq!((house.queues.place(1), house.view("900").waiting), (Some(1), 1));
    house.pass(9_999);
    assert_eq!(house.wishes(), [""; 0]);
    house.pass(1);
    assert_eq!(house.wishes(), ["1!900>1001 RouterTimeout"]);
    assert!(house.stored().is_empty());
}

#[test]
fn without_a_routing_application_the_default_is_taken_at_once() {
    let mut house = house(vec![point("900", Some("1001")), point("901", None)]);
    house.arrive(1, "900");
    house.arrive(2, "901");
    assert_eq!(house.wishes(), ["1!900>1001 NoRouter", "2!901 480 NoRouter"]);
}

#[test]
fn calls_take_the_default_in_order_when_the_last_routing_application_goes() {
    let mut house = house(vec![point("900", Some("1001"))]);
    house.routers("900", 2);
    house.arrive(5, "900");
    house.arrive(3, "900");
    house.wishes();
    house.routers("900", 1);
    assert_eq!(house.wishes(), [""; 0]);
    house.routers("900", 0);
    assert_eq!(house.wishes(), ["5!900>1001 NoRouter", "3!900>1001 NoRouter"]);
}

#[test]
fn a_routed_call_is_gone_from_the_point() {
    let mut house = house(vec![point("900", Some("1001"))]);
    house.routers("900", 1);
    house.arrive(1, "900");
    house.leave(1);
    assert_eq!(house.wishes(), ["1?900"]);
    assert_eq!((house.due_in_ms(), house.queues.place(1), house.view("900").waiting), (None, None, 0));
    assert!(house.stored().is_empty());
}

#[test]
fn no_router_timeout_is_for_ever() {
    let mut house = house(vec![RoutingPoint { router_timeout: Duration::ZERO, ..point("900", None) }]);
    house.routers("900", 1);
    house.arrive(1, "900");
    assert_eq!(house.due_in_ms(), None);
}

#[test]
fn a_reload_keeps_the_routing_applications_and_gives_the_new_default() {
    let mut house = house(vec![point("900", Some("1001"))]);
    house.routers("900", 1);
    house.arrive(1, "900");
    house.reload(|floor| {
        floor.routing_points[0].default_dn = Some("1002".into());
        floor.routing_points[0].router_timeout = Duration::from_secs(3);
    });
    house.arrive(2, "900");
    house.pass(3_000);
    assert_eq!(house.wishes(), ["1?900", "2?900", "1!900>1002 RouterTimeout", "2!900>1002 RouterTimeout"]);
}

#[test]
fn calls_of_a_point_that_leaves_the_configuration_take_its_default() {
    let mut house = house(vec![point("900", Some("1001"))]);
    house.routers("900", 1);
    house.arrive(1, "900");
    house.reload(|floor| floor.routing_points.clear());
    assert_eq!(house.wishes(), ["1?900", "1!900>1001 Configuration"]);
}
