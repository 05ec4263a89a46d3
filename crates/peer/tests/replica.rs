//! The gate, the batch, and that applied changes end in one state whatever order they take.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use tandem_peer::replica::{
    Applied, Batch, Change, ChangeLog, Op, Reader, Record, RecordKey, ReplicaSet, Replicated, Seq, Stamp,
    Writer,
};
use tandem_peer::time::Deadline;

#[derive(Debug, Clone, PartialEq)]
struct Binding {
    contact: String,
    expires: Deadline,
}

impl Record for Binding {
    const KIND: u8 = 3;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.contact);
        out.deadline(self.expires);
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let binding = Self { contact: reader.str()?.into(), expires: reader.deadline()? };
        Some(binding)
    }

    fn deadline(&self) -> Option<Deadline> {
        Some(self.expires)
    }
}

fn binding(contact: &str) -> Binding {
    Binding { contact: contact.into(), expires: Deadline::at_unix_ms(60_000) }
}

fn all_changes(log: &mut ChangeLog) -> Vec<Change> {
    log.take_batch().map(|batch| batch.changes().collect()).unwrap_or_default()
}

#[test]
fn every_change_is_logged_with_the_next_version() {
    let mut log = ChangeLog::new(1, 5);
    let mut value = Replicated::create(9, binding("sip:1001@a"), &mut log);
    value.update(&mut log, |binding| binding.contact = "sip:1001@b".into());
    let removed = value.delete(&mut log);
    assert_eq!(removed.contact, "sip:1001@b");
    let changes = all_changes(&mut log);
    let stamps: Vec<Stamp> = changes.iter().map(|change| change.stamp).collect();
    assert_eq!(stamps, [1, 2, 3].map(|version| Stamp { epoch: 5, version, owner: 1 }));
    assert!(changes.iter().all(|change| change.key == RecordKey { kind: 3, id: 9 }));
    assert_eq!(changes[1].deadline, Some(Deadline::at_unix_ms(60_000)));
    assert_eq!(changes[2].op, Op::Delete);
}

#[test]
fn the_changes_of_one_input_are_one_batch_and_batches_are_counted() {
    let mut log = ChangeLog::new(1, 1);
    assert!(log.take_batch().is_none());
    let _a = Replicated::create(1, binding("a"), &mut log);
    let _b = Replicated::create(2, binding("b"), &mut log);
    let batch = log.take_batch().unwrap();
    assert_eq!((batch.seq(), batch.changes().count()), (Seq(1), 2));
    assert!(log.take_batch().is_none());
    let _c = Replicated::create(3, binding("c"), &mut log);
    assert_eq!(log.take_batch().unwrap().seq(), Seq(2));
}

#[test]
fn a_value_restored_from_the_store_goes_on_where_it_was() {
    let mut log = ChangeLog::new(1, 1);
    let mut value = Replicated::create(9, binding("sip:1001@a"), &mut log);
    value.update(&mut log, |binding| binding.contact = "sip:1001@b".into());
    let mut store = ReplicaSet::new();
    for change in all_changes(&mut log) {
        assert_eq!(store.apply(&change), Applied::Applied);
    }
    let change = store.changes().next().unwrap();
    let mut restored: Replicated<Binding> = Replicated::restore(&change).unwrap();
    assert_eq!((&*restored, restored.stamp()), (&*value, value.stamp()));
    let mut successor = ChangeLog::new(2, 2);
    restored.update(&mut successor, |binding| binding.contact = "sip:1001@c".into());
    assert_eq!(restored.stamp(), Stamp { epoch: 2, version: 3, owner: 2 });
}

#[test]
fn what_is_not_such_a_value_is_not_restored() {
    let put = |kind, bytes: &'static [u8]| Change {
        key: RecordKey { kind, id: 1 },
        stamp: Stamp { epoch: 1, version: 1, owner: 1 },
        deadline: None,
        op: Op::Put(Bytes::from_static(bytes)),
    };
    assert!(Replicated::<Binding>::restore(&put(4, b"\x01\0\0\0\0\0\0\0\0\0\0\0\0")).is_none());
    assert!(Replicated::<Binding>::restore(&put(3, b"nonsense")).is_none());
    assert!(Replicated::<Binding>::restore(&put(3, b"\x01\0\0\0\0\0\0\0\0\0\0\0\0")).is_some());
    assert!(Replicated::<Binding>::restore(&Change { op: Op::Delete, ..put(3, b"") }).is_none());
}

#[test]
fn a_batch_read_back_is_the_batch_that_was_written() {
    let mut log = ChangeLog::new(7, 3);
    let value = Replicated::create(9, binding("sip:1001@a"), &mut log);
    value.delete(&mut log);
    let batch = log.take_batch().unwrap();
    assert_eq!(Batch::from_bytes(batch.seq(), batch.bytes().clone()), Some(batch.clone()));
    for length in 1..batch.bytes().len() {
        let torn = Batch::from_bytes(batch.seq(), batch.bytes().slice(..length));
        let whole_changes = torn.map(|batch| batch.changes().count());
        assert!(matches!(whole_changes, None | Some(1)), "cut at {length}: {whole_changes:?}");
    }
}

