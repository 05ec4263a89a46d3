//! The three rtnetlink messages that an address needs, and their answers, as bytes (rtnetlink(7), linux/if_addr.h). Three
//! messages do not pay for a crate that knows all of them: it would be the slowest unit of the build.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::libc;

const ROOT: u16 = 0x100;
const MATCH: u16 = 0x200;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const REPLACE: u16 = 0x100;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const FOR_EVER: u32 = u32::MAX;
const HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// An address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub ip: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
    /// Index of its interface.
    pub index: u32,
    /// Seconds that it has left; `None`: it stays.
    pub valid_s: Option<u32>,
}

/// One message of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done, or the list is complete.
    Done,
    /// It is refused, with this `errno`.
    Refused(i32),
    /// An address.
    Entry(Entry),
    /// Something else.
    Other,
}

/// Whether an entry of the same address may be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It must not.
    New,
    /// It begins its lifetime anew.
    Renew,
}

/// Adds an address, or renews it, for `valid_s` seconds.
///
/// It brings no route of its own, and it is never chosen as the source of connections that name none: over IPv4 because it
/// is not first, over IPv6 because it is deprecated from the start (RFC 6724 5, rule 3). There it is not probed for either
/// (RFC 4862 5.4): the lease says that it is free, and probing takes a second.
pub fn put(seq: u32, address: IpNet, index: u32, valid_s: u32, put: Put) -> Vec<u8> {
    let how = match put {
        Put::New => CREATE | EXCL,
        Put::Renew => CREATE | REPLACE,
    };
    let preferred_s = if address.addr().is_ipv4() { valid_s } else { 0 };
    let mut message = about(libc::RTM_NEWADDR, REQUEST | ACK | how, seq, address, index);
    let lifetime = [preferred_s.to_ne_bytes(), valid_s.to_ne_bytes(), [0; 4], [0; 4]].concat();
    attribute(&mut message, libc::IFA_CACHEINFO, &lifetime);
    let flags = libc::IFA_F_NOPREFIXROUTE | if address.addr().is_ipv4() { 0 } else { libc::IFA_F_NODAD };
    attribute(&mut message, libc::IFA_FLAGS, &flags.to_ne_bytes());
    finished(message)
}

/// Removes an address.
pub fn remove(seq: u32, address: IpNet, index: u32) -> Vec<u8> {
    finished(about(libc::RTM_DELADDR, REQUEST | ACK, seq, address, index))
}

/// Asks for all addresses.
pub fn list(seq: u32) -> Vec<u8> {
    let mut message = header(libc::RTM_GETADDR, REQUEST | ROOT | MATCH, seq);
    message.extend([0; ADDRESS_HEADER]);
    finished(message)
}

fn about(kind: u16, flags: u16, seq: u32, address: IpNet, index: u32) -> Vec<u8> {
    let ip = address.addr();
    let family = if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut message = header(kind, flags, seq);
    message.extend([u8::try_from(family).unwrap_or_default(), address.prefix_len(), 0, 0]);
    message.extend(index.to_ne_bytes());
    match ip {
        IpAddr::V4(ip) => {
            attribute(&mut message, libc::IFA_LOCAL, &ip.octets());
            attribute(&mut message, libc::IFA_ADDRESS, &ip.octets());
        }
        IpAddr::V6(ip) => attribute(&mut message, libc::IFA_ADDRESS, &ip.octets()),
    }
    message
}

