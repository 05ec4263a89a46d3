//! What is told: happenings in order, events with their attributes, and which request an event answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;
use tandem_cti::{CallState, DnRole, Event, EventName, Refusal};

use super::compound::Work;
use super::happening::Happening;
use super::order::Order;
use super::record::TCall;
use super::{conn_id, data};
use crate::call::Ticket;
use crate::cti::SessionId;
use crate::directory::Directory;
use crate::directory::floor::WrapUp;

/// What a call may look at while it changes.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    pub directory: &'a Directory,
    pub watched: &'a dyn Fn(&str) -> bool,
}

/// A request that is not answered yet, or not finished.
#[derive(Debug)]
pub(super) struct Pending {
    pub session: SessionId,
    pub reference_id: Option<u32>,
    /// The DN that asks.
    pub dn: Arc<str>,
    /// The call it is about.
    pub conn: u64,
    /// The event that answers it.
    pub answer: EventName,
    /// It was told.
    pub answered: bool,
    /// Calls that can answer it or end it.
    pub calls: SmallVec<[u64; 2]>,
    pub work: Work,
}

/// What follows, and what is waited for.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub happenings: VecDeque<Happening>,
    pub orders: VecDeque<Order>,
    pub pending: HashMap<Ticket, Pending, RandomState>,
    /// Which of them wait for something at a call.
    pub asked: HashMap<u64, SmallVec<[Ticket; 1]>, RandomState>,
    pub at: HashMap<Arc<str>, SmallVec<[u64; 2]>, RandomState>,
    last_ticket: u64,
}

impl Out {
    /// Keeps a request until it is answered, for these calls.
    pub fn keep(&mut self, pending: Pending) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        for conn in &pending.calls {
            self.asked.entry(*conn).or_default().push(ticket);
        }
        self.pending.insert(ticket, pending);
        ticket
    }

    /// Whether a ticket was given out here; other calls are made without a client.
    pub fn issued(&self, ticket: Ticket) -> bool {
        ticket.0 <= self.last_ticket
    }

    /// The request waits for something at this call, too.
    pub fn attach(&mut self, ticket: Ticket, conn: u64) {
        let Some(pending) = self.pending.get_mut(&ticket) else { return };
        if !pending.calls.contains(&conn) {
            pending.calls.push(conn);
            self.asked.entry(conn).or_default().push(ticket);
        }
    }

    /// The request is waited for no longer.
    pub fn take(&mut self, ticket: Ticket) -> Option<Pending> {
        let pending = self.pending.remove(&ticket)?;
        for conn in &pending.calls {
            let Some(tickets) = self.asked.get_mut(conn) else { continue };
            tickets.retain(|known| *known != ticket);
            if tickets.is_empty() {
                self.asked.remove(conn);
            }
        }
        Some(pending)
    }

    /// The request goes on with its next order, whose outcome is not to be taken for that of the one before.
    pub fn renew(&mut self, ticket: Ticket) -> Option<Ticket> {
        let pending = self.take(ticket)?;
        Some(self.keep(pending))
    }

    /// Requests that wait for something at a call, oldest first.
    pub fn asked_of(&self, conn: u64) -> &[Ticket] {
        self.asked.get(&conn).map_or(&[], |tickets| tickets.as_slice())
    }

    /// Whether a DN has asked for this at a call.
    pub fn asks(&self, conn: u64, dn: &str, work: impl Fn(&Work) -> bool) -> bool {
        let of = |pending: &Pending| *pending.dn == *dn && work(&pending.work);
        self.asked_of(conn).iter().any(|ticket| self.pending.get(ticket).is_some_and(of))
    }

    /// Whose `TDeleteFromConference` is under way at a call.
    pub fn who_deletes(&self, conn: u64) -> Option<Arc<str>> {
        let asked = self.asked_of(conn).iter().filter_map(|ticket| self.pending.get(ticket));
        asked.filter(|pending| pending.answer == EventName::PartyDeleted).map(|p| Arc::clone(&p.dn)).next()
    }

    /// Tells an event of a party. It is not built when nobody would hear it.
    pub fn tell(
        &mut self,
        sight: Sight<'_>,
        call: &TCall,
        place: usize,
        name: EventName,
        more: impl FnOnce(&mut Event),
    ) {
        let Some(party) = call.parties.get(place).filter(|party| party.inside) else { return };
        let asked = self.answers(call.conn, &party.name, name);
        if asked.is_none() && !(sight.watched)(&party.name) {
            return;
        }
        let mut event = call.event(name, place);
        more(&mut event);
        self.happenings.push_back(Happening::Event {
            dn: Arc::clone(&party.name),
            event: Box::new(event),
            asked,
        });
    }

    /// Tells an event of the queue or routing point at which a call is.
    pub fn tell_at(
        &mut self,
        sight: Sight<'_>,
        call: &TCall,
        at: &Arc<str>,
        name: EventName,
        more: impl FnOnce(&mut Event),
    ) {
        let asked = self.answers(call.conn, at, name);
        if asked.is_none() && !(sight.watched)(at) {
            return;
        }
        let mut event = call.event_at(name, at);
        more(&mut event);
        self.happenings.push_back(Happening::Event { dn: Arc::clone(at), event: Box::new(event), asked });
    }

    /// The request that this event answers: the first that waits for it.
    fn answers(&mut self, conn: u64, dn: &str, name: EventName) -> Option<(SessionId, Option<u32>)> {
        let waits = |pending: &Pending| {
            let is_it = !pending.answered && *pending.dn == *dn && pending.answer == name;
            is_it && pending.work.is_at_its_last_step()
        };
        let ticket =
            *self.asked_of(conn).iter().find(|ticket| self.pending.get(ticket).is_some_and(waits))?;
        let pending = self.pending.get_mut(&ticket)?;
        pending.answered = true;
        let asked = (pending.session, pending.reference_id);
        if pending.work.ends_with_its_answer() {
            self.take(ticket);
        }
        Some(asked)
    }

    /// Refuses a request that is still waited for; one that is answered already is not refused as well.
    pub fn refuse(&mut self, ticket: Ticket, refusal: Refusal) -> Option<Pending> {
        let pending = self.take(ticket)?;
        if !pending.answered {
            let (to, reference_id) = (pending.session, pending.reference_id);
            self.happenings.push_back(Happening::Refused { to, reference_id, refusal });
        }
        Some(pending)
    }

    /// A party came to a call.
    pub fn began(&mut self, call: &TCall, dn: &Arc<str>) {
        self.note_at(dn, call.conn);
        self.happenings.push_back(Happening::Began {
            dn: Arc::clone(dn),
            conn: call.conn,
            kind: call.kind,
            queued: call.business,
            wrap_up: data::wrap_up(&call.user_data),
        });
    }

    /// A party came to this call out of another, which it leaves.
    pub fn became(&mut self, call: &TCall, dn: &Arc<str>, old: u64) {
        self.note_at(dn, call.conn);
        self.forget_at(dn, old);
        self.happenings.push_back(Happening::Became {
            dn: Arc::clone(dn),
            old,
            conn: call.conn,
            kind: call.kind,
            queued: call.business,
            wrap_up: data::wrap_up(&call.user_data),
        });
    }

    /// User data of a call changed: parties hear of after-call work that they change.
    pub fn data_changed(&mut self, call: &TCall, before: Option<WrapUp>) {
        let wrap_up = data::wrap_up(&call.user_data);
        if wrap_up == before {
            return;
        }
        for party in call.parties.iter().filter(|party| party.inside) {
            let (dn, conn) = (Arc::clone(&party.name), call.conn);
            self.happenings.push_back(Happening::WrapUp { dn, conn, wrap_up });
        }
    }

    fn note_at(&mut self, dn: &Arc<str>, conn: u64) {
        let calls = self.at.entry(Arc::clone(dn)).or_default();
        if !calls.contains(&conn) {
            calls.push(conn);
        }
    }

    fn forget_at(&mut self, dn: &Arc<str>, conn: u64) {
        let Some(calls) = self.at.get_mut(dn) else { return };
        calls.retain(|known| *known != conn);
        if calls.is_empty() {
            self.at.remove(dn);
        }
    }

    /// It left.
    pub fn ended(&mut self, conn: u64, dn: &Arc<str>) {
        self.forget_at(dn, conn);
        self.happenings.push_back(Happening::Ended { dn: Arc::clone(dn), conn });
    }
}

