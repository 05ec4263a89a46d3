//! UDP, on the `Node`'s own thread: a wake-up across threads for each datagram would cost more than the work.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tandem_sip::{Flow, Message, Transport};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::ReusableBoxFuture;

use super::{stun, udp_errors};
use crate::limits::{MAX_DATAGRAM, MAX_NOISY_SOURCES, MAX_UDP_BACKLOG, UDP_BUFFER};

/// What happened at the UDP sockets, each since start.
#[derive(Clone, Copy, Debug, Default)]
pub struct UdpCounters {
    /// Datagrams received.
    pub received: u64,
    /// Datagrams that are no SIP message, dropped.
    pub unreadable: u64,
    /// STUN binding requests answered.
    pub keep_alives: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams dropped because too many waited for a socket.
    pub dropped: u64,
    /// Remote addresses reported unreachable, and sends that failed.
    pub failed: u64,
}

struct Local {
    /// `Flow::local`: position in the configuration's `listen`.
    index: u8,
    socket: Arc<UdpSocket>,
    wait: ReusableBoxFuture<'static, ()>,
}

/// The UDP sockets of a server.
pub struct UdpEdge {
    locals: Vec<Local>,
    scratch: Box<[u8]>,
    backlog: VecDeque<(usize, SocketAddr, Bytes)>,
    failed: VecDeque<Flow>,
    noise: Noise,
    stun: stun::Pace,
    counters: UdpCounters,
}

/// Opens a socket. Another process on the same address is an error, not a companion that takes half the datagrams.
///
/// # Errors
/// What the operating system says.
pub fn bind(addr: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(UDP_BUFFER)?;
    socket.set_send_buffer_size(UDP_BUFFER)?;
    socket.bind(&addr.into())?;
    let socket = std::net::UdpSocket::from(socket);
    udp_errors::enable(&socket)?;
    Ok(socket)
}

impl UdpEdge {
    /// Takes over bound sockets; call it within the runtime that will drive them.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn new(sockets: Vec<(u8, std::net::UdpSocket)>) -> io::Result<Self> {
        let mut locals = Vec::with_capacity(sockets.len());
        for (index, socket) in sockets {
            let socket = Arc::new(UdpSocket::from_std(socket)?);
            let wait = ReusableBoxFuture::new(readiness(Arc::clone(&socket), false));
            locals.push(Local { index, socket, wait });
        }
        Ok(Self {
            locals,
            scratch: vec![0; MAX_DATAGRAM].into_boxed_slice(),
            backlog: VecDeque::new(),
            failed: VecDeque::new(),
            noise: Noise::default(),
            stun: stun::Pace::default(),
            counters: UdpCounters::default(),
        })
    }

    /// Waits until a socket has something; answers which.
    pub async fn ready(&mut self) -> usize {
        poll_fn(|cx| self.poll_ready(cx)).await
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        for (position, local) in self.locals.iter_mut().enumerate() {
            if local.wait.poll(cx).is_ready() {
                // Armed anew here; with nothing waiting to be sent, a writable socket is no news.
                local.wait.set(readiness(Arc::clone(&local.socket), false));
                return Poll::Ready(position);
            }
        }
        Poll::Pending
    }

    /// The next message at a socket; `None` when it has none, or only what cannot be read.
    ///
    /// Each message is copied to a buffer of its own size (some 20 ns): what the `Node` keeps of it, for minutes or
    /// hours, then never holds a receive block of which it is a small part.
    pub fn receive(&mut self, position: usize, now: Instant) -> Received {
        let Some(local) = self.locals.get(position) else { return Received::Nothing };
        let (length, remote) = match local.socket.try_recv_from(&mut self.scratch) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.read_errors(position);
                return Received::Nothing;
            }
            // The error of an earlier send surfaced here; the error queue knows whose it is.
            Err(_) => {
                self.read_errors(position);
                return Received::Dropped;
            }
        };
        self.counters.received += 1;
        let datagram = self.scratch.get(..length).unwrap_or_default();
        if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Received::Dropped;
        }
        if stun::is_stun(datagram) {
            let answer = if self.stun.allows(now) { stun::answer(datagram, remote) } else { None };
            if let Some(answer) = answer {
                self.counters.keep_alives += 1;
                // One that is lost is asked for again; it is not kept for later.
                let _ = local.socket.try_send_to(&answer, remote);
            }
            return Received::Dropped;
        }
        match Message::parse(Bytes::copy_from_slice(datagram)) {
            Ok(message) => {
                let flow = Flow { transport: Transport::Udp, local: local.index, remote, conn: 0 };
                Received::Message(flow, message)
            }
            Err(error) => {
                self.counters.unreadable += 1;
                if let Some(unlogged) = self.noise.worth_a_line(remote.ip(), now) {
                    tracing::warn!(%remote, length, %error, unlogged, "unreadable datagram dropped");
                }
                Received::Dropped
            }
        }
    }

    /// Sends, or keeps for later, or notes the failure for [`failed`](Self::failed).
    pub fn send(&mut self, flow: Flow, payload: Bytes) {
        let Some(position) = self.locals.iter().position(|local| local.index == flow.local) else {
            self.failed.push_back(flow);
            return;
        };
        if self.backlog.is_empty() {
            self.try_send(position, flow.remote, payload);
        } else {
            self.keep(position, flow.remote, payload);
        }
    }

    /// A pending error of an earlier datagram makes the next send fail, whoever it is for: such a send is repeated.
    fn try_send(&mut self, position: usize, remote: SocketAddr, payload: Bytes) {
        let Some(local) = self.locals.get(position) else { return };
        let flow = Flow { transport: Transport::Udp, local: local.index, remote, conn: 0 };
        for _attempt in 0..3 {
            match local.socket.try_send_to(&payload, remote) {
                Ok(_) => {
                    self.counters.sent += 1;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.keep(position, remote, payload);
                    return;
                }
                Err(_) => {}
            }
        }
        self.counters.failed += 1;
        self.failed.push_back(flow);
    }

    fn keep(&mut self, position: usize, remote: SocketAddr, payload: Bytes) {
        if self.backlog.len() >= MAX_UDP_BACKLOG {
            self.backlog.pop_front();
            self.counters.dropped += 1;
        }
        self.backlog.push_back((position, remote, payload));
        if let Some(local) = self.locals.get_mut(position) {
            local.wait.set(readiness(Arc::clone(&local.socket), true));
        }
    }

    /// Sends what waited.
    pub fn flush(&mut self) {
        for _ in 0..self.backlog.len() {
            let Some((position, remote, payload)) = self.backlog.pop_front() else { return };
            let waiting = self.backlog.len();
            self.try_send(position, remote, payload);
            if self.backlog.len() > waiting {
                // It would block again and stands at the end now; in front it keeps its turn.
                self.backlog.rotate_right(1);
                return;
            }
        }
    }

    /// A flow that failed since the last question.
    pub fn failed(&mut self) -> Option<Flow> {
        self.failed.pop_front()
    }

    /// What happened so far.
    pub fn counters(&self) -> UdpCounters {
        self.counters
    }

    fn read_errors(&mut self, position: usize) {
        let Some(local) = self.locals.get(position) else { return };
        let unreachable = udp_errors::drain(&local.socket);
        for remote in unreachable {
            self.counters.failed += 1;
            let flow = Flow { transport: Transport::Udp, local: local.index, remote, conn: 0 };
            tracing::debug!(%remote, "reported unreachable");
            self.failed.push_back(flow);
        }
    }
}

