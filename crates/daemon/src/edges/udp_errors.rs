//! ICMP errors of a UDP socket, from the kernel's error queue (`IP_RECVERR`): who is unreachable is known within a
//! round trip, instead of by a timer.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::udp_kernel;
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
    Ok(message.address.as_ref().and_then(udp_kernel::address))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use tandem_sip::{Flow, Transport};

    use crate::edges::address::Presence;
    use crate::edges::udp::{self, Received, UdpEdge};

    fn bind(addr: std::net::SocketAddr) -> std::io::Result<std::net::UdpSocket> {
        udp::bind(addr, Presence::Always)
    }

    /// An edge, and the address of a socket that is closed again.
    fn edge_and_nobody() -> (UdpEdge, std::net::SocketAddr) {
        let nobody = bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr().unwrap();
        let edge = UdpEdge::new(vec![(3, bind("127.0.0.1:0".parse().unwrap()).unwrap())]).unwrap();
        (edge, nobody)
    }

    /// Turns the loop's crank until a flow has failed.
    async fn failed(edge: &mut UdpEdge) -> Flow {
        loop {
            let socket = edge.ready().await.unwrap();
            edge.flush();
            assert!(matches!(edge.receive(socket, Instant::now()), Received::Nothing | Received::Dropped));
            if let Some(failed) = edge.failed() {
                return failed;
            }
        }
    }

    #[tokio::test]
    async fn an_unreachable_port_fails_its_flow_within_a_round_trip() {
        let (mut edge, nobody) = edge_and_nobody();
        let flow = Flow { transport: Transport::Udp, local: 3, remote: nobody, conn: 0 };
        edge.send(flow, Bytes::from_static(b"anybody there?"));
        assert_eq!(failed(&mut edge).await, flow);
        assert_eq!(edge.counters().failed, 1);
    }

    #[tokio::test]
    async fn the_error_of_one_remote_is_not_blamed_on_another() {
        let (mut edge, nobody) = edge_and_nobody();
        let somebody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = |remote| Flow { transport: Transport::Udp, local: 3, remote, conn: 0 };
        // On loopback the ICMP error is back before the second send, and that send is the one that is told of it.
        edge.send(to(nobody), Bytes::from_static(b"one"));
        edge.send(to(somebody.local_addr().unwrap()), Bytes::from_static(b"two"));
        assert_eq!(failed(&mut edge).await, to(nobody));
        assert_eq!(edge.failed(), None);
        assert_eq!(edge.counters().sent, 2);
        let mut buffer = [0; 16];
        assert_eq!(somebody.recv(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"two");
    }

    #[tokio::test]
    async fn a_flow_of_a_socket_that_is_not_there_fails_at_once() {
        let (mut edge, nobody) = edge_and_nobody();
        let flow = Flow { transport: Transport::Udp, local: 9, remote: nobody, conn: 0 };
        edge.send(flow, Bytes::from_static(b"x"));
        assert_eq!(edge.failed(), Some(flow));
    }
}
