//! A configuration in short: a digest of each key, so that two servers find out which keys differ without telling each
//! other any value.
//!
//! A digest of a weak password can be guessed by whoever has it. Digests therefore go to nobody but servers of the same
//! group, which have the same passwords to begin with, and only over a link that both ends have proven; a witness gets
//! none, and neither does a log.
//!
//! The keys are spread over parts by their names. Two servers compare the whole first, then the parts, then the keys in
//! parts that differ, so that nothing long stands in the way of heartbeats, however many Extensions there are.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};

use crate::config::{self, ConfigError, Origin};
use crate::limits::{MAX_DIFFERING, MAX_EXCERPT};

/// Parts of a summary. The keys of tables that stand once are all in the first: they are told before others.
pub(super) const SLOTS: usize = 512;

/// The front of a SHA-256.
pub type Digest = [u8; 16];

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// In the order of the parts, and of the names in each.
    entries: Vec<Entry>,
    parts: Vec<Digest>,
    whole: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    slot: u16,
    name: Box<str>,
    digest: Digest,
}

/// What another server has in parts that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Parts of which everything is told.
    slots: Vec<u16>,
    /// Other parts differ, too.
    more: bool,
    entries: Vec<Entry>,
}

impl Summary {
    /// Of the configuration as its files say it now.
    ///
    /// # Errors
    /// The files cannot be read.
    pub fn read(origin: &Origin) -> Result<Self, ConfigError> {
        Ok(Self::new(config::compared(origin)?))
    }

    /// Of keys and the digests of what they hold. The names of entries of arrays begin with `[[`.
    pub fn new(keys: impl IntoIterator<Item = (String, [u8; 32])>) -> Self {
        let entry = |(name, value): (String, [u8; 32])| {
            let digest = front(Sha256::new().chain_update(&name).chain_update([0]).chain_update(value));
            Entry { slot: slot(&name), name: name.into(), digest }
        };
        let mut entries: Vec<Entry> = keys.into_iter().map(entry).collect();
        entries.sort_unstable();
        let mut hashes = vec![Sha256::new(); SLOTS];
        for entry in &entries {
            if let Some(hash) = hashes.get_mut(usize::from(entry.slot)) {
                hash.update(entry.digest);
            }
        }
        let parts: Vec<Digest> = hashes.into_iter().map(front).collect();
        let whole = front(Sha256::new().chain_update(parts.concat()));
        Self { entries, parts, whole }
    }

    pub(super) fn whole(&self) -> Digest {
        self.whole
    }

    pub(super) fn parts(&self) -> &[Digest] {
        &self.parts
    }

    fn part(&self, slot: u16) -> &[Entry] {
        let begin = self.entries.partition_point(|entry| entry.slot < slot);
        let end = self.entries.partition_point(|entry| entry.slot <= slot);
        self.entries.get(begin..end).unwrap_or_default()
    }

    /// What another needs to know to see where this one differs; as much as may be told at once.
    pub(super) fn excerpt(&self, theirs: &[Digest]) -> Excerpt {
        let mut excerpt = Excerpt::default();
        let mut bytes = 0;
        for ((slot, ours), theirs) in (0u16..).zip(&self.parts).zip(theirs) {
            if ours == theirs {
                continue;
            }
            let part = self.part(slot);
            bytes += part.iter().map(Entry::length).sum::<usize>();
            if bytes > MAX_EXCERPT {
                excerpt.more = true;
                break;
            }
            excerpt.slots.push(slot);
            excerpt.entries.extend_from_slice(part);
        }
        excerpt
    }

    /// The names of keys that differ, or that only one of the two has.
    pub(super) fn differing(&self, theirs: &Excerpt) -> Vec<String> {
        let mut found = Vec::new();
        let mut more = theirs.more;
        for slot in &theirs.slots {
            let ours = self.part(*slot).iter();
            let others = theirs.entries.iter().filter(|entry| entry.slot == *slot);
            let mut keys: BTreeMap<&str, (Option<Digest>, Option<Digest>)> = BTreeMap::new();
            ours.for_each(|entry| keys.entry(&entry.name).or_default().0 = Some(entry.digest));
            others.for_each(|entry| keys.entry(&entry.name).or_default().1 = Some(entry.digest));
            let differ = keys.into_iter().filter(|(_, (ours, theirs))| ours != theirs);
            found.extend(differ.map(|(name, _)| name.to_owned()));
        }
        found.sort_by_key(|name| (is_of_array(name), name.clone()));
        more |= found.len() > MAX_DIFFERING;
        found.truncate(MAX_DIFFERING);
        if more || found.is_empty() {
            found.push(FURTHER.to_owned());
        }
        found
    }
}

/// Stands behind the keys that are named when there are more.
pub(super) const FURTHER: &str = "further keys";

