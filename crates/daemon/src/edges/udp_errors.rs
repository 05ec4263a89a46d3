//! ICMP errors of a UDP socket, from the kernel's error queue (`IP_RECVERR`): who is unreachable is known within a
//! round trip, instead of by a timer.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::limits::UDP_ERROR_BUDGET;

/// Asks the kernel to queue errors together with the address that each is about.
pub fn enable(socket: &std::net::UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
    }
    Ok(())
}

/// The addresses that errors in the queue are about, each once.
pub fn drain(socket: &UdpSocket) -> Vec<SocketAddr> {
    let mut unreachable: Vec<SocketAddr> = Vec::new();
    for _ in 0..UDP_ERROR_BUDGET {
        match socket.try_io(Interest::ERROR, || next(socket)) {
            Ok(Some(remote)) if !unreachable.contains(&remote) => unreachable.push(remote),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    unreachable
}

fn next(socket: &UdpSocket) -> io::Result<Option<SocketAddr>> {
    // The head of the datagram that failed comes along; nobody needs it.
    let mut head = [0u8; 64];
    let mut parts = [IoSliceMut::new(&mut head)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        None,
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    )?;
    Ok(message.address.and_then(|address| {
        let four = address.as_sockaddr_in().map(|v4| SocketAddr::from(std::net::SocketAddrV4::from(*v4)));
        four.or_else(|| {
            address.as_sockaddr_in6().map(|v6| SocketAddr::from(std::net::SocketAddrV6::from(*v6)))
        })
    }))
}
