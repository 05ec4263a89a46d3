//! Facts of the call room, handed to the calls that they are about.

use std::sync::Arc;

use smallvec::smallvec;
use tandem_cti::{CallType, DnRole, EventName, PartyState};

use super::compound::Work;
use super::data;
use super::happening::Happening;
use super::order::{NOBODY, Order};
use super::party::{Leg, Party};
use super::record::TCall;
use super::{Desk, Slot, TCalls, refusal_of};
use crate::arena::Key;
use crate::call::{Carried, Far, LegNo, News, Ticket};
use crate::limits::MAX_CALLS;

/// How a call began.
struct Opening {
    uuid: u128,
    origin: Far,
    from: Box<str>,
    to: Box<str>,
    parked: Option<Arc<str>>,
    carried: Carried,
    ticket: Option<Ticket>,
}

impl TCalls {
    /// A fact of the call room.
    pub fn news(&mut self, desk: &mut Desk<'_>, key: Key, news: News) {
        match news {
            News::Opened { uuid, origin, from, to, parked, carried, ticket } => {
                self.opened(desk, key, Opening { uuid, origin, from, to, parked, carried, ticket });
            }
            News::Done { ticket, outcome } => self.done(desk, ticket, outcome.map_err(refusal_of)),
            News::Parked { at } => {
                if let Some(conn) = self.keys.get(&key).copied() {
                    self.parked(desk, conn, &at);
                }
            }
            News::Moved { from, leg } => self.moved(desk, from, (key, leg)),
            News::TreatmentEnded => self.treatment_over(desk, key, EventName::TreatmentEnd),
            News::TreatmentFailed => self.treatment_over(desk, key, EventName::TreatmentNotApplied),
            News::Over => self.over(desk, key),
            news @ (News::Offered { .. }
            | News::Ringing { .. }
            | News::Missed { .. }
            | News::Unplaced { .. }
            | News::Answered { .. }
            | News::Held { .. }
            | News::Retrieved { .. }
            | News::Ended { .. }
            | News::Failed { .. }) => self.fact(desk, key, news),
        }
    }

    fn fact(&mut self, desk: &mut Desk<'_>, key: Key, news: News) {
        let Some(conn) = self.keys.get(&key).copied() else { return };
        if !self.call(conn).is_some_and(|call| concerns(call, key, &news)) {
            return;
        }
        if matches!(news, News::Offered { .. }) {
            self.routed_first(desk, conn);
        }
        self.change(desk, conn, |call, out, sight| match news {
            News::Offered { leg, to } => call.offer(out, sight, key, leg, to),
            News::Ringing { leg } => call.ring(out, sight, key, leg),
            News::Missed { leg, status, reason } => call.miss(out, sight, (key, leg), status, reason),
            News::Unplaced { status } => call.unplaced(out, sight, status),
            News::Answered { leg } => call.answer(out, sight, key, leg),
            News::Held { leg } => call.hold(out, sight, (key, leg), true),
            News::Retrieved { leg } => call.hold(out, sight, (key, leg), false),
            News::Ended { leg, .. } => call.end(out, sight, key, leg),
            News::Failed { status } => call.fail(out, sight, key, status),
            News::Opened { .. }
            | News::Parked { .. }
            | News::Moved { .. }
            | News::TreatmentEnded
            | News::TreatmentFailed
            | News::Done { .. }
            | News::Over => {}
        });
        self.settle(desk, conn);
    }

    /// What a waiting caller heard came to an end that nobody asked for.
    fn treatment_over(&mut self, desk: &Desk<'_>, key: Key, name: EventName) {
        let Some(conn) = self.keys.get(&key).copied() else { return };
        if let Some(at) = self.call(conn).and_then(|call| call.waits.clone()) {
            self.tell_waiting(desk, conn, &at, name);
        }
    }

