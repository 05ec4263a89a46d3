//! The journal's thread: what it tells, and what it makes of a disk that fails.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use tandem_journal::recover::recover;
use tandem_journal::{Batch, Condition, Disk, Journal, Parts, Progress, Recovered, Why, inspect};

use crate::memory::{Memory, batch, entry, latest};

fn on(disk: &Memory) -> (Journal, Receiver<Progress>) {
    let (tell, told) = channel();
    let tell = move |progress| drop(tell.send(progress));
    let (journal, _) = Journal::on(Arc::new(disk.clone()), 4_096, tell).unwrap();
    (journal, told)
}

fn next(told: &Receiver<Progress>) -> Progress {
    told.recv_timeout(Duration::from_secs(20)).expect("the journal tells")
}

/// Waits until this token is stored; tokens only rise.
fn stored(told: &Receiver<Progress>, wanted: u64) {
    let mut last = 0;
    while last < wanted {
        match next(told) {
            Progress::Stored { token } => {
                assert!(token > last, "{token} after {last}");
                last = token;
            }
            Progress::Condition(condition) => panic!("{condition}"),
        }
    }
}

fn held(disk: &Memory) -> Recovered {
    recover(&disk.killed()).unwrap().0
}

fn entries(recovered: &Recovered) -> usize {
    recovered.records.iter().filter(|record| record.starts_with(b"entry")).count()
}

fn parts(snapshot: &Option<Bytes>) -> Option<Parts> {
    snapshot.clone().map(Parts::from)
}

#[test]
fn what_is_told_as_stored_survives_a_power_loss() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    for token in 1..=500 {
        journal.append(batch(token, vec![entry(token, 30)])).unwrap();
    }
    stored(&told, 500);
    let after = disk.crashed(&mut crate::memory::Dice(1));
    assert_eq!(entries(&recover(&after).unwrap().0), 500);
    drop(journal);
}

#[test]
fn a_batch_that_asks_for_no_sync_is_told_when_a_killed_process_leaves_it_behind() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    journal.append(Batch { sync: false, ..batch(1, vec![entry(1, 30)]) }).unwrap();
    stored(&told, 1);
    assert_eq!(entries(&held(&disk)), 1);
    drop(journal);
    assert_eq!(
        entries(&recover(&disk.crashed(&mut crate::memory::Dice(1))).unwrap().0),
        1,
        "synced at the end"
    );
}

#[test]
fn dropping_writes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, recovered) = Journal::open(folder.path(), |_| ()).unwrap();
    assert_eq!(recovered, Recovered::default());
    for token in 1..=100 {
        journal.append(batch(token, vec![latest("hard"), entry(token, 300)])).unwrap();
    }
    drop(journal);
    assert_eq!(entries(&inspect(folder.path()).unwrap()), 100);
    let (journal, recovered) = Journal::open(folder.path(), |_| ()).unwrap();
    assert_eq!((entries(&recovered), recovered.cut), (100, None));
    drop(journal);
}

#[test]
fn segments_that_fill_faster_than_the_next_is_made_stay_apart() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    for token in 1..=3_000 {
        journal.append(Batch { sync: false, ..batch(token, vec![entry(token, 300)]) }).unwrap();
        if token % 7 == 0 {
            stored(&told, token);
        }
    }
    drop(journal);
    let recovered = held(&disk);
    assert_eq!(entries(&recovered), 3_000);
    assert!(recovered.segments > 100, "{}", recovered.segments);
}

#[test]
fn a_second_server_gets_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = Journal::open(folder.path(), |_| ()).unwrap();
    let refused = Journal::open(folder.path(), |_| ()).unwrap_err();
    assert!(refused.to_string().contains("belongs to process"), "{refused}");
    drop(first);
    drop(Journal::open(folder.path(), |_| ()).unwrap());
}

#[test]
fn after_a_failed_sync_nothing_is_told_as_stored_until_all_is_begun_anew() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    journal.append(batch(1, vec![entry(1, 30)])).unwrap();
    stored(&told, 1);
    // The write of the next batch succeeds, and so would every sync after the one that fails.
    disk.syncs_fail_at(disk.operations() + 1);
    journal.append(batch(2, vec![entry(2, 30)])).unwrap();
    let Progress::Condition(Condition::Failed(why)) = next(&told) else { panic!("it claims the batch") };
    assert!(why.contains("cannot sync /memory/00000001-00000001.log: input/output error"), "{why}");
    let refused = journal.append(batch(3, vec![entry(3, 30)])).unwrap_err();
    assert_eq!(refused.why, Why::Failed(why));
    assert_eq!(refused.batch.token, 3, "the batch comes back");
    assert!(matches!(journal.condition(), Condition::Failed(_)));

    let snapshot = Some(Bytes::from_static(b"all there is"));
    let fresh =
        Batch { fresh: true, snapshot: parts(&snapshot), ..batch(4, vec![latest("hard"), entry(3, 30)]) };
    journal.append(fresh).unwrap();
    assert_eq!(next(&told), Progress::Stored { token: 4 });
    assert_eq!(next(&told), Progress::Condition(Condition::Fine));
    let recovered = recover(&disk.crashed(&mut crate::memory::Dice(1))).unwrap().0;
    assert_eq!((recovered.snapshot, recovered.records.len()), (snapshot, 2));
    drop(journal);
}

