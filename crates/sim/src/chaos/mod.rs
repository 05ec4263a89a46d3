//! Random calls and random faults, then peace, then a look for what is left.

mod failover;
mod faults;
mod floor;
mod manners;
pub mod many;
pub mod only;
pub mod plan;
pub mod report;
pub mod shrink;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tandem_peer::DrForward;
use tandem_peer::failure::Control;

pub use plan::Plan;
use shrink::Played;

use crate::desktop::DeskId;
use crate::dice::Dice;
use crate::net::nat::Nat;
use crate::net::{Refusal, Weather};
use crate::oracle::Invariant;
use crate::scene::CallId;
use crate::sim::{Failure, Sim, UaId};
use crate::sites::{A, B, Setup};
use crate::time::{At, ms, secs};
use crate::ua::offer::Direction;
use crate::ua::{Manners, OnCall, Phase, Profile, Registers};

/// What a run was like.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// Calls that were tried.
    pub calls: u32,
    /// Calls that were answered.
    pub answered: usize,
    /// Faults that were made.
    pub faults: u32,
    /// Overlaps of a forward and a local ring that lost messages caused.
    pub overlaps: u64,
    /// How often a site thought otherwise of why its peer was lost.
    pub ratings: usize,
    /// Lines of the trace.
    pub lines: u64,
    /// Hash of the trace.
    pub hash: u64,
}

/// A run that broke a rule.
#[derive(Clone, Debug)]
pub struct Broke {
    /// What it broke, with what led to it.
    pub failure: Failure,
    /// What had been played by then.
    pub played: Played,
}

/// One run.
pub struct Chaos {
    sim: Sim,
    /// Of the act that is on.
    dice: Dice,
    plan: Plan,
    played: Played,
    phones: Vec<UaId>,
    gateways: Vec<UaId>,
    desks: Vec<DeskId>,
    /// Who does not take part.
    absent: BTreeSet<UaId>,
    calls: Vec<(UaId, CallId)>,
    faults: u32,
    /// A phone without power forgets its calls; two of them in one call would leave it to nobody.
    power_cut: bool,
}

/// Carries out a plan: calls and faults, then peace.
///
/// # Errors
/// The first rule that was broken, with what led to it.
pub fn run(plan: &Plan, print: bool) -> Result<Summary, Box<Failure>> {
    play(plan, print).map_err(|broke| Box::new(broke.failure))
}

/// The same, and what was played by the time a rule broke.
///
/// # Errors
/// The first rule that was broken.
pub fn play(plan: &Plan, print: bool) -> Result<Summary, Box<Broke>> {
    let mut chaos = Chaos::new(plan, print);
    let kept = chaos.all_of_it();
    match kept {
        Ok(()) => Ok(chaos.summary()),
        Err(failure) => Err(Box::new(Broke { failure: *failure, played: chaos.played })),
    }
}

impl Chaos {
    fn new(plan: &Plan, print: bool) -> Self {
        let mut dice = Dice::new(plan.seed, "chaos");
        let mut setup = setup(&mut dice, plan.floor);
        setup.failure_signals = plan.signals.unwrap_or_default();
        setup.broken = plan.broken;
        setup.pairs = [A].into_iter().filter(|_| plan.pairs).collect();
        if plan.broken == Some(Invariant::NothingStuck) {
            // A server that is deaf to hang-ups would still learn by its session timers that a call is over.
            setup.session_interval = secs(86_400);
        }
        let mut sim = Sim::new(plan.seed, setup);
        if print {
            sim.trace.print();
        }
        sim.net.weather = Weather { jitter: dice.between(ms(0), ms(20)), ..Weather::default() };
        skew_clocks(&mut sim, &mut dice);
        if plan.pairs {
            sim.pair_mut(A).patience = failover::PATIENCE;
        }
        let mut chaos = Self {
            sim,
            dice,
            plan: plan.clone(),
            played: Played::default(),
            phones: Vec::new(),
            gateways: Vec::new(),
            desks: Vec::new(),
            absent: BTreeSet::new(),
            calls: Vec::new(),
            faults: 0,
            power_cut: false,
        };
        chaos.add_devices();
        chaos.add_desktops();
        chaos
    }

