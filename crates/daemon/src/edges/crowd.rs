//! How many connections there may be, in all and of one source, and which one makes room when all places are taken: the
//! oldest that has not brought a whole message yet. So idle connections neither pass the bound nor keep phones out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tandem_switch::Directory;
use tokio_util::sync::CancellationToken;

use super::udp::Noise;
use crate::config::ConnectionSettings;
use crate::limits::{MAX_OWN_CONNECTIONS, MAX_UNPROVEN_PER_SOURCE};

/// Who asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anybody who connects.
    Stranger(IpAddr),
    /// A trunk, or somebody of a network that is never limited.
    Known,
    /// This server opens it.
    Own,
}

/// Why a connection got no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// All are taken by connections that are in use.
    #[error("all places are taken: raise `max` of [connections], or `allow` fewer to connect")]
    Full,
    /// The source has its share.
    #[error("its source has too many: raise `max-per-source` of [connections] if an office stands behind it")]
    Source,
    /// The source has too many that have not brought a whole message yet.
    #[error("its source has too many that say nothing")]
    Silent,
}

#[derive(Debug, Default)]
struct Source {
    open: usize,
    unproven: usize,
}

#[derive(Debug)]
struct Unproven {
    source: Option<IpAddr>,
    leave: CancellationToken,
}

#[derive(Default)]
struct Places {
    /// Connections that hold a place.
    taken: usize,
    sources: BTreeMap<IpAddr, Source>,
    /// By number, so the oldest is the first.
    unproven: BTreeMap<u64, Unproven>,
    holders: BTreeMap<u64, Option<IpAddr>>,
    noise: Noise,
}

/// See the module.
pub struct Crowd {
    settings: ConnectionSettings,
    places: Mutex<Places>,
}

impl Crowd {
    /// Nobody is there.
    pub fn new(settings: ConnectionSettings) -> Self {
        Self { settings, places: Mutex::new(Places::default()) }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Counters stay sound whatever ended the thread that held them.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for the connection of this number; it leaves when the token is cancelled.
    ///
    /// # Errors
    /// Why there is none.
    pub fn enter(&self, id: u64, kind: Kind) -> Result<CancellationToken, NoPlace> {
        let ConnectionSettings { max, max_per_source } = self.settings;
        let mut places = self.places();
        let (bound, source) = match kind {
            Kind::Stranger(ip) => (max, Some(source_of(ip))),
            // Phones cannot keep this server from its trunks.
            Kind::Known | Kind::Own => (max + MAX_OWN_CONNECTIONS, None),
        };
        if let Some(known) = source.and_then(|source| places.sources.get(&source)) {
            if known.open >= max_per_source {
                return Err(NoPlace::Source);
            }
            if known.unproven >= MAX_UNPROVEN_PER_SOURCE {
                return Err(NoPlace::Silent);
            }
        }
        if places.taken >= bound && !places.make_room() {
            return Err(NoPlace::Full);
        }
        let leave = CancellationToken::new();
        places.taken += 1;
        places.holders.insert(id, source);
        if let Some(source) = source {
            let source = places.sources.entry(source).or_default();
            source.open += 1;
            source.unproven += 1;
        }
        if kind != Kind::Own {
            places.unproven.insert(id, Unproven { source, leave: leave.clone() });
        }
        Ok(leave)
    }

    /// It has brought a whole message.
    pub fn proven(&self, id: u64) {
        self.places().settle(id);
    }

    /// It is gone.
    pub fn leave(&self, id: u64) {
        self.places().leave(id);
    }

    /// Places that are taken.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.places().taken
    }

    /// Whether a line about this source may be logged now, and how many were not since the last.
    pub fn worth_a_line(&self, source: IpAddr) -> Option<u64> {
        self.places().noise.worth_a_line(source_of(source), Instant::now())
    }
}

impl Places {
    /// The oldest connection that has not brought a message leaves. False: there is none.
    fn make_room(&mut self) -> bool {
        let Some((id, leave)) = self.unproven.first_key_value().map(|(id, old)| (*id, old.leave.clone()))
        else {
            return false;
        };
        leave.cancel();
        self.leave(id);
        true
    }

    fn settle(&mut self, id: u64) {
        let source = self.unproven.remove(&id).and_then(|unproven| unproven.source);
        if let Some(source) = source.and_then(|source| self.sources.get_mut(&source)) {
            source.unproven -= 1;
        }
    }