#[test]
fn a_late_older_copy_does_not_bring_a_deleted_record_back() {
    let mut log = ChangeLog::new(1, 1);
    let value = Replicated::create(9, binding("sip:1001@a"), &mut log);
    value.delete(&mut log);
    let changes = all_changes(&mut log);
    let mut set = ReplicaSet::new();
    assert_eq!(set.apply(&changes[1]), Applied::Applied);
    assert_eq!(set.apply(&changes[0]), Applied::Stale);
    assert!(set.is_empty());
}

#[test]
fn a_stale_primary_is_refused_once_a_new_epoch_has_begun() {
    let mut old_primary = ChangeLog::new(1, 1);
    let mut value = Replicated::create(9, binding("sip:1001@a"), &mut old_primary);
    let mut set = ReplicaSet::new();
    set.apply(&all_changes(&mut old_primary)[0]);
    set.begin_epoch(2);
    value.update(&mut old_primary, |binding| binding.contact = "sip:1001@stale".into());
    let _other = Replicated::create(10, binding("sip:1002@stale"), &mut old_primary);
    for change in all_changes(&mut old_primary) {
        assert_eq!(set.apply(&change), Applied::OldEpoch);
    }
    assert_eq!(set.len(), 1);
    set.begin_epoch(1);
    value.update(&mut old_primary, |_| ());
    assert_eq!(set.apply(&all_changes(&mut old_primary)[0]), Applied::OldEpoch, "an epoch never comes back");
}

#[test]
fn a_newer_epoch_wins_over_more_versions_of_an_older_one() {
    let mut old_primary = ChangeLog::new(1, 1);
    let mut value = Replicated::create(9, binding("a"), &mut old_primary);
    let first = all_changes(&mut old_primary);
    let mut taken_over: Replicated<Binding> = Replicated::restore(&first[0]).unwrap();
    for _ in 0..5 {
        value.update(&mut old_primary, |binding| binding.contact.push('x'));
    }
    let mut new_primary = ChangeLog::new(2, 2);
    taken_over.update(&mut new_primary, |binding| binding.contact = "b".into());
    let mut set = ReplicaSet::new();
    set.apply(&all_changes(&mut new_primary)[0]);
    for change in all_changes(&mut old_primary) {
        assert_eq!(set.apply(&change), Applied::Stale);
    }
    let stored = set.get(&taken_over.key()).unwrap();
    assert_eq!(Binding::decode(&stored.value), Some(binding("b")));
}

#[test]
fn records_past_their_deadline_are_dropped() {
    let mut log = ChangeLog::new(1, 1);
    let _value = Replicated::create(9, binding("sip:1001@a"), &mut log);
    let mut set = ReplicaSet::new();
    set.apply(&all_changes(&mut log)[0]);
    set.expire(59_999);
    assert_eq!(set.len(), 1);
    set.expire(60_000);
    assert!(set.is_empty());
}

#[test]
fn the_gate_adds_24_bytes_to_a_value() {
    assert_eq!(size_of::<Replicated<[u64; 4]>>(), size_of::<[u64; 4]>() + 24);
}

/// What a server does to its records: (record, is it a deletion, does a new epoch begin first).
fn history(steps: &[(u64, bool, bool)]) -> Vec<Change> {
    let mut epoch = 1;
    let mut log = ChangeLog::new(1, epoch);
    let mut live: Vec<Option<Replicated<Binding>>> = (0..4).map(|_| None).collect();
    let mut next_id = 0;
    for (slot, delete, promote) in steps {
        if *promote {
            epoch += 1;
            log.begin_epoch(epoch);
        }
        let place = &mut live[usize::try_from(*slot).unwrap()];
        match (place.take(), delete) {
            (Some(value), true) => drop(value.delete(&mut log)),
            (Some(mut value), false) => {
                value.update(&mut log, |binding| binding.contact.push('x'));
                *place = Some(value);
            }
            (None, _) => {
                next_id += 1;
                *place = Some(Replicated::create(next_id, binding("sip:x"), &mut log));
            }
        }
    }
    all_changes(&mut log)
}

fn state(set: &ReplicaSet) -> Vec<Change> {
    set.changes().collect()
}

proptest! {
    #[test]
    fn any_order_and_any_duplication_ends_in_the_same_state(
        steps in prop::collection::vec((0u64..4, prop::bool::weighted(0.3), prop::bool::weighted(0.1)), 1..60),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
    ) {
        let changes = history(&steps);
        let mut in_order = ReplicaSet::new();
        for change in &changes {
            prop_assert_eq!(in_order.apply(change), Applied::Applied);
        }
        let mut shuffled = ReplicaSet::new();
        for index in &order {
            shuffled.apply(index.get(&changes));
        }
        for change in changes.iter().rev() {
            shuffled.apply(change);
        }
        prop_assert_eq!(state(&shuffled), state(&in_order));
    }

    #[test]
    fn after_an_epoch_has_begun_nothing_older_changes_anything(
        steps in prop::collection::vec((0u64..4, prop::bool::weighted(0.3), prop::bool::weighted(0.3)), 1..60),
        fence in 1u32..10,
    ) {
        let changes = history(&steps);
        let mut set = ReplicaSet::new();
        set.begin_epoch(fence);
        for change in &changes {
            let before = state(&set);
            let applied = set.apply(change);
            prop_assert_eq!(applied == Applied::OldEpoch, change.stamp.epoch < fence);
            if applied != Applied::Applied {
                prop_assert_eq!(state(&set), before);
            }
        }
    }

    #[test]
    fn foreign_bytes_never_make_a_batch_that_cannot_be_walked(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(batch) = Batch::from_bytes(Seq(1), bytes.into()) {
            let heads = batch.changes().count() * 35;
            prop_assert!(heads <= batch.bytes().len());
        }
    }
}

