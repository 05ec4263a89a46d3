//! Requests that follow an event at once, while the INVITE that brought it about still waits for its ACK: they wait for it,
//! and are never refused for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{self, Dialing, Error, Established, Held, PartyChanged, Released, Retrieved};
use tandem_cti::{Event, Role};
use tandem_sim::{A, DeskId, Refusal, Setup, Sim, UaId, ms, secs};
use tandem_switch::directory::floor::AgentOptions;

struct Office {
    sim: Sim,
    gateway: UaId,
    phones: [UaId; 3],
    desks: [DeskId; 3],
}

const DNS: [&str; 3] = ["1001", "1002", "1003"];

fn office(seed: u64) -> Office {
    let setup = Setup { challenge_calls: false, ..Setup::with_floor(1, AgentOptions::default()) };
    let mut sim = Sim::new(seed, setup);
    let phones = DNS.map(|dn| sim.phone(dn).registers_at(A).answers_after(ms(300)).on());
    let gateway = sim.gateway(1).with(|profile| profile.load_share = false).on();
    sim.run_for(secs(1));
    let desks = [("pa1", "1001"), ("pa2", "1002"), ("pa3", "1003")].map(|(person, dn)| {
        let desk = sim.desktop(person, Role::Agent, A);
        sim.does(desk, "TRegisterAddress", &[("ThisDN", dn)]);
        desk
    });
    Office { sim, gateway, phones, desks }
}

impl Office {
    fn deaf(&mut self, from: UaId) {
        let (phone, site) = (self.sim.ip(from), A.addr().ip());
        self.sim.net.cut_one_way(&[phone], &[site], Refusal::Blackhole);
    }

    /// Lets time pass, step by step, until a desktop hears an event that it had not heard before.
    fn hears(&mut self, n: usize, known: usize, name: EventName) -> Event {
        let desk = self.desks[n];
        let find = |sim: &Sim| {
            sim.desk(desk)
                .heard
                .iter()
                .skip(known)
                .map(|heard| &heard.event)
                .find(|e| e.event == name)
                .cloned()
        };
        self.sim.run_until(secs(40), name.as_str(), |sim| find(sim).is_some());
        find(&self.sim).unwrap()
    }

    fn known(&self, n: usize) -> usize {
        self.sim.desk(self.desks[n]).heard.len()
    }

    fn ask(&mut self, n: usize, request: &str, conn: &str, more: &[(&str, &str)]) -> u32 {
        let mut asks = vec![("ThisDN", DNS[n]), ("ConnID", conn)];
        asks.extend(more);
        self.sim.ask(self.desks[n], request, &asks)
    }

    fn answer(&mut self, n: usize, reference: u32) -> Event {
        let desk = self.desks[n];
        self.sim.run_until(secs(40), "the answer", |sim| sim.desk(desk).answer(reference).is_some());
        self.sim.desk(desk).answer(reference).unwrap().clone()
    }

    /// The gateway calls the first DN; what its desktop hears when it is answered.
    fn call(&mut self) -> String {
        let known = self.known(0);
        self.sim.call(self.gateway, DNS[0]);
        self.hears(0, known, Established).conn_id.unwrap()
    }
}

#[test]
fn a_two_step_transfer_in_a_hurry_is_never_refused() {
    for seed in 0..200 {
        let mut office = office(seed);
        let conn = office.call();
        let known = office.known(0);
        let asked = office.ask(0, "TInitiateTransfer", &conn, &[("OtherDN", DNS[1])]);
        let consult = office.hears(0, known, Dialing).conn_id.unwrap();
        assert_eq!(office.answer(0, asked).event, Dialing);
        office.hears(0, known, Established);
        let (held, target) = (conn.clone(), office.known(1));
        let asked = office.ask(0, "TCompleteTransfer", &held, &[("ConsultConnID", &consult)]);
        assert_eq!(office.answer(0, asked).event, Released, "seed {seed}");
        office.hears(1, target, PartyChanged);
        office.sim.run_for(secs(1));
        assert_eq!(office.sim.live_calls(A), 1);
    }
}

