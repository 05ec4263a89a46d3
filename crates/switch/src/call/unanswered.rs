//! The record of a call that nobody has answered yet, and what another process makes of it.
//!
//! A caller who waits at a queue or routing point waits on there, and any other caller is called for anew, as long as he
//! can be reached: over UDP his INVITE still waits for its final response, while one that came over a connection is gone
//! with it. Phones that rang are cancelled first. A party that is on the line has those called again who rang for it, and
//! is released if nobody did. So is whoever was just taking the call.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;
use tandem_peer::replica::{Change, Reader, Record, Writer};
use tandem_peer::{ChangeLog, Replicated};
use tandem_sip::{Flow, Message, Received, Uri};

use super::best::Best;
use super::branch::{Branch, Why};
use super::leg::Leg;
use super::life::{encoded, facts_of};
use super::news::News;
use super::record::{EndReason, LegFacts};
use super::restored::begun;
use super::setup::{Caller, Setup, Stage};
use super::talk::Talk;
use super::{Call, Calls, Phase};
use crate::arena::Key;
use crate::cdr::EndedBy;
use crate::directory::DnId;
use crate::explain::What;
use crate::ids::Tag;
use crate::limits::AWAY_PATIENCE;
use crate::reject::Reject;
use crate::rooms::{Device, Rooms, Use};
use crate::routing::{Route, Way};
use crate::stored::{GONE, flow, put_flow, put_wide, wide};

/// See the module.
#[derive(Debug)]
pub struct Unanswered {
    uuid: u128,
    from: Box<[u8]>,
    to: Box<[u8]>,
    started_unix_ms: u64,
    private: bool,
    /// Facts of the legs, as a record has them.
    facts: Box<[u8]>,
    /// Queue or routing point at which the caller waits.
    waits: Option<Arc<str>>,
    who: Who,
    rung: Vec<Rung>,
    /// It has come to nothing, and its record is not written.
    over: bool,
    /// Who takes the call: he is hung up on.
    taker: Option<Box<Leg>>,
}

/// Who waits.
#[derive(Debug)]
enum Who {
    /// His INVITE, by this flow, and our tag in what he was told.
    Invite(Flow, Tag, Bytes),
    /// He is on the line.
    Leg(Box<Leg>),
    /// Nobody yet: his own phone is called first.
    Nobody,
    /// Somebody in a conversation, whom the one that is called is to join. That call goes on, and this one is forgotten.
    Aside,
}

/// An INVITE that is out, and what takes it back.
#[derive(Clone, Debug)]
struct Rung {
    flow: Flow,
    cancel: Bytes,
}

/// Phones that rang by connections that went with an earlier process.
#[derive(Debug)]
pub(super) struct Missed {
    /// Their numbers.
    numbers: Vec<Arc<str>>,
    /// When they are given up.
    until: Instant,
}

/// The record of a call in set-up, and what of the call it was made for.
#[derive(Debug)]
pub(super) struct Kept {
    record: Replicated<Unanswered>,
    mark: Mark,
    /// What takes those back who were given up, by their branches.
    given_up: Vec<(u8, Rung)>,
    /// Where the caller waited when an earlier process died. The record follows what the call does here before it is there
    /// again.
    waited: Option<Arc<str>>,
}

/// What a record follows: legs, those of them that were given up, who waits, and where.
type Mark = (usize, usize, u8, Option<Arc<str>>);

/// The record of a call that is over, until its record for the operator is written.
#[derive(Debug)]
pub enum Concluded {
    /// It had been answered.
    Talk(Box<Replicated<Talk>>),
    /// It had not.
    Unanswered(Box<Replicated<Unanswered>>),
}

impl Concluded {
    /// Nobody needs it any more.
    pub fn delete(self, log: &mut ChangeLog) {
        match self {
            Self::Talk(record) => drop(record.delete(log)),
            Self::Unanswered(record) => drop(record.delete(log)),
        }
    }
}

/// What became of a stored call that nobody had answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// It is called for anew, or waits on.
    Goes(Key, u128),
    /// It was over.
    Over,
    /// The record cannot be read, or the table is full.
    Unread,
}

