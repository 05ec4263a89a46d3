//! What is stored of a call, and what comes back.

use tandem_cti::{CallType, DnRole, PartyState};
use tandem_peer::replica::{Change, Op, Record};
use tandem_peer::{ChangeLog, ReplicaSet, Replicated};
use tandem_switch::arena::Key;
use tandem_switch::call::{Carried, Far, News};
use tandem_switch::cti::calls::TCall;

use super::office::{Office, c, list};

fn changes(log: &mut ChangeLog) -> Vec<Change> {
    log.take_batch().map(|batch| batch.changes().collect()).unwrap_or_default()
}

fn call_with_everything(office: &mut Office) -> Key {
    let carried = Carried { user_data: list(&[("a", "b")]), conn_id: None };
    let key = office.open_as(Far::Trunk("gw".into()), "0301", "7000", Some("7000"), carried);
    office.offered(key, 1, "1001");
    office.ringing(key, 1);
    office.answered(key, 1);
    office.held(key, 1);
    key
}

#[test]
fn a_call_that_nobody_hears_of_is_stored_once_a_fact_and_only_from_its_answer_on() {
    let mut office = Office::new();
    office.watched = false;
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    assert!(changes(&mut office.log).is_empty());
    office.answered(key, 1);
    assert_eq!(changes(&mut office.log).len(), 1);
    office.answered(key, 1);
    office.ringing(key, 1);
    assert!(changes(&mut office.log).is_empty(), "nothing changed");
    office.held(key, 1);
    assert_eq!(changes(&mut office.log).len(), 1);
    office.hang_up(key);
    assert!(matches!(changes(&mut office.log).last().unwrap().op, Op::Delete));
}

#[test]
fn a_call_that_somebody_has_heard_of_is_stored_before_its_answer() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    assert!(!changes(&mut office.log).is_empty());
}

#[test]
fn a_stored_call_comes_back_with_its_parties() {
    let mut office = Office::new();
    let key = call_with_everything(&mut office);
    let stored = changes(&mut office.log).pop().unwrap();
    let call = Replicated::<TCall>::restore(&stored).unwrap();
    assert_eq!((call.conn, call.kind, call.queue.as_deref()), (1, CallType::Inbound, Some("7000")));
    let mut again = Office::new();
    again.with_desk(|calls, desk| calls.restore(desk, &stored, &|uuid| (uuid == 0xaa00).then_some(key)));
    let at = again.calls.at("1001").remove(0);
    assert_eq!((at.conn_id, at.state, at.role), (c(1), PartyState::Held, DnRole::Destination));
    assert_eq!((at.other_dn.as_deref(), at.user_data), (Some("0301"), list(&[("a", "b")])));
    again.news(key, News::Retrieved { leg: 1 });
    again.hang_up(key);
    let events = ["c1 1001 Retrieved >0301 at 7000", "c1 1001 Released >0301 at 7000"];
    assert_eq!(again.events()[0], events[0]);
    again.assert_empty();
}

#[test]
fn a_stored_call_whose_dialogs_are_gone_is_deleted() {
    let mut office = Office::new();
    call_with_everything(&mut office);
    let mut replica = ReplicaSet::new();
    let stored = changes(&mut office.log).pop().unwrap();
    replica.apply(&stored);
    let mut again = Office::new();
    again.with_desk(|calls, desk| calls.restore(desk, &stored, &|_| None));
    for change in changes(&mut again.log) {
        replica.apply(&change);
    }
    assert!(replica.is_empty());
    again.assert_empty();
}

#[test]
fn damaged_records_are_refused() {
    let mut office = Office::new();
    call_with_everything(&mut office);
    let Op::Put(bytes) = changes(&mut office.log).pop().unwrap().op else { panic!("a value") };
    assert!(TCall::decode(&bytes).is_some());
    for length in 0..bytes.len() {
        assert!(TCall::decode(&bytes[..length]).is_none(), "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(TCall::decode(&longer).is_none());
    for place in 0..bytes.len() {
        let mut other = bytes.to_vec();
        other[place] ^= 0xff;
        let _ = TCall::decode(&other);
    }
}
