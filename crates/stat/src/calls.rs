//! Calls: at Extensions, and at queues until it is known what became of them.

use std::sync::Arc;

use tandem_cti::{CallType, DnRole, Event, EventName};

use crate::count::Delta;
use crate::limits::{MAX_LEGS, UNSEEN_MS};
use crate::model::Stat;
use crate::row::{Outcome, Row};
use crate::station::{Conn, Leg, LegState, Station};
use crate::wait::{Entry, Waiting};

/// ConnID of an event, if it can be read.
pub(crate) fn conn_of(text: Option<&str>) -> Option<Conn> {
    text.filter(|text| text.len() == 16).and_then(|text| Conn::from_str_radix(text, 16).ok())
}

/// Where and when something happens.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub site: usize,
    pub dn: &'a Arc<str>,
    pub time_ms: u64,
}

impl Stat {
    pub(crate) fn call_event(
        &mut self,
        site: usize,
        dn: &Arc<str>,
        station: &mut Station,
        event: &Event,
        time_ms: u64,
    ) {
        let Some(conn) = conn_of(event.conn_id.as_deref()) else { return };
        let at = At { site, dn, time_ms };
        self.rename(at, station, conn, conn_of(event.previous_conn_id.as_deref()), event);
        #[allow(clippy::wildcard_enum_match_arm, reason = "the other events change nothing that is counted")]
        match event.event {
            EventName::Ringing => {
                self.begin(at, station, conn, LegState::Ringing, true, event);
            }
            EventName::Dialing => {
                self.begin(at, station, conn, LegState::Dialing, false, event);
            }
            EventName::Established => {
                if !station.legs.contains_key(&conn) {
                    let incoming = event.this_dn_role != Some(DnRole::Origination);
                    let state = if incoming { LegState::Ringing } else { LegState::Dialing };
                    self.begin(at, station, conn, state, incoming, event);
                }
                self.answered(at, station, conn, true);
            }
            EventName::Held => {
                if let Some(leg) = station.legs.get_mut(&conn).filter(|leg| leg.state != LegState::Held) {
                    (leg.state, leg.held_since_ms) = (LegState::Held, Some(time_ms));
                }
            }
            EventName::Retrieved => {
                if let Some(leg) = station.legs.get_mut(&conn) {
                    leg.held_ms = leg.held_until(time_ms);
                    (leg.state, leg.held_since_ms) = (LegState::Talking, None);
                }
            }
            EventName::Released => self.over(at, station, conn, false),
            EventName::Abandoned => {
                self.abandoned_at_queue(site, conn, time_ms);
                self.over(at, station, conn, true);
            }
            _ => {}
        }
    }

    /// After a transfer the call that stays is the same conversation under another ConnID.
    fn rename(
        &mut self,
        at: At<'_>,
        station: &mut Station,
        conn: Conn,
        previous: Option<Conn>,
        event: &Event,
    ) {
        if event.event != EventName::PartyChanged {
            return;
        }
        if let Some(previous) = previous.filter(|_| !station.legs.contains_key(&conn))
            && let Some(leg) = station.legs.remove(&previous)
        {
            self.note_incoming(at.site, previous, &leg, false);
            self.note_incoming(at.site, conn, &leg, true);
            station.legs.insert(conn, leg);
        }
        if let Some(leg) = station.legs.get_mut(&conn) {
            leg.other = event.other_dn.as_deref().map(Arc::from).or(leg.other.take());
            leg.call_type = event.call_type.unwrap_or(leg.call_type);
        }
    }

    fn note_incoming(&mut self, site: usize, conn: Conn, leg: &Leg, there: bool) {
        if !leg.incoming {
            return;
        }
        let count = self.incoming.entry((site, conn)).or_default();
        *count = if there { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.incoming.remove(&(site, conn));
        }
    }

