//! A floor against a reference that knows no index: after every step it looks at every call and every agent.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use tandem_switch::directory::floor::{AgentLogin, Distribution, Floor, Queue};
use tandem_switch::limits::PAUSE_AFTER_FAILED_MS;

use crate::floor::{House, arc, login, queue};

const SKILLS: [&str; 2] = ["german", "sales"];
const QUEUES: [&str; 3] = ["800", "801", "802"];
const DNS: [&str; 5] = ["1", "2", "3", "4", "5"];
const NO_ANSWER_MS: u64 = 15_000;

#[derive(Clone, Debug)]
enum Step {
    Arrive { queue: usize, priority: i32, skills: Vec<(usize, u32)> },
    Leave(prop::sample::Index),
    Answered(prop::sample::Index),
    Failed(prop::sample::Index),
    LogIn(usize),
    LogOut(usize),
    Available(usize),
    Unavailable(usize),
    Pass(u64),
    Reload(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let call = any::<prop::sample::Index>;
    let skills = prop::collection::btree_map(0..SKILLS.len(), 1u32..5, 0..2);
    let arrive = (0..QUEUES.len(), 0i32..2, skills);
    prop_oneof![
        6 => arrive.prop_map(|(queue, priority, skills)| {
            Step::Arrive { queue, priority, skills: skills.into_iter().collect() }
        }),
        1 => call().prop_map(Step::Leave),
        2 => call().prop_map(Step::Answered),
        3 => call().prop_map(Step::Failed),
        1 => (0..DNS.len()).prop_map(Step::LogIn),
        1 => (0..DNS.len()).prop_map(Step::LogOut),
        6 => (0..DNS.len()).prop_map(Step::Available),
        1 => (0..DNS.len()).prop_map(Step::Unavailable),
        3 => prop_oneof![Just(0u64), 1u64..3, 1_000u64..9_000, Just(PAUSE_AFTER_FAILED_MS)].prop_map(Step::Pass),
        1 => (0..QUEUES.len(), any::<u8>()).prop_map(|(queue, how)| Step::Reload(queue, how)),
    ]
}

#[derive(Clone, Debug)]
struct Call {
    conn: u64,
    queue: usize,
    priority: i32,
    skills: Vec<(usize, u32)>,
    came: (u64, u64),
    rings: Option<usize>,
    take_back: Option<u64>,
    failed: BTreeMap<usize, u64>,
}

#[derive(Clone, Debug, Default)]
struct Agent {
    logged_in: bool,
    idle: Option<(u64, u64)>,
}

/// Calls in no order at all.
struct Reference {
    floor: Floor,
    calls: Vec<Call>,
    agents: Vec<Agent>,
    seq: u64,
    now: u64,
    wishes: Vec<String>,
}

impl Reference {
    fn level(&self, agent: usize, skill: &str) -> u32 {
        self.floor.logins[agent].skills.get(skill).copied().unwrap_or(0)
    }

    fn serves(&self, agent: usize, queue: &Queue) -> bool {
        let named = queue.agents.contains(&arc(&format!("a{}", DNS[agent])));
        let by_skill = queue.agents.is_empty() && !queue.skills.is_empty();
        let able = queue.skills.iter().all(|(name, level)| self.level(agent, name) >= *level);
        self.agents[agent].logged_in && (named || by_skill) && able
    }

    fn may(&self, call: &Call, agent: usize) -> bool {
        let able = call.skills.iter().all(|(skill, level)| self.level(agent, SKILLS[*skill]) >= *level);
        let rests = call.failed.get(&agent).is_some_and(|until| *until > self.now);
        let rings = self.calls.iter().any(|call| call.rings == Some(agent));
        let free = self.agents[agent].idle.is_some() && !rings;
        free && able && !rests && self.serves(agent, &self.floor.queues[call.queue])
    }

    /// The most urgent call that anybody may take, and the best who may.
    fn next(&self) -> Option<(usize, usize)> {
        let waiting = self.calls.iter().enumerate().filter(|(_, call)| call.rings.is_none());
        let taken = waiting.filter_map(|(place, call)| {
            let queue = &self.floor.queues[call.queue];
            let may = (0..DNS.len()).filter(|agent| self.may(call, *agent));
            let best = may.min_by_key(|agent| {
                let mut level = 0;
                if queue.distribution == Distribution::HighestSkill {
                    let wanted = |skill: &str| call.skills.iter().any(|(s, _)| SKILLS[*s] == skill);
                    let counts = |skill: &&&str| queue.skills.contains_key(**skill) || wanted(skill);
                    level = SKILLS.iter().filter(counts).map(|skill| self.level(*agent, skill)).sum();
                }
                (call.failed.contains_key(agent), Reverse(level), self.agents[*agent].idle)
            })?;
            Some(((Reverse(call.priority), Reverse(queue.priority), call.came), place, best))
        });
        taken.min().map(|(_, place, best)| (place, best))
    }

