//! Plain calls, by phone and by request.

use tandem_cti::{CallType, DnRole};
use tandem_switch::call::{Carried, EndReason, Far, News};
use tandem_switch::cti::calls::Order;

use super::office::{Office, c, list};

#[test]
fn a_call_between_extensions_is_told_from_dialing_to_released() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    assert_eq!(office.told(), ["c1 +1001", "c1 1001 Dialing >1002"]);
    office.offered(key, 1, "1002");
    assert_eq!(office.told(), ["c1 +1002"]);
    office.ringing(key, 1);
    office.ringing(key, 1);
    assert_eq!(office.told(), ["c1 1002 Ringing >1001"]);
    office.answered(key, 1);
    let established = ["c1 =1002", "c1 1002 Established >1001", "c1 =1001", "c1 1001 Established >1002"];
    assert_eq!(office.told(), established);
    office.ended(key, 1);
    assert_eq!(office.told(), ["c1 -1002", "c1 1002 Released >1001"]);
    office.ended(key, 0);
    assert_eq!(office.told(), ["c1 -1001", "c1 1001 Released >1002"]);
    office.news(key, News::Over);
    office.assert_empty();
}

#[test]
fn an_answer_without_ringing_tells_ringing_first() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.answered(key, 1);
    let events = office.events();
    assert_eq!(events[1..3], ["c1 1002 Ringing >1001", "c1 1002 Established >1001"]);
}

#[test]
fn forked_contacts_of_a_dn_are_one_party() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    for leg in 1..4 {
        office.offered(key, leg, "1002");
        office.ringing(key, leg);
    }
    office.missed(key, 1, 486, EndReason::Status(486));
    office.answered(key, 2);
    office.missed(key, 3, 487, EndReason::AnsweredElsewhere);
    let told = office.told();
    assert_eq!(told.iter().filter(|line| line.contains("Ringing")).count(), 1);
    assert_eq!(told.iter().filter(|line| line.contains("+1002")).count(), 1);
    assert!(!told.iter().any(|line| line.contains("Released")), "{told:?}");
    office.ended(key, 2);
    assert_eq!(office.events(), ["c1 1002 Released >1001"]);
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn a_caller_who_gives_up_abandons_the_one_who_rings() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    office.told();
    office.ended(key, 0);
    let told = ["c1 -1002", "c1 1002 Abandoned >1001", "c1 -1001", "c1 1001 Released >1002"];
    assert_eq!(office.told(), told);
    office.missed(key, 1, 487, EndReason::CallerGone);
    office.news(key, News::Over);
    office.assert_empty();
}

#[test]
fn the_missed_leg_may_be_told_before_the_caller_who_gave_up() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    office.told();
    office.missed(key, 1, 487, EndReason::CallerGone);
    office.ended(key, 0);
    assert_eq!(office.events(), ["c1 1002 Abandoned >1001", "c1 1001 Released >1002"]);
    office.assert_empty();
}

#[test]
fn a_destination_that_never_rang_hears_nothing() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.told();
    office.ended(key, 0);
    assert_eq!(office.told(), ["c1 -1002", "c1 -1001", "c1 1001 Released >1002"]);
}

#[test]
fn a_busy_destination_is_told_before_the_release() {
    let mut office = Office::new();
    for status in [486, 600] {
        let key = office.open("1001", "1002");
        office.offered(key, 1, "1002");
        office.told();
        office.missed(key, 1, status, EndReason::Status(status));
        office.news(key, News::Failed { status });
        let events: Vec<_> = office.events().iter().map(|line| line[3..].to_owned()).collect();
        assert_eq!(events, ["1001 DestinationBusy(Busy) >1002", "1001 Released(Busy) >1002"]);
        office.news(key, News::Over);
        office.assert_empty();
    }
}

#[test]
fn other_failures_say_how_the_call_failed() {
    let states = [(408, "NoAnswer"), (480, "NoAnswer"), (404, "GeneralError"), (503, "GeneralError")];
    for (status, state) in states {
        let mut office = Office::new();
        let key = office.open("1001", "1002");
        office.told();
        office.news(key, News::Failed { status });
        assert_eq!(office.events(), [format!("c1 1001 Released({state}) >1002")]);
        office.assert_empty();
    }
}

