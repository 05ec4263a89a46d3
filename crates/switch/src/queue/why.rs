//! The histories in words, and why an agent is not offered a call at this moment.

use std::fmt::Write;

use super::history::{AgentStep, CallStep, Considered, Instead};
use super::idle::{Agent, misses};
use super::line::Line;
use super::{Explained, OfferEnd, OverflowWhy, Queues};
use crate::directory::Directory;
use crate::limits::MAX_CONSIDERED;
use crate::time::Now;

/// A `ConnID` as T-Library prints it.
fn conn_id(conn: u64) -> String {
    format!("{conn:016x}")
}

/// Milliseconds as seconds with one decimal.
fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

fn ago(unix_ms: u64, since_unix_ms: u64) -> String {
    seconds(unix_ms.saturating_sub(since_unix_ms))
}

fn instead(unix_ms: u64, why: &Instead) -> String {
    match why {
        Instead::Later { level: 0, since_unix_ms } => {
            format!("idle for {} only", ago(unix_ms, *since_unix_ms))
        }
        Instead::Later { level, since_unix_ms } => {
            format!("skill levels together {level}, idle for {}", ago(unix_ms, *since_unix_ms))
        }
        Instead::FailedIt => "was offered this call in vain a moment ago".to_owned(),
        Instead::Lacks { skill, wanted, has } => format!("lacks {skill} {wanted} (has {has})"),
    }
}

fn beside(unix_ms: u64, considered: &[Considered]) -> Vec<String> {
    considered.iter().map(|other| format!("no: {}: {}", other.dn, instead(unix_ms, &other.why))).collect()
}

fn told(unix_ms: u64, step: &CallStep) -> Explained {
    let mut beside_him: &[Considered] = &[];
    let text = match step {
        CallStep::Arrived { at, priority, since_unix_ms } => {
            let mut text = format!("came to {at}, priority {priority}");
            if *since_unix_ms < unix_ms {
                let _ = write!(text, "; keeps its place, {} old", ago(unix_ms, *since_unix_ms));
            }
            text
        }
        CallStep::Waits { agents, available, considered } => {
            beside_him = considered;
            format!("waits for an agent: {agents} logged in, {available} available, none can take it")
        }
        CallStep::Offered { queue, dn, level, idle_since_unix_ms, considered } => {
            beside_him = considered;
            let skills = if *level == 0 { String::new() } else { format!(" skill levels together {level},") };
            let idle = ago(unix_ms, *idle_since_unix_ms);
            format!("offered by {queue} to the agent at {dn}:{skills} idle for {idle}")
        }
        CallStep::TakenBack { dn } => format!("taken back from {dn}: agent-no-answer-timeout is over"),
        CallStep::Failed { dn, why } => format!("{dn} did not take it: {why}"),
        CallStep::Answered { dn } => format!("answered at {dn}"),
        CallStep::AskedRouter { at } => format!("{at} asks a routing application"),
        CallStep::Overflowed { at, to: Some(to), why, .. } => format!("leaves {at} for {to}: {why}"),
        CallStep::Overflowed { at, to: None, status, why } => {
            format!("leaves {at} and is refused with {status}: {why}")
        }
        CallStep::Left { at } => format!("left {at}"),
    };
    Explained { unix_ms, text, considered: beside(unix_ms, beside_him) }
}

fn told_of_agent(unix_ms: u64, step: &AgentStep) -> Explained {
    let text = match step {
        AgentStep::Offered { conn, queue, idle_since_unix_ms } => {
            let idle = ago(unix_ms, *idle_since_unix_ms);
            format!("offered call {} of {queue} after {idle} idle", conn_id(*conn))
        }
        AgentStep::Failed { conn, why } => format!("did not take call {}: {why}", conn_id(*conn)),
        AgentStep::Answered { conn } => format!("answered call {}", conn_id(*conn)),
        AgentStep::PassedOver { conn, queue, dn, chosen_since_unix_ms, own } => format!(
            "call {} of {queue} went to {dn}, idle for {}; this one: {}",
            conn_id(*conn),
            ago(unix_ms, *chosen_since_unix_ms),
            instead(unix_ms, own)
        ),
    };
    Explained { unix_ms, text, considered: Vec::new() }
}

