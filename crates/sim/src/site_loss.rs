//! How long it takes until the agents of a lost site work at the other: every agent has a phone and a desktop, all are at
//! A, A's host is switched off, and customers wait at B.
//!
//! Times count from the moment of the loss. Three find out independently: B's server by its probes, each desktop by the
//! silence of its connection and `site-timeout`, each phone when its registration is due. An agent is *back* when his
//! desktop at B hears that a call of the queue rings at his phone; nothing of him can be back before the last of the
//! three that he depends on has noticed.

use std::fmt;
use std::time::Duration;

use tandem_cti::EventName;
use tandem_switch::directory::floor::AgentOptions;

use crate::desktop::roamer::{Patience, RoamerId, Step};
use crate::net::Refusal;
use crate::office::staffed;
use crate::sim::{Failure, Sim, UaId};
use crate::sites::{A, B, Setup, gateway_addr};
use crate::time::{At, ms, secs};
use crate::ua::Registers;

/// The customers' gateways: each carries its share of the calls.
const GATEWAYS: u8 = 20;

/// What is lost, and how everything is set.
#[derive(Clone, Copy, Debug)]
pub struct SiteLoss {
    /// Seed of the simulation.
    pub seed: u64,
    /// Agents, all of whom are logged in at A.
    pub agents: u32,
    /// How their phones register.
    pub phones: Registers,
    /// Registrations last so long; phones refresh after three quarters of it.
    pub expires: Duration,
    /// `oos-check` of the peer trunk, s.
    pub oos_check_s: u16,
    /// `oos-force` of the peer trunk, s.
    pub oos_force_s: u16,
    /// `site-timeout` of the desktops.
    pub site_timeout: Duration,
}

impl SiteLoss {
    /// The settings that the documentation recommends, with this many agents whose phones register so.
    #[must_use]
    pub fn recommended(agents: u32, phones: Registers) -> Self {
        let (expires, site_timeout) = (secs(60), secs(15));
        Self { seed: 1, agents, phones, expires, oos_check_s: 10, oos_force_s: 5, site_timeout }
    }

    fn setup(&self) -> Setup {
        let mut floor = staffed(self.agents, AgentOptions::default());
        floor.queues.iter_mut().for_each(|queue| queue.max_wait = secs(3_600));
        Setup {
            floor: Some(floor),
            extensions: self.agents,
            challenge_calls: false,
            overheard: false,
            max_calls: 100_000,
            ring_timeout: secs(3_600),
            oos_check_s: self.oos_check_s,
            oos_force_s: self.oos_force_s,
            gateways: (1..=GATEWAYS).map(gateway_addr).collect(),
            ..Setup::with_floor(2, AgentOptions::default())
        }
    }

    /// Plays it.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn play(&self) -> Result<Figures, Box<Failure>> {
        let mut sim = Sim::new(self.seed, self.setup());
        sim.try_run_for(secs(5))?;
        let (phones, desks) = self.staff(&mut sim)?;
        let gateways: Vec<UaId> =
            (1..=GATEWAYS).map(|n| sim.gateway(n).with(|p| p.sites = vec![B.addr()]).on()).collect();
        sim.try_run_for(secs(20))?;
        let before = desks.iter().filter(|desk| sim.roams(**desk).at == Some(A)).count();
        let killed = sim.now();
        sim.crash(A, Refusal::Blackhole);
        // A customer for every agent, within ten seconds.
        for (n, gateway) in (0..self.agents).zip(gateways.iter().cycle()) {
            let gateway = *gateway;
            sim.at(secs(10).mul_f64(f64::from(n) / f64::from(self.agents)), move |sim| {
                sim.call(gateway, "7000");
            });
        }
        let all_back = |sim: &Sim| desks.iter().all(|desk| called(sim, *desk, killed).is_some());
        for _ in 0..300 {
            sim.try_run_for(secs(1))?;
            if all_back(&sim) {
                break;
            }
        }
        let server = sim.went_out(B, "to-a").map_or(Duration::MAX, |at| at - killed);
        let agents =
            phones.iter().zip(&desks).map(|(phone, desk)| Returned::read(&sim, *phone, *desk, killed));
        Ok(Figures { plan: *self, before, server, agents: agents.collect() })
    }

    /// Everybody comes to work over the time of one registration, so that refreshes are spread evenly.
    fn staff(&self, sim: &mut Sim) -> Result<(Vec<UaId>, Vec<RoamerId>), Box<Failure>> {
        let patience = Patience { site_timeout: self.site_timeout, ..Patience::default() };
        let (mut phones, mut desks) = (Vec::new(), Vec::new());
        let pause = self.expires.mul_f64(0.75) / self.agents.max(1);
        for n in 1..=self.agents {
            let dn = (1000 + n).to_string();
            let (registers, expires) = (self.phones, self.expires);
            let phone = sim.phone(&dn).single(A).answers_after(secs(2));
            phones.push(phone.with(|p| (p.registers, p.expires) = (registers, expires)).on());
            sim.try_run_for(pause)?;
        }
        for n in 1..=self.agents {
            desks.push(sim.roamer(&format!("a{n}"), &(1000 + n).to_string(), A, patience));
            sim.try_run_for(ms(2))?;
        }
        Ok((phones, desks))
    }
}

