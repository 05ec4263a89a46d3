//! Lists and numbers that are too large.

use tandem_cti::WorkMode::{AutoIn, AuxWork, ManualIn};
use tandem_cti::{ErrorCode, KvList, Value};
use tandem_switch::agent::LogoutBy;
use tandem_switch::directory::floor::AgentOptions;
use tandem_switch::limits::{MAX_AGENT_ID_BYTES, MAX_LIST_BYTES, MAX_LIST_DEPTH, MAX_LIST_KEYS};

use crate::floor::{Asked, Floor, list};

fn keys(count: usize) -> KvList {
    (0..count).map(|n| (format!("{n}"), Value::Int(0))).collect()
}

fn nested(depth: usize) -> KvList {
    (1..depth).fold(keys(1), |inner, _| list(&[("0", Value::List(inner))]))
}

#[test]
fn large_lists_are_refused_and_change_nothing() {
    let mut floor = Floor::with_anna(AgentOptions::default(), AutoIn);
    let text = |bytes: usize| list(&[("k", Value::Text("x".repeat(bytes - 1)))]);
    let hidden = list(&[("k", Value::List(text(MAX_LIST_BYTES)))]);
    for large in [keys(MAX_LIST_KEYS + 1), text(MAX_LIST_BYTES + 1), nested(MAX_LIST_DEPTH + 1), hidden] {
        let none = KvList::new();
        let found = floor.not_ready_with(AuxWork, large.clone(), none.clone());
        assert_eq!(found, Err(ErrorCode::InvalidAttr));
        let found = floor.not_ready_with(AuxWork, none, large.clone());
        assert_eq!(found, Err(ErrorCode::InvalidAttr));
        let asked = Asked { extensions: large.clone(), ..Asked::new("1002", "bob", ManualIn) };
        assert_eq!(floor.ask(&asked), Err(ErrorCode::InvalidAttr));
        let found = floor.logout_with("1001", LogoutBy::Request, None, large);
        assert_eq!(found, Err(ErrorCode::InvalidAttr));
    }
    assert_eq!(floor.news(), [""; 0]);
    for fits in [keys(MAX_LIST_KEYS), text(MAX_LIST_BYTES), nested(MAX_LIST_DEPTH)] {
        floor.not_ready_with(AuxWork, fits, KvList::new()).unwrap();
    }
}

#[test]
fn an_agent_id_has_a_sensible_length() {
    let mut floor = Floor::new(AgentOptions::default());
    assert_eq!(floor.login("1001", "", ManualIn), Err(ErrorCode::InvalidAttr));
    let long = "a".repeat(MAX_AGENT_ID_BYTES + 1);
    assert_eq!(floor.login("1001", &long, ManualIn), Err(ErrorCode::InvalidAttr));
    assert_eq!(floor.login("1001", &long[1..], ManualIn), Ok(()));
}
