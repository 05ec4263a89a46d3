//! Calls at queues and routing points.

use tandem_switch::call::{Carried, EndReason, Far, News};
use tandem_switch::cti::calls::Order;
use tandem_switch::directory::floor::Treatment;

use super::office::{Office, c, list};

fn waiting(office: &mut Office, at: &str) -> tandem_switch::arena::Key {
    let carried = Carried { user_data: list(&[("Priority", "5")]), conn_id: None };
    office.open_as(Far::Trunk("gw".into()), "0301", at, Some(at), carried)
}

#[test]
fn a_call_that_comes_to_a_queue_is_queued() {
    let mut office = Office::new();
    waiting(&mut office, "7000");
    assert_eq!(office.told(), ["c1 7000 Queued >0301 at 7000", "c1 waits 7000"]);
    let parties = office.calls.parties(1);
    assert_eq!(parties.len(), 2);
    assert_eq!(parties[1].dn, "7000");
}

#[test]
fn an_offer_diverts_from_the_queue_and_rings_at_the_agent_with_the_queue() {
    let mut office = Office::new();
    let key = waiting(&mut office, "7000");
    office.told();
    office.offered(key, 1, "1001");
    assert_eq!(office.told(), ["c1 7000 Diverted >0301 by 1001 at 7000", "c1 +1001 business"]);
    office.offered(key, 2, "1001");
    office.ringing(key, 2);
    assert_eq!(office.told(), ["c1 1001 Ringing >0301 at 7000"]);
    office.answered(key, 2);
    let told = ["c1 offer answered 1001", "c1 =1001", "c1 1001 Established >0301 at 7000"];
    assert_eq!(office.told(), told);
    office.missed(key, 1, 487, EndReason::AnsweredElsewhere);
    office.held(key, 2);
    assert_eq!(office.told(), ["c1 1001 Held >0301 at 7000"]);
    office.ended(key, 0);
    office.ended(key, 2);
    office.assert_empty();
}

#[test]
fn an_offer_that_is_not_taken_goes_back_to_the_queue_and_counts_once() {
    let mut office = Office::new();
    let key = waiting(&mut office, "7000");
    office.offered(key, 1, "1001");
    office.ringing(key, 1);
    office.told();
    office.missed(key, 1, 487, EndReason::Cancel);
    assert_eq!(office.told(), ["c1 -1001", "c1 1001 Released(Redirected) >0301 at 7000"]);
    office.news(key, News::Unplaced { status: 487 });
    assert_eq!(office.told(), ["c1 offer failed 1001 487", "c1 7000 Queued >0301 at 7000 returned"]);
    office.offered(key, 2, "1002");
    assert_eq!(office.told()[0], "c1 7000 Diverted >0301 by 1002 at 7000");
}

#[test]
fn a_caller_who_hangs_up_while_an_agent_is_offered_his_call_abandons_both() {
    let mut office = Office::new();
    let key = waiting(&mut office, "7000");
    office.offered(key, 1, "1001");
    office.ringing(key, 1);
    office.told();
    office.ended(key, 0);
    let told =
        ["c1 -1001", "c1 1001 Abandoned >0301 at 7000", "c1 7000 Abandoned >0301 at 7000", "c1 left 7000"];
    assert_eq!(office.told(), told);
    office.assert_empty();
}

#[test]
fn a_caller_who_hangs_up_in_the_queue_abandons_it() {
    let mut office = Office::new();
    let key = waiting(&mut office, "7000");
    office.told();
    office.ended(key, 0);
    assert_eq!(office.told(), ["c1 7000 Abandoned >0301 at 7000", "c1 left 7000"]);
    office.assert_empty();
}

#[test]
fn a_call_that_overflows_is_diverted_and_waits_at_the_next_queue() {
    let mut office = Office::new();
    waiting(&mut office, "7000");
    office.told();
    office.with_desk(|calls, desk| {
        calls.diverted(desk, 1, &"7000".into(), Some("7001"));
        calls.parked(desk, 1, &"7001".into());
    });
    let told = ["c1 7000 Diverted >0301 by 7001 at 7000", "c1 7001 Queued >0301 at 7001", "c1 waits 7001"];
    assert_eq!(office.told(), told);
}

