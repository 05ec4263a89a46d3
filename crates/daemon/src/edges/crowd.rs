//! How many connections there may be, in all and of one source, and which one makes room.
//!
//! When all places are taken it is the oldest that has not brought a message yet, so that idle connections neither pass the
//! bound nor keep phones out. When a source has its share it is one of its own: the oldest that brought none in time, then
//! the oldest that is silent and that nobody is reached over. So an office whose router forgot its connections gets in again,
//! while those that it forgot are still open here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tandem_switch::Directory;
use tandem_switch::guard::source_of;
use tokio_util::sync::CancellationToken;

use super::udp::Noise;
use crate::config::ConnectionSettings;
use crate::limits::{
    MAX_OWN_CONNECTIONS, MAX_SILENT_ASKED, MAX_UNPROVEN_PER_SOURCE, SILENT_AFTER, SILENT_LOOKED_FOR_EVERY,
    SPEAKS_WITHIN,
};

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
    #[error(
        "its source has too many, all in use: put an office into `allow` of [guard], or raise `max-per-source` of \
         [connections]"
    )]
    Source,
    /// The source has too many that have not brought a readable message yet.
    #[error("its source has too many that say nothing")]
    Silent,
}

/// What is known of one source.
#[derive(Debug, Default)]
struct Source {
    open: BTreeSet<u64>,
    unproven: BTreeSet<u64>,
    /// Connections of it that nobody is reached over, oldest first, and when they were looked for.
    unused: Vec<u64>,
    looked: Option<Instant>,
}

/// A connection that has a place.
#[derive(Debug)]
struct Holder {
    /// Where it comes from; `None` if it has no share there.
    source: Option<IpAddr>,
    since: Instant,
    /// When something came by it last.
    heard: Instant,
    leave: CancellationToken,
}

#[derive(Default)]
struct Places {
    /// By number, so the oldest is the first.
    holders: BTreeMap<u64, Holder>,
    sources: BTreeMap<IpAddr, Source>,
    /// Connections of others that have brought no message yet.
    unproven: BTreeSet<u64>,
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
    pub fn enter(&self, id: u64, kind: Kind, now: Instant) -> Result<CancellationToken, NoPlace> {
        let ConnectionSettings { max, max_per_source } = self.settings;
        let mut places = self.places();
        let (bound, source) = match kind {
            Kind::Stranger(ip) => (max, Some(source_of(ip))),
            // Phones cannot keep this server from its trunks.
            Kind::Known | Kind::Own => (max + MAX_OWN_CONNECTIONS, None),
        };
        if let Some(source) = source {
            places.has_a_place(source, max_per_source, now)?;
        }
        if places.holders.len() >= bound && !places.make_room() {
            return Err(NoPlace::Full);
        }
        let leave = CancellationToken::new();
        places.holders.insert(id, Holder { source, since: now, heard: now, leave: leave.clone() });
        if let Some(source) = source {
            let source = places.sources.entry(source).or_default();
            source.open.insert(id);
            source.unproven.insert(id);
        }
        if kind != Kind::Own {
            places.unproven.insert(id);
        }
        Ok(leave)
    }

    /// It has brought a readable message.
    pub fn proven(&self, id: u64) {
        self.places().settle(id);
    }

    /// Something came by it, if only a keep-alive.
    pub fn heard(&self, id: u64, now: Instant) {
        if let Some(holder) = self.places().holders.get_mut(&id) {
            holder.heard = now;
        }
    }

    /// Connections of a source that has its share, of which the node is to be asked whether it needs them; none if it was
    /// asked just now.
    pub fn silent(&self, ip: IpAddr, now: Instant) -> Vec<u64> {
        let mut places = self.places();
        let Places { sources, holders, .. } = &mut *places;
        let Some(source) = sources.get_mut(&source_of(ip)) else { return Vec::new() };
        if source.looked.is_some_and(|looked| now < looked + SILENT_LOOKED_FOR_EVERY) {
            return Vec::new();
        }
        source.looked = Some(now);
        let is_silent = |id: &u64| holders.get(id).is_some_and(|holder| holder.is_silent(now));
        source.open.iter().copied().filter(is_silent).take(MAX_SILENT_ASKED).collect()
    }

    /// Of those, these are needed by nobody: each makes room when its place is needed, if it is still silent then.
    pub fn unused(&self, ip: IpAddr, unused: Vec<u64>) {
        if let Some(source) = self.places().sources.get_mut(&source_of(ip)) {
            source.unused = unused;
            // The oldest is taken first, from the end.
            source.unused.reverse();
        }
    }

    /// It is gone.
    pub fn leave(&self, id: u64) {
        self.places().leave(id);
    }

