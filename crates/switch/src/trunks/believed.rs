//! What is stored of what is believed about a trunk or a probed device, so that whoever serves after this process does not
//! begin with beliefs that the one before had given up.
//!
//! A device has a record once something has become of it: a trunk that has always answered has none. It is written when
//! a place of it goes out of service, comes back, or asks to be left alone, and never because it was asked or called.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use tandem_peer::replica::{Change, ChangeLog, Reader, Record, Replicated, Writer};
use tandem_peer::trunk::{Known, Reason, TrunkHealth, TrunkRole};
use tandem_sip::locate::Candidate;
use tandem_sip::{Flow, Transport};

use super::line::Target;
use crate::limits::MAX_RETRY_AFTER;
use crate::rooms::Device;
use crate::stored::{flow, put_flow};
use crate::time::{Deadline, Now};

/// What was believed of one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Believed {
    /// A Trunk DN; otherwise an Extension.
    pub(super) is_trunk: bool,
    pub(super) name: Arc<str>,
    /// The URI of its contact: what is believed of places is believed of those that it leads to.
    pub(super) contact: Box<str>,
    /// Since when it is in or out of service as a whole, ms since the Unix epoch.
    since_unix_ms: u64,
    pub(super) places: Vec<Place>,
}

/// What was believed of one place that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    at: Option<Candidate>,
    in_service: bool,
    since_unix_ms: u64,
    reason: Reason,
    /// It was judged as a place of the peer trunk.
    is_peer: bool,
    back_at: Option<Deadline>,
    /// It asked by Retry-After to be left alone until then.
    rests_until: Option<Deadline>,
}

impl Record for Believed {
    const KIND: u8 = 15;

    fn encode(&self, out: &mut Writer<'_>) {
        out.bool(self.is_trunk);
        out.str(&self.name);
        out.str(&self.contact);
        out.u64(self.since_unix_ms);
        let places = u8::try_from(self.places.len()).unwrap_or(u8::MAX);
        out.u8(places);
        self.places.iter().take(usize::from(places)).for_each(|place| place.encode(out));
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let mut believed = Self {
            is_trunk: fields.bool()?,
            name: fields.str()?.into(),
            contact: fields.str()?.into(),
            since_unix_ms: fields.u64()?,
            places: Vec::new(),
        };
        for _ in 0..fields.u8()? {
            believed.places.push(Place::read(fields)?);
        }
        Some(believed)
    }
}

impl Place {
    fn encode(&self, out: &mut Writer<'_>) {
        out.option(self.at, |out, at| {
            put_flow(out, Flow { transport: at.transport, local: 0, remote: at.addr, conn: 0 });
            out.u16(at.priority);
            out.u16(at.weight);
            out.u8(at.record);
        });
        out.bool(self.in_service);
        out.u64(self.since_unix_ms);
        let (code, carried) = self.reason.code();
        out.u8(code);
        out.u16(carried);
        out.bool(self.is_peer);
        out.option(self.back_at, Writer::deadline);
        out.option(self.rests_until, Writer::deadline);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let at = fields.option(|fields| {
            let Flow { transport, remote: addr, .. } = flow(fields)?;
            let (priority, weight, record) = (fields.u16()?, fields.u16()?, fields.u8()?);
            Some(Candidate { transport, addr, priority, weight, record })
        })?;
        Some(Self {
            at,
            in_service: fields.bool()?,
            since_unix_ms: fields.u64()?,
            reason: Reason::of_code(fields.u8()?, fields.u16()?),
            is_peer: fields.bool()?,
            back_at: fields.option(Reader::deadline)?,
            rests_until: fields.option(Reader::deadline)?,
        })
    }

    fn of(at: Option<Candidate>, health: &TrunkHealth, rests_until: Option<Instant>, now: Now) -> Self {
        let Known { in_service, since, reason, back_at, role } = health.known();
        let deadline = |at: Instant| Deadline::after(now.unix_ms, at.saturating_duration_since(now.mono));
        Self {
            at,
            in_service,
            since_unix_ms: written(since, now),
            reason,
            is_peer: role == TrunkRole::Peer,
            back_at: back_at.map(deadline),
            rests_until: rests_until.filter(|until| *until > now.mono).map(deadline),
        }
    }

    /// Where it is; nothing was located yet: nowhere.
    pub(super) fn at(&self) -> Option<Candidate> {
        self.at
    }

    pub(super) fn known(&self, now: Now) -> Known {
        Known {
            in_service: self.in_service,
            since: read(self.since_unix_ms, now),
            reason: self.reason,
            back_at: self.back_at.map(|at| now.instant_of(at)),
            role: if self.is_peer { TrunkRole::Peer } else { TrunkRole::Other },
        }
    }