impl Queues {
    pub(super) fn explain_call(&self, conn: u64) -> Vec<Explained> {
        self.past.steps(conn).map(|(unix_ms, step)| told(*unix_ms, step)).collect()
    }

    pub(super) fn explain_agent(&self, dn: &str, directory: &Directory, now: Now) -> Vec<Explained> {
        let Some(agent) = self.by_dn.get(dn).and_then(|slot| self.agents.get(*slot)) else {
            return Vec::new();
        };
        let lately = agent.steps.steps().map(|(unix_ms, step)| told_of_agent(*unix_ms, step));
        let text = match (agent.logged_in, agent.offer, agent.idle) {
            (false, ..) => "now: not logged in".to_owned(),
            (true, Some(conn), _) => format!("now: call {} rings", conn_id(conn)),
            (true, None, Some(idle)) => {
                format!("now: available, idle for {}", ago(now.unix_ms, idle.since_unix_ms))
            }
            (true, None, None) => "now: not available (not ready, or with a call)".to_owned(),
        };
        let mut considered = Vec::new();
        if agent.logged_in {
            considered = self.queues_of(agent, now);
            if considered.is_empty() {
                considered.push(unserved(agent, directory));
            }
        }
        lately.chain([Explained { unix_ms: now.unix_ms, text, considered }]).collect()
    }

    /// The agent's queues, those with calls first, and why none of their calls is his now.
    fn queues_of(&self, agent: &Agent, now: Now) -> Vec<String> {
        let lines = self.meant_for(agent);
        let mut lines: Vec<&Line> = lines.into_iter().filter_map(|line| self.lines.get(line)).collect();
        lines.sort_by_key(|line| line.order.is_empty());
        lines.into_iter().take(MAX_CONSIDERED).map(|line| self.why_not(line, agent, now)).collect()
    }

    fn why_not(&self, line: &Line, agent: &Agent, now: Now) -> String {
        let number = &line.rules.number;
        if let Some((skill, wanted)) = misses(line, agent) {
            return format!(
                "{number}: does not serve it: lacks {skill} {wanted} (has {})",
                agent.level(skill)
            );
        }
        let Some(head) = line.order.first() else { return format!("{number}: no call waits") };
        let Some(call) = self.calls.get(&head.conn) else { return format!("{number}: no call waits") };
        let wanted = line.classes.get(call.class).map_or(&[][..], |class| &class.wanted);
        let first = format!("{number}: {} waiting, the first is {}", line.order.len(), conn_id(head.conn));
        if let Some((skill, wanted)) = agent.lacks(wanted) {
            return format!("{first} and wants {skill} {wanted} (has {})", agent.level(skill));
        }
        match call.failed_by(&agent.dn).filter(|until| *until > now.unix_ms) {
            Some(until) => format!("{first}, which he did not take; again in {}", ago(until, now.unix_ms)),
            None => first,
        }
    }
}

fn unserved(agent: &Agent, directory: &Directory) -> String {
    let known = directory.login(&agent.agent_id).is_some();
    let login = if known { "" } else { " (no such Agent Login)" };
    format!(
        "serves no queue: none names AgentID {}{login}, his groups or skills, and he named none",
        agent.agent_id
    )
}

impl std::fmt::Display for OfferEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no answer"),
            Self::Refused(status) => write!(f, "his phone refused with {status}"),
            Self::Unreachable => f.write_str("his phone could not be reached"),
            Self::AgentGone => f.write_str("he logged out or became NotReady"),
        }
    }
}

impl std::fmt::Display for OverflowWhy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Time => "it waited too long",
            Self::Length => "too many wait already",
            Self::NoAgents => "no agent is logged in",
            Self::NoRouter => "no routing application is there",
            Self::RouterTimeout => "no routing application answered in time",
            Self::Configuration => "it is not configured any more",
        })
    }
}