impl Record for Unanswered {
    const KIND: u8 = 9;
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Writer<'_>) {
        put_wide(out, self.uuid);
        out.bytes(&self.from);
        out.bytes(&self.to);
        out.u64(self.started_unix_ms);
        out.bool(self.private);
        out.bytes(&self.facts);
        out.option(self.waits.as_deref(), Writer::str);
        match &self.who {
            Who::Invite(flow, tag, request) => {
                out.u8(0);
                put_flow(out, *flow);
                out.u64(tag.0);
                out.bytes(request);
            }
            Who::Leg(leg) => {
                out.u8(1);
                leg.encode(out);
            }
            Who::Nobody => out.u8(2),
            Who::Aside => out.u8(3),
        }
        out.u8(u8::try_from(self.rung.len()).unwrap_or(u8::MAX));
        for rung in &self.rung {
            put_flow(out, rung.flow);
            out.bytes(&rung.cancel);
        }
        out.bool(self.over);
        out.option(self.taker.as_deref(), |out, leg| leg.encode(out));
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let mut call = Self {
            uuid: wide(fields)?,
            from: fields.bytes()?.into(),
            to: fields.bytes()?.into(),
            started_unix_ms: fields.u64()?,
            private: fields.bool()?,
            facts: fields.bytes()?.into(),
            waits: fields.option(|fields| fields.str().map(Arc::from))?,
            who: match fields.u8()? {
                0 => Who::Invite(flow(fields)?, Tag(fields.u64()?), Bytes::copy_from_slice(fields.bytes()?)),
                1 => Who::Leg(Box::new(Leg::decode(fields)?)),
                2 => Who::Nobody,
                3 => Who::Aside,
                _ => return None,
            },
            rung: Vec::new(),
            over: false,
            taker: None,
        };
        for _ in 0..fields.u8()? {
            call.rung.push(Rung { flow: flow(fields)?, cancel: Bytes::copy_from_slice(fields.bytes()?) });
        }
        call.over = fields.bool()?;
        let taker = |fields: &mut Reader<'_>| fields.option(Leg::decode);
        call.taker = fields.since(2, None, taker)?.map(Box::new);
        Some(call)
    }
}

impl Call {
    /// Stores what has changed of a call that is being set up, and ends its record with the set-up.
    pub(super) fn keep_unanswered(&mut self, rooms: &mut Rooms) {
        match &self.phase {
            Phase::Talk(_) => self.keep_losers(rooms),
            Phase::Ending if self.closing.is_some() => self.keep_losers(rooms),
            Phase::Ending => {
                let facts = encoded(&self.directory, &self.legs);
                if let Some(kept) = self.unanswered.as_mut().filter(|kept| !kept.record.over) {
                    kept.record.update(&mut rooms.log, |call| (call.over, call.facts) = (true, facts));
                }
            }
            Phase::Setup(setup) if self.nail.is_none() => {
                let Some(mark) = setup.mark(self.legs.len(), self.losers.len()) else { return };
                if self.unanswered.as_ref().is_some_and(|kept| kept.mark == mark) {
                    return;
                }
                let Some(value) = self.as_unanswered(rooms, setup) else { return };
                let kept = match self.unanswered.take() {
                    Some(mut kept) => {
                        kept.record.update(&mut rooms.log, |call| *call = value);
                        Kept { mark, ..*kept }
                    }
                    None => {
                        let id = rooms.record_id();
                        Kept {
                            record: Replicated::create(id, value, &mut rooms.log),
                            mark,
                            given_up: Vec::new(),
                            waited: None,
                        }
                    }
                };
                self.unanswered = Some(Box::new(kept));
            }
            Phase::Setup(_) => {}
        }
    }

    /// The call is answered. Those who rang besides are to be taken back by another process, too, should they not have
    /// said yet that they ring no more.
    fn keep_losers(&mut self, rooms: &mut Rooms) {
        let Some(mut kept) = self.unanswered.take() else { return };
        let rung = self.losers_of(&kept);
        if rung.is_empty() {
            kept.record.delete(&mut rooms.log);
            return;
        }
        if rung.len() != kept.record.rung.len() || !matches!(kept.record.who, Who::Aside) {
            kept.record.update(&mut rooms.log, |call| {
                (call.who, call.waits, call.rung, call.taker) = (Who::Aside, None, rung, None);
            });
        }
        self.unanswered = Some(kept);
    }

