//! SIP over TCP (RFC 3261 18): connections are framed and parsed here, in parallel; whole messages go to the `Node`.
//!
//! A connection that its writer cannot keep up with is closed, and so is a stream that cannot be framed: there is no
//! telling where its next message begins.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tandem_sip::framer::{Framed, Framer};
use tandem_sip::{Flow, Message, Transport};
use tandem_switch::Input;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::command::Commands;
use crate::limits::{
    CONNECT_WITHIN, FIRST_MESSAGE_WITHIN, IDLE, MAX_CONNECTIONS, READ_CHUNK, WRITE_WITHIN, WRITER_QUEUE,
};

/// What happened at TCP connections, each since start.
#[derive(Debug, Default)]
pub struct TcpCounters {
    /// Connections open now.
    pub open: AtomicUsize,
    /// Connections accepted or opened.
    pub opened: AtomicU64,
    /// Connections refused because too many were open.
    pub refused: AtomicU64,
    /// Connections closed because their peer read too slowly.
    pub too_slow: AtomicU64,
    /// Connections closed because their stream could not be framed, and messages in them that could not be read.
    pub unreadable: AtomicU64,
}

/// How to reach one open connection.
struct Writer {
    queue: mpsc::Sender<Bytes>,
    close: CancellationToken,
}

/// Every TCP connection of a server.
pub struct TcpEdge {
    runtime: Handle,
    commands: Commands,
    /// Address that connections through a listener leave by, by `Flow::local`.
    locals: Vec<(u8, SocketAddr)>,
    writers: DashMap<u64, Writer>,
    by_remote: DashMap<SocketAddr, u64>,
    next_id: AtomicU64,
    /// What happened so far.
    pub counters: TcpCounters,
}

/// Opens a listener.
///
/// # Errors
/// What the operating system says.
pub fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of the process before this one may linger in TIME_WAIT; a second listener is refused all the same.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

