//! Requests of several steps. Each is a small machine that goes on when the order before is done; a step that fails
//! undoes what it can and refuses the request. The event of the last step answers (of a consultation: that it is dialled),
//! so that no refusal follows an answer; what fails later is told by the events of its call.

use std::sync::Arc;

use smallvec::SmallVec;
use tandem_cti::{ErrorCode, EventName, Refusal};

use super::events::Pending;
use super::order::{Dialled, NOBODY, Order};
use super::{Desk, Slot, TCalls};
use crate::arena::Key;
use crate::call::{Carried, LegNo, Ticket};

/// What a pending request still has to do.
#[derive(Debug)]
pub(super) enum Work {
    /// One order; an event answers it.
    Plain,
    /// A new call.
    Make(Carried),
    /// Hold, then call somebody.
    Consult(Consult),
    /// Hold, call somebody, and leave both calls as soon as it rings there.
    Mute(Mute),
    /// Hold one call, take another back.
    Alternate(Alternate),
    /// End one call, take another back.
    Reconnect(Reconnect),
    /// Join two calls.
    Transfer(Transfer),
    /// Join two calls in the mixer.
    Conference(Transfer),
    /// Leave the call to somebody else.
    SingleStep,
    /// Send a ringing call elsewhere.
    Redirect,
    /// Send a waiting call on.
    Route(Option<Dialled>),
    /// Play something at a queue.
    Treat,
}

impl Work {
    /// Whether nothing is left to do once the event that answers is told.
    pub fn ends_with_its_answer(&self) -> bool {
        match self {
            Self::Plain | Self::Make(_) | Self::SingleStep | Self::Redirect | Self::Treat => true,
            Self::Consult(_)
            | Self::Mute(_)
            | Self::Alternate(_)
            | Self::Reconnect(_)
            | Self::Transfer(_)
            | Self::Conference(_)
            | Self::Route(_) => false,
        }
    }

    /// Whether the step is under way whose event answers; the same event earlier means something else.
    pub fn is_at_its_last_step(&self) -> bool {
        match self {
            Self::Alternate(alternate) => !alternate.holding,
            Self::Reconnect(reconnect) => !reconnect.releasing,
            Self::Transfer(transfer) | Self::Conference(transfer) => transfer.joins,
            Self::Plain
            | Self::Make(_)
            | Self::Consult(_)
            | Self::Mute(_)
            | Self::SingleStep
            | Self::Redirect
            | Self::Route(_)
            | Self::Treat => true,
        }
    }
}

/// `TInitiateTransfer`, `TInitiateConference`.
#[derive(Debug)]
pub(super) struct Consult {
    pub to: Dialled,
    pub carried: Carried,
    /// The order under way is the hold.
    pub holding: bool,
    /// This request put the call on hold, so a failure takes it back.
    pub held: bool,
}

/// `TMuteTransfer`.
#[derive(Debug)]
pub(super) struct Mute {
    pub consult: Consult,
    /// The transfer is ordered: the leg that moves.
    pub moved: Option<(Key, LegNo)>,
}

/// `TAlternateCall`.
#[derive(Debug)]
pub(super) struct Alternate {
    pub held_conn: u64,
    pub holding: bool,
}

/// `TReconnectCall`.
#[derive(Debug)]
pub(super) struct Reconnect {
    pub held_conn: u64,
    pub releasing: bool,
}

/// `TCompleteTransfer` and `TCompleteConference`.
#[derive(Debug)]
pub(super) struct Transfer {
    pub consult_conn: u64,
    /// Leg of the consultation that joins the call.
    pub moved: (Key, LegNo),
    /// It does so now.
    pub joins: bool,
}

/// What comes next.
enum Next {
    Wait,
    /// This call is taken back.
    Finished(u64),
    Retrieve(u64),
    Make(Dialled),
    Ack,
    Treated(EventName),
    Routed(Option<Dialled>),
}

impl Pending {
    /// The order under way is done.
    fn next(&mut self) -> Next {
        match &mut self.work {
            Work::Plain if self.answer == EventName::Ack => Next::Ack,
            Work::Plain | Work::Make(_) | Work::SingleStep | Work::Redirect => Next::Wait,
            Work::Consult(consult) | Work::Mute(Mute { consult, moved: None }) if consult.holding => {
                consult.holding = false;
                Next::Make(consult.to.clone())
            }
            Work::Consult(_) | Work::Mute(_) | Work::Transfer(_) | Work::Conference(_) => Next::Wait,
            Work::Alternate(Alternate { held_conn, holding: step })
            | Work::Reconnect(Reconnect { held_conn, releasing: step }) => {
                if std::mem::take(step) {
                    Next::Retrieve(*held_conn)
                } else {
                    Next::Finished(*held_conn)
                }
            }
            Work::Route(to) => Next::Routed(to.take()),
            Work::Treat => Next::Treated(EventName::TreatmentApplied),
        }
    }

