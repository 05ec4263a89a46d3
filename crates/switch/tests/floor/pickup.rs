//! Calls that are taken from where they ring (INVITE with `Replaces`), as clients hear of them.

use std::sync::Arc;

use tandem_cti::{CallState, EventName, Role};
use tandem_switch::directory::Pickup;

use crate::hall::Hall;
use crate::office::{ANNA, BERT, DORA, FIXED, QUEUE};
use crate::phones::Acts;
use crate::refer::told;
use crate::stages::{A, B, ROOT};

/// Whoever watches an Extension's lamp may take its calls.
fn hall() -> Hall {
    let mut hall = Hall::with(|plans| {
        for extension in &mut plans.extensions {
            Arc::make_mut(&mut extension.class).call_pickup = Some(Pickup::Watchers);
        }
    });
    hall.joins_at(A, "sam", Role::Supervisor, &[ANNA, BERT]);
    hall.joins_at(B, "sam", Role::Supervisor, &[DORA, FIXED]);
    hall.heard.clear();
    hall
}

#[test]
fn a_call_that_is_taken_is_told_like_one_that_was_redirected() {
    let mut hall = hall();
    hall.acts(ANNA, Acts::Rings);
    hall.dials(BERT, ANNA);
    let conn = hall.conn();
    hall.takes(DORA, ANNA);
    assert_eq!(told(&hall, A, ANNA), ["Ringing >1002", "Released(Redirected) >1002"]);
    assert_eq!(told(&hall, B, DORA), ["Ringing >1002", "Established >1002"]);
    assert_eq!(told(&hall, A, BERT).last().unwrap(), "Established >1004");
    assert!(hall.events(B, DORA).iter().all(|event| event.conn_id.as_deref() == Some(&*conn)), "one ConnID");
    hall.closes();
}

#[test]
fn a_call_that_a_queue_offers_leaves_it_when_it_is_taken() {
    let mut hall = hall();
    hall.joins_at(ROOT, "root", Role::Administrator, &[QUEUE]);
    hall.joins_at(9, "anna", Role::Agent, &[ANNA]);
    hall.does(9, r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001","WorkMode":"AutoIn""#);
    hall.acts(ANNA, Acts::Rings);
    hall.heard.clear();
    hall.dials("gateway", QUEUE);
    hall.pass(1);
    hall.takes(DORA, ANNA);
    assert_eq!(told(&hall, A, ANNA).last().unwrap(), "Released(Redirected) >555");
    assert_eq!(told(&hall, B, DORA), ["Ringing >555", "Established >555"]);
    let left = hall.last(EventName::Diverted);
    assert_eq!(
        (left.this_dn.as_deref(), left.third_party_dn.as_deref(), left.call_state),
        (Some(QUEUE), Some(DORA), Some(CallState::Redirected))
    );
    hall.pass(60);
    assert_eq!(hall.phone(ANNA).calls(), 0, "it is not offered again");
    assert_eq!(hall.phone(DORA).calls(), 1);
    // The agent has done nothing wrong, and is offered the next one.
    hall.dials(BERT, QUEUE);
    hall.pass(1);
    assert_eq!(hall.phone(ANNA).calls(), 1);
    hall.closes();
}

#[test]
fn a_transfer_that_rings_is_completed_by_who_takes_it() {
    let mut hall = hall();
    hall.dials(BERT, ANNA);
    hall.heard.clear();
    hall.acts(DORA, Acts::Rings);
    assert!(hall.refers(ANNA, Some(DORA)));
    hall.takes(FIXED, DORA);
    assert_eq!(told(&hall, B, DORA), ["Ringing >1002", "Released(Redirected) >1002"]);
    assert_eq!(told(&hall, B, FIXED), ["Ringing >1002", "Established >1002"]);
    assert_eq!(told(&hall, A, ANNA), ["Released(Transferred) >1002"]);
    assert_eq!(told(&hall, A, BERT), ["PartyChanged(Transferred) >1003 by 1001"]);
    hall.closes();
}
