//! Each call-control request once, as the phones and the desktops see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{
    Abandoned, AttachedDataChanged, Dialing, Established, Held, PartyChanged, Released, Retrieved, Ringing,
};
use tandem_cti::{CallState, Event, Role, Value};
use tandem_sim::{A, DeskId, Setup, Sim, UaId, secs};
use tandem_switch::directory::floor::AgentOptions;

/// Three phones and their desktops, nobody logged in as an agent.
struct Office {
    sim: Sim,
    phones: [UaId; 3],
    desks: [DeskId; 3],
}

const DNS: [&str; 3] = ["1001", "1002", "1003"];

fn office(seed: u64) -> Office {
    let mut sim = Sim::new(seed, Setup::with_floor(1, AgentOptions::default()));
    let phones = DNS.map(|dn| sim.phone(dn).registers_at(A).rings_on().on());
    sim.run_for(secs(1));
    let desks = [("pa1", "1001"), ("pa2", "1002"), ("pa3", "1003")].map(|(person, dn)| {
        let desk = sim.desktop(person, Role::Agent, A);
        sim.does(desk, "TRegisterAddress", &[("ThisDN", dn)]);
        desk
    });
    Office { sim, phones, desks }
}

fn conn(event: &Event) -> String {
    event.conn_id.clone().unwrap_or_default()
}

impl Office {
    /// The nth DN calls the mth; it rings. The ConnID.
    fn rings(&mut self, n: usize, m: usize) -> String {
        let asks = [("ThisDN", DNS[n]), ("OtherDN", DNS[m])];
        let dialing = self.sim.does(self.desks[n], "TMakeCall", &asks);
        assert_eq!(dialing.event, Dialing);
        let conn = conn(&dialing);
        self.sim.run_until(secs(5), "it rings", |sim| {
            sim.desk(self.desks[m])
                .last_of(Ringing, DNS[m])
                .is_some_and(|e| e.conn_id.as_ref() == Some(&conn))
        });
        conn
    }

    /// The same, and it is answered by request.
    fn talk(&mut self, n: usize, m: usize) -> String {
        let conn = self.rings(n, m);
        self.does(m, "TAnswerCall", &conn, &[]);
        self.sim.run_for(secs(1));
        assert!(self.heard(n, Established, &conn) && self.heard(m, Established, &conn));
        conn
    }

    fn does(&mut self, n: usize, request: &str, conn: &str, more: &[(&str, &str)]) -> Event {
        let mut asks = vec![("ThisDN", DNS[n]), ("ConnID", conn)];
        asks.extend(more);
        self.sim.does(self.desks[n], request, &asks)
    }

    fn heard(&self, n: usize, name: tandem_cti::EventName, conn: &str) -> bool {
        let mut heard = self.sim.desk(self.desks[n]).heard.iter().map(|heard| &heard.event);
        heard.any(|event| event.event == name && event.conn_id.as_deref() == Some(conn))
    }

    fn last(&self, n: usize, name: tandem_cti::EventName) -> Event {
        let last = self.sim.desk(self.desks[n]).last_of(name, DNS[n]);
        last.unwrap_or_else(|| panic!("no {} at {}", name.as_str(), DNS[n])).clone()
    }

    fn live(&self, n: usize) -> usize {
        self.sim.ua(self.phones[n]).unwrap().legs().filter(|leg| !leg.is_over()).count()
    }

    fn over(mut self) {
        self.sim.run_for(secs(2));
        assert_eq!([0, 1, 2].map(|n| self.live(n)), [0; 3]);
        self.sim.settle();
    }
}

#[test]
fn a_call_is_made_answered_and_released_by_request() {
    let mut office = office(1);
    let conn = office.talk(0, 1);
    assert_eq!(office.last(1, Established).other_dn.as_deref(), Some("1001"));
    office.does(0, "TReleaseCall", &conn, &[]);
    office.sim.run_for(secs(1));
    assert!(office.heard(0, Released, &conn) && office.heard(1, Released, &conn));
    office.over();
}

#[test]
fn the_caller_gives_up_while_it_rings() {
    let mut office = office(2);
    let conn = office.rings(0, 1);
    office.does(0, "TReleaseCall", &conn, &[]);
    office.sim.run_for(secs(1));
    assert!(office.heard(0, Released, &conn) && office.heard(1, Abandoned, &conn));
    office.over();
}

#[test]
fn a_call_is_held_and_retrieved() {
    let mut office = office(3);
    let conn = office.talk(0, 1);
    assert_eq!(office.does(1, "THoldCall", &conn, &[]).event, Held);
    office.sim.run_for(secs(1));
    assert_eq!(office.does(1, "TRetrieveCall", &conn, &[]).event, Retrieved);
    office.does(1, "TReleaseCall", &conn, &[]);
    office.over();
}

