//! A journal of several files in which something is wrong, and what is said of it.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tandem_journal::log::{Log, write_snapshot};
use tandem_journal::recover::{recover, snapshot_name};
use tandem_journal::{Keep, OpenError, Record, Recovered};

use crate::memory::{Memory, entry, latest};

/// Three segments and a snapshot.
fn files() -> Vec<(String, Vec<u8>)> {
    let disk = Arc::new(Memory::default());
    let (_, plan) = recover(&*disk).unwrap();
    let mut log = Log::resume(Arc::clone(&disk), plan, 300).unwrap();
    for place in 1..=6 {
        log.append([latest("hard"), entry(place, 20)].iter()).unwrap();
        log.sync().unwrap();
    }
    write_snapshot(&*disk, 1, &Bytes::from_static(b"the state").into()).unwrap();
    let mut files = disk.files();
    files.retain(|(name, _)| !name.ends_with(".new"));
    assert_eq!(files.len(), 4, "{:?}", files.iter().map(|(name, _)| name).collect::<Vec<_>>());
    files
}

fn read(files: &[(String, Vec<u8>)]) -> Result<Recovered, OpenError> {
    let disk = Memory::default();
    files.iter().for_each(|(name, bytes)| disk.put(name, bytes.clone()));
    recover(&disk).map(|(recovered, _)| recovered)
}

#[test]
fn every_flipped_byte_is_told_of_or_in_the_last_write() {
    let files = files();
    let whole = read(&files).unwrap();
    for (file, (name, bytes)) in files.iter().enumerate() {
        for at in 0..bytes.len() {
            let mut wrong = files.clone();
            wrong[file].1[at] ^= 0x10;
            match read(&wrong) {
                Err(OpenError::Damaged { path, damage }) => {
                    assert_eq!(path.file_name().unwrap().to_str(), Some(&**name));
                    assert!(damage.offset <= at as u64, "byte {at} of {name}: {damage:?}");
                }
                Err(other) => panic!("byte {at} of {name}: {other}"),
                Ok(found) => {
                    assert!(name.ends_with("3.log"), "byte {at} of {name} went unnoticed");
                    let cut = found.cut.expect("a part is cut off");
                    assert!(found.records.len() + 2 >= whole.records.len(), "more than the last write");
                    assert!(cut.offset <= at as u64 && at as u64 <= cut.offset + cut.bytes);
                }
            }
        }
    }
}

#[test]
fn every_cut_is_told_of_or_in_the_last_segment() {
    let files = files();
    let whole = read(&files).unwrap();
    for (file, (name, bytes)) in files.iter().enumerate() {
        for end in 0..bytes.len() {
            let mut wrong = files.clone();
            wrong[file].1.truncate(end);
            match read(&wrong) {
                Err(OpenError::Damaged { path, .. }) => {
                    // After a cut between two frames, the next file says which is missing.
                    let named = path.file_name().unwrap().to_str().unwrap();
                    assert!(named == name || named == files[file + 1].0, "{name} cut at {end}: {named}");
                }
                Err(other) => panic!("{name} cut at {end}: {other}"),
                Ok(found) if name.ends_with("3.log") => assert!(whole.records.starts_with(&found.records)),
                Ok(found) => {
                    assert_eq!(found.records, whole.records, "{name} cut at {end} went unnoticed");
                    assert!(bytes[end..].iter().all(|byte| *byte == 0), "only what was set aside");
                }
            }
        }
    }
}

#[test]
fn a_missing_segment_is_named() {
    let mut files = files();
    files.retain(|(name, _)| !name.ends_with("2.log"));
    let error = read(&files).unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }));
    assert!(error.to_string().contains("00000001-00000002.log is missing"), "{error}");
    files.retain(|(name, _)| name.ends_with(".snapshot"));
    assert!(read(&files).unwrap_err().to_string().contains("00000001-00000001.log is missing"));
}

#[test]
fn a_renamed_a_foreign_and_a_later_file_are_named_with_what_to_do() {
    let files = files();
    let mut swapped = files.clone();
    let (first, second) = (swapped[0].1.clone(), swapped[1].1.clone());
    (swapped[0].1, swapped[1].1) = (second, first);
    assert!(read(&swapped).unwrap_err().to_string().contains("renamed"));

    let mut foreign = files.clone();
    foreign[0].1.splice(..4, *b"#!/b");
    let error = read(&foreign).unwrap_err().to_string();
    assert!(error.contains("00000001-00000001.log, byte 0: this is no part of a journal"), "{error}");

    let mut later = files.clone();
    later[0].1[11] = 9;
    let error = read(&later).unwrap_err().to_string();
    assert!(error.contains("a later release wrote this (version 9"), "{error}");

    let mut odd = files;
    odd.push(("mail.log".into(), Vec::new()));
    let error = read(&odd).unwrap_err().to_string();
    assert!(error.contains("mail.log is no part of a journal: move it away"), "{error}");
}

#[test]
fn what_a_beginning_anew_left_half_done_counts_for_nothing() {
    let mut files = files();
    let whole = read(&files).unwrap();
    files.push((snapshot_name(2), b"half".to_vec()));
    files.push(("00000002-00000001.log.new".into(), b"half".to_vec()));
    assert_eq!(read(&files).unwrap(), whole);
}

fn record() -> impl Strategy<Value = Record> {
    let keep = prop_oneof![
        Just(Keep::Loose),
        any::<u64>().prop_map(Keep::Place),
        any::<u8>().prop_map(Keep::Latest)
    ];
    (keep, proptest::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(keep, bytes)| Record { keep, bytes: bytes.into() })
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        batches in proptest::collection::vec(proptest::collection::vec(record(), 1..6), 1..20),
        restart in 0usize..20,
    ) {
        let disk = Arc::new(Memory::default());
        let resume = || {
            let (_, plan) = recover(&*disk).unwrap();
            Log::resume(Arc::clone(&disk), plan, 600).unwrap()
        };
        let mut log = resume();
        for (at, batch) in batches.iter().enumerate() {
            if at == restart {
                log = resume();
            }
            log.append(batch.iter()).unwrap();
        }
        let (recovered, _) = recover(&*disk).unwrap();
        // Between them come those that a segment begins with again.
        let mut found = recovered.records.iter();
        for record in batches.iter().flatten() {
            prop_assert!(found.any(|bytes| *bytes == record.bytes), "{record:?} is lost or out of order");
        }
    }

    #[test]
    fn nothing_that_lies_there_makes_a_reader_fall(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        file in 0usize..4,
        at in any::<usize>(),
    ) {
        let mut files = files();
        let place = at % (files[file].1.len() + 1);
        let end = files[file].1.len().min(place + bytes.len());
        files[file].1.splice(place..end, bytes);
        let _ = read(&files);
    }
}