#[test]
fn a_call_at_a_routing_point_is_routed_by_request() {
    let mut office = Office::new();
    let key = waiting(&mut office, "8000");
    assert_eq!(office.told(), ["c1 waits 8000"]);
    office.with_desk(|calls, desk| calls.route_requested(desk, 1, &"8000".into()));
    assert_eq!(office.told(), ["c1 8000 RouteRequest >0301 at 8000"]);
    let (ticket, order) = office.order(
        "TRouteCall",
        &[("ThisDN", "8000"), ("ConnID", &c(1)), ("OtherDN", "1001"), ("UserData", r#"{"a":"b"}"#)],
    );
    assert_eq!(order, Order::Route { ticket, key, to: Some("1001".into()) });
    assert_eq!(
        office.ask("TRouteCall", &[("ThisDN", "8000"), ("ConnID", &c(1)), ("OtherDN", "1002")]),
        Err(496)
    );
    office.done(ticket);
    let told = [
        "c1 8000 RouteUsed >0301 by 1001 at 8000 #1",
        "c1 8000 Diverted >0301 by 1001 at 8000",
        "c1 left 8000",
    ];
    assert_eq!(office.told(), told);
    office.offered(key, 1, "1001");
    office.ringing(key, 1);
    assert_eq!(office.told(), ["c1 +1001 business", "c1 1001 Ringing >0301 at 8000"]);
    assert_eq!(office.calls.user_data(1), list(&[("Priority", "5"), ("a", "b")]));
}

#[test]
fn a_routed_call_may_be_offered_before_the_outcome_is_told() {
    let mut office = Office::new();
    let key = waiting(&mut office, "8000");
    let (ticket, _) =
        office.order("TRouteCall", &[("ThisDN", "8000"), ("ConnID", &c(1)), ("OtherDN", "1001")]);
    office.told();
    office.offered(key, 1, "1001");
    office.news(key, News::Done { ticket, outcome: Ok(()) });
    let told = office.told();
    assert_eq!(told.iter().filter(|line| line.contains("Diverted")).count(), 1, "{told:?}");
    assert_eq!(told[0], "c1 8000 RouteUsed >0301 by 1001 at 8000 #1");
}

#[test]
fn a_route_may_reject_the_call() {
    let mut office = Office::new();
    let key = waiting(&mut office, "8000");
    let (ticket, order) =
        office.order("TRouteCall", &[("ThisDN", "8000"), ("ConnID", &c(1)), ("RouteType", "Reject")]);
    assert_eq!(order, Order::Route { ticket, key, to: None });
    office.done(ticket);
    office.news(key, News::Failed { status: 603 });
    office.news(key, News::Over);
    office.assert_empty();
}

#[test]
fn a_treatment_is_applied_or_not() {
    let mut office = Office::new();
    let key = waiting(&mut office, "8000");
    office.told();
    let music = [
        ("ThisDN", "8000"),
        ("ConnID", &c(1)),
        ("TreatmentType", "Music"),
        ("TreatmentParms", r#"{"MUSIC_DN":"jazz"}"#),
    ];
    let (ticket, order) = office.order("TApplyTreatment", &music);
    assert_eq!(order, Order::Treat { ticket, key, treatment: Treatment::Music("jazz".into()) });
    office.done(ticket);
    assert_eq!(office.events(), ["c1 8000 TreatmentApplied >0301 at 8000 #1"]);
    let (ticket, _) = office.order("TApplyTreatment", &music);
    office.news(key, News::Done { ticket, outcome: Err(503) });
    assert_eq!(office.events(), ["c1 8000 TreatmentNotApplied >0301 at 8000 #2"]);
    office.news(key, News::TreatmentEnded);
    office.news(key, News::TreatmentFailed);
    let told = ["c1 8000 TreatmentEnd >0301 at 8000", "c1 8000 TreatmentNotApplied >0301 at 8000"];
    assert_eq!(office.events(), told);
    office.ended(key, 0);
    office.assert_empty();
}
