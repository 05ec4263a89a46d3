//! Transfers by REFER from phones, and in one step by request, as clients hear of them.

use tandem_cti::{CallState, Event, EventName, Role};

use crate::hall::Hall;
use crate::office::{ANNA, BERT, DORA, FIXED, QUEUE};
use crate::phones::Acts;
use crate::stages::{A, B, ROOT};

/// Anna, Bert and Dora have clients; Anna talks with Bert, whose call it was. Gives the ConnID.
#[track_caller]
fn talking() -> (Hall, String) {
    let mut hall = Hall::open();
    hall.joins_at(A, "anna", Role::Supervisor, &[ANNA, BERT]);
    hall.joins_at(B, "bert", Role::Supervisor, &[DORA]);
    hall.dials(BERT, ANNA);
    let conn = hall.conn();
    hall.heard.clear();
    (hall, conn)
}

/// What a DN was told of a call, with its state where that says something, and the other party.
pub fn told(hall: &Hall, link: u64, dn: &str) -> Vec<String> {
    let one = |event: &Event| {
        let state = event.call_state.filter(|state| *state != CallState::Ok);
        let state = state.map(|state| format!("({state:?})")).unwrap_or_default();
        let by = event.third_party_dn.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        let name = event.event.as_str().trim_start_matches("Event");
        format!("{name}{state} >{}{by}", event.other_dn.as_deref().unwrap_or("?"))
    };
    hall.events(link, dn).iter().map(|event| one(event)).collect()
}

#[test]
fn a_blind_transfer_by_phone_is_told_like_one_in_a_single_step() {
    let (mut hall, conn) = talking();
    assert!(hall.refers(ANNA, Some(DORA)));
    assert_eq!(told(&hall, A, ANNA), ["Released(Transferred) >1002"]);
    assert_eq!(told(&hall, B, DORA), ["Ringing >1002", "Established >1002"]);
    assert_eq!(told(&hall, A, BERT), ["PartyChanged(Transferred) >1004 by 1001"]);
    assert!(hall.events(B, DORA).iter().all(|event| event.conn_id.as_deref() == Some(&*conn)), "one ConnID");
    hall.closes();
}