#[test]
fn who_rang_in_vain_is_released_for_no_answer() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    office.told();
    office.missed(key, 1, 408, EndReason::RingTimeout);
    assert_eq!(office.events(), ["c1 1002 Released(NoAnswer) >1001"]);
}

#[test]
fn a_call_from_a_trunk_is_inbound_and_brings_its_numbers() {
    let mut office = Office::new();
    let carried = Carried { user_data: list(&[("k", "v")]), conn_id: Some(0xabc) };
    let key = office.open_as(Far::Trunk("gw".into()), "0301", "1001", None, carried);
    office.offered(key, 1, "1001");
    office.ringing(key, 1);
    let ringing = office.full_events().remove(0);
    assert_eq!(ringing.conn_id, Some(c(0xabc)));
    assert_eq!(ringing.call_uuid, Some(format!("{:032x}", 0xaa00)));
    assert_eq!(ringing.call_type, Some(CallType::Inbound));
    assert_eq!((ringing.ani.as_deref(), ringing.dnis.as_deref()), (Some("0301"), Some("1001")));
    assert_eq!(
        (ringing.other_dn.as_deref(), ringing.other_dn_role),
        (Some("0301"), Some(DnRole::Origination))
    );
    assert_eq!(ringing.this_dn_role, Some(DnRole::Destination));
    assert_eq!(ringing.user_data, list(&[("k", "v")]));
}

#[test]
fn a_conn_id_that_is_in_use_is_not_taken_over() {
    let mut office = Office::new();
    office.open("1001", "1002");
    let carried = Carried { user_data: list(&[]), conn_id: Some(1) };
    office.told();
    office.open_as(Far::Trunk("gw".into()), "0301", "1003", None, carried);
    assert_eq!(office.calls.len(), 2);
}

#[test]
fn a_direct_call_is_no_business_call_by_itself_but_tells_its_type() {
    let mut office = Office::new();
    let key = office.open_as(Far::Trunk("gw".into()), "0301", "1001", None, Carried::default());
    office.offered(key, 1, "1001");
    assert_eq!(office.told(), ["c1 +1001 from Inbound"]);
}

#[test]
fn a_call_to_a_trunk_is_outbound_and_only_the_dn_has_events() {
    let mut office = Office::new();
    let key = office.open("1001", "0171");
    office.news(key, News::Offered { leg: 1, to: Far::Trunk("gw".into()) });
    office.ringing(key, 1);
    office.answered(key, 1);
    let events = office.full_events();
    let names: Vec<_> = events.iter().map(|e| (e.event.as_str(), e.call_type.unwrap())).collect();
    assert_eq!(names, [("EventDialing", CallType::Outbound), ("EventEstablished", CallType::Outbound)]);
    assert_eq!(events[1].other_dn.as_deref(), Some("0171"));
}

