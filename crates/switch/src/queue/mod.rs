//! ACD Queues and Routing Points: calls that wait, and whom they are offered to.
//!
//! **Calls** of a queue are served by their own priority, then first come, first served. A call that no available agent
//! fits does not hold up those behind it. A call whose offer came to nothing is where it was before. **Agents** of a
//! queue are those whom it names (`agents`, `groups`), those who named it at their login, and, where it names nobody,
//! those with its `skills`; all of them need the minimum levels in `skills`. An agent of several queues takes the call
//! with the highest priority of its own, then of its queue, then the oldest.
//!
//! **Offers.** From [`Wish::Offer`] on the agent is not available until [`Queues::available`] is called anew; that may
//! happen before [`Queues::offer_failed`], and counts from then on. Who failed a call is not offered it again for
//! [`PAUSE_AFTER_FAILED_MS`](crate::limits::PAUSE_AFTER_FAILED_MS), and then only if nobody else can take it.
//!
//! **Overflow.** A call that has to wait leaves for `overflow` when its queue is full, when nobody is logged in (if the
//! queue says so), after `max-wait`, or when the queue leaves the configuration. A call that rings stays; whether it
//! has to leave is seen when it comes back. A call that overflows to another queue keeps its place: there it is sorted,
//! and its wait is shown, by its arrival at the first queue, while `max-wait` counts anew. The room remembers this by
//! the ConnID until the call comes to the number that it was sent to.

mod adopt;
mod distribute;
mod history;
mod idle;
mod line;
mod points;
mod record;
mod timers;
mod waiting;
mod why;
mod words;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use slab::Slab;
use tandem_peer::replica::Change;

use crate::directory::Directory;
use crate::time::{Deadline, Now};

use history::{CallStep, Histories};
use idle::{Agent, Idle, Rota};
use line::{Line, place_in};
use points::{Parked, Point};
use timers::{Timer, Timers};
use waiting::Call;

pub use record::Place;
pub use words::{Arrival, Candidate, Desk, Explained, OfferEnd, OverflowWhy, View, Wish};

/// See the module.
#[derive(Debug, Default)]
pub struct Queues {
    adopted: bool,
    lines: Slab<Line>,
    by_number: BTreeMap<Arc<str>, usize>,
    points: BTreeMap<Arc<str>, Point>,
    calls: HashMap<u64, Call, RandomState>,
    parked: HashMap<u64, Parked, RandomState>,
    agents: Slab<Agent>,
    by_dn: HashMap<Arc<str>, usize, RandomState>,
    gone_agents: VecDeque<usize>,
    rota: Rota,
    timers: Timers,
    past: Histories,
    wishes: VecDeque<Wish>,
    /// Offers: they are told before other wishes, since they were decided on before those take effect.
    offers: VecDeque<Wish>,
    /// Counts arrivals of calls and of agents.
    seq: u64,
    /// Number of the latest stored place.
    record: u64,
}

impl Queues {
    /// Takes a new configuration.
    pub fn adopt(&mut self, desk: &mut Desk<'_>) {
        self.read(desk);
    }

    /// Takes up the stored place of a call that is still there after a restart; the call, or `None` if `change` is no
    /// place. It is where it was, or leaves at once if its queue says so: restore agents first.
    pub fn restore(&mut self, desk: &mut Desk<'_>, change: &Change) -> Option<u64> {
        self.ready(desk);
        self.take_up(desk, change)
    }

    /// A call comes to a queue or routing point. One that is at another leaves it.
    pub fn arrive(&mut self, desk: &mut Desk<'_>, arrival: Arrival) {
        self.ready(desk);
        self.enter(desk, arrival, None);
    }

    /// The call is gone (abandoned, released, redirected, routed).
    pub fn leave(&mut self, desk: &mut Desk<'_>, conn: u64) {
        self.vacate(desk, conn, true);
    }

    /// The offered agent answered: the call leaves the queue.
    pub fn answered(&mut self, desk: &mut Desk<'_>, conn: u64) {
        self.taken(desk, conn);
    }

    /// The offer came to nothing: the call is back where it was, at the head.
    pub fn offer_failed(&mut self, desk: &mut Desk<'_>, conn: u64, why: OfferEnd) {
        self.returned(desk, conn, why);
    }

    /// How many routing applications have registered a routing point.
    pub fn routers(&mut self, desk: &mut Desk<'_>, point: &str, count: usize) {
        self.ready(desk);
        self.count_routers(desk, point, count);
    }

    /// An agent is logged in; he counts as one of his queues' agents. Also when he is logged in to other queues than
    /// before.
    pub fn agent_in(&mut self, desk: &mut Desk<'_>, agent: Candidate) {
        self.ready(desk);
        let slot = self.log_in(desk, agent);
        self.serve_agent(desk, slot);
    }

    /// He is not any more.
    pub fn agent_out(&mut self, desk: &mut Desk<'_>, dn: &str) {
        for line in self.log_out(dn) {
            self.leave_if_unattended(desk, line);
        }
    }

    /// An agent may be offered calls; he is logged in.
    pub fn available(&mut self, desk: &mut Desk<'_>, agent: Candidate) {
        self.ready(desk);
        let since_unix_ms = agent.idle_since_unix_ms;
        let slot = self.log_in(desk, agent);
        let known = self.agents.get(slot).and_then(|agent| agent.idle);
        if known.is_none_or(|idle| idle.since_unix_ms != since_unix_ms) {
            self.stand(slot);
            self.seq += 1;
            if let Some(agent) = self.agents.get_mut(slot) {
                agent.idle = Some(Idle { since_unix_ms, seq: self.seq });
            }
            self.sit(slot);
        }
        self.serve_agent(desk, slot);
    }

