//! SIP over UDP as the parties of a drill speak it: one socket, client transactions with their retransmissions
//! (RFC 3261 17.1), and everything that arrives unasked in one queue.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tandem_sip::{Builder, HeaderName, Message, NameAddr, Transport, Via, response_to};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

/// First pause before a request is sent again (RFC 3261 T1); it doubles.
const T1: Duration = Duration::from_millis(500);
/// Longest pause (T2).
const T2: Duration = Duration::from_secs(4);
/// Requests that wait for their handler; a further one is dropped, and comes again.
const MAX_UNHANDLED: usize = 4_096;
/// Responses that wait for their transaction; more than any one gets.
const MAX_RESPONSES: usize = 64;

/// What every media description is: nobody speaks.
pub const SDP: &[u8] =
    b"v=0\r\no=drill 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";

/// A request that came.
pub struct Came {
    /// The request.
    pub message: Message,
    /// Where from.
    pub from: SocketAddr,
}

/// A socket, and what waits for answers.
pub struct Line {
    socket: UdpSocket,
    /// Where it is reached.
    pub address: SocketAddr,
    clients: Mutex<BTreeMap<Vec<u8>, mpsc::Sender<Message>>>,
    prefix: u64,
    taken: AtomicU64,
}

/// A request that is to be sent, but for its Via.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Request-URI.
    pub uri: &'a str,
    /// From, with its tag.
    pub from: &'a str,
    /// To, with its tag if it has one.
    pub to: &'a str,
    /// Call-ID.
    pub call_id: &'a str,
    /// CSeq.
    pub cseq: u32,
    /// User part of Contact; `*` stands for every contact there is (RFC 3261 10.2.2).
    pub user: &'a str,
    /// Further lines.
    pub lines: &'a [(HeaderName, &'a [u8])],
    /// The body: a media description, or none.
    pub body: &'a [u8],
}

impl Line {
    /// Opens a socket.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn open(address: SocketAddr) -> io::Result<(Arc<Self>, mpsc::Receiver<Came>)> {
        let socket = UdpSocket::bind(address).await?;
        let [a, b, c, d, e, f, g, h, ..] = crate::serve::random()?;
        let line = Arc::new(Self {
            address: socket.local_addr()?,
            socket,
            clients: Mutex::default(),
            prefix: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            taken: AtomicU64::new(0),
        });
        let (sender, came) = mpsc::channel(MAX_UNHANDLED);
        tokio::spawn(read(Arc::clone(&line), sender));
        Ok((line, came))
    }

    /// A word that no other party of any drill uses.
    pub fn fresh(&self) -> String {
        format!("{:016x}-{}", self.prefix, self.taken.fetch_add(1, Relaxed))
    }

    /// Sends once.
    pub async fn send(&self, to: SocketAddr, message: &Bytes) {
        // What the operating system does not take is as lost as what the network drops.
        let _ = self.socket.send_to(message, to).await;
    }

    /// Prints a request; its branch is the second.
    pub fn print(&self, request: &Request<'_>, branch: &str) -> Bytes {
        let (mut buffer, sent_by) = (Vec::with_capacity(1024), self.address.to_string());
        let mut builder = Builder::request(&mut buffer, request.method.as_bytes(), request.uri.as_bytes());
        builder
            .via(Transport::Udp, sent_by.as_bytes(), branch.as_bytes())
            .number(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, request.from.as_bytes())
            .header(HeaderName::To, request.to.as_bytes())
            .header(HeaderName::CallId, request.call_id.as_bytes())
            .cseq(request.cseq, request.method.as_bytes())
            .header(HeaderName::Contact, contact(request.user, self.address).as_bytes());
        for (name, value) in request.lines {
            builder.header(*name, value);
        }
        if !request.body.is_empty() {
            builder.header(HeaderName::ContentType, b"application/sdp");
        }
        builder.finish(request.body)
    }

    /// Begins a client transaction.
    pub async fn begin(self: &Arc<Self>, to: SocketAddr, request: &Request<'_>) -> Client {
        let branch = format!("z9hG4bK{}", self.fresh());
        let printed = self.print(request, &branch);
        let (sender, responses) = mpsc::channel(MAX_RESPONSES);
        self.clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(branch.clone().into_bytes(), sender);
        self.send(to, &printed).await;
        let repeats = request.method != "INVITE";
        let again = Instant::now() + T1;
        Client {
            line: Arc::clone(self),
            to,
            branch,
            printed,
            responses,
            heard: false,
            pause: T1,
            again,
            repeats,
        }
    }

    /// Asks, and waits so long for the final response.
    pub async fn ask(
        self: &Arc<Self>,
        to: SocketAddr,
        request: &Request<'_>,
        patience: Duration,
    ) -> Option<Message> {
        let (mut client, until) = (self.begin(to, request).await, Instant::now() + patience);
        loop {
            let response = client.next(until).await?;
            if response.code().is_some_and(|code| code >= 200) {
                return Some(response);
            }
        }
    }

    /// Answers a request. With `user` there is a Contact, and with a body it is a media description.
    pub fn response(&self, came: &Came, code: u16, tag: &str, user: Option<&str>, body: &[u8]) -> Bytes {
        let Ok(envelope) = came.message.envelope() else { return Bytes::new() };
        let mut buffer = Vec::with_capacity(1024);
        let reason = tandem_sip::rsip_bridge::reason_phrase(code);
        let mut builder = response_to(
            &mut buffer,
            &came.message,
            &envelope,
            code,
            reason.as_bytes(),
            Some(tag.as_bytes()),
            Some(came.from),
        );
        for route in came.message.lines(HeaderName::RecordRoute) {
            builder.header(HeaderName::RecordRoute, route);
        }
        if let Some(user) = user {
            builder.header(HeaderName::Contact, contact(user, self.address).as_bytes());
        }
        if !body.is_empty() {
            builder.header(HeaderName::ContentType, b"application/sdp");
        }
        builder.finish(body)
    }
}