impl TcpEdge {
    /// An edge without connections.
    pub fn new(runtime: Handle, commands: Commands, locals: Vec<(u8, SocketAddr)>) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            commands,
            locals,
            writers: DashMap::new(),
            by_remote: DashMap::new(),
            next_id: AtomicU64::new(1),
            counters: TcpCounters::default(),
        })
    }

    /// Accepts connections until the runtime ends.
    pub async fn accept(self: Arc<Self>, local: u8, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.accepted(local, stream, remote),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn accepted(self: &Arc<Self>, local: u8, stream: TcpStream, remote: SocketAddr) {
        let Some((id, queue, close)) = self.register(remote) else {
            tracing::warn!(%remote, limit = MAX_CONNECTIONS, "connection refused: too many are open");
            return;
        };
        let edge = Arc::clone(self);
        let flow = Flow { transport: Transport::Tcp, local, remote, conn: id };
        self.runtime.spawn(async move {
            edge.serve(stream, flow, queue, close, FIRST_MESSAGE_WITHIN).await;
            edge.closed(flow, false).await;
        });
    }

    /// A place in the tables for one more connection.
    fn register(&self, remote: SocketAddr) -> Option<(u64, mpsc::Receiver<Bytes>, CancellationToken)> {
        if self.counters.open.fetch_add(1, Ordering::Relaxed) >= MAX_CONNECTIONS {
            self.counters.open.fetch_sub(1, Ordering::Relaxed);
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.counters.opened.fetch_add(1, Ordering::Relaxed);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, queue) = mpsc::channel(WRITER_QUEUE);
        let close = CancellationToken::new();
        self.writers.insert(id, Writer { queue: sender, close: close.clone() });
        self.by_remote.insert(remote, id);
        Some((id, queue, close))
    }

    /// Hands bytes to a connection, opening one if need be; never waits.
    ///
    /// # Errors
    /// The flow has failed: its connection is gone, too slow, or there are too many.
    pub fn send(self: &Arc<Self>, flow: Flow, payload: Bytes) -> Result<(), Flow> {
        if flow.conn != 0 {
            return self.write(flow.conn, payload).map_err(|_| flow);
        }
        let open = self.by_remote.get(&flow.remote).map(|id| *id);
        let payload = match open.map(|id| self.write(id, payload.clone())) {
            Some(Ok(())) => return Ok(()),
            Some(Err(payload)) => payload,
            None => payload,
        };
        self.connect(flow, payload)
    }

    fn write(&self, id: u64, payload: Bytes) -> Result<(), Bytes> {
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
        let Some((_, from)) = self.locals.iter().find(|(local, _)| *local == flow.local) else {
            return Err(flow);
        };
        let from = SocketAddr::new(from.ip(), 0);
        let (id, queue, close) = self.register(flow.remote).ok_or(flow)?;
        // The queue is empty and has room for more than one.
        let _ = self.write(id, payload);
        let edge = Arc::clone(self);
        let flow = Flow { conn: id, ..flow };
        self.runtime.spawn(async move {
            match tokio::time::timeout(CONNECT_WITHIN, open(from, flow.remote)).await {
                Ok(Ok(stream)) => edge.serve(stream, flow, queue, close, IDLE).await,
                Ok(Err(error)) => tracing::info!(remote = %flow.remote, %error, "cannot connect"),
                Err(_) => tracing::info!(remote = %flow.remote, "no answer to a connection attempt"),
            }
            edge.closed(flow, true).await;
        });
        Ok(())
    }

    /// Forgets a connection and tells the `Node`. Whoever asked for any connection to that remote, when this server
    /// opened it, is told too.
    async fn closed(&self, flow: Flow, opened_here: bool) {
        self.writers.remove(&flow.conn);
        self.by_remote.remove_if(&flow.remote, |_, id| *id == flow.conn);
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        self.commands.input(Input::FlowFailed { flow }).await;
        if opened_here {
            self.commands.input(Input::FlowFailed { flow: Flow { conn: 0, ..flow } }).await;
        }
    }

    async fn serve(
        &self,
        mut stream: TcpStream,
        flow: Flow,
        queue: mpsc::Receiver<Bytes>,
        close: CancellationToken,
        first_within: Duration,
    ) {
        // Without these two a message waits for its neighbour, and a peer that vanished stays for an hour.
        let _ = stream.set_nodelay(true);
        let _ =
            SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(60)));
        let (read, write) = stream.split();
        let ended = tokio::select! {
            ended = self.read(read, flow, first_within) => ended,
            ended = write_all(write, queue) => ended,
            () = close.cancelled() => End::TooSlow,
        };
        match ended {
            End::Peer => tracing::debug!(%flow, "connection closed by the peer"),
            End::Idle => tracing::debug!(%flow, "connection closed: idle"),
            End::TooSlow => tracing::warn!(%flow, "connection closed: its peer reads too slowly"),
            End::Stopping => {}
            End::Failed(error) => tracing::debug!(%flow, %error, "connection failed"),
            End::Unframeable(error) => {
                self.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%flow, %error, "connection closed: its stream cannot be framed");
            }
        }
    }

    async fn read(&self, mut stream: ReadHalf<'_>, flow: Flow, first_within: Duration) -> End {
        let mut framer = Framer::new();
        let mut chunk = vec![0; READ_CHUNK];
        let mut deadline = Instant::now() + first_within;
        loop {
            let read = tokio::time::timeout_at(deadline.into(), stream.read(&mut chunk)).await;
            let length = match read {
                Err(_) => return End::Idle,
                Ok(Ok(0)) => return End::Peer,
                Ok(Ok(length)) => length,
                Ok(Err(error)) => return End::Failed(error),
            };
            framer.push(chunk.get(..length).unwrap_or_default());
            loop {
                match framer.next() {
                    Err(error) => return End::Unframeable(error.to_string()),
                    Ok(None) => break,
                    Ok(Some(Framed::KeepAlive)) => {
                        let _ = self.write(flow.conn, Bytes::from_static(b"\r\n"));
                        deadline = deadline.max(Instant::now() + IDLE);
                    }
                    Ok(Some(Framed::Message(bytes))) => {
                        deadline = Instant::now() + IDLE;
                        if !self.deliver(flow, &bytes).await {
                            return End::Stopping;
                        }
                    }
                }
            }
        }
    }

    /// A queue that is full holds the reader back, and TCP the sender. False when the server is stopping.
    async fn deliver(&self, flow: Flow, bytes: &[u8]) -> bool {
        // A copy of its own size, so that what the `Node` keeps does not hold the stream's buffer.
        match Message::parse(Bytes::copy_from_slice(bytes)) {
            Ok(message) => self.commands.input(Input::Sip { flow, message }).await,
            Err(error) => {
                self.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%flow, length = bytes.len(), %error, "unreadable message dropped");
                true
            }
        }
    }
}

enum End {
    Peer,
    Idle,
    TooSlow,
    Stopping,
    Failed(io::Error),
    Unframeable(String),
}

async fn write_all(mut stream: WriteHalf<'_>, mut queue: mpsc::Receiver<Bytes>) -> End {
    while let Some(payload) = queue.recv().await {
        match tokio::time::timeout(WRITE_WITHIN, stream.write_all(&payload)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::Failed(error),
            Err(_) => return End::TooSlow,
        }
    }
    End::Stopping
}

async fn open(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Peers and gateways know this server by its address.
    socket.bind(from)?;
    socket.connect(to).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command;

    struct Bench {
        edge: Arc<TcpEdge>,
        commands: mpsc::Receiver<Command>,
    }

    fn bench() -> Bench {
        let (commands, receiver) = Commands::channel(64);
        let locals = vec![(0, "127.0.0.1:0".parse().unwrap())];
        Bench { edge: TcpEdge::new(Handle::current(), commands, locals), commands: receiver }
    }

    impl Bench {
        async fn input(&mut self) -> Input {
            match self.commands.recv().await.unwrap() {
                Command::Input(input) => input,
                Command::Ask(_) | Command::Stop => panic!("only facts come from connections"),
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        tokio::spawn(Arc::clone(&bench.edge).accept(0, listener));
        let mut phone = TcpStream::connect(here).await.unwrap();
        phone.write_all(OPTIONS).await.unwrap();
        let Input::Sip { flow, .. } = bench.input().await else { panic!("a message was sent") };
        drop(phone);
        assert_eq!(bench.failed().await, flow);
        assert_eq!(bench.edge.send(flow, Bytes::from_static(OPTIONS)), Err(flow));
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