#[test]
fn what_waits_behind_a_failed_sync_is_not_told_as_stored() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    disk.syncs_fail_at(disk.operations() + 1);
    disk.held(|| {
        journal.append(batch(1, vec![entry(1, 30)])).unwrap();
        let snapshot = Some(Bytes::from_static(b"state").into());
        journal.append(Batch { snapshot, ..batch(2, vec![entry(2, 30)]) }).unwrap();
        journal.append(batch(3, vec![entry(3, 30)])).unwrap();
    });
    drop(journal);
    let told: Vec<Progress> = told.iter().collect();
    assert!(matches!(told[..], [Progress::Condition(Condition::Failed(_))]), "{told:?}");
}

#[test]
fn a_full_disk_is_said_and_what_was_stored_is_there() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    journal.append(batch(1, vec![entry(1, 30)])).unwrap();
    stored(&told, 1);
    disk.full_at(Some(disk.operations()));
    for token in 2..=200 {
        if journal.append(batch(token, vec![entry(token, 300)])).is_err() {
            break;
        }
    }
    let mut last = 1;
    let why = loop {
        match next(&told) {
            Progress::Stored { token } => last = token,
            Progress::Condition(Condition::Failed(why)) => break why,
            // The file that is made ahead is the first that finds no room.
            Progress::Condition(Condition::Fine | Condition::Degraded(_)) => {}
        }
    };
    assert!(why.contains("cannot make"), "{why}");
    assert_eq!(entries(&held(&disk)) as u64, last);
    drop(journal);
}

#[test]
fn a_snapshot_that_finds_no_room_degrades_and_the_next_one_mends_it() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    let snapshot = |token, text: &'static str| Batch {
        snapshot: Some(Bytes::from_static(text.as_bytes()).into()),
        first_needed: Some(token),
        ..batch(token, Vec::new())
    };
    for token in 1..=30 {
        journal.append(batch(token, vec![entry(token, 300)])).unwrap();
        stored(&told, token);
    }
    disk.full_at(Some(disk.operations()));
    journal.append(snapshot(31, "state")).unwrap();
    // The file that is made ahead may find no room either, before or after.
    let condition = |wanted: bool| loop {
        match next(&told) {
            Progress::Stored { token } => assert!(token > 30, "the entries that it stands for are stored"),
            Progress::Condition(found) if found.to_string().contains(".snapshot") == wanted => return found,
            Progress::Condition(_) => {}
        }
    };
    assert!(matches!(condition(true), Condition::Degraded(_)));
    assert_eq!(entries(&held(&disk)), 30, "and stay");
    disk.full_at(None);
    journal.append(snapshot(32, "later state")).unwrap();
    assert!(!matches!(condition(false), Condition::Failed(_)));
    drop(journal);
    assert!(entries(&held(&disk)) < 20, "what it stands for goes");
    assert_eq!(held(&disk).snapshot.unwrap(), "later state");
}

#[test]
fn a_snapshot_releases_the_segments_before_it() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    for token in 1..=100 {
        journal.append(batch(token, vec![latest("hard"), entry(token, 300)])).unwrap();
        stored(&told, token);
    }
    let logs = |disk: &Memory| disk.names().unwrap().iter().filter(|name| name.ends_with(".log")).count();
    assert!(logs(&disk) > 5);
    let snapshot = Some(Bytes::from_static(b"100").into());
    journal.append(Batch { snapshot, first_needed: Some(101), ..batch(101, Vec::new()) }).unwrap();
    stored(&told, 101);
    drop(journal);
    assert_eq!(logs(&disk), 1, "{:?}", disk.names());
    let recovered = held(&disk);
    assert_eq!(recovered.snapshot.unwrap(), "100");
    assert!(recovered.records.contains(&Bytes::from_static(b"hard")), "what is kept as the latest stays");
}

#[test]
fn a_snapshot_with_records_is_there_before_them() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    let snapshot = Some(Bytes::from_static(b"from the leader"));
    journal.append(Batch { snapshot: parts(&snapshot), ..batch(1, vec![entry(9, 3)]) }).unwrap();
    stored(&told, 1);
    let recovered = recover(&disk.crashed(&mut crate::memory::Dice(3))).unwrap().0;
    assert_eq!((recovered.snapshot.clone(), entries(&recovered)), (snapshot, 1));
    drop(journal);
}

#[test]
fn a_snapshot_of_the_leader_is_not_replaced_by_one_that_was_under_way() {
    let disk = Memory::default();
    let (journal, told) = on(&disk);
    let own = Some(Bytes::from(vec![b'.'; 16 << 20]));
    journal.append(Batch { snapshot: parts(&own), ..batch(1, Vec::new()) }).unwrap();
    let leaders = Some(Bytes::from_static(b"from the leader"));
    journal.append(Batch { snapshot: parts(&leaders), ..batch(2, vec![entry(9, 3)]) }).unwrap();
    stored(&told, 2);
    drop(journal);
    assert_eq!(held(&disk).snapshot, leaders);
}

#[test]
fn a_batch_too_long_and_one_too_many_come_back() {
    let disk = Memory::default();
    let (journal, _told) = on(&disk);
    let long = batch(1, vec![entry(1, tandem_journal::limits::MAX_BATCH)]);
    assert!(matches!(journal.append(long).unwrap_err().why, Why::TooLong { .. }));
    let half = Bytes::from(vec![0; 40 << 20]);
    let record =
        |token| tandem_journal::Record { keep: tandem_journal::Keep::Place(token), bytes: half.clone() };
    let results: Vec<_> = (1..=20).map(|token| journal.append(batch(token, vec![record(token)]))).collect();
    let refused =
        results.into_iter().find_map(Result::err).expect("they come faster than they can be written");
    assert!(matches!(refused.why, Why::Full { .. }), "{refused}");
    assert!(journal.counters().refused.load(std::sync::atomic::Ordering::Relaxed) >= 2);
    drop(journal);
}
