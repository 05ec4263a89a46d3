//! A power loss before, in and after every single operation on the disk, and what is there afterwards.

use std::sync::Arc;

use bytes::Bytes;
use tandem_journal::log::{Log, spare, write_snapshot};
use tandem_journal::recover::recover;
use tandem_journal::{Disk, Failure, Record};

use crate::memory::{Dice, Memory, entry, latest};

/// Segments so short that every few batches begin one.
const SEGMENT: u64 = 512;

/// What must be there after a loss, and what may be.
#[derive(Clone, Default)]
struct Told {
    /// Entries up to this place were reported stored.
    stored: u64,
    /// Entries up to this one were handed over.
    written: u64,
    /// Of the snapshot that was reported stored, and of the one that may be.
    snapshot: (u64, u64),
    /// What was last kept as the latest.
    hard: u64,
    /// How often everything was begun anew, reported and not.
    lives: (u64, u64),
}

/// A life with everything in it: batches, snapshots, forgetting, beginning anew. Writes down what it was told.
fn live(disk: &Memory, told: &mut Told) -> Result<(), Failure> {
    let disk = Arc::new(disk.clone());
    let (recovered, plan) = recover(&*disk).unwrap_or_else(|error| panic!("{error}"));
    let found = check(told, recovered.snapshot.as_ref(), &recovered.records);
    let mut log = Log::resume(Arc::clone(&disk), plan, SEGMENT)?;
    // What a killed process left behind unsynced is safe from here on, and its owner is told of it only now.
    *told = found;
    for round in 0..12u64 {
        let place = told.written.max(told.stored) + 1;
        let records = [
            latest(&format!("hard {place}")),
            entry(place, if round % 5 == 4 { 700 } else { 40 }),
            entry(place + 1, 10),
        ];
        told.written = place + 1;
        log.append(records.iter())?;
        if round % 3 != 1 {
            log.sync()?;
            (told.stored, told.hard) = (told.written, place);
        }
        if let Some(room) = log.spare_wanted() {
            log.give(spare(&*disk, room)?);
        }
        if round % 4 == 3 {
            log.sync()?;
            (told.stored, told.hard) = (told.written, place);
            told.snapshot.1 = told.stored - 1;
            write_snapshot(&*disk, log.life(), &Bytes::from(told.snapshot.1.to_string()).into())?;
            told.snapshot.0 = told.snapshot.1;
            log.forget(told.snapshot.0 + 1)?;
        }
        if round == 9 {
            told.lives.1 += 1;
            let first = told.written + 10;
            let snapshot = Bytes::from((first - 1).to_string());
            log.anew(Some(&snapshot.into()), &[latest(&format!("hard {first}")), entry(first, 5)])?;
            *told = Told {
                stored: first,
                written: first,
                snapshot: (first - 1, first - 1),
                hard: first,
                lives: (told.lives.1, told.lives.1),
            };
        }
    }
    Ok(())
}

fn number(bytes: &[u8], word: &str) -> Option<u64> {
    let text = std::str::from_utf8(bytes).unwrap().strip_prefix(word)?;
    text.split(' ').next()?.parse().ok()
}

/// Everything that was reported is there, in order and without a gap behind the snapshot.
fn check(told: &Told, snapshot: Option<&Bytes>, records: &[Bytes]) -> Told {
    let base = snapshot.map_or(0, |bytes| std::str::from_utf8(bytes).unwrap().parse().unwrap());
    let places: Vec<u64> = records.iter().filter_map(|record| number(record, "entry ")).collect();
    assert!(places.windows(2).all(|two| two[1] == two[0] + 1), "a gap or a mix-up in {places:?}");
    if let Some(first) = places.first() {
        assert!(*first <= base + 1, "entry {first} begins behind the snapshot of {base}");
    }
    let last = places.last().copied().unwrap_or(base);
    let anew = told.lives.1 > told.lives.0 && last > told.written;
    if anew {
        assert_eq!((base, places.len()), (last - 1, 1), "all of the new life");
    } else {
        assert!(last >= told.stored, "{last} is there and {} was reported", told.stored);
        assert!(last <= told.written, "{last} was never handed over");
        assert!(base == told.snapshot.0 || base == told.snapshot.1, "{base} of {:?}", told.snapshot);
    }
    let hard = records.iter().filter_map(|record| number(record, "hard ")).next_back().unwrap_or(0);
    assert!(hard >= told.hard, "{hard} is the latest and {} was reported", told.hard);
    Told { stored: last, written: last, snapshot: (base, base), hard, lives: (0, 0) }
}