/// What came of one look at a socket.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack between two lines; a box would allocate"
)]
pub enum Received {
    /// A message.
    Message(Flow, Message),
    /// Something that was no message; there may be more.
    Dropped,
    /// The socket has nothing.
    Nothing,
}

async fn readiness(socket: Arc<UdpSocket>, also_writable: bool) {
    let readable = Interest::READABLE | Interest::ERROR;
    let interest = if also_writable { readable | Interest::WRITABLE } else { readable };
    if socket.ready(interest).await.is_err() {
        // The runtime is shutting down.
        std::future::pending::<()>().await;
    }
}

/// Lets one line a second through for each source.
#[derive(Default)]
pub(super) struct Noise {
    sources: HashMap<IpAddr, (Instant, u64)>,
}

impl Noise {
    /// Whether to log now, and how many lines of this source were held back before.
    pub(super) fn worth_a_line(&mut self, source: IpAddr, now: Instant) -> Option<u64> {
        const PAUSE: Duration = Duration::from_secs(1);
        if let Some((last, held)) = self.sources.get_mut(&source) {
            if now.saturating_duration_since(*last) < PAUSE {
                *held += 1;
                return None;
            }
            *last = now;
            return Some(std::mem::take(held));
        }
        if self.sources.len() >= MAX_NOISY_SOURCES {
            self.sources.retain(|_, (last, _)| now.saturating_duration_since(*last) < PAUSE);
            if self.sources.len() >= MAX_NOISY_SOURCES {
                return None;
            }
        }
        self.sources.insert(source, (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_datagrams_of_one_source_are_logged_once_a_second() {
        let mut noise = Noise::default();
        let source: IpAddr = "192.0.2.1".parse().unwrap();
        let start = Instant::now();
        assert_eq!(noise.worth_a_line(source, start), Some(0));
        assert_eq!(noise.worth_a_line(source, start + Duration::from_millis(10)), None);
        assert_eq!(noise.worth_a_line(source, start + Duration::from_millis(999)), None);
        assert_eq!(noise.worth_a_line(source, start + Duration::from_secs(1)), Some(2));
    }

    #[test]
    fn a_flood_of_sources_is_not_remembered_without_end() {
        let mut noise = Noise::default();
        let start = Instant::now();
        let logged = (0..2_000u32)
            .filter(|n| noise.worth_a_line(IpAddr::from(n.to_be_bytes()), start).is_some())
            .count();
        assert_eq!(logged, MAX_NOISY_SOURCES);
        assert!(noise.worth_a_line("192.0.2.1".parse().unwrap(), start + Duration::from_secs(2)).is_some());
    }
}
