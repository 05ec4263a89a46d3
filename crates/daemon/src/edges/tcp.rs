//! Connections that carry SIP: TCP, TLS (RFC 3261 18, 26) and WebSocket (RFC 7118). They are accepted, opened and found
//! here; [`stream`](super::stream) and [`ws`](super::ws) read and write them, in parallel.
//!
//! A connection that its writer cannot keep up with is closed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tandem_sip::{Flow, HeaderName, Message, Transport, Via};
use tandem_switch::{Directory, Input};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::Presence;
use super::crowd::{Crowd, Kind, NoPlace, kind_of};
use super::line::{Line, Parting};
use super::tls::SipTls;
use super::tls_names::{expected, may_come};
use super::{stream, ws};
use crate::command::Commands;
use crate::config::ConnectionSettings;
use crate::limits::{
    CONNECT_WITHIN, FIRST_MESSAGE_WITHIN, HANDSHAKE_WITHIN, IDLE, MAX_HANDSHAKES, PARTED_WITHIN, WRITER_QUEUE,
};

/// What happened at connections, each since start.
#[derive(Debug, Default)]
pub struct TcpCounters {
    /// Connections open now.
    pub open: AtomicUsize,
    /// Connections accepted or opened.
    pub opened: AtomicU64,
    /// Connections refused because too many were open, in all or of their source.
    pub refused: AtomicU64,
    /// Connections closed because their place was needed: they brought no message, or were silent and nobody was reached over
    /// them.
    pub made_room: AtomicU64,
    /// Connections closed because a message took too long to come.
    pub slow_sender: AtomicU64,
    /// Messages refused because they were too long, and their connections closed.
    pub oversized: AtomicU64,
    /// Connections closed because their peer read too slowly.
    pub too_slow: AtomicU64,
    /// Connections closed because their stream could not be framed, and messages in them that could not be read.
    pub unreadable: AtomicU64,
    /// Handshakes of TLS or WebSocket that came to nothing.
    pub no_handshake: AtomicU64,
}

/// A connection that carries bytes.
pub trait Bytewise: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Bytewise for S {}

/// A connection whose handshakes are done.
enum Link {
    Bytes(Box<dyn Bytewise>),
    Ws(Box<ws::Socket>),
}

/// A connection's place in the tables.
struct Entry {
    id: u64,
    queue: mpsc::Receiver<Bytes>,
    close: CancellationToken,
    /// Its place is needed.
    leave: CancellationToken,
}

/// How to reach one open connection.
struct Writer {
    queue: mpsc::Sender<Bytes>,
    close: CancellationToken,
    /// Its other end is a trunk that has shown its certificate.
    proven: bool,
    /// Requests to this address go by it, too.
    alias: Option<SocketAddr>,
}

/// Every connection of a server that carries SIP.
pub struct TcpEdge {
    runtime: Handle,
    pub(super) commands: Commands,
    directory: watch::Receiver<Arc<Directory>>,
    tls: Option<SipTls>,
    /// The addresses that each host name of a trunk was found at.
    names: DashMap<Box<str>, Vec<SocketAddr>>,
    /// Transport of each listener, its `Flow::local`, and the address that connections through it leave by.
    locals: Vec<(Transport, u8, SocketAddr)>,
    writers: DashMap<u64, Writer>,
    by_remote: DashMap<(Transport, SocketAddr), u64>,
    next_id: AtomicU64,
    pub(super) crowd: Crowd,
    /// Those who hold a connection.
    holders: TaskTracker,
    /// The address goes, and they with it.
    parting: Arc<Parting>,
    /// What happened so far.
    pub counters: TcpCounters,
}

/// Opens a listener.
///
/// # Errors
/// What the operating system says.
pub fn bind(addr: SocketAddr, presence: Presence) -> io::Result<std::net::TcpListener> {
    let listener = reserve(addr, presence)?;
    listen(&listener)?;
    Ok(listener)
}

