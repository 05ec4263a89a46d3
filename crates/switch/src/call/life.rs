//! What is stored of an answered call beside its two dialogs: the facts of its legs, for its record; the INVITE that is
//! under way; and, once the call has ended, what is still owed. It is brought up to date after each change of the call.

use std::hash::{BuildHasher, Hash, Hasher};

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use tandem_peer::audit::AuditEnd;
use tandem_peer::replica::{Reader, Writer};
use tandem_sip::Flow;

use super::exchange::Exchange;
use super::leg::{Leg, Side};
use super::record::{EndReason, LegFacts, LegId};
use super::{Call, Phase};
use crate::cdr::EndedBy;
use crate::directory::{Directory, DnId, TrunkId};
use crate::guard::Bill;
use crate::ids::LegCallId;
use crate::limits::MAX_LEGS;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms};
use crate::stored::{code_of, flow, put_flow, put_wide, wide};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Facts of the legs, as a record has them.
    facts: Box<[u8]>,
    /// Changes with them.
    mark: u64,
    /// A party asked not to be named.
    private: bool,
    /// The other party has left for another call.
    alone: Option<Side>,
    /// The INVITE that is under way.
    owed: Option<Box<Owed>>,
    /// How it ended.
    ending: Option<Ending>,
    /// What few calls have.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    /// The leg of a party that was replaced and may not have hung up, as a record has it.
    lingers: Option<Box<[u8]>>,
    /// Whose account the call is on.
    bill: Bill,
    /// Who waits to hear how his transfer ends, and the CSeq of his REFER.
    refers: Option<(Side, u32)>,
}

impl Rare {
    fn of(lingers: Option<Box<[u8]>>, bill: Bill, refers: Option<(Side, u32)>) -> Option<Box<Self>> {
        let rare = Self { lingers, bill, refers };
        (rare != Self::default()).then(|| Box::new(rare))
    }
}

static NO_BILL: Bill = Bill::none();

/// An INVITE within the call that has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) kind: Kind,
    /// Who sent it.
    pub(super) side: Side,
    /// Its CSeq.
    pub(super) cseq: u32,
    /// CSeq of what it was passed on as.
    pub(super) far_cseq: u32,
    /// Where its answer goes.
    pub(super) flow: Flow,
    /// Its final response: the one that was sent, or the refusal that it gets should this process end.
    pub(super) response: Bytes,
    /// Status of that.
    pub(super) code: u16,
    /// When it was sent, ms since the Unix epoch.
    pub(super) since_unix_ms: u64,
}

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A 2xx may not have been acknowledged.
    Ack,
    /// An INVITE of a party has no final response.
    Answer,
    /// An INVITE of this server's own has none.
    Own,
}

/// How a call ended whose parties may not all have been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) by: EndedBy,
    pub(super) reason: EndReason,
    /// Whether the caller's side and the callee's get a BYE.
    pub(super) byes: [bool; 2],
}

const KINDS: [Kind; 3] = [Kind::Ack, Kind::Answer, Kind::Own];
const SIDES: [Side; 2] = [Side::Caller, Side::Callee];
const ENDERS: [EndedBy; 4] = [EndedBy::Caller, EndedBy::Callee, EndedBy::Server, EndedBy::Network];