/// When a call of the queue rang at an agent, as his desktop at B heard it.
fn called(sim: &Sim, desk: RoamerId, since: At) -> Option<At> {
    let heard = sim.desk(sim.roams(desk).desk(B)).heard.iter().rev();
    let after = heard.take_while(|heard| heard.at >= since);
    after.filter(|heard| heard.event.event == EventName::Ringing).map(|heard| heard.at).last()
}

/// One agent, in times since the loss.
#[derive(Clone, Copy, Debug)]
pub struct Returned {
    /// His desktop decided to go to B.
    pub desktop: Option<Duration>,
    /// His phone noticed that A is silent; `None` for one that is registered at both sites.
    pub phone: Option<Duration>,
    /// His phone was in service at B; `None` if it was already.
    pub registered: Option<Duration>,
    /// He was logged in at B.
    pub login: Option<Duration>,
    /// A call of the queue rang at his phone.
    pub called: Option<Duration>,
}

impl Returned {
    fn read(sim: &Sim, phone: UaId, desk: RoamerId, killed: At) -> Self {
        let roamer = sim.roams(desk);
        let later = |at: Option<At>| at.filter(|at| *at >= killed).map(|at| at - killed);
        let registered = later(sim.came_back(B, &roamer.dn));
        let missed = sim.ua(phone).and_then(|ua| ua.missed(A.addr()));
        Self {
            desktop: later(roamer.last(&Step::GoesTo(B))),
            phone: registered.and_then(|_| later(missed)),
            registered,
            login: later(roamer.last(&Step::LoggedIn(B))),
            called: later(called(sim, desk, killed)),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What was played.
    pub plan: SiteLoss,
    /// Agents who were logged in at A.
    pub before: usize,
    /// When B's server turned to single-site mode.
    pub server: Duration,
    /// Every agent.
    pub agents: Vec<Returned>,
}

impl Figures {
    /// How many agents are back.
    #[must_use]
    pub fn back(&self) -> usize {
        self.agents.iter().filter(|agent| agent.called.is_some()).count()
    }

    /// A figure of every agent who has it, in order.
    #[must_use]
    pub fn sorted(&self, figure: impl Fn(&Returned) -> Option<Duration>) -> Vec<Duration> {
        let mut found: Vec<Duration> = self.agents.iter().filter_map(figure).collect();
        found.sort_unstable();
        found
    }

    /// From the moment when the last of server, desktop and phone had noticed until a call rang.
    #[must_use]
    pub fn after_detection(&self, agent: &Returned) -> Option<Duration> {
        let noticed = [Some(self.server), agent.desktop, agent.phone].into_iter().flatten().max()?;
        Some(agent.called?.saturating_sub(noticed))
    }
}

/// The share `percent` of the sorted figures is at most this.
#[must_use]
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, sorted: &[Duration]| {
            if sorted.is_empty() {
                return writeln!(f, "| {name} | none | | |");
            }
            let [p50, p95, max] = [50, 95, 100].map(|percent| percentile(sorted, percent).as_secs_f64());
            writeln!(f, "| {name} | {p50:.2} | {p95:.2} | {max:.2} |")
        };
        let (all, back) = (self.agents.len(), self.back());
        writeln!(
            f,
            "{all} agents at A, {} logged in; phones {:?}: {back} are back",
            self.before, self.plan.phones
        )?;
        writeln!(f, "| s | p50 | p95 | max |\n|---|---|---|---|")?;
        line(f, "server: single-site", &[self.server])?;
        line(f, "desktop: goes to B", &self.sorted(|agent| agent.desktop))?;
        line(f, "phone: A is silent", &self.sorted(|agent| agent.phone))?;
        line(f, "phone: in service at B", &self.sorted(|agent| agent.registered))?;
        line(f, "logged in at B", &self.sorted(|agent| agent.login))?;
        line(f, "called at B", &self.sorted(|agent| agent.called))?;
        line(
            f,
            "called, after the last of the three had noticed",
            &self.sorted(|agent| self.after_detection(agent)),
        )
    }
}
