//! Orders that wait until their calls are at rest. A desktop asks within milliseconds of an event, while the ACK of the
//! exchange that was told is still on its way; no second INVITE may be sent in a dialog until then (RFC 3261 14.1).

use std::collections::VecDeque;

use smallvec::SmallVec;
use tandem_cti::{ErrorCode, Refusal};

use super::Node;
use super::floor::with_calls;
use crate::arena::Key;
use crate::call::Ticket;
use crate::cti::calls::{self, NOBODY, Order};
use crate::limits::{HELD_ORDER_PATIENCE, MAX_HELD_ORDERS, MAX_HELD_ORDERS_OF_CALL};
use crate::time::Deadline;

/// Calls that an order changes.
type Keys = SmallVec<[Key; 4]>;

#[derive(Debug)]
struct Waiting {
    order: Order,
    ticket: Ticket,
    keys: Keys,
    until: Deadline,
}

/// See the module; oldest first.
#[derive(Debug, Default)]
pub(super) struct Held {
    orders: VecDeque<Waiting>,
}

impl Held {
    fn of(&self, key: Key) -> usize {
        self.orders.iter().filter(|waiting| waiting.keys.contains(&key)).count()
    }

    fn is_full_for(&self, keys: &Keys) -> bool {
        self.orders.len() >= MAX_HELD_ORDERS
            || keys.iter().any(|key| self.of(*key) >= MAX_HELD_ORDERS_OF_CALL)
    }

    pub(super) fn len(&self) -> usize {
        self.orders.len()
    }

    /// When the first has waited long enough.
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.orders.front().map(|waiting| waiting.until)
    }
}

impl Node {
    /// Carries an order out, now or as soon as the calls that it changes are at rest and what was ordered before is done.
    pub(super) fn order(&mut self, order: Order) {
        let Some((ticket, keys)) = self.changes(&order) else { return self.carry_out_order(order) };
        let waits = |key: &Key| !self.calls.is_at_rest(*key) || self.floor.held.of(*key) > 0;
        if !keys.iter().any(waits) || self.floor.held.is_full_for(&keys) {
            return self.carry_out_order(order);
        }
        let until = Deadline::after(self.rooms.now.unix_ms, HELD_ORDER_PATIENCE);
        self.floor.held.orders.push_back(Waiting { order, ticket, keys, until });
    }

    /// The next order that need not wait any more. One that has waited too long meets its call as it is.
    pub(super) fn next_order(&mut self) -> Option<Order> {
        let mut before = Keys::new();
        let mut place = 0;
        loop {
            let waiting = self.floor.held.orders.get(place)?;
            let over = waiting.until.is_past(self.rooms.now.unix_ms);
            let unwanted = waiting.ticket != NOBODY && !self.floor.tcalls.awaits(waiting.ticket);
            let free = |key: &Key| !before.contains(key) && self.calls.is_at_rest(*key);
            if unwanted {
                let dropped = self.floor.held.orders.remove(place);
                if let Some(Waiting { order: Order::Transfer { key, .. }, .. }) = dropped {
                    self.calls.refer_failed(&mut self.rooms, key, 481);
                }
                continue;
            }
            if over || waiting.keys.iter().all(free) {
                return self.floor.held.orders.remove(place).map(|waiting| waiting.order);
            }
            before.extend_from_slice(&waiting.keys);
            place += 1;
        }
    }

    /// The calls whose dialogs an order changes, if it needs them at rest.
    fn changes(&self, order: &Order) -> Option<(Ticket, Keys)> {
        match order {
            Order::Hold { ticket, key, .. }
            | Order::Retrieve { ticket, key, .. }
            | Order::Replace { ticket, key, .. } => Some((*ticket, Keys::from_slice(&[*key]))),
            Order::Transfer { ticket, key, consult, .. } => {
                Some((*ticket, Keys::from_slice(&[*key, *consult])))
            }
            Order::Conference { ticket, key, consult, moved } => {
                let legs = self.floor.tcalls.conference_legs(*key, (*consult, *moved));
                Some((*ticket, legs.into_iter().map(|(key, _)| key).collect()))
            }
            Order::Make { .. }
            | Order::Attach { .. }
            | Order::Answer { .. }
            | Order::Release { .. }
            | Order::Clear { .. }
            | Order::Redirect { .. }
            | Order::Route { .. }
            | Order::Dtmf { .. }
            | Order::Treat { .. } => None,
        }
    }

    /// The party holds, or talks, already: a second request asked for what the first has done.
    pub(super) fn done_already(&mut self, ticket: Ticket) {
        if self.floor.tcalls.is_plain(ticket) {
            let refusal = Refusal::new(ErrorCode::InSameState);
            return with_calls!(self, |tcalls, desk| tcalls.done(desk, ticket, Err(refusal)));
        }
        with_calls!(self, |tcalls, desk| tcalls.done(desk, ticket, Ok(())));
    }
}