/// Opens a listener at which nobody can connect before [`listen`].
///
/// # Errors
/// What the operating system says.
pub fn reserve(addr: SocketAddr, presence: Presence) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    presence.prepare(&socket, addr)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of the process before this one may linger in TIME_WAIT; a second listener is refused all the same.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Lets clients connect: until then they are refused at once, and try the next server.
///
/// # Errors
/// What the operating system says.
pub fn listen(listener: &std::net::TcpListener) -> io::Result<()> {
    SockRef::from(listener).listen(1024)
}

impl TcpEdge {
    /// An edge without connections.
    pub fn new(
        runtime: Handle,
        commands: Commands,
        locals: Vec<(Transport, u8, SocketAddr)>,
        directory: watch::Receiver<Arc<Directory>>,
        tls: Option<SipTls>,
        bounds: ConnectionSettings,
        parting: Arc<Parting>,
    ) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            commands,
            directory,
            tls,
            names: DashMap::new(),
            locals,
            writers: DashMap::new(),
            by_remote: DashMap::new(),
            next_id: AtomicU64::new(1),
            crowd: Crowd::new(bounds),
            holders: TaskTracker::new(),
            parting,
            counters: TcpCounters::default(),
        })
    }

    /// A trunk's host name was found at these addresses: a certificate shown there must show it (RFC 5922 4), not the name
    /// of the server that an SRV record leads to.
    pub fn named(&self, host: &str, found: Vec<SocketAddr>) {
        self.names.insert(host.into(), found);
    }

    /// Reads the files of TLS anew; connections that are open go on.
    pub fn reload_tls(&self) {
        match self.tls.as_ref().map(SipTls::reload) {
            None => {}
            Some(Ok(())) => tracing::info!("certificates of [sip-tls] read anew"),
            Some(Err(error)) => {
                tracing::error!(error = %format!("{error:#}"), "the certificates of [sip-tls] stay as they were");
            }
        }
    }

    /// Returns when every connection has ended, because [`Parting`] has begun; without those that take too long.
    pub async fn parted(&self) {
        self.holders.close();
        if tokio::time::timeout(PARTED_WITHIN, self.holders.wait()).await.is_err() {
            let left = self.holders.len();
            tracing::warn!(
                left,
                "connections are left in the kernel: they may answer for this server for a minute"
            );
        }
    }

    /// Accepts connections until the runtime ends.
    pub async fn accept(self: Arc<Self>, transport: Transport, local: u8, listener: TcpListener) {
        // Whoever does not finish his handshake keeps others of this listener waiting in the kernel for a bounded time only.
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        loop {
            let Ok(place) = Arc::clone(&handshakes).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, remote)) => {
                    let flow = Flow { transport, local, remote, conn: 0 };
                    self.accepted(flow, stream, place);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn accepted(self: &Arc<Self>, flow: Flow, stream: TcpStream, place: OwnedSemaphorePermit) {
        let remote = flow.remote;
        let ip = remote.ip().to_canonical();
        if !self.directory.borrow().options.guard.admits(flow.local, ip) {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let kind = kind_of(&self.directory.borrow(), ip, |host| self.is_at(host, ip));
        let edge = Arc::clone(self);
        match self.register(flow.transport, remote, kind) {
            Ok(entry) => {
                let held = async move { edge.hold(flow, stream, place, entry).await };
                self.holders.spawn_on(held, &self.runtime);
            }
            Err(NoPlace::Source) => {
                let held = async move {
                    edge.look_for_silent(ip).await;
                    match edge.register(flow.transport, remote, kind) {
                        Ok(entry) => edge.hold(flow, stream, place, entry).await,
                        Err(why) => edge.refused(remote, why),
                    }
                };
                self.holders.spawn_on(held, &self.runtime);
            }
            Err(why) => self.refused(remote, why),
        }
    }

    /// Serves a connection that has a place, until it ends.
    async fn hold(&self, flow: Flow, stream: TcpStream, place: OwnedSemaphorePermit, entry: Entry) {
        let Entry { id, queue, close, leave } = entry;
        let flow = Flow { conn: id, ..flow };
        prepare(&stream);
        let line = Line::new(stream, Arc::clone(&self.parting));
        tokio::select! {
            () = self.welcome(flow, line, place, queue, close) => {}
            () = self.parting.begun() => {}
            () = leave.cancelled() => {
                self.counters.made_room.fetch_add(1, Ordering::Relaxed);
                if let Some(unlogged) = self.crowd.worth_a_line(flow.remote.ip()) {
                    tracing::info!(
                        remote = %flow.remote,
                        transport = %flow.transport,
                        unlogged,
                        "connection closed: it was silent, nobody was reached over it, and its place was needed"
                    );
                }
            }
        }
        self.closed(flow, false).await;
    }

    fn refused(&self, remote: SocketAddr, why: NoPlace) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        if let Some(unlogged) = self.crowd.worth_a_line(remote.ip()) {
            tracing::warn!(%remote, %why, unlogged, "connection refused");
        }
    }

    /// A source has its share: finds out which of its silent connections nobody is reached over.
    async fn look_for_silent(&self, ip: IpAddr) {
        let silent = self.crowd.silent(ip, Instant::now());
        if silent.is_empty() {
            return;
        }
        let asked = silent.clone();
        // A node that is too busy to answer is asked again with the next one that comes.
        let Ok(used) = self.commands.ask(move |peek| peek.node.in_use(&asked)).await else { return };
        self.crowd.unused(ip, silent.into_iter().filter(|id| used.binary_search(id).is_err()).collect());
    }

    async fn welcome(
        &self,
        flow: Flow,
        line: Line,
        place: OwnedSemaphorePermit,
        queue: mpsc::Receiver<Bytes>,
        close: CancellationToken,
    ) {
        match tokio::time::timeout(HANDSHAKE_WITHIN, self.shake_hands(flow, line)).await {
            Ok(Ok(accepted)) => {
                drop(place);
                self.serve(accepted, flow, queue, close, FIRST_MESSAGE_WITHIN).await;
            }
            Ok(Err(why)) => self.no_handshake(flow, &why),
            Err(_) => self.no_handshake(flow, "it took too long"),
        }
    }

    fn no_handshake(&self, flow: Flow, why: &str) {
        self.counters.no_handshake.fetch_add(1, Ordering::Relaxed);
        if let Some(unlogged) = self.crowd.worth_a_line(flow.remote.ip()) {
            let (remote, transport) = (flow.remote, flow.transport);
            tracing::info!(%remote, %transport, why, unlogged, "connection closed: no handshake");
        }
    }

    /// Whether a host name of a trunk leads to an address.
    fn is_at(&self, host: &str, ip: IpAddr) -> bool {
        self.names.get(host).is_some_and(|found| found.iter().any(|addr| addr.ip().to_canonical() == ip))
    }

    /// What has to be said before the first message.
    async fn shake_hands(&self, flow: Flow, stream: Line) -> Result<Link, String> {
        match flow.transport {
            Transport::Udp | Transport::Tcp => Ok(Link::Bytes(Box::new(stream))),
            Transport::Ws => Ok(Link::Ws(Box::new(ws::accept(Box::new(stream)).await?))),
            Transport::Tls => Ok(Link::Bytes(self.accept_tls(flow, stream).await?)),
            Transport::Wss => {
                let stream = self.accept_tls(flow, stream).await?;
                Ok(Link::Ws(Box::new(ws::accept(stream).await?)))
            }
        }
    }

    async fn accept_tls(&self, flow: Flow, stream: Line) -> Result<Box<dyn Bytewise>, String> {
        let acceptor = self
            .tls
            .as_ref()
            .and_then(|tls| tls.acceptor(flow.transport))
            .ok_or("[sip-tls] is not configured")?;
        let stream = acceptor.accept(stream).await.map_err(|error| error.to_string())?;
        let shown = stream.get_ref().1.peer_certificates();
        let proven = may_come(&self.directory.borrow(), flow.remote, shown, |host, ip| self.is_at(host, ip))?;
        if let Some(mut writer) = self.writers.get_mut(&flow.conn) {
            writer.proven = proven;
        }
        Ok(Box::new(stream))
    }

    async fn serve(
        &self,
        link: Link,
        flow: Flow,
        queue: mpsc::Receiver<Bytes>,
        close: CancellationToken,
        first_within: Duration,
    ) {
        match link {
            Link::Bytes(stream) => stream::serve(self, stream, flow, queue, close, first_within).await,
            Link::Ws(socket) => ws::serve(self, *socket, flow, queue, close, first_within).await,
        }
    }

    /// A place in the tables for one more connection.
    fn register(&self, transport: Transport, remote: SocketAddr, kind: Kind) -> Result<Entry, NoPlace> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let leave = self.crowd.enter(id, kind, Instant::now())?;
        self.counters.open.fetch_add(1, Ordering::Relaxed);
        self.counters.opened.fetch_add(1, Ordering::Relaxed);
        let (sender, queue) = mpsc::channel(WRITER_QUEUE);
        let close = CancellationToken::new();
        self.writers.insert(id, Writer { queue: sender, close: close.clone(), proven: false, alias: None });
        self.by_remote.insert((transport, remote), id);
        Ok(Entry { id, queue, close, leave })
    }

    /// Hands bytes to a connection, opening one if need be; never waits.
    ///
    /// # Errors
    /// The flow has failed: its connection is gone, too slow, or there are too many.
    pub fn send(self: &Arc<Self>, flow: Flow, payload: Bytes) -> Result<(), Flow> {
        if flow.conn != 0 {
            return self.write(flow.conn, payload).map_err(|_| flow);
        }
        let open = self.by_remote.get(&(flow.transport, flow.remote)).map(|id| *id);
        let payload = match open.map(|id| self.write(id, payload.clone())) {
            Some(Ok(())) => return Ok(()),
            Some(Err(payload)) => payload,
            None => payload,
        };
        self.connect(flow, payload)
    }

    pub(super) fn write(&self, id: u64, payload: Bytes) -> Result<(), Bytes> {
        let Some(writer) = self.writers.get(&id) else { return Err(payload) };
        writer.queue.try_send(payload).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(payload) => payload,
            mpsc::error::TrySendError::Full(payload) => {
                self.counters.too_slow.fetch_add(1, Ordering::Relaxed);
                writer.close.cancel();
                payload
            }
        })
    }

    fn connect(self: &Arc<Self>, flow: Flow, payload: Bytes) -> Result<(), Flow> {
        let secure = match flow.transport {
            Transport::Udp | Transport::Tcp => false,
            Transport::Tls => true,
            // Nobody listens in a browser: only it opens connections.
            Transport::Ws | Transport::Wss => return Err(flow),
        };
        // A request that outgrew UDP has the place of a UDP address: another address of its transport and family will do.
        let ours = || self.locals.iter().filter(|(transport, ..)| *transport == flow.transport);
        let here = ours().find(|(_, local, _)| *local == flow.local);
        let family = || ours().find(|(.., from)| from.is_ipv4() == flow.remote.is_ipv4());
        let Some((.., from)) = here.or_else(family) else { return Err(flow) };
        let from = SocketAddr::new(from.ip(), 0);
        let entry = self.register(flow.transport, flow.remote, Kind::Own).map_err(|why| {
            self.refused(flow.remote, why);
            flow
        })?;
        let Entry { id, queue, close, leave: _ } = entry;
        // The queue is empty and has room for more than one.
        let _ = self.write(id, payload);
        let edge = Arc::clone(self);
        let flow = Flow { conn: id, ..flow };
        let held = async move {
            tokio::select! {
                () = edge.connected(from, flow, secure, (queue, close)) => {}
                () = edge.parting.begun() => {}
            }
            edge.closed(flow, true).await;
        };
        self.holders.spawn_on(held, &self.runtime);
        Ok(())
    }

    async fn connected(
        &self,
        from: SocketAddr,
        flow: Flow,
        secure: bool,
        (queue, close): (mpsc::Receiver<Bytes>, CancellationToken),
    ) {
        match tokio::time::timeout(CONNECT_WITHIN, self.open(from, flow.remote, secure)).await {
            Ok(Ok(stream)) => self.serve(Link::Bytes(stream), flow, queue, close, IDLE).await,
            Ok(Err(error)) => tracing::info!(remote = %flow.remote, %error, "cannot connect"),
            Err(_) => tracing::info!(remote = %flow.remote, "no answer to a connection attempt"),
        }
    }

    async fn open(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        secure: bool,
    ) -> Result<Box<dyn Bytewise>, String> {
        let stream = open(from, to).await.map_err(|error| error.to_string())?;
        prepare(&stream);
        let stream = Line::new(stream, Arc::clone(&self.parting));
        if !secure {
            return Ok(Box::new(stream));
        }
        let connector = self.tls.as_ref().and_then(SipTls::connector).ok_or("[sip-tls] is not configured")?;
        let name = expected(&self.directory.borrow(), to, |host, to| {
            self.names.get(host).is_some_and(|found| found.contains(&to))
        })?;
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        Ok(Box::new(stream))
    }

    /// A request came by a connection: if its sender has proven who he is and says so by `alias`, requests to the address of
    /// its sent-by go by this connection instead of one of their own (RFC 5923 8).
    pub(super) fn may_alias(&self, flow: Flow, request: &Message) {
        if flow.transport != Transport::Tls || !request.is_request() {
            return;
        }
        let Some(mut writer) = self.writers.get_mut(&flow.conn) else { return };
        if !writer.proven || writer.alias.is_some() {
            return;
        }
        let via = request.values(HeaderName::Via).next().and_then(|via| Via::parse(via).ok());
        let Some(via) = via.filter(|via| via.params.has(b"alias")) else { return };
        let port = via.port.unwrap_or(Transport::Tls.default_port());
        let alias = SocketAddr::new(flow.remote.ip(), port);
        writer.alias = Some(alias);
        drop(writer);
        tracing::debug!(%flow, %alias, "requests to this address go by this connection");
        self.by_remote.entry((Transport::Tls, alias)).or_insert(flow.conn);
    }

    /// Forgets a connection and tells the `Node`. Whoever asked for any connection to that remote, when this server
    /// opened it, is told too.
    async fn closed(&self, flow: Flow, opened_here: bool) {
        let alias = self.writers.remove(&flow.conn).and_then(|(_, writer)| writer.alias);
        if let Some(alias) = alias {
            self.by_remote.remove_if(&(flow.transport, alias), |_, id| *id == flow.conn);
        }
        self.crowd.leave(flow.conn);
        self.by_remote.remove_if(&(flow.transport, flow.remote), |_, id| *id == flow.conn);
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        // What is sent anew after the first fact asks for any connection: only the wide one may declare such dead.
        if opened_here {
            self.commands.input(Input::FlowFailed { flow: Flow { conn: 0, ..flow } }).await;
        }
        self.commands.input(Input::FlowFailed { flow }).await;
    }
}

