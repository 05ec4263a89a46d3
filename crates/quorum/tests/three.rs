//! A primary, a backup and a witness.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use tandem_quorum::{Note, Refused, StandDown};
use world::{MS, SECOND, World};

#[test]
fn three_members_agree_on_everything_in_one_order() {
    let mut world = World::trio(1);
    world.work(2 * SECOND, 5 * MS);
    world.all_agree();
    assert!(world.checks.told.len() > 350, "{}", world.checks.told.len());
    assert_eq!(world.machines[0].serves.len(), 1, "nothing disturbed the primary");
}

#[test]
fn the_backup_serves_within_700_ms_of_the_primarys_death() {
    let mut worst = 0;
    for seed in 0..20 {
        let mut world = World::trio(seed);
        world.work(300 * MS, 7 * MS);
        world.power_off(0);
        let took = world.run_until(SECOND, "the backup serves", |world| world.server() == Some(1));
        worst = worst.max(took);
        world.work(500 * MS, 7 * MS);
        world.power_on(0);
        world.all_agree();
        assert_eq!(world.server(), Some(1), "nobody falls back without being told to");
    }
    println!("worst case: {} ms", worst / MS);
    assert!(worst < 700 * MS, "{} ms", worst / MS);
}

#[test]
fn what_the_witness_alone_holds_is_not_lost_with_the_primary() {
    for seed in 0..20 {
        let mut world = World::trio(seed);
        world.net.set(0, 1, true);
        // Long enough for entries, too short for the backup to ask for votes in vain.
        world.work(200 * MS, 5 * MS);
        let before = world.machines[1].state.len();
        assert!(world.checks.told.len() > before, "the outside was told of what the backup lacks");
        world.power_off(0);
        world.run_until(3 * SECOND, "the backup serves", |world| world.server() == Some(1));
        assert!(world.machines[2].notes.contains(&Note::WitnessLeads), "it brought the backup up to date");
        world.checks.all_told(1, &world.machines[1].state);
        assert!(world.machines[2].serves.is_empty(), "and never served");
        world.power_on(0);
        world.net.mend();
        world.all_agree();
    }
}

#[test]
fn a_primary_that_is_cut_off_stands_down_before_the_backup_serves() {
    for seed in 0..20 {
        let mut world = World::trio(seed);
        world.work(100 * MS, 5 * MS);
        world.net.isolate(0, true);
        let cut = world.now;
        world.work(2 * SECOND, 5 * MS);
        let (down, reason) = *world.machines[0].stood_down.last().unwrap();
        let (up, _) = *world.machines[1].serves.last().unwrap();
        assert_eq!(reason, StandDown::LeaseLost);
        assert!(cut < down && down < up, "{cut} {down} {up}");
        world.net.mend();
        world.all_agree();
        assert_eq!(world.server(), Some(1));
    }
}

#[test]
fn a_primary_that_hears_nobody_but_is_heard_stands_down_too() {
    for seed in 0..10 {
        let mut world = World::trio(seed);
        world.net.set_one_way(1, 0, true);
        world.net.set_one_way(2, 0, true);
        world.work(3 * SECOND, 5 * MS);
        assert_eq!(world.server(), Some(1), "{}", world.picture());
        world.net.mend();
        world.all_agree();
    }
}

#[test]
fn a_primary_that_was_stopped_for_a_while_serves_no_more_when_it_goes_on() {
    for seed in 0..10 {
        let mut world = World::trio(seed);
        world.work(100 * MS, 5 * MS);
        world.pause(0, true);
        world.work(2 * SECOND, 5 * MS);
        assert_eq!(world.server(), Some(1));
        world.pause(0, false);
        assert!(!world.machines[0].may_send(world.local(0)), "not even for a moment");
        world.all_agree();
        assert_eq!(world.server(), Some(1));
    }
}

#[test]
fn a_lease_that_lapsed_for_a_moment_is_taken_up_in_the_same_epoch() {
    let mut world = World::trio(3);
    world.net.isolate(0, true);
    world.run(390 * MS);
    assert_eq!(world.server(), None, "{}", world.picture());
    world.net.mend();
    world.run(200 * MS);
    assert_eq!(world.server(), Some(0));
    let epochs: Vec<u32> = world.machines[0].serves.iter().map(|(_, epoch)| *epoch).collect();
    assert_eq!(epochs.len(), 2);
    assert_eq!(epochs[0], epochs[1], "nobody else served meanwhile");
    world.all_agree();
}

#[test]
fn a_witness_that_was_started_again_keeps_what_it_acknowledged() {
    for seed in 0..20 {
        let mut world = World::trio(seed);
        // The backup hears the witness only, and wants to lead.
        world.net.set(0, 1, true);
        world.run(SECOND);
        assert_eq!(world.server(), Some(0), "the witness hears the primary");
        // Started again, the witness has forgotten that; the primary's lease still runs.
        world.power_off(2);
        world.net.set(0, 2, true);
        world.power_on(2);
        let took = world.run_until(2 * SECOND, "the backup serves", |world| world.server() == Some(1));
        assert!(took > 300 * MS, "{took}");
        world.net.mend();
        world.all_agree();
    }
}

