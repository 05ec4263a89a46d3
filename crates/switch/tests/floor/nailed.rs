//! Connections nailed up to the phones of agents who log in.

use std::time::Duration;

use tandem_cti::{EventName, Role};
use tandem_switch::{DrainOrder, Input};

use crate::hall::Hall;
use crate::office::{ANNA, FIXED, POINT, Plans, QUEUE, office};
use crate::phones::Acts;

const LINK: u64 = 1;

pub fn nails(at: &str, idle_s: u64) -> impl Fn(&mut Plans) {
    let at = at.to_owned();
    move |plans: &mut Plans| {
        plans.floor.options.connect_nailedup_on_login = Some(at.as_str().into());
        plans.floor.options.disconnect_nailedup_timeout = Some(Duration::from_secs(idle_s));
    }
}

const LOGIN: &str = r#""request":"TAgentLogin","ThisDN":"1003","AgentID":"5003","WorkMode":"AutoIn""#;
const LOGOUT: &str = r#""request":"TAgentLogout","ThisDN":"1003""#;

fn named(hall: &mut Hall, method: &str) -> usize {
    hall.phone(FIXED).heard.iter().filter(|line| line.starts_with(method)).count()
}

/// An agent is logged in at the DN with a static contact, and his phone is on the line.
#[track_caller]
fn seated(at: &str, idle_s: u64) -> Hall {
    let mut hall = Hall::with(nails(at, idle_s));
    hall.joins_at(LINK, "sam", Role::Supervisor, &[FIXED]);
    hall.does(LINK, LOGIN);
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 1, "the phone is on the line");
    hall
}

/// The connection is nobody's call: the agent is free and his desktop shows none.
#[track_caller]
fn is_nobodys(hall: &mut Hall) {
    let state = hall.does(LINK, r#""request":"TQueryAddress","ThisDN":"1003""#);
    assert!(state.parties.is_empty(), "{state:?}");
    assert_eq!(hall.bed.node.floor_counts().conns, 0);
}

#[track_caller]
fn logs_out(hall: &mut Hall) {
    hall.does(LINK, LOGOUT);
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 0, "the phone was hung up");
    hall.closes();
}

#[test]
fn a_login_nails_the_phone_up_and_a_logout_lets_it_go() {
    for at in ["gcti::park", POINT] {
        let mut hall = seated(at, 0);
        is_nobodys(&mut hall);
        assert_eq!(
            hall.told(LINK, FIXED)[1..],
            [EventName::AgentLogin, EventName::AgentReady, EventName::AddressInfo]
        );
        logs_out(&mut hall);
        assert_eq!((named(&mut hall, "INVITE"), named(&mut hall, "BYE")), (1, 1));
    }
}

#[test]
fn without_the_option_and_at_registered_phones_nothing_is_nailed_up() {
    let mut hall = Hall::open();
    hall.joins_at(LINK, "sam", Role::Supervisor, &[FIXED]);
    hall.does(LINK, LOGIN);
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 0);
    hall.closes();
    let mut hall = Hall::with(nails("gcti::park", 0));
    hall.joins_at(LINK, "anna", Role::Agent, &[ANNA]);
    hall.does(LINK, r#""request":"TAgentLogin","ThisDN":"1001","AgentID":"5001""#);
    hall.pass(1);
    assert_eq!(hall.phone(ANNA).calls(), 0);
    hall.closes();
}

#[test]
fn calls_of_a_queue_follow_each_other_over_the_connection() {
    let mut hall = seated("gcti::park", 0);
    for call in 1..=3 {
        hall.dials("gateway", QUEUE);
        hall.pass(1);
        assert_eq!(hall.told(LINK, FIXED).last(), Some(&EventName::Established), "call {call}");
        assert_eq!(hall.phone(FIXED).calls(), 1, "no other dialog at the phone");
        hall.hangs_up("gateway");
        hall.pass(1);
        assert_eq!(hall.told(LINK, FIXED).last(), Some(&EventName::Released));
        assert_eq!(hall.phone(FIXED).calls(), 1, "the connection stays");
        is_nobodys(&mut hall);
    }
    assert_eq!(named(&mut hall, "BYE"), 0);
    logs_out(&mut hall);
}

