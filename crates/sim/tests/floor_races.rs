//! A release that crosses a transfer, in every order and at the same instant: whoever comes first, each request has one
//! answer, nobody stays behind, and the oracles have nothing to say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use tandem_cti::EventName::{self, Dialing, Established};
use tandem_cti::{Event, Role};
use tandem_sim::{A, CallId, DeskId, Setup, Sim, UaId, ms, secs};
use tandem_switch::directory::floor::AgentOptions;

const DNS: [&str; 2] = ["1001", "1002"];

/// The gateway talks to 1001.
struct Office {
    sim: Sim,
    gateway: UaId,
    phones: [UaId; 2],
    desks: [DeskId; 2],
    call: CallId,
    conn: String,
}

/// Who hangs up.
#[derive(Clone, Copy, Debug)]
enum Who {
    Customer,
    Agent,
    Target,
}

fn hears(sim: &mut Sim, desk: DeskId, known: usize, name: EventName) -> Event {
    let find = |sim: &Sim| {
        sim.desk(desk).heard.iter().skip(known).map(|heard| &heard.event).find(|e| e.event == name).cloned()
    };
    sim.run_until(secs(10), name.as_str(), |sim| find(sim).is_some());
    find(sim).unwrap()
}

fn office(seed: u64) -> Office {
    let setup = Setup { challenge_calls: false, ..Setup::with_floor(1, AgentOptions::default()) };
    let mut sim = Sim::new(seed, setup);
    let phones = DNS.map(|dn| sim.phone(dn).registers_at(A).answers_after(ms(300)).on());
    let gateway = sim.gateway(1).with(|profile| profile.load_share = false).on();
    sim.run_for(secs(1));
    let desks = [("pa1", DNS[0]), ("pa2", DNS[1])].map(|(person, dn)| {
        let desk = sim.desktop(person, Role::Agent, A);
        sim.does(desk, "TRegisterAddress", &[("ThisDN", dn)]);
        desk
    });
    let known = sim.desk(desks[0]).heard.len();
    let call = sim.call(gateway, DNS[0]);
    let conn = hears(&mut sim, desks[0], known, Established).conn_id.unwrap();
    sim.run_for(secs(1));
    Office { sim, gateway, phones, desks, call, conn }
}

impl Office {
    fn ask(&mut self, request: &str, more: &[(&str, &str)]) -> u32 {
        let mut asks = vec![("ThisDN", DNS[0])];
        asks.extend(more);
        self.sim.ask(self.desks[0], request, &asks)
    }

    /// The ConnID of a consultation with 1002, who has answered.
    fn consults(&mut self) -> String {
        let known = self.sim.desk(self.desks[0]).heard.len();
        let conn = self.conn.clone();
        self.ask("TInitiateTransfer", &[("ConnID", &conn), ("OtherDN", DNS[1])]);
        let consult = hears(&mut self.sim, self.desks[0], known, Dialing).conn_id.unwrap();
        hears(&mut self.sim, self.desks[0], known, Established);
        self.sim.run_for(secs(1));
        consult
    }

    fn hangs_up(&mut self, who: Who) {
        let ua = match who {
            Who::Customer => return self.sim.hang_up(self.gateway, self.call),
            Who::Agent => self.phones[0],
            Who::Target => self.phones[1],
        };
        self.sim.hang_up_all(ua);
    }

    /// The request and the hang-up, so far apart; then everybody goes home.
    fn crosses(mut self, request: &str, more: &[(&str, &str)], who: Who, ahead_us: i64) {
        let (first, second) = (ahead_us.max(0).unsigned_abs(), (-ahead_us).max(0).unsigned_abs());
        let reference;
        if ahead_us >= 0 {
            reference = self.ask(request, more);
            self.sim.run_for(std::time::Duration::from_micros(first));
            self.hangs_up(who);
        } else {
            self.hangs_up(who);
            self.sim.run_for(std::time::Duration::from_micros(second));
            reference = self.ask(request, more);
        }
        self.sim.run_for(secs(12));
        let desk = self.sim.desk(self.desks[0]);
        let answers = desk.heard.iter().filter(|heard| heard.event.reference_id == Some(reference)).count();
        assert_eq!(answers, 1, "{request} with {who:?} hanging up {ahead_us} µs after it");
        for ua in [self.gateway, self.phones[0], self.phones[1]] {
            self.sim.hang_up_all(ua);
        }
        self.sim.settle();
        assert_eq!(self.sim.live_calls(A), 0);
    }
}

const AHEAD_US: [i64; 15] = [
    -30_000, -8_000, -5_000, -4_000, -3_000, -2_000, -1_000, 0, 1_000, 2_000, 3_000, 4_000, 5_000, 8_000,
    30_000,
];

fn all(crossing: impl Fn(Office, Who, i64)) {
    for (seed, who) in (0..).zip([Who::Customer, Who::Agent, Who::Target]) {
        for ahead_us in AHEAD_US {
            crossing(office(seed), who, ahead_us);
        }
    }
}

#[test]
fn a_release_crosses_the_completion_of_a_transfer() {
    all(|mut office, who, ahead_us| {
        let consult = office.consults();
        let conn = office.conn.clone();
        let more = [("ConnID", &*conn), ("ConsultConnID", &*consult)];
        office.crosses("TCompleteTransfer", &more, who, ahead_us);
    });
}

#[test]
fn a_release_crosses_a_transfer_in_one_step() {
    all(|office, who, ahead_us| {
        let conn = office.conn.clone();
        office.crosses("TSingleStepTransfer", &[("ConnID", &conn), ("OtherDN", DNS[1])], who, ahead_us);
    });
}

#[test]
fn a_release_crosses_a_mute_transfer() {
    all(|office, who, ahead_us| {
        let conn = office.conn.clone();
        office.crosses("TMuteTransfer", &[("ConnID", &conn), ("OtherDN", DNS[1])], who, ahead_us);
    });
}

#[test]
fn a_release_crosses_a_hold_and_a_consultation() {
    for request in ["THoldCall", "TInitiateTransfer", "TInitiateConference"] {
        all(|office, who, ahead_us| {
            let conn = office.conn.clone();
            let to = [("ConnID", &*conn), ("OtherDN", DNS[1])];
            let more = if request == "THoldCall" { &to[..1] } else { &to[..] };
            office.crosses(request, more, who, ahead_us);
        });
    }
}
