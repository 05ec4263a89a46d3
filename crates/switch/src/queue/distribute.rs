//! Who takes which call.
//!
//! After every change, no available agent and waiting call are left that may come together. The most urgent call is
//! served first, and it gets the best agent: so it is enough to look for an agent when a call begins to wait, and for a
//! call when an agent becomes available.

use super::history::{AgentStep, CallStep, Considered, Instead};
use super::idle::Agent;
use super::line::{Class, Line, Seat};
use super::timers::Timer;
use super::waiting::Call;
use super::{Desk, Queues, Wish};
use crate::limits::MAX_CONSIDERED;
use crate::time::Deadline;

impl Queues {
    fn class(&self, call: &Call) -> Option<(&Line, &Class)> {
        let line = self.lines.get(call.line)?;
        Some((line, line.classes.get(call.class)?))
    }

    /// The available agent who takes this call. Who failed it comes last, and not before his pause is over.
    pub(super) fn best_agent(&self, call: &Call, now_unix_ms: u64) -> Option<Seat> {
        let (line, class) = self.class(call)?;
        if call.failed.is_empty() {
            return class.idle.first().copied();
        }
        let dn = |seat: &Seat| self.agents.get(seat.slot).map(|agent| &*agent.dn);
        let fresh = class.idle.iter().find(|seat| dn(seat).is_some_and(|dn| call.failed_by(dn).is_none()));
        let rested = || {
            let rested = call.failed.iter().filter(|failed| failed.until_unix_ms <= now_unix_ms);
            let seats = rested.filter_map(|failed| {
                let slot = *self.by_dn.get(&failed.dn)?;
                let seat = line.seat(class, self.agents.get(slot)?, slot)?;
                class.idle.get(&seat).copied()
            });
            seats.min()
        };
        fresh.copied().or_else(rested)
    }

    /// The waiting call that this agent takes. At most the calls that he failed a moment ago are passed over.
    fn best_call(&self, agent: &Agent, now_unix_ms: u64) -> Option<u64> {
        let mut best = None;
        for line in agent.serves.iter().filter_map(|line| self.lines.get(*line)) {
            if line.order.is_empty() {
                continue;
            }
            for class in &line.classes {
                if class.waiting.is_empty() || agent.lacks(&class.wanted).is_some() {
                    continue;
                }
                let mut open = class.waiting.iter().filter(|rank| {
                    let failed = self.calls.get(&rank.conn).and_then(|call| call.failed_by(&agent.dn));
                    failed.is_none_or(|until| until <= now_unix_ms)
                });
                let head = open.next().map(|rank| line.urgency(*rank));
                best = match (best, head) {
                    (Some(best), Some(head)) => Some(head.min(best)),
                    (best, head) => best.or(head),
                };
            }
        }
        best.map(|urgency| urgency.conn())
    }

    /// Looks for an agent for a waiting call.
    pub(super) fn serve_call(&mut self, desk: &mut Desk<'_>, conn: u64) {
        let Some(call) = self.calls.get(&conn).filter(|call| call.offered.is_none()) else { return };
        if let Some(seat) = self.best_agent(call, desk.now.unix_ms) {
            self.offer(desk, conn, seat);
        }
    }

    /// Looks for a call for an available agent.
    pub(super) fn serve_agent(&mut self, desk: &mut Desk<'_>, slot: usize) {
        let Some(agent) = self.agents.get(slot).filter(|agent| agent.is_seated()) else { return };
        let Some(conn) = self.best_call(agent, desk.now.unix_ms) else { return };
        let Some((line, class)) = self.calls.get(&conn).and_then(|call| self.class(call)) else { return };
        if let Some(seat) = line.seat(class, agent, slot) {
            self.offer(desk, conn, seat);
        }
    }

    /// Serves every waiting call, the most urgent first: after a change that concerns everybody.
    pub(super) fn serve_everybody(&mut self, desk: &mut Desk<'_>) {
        let calls = self.lines.iter().flat_map(|(_, line)| line.order.iter().map(|rank| line.urgency(*rank)));
        let mut calls: Vec<_> = calls.collect();
        calls.sort_unstable();
        for urgency in calls {
            self.serve_call(desk, urgency.conn());
        }
    }

    /// Offers the call to the agent on this seat.
    pub(super) fn offer(&mut self, desk: &mut Desk<'_>, conn: u64, seat: Seat) {
        let now = desk.now.unix_ms;
        let others = self.others(conn, seat);
        self.stand(seat.slot);
        let (Some(call), Some(agent)) = (self.calls.get_mut(&conn), self.agents.get_mut(seat.slot)) else {
            return;
        };
        let Some(line) = self.lines.get_mut(call.line) else { return };
        line.stop_waiting(call.class, call.rank);
        line.ringing.insert(call.rank);
        agent.idle = None;
        agent.offer = Some(conn);
        call.offered = Some(agent.dn.clone());
        let patience = Some(Deadline::after(now, agent.no_answer).unix_ms());
        self.timers.set(conn, &mut call.due, Timer::Pause, None);
        self.timers.set(conn, &mut call.due, Timer::NoAnswer, patience);
        let (queue, dn) = (line.rules.number.clone(), agent.dn.clone());
        let idle_since_unix_ms = seat.idle_since_unix_ms;
        agent.steps.note(now, AgentStep::Offered { conn, queue: queue.clone(), idle_since_unix_ms });
        for (slot, other) in &others {
            if let Some(passed) = self.agents.get_mut(*slot) {
                let own = other.why.clone();
                let (queue, dn) = (queue.clone(), dn.clone());
                let step =
                    AgentStep::PassedOver { conn, queue, dn, chosen_since_unix_ms: idle_since_unix_ms, own };
                passed.steps.note(now, step);
            }
        }
        let considered = others.into_iter().map(|(_, other)| other).collect();
        let step = CallStep::Offered {
            queue: queue.clone(),
            dn: dn.clone(),
            level: seat.level.0,
            idle_since_unix_ms,
            considered,
        };
        self.past.note(conn, now, step);
        self.offers.push_back(Wish::Offer { conn, queue, dn });
    }

    /// The next best agents beside the one who gets the call.
    fn others(&self, conn: u64, chosen: Seat) -> Vec<(usize, Considered)> {
        let Some(call) = self.calls.get(&conn) else { return Vec::new() };
        let Some((_, class)) = self.class(call) else { return Vec::new() };
        let others = class.idle.iter().filter(|seat| **seat != chosen).take(MAX_CONSIDERED);
        let others = others.filter_map(|seat| {
            let dn = self.agents.get(seat.slot)?.dn.clone();
            let why = match call.failed_by(&dn) {
                Some(_) => Instead::FailedIt,
                None => Instead::Later { level: seat.level.0, since_unix_ms: seat.idle_since_unix_ms },
            };
            Some((seat.slot, Considered { dn, why }))
        });
        others.collect()
    }

    /// Why the available agents of its queue do not get a call that waits.
    pub(super) fn unfit(&self, call: &Call) -> Box<[Considered]> {
        let Some((line, class)) = self.class(call) else { return Box::default() };
        let seats = line.classes.first().into_iter().flat_map(|everybody| &everybody.idle);
        let unfit = seats.take(MAX_CONSIDERED).filter_map(|seat| {
            let agent = self.agents.get(seat.slot)?;
            let why = match agent.lacks(&class.wanted) {
                Some((skill, wanted)) => {
                    Instead::Lacks { skill: skill.clone(), wanted: *wanted, has: agent.level(skill) }
                }
                None => Instead::FailedIt,
            };
            Some(Considered { dn: agent.dn.clone(), why })
        });
        unfit.collect()
    }
}
