//! The rooms of the contact-centre floor, and what passes between them: facts of calls become events, states of agents
//! and places in queues; what queues wish becomes operations on calls. It goes round until nobody has anything to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{CallType, Event as Told, EventName, KvList, Refusal, Value};
use tandem_peer::continuity::forced_logout_applies;

use super::Node;
use crate::agent::{AgentNews, Agents, LogoutBy, Work};
use crate::arena::Key;
use crate::call::control::Operation;
use crate::call::{News, Ticket};

use crate::cti::calls::{Happening, TCalls};
use crate::cti::sessions::{Gone, Sessions, Who};
use crate::cti::{SessionId, agent_event, device_event};
use crate::directory::floor::{AgentOptions, NoAnswerOverflow};
use crate::directory::{Directory, DnId};
use crate::event::Event;
use crate::output::Output;
use crate::queue::{Arrival, Candidate, OfferEnd, Queues, Wish};
use crate::rooms::Fact;
use crate::time::Deadline;

use super::conference::Gathering;
use super::held::Held;
use super::supervision::Supervision;

/// See the module.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) agents: Agents,
    pub(super) queues: Queues,
    pub(super) tcalls: TCalls,
    pub(super) sessions: Sessions,
    pub(super) supervision: Supervision,
    /// Conferences that wait for the mixer; each entry is gone with its request.
    pub(super) gatherings: BTreeMap<Ticket, Gathering>,
    pub(super) held: Held,
}

/// What a change of a room may look at and write to.
macro_rules! desk {
    ($node:expr, $room:ident) => {
        $room::Desk { directory: &$node.rooms.directory, log: &mut $node.rooms.log, now: $node.rooms.now }
    };
}
pub(super) use desk;

/// The T-Library's view of calls with what it may look at: events of a DN are made only if somebody hears them or watches
/// its lamp, or if an agent sits there, whose rings are supervised.
macro_rules! with_calls {
    ($node:expr, |$tcalls:ident, $desk:ident| $act:expr) => {{
        let $crate::node::floor::Floor { tcalls: $tcalls, sessions, agents, .. } = &mut $node.floor;
        let events = &$node.events;
        let watched = |dn: &str| sessions.is_watched(dn) || agents.is_logged_in(dn) || events.is_watched(dn);
        let $desk = &mut calls::Desk {
            directory: &$node.rooms.directory,
            log: &mut $node.rooms.log,
            now: $node.rooms.now,
            watched: &watched,
        };
        $act
    }};
}
pub(super) use with_calls;

use crate::agent;
use crate::cti::calls;
use crate::queue;

impl Floor {
    pub(super) fn new(high: u32) -> Self {
        Self {
            agents: Agents::default(),
            queues: Queues::default(),
            tcalls: TCalls::new(high),
            sessions: Sessions::default(),
            supervision: Supervision::default(),
            gatherings: BTreeMap::new(),
            held: Held::default(),
        }
    }

    /// The next of the floor's timers.
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let (agents, queues) = (self.agents.poll_timeout(), self.queues.poll_timeout());
        let (sessions, rings) = (self.sessions.poll_timeout(), self.supervision.poll_timeout());
        [agents, queues, sessions, rings, self.held.poll_timeout()].into_iter().flatten().min()
    }
}

impl Node {
    /// Lets the rooms speak until all are silent. What leaves for outside is collected in `outputs`, in order.
    pub(super) fn settle(&mut self, outputs: &mut Vec<Output>) {
        let mut facts = std::mem::take(&mut self.spare);
        loop {
            std::mem::swap(&mut facts, &mut self.rooms.facts);
            if facts.is_empty() && !self.settle_rooms() {
                break;
            }
            for fact in facts.drain(..) {
                match fact {
                    Fact::CallFailed(device, flow, how) => {
                        let told = self.rooms.trunks.call_failed(device, flow, how, self.rooms.now);
                        self.act(device, told);
                    }
                    Fact::Event(event) => {
                        self.device_event(&event);
                        outputs.push(Output::Event(event));
                    }
                    Fact::Redirected(key, redirected) => self.redirected(key, &redirected),
                    Fact::Refer(key, referred) => self.referred(key, &referred),
                    Fact::Media(order) => outputs.push(Output::Media(order)),
                    Fact::Ended(cdr) => {
                        if let Some(answered) = cdr.legs.first().and_then(|leg| leg.answered_unix_ms) {
                            let lasted_ms = cdr.end_unix_ms.saturating_sub(answered);
                            self.pace.note(Duration::from_millis(lasted_ms));
                        }
                        outputs.push(Output::Cdr(cdr));
                    }
                    Fact::Call(_, News::Done { ticket, outcome }) if self.gathers(ticket, outcome) => {}
                    Fact::Call(key, news) => self.call_news(key, news),
                }
                self.settle_rooms();
            }
            while let Some(over) = self.calls.poll_over() {
                self.keep(Some(over));
            }
        }
        self.spare = facts;
    }

