//! Ready and NotReady without calls.

use tandem_cti::ErrorCode;
use tandem_cti::WorkMode::{AutoIn, AuxWork, ManualIn, ReturnBack, Unknown, WalkAway};
use tandem_switch::directory::floor::AgentOptions;

use crate::floor::{Floor, list};

#[test]
fn ready_and_not_ready_are_told() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    floor.ready(AutoIn).unwrap();
    assert_eq!(floor.news(), ["ready AutoIn", "available"]);
    assert_eq!(floor.ready(AutoIn), Err(ErrorCode::InSameState));
    assert_eq!(floor.ready(ManualIn), Err(ErrorCode::InSameState));
    floor.not_ready(WalkAway).unwrap();
    assert_eq!(floor.news(), ["unavailable", "notready WalkAway"]);
    floor.ready(Unknown).unwrap();
    assert_eq!(floor.news(), ["ready AutoIn", "available"]);
}

#[test]
fn not_ready_again_is_reported_each_time() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    for mode in [AuxWork, AuxWork, ReturnBack, Unknown] {
        floor.pass(1);
        floor.not_ready(mode).unwrap();
        assert_eq!(floor.news(), [format!("notready {}", mode.as_str())]);
        assert_eq!(floor.anna().since_unix_ms, floor.now.unix_ms);
    }
}

#[test]
fn reasons_and_extensions_go_with_the_event() {
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    let (reasons, extensions) = (list(&[("why", "lunch".into())]), list(&[("x", 3.into())]));
    floor.not_ready_with(AuxWork, reasons.clone(), extensions).unwrap();
    assert_eq!(floor.news(), ["notready AuxWork why=lunch x=3"]);
    assert_eq!(floor.anna().reasons, reasons);
    floor.ready(Unknown).unwrap();
    assert!(floor.anna().reasons.is_empty());
}

#[test]
fn nobody_logged_in_is_187_and_odd_modes_are_53() {
    let mut floor = Floor::new(AgentOptions::default());
    assert_eq!(floor.ready(AutoIn), Err(ErrorCode::AcdLogoff));
    assert_eq!(floor.not_ready(AuxWork), Err(ErrorCode::AcdLogoff));
    let mut floor = Floor::with_anna(AgentOptions::default(), ManualIn);
    assert_eq!(floor.ready(AuxWork), Err(ErrorCode::InvalidAttr));
    assert_eq!(floor.not_ready(AutoIn), Err(ErrorCode::InvalidAttr));
    assert_eq!(floor.news(), [""; 0]);
}
