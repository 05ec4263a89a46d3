//! A node, two parties made of text, and a clock that only moves when told.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_peer::replica::Change;
use tandem_peer::trunk::{TrunkOptions, TrunkRole};
use tandem_peer::{Batch, DrForward, ReplicaSet};
use tandem_sip::{Flow, HeaderName, Message, Transport};
use tandem_switch::call::control::{Begun, Make, Onward, Operation};
use tandem_switch::call::{Carried, News, Stage, Ticket};
use tandem_switch::directory::{
    Authenticate, DialRule, Directory, DnClass, Extension, Listen, Options, Registration, Secret, Server,
    StaticContact, Trunk, TrunkId,
};
use tandem_switch::{Cdr, Event, Input, Node, Now, Output, Restored, Term};

pub const NODE: &str = "10.0.0.1:5060";
pub const CALLER: &str = "10.0.0.11:5060";
pub const CALLEE: &str = "10.0.0.12:5060";
/// A second contact of the callee.
pub const OTHER: &str = "10.0.0.13:5060";
pub const GATEWAY: &str = "10.0.0.99:5060";
pub const PEER: &str = "10.0.1.1:5060";

/// No peer trunk, and nothing is probed.
pub fn alone() -> Arc<Directory> {
    directory(|options, _, trunks| {
        options.dr_peer_trunk = None;
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
    })
}

/// The same, and callers are told the redirections of callees.
pub fn alone_telling_redirections() -> Arc<Directory> {
    directory(|options, _, trunks| {
        (options.dr_peer_trunk, options.follow_redirects) = (None, false);
        trunks.iter_mut().for_each(|trunk| trunk.oos = TrunkOptions::default());
    })
}

pub struct Bed {
    pub node: Node,
    pub now: Now,
    pub sent: Vec<(SocketAddr, Message)>,
    pub transports: Vec<(SocketAddr, Transport)>,
    /// The flow of the latest message.
    pub last_flow: Option<Flow>,
    pub events: Vec<Event>,
    pub cdrs: Vec<Cdr>,
    pub told: Vec<tandem_switch::cti::Outgoing>,
    /// Connections of clients that were closed.
    pub closed: Vec<tandem_switch::cti::LinkId>,
    /// What the media server was asked for.
    pub media: Vec<tandem_switch::media::MediaOrder>,
    /// What it was asked for anchored legs.
    pub anchors: Vec<tandem_switch::anchor::AnchorOrder>,
    pub commit: bool,
    pub stored: u64,
    /// What is on the disk.
    pub disk: ReplicaSet,
    /// It is kept.
    pub keeps: bool,
    /// Call records are confirmed as written.
    pub records: bool,
    pub directory: Arc<Directory>,
    epoch: u32,
    /// Batches whose commitment was not reported.
    unsaid: Vec<Batch>,
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn flow(remote: &str) -> Flow {
    Flow { transport: Transport::Udp, local: 0, remote: addr(remote), conn: 0 }
}

pub fn contact(uri: &str, at: &str) -> StaticContact {
    StaticContact { uri: uri.into(), transport: Transport::Udp, addr: Some(addr(at)), resolve: None }
}

pub fn trunk(name: &str, at: &str) -> Trunk {
    Trunk::new(name, contact(&format!("sip:{at}"), at))
}

/// Extensions 1001 to 1004 (1003 with a static contact), a gateway, and a peer trunk probed every 10 s.
pub fn directory(change: impl FnOnce(&mut Options, &mut Vec<Extension>, &mut Vec<Trunk>)) -> Arc<Directory> {
    let server = Server {
        name: "site-a".into(),
        switch: "switch-a".into(),
        sip_address: "10.0.0.1".into(),
        sip_port: 5060,
        listen: vec![Listen { transport: Transport::Udp, addr: addr(NODE) }],
        realm: "tandem".into(),
        nonce_secret: [3; 32],
    };
    let mut options = Options {
        authenticate: Authenticate { register: false, invite: false },
        dr_forward: DrForward::Oos,
        dr_peer_trunk: Some(TrunkId(1)),
        // Contacts that do not answer are called again: what becomes of them otherwise is shown for itself.
        registration: Registration { ghost_quarantine: Duration::ZERO, ..Registration::default() },
        ..Options::default()
    };
    let class =
        Arc::new(DnClass { secret: Secret::Password("secret-{number}".into()), ..DnClass::default() });
    let fixed = Arc::new(DnClass {
        contact: Some(contact("sip:{number}@10.0.0.33:5060", "10.0.0.33:5060")),
        ..DnClass::default()
    });
    let mut extensions: Vec<Extension> = ["1001", "1002", "1003", "1004"]
        .map(|number| Extension {
            number: number.into(),
            class: if number == "1003" { Arc::clone(&fixed) } else { Arc::clone(&class) },
        })
        .into();
    let mut peer = trunk("to-site-b", "10.0.1.1:5060");
    peer.oos =
        TrunkOptions { oos_check_s: 10, oos_force_s: 5, role: TrunkRole::Peer, ..TrunkOptions::default() };
    let mut trunks = vec![trunk("gateway", "10.0.0.99:5060"), peer];
    change(&mut options, &mut extensions, &mut trunks);
    let rule = DialRule { prefix: "9".into(), strip: 1, add: "+".into(), trunks: vec![TrunkId(0)] };
    Arc::new(Directory::new(server, options, extensions, trunks, vec![rule]).unwrap())
}

impl Bed {
    pub fn new() -> Self {
        Self::with(directory(|_, _, _| {}))
    }

