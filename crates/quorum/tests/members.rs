//! Members join, leave and are replaced.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use tandem_quorum::{BadChange, Change, Kind, MemberId, Note, Refused, Seat, Stopped};
use world::{KINDS, MS, SECOND, World, info};

fn voters(world: &World, machine: usize) -> Vec<u64> {
    world.machines[machine].member().votes().voters.clone()
}

#[test]
fn a_backup_waits_for_the_witness_before_either_votes() {
    let mut world = World::new(1, &KINDS);
    world.run(20 * MS);
    world.add(1, Seat::Voter);
    world.work(SECOND, 5 * MS);
    assert_eq!(voters(&world, 0), [1], "two voters are no safer than one");
    assert_eq!(world.machines[1].state, world.machines[0].state, "but it has everything");
    world.add(2, Seat::Voter);
    world.run(SECOND);
    assert_eq!(voters(&world, 0), [1, 2, 3]);
    assert_eq!(world.machines[0].serves.len(), 1, "nobody noticed");
    assert!(world.machines[0].notes.contains(&Note::Voters(vec![MemberId(1), MemberId(2), MemberId(3)])));
}

#[test]
fn whoever_joins_a_server_that_was_long_alone_gets_what_left_its_memory() {
    let mut world = World::new(12, &KINDS);
    world.run(20 * MS);
    world.work(2 * SECOND, 5 * MS);
    let before = world.machines[0].member().status(world.local(0));
    world.add(1, Seat::Voter);
    world.work(SECOND, 5 * MS);
    world.add(2, Seat::Voter);
    world.work(2 * SECOND, 5 * MS);
    assert_eq!(voters(&world, 0), [1, 2, 3], "{}\n{:?}", world.picture(), world.machines[0].notes);
    let sent = |note: &Note| matches!(note, Note::SnapshotSent { to: MemberId(2), .. });
    assert!(world.machines[0].notes.iter().any(sent), "the log was not there any more: {before:?}");
    assert_eq!(world.machines[0].serves.len(), 1, "nobody noticed");
    world.all_agree();
}

#[test]
fn a_change_that_would_leave_two_voters_is_refused() {
    let mut world = World::trio(2);
    let even = Refused::Change(BadChange::EvenVoters);
    assert_eq!(world.change(&Change::remove(MemberId(3))), Err(even));
    let itself = Refused::Change(BadChange::Itself);
    assert_eq!(world.change(&Change::remove(MemberId(1))), Err(itself));
    let unknown = Refused::Change(BadChange::Unknown(MemberId(9)));
    assert_eq!(world.change(&Change::remove(MemberId(9))), Err(unknown));
    let learning = Change::add(info(3, Kind::Witness, Seat::Learner));
    assert_eq!(world.change(&learning), Err(Refused::Change(BadChange::LearningWitness)));
    assert!(even.to_string().contains("remove backup and witness together"));
}

#[test]
fn backup_and_witness_leave_together_and_are_told() {
    let mut world = World::trio(3);
    let both = Change { set: Vec::new(), remove: vec![MemberId(2), MemberId(3)] };
    world.change(&both).unwrap();
    world.work(SECOND, 5 * MS);
    assert_eq!(voters(&world, 0), [1]);
    assert_eq!(world.machines[0].serves.len(), 1);
    world.run(5 * SECOND);
    for machine in [1, 2] {
        let status = world.machines[machine].member().status(world.local(machine));
        assert_eq!(status.stopped, Some(Stopped::Dismissed), "machine {machine}");
    }
    world.all_agree();
}

#[test]
fn members_that_are_added_in_one_breath_all_belong_to_the_group() {
    let mut world = World::new(5, &KINDS);
    world.run(20 * MS);
    world.add(1, Seat::Voter);
    world.add(2, Seat::Voter);
    world.work(500 * MS, 5 * MS);
    assert_eq!(voters(&world, 0), [1, 2, 3]);
    world.all_agree();
}