    fn settle(&mut self) {
        while let Some((place, agent)) = self.next() {
            self.agents[agent].idle = None;
            let call = &mut self.calls[place];
            call.rings = Some(agent);
            call.take_back = Some(self.now + NO_ANSWER_MS);
            self.wishes.push(format!("{}>{}", call.conn, DNS[agent]));
        }
    }

    fn unattended(&mut self) {
        let away: Vec<Call> = self.calls.iter().filter(|call| self.leaves(call)).cloned().collect();
        for call in away {
            self.wishes.push(format!("{}!{} 480 NoAgents", call.conn, QUEUES[call.queue]));
            self.calls.retain(|other| other.conn != call.conn);
        }
    }

    fn leaves(&self, call: &Call) -> bool {
        let queue = &self.floor.queues[call.queue];
        let empty = !(0..DNS.len()).any(|agent| self.serves(agent, queue));
        call.rings.is_none() && queue.overflow_without_agents && empty
    }
}

struct Both {
    house: House,
    model: Reference,
    next_conn: u64,
}

impl Both {
    fn new(floor: Floor) -> Self {
        let house = House::with(floor.clone());
        let now = house.now.unix_ms;
        let agents = vec![Agent::default(); DNS.len()];
        let model = Reference { floor, calls: vec![], agents, seq: 0, now, wishes: vec![] };
        Self { house, model, next_conn: 1 }
    }

    fn ringing(&self, index: prop::sample::Index) -> Option<(u64, usize)> {
        let ringing: Vec<_> = self.model.calls.iter().filter_map(|c| Some((c.conn, c.rings?))).collect();
        (!ringing.is_empty()).then(|| ringing[index.index(ringing.len())])
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Arrive { queue, priority, skills } => self.arrive(queue, priority, skills),
            Step::Leave(index) => {
                if self.model.calls.is_empty() {
                    return;
                }
                let place = index.index(self.model.calls.len());
                let call = self.model.calls.remove(place);
                self.house.leave(call.conn);
            }
            Step::Answered(index) => {
                let Some((conn, agent)) = self.ringing(index) else { return };
                self.model.calls.retain(|call| call.conn != conn);
                self.model.agents[agent].idle = None;
                self.house.answered(conn);
            }
            Step::Failed(index) => {
                let Some((conn, agent)) = self.ringing(index) else { return };
                let now = self.model.now;
                let call = self.model.calls.iter_mut().find(|call| call.conn == conn).unwrap();
                (call.rings, call.take_back) = (None, None);
                call.failed.insert(agent, now + PAUSE_AFTER_FAILED_MS);
                self.house.failed(conn);
                // Somebody may take it before it is found that nobody is logged in.
                self.model.settle();
            }
            Step::LogIn(agent) => {
                self.model.agents[agent].logged_in = true;
                self.house.log_in(DNS[agent]);
            }
            Step::LogOut(agent) => {
                self.model.agents[agent] = Agent::default();
                self.house.log_out(DNS[agent]);
            }
            Step::Available(agent) => self.available(agent),
            Step::Unavailable(agent) => {
                self.model.agents[agent].idle = None;
                self.house.unavailable(DNS[agent]);
            }
            Step::Pass(ms) => self.pass(ms),
            Step::Reload(queue, how) => self.reload(queue, how),
        }
    }

    fn arrive(&mut self, queue: usize, priority: i32, skills: Vec<(usize, u32)>) {
        let conn = self.next_conn;
        self.next_conn += 1;
        self.model.seq += 1;
        let wanted: Vec<_> = skills.iter().map(|(skill, level)| (SKILLS[*skill], *level)).collect();
        self.house.arrive_with(conn, QUEUES[queue], priority, &wanted);
        let came = (self.model.now, self.model.seq);
        let failed = BTreeMap::new();
        let call = Call { conn, queue, priority, skills, came, rings: None, take_back: None, failed };
        self.model.calls.push(call);
    }

