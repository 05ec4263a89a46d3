//! Two sites, and the events that their servers would tell.

use std::sync::Arc;

use tandem_cti::{
    AgentState, CallType, DnRole, Event, EventName, PartyInfo, PartyState, Resumed, Value, WorkMode,
};
use tandem_stat::{
    Fact, GroupLayout, Heard, Layout, PlaceLayout, QueueKind, QueueLayout, Row, SiteLayout, Stat, View,
};

pub const START_MS: u64 = 1_700_000_000_000;
pub const A: usize = 0;
pub const B: usize = 1;

pub fn layout() -> Layout {
    let site = |name: &str| SiteLayout {
        name: name.into(),
        extensions: ["1001", "1002", "1003"].map(Arc::from).into(),
        queues: [("7000", QueueKind::Queue), ("7001", QueueKind::Queue), ("8000", QueueKind::RoutingPoint)]
            .map(|(number, kind)| {
                let agents =
                    if number == "7000" { ["anna", "bert"].map(Arc::from).into() } else { [].into() };
                (Arc::from(number), QueueLayout { kind, agents, service_level_ms: 20_000 })
            })
            .into(),
        agents: ["anna", "bert"].map(Arc::from).into(),
    };
    let place = |name: &str, dn: &str| PlaceLayout {
        name: name.into(),
        dns: vec![("site-a".into(), dn.into()), ("site-b".into(), dn.into())],
    };
    Layout {
        sites: vec![site("site-a"), site("site-b")],
        places: vec![place("desk-1", "1001"), place("desk-2", "1002")],
        groups: vec![GroupLayout { name: "sales".into(), agents: ["anna", "bert"].map(Arc::from).into() }],
        utc_offset_min: 0,
    }
}

/// A service that hears both sites, and what it gave out.
pub struct Floor {
    pub stat: Stat,
    pub now_ms: u64,
    pub rows: Vec<Row>,
    pub facts: std::collections::BTreeMap<String, String>,
}

pub fn floor() -> Floor {
    let mut stat = Stat::new(layout());
    stat.link(A, true, START_MS);
    stat.link(B, true, START_MS);
    Floor { stat, now_ms: START_MS, rows: Vec::new(), facts: std::collections::BTreeMap::new() }
}

impl Floor {
    pub fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    pub fn tell(&mut self, site: usize, mut event: Event) -> Heard {
        event.time = self.now_ms;
        let heard = self.stat.event(site, &event);
        while let Some(row) = self.stat.poll_row() {
            self.rows.push(row);
        }
        for Fact { key, value } in self.stat.take_facts() {
            match value {
                Some(value) => self.facts.insert(key, value),
                None => self.facts.remove(&key),
            };
        }
        heard
    }

    /// Another process with what this one stored.
    pub fn restart(&self) -> Self {
        let mut other = floor();
        other.now_ms = self.now_ms;
        for value in self.facts.values() {
            assert!(other.stat.restore(value), "{value}");
        }
        other.facts = self.facts.clone();
        other
    }

    pub fn view(&self, object: &str) -> View {
        self.stat.view(&object.parse().unwrap(), self.now_ms).unwrap_or_else(|| panic!("no {object}"))
    }

    pub fn status(&self, object: &str) -> String {
        self.view(object).status.unwrap().as_str().to_owned()
    }

    pub fn login(&mut self, site: usize, dn: &str, agent: &str) {
        self.tell(site, agent_event(EventName::AgentLogin, dn, agent));
        self.tell(site, agent_event(EventName::AgentNotReady, dn, agent));
    }

    pub fn ready(&mut self, site: usize, dn: &str, agent: &str) {
        self.tell(site, agent_event(EventName::AgentReady, dn, agent));
    }

    pub fn not_ready(&mut self, site: usize, dn: &str, agent: &str, mode: WorkMode) {
        let event = Event { work_mode: Some(mode), ..agent_event(EventName::AgentNotReady, dn, agent) };
        self.tell(site, event);
    }

    pub fn queued(&mut self, queue: &str, conn: u64) {
        self.tell(A, Event { other_dn: Some("+4930".into()), ..call(EventName::Queued, queue, conn) });
    }

    pub fn returned(&mut self, queue: &str, conn: u64) {
        let mut event = call(EventName::Queued, queue, conn);
        event.extensions.insert("ReturnedToQueue".into(), Value::Int(1));
        self.tell(A, event);
    }

    /// The queue offers a call to a DN, where it rings.
    pub fn offered(&mut self, queue: &str, conn: u64, dn: &str) {
        self.tell(A, Event { third_party_dn: Some(dn.into()), ..call(EventName::Diverted, queue, conn) });
        self.tell(A, through(queue, EventName::Ringing, dn, conn));
    }

    pub fn answered(&mut self, queue: &str, conn: u64, dn: &str) {
        self.tell(A, through(queue, EventName::Established, dn, conn));
    }

    pub fn says(&mut self, name: EventName, dn: &str, conn: u64) {
        self.tell(A, call(name, dn, conn));
    }
}

pub fn agent_event(name: EventName, dn: &str, agent: &str) -> Event {
    Event { this_dn: Some(dn.into()), agent_id: Some(agent.into()), ..Event::new(name) }
}

pub fn call(name: EventName, dn: &str, conn: u64) -> Event {
    Event {
        this_dn: Some(dn.into()),
        conn_id: Some(format!("{conn:016x}")),
        call_type: Some(CallType::Inbound),
        this_dn_role: Some(DnRole::Destination),
        ..Event::new(name)
    }
}

pub fn through(queue: &str, name: EventName, dn: &str, conn: u64) -> Event {
    Event { this_queue: Some(queue.into()), ..call(name, dn, conn) }
}

pub fn party(dn: &str, conn: u64, state: PartyState, queue: Option<&str>) -> PartyInfo {
    PartyInfo {
        conn_id: format!("{conn:016x}"),
        dn: dn.into(),
        role: DnRole::Destination,
        state,
        other_dn: Some("+4930".into()),
        call_type: CallType::Inbound,
        this_queue: queue.map(str::to_owned),
        user_data: tandem_cti::KvList::new(),
    }
}

pub fn describe(dn: &str, agent: Option<(&str, AgentState)>, parties: Vec<PartyInfo>) -> Event {
    Event {
        this_dn: Some(dn.into()),
        agent_id: agent.map(|(agent, _)| agent.into()),
        agent_state: agent.map(|(_, state)| state),
        in_service: Some(true),
        parties,
        ..Event::new(EventName::Registered)
    }
}

pub fn opened(session: &str, resumed: Resumed, sequence: u64) -> Event {
    Event {
        session: Some(session.into()),
        resumed: Some(resumed),
        sequence: Some(sequence),
        ..Event::new(EventName::LinkConnected)
    }
}
