//! The agents as queues know them: which queues each serves, and since when he is idle.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use slab::Slab;

use super::history::{AgentStep, Trace};
use super::line::Line;
use super::{Candidate, Desk, Queues};
use crate::directory::Directory;
use crate::limits::{MAX_AGENT_STEPS, MAX_GONE_AGENTS};

/// Since when an agent is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Idle {
    pub since_unix_ms: u64,
    /// Counts how agents became available.
    pub seq: u64,
}

/// An agent. The entry outlives his login, for the sake of its history.
#[derive(Debug)]
pub(super) struct Agent {
    pub dn: Arc<str>,
    pub agent_id: Arc<str>,
    /// Queues he named at his login.
    named: Vec<Arc<str>>,
    /// By name.
    skills: Vec<(Arc<str>, u32)>,
    /// `agent-no-answer-timeout` in force for him; zero is never.
    pub no_answer: Duration,
    pub logged_in: bool,
    /// As told last; from an offer on he is not, until told again.
    pub idle: Option<Idle>,
    /// The call that rings at him. While there is one he has no seat.
    pub offer: Option<u64>,
    /// Queues he serves, in order.
    pub serves: Vec<usize>,
    pub steps: Trace<AgentStep>,
}

impl Agent {
    fn new(dn: Arc<str>, agent_id: Arc<str>) -> Self {
        Self {
            dn,
            agent_id,
            named: Vec::new(),
            skills: Vec::new(),
            no_answer: Duration::ZERO,
            logged_in: false,
            idle: None,
            offer: None,
            serves: Vec::new(),
            steps: Trace::new(MAX_AGENT_STEPS),
        }
    }

    /// His level of a skill; 0 if he does not have it.
    pub fn level(&self, skill: &str) -> u32 {
        let found = self.skills.binary_search_by(|(name, _)| (**name).cmp(skill));
        found.ok().and_then(|at| self.skills.get(at)).map_or(0, |(_, level)| *level)
    }

    /// The first of these skills that he does not have at the wanted level.
    pub fn lacks<'a>(
        &self,
        wanted: impl IntoIterator<Item = &'a (Arc<str>, u32)>,
    ) -> Option<&'a (Arc<str>, u32)> {
        wanted.into_iter().find(|(name, level)| self.level(name) < *level)
    }

    /// Whether a call could be offered to him now.
    pub fn is_seated(&self) -> bool {
        self.logged_in && self.idle.is_some() && self.offer.is_none()
    }

    /// What his login and his DN are configured to.
    fn read(&mut self, directory: &Directory) {
        let login = directory.login(&self.agent_id);
        self.skills = login.map_or_else(Vec::new, |login| {
            login.skills.iter().map(|(name, level)| (Arc::clone(name), *level)).collect()
        });
        // Without supervision it rings as long as any call may ring at the DN.
        let supervised = directory.agent_options(&self.dn, &self.agent_id).agent_no_answer_timeout;
        self.no_answer = if supervised.is_zero() { directory.ring_timeout(&self.dn) } else { supervised };
    }
}

/// Who serves which queue, looked up by what an agent brings.
#[derive(Debug, Default)]
pub(super) struct Rota {
    by_login: HashMap<Arc<str>, Vec<usize>, RandomState>,
    /// Queues that ask for nothing but skills, by the first of these.
    by_skill: HashMap<Arc<str>, Vec<usize>, RandomState>,
}

impl Rota {
    pub fn new(directory: &Directory, number_of: impl Fn(&str) -> Option<usize>) -> Self {
        let mut rota = Self::default();
        let floor = directory.floor();
        for queue in &floor.queues {
            let Some(line) = number_of(&queue.number) else { continue };
            let groups = floor.groups.iter().filter(|group| queue.groups.contains(&group.name));
            for login in queue.agents.iter().chain(groups.flat_map(|group| &group.agents)) {
                rota.by_login.entry(Arc::clone(login)).or_default().push(line);
            }
            if queue.agents.is_empty()
                && queue.groups.is_empty()
                && let Some(first) = queue.skills.keys().next()
            {
                rota.by_skill.entry(Arc::clone(first)).or_default().push(line);
            }
        }
        rota
    }

    /// Queues that the agent would serve if he had the skills for each.
    fn meant_for<'a>(&'a self, agent: &'a Agent) -> impl Iterator<Item = usize> + 'a {
        let by_login = self.by_login.get(&agent.agent_id).into_iter().flatten();
        let by_skill = agent.skills.iter().filter_map(|(name, _)| self.by_skill.get(name)).flatten();
        by_login.chain(by_skill).copied()
    }
}

/// The first minimum level of a queue that the agent does not reach.
pub(super) fn misses<'a>(line: &'a Line, agent: &Agent) -> Option<(&'a Arc<str>, u32)> {
    let mut skills = line.rules.skills.iter();
    skills.find(|(name, level)| agent.level(name) < **level).map(|(name, level)| (name, *level))
}