    /// After a call changed: it is stored, or over, and requests that waited for this go on.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>, conn: u64) {
        self.store(desk, conn);
        if !self.out.asked.is_empty() {
            self.go_on(conn);
        }
        if self.call(conn).is_some_and(|call| call.parties.is_empty()) {
            self.finish(desk, conn);
        }
    }

    /// Nobody is left in a call.
    fn finish(&mut self, desk: &mut Desk<'_>, conn: u64) {
        self.change_quietly(desk, conn);
        let Some(call) = self.remove(desk, conn) else { return };
        self.end_requests(desk, conn, call.status);
    }

    /// A queue at which nobody waits any more is left.
    fn change_quietly(&mut self, desk: &mut Desk<'_>, conn: u64) {
        if self.call(conn).is_some_and(|call| call.waits.is_some()) {
            self.change(desk, conn, |call, out, sight| call.abandon_queue(out, sight));
        }
    }

    fn over(&mut self, desk: &mut Desk<'_>, key: Key) {
        let Some(conn) = self.keys.remove(&key) else { return };
        self.change(desk, conn, |call, out, sight| call.over(out, sight, key));
        self.settle(desk, conn);
    }

    fn opened(&mut self, desk: &mut Desk<'_>, key: Key, opening: Opening) {
        if let Some(conn) = self.keys.get(&key).copied() {
            return self.known_by(desk, conn, key, opening.uuid);
        }
        let (name, inside, kind) = match &opening.origin {
            Far::Extension(dn) => (Arc::clone(dn), true, kind_from(desk, &opening.to)),
            Far::Trunk(_) => (Arc::from(&*opening.from), false, CallType::Inbound),
            Far::Mixer(_) => return,
        };
        if self.calls.len() >= MAX_CALLS {
            return;
        }
        let (carried, previous) = self.asked_for(key, &opening);
        let kind = if previous.is_some() { CallType::Consult } else { kind };
        let conn = carried.conn_id.filter(|conn| !self.calls.contains_key(conn));
        let conn = conn.unwrap_or_else(|| self.new_conn());
        let party = Party {
            name,
            inside,
            role: DnRole::Origination,
            state: PartyState::Dialing,
            told: opening.ticket.is_none(),
            queue: None,
            legs: smallvec![Leg { at: Some(key), no: 0, rings: false }],
        };
        let call = TCall {
            conn,
            uuid: opening.uuid,
            kind,
            ani: opening.from,
            dialled: Arc::from(&*opening.to),
            dnis: opening.to,
            user_data: data::bounded(carried.user_data),
            previous,
            parties: smallvec![party],
            keys: smallvec![(key, opening.uuid)],
            ..TCall::default()
        };
        self.calls.insert(conn, Slot::Early(Box::new(call)));
        self.keys.insert(key, conn);
        if let Some(ticket) = opening.ticket {
            self.out.attach(ticket, conn);
        }
        self.begin(desk, conn, opening.parked);
        self.store(desk, conn);
    }

    /// What the request that made a call wants it to carry, and the call that it consults about.
    fn asked_for(&mut self, key: Key, opening: &Opening) -> (Carried, Option<u64>) {
        let Some(ticket) = opening.ticket else { return (opening.carried.clone(), None) };
        let Some(pending) = self.out.pending.get(&ticket) else {
            if self.out.issued(ticket) {
                // Nobody wants it any more.
                self.out.orders.push_back(Order::Clear { ticket: NOBODY, key });
            }
            return (opening.carried.clone(), None);
        };
        let previous = (!matches!(pending.work, Work::Make(_))).then_some(pending.conn);
        (self.carried_by(ticket), previous)
    }

    fn begin(&mut self, desk: &mut Desk<'_>, conn: u64, parked: Option<Arc<str>>) {
        self.change(desk, conn, |call, out, sight| {
            if parked.is_some() {
                call.business = true;
            }
            let caller = call.parties.first().filter(|party| party.inside);
            let (dn, told) = (caller.map(|party| Arc::clone(&party.name)), caller.is_some_and(|p| p.told));
            if let Some(dn) = dn {
                out.began(call, &dn);
            }
            if told {
                out.tell(sight, call, 0, EventName::Dialing, |_| {});
            }
            if let Some(at) = parked {
                call.park(out, sight, at);
            }
        });
    }

    /// A call of the mixer beneath a call that is known: by its `CallUUID` another process finds it again.
    pub fn known_by(&mut self, desk: &mut Desk<'_>, conn: u64, key: Key, uuid: u128) {
        self.change(desk, conn, |call, _, _| {
            for known in call.keys.iter_mut().filter(|(known, _)| *known == key) {
                known.1 = uuid;
            }
        });
    }

    /// A call that rang or went elsewhere waits at a queue or routing point from now on
    /// ([`Operation::Park`](crate::call::control::Operation::Park)).
    pub fn parked(&mut self, desk: &mut Desk<'_>, conn: u64, at: &Arc<str>) {
        let at = Arc::clone(at);
        if self.call(conn).is_some_and(|call| call.waits.as_ref() == Some(&at)) {
            return;
        }
        self.change(desk, conn, |call, out, sight| {
            if let Some(before) = call.waits.clone() {
                call.divert(out, sight, &before, Some(&at));
                out.happenings.push_back(Happening::Left { conn, at: before });
            }
            call.business = true;
            call.park(out, sight, at);
        });
        self.store(desk, conn);
    }

    /// A call leaves its queue or routing point by itself, for `to` or to be refused.
    pub fn diverted(&mut self, desk: &mut Desk<'_>, conn: u64, from: &Arc<str>, to: Option<&str>) {
        self.change(desk, conn, |call, out, sight| call.divert(out, sight, from, to));
    }

    /// A routing application is to say where the call goes.
    pub fn route_requested(&mut self, desk: &mut Desk<'_>, conn: u64, at: &Arc<str>) {
        self.tell_waiting(desk, conn, at, EventName::RouteRequest);
    }

    /// A call that is offered after `TRouteCall` was routed, even where the outcome is told later.
    fn routed_first(&mut self, desk: &mut Desk<'_>, conn: u64) {
        let asked = self.out.asked_of(conn).iter().copied();
        let routes = |t: &Ticket| matches!(self.out.pending.get(t).map(|p| &p.work), Some(Work::Route(_)));
        if let Some(ticket) = asked.into_iter().find(routes) {
            self.done(desk, ticket, Ok(()));
        }
    }

    /// `TRouteCall` is carried out.
    pub(super) fn routed(&mut self, desk: &mut Desk<'_>, ticket: Ticket, to: Option<&str>) {
        let Some(pending) = self.out.pending.get(&ticket) else { return };
        let (conn, at) = (pending.conn, Arc::clone(&pending.dn));
        self.change(desk, conn, |call, out, sight| {
            out.tell_at(sight, call, &at, EventName::RouteUsed, |event| {
                event.third_party_dn = to.map(str::to_owned);
            });
            call.divert(out, sight, &at, to);
            out.happenings.push_back(Happening::Left { conn, at });
        });
        self.out.take(ticket);
        self.settle(desk, conn);
    }
}