impl Life {
    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending
    }

    pub(super) fn owed(&self) -> Option<&Owed> {
        self.owed.as_deref()
    }

    pub(super) fn alone(&self) -> Option<Side> {
        self.alone
    }

    /// The leg of a party that was replaced and may not have hung up.
    pub(super) fn lingers(&self) -> Option<Leg> {
        Leg::decode(&mut Reader::new(self.lingering()?))
    }

    fn lingering(&self) -> Option<&[u8]> {
        self.rare.as_ref()?.lingers.as_deref()
    }

    pub(super) fn forget_lingerer(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.lingers = None;
        }
    }

    /// Whose account the call is on.
    pub(super) fn bill(&self) -> &Bill {
        self.rare.as_ref().map_or(&NO_BILL, |rare| &rare.bill)
    }

    /// Who waits to hear how his transfer ends, and the CSeq of his REFER.
    pub(super) fn refers(&self) -> Option<(Side, u32)> {
        self.rare.as_ref()?.refers
    }

    pub(super) fn forget_referrer(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.refers = None;
        }
    }

    pub(super) fn is_private(&self) -> bool {
        self.private
    }

    /// The facts of the legs, their devices as this configuration has them.
    pub(super) fn legs(&self, directory: &Directory) -> SmallVec<[LegFacts; 2]> {
        facts_of(&self.facts, directory)
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.bytes(&self.facts);
        out.bool(self.private);
        out.option(self.alone, |out, side| out.u8(code_of(&SIDES, &side)));
        out.option(self.owed.as_deref(), |out, owed| owed.encode(out));
        out.option(self.lingering(), Writer::bytes);
        out.option(self.ending, |out, Ending { by, reason, byes: [caller, callee] }| {
            put_end(out, by, reason);
            out.bool(caller);
            out.bool(callee);
        });
        self.bill().encode(out);
        out.option(self.refers(), |out, (side, id)| {
            out.u8(code_of(&SIDES, &side));
            out.u32(id);
        });
    }

    pub(super) fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let facts: Box<[u8]> = fields.bytes()?.into();
        let mut life = Self {
            mark: mark_of(&facts)?,
            private: fields.bool()?,
            alone: fields.option(|fields| SIDES.get(usize::from(fields.u8()?)).copied())?,
            owed: fields.option(Owed::read)?.map(Box::new),
            ending: None,
            rare: None,
            facts,
        };
        let lingers = fields.option(|fields| fields.bytes().map(Box::from))?;
        life.ending = fields.option(|fields| {
            let (by, reason) = end(fields)?;
            Some(Ending { by, reason, byes: [fields.bool()?, fields.bool()?] })
        })?;
        let bill = fields.since(2, Bill::none(), Bill::read)?;
        let refers = |fields: &mut Reader<'_>| Some((*SIDES.get(usize::from(fields.u8()?))?, fields.u32()?));
        life.rare = Rare::of(lingers, bill, fields.since(3, None, |fields| fields.option(refers))?);
        Some(life)
    }
}

/// Stored facts of legs, their devices as this configuration has them.
pub(super) fn facts_of(stored: &[u8], directory: &Directory) -> SmallVec<[LegFacts; 2]> {
    let mut fields = Reader::new(stored);
    let mut legs = SmallVec::new();
    while fields.remaining() > 0
        && let Some((mut facts, name)) = LegFacts::read(&mut fields)
    {
        facts.device = found(directory, facts.device, name);
        legs.push(facts);
    }
    legs
}

/// The mark of stored facts; `None` if they cannot be read.
fn mark_of(facts: &[u8]) -> Option<u64> {
    let mut fields = Reader::new(facts);
    let mut legs = SmallVec::<[LegFacts; 2]>::new();
    while fields.remaining() > 0 {
        legs.push(LegFacts::read(&mut fields)?.0);
    }
    (!legs.is_empty() && legs.len() <= usize::from(MAX_LEGS) + 1).then(|| mark(&legs))
}

impl Owed {
    fn encode(&self, out: &mut Writer<'_>) {
        out.u8(code_of(&KINDS, &self.kind));
        out.u8(code_of(&SIDES, &self.side));
        out.u32(self.cseq);
        out.u32(self.far_cseq);
        put_flow(out, self.flow);
        out.bytes(&self.response);
        out.u16(self.code);
        out.u64(self.since_unix_ms);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            kind: *KINDS.get(usize::from(fields.u8()?))?,
            side: *SIDES.get(usize::from(fields.u8()?))?,
            cseq: fields.u32()?,
            far_cseq: fields.u32()?,
            flow: flow(fields)?,
            response: Bytes::copy_from_slice(fields.bytes()?),
            code: fields.u16()?,
            since_unix_ms: fields.u64()?,
        })
    }
}