    /// Call that must be taken back because what it was held for came to nothing.
    fn undo(&self) -> Option<u64> {
        match &self.work {
            Work::Consult(consult) | Work::Mute(Mute { consult, .. }) => {
                (consult.held && !consult.holding).then_some(self.conn)
            }
            Work::Alternate(alternate) => (!alternate.holding).then_some(self.conn),
            Work::Plain
            | Work::Make(_)
            | Work::Reconnect(_)
            | Work::Transfer(_)
            | Work::Conference(_)
            | Work::SingleStep
            | Work::Redirect
            | Work::Route(_)
            | Work::Treat => None,
        }
    }
}

impl TCalls {
    /// The outcome of an order, decided at once or told by [`News::Done`](crate::call::News::Done).
    pub fn done(&mut self, desk: &mut Desk<'_>, ticket: Ticket, outcome: Result<(), Refusal>) {
        if let Err(refusal) = outcome {
            return self.failed(desk, ticket, refusal);
        }
        let Some(pending) = self.out.pending.get_mut(&ticket) else { return };
        let (conn, dn) = (pending.conn, Arc::clone(&pending.dn));
        match pending.next() {
            Next::Wait => {}
            Next::Finished(held) => self.is_back(desk, ticket, held, &dn),
            Next::Retrieve(held) => self.retrieve_next(desk, ticket, held, &dn),
            Next::Make(to) => self.make_next(ticket, dn, to),
            Next::Ack => self.acknowledge(ticket),
            Next::Treated(name) => self.tell_waiting(desk, conn, &dn, name),
            Next::Routed(to) => self.routed(desk, ticket, to.as_deref()),
        }
    }

    fn retrieve_next(&mut self, desk: &mut Desk<'_>, ticket: Ticket, held: u64, dn: &str) {
        let Some((key, leg)) = self.reached(held, dn) else {
            return self.failed(desk, ticket, ErrorCode::InvCallState.into());
        };
        if let Some(ticket) = self.out.renew(ticket) {
            self.out.orders.push_back(Order::Retrieve { ticket, key, leg });
        }
    }

    /// Whoever's phone has taken the call back by itself meanwhile is told so once more: that is the answer.
    fn is_back(&mut self, desk: &Desk<'_>, ticket: Ticket, held: u64, dn: &str) {
        if self.out.pending.get(&ticket).is_some_and(|pending| !pending.answered)
            && let Some(call) = self.calls.get(&held).map(Slot::call)
            && let Some(place) = call.named(dn)
        {
            self.out.tell(desk.sight(), call, place, EventName::Retrieved, |_| {});
        }
        self.out.refuse(ticket, ErrorCode::InvCallState.into());
    }

    fn make_next(&mut self, ticket: Ticket, from: Arc<str>, to: Dialled) {
        if let Some(ticket) = self.out.renew(ticket) {
            self.out.orders.push_back(Order::Make { ticket, from, to, consult: true });
        }
    }

    /// An order came to nothing: the request is refused, and what it had begun is undone.
    pub(super) fn failed(&mut self, desk: &mut Desk<'_>, ticket: Ticket, refusal: Refusal) {
        let Some(pending) = self.out.pending.get(&ticket) else { return };
        if matches!(pending.work, Work::Treat) {
            let (conn, dn) = (pending.conn, Arc::clone(&pending.dn));
            self.not_applied(desk, ticket, (conn, &dn), &refusal);
        }
        let Some(pending) = self.out.refuse(ticket, refusal) else { return };
        let back = pending.undo().and_then(|conn| self.reached(conn, &pending.dn));
        if let Some((key, leg)) = back {
            self.out.orders.push_back(Order::Retrieve { ticket: NOBODY, key, leg });
        }
    }

    /// Nothing plays: that is an event, not an error, and says why.
    fn not_applied(&mut self, desk: &Desk<'_>, ticket: Ticket, at: (u64, &Arc<str>), refusal: &Refusal) {
        if let Some(pending) = self.out.pending.get_mut(&ticket) {
            pending.answer = EventName::TreatmentNotApplied;
        }
        let (conn, dn) = at;
        if let Some(call) = self.calls.get(&conn).map(Slot::call) {
            self.out.tell_at(desk.sight(), call, dn, EventName::TreatmentNotApplied, |event| {
                event.error_code = Some(refusal.code.number());
                event.error_message =
                    Some("this cannot be played to the caller; tandem why says more".to_owned());
            });
        }
    }

    /// Goes on with requests that waited for what has just happened to a call.
    pub(super) fn go_on(&mut self, conn: u64) {
        let mut place = 0;
        // A request that is finished here leaves the list.
        while let Some(ticket) = self.out.asked_of(conn).get(place).copied() {
            self.go_on_with(conn, ticket);
            place += usize::from(self.out.pending.contains_key(&ticket));
        }
    }