    fn leave(&mut self, id: u64) {
        self.settle(id);
        let Some(source) = self.holders.remove(&id) else { return };
        self.taken -= 1;
        let Some(source) = source else { return };
        if let Some(known) = self.sources.get_mut(&source) {
            known.open -= 1;
            if known.open == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

/// What one customer has: an IPv4 address, or the /64 of an IPv6 one.
fn source_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Who connects from `ip`. `named`: whether a host name leads there.
pub fn kind_of(directory: &Directory, ip: IpAddr, named: impl Fn(&str) -> bool) -> Kind {
    let ip = ip.to_canonical();
    let is_trunk = directory.trunks().iter().any(|trunk| {
        trunk.contact.addr.is_some_and(|addr| addr.ip().to_canonical() == ip)
            || trunk.contact.resolve.as_ref().is_some_and(|wanted| named(&wanted.host))
            || trunk.sources.iter().any(|network| network.contains(&ip))
    });
    let is_known = is_trunk || directory.options.guard.allow.iter().any(|network| network.contains(&ip));
    if is_known { Kind::Known } else { Kind::Stranger(ip) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(max: usize, max_per_source: usize) -> Crowd {
        Crowd::new(ConnectionSettings { max, max_per_source })
    }

    fn from(text: &str) -> Kind {
        Kind::Stranger(text.parse().unwrap())
    }

    #[test]
    fn a_source_has_its_share_and_a_trunk_any_number() {
        let crowd = crowd(100, 2);
        for id in 0..2 {
            crowd.enter(id, from("192.0.2.1")).unwrap();
        }
        assert_eq!(crowd.enter(2, from("::ffff:192.0.2.1")).unwrap_err(), NoPlace::Source);
        assert!(crowd.enter(3, from("192.0.2.2")).is_ok());
        for id in 4..20 {
            assert!(crowd.enter(id, Kind::Known).is_ok());
        }
        crowd.leave(0);
        assert!(crowd.enter(20, from("192.0.2.1")).is_ok());
        for id in 0..=20 {
            crowd.leave(id);
            crowd.leave(id);
        }
        assert_eq!(crowd.taken(), 0);
        assert!(crowd.places().sources.is_empty() && crowd.places().unproven.is_empty());
    }

    #[test]
    fn the_64_of_an_ipv6_address_is_one_source() {
        let crowd = crowd(100, 1);
        crowd.enter(0, from("2001:db8::1")).unwrap();
        assert_eq!(crowd.enter(1, from("2001:db8::ffff:2")).unwrap_err(), NoPlace::Source);
        assert!(crowd.enter(2, from("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn when_all_places_are_taken_the_oldest_silent_connection_makes_room() {
        let crowd = crowd(3, 3);
        let first = crowd.enter(0, from("192.0.2.1")).unwrap();
        let second = crowd.enter(1, from("192.0.2.1")).unwrap();
        crowd.proven(0);
        crowd.enter(2, from("192.0.2.2")).unwrap();
        crowd.enter(3, from("192.0.2.3")).unwrap();
        assert!(!first.is_cancelled(), "what has proven itself stays");
        assert!(second.is_cancelled());
        assert_eq!(crowd.taken(), 3);
        // The one that was sent away says so itself, later; it no longer counts.
        crowd.leave(1);
        assert_eq!(crowd.taken(), 3);
    }

    #[test]
    fn when_all_are_in_use_only_trunks_and_this_server_find_a_place() {
        let crowd = crowd(2, 2);
        for id in 0..2 {
            crowd.enter(id, from("192.0.2.1")).unwrap();
            crowd.proven(id);
        }
        assert_eq!(crowd.enter(2, from("192.0.2.2")).unwrap_err(), NoPlace::Full);
        assert!(crowd.enter(3, Kind::Known).is_ok());
        assert!(crowd.enter(4, Kind::Own).is_ok());
    }

    #[test]
    fn one_source_cannot_take_every_place_for_handshakes() {
        let crowd = crowd(10_000, 10_000);
        let entered = (0..2_000).filter(|id| crowd.enter(*id, from("192.0.2.1")).is_ok()).count();
        assert_eq!(entered, MAX_UNPROVEN_PER_SOURCE);
        crowd.proven(0);
        assert!(crowd.enter(3_000, from("192.0.2.1")).is_ok());
    }
}
