//! A call's place in a queue or at a routing point, and its stored form.

use std::sync::Arc;

use tandem_peer::replica::{Reader, Record, Writer};

use crate::limits::MAX_WANTED_SKILLS;

/// What must survive of a call that waits. It is the same while the call rings at an agent: an offer that comes to
/// nothing leaves it where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The call.
    pub conn: u64,
    /// Number of the queue or routing point.
    pub at: Arc<str>,
    /// When it came to the first queue that it overflowed from, or else to this one, ms since the Unix epoch. It is
    /// sorted by this.
    pub since_unix_ms: u64,
    /// When it came to this one, ms since the Unix epoch. `max-wait` counts from here.
    pub entered_unix_ms: u64,
    /// Its own priority, higher first.
    pub priority: i32,
    /// Further skills that it wants, with minimum levels; by name, none twice.
    pub skills: Vec<(Arc<str>, u32)>,
}

impl Record for Place {
    const KIND: u8 = 5;

    fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.conn);
        out.str(&self.at);
        out.u64(self.since_unix_ms);
        out.u64(self.entered_unix_ms);
        out.u32(self.priority.cast_unsigned());
        out.u32(u32::try_from(self.skills.len()).unwrap_or(u32::MAX));
        for (name, level) in &self.skills {
            out.str(name);
            out.u32(*level);
        }
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let mut place = Self {
            conn: fields.u64()?,
            at: fields.str()?.into(),
            since_unix_ms: fields.u64()?,
            entered_unix_ms: fields.u64()?,
            priority: fields.u32()?.cast_signed(),
            skills: Vec::new(),
        };
        let count = usize::try_from(fields.u32()?).ok()?;
        if count > MAX_WANTED_SKILLS {
            return None;
        }
        for _ in 0..count {
            place.skills.push((fields.str()?.into(), fields.u32()?));
        }
        place.skills.is_sorted_by(|(a, _), (b, _)| a < b).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use tandem_peer::ChangeLog;
    use tandem_peer::Replicated;
    use tandem_peer::replica::Op;

    use super::*;

    fn bytes_of(place: Place) -> Bytes {
        let mut log = ChangeLog::new(1, 1);
        let kept = Replicated::create(1, place, &mut log);
        let change = log.take_batch().unwrap().changes().next().unwrap();
        drop(kept);
        let Op::Put(bytes) = change.op else { panic!("a value") };
        bytes
    }

    prop_compose! {
        fn place()(
            conn: u64, at in "[0-9]{1,8}", since_unix_ms: u64, entered_unix_ms: u64, priority: i32,
            skills in prop::collection::btree_map("[a-zß]{1,9}", any::<u32>(), 0..MAX_WANTED_SKILLS),
        ) -> Place {
            let skills = skills.into_iter().map(|(name, level)| (name.into(), level)).collect();
            Place { conn, at: at.into(), since_unix_ms, entered_unix_ms, priority, skills }
        }
    }

    proptest! {
        #[test]
        fn a_place_comes_back_as_it_was_stored(place in place()) {
            prop_assert_eq!(Place::decode(&bytes_of(place.clone())), Some(place));
        }

        #[test]
        fn damaged_bytes_are_refused_or_make_a_place_that_stores_alike(
            place in place(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let mut bytes = bytes_of(place).to_vec();
            prop_assert_eq!(Place::decode(&bytes[..cut.index(bytes.len())]), None);
            // The first byte says which version wrote them: a newer one's further fields are passed over.
            let at = 1 + at.index(bytes.len() - 1);
            bytes[at] = byte;
            if let Some(other) = Place::decode(&bytes) {
                prop_assert_eq!(bytes_of(other), bytes);
            }
        }
    }

    #[test]
    fn skills_out_of_order_or_twice_are_refused() {
        let skill = |name: &str| (Arc::from(name), 1);
        for skills in [vec![skill("b"), skill("a")], vec![skill("a"), skill("a")]] {
            let place = Place {
                conn: 1,
                at: "800".into(),
                since_unix_ms: 1,
                entered_unix_ms: 2,
                priority: -3,
                skills,
            };
            assert_eq!(Place::decode(&bytes_of(place)), None);
        }
    }
}
