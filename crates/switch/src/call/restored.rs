//! Calls taken up again from their records, after a restart or a takeover.
//!
//! Each answered call has its dialogs back, with CSeq numbers beyond all that the process before may have used. A 2xx
//! whose ACK may not have come is sent again; an INVITE that had no final response is refused, and the parties are
//! offered their media anew, for one of them may have accepted what the other was never told of.

use std::sync::Arc;
use std::time::Duration;

use tandem_peer::Replicated;
use tandem_peer::replica::Change;
use tandem_sip::{Envelope, Message, Method};

use super::arrange::{Aim, Move};
use super::closing::Closing;
use super::exchange::{Answered, Exchange};
use super::incoming::Incoming;
use super::leg::{Leg, Side};
use super::life::{Kind, Life, Owed};
use super::setup::{Caller, Setup};
use super::talk::Talk;
use super::{Call, Calls, Phase, Talking};
use crate::arena::Key;
use crate::explain::What;
use crate::ids::Tag;
use crate::limits::{MIXER_PATIENCE, RESTORED_CSEQ_STEP, RESTORED_GRACE, RESTORED_SPREAD};
use crate::rooms::{Device, Rooms};
use crate::stored::GONE;
use crate::time::Now;

/// What became of a stored call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenUp {
    /// It goes on.
    Talks(Key, u128),
    /// It had ended: its parties are told again.
    Ends,
    /// The record cannot be read, or the table is full: it stays where it is.
    Unread,
}

impl Calls {
    /// Takes up a stored call.
    pub(crate) fn restore(&mut self, rooms: &mut Rooms, change: &Change) -> TakenUp {
        let resume = |talk: &mut Talk| talk.legs.iter_mut().for_each(|leg| leg.resume(rooms));
        let Some(record) = Replicated::restore_as(change, resume) else { return TakenUp::Unread };
        let (uuid, ends) = (record.uuid, record.life.ending().is_some());
        rooms.next_record = rooms.next_record.max(change.key.id);
        if ends {
            record.legs.iter().for_each(|leg| rooms.nailed.has_talked(leg));
        }
        let key = self.open_with(rooms, |rooms, key| {
            let mut call = Call::restored(rooms, key, record).ok_or(500_u16)?;
            call.misses(rooms);
            call.goes_on(rooms);
            Ok(call)
        });
        match key {
            Ok(_) if ends => TakenUp::Ends,
            Ok(key) => TakenUp::Talks(key, uuid),
            Err(_) => TakenUp::Unread,
        }
    }
}

impl Call {
    fn restored(rooms: &mut Rooms, key: Key, record: Replicated<Talk>) -> Option<Self> {
        let directory = Arc::clone(&rooms.directory);
        let facts = record.life.legs(&directory);
        let origin = facts.first()?.device;
        let names = [record.from.clone(), record.to.clone(), Box::default()];
        let mut call = Self::blank(rooms, key, origin, names);
        (call.uuid, call.legs) = (record.uuid, facts);
        call.started = begun(rooms.now, record.started_unix_ms);
        call.private = record.life.is_private();
        call.session_ids = record.legs.each_ref().map(|leg| leg.session_ids.party);
        call.note(rooms, What::TakenUp);
        // A party that has left the call may be in another one by now, with the same dialog.
        let here = record.life.ending().map_or([true; 2], |ending| ending.byes);
        for (leg, _) in record.legs.iter().zip(here).filter(|(_, here)| *here) {
            if let Some(tag) = Tag::parse(leg.dialog.local_tag()) {
                call.own_tag(rooms, tag);
            }
        }
        if record.life.ending().is_some() {
            call.closing = Some(Box::new(Closing::of(record)));
        } else {
            rooms.ledger.goes_on(call.uuid, record.life.bill());
            call.phase = Phase::Talk(Box::new(talking(rooms, record)));
        }
        Some(call)
    }