fn contact(user: &str, address: SocketAddr) -> String {
    if user == "*" {
        return user.to_owned();
    }
    format!("<sip:{user}@{address}>")
}

/// A client transaction. Dropped, it hears nothing more.
pub struct Client {
    line: Arc<Line>,
    to: SocketAddr,
    /// Its branch: the ACK of a refusal and a CANCEL carry it too.
    pub branch: String,
    printed: Bytes,
    responses: mpsc::Receiver<Message>,
    heard: bool,
    pause: Duration,
    again: Instant,
    /// Whether it goes on sending after a provisional response.
    repeats: bool,
}

impl Client {
    /// The next response until then.
    pub async fn next(&mut self, until: Instant) -> Option<Message> {
        loop {
            let silent = !self.heard || self.repeats;
            let wake = if silent { until.min(self.again) } else { until };
            match timeout_at(wake.into(), self.responses.recv()).await {
                Ok(response) => {
                    self.heard = true;
                    return response;
                }
                Err(_) if Instant::now() >= until => return None,
                Err(_) => {
                    self.line.send(self.to, &self.printed).await;
                    self.pause = if self.repeats { (self.pause * 2).min(T2) } else { self.pause * 2 };
                    self.again = Instant::now() + self.pause;
                }
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut clients = self.line.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.remove(self.branch.as_bytes());
    }
}

async fn read(line: Arc<Line>, requests: mpsc::Sender<Came>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let (length, from) = match line.socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // The error of an earlier send: a site that is not there.
            Err(_) => continue,
        };
        let datagram = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        let Ok(message) = Message::parse(datagram) else { continue };
        if message.is_request() {
            match requests.try_send(Came { message, from }) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => continue,
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
        let branch = message.header(HeaderName::Via).and_then(|via| Via::parse(via).ok()?.branch());
        let client = branch.and_then(|branch| {
            line.clients.lock().unwrap_or_else(PoisonError::into_inner).get(branch).cloned()
        });
        if let Some(client) = client {
            let _ = client.try_send(message);
        }
    }
}

/// A header as text.
pub fn text(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

/// The URI of Contact.
pub fn target(message: &Message) -> Option<String> {
    let value = NameAddr::parse(message.header(HeaderName::Contact)?).ok()?;
    Some(String::from_utf8_lossy(value.uri().ok()?.raw()).into_owned())
}