impl TCall {
    /// An event of a party with all that the call says of it.
    #[must_use]
    pub fn event(&self, name: EventName, place: usize) -> Event {
        let mut event = self.plain_event(name);
        let Some(party) = self.parties.get(place) else { return event };
        event.this_dn = Some(party.name.as_ref().to_owned());
        event.this_dn_role = Some(party.role);
        event.this_queue = party.queue.as_deref().map(str::to_owned);
        match self.other(place) {
            Some(other) => {
                event.other_dn = Some(other.name.as_ref().to_owned());
                event.other_dn_role = Some(other.role);
            }
            None if self.conference => {}
            None if party.talks() => {
                let (name, role) =
                    self.gone.as_ref().map(|(name, role)| (name.as_ref().to_owned(), *role)).unzip();
                (event.other_dn, event.other_dn_role) = (name, role);
            }
            None if party.role == DnRole::Origination => {
                event.other_dn = Some(self.waits.as_ref().unwrap_or(&self.dialled).as_ref().to_owned());
                event.other_dn_role = Some(DnRole::Destination);
            }
            None => {}
        }
        event
    }

    /// An event of a queue or routing point: the other party is the one who waits.
    #[must_use]
    pub fn event_at(&self, name: EventName, at: &str) -> Event {
        let mut event = self.plain_event(name);
        event.this_dn = Some(at.to_owned());
        event.this_dn_role = Some(DnRole::Destination);
        event.this_queue = Some(at.to_owned());
        if let Some(caller) = self.parties.first() {
            event.other_dn = Some(caller.name.as_ref().to_owned());
            event.other_dn_role = Some(caller.role);
        }
        event
    }

    fn plain_event(&self, name: EventName) -> Event {
        let mut event = Event::new(name);
        event.conn_id = Some(conn_id(self.conn));
        event.call_uuid = Some(format!("{:032x}", self.uuid));
        event.call_type = Some(self.kind);
        event.call_state = Some(CallState::Ok);
        event.previous_conn_id = self.previous.map(conn_id);
        event.user_data = self.user_data.clone();
        if !self.ani.is_empty() {
            event.ani = Some(self.ani.as_ref().to_owned());
        }
        if !self.dnis.is_empty() {
            event.dnis = Some(self.dnis.as_ref().to_owned());
        }
        event
    }
}
