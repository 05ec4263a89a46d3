//! The callers, behind one trunk: they call the queue, wait, talk, and let the agent hang up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use tandem_sip::{HeaderName, Message, Method};
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::floor::{FIRST_CALLER, Floor, Kind, QUEUE};
use super::server::Server;
use super::wire::{SDP, contact, number_after, receive, response, socket, text};

/// See the module.
pub struct Callers(Arc<Line>);

struct Line {
    floor: Arc<Floor>,
    socket: UdpSocket,
    server: SocketAddr,
    address: SocketAddr,
    next: AtomicU32,
    stopped: AtomicBool,
}

impl Callers {
    pub async fn start(floor: &Arc<Floor>, server: &Server) -> Result<Self> {
        let socket = socket(Ipv4Addr::new(127, 0, 0, 2))?;
        socket.connect(server.sip()).await?;
        let line = Arc::new(Line {
            floor: Arc::clone(floor),
            address: socket.local_addr()?,
            socket,
            server: server.sip(),
            next: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
        });
        tokio::spawn(serve(Arc::clone(&line)));
        Ok(Self(line))
    }

    /// Calls at a rate, so many times or until stopped.
    pub async fn pace(&self, rate: u32, count: Option<u32>) {
        self.0.pace(rate, count).await;
    }

    /// The same beside whatever comes next.
    pub fn keep_calling(&self, rate: u32) {
        let line = Arc::clone(&self.0);
        tokio::spawn(async move { line.pace(rate, None).await });
    }

    pub fn stop(&self) {
        self.0.stopped.store(true, Relaxed);
    }

    /// Whether every caller there is has called.
    pub fn are_done(&self) -> bool {
        self.0.next.load(Relaxed) as usize >= self.0.floor.callers.len()
    }
}

async fn serve(line: Arc<Line>) {
    let mut buffer = vec![0; 65_535];
    loop {
        match receive(&line.socket, &mut buffer).await {
            Ok(Some(message)) => line.handle(&message).await,
            Ok(None) => {
                line.floor.tally.strange.fetch_add(1, Relaxed);
            }
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

impl Line {
    async fn pace(&self, rate: u32, count: Option<u32>) {
        let mut tick = interval(Duration::from_secs(1) / rate.max(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut left = count.unwrap_or(u32::MAX);
        while left > 0 && !self.stopped.load(Relaxed) {
            tick.tick().await;
            let caller = self.next.fetch_add(1, Relaxed);
            if caller as usize >= self.floor.callers.len() {
                return;
            }
            self.call(caller).await;
            left -= 1;
        }
    }

    async fn call(&self, caller: u32) {
        let (Self { server, address, .. }, number, length) = (self, FIRST_CALLER + caller, SDP.len());
        let invite = format!(
            "INVITE sip:{QUEUE}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKc{caller}\r\n\
             From: <sip:{number}@{address}>;tag=c\r\nTo: <sip:{QUEUE}@{server}>\r\nCall-ID: c{caller}@load\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:{number}@{address}>\r\nMax-Forwards: 70\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{SDP}"
        );
        self.floor.tally.called.fetch_add(1, Relaxed);
        self.floor.waiting.fetch_add(1, Relaxed);
        self.floor.caused(Kind::Queued, caller);
        let _ = self.socket.send(invite.as_bytes()).await;
    }

    async fn handle(&self, message: &Message) {
        let tally = &self.floor.tally;
        match (message.method(), message.code()) {
            (Some(Method::Bye), _) => {
                tally.ended.fetch_add(1, Relaxed);
                let _ = self.socket.send(response(message, "200 OK", "c", None).as_bytes()).await;
            }
            (Some(_), _) => {
                let _ = self.socket.send(response(message, "200 OK", "c", None).as_bytes()).await;
            }
            (None, Some(code @ 200..)) => {
                self.floor.waiting.fetch_sub(1, Relaxed);
                let counted = if code == 200 { &tally.answered } else { &tally.refused };
                counted.fetch_add(1, Relaxed);
                self.acknowledge(message, code).await;
            }
            (None, _) => {}
        }
    }

    async fn acknowledge(&self, answer: &Message, code: u16) {
        let (call_id, to) = (text(answer, HeaderName::CallId), text(answer, HeaderName::To));
        let caller = number_after(&call_id, "c").unwrap_or(0);
        let (server, address) = (self.server, self.address);
        let (target, branch) = match code {
            200 => (contact(answer), format!("z9hG4bKa{caller}")),
            _ => (format!("sip:{QUEUE}@{server}"), format!("z9hG4bKc{caller}")),
        };
        let from = text(answer, HeaderName::From);
        let ack = format!(
            "ACK {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch}\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        let _ = self.socket.send(ack.as_bytes()).await;
    }
}
