//! Two calls become one: transfers and conferences, once the call room has moved a leg.
//!
//! The call asked for first keeps its ConnID; the consultation's ends. User data of both join, the kept call's win.

use std::sync::Arc;

use smallvec::smallvec;
use tandem_cti::{CallState, DnRole, Event, EventName, PartyState};

use super::compound::{Mute, Transfer, Work};
use super::events::{Out, Sight};
use super::order::{NOBODY, Order};
use super::party::{Leg, Party};
use super::record::TCall;
use super::{Desk, Slot, TCalls, conn_id, data};
use crate::arena::Key;
use crate::call::{LegNo, Ticket};
use crate::limits::MAX_PARTIES;

/// Who leaves the consultation, who joins the call, and why.
struct Joining {
    /// Who asked for it.
    by: Arc<str>,
    consult: TCall,
    moved: Party,
}

impl TCalls {
    /// The leg `from` of one call is the leg `to` of another from now on (the call room joined two calls, or put a leg
    /// into the mixer). A transfer or conference that waited for this is complete.
    pub fn moved(&mut self, desk: &mut Desk<'_>, from: (Key, LegNo), to: (Key, LegNo)) {
        let Some(conn) = self.keys.get(&from.0).copied() else { return };
        let joins = self.out.asked_of(conn).iter().copied().find(|ticket| self.waits_for(*ticket, from));
        match joins {
            Some(ticket) => self.join(desk, ticket, from, to),
            None => {
                self.keys.insert(to.0, conn);
                self.change(desk, conn, |call, _, _| call.rebind(from, to));
            }
        }
    }

    fn waits_for(&self, ticket: Ticket, leg: (Key, LegNo)) -> bool {
        match self.out.pending.get(&ticket).map(|pending| &pending.work) {
            Some(Work::Transfer(Transfer { moved, .. }) | Work::Conference(Transfer { moved, .. })) => {
                *moved == leg
            }
            Some(Work::Mute(Mute { moved, .. })) => *moved == Some(leg),
            Some(_) | None => false,
        }
    }

    fn join(&mut self, desk: &mut Desk<'_>, ticket: Ticket, from: (Key, LegNo), to: (Key, LegNo)) {
        let Some(pending) = self.out.pending.get_mut(&ticket) else { return };
        let (conn, by) = (pending.conn, Arc::clone(&pending.dn));
        if let Work::Transfer(transfer) | Work::Conference(transfer) = &mut pending.work {
            transfer.joins = true;
        }
        let in_conference = matches!(pending.work, Work::Conference(_));
        let consult_conn = match &pending.work {
            Work::Transfer(transfer) | Work::Conference(transfer) => Some(transfer.consult_conn),
            Work::Mute(mute) => mute.consult.carried.conn_id,
            Work::Plain
            | Work::Make(_)
            | Work::Consult(_)
            | Work::Alternate(_)
            | Work::Reconnect(_)
            | Work::SingleStep
            | Work::Redirect
            | Work::Route(_)
            | Work::Treat => None,
        };
        let Some(mut consult) = consult_conn.and_then(|conn| self.remove(desk, conn)) else { return };
        let Some(place) = consult.at_leg(from.0, from.1) else { return };
        let mut moved = consult.parties.remove(place);
        consult.gone = Some((Arc::clone(&moved.name), moved.role));
        moved.legs = smallvec![Leg { at: Some(to.0), no: to.1, rings: true }];
        if in_conference
            && let Some((key, leg)) = consult.named(&by).and_then(|p| consult.parties.get(p)?.reached())
        {
            self.out.orders.push_back(Order::Release { ticket: NOBODY, key, leg });
        }
        let consult_conn = consult.conn;
        let data = std::mem::take(&mut consult.user_data);
        self.keys.insert(to.0, conn);
        let joining = Joining { by, consult, moved };
        self.change(desk, conn, |call, out, sight| {
            let before = data::wrap_up(&call.user_data);
            data::merge(&mut call.user_data, data);
            out.data_changed(call, before);
            call.know(to.0);
            if in_conference {
                call.confer(out, sight, joining);
            } else {
                call.transfer(out, sight, joining);
            }
        });
        self.out.take(ticket);
        self.end_requests(desk, consult_conn, 0);
        self.settle(desk, conn);
    }

