//! What happened in a drill, as its parties saw it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::plan::{Plan, Side};
use crate::limits::DRILL_CALLER;

/// Lines of a timeline; further ones are counted only.
const MAX_LINES: usize = 5_000;
/// Answers to OPTIONS that are remembered: those of half an hour. Further ones are not.
const MAX_ANSWERS: usize = 100_000;

/// Where a party was, from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Since when.
    pub since: Instant,
    /// At which site; none means nowhere.
    pub at: Option<Side>,
}

/// A phone or a desktop.
#[derive(Clone, Debug)]
pub struct Party {
    /// Its site while that answers.
    pub home: Side,
    /// Where it was, in order.
    pub stays: Vec<Stay>,
    /// When it began to ask in vain, each time.
    pub silences: Vec<Instant>,
    /// Logins refused because the phone was not at that site (yet).
    pub refused: u32,
    /// When it went on with its session over a new connection, each time.
    pub resumed: Vec<Instant>,
    /// When it was logged in anew, each time.
    pub logins: Vec<Instant>,
    /// When the server logged it out, each time.
    pub logged_out: Vec<Instant>,
}

impl Party {
    fn new(home: Side) -> Self {
        let (resumed, logins, logged_out) = (Vec::new(), Vec::new(), Vec::new());
        Self { home, stays: Vec::new(), silences: Vec::new(), refused: 0, resumed, logins, logged_out }
    }

    /// Where it is.
    pub fn at(&self) -> Option<Side> {
        self.stays.last()?.at
    }

    /// When it first was at this site after a moment.
    pub fn first_at(&self, side: Side, after: Instant) -> Option<Instant> {
        self.stays.iter().find(|stay| stay.since >= after && stay.at == Some(side)).map(|stay| stay.since)
    }

    /// When it noticed, after a moment that is known to `slack`, that its site is silent.
    pub fn noticed(&self, after: Instant, slack: Duration) -> Option<Instant> {
        self.silences.iter().copied().find(|at| *at + slack >= after)
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// With a refusal by this site.
    Refused(Side, u16),
    /// No site answered.
    Silence,
    /// It rang, or waited, until the caller's patience was at its end.
    Unanswered(Side),
    /// People talked, and the site that the call went through no longer answers.
    Cut(Side),
    /// People talked, and this site ended the call.
    EndedBy(Side),
}

/// A call of the gateway.
#[derive(Clone, Debug)]
pub struct Call {
    /// Number that was called.
    pub number: String,
    /// Site of its phone.
    pub home: Side,
    /// Held to the end of the drill?
    pub held: bool,
    /// When it began.
    pub began: Instant,
    /// The site that it is being set up through, or was answered through.
    pub through: Option<Side>,
    /// Sites that were silent.
    pub silent: Vec<Side>,
    /// When it was answered, and through which site.
    pub answered: Option<(Instant, Side)>,
    /// When and how it ended.
    pub ended: Option<(Instant, Outcome)>,
}

/// A line of the timeline.
#[derive(Clone, Debug)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// What.
    pub text: String,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Facts {
    /// Phones by number.
    pub phones: BTreeMap<String, Party>,
    /// Desktops by AgentID.
    pub desks: BTreeMap<String, Party>,
    /// Calls, in the order in which they began.
    pub calls: Vec<Call>,
    /// OPTIONS that the site answered: when each was sent, and when its answer came.
    pub answers: Vec<(Instant, Instant)>,
    /// The timeline.
    pub lines: Vec<Line>,
    /// Lines that found no room.
    pub unsaid: u64,
}

/// The facts, and the moment from which time is told.
pub struct Record {
    /// When the drill began.
    pub begun: Instant,
    /// What the user part of each caller begins with, by which phones and servers know this drill's calls; the number of the
    /// call follows.
    pub callers: String,
    facts: Mutex<Facts>,
    quiet: bool,
    names: Mutex<[String; 2]>,
}

impl Record {
    /// An empty one. It says what happens as it happens, unless it is to be `quiet`.
    pub fn new(plan: &Plan, quiet: bool) -> Self {
        let mut facts = Facts::default();
        for seat in &plan.seats {
            facts.phones.insert(seat.number.clone(), Party::new(seat.home));
            if let Some(desk) = &seat.desk {
                facts.desks.insert(desk.agent.clone(), Party::new(seat.home));
            }
        }
        let names = Mutex::new(["site".to_owned(), "peer".to_owned()]);
        let [a, b, ..] = crate::serve::random().unwrap_or_default();
        let callers = format!("{DRILL_CALLER}{a:02x}{b:02x}-");
        Self { begun: Instant::now(), callers, facts: Mutex::new(facts), quiet, names }
    }

    /// The facts so far.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the two sites call themselves.
    pub fn name_sites(&self, names: [String; 2]) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The name of a site.
    pub fn name(&self, side: Side) -> String {
        side.of(&self.names.lock().unwrap_or_else(PoisonError::into_inner)).clone()
    }

