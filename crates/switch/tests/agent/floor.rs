//! Three Extensions, a queue, a routing point, a port and some Agent Logins, with whoever sits there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_cti::{ErrorCode, KvList, Refusal, Value, WorkMode};
use tandem_peer::ChangeLog;
use tandem_switch::agent::{AgentNews, Agents, Desk, Login, LogoutBy, View, Work};
use tandem_switch::directory::floor::{
    AgentLogin, AgentOptions, Distribution, Floor as Configured, Password, Port, Queue, RoutingPoint,
    Treatment, WrapUp,
};
use tandem_switch::directory::{Directory, DnClass, Extension, Listen, Options, Server};
use tandem_switch::{Deadline, Now};

pub const START_UNIX_MS: u64 = 1_800_000_000_000;

pub fn seconds(s: u64) -> WrapUp {
    WrapUp::Timed(Duration::from_secs(s))
}

pub fn list(pairs: &[(&str, Value)]) -> KvList {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// What is configured: change it, then make a directory of it.
#[derive(Clone, Default)]
pub struct Setup {
    pub application: AgentOptions,
    pub dn: AgentOptions,
    pub login: AgentOptions,
    pub without_dn: Option<&'static str>,
    pub without_login: bool,
    pub without_queue: bool,
}

fn queue(number: &str) -> Queue {
    Queue {
        number: number.into(),
        agents: vec![],
        groups: vec![],
        skills: Default::default(),
        distribution: Distribution::LongestIdle,
        priority: 0,
        treatment: Treatment::Queued,
        max_length: 0,
        max_wait: Duration::ZERO,
        overflow_without_agents: false,
        overflow: None,
        service_level: Duration::ZERO,
    }
}

impl Setup {
    /// DNs 1001 to 1004 (1004 is a port), queues 700 and 701, point 800, Agent Login `anna` with password `rosebud`
    /// and `bob` without one.
    pub fn directory(&self) -> Directory {
        let server = Server {
            name: "site-a".into(),
            switch: "a".into(),
            sip_address: "198.51.100.1".into(),
            sip_port: 5060,
            listen: vec![Listen {
                transport: tandem_sip::Transport::Udp,
                addr: "198.51.100.1:5060".parse().unwrap(),
            }],
            realm: "tandem".into(),
            nonce_secret: [7; 32],
        };
        let class = Arc::new(DnClass { agent: self.dn.clone(), ..DnClass::default() });
        let numbers = ["1001", "1002", "1003", "1004"].into_iter().filter(|n| Some(*n) != self.without_dn);
        let extensions = numbers.map(|n| Extension { number: n.into(), class: class.clone() }).collect();
        let login = |id: &str, password: Option<&str>| AgentLogin {
            id: id.into(),
            password: password.map(|p| Password(p.into())),
            skills: Default::default(),
            options: self.login.clone(),
        };
        let anna = (!self.without_login).then(|| login("anna", Some("rosebud")));
        let floor = Configured {
            options: self.application.clone(),
            logins: anna.into_iter().chain([login("bob", None)]).collect(),
            queues: ["701", "700"]
                .into_iter()
                .take(if self.without_queue { 1 } else { 2 })
                .map(queue)
                .collect(),
            routing_points: vec![RoutingPoint {
                number: "800".into(),
                default_dn: None,
                router_timeout: Duration::ZERO,
                treatment: Treatment::Queued,
            }],
            ports: vec![Port { number: "1004".into() }],
            ..Configured::default()
        };
        let directory = Directory::new(server, Options::default(), extensions, vec![], vec![]).unwrap();
        directory.with_floor(floor).unwrap()
    }
}

pub struct Floor {
    pub setup: Setup,
    pub directory: Directory,
    pub agents: Agents,
    pub log: ChangeLog,
    pub now: Now,
}

/// A login in full.
#[derive(Clone)]
pub struct Asked<'a> {
    pub dn: &'a str,
    pub id: &'a str,
    pub password: Option<&'a str>,
    pub mode: WorkMode,
    pub queue: Option<&'a str>,
    pub extensions: KvList,
    pub busy: bool,
    pub in_service: bool,
    pub client: u64,
}

impl<'a> Asked<'a> {
    pub fn new(dn: &'a str, id: &'a str, mode: WorkMode) -> Self {
        Self {
            dn,
            id,
            mode,
            password: None,
            queue: None,
            extensions: KvList::new(),
            busy: false,
            in_service: true,
            client: 1,
        }
    }
}

impl Floor {
    pub fn new(application: AgentOptions) -> Self {
        Self::of(&Setup { application, ..Setup::default() })
    }

    #[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
    pub fn of(setup: &Setup) -> Self {
        Self {
            directory: setup.directory(),
            setup: setup.clone(),
            agents: Agents::default(),
            log: ChangeLog::new(1, 1),
            now: Now { mono: Instant::now(), unix_ms: START_UNIX_MS },
        }
    }

    /// `anna` at 1001, logged in with this work mode, her news read.
    pub fn with_anna(application: AgentOptions, mode: WorkMode) -> Self {
        let mut floor = Self::new(application);
        floor.login("1001", "anna", mode).unwrap();
        floor.news();
        floor
    }