#[test]
fn a_dead_witness_is_replaced() {
    let mut world = World::new(4, &[KINDS[0], KINDS[1], KINDS[2], Kind::Witness]);
    world.run(20 * MS);
    world.add(1, Seat::Voter);
    world.run(60 * MS);
    world.add(2, Seat::Voter);
    world.work(500 * MS, 5 * MS);
    world.power_off(2);
    world.work(300 * MS, 5 * MS);
    world.change(&Change::replace(MemberId(3), info(4, Kind::Witness, Seat::Voter))).unwrap();
    world.work(2 * SECOND, 5 * MS);
    assert_eq!(voters(&world, 0), [1, 2, 4]);
    assert_eq!(world.machines[0].serves.len(), 1, "{:?}", world.machines[0].stood_down);
    world.power_off(0);
    world.run_until(SECOND, "the backup serves by the new witness's vote", |world| world.server() == Some(1));
    world.power_on(0);
    world.all_agree();
}

#[test]
fn a_member_that_is_far_behind_gets_a_snapshot_in_chunks() {
    for seed in 0..5 {
        let mut world = World::trio(seed);
        for machine in &mut world.machines {
            machine.padding = 3_000_000;
        }
        world.power_off(1);
        world.work(2 * SECOND, 5 * MS);
        world.net.loss = 10;
        world.power_on(1);
        world.work(SECOND, 5 * MS);
        world.net.loss = 0;
        world.all_agree();
        let received = |note: &Note| matches!(note, Note::SnapshotReceived { bytes } if *bytes > 3_000_000);
        assert!(world.machines[1].notes.iter().any(received), "{:?}", world.machines[1].notes);
        // It is started from that snapshot.
        world.power_off(1);
        world.power_on(1);
        world.all_agree();
    }
}

#[test]
fn a_member_whose_disk_was_emptied_helps_elect_nobody_until_it_is_filled() {
    let mut world = World::trio(6);
    // The backup has nothing of this; primary and witness have.
    world.power_off(1);
    world.work(300 * MS, 5 * MS);
    world.power_off(0);
    world.power_off(2);
    world.machines[2].disk.wipe();
    world.power_on(2);
    world.power_on(1);
    world.run(5 * SECOND);
    assert_eq!(
        world.server(),
        None,
        "the witness has forgotten what was agreed on, and says so by not voting"
    );
    world.power_on(0);
    world.all_agree();
}

#[test]
fn a_member_whose_disk_was_emptied_is_filled_by_the_primary_that_goes_on() {
    let mut world = World::trio(8);
    for machine in [2, 1] {
        world.work(300 * MS, 5 * MS);
        world.power_off(machine);
        world.machines[machine].disk.wipe();
        world.power_on(machine);
        world.work(500 * MS, 5 * MS);
        world.all_agree();
    }
    assert_eq!(
        world.machines[0].serves.len(),
        1,
        "the primary noticed nothing: {:?}",
        world.machines[0].stood_down
    );
}

#[test]
fn who_votes_is_known_after_a_crash_of_everybody() {
    for seed in 0..10 {
        let mut world = World::trio(seed);
        for machine in 0..3 {
            world.power_off(machine);
        }
        for machine in [1, 2] {
            world.power_on(machine);
        }
        world.run_until(2 * SECOND, "the backup serves", |world| world.server() == Some(1));
        world.power_on(0);
        world.all_agree();
    }
}

#[test]
fn a_server_that_completes_the_loss_of_its_own_vote_hands_over() {
    for seed in 0..20 {
        let mut world = World::trio(seed);
        // The change is agreed on, and the primary hands over before it is carried through.
        let learner = info(2, Kind::Server, Seat::Learner);
        let change = Change { set: vec![learner], remove: vec![MemberId(3)] };
        let wait = world.roll(3 * MS);
        world.change(&change).unwrap();
        world.run(wait);
        let _ = world.switchover();
        world.work(2 * SECOND, 5 * MS);
        // Or it was carried through, and then the two switched over as a pair without a witness does.
        let server = world.server().unwrap();
        assert_eq!(voters(&world, server), [server as u64 + 1], "{}", world.picture());
        world.take_back();
        world.all_agree();
    }
}

#[test]
fn an_address_changes_without_a_change_of_votes() {
    let mut world = World::trio(7);
    let moved =
        tandem_quorum::MemberInfo { address: "10.9.9.9:1".into(), ..info(2, Kind::Server, Seat::Voter) };
    world.change(&Change::add(moved.clone())).unwrap();
    world.run(200 * MS);
    for machine in &world.machines {
        assert_eq!(machine.member().roster().get(MemberId(2)), Some(&moved));
    }
    assert_eq!(voters(&world, 0), [1, 2, 3]);
}