    /// He may not.
    pub fn unavailable(&mut self, _desk: &mut Desk<'_>, dn: &str) {
        let Some(slot) = self.by_dn.get(dn).copied() else { return };
        self.stand(slot);
        if let Some(agent) = self.agents.get_mut(slot) {
            agent.idle = None;
        }
    }

    /// Place of a call in its queue or at its routing point, from 1; `None` if it does not wait. Found quickly near
    /// either end.
    #[must_use]
    pub fn place(&self, conn: u64) -> Option<usize> {
        if let Some(call) = self.calls.get(&conn) {
            return place_in(&self.lines.get(call.line)?.order, &call.rank);
        }
        let parked = self.parked.get(&conn)?;
        place_in(&self.points.get(&parked.place.at)?.order, &parked.turn)
    }

    /// Every queue and routing point, by number.
    #[must_use]
    pub fn list(&self, directory: &Directory, now: Now) -> Vec<View> {
        let floor = directory.floor();
        let queues = floor.queues.iter().map(|queue| &queue.number);
        let points = floor.routing_points.iter().map(|point| &point.number);
        let mut list: Vec<View> = queues.chain(points).map(|number| self.view(number, now)).collect();
        list.sort_by(|a, b| a.number.cmp(&b.number));
        list
    }

    fn view(&self, number: &Arc<str>, now: Now) -> View {
        let line = self.by_number.get(number).and_then(|line| self.lines.get(*line));
        let point = self.points.get(number);
        let oldest = line.and_then(Line::oldest_unix_ms).or_else(|| {
            let first = point.and_then(|point| point.order.first());
            first.map(|turn| turn.since_unix_ms)
        });
        View {
            number: Arc::clone(number),
            waiting: line.map_or(0, |line| line.order.len()) + point.map_or(0, |point| point.order.len()),
            offered: line.map_or(0, |line| line.ringing.len()),
            longest_wait_ms: oldest.map_or(0, |since| now.unix_ms.saturating_sub(since)),
            agents: line.map_or(0, |line| line.agents),
            available: line.map_or(0, Line::available),
        }
    }

    /// Why a call waits or went where it went.
    #[must_use]
    pub fn why_call(&self, conn: u64) -> Vec<Explained> {
        self.explain_call(conn)
    }

    /// Why an agent has not been offered a call, lately and now.
    #[must_use]
    pub fn why_agent(&self, dn: &str, directory: &Directory, now: Now) -> Vec<Explained> {
        self.explain_agent(dn, directory, now)
    }

    /// Runs what is due.
    pub fn handle_timeout(&mut self, desk: &mut Desk<'_>) {
        let now = desk.now.unix_ms;
        let mut rested = Vec::new();
        while let Some((timer, conn)) = self.timers.pop(now) {
            match timer {
                Timer::MaxWait => self.waited_too_long(desk, conn),
                Timer::Router => self.default_route(desk, conn, OverflowWhy::RouterTimeout),
                Timer::NoAnswer => self.take_back(conn, now),
                Timer::Pause => rested.push(conn),
            }
        }
        let urgency = |conn: u64| {
            let call = self.calls.get(&conn)?;
            Some(self.lines.get(call.line)?.urgency(call.rank))
        };
        let mut rested: Vec<_> = rested.into_iter().filter_map(urgency).collect();
        rested.sort_unstable();
        for urgency in rested {
            self.serve_call(desk, urgency.conn());
            self.set_pause(urgency.conn(), now);
        }
    }

    /// A call that rings stays: it is looked at when it comes back.
    fn waited_too_long(&mut self, desk: &mut Desk<'_>, conn: u64) {
        if self.calls.get(&conn).is_some_and(|call| call.offered.is_none()) {
            self.overflow(desk, conn, OverflowWhy::Time);
        }
    }

    fn take_back(&mut self, conn: u64, now_unix_ms: u64) {
        let Some(dn) = self.calls.get(&conn).and_then(|call| call.offered.clone()) else { return };
        self.past.note(conn, now_unix_ms, CallStep::TakenBack { dn: dn.clone() });
        self.wishes.push_back(Wish::TakeBack { conn, dn });
    }

    /// When the next timer is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.timers.next()
    }

    /// Calls that wait at queues and routing points, those that are being offered included.
    pub(crate) fn waiting(&self) -> usize {
        self.calls.len() + self.parked.len()
    }

    /// Calls that wait and are not being offered, and where: by number, first come, first served.
    #[must_use]
    pub fn undecided(&self) -> Vec<(u64, Arc<str>)> {
        let mut undecided = Vec::new();
        for (number, line) in &self.by_number {
            let order = self.lines.get(*line).into_iter().flat_map(|line| &line.order);
            undecided.extend(order.map(|rank| (rank.conn, Arc::clone(number))));
        }
        for (number, point) in &self.points {
            undecided.extend(point.order.iter().map(|turn| (turn.conn, Arc::clone(number))));
        }
        undecided.retain(|(conn, _)| self.calls.get(conn).is_none_or(|call| call.offered.is_none()));
        undecided
    }

    /// Whether no agent who serves this queue is logged in; false for what is no queue.
    #[must_use]
    pub fn is_unattended(&self, number: &str) -> bool {
        let line = self.by_number.get(number).and_then(|line| self.lines.get(*line));
        line.is_some_and(|line| line.agents == 0)
    }

    /// What is to be done, oldest first, until there is nothing.
    pub fn poll_wish(&mut self) -> Option<Wish> {
        self.offers.pop_front().or_else(|| self.wishes.pop_front())
    }
}
