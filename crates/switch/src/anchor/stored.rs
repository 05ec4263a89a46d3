//! What survives of an anchored leg: enough to go on describing it to the same session of the same media server. The
//! leg's dialog survives with its call; which call that is follows from the names of the dialog.
//!
//! A device that made the dialog itself is stored as soon as there is a session, for it may wait in a queue; one that
//! was called once it has answered, for whoever rings is called anew.

use tandem_peer::replica::{Reader, Record, Writer};
use tandem_peer::{ChangeLog, Replicated};
use tandem_sip::Direction;

use super::leg::Anchor;
use super::music::Music;
use super::order::{AnchorId, AnchorOrder, End, Profile, Seat, Speaks};
use super::roles::Roles;
use crate::arena::Key;
use crate::ids::Tag;
use crate::stored::{address, code_of, put_address};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub(super) call_id: Box<[u8]>,
    pub(super) tag: Box<[u8]>,
    pub(super) own: Option<Tag>,
    pub(super) profile: Profile,
    pub(super) seat: Seat,
    /// The device made the dialog.
    pub(super) came: bool,
    pub(super) confirmed: bool,
    pub(super) agreed: bool,
    pub(super) roles: Roles,
    pub(super) session: u64,
    pub(super) versions: [u64; 2],
    pub(super) music: Music,
}

const ENDS: [End; 2] = [End::Far, End::Near];
const SPEAKS: [Speaks; 2] = [Speaks::Rtp, Speaks::WebRtc];
const WAYS: [Direction; 4] =
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

pub(super) fn put_end(out: &mut Writer<'_>, end: End) {
    out.u8(code_of(&ENDS, &end));
}

pub(super) fn end(fields: &mut Reader<'_>) -> Option<End> {
    ENDS.get(usize::from(fields.u8()?)).copied()
}

pub(super) fn put_way(out: &mut Writer<'_>, way: Direction) {
    out.u8(code_of(&WAYS, &way));
}

pub(super) fn way(fields: &mut Reader<'_>) -> Option<Direction> {
    WAYS.get(usize::from(fields.u8()?)).copied()
}

impl Kept {
    /// Call-ID of its dialog.
    pub(crate) fn call_id(&self) -> &[u8] {
        &self.call_id
    }

    /// Our tag in the dialog.
    pub(crate) fn own(&self) -> Option<Tag> {
        self.own
    }
}

impl Record for Kept {
    const KIND: u8 = 18;

    fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(&self.call_id);
        out.bytes(&self.tag);
        out.option(self.own, |out, tag| out.u64(tag.0));
        out.u8(code_of(&SPEAKS, &self.profile.speaks));
        out.option(self.profile.network.as_deref(), Writer::str);
        out.str(&self.seat.name);
        put_address(out, self.seat.engine);
        out.bool(self.came);
        out.bool(self.confirmed);
        out.bool(self.agreed);
        self.roles.encode(out);
        out.u64(self.session);
        self.versions.into_iter().for_each(|version| out.u64(version));
        self.music.encode(out);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            call_id: fields.bytes()?.into(),
            tag: fields.bytes()?.into(),
            own: fields.option(|fields| fields.u64().map(Tag))?,
            profile: Profile {
                speaks: *SPEAKS.get(usize::from(fields.u8()?))?,
                network: fields.option(|fields| fields.str().map(Into::into))?,
            },
            seat: Seat { name: fields.str()?.into(), engine: address(fields)? },
            came: fields.bool()?,
            confirmed: fields.bool()?,
            agreed: fields.bool()?,
            roles: Roles::read(fields)?,
            session: fields.u64()?,
            versions: [fields.u64()?, fields.u64()?],
            music: Music::read(fields)?,
        })
    }
}

impl Anchor {
    /// What is to be stored; `None` while another process could do nothing with it.
    fn as_kept(&self) -> Option<Kept> {
        let seat = self.seat.clone().filter(|_| self.ended.is_none() && (self.came || self.confirmed))?;
        Some(Kept {
            call_id: self.call_id.clone(),
            tag: self.tag.clone(),
            own: self.own,
            profile: self.profile.clone(),
            seat,
            came: self.came,
            confirmed: self.confirmed,
            agreed: self.agreed,
            roles: self.roles.clone(),
            session: self.session,
            versions: self.versions,
            music: self.music.settled(),
        })
    }

    /// Brings the record up to date.
    pub(super) fn keep(&mut self, log: &mut ChangeLog, next_record: &mut u64) {
        match (self.as_kept(), &mut self.kept) {
            (Some(value), Some(kept)) if **kept == value => {}
            (Some(value), Some(kept)) => kept.update(log, |kept| *kept = value),
            (Some(value), None) => {
                *next_record += 1;
                self.kept = Some(Replicated::create(*next_record, value, log));
            }
            (None, _) => {
                if let Some(kept) = self.kept.take() {
                    kept.delete(log);
                }
            }
        }
    }

    /// The leg of this record, which is in this call.
    pub(super) fn restored(id: AnchorId, call: Key, kept: Replicated<Kept>) -> Self {
        let mut leg = Self::new(id, call, [&kept.call_id, &kept.tag], kept.profile.clone());
        (leg.own, leg.seat) = (kept.own, Some(kept.seat.clone()));
        (leg.came, leg.confirmed, leg.agreed) = (kept.came, kept.confirmed, kept.agreed);
        (leg.roles, leg.music) = (kept.roles.clone(), kept.music.clone());
        (leg.session, leg.versions) = (kept.session, kept.versions);
        leg.kept = Some(kept);
        leg
    }
}

/// The session of this record is taken up.
pub(super) fn take_up(id: AnchorId, kept: &Kept) -> AnchorOrder {
    AnchorOrder::TakeUp { id, seat: kept.seat.clone(), answered: kept.agreed, music: kept.music.playing() }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn kept() -> Kept {
        Kept {
            call_id: b"c@h"[..].into(),
            tag: b"t"[..].into(),
            own: Some(Tag(7)),
            profile: Profile { speaks: Speaks::WebRtc, network: Some("outside".into()) },
            seat: Seat { name: "tandem-1-a7".into(), engine: "[::1]:22222".parse().unwrap() },
            came: true,
            confirmed: false,
            agreed: true,
            roles: super::super::roles::tests::roles(),
            session: 4,
            versions: [2, 3],
            music: super::super::music::tests::playing(),
        }
    }

    #[test]
    fn an_anchored_leg_comes_back_as_it_was_and_a_damaged_record_is_refused_or_read() {
        let mut out = BytesMut::from(&[1_u8][..]);
        kept().encode(&mut Writer::new(&mut out));
        assert_eq!(Kept::decode(&out), Some(kept()));
        for end in 0..out.len() {
            assert_eq!(Kept::decode(out.get(..end).unwrap()), None, "cut at {end}");
        }
        for place in 0..out.len() {
            let mut damaged = out.clone();
            if let Some(byte) = damaged.get_mut(place) {
                *byte ^= 0x55;
            }
            let _ = Kept::decode(&damaged);
        }
    }
}