    fn all_of_it(&mut self) -> Result<(), Box<Failure>> {
        let end = At::START + self.plan.lasts;
        let mut pauses = Dice::new(self.plan.seed, "pauses");
        self.sim.try_run_for(secs(8))?;
        while self.sim.now() < end {
            self.sim.try_run_for(pauses.between(ms(50), ms(2500)))?;
            self.tell_control();
            self.played.acts += 1;
            if self.plan.acts.has(self.played.acts) {
                self.dice = Dice::new(self.plan.seed, &format!("act {}", self.played.acts));
                self.sim.note(&format!("act {}", self.played.acts));
                self.act();
            }
        }
        self.make_peace();
        self.sim.try_run_for(secs(45))?;
        self.sim.try_settle()
    }

    /// Sites hear anything at all of each other's administration interface.
    fn tell_control(&mut self) {
        if self.plan.signals.is_some() {
            let mut dice = Dice::new(self.plan.seed, &format!("control {}", self.played.acts));
            for site in [A, B] {
                let said = dice.pick(&[Control::Answers, Control::Ailing, Control::Silent]).copied();
                self.sim.hear_control(site, said.unwrap_or(Control::Silent));
            }
        }
    }

    /// The next of the cast, whose character is its own; whether it takes part.
    fn enters(&mut self) -> bool {
        self.played.cast += 1;
        self.dice = Dice::new(self.plan.seed, &format!("cast {}", self.played.cast));
        self.plan.cast.has(self.played.cast)
    }

    /// A device, switched off if it does not take part.
    fn place(&mut self, profile: Profile, takes_part: bool) -> UaId {
        let id = self.sim.add(Profile { registers: Registers::Never, ..profile.clone() });
        if takes_part {
            self.sim.change(id, |off| *off = profile);
            self.sim.power_on(id);
        } else {
            self.sim.power_off(id);
            self.absent.insert(id);
        }
        id
    }

    fn add_devices(&mut self) {
        for number in ["1001", "1002", "1003", "1004", "1005", "1006", "1007", "1001", "1002"] {
            let takes_part = self.enters();
            let first = if self.dice.chance(500) { A } else { B };
            let registers = [Registers::Single, Registers::Dual, Registers::ActiveBackup];
            let registers = *self.dice.pick(&registers).unwrap_or(&Registers::Dual);
            let character = self.character();
            let phone = self.sim.phone(number).single(first).with(|p| p.registers = registers);
            let phone = phone.with(character).switched_off();
            let phone = self.place(phone, takes_part);
            self.phones.push(phone);
        }
        self.add_hidden_phone();
        for n in [1, 2] {
            let takes_part = self.enters();
            let character = self.character();
            let gateway = self.sim.gateway(n).with(character).switched_off();
            let gateway = self.place(gateway, takes_part);
            self.gateways.push(gateway);
        }
    }

    /// A phone behind a NAT, whose mapping its refreshes keep open.
    fn add_hidden_phone(&mut self) {
        let addr = SocketAddr::from(([192, 168, 7, 2], 5060));
        let public = IpAddr::from([203, 0, 113, 7]);
        self.sim.net.nats.push(Nat::new(public, vec![addr.ip()], secs(60)));
        let takes_part = self.enters();
        let character = self.character();
        let phone = self.sim.phone("1008").dual(A).with(character).with(|p| p.addr = addr).switched_off();
        let phone = self.place(phone, takes_part);
        self.phones.push(phone);
    }

