//! Conferences at the mixer. The consulted party goes there first: only when the mixer has taken it do the others follow, so
//! that a mixer that refuses, or is silent, costs nobody his call with the customer.

use std::sync::Arc;
use std::time::Duration;

use tandem_cti::{ErrorCode, Refusal};

use super::Node;
use super::floor::with_calls;
use super::orders::{NOBODY, refusal};
use crate::arena::Key;
use crate::call::control::{Begun, Operation};
use crate::call::{Call, LegNo, Ticket};
use crate::cti::calls;
use crate::limits::MIXER_PATIENCE;

/// A conference whose consulted party is on its way to the mixer.
#[derive(Debug)]
pub(super) struct Gathering {
    /// The call that becomes the conference.
    key: Key,
    /// The consulted party's leg, where it was.
    moved: (Key, LegNo),
    /// Where it is now.
    at: (Key, LegNo),
}

impl Node {
    /// `TCompleteConference`: the consulted party goes to the mixer.
    pub(super) fn conference(
        &mut self,
        ticket: Ticket,
        key: Key,
        moved: (Key, LegNo),
    ) -> Result<Begun, Refusal> {
        let name = self.conference_name(key)?;
        // All of them or none: a conference is never half made.
        for leg in self.floor.tcalls.conference_legs(key, moved) {
            self.calls.may_leave(leg).map_err(refusal)?;
        }
        let patience = MIXER_PATIENCE + Duration::from_secs(1);
        let at = self.mix(ticket, moved, &name, patience).map_err(refusal)?;
        self.floor.gatherings.insert(ticket, Gathering { key, moved, at });
        Ok(Begun::Later)
    }

    /// The mixer has taken the consulted party, or has not. True: the outcome was a conference's.
    pub(super) fn gathers(&mut self, ticket: Ticket, outcome: Result<(), u16>) -> bool {
        let Some(gathering) = self.floor.gatherings.remove(&ticket) else { return false };
        let outcome = outcome.map_err(refusal).and_then(|()| self.others_follow(&gathering));
        if let Err(refused) = outcome {
            // The consulted party is lost with the mixer's call; what is left of the consultation ends.
            for key in [gathering.at.0, gathering.moved.0] {
                let _ = self.operate(key, Operation::Clear);
            }
            with_calls!(self, |tcalls, desk| tcalls.done(desk, ticket, Err(refused)));
        }
        true
    }

    fn others_follow(&mut self, gathering: &Gathering) -> Result<(), Refusal> {
        let Gathering { key, moved, at } = *gathering;
        let name = self.conference_name(key)?;
        let mut legs = self.floor.tcalls.conference_legs(key, moved);
        legs.retain(|leg| *leg != moved);
        for leg in &legs {
            self.calls.may_leave(*leg).map_err(refusal)?;
        }
        for leg in legs {
            // What becomes of them shows in the events of their parties.
            let now_at = self.mix(NOBODY, leg, &name, Duration::ZERO).map_err(refusal)?;
            with_calls!(self, |tcalls, desk| tcalls.moved(desk, leg, now_at));
        }
        with_calls!(self, |tcalls, desk| tcalls.moved(desk, moved, at));
        self.known_by_uuid(key);
        Ok(())
    }

    /// Another process finds the mixer's calls again.
    fn known_by_uuid(&mut self, key: Key) {
        let Some(conn) = self.floor.tcalls.conn_of(key) else { return };
        for beneath in self.floor.tcalls.keys_of(conn) {
            if let Some(uuid) = self.calls.get(beneath).map(Call::uuid) {
                with_calls!(self, |tcalls, desk| tcalls.known_by(desk, conn, beneath, uuid));
            }
        }
    }

    /// An earlier process had brought the consulted party to the mixer, and the others had not followed: nobody will. That
    /// call ends, and so does what is left of the consultation.
    pub(super) fn end_half_conferences(&mut self) {
        let of = |key: Key| Some((key, self.calls.get(key)?));
        let is_left = |key: Key, call: &Call| call.is_at_mixer() && self.floor.tcalls.conn_of(key).is_none();
        let (left, others): (Vec<_>, Vec<_>) =
            self.calls.keys().into_iter().filter_map(of).partition(|(key, call)| is_left(*key, call));
        if left.is_empty() {
            return;
        }
        let alone = others.into_iter().filter(|(_, call)| call.is_alone() && !call.is_at_mixer());
        let ends: Vec<Key> = left.into_iter().chain(alone).map(|(key, _)| key).collect();
        for key in ends {
            let _ = self.operate(key, Operation::Clear);
        }
    }

    fn conference_name(&self, key: Key) -> Result<String, Refusal> {
        let conn = self.floor.tcalls.conn_of(key).ok_or(ErrorCode::InvConnid)?;
        Ok(calls::conn_id(conn))
    }

    /// Connects a leg with the mixer.
    fn mix(
        &mut self,
        ticket: Ticket,
        leg: (Key, LegNo),
        name: &str,
        others_follow_within: Duration,
    ) -> Result<(Key, LegNo), u16> {
        let directory = Arc::clone(&self.rooms.directory);
        let mixer = directory.floor().mixer.as_ref().ok_or(503u16)?;
        self.calls.to_mixer(&mut self.rooms, ticket, leg, mixer, name, others_follow_within)
    }
}