    fn go_on_with(&mut self, conn: u64, ticket: Ticket) {
        let (Some(call), Some(pending)) = (self.call(conn), self.out.pending.get(&ticket)) else { return };
        let Some(place) = call.named(&pending.dn) else { return };
        match &pending.work {
            Work::Consult(_) if conn != pending.conn => {
                if call.parties.get(place).is_some_and(|party| party.told) {
                    self.out.take(ticket);
                }
            }
            Work::Mute(Mute { moved: None, .. }) if conn != pending.conn => {
                // A call that a queue offers is the queue's until an agent has answered it.
                let placed = call.other(place).filter(|_| call.waits.is_none());
                let rings = placed.filter(|other| other.told || other.talks());
                let Some(moved) = rings.and_then(super::party::Party::reached) else { return };
                self.transfer_mutely(ticket, moved);
            }
            Work::Plain
            | Work::Make(_)
            | Work::Consult(_)
            | Work::Mute(_)
            | Work::Alternate(_)
            | Work::Reconnect(_)
            | Work::Transfer(_)
            | Work::Conference(_)
            | Work::SingleStep
            | Work::Redirect
            | Work::Route(_)
            | Work::Treat => {}
        }
    }

    fn transfer_mutely(&mut self, ticket: Ticket, moved: (Key, LegNo)) {
        let Some(pending) = self.out.pending.get(&ticket) else { return };
        let primary = self.call(pending.conn);
        let stays = primary.and_then(|call| call.other(call.named(&pending.dn)?)?.reached());
        let (Some((key, kept)), Some(pending)) = (stays, self.out.pending.get_mut(&ticket)) else { return };
        if let Work::Mute(mute) = &mut pending.work {
            mute.moved = Some(moved);
        }
        let Some(ticket) = self.out.renew(ticket) else { return };
        let (consult, moved) = moved;
        self.out.orders.push_back(Order::Transfer { ticket, key, kept, consult, moved });
    }

    /// A call is over: what was asked of it comes to nothing, unless its end was what was asked for.
    pub(super) fn end_requests(&mut self, desk: &mut Desk<'_>, conn: u64, status: u16) {
        let mut asked: SmallVec<[Ticket; 2]> = SmallVec::from_slice(self.out.asked_of(conn));
        asked.retain(|ticket| self.out.pending.contains_key(ticket));
        for ticket in asked {
            let Some(pending) = self.out.pending.get(&ticket) else { continue };
            let own = pending.conn == conn;
            let over = || Refusal::because(ErrorCode::InvCallState, "the call is over");
            let refusal = if own || status == 0 { over() } else { super::refusal_of(status) };
            match &pending.work {
                Work::Reconnect(step) if own && step.releasing => self.done(desk, ticket, Ok(())),
                // The other call is being taken back already.
                Work::Reconnect(_) if own => {}
                Work::Alternate(step) if own && !step.holding => {}
                // The consultation is a call of its own by now, or will be: it needs the held one no more.
                Work::Consult(consult) if own && !consult.holding => {}
                Work::Mute(mute) if own && !mute.consult.holding => {
                    let made = mute.consult.carried.conn_id;
                    self.failed(desk, ticket, refusal);
                    self.clear(made);
                }
                Work::Make(_) if status != 0 => self.failed(desk, ticket, super::refusal_of(status)),
                Work::Plain
                | Work::Make(_)
                | Work::Consult(_)
                | Work::Mute(_)
                | Work::Alternate(_)
                | Work::Reconnect(_)
                | Work::Transfer(_)
                | Work::Conference(_)
                | Work::SingleStep
                | Work::Redirect
                | Work::Route(_)
                | Work::Treat => self.failed(desk, ticket, refusal),
            }
        }
    }

    /// Ends the call that a mute transfer made when there is nobody left to transfer.
    fn clear(&mut self, conn: Option<u64>) {
        let call = conn.and_then(|conn| self.call(conn));
        let keys = call.map(|call| call.keys.clone()).unwrap_or_default();
        for (key, _) in keys {
            self.out.orders.push_back(Order::Clear { ticket: NOBODY, key });
        }
    }

    /// An event of a queue or routing point that no fact of the call room stands for.
    pub(super) fn tell_waiting(&mut self, desk: &Desk<'_>, conn: u64, at: &Arc<str>, name: EventName) {
        if let Some(call) = self.calls.get(&conn).map(Slot::call) {
            self.out.tell_at(desk.sight(), call, at, name, |_| {});
        }
    }

    /// Where a request reaches a party.
    pub(super) fn reached(&self, conn: u64, dn: &str) -> Option<(Key, LegNo)> {
        let call = self.call(conn)?;
        call.parties.get(call.named(dn)?)?.reached()
    }
}