    /// A call comes to, or leaves from, an Extension.
    pub(crate) fn begin(
        &mut self,
        at: At<'_>,
        station: &mut Station,
        conn: Conn,
        state: LegState,
        incoming: bool,
        event: &Event,
    ) {
        if station.legs.contains_key(&conn) {
            return;
        }
        if station.legs.len() >= MAX_LEGS {
            self.lose();
            return;
        }
        let leg = Leg {
            first_conn: conn,
            state,
            call_type: event.call_type.unwrap_or(CallType::Unknown),
            queue: event.this_queue.as_deref().map(Arc::from),
            other: event.other_dn.as_deref().map(Arc::from),
            incoming,
            began_ms: at.time_ms,
            answered_ms: None,
            held_since_ms: None,
            held_ms: 0,
            waited_ms: None,
        };
        self.adopt(at, station, conn, leg);
    }

    /// Takes a call over that was not known at this DN.
    pub(crate) fn adopt(&mut self, at: At<'_>, station: &mut Station, conn: Conn, leg: Leg) {
        let objects = self.desk_objects(at.site, at.dn, station.login.as_ref().map(|login| &login.agent));
        self.count(objects, at.time_ms, if leg.incoming { Delta::Offered } else { Delta::Made });
        self.note_incoming(at.site, conn, &leg, true);
        if leg.incoming
            && let Some(entry) = self.waits.get_mut(at.site, conn)
        {
            if leg.queue.as_ref() == Some(&entry.queue) {
                entry.state = Waiting::Offered(at.time_ms);
                let queue = Arc::clone(&entry.queue);
                self.touch_wait(at.site, conn, &queue);
            } else {
                self.leave_queue(at.site, conn, at.time_ms, Outcome::Diverted, None);
            }
        }
        station.legs.insert(conn, leg);
    }

    /// A call is answered; `seen` is false if that happened while the service was cut off.
    pub(crate) fn answered(&mut self, at: At<'_>, station: &mut Station, conn: Conn, seen: bool) {
        let agent = station.login.as_ref().map(|login| Arc::clone(&login.agent));
        let Some(leg) = station.legs.get_mut(&conn).filter(|leg| leg.answered_ms.is_none()) else { return };
        (leg.state, leg.answered_ms) = (LegState::Talking, Some(at.time_ms));
        if !leg.incoming {
            return;
        }
        let entry = self.waits.get(at.site, conn).filter(|entry| leg.queue.as_ref() == Some(&entry.queue));
        let since = match (entry, &leg.queue) {
            (Some(entry), _) => Some(entry.since_ms),
            (None, None) => Some(leg.began_ms),
            (None, Some(_)) => None,
        };
        let wait_ms = since.filter(|_| seen).map(|since| at.time_ms.saturating_sub(since));
        let queued = entry.is_some();
        leg.waited_ms = wait_ms;
        let queue = leg.queue.clone();
        let within = queue.as_ref().zip(wait_ms).and_then(|(queue, wait)| self.within(at.site, queue, wait));
        if queued {
            self.leave_queue(at.site, conn, at.time_ms, Outcome::Handled, wait_ms);
        }
        let objects = self.desk_objects(at.site, at.dn, agent.as_ref());
        self.count(objects, at.time_ms, Delta::Handled { wait_ms, within });
    }

    pub(crate) fn within(&self, site: usize, queue: &str, wait_ms: u64) -> Option<bool> {
        Some(wait_ms <= self.queue_layout(site, queue)?.service_level_ms)
    }

    fn over(&mut self, at: At<'_>, station: &mut Station, conn: Conn, gave_up: bool) {
        let Some(leg) = station.legs.get(&conn) else { return };
        let outcome = match leg.state {
            LegState::Talking | LegState::Held => Outcome::Handled,
            LegState::Ringing if gave_up => Outcome::Abandoned,
            LegState::Ringing => Outcome::Missed,
            LegState::Dialing => Outcome::Unanswered,
        };
        self.end(at, station, conn, outcome);
    }