    fn losers_of(&self, kept: &Kept) -> Vec<Rung> {
        let lost = |id: &u8| self.losers.iter().any(|loser| loser.id == *id);
        kept.given_up.iter().filter(|(id, _)| lost(id)).map(|(_, rung)| rung.clone()).collect()
    }

    /// A branch is being given up.
    pub(super) fn note_given_up(
        &mut self,
        rooms: &mut Rooms,
        branch: &Branch,
        request: &Message,
        why: &Why<'_>,
    ) {
        let Some(kept) = &mut self.unanswered else { return };
        if let Some(rung) = rung(rooms, branch, request, why) {
            kept.given_up.push((branch.id, rung));
        }
    }

    fn as_unanswered(&self, rooms: &mut Rooms, setup: &Setup) -> Option<Unanswered> {
        let who = match &setup.caller {
            Caller::Invite(_, flow) => Who::Invite(*flow, setup.tag, setup.as_it_came(rooms)),
            Caller::Leg(_, leg) => Who::Leg(leg.clone()),
            Caller::Nobody(_) => Who::Nobody,
            Caller::Aside(_) => Who::Aside,
        };
        let why = Why::Ours(b"SIP;cause=503;text=\"Server Restarted\"");
        let rings = setup.branches.iter().filter_map(|branch| rung(rooms, branch, &setup.request, &why));
        let mut rung: Vec<Rung> = rings.collect();
        rung.extend(self.unanswered.iter().flat_map(|kept| self.losers_of(kept)));
        Some(Unanswered {
            uuid: self.uuid,
            from: self.from.clone(),
            to: self.to.clone(),
            started_unix_ms: self.started.unix_ms,
            private: self.private,
            facts: encoded(&self.directory, &self.legs),
            waits: setup.waits_at().cloned(),
            who,
            rung,
            over: false,
            taker: self.who_takes_it(setup).map(|leg| Box::new(leg.clone())),
        })
    }

    /// The record of a call that is concluded.
    pub(super) fn concluded(&mut self) -> Option<Concluded> {
        let talk = self
            .closing
            .take()
            .and_then(|closing| closing.record)
            .map(|record| Concluded::Talk(Box::new(record)));
        let unanswered = self.unanswered.take().map(|kept| Concluded::Unanswered(Box::new(kept.record)));
        talk.or(unanswered)
    }
}

/// Extensions that rang.
fn called(facts: &[LegFacts]) -> SmallVec<[DnId; 2]> {
    let rings = |facts: &LegFacts| match facts.device {
        Device::Extension(dn) if facts.ended.is_none() => Some(dn),
        Device::Extension(_) | Device::Trunk(_) | Device::Mixer => None,
    };
    facts.iter().skip(1).filter_map(rings).collect()
}

fn rung(rooms: &mut Rooms, branch: &Branch, request: &Message, why: &Why<'_>) -> Option<Rung> {
    let flow = rooms.endpoint.flow(branch.txn)?;
    Some(Rung { flow, cancel: branch.print_cancel(rooms, request, why)? })
}

impl Setup {
    /// What its record follows; `None` while nobody is called and nobody waits. Who is being described is told 100 before a
    /// media server has said anything, and does not repeat his INVITE then.
    fn mark(&self, legs: usize, losers: usize) -> Option<Mark> {
        let who = match self.caller {
            Caller::Invite(..) if self.is_undescribed() => 4,
            Caller::Invite(..) => 0,
            Caller::Leg(..) => 1,
            Caller::Nobody(_) => 2,
            Caller::Aside(_) => 3,
        };
        let idle =
            matches!(who, 0 | 3) && self.branches.is_empty() && self.waiting.is_none() && self.line.is_none();
        (!idle).then(|| (legs, losers, who, self.waits_at().cloned()))
    }
}

