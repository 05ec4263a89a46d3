//! The kernel's receive buffer of a UDP socket: how large it is, how long a datagram was in it (`SO_TIMESTAMPNS`), and what did
//! not find room there (`SO_RXQ_OVFL`).

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{SockRef, Socket};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::limits::{UDP_LOST_COMPLAINT_EVERY, UDP_RECEIVE_BUFFER, UDP_RECEIVE_BUFFER_LEAST};

/// Asks for a large buffer, beyond the limit of an ordinary process if this one may, and for word of what is dropped.
pub fn enable(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(UDP_RECEIVE_BUFFER)?;
    if granted(&SockRef::from(socket)) < UDP_RECEIVE_BUFFER {
        // Needs CAP_NET_ADMIN; who does not have it is told what he got.
        let _ = setsockopt(socket, sockopt::RcvBufForce, &UDP_RECEIVE_BUFFER);
    }
    setsockopt(socket, sockopt::RxqOvfl, &1)?;
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(())
}

/// What the kernel granted, bytes: it tells twice as much, for its own bookkeeping (socket(7)).
fn granted(socket: &SockRef<'_>) -> usize {
    socket.recv_buffer_size().unwrap_or_default() / 2
}

/// Says so if a buffer is smaller than it should be.
pub fn complain(sockets: &[(u8, std::net::UdpSocket)]) {
    let least = sockets.iter().map(|(_, socket)| granted(&SockRef::from(socket))).min();
    if let Some(granted) = least.filter(|granted| *granted < UDP_RECEIVE_BUFFER_LEAST) {
        tracing::warn!(
            granted,
            wanted = UDP_RECEIVE_BUFFER,
            "the UDP receive buffer is small, so more is lost when many phones register at once: \
             sysctl net.core.rmem_max={UDP_RECEIVE_BUFFER}"
        );
    }
}

/// Room for what the kernel says beside a datagram.
pub fn beside() -> Vec<u8> {
    nix::cmsg_space!(u32, TimeSpec)
}

/// What the kernel says of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// How many it has dropped at this socket before it, if any; counts from the socket's beginning, and wraps.
    pub dropped: Option<u32>,
    /// When it came, by the wall clock.
    pub came: Option<SystemTime>,
}

/// Receives a datagram, and what the kernel says of it. `beside`: of [`beside`].
pub fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    beside: &mut [u8],
) -> io::Result<(usize, SocketAddr, Said)> {
    socket.try_io(Interest::READABLE, || {
        let mut parts = [IoSliceMut::new(buffer)];
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(beside), MsgFlags::MSG_DONTWAIT)?;
        let mut said = Said::default();
        for one in message.cmsgs()? {
            if let ControlMessageOwned::RxqOvfl(dropped) = one {
                said.dropped = Some(dropped);
            } else if let ControlMessageOwned::ScmTimestampns(came) = one {
                said.came = UNIX_EPOCH.checked_add(Duration::from(came));
            }
        }
        let remote = message.address.as_ref().and_then(address);
        let remote = remote.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok((message.bytes, remote, said))
    })
}

/// An address of either family.
pub fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let four = storage.as_sockaddr_in().map(|v4| SocketAddr::from(std::net::SocketAddrV4::from(*v4)));
    four.or_else(|| storage.as_sockaddr_in6().map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6))))
}

/// What the kernel dropped, since start.
#[derive(Debug, Default)]
pub struct Lost {
    all: u64,
    /// How many of them were told.
    told: u64,
    quiet_until: Option<Instant>,
}

impl Lost {
    /// So many more were.
    pub fn add(&mut self, more: u32) {
        self.all += u64::from(more);
    }

    /// All of them.
    pub const fn all(&self) -> u64 {
        self.all
    }

    /// How many are worth a line now.
    pub fn worth_a_line(&mut self, now: Instant) -> Option<u64> {
        if self.all == self.told || self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.quiet_until = Some(now + UDP_LOST_COMPLAINT_EVERY);
        Some(self.all - std::mem::replace(&mut self.told, self.all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::address::Presence;
    use crate::edges::udp::{Received, UdpEdge, bind};

    #[test]
    fn what_was_lost_is_told_now_and_then_and_nothing_twice() {
        let (mut lost, start) = (Lost::default(), Instant::now());
        assert_eq!(lost.worth_a_line(start), None);
        lost.add(7);
        assert_eq!(lost.worth_a_line(start), Some(7));
        lost.add(2);
        lost.add(1);
        assert_eq!(lost.worth_a_line(start + Duration::from_secs(1)), None);
        assert_eq!(lost.worth_a_line(start + UDP_LOST_COMPLAINT_EVERY), Some(3));
        assert_eq!(lost.worth_a_line(start + UDP_LOST_COMPLAINT_EVERY * 2), None);
        assert_eq!(lost.all(), 10);
    }

    #[tokio::test]
    async fn datagrams_that_found_no_room_in_the_kernel_are_counted() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), Presence::Always).unwrap();
        let here = socket.local_addr().unwrap();
        // The least that the kernel grants is a few kilobytes.
        SockRef::from(&socket).set_recv_buffer_size(1).unwrap();
        let mut edge = UdpEdge::new(vec![(0, socket)]).unwrap();
        let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = 200;
        for _ in 0..sent {
            phone.send_to(b"INVITE sip:a SIP/2.0\r\n\r\n", here).unwrap();
        }
        let empty = async |edge: &mut UdpEdge| {
            let socket = edge.ready().await.unwrap();
            let receive = || edge.receive(socket, Instant::now());
            std::iter::repeat_with(receive).take_while(|got| !matches!(got, Received::Nothing)).count()
        };
        let came = empty(&mut edge).await;
        assert!(came < sent, "all of {came} found room");
        assert_eq!(edge.counters().lost, 0, "nothing has been said yet");
        assert!(
            edge.waited().is_some_and(|waited| waited < Duration::from_secs(60)),
            "when they came is known"
        );
        assert_eq!(edge.waited(), None, "once a turn");
        phone.send_to(b"OPTIONS sip:a SIP/2.0\r\n\r\n", here).unwrap();
        assert_eq!(empty(&mut edge).await, 1);
        assert_eq!(edge.counters().lost, (sent - came) as u64);
    }
}
