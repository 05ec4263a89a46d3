//! UDP, on the `Node`'s own thread: a wake-up across threads for each datagram would cost more than the work.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tandem_sip::{Flow, Message, Transport};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::ReusableBoxFuture;

use super::address::Presence;
use super::udp_ahead::{Datagram, ReadAhead};
use super::udp_kernel::{self, Lost};
use super::{stun, udp_errors};
use crate::limits::{MAX_DATAGRAM, MAX_NOISY_SOURCES, MAX_UDP_BACKLOG, UDP_SEND_BUFFER};

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
    /// Datagrams that the kernel dropped because they were not read in time.
    pub lost: u64,
    /// Datagrams that could have waited and found no room, dropped.
    pub crowded: u64,
    /// Datagrams that are read and wait now.
    pub waiting: usize,
}

struct Local {
    /// `Flow::local`: position in the configuration's `listen`.
    index: u8,
    socket: Arc<UdpSocket>,
    wait: ReusableBoxFuture<'static, ()>,
    /// What the kernel said last of what it dropped.
    dropped: u32,
    /// Whether it is asked with the next datagram.
    ask: bool,
    /// Its own address, where that comes and goes.
    at_times: Option<IpAddr>,
}

impl Local {
    /// Whether this machine lacks the socket's own address at the moment: a send that fails then tells nothing of the remote.
    fn is_away(&self) -> bool {
        let unavailable = |ip: &IpAddr| {
            let bound = std::net::UdpSocket::bind((*ip, 0));
            bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
        };
        self.at_times.as_ref().is_some_and(unavailable)
    }
}

/// The address of a socket that was opened for one that comes and goes.
fn at_times(socket: &std::net::UdpSocket) -> io::Result<Option<IpAddr>> {
    let (ip, options) = (socket.local_addr()?.ip(), SockRef::from(socket));
    let free = if ip.is_ipv4() { options.freebind_v4()? } else { options.freebind_v6()? };
    Ok(free.then_some(ip))
}