/// Without these two a message waits for its neighbour, and a peer that vanished stays for an hour.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)));
}

async fn open(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Peers and gateways know this server by its address.
    socket.bind(from)?;
    socket.connect(to).await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::command::Command;
    use crate::config::{self, Origin, Site};
    use crate::edges::disk::Disk;
    use crate::edges::journal::JournalEdge;
    use crate::limits::SILENT_AFTER;

    struct Bench {
        edge: Arc<TcpEdge>,
        commands: mpsc::Receiver<Command>,
    }

    fn bench() -> Bench {
        bounded(ConnectionSettings::default())
    }

    fn bounded(bounds: ConnectionSettings) -> Bench {
        let (commands, receiver) = Commands::channel(64);
        let locals = vec![(Transport::Tcp, 0, "127.0.0.1:0".parse().unwrap())];
        let directory = watch::Sender::new(directory()).subscribe();
        let edge = TcpEdge::new(Handle::current(), commands, locals, directory, None, bounds, Arc::default());
        Bench { edge, commands: receiver }
    }

    fn directory() -> Arc<Directory> {
        Arc::new(config::load(&Origin::Demo(Site::SiteA), [0; 32]).unwrap().directory)
    }

    impl Bench {
        /// Answers a question as a node does that has nobody registered.
        async fn answer(&mut self) {
            let Some(Command::Ask(question)) = self.commands.recv().await else {
                panic!("a question was due")
            };
            let now = crate::run::now();
            let node = tandem_switch::Node::new(directory(), [0; 32], now);
            let disk = Disk::new(JournalEdge::in_memory());
            let peek = crate::command::Peek { node: &node, now, udp: Default::default(), disk: &disk };
            question(Some(&peek));
        }

        async fn input(&mut self) -> Input {
            match self.commands.recv().await.unwrap() {
                Command::Input(input) => input,
                Command::Ask(_) | Command::Group(_) | Command::Stop => {
                    panic!("only facts come from connections")
                }
            }
        }

        async fn failed(&mut self) -> Flow {
            let Input::FlowFailed { flow } = self.input().await else { panic!("a failure was due") };
            flow
        }
    }

    fn to(remote: SocketAddr, conn: u64) -> Flow {
        Flow { transport: Transport::Tcp, local: 0, remote, conn }
    }

    const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    #[tokio::test]
    async fn a_connection_is_opened_once_and_used_again() {
        let mut bench = bench();
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let flow = to(peer.local_addr().unwrap(), 0);
        bench.edge.send(flow, Bytes::from_static(OPTIONS)).unwrap();
        bench.edge.send(flow, Bytes::from_static(OPTIONS)).unwrap();
        let (mut stream, _) = peer.accept().await.unwrap();
        let mut both = vec![0; OPTIONS.len() * 2];
        stream.read_exact(&mut both).await.unwrap();
        assert_eq!(both, [OPTIONS, OPTIONS].concat());
        assert_eq!(bench.edge.counters.opened.load(Ordering::Relaxed), 1);
        stream.write_all(OPTIONS).await.unwrap();
        let Input::Sip { flow: from, message } = bench.input().await else { panic!("a message was sent") };
        assert_eq!((from.remote, &message.bytes()[..]), (flow.remote, OPTIONS));
        assert_ne!(from.conn, 0);
    }

    #[tokio::test]
    async fn a_refused_connection_fails_the_flow_that_asked_for_any() {
        let mut bench = bench();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        bench.edge.send(to(gone, 0), Bytes::from_static(OPTIONS)).unwrap();
        let flows = [bench.failed().await, bench.failed().await];
        assert!(flows.contains(&to(gone, 0)), "{flows:?}");
        assert_eq!(bench.edge.counters.open.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_closed_connection_fails_its_flow_and_then_writing_to_it_fails() {
        let mut bench = bench();
        let (phone, flow) = phone(&mut bench).await;
        drop(phone);
        assert_eq!(bench.failed().await, flow);
        assert_eq!(bench.edge.send(flow, Bytes::from_static(OPTIONS)), Err(flow));
    }

    /// A listener, and a phone that has sent a message.
    async fn phone(bench: &mut Bench) -> (TcpStream, Flow) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&bench.edge).accept(Transport::Tcp, 0, listener));
        let mut phone = TcpStream::connect(here).await.unwrap();
        phone.write_all(OPTIONS).await.unwrap();
        let Input::Sip { flow, .. } = bench.input().await else { panic!("a message was sent") };
        (phone, flow)
    }

    #[tokio::test]
    async fn of_a_server_that_gives_its_address_away_the_last_words_arrive_and_nothing_stays_in_the_kernel() {
        let mut bench = bench();
        let (mut phone, _) = phone(&mut bench).await;
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        bench.edge.send(to(peer.local_addr().unwrap(), 0), Bytes::from_static(OPTIONS)).unwrap();
        let (mut gateway, _) = peer.accept().await.unwrap();
        gateway.read_exact(&mut [0; 1]).await.unwrap();
        bench.edge.parting.begin();
        bench.edge.parted().await;
        assert_eq!(bench.edge.counters.open.load(Ordering::Relaxed), 0);
        let mut rest = Vec::new();
        gateway.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, OPTIONS[1..], "what was on its way came, and then the end");
        assert_eq!(phone.read(&mut [0; 1]).await.unwrap(), 0);
        bench.edge.parting.forget();
        // Of a connection that was closed, the kernel would take this.
        for other in [&mut phone, &mut gateway] {
            let error = other.write_all(OPTIONS).await.unwrap_err();
            assert!(matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
        }
    }

    #[tokio::test]
    async fn a_message_whose_body_is_too_long_gets_413_and_its_connection_ends() {
        let bench = bench();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&bench.edge).accept(Transport::Tcp, 0, listener));
        let mut phone = TcpStream::connect(here).await.unwrap();
        let head = "MESSAGE sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:b>;tag=1\r\nTo: <sip:a>\r\n\
                    Call-ID: c\r\nCSeq: 1 MESSAGE\r\nl: 70000\r\n\r\n";
        phone.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        phone.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("SIP/2.0 413 Request Entity Too Large\r\n"), "{answer}");
        assert!(answer.contains("branch=z9hG4bK1") && answer.contains("CSeq: 1 MESSAGE"), "{answer}");
        assert_eq!(bench.edge.counters.oversized.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_forgotten_connection_makes_room_for_a_new_one_of_its_office() {
        let mut bench = bounded(ConnectionSettings { max: 100, max_per_source: 1 });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&bench.edge).accept(Transport::Tcp, 0, listener));
        let mut forgotten = TcpStream::connect(here).await.unwrap();
        forgotten.write_all(OPTIONS).await.unwrap();
        let Input::Sip { flow, .. } = bench.input().await else { panic!("a message was sent") };
        while bench.edge.crowd.is_unproven(flow.conn) {
            tokio::task::yield_now().await;
        }
        let mut early = TcpStream::connect(here).await.unwrap();
        assert_eq!(early.read(&mut [0]).await.unwrap(), 0, "the first one is not silent for long enough");
        assert_eq!(bench.edge.counters.refused.load(Ordering::Relaxed), 1);

        bench.edge.crowd.grows_older(SILENT_AFTER);
        let mut again = TcpStream::connect(here).await.unwrap();
        again.write_all(OPTIONS).await.unwrap();
        bench.answer().await;
        assert_eq!(forgotten.read(&mut [0]).await.unwrap(), 0);
        let news = [bench.input().await, bench.input().await];
        assert!(news.iter().any(|fact| matches!(fact, Input::FlowFailed { flow: gone } if *gone == flow)));
        assert!(
            news.iter().any(|fact| matches!(fact, Input::Sip { flow: new, .. } if new.conn != flow.conn))
        );
        assert_eq!(bench.edge.counters.made_room.load(Ordering::Relaxed), 1);
    }

    fn request_by_tls(via: &str) -> Message {
        let text = format!(
            "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TLS {via};branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.into_bytes().into()).unwrap()
    }

    #[tokio::test]
    async fn a_trunk_that_proved_itself_and_says_alias_gets_requests_by_its_own_connection() {
        let bench = bench();
        let remote: SocketAddr = "127.0.0.9:40000".parse().unwrap();
        let listens =
            Flow { transport: Transport::Tls, local: 7, remote: "127.0.0.9:5061".parse().unwrap(), conn: 0 };
        for (proven, via, reused) in [
            (false, "gw.example;alias", false),
            (true, "gw.example", false),
            (true, "gw.example:5070;alias", false),
            (true, "gw.example;alias", true),
        ] {
            let mut entry = bench.edge.register(Transport::Tls, remote, Kind::Known).unwrap();
            let flow = Flow { transport: Transport::Tls, local: 0, remote, conn: entry.id };
            bench.edge.writers.get_mut(&entry.id).unwrap().proven = proven;
            bench.edge.may_alias(flow, &request_by_tls(via));
            // There is no listener to open a connection from, so a request goes by this one or not at all.
            let sent = bench.edge.send(listens, Bytes::from_static(OPTIONS));
            assert_eq!((sent.is_ok(), entry.queue.try_recv().is_ok()), (reused, reused), "{via}");
            bench.edge.closed(flow, false).await;
            assert!(bench.edge.send(listens, Bytes::from_static(OPTIONS)).is_err(), "it is gone");
        }
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_is_closed_and_holds_nobody_up() {
        let mut bench = bench();
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let flow = to(peer.local_addr().unwrap(), 0);
        let large = Bytes::from(vec![b'x'; 60_000]);
        bench.edge.send(flow, large.clone()).unwrap();
        let (stream, _) = peer.accept().await.unwrap();
        // Kernel buffers and the queue hold some tens of megabytes; whatever they hold, they end.
        while bench.edge.counters.too_slow.load(Ordering::Relaxed) == 0 {
            let _ = bench.edge.send(flow, large.clone());
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.failed().await.remote, flow.remote);
        drop(stream);
    }
}