impl Calls {
    /// Takes up a stored call that nobody has answered.
    pub(crate) fn resume(&mut self, rooms: &mut Rooms, change: &Change) -> Resumed {
        let Some(record) = Replicated::<Unanswered>::restore(change) else { return Resumed::Unread };
        let uuid = record.uuid;
        let directory = Arc::clone(&rooms.directory);
        let called = called(&facts_of(&record.facts, &directory));
        for Rung { flow, cancel } in &record.rung {
            rooms.take_back(*flow, cancel, &called);
        }
        if matches!(record.who, Who::Aside) {
            record.delete(&mut rooms.log);
            return Resumed::Over;
        }
        rooms.next_record = rooms.next_record.max(change.key.id);
        let key = self.open_with(rooms, |rooms, key| Call::resumed(rooms, key, record).ok_or(500_u16));
        match key {
            Ok(key) if self.get(key).is_some_and(|call| !call.is_ending()) => Resumed::Goes(key, uuid),
            Ok(_) => Resumed::Over,
            Err(_) => Resumed::Unread,
        }
    }
}

impl Unanswered {
    /// Whose phones rang by connections that are gone: the caller waits for one of them to be back, but not for ever.
    fn missed(&self, rooms: &Rooms, facts: &[LegFacts]) -> Option<Box<Missed>> {
        let gone = |rung: &Rung| rung.flow.conn == GONE;
        let number = |dn: DnId| rooms.directory.extension(dn).map(|e| Arc::clone(&e.number));
        let numbers: Vec<Arc<str>> = called(facts).into_iter().filter_map(number).collect();
        let misses = self.rung.iter().any(gone) && !numbers.is_empty();
        misses.then(|| Box::new(Missed { numbers, until: rooms.now.mono + AWAY_PATIENCE }))
    }
}

impl Setup {
    /// Nobody can be reached, but a phone that rang may come back: the caller waits for that. False: for nobody any more.
    pub(super) fn waits_for_phone(&self, rooms: &mut Rooms, key: Key, status: u16) -> bool {
        let missed = self.missed.as_ref().filter(|missed| status == 480 && missed.until > rooms.now.mono);
        missed.is_some_and(|missed| rooms.away.calls(missed.numbers.clone(), key, missed.until))
    }
}

impl Call {
    fn resumed(rooms: &mut Rooms, key: Key, record: Replicated<Unanswered>) -> Option<Self> {
        let directory = Arc::clone(&rooms.directory);
        let facts = facts_of(&record.facts, &directory);
        let origin = facts.first()?.device;
        let mut call =
            Self::blank(rooms, key, origin, [record.from.clone(), record.to.clone(), Box::default()]);
        (call.uuid, call.legs, call.private) = (record.uuid, facts, record.private);
        call.started = begun(rooms.now, record.started_unix_ms);
        call.session_ids[0] = record.uuid;
        call.note(rooms, What::TakenUp);
        let (mut setup, over) = (call.setup_of(rooms, &record.who), record.over);
        if let Some(setup) = &mut setup {
            setup.missed = record.missed(rooms, &call.legs);
            if record.waits.is_none() {
                setup.stages = call.rang_at(&record.rung).into();
            }
        }
        let mark = (0, 0, u8::MAX, record.waits.clone());
        let (taker, waited) = (record.taker.clone(), record.waits.clone());
        call.unanswered = Some(Box::new(Kept { record, mark, given_up: Vec::new(), waited }));
        if let Some(mut taker) = taker {
            taker.resume(rooms);
            call.hang_up_on(rooms, &mut taker);
        }
        match setup {
            Some(setup) if !over => call.phase = Phase::Setup(setup),
            setup => {
                call.ended_by_restart(rooms);
                if let Some(setup) = setup {
                    call.told_again(rooms, *setup);
                }
            }
        }
        Some(call)
    }

