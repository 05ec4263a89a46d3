//! Nailed-up connections in another process: their records, and how they are taken up. A record is written when the
//! phone comes to rest, so at the start and after each call; a call over the connection has the leg in its own record.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::Replicated;
use tandem_peer::replica::{Change, Reader, Record, Writer};

use super::leg::Leg;
use super::nailed::Line;
use super::record::{EndReason, LegFacts, LegId};
use super::resting::Nail;
use super::restored::begun;
use super::setup::{Caller, Setup};
use super::table::Calls;
use super::waiting::Waiting;
use super::{Call, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::explain::What;
use crate::ids::Tag;
use crate::rooms::Rooms;

/// What is stored of a nailed-up connection.
#[derive(Clone, Debug)]
pub(crate) struct Nailed {
    /// DN of the phone.
    dn: Arc<str>,
    /// Where it rests, as the phone was told.
    at: Arc<str>,
    /// `disconnect-nailedup-timeout`.
    idle_ms: u64,
    /// It is dropped when the call over it ends.
    leaves: bool,
    /// When it was asked for, ms since the Unix epoch.
    started_unix_ms: u64,
    /// The leg as it rested last.
    leg: Box<Leg>,
}

impl Record for Nailed {
    const KIND: u8 = 17;

    fn encode(&self, out: &mut Writer<'_>) {
        out.str(&self.dn);
        out.str(&self.at);
        out.u64(self.idle_ms);
        out.bool(self.leaves);
        out.u64(self.started_unix_ms);
        self.leg.encode(out);
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            dn: fields.str()?.into(),
            at: fields.str()?.into(),
            idle_ms: fields.u64()?,
            leaves: fields.bool()?,
            started_unix_ms: fields.u64()?,
            leg: Box::new(Leg::decode(fields)?),
        })
    }
}

impl Call {
    /// Stores a nailed-up connection that has come to rest, and ends its record with it.
    pub(super) fn keep_nailed(&mut self, rooms: &mut Rooms) {
        let Some(nail) = &mut self.nail else { return };
        let Phase::Setup(setup) = &self.phase else {
            return nail.forget(rooms);
        };
        let leaves = nail.leaves;
        let leg = match &setup.caller {
            Caller::Leg(_, leg) if nail.asked.is_none() => Some(leg),
            Caller::Leg(..) | Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => None,
        };
        match (leg, &mut nail.stored) {
            (Some(leg), Some(record)) => {
                if record.leaves != leaves || record.leg.dialog.encode() != leg.dialog.encode() {
                    let leg = leg.clone();
                    record.update(&mut rooms.log, |nailed| (nailed.leaves, nailed.leg) = (leaves, leg));
                }
            }
            (None, Some(record)) if record.leaves != leaves => {
                record.update(&mut rooms.log, |nailed| nailed.leaves = leaves);
            }
            (None, _) => {}
            (Some(leg), None) => {
                let Some(at) = setup.waits_at() else { return };
                let nailed = Nailed {
                    dn: Arc::clone(&nail.dn),
                    at: Arc::clone(at),
                    idle_ms: u64::try_from(nail.idle.as_millis()).unwrap_or(u64::MAX),
                    leaves,
                    started_unix_ms: self.started.unix_ms,
                    leg: leg.clone(),
                };
                let id = rooms.record_id();
                nail.stored = Some(Replicated::create(id, nailed, &mut rooms.log));
            }
        }
    }
}

impl Nail {
    /// Nothing is stored of it any more.
    pub(super) fn forget(&mut self, rooms: &mut Rooms) {
        if let Some(record) = self.stored.take() {
            record.delete(&mut rooms.log);
        }
    }
}

