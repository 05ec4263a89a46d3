//! The Ethernet frames that tell neighbours where an address is: gratuitous ARP (RFC 826, RFC 5227 3, RFC 5944 4.6) and the
//! unsolicited neighbour advertisement (RFC 4861 4.4, 7.2.6); and the ARP probe that finds out who else has it (RFC 5227 2.1).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// EtherType of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const BROADCAST: Mac = Mac([0xff; 6]);
/// Where frames to [`ALL_NODES`] go (RFC 2464 7).
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NOBODY: Mac = Mac([0; 6]);

#[derive(Clone, Copy)]
enum Operation {
    Request = 1,
    Reply = 2,
}

/// "Who has `ip`? Tell `ip`": every neighbour that knows the address learns the MAC.
pub fn gratuitous_request(mac: Mac, ip: Ipv4Addr) -> Vec<u8> {
    arp(Operation::Request, mac, ip, NOBODY, ip)
}

/// The same as an answer, for devices that learn from answers alone.
pub fn gratuitous_reply(mac: Mac, ip: Ipv4Addr) -> Vec<u8> {
    arp(Operation::Reply, mac, ip, mac, ip)
}

/// "Who has `ip`?" without saying who asks: no neighbour changes what it knows.
pub fn probe(mac: Mac, ip: Ipv4Addr) -> Vec<u8> {
    arp(Operation::Request, mac, Ipv4Addr::UNSPECIFIED, NOBODY, ip)
}

fn arp(operation: Operation, sender: Mac, sender_ip: Ipv4Addr, target: Mac, target_ip: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, sender, ETHERTYPE_ARP);
    // Ethernet, IPv4, addresses of 6 and 4 bytes.
    frame.extend([0, 1, 8, 0, 6, 4, 0, operation as u8]);
    frame.extend(sender.0);
    frame.extend(sender_ip.octets());
    frame.extend(target.0);
    frame.extend(target_ip.octets());
    frame
}

/// "`ip` is at `mac`", to all nodes, in place of whatever they know.
pub fn advertisement(mac: Mac, ip: Ipv6Addr) -> Vec<u8> {
    const OVERRIDE: u8 = 0x20;
    let mut message = vec![136, 0, 0, 0, OVERRIDE, 0, 0, 0];
    message.extend(ip.octets());
    // Option: target link-layer address, 1 unit of 8 bytes.
    message.extend([2, 1]);
    message.extend(mac.0);
    let sum = icmpv6_checksum(ip, ALL_NODES, &message);
    if let Some(field) = message.get_mut(2..4) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    let mut frame = ethernet(ALL_NODES_MAC, mac, ETHERTYPE_IPV6);
    // Version 6; the length; ICMPv6; a hop limit that proves no router has passed it on.
    frame.extend([0x60, 0, 0, 0, 0, ADVERTISEMENT_LENGTH, 58, 255]);
    frame.extend(ip.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

/// Bytes of a neighbour advertisement with one option.
const ADVERTISEMENT_LENGTH: u8 = 32;

fn ethernet(to: Mac, from: Mac, ethertype: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(86);
    frame.extend(to.0);
    frame.extend(from.0);
    frame.extend(ethertype.to_be_bytes());
    frame
}

/// RFC 8200 8.1: over a pseudo-header of both addresses, the length and the protocol, and the message.
fn icmpv6_checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    let pseudo = [&from.octets()[..], &to.octets(), &length, &[0, 0, 0, 58]].concat();
    let words = [&pseudo[..], message].concat();
    let sum: u64 = words
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [high] => u64::from(high) << 8,
            _ => 0,
        })
        .sum();
    let mut folded = sum;
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    !u16::try_from(folded).unwrap_or_default()
}

/// Who says in an ARP frame that he has which address; `None`: it is no such frame, or a probe.
pub fn claim(frame: &[u8]) -> Option<(Ipv4Addr, Mac)> {
    let ethertype = frame.get(12..14)?;
    let fixed = frame.get(14..20)?;
    if ethertype != ETHERTYPE_ARP.to_be_bytes() || fixed != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let mac: [u8; 6] = frame.get(22..28)?.try_into().ok()?;
    let ip: [u8; 4] = frame.get(28..32)?.try_into().ok()?;
    let ip = Ipv4Addr::from(ip);
    (!ip.is_unspecified()).then_some((ip, Mac(mac)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([0x02, 0x00, 0x5e, 0x10, 0x20, 0x30]);

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
    }

    #[test]
    fn gratuitous_arp_is_byte_for_byte_that_of_rfc_826_and_5944() {
        let ip = Ipv4Addr::new(192, 0, 2, 10);
        let request = "ffffffffffff 02005e102030 0806  0001 0800 06 04 0001 02005e102030 c000020a 000000000000 c000020a";
        assert_eq!(gratuitous_request(MAC, ip), hex(request));
        let reply = "ffffffffffff 02005e102030 0806  0001 0800 06 04 0002 02005e102030 c000020a 02005e102030 c000020a";
        assert_eq!(gratuitous_reply(MAC, ip), hex(reply));
        let probe_ = "ffffffffffff 02005e102030 0806  0001 0800 06 04 0001 02005e102030 00000000 000000000000 c000020a";
        assert_eq!(probe(MAC, ip), hex(probe_));
    }

    #[test]
    fn an_unsolicited_advertisement_is_byte_for_byte_that_of_rfc_4861() {
        let frame = advertisement(MAC, "2001:db8::10".parse().unwrap());
        let wanted = "333300000001 02005e102030 86dd  60000000 0020 3a ff
            20010db8000000000000000000000010 ff020000000000000000000000000001
            88 00 7acd 20000000 20010db8000000000000000000000010 02 01 02005e102030";
        assert_eq!(frame, hex(wanted));
    }

    #[test]
    fn a_claim_is_read_from_answers_and_requests_but_not_from_probes() {
        let ip = Ipv4Addr::new(192, 0, 2, 10);
        assert_eq!(claim(&gratuitous_reply(MAC, ip)), Some((ip, MAC)));
        assert_eq!(claim(&gratuitous_request(MAC, ip)), Some((ip, MAC)));
        assert_eq!(claim(&probe(MAC, ip)), None);
        let mut other = gratuitous_reply(MAC, ip);
        other[13] = 0x35;
        assert_eq!(claim(&other), None, "another protocol");
        for length in 0..42 {
            assert!(claim(&gratuitous_reply(MAC, ip)[..length.min(31)]).is_none(), "cut off at {length}");
        }
    }
}
