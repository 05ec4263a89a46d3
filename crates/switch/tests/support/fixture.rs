//! Records as a release wrote them, in a file: this one reads them, and what a later one may make of them.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tandem_peer::ReplicaSet;
use tandem_peer::replica::{Change, Op, RecordKey, Stamp};
use tandem_switch::{Deadline, Directory, Node, Now, Output, Restored, Term};

/// A kind that no release has yet.
const LATER_KIND: u8 = 250;

/// A record a line: kind, number, epoch, version, owner, deadline or 0, value.
fn printed(records: &ReplicaSet) -> String {
    let mut text = String::new();
    for Change { key, stamp, deadline, op } in records.changes() {
        let Op::Put(value) = op else { continue };
        let deadline = deadline.map_or(0, Deadline::unix_ms);
        let (kind, id, Stamp { epoch, version, owner }) = (key.kind, key.id, stamp);
        write!(text, "{kind} {id} {epoch} {version} {owner} {deadline} ").unwrap();
        value.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

fn read(text: &str) -> Vec<Change> {
    let change = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |place: usize| words[place].parse::<u64>().unwrap();
        let value: Vec<u8> = (0..words[6].len() / 2)
            .map(|at| u8::from_str_radix(&words[6][2 * at..2 * at + 2], 16).unwrap())
            .collect();
        Change {
            key: RecordKey { kind: number(0).try_into().unwrap(), id: number(1) },
            stamp: Stamp {
                epoch: number(2).try_into().unwrap(),
                version: number(3),
                owner: number(4).try_into().unwrap(),
            },
            deadline: Some(number(5)).filter(|ms| *ms > 0).map(Deadline::at_unix_ms),
            op: Op::Put(value.into()),
        }
    };
    text.lines().map(change).collect()
}

/// The same as a later release may write them: with a field more.
fn of_a_later_release(records: &[Change]) -> Vec<Change> {
    let later = |change: &Change| {
        let Op::Put(value) = &change.op else { panic!("a value") };
        let mut value = value.to_vec();
        value[0] += 1;
        value.extend_from_slice(b"more");
        Change { op: Op::Put(value.into()), ..change.clone() }
    };
    let unknown = Change { key: RecordKey { kind: LATER_KIND, id: 7 }, ..records[0].clone() };
    records.iter().map(later).chain([unknown]).collect()
}

fn restored(directory: &Arc<Directory>, unix_ms: u64, records: Vec<Change>) -> (Restored, bool) {
    let term = Term { owner: 0, epoch: 2 };
    let now = Now { mono: Instant::now(), unix_ms };
    let (mut node, restored) = Node::restored(Arc::clone(directory), [9; 32], term, records, now);
    let mut touched = false;
    while let Some(output) = node.poll_output() {
        if let Output::Store(batch) = output {
            touched |= batch.changes().any(|change| change.key.kind == LATER_KIND);
        }
    }
    (restored, touched)
}

/// What a file brings back that an older release has written, and that nothing was added to.
pub fn older(file: &Path, directory: &Arc<Directory>, unix_ms: u64) -> Restored {
    let (restored, _) = restored(directory, unix_ms, read(&std::fs::read_to_string(file).unwrap()));
    assert_eq!(restored.unread, 0, "{restored}");
    restored
}

/// Compares what `records`, which this release has just written at about this time, bring back with what the file does.
/// `TANDEM_BLESS=1` writes the file: when a release adds a field, and never otherwise. Gives what the file brings back.
pub fn check(file: &Path, directory: &Arc<Directory>, records: &ReplicaSet, unix_ms: u64) -> Restored {
    if std::env::var_os("TANDEM_BLESS").is_some() {
        std::fs::write(file, printed(records)).unwrap();
    }
    let kinds = |records: &[Change]| records.iter().map(|change| change.key.kind).collect::<BTreeSet<u8>>();
    let (fresh, stored) =
        (records.changes().collect::<Vec<_>>(), read(&std::fs::read_to_string(file).unwrap()));
    assert_eq!(kinds(&stored), kinds(&fresh), "the file has a record of each kind");
    let (now, _) = restored(directory, unix_ms, fresh);
    let (then, _) = restored(directory, unix_ms, stored.clone());
    assert_eq!((&then, then.unread), (&now, 0), "what a server had is there after an upgrade");
    let (later, touched) = restored(directory, unix_ms, of_a_later_release(&stored));
    assert_eq!((later.unread, later.unknown.get(&LATER_KIND), touched), (0, Some(&1), false));
    assert!(later.to_string().contains("1 records of kind 250 are of a newer version and stay as they are"));
    assert_eq!(Restored { unknown: now.unknown.clone(), ..later }, now, "and after a downgrade");
    then
}
