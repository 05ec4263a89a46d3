//! Who sits where: the DNs with an agent or a call, and the indexes over them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tandem_cti::{AgentState, WorkMode};
use tandem_peer::Replicated;

use super::Desk;
use super::state::{Agent, CallsAtDn, Turn};
use super::word::{AgentNews, View};
use crate::directory::floor::InForce;
use crate::time::Deadline;

/// An agent and what is known of him while the process lives.
#[derive(Debug)]
pub(super) struct Seated {
    pub agent: Replicated<Agent>,
    /// The call that a queue offers him.
    pub offer: Option<u64>,
    pub in_service: bool,
    /// What the queues were told last.
    pub available: bool,
    pub shown: (AgentState, WorkMode),
    timer: Option<Deadline>,
}

/// A DN with an agent, a call or both.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub calls: CallsAtDn,
    pub seated: Option<Box<Seated>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Seats {
    pub by_dn: BTreeMap<Arc<str>, Seat>,
    by_agent_id: BTreeMap<Arc<str>, Arc<str>>,
    by_client: BTreeSet<(u64, Arc<str>)>,
    timers: BTreeSet<(Deadline, Arc<str>)>,
    /// DNs, with an agent or without, whose phone is registered and is suspected to be gone.
    pub suspended: BTreeSet<Arc<str>>,
    pub news: VecDeque<AgentNews>,
}

impl Seats {
    /// Agents logged in.
    pub fn agents(&self) -> usize {
        self.by_agent_id.len()
    }

    pub fn at(&self, dn: &str) -> Option<&Seated> {
        self.by_dn.get(dn)?.seated.as_deref()
    }

    /// DN of an agent.
    pub fn dn_of(&self, agent_id: &str) -> Option<&Arc<str>> {
        self.by_agent_id.get(agent_id)
    }

    /// DNs of the agents whom a client logged in.
    pub fn of_client(&self, client: u64) -> Vec<Arc<str>> {
        let first = (client, Arc::from(""));
        self.by_client
            .range(first..)
            .take_while(|(c, _)| *c == client)
            .map(|(_, dn)| Arc::clone(dn))
            .collect()
    }

    /// DNs with an agent.
    pub fn occupied(&self) -> Vec<Arc<str>> {
        self.by_agent_id.values().cloned().collect()
    }

    /// The earliest timer.
    pub fn next_timer(&self) -> Option<&(Deadline, Arc<str>)> {
        self.timers.first()
    }

    /// Sits an agent down. Nobody may sit there.
    pub fn sit(&mut self, agent: Replicated<Agent>, in_service: bool) {
        let dn = Arc::clone(&agent.dn);
        self.by_agent_id.insert(Arc::clone(&agent.agent_id), Arc::clone(&dn));
        self.by_client.insert((agent.client, Arc::clone(&dn)));
        let shown = (AgentState::LoggedOut, WorkMode::Unknown);
        let seated = Seated { agent, offer: None, in_service, available: false, shown, timer: None };
        self.by_dn.entry(dn).or_default().seated = Some(Box::new(seated));
    }

    /// Lets an agent go.
    pub fn rise(&mut self, dn: &str) -> Option<Seated> {
        let seated = *self.by_dn.get_mut(dn)?.seated.take()?;
        self.by_agent_id.remove(&seated.agent.agent_id);
        self.by_client.remove(&(seated.agent.client, Arc::clone(&seated.agent.dn)));
        if let Some(timer) = seated.timer {
            self.timers.remove(&(timer, Arc::clone(&seated.agent.dn)));
        }
        self.tidy(dn);
        Some(seated)
    }

    /// Forgets a DN with nothing at it.
    pub fn tidy(&mut self, dn: &str) {
        if self.by_dn.get(dn).is_some_and(|seat| seat.calls.is_empty() && seat.seated.is_none()) {
            self.by_dn.remove(dn);
        }
    }

    /// Changes one agent, and draws the consequences: he is stored if he changed, the queues hear whether he is
    /// available, his timer is set. That he is available no more comes before everything else that is told, so that no
    /// call is offered to him meanwhile; that he is available comes after it. `None` if nobody sits there.
    pub fn turn<R>(
        &mut self,
        desk: &mut Desk<'_>,
        dn: &str,
        act: impl FnOnce(&mut Turn<'_>) -> R,
    ) -> Option<R> {
        let Seat { calls, seated } = self.by_dn.get_mut(dn)?;
        let seated = seated.as_deref_mut()?;
        let options: InForce = desk.directory.agent_options(dn, &seated.agent.agent_id);
        let mark = self.news.len();
        let mut agent = Agent::clone(&seated.agent);
        let (before, now_ms) = (agent.client, desk.now.unix_ms);
        let mut turn = Turn {
            agent: &mut agent,
            offer: &mut seated.offer,
            in_service: &mut seated.in_service,
            suspended: self.suspended.contains(dn),
            calls,
            options: &options,
            now_ms,
            news: &mut self.news,
        };
        let answer = act(&mut turn);
        let shown = turn.agent.shown(calls, &options);
        if shown != seated.shown && seated.shown.0 != AgentState::LoggedOut {
            turn.agent.since_unix_ms = now_ms;
        }
        let (available, timer) = (turn.is_available(), turn.next_deadline());
        let dn = Arc::clone(&agent.dn);
        seated.shown = shown;
        if agent.client != before {
            self.by_client.remove(&(before, Arc::clone(&dn)));
            self.by_client.insert((agent.client, Arc::clone(&dn)));
        }
        if timer != seated.timer {
            if let Some(old) = seated.timer {
                self.timers.remove(&(old, Arc::clone(&dn)));
            }
            self.timers.extend(timer.map(|timer| (timer, Arc::clone(&dn))));
            seated.timer = timer;
        }
        // The queue learns of other queues by hearing of him anew.
        let renewed = seated.available && available && agent.queues != seated.agent.queues;
        if seated.available && (!available || renewed) {
            self.news.insert(mark, AgentNews::Unavailable { dn: Arc::clone(&dn) });
        }
        if available && (!seated.available || renewed) {
            self.news.push_back(AgentNews::Available { dn });
        }
        seated.available = available;
        if agent != *seated.agent {
            seated.agent.update(desk.log, |stored| *stored = agent);
        }
        Some(answer)
    }
}

impl Seat {
    /// Whether its agent may be offered calls.
    pub fn is_available(&self) -> bool {
        self.seated.as_deref().is_some_and(|seated| seated.available)
    }

    /// Its agent as others see him.
    pub fn view(&self) -> Option<View> {
        let seated = self.seated.as_deref()?;
        let agent = &*seated.agent;
        Some(View {
            dn: Arc::clone(&agent.dn),
            agent_id: Arc::clone(&agent.agent_id),
            state: seated.shown.0,
            work_mode: seated.shown.1,
            queues: agent.queues.clone(),
            reasons: agent.reasons().clone(),
            since_unix_ms: agent.since_unix_ms,
            login_unix_ms: agent.login_unix_ms,
            until: agent.pause.as_ref().and_then(|pause| pause.until),
            calls: self.calls.len(),
            available: seated.available,
            in_service: seated.in_service,
            suspended: false,
            idle_since_unix_ms: agent.idle_since_unix_ms,
        })
    }
}
