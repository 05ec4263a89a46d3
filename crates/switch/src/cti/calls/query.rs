//! What others may know of calls: the data of `EventRegistered`, `EventAddressInfo` and `EventPartyInfo`.

use std::sync::Arc;

use tandem_cti::{DnRole, ErrorCode, Event, EventName, KvList, PartyInfo, PartyState, Refusal};
use tandem_peer::Replicated;
use tandem_peer::replica::Change;

use super::compound::{Consult, Mute, Work};
use super::happening::Happening;
use super::record::TCall;
use super::{Desk, Slot, TCalls, conn_id};
use crate::arena::Key;
use crate::call::{Carried, Ticket};

impl TCalls {
    /// The call beneath a ConnID that waits or is offered.
    #[must_use]
    pub fn key_of(&self, conn: u64) -> Option<Key> {
        self.call(conn)?.keys.first().map(|(key, _)| *key)
    }

    /// The queue or routing point that a call waits at or is offered from.
    #[must_use]
    pub fn waits_at(&self, conn: u64) -> Option<Arc<str>> {
        self.call(conn)?.waits.clone()
    }

    /// Whether this DN is a party of the call above `key` that called or has answered.
    #[must_use]
    pub fn has_talker(&self, key: Key, dn: &str) -> bool {
        let call = self.conn_of(key).and_then(|conn| self.call(conn));
        call.is_some_and(|call| {
            call.parties.iter().any(|party| *party.name == *dn && party.inside && !party.is_called())
        })
    }

    /// The ConnID above a call.
    #[must_use]
    pub fn conn_of(&self, key: Key) -> Option<u64> {
        self.keys.get(&key).copied()
    }

    /// What the call carries when it is sent on.
    #[must_use]
    pub fn user_data(&self, conn: u64) -> KvList {
        self.call(conn).map(|call| call.user_data.clone()).unwrap_or_default()
    }

    /// What a call carries that a request makes.
    #[must_use]
    pub fn carried_by(&self, ticket: Ticket) -> Carried {
        match self.out.pending.get(&ticket).map(|pending| &pending.work) {
            Some(
                Work::Make(carried)
                | Work::Consult(Consult { carried, .. })
                | Work::Mute(Mute { consult: Consult { carried, .. }, .. }),
            ) => carried.clone(),
            Some(_) | None => Carried::default(),
        }
    }

    /// Whether a request waits for the outcome of an order.
    #[must_use]
    pub fn awaits(&self, ticket: Ticket) -> bool {
        self.out.pending.contains_key(&ticket)
    }

    /// Whether it is a request of one order, answered by an event.
    #[must_use]
    pub fn is_plain(&self, ticket: Ticket) -> bool {
        self.out.pending.get(&ticket).is_some_and(|pending| matches!(pending.work, Work::Plain))
    }

    /// Calls at a DN: at an Extension those it is a party of.
    #[must_use]
    pub fn at(&self, dn: &str) -> Vec<PartyInfo> {
        let conns = self.out.at.get(dn).into_iter().flatten();
        conns.filter_map(|conn| self.call(*conn)).filter_map(|call| call.info(call.named(dn)?)).collect()
    }

    /// Whether a call is at a DN.
    #[must_use]
    pub fn is_busy(&self, dn: &str) -> bool {
        self.out.at.contains_key(dn)
    }

    /// Parties of a call.
    #[must_use]
    pub fn parties(&self, conn: u64) -> Vec<PartyInfo> {
        let Some(call) = self.call(conn) else { return Vec::new() };
        let mut parties: Vec<PartyInfo> =
            (0..call.parties.len()).filter_map(|place| call.info(place)).collect();
        if let Some(at) = &call.waits {
            parties.push(PartyInfo {
                conn_id: conn_id(conn),
                dn: at.as_ref().to_owned(),
                role: DnRole::RoleNone,
                state: PartyState::Queued,
                other_dn: call.parties.first().map(|party| party.name.as_ref().to_owned()),
                call_type: call.kind,
                this_queue: Some(at.as_ref().to_owned()),
                user_data: call.user_data.clone(),
            });
        }
        parties
    }

