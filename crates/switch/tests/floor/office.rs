//! What is configured in these tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tandem_cti::Role;
use tandem_peer::trunk::TrunkOptions;
use tandem_switch::directory::floor::{
    AgentLogin, AgentOptions, Distribution, Mixer, Password, Person, Queue, RoutingPoint, Treatment,
};
use tandem_switch::directory::{AnswerMode, Directory, Extension, Floor};

use crate::support::{contact, directory};

pub const ANNA: &str = "1001";
pub const BERT: &str = "1002";
/// The DN with a static contact.
pub const FIXED: &str = "1003";
pub const DORA: &str = "1004";
/// The caller outside.
pub const OUTSIDE: &str = "555";
pub const QUEUE: &str = "7000";
pub const POINT: &str = "7100";
pub const MIXER: &str = "10.0.0.50:5060";

pub fn queue(number: &str, agents: &[&str]) -> Queue {
    Queue {
        number: number.into(),
        agents: agents.iter().map(|id| Arc::from(*id)).collect(),
        groups: Vec::new(),
        skills: BTreeMap::new(),
        distribution: Distribution::default(),
        priority: 0,
        treatment: Treatment::Ringback,
        max_length: 0,
        max_wait: Duration::ZERO,
        overflow_without_agents: false,
        overflow: None,
        service_level: Duration::from_secs(20),
    }
}

pub fn point(number: &str) -> RoutingPoint {
    RoutingPoint {
        number: number.into(),
        default_dn: None,
        router_timeout: Duration::from_secs(5),
        treatment: Treatment::Ringback,
    }
}

pub fn login(id: &str) -> AgentLogin {
    AgentLogin { id: id.into(), password: None, skills: BTreeMap::new(), options: AgentOptions::default() }
}

pub fn person(name: &str, role: Role, logins: &[&str]) -> Person {
    Person {
        name: name.into(),
        password_hash: Password("-".into()),
        role,
        logins: logins.iter().map(|id| Arc::from(*id)).collect(),
        preferred_site: None,
    }
}

/// Everything that a test may change before it opens.
pub struct Plans {
    pub extensions: Vec<Extension>,
    pub floor: Floor,
    /// There is another site.
    pub peered: bool,
    /// There is a media server.
    pub media: bool,
}

/// Anna (5001), Bert (5002) and Dora (5004) are agents of the queue 7000; calls of any kind are business calls. There is
/// a routing point, a mixer, and a supervisor, an administrator and a routing application. No peer.
pub fn office(change: impl FnOnce(&mut Plans)) -> Arc<Directory> {
    let options = AgentOptions {
        internal_bsns_calls: Some(true),
        inbound_bsns_calls: Some(true),
        ..AgentOptions::default()
    };
    let floor = Floor {
        options,
        logins: ["5001", "5002", "5003", "5004"].map(login).into(),
        persons: vec![
            person("anna", Role::Agent, &["5001"]),
            person("bert", Role::Agent, &["5002"]),
            person("dora", Role::Agent, &["5004"]),
            person("sam", Role::Supervisor, &[]),
            person("root", Role::Administrator, &[]),
            person("route", Role::RoutingApplication, &[]),
        ],
        queues: vec![queue(QUEUE, &["5001", "5002", "5003", "5004"])],
        routing_points: vec![point(POINT)],
        mixer: Some(Mixer { name: "mixer".into(), contact: contact("sip:{conference}@10.0.0.50", MIXER) }),
        ..Floor::default()
    };
    let mut plans = Plans { extensions: Vec::new(), floor, peered: false, media: false };
    let mut plans_change = Some(change);
    let plain = directory(|options, extensions, trunks| {
        for extension in extensions.iter_mut() {
            let answer = AnswerMode { notify_talk: true, ..AnswerMode::default() };
            Arc::make_mut(&mut extension.class).answer = answer;
        }
        plans.extensions = std::mem::take(extensions);
        plans_change.take().unwrap()(&mut plans);
        *extensions = std::mem::take(&mut plans.extensions);
        options.media = plans.media;
        if !plans.peered {
            options.dr_peer_trunk = None;
            trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        }
    });
    Arc::new(Arc::try_unwrap(plain).unwrap().with_floor(plans.floor).unwrap())
}