    /// A call has left an Extension.
    pub(crate) fn end(&mut self, at: At<'_>, station: &mut Station, conn: Conn, outcome: Outcome) {
        let Some(leg) = station.legs.remove(&conn) else { return };
        self.note_incoming(at.site, conn, &leg, false);
        let agent = station.login.as_ref().map(|login| Arc::clone(&login.agent));
        let mut objects = self.desk_objects(at.site, at.dn, agent.as_ref());
        let waited = at.time_ms.saturating_sub(leg.began_ms);
        let delta = match outcome {
            Outcome::Handled => {
                let queue = leg.queue.as_ref().filter(|queue| self.queue_layout(at.site, queue).is_some());
                objects.extend(queue.into_iter().flat_map(|queue| self.queue_objects(at.site, queue)));
                leg.answered_ms.map(|answered| Delta::Talked(at.time_ms.saturating_sub(answered)))
            }
            Outcome::Abandoned => Some(Delta::Abandoned { wait_ms: waited, within: None }),
            Outcome::Missed => Some(Delta::Missed),
            Outcome::Unseen if leg.answered_ms.is_none() => Some(Delta::Unseen),
            Outcome::Unseen | Outcome::Unanswered | Outcome::Diverted => None,
        };
        if let Some(delta) = delta.filter(|_| leg.incoming) {
            self.count(objects, at.time_ms, delta);
        }
        let name = self.site_name(at.site);
        self.push_row(Row::CallSegment {
            id: format!("segment:{name}:{:016x}:{}:{}", leg.first_conn, at.dn, leg.began_ms),
            site: name,
            dn: Arc::clone(at.dn),
            conn_id: format!("{conn:016x}"),
            agent,
            hold_ms: leg.held_until(at.time_ms),
            wait_ms: leg.waited_ms.or_else(|| (outcome == Outcome::Abandoned).then_some(waited)),
            queue: leg.queue,
            other: leg.other,
            call_type: Some(leg.call_type),
            from_unix_ms: leg.began_ms,
            answered_unix_ms: leg.answered_ms,
            to_unix_ms: at.time_ms,
            outcome,
        });
    }

    /// An event of a queue or routing point.
    pub(crate) fn queue_event(&mut self, site: usize, number: &Arc<str>, event: &Event, time_ms: u64) {
        if matches!(event.event, EventName::Registered | EventName::AddressInfo) {
            self.describe_queue(site, number, event, time_ms);
            return;
        }
        let Some(conn) = conn_of(event.conn_id.as_deref()) else { return };
        let here = self.waits.get(site, conn).is_some_and(|entry| entry.queue == *number);
        #[allow(clippy::wildcard_enum_match_arm, reason = "the other events change nothing that is counted")]
        match event.event {
            EventName::Queued | EventName::RouteRequest => {
                self.enter_queue(site, number, conn, event.other_dn.as_deref(), time_ms);
            }
            EventName::Diverted if here => {
                let target = event.third_party_dn.as_deref();
                let extensions = self.layout.sites.get(site).map(|site| &site.extensions);
                let offered = extensions.zip(target).is_some_and(|(known, target)| known.contains(target));
                if let Some(entry) = self.waits.get_mut(site, conn).filter(|_| offered) {
                    entry.state = Waiting::Offered(time_ms);
                    self.touch_wait(site, conn, number);
                } else {
                    self.leave_queue(site, conn, time_ms, Outcome::Diverted, None);
                }
            }
            EventName::Abandoned if here => self.abandoned_at_queue(site, conn, time_ms),
            EventName::Released if here => {
                self.leave_queue(site, conn, time_ms, Outcome::Diverted, None);
            }
            EventName::PartyChanged => {
                let previous = conn_of(event.previous_conn_id.as_deref());
                self.rename_entry(site, number, previous, conn);
            }
            _ => {}
        }
    }

    fn rename_entry(&mut self, site: usize, number: &Arc<str>, previous: Option<Conn>, conn: Conn) {
        let Some(previous) = previous.filter(|previous| *previous != conn) else { return };
        if self.waits.get(site, previous).is_some_and(|entry| entry.queue == *number)
            && self.waits.get(site, conn).is_none()
            && let Some(entry) = self.waits.leave(site, previous)
        {
            self.waits.enter(site, conn, entry);
            self.touch_wait(site, previous, number);
            self.touch_wait(site, conn, number);
        }
    }