#[test]
fn requests_in_one_breath_are_carried_out_one_after_the_other() {
    let mut office = office(31);
    let first = office.talk(0, 1);
    office.does(1, "THoldCall", &first, &[]);
    let second = office.talk(1, 2);
    let hold = [("ThisDN", "1003"), ("ConnID", &second)];
    let held = office.sim.ask(office.desks[2], "THoldCall", &hold);
    let again = office.sim.ask(office.desks[2], "THoldCall", &hold);
    let join = [("ThisDN", "1002"), ("ConnID", &*first), ("ConsultConnID", &*second)];
    let joined = office.sim.ask(office.desks[1], "TCompleteTransfer", &join);
    office.sim.run_for(secs(1));
    let answer = |n: usize, reference| office.sim.desk(office.desks[n]).answer(reference).unwrap();
    assert_eq!(answer(2, held).event, Held);
    assert_eq!(answer(2, again).error_code, Some(43));
    assert_eq!(answer(1, joined).call_state, Some(CallState::Transferred));
    assert_eq!([0, 1, 2].map(|n| office.live(n)), [1, 0, 1]);
    assert_eq!(office.does(2, "TReleaseCall", &first, &[]).event, Released);
    office.over();
}

#[test]
fn two_calls_alternate() {
    let mut office = office(4);
    let first = office.talk(0, 1);
    office.does(1, "THoldCall", &first, &[]);
    let second = office.talk(1, 2);
    office.does(1, "TAlternateCall", &second, &[("HeldConnID", &first)]);
    office.sim.run_for(secs(1));
    assert_eq!(conn(&office.last(1, Held)), second);
    assert_eq!(conn(&office.last(1, Retrieved)), first);
    office.does(1, "TReconnectCall", &first, &[("HeldConnID", &second)]);
    office.sim.run_for(secs(1));
    assert_eq!(conn(&office.last(1, Released)), first);
    assert_eq!(conn(&office.last(1, Retrieved)), second);
    office.does(1, "TReleaseCall", &second, &[]);
    office.over();
}

#[test]
fn a_call_is_transferred_in_two_steps_with_its_data() {
    let mut office = office(5);
    let first = office.talk(0, 1);
    let data = r#"{"account":"4711"}"#;
    assert_eq!(office.does(1, "TAttachUserData", &first, &[("UserData", data)]).event, AttachedDataChanged);
    office.does(1, "TInitiateTransfer", &first, &[("OtherDN", "1003")]);
    office.sim.run_for(secs(2));
    let ringing = office.last(2, Ringing);
    let second = conn(&ringing);
    assert_ne!(second, first);
    office.does(2, "TAnswerCall", &second, &[]);
    office.sim.run_for(secs(1));
    office.does(1, "TCompleteTransfer", &first, &[("ConsultConnID", &second)]);
    office.sim.run_for(secs(2));
    assert_eq!(office.last(1, Released).call_state, Some(CallState::Transferred));
    let changed = office.last(2, PartyChanged);
    assert_eq!(conn(&changed), first);
    assert_eq!(changed.previous_conn_id.as_deref(), Some(&*second));
    assert_eq!(changed.other_dn.as_deref(), Some("1001"));
    assert_eq!(changed.user_data.get("account"), Some(&Value::from("4711")));
    assert_eq!([0, 1, 2].map(|n| office.live(n)), [1, 0, 1]);
    office.does(2, "TReleaseCall", &first, &[]);
    office.over();
}

#[test]
fn a_call_is_transferred_before_the_other_side_answers() {
    let mut office = office(6);
    let first = office.talk(0, 1);
    office.does(1, "TMuteTransfer", &first, &[("OtherDN", "1003")]);
    office.sim.run_for(secs(2));
    assert_eq!(conn(&office.last(2, PartyChanged)), first);
    office.does(2, "TAnswerCall", &first, &[]);
    office.sim.run_for(secs(2));
    assert_eq!([0, 1, 2].map(|n| office.live(n)), [1, 0, 1]);
    office.does(0, "TReleaseCall", &first, &[]);
    office.over();
}

#[test]
fn a_call_is_transferred_in_one_step() {
    let mut office = office(7);
    let first = office.talk(0, 1);
    office.does(1, "TSingleStepTransfer", &first, &[("OtherDN", "1003")]);
    office.sim.run_for(secs(2));
    let rings = conn(&office.last(2, Ringing));
    office.does(2, "TAnswerCall", &rings, &[]);
    office.sim.run_for(secs(2));
    assert_eq!([0, 1, 2].map(|n| office.live(n)), [1, 0, 1]);
    office.does(2, "TReleaseCall", &rings, &[]);
    office.over();
}

