//! Address translation: a mapping per inside address, a filter per outside address, and both forgotten after silence.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::time::At;

#[derive(Debug)]
struct Mapping {
    inside: SocketAddr,
    port: u16,
    /// Outside addresses that were sent to: only they may answer.
    peers: Vec<SocketAddr>,
    last_sent: At,
}

/// One translator.
#[derive(Debug)]
pub struct Nat {
    public: IpAddr,
    inside: Vec<IpAddr>,
    mappings: Vec<Mapping>,
    next_port: u16,
    lifetime: Duration,
}

impl Nat {
    /// A translator with this public address, hiding these hosts, that forgets a mapping after silence from inside.
    #[must_use]
    pub fn new(public: IpAddr, inside: Vec<IpAddr>, lifetime: Duration) -> Self {
        Self { public, inside, mappings: Vec::new(), next_port: 20_000, lifetime }
    }

    /// The public address.
    #[must_use]
    pub fn public(&self) -> IpAddr {
        self.public
    }

    /// Whether a host is behind it.
    #[must_use]
    pub fn hides(&self, host: IpAddr) -> bool {
        self.inside.contains(&host)
    }

    /// It forgets every mapping, as one that was started anew.
    pub fn forget(&mut self) {
        self.mappings.clear();
    }

    /// The source that the outside sees.
    pub fn outwards(&mut self, inside: SocketAddr, to: SocketAddr, now: At) -> SocketAddr {
        let lifetime = self.lifetime;
        self.mappings.retain(|m| now - m.last_sent < lifetime);
        if !self.mappings.iter().any(|m| m.inside == inside) {
            self.mappings.push(Mapping { inside, port: self.next_port, peers: Vec::new(), last_sent: now });
            self.next_port += 1;
        }
        let mut port = 0;
        for mapping in self.mappings.iter_mut().filter(|m| m.inside == inside) {
            mapping.last_sent = now;
            port = mapping.port;
            if !mapping.peers.contains(&to) {
                mapping.peers.push(to);
            }
        }
        SocketAddr::new(self.public, port)
    }

    /// The inside address that a packet from outside is for, if it may pass.
    pub fn inwards(&mut self, to: SocketAddr, from: SocketAddr, now: At) -> Option<SocketAddr> {
        let lifetime = self.lifetime;
        let mapping = self.mappings.iter().find(|m| m.port == to.port() && now - m.last_sent < lifetime)?;
        mapping.peers.contains(&from).then_some(mapping.inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::secs;

    #[test]
    fn only_who_was_called_may_answer_and_only_for_a_while() {
        let at = |s: &str| s.parse::<SocketAddr>().unwrap();
        let (inside, site, stranger) = (at("192.168.0.2:5060"), at("10.0.1.1:5060"), at("10.0.9.9:5060"));
        let mut nat = Nat::new("203.0.113.1".parse().unwrap(), vec![inside.ip()], secs(30));
        let outside = nat.outwards(inside, site, At::START);
        assert_eq!(nat.inwards(outside, site, At::START + secs(29)), Some(inside));
        assert_eq!(nat.inwards(outside, stranger, At::START), None);
        assert_eq!(nat.inwards(outside, site, At::START + secs(30)), None);
        let later = nat.outwards(inside, site, At::START + secs(60));
        assert_ne!(later, outside, "a forgotten mapping comes back with another port");
    }
}
