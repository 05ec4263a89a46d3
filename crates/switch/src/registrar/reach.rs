//! Where requests to a contact go (RFC 3261 10.3 and 18.2.2 as networks with NAT have it, RFC 3327).
//!
//! A phone that registered over a stream is reached over that connection. A phone that registered over UDP is reached
//! at the address in its contact, unless there are signs of a NAT in between, or the contact names no address: then at
//! the address its REGISTER came from. A contact behind proxies is reached through the first of its Path.

use std::net::SocketAddr;

use tandem_sip::{Envelope, Flow, Transport, Uri};

use crate::directory::{Directory, Nat};
use crate::nat::{is_before, same_ip};

/// Where requests go, and whether the contact's own address can be dialled should that way be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub flow: Flow,
    pub dialable: bool,
    /// The contact's own address is not used because of a NAT.
    pub nat: bool,
}

impl Reach {
    /// A flow of RFC 5626: nothing but that flow.
    pub fn of_flow(flow: Flow) -> Self {
        Self { flow, dialable: false, nat: !flow.transport.is_reliable() }
    }
}

/// The way to the contact `uri` of a REGISTER that came over `flow`.
pub(super) fn reach(uri: &Uri<'_>, env: &Envelope<'_>, flow: Flow, directory: &Directory, nat: Nat) -> Reach {
    let at_source = |address: SocketAddr| same_ip(address.ip(), flow.remote.ip());
    if flow.transport.is_reliable() {
        let named = address_of(uri, flow.transport);
        let dialable = named.is_some_and(at_source);
        return Reach { flow, dialable, nat: !dialable && named.is_some() };
    }
    let transport = preferred_transport(uri, flow, directory);
    let named = address_of(uri, transport.0).filter(|address| address.is_ipv4() == flow.remote.is_ipv4());
    let translated = |address: SocketAddr| match nat {
        Nat::Auto => is_before(address, env, flow.remote),
        Nat::Yes => true,
        Nat::No => false,
    };
    match named.filter(|address| !translated(*address)) {
        Some(remote) => {
            let flow = Flow { transport: transport.0, local: transport.1, remote, conn: 0 };
            Reach { flow, dialable: false, nat: false }
        }
        None => Reach { flow, dialable: false, nat: named.is_some() || nat == Nat::Yes },
    }
}

/// The way to the first proxy of a Path: over the connection that brought the REGISTER, at the address that the proxy
/// names, or where the REGISTER came from. That connection is not the phone's: when it is gone, the proxy is dialled.
pub(super) fn reach_proxy(first: &Uri<'_>, flow: Flow, directory: &Directory) -> Reach {
    if flow.transport.is_reliable() {
        let dialable = matches!(flow.transport, Transport::Tcp | Transport::Tls);
        return Reach { flow, dialable, nat: false };
    }
    let transport = preferred_transport(first, flow, directory);
    let named = address_of(first, transport.0).filter(|address| address.is_ipv4() == flow.remote.is_ipv4());
    let flow = match named {
        Some(remote) => Flow { transport: transport.0, local: transport.1, remote, conn: 0 },
        None => flow,
    };
    Reach { flow, dialable: false, nat: false }
}

/// Where the first proxy of a Path is dialled when the connection that it had made from `source` is gone: at the address
/// it names; one that names none by its port, where it came from.
pub(super) fn redial_proxy(first: &Uri<'_>, transport: Transport, source: SocketAddr) -> Option<SocketAddr> {
    let named = address_of(first, transport).filter(|address| address.is_ipv4() == source.is_ipv4());
    let port = first.port.unwrap_or(transport.default_port());
    named.or_else(|| (port != 0).then(|| SocketAddr::new(source.ip(), port)))
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