    /// Until when it is left alone. A clock that was set back makes it no longer than it may be asked for.
    pub(super) fn rests_until(&self, now: Now) -> Option<Instant> {
        let until = self.rests_until.filter(|at| !at.is_past(now.unix_ms))?;
        Some(now.instant_of(until).min(now.mono + MAX_RETRY_AFTER))
    }
}

impl Believed {
    /// Since when it is what it is as a whole.
    pub(super) fn since(&self, now: Now) -> Instant {
        read(self.since_unix_ms, now)
    }
}

fn written(since: Instant, now: Now) -> u64 {
    let ago = u64::try_from(now.mono.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
    now.unix_ms.saturating_sub(ago)
}

fn read(unix_ms: u64, now: Now) -> Instant {
    let ago = Duration::from_millis(now.unix_ms.saturating_sub(unix_ms));
    now.mono.checked_sub(ago).unwrap_or(now.mono)
}

/// A place as it is now: where it is, what is believed of it, and until when it asked to be left alone.
type SeenPlace<'a> = (Option<Candidate>, &'a TrunkHealth, Option<Instant>);

/// A device as it is now, as far as it is worth a record.
#[derive(Clone, Debug)]
pub(super) struct Seen<'a> {
    pub(super) is_trunk: bool,
    pub(super) name: &'a Arc<str>,
    pub(super) contact: &'a str,
    pub(super) since: Instant,
    pub(super) places: SmallVec<[SeenPlace<'a>; 2]>,
}

impl<'a> Seen<'a> {
    pub(super) fn place(target: &'a Target) -> SeenPlace<'a> {
        (target.at, &target.health, target.rests_until)
    }

    /// Whether nothing has become of it since it was configured.
    fn is_blank(&self) -> bool {
        let blank =
            |(_, health, rests): &SeenPlace<'_>| health.reason() == Reason::Started && rests.is_none();
        self.places.iter().all(blank)
    }

    fn marks(&self) -> Vec<Mark> {
        let of = |(at, health, rests): &SeenPlace<'_>| {
            let known = health.known();
            Mark {
                at: at.map(|at| (at.transport, at.addr)),
                in_service: known.in_service,
                since: known.since,
                is_silent: known.reason.is_silence(),
                rests: *rests,
            }
        };
        let mut marks: Vec<Mark> = self.places.iter().map(of).collect();
        // Servers of equal rank are told in whatever order.
        marks.sort_by_key(|mark| mark.at);
        marks
    }

    fn believed(&self, now: Now) -> Believed {
        let place = |(at, health, rests): &SeenPlace<'_>| Place::of(*at, health, *rests, now);
        Believed {
            is_trunk: self.is_trunk,
            name: Arc::clone(self.name),
            contact: self.contact.into(),
            since_unix_ms: written(self.since, now),
            places: self.places.iter().map(place).collect(),
        }
    }
}

/// What a record follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    at: Option<(Transport, SocketAddr)>,
    in_service: bool,
    since: Instant,
    is_silent: bool,
    rests: Option<Instant>,
}

/// By how much a place asks to be left alone for longer before that is stored: calls that were on their way to it are all
/// refused with nearly the same wish.
const REST_STEP: Duration = Duration::from_secs(1);

impl Mark {
    fn is_news_after(&self, stored: &Self) -> bool {
        let rests_longer = match (stored.rests, self.rests) {
            (Some(stored), Some(now)) => now > stored + REST_STEP,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        rests_longer || Self { rests: None, ..*self } != Self { rests: None, ..*stored }
    }
}

#[derive(Debug)]
struct Kept {
    record: Replicated<Believed>,
    marks: Vec<Mark>,
}

/// The records of a node's devices: one each at most.
#[derive(Debug, Default)]
pub(super) struct Beliefs {
    kept: BTreeMap<(bool, Arc<str>), Kept>,
    /// Of these something may have to be stored.
    turned: BTreeSet<Device>,
    /// The configuration is another one: some may be gone.
    pruned: bool,
}

impl Beliefs {
    pub(super) fn turned(&mut self, device: Device) {
        self.turned.insert(device);
    }

    /// The configuration is another one: any device may have to be stored, or is gone.
    pub(super) fn adopted(&mut self, devices: impl Iterator<Item = Device>) {
        self.turned = devices.collect();
        self.pruned = true;
    }

    /// Whether there is nothing to store.
    pub(super) fn are_settled(&self) -> bool {
        self.turned.is_empty() && !self.pruned
    }

    /// The devices of which something may have to be stored.
    pub(super) fn take_turned(&mut self) -> BTreeSet<Device> {
        std::mem::take(&mut self.turned)
    }