    /// Milliseconds from the beginning to a moment.
    pub fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes a line.
    pub fn say(&self, text: impl Into<String>) {
        self.say_at(Instant::now(), text);
    }

    /// Notes a line about a moment that is over.
    pub fn say_at(&self, at: Instant, text: impl Into<String>) {
        let line = Line { at, text: text.into() };
        if !self.quiet {
            crate::cli::say(&format!("{:>9.2} s  {}\n", self.ms(line.at) as f64 / 1000.0, line.text));
        }
        let mut facts = self.facts();
        if facts.lines.len() < MAX_LINES {
            facts.lines.push(line);
        } else {
            facts.unsaid += 1;
        }
    }

    /// A phone is at a site now, or nowhere.
    pub fn phone_is(&self, number: &str, at: Option<Side>) {
        let moved = self.facts().phones.get_mut(number).is_some_and(|phone| moves(phone, at));
        match at {
            Some(side) if moved => self.say(format!("phone {number} is registered at {}", self.name(side))),
            None if moved => self.say(format!("phone {number} finds nobody")),
            Some(_) | None => {}
        }
    }

    /// The site of a phone is silent.
    pub fn phone_asks_in_vain(&self, number: &str, since: Instant) {
        if let Some(phone) = self.facts().phones.get_mut(number) {
            phone.silences.push(since);
        }
    }

    /// An agent is logged in at a site now, or nowhere.
    pub fn agent_is(&self, agent: &str, at: Option<Side>, why: &str) {
        let moved = self.facts().desks.get_mut(agent).is_some_and(|desk| moves(desk, at));
        match at {
            Some(side) if moved => {
                self.say(format!("agent {agent} is logged in at {}{why}", self.name(side)));
            }
            None if moved => self.say(format!("agent {agent} is logged in nowhere{why}")),
            Some(_) | None => {}
        }
    }

    /// A desktop is connected to a site now, with its agent logged in as before, or it is not.
    pub fn desktop_is(&self, agent: &str, at: Option<Side>) {
        let moved = self.facts().desks.get_mut(agent).is_some_and(|desk| moves(desk, at));
        match at {
            Some(side) if moved => {
                self.say(format!("the desktop of agent {agent} goes on at {}", self.name(side)));
            }
            None if moved => self.say(format!("the desktop of agent {agent} has lost its connection")),
            Some(_) | None => {}
        }
    }

    /// A desktop lost its site.
    pub fn desk_lost(&self, agent: &str) {
        if let Some(desk) = self.facts().desks.get_mut(agent) {
            desk.silences.push(Instant::now());
        }
    }

    /// Something happened to a desktop.
    pub fn desk(&self, agent: &str, change: impl FnOnce(&mut Party)) {
        if let Some(desk) = self.facts().desks.get_mut(agent) {
            change(desk);
        }
    }

    /// The site answered OPTIONS.
    pub fn answered(&self, sent: Instant) {
        let mut facts = self.facts();
        if facts.answers.len() < MAX_ANSWERS {
            facts.answers.push((sent, Instant::now()));
        }
    }

    /// A login was refused because the phone is not there.
    pub fn login_refused(&self, agent: &str) {
        if let Some(desk) = self.facts().desks.get_mut(agent) {
            desk.refused += 1;
        }
    }

    /// A login was refused for another reason.
    pub fn login_failed(&self, agent: &str, side: Side, why: &str) {
        self.agent_is(agent, None, "");
        self.say(format!("agent {agent} is refused at {}: {why}", self.name(side)));
    }

    /// A call begins; gives its number.
    pub fn call_begins(&self, number: &str, home: Side, held: bool) -> usize {
        let mut facts = self.facts();
        let (began, number) = (Instant::now(), number.to_owned());
        let through = None;
        let call =
            Call { number, home, held, began, through, silent: Vec::new(), answered: None, ended: None };
        facts.calls.push(call);
        facts.calls.len() - 1
    }

    /// Something happened to a call.
    pub fn call(&self, call: usize, change: impl FnOnce(&mut Call)) {
        if let Some(call) = self.facts().calls.get_mut(call) {
            change(call);
        }
    }

    /// A call is over.
    pub fn call_ends(&self, call: usize, outcome: Outcome) {
        self.call(call, |call| {
            call.ended.get_or_insert((Instant::now(), outcome));
        });
    }

    /// Whether its caller has hung up, or lost it.
    pub fn is_over(&self, call: usize) -> bool {
        self.facts().calls.get(call).is_none_or(|call| call.ended.is_some())
    }
}

fn moves(party: &mut Party, at: Option<Side>) -> bool {
    let moved = party.stays.last().is_none_or(|stay| stay.at != at);
    if moved {
        party.stays.push(Stay { since: Instant::now(), at });
    }
    moved
}