    /// Where those are who rang when the process before ended.
    fn rang_at(&self, rung: &[Rung]) -> Vec<Stage> {
        let mut stages = Vec::new();
        for rung in rung {
            let Ok(cancel) = Message::parse(rung.cancel.clone()) else { continue };
            let Ok(env) = cancel.envelope() else { continue };
            let leg = self.legs.iter().find(|leg| leg.ended.is_none() && leg.is(env.call_id));
            let uri = cancel.request_uri().and_then(|uri| Uri::parse(uri).ok());
            let (Some(leg), Some(number)) = (leg, uri.and_then(|uri| uri.user_unescaped())) else { continue };
            let stage = match leg.device {
                Device::Extension(dn) => Stage::Extension(dn),
                Device::Trunk(id) if self.directory.options.dr_peer_trunk == Some(id) => {
                    Stage::Peer(id, (*number).into())
                }
                Device::Trunk(id) => Stage::Trunk(id, (*number).into()),
                Device::Mixer => Stage::Mixer(String::from_utf8_lossy(&number).into()),
            };
            if !stages.contains(&stage) {
                stages.push(stage);
            }
        }
        stages
    }

    /// The caller of a call that is over is told so again: the process before may have died between the record and that.
    fn told_again(&mut self, rooms: &mut Rooms, mut setup: Setup) {
        let status = self.legs.first().map_or(0, |leg| leg.status);
        match &mut setup.caller {
            Caller::Invite(txn, flow) => {
                let (txn, flow, best) = (*txn, *flow, Best::own(if status < 300 { 500 } else { status }));
                let refusal = setup.print_refusal(rooms, &best, flow, &self.passage_of_refusal());
                if let Some(refusal) = refusal {
                    rooms.endpoint.respond(txn, best.told(), refusal, rooms.now.mono);
                }
            }
            Caller::Leg(_, leg) => self.hang_up_on(rooms, leg),
            Caller::Nobody(_) | Caller::Aside(_) => {}
        }
    }

    /// The set-up of a caller who can still be answered.
    fn setup_of(&mut self, rooms: &mut Rooms, who: &Who) -> Option<Box<Setup>> {
        let ring = rooms.directory.options.ring_timeout;
        match who {
            Who::Invite(flow, tag, request) => {
                let message = Message::parse(request.clone()).ok().filter(|_| flow.conn != GONE)?;
                let received = rooms.endpoint.receive(*flow, message, rooms.now.mono);
                let Received::Request { txn, flow, message } = received else { return None };
                rooms.endpoint.attach(txn, Use::Invite(self.key));
                let mut setup = Setup::new(rooms, Caller::Invite(txn, flow), message.detach(), ring);
                setup.learn_caller(rooms);
                if !setup.numbers_its_own() {
                    setup.tag = *tag;
                }
                Some(setup)
            }
            Who::Leg(leg) => {
                let mut leg = leg.clone();
                leg.resume(rooms);
                if let Some(tag) = Tag::parse(leg.dialog.local_tag()) {
                    self.own_tag(rooms, tag);
                }
                let request = super::make::invitation(rooms, &self.from, &self.to, None)?;
                Some(Setup::new(rooms, Caller::Leg(leg.no, leg), request, ring))
            }
            Who::Nobody | Who::Aside => None,
        }
    }

    fn ended_by_restart(&mut self, rooms: &mut Rooms) {
        for place in 0..self.legs.len() {
            self.leg_ended(rooms, place, EndedBy::Server, EndReason::Restart);
        }
    }

    /// Where the call waited, if it did; and what its way is found by.
    pub(crate) fn resumes_at(&self) -> Option<(Option<Arc<str>>, Device, Option<Message>)> {
        let Phase::Setup(setup) = &self.phase else { return None };
        let waits = self.unanswered.as_ref()?.waited.clone();
        let request = matches!(setup.caller, Caller::Invite(..)).then(|| setup.request.clone());
        Some((waits, self.legs.first()?.device, request))
    }

    /// Whoever rang rings no more.
    fn rings_no_more(&mut self, rooms: &mut Rooms) -> bool {
        let on_line = match &self.phase {
            Phase::Setup(setup) => match &setup.caller {
                Caller::Leg(no, _) => Some(usize::from(*no)),
                Caller::Invite(..) | Caller::Nobody(_) | Caller::Aside(_) => None,
            },
            Phase::Talk(_) | Phase::Ending => None,
        };
        let mut any = false;
        for place in 1..self.legs.len() {
            let rings = self.legs.get(place).is_some_and(|leg| leg.ended.is_none());
            let (true, Ok(leg)) = (rings && on_line != Some(place), u8::try_from(place)) else { continue };
            self.leg_ended(rooms, place, EndedBy::Server, EndReason::Restart);
            self.tell(rooms, News::Missed { leg, status: 487, reason: EndReason::Restart });
            any = true;
        }
        any
    }

