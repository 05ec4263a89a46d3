//! Tells the neighbours on an interface where an address is, and hears who else says that he has it. Its packet sockets stay
//! open: closing one takes the kernel longer than a takeover.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use nix::sys::socket::bind;
use socket2::{Domain, Protocol, Socket, Type};

use super::frames::{self, ETHERTYPE_ARP, Mac};
use super::interface::Interface;
use crate::limits::ADDRESS_CLAIM_BUDGET;

/// See the module.
pub struct Announcer {
    interface: Interface,
    /// Sends, and receives nothing.
    out: Socket,
    /// Receives ARP.
    heard: Socket,
}

impl Announcer {
    /// Opens the sockets.
    ///
    /// # Errors
    /// What the operating system says: without `CAP_NET_RAW` it is not permitted.
    pub fn open(interface: Interface) -> io::Result<Self> {
        Ok(Self { interface, out: socket(interface, 0)?, heard: socket(interface, ETHERTYPE_ARP)? })
    }

    /// Where it announces.
    pub fn interface(&self) -> Interface {
        self.interface
    }

    /// Says to all neighbours that an address is here.
    ///
    /// # Errors
    /// What the operating system says, as when the interface is down.
    pub fn announce(&self, ip: IpAddr) -> io::Result<()> {
        let mac = self.interface.mac;
        match ip {
            IpAddr::V4(ip) => {
                self.out.send(&frames::gratuitous_request(mac, ip))?;
                self.out.send(&frames::gratuitous_reply(mac, ip)).map(drop)
            }
            IpAddr::V6(ip) => self.out.send(&frames::advertisement(mac, ip)).map(drop),
        }
    }

    /// Asks who else has an IPv4 address; [`others`](Self::others) hears the answers.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn ask(&self, ip: Ipv4Addr) -> io::Result<()> {
        self.out.send(&frames::probe(self.interface.mac, ip)).map(drop)
    }

    /// Everybody else who has said of an address, since the last question, that he has it.
    pub fn others(&self) -> Vec<(Ipv4Addr, Mac)> {
        let mut claims = Vec::new();
        // The kernel pads short frames to 60 bytes; what follows does not matter.
        let mut frame = [0; 64];
        for _ in 0..ADDRESS_CLAIM_BUDGET {
            let Ok(length) = (&self.heard).read(&mut frame) else { break };
            let claim = frames::claim(frame.get(..length).unwrap_or_default());
            if let Some(claim) = claim.filter(|(_, mac)| *mac != self.interface.mac)
                && !claims.contains(&claim)
            {
                claims.push(claim);
            }
        }
        claims
    }
}

fn socket(interface: Interface, ethertype: u16) -> io::Result<Socket> {
    let protocol = Protocol::from(i32::from(ethertype.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    bind(socket.as_raw_fd(), &interface.link)?;
    Ok(socket)
}