    pub fn act<R>(&mut self, act: impl FnOnce(&mut Agents, &mut Desk<'_>) -> R) -> R {
        let mut desk = Desk { directory: &self.directory, log: &mut self.log, now: self.now };
        act(&mut self.agents, &mut desk)
    }

    pub fn ask(&mut self, asked: &Asked<'_>) -> Result<(), ErrorCode> {
        let (dn, queue) = (Arc::from(asked.dn), asked.queue.map(Arc::from));
        let login = Login {
            dn: &dn,
            agent_id: asked.id,
            password: asked.password,
            work_mode: asked.mode,
            queue: queue.as_ref(),
            reasons: KvList::new(),
            extensions: asked.extensions.clone(),
            busy: asked.busy,
            in_service: asked.in_service,
            client: asked.client,
        };
        code(self.act(|agents, desk| agents.login(desk, login)))
    }

    pub fn login(&mut self, dn: &str, id: &str, mode: WorkMode) -> Result<(), ErrorCode> {
        self.ask(&Asked::new(dn, id, mode))
    }

    pub fn logout(&mut self, dn: &str, by: LogoutBy) -> Result<(), ErrorCode> {
        self.logout_with(dn, by, None, KvList::new())
    }

    pub fn logout_with(
        &mut self,
        dn: &str,
        by: LogoutBy,
        queue: Option<&str>,
        extensions: KvList,
    ) -> Result<(), ErrorCode> {
        code(self.act(|agents, desk| agents.logout(desk, dn, by, queue, KvList::new(), extensions)))
    }

    pub fn ready(&mut self, mode: WorkMode) -> Result<(), ErrorCode> {
        code(self.act(|a, desk| a.set_ready(desk, "1001", mode, KvList::new(), KvList::new())))
    }

    pub fn not_ready(&mut self, mode: WorkMode) -> Result<(), ErrorCode> {
        self.not_ready_with(mode, KvList::new(), KvList::new())
    }

    pub fn not_ready_with(
        &mut self,
        mode: WorkMode,
        reasons: KvList,
        extensions: KvList,
    ) -> Result<(), ErrorCode> {
        code(self.act(|a, desk| a.set_not_ready(desk, "1001", mode, reasons, extensions)))
    }

    pub fn began(&mut self, conn: u64, business: bool, wrap_up: Option<WrapUp>) {
        self.act(|agents, desk| agents.call_began(desk, "1001", Work { conn, business, wrap_up }));
    }

    /// A call is answered at 1001.
    pub fn talk(&mut self, conn: u64, business: bool) {
        self.began(conn, business, None);
        self.answer(conn);
    }

    pub fn answer(&mut self, conn: u64) {
        self.act(|agents, desk| agents.call_established(desk, "1001", conn));
    }

    pub fn end(&mut self, conn: u64) {
        self.act(|agents, desk| agents.call_ended(desk, "1001", conn));
    }

    /// Runs the clock, stopping at every timer.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.plus(Duration::from_millis(ms));
        while let Some(due) = self.agents.poll_timeout().filter(|due| due.is_past(end.unix_ms)) {
            self.now = self.now.plus(due.remaining(self.now.unix_ms));
            self.act(|agents, desk| agents.handle_timeout(desk));
        }
        self.now = end;
    }

    pub fn pass(&mut self, s: u64) {
        self.pass_ms(s * 1000);
    }

    /// What was told since it was asked last, each as a line.
    pub fn news(&mut self) -> Vec<String> {
        self.raw_news().iter().map(line).collect()
    }

    pub fn raw_news(&mut self) -> Vec<AgentNews> {
        std::iter::from_fn(|| self.agents.poll_news()).collect()
    }

    pub fn anna(&self) -> View {
        self.agents.at("1001").unwrap()
    }

    pub fn after(&self, s: u64) -> Deadline {
        Deadline::after(self.now.unix_ms, Duration::from_secs(s))
    }
}

fn code(result: Result<(), Refusal>) -> Result<(), ErrorCode> {
    result.map_err(|refusal| refusal.code)
}

/// `notready AfterCallWork WrapUpTime=30`, say: the event, the work mode, then reasons and extensions.
fn line(news: &AgentNews) -> String {
    let (name, told) = match news {
        AgentNews::LoggedIn(told) => ("login", told),
        AgentNews::Ready(told) => ("ready", told),
        AgentNews::NotReady(told) => ("notready", told),
        AgentNews::LoggedOut(told) => ("logout", told),
        AgentNews::Available { .. } => return "available".to_owned(),
        AgentNews::Unavailable { .. } => return "unavailable".to_owned(),
    };
    let mut line = format!("{name} {}", told.work_mode.as_str());
    for (key, value) in told.reasons.iter().chain(&told.extensions) {
        let text = value.as_text().map(str::to_owned).or_else(|| value.as_int().map(|n| n.to_string()));
        line.push_str(&format!(" {key}={}", text.unwrap_or_default()));
    }
    line
}
