//! A pair without a witness: one votes, the other learns, and takes over by command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use tandem_quorum::{Lease, Refused, StandDown, Stopped};
use world::{MS, SECOND, World};

#[test]
fn a_backup_that_learns_never_takes_over_by_itself() {
    let mut world = World::pair(1);
    world.work(200 * MS, 5 * MS);
    world.power_off(0);
    world.run(20 * SECOND);
    assert_eq!(world.server(), None);
    world.power_on(0);
    world.all_agree();
    assert_eq!(world.server(), Some(0));
}

#[test]
fn the_loss_of_the_backup_stops_nobody() {
    let mut world = World::pair(2);
    world.power_off(1);
    world.work(2 * SECOND, 5 * MS);
    assert_eq!(world.machines[0].serves.len(), 1);
    assert_eq!(world.machines[0].member().lease(), Lease::Sole);
    world.power_on(1);
    world.all_agree();
}

#[test]
fn a_takeover_by_command_keeps_all_that_had_arrived_and_supersedes_the_former_primary() {
    for seed in 0..20 {
        let mut world = World::pair(seed);
        world.work(300 * MS, 5 * MS);
        let told = world.checks.told.len();
        world.run(50 * MS);
        world.power_off(0);
        world.run(500 * MS);
        let before = world.machines[0].serves.last().unwrap().1;
        world.takeover(1, false).unwrap();
        let took = world.run_until(SECOND, "the backup serves", |world| world.server() == Some(1));
        assert!(took < 10 * MS, "{took}");
        assert!(world.machines[1].serves[0].1 > before + 60_000, "an epoch that the other cannot reach");
        world.checks.all_told(1, &world.machines[1].state);
        assert!(told > 40);
        // The former primary comes back, leads itself for a moment, and hears of it.
        world.checks.by_hand = true;
        world.power_on(0);
        world.run(200 * MS);
        let superseded = |(_, reason): &(u64, StandDown)| matches!(reason, StandDown::Superseded { .. });
        assert!(world.machines[0].stood_down.iter().all(superseded));
        assert!(matches!(
            world.machines[0].member().status(world.local(0)).stopped,
            Some(Stopped::Superseded { .. })
        ));
        // It remembers that.
        world.power_off(0);
        world.net.isolate(0, true);
        world.power_on(0);
        world.run(SECOND);
        assert_eq!(world.server(), Some(1));
        world.net.mend();
        world.run(SECOND);
        world.rejoin(0).unwrap();
        world.checks.by_hand = false;
        world.work(500 * MS, 5 * MS);
        world.all_agree();
    }
}

#[test]
fn a_former_primary_cannot_reach_the_new_epoch_by_starting_again() {
    let mut world = World::pair(3);
    world.checks.by_hand = true;
    world.net.isolate(0, true);
    world.run(SECOND);
    world.takeover(1, false).unwrap();
    world.run(100 * MS);
    for _ in 0..50 {
        world.power_off(0);
        world.power_on(0);
        world.run(20 * MS);
    }
    let (old, new) = (world.machines[0].serves.last().unwrap().1, world.machines[1].serves[0].1);
    assert!(old < new, "{old} {new}");
    world.net.mend();
    world.run(500 * MS);
    assert_eq!(world.server(), Some(1));
}

#[test]
fn a_takeover_while_the_primary_answers_is_refused_unless_forced() {
    let mut world = World::pair(4);
    world.work(100 * MS, 5 * MS);
    assert!(matches!(world.takeover(1, false), Err(Refused::LeaderLives { .. })));
    assert_eq!(world.takeover(0, false), Err(Refused::Sound));
    assert_eq!(world.rejoin(1), Err(Refused::Sound));
    world.checks.by_hand = true;
    world.takeover(1, true).unwrap();
    world.run(200 * MS);
    assert_eq!(world.server(), Some(1));
}

#[test]
fn a_switchover_of_the_pair_loses_nothing_and_never_has_two_serve() {
    for seed in 0..20 {
        let mut world = World::pair(seed);
        for _ in 0..4 {
            let from = world.server().unwrap();
            world.work(200 * MS, 3 * MS);
            world.switchover().unwrap();
            world.run_until(SECOND, "the other serves", |world| world.server() == Some(1 - from));
            world.run(100 * MS);
            world.rejoin(from).unwrap();
            world.work(300 * MS, 5 * MS);
            world.all_agree();
        }
    }
}

#[test]
fn a_switchover_of_the_pair_outlives_a_crash_and_lost_frames() {
    for seed in 0..30 {
        let mut world = World::pair(seed);
        world.work(100 * MS, 3 * MS);
        world.net.loss = 60;
        world.switchover().unwrap();
        let wait = world.roll(40 * MS);
        world.run(wait);
        world.power_off(0);
        world.power_on(0);
        world.net.loss = 0;
        // Either it had not begun, or it is carried through.
        world.run(2 * SECOND);
        let server = world.server();
        assert!(server.is_some(), "{}", world.picture());
        world.checks.all_told(server.unwrap(), &world.machines[server.unwrap()].state);
    }
}
