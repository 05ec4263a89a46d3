//! A floor with its queues, log and clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_peer::{ChangeLog, ReplicaSet};
use tandem_switch::directory::floor::{
    AgentGroup, AgentLogin, Distribution, Floor, Queue, RoutingPoint, Treatment,
};
use tandem_switch::directory::{AgentOptions, Directory, Listen, Options, Server};
use tandem_switch::queue::{Arrival, Candidate, Desk, OfferEnd, OverflowWhy, Queues, View, Wish};
use tandem_switch::{Deadline, Now};

use tandem_sip::Transport;

pub const START_UNIX_MS: u64 = 1_800_000_000_000;

pub fn queue(number: &str, agents: &[&str]) -> Queue {
    Queue {
        number: number.into(),
        agents: agents.iter().map(|id| (*id).into()).collect(),
        groups: vec![],
        skills: Default::default(),
        distribution: Distribution::LongestIdle,
        priority: 0,
        treatment: Treatment::Ringback,
        max_length: 0,
        max_wait: Duration::ZERO,
        overflow_without_agents: false,
        overflow: None,
        service_level: Duration::from_secs(20),
    }
}

pub fn login(id: &str, skills: &[(&str, u32)]) -> AgentLogin {
    let skills = skills.iter().map(|(name, level)| ((*name).into(), *level)).collect();
    AgentLogin { id: id.into(), password: None, skills, options: AgentOptions::default() }
}

pub fn point(number: &str, default_dn: Option<&str>) -> RoutingPoint {
    RoutingPoint {
        number: number.into(),
        default_dn: default_dn.map(Into::into),
        router_timeout: Duration::from_secs(10),
        treatment: Treatment::Ringback,
    }
}

pub fn group(name: &str, agents: &[&str]) -> AgentGroup {
    AgentGroup { name: name.into(), agents: agents.iter().map(|id| (*id).into()).collect() }
}

pub fn directory(floor: Floor) -> Directory {
    let addr = "198.51.100.1:5060".parse().unwrap();
    let server = Server {
        name: "site-a".into(),
        switch: "a".into(),
        sip_address: "198.51.100.1".into(),
        sip_port: 5060,
        listen: vec![Listen { transport: Transport::Udp, addr }],
        realm: "tandem".into(),
        nonce_secret: [7; 32],
    };
    let directory = Directory::new(server, Options::default(), vec![], vec![], vec![]).unwrap();
    directory.with_floor(floor).unwrap()
}

pub struct House {
    pub directory: Directory,
    pub queues: Queues,
    pub log: ChangeLog,
    pub now: Now,
}

impl House {
    /// Queues, and logins without skills for everybody they name.
    pub fn of(queues: Vec<Queue>) -> Self {
        Self::with(Floor { queues, ..Floor::default() })
    }

    #[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
    pub fn with(floor: Floor) -> Self {
        let now = Now { mono: Instant::now(), unix_ms: START_UNIX_MS };
        let mut house =
            Self { directory: directory(floor), queues: Queues::default(), log: ChangeLog::new(1, 1), now };
        house.with_desk(Queues::adopt);
        house
    }

    pub fn with_desk<T>(&mut self, act: impl FnOnce(&mut Queues, &mut Desk<'_>) -> T) -> T {
        let mut desk = Desk { directory: &self.directory, log: &mut self.log, now: self.now };
        act(&mut self.queues, &mut desk)
    }

    pub fn reload(&mut self, change: impl FnOnce(&mut Floor)) {
        let mut floor = self.directory.floor().clone();
        change(&mut floor);
        self.directory = directory(floor);
        self.with_desk(Queues::adopt);
    }

    pub fn pass(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
        self.with_desk(Queues::handle_timeout);
    }

    pub fn arrive(&mut self, conn: u64, at: &str) {
        self.arrive_with(conn, at, 0, &[]);
    }

    pub fn arrive_with(&mut self, conn: u64, at: &str, priority: i32, skills: &[(&str, u32)]) {
        let skills = skills.iter().map(|(name, level)| ((*name).into(), *level)).collect();
        let arrival = Arrival { conn, at: at.into(), priority, skills };
        self.with_desk(|queues, desk| queues.arrive(desk, arrival));
    }

    /// AgentID `a1` sits at DN `1`, and so on.
    pub fn candidate(&self, dn: &str, queues: &[&str]) -> Candidate {
        Candidate {
            dn: dn.into(),
            agent_id: format!("a{dn}").into(),
            queues: queues.iter().map(|number| (*number).into()).collect(),
            idle_since_unix_ms: self.now.unix_ms,
        }
    }

    pub fn log_in(&mut self, dn: &str) {
        let agent = self.candidate(dn, &[]);
        self.with_desk(|queues, desk| queues.agent_in(desk, agent));
    }

    pub fn log_out(&mut self, dn: &str) {
        self.with_desk(|queues, desk| queues.agent_out(desk, dn));
    }

    pub fn available(&mut self, dn: &str) {
        let agent = self.candidate(dn, &[]);
        self.with_desk(|queues, desk| queues.available(desk, agent));
    }

    pub fn available_for(&mut self, dn: &str, named: &[&str]) {
        let agent = self.candidate(dn, named);
        self.with_desk(|queues, desk| queues.available(desk, agent));
    }

    pub fn unavailable(&mut self, dn: &str) {
        self.with_desk(|queues, desk| queues.unavailable(desk, dn));
    }

    pub fn answered(&mut self, conn: u64) {
        self.with_desk(|queues, desk| queues.answered(desk, conn));
    }

    pub fn leave(&mut self, conn: u64) {
        self.with_desk(|queues, desk| queues.leave(desk, conn));
    }

    pub fn failed(&mut self, conn: u64) {
        self.with_desk(|queues, desk| queues.offer_failed(desk, conn, OfferEnd::NoAnswer));
    }

    pub fn routers(&mut self, at: &str, count: usize) {
        self.with_desk(|queues, desk| queues.routers(desk, at, count));
    }

    /// What is wished, in short: `1>7` offers call 1 to DN 7, `1<7` takes it back, `1!800>801 Time` overflows,
    /// `1!800 480 Time` refuses, `1?900` asks for a route.
    pub fn wishes(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.queues.poll_wish()).map(|wish| short(&wish)).collect()
    }

    pub fn view(&self, number: &str) -> View {
        let list = self.queues.list(&self.directory, self.now);
        list.into_iter().find(|view| &*view.number == number).unwrap()
    }

    pub fn due_in_ms(&self) -> Option<u64> {
        let due = self.queues.poll_timeout();
        due.map(|due: Deadline| due.unix_ms() - self.now.unix_ms)
    }

    /// What is stored.
    pub fn stored(&mut self) -> ReplicaSet {
        let mut stored = ReplicaSet::new();
        while let Some(batch) = self.log.take_batch() {
            for change in batch.changes() {
                stored.apply(&change);
            }
        }
        stored
    }
}

pub fn short(wish: &Wish) -> String {
    let why = |why: &OverflowWhy| format!("{why:?}");
    match wish {
        Wish::Offer { conn, dn, .. } => format!("{conn}>{dn}"),
        Wish::TakeBack { conn, dn } => format!("{conn}<{dn}"),
        Wish::Overflow { conn, from, to: Some(to), why: w, .. } => format!("{conn}!{from}>{to} {}", why(w)),
        Wish::Overflow { conn, from, to: None, status, why: w } => {
            format!("{conn}!{from} {status} {}", why(w))
        }
        Wish::AskRoute { conn, at } => format!("{conn}?{at}"),
    }
}

pub fn arc(text: &str) -> Arc<str> {
    text.into()
}
