//! Connections nailed up to agents' phones, and the server that dies at every step of their lives and of calls over them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use tandem_sim::pair::PRIMARY;
use tandem_sim::ua::{Phase, Profile, Registers};
use tandem_sim::{A, CallId, DeskId, Refusal, Setup, Sim, UaId, ms, secs};
use tandem_switch::directory::floor::AgentOptions;

const PHONE: ([u8; 4], u16) = ([10, 1, 0, 1], 5060);

struct Home {
    sim: Sim,
    phone: UaId,
    caller: UaId,
    desk: DeskId,
}

/// An agent at home, whose phone is called when he logs in and stays on the line; he is just about to.
fn home(seed: u64, pair: bool) -> Home {
    let options = AgentOptions::default();
    let mut setup = Setup { sites: 1, challenge_calls: false, ..Setup::with_floor(1, options) };
    setup.static_dns = vec![("1002".to_owned(), PHONE.into(), 0)];
    setup.pairs = [A].into_iter().filter(|_| pair).collect();
    setup.floor.as_mut().unwrap().options.connect_nailedup_on_login = Some("gcti::park".into());
    let mut sim = Sim::new(seed, setup);
    sim.net.weather.latency = ms(5);
    let never = |profile: &mut Profile| profile.registers = Registers::Never;
    let phone = sim.phone("1002").with(never).answers_after(ms(50)).with(|p| p.ring_after = ms(20)).on();
    let caller = sim.phone("1001").registers_at(A).on();
    sim.run_for(ms(1_200));
    if !pair {
        let site = sim.site_mut(A).unwrap();
        (site.commit_delay, site.dies_late) = (ms(3), seed % 2 == 1);
    }
    let desk = sim.agent_at("a2", "1002", A, "AutoIn");
    sim.change_desk(desk, |desk| desk.reconnects = Some(ms(100)));
    Home { sim, phone, caller, desk }
}

impl Home {
    /// Calls that the phone has.
    fn lines(&self) -> Vec<Phase> {
        let legs = self.sim.ua(self.phone).unwrap().legs();
        legs.filter(|leg| !leg.is_over()).map(|leg| leg.phase).collect()
    }

    fn is_through(&self, call: CallId) -> bool {
        self.sim.leg_at(self.caller, call).is_some_and(|leg| leg.phase == Phase::Talking)
    }

    fn dies(&mut self, step: u64, pair: bool) {
        if pair {
            self.sim.pair_mut(A).patience = secs(3);
            self.sim.kill_server(A, PRIMARY, Refusal::Refused);
        } else {
            self.sim.crash(A, Refusal::Refused);
            self.sim.run_for(ms(300 + 100 * (step % 5)));
            self.sim.recover(A);
        }
    }

    /// The phone has one line, and the next call goes over it; the line is dropped when the agent leaves.
    fn goes_on(mut self, what: &str) {
        assert_eq!(self.lines(), [Phase::Talking], "{what}: the line is there");
        let next = self.sim.call(self.caller, "1002");
        self.sim.run_for(secs(2));
        assert!(self.is_through(next), "{what}: {:?}", self.sim.legs(next).collect::<Vec<_>>());
        assert_eq!(self.lines(), [Phase::Talking], "{what}: it did not ring");
        self.sim.hang_up(self.caller, next);
        self.sim.run_for(secs(2));
        assert_eq!(self.lines(), [Phase::Talking], "{what}: the line came home");
        self.sim.does(self.desk, "TAgentLogout", &[("ThisDN", "1002")]);
        self.sim.run_for(secs(2));
    }
}

/// Strikes so long after a call over the line began, or was ended.
fn struck_in_a_call(step: u64, after: Duration, ends: bool, pair: bool) {
    let what = format!("step {step}, {after:?} after the call {}", if ends { "ended" } else { "began" });
    let mut home = home(step, pair);
    home.sim.run_for(secs(1));
    assert_eq!(home.lines(), [Phase::Talking], "{what}: the line is there");
    let call = home.sim.call(home.caller, "1002");
    if ends {
        home.sim.run_for(secs(1));
        assert!(home.is_through(call), "{what}");
        home.sim.hang_up(home.caller, call);
    }
    home.sim.run_for(after);
    let through = home.is_through(call);
    home.dies(step, pair);
    home.sim.run_for(secs(8));
    assert!(!through || ends || home.is_through(call), "{what}: the call was lost");
    home.sim.hang_up(home.caller, call);
    home.sim.run_for(secs(3));
    home.goes_on(&what);
}

#[test]
fn bca_12_a_line_to_an_agents_phone_is_there_whenever_the_server_dies_beside_it() {
    for step in 0..20 {
        let mut home = home(step, false);
        home.sim.run_for(ms(6 * step + 200 * (step / 18)));
        let there = home.lines() == [Phase::Talking];
        home.dies(step, false);
        home.sim.run_for(secs(8));
        if there {
            home.goes_on(&format!("step {step}"));
        } else {
            assert!(home.lines().len() <= 1, "step {step}: {:?}", home.lines());
        }
    }
}

#[test]
fn bca_12_a_call_over_a_nailed_up_line_goes_on_or_leaves_the_line_whenever_the_server_dies() {
    for step in 0..24 {
        struck_in_a_call(step, ms(3 * step), false, false);
    }
}

#[test]
fn bca_12_a_nailed_up_line_comes_home_whenever_the_server_dies_as_its_call_ends() {
    for step in 0..20 {
        struck_in_a_call(step, ms(3 * step), true, false);
    }
}

#[test]
fn bca_12_a_nailed_up_line_outlives_the_primary() {
    for step in 0..4 {
        struck_in_a_call(step, ms(9 + 14 * step), step % 2 == 1, true);
    }
}
