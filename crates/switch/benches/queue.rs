//! What it costs to find the agent for a call and the call for an agent.
//!
//! First a table: nanoseconds for one call that comes and is offered, and for one agent who becomes available and is
//! offered the next call, by how many wait and how many agents there are; the last rows have agents in 50 queues.
#![allow(clippy::expect_used, clippy::disallowed_methods, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use divan::Bencher;
use tandem_peer::ChangeLog;
use tandem_sip::Transport;
use tandem_switch::Now;
use tandem_switch::directory::floor::{AgentLogin, Distribution, Floor, Queue, Treatment};
use tandem_switch::directory::{AgentOptions, Directory, Listen, Options, Server};
use tandem_switch::queue::{Arrival, Candidate, Desk, Queues, Wish};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const ROUNDS: usize = 2_000;

fn main() {
    print_table();
    divan::main();
}

struct House {
    directory: Directory,
    queues: Queues,
    log: ChangeLog,
    now: Now,
    dns: Vec<Arc<str>>,
    numbers: Vec<Arc<str>>,
    conn: u64,
}

fn directory(agents: usize, queues: usize) -> Directory {
    let addr = "198.51.100.1:5060".parse().expect("an address");
    let server = Server {
        name: "site-a".into(),
        switch: "a".into(),
        sip_address: "198.51.100.1".into(),
        sip_port: 5060,
        listen: vec![Listen { transport: Transport::Udp, addr }],
        realm: "tandem".into(),
        nonce_secret: [7; 32],
    };
    let queue = |n: usize| Queue {
        number: (800 + n).to_string().into(),
        agents: vec![],
        groups: vec![],
        skills: [("voice".into(), 1)].into(),
        distribution: Distribution::LongestIdle,
        priority: 0,
        treatment: Treatment::Ringback,
        max_length: 0,
        max_wait: Duration::from_secs(600),
        overflow_without_agents: true,
        overflow: None,
        service_level: Duration::from_secs(20),
    };
    let login = |n: usize| {
        let mut skills = vec![("voice".into(), 5)];
        if n.is_multiple_of(2) {
            skills.push(("german".into(), 5));
        }
        AgentLogin {
            id: n.to_string().into(),
            password: None,
            skills: skills.into_iter().collect(),
            options: AgentOptions::default(),
        }
    };
    let floor = Floor {
        queues: (0..queues).map(queue).collect(),
        logins: (0..agents).map(login).collect(),
        ..Floor::default()
    };
    let directory = Directory::new(server, Options::default(), vec![], vec![], vec![]).expect("a directory");
    directory.with_floor(floor).expect("a floor")
}

impl House {
    fn new(agents: usize, queues: usize) -> Self {
        let mut house = Self {
            directory: directory(agents, queues),
            queues: Queues::default(),
            log: ChangeLog::new(1, 1),
            now: Now { mono: Instant::now(), unix_ms: 1_800_000_000_000 },
            dns: (0..agents).map(|n| n.to_string().into()).collect(),
            numbers: (0..queues).map(|n| (800 + n).to_string().into()).collect(),
            conn: 0,
        };
        for n in 0..agents {
            let agent = house.agent(n);
            house.desk(|queues, desk| queues.agent_in(desk, agent));
        }
        house
    }

    fn desk<T>(&mut self, act: impl FnOnce(&mut Queues, &mut Desk<'_>) -> T) -> T {
        let mut desk = Desk { directory: &self.directory, log: &mut self.log, now: self.now };
        act(&mut self.queues, &mut desk)
    }

    fn agent(&self, n: usize) -> Candidate {
        let dn = self.dns.get(n % self.dns.len()).cloned().unwrap_or_default();
        Candidate { agent_id: dn.clone(), dn, queues: vec![], idle_since_unix_ms: self.now.unix_ms }
    }

    fn arrive(&mut self) {
        self.conn += 1;
        self.now.unix_ms += 1;
        // Most calls want nothing further, some an agent who speaks German.
        let german = self.conn.is_multiple_of(8);
        let skills = if german { vec![("german".into(), 3)] } else { vec![] };
        let at = self.numbers.get(self.conn as usize % self.numbers.len()).cloned().unwrap_or_default();
        let arrival = Arrival { conn: self.conn, at, priority: (self.conn % 3) as i32, skills };
        self.desk(|queues, desk| queues.arrive(desk, arrival));
    }

    fn available(&mut self, n: usize) {
        self.now.unix_ms += 1;
        let agent = self.agent(n);
        self.desk(|queues, desk| queues.available(desk, agent));
    }

    /// The offer that has just been made is answered at once. The DN it went to.
    fn answer(&mut self) -> usize {
        let mut at = 0;
        while let Some(wish) = self.queues.poll_wish() {
            if let Wish::Offer { conn, dn, .. } = wish {
                self.desk(|queues, desk| queues.answered(desk, conn));
                at = dn.parse().unwrap_or(0);
            }
        }
        black_box(self.log.take_batch());
        at
    }
}

/// A call comes to idle agents, and is offered.
fn call_comes(agents: usize, queues: usize) -> House {
    let mut house = House::new(agents, queues);
    (0..agents).for_each(|n| house.available(n));
    house
}

/// An agent becomes available where calls wait.
fn agent_comes(waiting: usize, agents: usize, queues: usize) -> House {
    let mut house = House::new(agents, queues);
    (0..waiting).for_each(|_| house.arrive());
    black_box(house.log.take_batch());
    house
}

fn mean_ns(mut round: impl FnMut() -> Duration) -> u128 {
    (0..ROUNDS).map(|_| round()).sum::<Duration>().as_nanos() / ROUNDS as u128
}

fn call_ns(agents: usize, queues: usize) -> u128 {
    let mut house = call_comes(agents, queues);
    // The first call at a queue that wants other skills sorts its agents by them, once.
    for _ in 0..ROUNDS {
        house.arrive();
        let n = house.answer();
        house.available(n);
    }
    mean_ns(|| {
        let start = Instant::now();
        house.arrive();
        let took = start.elapsed();
        let n = house.answer();
        house.available(n);
        took
    })
}

fn agent_ns(waiting: usize, agents: usize, queues: usize) -> u128 {
    let mut house = agent_comes(waiting, agents, queues);
    let mut n = 0;
    mean_ns(|| {
        n += 2;
        let start = Instant::now();
        house.available(n);
        let took = start.elapsed();
        house.answer();
        house.arrive();
        took
    })
}

fn print_table() {
    println!("queues  agents  a call comes, ns   an agent comes, ns, with 10 / 1,000 / 10,000 waiting");
    for queues in [1, 50] {
        for agents in SIZES {
            let call = call_ns(agents, queues);
            let [few, some, many] = SIZES.map(|waiting| agent_ns(waiting.max(queues), agents, queues));
            println!("{queues:>6}  {agents:>6}  {call:>16}   {few:>8} / {some:>6} / {many:>6}");
        }
    }
}

/// A call comes, is offered and answered; its agent is available again.
#[divan::bench(args = SIZES)]
fn call_and_answer(bencher: Bencher<'_, '_>, agents: usize) {
    let mut house = call_comes(agents, 1);
    bencher.bench_local(|| {
        house.arrive();
        let n = house.answer();
        house.available(n);
    });
}