/// Whether a fact changes anything: what does not is not logged.
fn concerns(call: &TCall, key: Key, news: &News) -> bool {
    let known = |leg: LegNo| call.at_leg(key, leg).and_then(|place| call.parties.get(place));
    match news {
        News::Offered { leg, to } => !matches!(to, Far::Mixer(_)) && known(*leg).is_none(),
        News::Answered { leg } | News::Ringing { leg } => known(*leg).is_some_and(|party| !party.talks()),
        News::Missed { leg, .. } | News::Ended { leg, .. } => known(*leg).is_some(),
        News::Held { leg } => known(*leg).is_some_and(|party| party.state == PartyState::Connected),
        News::Retrieved { leg } => known(*leg).is_some_and(|party| party.state == PartyState::Held),
        News::Unplaced { .. } | News::Failed { .. } => true,
        News::Opened { .. }
        | News::Parked { .. }
        | News::Moved { .. }
        | News::TreatmentEnded
        | News::TreatmentFailed
        | News::Done { .. }
        | News::Over => false,
    }
}

/// `CallType` of a call that an Extension begins, as far as its number tells; the device that is called tells better.
fn kind_from(desk: &Desk<'_>, to: &str) -> CallType {
    let (directory, to) = (desk.directory, to.as_bytes());
    let outside = directory.find(to).is_none() && directory.floor_dn(to).is_none();
    if outside && directory.dial_rule(to).is_some() { CallType::Outbound } else { CallType::Internal }
}
