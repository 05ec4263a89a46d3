//! Explanations.

use tandem_switch::directory::floor::{Distribution, Floor, Queue};
use tandem_switch::limits::{MAX_AGENT_STEPS, MAX_CALL_STEPS, MAX_CONSIDERED, MAX_EXPLAINED_QUEUED};
use tandem_switch::queue::{Explained, OfferEnd};

use crate::floor::{House, login, queue};

fn texts(steps: &[Explained]) -> Vec<&str> {
    steps.iter().map(|step| &*step.text).collect()
}

fn agent(house: &House, dn: &str) -> Vec<Explained> {
    house.queues.why_agent(dn, &house.directory, house.now)
}

fn skilled_house() -> House {
    let logins = vec![login("a1", &[("german", 3)]), login("a2", &[("german", 5)])];
    House::with(Floor { queues: vec![queue("800", &["a1", "a2"])], logins, ..Floor::default() })
}

#[test]
fn a_call_tells_who_got_it_and_why_not_another() {
    let mut house = House::of(vec![queue("800", &["a1", "a2"])]);
    house.available("1");
    house.pass(1_500);
    house.available("2");
    house.pass(2_000);
    house.arrive(1, "800");
    house.with_desk(|queues, desk| queues.offer_failed(desk, 1, OfferEnd::Refused(486)));
    house.answered(1);
    let why = house.queues.why_call(1);
    let expected = [
        "came to 800, priority 0",
        "offered by 800 to the agent at 1: idle for 3.5 s",
        "1 did not take it: his phone refused with 486",
        "offered by 800 to the agent at 2: idle for 2.0 s",
        "answered at 2",
    ];
    assert_eq!(texts(&why), expected);
    assert_eq!(why[1].considered, ["no: 2: idle for 2.0 s only"]);
    assert_eq!(why[1].unix_ms, house.now.unix_ms);
    let passed = "call 0000000000000001 of 800 went to 1, idle for 3.5 s; this one: idle for 2.0 s only";
    let expected = [
        passed,
        "offered call 0000000000000001 of 800 after 2.0 s idle",
        "answered call 0000000000000001",
        "now: not available (not ready, or with a call)",
    ];
    assert_eq!(texts(&agent(&house, "2")), expected);
}

#[test]
fn a_call_that_waits_tells_what_the_available_agents_lack() {
    let mut house = skilled_house();
    house.available("1");
    house.log_in("2");
    house.arrive_with(1, "800", 2, &[("german", 5)]);
    let why = house.queues.why_call(1);
    let expected =
        ["came to 800, priority 2", "waits for an agent: 2 logged in, 1 available, none can take it"];
    assert_eq!(texts(&why), expected);
    assert_eq!(why[1].considered, ["no: 1: lacks german 5 (has 3)"]);
    let now = agent(&house, "1").pop().unwrap();
    assert_eq!(now.text, "now: available, idle for 0.0 s");
    assert_eq!(now.considered, ["800: 1 waiting, the first is 0000000000000001 and wants german 5 (has 3)"]);
}

#[test]
fn the_levels_are_told_where_they_decide() {
    let mut house = skilled_house();
    house.reload(|floor| floor.queues[0].distribution = Distribution::HighestSkill);
    house.available("1");
    house.available("2");
    house.arrive_with(1, "800", 0, &[("german", 1)]);
    let why = house.queues.why_call(1);
    assert_eq!(why[1].text, "offered by 800 to the agent at 2: skill levels together 5, idle for 0.0 s");
    assert_eq!(why[1].considered, ["no: 1: skill levels together 3, idle for 0.0 s"]);
}

#[test]
fn a_call_tells_why_it_left_its_queue_and_that_it_keeps_its_place() {
    let to = Queue {
        max_wait: std::time::Duration::from_secs(10),
        overflow: Some("801".into()),
        ..queue("800", &[])
    };
    let mut house = House::of(vec![to, queue("801", &[])]);
    house.arrive(1, "800");
    house.pass(10_000);
    house.arrive(1, "801");
    house.leave(1);
    let why = house.queues.why_call(1);
    let expected = [
        "came to 800, priority 0",
        "waits for an agent: 0 logged in, 0 available, none can take it",
        "leaves 800 for 801: it waited too long",
        "came to 801, priority 0; keeps its place, 10.0 s old",
        "waits for an agent: 0 logged in, 0 available, none can take it",
        "left 801",
    ];
    assert_eq!(texts(&why), expected);
}

#[test]
fn an_agent_tells_why_no_call_is_his_now() {
    let mut german = queue("801", &["a1"]);
    german.skills = [("german".into(), 5)].into();
    let queues = vec![queue("800", &["a1"]), german, queue("802", &["a1"])];
    let mut house =
        House::with(Floor { queues, logins: vec![login("a1", &[("german", 3)])], ..Floor::default() });
    house.available("1");
    house.arrive(7, "800");
    house.failed(7);
    house.available("1");
    house.pass(2_000);
    let now = agent(&house, "1").pop().unwrap();
    assert_eq!(now.text, "now: available, idle for 2.0 s");
    let expected = [
        "800: 1 waiting, the first is 0000000000000007, which he did not take; again in 3.0 s",
        "801: does not serve it: lacks german 5 (has 3)",
        "802: no call waits",
    ];
    assert_eq!(now.considered, expected);
    house.available_for("9", &[]);
    let expected = "serves no queue: none names AgentID a9 (no such Agent Login), his groups or skills, and he named none";
    assert_eq!(agent(&house, "9").pop().unwrap().considered, [expected]);
    house.log_out("9");
    assert_eq!(texts(&agent(&house, "9")), ["now: not logged in"]);
    assert!(agent(&house, "8").is_empty());
}

#[test]
fn explanations_are_bounded() {
    let mut house = House::of(vec![queue("800", &[]), queue("801", &[])]);
    let dns: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    dns.iter().for_each(|dn| house.available_for(dn, &["800"]));
    house.arrive(1, "800");
    assert_eq!(house.queues.why_call(1)[1].considered.len(), MAX_CONSIDERED);
    for conn in 2..40 {
        house.arrive(conn, "800");
        house.leave(conn);
        dns.iter().for_each(|dn| house.available_for(dn, &["800"]));
        house.arrive(1_000, "801");
    }
    assert!(agent(&house, "3").len() <= MAX_AGENT_STEPS + 1);
    assert_eq!(house.queues.why_call(1_000).len(), MAX_CALL_STEPS);
    house.leave(1_000);
    assert!(!house.queues.why_call(1_000).is_empty());
    for conn in 0..MAX_EXPLAINED_QUEUED as u64 {
        house.arrive(10_000 + conn, "801");
        house.leave(10_000 + conn);
    }
    assert!(house.queues.why_call(1_000).is_empty(), "the oldest is forgotten");
}