    /// Does what the process before had left undone.
    fn goes_on(&mut self, rooms: &mut Rooms) {
        let life = match (&self.phase, &self.closing) {
            (Phase::Talk(talking), _) => Some(&talking.talk.life),
            (Phase::Setup(_) | Phase::Ending, closing) => closing.as_ref().map(|closing| &closing.talk.life),
        };
        if let Some(mut leg) = life.and_then(Life::lingers) {
            leg.resume(rooms);
            self.hang_up_on(rooms, &mut leg);
            self.linger(rooms, leg, true);
            if let Phase::Talk(talking) = &mut self.phase {
                // Stored anew, with the CSeq that it has now.
                talking.talk.let_go(|talk| talk.life.forget_lingerer());
            }
        }
        let ending = self.closing.as_ref().and_then(|closing| closing.talk.life.ending());
        let Some(ending) = ending else {
            self.refer_cut_off(rooms);
            return self.owes_own(rooms);
        };
        for (side, gets_bye) in [Side::Caller, Side::Callee].into_iter().zip(ending.byes) {
            if gets_bye {
                self.send_bye(rooms, side, None);
            }
        }
        // Should this process die as well, the next one's BYEs have higher numbers.
        if let Some(closing) = &mut self.closing
            && let Some(record) = &mut closing.record
        {
            let legs = closing.talk.legs.clone();
            record.update(&mut rooms.log, |talk| talk.legs = legs);
        }
    }

    /// Notes which phones of its parties are not there.
    fn misses(&self, rooms: &mut Rooms) {
        let talk = match (&self.phase, &self.closing) {
            (Phase::Talk(talking), _) => &*talking.talk,
            (Phase::Setup(_) | Phase::Ending, Some(closing)) => &closing.talk,
            (Phase::Setup(_) | Phase::Ending, None) => return,
        };
        talk.legs.iter().for_each(|leg| leg.is_missed_by(rooms, self.key));
    }

    /// A phone of this number has registered by a connection: the dialog of whoever spoke by one that is gone goes on over
    /// it (RFC 5626). True if a party of that number is missed still.
    pub(crate) fn phone_is_back(&mut self, rooms: &mut Rooms, number: &str) -> bool {
        let Phase::Talk(talking) = &mut self.phase else { return false };
        let mut misses = false;
        for side in [Side::Caller, Side::Callee] {
            let leg = talking.talk.leg(side);
            if !leg.is_missed() || leg.name.as_deref() != Some(number) {
                continue;
            }
            match leg.way_now(rooms).filter(|flow| flow.conn != 0) {
                Some(flow) => talking.talk.update(&mut rooms.log, |talk| talk.leg_mut(side).flow = flow),
                None => misses = true,
            }
        }
        misses
    }

    /// An INVITE of the earlier process's own may have been accepted: the parties are described anew.
    fn owes_own(&mut self, rooms: &mut Rooms) {
        let Phase::Talk(talking) = &self.phase else { return };
        if talking.talk.life.owed().is_some_and(|owed| owed.kind == Kind::Own) {
            self.mend(rooms);
        }
    }

    /// What the two parties were told of each other's media may differ since an INVITE was cut off: they are described
    /// anew. Who is held by request is parked anew when he is taken back.
    pub(super) fn mend(&mut self, rooms: &mut Rooms) {
        let Phase::Talk(talking) = &mut self.phase else { return };
        let unsure = talking.talk.life.owed().is_some_and(|owed| owed.kind != Kind::Ack);
        talking.exchange = Exchange::Idle;
        if unsure && talking.alone.is_none() && !talking.talk.is_parked() {
            self.arrange(rooms, Aim::Reoffer, None, &[Move::Connect(Side::Caller)]);
        }
    }

    /// An INVITE comes again that an earlier process took: it hears what its sender is told already. False: it is none.
    pub(super) fn answers_again(&self, rooms: &mut Rooms, side: Side, incoming: &Incoming<'_>) -> bool {
        let Phase::Talk(talking) = &self.phase else { return false };
        let (Exchange::Answered(answered), Method::Invite) = (&talking.exchange, incoming.env.cseq.method)
        else {
            return false;
        };
        let same = answered.from == side && answered.server_cseq == incoming.env.cseq.number;
        if !same || answered.gone.is_none() {
            return false;
        }
        rooms.endpoint.respond(incoming.txn, answered.code, answered.ok.clone(), rooms.now.mono);
        true
    }

    /// A response that belongs to no transaction: one of an earlier process. A 2xx to an INVITE within a dialog gets its
    /// ACK, or the far end would end the dialog for want of it. `asked_before`: the earlier process may have called somebody
    /// who has come to this call since.
    pub(crate) fn stray(&mut self, rooms: &mut Rooms, response: &Message, asked_before: bool) {
        let (Ok(env), Some(200..300)) = (response.envelope(), response.code()) else { return };
        if let Phase::Setup(setup) = &mut self.phase {
            return setup.stray(rooms, response, &env);
        }
        let Phase::Talk(talking) = &self.phase else { return };
        let side = [Side::Caller, Side::Callee].into_iter().find(|side| talking.talk.leg(*side).owns(&env));
        let asked = talking.taken_up || asked_before;
        let Some(side) = side.filter(|_| asked && env.cseq.method == Method::Invite) else { return };
        if talking.awaits_ack(side) {
            // The other party acknowledges it.
            return;
        }
        let Some((txn, _)) = rooms.endpoint.reserve() else { return };
        rooms.endpoint.release(txn);
        talking.talk.leg(side).acknowledge(rooms, txn, env.cseq.number, None);
    }
}