impl Queues {
    /// Queues that the agent is meant for, whether he has the skills or not: in order, none twice.
    pub(super) fn meant_for(&self, agent: &Agent) -> Vec<usize> {
        let named = agent.named.iter().filter_map(|number| self.by_number.get(number).copied());
        let mut lines: Vec<usize> = self.rota.meant_for(agent).chain(named).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    fn serves(&self, agent: &Agent) -> Vec<usize> {
        let mut lines = self.meant_for(agent);
        lines.retain(|line| self.lines.get(*line).is_some_and(|line| misses(line, agent).is_none()));
        lines
    }

    /// His slot; a new entry if the DN had none.
    fn slot_of(&mut self, dn: &Arc<str>, agent_id: &Arc<str>) -> usize {
        if let Some(slot) = self.by_dn.get(dn) {
            return *slot;
        }
        let slot = self.agents.insert(Agent::new(Arc::clone(dn), Arc::clone(agent_id)));
        self.by_dn.insert(Arc::clone(dn), slot);
        slot
    }

    /// The agent is logged in as this candidate says.
    pub(super) fn log_in(&mut self, desk: &Desk<'_>, candidate: Candidate) -> usize {
        let slot = self.slot_of(&candidate.dn, &candidate.agent_id);
        let Some(agent) = self.agents.get(slot) else { return slot };
        let same = agent.logged_in && agent.agent_id == candidate.agent_id && agent.named == candidate.queues;
        if same {
            return slot;
        }
        self.leave_lines(slot);
        if let Some(agent) = self.agents.get_mut(slot) {
            agent.logged_in = true;
            agent.agent_id = candidate.agent_id;
            agent.named = candidate.queues;
        }
        self.join_lines(desk.directory, slot);
        slot
    }

    /// Reads the agent's configuration anew and puts him where it says.
    pub(super) fn join_lines(&mut self, directory: &Directory, slot: usize) {
        let Some(agent) = self.agents.get_mut(slot) else { return };
        agent.read(directory);
        if !agent.logged_in {
            return;
        }
        let Some(agent) = self.agents.get(slot) else { return };
        let serves = self.serves(agent);
        for line in &serves {
            if let Some(line) = self.lines.get_mut(*line) {
                line.agents += 1;
            }
        }
        if let Some(agent) = self.agents.get_mut(slot) {
            agent.serves = serves;
        }
        self.sit(slot);
    }

    /// Takes him out of the queues he serves. Returns them.
    pub(super) fn leave_lines(&mut self, slot: usize) -> Vec<usize> {
        self.stand(slot);
        let Some(agent) = self.agents.get_mut(slot) else { return Vec::new() };
        let serves = std::mem::take(&mut agent.serves);
        for line in &serves {
            if let Some(line) = self.lines.get_mut(*line) {
                line.agents = line.agents.saturating_sub(1);
            }
        }
        serves
    }

    /// He takes his seats, if he may be offered calls.
    pub(super) fn sit(&mut self, slot: usize) {
        on_lines(&self.agents, &mut self.lines, slot, Line::sit);
    }

    /// He leaves them, if he has any.
    pub(super) fn stand(&mut self, slot: usize) {
        on_lines(&self.agents, &mut self.lines, slot, Line::stand);
    }

    pub(super) fn log_out(&mut self, dn: &str) -> Vec<usize> {
        let Some(slot) = self.by_dn.get(dn).copied() else { return Vec::new() };
        if !self.agents.get(slot).is_some_and(|agent| agent.logged_in) {
            return Vec::new();
        }
        let left = self.leave_lines(slot);
        if let Some(agent) = self.agents.get_mut(slot) {
            (agent.logged_in, agent.idle) = (false, None);
        }
        self.gone_agents.push_back(slot);
        self.forget_agents();
        left
    }

    /// Forgets who has been logged out longest, beyond [`MAX_GONE_AGENTS`].
    fn forget_agents(&mut self) {
        while self.gone_agents.len() > MAX_GONE_AGENTS
            && let Some(slot) = self.gone_agents.pop_front()
        {
            let over = |agent: &Agent| !agent.logged_in && agent.offer.is_none();
            let again = self.gone_agents.contains(&slot);
            if !again && self.agents.get(slot).is_some_and(over) {
                let agent = self.agents.remove(slot);
                self.by_dn.remove(&agent.dn);
            }
        }
    }
}

fn on_lines(
    agents: &Slab<Agent>,
    lines: &mut Slab<Line>,
    slot: usize,
    act: impl Fn(&mut Line, &Agent, usize),
) {
    let Some(agent) = agents.get(slot).filter(|agent| agent.is_seated()) else { return };
    for line in &agent.serves {
        if let Some(line) = lines.get_mut(*line) {
            act(line, agent, slot);
        }
    }
}
