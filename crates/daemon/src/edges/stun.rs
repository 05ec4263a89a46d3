//! Keep-alives over UDP (RFC 5626 4.4.2): a STUN binding request (RFC 5389) among the SIP is answered with the address that it
//! came from, so that a phone behind a NAT sees its binding live, or change. Nothing else of STUN is spoken.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::limits::MAX_STUN_PER_S;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const HEADER: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0, 1];
const BINDING_SUCCESS: [u8; 2] = [1, 1];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0, 0x20];

/// Whether a datagram is STUN's: its first two bits are 0, which no letter's are, and the cookie is at its place.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 0x40) && datagram.get(4..8) == Some(&COOKIE)
}

/// The answer to a binding request; `None` to anything else.
pub fn answer(datagram: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let (head, attributes) = datagram.split_at_checked(HEADER)?;
    let length = head.get(2..4).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)?;
    if !is_stun(datagram) || !head.starts_with(&BINDING_REQUEST) || usize::from(length) != attributes.len() {
        return None;
    }
    let transaction = head.get(8..HEADER)?;
    let (family, mut address) = match from.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    for (byte, mask) in address.iter_mut().zip(COOKIE.iter().chain(transaction)) {
        *byte ^= mask;
    }
    let port = from.port() ^ 0x2112;
    let value_length = u16::try_from(4 + address.len()).ok()?;
    let mut out = Vec::with_capacity(HEADER + 8 + address.len());
    out.extend_from_slice(&BINDING_SUCCESS);
    out.extend_from_slice(&(value_length + 4).to_be_bytes());
    out.extend_from_slice(&COOKIE);
    out.extend_from_slice(transaction);
    out.extend_from_slice(&XOR_MAPPED_ADDRESS);
    out.extend_from_slice(&value_length.to_be_bytes());
    out.extend_from_slice(&[0, family]);
    out.extend_from_slice(&port.to_be_bytes());
    out.extend_from_slice(&address);
    Some(out)
}

/// So many answers a second, whoever asks: the answer is larger than the question, and its address may be forged.
#[derive(Default)]
pub struct Pace {
    second: Option<Instant>,
    answered: u32,
}

impl Pace {
    /// Whether one more may be answered.
    pub fn allows(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|begun| now.saturating_duration_since(begun) >= Duration::from_secs(1)) {
            (self.second, self.answered) = (Some(now), 0);
        }
        self.answered += 1;
        self.answered <= MAX_STUN_PER_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transaction of the vectors in RFC 5769.
    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn request() -> Vec<u8> {
        [&[0, 1, 0, 0][..], &COOKIE, &TRANSACTION].concat()
    }

    #[test]
    fn the_address_is_masked_as_in_the_vectors_of_rfc_5769() {
        let v4 = answer(&request(), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(v4[..4], [1, 1, 0, 12]);
        assert_eq!(v4[4..20], request()[4..]);
        assert_eq!(v4[20..], [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let v6 = answer(&request(), "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()).unwrap();
        let masked = [
            0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79,
            0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(v6[20..], masked);
    }

    #[test]
    fn only_whole_binding_requests_are_answered() {
        let from = "192.0.2.1:5060".parse().unwrap();
        let mut response = request();
        response[0] = 1;
        let mut short = request();
        short[3] = 8;
        for other in
            [response, short, request()[..19].to_vec(), b"OPTIONS sip:a SIP/2.0\r\n\r\n".to_vec(), vec![]]
        {
            assert_eq!(answer(&other, from), None, "{other:?}");
        }
        assert!(!is_stun(b"OPTIONS sip:a SIP/2.0\r\n\r\n"));
    }

    #[test]
    fn answers_are_bounded_in_a_second() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let allowed = (0..MAX_STUN_PER_S * 2).filter(|_| pace.allows(now)).count();
        assert_eq!(allowed, MAX_STUN_PER_S as usize);
        assert!(pace.allows(now + Duration::from_secs(1)));
    }
}
