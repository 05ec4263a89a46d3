//! A server alone that is killed and started.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use tandem_switch::Input::Recorded;
use world::{PHONE, World};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_registration_is_answered_once_it_is_on_the_disk_and_is_there_after_a_restart() {
    let mut world = World::alone();
    assert_eq!(world.registered(0), Some(vec![]));
    world.register(0, "1001");
    assert_eq!(world.machines[0].said, [], "nothing is said of what no disk has");
    world.pass(ms(10));
    assert_eq!(world.machines[0].said.iter().map(|(_, code)| *code).collect::<Vec<_>>(), [200]);
    world.kill(0);
    assert_eq!(world.registered(0), None);
    world.start(0);
    world.pass(ms(10));
    assert_eq!(world.registered(0), Some(vec!["1001".to_owned()]));
}

#[test]
fn what_was_not_on_the_disk_was_answered_to_nobody() {
    let mut world = World::alone();
    world.machines[0].disk_stands = true;
    world.register(0, "1001");
    world.pass(ms(50));
    assert_eq!(world.machines[0].said, []);
    world.kill(0);
    world.machines[0].disk_stands = false;
    world.start(0);
    world.pass(ms(10));
    assert_eq!(world.registered(0), Some(vec![]));
    world.register(0, "1001");
    world.pass(ms(10));
    assert_eq!(world.registered(0), Some(vec!["1001".to_owned()]));
}

#[test]
fn a_server_that_is_killed_again_and_again_serves_in_a_higher_epoch_each_time() {
    let mut world = World::alone();
    for round in 1..=50 {
        world.register(0, if round % 2 == 0 { "1001" } else { "1002" });
        world.pass(ms(round % 5));
        world.kill(0);
        world.start(0);
        world.pass(ms(10));
        let status = world.machines[0].server.as_ref().unwrap().status(world.now);
        assert!(status.serving.is_some_and(|epoch| u64::from(epoch) > round), "round {round}: {status:?}");
    }
    let mut there = world.registered(0).unwrap();
    there.sort();
    assert_eq!(there, ["1001", "1002"]);
}

#[test]
fn a_snapshot_holds_what_the_log_no_longer_does() {
    let mut world = World::alone();
    // Far more records than are kept between two snapshots.
    for _ in 0..500 {
        world.register(0, "1001");
        world.pass(ms(3));
    }
    let status = world.machines[0].server.as_ref().unwrap().status(world.now);
    assert!(status.snapshot > 0, "{status:?}");
    world.kill(0);
    world.start(0);
    world.pass(ms(10));
    assert_eq!(world.registered(0), Some(vec!["1001".to_owned()]));
}

/// A call that nobody takes is made and taken back; its record for the operator has left.
fn call_that_is_over(world: &mut World) -> u128 {
    let request = |method: &str| {
        format!(
            "{method} sip:1002@tandem SIP/2.0\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bKcall\nMax-Forwards: 70\n\
             From: <sip:1001@tandem>;tag=a\nTo: <sip:1002@tandem>\nCall-ID: call\nCSeq: 1 {method}\n\
             Contact: <sip:1001@{PHONE}>\nContent-Length: 0\n\n"
        )
    };
    world.register(0, "1001");
    world.register(0, "1002");
    world.pass(ms(10));
    world.receive(0, &request("INVITE"));
    world.pass(ms(10));
    world.receive(0, &request("CANCEL"));
    // The phone that was called says nothing.
    world.pass(ms(70_000));
    assert_eq!(world.machines[0].over.len(), 1);
    world.machines[0].over[0]
}

#[test]
fn a_change_that_justifies_nothing_travels_with_the_next_that_does() {
    let mut world = World::alone();
    let call = call_that_is_over(&mut world);
    let records = world.machines[0].server.as_ref().unwrap().records();
    let writes = world.machines[0].writes;
    world.tell(0, Recorded { calls: vec![call] });
    world.pass(ms(20));
    assert_eq!(world.machines[0].writes, writes, "the end of what is stored of the call justifies nothing");
    world.register(0, "1001");
    assert_eq!(world.machines[0].writes, writes + 1, "both in one write");
    world.pass(ms(10));
    assert_eq!(world.machines[0].server.as_ref().unwrap().records(), records - 1);
}

#[test]
fn a_change_that_justifies_nothing_waits_for_no_other_for_long() {
    let mut world = World::alone();
    let call = call_that_is_over(&mut world);
    let writes = world.machines[0].writes;
    world.tell(0, Recorded { calls: vec![call] });
    world.pass(ms(110));
    assert_eq!(world.machines[0].writes, writes + 1);
    let mut world = World::alone();
    let call = call_that_is_over(&mut world);
    let writes = world.machines[0].writes;
    world.tell(0, Recorded { calls: vec![call] });
    world.end(0);
    assert_eq!(world.machines[0].writes, writes + 1, "and for nothing when the process ends");
}
