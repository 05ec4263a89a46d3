//! A pair whose primary is lost, stopped, cut off, slow, or hands over, at every step of every flow of calls; and a server
//! alone that dies there and goes on from what it has stored.
//!
//! Each run begins every flow of the [`office`] at once and strikes at one moment; over the moments of a sweep each flow is
//! struck at each of its steps. `TANDEM_FAILOVER_STEPS` makes the sweeps finer than they are by default.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod flows;
mod moments;
mod office;
mod sites;

use std::time::Duration;

use office::Office;
use tandem_sim::pair::{BACKUP, PRIMARY};
use tandem_sim::{A, Failure, Refusal, Sim, ms, secs};

/// The time in which the flows of an office come to their ends.
const WINDOW_MS: u64 = 420;

/// Moments of a sweep, µs after the beginning: as many as asked for, or so many.
fn moments(default: u64) -> impl Iterator<Item = (u64, u64)> {
    let asked = std::env::var("TANDEM_FAILOVER_STEPS").ok().and_then(|steps| steps.parse().ok());
    let steps: u64 = asked.unwrap_or(default);
    // Not in step with anything that happens once a millisecond.
    (0..steps).map(move |step| (step, step * WINDOW_MS * 1_000 / steps + step * 137 % 1_000))
}

/// Promotions that a sweep of a server alone waits for.
const ALONE: u32 = 0;

/// Strikes at each moment, and looks what has become of the office.
fn sweep(name: &str, steps: u64, promotions: u32, strike: impl Fn(&mut Sim, u64)) {
    sweep_of(false, name, steps, promotions, strike);
}

/// The same with an office whose media an engine carries.
fn carried_sweep(name: &str, steps: u64, promotions: u32, strike: impl Fn(&mut Sim, u64)) {
    sweep_of(true, name, steps, promotions, strike);
}

