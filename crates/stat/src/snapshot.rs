//! What a DN looks like now (`EventRegistered`, `EventAddressInfo`), compared with what is known of it. After a gap this
//! rebuilds the model; what is known already is not counted again, because a call keeps its ConnID and an agent his DN.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_cti::{AgentState, DnRole, Event, PartyInfo, PartyState, WorkMode};

use crate::calls::{At, conn_of};
use crate::model::Stat;
use crate::row::Outcome;
use crate::station::{Conn, Leg, LegState, Posture, Station};
use crate::wait::Waiting;

fn parties(event: &Event) -> impl Iterator<Item = (Conn, &PartyInfo)> {
    event.parties.iter().filter_map(|party| Some((conn_of(Some(&party.conn_id))?, party)))
}

fn leg_state(state: PartyState) -> Option<LegState> {
    match state {
        PartyState::Dialing | PartyState::Busy => Some(LegState::Dialing),
        PartyState::Alerting => Some(LegState::Ringing),
        PartyState::Connected => Some(LegState::Talking),
        PartyState::Held => Some(LegState::Held),
        PartyState::Queued | PartyState::Failed => None,
    }
}

impl Stat {
    pub(crate) fn describe_station(
        &mut self,
        site: usize,
        dn: &Arc<str>,
        station: &mut Station,
        event: &Event,
        time_ms: u64,
    ) {
        if event.in_service.is_some() {
            station.in_service = event.in_service;
        }
        self.describe_agent(site, dn, station, event, time_ms);
        let at = At { site, dn, time_ms };
        let told: BTreeMap<Conn, (LegState, &PartyInfo)> = parties(event)
            .filter(|(_, party)| party.dn.as_str() == &**dn)
            .filter_map(|(conn, party)| Some((conn, (leg_state(party.state)?, party))))
            .collect();
        let gone: Vec<Conn> = station.legs.keys().filter(|conn| !told.contains_key(conn)).copied().collect();
        for conn in gone {
            self.end(at, station, conn, Outcome::Unseen);
        }
        for (conn, (state, party)) in told {
            self.describe_leg(at, station, conn, state, party);
        }
    }

    fn describe_agent(
        &mut self,
        site: usize,
        dn: &Arc<str>,
        station: &mut Station,
        event: &Event,
        time_ms: u64,
    ) {
        let posture = match event.agent_state {
            None if event.agent_id.is_some() => return,
            None | Some(AgentState::LoggedOut) => {
                self.logout(site, dn, station, time_ms);
                return;
            }
            Some(AgentState::NotReady) => Posture::not_ready(event.work_mode),
            Some(AgentState::BusyNotReady) => Posture::NotReady(event.work_mode.unwrap_or_default()),
            Some(AgentState::Ready | AgentState::BusyReady | AgentState::BusyAfterCallWork) => Posture::Ready,
        };
        // A description without reasons does not end the reason that the agent gave.
        let same = |known: Posture| match (known, posture) {
            (Posture::NotReady(_), Posture::NotReady(WorkMode::Unknown)) => true,
            (known, told) => known == told,
        };
        let known = station.login.as_ref().filter(|login| {
            event.agent_id.as_deref().is_none_or(|agent| &*login.agent == agent) && same(login.posture)
        });
        if known.is_none() {
            self.posture(site, dn, station, event, posture, time_ms);
        }
    }

    fn describe_leg(
        &mut self,
        at: At<'_>,
        station: &mut Station,
        conn: Conn,
        state: LegState,
        party: &PartyInfo,
    ) {
        if !station.legs.contains_key(&conn) {
            let incoming = party.role != DnRole::Origination;
            let leg = Leg {
                first_conn: conn,
                state: if incoming { LegState::Ringing } else { LegState::Dialing },
                call_type: party.call_type,
                queue: party.this_queue.as_deref().map(Arc::from),
                other: party.other_dn.as_deref().map(Arc::from),
                incoming,
                began_ms: at.time_ms,
                answered_ms: None,
                held_since_ms: None,
                held_ms: 0,
                waited_ms: None,
            };
            self.adopt(at, station, conn, leg);
        }
        if matches!(state, LegState::Talking | LegState::Held) {
            self.answered(at, station, conn, false);
        }
        let Some(leg) = station.legs.get_mut(&conn) else { return };
        match (leg.state, state) {
            (LegState::Talking, LegState::Held) => {
                (leg.state, leg.held_since_ms) = (LegState::Held, Some(at.time_ms));
            }
            (LegState::Held, LegState::Talking) => {
                leg.held_ms = leg.held_until(at.time_ms);
                (leg.state, leg.held_since_ms) = (LegState::Talking, None);
            }
            (LegState::Ringing | LegState::Dialing | LegState::Talking | LegState::Held, _) => {}
        }
    }

    /// A call that is no longer at its queue went to an agent, or is gone: which of the two shows at the agents' DNs.
    pub(crate) fn describe_queue(&mut self, site: usize, number: &Arc<str>, event: &Event, time_ms: u64) {
        let told: BTreeMap<Conn, Option<&str>> = parties(event)
            .filter(|(_, party)| party.state == PartyState::Queued)
            .map(|(conn, party)| (conn, caller(party, number)))
            .collect();
        let queued = self.waits.of_queue(site, number).filter(|(_, entry)| entry.state == Waiting::Queued);
        let gone: BTreeSet<Conn> =
            queued.map(|(conn, _)| conn).filter(|conn| !told.contains_key(conn)).collect();
        for conn in gone {
            if let Some(entry) = self.waits.get_mut(site, conn) {
                entry.state = Waiting::Missing(time_ms);
                self.touch_wait(site, conn, number);
            }
        }
        for (conn, caller) in told {
            self.enter_queue(site, number, conn, caller, time_ms);
        }
    }
}

/// The party of a waiting call that is not the queue itself.
fn caller<'a>(party: &'a PartyInfo, number: &str) -> Option<&'a str> {
    if party.dn == number { party.other_dn.as_deref() } else { Some(&party.dn) }
}