    fn call_news(&mut self, key: Key, news: News) {
        let opened = matches!(news, News::Opened { .. });
        with_calls!(self, |tcalls, desk| tcalls.news(desk, key, news));
        if opened && let Some(conn) = self.floor.tcalls.conn_of(key) {
            self.calls.known_as(key, conn);
        }
    }

    /// True if there was anything to do.
    fn settle_rooms(&mut self) -> bool {
        let mut any = false;
        loop {
            if let Some(dn) = self.rooms.registrar.pop_turned() {
                self.phone_turned(dn);
            } else if let Some(happening) = self.floor.tcalls.poll() {
                self.happening(happening);
            } else if let Some(order) = self.floor.tcalls.poll_order() {
                self.order(order);
            } else if let Some(order) = self.next_order() {
                self.carry_out_order(order);
            } else if let Some(news) = self.floor.agents.poll_news() {
                self.agent_news(news);
            } else if let Some(wish) = self.floor.queues.poll_wish() {
                self.wish(wish);
            } else if let Some(gone) = self.floor.sessions.poll_gone() {
                self.client_gone(gone);
            } else if !self.drain_next_agent() && !self.migrate_next_agent() {
                return any;
            }
            any = true;
        }
    }

    /// Tells agents' news at once: what follows in the same breath comes after them.
    pub(super) fn settle_agents(&mut self) {
        while let Some(news) = self.floor.agents.poll_news() {
            self.agent_news(news);
        }
    }

    pub(super) fn happening(&mut self, happening: Happening) {
        self.lamp_changes(&happening);
        match happening {
            Happening::Event { dn, mut event, asked } => {
                if event.event == EventName::Ringing {
                    self.supervise(&dn, &event);
                }
                if event.event == EventName::Established {
                    self.announce_wrap_up(&dn, &mut event);
                }
                let agent = self.floor.agents.agent_id(&dn);
                event.agent_id = event.agent_id.or_else(|| agent.map(str::to_owned));
                self.tell(&dn, *event, asked);
            }
            Happening::Answer { to, reference_id, event } => self.answer(to, reference_id, *event),
            Happening::Refused { to, reference_id, refusal } => {
                self.refuse_request(to, reference_id, &refusal);
            }
            Happening::Began { dn, conn, kind, queued, wrap_up } => {
                let work = Work { conn, business: queued || self.is_business(&dn, kind), wrap_up };
                self.floor.agents.call_began(&mut desk!(self, agent), &dn, work);
                self.settle_agents();
            }
            Happening::Became { dn, old, conn, kind, queued, wrap_up } => {
                let work = Work { conn, business: queued || self.is_business(&dn, kind), wrap_up };
                self.floor.agents.call_became(&mut desk!(self, agent), &dn, old, work);
                self.settle_agents();
            }
            Happening::WrapUp { dn, conn, wrap_up } => {
                self.floor.agents.set_wrap_up(&mut desk!(self, agent), &dn, conn, wrap_up);
                self.settle_agents();
            }
            Happening::Established { dn, conn } => {
                self.floor.supervision.disarm(conn, &dn);
                self.floor.agents.call_established(&mut desk!(self, agent), &dn, conn);
                self.settle_agents();
            }
            Happening::Ended { dn, conn } => {
                self.floor.supervision.disarm(conn, &dn);
                self.floor.agents.call_ended(&mut desk!(self, agent), &dn, conn);
                self.settle_agents();
                self.drain_sees(&dn);
            }
            Happening::Waits { conn, at, user_data } => {
                let (priority, skills) = wanted(&user_data);
                let arrival = Arrival { conn, at, priority, skills };
                self.floor.queues.arrive(&mut desk!(self, queue), arrival);
                self.hand_over_if_draining(conn);
            }
            Happening::Left { conn, at: _ } => {
                self.floor.queues.leave(&mut desk!(self, queue), conn);
                self.floor.supervision.why_taken_back(conn);
                if let Some(dn) = self.floor.supervision.offer_over(conn) {
                    self.floor.agents.offer_over(&mut desk!(self, agent), &dn, conn);
                }
            }
            Happening::OfferAnswered { conn, dn } => {
                self.floor.supervision.why_taken_back(conn);
                self.floor.supervision.offer_over(conn);
                self.floor.queues.answered(&mut desk!(self, queue), conn);
                self.floor.agents.offer_over(&mut desk!(self, agent), &dn, conn);
            }
            Happening::OfferFailed { conn, dn, status } => self.offer_failed(conn, dn, status),
        }
    }