#[test]
fn three_confer_at_the_mixer() {
    let mut office = office(8);
    let mixer = tandem_sim::office::MIXER;
    let mixer = office.sim.phone("mixer").registers_at(A).with(|p| {
        p.addr = mixer.into();
        p.registers = tandem_sim::ua::Registers::Never;
    });
    let mixer = mixer.on();
    let first = office.talk(0, 1);
    office.does(1, "TInitiateConference", &first, &[("OtherDN", "1003")]);
    office.sim.run_for(secs(2));
    let second = conn(&office.last(2, Ringing));
    office.does(2, "TAnswerCall", &second, &[]);
    office.sim.run_for(secs(1));
    office.does(1, "TCompleteConference", &first, &[("ConsultConnID", &second)]);
    office.sim.run_for(secs(3));
    let at_mixer = office.sim.ua(mixer).unwrap().legs().filter(|leg| !leg.is_over()).count();
    assert_eq!(at_mixer, 3);
    assert_eq!([0, 1, 2].map(|n| office.live(n)), [1; 3]);
    office.does(1, "TDeleteFromConference", &first, &[("OtherDN", "1003")]);
    office.sim.run_for(secs(2));
    assert_eq!([0, 1, 2].map(|n| office.live(n)), [1, 1, 0]);
    office.does(0, "TClearCall", &first, &[]);
    office.over();
}

#[test]
fn a_ringing_call_is_redirected() {
    let mut office = office(9);
    let first = office.rings(0, 1);
    office.does(1, "TRedirectCall", &first, &[("OtherDN", "1003")]);
    office.sim.run_for(secs(2));
    assert_eq!(office.last(1, Released).call_state, Some(CallState::Redirected));
    assert_eq!(conn(&office.last(2, Ringing)), first);
    office.does(2, "TAnswerCall", &first, &[]);
    office.sim.run_for(secs(1));
    office.does(0, "TClearCall", &first, &[]);
    office.over();
}

#[test]
fn digits_reach_the_other_phone() {
    let mut office = office(10);
    let first = office.talk(0, 1);
    office.does(0, "TSendDTMF", &first, &[("DTMFDigits", "12#")]);
    office.sim.run_for(secs(2));
    let ua = office.sim.ua(office.phones[1]).unwrap();
    let infos = ua.legs().flat_map(|leg| &leg.heard).filter(|heard| heard.as_str() == "INFO").count();
    assert_eq!(infos, 3);
    office.does(0, "TReleaseCall", &first, &[]);
    office.over();
}

#[test]
fn a_request_that_comes_again_is_carried_out_once() {
    let mut office = office(11);
    let attributes = [("ThisDN", "1001"), ("OtherDN", "1002")];
    let reference = office.sim.ask(office.desks[0], "TMakeCall", &attributes);
    for _ in 0..3 {
        office.sim.ask_as(office.desks[0], reference, "TMakeCall", &attributes);
        office.sim.run_for(secs(1));
    }
    assert_eq!(office.live(1), 1);
    let names = office.sim.desk(office.desks[1]).names("1002");
    assert_eq!(names.iter().filter(|name| **name == "EventRinging").count(), 1);
    let ringing = conn(&office.last(1, Ringing));
    office.does(0, "TReleaseCall", &ringing, &[]);
    office.over();
}

#[test]
fn a_mixer_that_refuses_or_is_silent_costs_nobody_his_customer() {
    for code in [Some(486), Some(503), None] {
        let mut office = office(12);
        let mixer = tandem_sim::office::MIXER;
        let mixer = office.sim.phone("mixer").registers_at(A).with(|p| {
            p.addr = mixer.into();
            p.registers = tandem_sim::ua::Registers::Never;
        });
        // Without a code nobody is there.
        match code {
            Some(code) => drop(mixer.refuses(code).on()),
            None => drop(mixer.switched_off()),
        }
        let first = office.talk(0, 1);
        office.does(1, "TInitiateConference", &first, &[("OtherDN", "1003")]);
        office.sim.run_for(secs(2));
        let second = conn(&office.last(2, Ringing));
        office.does(2, "TAnswerCall", &second, &[]);
        office.sim.run_for(secs(1));
        let asks = [("ThisDN", "1002"), ("ConnID", &*first), ("ConsultConnID", &*second)];
        let refused = office.sim.asks(office.desks[1], "TCompleteConference", &asks);
        assert!(refused.error_code.is_some(), "{code:?}: {refused:?}");
        office.sim.run_for(secs(12));
        assert_eq!(office.live(0), 1, "{code:?}: the customer is there");
        assert!(office.heard(1, Released, &second) && office.heard(2, Released, &second));
        assert!(!office.heard(0, Released, &first));
        office.does(1, "TRetrieveCall", &first, &[]);
        office.does(0, "TReleaseCall", &first, &[]);
        office.over();
    }
}
