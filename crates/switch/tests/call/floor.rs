//! A queue, a routing point, and what requests do to calls.

use std::sync::Arc;
use std::time::Duration;

use tandem_cti::Role;
use tandem_peer::trunk::TrunkOptions;
use tandem_sip::Message;
use tandem_switch::Input;
use tandem_switch::arena::Key;
use tandem_switch::call::control::{Begun, Make, Onward, Operation};
use tandem_switch::call::{Carried, Stage, Ticket};
use tandem_switch::cti::{CtiInput, LinkId};
use tandem_switch::directory::floor::{Distribution, Queue, RoutingPoint, Treatment};
use tandem_switch::directory::{Directory, DnId, Floor, Options, TrunkId};

use crate::support::{Bed, CALLER, directory, invite};

pub const QUEUE: &str = "7000";
pub const POINT: &str = "7100";
pub const MUSIC: &str = "7001";

/// Queue 7000, which tells callers that they are queued, queue 7001 with music, and routing point 7100, which lets them hear ringback.
pub fn with_floor(change: impl FnOnce(&mut Options)) -> Arc<Directory> {
    let plain = directory(|options, _, trunks| {
        change(options);
        if options.dr_peer_trunk.is_none() {
            trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
        }
    });
    let queue = Queue {
        number: QUEUE.into(),
        agents: Vec::new(),
        groups: Vec::new(),
        skills: std::collections::BTreeMap::new(),
        distribution: Distribution::default(),
        priority: 0,
        treatment: Treatment::Queued,
        max_length: 0,
        max_wait: Duration::ZERO,
        overflow_without_agents: false,
        overflow: None,
        service_level: Duration::from_secs(20),
    };
    let point = RoutingPoint {
        number: POINT.into(),
        default_dn: None,
        router_timeout: Duration::from_secs(5),
        treatment: Treatment::Ringback,
    };
    let treatment = Treatment::Music("hold.wav".into());
    let music = Queue { number: MUSIC.into(), treatment, ..queue.clone() };
    let floor = Floor { queues: vec![queue, music], routing_points: vec![point], ..Floor::default() };
    Arc::new(Arc::try_unwrap(plain).unwrap().with_floor(floor).unwrap())
}

/// A bed with that floor and no peer; 1001 to 1004 as usual, the first two registered where the constants say.
pub fn bed() -> Bed {
    let mut bed = Bed::with(with_floor(|options| options.dr_peer_trunk = None));
    route(&mut bed);
    bed.node.overhear();
    bed
}

/// A routing application listens at the routing point, and says nothing.
fn route(bed: &mut Bed) {
    let link = LinkId(1);
    let open = CtiInput::Open {
        link,
        person: "router".into(),
        role: Role::RoutingApplication,
        application: "test".into(),
        resume: None,
        reference_id: None,
    };
    let register = format!(r#"{{"request":"TRegisterAddress","ThisDN":"{POINT}"}}"#);
    let request = Box::new(tandem_cti::decode(&register).unwrap());
    for input in [open, CtiInput::Request { link, request }] {
        bed.node.handle_input(Input::Cti(input), bed.now);
        bed.drain();
    }
}

impl Bed {
    /// 1001 calls this number, which is a queue or routing point: the key of the call, and what the caller hears.
    #[track_caller]
    pub fn waits_at(&mut self, number: &str) -> (Key, Message) {
        self.register("1001", CALLER);
        self.receive(CALLER, &invite("1001", CALLER, number, "call1"));
        let mut heard = self.take(CALLER);
        assert_eq!(heard.len(), 2, "100 and the treatment");
        (self.key(), heard.remove(1))
    }

    /// Key of the only call.
    #[track_caller]
    pub fn key(&mut self) -> Key {
        self.node.control(self.now, |calls, _| calls.keys()[0])
    }

    pub fn steer(&mut self, key: Key, operation: Operation) -> Result<Begun, u16> {
        let outcome =
            self.node.control(self.now, |calls, rooms| calls.operate(rooms, key, Ticket(1), operation));
        self.drain();
        outcome
    }

    pub fn make(&mut self, make: Make) -> Result<Key, u16> {
        let outcome = self.node.control(self.now, |calls, rooms| calls.make(rooms, make));
        self.drain();
        outcome
    }
}

/// On to the Extension at this place of the directory.
pub fn on_to(dn: u32) -> Onward {
    Onward {
        to: format!("100{}", dn + 1).into_bytes().into(),
        stages: vec![Stage::Extension(DnId(dn))],
        steps: Vec::new(),
        ring_timeout: Duration::from_secs(30),
        carried: Carried::default(),
    }
}

/// On to a number at the peer.
pub fn on_to_peer(number: &str, carried: Carried) -> Onward {
    let stages = vec![Stage::Peer(TrunkId(1), number.as_bytes().into())];
    Onward { to: number.as_bytes().into(), stages, carried, ..on_to(0) }
}

/// 1001 is to call 1002 by request.
pub fn made() -> Make {
    Make {
        ticket: Ticket(7),
        from: DnId(0),
        to: b"1002"[..].into(),
        stages: vec![Stage::Extension(DnId(1))],
        park: None,
        steps: Vec::new(),
        ring_timeout: Duration::from_secs(30),
        carried: Carried::default(),
    }
}