    /// Nobody took the offer.
    fn offer_failed(&mut self, conn: u64, dn: Option<Arc<str>>, status: u16) {
        let expected = self.floor.supervision.offer_over(conn);
        let Some(dn) = dn.or(expected) else { return };
        let why = self.floor.supervision.why_taken_back(conn).unwrap_or(match status {
            0 | 408 | 480 | 503 => OfferEnd::Unreachable,
            status => OfferEnd::Refused(status),
        });
        self.floor.queues.offer_failed(&mut desk!(self, queue), conn, why);
        self.floor.agents.offer_over(&mut desk!(self, agent), &dn, conn);
        self.drain_sees(&dn);
        self.hand_over_if_draining(conn);
    }

    /// Whether a direct call is a business call, by the options in force at the DN: of the Agent Login first, then of
    /// the DN, then of the Application.
    fn is_business(&self, dn: &str, kind: CallType) -> bool {
        let directory = &self.rooms.directory;
        let seated = if self.floor.agents.is_logged_in(dn) { self.floor.agents.at(dn) } else { None };
        let login = seated.and_then(|agent| directory.login(&agent.agent_id)).map(|login| &login.options);
        let at_dn = directory.find(dn.as_bytes()).and_then(|id| directory.extension(id));
        let levels =
            login.into_iter().chain(at_dn.map(|e| &e.class.agent)).chain([&directory.floor().options]);
        let of = |options: &AgentOptions| match kind {
            CallType::Internal => options.internal_bsns_calls,
            CallType::Inbound => options.inbound_bsns_calls,
            CallType::Outbound => options.outbound_bsns_calls,
            CallType::Consult | CallType::Unknown => None,
        };
        levels.into_iter().find_map(of).unwrap_or(false)
    }

    /// Tells everybody who has registered the DN.
    pub(super) fn tell(&mut self, dn: &str, event: Told, asked: Option<(SessionId, Option<u32>)>) {
        let rooms = &mut self.rooms;
        self.floor.sessions.tell(&mut rooms.log, rooms.now, dn, event, asked);
    }

    pub(super) fn refuse_request(&mut self, to: SessionId, reference_id: Option<u32>, refusal: &Refusal) {
        let event = Told::error(refusal, reference_id);
        self.answer(to, reference_id, event);
    }

    pub(super) fn answer(&mut self, to: SessionId, reference_id: Option<u32>, event: Told) {
        let rooms = &mut self.rooms;
        self.floor.sessions.answer(&mut rooms.log, rooms.now, to, reference_id, event);
    }

    fn agent_news(&mut self, news: AgentNews) {
        match news {
            AgentNews::LoggedIn(told) => {
                self.migration_sees_login(&told.agent_id);
                self.evict_others(&told.dn, &told.agent_id);
                if let Some(agent) = self.candidate(&told.dn) {
                    self.floor.queues.agent_in(&mut desk!(self, queue), agent);
                }
                let (dn, agent_id) = (Arc::clone(&told.dn), Arc::clone(&told.agent_id));
                self.tell_agent(EventName::AgentLogin, told);
                self.nail(&dn, &agent_id);
            }
            AgentNews::Ready(told) => {
                self.drain_sees(&told.dn);
                self.tell_agent(EventName::AgentReady, told);
            }
            AgentNews::NotReady(told) => {
                self.drain_sees(&told.dn);
                self.tell_agent(EventName::AgentNotReady, told);
            }
            AgentNews::LoggedOut(told) => {
                self.migration_sees_logout(&told.dn, &told.agent_id);
                self.floor.queues.agent_out(&mut desk!(self, queue), &told.dn);
                self.agent_leaves_offer(&told.dn);
                self.unnail(&told.dn);
                self.tell_agent(EventName::AgentLogout, told);
            }
            // A server that is drained offers no call any more.
            AgentNews::Available { .. } if self.is_draining() => {}
            AgentNews::Available { dn } if self.leaves_with_migration(&dn) => {}
            AgentNews::Available { dn } => self.available(&dn),
            AgentNews::Unavailable { dn } => {
                self.floor.queues.unavailable(&mut desk!(self, queue), &dn);
            }
        }
    }

