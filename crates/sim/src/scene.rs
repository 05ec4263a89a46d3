//! What makes a scenario short: devices in one line, calls by number, and questions that explain themselves when the
//! answer is wrong.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tandem_switch::FloorCounts;

use crate::net::Refusal;
use crate::oracle::{Invariant, Violation, leak};
use crate::sim::{Failure, Sim, UaId};
use crate::sites::{Setup, SiteId, gateway_addr};
use crate::time::{At, secs};
use crate::ua::offer::Direction;
use crate::ua::{Leg, OnCall, Phase, Profile, Registers, Role};

/// A simulated call by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u32);

/// A device that is being described.
#[derive(Debug)]
pub struct Describe<'a> {
    sim: &'a mut Sim,
    profile: Profile,
}

impl Describe<'_> {
    /// It registers with this site only.
    #[must_use]
    pub fn registers_at(mut self, site: SiteId) -> Self {
        self.profile.registers = Registers::Single;
        self.profile.sites = vec![site.addr()];
        self
    }

    /// It registers with the first site, or with the other when that is silent.
    #[must_use]
    pub fn single(mut self, first: SiteId) -> Self {
        self.profile.registers = Registers::Single;
        self.profile.sites = vec![first.addr(), first.other().addr()];
        self
    }

    /// It registers with both sites and prefers the first.
    #[must_use]
    pub fn dual(mut self, preferred: SiteId) -> Self {
        self = self.single(preferred);
        self.profile.registers = Registers::Dual;
        self
    }

    /// It registers with the other site only while the first is silent.
    #[must_use]
    pub fn active_backup(mut self, primary: SiteId) -> Self {
        self = self.single(primary);
        self.profile.registers = Registers::ActiveBackup;
        self
    }

    /// It finds its sites by DNS SRV: those of the lowest priority first (RFC 2782), the next when they are silent.
    #[must_use]
    pub fn finds_by_srv(mut self, records: &[(u16, SiteId)]) -> Self {
        let mut records = records.to_vec();
        records.sort_by_key(|(priority, _)| *priority);
        self.profile.sites = records.iter().map(|(_, site)| site.addr()).collect();
        self
    }

    /// It answers calls after ringing so long.
    #[must_use]
    pub fn answers_after(mut self, after: Duration) -> Self {
        self.profile.on_call = OnCall::Answer { after };
        self
    }

    /// It refuses calls at once.
    #[must_use]
    pub fn refuses(mut self, code: u16) -> Self {
        self.profile.on_call = OnCall::Refuse { code, after: Duration::ZERO };
        self
    }

    /// It rings until somebody else ends the call.
    #[must_use]
    pub fn rings_on(mut self) -> Self {
        self.profile.on_call = OnCall::RingOn;
        self
    }

    /// It hangs up after talking so long.
    #[must_use]
    pub fn talks(mut self, time: Duration) -> Self {
        self.profile.talks = Some(time);
        self
    }

    /// Anything else.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Profile)) -> Self {
        change(&mut self.profile);
        self
    }

    /// The description alone, for [`Sim::add`] later.
    #[must_use]
    pub fn switched_off(self) -> Profile {
        self.profile
    }

    /// Switches it on.
    pub fn on(self) -> UaId {
        self.sim.add(self.profile)
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("seed", &self.seed).field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Sim {
    /// Two peered sites, A and B, with the extensions 1001 to 1020 and two gateways' trunks.
    #[must_use]
    pub fn two_sites(seed: u64) -> Self {
        Self::new(seed, Setup::default())
    }

    /// One site alone.
    #[must_use]
    pub fn one_site(seed: u64) -> Self {
        Self::new(seed, Setup { sites: 1, ..Setup::default() })
    }

    fn site_addrs(&self) -> Vec<SocketAddr> {
        self.sites.iter().map(|site| site.id.addr()).collect()
    }

    /// Describes a phone.
    pub fn phone(&mut self, number: &str) -> Describe<'_> {
        let place = u16::try_from(self.uas.len() + 1).unwrap_or(u16::MAX);
        let [high, low] = place.to_be_bytes();
        let addr = SocketAddr::from(([10, 1, high, low], 5060));
        let mut profile = Profile::phone(number, addr, self.site_addrs());
        let twins = self.uas.iter().filter(|ua| ua.profile.number == number).count();
        if twins > 0 {
            profile.name = format!("{number}#{}", twins + 1);
        }
        Describe { sim: self, profile }
    }

    /// Describes the nth gateway of the setup.
    pub fn gateway(&mut self, n: u8) -> Describe<'_> {
        let profile = Profile::gateway(&format!("gw{n}"), gateway_addr(n), self.site_addrs());
        Describe { sim: self, profile }
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If an oracle finds a rule broken.
    pub fn run_for(&mut self, time: Duration) {
        let ran = self.try_run_for(time);
        assert!(ran.is_ok(), "{}", explain(ran.err()));
    }

    /// Lets time pass until something is true.
    ///
    /// # Panics
    /// If it is not within the limit, or if an oracle finds a rule broken.
    pub fn run_until(&mut self, limit: Duration, what: &str, done: impl FnMut(&Self) -> bool) {
        let ran = self.try_run_until(limit, done);
        match ran {
            Ok(true) => {}
            Ok(false) => self.fail(&format!("not within {limit:?}: {what}")),
            Err(failure) => self.fail(&failure.violation.text),
        }
    }

    fn fail(&self, why: &str) {
        let trace: Vec<&str> = self.trace.last().collect();
        assert!(trace.is_empty() && why.is_empty(), "{}\n{why} (seed {})", trace.join("\n"), self.seed);
    }

    /// Asks whether something is true.
    ///
    /// # Panics
    /// If it is not.
    pub fn expect(&self, truth: bool, what: &str) {
        if !truth {
            self.fail(&format!("at {}: expected: {what}", self.now()));
        }
    }

    /// A device calls a number.
    pub fn call(&mut self, caller: UaId, number: &str) -> CallId {
        let (label, now) = (self.next_label, self.now());
        self.next_label += 1;
        if let Some(ua) = self.uas.get_mut(caller.0) {
            ua.call(number, label, now);
        }
        self.drain_ua(caller);
        CallId(label)
    }

    /// A device calls a number, and the call is answered.
    ///
    /// # Panics
    /// If it is not within 10 s.
    pub fn call_answered(&mut self, caller: UaId, number: &str) -> CallId {
        let call = self.call(caller, number);
        self.run_until(secs(10), "the call is answered", |sim| sim.is_talking(call));
        call
    }

    /// Every leg of a call, with its device.
    pub fn legs(&self, call: CallId) -> impl Iterator<Item = (UaId, &Leg)> {
        let uas = (0..).map(UaId).zip(&self.uas);
        uas.flat_map(move |(id, ua)| {
            ua.legs().filter(move |leg| leg.mark.label == call.0).map(move |leg| (id, leg))
        })
    }

    /// The caller's last leg: what the person at the phone sees.
    #[must_use]
    pub fn caller_leg(&self, call: CallId) -> Option<&Leg> {
        self.legs(call).map(|(_, leg)| leg).filter(|leg| leg.role == Role::Caller).last()
    }

    /// The leg at this device, the newest if there are several.
    #[must_use]
    pub fn leg_at(&self, ua: UaId, call: CallId) -> Option<&Leg> {
        self.legs(call).filter(|(id, _)| *id == ua).map(|(_, leg)| leg).last()
    }

    /// Whether caller and exactly one callee talk.
    #[must_use]
    pub fn is_talking(&self, call: CallId) -> bool {
        let callees = self.legs(call).filter(|(_, leg)| leg.role == Role::Callee);
        let talking = callees.filter(|(_, leg)| leg.phase == Phase::Talking).count();
        talking == 1 && self.caller_leg(call).is_some_and(|leg| leg.phase == Phase::Talking)
    }

    /// Whether a device rings with this call.
    #[must_use]
    pub fn rings(&self, ua: UaId, call: CallId) -> bool {
        let mut legs = self.legs(call).filter(|(id, leg)| *id == ua && leg.role == Role::Callee);
        legs.any(|(_, leg)| leg.phase == Phase::Ringing)
    }

    /// Whether a device was ever offered this call.
    #[must_use]
    pub fn was_offered(&self, ua: UaId, call: CallId) -> bool {
        self.legs(call).any(|(id, leg)| id == ua && leg.role == Role::Callee)
    }

    /// Whether every leg of the call is over.
    #[must_use]
    pub fn is_over(&self, call: CallId) -> bool {
        self.legs(call).all(|(_, leg)| leg.is_over())
    }

    /// Final status that the caller saw: 0 when nobody answered, `None` while it lasts.
    #[must_use]
    pub fn result(&self, call: CallId) -> Option<u16> {
        let end = self.caller_leg(call)?.end?;
        Some(end.code)
    }

    /// A person hangs up whatever his device has: a conversation, a call that rings, one that he makes.
    pub fn hang_up_all(&mut self, ua: UaId) {
        let now = self.now();
        let Some(device) = self.uas.get_mut(ua.0) else { return };
        let ids: Vec<u64> = device.legs().filter(|leg| !leg.is_over()).map(|leg| leg.id).collect();
        ids.into_iter().for_each(|id| device.hang_up(id, now));
        self.drain_ua(ua);
    }

    /// A device hangs up, whatever the phase of the call.
    pub fn hang_up(&mut self, ua: UaId, call: CallId) {
        let now = self.now();
        let ids: Vec<u64> =
            self.legs(call).filter(|(id, leg)| *id == ua && !leg.is_over()).map(|(_, l)| l.id).collect();
        if let Some(ua) = self.uas.get_mut(ua.0) {
            ids.into_iter().for_each(|id| ua.hang_up(id, now));
        }
        self.drain_ua(ua);
    }

    /// A device puts the other side on hold, or takes it back.
    pub fn hold(&mut self, ua: UaId, call: CallId, direction: Direction) {
        self.within(ua, call, |ua, leg, now| ua.reinvite(leg, direction, now));
    }

    /// A device sends a request within the dialog.
    pub fn send_within(&mut self, ua: UaId, call: CallId, method: &str) {
        self.within(ua, call, |ua, leg, now| ua.send_within(leg, method, now));
    }

    /// A device transfers the call to a number by REFER; it may hang up at once.
    pub fn refer(&mut self, ua: UaId, call: CallId, number: &str, hangs_up: bool) {
        self.within(ua, call, |ua, leg, now| ua.refer(leg, number, hangs_up, now));
    }

    /// The same, and the device hangs up when it hears that somebody has come; whom it consulted in another call comes at
    /// once.
    pub fn transfer(&mut self, ua: UaId, call: CallId, number: &str, consulted: Option<CallId>) {
        let other = consulted.and_then(|other| self.leg_at(ua, other)).map(|leg| leg.id);
        self.within(ua, call, |ua, leg, now| ua.transfer(leg, number, other, now));
    }

    /// A device subscribes to an event of a number.
    pub fn subscribe(&mut self, id: UaId, event: &'static str, number: &str) {
        self.at_ua(id, |ua, now| ua.subscribe(event, number, now));
    }

    /// A device does something.
    pub fn at_ua(&mut self, id: UaId, act: impl FnOnce(&mut crate::ua::Ua, At)) {
        let now = self.now();
        if let Some(ua) = self.uas.get_mut(id.0) {
            act(ua, now);
        }
        self.drain_ua(id);
    }

    fn within(&mut self, id: UaId, call: CallId, act: impl FnOnce(&mut crate::ua::Ua, u64, At)) {
        let now = self.now();
        let leg = self.leg_at(id, call).map(|leg| leg.id);
        if let (Some(ua), Some(leg)) = (self.uas.get_mut(id.0), leg) {
            act(ua, leg, now);
        }
        self.drain_ua(id);
    }

    /// A device takes its registration away from a site.
    pub fn unregister(&mut self, id: UaId, site: SiteId) {
        let now = self.now();
        if let Some(ua) = self.uas.get_mut(id.0) {
            ua.unregister(site.addr(), now);
        }
        self.drain_ua(id);
    }

    /// A device refreshes its registrations, whether it is time or not.
    pub fn register_again(&mut self, id: UaId) {
        let now = self.now();
        if let Some(ua) = self.uas.get_mut(id.0) {
            ua.register_again(now);
        }
        self.drain_ua(id);
    }

    /// The device itself.
    #[must_use]
    pub fn ua(&self, id: UaId) -> Option<&crate::ua::Ua> {
        self.uas.get(id.0)
    }

    /// Changes what a device is like.
    pub fn change(&mut self, id: UaId, change: impl FnOnce(&mut Profile)) {
        if let Some(ua) = self.uas.get_mut(id.0) {
            change(&mut ua.profile);
        }
    }

    /// Address of a device as the network sees it.
    #[must_use]
    pub fn ip(&self, id: UaId) -> IpAddr {
        self.uas.get(id.0).map_or(IpAddr::from([0, 0, 0, 0]), |ua| ua.profile.addr.ip())
    }

    /// Whether the device believes that it is registered there.
    #[must_use]
    pub fn registered(&self, id: UaId, site: SiteId) -> bool {
        self.uas.get(id.0).is_some_and(|ua| ua.is_registered_at(site.addr(), self.now()))
    }

    /// A device loses its power.
    pub fn power_off(&mut self, id: UaId) {
        self.net.take_down(self.ip(id), Refusal::Blackhole);
        if let Some(ua) = self.uas.get_mut(id.0) {
            self.oracles.failed(ua.profile.addr, "a party lost its power");
            ua.reboot(At::START + secs(u64::from(u32::MAX)));
        }
        self.note(&format!("device {} loses its power", id.0));
    }

    /// A device gets its power back.
    pub fn power_on(&mut self, id: UaId) {
        let now = self.now();
        self.net.bring_up(self.ip(id));
        if let Some(ua) = self.uas.get_mut(id.0) {
            ua.reboot(now);
        }
        self.drain_ua(id);
    }

    /// The link between the sites is cut.
    pub fn cut_link(&mut self, how: Refusal) {
        let (a, b) = (crate::A.addr().ip(), crate::B.addr().ip());
        self.net.cut(&[a], &[b], how);
        self.note("the link between the sites is cut");
    }

    /// Every cut is repaired.
    pub fn heal(&mut self) {
        self.net.heal();
        self.note("the network is whole again");
    }

    /// Everybody hangs up, everything is repaired, and after a while nothing may be left.
    ///
    /// # Errors
    /// The first rule that was broken, or what is left.
    pub fn try_settle(&mut self) -> Result<(), Box<Failure>> {
        self.note("everybody hangs up");
        let now = self.now();
        for id in (0..self.uas.len()).map(UaId) {
            if let Some(ua) = self.uas.get_mut(id.0) {
                let open: Vec<u64> = ua.legs().filter(|leg| !leg.is_over()).map(|leg| leg.id).collect();
                open.into_iter().for_each(|leg| ua.hang_up(leg, now));
            }
            self.drain_ua(id);
        }
        self.try_run_for(leak::QUIET)?;
        match self.left_over() {
            None => Ok(()),
            Some(text) => {
                let violation = Violation { at: self.now(), rule: Invariant::NothingStuck, text };
                Err(Box::new(self.failure(violation)))
            }
        }
    }

    /// Everybody hangs up, and after a while nothing may be left.
    ///
    /// # Panics
    /// If something is.
    pub fn settle(&mut self) {
        let settled = self.try_settle();
        assert!(settled.is_ok(), "{}", explain(settled.err()));
    }

    fn left_over(&self) -> Option<String> {
        // A refresh every 45 s, challenged at worst; each transaction lives 32 s.
        let registrations = self.uas.len() * 2;
        for site in &self.sites {
            let Some(node) = site.node() else { continue };
            let now = site.clock(self.now());
            let calls = node.call_list(now);
            let found = leak::check(&node.status(now), calls.len(), &self.setup, registrations);
            if let Some(text) = found.into_iter().next() {
                return Some(format!("{text}: {calls:?}"));
            }
            let counts = node.floor_counts();
            if counts != FloorCounts::default() {
                return Some(format!("{}: the floor holds {counts:?}", site.id.name()));
            }
            if let Some(text) = self.oracles.floor_left_over(site.id) {
                return Some(format!("{}: {text}", site.id.name()));
            }
        }
        // A phone cannot end a call with a server that is dead: nobody answers its BYE.
        let answerable = |leg: &Leg| self.net.refusal_of(leg.site.ip()).is_none();
        let stuck = |leg: &&Leg| !leg.is_over() && answerable(leg);
        let stuck = self.uas.iter().find_map(|ua| ua.legs().find(stuck).map(|leg| (ua, leg)));
        stuck.map(|(ua, leg)| format!("{} is stuck in {} ({:?})", ua.profile.name, leg.mark, leg.phase))
    }
}

fn explain(failure: Option<Box<Failure>>) -> String {
    failure.map(|failure| failure.to_string()).unwrap_or_default()
}