#[test]
fn requests_wait_for_the_ack_of_the_callers_leg_whatever_they_want() {
    let third = [("OtherDN", DNS[1])];
    for (request, more, wanted) in [
        ("THoldCall", &[][..], Held),
        ("TSingleStepTransfer", &third[..], Released),
        ("TInitiateTransfer", &third[..], Dialing),
        ("TInitiateConference", &third[..], Dialing),
        ("TMuteTransfer", &third[..], Dialing),
    ] {
        let mut office = office(7);
        let gateway = office.gateway;
        office.sim.at(ms(200), move |sim| {
            let (host, site) = (sim.ip(gateway), A.addr().ip());
            sim.net.cut_one_way(&[host], &[site], Refusal::Blackhole);
        });
        let conn = office.call();
        let asked = office.ask(0, request, &conn, more);
        office.sim.run_for(ms(300));
        assert!(office.sim.desk(office.desks[0]).answer(asked).is_none(), "{request} waits for the ACK");
        office.sim.heal();
        let answer = office.answer(0, asked);
        assert_eq!((answer.event, answer.error_code), (wanted, None), "{request}");
    }
}

#[test]
fn hold_retrieve_and_alternate_follow_one_another_at_once() {
    let mut office = office(9);
    let conn = office.call();
    for _ in 0..3 {
        let asked = office.ask(0, "THoldCall", &conn, &[]);
        assert_eq!(office.answer(0, asked).event, Held);
        let asked = office.ask(0, "TRetrieveCall", &conn, &[]);
        assert_eq!(office.answer(0, asked).event, Retrieved);
    }
    let known = office.known(0);
    office.ask(0, "TInitiateTransfer", &conn, &[("OtherDN", DNS[1])]);
    let consult = office.hears(0, known, Dialing).conn_id.unwrap();
    office.hears(0, known, Established);
    let asked = office.ask(0, "TAlternateCall", &consult, &[("HeldConnID", &conn)]);
    assert_eq!(office.answer(0, asked).event, Retrieved);
    office.sim.run_for(secs(1));
    assert_eq!(
        office.sim.desk(office.desks[0]).last_of(Retrieved, DNS[0]).unwrap().conn_id.as_ref(),
        Some(&conn)
    );
}

#[test]
fn a_release_does_not_wait_for_anything() {
    let mut office = office(11);
    let gateway = office.gateway;
    office.sim.at(ms(200), move |sim| {
        let (host, site) = (sim.ip(gateway), A.addr().ip());
        sim.net.cut_one_way(&[host], &[site], Refusal::Blackhole);
    });
    let conn = office.call();
    let hold = office.ask(0, "THoldCall", &conn, &[]);
    let release = office.ask(0, "TReleaseCall", &conn, &[]);
    assert_eq!(office.answer(0, release).event, Released);
    assert_eq!(office.answer(0, hold).event, Error, "what waited is refused, not forgotten");
    office.sim.heal();
    office.sim.run_for(secs(40));
    assert_eq!(office.sim.live_calls(A), 0);
}

#[test]
fn a_request_waits_a_bounded_time_and_a_bounded_number_waits() {
    let mut office = office(13);
    let conn = office.call();
    office.sim.run_for(secs(1));
    // The phone does not answer the INVITE that parks it: the call is never at rest.
    office.deaf(office.phones[0]);
    let first = office.ask(0, "THoldCall", &conn, &[]);
    office.sim.run_for(ms(100));
    let waiting: Vec<u32> = (0..9).map(|_| office.ask(0, "THoldCall", &conn, &[])).collect();
    office.sim.run_for(ms(100));
    let refused = |office: &Office| {
        let codes = waiting.iter().map(|asked| {
            let answer = office.sim.desk(office.desks[0]).answer(*asked);
            answer.and_then(|event| event.error_code)
        });
        codes.collect::<Vec<_>>()
    };
    let mut expected = vec![None; 4];
    expected.extend([Some(496); 5]);
    assert_eq!(refused(&office), expected);
    office.sim.run_for(secs(9));
    assert_eq!(refused(&office), [Some(496); 9]);
    office.sim.heal();
    office.sim.run_for(secs(40));
    assert!(office.sim.desk(office.desks[0]).answer(first).is_some());
}
