//! The CTI interface: WebSocket (RFC 6455) on `/cti`, one JSON message a text frame. Connections are read, proven and
//! written here, in parallel; requests go to the `Node`, and its events come back by the number of the link.
//!
//! A client that does not read is dropped at its bound. It loses nothing: its session is the `Node`'s, and it resumes.

mod doorkeeper;
mod link;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use socket2::SockRef;
use tandem_cti::Role;
use tandem_switch::Directory;
use tandem_switch::cti::{LinkId, Outgoing};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::isolation::Isolation;
use super::line::{Line, Parting};
use super::tls::Acceptor;
use crate::command::Commands;
use crate::limits::{
    CTI_FAILURE_PAUSE, CTI_PART_WITHIN, CTI_SEND_BUFFER, CTI_WRITER_QUEUE, MAX_CTI_LINKS, MAX_CTI_UNPROVEN,
};
use doorkeeper::{Doorkeeper, Refused};

/// What happened at the CTI interface, each since start.
#[derive(Debug, Default)]
pub struct CtiCounters {
    /// Connections open now.
    pub open: AtomicUsize,
    /// Connections whose person is proven, now.
    pub proven: AtomicUsize,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections refused because too many were open.
    pub refused: AtomicU64,
    /// Requests read.
    pub requests: AtomicU64,
    /// Events written.
    pub events: AtomicU64,
    /// Connections closed because their client did not read.
    pub too_slow: AtomicU64,
    /// Connections closed for what they sent: no JSON, no text, too long.
    pub unreadable: AtomicU64,
    /// Attempts to open with a wrong user name or password.
    pub failures: AtomicU64,
    /// Attempts refused unseen after too many failures.
    pub locked_out: AtomicU64,
}

/// How often a server that ends looks whether its clients are gone.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How to reach one client.
struct Writer {
    remote: IpAddr,
    person: Arc<str>,
    queue: mpsc::Sender<Outgoing>,
    ending: Arc<Ending>,
}

/// Tells a connection's task that it is to end.
#[derive(Default)]
struct Ending {
    now: CancellationToken,
    /// Because another connection has taken the session over, not because the client does not read.
    replaced: AtomicBool,
    /// Because a drill has cut the client off: it hears nothing more, not even why.
    cut: AtomicBool,
}

/// Every connection of the CTI interface.
pub struct CtiEdge {
    commands: Commands,
    directory: watch::Receiver<Arc<Directory>>,
    writers: DashMap<LinkId, Writer>,
    next_id: AtomicU64,
    doorkeeper: Doorkeeper,
    isolation: Arc<Isolation>,
    /// The server ends.
    stopping: CancellationToken,
    /// The address goes, and they with it.
    parting: Arc<Parting>,
    /// What happened so far.
    pub counters: CtiCounters,
}

impl CtiEdge {
    /// An edge without connections, which finds persons in whatever directory is in force.
    pub fn new(
        commands: Commands,
        directory: watch::Receiver<Arc<Directory>>,
        isolation: Arc<Isolation>,
        parting: Arc<Parting>,
    ) -> Arc<Self> {
        Arc::new(Self {
            commands,
            directory,
            writers: DashMap::new(),
            next_id: AtomicU64::new(1),
            doorkeeper: Doorkeeper::new(),
            isolation,
            stopping: CancellationToken::new(),
            parting,
            counters: CtiCounters::default(),
        })
    }

    /// The directory in force.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.borrow())
    }

    /// Closes the connections that an isolation, begun just now, cuts off.
    pub fn cut_off(&self) {
        let now = Instant::now();
        for writer in &self.writers {
            if self.isolation.closes(writer.remote, &writer.person, now) {
                writer.ending.cut.store(true, Ordering::Relaxed);
                writer.ending.now.cancel();
            }
        }
    }

    /// Checks a person's password; the person, and his role.
    ///
    /// # Errors
    /// A sentence for him, when he may not come in.
    pub async fn admit(
        &self,
        remote: SocketAddr,
        user: &str,
        password: String,
    ) -> Result<(Arc<str>, Role), String> {
        let directory = self.directory();
        match self.doorkeeper.admit(remote.ip(), &directory, user, password).await {
            Ok(person) => Ok(person),
            Err(refused) => {
                let refusal = link::turned_away(self, remote, user, refused);
                if refused == Refused::Wrong {
                    tokio::time::sleep(CTI_FAILURE_PAUSE).await;
                }
                Err(refusal.message.into_owned())
            }
        }
    }

    /// Accepts connections until the runtime ends.
    pub async fn accept(self: Arc<Self>, listener: TcpListener, tls: Option<Acceptor>) {
        let unproven = Arc::new(Semaphore::new(MAX_CTI_UNPROVEN));
        loop {
            let Ok(place) = Arc::clone(&unproven).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, remote)) => self.accepted(stream, remote, tls.clone(), place),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn accepted(
        self: &Arc<Self>,
        stream: TcpStream,
        remote: SocketAddr,
        tls: Option<Acceptor>,
        place: OwnedSemaphorePermit,
    ) {
        if !self.isolation.admits(remote.ip(), None, Instant::now()) {
            return;
        }
        if self.counters.open.fetch_add(1, Ordering::Relaxed) >= MAX_CTI_LINKS {
            self.counters.open.fetch_sub(1, Ordering::Relaxed);
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%remote, limit = MAX_CTI_LINKS, "CTI connection refused: too many are open");
            return;
        }
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        // Events are small and wanted at once; a client that does not read must not hold megabytes in the kernel.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_send_buffer_size(CTI_SEND_BUFFER);
        let edge = Arc::clone(self);
        tokio::spawn(async move {
            let line = Line::new(stream, Arc::clone(&edge.parting));
            link::serve(&edge, line, remote, tls, place).await;
            edge.counters.open.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Hands an event to a client's connection; never waits. A client whose queue is full is dropped.
    pub fn send(&self, outgoing: Outgoing) {
        let Some(writer) = self.writers.get(&outgoing.link) else { return };
        if writer.queue.try_send(outgoing).is_err() {
            writer.ending.now.cancel();
        }
    }

    /// Ends a client's connection: another one has taken its session over.
    pub fn close(&self, link: LinkId) {
        if let Some(writer) = self.writers.get(&link) {
            writer.ending.replaced.store(true, Ordering::Relaxed);
            writer.ending.now.cancel();
        }
    }

    /// Parts from every client, once it has what is on its way to it; waits for slow ones no longer than
    /// [`CTI_PART_WITHIN`].
    pub async fn stop(&self) {
        let parted = async {
            while self.writers.iter().any(|writer| writer.queue.capacity() < writer.queue.max_capacity()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            self.stopping.cancel();
            while self.counters.open.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(CTI_PART_WITHIN, parted).await;
        self.stopping.cancel();
    }

    /// A place in the table for a proven connection.
    fn register(&self, remote: IpAddr, person: &Arc<str>) -> (LinkId, mpsc::Receiver<Outgoing>, Arc<Ending>) {
        let id = LinkId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (sender, queue) = mpsc::channel(CTI_WRITER_QUEUE);
        let ending = Arc::new(Ending::default());
        let person = Arc::clone(person);
        self.writers.insert(id, Writer { remote, person, queue: sender, ending: Arc::clone(&ending) });
        self.counters.proven.fetch_add(1, Ordering::Relaxed);
        (id, queue, ending)
    }

    fn unregister(&self, id: LinkId) {
        self.writers.remove(&id);
        self.counters.proven.fetch_sub(1, Ordering::Relaxed);
    }
}
