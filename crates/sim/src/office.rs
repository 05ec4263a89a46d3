//! The contact-centre floor of the simulated sites: who works there, and where calls wait.
//!
//! Agent Logins `a1` to `a8`, each of a person of the same name with a `p` before it (`pa1`), so that nobody logs in with
//! another's. Queue 7000 is served by `a1` to `a4`, queue 7001, whose calls come first, by `a3` to `a6`; routing point
//! 7900 falls back to 7000. `sue` supervises, `ray` routes, `adm` administers.

use std::sync::Arc;

use tandem_cti::Role;
use tandem_sip::Transport;
use tandem_switch::directory::floor::{
    AgentLogin, AgentOptions, Distribution, Floor, Mixer, Password, Person, Place, Queue, RoutingPoint,
    Treatment,
};
use tandem_switch::directory::{AnswerMode, StaticContact};

use crate::time::secs;

/// Agent Logins.
pub const AGENTS: u32 = 8;

/// Where the conference mixer is, if a scenario switches one on.
pub const MIXER: ([u8; 4], u16) = ([10, 9, 0, 9], 5060);

fn login(n: u32) -> Arc<str> {
    format!("a{n}").into()
}

fn person(name: &str, role: Role, logins: Vec<Arc<str>>) -> Person {
    Person { name: name.into(), password_hash: Password("".into()), role, logins, preferred_site: None }
}

/// A queue as most scenarios want it: longest idle first, ringback, no overflow.
#[must_use]
pub fn queue(number: &str, agents: std::ops::RangeInclusive<u32>) -> Queue {
    Queue {
        number: number.into(),
        agents: agents.map(login).collect(),
        groups: Vec::new(),
        skills: Default::default(),
        distribution: Distribution::LongestIdle,
        priority: 0,
        treatment: Treatment::Ringback,
        max_length: 0,
        max_wait: secs(120),
        overflow_without_agents: false,
        overflow: None,
        service_level: secs(20),
    }
}

/// The floor, with these options of agents at the Application.
#[must_use]
pub fn floor(options: AgentOptions) -> Floor {
    Floor {
        queues: vec![queue("7000", 1..=4), Queue { priority: 5, ..queue("7001", 3..=6) }],
        ..staffed(AGENTS, options)
    }
}

/// A floor with so many agents, all of whom serve queue 7000.
#[must_use]
pub fn staffed(agents: u32, options: AgentOptions) -> Floor {
    let logins = (1..=agents).map(|n| AgentLogin {
        id: login(n),
        password: None,
        skills: Default::default(),
        options: AgentOptions::default(),
    });
    let persons = (1..=agents).map(|n| person(&format!("pa{n}"), Role::Agent, vec![login(n)]));
    let others = [
        person("sue", Role::Supervisor, Vec::new()),
        person("ray", Role::RoutingApplication, Vec::new()),
        person("adm", Role::Administrator, Vec::new()),
    ];
    let place = |n: u32| {
        let number: Arc<str> = (1000 + n).to_string().into();
        let dns = ["switch-a", "switch-b"].map(|switch| (Arc::from(switch), number.clone()));
        Place { name: format!("place-{n}").into(), dns: dns.into() }
    };
    let point = RoutingPoint {
        number: "7900".into(),
        default_dn: Some("7000".into()),
        router_timeout: secs(3),
        treatment: Treatment::Ringback,
    };
    Floor {
        options,
        logins: logins.collect(),
        persons: persons.chain(others).collect(),
        places: (1..=agents).map(place).collect(),
        queues: vec![queue("7000", 1..=agents)],
        routing_points: vec![point],
        mixer: Some(mixer()),
        ..Floor::default()
    }
}

fn mixer() -> Mixer {
    let addr = MIXER.into();
    let uri = format!("sip:{{conference}}@{addr}").into();
    let contact = StaticContact { uri, transport: Transport::Udp, addr: Some(addr), resolve: None };
    Mixer { name: "mixer".into(), contact }
}

/// Phones that answer when they are told to.
#[must_use]
pub fn answers_by_request() -> AnswerMode {
    AnswerMode {
        notify_talk: true,
        make_call_call_info: Some("<sip:tandem>;answer-after=0".into()),
        ..AnswerMode::default()
    }
}