#[test]
fn a_party_that_waits_to_be_released_still_talks_while_it_rings() {
    let (mut hall, conn) = talking();
    hall.acts(DORA, Acts::Rings);
    assert!(hall.refers(ANNA, Some(DORA)));
    assert_eq!(told(&hall, A, ANNA), Vec::<String>::new());
    assert_eq!(told(&hall, B, DORA), ["Ringing >1002"]);
    // The call is at all three of them, and Anna may still do with it what she likes.
    hall.does(A, &format!(r#""request":"THoldCall","ThisDN":"{ANNA}","ConnID":"{conn}""#));
    assert_eq!(told(&hall, A, ANNA), ["Held >1002"]);
    hall.picks_up(DORA);
    assert_eq!(told(&hall, A, ANNA).last().unwrap(), "Released(Transferred) >1002");
    assert_eq!(told(&hall, B, DORA).last().unwrap(), "Established >1002");
    hall.closes();
}

#[test]
fn a_transfer_by_phone_that_fails_leaves_the_call_and_its_agents_as_they_were() {
    let (mut hall, conn) = talking();
    hall.acts(DORA, Acts::Refuses(486));
    assert!(hall.refers(ANNA, Some(DORA)));
    assert!(hall.phone(ANNA).heard.iter().any(|line| line.starts_with("NOTIFY ")));
    assert_eq!((told(&hall, A, ANNA), told(&hall, B, DORA)), (Vec::new(), Vec::new()));
    // A release is no transfer any more.
    hall.does(A, &format!(r#""request":"TReleaseCall","ThisDN":"{ANNA}","ConnID":"{conn}""#));
    assert_eq!(told(&hall, A, ANNA), ["Released >1002"]);
    hall.closes();
}

#[test]
fn an_attended_transfer_by_phone_is_told_like_a_completed_one() {
    let (mut hall, conn) = talking();
    hall.dials(ANNA, DORA);
    let consult = hall.conn();
    hall.heard.clear();
    assert!(hall.refers(ANNA, None));
    assert_eq!(told(&hall, A, ANNA), ["Released(Transferred) >1002", "Released(Transferred) >1004"]);
    assert_eq!(told(&hall, B, DORA), ["PartyChanged(Transferred) >1002 by 1001"]);
    assert_eq!(told(&hall, A, BERT), ["PartyChanged(Transferred) >1004 by 1001"]);
    let changed = hall.events(B, DORA).pop().unwrap();
    assert_eq!(
        (changed.conn_id.as_deref(), changed.previous_conn_id.as_deref()),
        (Some(&*conn), Some(&*consult))
    );
    hall.closes();
}

#[test]
fn a_caller_who_is_transferred_to_a_queue_waits_there() {
    let (mut hall, conn) = talking();
    hall.joins_at(ROOT, "root", Role::Administrator, &[QUEUE]);
    assert!(hall.refers(ANNA, Some(QUEUE)));
    assert_eq!(told(&hall, A, ANNA), ["Released(Transferred) >1002"]);
    let queued = hall.last(EventName::Queued);
    assert_eq!((queued.this_dn.as_deref(), queued.conn_id.as_deref()), (Some(QUEUE), Some(&*conn)));
    assert_eq!(hall.bed.node.call_list(hall.bed.now)[0].state, "waiting");
    hall.closes();
}

#[test]
fn a_transfer_in_one_step_to_a_busy_number_fails_and_leaves_the_call() {
    for (acts, code) in [(Acts::Refuses(486), 231), (Acts::Refuses(480), 232), (Acts::Dead, 0)] {
        let (mut hall, conn) = talking();
        hall.acts(DORA, acts);
        let request = format!(
            r#""request":"TSingleStepTransfer","ThisDN":"{ANNA}","ConnID":"{conn}","OtherDN":"{DORA}""#
        );
        let refused = hall.refused(A, &request);
        assert!(refused == code || code == 0, "{acts:?}: {refused}");
        assert_eq!(told(&hall, A, BERT), Vec::<String>::new(), "{acts:?}");
        hall.acts(DORA, Acts::Answers);
        let released = hall.does(A, &request);
        assert_eq!(
            (released.event, released.call_state),
            (EventName::Released, Some(CallState::Transferred))
        );
        assert_eq!(told(&hall, A, BERT), ["PartyChanged(Transferred) >1004 by 1001"]);
        hall.closes();
    }
}

#[test]
fn whoever_rings_for_a_transfer_cannot_send_it_to_a_queue_and_the_two_talk_on() {
    let (mut hall, conn) = talking();
    hall.acts(DORA, Acts::Rings);
    assert!(hall.refers(ANNA, Some(DORA)));
    let redirect =
        format!(r#""request":"TRedirectCall","ThisDN":"{DORA}","ConnID":"{conn}","OtherDN":"{QUEUE}""#);
    assert_eq!(hall.refused(B, &redirect), 51);
    hall.picks_up(DORA);
    assert_eq!(told(&hall, A, BERT).last().unwrap(), "PartyChanged(Transferred) >1004 by 1001");
    hall.closes();
}

#[test]
fn who_answers_a_transfer_of_a_call_that_ends_before_he_can_be_connected_is_hung_up_on() {
    let mut hall = Hall::open();
    hall.dials(DORA, FIXED);
    hall.acts(FIXED, Acts::Dead);
    assert!(hall.refers(DORA, Some(ANNA)));
    // The INVITE that connects 1003 with Anna has no answer yet, so Bert waits for his turn.
    assert!(hall.refers(FIXED, Some(BERT)));
    assert_eq!(hall.phone(BERT).calls(), 1);
    hall.hangs_up(ANNA);
    hall.acts(FIXED, Acts::Answers);
    let heard = |hall: &mut Hall, method| {
        hall.phone(BERT).heard.iter().filter(|line| line.starts_with(method)).count()
    };
    assert_eq!(["ACK", "BYE"].map(|method| heard(&mut hall, method)), [1, 1]);
    assert_eq!(hall.phone(BERT).calls(), 0);
    hall.closes();
}