    pub(super) fn available(&mut self, dn: &str) {
        if let Some(agent) = self.candidate(dn) {
            self.floor.queues.available(&mut desk!(self, queue), agent);
        }
    }

    /// A queue's call rings at somebody who was logged out: it goes back to where it waited.
    fn agent_leaves_offer(&mut self, dn: &str) {
        let Some(conn) = self.floor.supervision.offer_at(dn) else { return };
        self.floor.supervision.take_back(conn, OfferEnd::AgentGone);
        if let Some(key) = self.floor.tcalls.key_of(conn) {
            let _ = self.operate(key, Operation::TakeBack);
        }
    }

    /// `WrapUpTime`: the after-call work that an agent is to expect of a business call.
    fn announce_wrap_up(&self, dn: &str, event: &mut Told) {
        let Some(conn) = event.conn_id.as_deref().and_then(calls::parse_conn_id) else { return };
        let expected = self.floor.agents.expected_wrap_up(&self.rooms.directory, dn, conn);
        if let Some(wrap_up) = expected {
            event.extensions.insert("WrapUpTime".to_owned(), agent::wrap_up_value(wrap_up));
        }
    }

    fn tell_agent(&mut self, name: EventName, told: agent::Told) {
        let asked = self.asking.take_if(|asking| *asking.dn == *told.dn).map(|a| (a.session, a.reference_id));
        let dn = Arc::clone(&told.dn);
        self.tell(&dn, agent_event(name, told), asked);
    }

    /// An agent stays logged in, but not to a queue that he had named.
    pub(super) fn left_a_queue(&mut self, dn: &str) {
        self.floor.queues.agent_out(&mut desk!(self, queue), dn);
        let Some(agent) = self.candidate(dn) else { return };
        self.floor.queues.agent_in(&mut desk!(self, queue), agent);
        let available = self.floor.agents.at(dn).is_some_and(|agent| agent.available);
        if available && !self.is_draining() && !self.leaves_with_migration(dn) {
            self.available(dn);
        }
    }

    pub(super) fn candidate(&self, dn: &str) -> Option<Candidate> {
        let agent = self.floor.agents.at(dn)?;
        Some(Candidate {
            dn: agent.dn,
            agent_id: agent.agent_id,
            queues: agent.queues,
            idle_since_unix_ms: agent.idle_since_unix_ms,
        })
    }

    fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Offer { conn, queue: _, dn } => self.offer(conn, &dn),
            Wish::TakeBack { conn, dn } => self.not_answered(conn, &dn),
            Wish::Overflow { conn, from, to, status, why: _ } => {
                self.overflow(conn, &from, to.as_deref(), status);
            }
            Wish::AskRoute { conn, at } => {
                with_calls!(self, |tcalls, desk| tcalls.route_requested(desk, conn, &at));
            }
        }
    }

    fn offer(&mut self, conn: u64, dn: &Arc<str>) {
        self.floor.agents.offered(&mut desk!(self, agent), dn, conn);
        self.floor.supervision.offered(conn, dn);
        let outcome = self.onward_to_agent(conn, dn).and_then(|onward| {
            let key = self.floor.tcalls.key_of(conn).ok_or(481u16)?;
            self.operate(key, Operation::Offer(onward))
        });
        if outcome.is_err() {
            self.floor.supervision.offer_over(conn);
            self.floor.queues.offer_failed(&mut desk!(self, queue), conn, OfferEnd::Unreachable);
            self.floor.agents.offer_over(&mut desk!(self, agent), dn, conn);
        }
    }

    /// `agent-no-answer-timeout` of an offer is over: what becomes of the agent, then of the call. Without that option,
    /// `ring-timeout` is: the call is taken back, and nothing becomes of the agent.
    fn not_answered(&mut self, conn: u64, dn: &Arc<str>) {
        let agent = self.floor.agents.at(dn);
        let options = agent.map(|agent| self.rooms.directory.agent_options(dn, &agent.agent_id));
        let options = options.filter(|options| !options.agent_no_answer_timeout.is_zero());
        self.floor.supervision.take_back(conn, OfferEnd::NoAnswer);
        if options.is_some() {
            self.floor.agents.no_answer(&mut desk!(self, agent), dn);
            self.settle_agents();
        }
        let steps = options.into_iter().flat_map(|options| options.agent_no_answer_overflow);
        let overflow = steps.into_iter().find(|step| *step != NoAnswerOverflow::None);
        let Some(key) = self.floor.tcalls.key_of(conn) else { return };
        // Who overflows to where he waits keeps his place there, like one that is recalled.
        let here = self.floor.tcalls.waits_at(conn);
        let overflow =
            overflow.filter(|step| !matches!(step, NoAnswerOverflow::To(to) if here.as_deref() == Some(to)));
        match overflow {
            None | Some(NoAnswerOverflow::None | NoAnswerOverflow::Recall) => {
                let _ = self.operate(key, Operation::TakeBack);
            }
            Some(NoAnswerOverflow::Release) => {
                self.floor.queues.leave(&mut desk!(self, queue), conn);
                let _ = self.operate(key, Operation::Clear);
            }
            Some(NoAnswerOverflow::To(to)) => {
                self.leaves_queue(conn, Some(&to));
                self.send_on(conn, &to, 480);
            }
        }
    }

    /// A waiting or offered call is sent on from outside the queue, or refused: what happens to it from now on is not the
    /// queue's.
    pub(super) fn leaves_queue(&mut self, conn: u64, to: Option<&str>) {
        let Some(at) = self.floor.tcalls.waits_at(conn) else { return };
        with_calls!(self, |tcalls, desk| tcalls.diverted(desk, conn, &at, to));
        self.floor.queues.leave(&mut desk!(self, queue), conn);
        self.floor.supervision.why_taken_back(conn);
        if let Some(dn) = self.floor.supervision.offer_over(conn) {
            self.floor.agents.offer_over(&mut desk!(self, agent), &dn, conn);
        }
    }

    fn overflow(&mut self, conn: u64, from: &Arc<str>, to: Option<&str>, status: u16) {
        self.rooms.counters.queue_overflows += 1;
        with_calls!(self, |tcalls, desk| tcalls.diverted(desk, conn, from, to));
        match (to, self.floor.tcalls.key_of(conn)) {
            (Some(to), Some(_)) => self.send_on(conn, to, status),
            (None, Some(key)) => {
                let _ = self.operate(key, Operation::Refuse(status));
            }
            (_, None) => {}
        }
    }

    /// Sends a waiting or ringing call to another number for good; where that is not possible it is refused.
    pub(super) fn send_on(&mut self, conn: u64, to: &str, status: u16) {
        let Some(key) = self.floor.tcalls.key_of(conn) else { return };
        let sent = self.onward_for(key, to).and_then(|operation| self.operate(key, operation));
        if sent.is_err() {
            let _ = self.operate(key, Operation::Refuse(status));
        }
    }

    fn client_gone(&mut self, gone: Gone) {
        match gone {
            Gone::Disconnected { session } => {
                self.floor.agents.client_gone(&mut desk!(self, agent), session.0);
            }
            Gone::Session { session, person: _, dns } => {
                for dn in dns {
                    self.floor.agents.unregistered(&mut desk!(self, agent), &dn, session.0);
                }
            }
            Gone::Registration { session, dn } => {
                self.floor.agents.unregistered(&mut desk!(self, agent), &dn, session.0);
            }
        }
        self.count_routers();
    }

    /// How many routing applications listen at each routing point.
    pub(super) fn count_routers(&mut self) {
        let directory = Arc::clone(&self.rooms.directory);
        for point in &directory.floor().routing_points {
            let count = self.floor.sessions.count(&point.number, tandem_cti::Role::RoutingApplication);
            self.floor.queues.routers(&mut desk!(self, queue), &point.number, count);
        }
    }

    /// A DN went out of service or came back: its clients hear it first, then what it does to its agent.
    fn device_event(&mut self, event: &Event) {
        let (dn, in_service) = match event {
            Event::DnOutOfService { dn, .. } => (dn, false),
            Event::DnBackInService { dn, .. } => (dn, true),
            Event::ModeChanged { .. }
            | Event::PeeredAgain { .. }
            | Event::PeerFailure { .. }
            | Event::TargetOutOfService { .. }
            | Event::TargetBackInService { .. }
            | Event::Binding { .. }
            | Event::Storm(_)
            | Event::DrainStarted { .. }
            | Event::DrainAborted { .. }
            | Event::Migration { .. }
            | Event::Guard(_)
            | Event::Overload(_)
            | Event::TollBarred { .. }
            | Event::EmergencyCall { .. }
            | Event::Drained { .. } => return,
        };
        let name = if in_service { EventName::DnBackInService } else { EventName::DnOutOfService };
        self.tell(dn, device_event(name, dn), None);
        if !self.floor.agents.is_logged_in(dn) {
            return;
        }
        if !in_service && forced_logout_applies(self.mode()) {
            let (desk, nothing) = (&mut desk!(self, agent), KvList::new);
            // Somebody is logged in, and no call keeps the server from it.
            let _ = self.floor.agents.logout(desk, dn, LogoutBy::DrForce, None, nothing(), nothing());
        } else {
            self.floor.agents.dn_in_service(&mut desk!(self, agent), dn, in_service);
        }
    }

    /// The last contact of a DN went into quarantine, or one is back: whether queues offer its agent calls follows.
    fn phone_turned(&mut self, dn: DnId) {
        let directory = Arc::clone(&self.rooms.directory);
        if let Some(extension) = directory.extension(dn) {
            let suspended = self.rooms.registrar.is_suspended(dn);
            self.floor.agents.dn_suspended(&mut desk!(self, agent), &extension.number, suspended);
        }
    }

    /// Runs the floor's timers.
    pub(super) fn run_floor(&mut self) {
        self.floor.agents.handle_timeout(&mut desk!(self, agent));
        self.floor.queues.handle_timeout(&mut desk!(self, queue));
        let rooms = &mut self.rooms;
        self.floor.sessions.handle_timeout(&mut rooms.log, rooms.now);
        while let Some((conn, dn)) = self.floor.supervision.due(self.rooms.now.unix_ms) {
            self.direct_call_not_answered(conn, &dn);
        }
    }

    /// A new configuration is in force. Clients hear what it did to agents and callers before they lose DNs.
    pub(super) fn floor_adopts(&mut self, before: &Directory) {
        let directory = Arc::clone(&self.rooms.directory);
        self.floor.sessions.set_disconnect_grace(directory.floor().logout_on_disconnect_grace);
        self.floor.agents.adopt(&mut desk!(self, agent));
        self.settle_agents();
        self.floor.queues.adopt(&mut desk!(self, queue));
        self.settle_rooms();
        let rooms = &mut self.rooms;
        let is_configured = |dn: &str| directory.has_dn(dn);
        self.floor.sessions.forget_dns(&mut rooms.log, rooms.now, &is_configured);
        // Whoever proved to be a person of another password or role must prove it anew.
        let changed = |who: &Who| match (before.person(&who.person), directory.person(&who.person)) {
            (Some(old), Some(new)) => old.role != new.role || old.password_hash != new.password_hash,
            (Some(_), None) => true,
            (None, _) => false,
        };
        self.floor.sessions.dismiss(&mut rooms.log, &changed);
        self.count_routers();
    }
}

/// `Priority` and `Skills` of a call's user data. What means nothing there is as if it were not.
fn wanted(user_data: &KvList) -> (i32, Vec<(Arc<str>, u32)>) {
    let priority = user_data.get("Priority").and_then(Value::as_int);
    let priority = priority.and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
    let skills = match user_data.get("Skills") {
        Some(Value::List(list)) => list
            .iter()
            .filter_map(|(name, level)| Some((Arc::from(&**name), u32::try_from(level.as_int()?).ok()?)))
            .collect(),
        Some(Value::Int(_) | Value::Text(_)) | None => Vec::new(),
    };
    (priority, skills)
}