    pub fn with(directory: Arc<Directory>) -> Self {
        let now = Now { mono: Instant::now(), unix_ms: 1_800_000_000_000 };
        let node = Node::new(Arc::clone(&directory), [9; 32], now);
        let mut bed = Self {
            node,
            now,
            sent: Vec::new(),
            transports: Vec::new(),
            last_flow: None,
            events: Vec::new(),
            cdrs: Vec::new(),
            told: Vec::new(),
            closed: Vec::new(),
            media: Vec::new(),
            anchors: Vec::new(),
            commit: true,
            stored: 0,
            disk: ReplicaSet::new(),
            keeps: true,
            records: true,
            directory,
            epoch: 1,
            unsaid: Vec::new(),
        };
        bed.node.handle_timeout(now);
        bed.drain();
        bed
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Store(batch) => {
                    self.stored = batch.seq().0;
                    self.unsaid.extend((!self.commit).then(|| batch.clone()));
                    if self.commit && self.keeps {
                        self.disk.apply_all(&batch);
                    }
                    if self.commit {
                        self.node.handle_input(Input::Persisted { seq: self.stored }, self.now);
                    }
                }
                Output::Transmit(transmit) => {
                    let message = Message::parse(transmit.payload).expect("what we send can be read");
                    self.last_flow = Some(transmit.flow);
                    self.transports.push((transmit.flow.remote, transmit.flow.transport));
                    self.sent.push((transmit.flow.remote, message));
                }
                Output::Event(event) => self.events.push(event),
                Output::Cti(told) => self.told.push(told),
                Output::CtiClose(link) => self.closed.push(link),
                Output::Media(order) => self.media.push(order),
                Output::Anchor(order) => self.anchors.push(order),
                Output::Cdr(cdr) => {
                    let calls = vec![u128::from_str_radix(&cdr.call_uuid, 16).unwrap()];
                    self.cdrs.push(*cdr);
                    if self.records {
                        self.node.handle_input(Input::Recorded { calls }, self.now);
                    }
                }
            }
        }
    }

    /// What was stored last reaches the disk, and the process does not hear of it.
    pub fn persist_silently(&mut self) {
        for batch in self.unsaid.drain(..) {
            self.disk.apply_all(&batch);
        }
    }

    /// The process dies, and another one goes on from the disk after this time.
    pub fn restart(&mut self, gap: Duration) -> Restored {
        self.restart_without(|_| false, gap)
    }

    /// The same, and these records are lost.
    pub fn restart_without(&mut self, lost: impl Fn(&Change) -> bool, gap: Duration) -> Restored {
        self.now = self.now.plus(gap);
        self.epoch += 1;
        let term = Term { owner: 0, epoch: self.epoch };
        let records: Vec<Change> = self.disk.changes().filter(|change| !lost(change)).collect();
        let (node, restored) = Node::restored(Arc::clone(&self.directory), [9; 32], term, records, self.now);
        self.node = node;
        self.drain();
        self.node.handle_timeout(self.now);
        self.drain();
        restored
    }

    pub fn receive(&mut self, from: &str, text: &str) {
        self.receive_by(flow(from), text);
    }

    pub fn receive_by(&mut self, flow: Flow, text: &str) {
        // A body's own line ends are written as \u{1}, so that its length is what it says.
        let text = text.replace('\n', "\r\n").replace('\u{1}', "\n");
        let message = Message::parse(text.into_bytes().into()).expect("the test's own message can be read");
        self.node.handle_input(Input::Sip { flow, message }, self.now);
        self.drain();
    }

    /// Lets time pass, running each timer at its own moment.
    pub fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        while let Some((at, _)) = self.node.poll_timeout().filter(|(at, _)| *at <= end.mono) {
            self.now = self.now.plus(at.saturating_duration_since(self.now.mono));
            self.node.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Does to the oldest call what a request asks for, as ticket 7.
    pub fn operate(&mut self, operation: Operation) -> Result<Begun, u16> {
        let outcome = self.node.control(self.now, |calls, rooms| {
            let key = *calls.keys().first().expect("a call");
            calls.operate(rooms, key, Ticket(7), operation)
        });
        self.drain();
        outcome
    }

    /// 1001's phone is called by request, and then this Extension; the INVITE that the phone gets.
    #[track_caller]
    pub fn made(&mut self, to: &str) -> Message {
        let outcome = self.node.control(self.now, |calls, rooms| {
            let make = Make {
                ticket: Ticket(7),
                from: rooms.directory.find(b"1001").expect("an Extension"),
                to: to.as_bytes().into(),
                stages: vec![Stage::Extension(rooms.directory.find(to.as_bytes()).expect("an Extension"))],
                park: None,
                steps: Vec::new(),
                ring_timeout: Duration::from_secs(60),
                carried: Carried::default(),
            };
            calls.make(rooms, make).map(|_| ())
        });
        assert_eq!(outcome, Ok(()));
        self.drain();
        self.one(CALLER)
    }

    /// Where an operation sends a party: to this Extension.
    pub fn onward(&mut self, to: &str) -> Onward {
        let id = self.node.control(self.now, |_, rooms| rooms.directory.find(to.as_bytes()));
        Onward {
            to: to.as_bytes().into(),
            stages: vec![Stage::Extension(id.expect("an Extension"))],
            steps: Vec::new(),
            ring_timeout: Duration::from_secs(60),
            carried: Carried::default(),
        }
    }

    /// What calls have told since this was asked last.
    pub fn news(&mut self) -> Vec<News> {
        self.node.overhear().into_iter().map(|(_, news)| news).collect()
    }

    /// Takes the messages sent to an address so far.
    pub fn take(&mut self, to: &str) -> Vec<Message> {
        let to = addr(to);
        let (mine, rest) = std::mem::take(&mut self.sent).into_iter().partition(|(remote, _)| *remote == to);
        self.sent = rest;
        mine.into_iter().map(|(_, message): (SocketAddr, Message)| message).collect()
    }

    /// First lines of the messages sent to an address so far.
    pub fn lines(&mut self, to: &str) -> Vec<String> {
        self.take(to).iter().map(line).collect()
    }

    /// Both phones are registered and 1001 calls 1002: the INVITE that the callee gets.
    #[track_caller]
    pub fn offered(&mut self) -> Message {
        self.register("1001", CALLER);
        self.register("1002", CALLEE);
        self.receive(CALLER, &invite("1001", CALLER, "1002", "call1"));
        assert_eq!(self.one(CALLER).code(), Some(100));
        self.one(CALLEE)
    }

    /// The same, answered and acknowledged: the 200 that the caller got, and the INVITE.
    #[track_caller]
    pub fn established(&mut self) -> (Message, Message) {
        let offered = self.offered();
        self.receive(CALLEE, &answer(&offered, 200, "callee", CALLEE, "answer"));
        let ok = self.one(CALLER);
        assert_eq!(ok.code(), Some(200));
        self.receive(CALLER, &in_dialog(&ok, "ACK", 1, CALLER, ""));
        assert_eq!(line(&self.one(CALLEE)), format!("ACK sip:x@{CALLEE} SIP/2.0"));
        (ok, offered)
    }

    /// Nothing is left of any call after a while, and each has left its record.
    #[track_caller]
    pub fn nothing_stays(&mut self) {
        self.nothing_is_left();
        assert_eq!(self.cdrs.len() as u64, self.node.counters().calls, "records");
    }

    /// The same, also of calls that a process before had begun.
    #[track_caller]
    pub fn nothing_is_left(&mut self) {
        self.pass(Duration::from_secs(100));
        let status = self.node.status(self.now);
        assert_eq!(self.node.call_list(self.now).len(), 0, "calls");
        assert_eq!(self.node.dialogs(), 0, "tags");
        let probes = usize::from(status.peer_trunk.is_some()) * 8;
        assert!(status.transactions <= probes, "{} transactions", status.transactions);
    }

    /// The same once this has arrived.
    #[track_caller]
    pub fn nothing_stays_after(&mut self, from: &str, text: &str) {
        self.receive(from, text);
        self.nothing_stays();
    }

    /// Sending to an address fails.
    pub fn refuse(&mut self, to: &str, transport: Transport) {
        let flow = Flow { transport, ..flow(to) };
        self.node.handle_input(Input::FlowFailed { flow }, self.now);
        self.drain();
    }

    /// The transports by which messages went to an address.
    pub fn last_transport(&self, to: &str) -> Option<Transport> {
        self.transports.iter().rev().find(|(remote, _)| *remote == addr(to)).map(|(_, transport)| *transport)
    }

    #[track_caller]
    pub fn one(&mut self, to: &str) -> Message {
        let mut all = self.take(to);
        assert_eq!(all.len(), 1, "one message to {to}, not {:?}", all.iter().map(line).collect::<Vec<_>>());
        all.remove(0)
    }

    #[track_caller]
    pub fn register(&mut self, dn: &str, at: &str) {
        self.receive(
            at,
            &format!(
                "REGISTER sip:tandem SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bKr{dn}{at};rport\nFrom: <sip:{dn}@tandem>;tag=r\n\
                 To: <sip:{dn}@tandem>\nCall-ID: r{dn}{at}\nCSeq: 1 REGISTER\nContact: <sip:{dn}@{at}>;expires=3600\n\
                 Content-Length: 0\n\n"
            ),
        );
        assert_eq!(self.one(at).code(), Some(200));
    }
}

