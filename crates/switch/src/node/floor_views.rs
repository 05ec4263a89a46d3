//! What an operator may see of the contact-centre floor.

use std::sync::Arc;

use super::Node;
use crate::agent;
use crate::directory::FloorDn;
use crate::queue::Explained;
use crate::time::Now;
use crate::view;
use tandem_cti::{AgentState, Value};

impl Node {
    /// `tandem agent list`: agents who are logged in, by AgentID.
    #[must_use]
    pub fn agent_list(&self, now: Now) -> Vec<view::Agent> {
        let mut list: Vec<_> = self.floor.agents.list().iter().map(|agent| agent_view(agent, now)).collect();
        list.sort_by(|a, b| a.agent_id.cmp(&b.agent_id));
        list
    }

    /// `tandem agent why`: by AgentID or DN. `None` if neither is known.
    #[must_use]
    pub fn agent_why(&self, asked: &str, now: Now) -> Option<view::AgentWhy> {
        let directory = &self.rooms.directory;
        let (agents, seated) = (&self.floor.agents, self.floor.agents.dn_of(asked));
        let dn = seated.as_deref().unwrap_or(asked);
        let agent = agents.at(dn);
        let is_dn = directory.find(dn.as_bytes()).is_some();
        if agent.is_none() && !is_dn && directory.login(asked).is_none() {
            return None;
        }
        let mut steps: Vec<_> =
            self.floor.queues.why_agent(dn, directory, now).into_iter().map(step).collect();
        if agent.is_none() {
            let text = if is_dn {
                format!("now: nobody is logged in at {asked}")
            } else {
                format!("now: the Agent Login {asked} is not logged in at this site")
            };
            steps.push(view::Step { unix_ms: now.unix_ms, text, considered: Vec::new() });
        }
        let agent = agent.map(|agent| agent_view(&agent, now));
        Some(view::AgentWhy { asked: asked.to_owned(), agent, steps })
    }

    /// `tandem queue list`: ACD Queues and Routing Points, by number.
    #[must_use]
    pub fn queue_list(&self, now: Now) -> Vec<view::Queue> {
        let directory = &self.rooms.directory;
        let line = |queue: crate::queue::View| view::Queue {
            kind: match directory.floor_dn(queue.number.as_bytes()) {
                Some(FloorDn::RoutingPoint(_)) => "routing-point",
                Some(FloorDn::Queue(_)) | None => "acd-queue",
            },
            queue: queue.number.to_string(),
            waiting: queue.waiting,
            offered: queue.offered,
            longest_wait_s: queue.longest_wait_ms / 1000,
            agents: queue.agents,
            available: queue.available,
        };
        self.floor.queues.list(directory, now).into_iter().map(line).collect()
    }

    /// `tandem session list`: sessions of CTI clients, oldest first.
    #[must_use]
    pub fn session_list(&self, now: Now) -> Vec<view::Session> {
        let line = |session: crate::cti::sessions::View| view::Session {
            session: session.session.0,
            person: session.person.to_string(),
            role: session.role,
            application: session.application.to_string(),
            connected: session.link.is_some(),
            dns: session.dns,
            last: session.last,
            age_s: seconds(now.unix_ms, session.since_unix_ms),
        };
        self.floor.sessions.list().into_iter().map(line).collect()
    }
}

impl Node {
    /// Agents at their desktops: each person of that role with each DN that a session of his has registered.
    #[must_use]
    pub fn desktops(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let all = self.floor.sessions.registrations();
        let agents = all.filter(|(who, _)| who.role == tandem_cti::Role::Agent);
        agents.map(|(who, dn)| (Arc::clone(&who.person), Arc::clone(dn))).collect()
    }
}

fn seconds(now_ms: u64, since_ms: u64) -> u64 {
    now_ms.saturating_sub(since_ms) / 1000
}

/// A step of a queue's explanation, as all explanations are shown.
pub(super) fn step(explained: Explained) -> view::Step {
    view::Step { unix_ms: explained.unix_ms, text: explained.text, considered: explained.considered }
}

fn agent_view(agent: &agent::View, now: Now) -> view::Agent {
    let reason = agent.reasons.get("ReasonCode").or_else(|| agent.reasons.values().next());
    view::Agent {
        agent_id: agent.agent_id.to_string(),
        dn: agent.dn.to_string(),
        state: state(agent.state),
        work_mode: agent.work_mode.as_str(),
        reason: reason.and_then(|reason| match reason {
            Value::Text(text) => Some(text.clone()),
            Value::Int(number) => Some(number.to_string()),
            Value::List(_) => None,
        }),
        since_s: seconds(now.unix_ms, agent.since_unix_ms),
        until_s: agent.until.map(|until| until.unix_ms().saturating_sub(now.unix_ms).div_ceil(1000)),
        login_s: seconds(now.unix_ms, agent.login_unix_ms),
        calls: agent.calls,
        available: agent.available,
        phone_in_service: agent.in_service,
        phone_suspected: agent.suspended,
        queues: agent.queues.iter().map(ToString::to_string).collect(),
    }
}

fn state(state: AgentState) -> &'static str {
    match state {
        AgentState::LoggedOut => "LoggedOut",
        AgentState::NotReady => "NotReady",
        AgentState::Ready => "Ready",
        AgentState::BusyReady => "BusyReady",
        AgentState::BusyNotReady => "BusyNotReady",
        AgentState::BusyAfterCallWork => "BusyAfterCallWork",
    }
}