    fn available(&mut self, agent: usize) {
        self.house.available(DNS[agent]);
        self.model.seq += 1;
        let idle = (self.model.now, self.model.seq);
        let known = &mut self.model.agents[agent];
        known.logged_in = true;
        known.idle = known.idle.filter(|known| known.0 == idle.0).or(Some(idle));
    }

    fn pass(&mut self, ms: u64) {
        self.model.now += ms;
        let now = self.model.now;
        let mut over: Vec<_> = self
            .model
            .calls
            .iter_mut()
            .filter_map(|call| {
                let at = call.take_back.filter(|at| *at <= now)?;
                call.take_back = None;
                Some((at, call.conn, call.rings?))
            })
            .collect();
        over.sort_unstable();
        self.model.wishes.extend(over.iter().map(|(_, conn, agent)| format!("{conn}<{}", DNS[*agent])));
        self.house.pass(ms);
    }

    fn reload(&mut self, queue: usize, how: u8) {
        let changed = |floor: &mut Floor| {
            let queue = &mut floor.queues[queue];
            match how % 4 {
                0 => queue.priority = i32::from(how / 64),
                1 => {
                    let all = DNS.iter().filter(|_| how > 1);
                    queue.agents = all.map(|dn| arc(&format!("a{dn}"))).collect();
                }
                2 => queue.skills = [(arc(SKILLS[usize::from(how) / 128]), u32::from(how / 40))].into(),
                _ => queue.distribution = Distribution::HighestSkill,
            }
        };
        self.house.reload(changed);
        changed(&mut self.model.floor);
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        self.model.unattended();
        self.model.settle();
        let mut expected = std::mem::take(&mut self.model.wishes);
        let mut wishes = self.house.wishes();
        // Within a step the pairs count, not in which order they are found.
        expected.sort();
        wishes.sort();
        prop_assert_eq!(wishes, expected);
        for (number, name) in QUEUES.iter().enumerate() {
            let view = self.house.view(name);
            let of = |rings: bool| {
                self.model.calls.iter().filter(|c| c.queue == number && c.rings.is_some() == rings).count()
            };
            prop_assert_eq!((view.waiting, view.offered), (of(false), of(true)), "conservation at {}", name);
            let queue = &self.model.floor.queues[number];
            let agents = (0..DNS.len()).filter(|agent| self.model.serves(*agent, queue)).count();
            prop_assert_eq!(view.agents, agents);
        }
        Ok(())
    }
}

prop_compose! {
    fn one_queue(number: usize)(
        agents in prop::sample::subsequence(DNS.to_vec(), 0..5),
        skill in prop::option::of((0..SKILLS.len(), 1u32..4)),
        by_skill: bool, overflow_without_agents: bool, priority in 0i32..2,
    ) -> Queue {
        let agents: Vec<String> = agents.iter().map(|dn| format!("a{dn}")).collect();
        let agents: Vec<&str> = agents.iter().map(String::as_str).collect();
        let distribution = if by_skill { Distribution::HighestSkill } else { Distribution::LongestIdle };
        let skills = skill.into_iter().map(|(skill, level)| (arc(SKILLS[skill]), level)).collect();
        Queue { skills, distribution, priority, overflow_without_agents, ..queue(QUEUES[number], &agents) }
    }
}

prop_compose! {
    fn one_login(agent: usize)(german in 0u32..5, sales in 0u32..5) -> AgentLogin {
        let mut login = login(&format!("a{}", DNS[agent]), &[("german", german), ("sales", sales)]);
        login.options.agent_no_answer_timeout = Some(Duration::from_millis(NO_ANSWER_MS));
        login
    }
}

fn floor() -> impl Strategy<Value = Floor> {
    let queues: Vec<_> = (0..QUEUES.len()).map(one_queue).collect();
    let logins: Vec<_> = (0..DNS.len()).map(one_login).collect();
    (queues, logins).prop_map(|(queues, logins)| Floor { queues, logins, ..Floor::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(600), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_same_calls_go_to_the_same_agents_as_in_the_reference(
        floor in floor(), steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut both = Both::new(floor);
        for step in steps {
            both.take(step);
            both.compare()?;
        }
        for call in std::mem::take(&mut both.model.calls) {
            both.house.leave(call.conn);
            both.house.wishes();
        }
        // Offers made on the way out belong to calls that have left since.
        prop_assert!(both.house.stored().is_empty(), "a stored place is left behind");
        prop_assert_eq!(both.house.due_in_ms(), None, "a timer is left behind");
    }
}
