//! How addresses and flows are written in records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use tandem_peer::replica::{Reader, Writer};
use tandem_sip::{Flow, Transport};

const TRANSPORTS: [Transport; 5] =
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

/// The place of a word in the list of all of them: its byte in a record.
pub(crate) fn code_of<T: PartialEq>(all: &[T], word: &T) -> u8 {
    (0u8..).zip(all).find(|(_, known)| *known == word).map_or(0, |(code, _)| code)
}

/// A connection does not outlive the process, so its number is not stored: only that there was one.
pub(crate) fn put_flow(out: &mut Writer<'_>, flow: Flow) {
    out.u8(code_of(&TRANSPORTS, &flow.transport));
    out.u8(flow.local);
    out.bool(flow.conn != 0);
    put_address(out, flow.remote);
}

/// Reads a flow. One with a connection has the number of one that is gone.
pub(crate) fn flow(fields: &mut Reader<'_>) -> Option<Flow> {
    Some(Flow {
        transport: *TRANSPORTS.get(usize::from(fields.u8()?))?,
        local: fields.u8()?,
        conn: if fields.bool()? { GONE } else { 0 },
        remote: address(fields)?,
    })
}

/// The number of a connection of an earlier process. No connection of this one has it.
pub(crate) const GONE: u64 = u64::MAX;

pub(crate) fn put_address(out: &mut Writer<'_>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            out.u8(4);
            out.u32(v4.ip().to_bits());
        }
        SocketAddr::V6(v6) => {
            out.u8(6);
            put_wide(out, v6.ip().to_bits());
            out.u32(v6.scope_id());
        }
    }
    out.u16(address.port());
}

pub(crate) fn address(fields: &mut Reader<'_>) -> Option<SocketAddr> {
    match fields.u8()? {
        4 => {
            let ip = Ipv4Addr::from_bits(fields.u32()?);
            Some(SocketAddr::new(IpAddr::V4(ip), fields.u16()?))
        }
        6 => {
            let bits = wide(fields)?;
            let scope = fields.u32()?;
            Some(SocketAddrV6::new(Ipv6Addr::from_bits(bits), fields.u16()?, 0, scope).into())
        }
        _ => None,
    }
}

/// 128 bits.
pub(crate) fn put_wide(out: &mut Writer<'_>, bits: u128) {
    out.u64((bits >> 64) as u64);
    out.u64(bits as u64);
}

pub(crate) fn wide(fields: &mut Reader<'_>) -> Option<u128> {
    Some((u128::from(fields.u64()?) << 64) | u128::from(fields.u64()?))
}