impl LegFacts {
    fn encode(&self, name: &str, out: &mut Writer<'_>) {
        out.u8(device_code(self.device));
        out.str(name);
        match &self.id {
            LegId::Theirs(text) => {
                out.bool(false);
                out.bytes(text);
            }
            LegId::Ours(id) => {
                out.bool(true);
                put_wide(out, id.0);
            }
        }
        out.u16(self.status);
        out.option(self.ringing, Writer::u64);
        out.option(self.answered, Writer::u64);
        out.option(self.ended, |out, (at, by, reason)| {
            out.u64(at);
            put_end(out, by, reason);
        });
    }

    fn read<'a>(fields: &mut Reader<'a>) -> Option<(Self, &'a str)> {
        let device = device_of(fields.u8()?)?;
        let name = fields.str()?;
        let facts = Self {
            device,
            id: if fields.bool()? {
                LegId::Ours(LegCallId(wide(fields)?))
            } else {
                LegId::Theirs(fields.bytes()?.into())
            },
            status: fields.u16()?,
            ringing: fields.option(Reader::u64)?,
            answered: fields.option(Reader::u64)?,
            ended: fields.option(|fields| {
                let at = fields.u64()?;
                let (by, reason) = end(fields)?;
                Some((at, by, reason))
            })?,
        };
        Some((facts, name))
    }
}

pub(super) fn device_code(device: Device) -> u8 {
    match device {
        Device::Extension(_) => 0,
        Device::Trunk(_) => 1,
        Device::Mixer => 2,
    }
}

/// The kind of a device; its place is found by its name.
pub(super) fn device_of(code: u8) -> Option<Device> {
    Some(match code {
        0 => Device::Extension(DnId(u32::MAX)),
        1 => Device::Trunk(TrunkId(u32::MAX)),
        2 => Device::Mixer,
        _ => return None,
    })
}

/// The device of this name, or what was asked for: the configuration has none.
pub(super) fn found(directory: &Directory, device: Device, name: &str) -> Device {
    let found = match device {
        Device::Extension(_) => directory.find(name.as_bytes()).map(Device::Extension),
        Device::Trunk(_) => directory.trunk_named(name).map(Device::Trunk),
        Device::Mixer => Some(device),
    };
    found.unwrap_or(device)
}

fn put_end(out: &mut Writer<'_>, by: EndedBy, reason: EndReason) {
    out.u8(code_of(&ENDERS, &by));
    let (code, status) = match reason {
        EndReason::Bye => (0, 0),
        EndReason::Cancel => (1, 0),
        EndReason::Status(status) => (2, status),
        EndReason::RingTimeout => (3, 0),
        EndReason::AnsweredElsewhere => (4, 0),
        EndReason::RefusedElsewhere => (5, 0),
        EndReason::CallerGone => (6, 0),
        EndReason::NoAck => (7, 0),
        EndReason::NoPrack => (8, 0),
        EndReason::NoResponse => (9, 0),
        EndReason::TransportFailed => (10, 0),
        EndReason::Audit(AuditEnd::Status(status)) => (11, status),
        EndReason::Audit(AuditEnd::NoAnswer) => (12, 0),
        EndReason::NoMedia => (13, 0),
        EndReason::UnusableAnswer => (14, 0),
        EndReason::Request => (15, 0),
        EndReason::TakenBack => (16, 0),
        EndReason::Moved => (17, 0),
        EndReason::TakenOver => (18, 0),
        EndReason::NotTakenOver => (19, 0),
        EndReason::Idle => (20, 0),
        EndReason::SessionExpired => (21, 0),
        EndReason::Restart => (22, 0),
    };
    out.u8(code);
    out.u16(status);
}

