//! Who may have a DN beside whom.

use tandem_cti::{ErrorCode, EventName, RegisterMode, Role};
use tandem_switch::cti::sessions::Gone;

use crate::desk::{ALICE, BOB, CAROL, Client, Desk, dn};
use RegisterMode::{Monitor, Private, Share};

#[test]
fn which_registrations_stand_beside_each_other() {
    let table = [
        (Share, Share, true),
        (Share, Private, false),
        (Share, Monitor, true),
        (Private, Share, false),
        (Private, Private, false),
        (Private, Monitor, true),
        (Monitor, Share, true),
        (Monitor, Private, true),
        (Monitor, Monitor, true),
    ];
    for (first, second, stands) in table {
        let mut desk = Desk::new();
        let (alice, _) = desk.open(ALICE);
        let (bob, _) = desk.open(BOB);
        desk.register(alice, "1001", first).unwrap();
        let refused = desk.register(bob, "1001", second).err().map(|refusal| refusal.code);
        assert_eq!(refused, (!stands).then_some(ErrorCode::RecvdInvState), "{first:?} then {second:?}");
        desk.tell("1001");
        assert_eq!(desk.outgoing().len(), if stands { 2 } else { 1 });
        desk.force(bob, "1001", second).unwrap();
        assert_eq!(desk.gone().len(), usize::from(!stands));
    }
}

#[test]
fn force_takes_the_dn_and_tells_who_lost_it() {
    let mut desk = Desk::new();
    let (alice, _) = desk.open(ALICE);
    let (bob, _) = desk.open(BOB);
    desk.register(alice, "1001", Private).unwrap();
    desk.force(bob, "1001", Share).unwrap();
    let heard = desk.heard(1);
    assert_eq!(heard[0].event.event, EventName::Unregistered);
    assert_eq!((heard[0].sequence, heard[0].event.this_dn.as_deref()), (1, Some("1001")));
    assert_eq!(desk.gone(), [Gone::Registration { session: alice, dn: dn("1001") }]);
    assert!(!desk.sessions.controls(alice, "1001"));
    assert!(desk.sessions.controls(bob, "1001"));
}

#[test]
fn a_private_registration_of_a_client_that_is_away_gives_way() {
    let mut desk = Desk::new();
    let (alice, token) = desk.open(ALICE);
    let (bob, _) = desk.open(BOB);
    desk.register(alice, "1001", Private).unwrap();
    desk.close(ALICE);
    desk.gone();
    desk.register(bob, "1001", Share).unwrap();
    assert_eq!(desk.gone(), [Gone::Registration { session: alice, dn: dn("1001") }]);
    desk.opened(ALICE.over(9), Some((&token, 0)));
    assert_eq!(desk.heard(9)[1].event.event, EventName::Unregistered, "alice learns it when she is back");
}

#[test]
fn a_client_may_change_how_it_has_registered_a_dn() {
    let mut desk = Desk::new();
    let (alice, _) = desk.open(ALICE);
    for (mode, controls) in
        [(Monitor, false), (Private, true), (Share, true), (Share, true), (Monitor, false)]
    {
        desk.register(alice, "1001", mode).unwrap();
        assert_eq!(desk.sessions.controls(alice, "1001"), controls, "{mode:?}");
        assert!(desk.sessions.has(alice, "1001") && !desk.sessions.has(alice, "1002"));
    }
    desk.tell("1001");
    assert_eq!(desk.numbers(), [(1, 1)], "one registration, one event");
    let (bob, _) = desk.open(BOB);
    desk.register(alice, "1001", Private).unwrap();
    assert!(desk.register(bob, "1001", Share).is_err(), "what counts is the mode that it has now");
    assert_eq!(desk.sessions.count("1001", Role::Agent), 1);
    desk.register(alice, "1001", Monitor).unwrap();
    assert_eq!(desk.sessions.count("1001", Role::Agent), 0);
    desk.register(bob, "1001", Private).unwrap();
    desk.fail_over();
    assert!(!desk.sessions.controls(alice, "1001"));
}

#[test]
fn what_is_not_registered_cannot_be_unregistered() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    let (bob, _) = desk.open(BOB);
    let mut unregister =
        |session| desk.sessions.unregister(&mut desk.log, session, "1001").map_err(|refusal| refusal.code);
    assert_eq!(unregister(bob), Err(ErrorCode::NotRegistered));
    assert_eq!(unregister(alice), Ok(()));
    assert_eq!(unregister(alice), Err(ErrorCode::NotRegistered));
    assert!(!desk.sessions.is_watched("1001"));
    desk.tell("1001");
    assert_eq!(desk.numbers(), []);
}

#[test]
fn only_connected_clients_that_may_act_are_counted() {
    let mut desk = Desk::new();
    let router = Client { link: 4, person: "router", role: Role::RoutingApplication };
    let (session, token) = desk.desk_at(router, "5000");
    desk.desk_at(CAROL, "5000");
    let watcher = Client { link: 5, person: "watcher", role: Role::RoutingApplication };
    let (watching, _) = desk.open(watcher);
    desk.register(watching, "5000", Monitor).unwrap();
    assert_eq!(desk.sessions.count("5000", Role::RoutingApplication), 1);
    assert_eq!(desk.sessions.count("5000", Role::Supervisor), 1);
    assert_eq!(desk.sessions.count("5001", Role::RoutingApplication), 0);
    desk.close(router);
    assert_eq!(desk.sessions.count("5000", Role::RoutingApplication), 0);
    assert!(desk.sessions.controls(session, "5000"), "it is still registered");
    desk.opened(router.over(9), Some((&token, 0)));
    assert_eq!(desk.sessions.count("5000", Role::RoutingApplication), 1);
}

#[test]
fn a_hot_seat_is_cleared_of_those_who_are_not_to_hear() {
    let mut desk = Desk::new();
    let (alice, _) = desk.desk_at(ALICE, "1001");
    desk.desk_at(BOB, "1001");
    let (carol, _) = desk.desk_at(CAROL, "1001");
    desk.sessions
        .evict(&mut desk.log, desk.now, "1001", &|who| who.role != Role::Agent || &*who.person == "bob");
    let heard = desk.heard(1);
    assert_eq!((heard.len(), heard[0].event.event), (1, EventName::Unregistered));
    assert_eq!(desk.gone(), [], "who evicts knows it");
    assert!(!desk.sessions.controls(alice, "1001") && desk.sessions.controls(carol, "1001"));
    desk.tell("1001");
    assert_eq!(desk.numbers(), [(2, 1), (3, 1)]);
}

#[test]
fn who_does_not_exist_controls_nothing() {
    let mut desk = Desk::new();
    let nobody = tandem_switch::cti::SessionId(99);
    assert!(!desk.sessions.controls(nobody, "1001"));
    assert_eq!(desk.register(nobody, "1001", Share).unwrap_err().code, ErrorCode::NotRegistered);
    assert!(!desk.sessions.is_watched("1001"));
}
