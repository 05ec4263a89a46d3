//! A Trunk DN's targets: the places that its contact leads to (RFC 3263), each with what is believed of it.
//!
//! A contact that is an address has one target for ever, and the trunk is what that target is. One that is a name has as
//! many as the Domain Name System says: each is probed for itself, and the trunk is in service while one of them is.

use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tandem_peer::trunk::{Action, ProbeId, Reason, TrunkHealth, TrunkOptions};
use tandem_sip::Flow;
use tandem_sip::locate::{Candidate, order};

use super::believed::Believed;
use crate::directory::Trunk;
use crate::limits::{MAX_RETRY_AFTER, TARGET_REST_S};
use crate::time::Now;

/// Names a target, and never another one of the same node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetNo(pub u32);

/// One place that a trunk leads to.
#[derive(Debug)]
pub struct Target {
    /// Its name in this node.
    pub no: TargetNo,
    /// Where it is; `None` while the name in the contact has not been located.
    pub at: Option<Candidate>,
    /// What is believed of it.
    pub health: TrunkHealth,
    /// It asked by Retry-After to be left alone until then.
    pub rests_until: Option<Instant>,
}

impl Target {
    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }
}

/// What the node has to do after something was heard of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Send OPTIONS to this target.
    Probe {
        /// Which; of an Extension, its only one.
        target: TargetNo,
        /// Hand it back with the answer.
        probe: ProbeId,
        /// The probe's Max-Forwards.
        max_forwards: u8,
    },
    /// The DN is out of service.
    Out(Reason),
    /// The DN is back in service.
    Back(Reason),
    /// One target of several is out of service; the trunk is what it was.
    TargetOut(Candidate, Reason),
    /// One target of several is back in service; the trunk is what it was.
    TargetBack(Candidate, Reason),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) targets: Vec<Target>,
    /// Since when the trunk as a whole is in or out of service.
    since: Instant,
}

impl Line {
    pub(super) fn new(trunk: &Trunk, no: TargetNo, now: Instant) -> Self {
        let transport = trunk.contact.transport;
        let at =
            trunk.contact.addr.map(|addr| Candidate { transport, addr, priority: 0, weight: 0, record: 0 });
        let health = TrunkHealth::new(trunk.oos, now);
        Self { targets: vec![Target { no, at, health, rests_until: None }], since: now }
    }

    /// Takes what is believed of the line under an older configuration.
    pub(super) fn inherit(&mut self, before: &mut Line, is_same_place: bool) {
        self.since = before.since;
        if is_same_place {
            std::mem::swap(&mut self.targets, &mut before.targets);
        } else if let (Some(target), Some(older)) = (self.targets.first_mut(), before.targets.first_mut()) {
            // Another address under the same name: the DN is the same, and its state says so until it is asked.
            std::mem::swap(&mut target.health, &mut older.health);
        }
    }

    /// Takes what an earlier process believed of the trunk.
    pub(super) fn resume(
        &mut self,
        trunk: &Trunk,
        record: &Believed,
        mut next_no: impl FnMut() -> TargetNo,
        now: Now,
    ) {
        let is_same_place = *record.contact == *trunk.contact.uri;
        let options = Self::options(trunk.oos, if is_same_place { record.places.len() } else { 1 });
        self.since = record.since(now);
        let mut places = record.places.iter();
        for (target, place) in self.targets.iter_mut().zip(places.by_ref()) {
            target.health = TrunkHealth::resumed(options, place.known(now), now.mono);
            if is_same_place {
                target.rests_until = place.rests_until(now);
                target.at = target.at.or(place.at());
            }
        }
        if trunk.contact.resolve.is_some() && is_same_place {
            // Calls can be sent there before the name has been located anew.
            self.targets.extend(places.map(|place| Target {
                no: next_no(),
                at: place.at(),
                health: TrunkHealth::resumed(options, place.known(now), now.mono),
                rests_until: place.rests_until(now),
            }));
        }
    }

    /// The options of each target: one that is not probed rests for a while after a failed call if there are others.
    fn options(options: TrunkOptions, targets: usize) -> TrunkOptions {
        let rests = targets > 1 && !options.is_probed() && options.recovery_timeout_s == 0;
        if rests { TrunkOptions { recovery_timeout_s: TARGET_REST_S, ..options } } else { options }
    }

    /// The configuration changed.
    pub(super) fn options_changed(&mut self, options: TrunkOptions, now: Instant) -> Vec<Consequence> {
        let each = Self::options(options, self.targets.len());
        let places: Vec<TargetNo> = self.targets.iter().map(|target| target.no).collect();
        let changed = |no| self.change(options, no, now, |health| health.options_changed(each, now));
        places.into_iter().filter_map(changed).collect()
    }

