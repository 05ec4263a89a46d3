//! Where responses go (RFC 3261 18.2.2, RFC 3581 4), and when a request must leave UDP (18.1.1).

use std::net::SocketAddr;

use crate::flow::{Flow, Transport};
use crate::limits;
use crate::message::Envelope;

/// Where a request's sender listens, by its Via: the port of sent-by, or the transport's own.
pub(super) fn sent_by_port(flow: &Flow, envelope: &Envelope<'_>) -> u16 {
    envelope.via.port.filter(|port| *port != 0).unwrap_or_else(|| flow.transport.default_port())
}

/// The flow for the responses to a request that came over `flow`.
///
/// A stream answers on its connection. A datagram goes back to the source address: to its source port if the sender
/// asked so with `rport`, else to the port of sent-by. `maddr` is not honoured: it would let a forged request aim our
/// responses at a third party, and no unicast sender uses it.
pub(super) fn response_flow(flow: &Flow, envelope: &Envelope<'_>) -> Flow {
    if flow.transport.is_reliable() || envelope.via.rport().is_some() {
        return *flow;
    }
    Flow { remote: SocketAddr::new(flow.remote.ip(), sent_by_port(flow, envelope)), ..*flow }
}

/// Where a response goes after its connection is gone: the source address, at the port of sent-by.
pub(super) fn fallback(flow: &Flow, port: u16) -> Flow {
    Flow { remote: SocketAddr::new(flow.remote.ip(), port), conn: 0, ..*flow }
}

/// A request of `size` bytes above the MTU goes over TCP.
pub(super) fn pick_transport(flow: Flow, size: usize) -> Flow {
    match flow.transport {
        Transport::Udp if size > limits::MTU_REQUEST => Flow { transport: Transport::Tcp, conn: 0, ..flow },
        Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => flow,
    }
}