impl Calls {
    /// Takes up a nailed-up connection, after the calls that may run over it. A phone that an earlier process may not have
    /// silenced is silenced. False: the record cannot be read, or the table is full.
    pub(crate) fn renail(&mut self, rooms: &mut Rooms, change: &Change) -> bool {
        let Some(record) = Replicated::<Nailed>::restore(change) else { return false };
        rooms.next_record = rooms.next_record.max(change.key.id);
        let tag = Tag::parse(record.leg.dialog.local_tag());
        let holder = tag.and_then(|tag| rooms.tags.get(&tag).copied());
        let lent = holder.filter(|key| self.get(*key).is_some_and(Call::talks));
        if let Some(ended) = holder.filter(|_| lent.is_none()).and_then(|key| self.in_hand(key)) {
            ended.forget_tag(record.leg.dialog.local_tag());
        }
        let key =
            self.open_with(rooms, |rooms, key| Call::renailed(rooms, key, record, lent.is_some()).ok_or(503));
        let Ok(key) = key else { return false };
        match (lent, tag) {
            (Some(holder), Some(tag)) => {
                self.touch(rooms, holder, |call, _| call.runs_over_line(tag, key));
            }
            _ => {
                let talked = rooms.nailed.may_talk(tag);
                self.act(rooms, key, |call, rooms| call.rests_again(rooms, talked));
            }
        }
        true
    }
}

impl Call {
    fn talks(&self) -> bool {
        matches!(self.phase, Phase::Talk(_))
    }

    fn renailed(rooms: &mut Rooms, key: Key, record: Replicated<Nailed>, lent: bool) -> Option<Self> {
        let mut leg = record.leg.clone();
        leg.resume(rooms);
        let (dn, at) = (Arc::clone(&record.dn), Arc::clone(&record.at));
        let (number, to): (Box<[u8]>, Box<[u8]>) = (dn.as_bytes().into(), at.as_bytes().into());
        let request = super::make::invitation(rooms, &to, &number, None)?;
        let mut call = Self::blank(rooms, key, leg.device, [number, to, Box::default()]);
        call.started = begun(rooms.now, record.started_unix_ms);
        call.session_ids[0] = leg.session_ids.party;
        let mut facts = LegFacts::new(leg.device, LegId::Theirs(leg.dialog.call_id().into()));
        (facts.status, facts.answered) = (200, Some(record.started_unix_ms));
        call.legs = std::iter::once(facts).collect();
        call.note(rooms, What::TakenUp);
        call.note_nailed(rooms);
        let caller = if lent {
            Caller::Nobody(Box::default())
        } else {
            if let Some(tag) = Tag::parse(leg.dialog.local_tag()) {
                call.own_tag(rooms, tag);
            }
            Caller::Leg(0, leg)
        };
        let mut setup = Setup::new(rooms, caller, request, Duration::ZERO);
        setup.ring_until = None;
        setup.waiting = Some(Box::new(Waiting { at, code: 180, again_at: None }));
        call.phase = Phase::Setup(setup);
        // A phone that is configured no more is let go of.
        let leaves = record.leaves || rooms.directory.find(dn.as_bytes()).is_none();
        let idle = Duration::from_millis(record.idle_ms);
        rooms.nailed.set(&dn, key, if lent { Line::Busy } else { Line::Connecting });
        call.nail = Some(Box::new(Nail { dn, idle, leaves, asked: None, glares: 0, stored: Some(record) }));
        Some(call)
    }

    /// It is at home.
    fn rests_again(&mut self, rooms: &mut Rooms, talked: bool) {
        match &self.nail {
            Some(nail) if nail.leaves => self.line_over(rooms, EndedBy::Server, EndReason::Request),
            Some(_) if talked => self.silence(rooms),
            _ => self.rests(rooms),
        }
    }

    /// The leg with this tag of ours is lent from a nailed-up connection. That is found again by whoever goes on.
    fn runs_over_line(&mut self, tag: Tag, line: Key) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        talking.talk.let_go(|talk| {
            let lent = |leg: &&mut Leg| Tag::parse(leg.dialog.local_tag()) == Some(tag);
            talk.legs.iter_mut().filter(lent).for_each(|leg| leg.nailed = Some(line));
        });
    }
}