/// What the next version of [`Binding`] may look like.
#[derive(Debug, Clone, PartialEq)]
struct NextBinding {
    contact: String,
    expires: Deadline,
    path: Option<String>,
}

impl Record for NextBinding {
    const KIND: u8 = Binding::KIND;
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.contact);
        out.deadline(self.expires);
        out.option(self.path.as_deref(), Writer::str);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            contact: fields.str()?.into(),
            expires: fields.deadline()?,
            path: fields.since(2, None, |fields| fields.option(|fields| fields.str().map(Into::into)))?,
        })
    }
}

fn stored<V: Record>(value: V) -> Bytes {
    let mut log = ChangeLog::new(1, 1);
    let _value = Replicated::create(1, value, &mut log);
    let Op::Put(bytes) = all_changes(&mut log).remove(0).op else { panic!("a value") };
    bytes
}

#[test]
fn servers_of_neighbouring_versions_read_each_others_records() {
    let (old, expires) = (binding("sip:1001@a"), Deadline::at_unix_ms(60_000));
    let new = NextBinding { contact: "sip:1001@a".into(), expires, path: Some("sip:edge".into()) };
    assert_eq!(Binding::decode(&stored(new.clone())), Some(old.clone()));
    let read = NextBinding::decode(&stored(old.clone()));
    assert_eq!(read, Some(NextBinding { path: None, ..new.clone() }));
    assert_eq!(NextBinding::decode(&stored(new.clone())), Some(new));
    assert_eq!(Binding::decode(&stored(old.clone())), Some(old));
}

/// What whoever applies all batches of a walk has.
fn walked(set: &mut ReplicaSet, mut between: impl FnMut(&mut ReplicaSet, usize)) -> (ReplicaSet, usize) {
    let (mut copy, mut batches) = (ReplicaSet::new(), 0);
    set.begin_walk();
    while let Some(batch) = set.walk_on(200) {
        batches += 1;
        let read = Batch::from_bytes(batch.seq(), batch.bytes().clone()).unwrap();
        read.changes().for_each(|change| assert_eq!(copy.apply(&change), Applied::Applied));
        between(set, batches);
    }
    (copy, batches)
}

#[test]
fn a_walk_over_a_set_makes_an_equal_one() {
    let mut log = ChangeLog::new(1, 7);
    let mut set = ReplicaSet::new();
    let _kept: Vec<_> =
        (0..50).map(|id| Replicated::create(id, binding(&format!("sip:{id}")), &mut log)).collect();
    all_changes(&mut log).iter().for_each(|change| assert_eq!(set.apply(change), Applied::Applied));
    let (copy, batches) = walked(&mut set, |_, _| ());
    assert!(batches > 5, "{batches} batches");
    assert!(set.changes().eq(copy.changes()));
    assert!(set.walk_on(200).is_none(), "it has ended");
}

#[test]
fn changes_made_during_a_walk_do_not_show_in_it() {
    let mut log = ChangeLog::new(1, 7);
    let mut set = ReplicaSet::new();
    let mut kept: Vec<_> =
        (0..50).map(|id| Replicated::create(2 * id, binding(&format!("sip:{id}")), &mut log)).collect();
    all_changes(&mut log).iter().for_each(|change| assert_eq!(set.apply(change), Applied::Applied));
    let before: Vec<_> = set.changes().collect();
    let (copy, batches) = walked(&mut set, |set, round| {
        // Of those that were passed, of the next, and of the last: one changes, one goes, one comes; one that has gone comes back.
        for place in [0, round * 4 % kept.len(), kept.len() - 1] {
            kept.get_mut(place).unwrap().update(&mut log, |binding| binding.contact.push('!'));
        }
        drop(kept.remove(kept.len() / 2).delete(&mut log));
        let _new = Replicated::create(2 * round as u64 + 1, binding("sip:new"), &mut log);
        let _new = Replicated::create(1_000 + round as u64, binding("sip:new"), &mut log);
        all_changes(&mut log).iter().for_each(|change| assert_eq!(set.apply(change), Applied::Applied));
        if round == 3 {
            set.expire(u64::MAX);
        }
    });
    assert!(batches > 5, "{batches} batches");
    assert!(before.iter().cloned().eq(copy.changes()), "as it was when the walk began");
    assert!(set.is_empty() || !set.changes().eq(before), "and the set has gone on");
}