    /// `EventPartyInfo`, the answer to `TQueryCall`.
    ///
    /// # Errors
    /// 56 for an unknown ConnID.
    pub fn call_info(&self, conn: &str, reference_id: Option<u32>) -> Result<Event, Refusal> {
        let conn = super::parse_conn_id(conn).ok_or(ErrorCode::InvConnid)?;
        let call = self.call(conn).ok_or(ErrorCode::InvConnid)?;
        let mut event = Event::new(EventName::PartyInfo);
        event.reference_id = reference_id;
        event.conn_id = Some(conn_id(conn));
        event.call_uuid = Some(format!("{:032x}", call.uuid));
        event.call_type = Some(call.kind);
        event.previous_conn_id = call.previous.map(conn_id);
        event.this_queue = call.queue.as_deref().map(str::to_owned);
        event.ani = Some(call.ani.as_ref().to_owned());
        event.dnis = Some(call.dnis.as_ref().to_owned());
        event.user_data = call.user_data.clone();
        event.parties = self.parties(conn);
        Ok(event)
    }

    /// Calls now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is no call, no request that waits for one, and nothing left to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let out = &self.out;
        let nothing_waits = out.pending.is_empty() && out.asked.is_empty();
        let nothing_to_tell = out.happenings.is_empty() && out.orders.is_empty();
        self.calls.is_empty() && self.keys.is_empty() && out.at.is_empty() && nothing_waits && nothing_to_tell
    }

    /// Takes a stored call up again after a restart; its ConnID, unless the record cannot be read. `key_of` finds the call
    /// beneath by its `CallUUID`; a call of which none came back is deleted.
    pub fn restore(
        &mut self,
        desk: &mut Desk<'_>,
        change: &Change,
        key_of: &dyn Fn(u128) -> Option<Key>,
    ) -> Option<u64> {
        let mut lost = false;
        let mut stored = Replicated::<TCall>::restore_as(change, |call| lost = call.find_again(key_of))?;
        let conn = stored.conn;
        if stored.parties.is_empty() || self.calls.contains_key(&conn) {
            stored.delete(desk.log);
            return Some(conn);
        }
        if lost {
            stored.update(desk.log, |_| ());
        }
        for (key, _) in &stored.keys {
            self.keys.insert(*key, conn);
        }
        for party in stored.parties.iter().filter(|party| party.inside) {
            self.out.began(&stored, &party.name);
            if party.talks() {
                let dn = Arc::clone(&party.name);
                self.out.happenings.push_back(Happening::Established { dn, conn });
            }
        }
        // Another life of the server may not give out its ConnIDs.
        while u64::from(self.high) == conn >> 32 {
            self.high = self.high.wrapping_add(1);
        }
        self.calls.insert(conn, Slot::Stored(Box::new(stored)));
        Some(conn)
    }

    /// The calls beneath a ConnID.
    pub(crate) fn keys_of(&self, conn: u64) -> Vec<Key> {
        self.call(conn).map(|call| call.keys.iter().map(|(key, _)| *key).collect()).unwrap_or_default()
    }
}

impl TCall {
    fn info(&self, place: usize) -> Option<PartyInfo> {
        let party = self.parties.get(place).filter(|party| party.told || !party.inside)?;
        let other = self.other(place).map_or(&self.dialled, |other| &other.name);
        Some(PartyInfo {
            conn_id: conn_id(self.conn),
            dn: party.name.as_ref().to_owned(),
            role: party.role,
            state: party.state,
            other_dn: (!self.conference || self.parties.len() == 2).then(|| other.as_ref().to_owned()),
            call_type: self.kind,
            this_queue: party.queue.as_deref().map(str::to_owned),
            user_data: self.user_data.clone(),
        })
    }
}
