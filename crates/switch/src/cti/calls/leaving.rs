//! Parties who leave a call for somebody else: by REFER from their phone, or by request in one step. A phone's transfer
//! is told like a requested one (`TSingleStepTransfer`, `TCompleteTransfer`).

use std::sync::Arc;

use smallvec::SmallVec;
use tandem_cti::EventName;

use super::compound::{Transfer, Work};
use super::events::Pending;
use super::party::Party;
use super::record::TCall;
use super::{Desk, TCalls};
use crate::arena::Key;
use crate::call::{LegNo, Ticket};
use crate::cti::SessionId;

/// No client waits for what a phone does.
const NO_SESSION: SessionId = SessionId(0);

impl TCalls {
    /// The party at a leg leaves for whoever is at this number, as soon as he comes.
    pub fn leaves(&mut self, desk: &mut Desk<'_>, (key, leg): (Key, LegNo), to: &str) {
        let Some(conn) = self.conn_of(key) else { return };
        self.change(desk, conn, |call, _, _| {
            let party = call.at_leg(key, leg).and_then(|place| call.parties.get(place));
            call.mover = party.map(|party| Arc::clone(&party.name));
            call.dialled = to.into();
        });
    }

    /// A callee sends the call on to this number.
    pub fn sent_to(&mut self, desk: &mut Desk<'_>, key: Key, to: &str) {
        let Some(conn) = self.conn_of(key) else { return };
        self.change(desk, conn, |call, _, _| call.dialled = to.into());
    }

    /// Somebody is called beside the call above `of` who is to join it: he is a party of it from the start.
    pub fn beside(&mut self, desk: &mut Desk<'_>, of: Key, aside: Key) {
        let Some(conn) = self.conn_of(of) else { return };
        self.keys.insert(aside, conn);
        self.change(desk, conn, |call, _, _| call.know(aside));
    }

    /// A phone joins what is left of two calls by leaving both. The ticket of the order; `None`: they are not known here,
    /// and nobody needs to be told.
    pub fn completes(&mut self, by: (Key, LegNo), moved: (Key, LegNo)) -> Option<Ticket> {
        let (conn, consult_conn) = (self.conn_of(by.0)?, self.conn_of(moved.0)?);
        let call = self.call(conn)?;
        let dn = Arc::clone(&call.parties.get(call.at_leg(by.0, by.1)?)?.name);
        Some(self.out.keep(Pending {
            session: NO_SESSION,
            reference_id: None,
            dn,
            conn,
            answer: EventName::Released,
            answered: true,
            calls: SmallVec::from_slice(&[conn, consult_conn]),
            work: Work::Transfer(Transfer { consult_conn, moved, joins: false }),
        }))
    }

    /// Where the party of this name is reached in the call.
    #[must_use]
    pub fn reached_at(&self, conn: u64, dn: &str) -> Option<(Key, LegNo)> {
        self.reached(conn, dn)
    }
}

impl TCall {
    /// Who leaves and has not left yet: whoever is called beside him is to have the others.
    fn is_leaving(&self, party: &Party) -> bool {
        self.mover.as_ref() == Some(&party.name)
    }

    /// The party that a third one of the call counts as the other: who talks has who talks, who is called has who stays.
    pub(super) fn counterpart(&self, than: usize) -> Option<&Party> {
        let own = self.parties.get(than)?;
        let others = || self.parties.iter().enumerate().filter(|(place, _)| *place != than).map(|(_, p)| p);
        let fits = |party: &&Party| !(party.is_called() || own.is_called() && self.is_leaving(party));
        others().rfind(fits).or_else(|| others().next_back())
    }

    /// Nobody comes any more: who wanted to leave stays.
    pub(super) fn stays(&mut self) {
        if self.parties.iter().any(|party| self.is_leaving(party)) {
            self.mover = None;
        }
    }
}
