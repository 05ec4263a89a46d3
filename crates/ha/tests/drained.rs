//! Draining the primary drains the pair.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use world::World;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn drains(world: &World, place: usize) -> Option<bool> {
    Some(world.machines[place].server.as_ref()?.node()?.is_draining())
}

/// A pair whose primary is drained, up to the moment at which its process is to end.
fn drained() -> World {
    let mut world = World::pair();
    world.order_drain(0);
    while world.machines[0].ends.is_none() {
        world.pass(ms(10));
    }
    world
}

#[test]
fn the_end_of_the_primarys_drain_ends_the_backup_and_not_the_witness() {
    let mut world = drained();
    world.pass(ms(50));
    let ends: Vec<bool> = world.machines.iter().map(|machine| machine.ends.is_some()).collect();
    assert_eq!(ends, [true, true, false]);
    assert_eq!(world.registered(1), None, "it never served");
}

#[test]
fn a_backup_that_heard_of_it_only_after_the_primary_was_gone_ends_too() {
    let mut world = World::pair();
    world.order_drain(0);
    world.pass(ms(20));
    while world.machines[0].ends.is_none() {
        world.pass(ms(1));
        // It has the end of the drain, and does not know that it was agreed on.
        world.machines[1].disk_stands = true;
    }
    world.kill(0);
    world.machines[1].disk_stands = false;
    world.pass(ms(2_000));
    assert!(world.machines[1].ends.is_some());
}

#[test]
fn a_backup_that_takes_over_in_the_middle_goes_on_with_the_drain() {
    let mut world = World::pair();
    world.order_drain(0);
    world.pass(ms(20));
    assert_eq!(drains(&world, 0), Some(true));
    world.kill(0);
    world.pass(ms(1_000));
    assert_eq!(drains(&world, 1), Some(true));
    world.pass(Duration::from_secs(60));
    assert!(world.machines[1].ends.is_some(), "and ends with it");
}

#[test]
fn servers_that_are_started_after_the_drain_serve() {
    for first in [0, 1] {
        let mut world = drained();
        world.pass(ms(50));
        world.kill(0);
        world.kill(1);
        world.machines.iter_mut().for_each(|machine| machine.ends = None);
        world.pass(ms(1_000));
        world.start(first);
        world.pass(ms(2_000));
        assert_eq!((drains(&world, first), world.machines[first].ends), (Some(false), None));
        world.start(1 - first);
        world.pass(ms(2_000));
        assert_eq!(world.machines[1 - first].ends, None);
    }
}

#[test]
fn a_backup_that_was_down_during_the_drain_serves_when_it_is_started() {
    let mut world = World::pair();
    world.kill(1);
    world.order_drain(0);
    while world.machines[0].ends.is_none() {
        world.pass(ms(10));
    }
    world.kill(0);
    world.pass(ms(1_000));
    world.start(1);
    world.pass(ms(3_000));
    assert_eq!((drains(&world, 1), world.machines[1].ends), (Some(false), None));
}
