//! What a backup knows of a client: three kinds of records, split by how often they change.
//!
//! Who the client is changes hardly ever, the number of its stream with every event, and a supervisor's registrations come
//! by the thousand. In one record each event of a client with 10,000 DNs would write some 100 KB, and so would each of its
//! registrations. Apart, an event writes 45 bytes for each client that hears it, up to 88 more for one that makes requests,
//! and a registration some 55 bytes.

use std::sync::Arc;

use tandem_cti::{RegisterMode, Role};
use tandem_peer::replica::{Reader, Record, Writer};

use crate::cti::SessionId;
use crate::limits::MAX_STORED_ANSWERS;

/// Who a session belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What the client shows to continue the session.
    pub token: u128,
    /// User name.
    pub person: Arc<str>,
    /// Role.
    pub role: Role,
    /// What the client says it is.
    pub application: Box<str>,
    /// When the session was opened, ms since the Unix epoch.
    pub since_unix_ms: u64,
}

/// How far its stream has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// `EventSequenceNumber` of the last event; 0 before the first.
    pub last: u64,
    /// The latest requests that were answered, oldest first.
    pub answered: Vec<Brief>,
}

/// The gist of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    /// `ReferenceID` of the request.
    pub reference_id: u32,
    /// `EventSequenceNumber` of the answer.
    pub sequence: u64,
    /// When it was given, ms since the Unix epoch.
    pub unix_ms: u64,
    /// `ErrorCode`; 0 if it was no error.
    pub code: u16,
}

/// A DN that a session has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The session.
    pub session: SessionId,
    /// The DN.
    pub dn: Arc<str>,
    /// How.
    pub mode: RegisterMode,
}

const ROLES: [Role; 4] = [Role::Agent, Role::RoutingApplication, Role::Supervisor, Role::Administrator];
const MODES: [RegisterMode; 3] = [RegisterMode::Share, RegisterMode::Private, RegisterMode::Monitor];

fn code_of<T: PartialEq>(all: &[T], value: &T) -> u8 {
    (0u8..).zip(all).find(|(_, known)| *known == value).map_or(0, |(code, _)| code)
}

impl Record for Identity {
    const KIND: u8 = 6;

    fn encode(&self, out: &mut Writer<'_>) {
        out.u64((self.token >> 64) as u64);
        out.u64(self.token as u64);
        out.str(&self.person);
        out.u8(code_of(&ROLES, &self.role));
        out.str(&self.application);
        out.u64(self.since_unix_ms);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let identity = Self {
            token: (u128::from(fields.u64()?) << 64) | u128::from(fields.u64()?),
            person: fields.str()?.into(),
            role: *ROLES.get(usize::from(fields.u8()?))?,
            application: fields.str()?.into(),
            since_unix_ms: fields.u64()?,
        };
        Some(identity)
    }
}

impl Record for Progress {
    const KIND: u8 = 7;

    fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.last);
        out.u8(u8::try_from(self.answered.len()).unwrap_or(u8::MAX));
        for brief in &self.answered {
            out.u32(brief.reference_id);
            out.u64(brief.sequence);
            out.u64(brief.unix_ms);
            out.u16(brief.code);
        }
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let (last, count) = (fields.u64()?, usize::from(fields.u8()?));
        if count > MAX_STORED_ANSWERS {
            return None;
        }
        let brief = |fields: &mut Reader<'_>| {
            Some(Brief {
                reference_id: fields.u32()?,
                sequence: fields.u64()?,
                unix_ms: fields.u64()?,
                code: fields.u16()?,
            })
        };
        let answered = (0..count).map(|_| brief(fields)).collect::<Option<Vec<Brief>>>()?;
        answered.iter().all(|brief| brief.sequence <= last).then_some(Self { last, answered })
    }
}

impl Record for Registration {
    const KIND: u8 = 8;

    fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.session.0);
        out.str(&self.dn);
        out.u8(code_of(&MODES, &self.mode));
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let registration = Self {
            session: SessionId(fields.u64()?),
            dn: fields.str()?.into(),
            mode: *MODES.get(usize::from(fields.u8()?))?,
        };
        Some(registration)
    }
}