fn sweep_of(carried: bool, name: &str, steps: u64, promotions: u32, strike: impl Fn(&mut Sim, u64)) {
    let mut wrong = Vec::new();
    let only: Option<u64> = std::env::var("TANDEM_FAILOVER_STEP").ok().and_then(|step| step.parse().ok());
    for (step, micros) in moments(steps).filter(|(step, _)| only.is_none_or(|only| only == *step)) {
        let found = struck(carried, step, micros, promotions, &strike);
        if !found.is_empty() {
            wrong.push(format!("{name}, step {step} at {micros} us: {}", found.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{} broke:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong after one strike.
fn struck(
    carried: bool,
    step: u64,
    micros: u64,
    promotions: u32,
    strike: &impl Fn(&mut Sim, u64),
) -> Vec<String> {
    let mut office = Office::ready(step, promotions != ALONE, carried);
    office.begins();
    let mut found = Vec::new();
    if let Err(failure) = played(&mut office, step, micros, promotions, strike, &mut found) {
        let shown = failure.violation.to_owned();
        found.push(format!("breaks {} at {} s: {}", shown.rule, shown.at, shown.text));
    }
    found
}

fn played(
    office: &mut Office,
    step: u64,
    micros: u64,
    promotions: u32,
    strike: &impl Fn(&mut Sim, u64),
    found: &mut Vec<String>,
) -> Result<(), Box<Failure>> {
    office.sim.try_run_for(Duration::from_micros(micros))?;
    if promotions != ALONE {
        office.sim.pair_mut(A).patience = secs(3);
    }
    strike(&mut office.sim, step);
    let by_pair = |sim: &Sim| sim.promotions(A) >= promotions && sim.serving(A).is_some();
    let serves = |sim: &Sim| if promotions == ALONE { sim.is_up(A) } else { by_pair(sim) };
    if !office.sim.try_run_until(secs(4), serves)? {
        found.push("nobody serves".into());
    }
    let lost = office.unregistered();
    if !lost.is_empty() {
        found.push(format!("registrations are lost: {lost:?}"));
    }
    found.extend(office.agents_wrong());
    office.sim.try_run_for(ms(300))?;
    office.an_agent_is_ready();
    office.sim.try_run_for(secs(8))?;
    found.extend(office.wrong());
    office.everybody_hangs_up();
    office.sim.try_run_for(secs(2))?;
    found.extend(office.records_wrong());
    let sessions = office.sim.engine(A).map_or(0, |engine| engine.legs());
    if sessions > 0 {
        found.push(format!("{sessions} sessions are left at the engine"));
    }
    Ok(())
}

#[test]
fn every_flow_of_the_office_comes_to_its_end_at_a_pair_that_is_left_alone() {
    let mut office = Office::ready(1, true, false);
    office.begins();
    office.sim.run_for(secs(2));
    assert_eq!(office.unfinished(), Vec::<&str>::new());
    sweep("nothing", 1, 1, |_, _| {});
}

/// The links between a server and the other members are cut, or whole again: what it says, what it hears, or both.
fn isolate(sim: &mut Sim, place: usize, says: bool, hears: bool, cut: bool) {
    let pair = sim.pair_mut(A);
    for other in (0..3).filter(|other| *other != place) {
        if says {
            pair.links.cut(place, other, cut);
        }
        if hears {
            pair.links.cut(other, place, cut);
        }
    }
}

/// Asks until it is done: a backup that lacks a record at this moment has it at the next.
fn hand_over(sim: &mut Sim) {
    if sim.serving(A) == Some(PRIMARY) && sim.switch_over(A, false).is_err() {
        sim.at(ms(5), hand_over);
    }
}

#[test]
fn bca_12_a_primary_that_is_killed_at_any_step_of_any_flow_is_replaced_without_loss() {
    sweep("kill -9", 9, 2, |sim, step| {
        sim.kill_server(A, PRIMARY, if step % 2 == 0 { Refusal::Refused } else { Refusal::Blackhole });
    });
}

/// Whoever is to be brought to the mixer repeats the 200 that the dead server had not acknowledged, and takes no other INVITE
/// before that.
#[test]
fn bca_12_a_party_whose_answer_died_with_the_primary_is_acknowledged_and_joins_the_conference() {
    let found = struck(false, 35, 184_545, 2, &|sim: &mut Sim, _| {
        sim.kill_server(A, PRIMARY, Refusal::Blackhole);
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn bca_12_a_server_alone_that_is_killed_at_any_step_of_any_flow_goes_on_without_loss() {
    sweep("alone", 9, ALONE, |sim, step| {
        // A desktop would need longer than this takes to notice that a whole machine has gone.
        sim.crash(A, Refusal::Refused);
        sim.at(ms(400 + 100 * (step % 4)), |sim| sim.recover(A));
    });
}

#[test]
fn bca_12_carried_media_change_nothing_of_what_becomes_of_any_flow() {
    carried_sweep("carried, kill -9", 5, 2, |sim, _| sim.kill_server(A, PRIMARY, Refusal::Refused));
    carried_sweep("carried, switchover", 4, 2, |sim, _| hand_over(sim));
    carried_sweep("carried, alone", 7, ALONE, |sim, step| {
        sim.crash(A, Refusal::Refused);
        sim.at(ms(400 + 100 * (step % 4)), |sim| sim.recover(A));
    });
}

#[test]
fn bca_12_a_switchover_at_any_step_of_any_flow_loses_nothing() {
    sweep("switchover", 8, 2, |sim, _| hand_over(sim));
}

#[test]
fn bca_12_a_primary_that_is_stopped_and_goes_on_after_the_takeover_says_nothing_more() {
    sweep("kill -STOP", 6, 2, |sim, step| {
        sim.pause_server(A, PRIMARY);
        sim.at(ms(700 + 170 * step), |sim| sim.resume_server(A, PRIMARY));
    });
}

#[test]
fn a_primary_that_is_stopped_for_a_moment_loses_nothing() {
    sweep("a short pause", 5, 1, |sim, step| {
        sim.pause_server(A, PRIMARY);
        sim.at(ms(40 + 50 * step), |sim| sim.resume_server(A, PRIMARY));
    });
}

#[test]
fn bca_12_a_primary_that_is_cut_off_from_the_other_members_is_replaced_without_loss() {
    sweep("cut off", 5, 2, |sim, step| {
        isolate(sim, PRIMARY, true, true, true);
        sim.at(ms(1_000 + 500 * (step % 4)), |sim| isolate(sim, PRIMARY, true, true, false));
    });
}

#[test]
fn bca_12_a_primary_whom_the_other_members_hear_no_more_is_replaced_without_loss() {
    sweep("mute", 4, 2, |sim, _| {
        isolate(sim, PRIMARY, true, false, true);
        sim.at(secs(3), |sim| isolate(sim, PRIMARY, true, false, false));
    });
}

#[test]
fn bca_12_a_primary_that_hears_the_other_members_no_more_is_replaced_without_loss() {
    sweep("deaf", 4, 1, |sim, _| {
        isolate(sim, PRIMARY, false, true, true);
        sim.at(secs(3), |sim| isolate(sim, PRIMARY, false, true, false));
    });
}

#[test]
fn bca_12_a_primary_whose_cable_is_pulled_is_replaced_without_loss() {
    sweep("unplugged", 4, 2, |sim, _| {
        sim.unplug_server(A, PRIMARY, true);
        sim.at(secs(3), |sim| sim.unplug_server(A, PRIMARY, false));
    });
}

#[test]
fn bca_12_a_primary_whose_disk_stalls_hands_over_without_loss() {
    sweep("disk stalls", 4, 2, |sim, _| {
        sim.stall_disk(A, PRIMARY, true);
        sim.at(secs(4), |sim| sim.stall_disk(A, PRIMARY, false));
    });
}

#[test]
fn a_backup_that_dies_or_stalls_is_noticed_by_nobody() {
    sweep("the backup dies", 4, 1, |sim, step| {
        if step % 2 == 0 {
            sim.kill_server(A, BACKUP, Refusal::Refused);
        } else {
            sim.stall_disk(A, BACKUP, true);
        }
        sim.at(secs(2), |sim| sim.mend_pair(A));
    });
}

#[test]
fn bca_12_what_the_witness_alone_was_told_is_not_lost_with_the_primary() {
    sweep("the witness alone", 6, 2, |sim, step| {
        let pair = sim.pair_mut(A);
        pair.links.cut(PRIMARY, BACKUP, true);
        sim.at(ms(10 + 9 * step), |sim| {
            sim.kill_server(A, PRIMARY, Refusal::Refused);
            sim.pair_mut(A).links.cut(PRIMARY, BACKUP, false);
        });
    });
}

#[test]
fn bca_12_slow_disks_and_bad_links_lose_nothing_when_the_primary_dies() {
    sweep("slow and lossy", 5, 2, |sim, step| {
        let pair = sim.pair_mut(A);
        (pair.links.loss, pair.links.late, pair.links.late_by) = (20, 40, ms(60));
        (0..3).for_each(|place| pair.slow_disk(place, ms(3 + 4 * (step % 8))));
        sim.at(ms(30), |sim| sim.kill_server(A, PRIMARY, Refusal::Blackhole));
    });
}

#[test]
fn bca_12_servers_that_die_one_after_the_other_lose_nothing() {
    sweep("one after the other", 4, 3, |sim, _| {
        sim.kill_server(A, PRIMARY, Refusal::Refused);
        sim.at(ms(1_000), |sim| sim.start_server(A, PRIMARY));
        sim.at(ms(2_500), |sim| sim.kill_server(A, BACKUP, Refusal::Refused));
    });
}
