//! A small office: Extensions 1001 to 1009, queue 7000, routing point 8000, a trunk `gw` for numbers that begin with 0.

use std::sync::Arc;

use tandem_cti::{CallState, CallType, ErrorCode, Event, KvList, Refusal, Request, Value};
use tandem_peer::ChangeLog;
use tandem_sip::Transport;
use tandem_switch::Now;
use tandem_switch::arena::{Arena, Key};
use tandem_switch::call::{Carried, EndReason, Far, LegNo, News, Ticket};
use tandem_switch::cdr::EndedBy;
use tandem_switch::cti::SessionId;
use tandem_switch::cti::calls::{Desk, Happening, Order, TCalls};
use tandem_switch::directory::floor::{
    AgentOptions, Distribution, Floor, Mixer, Queue, RoutingPoint, Treatment,
};
use tandem_switch::directory::{
    DialRule, Directory, DnClass, Extension, Listen, Options, Server, StaticContact, Trunk, TrunkId,
};

pub struct Office {
    pub calls: TCalls,
    pub log: ChangeLog,
    pub directory: Directory,
    keys: Arena<()>,
    next_reference: u32,
    pub watched: bool,
}

fn contact(uri: &str) -> StaticContact {
    let addr = Some("198.51.100.9:5060".parse().unwrap());
    StaticContact { uri: uri.into(), transport: Transport::Udp, addr, resolve: None }
}

fn queue(number: &str) -> Queue {
    Queue {
        number: number.into(),
        agents: vec![],
        groups: vec![],
        skills: Default::default(),
        distribution: Distribution::LongestIdle,
        priority: 0,
        treatment: Treatment::Ringback,
        max_length: 0,
        max_wait: Default::default(),
        overflow_without_agents: false,
        overflow: None,
        service_level: Default::default(),
    }
}

pub fn directory(mixer: bool) -> Directory {
    let class = Arc::new(DnClass::default());
    let extension = |n: u32| Extension { number: n.to_string().into(), class: class.clone() };
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
    let trunk = Trunk {
        name: "gw".into(),
        contact: contact("sip:gw"),
        oos: Default::default(),
        oosp_transfer_enabled: false,
        tls_client_certificate: false,
        tls_name: None,
        media: tandem_switch::anchor::MediaOption::default(),
        sources: vec![],
        credentials: None,
        identity: Arc::default(),
        session_timer: Default::default(),
        sip_enable_100rel: true,
        capacity: Default::default(),
    };
    let rule = DialRule { prefix: "0".into(), strip: 0, add: "".into(), trunks: vec![TrunkId(0)] };
    let point = RoutingPoint {
        number: "8000".into(),
        default_dn: None,
        router_timeout: Default::default(),
        treatment: Treatment::Ringback,
    };
    let floor = Floor {
        options: AgentOptions { inbound_bsns_calls: Some(true), ..AgentOptions::default() },
        queues: vec![queue("7000"), queue("7001")],
        routing_points: vec![point],
        mixer: mixer.then(|| Mixer { name: "mixer".into(), contact: contact("sip:{conference}@mixer") }),
        ..Floor::default()
    };
    let extensions = (1001..1010).map(extension).collect();
    Directory::new(server, Options::default(), extensions, vec![trunk], vec![rule])
        .unwrap()
        .with_floor(floor)
        .unwrap()
}

pub fn ext(dn: &str) -> Far {
    Far::Extension(dn.into())
}

pub fn list(pairs: &[(&str, &str)]) -> KvList {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect()
}

pub fn now() -> Now {
    // The wall clock alone matters; the other is never read here.
    #[allow(clippy::disallowed_methods)]
    Now { mono: std::time::Instant::now(), unix_ms: 1_000_000 }
}

impl Office {
    pub fn new() -> Self {
        Self::with(directory(true))
    }

    pub fn with(directory: Directory) -> Self {
        let (calls, log, keys) = (TCalls::new(0), ChangeLog::new(1, 1), Arena::new(1000));
        Self { calls, log, directory, keys, next_reference: 0, watched: true }
    }

    pub fn key(&mut self) -> Key {
        self.keys.insert_with(|_| ()).unwrap()
    }

