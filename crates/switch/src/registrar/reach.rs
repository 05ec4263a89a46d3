//! Where requests to a contact go (RFC 3261 10.3 and 18.2.2 as networks with NAT have it).
//!
//! A phone that registered over a stream is reached over that connection. A phone that registered over UDP is reached
//! at the address in its contact, unless there are signs of a NAT in between, or the contact names no address: then at
//! the address its REGISTER came from.

use std::net::SocketAddr;

use tandem_sip::{Envelope, Flow, Transport, Uri};

use crate::directory::Directory;

/// Where requests go, and whether the contact's own address can be dialled should that way be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub flow: Flow,
    pub dialable: bool,
}

/// The way to the contact `uri` of a REGISTER that came over `flow`.
pub(super) fn reach(uri: &Uri<'_>, env: &Envelope<'_>, flow: Flow, directory: &Directory) -> Reach {
    if flow.transport.is_reliable() {
        let dialable = address_of(uri, flow.transport).is_some_and(|a| same_ip(a, flow.remote));
        return Reach { flow, dialable };
    }
    let transport = preferred_transport(uri, flow, directory);
    let direct = address_of(uri, transport.0).filter(|address| {
        address.is_ipv4() == flow.remote.is_ipv4() && !behind_nat(*address, env, flow.remote)
    });
    let flow = match direct {
        Some(remote) => Flow { transport: transport.0, local: transport.1, remote, conn: 0 },
        None => flow,
    };
    Reach { flow, dialable: false }
}

/// The address that the URI's host and port name, if the host is an address that somebody can have.
pub(super) fn address_of(uri: &Uri<'_>, transport: Transport) -> Option<SocketAddr> {
    let ip = uri.host.ip()?.to_canonical();
    let port = uri.port.unwrap_or(transport.default_port());
    (!ip.is_unspecified() && !ip.is_multicast() && port != 0).then(|| SocketAddr::new(ip, port))
}

/// The contact's `transport=tcp` if this server listens there, otherwise the way the REGISTER came.
fn preferred_transport(uri: &Uri<'_>, flow: Flow, directory: &Directory) -> (Transport, u8) {
    let named = uri.params.value(b"transport").and_then(Transport::parse).filter(|t| *t == Transport::Tcp);
    let listen = directory
        .server
        .listen
        .iter()
        .position(|l| Some(l.transport) == named && l.addr.is_ipv4() == flow.remote.is_ipv4());
    match (named, listen.and_then(|at| u8::try_from(at).ok())) {
        (Some(transport), Some(local)) => (transport, local),
        (Some(_) | None, _) => (flow.transport, flow.local),
    }
}

/// The Via says another address than the datagram; or, asked to look (`rport`), we see another port; or the Via names
/// a host and the contact is not where the datagram came from.
fn behind_nat(contact: SocketAddr, env: &Envelope<'_>, source: SocketAddr) -> bool {
    let via = &env.via;
    let moved = match via.host.ip() {
        Some(sent_by) => sent_by.to_canonical() != source.ip().to_canonical(),
        None => !same_ip(contact, source),
    };
    moved || (via.rport().is_some() && via.port.unwrap_or(Transport::Udp.default_port()) != source.port())
}

fn same_ip(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip().to_canonical() == b.ip().to_canonical()
}