    /// Places that are taken.
    #[cfg(test)]
    pub fn taken(&self) -> usize {
        self.places().holders.len()
    }

    /// Whether it has brought no readable message yet.
    #[cfg(test)]
    pub fn is_unproven(&self, id: u64) -> bool {
        self.places().unproven.contains(&id)
    }

    /// As if so much time had passed.
    #[cfg(test)]
    pub fn grows_older(&self, by: std::time::Duration) {
        let mut places = self.places();
        for holder in places.holders.values_mut() {
            (holder.since, holder.heard) =
                (holder.since.checked_sub(by).unwrap(), holder.heard.checked_sub(by).unwrap());
        }
        places.sources.values_mut().for_each(|source| source.looked = None);
    }

    /// Whether a line about this source may be logged now, and how many were not since the last.
    pub fn worth_a_line(&self, source: IpAddr) -> Option<u64> {
        self.places().noise.worth_a_line(source_of(source), Instant::now())
    }
}

impl Holder {
    fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= SILENT_AFTER
    }
}

impl Places {
    /// Whether a source may have one more, or one of its own makes room for it.
    fn has_a_place(&mut self, source: IpAddr, most: usize, now: Instant) -> Result<(), NoPlace> {
        let Some(known) = self.sources.get(&source) else { return Ok(()) };
        let (full, silent) = (known.open.len() >= most, known.unproven.len() >= MAX_UNPROVEN_PER_SOURCE);
        if !full && !silent {
            return Ok(());
        }
        let had_its_time = |id: &u64| {
            let holder = self.holders.get(id);
            holder.is_some_and(|holder| now.saturating_duration_since(holder.since) >= SPEAKS_WITHIN)
        };
        let says_nothing = known.unproven.first().copied().filter(had_its_time);
        match says_nothing {
            Some(id) => self.dismiss(id),
            None if silent => return Err(NoPlace::Silent),
            None => {
                let unused = self.unused_of(source, now).ok_or(NoPlace::Source)?;
                self.dismiss(unused);
            }
        }
        Ok(())
    }

    /// The oldest connection of a source that nobody is reached over, if it is still silent.
    fn unused_of(&mut self, source: IpAddr, now: Instant) -> Option<u64> {
        let Self { sources, holders, .. } = self;
        let unused = &mut sources.get_mut(&source)?.unused;
        while let Some(id) = unused.pop() {
            if holders.get(&id).is_some_and(|holder| holder.is_silent(now)) {
                return Some(id);
            }
        }
        None
    }

    /// The oldest connection that has not brought a message leaves. False: there is none.
    fn make_room(&mut self) -> bool {
        let oldest = self.unproven.first().copied();
        oldest.is_some_and(|id| {
            self.dismiss(id);
            true
        })
    }

    fn dismiss(&mut self, id: u64) {
        if let Some(holder) = self.holders.get(&id) {
            holder.leave.cancel();
        }
        self.leave(id);
    }

    fn settle(&mut self, id: u64) {
        self.unproven.remove(&id);
        let source = self.holders.get(&id).and_then(|holder| holder.source);
        if let Some(source) = source.and_then(|source| self.sources.get_mut(&source)) {
            source.unproven.remove(&id);
        }
    }

    fn leave(&mut self, id: u64) {
        self.settle(id);
        let source = self.holders.remove(&id).and_then(|holder| holder.source);
        if let Some(source) = source
            && let Some(known) = self.sources.get_mut(&source)
        {
            known.open.remove(&id);
            if known.open.is_empty() {
                self.sources.remove(&source);
            }
        }
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
    use std::time::Duration;

    use super::*;

    fn crowd(max: usize, max_per_source: usize) -> Crowd {
        Crowd::new(ConnectionSettings { max, max_per_source })
    }

    fn now() -> Instant {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *START
    }

    fn from(text: &str) -> Kind {
        Kind::Stranger(text.parse().unwrap())
    }

    #[test]
    fn a_source_has_its_share_and_a_trunk_any_number() {
        let crowd = crowd(100, 2);
        for id in 0..2 {
            crowd.enter(id, from("192.0.2.1"), now()).unwrap();
        }
        assert_eq!(crowd.enter(2, from("::ffff:192.0.2.1"), now()).unwrap_err(), NoPlace::Source);
        assert!(crowd.enter(3, from("192.0.2.2"), now()).is_ok());
        for id in 4..20 {
            assert!(crowd.enter(id, Kind::Known, now()).is_ok());
        }
        crowd.leave(0);
        assert!(crowd.enter(20, from("192.0.2.1"), now()).is_ok());
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
        crowd.enter(0, from("2001:db8::1"), now()).unwrap();
        assert_eq!(crowd.enter(1, from("2001:db8::ffff:2"), now()).unwrap_err(), NoPlace::Source);
        assert!(crowd.enter(2, from("2001:db8:0:1::1"), now()).is_ok());
    }

    #[test]
    fn when_all_places_are_taken_the_oldest_silent_connection_makes_room() {
        let crowd = crowd(3, 3);
        let first = crowd.enter(0, from("192.0.2.1"), now()).unwrap();
        let second = crowd.enter(1, from("192.0.2.1"), now()).unwrap();
        crowd.proven(0);
        crowd.enter(2, from("192.0.2.2"), now()).unwrap();
        crowd.enter(3, from("192.0.2.3"), now()).unwrap();
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
            crowd.enter(id, from("192.0.2.1"), now()).unwrap();
            crowd.proven(id);
        }
        assert_eq!(crowd.enter(2, from("192.0.2.2"), now()).unwrap_err(), NoPlace::Full);
        assert!(crowd.enter(3, Kind::Known, now()).is_ok());
        assert!(crowd.enter(4, Kind::Own, now()).is_ok());
    }