fn end(fields: &mut Reader<'_>) -> Option<(EndedBy, EndReason)> {
    let by = *ENDERS.get(usize::from(fields.u8()?))?;
    let (code, status) = (fields.u8()?, fields.u16()?);
    let reason = match code {
        0 => EndReason::Bye,
        1 => EndReason::Cancel,
        2 => EndReason::Status(status),
        3 => EndReason::RingTimeout,
        4 => EndReason::AnsweredElsewhere,
        5 => EndReason::RefusedElsewhere,
        6 => EndReason::CallerGone,
        7 => EndReason::NoAck,
        8 => EndReason::NoPrack,
        9 => EndReason::NoResponse,
        10 => EndReason::TransportFailed,
        11 => EndReason::Audit(AuditEnd::Status(status)),
        12 => EndReason::Audit(AuditEnd::NoAnswer),
        13 => EndReason::NoMedia,
        14 => EndReason::UnusableAnswer,
        15 => EndReason::Request,
        16 => EndReason::TakenBack,
        17 => EndReason::Moved,
        18 => EndReason::TakenOver,
        19 => EndReason::NotTakenOver,
        20 => EndReason::Idle,
        21 => EndReason::SessionExpired,
        22 => EndReason::Restart,
        _ => return None,
    };
    Some((by, reason))
}

fn mark(legs: &[LegFacts]) -> u64 {
    let mut hasher = foldhash::fast::FixedState::with_seed(0).build_hasher();
    for leg in legs {
        (leg.status, leg.ringing, leg.answered, leg.ended.map(|(at, ..)| at)).hash(&mut hasher);
    }
    hasher.finish()
}

/// The facts of legs, as a record has them.
pub(super) fn encoded(directory: &Directory, legs: &[LegFacts]) -> Box<[u8]> {
    let mut out = BytesMut::new();
    let mut writer = Writer::new(&mut out);
    for leg in legs {
        leg.encode(Rooms::name_of(directory, leg.device), &mut writer);
    }
    out.as_ref().into()
}

fn encoded_leg(leg: &Leg) -> Box<[u8]> {
    let mut out = BytesMut::new();
    leg.encode(&mut Writer::new(&mut out));
    out.as_ref().into()
}

impl Call {
    /// What is stored of the call as it is now.
    pub(super) fn life(&self, rooms: &mut Rooms, exchange: &Exchange, alone: Option<Side>) -> Life {
        Life {
            facts: encoded(&self.directory, &self.legs),
            mark: mark(&self.legs),
            private: self.private,
            alone,
            owed: owed(rooms, exchange).map(Box::new),
            ending: None,
            rare: Rare::of(
                self.lingering.as_ref().map(|lingering| encoded_leg(lingering.leg())),
                rooms.ledger.bill(self.uuid),
                self.refers(),
            ),
        }
    }

    /// The same with the end of the call.
    pub(super) fn last_life(&self, ending: Ending) -> Life {
        let facts = encoded(&self.directory, &self.legs);
        Life {
            facts,
            mark: 0,
            private: self.private,
            alone: None,
            owed: None,
            ending: Some(ending),
            rare: None,
        }
    }

    /// Stores what has changed of an answered call beside its dialogs.
    pub(super) fn keep_life(&mut self, rooms: &mut Rooms) {
        let Phase::Talk(talking) = &self.phase else { return };
        let (life, alone) = (&talking.talk.life, talking.alone.map(|(side, _)| side));
        let owes = owes(&talking.exchange);
        let owed = life.owed().map(|owed| (owed.kind, owed.cseq));
        let lingers = life.lingering().is_some() == self.lingering.is_some();
        let billed = rooms.ledger.is_billed(self.uuid, life.bill());
        let told = lingers && life.refers() == self.refers();
        let same = life.alone == alone && life.mark == mark(&self.legs) && told && billed;
        if owes == owed && same {
            return;
        }
        let next = self.life(rooms, &talking.exchange, alone);
        let Phase::Talk(talking) = &mut self.phase else { return };
        talking.talk.update(&mut rooms.log, |talk| talk.life = next);
    }
}

fn owes(exchange: &Exchange) -> Option<(Kind, u32)> {
    match exchange {
        Exchange::Idle => None,
        Exchange::Relayed(relayed) => Some((Kind::Answer, relayed.request.envelope().ok()?.cseq.number)),
        Exchange::Answered(answered) if answered.is_refusal() => Some((Kind::Answer, answered.server_cseq)),
        Exchange::Answered(answered) => Some((Kind::Ack, answered.server_cseq)),
        Exchange::Arranging(arranging) => Some((Kind::Own, arranging.invite.cseq)),
    }
}

