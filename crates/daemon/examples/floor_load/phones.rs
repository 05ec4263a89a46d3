//! The agents' phones, all behind one socket: they register, ring, answer after a while, and hang up after another.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, ensure};
use tandem_sip::{HeaderName, Message, Method};
use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::floor::{FIRST_DN, Floor, Kind};
use super::server::Server;
use super::wire::{contact, number_after, receive, response, socket, text};

struct Phones {
    floor: Arc<Floor>,
    socket: UdpSocket,
    server: SocketAddr,
    address: SocketAddr,
    registered: Mutex<HashSet<u32>>,
    /// Call-IDs of calls that ring or are talked on.
    calls: Mutex<HashSet<String>>,
    next: AtomicU32,
}

/// Registers all; they serve calls from then on.
pub async fn start(floor: &Arc<Floor>, server: &Server) -> Result<()> {
    let socket = socket(Ipv4Addr::new(127, 0, 0, 3))?;
    socket.connect(server.sip()).await?;
    let phones = Arc::new(Phones {
        floor: Arc::clone(floor),
        address: socket.local_addr()?,
        socket,
        server: server.sip(),
        registered: Mutex::default(),
        calls: Mutex::default(),
        next: AtomicU32::new(1),
    });
    tokio::spawn(serve(Arc::clone(&phones)));
    for attempt in 1..=5 {
        let missing: Vec<u32> = (FIRST_DN..).take(floor.seats.len()).filter(|n| !phones.is_in(*n)).collect();
        for (sent, number) in missing.iter().enumerate() {
            phones.register(*number, attempt).await;
            if sent % 20 == 19 {
                sleep(Duration::from_millis(5)).await;
            }
        }
        sleep(Duration::from_millis(500)).await;
    }
    let registered = phones.registered.lock().map_or(0, |known| known.len());
    ensure!(registered == floor.seats.len(), "only {registered} phones could register");
    Ok(())
}

async fn serve(phones: Arc<Phones>) {
    let mut buffer = vec![0; 65_535];
    loop {
        match receive(&phones.socket, &mut buffer).await {
            Ok(Some(message)) => phones.handle(message).await,
            Ok(None) => {
                phones.floor.tally.strange.fetch_add(1, Relaxed);
            }
            // The server is gone; the main task sees that by itself.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

impl Phones {
    fn is_in(&self, number: u32) -> bool {
        self.registered.lock().is_ok_and(|known| known.contains(&number))
    }

    async fn say(&self, message: String) {
        let _ = self.socket.send(message.as_bytes()).await;
    }

    async fn register(&self, number: u32, attempt: u32) {
        let Self { server, address, .. } = self;
        self.say(format!(
            "REGISTER sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKr{number}-{attempt}\r\n\
             From: <sip:{number}@{server}>;tag=r{number}\r\nTo: <sip:{number}@{server}>\r\n\
             Call-ID: r{number}@load\r\nCSeq: {attempt} REGISTER\r\nContact: <sip:{number}@{address}>\r\n\
             Expires: 3600\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
    }

    async fn handle(self: &Arc<Self>, message: Message) {
        let Some(method) = message.method() else { return self.answered(&message) };
        let counted = match method {
            Method::Invite => return self.rings(message).await,
            Method::Ack => return,
            Method::Cancel => &self.floor.tally.cancelled,
            // Only the phones hang up, and nothing else is theirs to hear.
            Method::Bye
            | Method::Register
            | Method::Options
            | Method::Info
            | Method::Update
            | Method::Prack
            | Method::Message
            | Method::Notify
            | Method::Subscribe
            | Method::Refer
            | Method::Publish
            | Method::Other => &self.floor.tally.strange,
        };
        counted.fetch_add(1, Relaxed);
        self.say(response(&message, "200 OK", "p", None)).await;
    }

    fn answered(&self, message: &Message) {
        let (cseq, ok) = (text(message, HeaderName::CSeq), message.code() == Some(200));
        if cseq.ends_with("REGISTER") {
            let number = number_after(&text(message, HeaderName::To), "<sip:");
            if let (Some(number), Ok(mut known), true) = (number, self.registered.lock(), ok) {
                known.insert(number);
            }
            return;
        }
        if !ok {
            self.floor.tally.errors.fetch_add(1, Relaxed);
        }
        if let Ok(mut calls) = self.calls.lock() {
            calls.remove(&text(message, HeaderName::CallId));
        }
    }

    async fn rings(self: &Arc<Self>, invite: Message) {
        let uri = String::from_utf8_lossy(invite.request_uri().unwrap_or_default()).into_owned();
        let seat = number_after(&uri, "sip:").and_then(|number| number.checked_sub(FIRST_DN));
        let Some(seat) = seat.filter(|seat| (*seat as usize) < self.floor.seats.len()) else {
            self.floor.tally.strange.fetch_add(1, Relaxed);
            return;
        };
        let new = self.calls.lock().is_ok_and(|mut calls| calls.insert(text(&invite, HeaderName::CallId)));
        if !new {
            self.floor.tally.repeated.fetch_add(1, Relaxed);
            return;
        }
        self.floor.caused(Kind::Ringing, seat);
        self.say(response(&invite, "180 Ringing", "p", None)).await;
        let phones = Arc::clone(self);
        tokio::spawn(async move { phones.call(seat, invite).await });
    }

    /// From ringing to the end.
    async fn call(&self, seat: u32, invite: Message) {
        let (number, address) = (FIRST_DN + seat, self.address);
        sleep(self.floor.ring).await;
        self.floor.caused(Kind::Established, seat);
        self.say(response(&invite, "200 OK", "p", Some(&format!("sip:{number}@{address}")))).await;
        sleep(self.floor.talk).await;
        let branch = self.next.fetch_add(1, Relaxed);
        let [from, to, call_id] =
            [HeaderName::To, HeaderName::From, HeaderName::CallId].map(|name| text(&invite, name));
        let target = contact(&invite);
        self.floor.caused(Kind::Released, seat);
        self.say(format!(
            "BYE {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bKb{branch}\r\n\
             From: {from};tag=p\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n"
        ))
        .await;
    }
}