    /// A call that is known at the queue comes back to it (`ReturnedToQueue`); any other one enters. A call is at one
    /// queue at a time: one that enters here has left the other.
    pub(crate) fn enter_queue(
        &mut self,
        site: usize,
        number: &Arc<str>,
        conn: Conn,
        caller: Option<&str>,
        time_ms: u64,
    ) {
        match self.waits.get_mut(site, conn) {
            Some(entry) if entry.queue == *number => entry.state = Waiting::Queued,
            known => {
                if known.is_some() {
                    self.leave_queue(site, conn, time_ms, Outcome::Diverted, None);
                }
                let entry = Entry {
                    first_conn: conn,
                    queue: Arc::clone(number),
                    since_ms: time_ms,
                    state: Waiting::Queued,
                    caller: caller.map(Arc::from),
                };
                if !self.waits.enter(site, conn, entry) {
                    self.lose();
                    return;
                }
                let objects = self.queue_objects(site, number);
                self.count(objects, time_ms, Delta::Offered);
            }
        }
        self.touch_wait(site, conn, number);
    }

    fn abandoned_at_queue(&mut self, site: usize, conn: Conn, time_ms: u64) {
        let since = self.waits.get(site, conn).map(|entry| entry.since_ms);
        let wait_ms = since.map(|since| time_ms.saturating_sub(since));
        self.leave_queue(site, conn, time_ms, Outcome::Abandoned, wait_ms);
    }

    /// It is known what became of a call at a queue.
    pub(crate) fn leave_queue(
        &mut self,
        site: usize,
        conn: Conn,
        time_ms: u64,
        outcome: Outcome,
        wait_ms: Option<u64>,
    ) {
        let Some(entry) = self.waits.leave(site, conn) else { return };
        let within = wait_ms.and_then(|wait| self.within(site, &entry.queue, wait));
        let delta = match outcome {
            Outcome::Handled => Delta::Handled { wait_ms, within },
            Outcome::Abandoned => Delta::Abandoned { wait_ms: wait_ms.unwrap_or_default(), within },
            Outcome::Diverted | Outcome::Missed | Outcome::Unanswered => Delta::Diverted,
            Outcome::Unseen => Delta::Unseen,
        };
        self.touch_wait(site, conn, &entry.queue);
        let objects = self.queue_objects(site, &entry.queue);
        self.count(objects, time_ms, delta);
        let name = self.site_name(site);
        self.push_row(Row::CallSegment {
            id: format!("segment:{name}:{:016x}:{}:{}", entry.first_conn, entry.queue, entry.since_ms),
            site: name,
            dn: Arc::clone(&entry.queue),
            conn_id: format!("{conn:016x}"),
            agent: None,
            queue: Some(entry.queue),
            other: entry.caller,
            call_type: None,
            from_unix_ms: entry.since_ms,
            answered_unix_ms: (outcome == Outcome::Handled).then_some(time_ms),
            to_unix_ms: time_ms,
            wait_ms,
            hold_ms: 0,
            outcome,
        });
    }

    /// Gives up on calls that left their queue and are nowhere to be seen.
    pub(crate) fn settle(&mut self, site: usize, now_ms: u64) {
        let lost = |entry: &Entry| match entry.state {
            Waiting::Queued => false,
            Waiting::Offered(at) | Waiting::Missing(at) => at.saturating_add(UNSEEN_MS) < now_ms,
        };
        let gone: Vec<Conn> = (self.waits.of_site(site))
            .filter(|(conn, entry)| lost(entry) && !self.incoming.contains_key(&(site, *conn)))
            .map(|(conn, _)| conn)
            .collect();
        for conn in gone {
            self.leave_queue(site, conn, now_ms, Outcome::Unseen, None);
        }
    }
}