/// The UDP sockets of a server.
pub struct UdpEdge {
    locals: Vec<Local>,
    scratch: Box<[u8]>,
    beside: Vec<u8>,
    /// Which socket is looked at first.
    first: usize,
    ahead: ReadAhead,
    lost: Lost,
    waited: Option<Duration>,
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
pub fn bind(addr: SocketAddr, presence: Presence) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    presence.prepare(&socket, addr)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    udp_kernel::enable(&socket)?;
    socket.set_send_buffer_size(UDP_SEND_BUFFER)?;
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
            let at_times = at_times(&socket)?;
            let socket = Arc::new(UdpSocket::from_std(socket)?);
            let wait = ReusableBoxFuture::new(readiness(Arc::clone(&socket), false));
            locals.push(Local { index, socket, wait, dropped: 0, ask: true, at_times });
        }
        Ok(Self {
            locals,
            scratch: vec![0; MAX_DATAGRAM].into_boxed_slice(),
            beside: udp_kernel::beside(),
            first: 0,
            ahead: ReadAhead::default(),
            lost: Lost::default(),
            waited: None,
            backlog: VecDeque::new(),
            failed: VecDeque::new(),
            noise: Noise::default(),
            stun: stun::Pace::default(),
            counters: UdpCounters::default(),
        })
    }

    /// Waits until there is something to do; answers which socket has something. `None`: only what was read and waits.
    pub async fn ready(&mut self) -> Option<usize> {
        poll_fn(|cx| match self.poll_ready(cx) {
            Poll::Ready(position) => Poll::Ready(Some(position)),
            Poll::Pending if self.has_waiting() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// The sockets take turns, so that one under a flood does not keep the others from being read.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let count = self.locals.len();
        for position in (0..count).map(|n| (self.first + n) % count) {
            let Some(local) = self.locals.get_mut(position) else { continue };
            if local.wait.poll(cx).is_ready() {
                // Armed anew here; with nothing waiting to be sent, a writable socket is no news.
                local.wait.set(readiness(Arc::clone(&local.socket), false));
                local.ask = true;
                self.first = position + 1;
                return Poll::Ready(position);
            }
        }
        Poll::Pending
    }

    /// The next datagram at a socket: a message, unless it may wait.
    pub fn receive(&mut self, position: usize, now: Instant) -> Received {
        let (length, remote) = match self.read(position) {
            Ok(received) => received,
            Err(error) => {
                // The error of an earlier send surfaced here; the error queue knows whose it is.
                self.read_errors(position);
                let nothing = error.kind() == io::ErrorKind::WouldBlock;
                return if nothing { Received::Nothing } else { Received::Dropped };
            }
        };
        let Some(local) = self.locals.get(position) else { return Received::Nothing };
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
        // Copied to a buffer of its own size (some 20 ns): what the `Node` keeps of it, for minutes or hours, then never
        // holds a receive block of which it is a small part.
        let datagram = Datagram { socket: position, remote, bytes: Bytes::copy_from_slice(datagram) };
        if !datagram.may_wait() {
            return self.parse(datagram, now);
        }
        if !self.ahead.push(datagram) {
            self.counters.crowded += 1;
        }
        Received::Waits
    }

    /// A datagram that was read and waited.
    pub fn next_waiting(&mut self, now: Instant) -> Received {
        match self.ahead.pop() {
            Some(datagram) => self.parse(datagram, now),
            None => Received::Nothing,
        }
    }

    /// Whether something was read and waits.
    pub fn has_waiting(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// How long the datagram waited in the kernel that was read first in this turn, the oldest of its socket.
    pub fn waited(&mut self) -> Option<Duration> {
        self.waited.take()
    }

    /// The kernel is asked about one datagram in a turn: its answer costs more than a datagram without it.
    fn read(&mut self, position: usize) -> io::Result<(usize, SocketAddr)> {
        let local = self.locals.get_mut(position).ok_or(io::ErrorKind::WouldBlock)?;
        if !std::mem::take(&mut local.ask) {
            return local.socket.try_recv_from(&mut self.scratch);
        }
        let (length, remote, said) = udp_kernel::receive(&local.socket, &mut self.scratch, &mut self.beside)?;
        // A clock that was set back says nothing.
        self.waited = said.came.and_then(|came| came.elapsed().ok());
        if let Some(dropped) = said.dropped {
            self.lost.add(dropped.wrapping_sub(std::mem::replace(&mut local.dropped, dropped)));
        }
        Ok((length, remote))
    }

    fn parse(&mut self, datagram: Datagram, now: Instant) -> Received {
        let Datagram { socket, remote, bytes } = datagram;
        let Some(local) = self.locals.get(socket) else { return Received::Dropped };
        let length = bytes.len();
        match Message::parse(bytes) {
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

    /// Says, from time to time, that the kernel dropped datagrams.
    pub fn complain(&mut self, now: Instant) {
        if let Some(lost) = self.lost.worth_a_line(now) {
            tracing::warn!(
                lost,
                "the kernel dropped datagrams that were not read in time: this server's processor is too busy, or the \
                 receive buffer too small (net.core.rmem_max)"
            );
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
        // Without an address of its own it is lost, as on any cable, and repeated once the address is here.
        if !local.is_away() {
            self.failed.push_back(flow);
        }
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
        UdpCounters { lost: self.lost.all(), waiting: self.ahead.len(), ..self.counters }
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

/// What came of one look at a socket, or at what waits.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack between two lines; a box would allocate"
)]
pub enum Received {
    /// A message.
    Message(Flow, Message),
    /// It waits, for [`next_waiting`](UdpEdge::next_waiting); there may be more.
    Waits,
    /// Something that was no message; there may be more.
    Dropped,
    /// There is nothing.
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

    fn method(got: &Received) -> &[u8] {
        let Received::Message(_, message) = got else { panic!("a message was due") };
        message.method_token().unwrap_or_default()
    }

    #[tokio::test]
    async fn a_call_is_handled_before_the_registrations_that_came_before_it() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), Presence::Always).unwrap();
        let here = socket.local_addr().unwrap();
        let mut edge = UdpEdge::new(vec![(0, socket)]).unwrap();
        let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for text in ["REGISTER", "REGISTER", "INVITE", "SUBSCRIBE", "OPTIONS"] {
            phone.send_to(format!("{text} sip:a SIP/2.0\r\n\r\n").as_bytes(), here).unwrap();
        }
        let now = Instant::now();
        let socket = edge.ready().await.unwrap();
        let got: Vec<Received> = (0..6).map(|_| edge.receive(socket, now)).collect();
        assert!([0, 1, 3].iter().all(|n| matches!(got[*n], Received::Waits)));
        assert_eq!((method(&got[2]), method(&got[4])), (&b"INVITE"[..], &b"OPTIONS"[..]));
        assert!(matches!(got[5], Received::Nothing));
        assert_eq!((edge.ready().await, edge.counters().waiting), (None, 3));
        for text in ["REGISTER", "REGISTER", "SUBSCRIBE"] {
            assert_eq!(method(&edge.next_waiting(now)), text.as_bytes());
        }
        assert!(matches!(edge.next_waiting(now), Received::Nothing) && !edge.has_waiting());
    }

    #[tokio::test]
    async fn what_cannot_leave_while_the_address_is_elsewhere_says_nothing_of_the_remote() {
        let elsewhere = "192.0.2.177:0".parse().unwrap();
        let sockets = vec![
            (0, bind(elsewhere, Presence::AtTimes).unwrap()),
            (1, bind("127.0.0.1:0".parse().unwrap(), Presence::AtTimes).unwrap()),
        ];
        let mut edge = UdpEdge::new(sockets).unwrap();
        let to = |local, remote: &str| Flow {
            transport: Transport::Udp,
            local,
            remote: remote.parse().unwrap(),
            conn: 0,
        };
        let nowhere = to(1, "127.0.0.1:0");
        for (flow, known) in [(to(0, "127.0.0.1:9"), None), (nowhere, Some(nowhere))] {
            let before = edge.counters().failed;
            edge.send(flow, Bytes::from_static(b"x"));
            while edge.counters().failed == before {
                edge.ready().await;
                edge.flush();
            }
            assert_eq!(edge.failed(), known);
        }
    }

    #[tokio::test]
    async fn a_socket_under_a_flood_does_not_keep_another_from_being_read() {
        let sockets = [0, 1].map(|n| (n, bind("127.0.0.1:0".parse().unwrap(), Presence::Always).unwrap()));
        let here = sockets.each_ref().map(|(_, socket)| socket.local_addr().unwrap());
        let mut edge = UdpEdge::new(sockets.into()).unwrap();
        let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for to in [here[0], here[0], here[0], here[1]] {
            phone.send_to(b"OPTIONS sip:a SIP/2.0\r\n\r\n", to).unwrap();
        }
        let mut order = Vec::new();
        for _ in 0..2 {
            let socket = edge.ready().await.unwrap();
            assert!(matches!(edge.receive(socket, Instant::now()), Received::Message(..)));
            order.push(socket);
        }
        assert_eq!(order, [0, 1]);
    }

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