    #[test]
    fn one_source_cannot_take_every_place_for_handshakes() {
        let crowd = crowd(10_000, 10_000);
        let entered = (0..2_000).filter(|id| crowd.enter(*id, from("192.0.2.1"), now()).is_ok()).count();
        assert_eq!(entered, MAX_UNPROVEN_PER_SOURCE);
        crowd.proven(0);
        assert!(crowd.enter(3_000, from("192.0.2.1"), now()).is_ok());
    }

    /// A source with two connections, its share: who enters as the third, at this time.
    fn third(crowd: &Crowd, at: Duration) -> Result<CancellationToken, NoPlace> {
        crowd.enter(2, from("192.0.2.1"), now() + at)
    }

    #[test]
    fn a_source_with_its_share_loses_its_oldest_that_never_spoke_but_gives_it_time_to() {
        let crowd = crowd(100, 2);
        let spoke = crowd.enter(0, from("192.0.2.1"), now()).unwrap();
        crowd.proven(0);
        let silent = crowd.enter(1, from("192.0.2.1"), now()).unwrap();
        let other = crowd.enter(9, from("192.0.2.9"), now()).unwrap();
        assert_eq!(third(&crowd, SPEAKS_WITHIN / 2).unwrap_err(), NoPlace::Source);
        assert!(third(&crowd, SPEAKS_WITHIN).is_ok());
        assert!(silent.is_cancelled() && !spoke.is_cancelled() && !other.is_cancelled());
        assert_eq!(crowd.taken(), 3);
    }

    #[test]
    fn connections_that_say_nothing_make_room_for_those_behind_them() {
        let crowd = crowd(10_000, 10_000);
        let tokens: Vec<_> = (0..MAX_UNPROVEN_PER_SOURCE as u64)
            .map(|id| crowd.enter(id, from("192.0.2.1"), now()).unwrap())
            .collect();
        let later = now() + SPEAKS_WITHIN;
        assert!(crowd.enter(1_000, from("192.0.2.1"), later).is_ok());
        assert!(tokens[0].is_cancelled() && !tokens[1].is_cancelled());
    }

    #[test]
    fn a_silent_connection_that_nobody_is_reached_over_makes_room_for_its_source() {
        let crowd = crowd(100, 2);
        let tokens = [0, 1].map(|id| crowd.enter(id, from("192.0.2.1"), now()).unwrap());
        crowd.proven(0);
        crowd.proven(1);
        let ip = "192.0.2.1".parse().unwrap();
        crowd.heard(0, now() + Duration::from_secs(10));
        assert_eq!(crowd.silent(ip, now() + SILENT_AFTER), [1], "the other one had a keep-alive");
        let later = SILENT_AFTER + Duration::from_secs(10);
        assert_eq!(crowd.silent(ip, now() + later), [0, 1]);
        assert!(crowd.silent(ip, now() + later).is_empty(), "asked just now");
        assert_eq!(third(&crowd, later).unwrap_err(), NoPlace::Source, "nobody has said that one is unused");
        crowd.unused(ip, vec![0, 1]);
        crowd.heard(0, now() + later);
        assert!(third(&crowd, later).is_ok());
        assert!(tokens[1].is_cancelled() && !tokens[0].is_cancelled(), "what speaks again is in use");
        assert_eq!(crowd.enter(3, from("192.0.2.1"), now() + later).unwrap_err(), NoPlace::Source);
        assert_eq!(crowd.taken(), 2);
    }
}