    /// The name in the contact leads to these places now. Gives what follows for the trunk as a whole.
    pub(super) fn located(
        &mut self,
        options: TrunkOptions,
        found: &[Candidate],
        mut next_no: impl FnMut() -> TargetNo,
        now: Instant,
    ) -> Option<Consequence> {
        let before = self.in_service(options);
        let each = Self::options(options, found.len());
        let moves = self.targets.len() == 1 && found.len() == 1;
        let mut older = std::mem::take(&mut self.targets);
        for candidate in found {
            let same = |target: &Target| {
                target.at.is_none_or(|at| (at.transport, at.addr) == (candidate.transport, candidate.addr))
            };
            let known =
                older.iter().position(same).or_else(|| moves.then_some(0)).map(|place| older.remove(place));
            let mut target = known.unwrap_or_else(|| Target {
                no: next_no(),
                at: Some(*candidate),
                health: TrunkHealth::new(each, now),
                rests_until: None,
            });
            if target.at.is_none_or(|at| at.addr != candidate.addr) {
                target.health.moved(now);
            }
            target.at = Some(*candidate);
            // What it does to a target is told as part of what it does to the trunk.
            let _ = target.health.options_changed(each, now);
            self.targets.push(target);
        }
        self.turned(options, before, now)
    }

    /// What a change of the trunk as a whole is.
    fn turned(&mut self, options: TrunkOptions, before: bool, now: Instant) -> Option<Consequence> {
        let after = self.in_service(options);
        if before == after {
            return None;
        }
        self.since = now;
        let reason = self.speaks().map_or(Reason::Started, |target| target.health.reason());
        Some(if after { Consequence::Back(reason) } else { Consequence::Out(reason) })
    }

    /// Whether calls may be sent to the trunk: to one of its targets. Where nobody judges targets, one that rests is
    /// better than none.
    pub(super) fn in_service(&self, options: TrunkOptions) -> bool {
        let unjudged = self.targets.len() > 1 && !options.is_probed() && options.recovery_timeout_s == 0;
        unjudged || self.targets.iter().any(|target| target.health.in_service())
    }

    /// Since when it is what it is.
    pub(super) fn since(&self) -> Instant {
        match self.targets.as_slice() {
            [only] => only.health.since(),
            _ => self.since,
        }
    }

    /// The target whose state is that of the trunk: one that is in service, or the one that was lost last.
    pub(super) fn speaks(&self) -> Option<&Target> {
        let serving = |target: &&Target| target.health.in_service();
        let latest = || self.targets.iter().max_by_key(|target| target.health.since());
        self.targets.iter().find(serving).or_else(latest)
    }

    pub(super) fn target(&self, no: TargetNo) -> Option<&Target> {
        self.targets.iter().find(|target| target.no == no)
    }

    /// The target at this end of a flow; a trunk's only target wherever it is.
    pub(super) fn at(&self, flow: Flow) -> Option<TargetNo> {
        let exact = |target: &&Target| target.at.is_some_and(|at| at.addr == flow.remote);
        let found = self.targets.iter().find(exact).or_else(|| match self.targets.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|target| {
                let host = target.at.filter(|at| at.transport.is_reliable()).map(|at| at.addr.ip());
                host == Some(flow.remote.ip())
            }),
        });
        found.map(|target| target.no)
    }

    /// Lets the state machine of a target handle something, and says what follows.
    pub(super) fn change(
        &mut self,
        options: TrunkOptions,
        no: TargetNo,
        now: Instant,
        act: impl FnOnce(&mut TrunkHealth) -> Option<Action>,
    ) -> Option<Consequence> {
        let before = self.in_service(options);
        let target = self.targets.iter_mut().find(|target| target.no == no)?;
        let action = act(&mut target.health)?;
        let at = target.at;
        let whole = self.turned(options, before, now);
        match (action, whole, at) {
            (Action::SendProbe { probe, max_forwards }, ..) => {
                Some(Consequence::Probe { target: no, probe, max_forwards })
            }
            (Action::DnOutOfService(_) | Action::DnBackInService(_), Some(whole), _) => Some(whole),
            (Action::DnOutOfService(reason), None, Some(at)) => Some(Consequence::TargetOut(at, reason)),
            (Action::DnBackInService(reason), None, Some(at)) => Some(Consequence::TargetBack(at, reason)),
            (Action::DnOutOfService(_) | Action::DnBackInService(_), None, None) => None,
        }
    }

    /// A target asked to be left alone for so long.
    pub(super) fn rest(&mut self, no: TargetNo, retry_after: Duration, now: Instant) {
        if let Some(target) = self.targets.iter_mut().find(|target| target.no == no) {
            target.rests_until = Some(now + retry_after.min(MAX_RETRY_AFTER));
        }
    }

    /// Where a call is sent, in this order. Empty: each place that is in service asked to be left alone for now, or none
    /// is known.
    pub(super) fn ways(&self, now: Instant, draw: impl FnMut(u32) -> u32) -> SmallVec<[Candidate; 2]> {
        let awake = || self.targets.iter().filter(|target| !target.rests(now));
        let serving: SmallVec<[Candidate; 2]> =
            awake().filter(|target| target.health.in_service()).filter_map(|target| target.at).collect();
        let usable =
            if serving.is_empty() { awake().filter_map(|target| target.at).collect() } else { serving };
        let places = order(&usable, draw);
        places.into_iter().filter_map(|place| usable.get(usize::from(place)).copied()).collect()
    }

    /// The places that asked to be left alone: a call for help goes there when every other place has been tried.
    pub(super) fn resting(&self, now: Instant) -> impl Iterator<Item = Candidate> {
        self.targets.iter().filter(move |target| target.rests(now)).filter_map(|target| target.at)
    }
}
