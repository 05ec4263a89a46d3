//! Signs of a NAT between a phone and this server (RFC 3581, RFC 5626 section 3, and what routers do to SIP).
//!
//! A phone behind a NAT is reached where its messages come from, in and outside dialogs. Three signs count: its Via says
//! another address than the datagram; asked to look (`rport`), we see another port; the address at which it wants to be
//! reached is a private one and it comes from a public one, because a router on the way has rewritten the Via only.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tandem_sip::{Envelope, Transport, Uri};

use crate::call::address;
use crate::directory::{Directory, Nat};
use crate::rooms::Device;

/// `nat` in force for a device.
#[must_use]
pub fn of(directory: &Directory, device: Device) -> Nat {
    match device {
        Device::Extension(dn) => {
            let own = directory.extension(dn).and_then(|extension| extension.class.nat);
            own.unwrap_or(directory.options.registration.nat)
        }
        Device::Trunk(_) | Device::Mixer => Nat::Auto,
    }
}

/// Whether requests within a dialog go where its far end's messages come from, and not to `next_hop`: its Contact, or
/// the first proxy that wants to stay on the way. A Contact with `ob` asks for its flow (RFC 5626 4.3), and one
/// with `gr` names this server, which knows the phone's flow.
#[must_use]
pub fn holds_to_flow(nat: Nat, env: &Envelope<'_>, next_hop: &[u8], source: SocketAddr) -> bool {
    let next = Uri::parse(next_hop).ok();
    if next.as_ref().is_some_and(|uri| uri.params.has(b"ob") || uri.params.has(b"gr")) {
        return true;
    }
    match nat {
        Nat::Yes => true,
        Nat::No => false,
        Nat::Auto => {
            let moved = match env.via.host.ip() {
                Some(sent_by) => !same_ip(sent_by, source.ip()),
                None => env.via.rport().is_some(),
            };
            let hidden = next.and_then(|uri| address(&uri)).is_some_and(|next| hides(next.ip(), source.ip()));
            moved || sees_another_port(env, source) || hidden
        }
    }
}

/// Whether the phone that registers `contact` is behind a NAT; `None`: the contact names no address.
#[must_use]
pub fn is_before(contact: SocketAddr, env: &Envelope<'_>, source: SocketAddr) -> bool {
    let moved = match env.via.host.ip() {
        Some(sent_by) => !same_ip(sent_by, source.ip()),
        None => !same_ip(contact.ip(), source.ip()),
    };
    moved || sees_another_port(env, source) || hides(contact.ip(), source.ip())
}

fn sees_another_port(env: &Envelope<'_>, source: SocketAddr) -> bool {
    let port = env.via.port.unwrap_or(Transport::Udp.default_port());
    env.via.rport().is_some() && port != source.port()
}

/// A private address that is said by somebody who comes from a public one.
fn hides(said: IpAddr, source: IpAddr) -> bool {
    is_private(said.to_canonical()) && !is_private(source.to_canonical())
}

/// The same address, whether it is written as IPv4 or as IPv6.
pub fn same_ip(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

/// An address of a private network (RFC 1918, RFC 6598, RFC 4193), of one link or of this machine.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.to_bits() >> 22 == u32::from_be_bytes([100, 64, 0, 0]) >> 22;
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || shared
        }
        IpAddr::V6(ip) => {
            let first = ip.to_bits() >> 120;
            first & 0xfe == 0xfc || (ip.to_bits() >> 118) == (0xfe80u128 >> 6) || ip == Ipv6Addr::LOCALHOST
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn private_networks_are_known() {
        for ip in ["10.1.2.3", "172.31.0.1", "192.168.0.9", "100.64.0.1", "100.127.255.255", "169.254.1.1"] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["127.0.0.1", "fc00::1", "fdab::1", "fe80::1", "::1"] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["172.32.0.1", "100.128.0.1", "100.63.255.255", "192.0.2.1", "2001:db8::1", "ff02::1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