#[test]
fn nothing_that_was_reported_is_lost_by_a_power_loss_at_any_operation() {
    let whole = Memory::default();
    live(&whole, &mut Told::default()).unwrap();
    assert!(whole.operations() > 100, "{}", whole.operations());
    for operation in 0..whole.operations() {
        for seed in 0..12 {
            let mut dice = Dice(operation as u64 * 1_000 + seed);
            let (mut disk, mut told) = (Memory::default(), Told::default());
            disk.dies_at(operation);
            live(&disk, &mut told).unwrap_err();
            // And again while it recovers, and once more.
            for _ in 0..3 {
                disk = if dice.roll(3) == 0 { disk.killed() } else { disk.crashed(&mut dice) };
                disk.dies_at(dice.roll(40));
                let _ = live(&disk, &mut told);
            }
            disk = disk.crashed(&mut dice);
            live(&disk, &mut told).unwrap();
        }
    }
}

#[test]
fn what_is_not_needed_goes() {
    let (disk, mut told) = (Memory::default(), Told::default());
    for _ in 0..20 {
        live(&disk, &mut told).unwrap();
    }
    let log: Vec<String> =
        disk.files().into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".log")).collect();
    assert!(log.len() <= 3, "{log:?}");
    let names = disk.names().unwrap();
    assert_eq!(names.iter().filter(|name| name.ends_with(".snapshot")).count(), 1, "{names:?}");
}

#[test]
fn the_first_entry_that_is_needed_stays() {
    let disk = Arc::new(Memory::default());
    let (_, plan) = recover(&*disk).unwrap();
    let mut log = Log::resume(Arc::clone(&disk), plan, SEGMENT).unwrap();
    (1..=9).for_each(|place| {
        log.append([entry(place, 400)].iter()).unwrap();
    });
    for needed in 1..=9 {
        log.forget(needed).unwrap();
        let (recovered, _) = recover(&disk.killed()).unwrap();
        let first = recovered.records.iter().find_map(|record| number(record, "entry "));
        assert_eq!(first, Some(needed), "each has a segment of its own");
    }
}

#[test]
fn a_spare_that_comes_late_is_used_before_another_is_made() {
    let disk = Arc::new(Memory::default());
    let (_, plan) = recover(&*disk).unwrap();
    let mut log = Log::resume(Arc::clone(&disk), plan, SEGMENT).unwrap();
    let fill = |log: &mut Log<Memory>, place| log.append([entry(place, 300)].iter()).unwrap();
    fill(&mut log, 1);
    let room = log.spare_wanted().expect("the first asks for it");
    fill(&mut log, 2);
    let late = spare(&*disk, room).unwrap();
    log.give(late);
    assert_eq!(log.spare_wanted(), None, "two would be one file");
    fill(&mut log, 3);
    assert!(
        !disk.names().unwrap().iter().any(|name| name.starts_with("spare")),
        "it is the third segment now"
    );
    assert!(log.spare_wanted().is_some());
    let (recovered, _) = recover(&disk.killed()).unwrap();
    assert_eq!(recovered.records.len(), 3);
}

#[test]
fn records_come_back_as_they_were_written() {
    let disk = Arc::new(Memory::default());
    let (_, plan) = recover(&*disk).unwrap();
    let mut log = Log::resume(Arc::clone(&disk), plan, SEGMENT).unwrap();
    let written: Vec<Record> = (1..=100).map(|place| entry(place, place as usize * 7 % 900)).collect();
    for record in &written {
        log.append([record].into_iter()).unwrap();
    }
    log.sync().unwrap();
    assert!(log.size().0 > 20, "{:?}", log.size());
    let (recovered, _) = recover(&disk.killed()).unwrap();
    let expected: Vec<Bytes> = written.into_iter().map(|record| record.bytes).collect();
    assert_eq!(recovered.records, expected);
    assert_eq!(recovered.cut, None);
}
