//! A call as the T-Library sees it, and what is stored of it. A call is stored from its first answer on: before that
//! the dialogs beneath are not stored either, and a restart ends them.

use std::sync::Arc;

use smallvec::SmallVec;
use tandem_cti::{CallType, DnRole, KvList, PartyState};
use tandem_peer::replica::{Reader, Record, Writer};

use super::data;
use super::party::{Leg, Party};
use crate::arena::Key;
use crate::call::LegNo;
use crate::limits::MAX_PARTIES;

/// One ConnID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TCall {
    /// `ConnID`.
    pub conn: u64,
    /// `CallUUID` of the call beneath that was its first.
    pub uuid: u128,
    /// `CallType`.
    pub kind: CallType,
    /// Calling number.
    pub ani: Box<str>,
    /// Number that was dialled first.
    pub dnis: Box<str>,
    /// Number where it goes now.
    pub dialled: Arc<str>,
    /// User data.
    pub user_data: KvList,
    /// Queue or routing point that it came through last.
    pub queue: Option<Arc<str>>,
    /// Where it waits now.
    pub waits: Option<Arc<str>>,
    /// DN to which the queue offers it now.
    pub offered: Option<Arc<str>>,
    /// The call that this one consults about.
    pub previous: Option<u64>,
    /// It came through a queue or routing point.
    pub business: bool,
    /// Its parties meet in the mixer.
    pub conference: bool,
    /// Who transferred it in one step; the one who answers next is told.
    pub mover: Option<Arc<str>>,
    /// Parties, in the order in which they came.
    pub parties: SmallVec<[Party; 2]>,
    /// Calls beneath, with their `CallUUID`.
    pub keys: SmallVec<[(Key, u128); 1]>,
    /// Who left last: whoever talks on alone had him. Not stored.
    pub gone: Option<(Arc<str>, DnRole)>,
    /// Latest status that a leg failed with. Not stored.
    pub status: u16,
    /// `CallUUID`s of calls beneath, as a record names them until their keys are known again.
    pub(super) beneath: Vec<(usize, usize, u128)>,
}

impl TCall {
    /// The party at a leg.
    #[must_use]
    pub fn at_leg(&self, key: Key, no: LegNo) -> Option<usize> {
        self.parties.iter().position(|party| party.has(key, no))
    }

    /// The party of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<usize> {
        self.parties.iter().position(|party| *party.name == *name)
    }

    /// The other party of one: none in a conference of more than two.
    #[must_use]
    pub fn other(&self, than: usize) -> Option<&Party> {
        let last = self.counterpart(than)?;
        (!self.conference || self.parties.len() <= 2).then_some(last)
    }

    /// The one who called, while he waits to be answered.
    #[must_use]
    pub fn dialling(&self) -> Option<usize> {
        self.parties.iter().position(|party| party.state == PartyState::Dialing)
    }

    /// The party that is being called now, by name.
    #[must_use]
    pub fn called(&self, name: &str) -> Option<usize> {
        self.parties.iter().position(|party| party.is_called() && *party.name == *name)
    }

    /// Whether anybody has answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.parties.iter().any(Party::talks)
    }
}

impl Record for TCall {
    const KIND: u8 = 4;

    fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.conn);
        out.bytes(&self.uuid.to_be_bytes());
        out.u8(kind_byte(self.kind));
        out.str(&self.ani);
        out.str(&self.dnis);
        out.str(&self.dialled);
        data::encode(&self.user_data, out);
        out.option(self.queue.as_deref(), Writer::str);
        out.option(self.waits.as_deref(), Writer::str);
        out.option(self.offered.as_deref(), Writer::str);
        out.option(self.previous, Writer::u64);
        out.bool(self.business);
        out.bool(self.conference);
        out.option(self.mover.as_deref(), Writer::str);
        out.u8(u8::try_from(self.parties.len()).unwrap_or(u8::MAX));
        for (place, party) in self.parties.iter().enumerate() {
            self.encode_party(place, party, out);
        }
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let mut call = Self {
            conn: fields.u64()?,
            uuid: uuid(fields)?,
            kind: kind_of(fields.u8()?)?,
            ani: fields.str()?.into(),
            dnis: fields.str()?.into(),
            dialled: fields.str()?.into(),
            user_data: data::decode(fields)?,
            queue: name(fields)?,
            waits: name(fields)?,
            offered: name(fields)?,
            previous: fields.option(Reader::u64)?,
            business: fields.bool()?,
            conference: fields.bool()?,
            mover: name(fields)?,
            parties: SmallVec::new(),
            keys: SmallVec::new(),
            gone: None,
            status: 0,
            beneath: Vec::new(),
        };
        let count = usize::from(fields.u8()?);
        if count > MAX_PARTIES {
            return None;
        }
        for place in 0..count {
            let party = call.decode_party(place, fields)?;
            call.parties.push(party);
        }
        Some(call)
    }
}

