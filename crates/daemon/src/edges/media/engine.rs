//! One rtpengine, by its ng protocol: `cookie {json}` over UDP. A request is repeated with its cookie, and the engine
//! answers a repetition as it answered before, so every request takes effect once.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::limits::{MAX_DATAGRAM, MAX_NG_IN_FLIGHT, NG_PING_EVERY, NG_REFUSED_AFTER, NG_REPEAT_AFTER};

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NgError {
    /// The engine's own words.
    #[error("the media server refused: {0}")]
    Refused(String),
    /// No answer, whatever was repeated.
    #[error("the media server does not answer")]
    Silent,
}

/// See the module.
pub struct Engine {
    /// Where it takes orders.
    pub addr: SocketAddr,
    socket: UdpSocket,
    /// Makes cookies that no other client of the engine uses, nor an earlier life of this one: an engine remembers
    /// them, and would repeat an old answer.
    prefix: u64,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Value>>>,
    room: Semaphore,
    /// Anchored legs that it carries for this server.
    pub sessions: AtomicUsize,
    up: watch::Sender<bool>,
    /// How often its host's kernel said that nobody listens.
    refusals: AtomicUsize,
}

impl Engine {
    /// An engine that is not known to work yet; [`Engine::run`] finds out.
    ///
    /// # Errors
    /// What the operating system says about the socket.
    pub async fn open(addr: SocketAddr, prefix: u64) -> io::Result<Arc<Self>> {
        let any = match addr {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(addr).await?;
        Ok(Arc::new(Self {
            addr,
            socket,
            prefix,
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
            room: Semaphore::new(MAX_NG_IN_FLIGHT),
            sessions: AtomicUsize::new(0),
            up: watch::Sender::new(false),
            refusals: AtomicUsize::new(0),
        }))
    }

    /// Whether it answers.
    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Resolves when it does not answer any more.
    pub async fn lost(&self) {
        let _ = self.up.subscribe().wait_for(|up| !up).await;
    }

    /// Resolves when it answers.
    pub async fn works(&self) {
        let _ = self.up.subscribe().wait_for(|up| *up).await;
    }

    /// Receives answers, and pings the engine, for ever.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.receive(), self.watch());
    }

    async fn watch(&self) {
        loop {
            let up = self.ask("ping", Map::new()).await.is_ok();
            if self.up.send_replace(up) != up {
                if up {
                    tracing::info!(engine = %self.addr, "media server works");
                } else {
                    tracing::warn!(engine = %self.addr, "media server lost: its callers have ringback, its calls go to another");
                }
            }
            sleep(NG_PING_EVERY).await;
        }
    }

    async fn receive(&self) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            let length = match self.socket.recv(&mut buffer).await {
                Ok(length) => length,
                Err(error) => {
                    self.failed(&error);
                    sleep(Duration::from_millis(10)).await;
                    continue;
                }
            };
            let answer = buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
            let Some((cookie, json)) = answer.and_then(|text| text.split_once(' ')) else { continue };
            let Ok(value) = serde_json::from_str(json) else { continue };
            if let Some(waits) = self.waiting().remove(cookie) {
                let _ = waits.send(value);
            }
        }
    }

    /// A refusal by the host's kernel shortens the patience; one alone may be of a server that is just starting.
    fn failed(&self, error: &io::Error) {
        let refused = error.kind() == io::ErrorKind::ConnectionRefused;
        self.refusals.fetch_add(usize::from(refused), Relaxed);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, oneshot::Sender<Value>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When it is refused, or there is none.
    pub async fn ask(&self, command: &str, mut about: Map<String, Value>) -> Result<Value, NgError> {
        // Closed never; waiting for room is bounded by what is in flight.
        let _room = self.room.acquire().await.map_err(|_| NgError::Silent)?;
        about.insert("command".to_owned(), json!(command));
        let cookie = format!("{:016x}-{}", self.prefix, self.next.fetch_add(1, Relaxed));
        let datagram = format!("{cookie} {}", Value::Object(about));
        let (sender, mut answer) = oneshot::channel();
        self.waiting().insert(cookie.clone(), sender);
        let _forget = Forget(self, &cookie);
        let before = self.refusals.load(Relaxed);
        for (sent, patience) in NG_REPEAT_AFTER.into_iter().enumerate() {
            if sent >= NG_REFUSED_AFTER && self.refusals.load(Relaxed) != before {
                break;
            }
            // What cannot be sent is as good as lost on the way.
            if let Err(error) = self.socket.send(datagram.as_bytes()).await {
                self.failed(&error);
            }
            if let Ok(Ok(answer)) = timeout(patience, &mut answer).await {
                return judged(answer);
            }
        }
        Err(NgError::Silent)
    }
}

/// The session description in an answer.
///
/// # Errors
/// There is none.
pub fn sdp_of(answer: &Value) -> Result<String, NgError> {
    match answer.get("sdp").and_then(Value::as_str) {
        Some(sdp) => Ok(sdp.to_owned()),
        None => Err(NgError::Refused("it sends no session description".to_owned())),
    }
}

fn judged(answer: Value) -> Result<Value, NgError> {
    match answer.get("result").and_then(Value::as_str) {
        Some("ok" | "pong") => Ok(answer),
        Some(_) | None => {
            let why = answer.get("error-reason").and_then(Value::as_str).unwrap_or("no reason given");
            Err(NgError::Refused(why.to_owned()))
        }
    }
}

/// Forgets a question when nobody waits for its answer any more.
struct Forget<'a>(&'a Engine, &'a str);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(self.1);
    }
}
