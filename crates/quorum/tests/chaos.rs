//! Whatever happens: power, pauses, links, disks, changes of members, in random order.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use tandem_quorum::{Change, Kind, MemberId, Seat};
use world::{MS, SECOND, World, info};

/// One thing goes wrong, or right again.
fn something(world: &mut World) {
    let machine = world.roll(3) as usize;
    let other = world.roll(3) as usize;
    let on = world.machines[machine].is_on();
    match world.roll(16) {
        0 | 1 if on => world.power_off(machine),
        0..=3 if !on => world.power_on(machine),
        2 => {
            let paused = world.machines[machine].paused;
            world.pause(machine, !paused);
        }
        4 => world.net.set(machine, other, true),
        5 => world.net.set_one_way(machine, other, true),
        6 => world.net.isolate(machine, true),
        7 | 8 => world.net.mend(),
        9 => world.net.loss = world.roll(30),
        10 => {
            world.net.late = world.roll(60);
            world.net.late_by = world.roll(800 * MS);
        }
        11 => {
            let stalled = world.machines[machine].disk.stalled;
            world.stall(machine, !stalled);
        }
        12 => world.machines[machine].disk.micros = 200 + world.roll(80 * MS),
        13 | 14 => drop(world.switchover()),
        _ => world.heal(),
    }
}

fn history(seed: u64, length: u64, mut extra: impl FnMut(&mut World)) {
    let mut world = World::trio(seed);
    let end = world.now + length;
    while world.now < end {
        something(&mut world);
        extra(&mut world);
        let pause = 10 * MS + world.roll(400 * MS);
        world.work(pause, 12 * MS);
    }
    world.heal();
    world.run(2 * SECOND);
    world.take_back();
    world.all_agree();
    world.work(200 * MS, 10 * MS);
    world.all_agree();
}

/// `SEEDS=5000` for a long night.
fn seeds(from: u64, usual: u64) -> std::ops::Range<u64> {
    let count = std::env::var("SEEDS").ok().and_then(|count| count.parse().ok());
    from..from + count.unwrap_or(usual)
}

#[test]
fn nothing_that_was_told_is_lost_and_never_do_two_serve() {
    for seed in seeds(0, 80) {
        history(seed, 5 * SECOND, |_| {});
    }
}

#[test]
fn nor_while_members_change() {
    for seed in seeds(1_000_000, 40) {
        let mut voter = true;
        history(seed, 5 * SECOND, |world| {
            if world.chance(25) {
                // Backup and witness leave their votes, or take them again, together.
                let seat = if voter { Seat::Learner } else { Seat::Voter };
                let Some(server) = world.server().map(|at| at as u64 + 1) else { return };
                let backup = info(3 - server, Kind::Server, seat);
                let change = match voter {
                    true => Change { set: vec![backup], remove: vec![MemberId(3)] },
                    false => {
                        Change { set: vec![backup, info(3, Kind::Witness, Seat::Voter)], remove: Vec::new() }
                    }
                };
                if world.change(&change).is_ok() {
                    voter = !voter;
                }
            }
        });
    }
}
