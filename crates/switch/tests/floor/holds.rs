//! Who holds whom, when calls are joined: what the clients are told agrees with what the phones were told.

use tandem_cti::{EventName, Role};

use crate::hall::Hall;
use crate::office::{ANNA, BERT, DORA, FIXED};
use crate::stages::{A, B, ROOT, Stage, staged};

/// A request of a DN about a call, and what else it says.
fn on(conn: &str, dn: &str, request: &str, more: &str) -> String {
    format!(r#""request":"{request}","ThisDN":"{dn}","ConnID":"{conn}"{more}"#)
}

/// How often this phone was asked for a description of its own.
fn invited(hall: &mut Hall, dn: &str) -> usize {
    hall.phone(dn).heard.iter().filter(|line| line.starts_with("INVITE")).count()
}

#[test]
fn who_held_somebody_that_is_transferred_to_him_by_phone_is_told_that_he_holds_no_more() {
    let mut hall = Hall::open();
    hall.joins_at(B, "bert", Role::Agent, &[BERT, FIXED]);
    hall.dials(BERT, ANNA);
    let kept = hall.conn();
    hall.dials(BERT, FIXED);
    let held = hall.conn();
    hall.does(B, &on(&held, FIXED, "TInitiateTransfer", &format!(r#","OtherDN":"{DORA}""#)));
    let consult = hall.conn();
    hall.refers(BERT, None);
    let told = hall.told(B, FIXED);
    assert!(told.ends_with(&[EventName::PartyChanged, EventName::Retrieved]), "{told:?}");
    assert_eq!(hall.last(EventName::Retrieved).conn_id.as_ref(), Some(&kept));
    // The call is not held, so it cannot be taken back, neither by itself nor in turn with another one.
    let other = format!(r#","HeldConnID":"{kept}""#);
    assert_eq!(hall.refused(B, &on(&consult, FIXED, "TAlternateCall", &other)), 496);
    assert_eq!(hall.refused(B, &on(&kept, FIXED, "TRetrieveCall", "")), 43);
    hall.does(B, &on(&kept, FIXED, "THoldCall", ""));
    hall.does(B, &on(&kept, FIXED, "TRetrieveCall", ""));
    hall.closes();
}

#[test]
fn who_held_somebody_that_is_replaced_holds_nobody_and_is_told_so() {
    let (mut hall, conn, _) = staged(Stage::HeldByOther);
    hall.does(A, &on(&conn, ANNA, "TSingleStepTransfer", &format!(r#","OtherDN":"{DORA}""#)));
    let told = hall.told(B, BERT);
    assert!(told.contains(&EventName::Retrieved), "{told:?}");
    assert_eq!(hall.refused(B, &on(&conn, BERT, "TRetrieveCall", "")), 43);
    hall.closes();
}

#[test]
fn in_a_new_conference_nobody_holds_and_those_who_did_are_told_so() {
    let (mut hall, consult, conn) = staged(Stage::Consulting);
    hall.does(B, &on(&conn, BERT, "THoldCall", ""));
    let complete = format!(r#","ConsultConnID":"{consult}""#);
    hall.does(A, &on(&conn, ANNA, "TCompleteConference", &complete));
    let told = hall.told(B, BERT);
    assert!(told.ends_with(&[EventName::PartyAdded, EventName::Retrieved]), "{told:?}");
    assert_eq!(hall.refused(B, &on(&conn, BERT, "TRetrieveCall", "")), 43);
    assert!(!hall.told(A, ANNA).contains(&EventName::Retrieved), "she asked for the conference");
    hall.closes();
}

#[test]
fn who_adds_somebody_to_a_conference_hears_it_again() {
    let (mut hall, conn, _) = staged(Stage::Conference);
    hall.joins_at(ROOT + 1, "root", Role::Administrator, &[FIXED]);
    hall.does(A, &on(&conn, ANNA, "TInitiateConference", &format!(r#","OtherDN":"{FIXED}""#)));
    let consult = hall.conn();
    assert!(hall.told(A, ANNA).contains(&EventName::Held));
    let before = invited(&mut hall, ANNA);
    hall.does(A, &on(&conn, ANNA, "TCompleteConference", &format!(r#","ConsultConnID":"{consult}""#)));
    let told = hall.told(A, ANNA);
    assert_eq!(told.last(), Some(&EventName::Retrieved), "{told:?}");
    assert_eq!(invited(&mut hall, ANNA), before + 1, "her phone is connected with the mixer again");
    assert_eq!(hall.refused(A, &on(&conn, ANNA, "TRetrieveCall", "")), 43);
    hall.closes();
}
