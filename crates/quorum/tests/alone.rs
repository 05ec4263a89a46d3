//! One server by itself: the default.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use tandem_quorum::Lease;
use world::{KINDS, MS, SECOND, World};

#[test]
fn a_server_alone_serves_as_soon_as_its_disk_has_said_so_and_needs_no_timer() {
    let mut world = World::new(1, &KINDS[..1]);
    let took = world.run_until(SECOND, "it serves", |world| world.server() == Some(0));
    assert!(took < 5 * MS, "{took}");
    assert_eq!(world.machines[0].member().lease(), Lease::Sole);
    world.run(100 * MS);
    assert_eq!(world.machines[0].member().poll_timeout(), None, "an idle server sleeps");
}

#[test]
fn a_server_that_is_killed_at_any_instant_has_what_it_told() {
    for seed in 0..100 {
        let mut world = World::new(seed, &KINDS[..1]);
        for _ in 0..10 {
            world.run_until(SECOND, "it serves", |world| world.server() == Some(0));
            let life = 1 + world.roll(30);
            for _ in 0..life {
                world.propose();
                let pause = world.roll(1_500);
                world.run(pause);
            }
            world.power_off(0);
            world.power_on(0);
        }
        world.all_agree();
        assert!(world.checks.told.len() > 20);
    }
}

#[test]
fn a_log_is_cut_behind_a_snapshot_and_read_from_there() {
    let mut world = World::new(2, &KINDS[..1]);
    world.run(10 * MS);
    world.work(3 * SECOND, 3 * MS);
    let status = world.machines[0].member().status(world.local(0));
    assert!(status.snapshot > 800 && status.last - status.snapshot <= 61, "{status:?}");
    world.power_off(0);
    world.power_on(0);
    world.run(10 * MS);
    world.all_agree();
}