    fn character(&mut self) -> impl FnOnce(&mut Profile) + use<> {
        let after = self.dice.between(ms(0), secs(6));
        let refusals = [486, 480, 404, 503, 500, 600, 603];
        let code = *self.dice.pick(&refusals).unwrap_or(&486);
        let on_call = match self.dice.below(10) {
            0 => OnCall::RingOn,
            1 | 2 => OnCall::Refuse { code, after },
            _ => OnCall::Answer { after },
        };
        let talks = self.dice.chance(600).then(|| self.dice.between(secs(1), secs(25)));
        let (early_media, delayed_offer) = (self.dice.chance(200), self.dice.chance(200));
        let tcp = self.dice.chance(150);
        let padding = if self.dice.chance(100) { 25 } else { 0 };
        let follows_redirect = !self.dice.chance(50);
        move |profile| {
            profile.on_call = on_call;
            profile.talks = talks;
            (profile.early_media, profile.delayed_offer) = (early_media, delayed_offer);
            (profile.tcp, profile.padding, profile.follows_redirect) = (tcp, padding, follows_redirect);
        }
    }

    fn act(&mut self) {
        if !self.desks.is_empty() && self.dice.chance(550) {
            return self.act_at_desks();
        }
        match self.dice.below(100) {
            0..45 => self.call(),
            45..60 => self.hang_up(),
            60..68 => self.hold(),
            68..71 => self.send_within(),
            71..73 => self.refer(),
            73..80 => self.recast(),
            _ => self.break_something(),
        }
    }