fn header(kind: u16, flags: u16, seq: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(96);
    // The length is known in the end; the kernel takes port 0 for whoever sends.
    message.extend(0u32.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(seq.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // No value is longer than 16 bytes.
    let length = u16::try_from(4 + value.len()).unwrap_or_default();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn finished(mut message: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or_default();
    if let Some(field) = message.get_mut(..4) {
        field.copy_from_slice(&length.to_ne_bytes());
    }
    message
}

/// The messages in what was read, each with the sequence number of its question.
pub fn answers(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Answer)> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok().filter(|length| *length >= HEADER)?;
        let message = bytes.get(..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let answer = match u16_at(message, 4)? {
            DONE => Answer::Done,
            ERROR => match i32::from_ne_bytes(message.get(HEADER..HEADER + 4)?.try_into().ok()?) {
                0 => Answer::Done,
                errno => Answer::Refused(-errno),
            },
            libc::RTM_NEWADDR => entry(message).map_or(Answer::Other, Answer::Entry),
            _ => Answer::Other,
        };
        Some((u32_at(message, 8)?, answer))
    })
}

fn entry(message: &[u8]) -> Option<Entry> {
    let prefix = *message.get(HEADER + 1)?;
    let index = u32_at(message, HEADER + 4)?;
    let (mut local, mut remote, mut valid_s) = (None, None, None);
    let mut rest = message.get(HEADER + ADDRESS_HEADER..)?;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let value = rest.get(4..length)?;
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => remote = ip(value),
            libc::IFA_CACHEINFO => valid_s = u32_at(value, 4).filter(|valid| *valid != FOR_EVER),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    // On a point-to-point link the other end is the address, and ours is local.
    Some(Entry { ip: local.or(remote)?, prefix, index, valid_s })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(value).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    four.or_else(|_| <[u8; 16]>::try_from(value).map(|octets| IpAddr::V6(Ipv6Addr::from(octets)))).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn an_address_is_added_byte_for_byte_as_the_kernel_reads_it() {
        let message = put(7, net("192.0.2.10/32"), 3, 2, Put::New);
        let wanted = [
            &[68, 0, 0, 0, 20, 0, 0x05, 0x06, 7, 0, 0, 0, 0, 0, 0, 0][..],
            &[2, 32, 0, 0, 3, 0, 0, 0],
            &[8, 0, 2, 0, 192, 0, 2, 10],
            &[8, 0, 1, 0, 192, 0, 2, 10],
            &[20, 0, 6, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[8, 0, 8, 0, 0, 2, 0, 0],
        ]
        .concat();
        assert_eq!(message, wanted);
        let renewed = put(7, net("2001:db8::10/128"), 3, 2, Put::Renew);
        assert_eq!(renewed[6..8], [0x05, 0x05]);
        let (preferred, flags) = (&renewed[48..52], &renewed[68..72]);
        assert_eq!((preferred, flags), (&[0, 0, 0, 0][..], &[2, 2, 0, 0][..]), "deprecated, without probing");
        assert_eq!(remove(8, net("192.0.2.10/32"), 3)[4..8], [21, 0, 5, 0]);
        assert_eq!(list(9), [24, 0, 0, 0, 22, 0, 1, 3, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn an_entry_is_read_back_with_its_lifetime() {
        for (address, valid_s) in [("192.0.2.10/32", 2), ("2001:db8::10/64", 77)] {
            let (address, message) = (net(address), put(4, net(address), 9, valid_s, Put::New));
            let entry =
                Entry { ip: address.addr(), prefix: address.prefix_len(), index: 9, valid_s: Some(valid_s) };
            assert_eq!(answers(&message).collect::<Vec<_>>(), [(4, Answer::Entry(entry))]);
        }
        let lasting = put(4, net("192.0.2.10/32"), 9, FOR_EVER, Put::New);
        let (_, Answer::Entry(entry)) = answers(&lasting).next().unwrap() else { panic!("an entry") };
        assert_eq!(entry.valid_s, None);
    }

    #[test]
    fn several_answers_are_read_in_their_order_and_broken_ones_end_them() {
        let error = |errno: i32| {
            let mut message = header(ERROR, 0, 5);
            message.extend((-errno).to_ne_bytes());
            finished(message)
        };
        let both = [error(libc::EEXIST), error(0), finished(header(DONE, 0, 6))].concat();
        let read: Vec<_> = answers(&both).collect();
        assert_eq!(read, [(5, Answer::Refused(libc::EEXIST)), (5, Answer::Done), (6, Answer::Done)]);
        let entry = put(4, net("2001:db8::10/64"), 9, 2, Put::New);
        for length in 0..entry.len() {
            assert_eq!(answers(&entry[..length]).count(), 0, "cut off at {length}");
            let mut lying = entry.clone();
            lying[length] ^= 0xff;
            let _ = answers(&lying).count();
        }
        assert_eq!(answers(&[0; 32]).count(), 0, "a length of nothing does not turn for ever");
    }
}
