//! Agents as they are stored.

use bytes::BytesMut;
use tandem_cti::WorkMode::{AfterCallWork, AutoIn, AuxWork, ManualIn};
use tandem_cti::{AgentState, Value};
use tandem_peer::replica::{Batch, Op, Record};
use tandem_peer::{Change, ReplicaSet};
use tandem_switch::agent::{Agent, LogoutBy};
use tandem_switch::directory::floor::{AgentOptions, WrapUp};

use crate::floor::{Asked, Floor, Setup, list, seconds};

fn changes(floor: &mut Floor) -> Vec<Change> {
    floor.log.take_batch().iter().flat_map(Batch::changes).collect()
}

fn restored(from: &mut Floor, in_service: bool) -> Floor {
    let mut stored = ReplicaSet::new();
    for change in changes(from) {
        stored.apply(&change);
    }
    let mut floor = Floor::of(&from.setup);
    floor.now = from.now;
    for change in stored.changes() {
        assert!(floor.act(|agents, desk| agents.restore(desk, &change, in_service)));
    }
    floor
}

/// Anna with something in every field.
fn full() -> Floor {
    let mut floor = Floor::new(AgentOptions { wrap_up_time: Some(seconds(30)), ..AgentOptions::default() });
    let extensions = list(&[("WrapUpTime", Value::Int(12))]);
    let asked = Asked { queue: Some("700"), extensions, client: 9, ..Asked::new("1001", "anna", AutoIn) };
    floor.ask(&asked).unwrap();
    floor.began(1, true, Some(WrapUp::Untimed));
    floor.answer(1);
    floor.talk(2, true);
    floor.end(1);
    let inner = list(&[("b", 7.into()), ("c", "x".into())]);
    floor.not_ready_with(AfterCallWork, list(&[("a", Value::List(inner))]), list(&[])).unwrap();
    floor
}

#[test]
fn every_change_is_one_record() {
    let mut floor = Floor::new(AgentOptions::default());
    floor.login("1001", "anna", AutoIn).unwrap();
    let login = changes(&mut floor);
    assert_eq!((login.len(), login[0].key.kind), (1, 3));
    floor.act(|agents, desk| agents.offered(desk, "1001", 4));
    floor.act(|agents, desk| agents.offer_over(desk, "1001", 4));
    floor.ready(AutoIn).unwrap_err();
    assert!(changes(&mut floor).is_empty(), "nothing to store");
    floor.not_ready(AuxWork).unwrap();
    assert_eq!(changes(&mut floor).len(), 1);
    floor.logout("1001", LogoutBy::Request).unwrap();
    let last = changes(&mut floor).pop().unwrap();
    assert_eq!((last.op, last.key), (Op::Delete, login[0].key));
    floor.login("1001", "anna", AutoIn).unwrap();
    assert_ne!(changes(&mut floor)[0].key, login[0].key, "a number is not used again");
}

#[test]
fn a_record_comes_back_as_it_was() {
    let mut floor = full();
    let all = changes(&mut floor);
    let mut seen = 0;
    for change in all {
        let Op::Put(bytes) = &change.op else { panic!("{change:?}") };
        let agent = Agent::decode(bytes).unwrap();
        let mut log = tandem_peer::ChangeLog::new(1, 1);
        assert_eq!(tandem_peer::Replicated::create(1, agent, &mut log).key().kind, 3);
        let again = log.take_batch().unwrap().changes().next().unwrap();
        assert_eq!(again.op, change.op);
        seen += 1;
    }
    assert!(seen > 1);
}

#[test]
fn damaged_bytes_are_refused_or_read_but_never_fatal() {
    let mut floor = full();
    let Op::Put(bytes) = changes(&mut floor).pop().unwrap().op else { panic!() };
    for end in 0..bytes.len() {
        assert_eq!(Agent::decode(&bytes[..end]), None, "cut at {end}");
    }
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = BytesMut::from(&bytes[..]);
            damaged[at] ^= flip;
            drop(Agent::decode(&damaged));
        }
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert_eq!(Agent::decode(&longer), None);
}

#[test]
fn after_call_work_goes_on_after_a_restart() {
    let mut floor =
        Floor::with_anna(AgentOptions { wrap_up_time: Some(seconds(30)), ..AgentOptions::default() }, AutoIn);
    floor.talk(1, true);
    floor.end(1);
    floor.pass(10);
    let mut again = restored(&mut floor, true);
    assert_eq!(again.anna(), floor.anna());
    assert_eq!(again.news(), [""; 0]);
    again.pass(20);
    assert_eq!(again.news(), ["ready AutoIn", "available"]);
    again.act(|agents, desk| agents.client_gone(desk, 1));
    assert_eq!(again.agents.list(), []);
}

#[test]
fn calls_that_survived_are_told_again() {
    let mut floor = full();
    let mut again = restored(&mut floor, true);
    again.talk(2, true);
    assert_eq!(again.anna().state, AgentState::BusyAfterCallWork);
    again.end(2);
    let told = again.news();
    assert!(told.last().unwrap().starts_with("notready AfterCallWork"), "{told:?}");
    assert!(told.last().unwrap().ends_with("WrapUpTime=untimed"), "what call 1 left: {told:?}");
}

#[test]
fn a_restored_agent_is_available_if_his_dn_is_in_service() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    let mut copy = Floor::with_anna(AgentOptions::default(), AutoIn);
    assert_eq!(restored(&mut floor, true).news(), ["available"]);
    assert_eq!(restored(&mut copy, false).news(), [""; 0]);
}

#[test]
fn an_agent_whose_dn_is_no_more_is_deleted() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    let change = changes(&mut floor).pop().unwrap();
    let mut again = Floor::of(&Setup { without_dn: Some("1001"), ..Setup::default() });
    assert!(again.act(|agents, desk| agents.restore(desk, &change, true)));
    assert_eq!(again.agents.list(), []);
    assert_eq!(changes(&mut again)[0].op, Op::Delete);
    let other = Change { key: tandem_peer::RecordKey { kind: 1, id: 1 }, ..change };
    assert!(!again.act(|agents, desk| agents.restore(desk, &other, true)));
}

#[test]
fn numbers_of_restored_records_are_not_used_again() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    let old = changes(&mut floor).pop().unwrap();
    let mut again = Floor::new(AgentOptions::default());
    assert!(again.act(|agents, desk| agents.restore(desk, &old, true)));
    again.login("1002", "bob", ManualIn).unwrap();
    assert_ne!(changes(&mut again)[0].key, old.key);
}
