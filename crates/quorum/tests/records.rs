//! What a member keeps, as bytes: read back as it was written, refused by name when it is not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use tandem_quorum::{
    Base, CannotStart, HardState, Identity, Kind, LogEntry, Member, MemberId, MemberInfo, Persisted, Record,
    Replay, Roster, Seat, Settings, Snapshot, Successor, Takeover, Unreadable, Votes,
};

fn member(id: u64) -> MemberInfo {
    MemberInfo { id: MemberId(id), kind: Kind::Server, seat: Seat::Voter, address: format!("host{id}:5990") }
}

fn identity() -> Identity {
    Identity { group: 9, generation: 3, id: MemberId(1), superseded: None, takeover: None }
}

fn entry(index: u64, term: u64) -> LogEntry {
    LogEntry { index, term, kind: 0, data: Bytes::from_static(b"batch"), context: Bytes::new() }
}

fn base(index: u64, term: u64) -> Base {
    let votes = Votes { voters: vec![1, 2, 3], ..Votes::default() };
    Base { index, term, votes, roster: Roster::new([member(1), member(2), member(3)]) }
}

fn replay(snapshot: Option<Snapshot>, records: &[Record]) -> Result<Persisted, Unreadable> {
    let mut replay = Replay::new(snapshot);
    replay.record(Record::Identity(identity()).encode())?;
    for record in records {
        replay.record(record.encode())?;
    }
    replay.finish()
}

#[test]
fn records_and_snapshots_are_read_as_they_were_written() {
    let votes = Votes {
        voters: vec![1],
        learners: vec![4],
        outgoing: vec![1, 2],
        learners_next: vec![2],
        auto_leave: true,
    };
    let takeover = Some(Takeover { index: 70, votes, roster: Roster::new([member(1), member(2)]) });
    let superseded = Some(Successor { by: MemberId(2), generation: 4 });
    let context = Bytes::from_static(b"R");
    let records = [
        Record::Identity(identity()),
        Record::Identity(Identity { takeover, superseded, ..identity() }),
        Record::Hard(HardState { term: 1, vote: 2, commit: 3 }),
        Record::Entry(LogEntry { context, ..entry(5, 6) }),
        Record::Installed { index: 8 },
    ];
    for record in records {
        let bytes = record.encode();
        assert_eq!(Record::decode(bytes.clone()), Some(record.clone()));
        for end in 0..bytes.len() {
            assert_ne!(Record::decode(bytes.slice(..end)), Some(record.clone()), "cut at {end}");
        }
    }
    let snapshot = Snapshot { base: base(7, 2), data: Bytes::from_static(b"state") };
    assert_eq!(Snapshot::decode(snapshot.encode()), Some(snapshot));
}

#[test]
fn an_entry_replaces_the_one_at_its_place_and_all_behind_it() {
    let records = [entry(1, 1), entry(2, 1), entry(3, 1), entry(2, 2)].map(Record::Entry);
    let persisted = replay(None, &records).unwrap();
    assert_eq!(persisted.entries, [entry(1, 1), entry(2, 2)]);
}

#[test]
fn a_gap_is_found_and_named() {
    let gap = replay(None, &[entry(1, 1), entry(3, 1)].map(Record::Entry));
    assert_eq!(gap, Err(Unreadable::Gap { expected: 2, found: 3 }));
    let snapshot = Snapshot { base: base(10, 2), data: Bytes::new() };
    let gap = replay(Some(snapshot), &[entry(12, 2)].map(Record::Entry));
    assert_eq!(gap, Err(Unreadable::Gap { expected: 11, found: 12 }));
    assert!(gap.unwrap_err().to_string().contains("a part is lost"));
}

#[test]
fn a_log_that_its_snapshot_replaced_is_not_read() {
    let snapshot = || Some(Snapshot { base: base(3, 5), data: Bytes::new() });
    // It ends before it, or says something else there.
    let before = [entry(1, 1), entry(2, 1)].map(Record::Entry);
    assert!(replay(snapshot(), &before).unwrap().entries.is_empty());
    let other = [entry(2, 1), entry(3, 1), entry(4, 1)].map(Record::Entry);
    assert!(replay(snapshot(), &other).unwrap().entries.is_empty());
    // It goes on from it.
    let same = [entry(3, 5), entry(4, 5)].map(Record::Entry);
    assert_eq!(replay(snapshot(), &same).unwrap().entries.len(), 2);
    let installed = [Record::Entry(entry(1, 1)), Record::Installed { index: 3 }, Record::Entry(entry(4, 5))];
    assert_eq!(replay(snapshot(), &installed).unwrap().entries, [entry(4, 5)]);
}

#[test]
fn a_record_of_a_later_release_is_refused_by_its_place() {
    let mut replay = Replay::new(None);
    replay.record(Record::Identity(identity()).encode()).unwrap();
    assert_eq!(replay.record(Bytes::from_static(&[200, 1, 2])), Err(Unreadable::Record { at: 1 }));
    assert_eq!(Replay::new(None).finish(), Err(Unreadable::NoIdentity));
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_member_whose_log_ends_before_what_was_agreed_on_does_not_start() {
    let snapshot = Some(Snapshot { base: base(1, 1), data: Bytes::new() });
    let hard = Record::Hard(HardState { term: 4, vote: 0, commit: 9 });
    let persisted = replay(snapshot, &[hard, Record::Entry(entry(2, 4))]).unwrap();
    let refused = Member::start(Settings::new(Kind::Server, 0, 1), persisted, std::time::Instant::now());
    let expected = CannotStart::Log { snapshot: 1, first: Some(2), last: 2, committed: 9 };
    assert_eq!(refused.err(), Some(expected));
}
