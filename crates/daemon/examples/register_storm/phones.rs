//! The phones: each registers with digest, repeats what is not answered as RFC 3261 says, and obeys Retry-After.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::Result;
use tandem_sip::auth::{Challenge, Login, answer};
use tandem_sip::{HeaderName, Message};

use super::server::{FIRST, PASSWORD, Server};

/// RFC 3261 T1, T2 and Timer F of a REGISTER.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const TIMER_F: Duration = Duration::from_secs(32);
/// Sockets that the phones share.
const SOCKETS: usize = 16;

/// What one phone waits for.
struct Phone {
    /// CSeq of the request at hand; odd ones of the first round carry no proof.
    cseq: u32,
    text: String,
    sent: Instant,
    pause: Duration,
    began: Instant,
    done: bool,
}

/// What came of it.
#[derive(Default)]
pub struct Figures {
    /// Phones that are registered.
    pub registered: usize,
    /// Transactions that ended by Timer F.
    pub timer_f: usize,
    /// Answers 503.
    pub refused: usize,
    /// Messages sent again.
    pub repeated: usize,
    /// From its first REGISTER to its 200, each phone's, in order.
    pub took: Vec<Duration>,
    /// From the first to the last message.
    pub lasted: Duration,
}

/// A REGISTER.
pub fn register(number: &str, port: u16, cseq: u32, more: &str) -> String {
    format!(
        "REGISTER sip:storm SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKr{number}c{cseq}\r\nMax-Forwards: 70\r\n\
         From: <sip:{number}@storm>;tag=r{number}\r\nTo: <sip:{number}@storm>\r\nCall-ID: reg-{number}\r\nCSeq: {cseq} REGISTER\r\n\
         Contact: <sip:{number}@127.0.0.1:{port}>\r\nExpires: 3600\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

/// Lets all phones register at once.
pub fn run(server: &Server, count: u32) -> Result<Figures> {
    let sockets: Vec<UdpSocket> = (0..SOCKETS)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.connect(server.sip)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect::<Result<_>>()?;
    let mut storm = Storm {
        ports: Vec::new(),
        sockets,
        phones: Vec::new(),
        due: BinaryHeap::new(),
        figures: Figures::default(),
    };
    for socket in &storm.sockets {
        storm.ports.push(socket.local_addr()?.port());
    }
    let begun = Instant::now();
    for n in 0..count as usize {
        let now = Instant::now();
        storm.phones.push(Phone {
            cseq: 0,
            text: String::new(),
            sent: now,
            pause: T1,
            began: now,
            done: false,
        });
        storm.ask(n, "", now);
        if n % 64 == 0 {
            storm.hear()?;
        }
    }
    while storm.phones.iter().any(|phone| !phone.done) && begun.elapsed() < Duration::from_secs(120) {
        storm.hear()?;
        storm.repeat();
        std::thread::sleep(Duration::from_micros(200));
    }
    storm.figures.lasted = begun.elapsed();
    storm.figures.took.sort();
    Ok(storm.figures)
}

struct Storm {
    sockets: Vec<UdpSocket>,
    ports: Vec<u16>,
    phones: Vec<Phone>,
    due: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    figures: Figures,
}

impl Storm {
    /// The next request of a phone, sent at this time.
    fn ask(&mut self, n: usize, more: &str, at: Instant) {
        let number = (FIRST as usize + n).to_string();
        let port = self.ports.get(n % SOCKETS).copied().unwrap_or_default();
        let Some(phone) = self.phones.get_mut(n) else { return };
        phone.cseq += 1;
        phone.text = register(&number, port, phone.cseq, more);
        (phone.sent, phone.pause) = (at, T1);
        let cseq = phone.cseq;
        if at <= Instant::now() {
            self.send(n);
            self.due.push(Reverse((at + T1, n, cseq)));
        } else {
            self.due.push(Reverse((at, n, cseq)));
        }
    }

    fn send(&self, n: usize) {
        if let (Some(socket), Some(phone)) = (self.sockets.get(n % SOCKETS), self.phones.get(n)) {
            // What the kernel does not take is lost, like on any network.
            let _ = socket.send(phone.text.as_bytes());
        }
    }

    /// Timers E and F.
    fn repeat(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, n, cseq))) =
            self.due.peek().copied().filter(|Reverse((at, ..))| *at <= now)
        {
            self.due.pop();
            let Some(phone) = self.phones.get_mut(n).filter(|phone| phone.cseq == cseq && !phone.done) else {
                continue;
            };
            if now > phone.sent + TIMER_F {
                phone.done = true;
                self.figures.timer_f += 1;
                continue;
            }
            let first = at == phone.sent;
            if !first {
                phone.pause = (phone.pause * 2).min(T2);
                self.figures.repeated += 1;
            }
            let next = now + phone.pause;
            self.send(n);
            self.due.push(Reverse((next, n, cseq)));
        }
    }

    fn hear(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        for place in 0..SOCKETS {
            while let Some(socket) = self.sockets.get(place) {
                let length = match socket.recv(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                let bytes = bytes::Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
                if let Ok(message) = Message::parse(bytes) {
                    self.answered(&message);
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, message: &Message) {
        let Ok(env) = message.envelope() else { return };
        let number = std::str::from_utf8(env.call_id).ok().and_then(|id| id.strip_prefix("reg-"));
        let Some(n) = number.and_then(|number| number.parse::<usize>().ok()) else { return };
        let (n, now) = (n - FIRST as usize, Instant::now());
        let Some(phone) = self.phones.get_mut(n).filter(|phone| phone.cseq == env.cseq.number && !phone.done)
        else {
            return;
        };
        match message.code() {
            Some(200) => {
                phone.done = true;
                self.figures.registered += 1;
                self.figures.took.push(now - phone.began);
            }
            Some(401) => {
                let challenge = message.header(HeaderName::WwwAuthenticate).unwrap_or_default();
                let Ok(challenge) = Challenge::parse(challenge) else { return };
                let user = (FIRST as usize + n).to_string();
                let login = Login { user: user.as_bytes(), password: PASSWORD.as_bytes() };
                let proof = answer(&challenge, login, b"REGISTER", b"sip:storm", b"c0ffee", 1);
                let line = format!("Authorization: {}\r\n", String::from_utf8_lossy(&proof));
                self.ask(n, &line, now);
            }
            Some(503) => {
                self.figures.refused += 1;
                let after = message.header(HeaderName::RetryAfter).and_then(tandem_sip::lexer::number);
                self.ask(n, "", now + Duration::from_secs(after.unwrap_or(1)));
            }
            Some(_) | None => {}
        }
    }
}
