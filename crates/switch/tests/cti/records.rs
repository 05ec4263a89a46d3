//! What a backup is told, how much that is, and what it makes of damaged records.

use tandem_cti::{RegisterMode, Role};
use tandem_peer::replica::{Op, Record};
use tandem_peer::{Change, ChangeLog, Replicated};
use tandem_switch::cti::SessionId;
use tandem_switch::cti::sessions::{Brief, Identity, Opened, Progress, Registration};

use crate::desk::{ALICE, BOB, CAROL, Desk, dn};

fn bytes_of<V: Record>(value: V) -> Vec<u8> {
    let mut log = ChangeLog::new(1, 1);
    let _ = Replicated::create(1, value, &mut log);
    let change = log.take_batch().unwrap().changes().next().unwrap();
    let Op::Put(bytes) = change.op else { panic!() };
    bytes.to_vec()
}

/// Comes back whole, and not at all when cut, grown or holding a code that means nothing.
fn round_trip<V: Record + PartialEq + std::fmt::Debug + Clone>(value: &V) {
    let bytes = bytes_of(value.clone());
    assert_eq!(V::decode(&bytes).as_ref(), Some(value));
    for end in 0..bytes.len() {
        assert_eq!(V::decode(&bytes[..end]), None);
    }
    assert_eq!(V::decode(&[bytes.clone(), vec![0]].concat()), None);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] = 0xff;
        let _ = V::decode(&damaged);
    }
}

#[test]
fn records_come_back_and_damaged_ones_do_not() {
    for role in [Role::Agent, Role::RoutingApplication, Role::Supervisor, Role::Administrator] {
        let (person, application) = (dn("älice"), "desktop 1".into());
        round_trip(&Identity { token: u128::MAX - 5, person, role, application, since_unix_ms: 77 });
    }
    for mode in [RegisterMode::Share, RegisterMode::Private, RegisterMode::Monitor] {
        round_trip(&Registration { session: SessionId(9), dn: dn("1001"), mode });
    }
    let brief = Brief { reference_id: 7, sequence: 8, unix_ms: 9, code: 56 };
    round_trip(&Progress { last: 8, answered: vec![brief] });
    round_trip(&Progress::default());
    let mut mode = bytes_of(Registration { session: SessionId(9), dn: dn("1"), mode: RegisterMode::Share });
    *mode.last_mut().unwrap() = 3;
    assert_eq!(Registration::decode(&mode), None);
    let ahead = Progress { last: 7, answered: vec![brief] };
    assert_eq!(Progress::decode(&bytes_of(ahead)), None, "an answer later than the last event");
    let many = Progress { last: 8, answered: vec![brief; 5] };
    assert_eq!(Progress::decode(&bytes_of(many)), None);
}

#[test]
fn a_backup_goes_on_with_the_same_numbers() {
    let mut desk = Desk::new();
    let (_, alices) = desk.desk_at(ALICE, "1001");
    let (_, bobs) = desk.desk_at(BOB, "1001");
    for _ in 0..3 {
        desk.tell("1001");
    }
    desk.fail_over();
    desk.tell("1001");
    assert_eq!(desk.opened(ALICE.over(8), Some((&alices, 3))), Opened::Continued);
    assert_eq!(desk.opened(BOB.over(9), Some((&bobs, 2))), Opened::Gap { dns: vec![dn("1001")] });
    desk.outgoing();
    desk.tell("1001");
    assert_eq!(desk.numbers(), [(8, 5), (9, 5)]);
}

#[test]
fn an_event_is_committed_before_it_leaves_for_every_client() {
    let mut desk = Desk::new();
    desk.desk_at(ALICE, "1001");
    desk.desk_at(BOB, "1001");
    desk.commit();
    desk.tell("1001");
    let batch = desk.log.take_batch().unwrap();
    let changes: Vec<Change> = batch.changes().collect();
    assert_eq!(changes.iter().map(|c| c.key.kind).collect::<Vec<_>>(), [Progress::KIND; 2]);
    assert_eq!(batch.bytes().len(), 2 * 45, "45 bytes a client");
}

#[test]
fn an_event_costs_a_client_with_many_dns_no_more_than_one_with_one() {
    let mut desk = Desk::new();
    let (carol, _) = desk.open(CAROL);
    desk.commit();
    for number in 0..2_000 {
        desk.register(carol, &format!("u{number:04}"), RegisterMode::Monitor).unwrap();
    }
    assert_eq!(desk.commit(), 2_000 * 54);
    desk.tell("u0000");
    assert_eq!(desk.commit(), 45);
}

#[test]
fn a_session_that_ends_leaves_nothing_in_the_store() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.register(alice, "1002", RegisterMode::Monitor).unwrap();
    desk.register(alice, "1003", RegisterMode::Monitor).unwrap();
    desk.sessions.unregister(&mut desk.log, alice, "1003").unwrap();
    desk.commit();
    assert_eq!(desk.stored.len(), 4);
    desk.close(ALICE);
    desk.pass_s(1_000);
    desk.commit();
    assert!(desk.stored.is_empty());
}

#[test]
fn numbers_of_records_are_not_used_twice_after_a_takeover() {
    let mut desk = Desk::new();
    desk.desk_at(ALICE, "1001");
    desk.desk_at(BOB, "1002");
    desk.fail_over();
    let (carol, _) = desk.desk_at(CAROL, "1001");
    assert_eq!(carol, SessionId(3));
    desk.commit();
    assert_eq!(desk.stored.len(), 9, "three records each");
    desk.fail_over();
    assert_eq!(desk.sessions.list().iter().map(|view| view.dns).sum::<usize>(), 3);
}

#[test]
fn records_without_their_session_are_removed_and_foreign_ones_left_alone() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.commit();
    let all: Vec<Change> = desk.stored.changes().collect();
    let mut lonely = Desk::new();
    for change in all.iter().filter(|change| change.key.kind != Identity::KIND) {
        assert!(lonely.sessions.restore(&mut lonely.log, lonely.now, change));
    }
    let deleted = lonely.log.take_batch().unwrap().changes().filter(|c| c.op == Op::Delete).count();
    assert_eq!((deleted, lonely.sessions.list().len()), (2, 0));
    let mut headless = Desk::new();
    assert!(headless.sessions.restore(&mut headless.log, headless.now, &all[0]));
    headless.pass_s(0);
    assert_eq!(headless.log.take_batch().unwrap().changes().count(), 1);
    let mut foreign = all[0].clone();
    foreign.key.kind = 1;
    assert!(!desk.sessions.restore(&mut desk.log, desk.now, &foreign));
    assert!(desk.sessions.controls(alice, "1001"));
}