fn owed(rooms: &mut Rooms, exchange: &Exchange) -> Option<Owed> {
    let (kind, cseq) = owes(exchange)?;
    let since_unix_ms = rooms.now.unix_ms;
    let owed = |side, far_cseq, flow, response, code| {
        Some(Owed { kind, side, cseq, far_cseq, flow, response, code, since_unix_ms })
    };
    match exchange {
        Exchange::Idle => None,
        Exchange::Answered(answered) => {
            let flow = answered.gone.or_else(|| rooms.endpoint.flow(answered.server))?;
            owed(answered.from, answered.client_cseq, flow, answered.ok.clone(), answered.code)
        }
        Exchange::Relayed(relayed) => {
            let flow = rooms.endpoint.flow(relayed.server)?;
            let refusal = Reject::because(500, "Server Restarted");
            let response = rooms.printed(relayed.flow, &relayed.request, &refusal)?;
            owed(relayed.from, relayed.client_cseq, flow, response, refusal.status)
        }
        Exchange::Arranging(arranging) => {
            let invite = &arranging.invite;
            let flow = rooms.endpoint.flow(invite.txn)?;
            owed(invite.side, invite.cseq, flow, Bytes::new(), 0)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tandem_sip::Transport;

    use super::*;

    /// One with something in each field.
    pub fn life() -> Life {
        let facts = LegFacts {
            status: 200,
            ringing: Some(5),
            answered: Some(6),
            ended: Some((7, EndedBy::Network, EndReason::Audit(AuditEnd::Status(481)))),
            ..LegFacts::new(Device::Mixer, LegId::Theirs(b"c"[..].into()))
        };
        let mut out = BytesMut::new();
        facts.encode("mixer", &mut Writer::new(&mut out));
        let flow =
            Flow { transport: Transport::Udp, local: 2, remote: "[::1]:5060".parse().unwrap(), conn: 0 };
        let owed = Owed {
            kind: Kind::Answer,
            side: Side::Callee,
            cseq: 3,
            far_cseq: 4,
            flow,
            response: Bytes::from_static(b"SIP/2.0 500"),
            code: 500,
            since_unix_ms: 9,
        };
        Life {
            mark: mark(&[facts]),
            facts: out.as_ref().into(),
            private: true,
            alone: Some(Side::Callee),
            owed: Some(Box::new(owed)),
            ending: Some(Ending { by: EndedBy::Server, reason: EndReason::Restart, byes: [false, true] }),
            rare: Rare::of(
                Some(b"leg"[..].into()),
                Bill::read(&mut Reader::new(b"\x01\x01\0\0\0\x041001\0\0\0\0\0\0\0\x09")).unwrap(),
                Some((Side::Callee, 7)),
            ),
        }
    }

    #[test]
    fn every_end_of_a_leg_comes_back_as_it_was() {
        let reasons = [
            EndReason::Bye,
            EndReason::Cancel,
            EndReason::Status(486),
            EndReason::RingTimeout,
            EndReason::AnsweredElsewhere,
            EndReason::RefusedElsewhere,
            EndReason::CallerGone,
            EndReason::NoAck,
            EndReason::NoPrack,
            EndReason::NoResponse,
            EndReason::TransportFailed,
            EndReason::Audit(AuditEnd::Status(408)),
            EndReason::Audit(AuditEnd::NoAnswer),
            EndReason::NoMedia,
            EndReason::UnusableAnswer,
            EndReason::Request,
            EndReason::TakenBack,
            EndReason::Moved,
            EndReason::TakenOver,
            EndReason::NotTakenOver,
            EndReason::Idle,
            EndReason::SessionExpired,
            EndReason::Restart,
        ];
        for (by, reason) in ENDERS.into_iter().cycle().zip(reasons) {
            let mut out = BytesMut::new();
            put_end(&mut Writer::new(&mut out), by, reason);
            assert_eq!(end(&mut Reader::new(&out)), Some((by, reason)));
        }
    }
}