/// First line of a message.
pub fn line(message: &Message) -> String {
    String::from_utf8_lossy(message.bytes().split(|b| *b == b'\r').next().unwrap()).into_owned()
}

pub fn header(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

pub fn invite(from: &str, at: &str, to: &str, id: &str) -> String {
    format!(
        "INVITE sip:{to}@10.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{id};rport\nMax-Forwards: 70\n\
         From: \"A\" <sip:{from}@caller.example>;tag=f{id}\nTo: <sip:{to}@10.0.0.1>\nCall-ID: {id}\nCSeq: 1 INVITE\n\
         Contact: <sip:{from}@{at}>\nX-Custom: kept\nContent-Type: application/sdp\nContent-Length: 4\n\nv=0\n"
    )
    .replace("v=0\n", "v=0~")
}

/// A response to a request the node sent.
pub fn answer(request: &Message, code: u16, tag: &str, contact: &str, body: &str) -> String {
    let get = |name| header(request, name);
    let to = if tag.is_empty() || get(HeaderName::To).contains(";tag=") {
        get(HeaderName::To)
    } else {
        format!("{};tag={tag}", get(HeaderName::To))
    };
    format!(
        "SIP/2.0 {code} Whatever\nVia: {}\nFrom: {}\nTo: {to}\nCall-ID: {}\nCSeq: {}\nContact: <sip:x@{contact}>\n\
         Content-Length: {}\n\n{body}",
        get(HeaderName::Via),
        get(HeaderName::From),
        get(HeaderName::CallId),
        get(HeaderName::CSeq),
        body.len(),
    )
}

/// A request within the dialog that `response` (of the node, to our INVITE) made.
pub fn in_dialog(response: &Message, method: &str, cseq: u32, at: &str, body: &str) -> String {
    let get = |name| header(response, name);
    format!(
        "{method} sip:10.0.0.1:5060 SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}{cseq}{at};rport\nMax-Forwards: 70\n\
         From: {}\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\nContact: <sip:c@{at}>\nContent-Length: {}\n\n{body}",
        get(HeaderName::From),
        get(HeaderName::To),
        get(HeaderName::CallId),
        body.len(),
    )
}

/// A request of the callee within the dialog that the node's INVITE and our answer with `tag` made.
pub fn from_callee(invite: &Message, tag: &str, method: &str, cseq: u32, at: &str, body: &str) -> String {
    let get = |name| header(invite, name);
    format!(
        "{method} sip:10.0.0.1:5060 SIP/2.0\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{method}{cseq}{at}{tag};rport\nMax-Forwards: 70\n\
         From: {};tag={tag}\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\nContact: <sip:x@{at}>\nContent-Length: {}\n\n{body}",
        get(HeaderName::To),
        get(HeaderName::From),
        get(HeaderName::CallId),
        body.len(),
    )
}

/// The CANCEL of an INVITE.
pub fn cancel_of(invite: &str) -> String {
    let head = invite.split("Content-Type").next().unwrap();
    format!(
        "{}Content-Length: 0\n\n",
        head.replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL")
    )
}

/// The same message with one more header line.
pub fn with(text: &str, header: &str) -> String {
    text.replacen("\nContent-Length", &format!("\n{header}\nContent-Length"), 1)
}

/// The same message without a header.
pub fn without(text: &str, name: &str) -> String {
    let (head, body) = text.split_once("\n\n").unwrap();
    let kept: Vec<&str> = head.lines().filter(|line| !line.starts_with(name)).collect();
    format!("{}\n\n{body}", kept.join("\n"))
}

/// A session description of somebody, which says that media flow this way.
pub fn sdp(who: &str, way: &str) -> String {
    format!("v=0~o={who} 5 5 IN IP4 {who}.example~s=-~c=IN IP4 10.0.0.77~t=0 0~m=audio 4000 RTP/AVP 0 101~a={way}~")
        .replace('~', "\u{1}")
}

/// The body of a message.
pub fn body(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

/// Codes of the responses among messages.
pub fn codes(messages: &[Message]) -> Vec<u16> {
    messages.iter().filter_map(Message::code).collect()
}