#[test]
fn a_phone_that_holds_and_one_that_is_asked_to_tell_the_same() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    office.held(key, 0);
    office.news(key, News::Retrieved { leg: 0 });
    assert_eq!(office.events(), ["c1 1001 Held >1002", "c1 1001 Retrieved >1002"]);
    let at = [("ThisDN", "1001"), ("ConnID", &c(1))];
    let (ticket, order) = office.order("THoldCall", &at);
    assert_eq!(order, Order::Hold { ticket, key, leg: 0 });
    office.held(key, 0);
    office.done(ticket);
    let (ticket, order) = office.order("TRetrieveCall", &at);
    assert_eq!(order, Order::Retrieve { ticket, key, leg: 0 });
    office.done(ticket);
    office.news(key, News::Retrieved { leg: 0 });
    assert_eq!(office.events(), ["c1 1001 Held >1002 #1", "c1 1001 Retrieved >1002 #2"]);
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn a_call_by_request_dials_when_its_own_phone_has_answered() {
    let mut office = Office::new();
    let (ticket, order) =
        office.order("TMakeCall", &[("ThisDN", "1001"), ("OtherDN", "1002"), ("UserData", r#"{"k":"v"}"#)]);
    assert_eq!(order, Order::Make { ticket, from: "1001".into(), to: "1002".into(), consult: false });
    assert_eq!(office.calls.carried_by(ticket).user_data, list(&[("k", "v")]));
    let key = office.opened(ticket, "1001", "1002");
    office.offered(key, 0, "1001");
    office.ringing(key, 0);
    assert_eq!(office.told(), ["c1 +1001"]);
    office.answered(key, 0);
    assert_eq!(office.told(), ["c1 1001 Dialing >1002 #1"]);
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    office.answered(key, 1);
    let events = ["c1 1002 Ringing >1001", "c1 1002 Established >1001", "c1 1001 Established >1002"];
    assert_eq!(office.events(), events);
    assert_eq!(office.calls.user_data(1), list(&[("k", "v")]));
    office.hang_up(key);
    office.assert_empty();
}

#[test]
fn an_answer_by_request_carries_its_reference() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.offered(key, 2, "1002");
    office.ringing(key, 2);
    office.told();
    let (ticket, order) = office.order("TAnswerCall", &[("ThisDN", "1002"), ("ConnID", &c(1))]);
    assert_eq!(order, Order::Answer { ticket, key, leg: 2 });
    office.done(ticket);
    office.answered(key, 2);
    assert_eq!(office.events(), ["c1 1002 Established >1001 #1", "c1 1001 Established >1002"]);
}

#[test]
fn a_release_by_request_carries_its_reference() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let (ticket, order) = office.order("TReleaseCall", &[("ThisDN", "1002"), ("ConnID", &c(1))]);
    assert_eq!(order, Order::Release { ticket, key, leg: 1 });
    office.done(ticket);
    office.ended(key, 1);
    office.ended(key, 0);
    assert_eq!(office.events(), ["c1 1002 Released >1001 #1", "c1 1001 Released >1002"]);
    office.assert_empty();
}

#[test]
fn clearing_a_call_releases_everybody() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let (ticket, order) = office.order("TClearCall", &[("ThisDN", "1002"), ("ConnID", &c(1))]);
    assert_eq!(order, Order::Clear { ticket, key });
    office.hang_up(key);
    assert_eq!(office.events(), ["c1 1001 Released >1002", "c1 1002 Released >1001 #1"]);
    office.assert_empty();
}

#[test]
fn a_redirected_call_leaves_where_it_rang_and_rings_elsewhere() {
    let mut office = Office::new();
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    office.told();
    let (ticket, order) =
        office.order("TRedirectCall", &[("ThisDN", "1002"), ("ConnID", &c(1)), ("OtherDN", "1003")]);
    assert_eq!(order, Order::Redirect { ticket, key, to: "1003".into() });
    office.done(ticket);
    office.missed(key, 1, 487, EndReason::Cancel);
    office.offered(key, 2, "1003");
    office.ringing(key, 2);
    assert_eq!(office.events(), ["c1 1002 Released(Redirected) >1001 #1", "c1 1003 Ringing >1001"]);
}

#[test]
fn dtmf_is_acknowledged_when_it_is_sent() {
    let mut office = Office::new();
    let key = office.talking("1001", "1002");
    let (ticket, order) =
        office.order("TSendDTMF", &[("ThisDN", "1001"), ("ConnID", &c(1)), ("DTMFDigits", "12#")]);
    assert_eq!(order, Order::Dtmf { ticket, key, leg: 1, digits: "12#".into() });
    office.done(ticket);
    assert_eq!(office.told(), ["answer Ack"], "who asked is told, nobody else");
}

#[test]
fn events_that_nobody_hears_are_not_told_but_agents_are() {
    let mut office = Office::new();
    office.watched = false;
    let key = office.open("1001", "1002");
    office.offered(key, 1, "1002");
    office.ringing(key, 1);
    office.answered(key, 1);
    office.hang_up(key);
    let told = ["c1 +1001", "c1 +1002", "c1 =1002", "c1 =1001", "c1 -1001", "c1 -1002"];
    assert_eq!(office.told(), told);
}