    fn desk<R>(&mut self, run: impl FnOnce(&mut TCalls, &mut Desk<'_>) -> R) -> R {
        let watched = self.watched;
        let heard = move |_: &str| watched;
        let mut desk = Desk { directory: &self.directory, log: &mut self.log, now: now(), watched: &heard };
        run(&mut self.calls, &mut desk)
    }

    pub fn news(&mut self, key: Key, news: News) {
        self.desk(|calls, desk| calls.news(desk, key, news));
    }

    pub fn with_desk<R>(&mut self, run: impl FnOnce(&mut TCalls, &mut Desk<'_>) -> R) -> R {
        self.desk(run)
    }

    pub fn done(&mut self, ticket: Ticket) {
        self.desk(|calls, desk| calls.done(desk, ticket, Ok(())));
    }

    pub fn failed(&mut self, ticket: Ticket, code: ErrorCode) {
        self.desk(|calls, desk| calls.done(desk, ticket, Err(Refusal::new(code))));
    }

    pub fn moved(&mut self, from: (Key, LegNo), to: (Key, LegNo)) {
        self.desk(|calls, desk| calls.moved(desk, from, to));
    }

    pub fn open_as(
        &mut self,
        origin: Far,
        from: &str,
        to: &str,
        parked: Option<&str>,
        carried: Carried,
    ) -> Key {
        let key = self.key();
        let uuid = 0xaa00 + self.calls.len() as u128;
        let (from, to, parked) = (from.into(), to.into(), parked.map(Arc::from));
        self.news(key, News::Opened { uuid, origin, from, to, parked, carried, ticket: None });
        key
    }

    /// An Extension dials.
    pub fn open(&mut self, from: &str, to: &str) -> Key {
        self.open_as(ext(from), from, to, None, Carried::default())
    }

    /// The call room made the call that was ordered.
    pub fn opened(&mut self, ticket: Ticket, from: &str, to: &str) -> Key {
        let key = self.key();
        self.news(
            key,
            News::Opened {
                uuid: 0xbb,
                origin: ext(from),
                from: from.into(),
                to: to.into(),
                parked: None,
                carried: self.calls.carried_by(ticket),
                ticket: Some(ticket),
            },
        );
        key
    }

    pub fn offered(&mut self, key: Key, leg: LegNo, dn: &str) {
        self.news(key, News::Offered { leg, to: ext(dn) });
    }

    pub fn ringing(&mut self, key: Key, leg: LegNo) {
        self.news(key, News::Ringing { leg });
    }

    pub fn answered(&mut self, key: Key, leg: LegNo) {
        self.news(key, News::Answered { leg });
    }

    pub fn held(&mut self, key: Key, leg: LegNo) {
        self.news(key, News::Held { leg });
    }

    pub fn missed(&mut self, key: Key, leg: LegNo, status: u16, reason: EndReason) {
        self.news(key, News::Missed { leg, status, reason });
    }

    pub fn ended(&mut self, key: Key, leg: LegNo) {
        self.news(key, News::Ended { leg, by: EndedBy::Caller, reason: EndReason::Bye });
    }

    /// `from` talks with `to`; leg 0 and leg 1. What was told on the way is forgotten.
    pub fn talking(&mut self, from: &str, to: &str) -> Key {
        let key = self.open(from, to);
        self.offered(key, 1, to);
        self.ringing(key, 1);
        self.answered(key, 1);
        self.told();
        key
    }

    /// Both legs end and nothing is left.
    pub fn hang_up(&mut self, key: Key) {
        self.ended(key, 0);
        self.ended(key, 1);
        self.news(key, News::Over);
    }

    /// A request of session 1, with the next reference.
    pub fn ask(&mut self, request: &str, attributes: &[(&str, &str)]) -> Result<Option<Order>, u16> {
        self.next_reference += 1;
        let mut json = format!(r#"{{"request":"{request}","ReferenceID":{}"#, self.next_reference);
        for (name, value) in attributes {
            let quoted = if value.starts_with('{') { (*value).to_owned() } else { format!("\"{value}\"") };
            json.push_str(&format!(r#","{name}":{quoted}"#));
        }
        json.push('}');
        let request: Request = serde_json::from_str(&json).unwrap();
        let answer = self.desk(|calls, desk| calls.request(desk, SessionId(1), &request));
        answer.map_err(|refusal| refusal.code.number())
    }

    /// The same, for a request that becomes an order with a ticket.
    pub fn order(&mut self, request: &str, attributes: &[(&str, &str)]) -> (Ticket, Order) {
        let order = self.ask(request, attributes).unwrap().unwrap();
        (ticket(&order), order)
    }

    pub fn orders(&mut self) -> Vec<Order> {
        std::iter::from_fn(|| self.calls.poll_order()).collect()
    }

    pub fn happenings(&mut self) -> Vec<Happening> {
        std::iter::from_fn(|| self.calls.poll()).collect()
    }

    /// What was told since the last time, one line each.
    pub fn told(&mut self) -> Vec<String> {
        self.happenings().iter().map(line).collect()
    }

    /// Events among it.
    pub fn events(&mut self) -> Vec<String> {
        let events = self.happenings();
        events
            .iter()
            .filter(|h| matches!(h, Happening::Event { .. } | Happening::Refused { .. }))
            .map(line)
            .collect()
    }

    pub fn full_events(&mut self) -> Vec<Event> {
        let told = self.happenings().into_iter();
        let events = told.filter_map(|happening| {
            let Happening::Event { event, .. } = happening else { return None };
            Some(*event)
        });
        events.collect()
    }

    pub fn assert_empty(&mut self) {
        self.told();
        assert_eq!(self.orders(), []);
        assert!(self.calls.is_empty(), "left over: {:?}", self.calls);
    }
}

pub fn ticket(order: &Order) -> Ticket {
    match order {
        Order::Make { ticket, .. }
        | Order::Answer { ticket, .. }
        | Order::Release { ticket, .. }
        | Order::Clear { ticket, .. }
        | Order::Hold { ticket, .. }
        | Order::Retrieve { ticket, .. }
        | Order::Transfer { ticket, .. }
        | Order::Replace { ticket, .. }
        | Order::Redirect { ticket, .. }
        | Order::Route { ticket, .. }
        | Order::Conference { ticket, .. }
        | Order::Dtmf { ticket, .. }
        | Order::Treat { ticket, .. } => *ticket,
        Order::Attach { .. } => panic!("no ticket"),
    }
}

pub fn c(n: u64) -> String {
    format!("{n:016x}")
}

fn line(happening: &Happening) -> String {
    match happening {
        Happening::Event { dn, event, asked } => event_line(dn, event, *asked),
        Happening::Refused { reference_id, refusal, .. } => {
            format!("refused {} #{}", refusal.code.number(), reference_id.unwrap_or(0))
        }
        Happening::Answer { event, .. } => format!("answer {:?}", event.event),
        Happening::Began { dn, conn, queued: true, .. } => format!("c{conn} +{dn} business"),
        Happening::Began { dn, conn, kind: CallType::Inbound, .. } => format!("c{conn} +{dn} from Inbound"),
        Happening::Began { dn, conn, .. } => format!("c{conn} +{dn}"),
        Happening::Became { dn, old, conn, .. } => format!("c{old} {dn} is c{conn}"),
        Happening::WrapUp { dn, conn, wrap_up } => format!("c{conn} {dn} {wrap_up:?}"),
        Happening::Established { dn, conn } => format!("c{conn} ={dn}"),
        Happening::Ended { dn, conn } => format!("c{conn} -{dn}"),
        Happening::Waits { conn, at, .. } => format!("c{conn} waits {at}"),
        Happening::Left { conn, at } => format!("c{conn} left {at}"),
        Happening::OfferAnswered { conn, dn } => format!("c{conn} offer answered {dn}"),
        Happening::OfferFailed { conn, dn: Some(dn), status } => {
            format!("c{conn} offer failed {dn} {status}")
        }
        Happening::OfferFailed { conn, dn: None, status } => format!("c{conn} offered to nobody {status}"),
    }
}

/// `c1 1001 Released(Transferred) >1002 by 1003 at 7000 was c2 #5`
fn event_line(dn: &str, event: &Event, asked: Option<(SessionId, Option<u32>)>) -> String {
    assert_eq!(event.this_dn.as_deref(), Some(dn));
    let conn = u64::from_str_radix(event.conn_id.as_ref().unwrap(), 16).unwrap();
    let mut line = format!("c{conn} {dn} {:?}", event.event);
    if let Some(state) = event.call_state.filter(|state| *state != CallState::Ok) {
        line += &format!("({state:?})");
    }
    for (mark, value) in [(">", &event.other_dn), ("by ", &event.third_party_dn), ("at ", &event.this_queue)]
    {
        if let Some(value) = value {
            line += &format!(" {mark}{value}");
        }
    }
    if let Some(previous) = &event.previous_conn_id {
        line += &format!(" was c{}", u64::from_str_radix(previous, 16).unwrap());
    }
    if event.extensions.contains_key("ReturnedToQueue") {
        line += " returned";
    }
    if let Some((_, reference)) = asked {
        line += &format!(" #{}", reference.unwrap_or(0));
    }
    line
}