impl Setup {
    /// An earlier process had asked the party on the line for an offer. What plays is agreed on anew.
    fn stray(&mut self, rooms: &mut Rooms, ok: &Message, env: &Envelope<'_>) {
        let Caller::Leg(_, leg) = &mut self.caller else { return };
        if env.cseq.method != Method::Invite || !leg.owns(env) {
            return;
        }
        let Some((txn, _)) = rooms.endpoint.reserve() else { return };
        rooms.endpoint.release(txn);
        let inactive = leg.inactive_answer(rooms, ok);
        leg.acknowledge_with(rooms, txn, env.cseq.number, None, inactive.as_deref());
    }
}

impl Talking {
    /// Whether a 2xx of this side was passed on, and the ACK of the other one is waited for.
    fn awaits_ack(&self, side: Side) -> bool {
        match &self.exchange {
            Exchange::Answered(answered) => answered.from == side.other() && !answered.is_refusal(),
            Exchange::Idle | Exchange::Relayed(_) | Exchange::Arranging(_) => false,
        }
    }
}

impl Leg {
    /// Goes on in another process.
    pub(crate) fn resume(&mut self, rooms: &mut Rooms) {
        let directory = Arc::clone(&rooms.directory);
        self.resolve(&directory);
        if self.flow.conn == GONE && !matches!(self.device, Device::Extension(_)) {
            // Whoever is configured is dialled where his Contact says.
            self.flow.conn = 0;
            self.aim_anew();
        }
        self.dialog.skip_cseq(RESTORED_CSEQ_STEP);
        let options = directory.session_timer(self.device);
        let spread = rooms.ids.below(u64::try_from(RESTORED_SPREAD.as_millis()).unwrap_or(1));
        self.timer.resume(options, rooms.now, RESTORED_GRACE, Duration::from_millis(spread));
    }
}

fn talking(rooms: &mut Rooms, record: Replicated<Talk>) -> Talking {
    let alone = record.life.alone().map(|side| (side, rooms.now.mono + MIXER_PATIENCE));
    let exchange = record.life.owed().and_then(|owed| unfinished(rooms, owed));
    if let Some(owed) = record.life.owed()
        && (owed.kind, owed.side) == (Kind::Ack, Side::Caller)
        && exchange.is_some()
    {
        let until = rooms.now.mono + rooms.directory.options.timers.patience();
        let answer = (owed.code, owed.response.clone());
        rooms.repeated.answered(&record.leg(Side::Caller).dialog, owed.cseq, until, answer);
    }
    let exchange = exchange.unwrap_or(Exchange::Idle);
    Talking { talk: record, exchange, audit: [None, None], alone, taken_up: true }
}

/// An INVITE that the earlier process did not see the end of.
fn unfinished(rooms: &mut Rooms, owed: &Owed) -> Option<Exchange> {
    let patience = rooms.directory.options.timers.patience();
    let age = Duration::from_millis(rooms.now.unix_ms.saturating_sub(owed.since_unix_ms));
    let left = match owed.kind {
        Kind::Ack => patience.checked_sub(age)?,
        Kind::Answer => patience / 8,
        Kind::Own => return None,
    };
    let (txn, _) = rooms.endpoint.reserve()?;
    rooms.endpoint.release(txn);
    let now = rooms.now.mono;
    Some(Exchange::Answered(Box::new(Answered {
        from: owed.side,
        server: txn,
        server_cseq: owed.cseq,
        client: txn,
        client_cseq: owed.far_cseq,
        code: owed.code,
        ok: owed.response.clone(),
        again_at: now,
        interval: rooms.directory.options.timers.t1,
        give_up_at: now + left,
        gone: Some(owed.flow),
    })))
}

/// The moment at which a call began, by both clocks.
pub(super) fn begun(now: Now, unix_ms: u64) -> Now {
    let age = Duration::from_millis(now.unix_ms.saturating_sub(unix_ms));
    Now { mono: now.mono.checked_sub(age).unwrap_or(now.mono), unix_ms }
}
