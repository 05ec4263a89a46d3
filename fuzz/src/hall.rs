//! The parties around the node: they register, call, answer, send anything within a dialog, fail, and let time pass.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_peer::DrForward;
use tandem_peer::trunk::{TrunkOptions, TrunkRole};
use tandem_sip::{Flow, HeaderName, Message, Transport};
use tandem_switch::directory::{
    Authenticate, DialRule, Directory, DnClass, Extension, Listen, Options, Server, StaticContact, Trunk,
    TrunkId,
};
use tandem_switch::{Input, Node, Now, Output};

use crate::bytes_of::Reader;

/// Where phones, a gateway and the peer are; the last is a stranger.
const PARTIES: [&str; 6] = [
    "10.0.0.11:5060",
    "10.0.0.12:5060",
    "10.0.0.13:5060",
    "10.0.0.99:5060",
    "10.0.1.1:5060",
    "192.0.2.66:5060",
];
const NUMBERS: [&str; 6] = ["1001", "1002", "1003", "9123", "5000", "nobody"];
const METHODS: [&str; 12] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "PRACK",
    "UPDATE",
    "INFO",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "MESSAGE",
    "OPTIONS",
];
const CODES: [u16; 20] =
    [100, 180, 183, 199, 200, 202, 300, 302, 401, 404, 407, 408, 422, 481, 486, 487, 491, 500, 503, 603];
/// Acts of one run; the rest of its input is not read.
const MAX_ACTS: usize = 64;

struct Hall {
    node: Node,
    now: Now,
    /// What the node sent, the latest last.
    sent: Vec<(SocketAddr, Message)>,
    count: u32,
}

fn trunk(name: &str, at: SocketAddr) -> Trunk {
    let uri = format!("sip:{at}").into();
    Trunk::new(name, StaticContact { uri, transport: Transport::Udp, addr: Some(at), resolve: None })
}

fn directory() -> Option<Arc<Directory>> {
    let [.., gateway, peer, _] = PARTIES;
    let local: SocketAddr = "10.0.0.1:5060".parse().ok()?;
    let server = Server {
        name: "site-a".into(),
        switch: "switch-a".into(),
        sip_address: "10.0.0.1".into(),
        sip_port: 5060,
        listen: vec![Listen { transport: Transport::Udp, addr: local }],
        realm: "tandem".into(),
        nonce_secret: [3; 32],
    };
    let options = Options {
        authenticate: Authenticate { register: false, invite: false },
        dr_forward: DrForward::Oos,
        dr_peer_trunk: Some(TrunkId(1)),
        ..Options::default()
    };
    let class = Arc::new(DnClass::default());
    let extensions =
        ["1001", "1002", "1003"].map(|number| Extension { number: number.into(), class: Arc::clone(&class) });
    let mut to_peer = trunk("to-site-b", peer.parse().ok()?);
    to_peer.oos =
        TrunkOptions { oos_check_s: 10, oos_force_s: 5, role: TrunkRole::Peer, ..TrunkOptions::default() };
    let rule = DialRule { prefix: "9".into(), strip: 1, add: "+".into(), trunks: vec![TrunkId(0)] };
    let trunks = vec![trunk("gateway", gateway.parse().ok()?), to_peer];
    Directory::new(server, options, extensions.into(), trunks, vec![rule]).ok().map(Arc::new)
}

impl Hall {
    fn new() -> Option<Self> {
        let now = Now { mono: Instant::now(), unix_ms: 1_800_000_000_000 };
        let mut hall = Self { node: Node::new(directory()?, [9; 32], now), now, sent: Vec::new(), count: 0 };
        hall.node.handle_timeout(now);
        hall.drain();
        Some(hall)
    }