#[test]
fn a_switchover_loses_nothing_and_takes_less_than_100_ms() {
    let mut world = World::trio(4);
    for round in 1..=6 {
        let from = world.server().unwrap();
        world.work(200 * MS, 3 * MS);
        world.switchover().unwrap();
        let took = world.run_until(SECOND, "the other serves", |world| world.server() == Some(1 - from));
        assert!(took < 100 * MS, "round {round}: {took}");
        let (_, reason) = *world.machines[from].stood_down.last().unwrap();
        assert!(matches!(reason, StandDown::Switchover { .. }), "{reason:?}");
    }
    world.all_agree();
}

#[test]
fn a_switchover_to_a_server_that_does_not_answer_is_refused() {
    let mut world = World::trio(5);
    world.power_off(1);
    world.work(600 * MS, 5 * MS);
    assert!(matches!(world.switchover(), Err(Refused::Silent { .. })));
    world.power_on(1);
    world.all_agree();
    assert!(world.switchover().is_ok());
}

#[test]
fn a_primary_that_gave_the_word_is_silent_whether_or_not_it_hears_of_the_election() {
    let mut world = World::trio(9);
    world.work(100 * MS, 5 * MS);
    world.run(50 * MS);
    world.switchover().unwrap();
    world.net.set_one_way(1, 0, true);
    let took =
        world.run_until(SECOND, "the backup serves by the witness's vote", |world| world.server() == Some(1));
    assert!(took < 100 * MS, "{took}: while a lease of the primary would still run");
    world.net.mend();
    world.all_agree();
}

#[test]
fn a_lease_counts_from_the_heartbeat_and_not_from_its_answer() {
    let mut world = World::trio(10);
    for machine in [1, 2] {
        world.net.slow.insert((machine, 0), 300 * MS);
    }
    world.work(SECOND, 10 * MS);
    assert_eq!(world.server(), Some(0), "an answer that is late renews a little");
    // The others hear nothing more of it; their answers are still under way.
    for machine in [1, 2] {
        world.net.set_one_way(0, machine, true);
    }
    world.run_until(SECOND, "the backup serves", |world| world.server() == Some(1));
    world.net.mend();
    world.all_agree();
}

#[test]
fn a_word_to_lead_that_comes_late_breaks_no_lease() {
    for seed in 0..30 {
        let mut world = World::trio(seed);
        world.work(100 * MS, 5 * MS);
        world.net.late = 100;
        world.net.late_by = 2 * SECOND;
        let _ = world.switchover();
        world.run(5 * MS);
        world.net.late = 0;
        world.work(4 * SECOND, 10 * MS);
        world.all_agree();
    }
}

#[test]
fn a_disk_that_stalls_for_a_moment_costs_nobody_the_lease() {
    let mut world = World::trio(6);
    for machine in [1, 2] {
        world.stall(machine, true);
        world.work(SECOND, 5 * MS);
        world.stall(machine, false);
        world.all_agree();
    }
    assert_eq!(world.machines[0].serves.len(), 1, "{:?}", world.machines[0].stood_down);
}

#[test]
fn a_primary_whose_disk_stalls_hands_over() {
    let mut world = World::trio(7);
    world.work(100 * MS, 5 * MS);
    world.stall(0, true);
    world.work(3 * SECOND, 5 * MS);
    assert_eq!(world.server(), Some(1), "{}", world.picture());
    let stood_down: Vec<StandDown> = world.machines[0].stood_down.iter().map(|(_, reason)| *reason).collect();
    assert_eq!(stood_down, [StandDown::DiskStalled]);
    world.heal();
    world.all_agree();
}

#[test]
fn proposals_that_cannot_be_agreed_on_are_bounded() {
    let mut world = World::trio(8);
    // Nobody's disk works, so nothing is agreed on, and everybody answers, so the lease holds.
    for machine in 0..3 {
        world.stall(machine, true);
    }
    let mut refused = None;
    let mut congested = None;
    for count in 0_u64.. {
        let now = world.local(0);
        if congested.is_none() && world.machines[0].member().congested() {
            congested = Some(count);
        }
        match world.machines[0].member_mut().propose(bytes::Bytes::from_static(&[0; 8]), now) {
            Ok(_) => {}
            Err(why) => {
                refused = Some(why);
                break;
            }
        }
    }
    assert!(matches!(refused, Some(Refused::Full { .. })), "{refused:?}");
    let congested = congested.unwrap();
    assert!((4_000..5_000).contains(&congested), "{congested}: new work is refused long before");
    let long = vec![0; tandem_quorum::limits::MAX_PROPOSAL + 1];
    let now = world.local(0);
    let answer = world.machines[0].member_mut().propose(long.into(), now);
    assert!(matches!(answer, Err(Refused::TooLong { .. })));
}