    /// Waits on at its queue or routing point.
    pub(crate) fn waits_on(&mut self, rooms: &mut Rooms, at: Arc<str>) {
        if self.rings_no_more(rooms) {
            self.tell(rooms, News::Unplaced { status: 487 });
        }
        if let Some(setup) = self.take_setup() {
            self.wait_at(rooms, setup, at);
        }
    }

    /// Whoever rang for the party that is on the line is called again.
    pub(crate) fn calls_again(&mut self, rooms: &mut Rooms) {
        self.rings_no_more(rooms);
        let Some(mut setup) = self.take_setup() else { return };
        if setup.stages.is_empty() {
            let best = Best::own(Reject::full().status);
            return self.finish_setup(rooms, *setup, &best, EndedBy::Server, EndReason::Restart);
        }
        let stages = std::mem::take(&mut setup.stages).into();
        self.set_out(rooms, setup, Way::Try(stages));
    }

    /// Goes the way that was found for it anew.
    pub(crate) fn sets_out_again(&mut self, rooms: &mut Rooms, found: Result<Route, Reject>) {
        self.rings_no_more(rooms);
        let Some(setup) = self.take_setup() else { return };
        let outcome = found.and_then(|found| {
            self.note_way(rooms, found.steps);
            found.outcome
        });
        match outcome {
            Ok(way) => self.set_out(rooms, setup, way),
            Err(reject) => {
                let best = Best::own(reject.status);
                self.finish_setup(rooms, *setup, &best, EndedBy::Server, EndReason::Restart);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_peer::replica::Op;

    use super::*;
    use crate::limits::MAX_UNWRITTEN;
    use crate::unwritten::Unwritten;

    fn over(uuid: u128) -> Unanswered {
        Unanswered {
            uuid,
            from: b"1"[..].into(),
            to: b"2"[..].into(),
            started_unix_ms: 1,
            private: false,
            facts: Box::default(),
            waits: None,
            who: Who::Nobody,
            rung: Vec::new(),
            over: true,
            taker: None,
        }
    }

    /// Numbers of the records that were deleted since this was asked last.
    fn deleted(log: &mut ChangeLog) -> Vec<u64> {
        let changes = log.take_batch().into_iter().flat_map(|batch| batch.changes());
        changes.filter(|change| change.op == Op::Delete).map(|change| change.key.id).collect()
    }

    #[test]
    fn calls_whose_records_nobody_writes_take_no_more_than_their_room() {
        let (mut unwritten, mut log) = (Unwritten::default(), ChangeLog::new(0, 1));
        for id in 0..=MAX_UNWRITTEN as u64 {
            let record = Replicated::create(id, over(id.into()), &mut log);
            unwritten.add(id.into(), Concluded::Unanswered(Box::new(record)), &mut log);
        }
        assert_eq!((unwritten.len(), deleted(&mut log)), (MAX_UNWRITTEN, vec![0]));
        [7, 7, 0, u128::MAX].into_iter().for_each(|uuid| unwritten.written(uuid, &mut log));
        assert_eq!((unwritten.len(), deleted(&mut log)), (MAX_UNWRITTEN - 1, vec![7]));
    }

    #[test]
    fn a_record_of_before_takers_were_stored_is_read() {
        let mut log = ChangeLog::new(0, 1);
        let _ = Replicated::create(1, over(7), &mut log);
        let change = log.take_batch().and_then(|batch| batch.changes().next());
        let Some(Change { op: Op::Put(bytes), .. }) = change else { panic!("a record") };
        let (version, fields) = bytes.split_first().unwrap();
        let (taker, before) = fields.split_last().unwrap();
        assert_eq!((*version, *taker), (2, 0));
        let read = Unanswered::decode(&[&[1], before].concat()).unwrap();
        assert!(read.taker.is_none() && read.over && read.uuid == 7);
        assert!(Unanswered::decode(&[&[2], before].concat()).is_none(), "a later one has the field");
    }
}
