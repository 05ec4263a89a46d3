//! A primary, a backup and a witness: the primary is lost, cut off, or hands over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use world::World;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A pair whose primary has two registrations.
fn registered() -> World {
    let mut world = World::pair();
    assert_eq!(world.registered(1), None, "one serves");
    for number in ["1001", "1002"] {
        world.register(0, number);
    }
    world.pass(ms(20));
    assert_eq!(world.machines[0].said.len(), 2);
    world
}

fn both(world: &World, place: usize) -> bool {
    let mut there = world.registered(place).unwrap_or_default();
    there.sort();
    there == ["1001", "1002"]
}

#[test]
fn bca_12_the_backup_serves_within_a_second_of_the_primarys_death_with_everything_it_had_answered() {
    let mut world = registered();
    let died = world.now.mono;
    world.kill(0);
    world.pass(ms(1_000));
    assert!(both(&world, 1), "{:?}", world.registered(1));
    let (since, serves) = world.machines[1].served[0];
    assert!(serves && since - died < ms(1_000), "{:?}", since - died);
}

#[test]
fn a_primary_that_is_cut_off_has_stopped_before_the_backup_serves_and_says_nothing_more() {
    let mut world = registered();
    world.machines[0].cut_off = true;
    world.pass(ms(2_000));
    let (stopped, serves) = world.machines[0].served[1];
    assert!(!serves);
    let (began, serves) = world.machines[1].served[0];
    assert!(serves && stopped < began, "{:?}", began - stopped);
    world.register(0, "1001");
    world.pass(ms(100));
    assert!(world.machines[0].said.iter().all(|(at, _)| *at < stopped), "nothing leaves without the lease");
    assert!(both(&world, 1));
    world.machines[0].cut_off = false;
    world.pass(ms(2_000));
    assert!(both(&world, 1) && world.registered(0).is_none(), "the former primary follows");
}

#[test]
fn a_server_that_takes_long_to_take_its_records_up_is_heard_meanwhile_and_nobody_else_takes_over() {
    let mut world = registered();
    world.restores = ms(3_000);
    let died = world.now.mono;
    world.kill(0);
    world.pass(ms(2_900));
    assert_eq!(world.registered(1), None, "it does not serve yet");
    world.pass(ms(1_100));
    assert!(both(&world, 1), "{:?}", world.registered(1));
    let served = &world.machines[1].served;
    assert!(served.len() == 1 && served[0].0 - died < ms(4_000), "once: {:?}", served.len());
    world.register(1, "1001");
    world.pass(ms(20));
    assert_eq!(world.machines[1].said.len(), 1);
}

#[test]
fn a_server_that_is_cut_off_before_its_records_are_taken_up_never_serves() {
    let mut world = registered();
    world.restores = ms(2_000);
    world.kill(0);
    world.pass(ms(1_000));
    world.machines[1].cut_off = true;
    world.pass(ms(5_000));
    assert!(world.machines[1].served.is_empty() && world.registered(1).is_none());
    world.restores = ms(0);
    world.machines[1].cut_off = false;
    world.pass(ms(2_000));
    assert!(both(&world, 1), "it does as soon as it is heard again");
}

#[test]
fn a_primary_that_hands_over_loses_nothing() {
    let mut world = registered();
    let asked = world.now.mono;
    world.switch_over();
    world.pass(ms(500));
    assert!(both(&world, 1) && world.registered(0).is_none());
    let (since, _) = world.machines[1].served[0];
    assert!(since - asked < ms(200), "{:?}", since - asked);
}

#[test]
fn a_primary_whose_backup_and_witness_are_gone_answers_nothing_and_stands_down() {
    let mut world = registered();
    world.kill(1);
    world.kill(2);
    world.pass(ms(1_000));
    assert_eq!(world.machines[0].served.last().map(|(_, serves)| *serves), Some(false));
    world.register(0, "1001");
    world.pass(ms(1_000));
    assert_eq!(world.machines[0].said.len(), 2, "as before");
    world.start(2);
    world.pass(ms(2_000));
    assert!(both(&world, 0), "a majority is there again");
}