    /// Whatever the node sends can be read: nothing that a party wrote breaks another's message.
    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Store(batch) => {
                    self.node.handle_input(Input::Persisted { seq: batch.seq().0 }, self.now)
                }
                Output::Transmit(transmit) => {
                    let text = transmit.payload.escape_ascii().to_string();
                    let message =
                        Message::parse(transmit.payload).unwrap_or_else(|error| panic!("{error}: {text}"));
                    // A broken request is answered with its own Via, From and To, as they are.
                    if message.code() != Some(400) && message.code() != Some(505) {
                        assert!(message.envelope().is_ok(), "{:?}: {text}", message.envelope().err());
                    }
                    if self.sent.len() < 512 {
                        self.sent.push((transmit.flow.remote, message));
                    }
                }
                Output::Event(_)
                | Output::Cti(_)
                | Output::CtiClose(_)
                | Output::Media(_)
                | Output::Anchor(_)
                | Output::Cdr(_) => {}
            }
        }
    }

    fn receive(&mut self, from: SocketAddr, bytes: Vec<u8>) {
        let Ok(message) = Message::parse(Bytes::from(bytes)) else { return };
        let flow = Flow { transport: Transport::Udp, local: 0, remote: from, conn: 0 };
        self.node.handle_input(Input::Sip { flow, message }, self.now);
        self.drain();
    }

    fn pass(&mut self, by: Duration) {
        let end = self.now.plus(by);
        while let Some((at, _)) = self.node.poll_timeout().filter(|(at, _)| *at <= end.mono) {
            self.now = self.now.plus(at.saturating_duration_since(self.now.mono));
            self.node.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// The head of a request outside a dialog: its blank line is still to come.
    fn opening(&mut self, method: &str, from: &str, at: SocketAddr, to: &str) -> Vec<u8> {
        self.count += 1;
        let n = self.count;
        format!(
            "{method} sip:{to}@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{n};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}@a>;tag=f{n}\r\nTo: <sip:{to}@a>\r\nCall-ID: c{n}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:{from}@{at}>\r\n"
        )
        .into_bytes()
    }

    /// A response to something that the node asked, the latest first.
    fn answer(&mut self, read: &mut Reader<'_>) {
        let back = usize::from(read.byte());
        let code = read.pick(&CODES).unwrap_or(200);
        let tag = read.byte() % 4;
        let requests = self.sent.iter().rev().filter(|(_, message)| message.code().is_none());
        let Some((at, request)) = requests.take(32).nth(back % 32).cloned() else { return };
        let mut text = format!("SIP/2.0 {code} X\r\n").into_bytes();
        for name in [HeaderName::Via, HeaderName::RecordRoute] {
            request.lines(name).for_each(|value| line(&mut text, name.as_str(), value, b""));
        }
        for name in [HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            line(&mut text, name.as_str(), request.header(name).unwrap_or_default(), b"");
        }
        let to = request.header(HeaderName::To).unwrap_or_default();
        let has_tag = to.windows(5).any(|at| at == b";tag=");
        let tag = if has_tag { String::new() } else { format!(";tag=t{tag}") };
        line(&mut text, "To", to, tag.as_bytes());
        line(&mut text, "Contact", format!("<sip:x@{at}>").as_bytes(), b"");
        finish(&mut text, read);
        self.receive(at, text);
    }

    /// A request within the dialog of something that the node sent, the latest first.
    fn within(&mut self, read: &mut Reader<'_>) {
        let back = usize::from(read.byte());
        let method = read.pick(&METHODS).unwrap_or("BYE");
        let cseq = match read.byte() % 8 {
            0 => 1,
            n => u32::from(n) + self.count,
        };
        let Some((at, message)) = self.sent.iter().rev().take(32).nth(back % 32).cloned() else { return };
        let get = |name| message.header(name).unwrap_or_default().to_vec();
        // A response to this party's own request keeps From and To; a request of the node's is answered the other way.
        let (from, to) = if message.code().is_some() {
            (get(HeaderName::From), get(HeaderName::To))
        } else {
            let mut mine = get(HeaderName::To);
            if !mine.windows(5).any(|at| at == b";tag=") {
                mine.extend_from_slice(format!(";tag=t{}", read.byte() % 4).as_bytes());
            }
            (mine, get(HeaderName::From))
        };
        self.count += 1;
        let n = self.count;
        let mut text = format!(
            "{method} sip:10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKw{n};rport\r\nMax-Forwards: 70\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:x@{at}>\r\n"
        )
        .into_bytes();
        line(&mut text, "From", &from, b"");
        line(&mut text, "To", &to, b"");
        line(&mut text, "Call-ID", &get(HeaderName::CallId), b"");
        finish(&mut text, read);
        self.receive(at, text);
    }

    fn act(&mut self, read: &mut Reader<'_>) {
        let kind = read.byte() % 8;
        let party = read.pick(&PARTIES).and_then(|at| at.parse().ok());
        let Some(at): Option<SocketAddr> = party else { return };
        match kind {
            0 => {
                let dn = read.pick(&NUMBERS).unwrap_or("1001");
                let mut text = self.opening("REGISTER", dn, at, dn);
                finish(&mut text, read);
                self.receive(at, text);
            }
            1 => {
                let (from, to) = (read.pick(&NUMBERS), read.pick(&NUMBERS));
                let mut text = self.opening("INVITE", from.unwrap_or("1001"), at, to.unwrap_or("1002"));
                finish(&mut text, read);
                self.receive(at, text);
            }
            2 | 3 => self.answer(read),
            4 | 5 => self.within(read),
            6 => {
                let seconds = u64::from(read.byte());
                self.pass(Duration::from_millis(seconds * seconds * 20));
            }
            _ => match read.byte() % 3 {
                0 => {
                    let flow = Flow { transport: Transport::Udp, local: 0, remote: at, conn: 0 };
                    self.node.handle_input(Input::FlowFailed { flow }, self.now);
                    self.drain();
                }
                1 => {
                    let method = read.pick(&METHODS).unwrap_or("OPTIONS");
                    let mut text = self.opening(method, "1001", at, "1002");
                    finish(&mut text, read);
                    self.receive(at, text);
                }
                _ => {
                    let text = read.text().to_vec();
                    self.receive(at, text);
                }
            },
        }
    }
}

fn line(text: &mut Vec<u8>, name: &str, value: &[u8], more: &[u8]) {
    for part in [name.as_bytes(), b": ", value, more, b"\r\n"] {
        text.extend_from_slice(part);
    }
}

/// The fuzzer's own header lines and body, and a true length.
fn finish(text: &mut Vec<u8>, read: &mut Reader<'_>) {
    let more = read.text();
    if !more.is_empty() {
        text.extend_from_slice(more);
        text.extend_from_slice(b"\r\n");
    }
    let body = read.text();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    text.extend_from_slice(format!("{kind}Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    text.extend_from_slice(body);
}

/// Lets the parties do what the input says. Afterwards everybody is silent, and no transaction outlives that.
pub fn run(input: &[u8]) {
    let Some(mut hall) = Hall::new() else { return };
    let mut read = Reader::new(input);
    for _ in 0..MAX_ACTS {
        if read.is_empty() {
            break;
        }
        hall.act(&mut read);
    }
    hall.pass(Duration::from_secs(100));
    let status = hall.node.status(hall.now);
    // The peer's probes, which nobody answers, are transactions too; so are BYEs and audits of calls that are left.
    assert!(status.transactions <= 64, "{} transactions stay", status.transactions);
}