    /// Legs that go into the mixer when leg `moved` of a consultation joins the call `key`: all of the call's own unless
    /// they are there already, then that one.
    #[must_use]
    pub fn conference_legs(&self, key: Key, moved: (Key, LegNo)) -> Vec<(Key, LegNo)> {
        let call = self.conn_of(key).and_then(|conn| self.calls.get(&conn)).map(Slot::call);
        let own = call.filter(|call| !call.conference).into_iter().flat_map(|call| &call.parties);
        own.filter_map(Party::reached).chain([moved]).collect()
    }
}

impl TCall {
    pub(super) fn know(&mut self, key: Key) {
        if !self.keys.iter().any(|(known, _)| *known == key) {
            self.keys.push((key, 0));
        }
    }

    fn rebind(&mut self, from: (Key, LegNo), to: (Key, LegNo)) {
        self.know(to.0);
        let legs = self.parties.iter_mut().flat_map(|party| &mut party.legs);
        for leg in legs.filter(|leg| (leg.at, leg.no) == (Some(from.0), from.1)) {
            (leg.at, leg.no) = (Some(to.0), to.1);
        }
    }

    /// The one who transfers leaves both calls; the others hear whom they have now.
    fn transfer(&mut self, out: &mut Out, sight: Sight<'_>, joining: Joining) {
        let Joining { by, mut consult, mut moved } = joining;
        let left = (EventName::Released, CallState::Transferred);
        if let Some(place) = self.named(&by) {
            self.leave(out, sight, place, left);
        }
        while !consult.parties.is_empty() {
            consult.leave(out, sight, 0, left);
        }
        moved.role = DnRole::NewParty;
        let place = self.take_in(out, consult.conn, moved);
        let changed = |event: &mut Event| {
            event.call_state = Some(CallState::Transferred);
            event.third_party_dn = Some(by.as_ref().to_owned());
        };
        if self.parties.get(place).is_some_and(|party| party.told) {
            out.tell(sight, self, place, EventName::PartyChanged, |event| {
                changed(event);
                event.previous_conn_id = Some(conn_id(consult.conn));
            });
        }
        for rest in 0..place {
            out.tell(sight, self, rest, EventName::PartyChanged, changed);
        }
        self.hold_nobody(out, sight, 0);
    }

    /// These parties, and those after them, are connected with somebody new: none of them holds any more.
    fn hold_nobody(&mut self, out: &mut Out, sight: Sight<'_>, from: usize) {
        for place in from..self.parties.len() {
            let Some(party) = self.parties.get_mut(place) else { return };
            if party.state == PartyState::Held {
                party.state = PartyState::Connected;
                out.tell(sight, self, place, EventName::Retrieved, |_| {});
            }
        }
    }

    /// The consulted party joins; the consultation itself is released.
    fn confer(&mut self, out: &mut Out, sight: Sight<'_>, joining: Joining) {
        let Joining { by, mut consult, mut moved } = joining;
        while !consult.parties.is_empty() {
            consult.leave(out, sight, 0, (EventName::Released, CallState::Conferenced));
        }
        let was_one = std::mem::replace(&mut self.conference, true);
        for party in self.parties.iter_mut().filter(|party| *party.name == *by) {
            match party.reached() {
                // Who is with the mixer already stays as he is there.
                Some((key, leg)) if was_one => {
                    out.orders.push_back(Order::Retrieve { ticket: NOBODY, key, leg });
                }
                Some(_) | None => party.state = PartyState::Connected,
            }
        }
        moved.role = DnRole::ConferenceMember;
        let added = moved.name.as_ref().to_owned();
        let place = self.take_in(out, consult.conn, moved);
        let how = |event: &mut Event| {
            event.call_state = Some(CallState::Conferenced);
            event.third_party_dn = Some(by.as_ref().to_owned());
        };
        for rest in 0..place {
            out.tell(sight, self, rest, EventName::PartyAdded, |event| {
                how(event);
                event.other_dn = Some(added.clone());
                event.other_dn_role = Some(DnRole::ConferenceMember);
            });
        }
        out.tell(sight, self, place, EventName::PartyChanged, |event| {
            how(event);
            event.previous_conn_id = Some(conn_id(consult.conn));
        });
        self.hold_nobody(out, sight, if was_one { place } else { 0 });
    }

    /// A party of the consultation joins this call.
    fn take_in(&mut self, out: &mut Out, from: u64, party: Party) -> usize {
        if self.parties.len() >= MAX_PARTIES {
            self.parties.truncate(MAX_PARTIES - 1);
        }
        let (name, inside) = (Arc::clone(&party.name), party.inside);
        self.parties.push(party);
        if inside {
            out.became(self, &name, from);
        }
        self.parties.len() - 1
    }
}