#[test]
fn a_phone_that_does_not_take_the_connection_leaves_its_agent_logged_in_and_is_rung_for_calls() {
    for acts in [Acts::Refuses(486), Acts::Dead, Acts::Rings] {
        let mut hall = Hall::with(nails("gcti::park", 0));
        hall.acts(FIXED, acts);
        hall.joins_at(LINK, "sam", Role::Supervisor, &[FIXED]);
        hall.does(LINK, LOGIN);
        hall.pass(300);
        let state = hall.does(LINK, r#""request":"TQueryAddress","ThisDN":"1003""#);
        assert_eq!(state.agent_id.as_deref(), Some("5003"), "{acts:?}");
        is_nobodys(&mut hall);
        hall.hangs_up(FIXED);
        hall.acts(FIXED, Acts::Answers);
        hall.dials("gateway", QUEUE);
        hall.pass(1);
        assert!(hall.told(LINK, FIXED).contains(&EventName::Established), "{acts:?}");
        hall.closes();
    }
}

#[test]
fn an_idle_connection_is_dropped_in_time_and_the_next_call_rings() {
    let mut hall = seated("gcti::park", 30);
    hall.pass(25);
    assert_eq!(hall.phone(FIXED).calls(), 1);
    hall.pass(10);
    assert_eq!(hall.phone(FIXED).calls(), 0, "disconnect-nailedup-timeout");
    let state = hall.does(LINK, r#""request":"TQueryAddress","ThisDN":"1003""#);
    assert_eq!(state.agent_id.as_deref(), Some("5003"), "the agent stays");
    hall.dials("gateway", QUEUE);
    hall.pass(1);
    assert!(hall.told(LINK, FIXED).contains(&EventName::Established));
    hall.closes();
}

#[test]
fn a_phone_that_hangs_up_the_idle_connection_leaves_its_agent_logged_in() {
    let mut hall = seated("gcti::park", 0);
    let before = hall.told(LINK, FIXED).len();
    hall.hangs_up(FIXED);
    hall.pass(1);
    assert_eq!(hall.told(LINK, FIXED).len(), before, "nobody's call has no events");
    is_nobodys(&mut hall);
    hall.closes();
}

#[test]
fn a_phone_that_hangs_up_in_a_call_releases_it() {
    let mut hall = seated("gcti::park", 0);
    hall.dials("gateway", QUEUE);
    hall.pass(1);
    hall.hangs_up(FIXED);
    hall.pass(1);
    assert_eq!(hall.told(LINK, FIXED).last(), Some(&EventName::Released));
    assert_eq!(hall.phone("gateway").calls(), 0);
    is_nobodys(&mut hall);
    hall.closes();
}

#[test]
fn a_logout_in_a_call_lets_the_call_run_on_and_drops_the_connection_with_it() {
    let mut hall = seated("gcti::park", 0);
    hall.dials("gateway", QUEUE);
    hall.pass(1);
    let logout = format!(r#"{LOGOUT},"AttributeExtensions":{{"AgentEmuLoginOnCall":"true"}}"#);
    hall.does(LINK, &logout);
    hall.pass(5);
    assert_eq!((hall.phone(FIXED).calls(), hall.phone("gateway").calls()), (1, 1), "they talk on");
    hall.hangs_up("gateway");
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 0, "the connection ended with the call");
    hall.closes();
}

#[test]
fn an_agent_who_is_lost_is_logged_out_and_his_phone_is_let_go() {
    let mut hall = seated("gcti::park", 0);
    hall.leaves(LINK);
    hall.pass(120);
    assert_eq!(hall.bed.node.agent_list(hall.bed.now).len(), 0, "logout-on-disconnect");
    assert_eq!(hall.phone(FIXED).calls(), 0);
    hall.closes();
}

#[test]
fn a_logout_while_the_phone_still_rings_takes_the_call_back() {
    let mut hall = Hall::with(nails("gcti::park", 0));
    hall.acts(FIXED, Acts::Rings);
    hall.joins_at(LINK, "sam", Role::Supervisor, &[FIXED]);
    hall.does(LINK, LOGIN);
    assert_eq!(hall.phone(FIXED).calls(), 1);
    hall.does(LINK, LOGOUT);
    hall.pass(1);
    assert_eq!((hall.phone(FIXED).calls(), named(&mut hall, "CANCEL")), (0, 1));
    hall.closes();
}

#[test]
fn gm_07_a_drain_drops_every_connection_and_the_server_comes_to_its_end() {
    let mut hall = seated("gcti::park", 0);
    let order = DrainOrder::Start { by: "a test".into() };
    hall.bed.node.handle_input(Input::Drain(order), hall.bed.now);
    hall.bed.drain();
    hall.pass(60);
    assert_eq!(hall.phone(FIXED).calls(), 0);
    assert_eq!(hall.bed.node.drain_status(hall.bed.now).state, "drained");
    hall.closes();
}

#[test]
fn a_reload_keeps_the_connection_and_one_that_takes_the_dn_away_drops_it() {
    let mut hall = seated("gcti::park", 0);
    hall.reloads(office(nails("gcti::park", 0)));
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 1);
    hall.reloads(office(|plans| {
        nails("gcti::park", 0)(plans);
        plans.extensions.retain(|extension| *extension.number != *FIXED);
    }));
    hall.pass(5);
    assert_eq!(hall.bed.node.agent_list(hall.bed.now).len(), 0, "his DN is gone");
    assert_eq!(hall.phone(FIXED).calls(), 0);
    hall.closes();
}

#[test]
fn a_reload_that_brings_the_option_holds_from_the_next_login_on() {
    let mut hall = Hall::open();
    hall.joins_at(LINK, "sam", Role::Supervisor, &[FIXED]);
    hall.does(LINK, LOGIN);
    hall.reloads(office(nails("gcti::park", 0)));
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 0);
    hall.does(LINK, LOGOUT);
    hall.does(LINK, LOGIN);
    hall.pass(1);
    assert_eq!(hall.phone(FIXED).calls(), 1);
    logs_out(&mut hall);
}

#[test]
fn a_call_by_request_goes_over_the_connection() {
    let mut hall = seated("gcti::park", 0);
    hall.does(LINK, r#""request":"TMakeCall","ThisDN":"1003","OtherDN":"1001""#);
    hall.pass(1);
    assert_eq!(hall.told(LINK, FIXED).last(), Some(&EventName::Established));
    assert_eq!((hall.phone(FIXED).calls(), hall.phone(ANNA).calls()), (1, 1));
    let conn = hall.conn();
    hall.does(LINK, &format!(r#""request":"TReleaseCall","ThisDN":"1003","ConnID":"{conn}""#));
    hall.pass(1);
    assert_eq!((hall.phone(FIXED).calls(), hall.phone(ANNA).calls()), (1, 0));
    is_nobodys(&mut hall);
    logs_out(&mut hall);
}
