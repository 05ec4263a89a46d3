//! A registrar with its directory, log and clock, and phones' REGISTERs to put before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_peer::ChangeLog;
use tandem_sip::{Builder, Flow, HeaderName, Message, Transport};
use tandem_switch::directory::{Directory, DnClass, DnId, Extension, Listen, Options, Server};
use tandem_switch::registrar::{Binding, Registered, Registrar};
use tandem_switch::{Now, Reject};

/// A wall clock for tests.
pub const START_UNIX_MS: u64 = 1_800_000_000_000;

/// 1001 to 1004, allowed `max_contacts` contacts each.
pub fn directory(numbers: &[&str], options: Options, class: DnClass) -> Directory {
    let listen = |transport| Listen { transport, addr: "198.51.100.1:5060".parse().unwrap() };
    let server = Server {
        name: "site-a".into(),
        switch: "a".into(),
        sip_address: "198.51.100.1".into(),
        sip_port: 5060,
        listen: vec![listen(Transport::Udp), listen(Transport::Tcp)],
        realm: "tandem".into(),
        nonce_secret: [7; 32],
    };
    let class = Arc::new(class);
    let extension = |number: &&str| Extension { number: (*number).into(), class: class.clone() };
    Directory::new(server, options, numbers.iter().map(extension).collect(), vec![], vec![]).unwrap()
}

pub struct Desk {
    pub directory: Directory,
    pub registrar: Registrar,
    pub log: ChangeLog,
    pub now: Now,
}

impl Desk {
    pub fn new() -> Self {
        Self::with(Options::default(), DnClass { max_contacts: 3, ..DnClass::default() })
    }

    #[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
    pub fn with(options: Options, class: DnClass) -> Self {
        let directory = directory(&["1001", "1002", "1003", "1004"], options, class);
        Self {
            registrar: Registrar::new(&directory),
            directory,
            log: ChangeLog::new(1, 1),
            now: Now { mono: Instant::now(), unix_ms: START_UNIX_MS },
        }
    }

    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
    }

    /// Removes what is due; the DNs that lost their last binding.
    pub fn expire(&mut self) -> Vec<DnId> {
        let mut gone = Vec::new();
        self.registrar.expire(&mut self.log, self.now, &mut gone);
        gone.into_iter().map(|(dn, _)| dn).collect()
    }

    pub fn flow_failed(&mut self, flow: Flow) {
        self.registrar.flow_failed(flow, &mut self.log, self.now);
    }

    pub fn register(&mut self, phone: &Register) -> Result<Registered, Reject> {
        let message = phone.message();
        let env = message.envelope().unwrap();
        let dn = self.directory.find(phone.to.as_bytes()).unwrap();
        self.registrar.register(dn, &message, &env, phone.flow, &self.directory, &mut self.log, self.now)
    }

    /// The status and reason of the refusal.
    pub fn refusal(&mut self, phone: &Register) -> (u16, Option<&'static str>) {
        let reject = self.register(phone).unwrap_err();
        (reject.status, reject.reason)
    }

    pub fn dn(&self, number: &str) -> DnId {
        self.directory.find(number.as_bytes()).unwrap()
    }

    pub fn bindings(&self, number: &str) -> Vec<Binding> {
        self.registrar.bindings(self.dn(number)).cloned().collect()
    }

    pub fn only(&self, number: &str) -> Binding {
        let [binding] = <[Binding; 1]>::try_from(self.bindings(number)).unwrap();
        binding
    }

    pub fn uris(&self, number: &str) -> Vec<String> {
        self.bindings(number).iter().map(|b| String::from_utf8(b.uri().to_vec()).unwrap()).collect()
    }

    /// The Contact lines of the answer.
    pub fn lines(&self, number: &str) -> Vec<String> {
        let mut buf = Vec::new();
        let mut builder = Builder::response(&mut buf, 200, b"OK");
        self.registrar.write_contacts(self.dn(number), &mut builder, self.now);
        let answer = Message::parse(builder.finish(b"")).unwrap();
        answer.lines(HeaderName::Contact).map(|l| String::from_utf8_lossy(l).into_owned()).collect()
    }
}

/// A REGISTER of a phone at 192.0.2.10 over UDP, until told otherwise.
#[derive(Clone)]
pub struct Register {
    pub to: String,
    pub from: String,
    pub contacts: Vec<String>,
    pub expires: Option<String>,
    pub call_id: String,
    pub cseq: u32,
    pub via: String,
    pub flow: Flow,
    pub headers: Vec<String>,
}

impl Register {
    pub fn of(number: &str) -> Self {
        Self {
            to: number.into(),
            from: number.into(),
            contacts: vec![],
            expires: None,
            call_id: format!("{number}@192.0.2.10"),
            cseq: 1,
            via: "SIP/2.0/UDP 192.0.2.10:5060".into(),
            flow: udp("192.0.2.10:5060"),
            headers: vec![],
        }
    }

    /// One more Contact line.
    pub fn contact(mut self, line: &str) -> Self {
        self.contacts.push(line.into());
        self
    }

    pub fn expires(mut self, value: &str) -> Self {
        self.expires = Some(value.into());
        self
    }

    pub fn cseq(mut self, cseq: u32) -> Self {
        self.cseq = cseq;
        self
    }

    pub fn call_id(mut self, call_id: &str) -> Self {
        self.call_id = call_id.into();
        self
    }

    pub fn from(mut self, number: &str) -> Self {
        self.from = number.into();
        self
    }

    pub fn via(mut self, via: &str) -> Self {
        self.via = via.into();
        self
    }

    pub fn flow(mut self, flow: Flow) -> Self {
        self.flow = flow;
        self
    }

    pub fn header(mut self, line: String) -> Self {
        self.headers.push(line);
        self
    }

    pub fn message(&self) -> Message {
        let mut text = format!(
            "REGISTER sip:198.51.100.1 SIP/2.0\r\nVia: {};branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:{}@198.51.100.1>;tag=1\r\nTo: <sip:{}@198.51.100.1>\r\nCall-ID: {}\r\nCSeq: {} REGISTER\r\n",
            self.via, self.from, self.to, self.call_id, self.cseq
        );
        for contact in &self.contacts {
            text.push_str(&format!("Contact: {contact}\r\n"));
        }
        if let Some(expires) = &self.expires {
            text.push_str(&format!("Expires: {expires}\r\n"));
        }
        for line in &self.headers {
            text.push_str(&format!("{line}\r\n"));
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        Message::parse(Bytes::from(text)).unwrap()
    }
}

pub fn udp(remote: &str) -> Flow {
    Flow { transport: Transport::Udp, local: 0, remote: remote.parse().unwrap(), conn: 0 }
}

pub fn tcp(remote: &str, conn: u64) -> Flow {
    Flow { transport: Transport::Tcp, local: 1, remote: remote.parse().unwrap(), conn }
}