    fn call(&mut self) {
        let from_outside = self.dice.chance(400);
        let callers = if from_outside { &self.gateways } else { &self.phones };
        let Some(caller) = self.dice.pick(callers).copied() else { return };
        let numbers = ["1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "1010", "4711"];
        let waits = self.sim.setup.floor.is_some() && self.dice.chance(500);
        let outside = !waits && !from_outside && self.dice.chance(200);
        let queues = ["7000", "7001", "7900"];
        let queue = self.dice.pick(&queues).copied().filter(|_| waits);
        let number = if let Some(queue) = queue {
            queue
        } else if outside {
            "95550100"
        } else {
            self.dice.pick(&numbers).copied().unwrap_or("1001")
        };
        self.calls(caller, number);
    }

    fn calls(&mut self, caller: UaId, number: &str) {
        // A phone that calls itself and loses its power would leave both ends of the call to nobody.
        let own = self.sim.ua(caller).is_some_and(|ua| ua.profile.number == number);
        if own || self.absent.contains(&caller) {
            return;
        }
        let call = self.sim.call(caller, number);
        self.calls.push((caller, call));
    }

    fn talking(&mut self) -> Option<(UaId, CallId)> {
        let mut open = Vec::new();
        for (_, call) in self.calls.iter().rev().take(20) {
            let legs = self.sim.legs(*call).filter(|(_, leg)| leg.phase == Phase::Talking);
            open.extend(legs.map(|(ua, _)| (ua, *call)));
        }
        self.dice.pick(&open).copied()
    }

    fn hang_up(&mut self) {
        let mut open = Vec::new();
        for (_, call) in self.calls.iter().rev().take(20) {
            let legs = self.sim.legs(*call).filter(|(_, leg)| !leg.is_over());
            open.extend(legs.map(|(ua, _)| (ua, *call)));
        }
        if let Some((ua, call)) = self.dice.pick(&open).copied() {
            self.sim.hang_up(ua, call);
        }
    }

    fn hold(&mut self) {
        let direction = if self.dice.chance(500) { Direction::SendOnly } else { Direction::SendRecv };
        if let Some((ua, call)) = self.talking() {
            self.sim.hold(ua, call, direction);
        }
    }

    fn send_within(&mut self) {
        let methods = ["UPDATE", "INFO", "OPTIONS", "MESSAGE", "NOTIFY"];
        let method = self.dice.pick(&methods).copied().unwrap_or("INFO");
        if let Some((ua, call)) = self.talking() {
            self.sim.send_within(ua, call, method);
        }
    }

    /// A device transfers its call by REFER.
    fn refer(&mut self) {
        let numbers = ["1001", "1002", "1003", "1004", "1005", "1006", "1007", "1008", "4711"];
        let number = self.dice.pick(&numbers).copied().unwrap_or("1001");
        let hangs_up = self.dice.chance(600);
        if let Some((ua, call)) = self.talking() {
            self.sim.refer(ua, call, number, hangs_up);
        }
    }

    /// A device changes its mind about calls.
    fn recast(&mut self) {
        let Some(phone) = self.dice.pick(&self.phones).copied() else { return };
        let tcp = self.sim.ua(phone).is_some_and(|ua| ua.profile.tcp);
        let character = self.character();
        self.sim.change(phone, character);
        self.sim.change(phone, |profile| profile.tcp = tcp);
    }

    fn make_peace(&mut self) {
        self.sim.note("peace");
        self.sim.heal();
        self.sim.net.weather = Weather::default();
        if self.plan.pairs {
            self.sim.mend_pair(A);
        }
        for site in [A, B] {
            self.sim.thaw(site);
            self.sim.restart(site);
            self.call_off_orders(site);
            if let Some(site) = self.sim.site_mut(site) {
                site.commit_delay = Duration::ZERO;
                site.dies_at_store = false;
            }
        }
        for device in self.phones.iter().chain(&self.gateways) {
            self.sim.change(*device, |profile| {
                profile.manners = Manners::default();
                // A queue offers a call for as long as agents are ready who refuse it.
                if matches!(profile.on_call, OnCall::Refuse { .. }) {
                    profile.on_call = OnCall::Answer { after: ms(500) };
                }
            });
        }
        for phone in self.phones.clone() {
            if !self.absent.contains(&phone) && self.sim.net.refusal_of(self.sim.ip(phone)).is_some() {
                self.sim.power_on(phone);
            }
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            seed: self.sim.seed,
            calls: self.sim.next_label - 1,
            answered: self.calls.iter().filter(|(_, call)| self.sim.result(*call) == Some(200)).count(),
            faults: self.faults,
            overlaps: self.sim.oracles.overlaps(),
            ratings: [A, B].iter().map(|site| self.sim.ratings(*site).len()).sum(),
            lines: self.sim.trace.lines(),
            hash: self.sim.trace.hash(),
        }
    }
}

/// Each site has a clock of its own: hours off, and faster or slower than the world's by up to half a percent.
fn skew_clocks(sim: &mut Sim, dice: &mut Dice) {
    for site in [A, B] {
        let off = i64::try_from(dice.below(7_200_000)).unwrap_or(0) - 3_600_000;
        let ppm = i32::try_from(dice.below(10_001)).unwrap_or(0) - 5_000;
        let (is_off, drifts) = (dice.chance(300), dice.chance(300));
        if let Some(site) = sim.site_mut(site) {
            site.skew_ms = if is_off { off } else { 0 };
            site.drift_ppm = if drifts { ppm } else { 0 };
        }
    }
}

fn setup(dice: &mut Dice, with_floor: bool) -> Setup {
    let forwards = [DrForward::Off, DrForward::Oos, DrForward::Oos, DrForward::NoAgent];
    let dn_forward = dice.pick(&forwards).map(|forward| ("1003".to_owned(), *forward));
    let setup = Setup {
        dn_forward: dn_forward.into_iter().collect(),
        oos_check_s: u16::try_from(2 + dice.below(7)).unwrap_or(5),
        oos_force_s: u16::try_from(1 + dice.below(4)).unwrap_or(2),
        dialog_audit_timeout: dice.between(secs(2), secs(12)),
        max_calls: if dice.chance(150) { 3 } else { 1_000 },
        dr_forward: *dice.pick(&forwards).unwrap_or(&DrForward::Oos),
        redirect: dice.chance(500),
        challenge_calls: dice.chance(500),
        ring_timeout: dice.between(secs(10), secs(40)),
        ..Setup::default()
    };
    let setup = Setup { session_interval: setup.ring_timeout * 3, ..setup };
    if with_floor { floor::setup(dice, setup) } else { setup }
}

fn refusal(dice: &mut Dice) -> Refusal {
    if dice.chance(500) { Refusal::Blackhole } else { Refusal::Refused }
}
