//! Callers whose media a media server carries, at queues and routing points: nobody hears of a call with which nothing can
//! be done yet.

use std::sync::Arc;

use tandem_cti::{EventName, Role};
use tandem_switch::Input;
use tandem_switch::anchor::{AnchorNews, AnchorOrder, MediaChoice, MediaOption};
use tandem_switch::directory::DnClass;

use crate::hall::Hall;
use crate::office::{ANNA, DORA, POINT, QUEUE};
use crate::phones::Acts;
use crate::stages::{A, R};

/// A hall in which Dora's media are carried; her call waits for the media server.
fn called(to: &str, before: impl FnOnce(&mut Hall)) -> Hall {
    let mut hall = Hall::with(|plans| {
        plans.media = true;
        let dora = plans.extensions.iter_mut().find(|extension| *extension.number == *DORA).unwrap();
        let media = MediaOption { choice: MediaChoice::Anchor, network: None };
        dora.class = Arc::new(DnClass { media, ..(*dora.class).clone() });
    });
    before(&mut hall);
    hall.dials(DORA, to);
    hall
}

/// The media server does what it was asked for first.
fn describes(hall: &mut Hall, works: bool) {
    let order = hall.bed.anchors.remove(0);
    let AnchorOrder::Describe { id, turn, sdp, .. } = order else { panic!("{order:?}") };
    let news = if works {
        AnchorNews::Described { id, turn, sdp }
    } else {
        AnchorNews::Failed { id, turn, why: "it broke".into(), refused: false }
    };
    hall.bed.node.handle_input(Input::Anchor(news), hall.bed.now);
    hall.bed.drain();
    hall.run();
}

fn anna_is_ready(hall: &mut Hall) {
    hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
    hall.joins_at(R, "route", Role::RoutingApplication, &[QUEUE]);
    hall.does(A, r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001","WorkMode":"AutoIn""#);
    hall.acts(ANNA, Acts::Rings);
}

#[test]
fn a_caller_is_offered_to_a_ready_agent_when_the_media_server_has_described_him() {
    for works in [true, false] {
        let mut hall = called(QUEUE, anna_is_ready);
        assert!(!hall.told(R, QUEUE).contains(&EventName::Queued), "{:?}", hall.told(R, QUEUE));
        describes(&mut hall, works);
        let queued = hall.told(R, QUEUE).iter().filter(|name| **name == EventName::Queued).count();
        assert_eq!(queued, 1, "works: {works}, {:?}", hall.told(R, QUEUE));
        assert_eq!(hall.last(EventName::Ringing).this_dn.as_deref(), Some(ANNA), "works: {works}");
        assert_eq!(hall.bed.node.call_list(hall.bed.now).len(), 1);
        hall.hangs_up(DORA);
        hall.pass(70);
    }
}

#[test]
fn a_routing_application_that_answers_at_once_can_treat_and_route_the_call() {
    let mut hall = called(POINT, |hall| {
        hall.joins_at(R, "route", Role::RoutingApplication, &[POINT]);
        hall.joins_at(A, "anna", Role::Agent, &[ANNA]);
        hall.acts(ANNA, Acts::Rings);
        hall.plays = true;
    });
    assert!(!hall.told(R, POINT).contains(&EventName::RouteRequest), "{:?}", hall.told(R, POINT));
    describes(&mut hall, true);
    let conn = hall.last(EventName::RouteRequest).conn_id.clone().unwrap();
    let at = format!(r#""ThisDN":"{POINT}","ConnID":"{conn}""#);
    let treat = r#""TreatmentType":"PlayAnnouncement","TreatmentParms":{"PROMPT":"hello.wav"}"#;
    let event = hall.does(R, &format!(r#""request":"TApplyTreatment",{at},{treat}"#));
    assert_eq!(event.event, EventName::TreatmentApplied);
    hall.does(R, &format!(r#""request":"TRouteCall",{at},"OtherDN":"{ANNA}","RouteType":"Default""#));
    assert_eq!(hall.last(EventName::Ringing).this_dn.as_deref(), Some(ANNA));
}

#[test]
fn a_caller_who_gives_up_before_he_is_described_was_never_at_the_queue() {
    let mut hall = called(QUEUE, anna_is_ready);
    hall.hangs_up(DORA);
    if matches!(hall.bed.anchors.first(), Some(AnchorOrder::Describe { .. })) {
        describes(&mut hall, true);
    }
    hall.pass(100);
    assert!(!hall.told(R, QUEUE).contains(&EventName::Queued), "{:?}", hall.told(R, QUEUE));
    hall.closes();
}