    /// Stores what is seen of a device if that is news.
    pub(super) fn keep(&mut self, seen: &Seen<'_>, now: Now, log: &mut ChangeLog, next_record: &mut u64) {
        let marks = seen.marks();
        let key = (seen.is_trunk, Arc::clone(seen.name));
        match self.kept.get_mut(&key) {
            Some(kept) => {
                let same = kept.marks.len() == marks.len() && *kept.record.contact == *seen.contact;
                let is_news = |(now, stored): (&Mark, &Mark)| now.is_news_after(stored);
                if !same || marks.iter().zip(&kept.marks).any(is_news) {
                    kept.record.update(log, |record| *record = seen.believed(now));
                    kept.marks = marks;
                }
            }
            None if seen.is_blank() => {}
            None => {
                *next_record += 1;
                let record = Replicated::create(*next_record, seen.believed(now), log);
                self.kept.insert(key, Kept { record, marks });
            }
        }
    }

    /// Deletes the records of devices that are no more, if the configuration is another one.
    pub(super) fn prune(&mut self, is_there: impl Fn(bool, &str) -> bool, log: &mut ChangeLog) {
        if std::mem::take(&mut self.pruned) {
            let gone = self.kept.extract_if(.., |(is_trunk, name), _| !is_there(*is_trunk, name));
            gone.for_each(|(_, kept)| drop(kept.record.delete(log)));
        }
    }

    /// Takes up a record. `None`: it cannot be read. `Some(None)`: there is one of the device already.
    pub(super) fn read(&self, change: &Change, log: &mut ChangeLog) -> Option<Option<Replicated<Believed>>> {
        let record = Replicated::<Believed>::restore(change)?;
        if self.kept.contains_key(&(record.is_trunk, Arc::clone(&record.name))) {
            record.delete(log);
            return Some(None);
        }
        Some(Some(record))
    }

    /// The device of this record is there, and is seen so now.
    pub(super) fn took_up(&mut self, record: Replicated<Believed>, seen: &Seen<'_>) {
        let key = (record.is_trunk, Arc::clone(&record.name));
        self.kept.insert(key, Kept { record, marks: seen.marks() });
    }

    /// How many devices there are records of.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "no other origin for a monotonic clock")]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn place() -> Place {
        let addr = "10.0.0.9:5070".parse().unwrap();
        Place {
            at: Some(Candidate { transport: Transport::Tls, addr, priority: 10, weight: 5, record: 3 }),
            in_service: false,
            since_unix_ms: 1_000,
            reason: Reason::ProbeRefused(503),
            is_peer: true,
            back_at: Some(Deadline::at_unix_ms(9_000)),
            rests_until: Some(Deadline::at_unix_ms(8_000)),
        }
    }

    fn stored(believed: &Believed) -> Vec<u8> {
        let mut out = BytesMut::new();
        out.extend_from_slice(&[Believed::VERSION]);
        believed.encode(&mut Writer::new(&mut out));
        out.to_vec()
    }

    #[test]
    fn a_record_gives_back_what_was_believed_and_a_damaged_one_no_more_than_it_is() {
        let nowhere = Place { at: None, back_at: None, rests_until: None, ..place() };
        let believed = Believed {
            is_trunk: true,
            name: "gw".into(),
            contact: "sip:gw.example".into(),
            since_unix_ms: 900,
            places: vec![place(), nowhere],
        };
        let whole = stored(&believed);
        assert_eq!(Believed::decode(&whole), Some(believed));
        for end in 0..whole.len() {
            assert_eq!(Believed::decode(whole.get(..end).unwrap()), None, "cut at {end}");
        }
    }

    #[test]
    fn moments_come_back_relative_to_the_clock_of_the_process_that_reads_them() {
        let now = Now { mono: Instant::now(), unix_ms: 5_000 };
        let known = place().known(now);
        assert_eq!(now.mono.duration_since(known.since), Duration::from_secs(4));
        assert_eq!(known.back_at, Some(now.mono + Duration::from_secs(4)));
        assert_eq!(place().rests_until(now), Some(now.mono + Duration::from_secs(3)));
        assert_eq!(place().rests_until(Now { unix_ms: 8_000, ..now }), None, "its time is over");
        let set_back = Now { unix_ms: 0, ..now };
        let early = Place { rests_until: Some(Deadline::at_unix_ms(900_000)), ..place() };
        assert_eq!(
            early.rests_until(set_back),
            Some(now.mono + MAX_RETRY_AFTER),
            "a clock that was set back"
        );
        assert_eq!(early.known(set_back).since, now.mono);
    }
}