impl Entry {
    /// Bytes in an excerpt.
    fn length(&self) -> usize {
        size_of::<u16>() * 2 + self.name.len() + size_of::<Digest>()
    }
}

impl Excerpt {
    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.more.into());
        out.put_u16(u16::try_from(self.slots.len()).unwrap_or(u16::MAX));
        self.slots.iter().for_each(|slot| out.put_u16(*slot));
        for entry in &self.entries {
            out.put_u16(entry.slot);
            out.put_u16(u16::try_from(entry.name.len()).unwrap_or(u16::MAX));
            out.put_slice(entry.name.as_bytes());
            out.put_slice(&entry.digest);
        }
    }

    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let more = bytes.try_get_u8().ok()? != 0;
        let count = bytes.try_get_u16().ok().filter(|count| usize::from(*count) <= SLOTS)?;
        let slots: Vec<u16> = (0..count).map(|_| bytes.try_get_u16().ok()).collect::<Option<_>>()?;
        let mut entries = Vec::new();
        while bytes.has_remaining() {
            let slot = bytes.try_get_u16().ok()?;
            let length = usize::from(bytes.try_get_u16().ok()?);
            if bytes.len() < length + size_of::<Digest>() {
                return None;
            }
            let name = bytes.split_to(length);
            let name = std::str::from_utf8(&name).ok().filter(|name| !name.chars().any(char::is_control))?;
            let digest = Digest::try_from(bytes.split_to(size_of::<Digest>()).as_ref()).ok()?;
            entries.push(Entry { slot, name: name.into(), digest });
        }
        Some(Self { slots, more, entries })
    }
}

fn is_of_array(name: &str) -> bool {
    name.starts_with("[[")
}

fn slot(name: &str) -> u16 {
    if !is_of_array(name) {
        return 0;
    }
    let [high, low, ..] = front(Sha256::new().chain_update(name));
    let others = u16::try_from(SLOTS - 1).unwrap_or(1);
    1 + u16::from_be_bytes([high, low]) % others
}

fn front(hash: Sha256) -> Digest {
    let whole: [u8; 32] = hash.finalize().into();
    let mut front = Digest::default();
    front.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, value: u8) -> (String, [u8; 32]) {
        (name.to_owned(), [value; 32])
    }

    fn extensions(count: u32) -> impl Iterator<Item = (String, [u8; 32])> {
        (0..count).map(|n| key(&format!("[[extension]] {n}"), 0))
    }

    /// What the one learns of the other, by what goes over a link.
    fn found(ours: &Summary, theirs: &Summary) -> Vec<String> {
        let mut told = BytesMut::new();
        theirs.excerpt(ours.parts()).encode(&mut told);
        assert!(told.len() <= crate::limits::MAX_MEMBER_WORD, "{}", told.len());
        ours.differing(&Excerpt::decode(told.freeze()).unwrap())
    }

    #[test]
    fn keys_that_differ_or_stand_at_one_only_are_named() {
        let common = || extensions(2_000).chain([key("[TServer] sip-port", 1)]);
        let one = Summary::new(common().chain([key("[guard] deny", 1), key("[application] realm", 1)]));
        let other =
            Summary::new(common().chain([key("[application] realm", 2), key("[[extension]] 2000", 0)]));
        assert_ne!(one.whole(), other.whole());
        let wanted = ["[application] realm", "[guard] deny", "[[extension]] 2000"];
        assert_eq!(
            (found(&one, &other), found(&other, &one)),
            (wanted.map(String::from).to_vec(), wanted.map(String::from).to_vec())
        );
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let mut keys: Vec<_> = extensions(100).collect();
        let one = Summary::new(keys.clone());
        keys.reverse();
        assert_eq!(one, Summary::new(keys));
    }

    #[test]
    fn one_extension_among_a_hundred_thousand_is_found() {
        let one = Summary::new(extensions(100_000));
        let other = Summary::new(extensions(100_000).chain([key("[[extension]] 77777-77777", 0)]));
        assert_eq!(found(&one, &other), ["[[extension]] 77777-77777"]);
    }

    #[test]
    fn of_a_hundred_thousand_that_one_lacks_some_are_named_behind_the_keys_of_tables() {
        let one = Summary::new(extensions(100_000).chain([key("[application] realm", 1)]));
        let other = Summary::new([key("[application] realm", 2)]);
        let found = found(&one, &other);
        assert_eq!(found.len(), MAX_DIFFERING + 1);
        assert_eq!(found.first().map(String::as_str), Some("[application] realm"));
        assert_eq!(found.last().map(String::as_str), Some(FURTHER));
    }

    #[test]
    fn a_difference_is_never_kept_silent_because_it_is_too_long_to_tell() {
        let (long, value) = ("x".repeat(MAX_EXCERPT), 1);
        let other = Summary::new([key(&long, value)]);
        assert_eq!(found(&Summary::new([]), &other), [FURTHER]);
    }
}