impl TCall {
    fn encode_party(&self, place: usize, party: &Party, out: &mut Writer<'_>) {
        out.str(&party.name);
        out.bool(party.inside);
        out.u8(role_byte(party.role));
        out.u8(state_byte(party.state));
        out.bool(party.told);
        out.option(party.queue.as_deref(), Writer::str);
        out.u8(u8::try_from(party.legs.len()).unwrap_or(u8::MAX));
        for (number, leg) in party.legs.iter().enumerate() {
            out.bytes(&self.uuid_of(place, number, leg).to_be_bytes());
            out.u8(leg.no);
            out.bool(leg.rings);
        }
    }

    fn uuid_of(&self, place: usize, number: usize, leg: &Leg) -> u128 {
        let known = leg.at.and_then(|at| self.keys.iter().find(|(key, _)| *key == at));
        let stored = || self.beneath.iter().find(|(p, n, _)| (*p, *n) == (place, number));
        known.map(|(_, uuid)| *uuid).or_else(|| stored().map(|(_, _, uuid)| *uuid)).unwrap_or_default()
    }

    fn decode_party(&mut self, place: usize, fields: &mut Reader<'_>) -> Option<Party> {
        let mut party = Party {
            name: fields.str()?.into(),
            inside: fields.bool()?,
            role: role_of(fields.u8()?)?,
            state: state_of(fields.u8()?)?,
            told: fields.bool()?,
            queue: name(fields)?,
            legs: SmallVec::new(),
        };
        for number in 0..usize::from(fields.u8()?) {
            self.beneath.push((place, number, uuid(fields)?));
            party.legs.push(Leg { at: None, no: fields.u8()?, rings: fields.bool()? });
        }
        Some(party)
    }

    /// Finds the calls beneath again after a restart. Legs of calls that did not come back are gone, and so is a party
    /// that has none left. Whether any are.
    pub(super) fn find_again(&mut self, key_of: &dyn Fn(u128) -> Option<Key>) -> bool {
        let mut lost = false;
        for (place, number, uuid) in std::mem::take(&mut self.beneath) {
            let Some(leg) = self.parties.get_mut(place).and_then(|party| party.legs.get_mut(number)) else {
                continue;
            };
            leg.at = key_of(uuid);
            lost |= leg.at.is_none();
            if let Some(key) = leg.at
                && !self.keys.iter().any(|(known, _)| *known == key)
            {
                self.keys.push((key, uuid));
            }
        }
        for party in &mut self.parties {
            party.legs.retain(|leg| leg.at.is_some());
        }
        self.parties.retain(|party| !party.legs.is_empty());
        lost
    }
}

fn uuid(fields: &mut Reader<'_>) -> Option<u128> {
    Some(u128::from_be_bytes(fields.bytes()?.try_into().ok()?))
}

fn name(fields: &mut Reader<'_>) -> Option<Option<Arc<str>>> {
    fields.option(|fields| fields.str().map(Arc::from))
}

/// The byte of a word in a record, and back.
macro_rules! bytes {
    ($to:ident $from:ident $type:ty { $($variant:ident = $byte:literal,)* }) => {
        fn $to(word: $type) -> u8 {
            match word { $(<$type>::$variant => $byte,)* }
        }

        fn $from(byte: u8) -> Option<$type> {
            match byte { $($byte => Some(<$type>::$variant),)* _ => None }
        }
    };
}

bytes! { kind_byte kind_of CallType { Unknown = 0, Internal = 1, Inbound = 2, Outbound = 3, Consult = 4, } }
bytes! { role_byte role_of DnRole {
    Origination = 0, Destination = 1, ConferenceMember = 2, NewParty = 3, RoleNone = 4,
} }
bytes! { state_byte state_of PartyState {
    Dialing = 0, Queued = 1, Alerting = 2, Busy = 3, Connected = 4, Held = 5, Failed = 6,
} }
