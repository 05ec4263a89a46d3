//! Calls at queues: how they come, wait, return from an offer that came to nothing, and leave.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use tandem_peer::Replicated;

use super::history::{AgentStep, CallStep, Coming};
use super::line::{Line, Rank};
use super::record::Place;
use super::timers::{Due, Timer};
use super::{Arrival, Desk, OfferEnd, OverflowWhy, Queues, Wish};
use crate::limits::{MAX_FAILED_KEPT, MAX_SKILL_CLASSES, MAX_WANTED_SKILLS, PAUSE_AFTER_FAILED_MS};

/// An agent who was offered a call in vain.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub dn: Arc<str>,
    /// Until then he is not offered it again.
    pub until_unix_ms: u64,
}

/// A call at a queue: it waits, or it rings at an agent.
#[derive(Debug)]
pub(super) struct Call {
    pub place: Replicated<Place>,
    pub line: usize,
    pub class: usize,
    pub rank: Rank,
    /// DN at which it rings.
    pub offered: Option<Arc<str>>,
    /// Latest last.
    pub failed: VecDeque<Failed>,
    pub due: Due,
    at_once: u32,
    /// It was offered once more although its time here is over.
    last_chance: bool,
}

impl Call {
    /// Until when the agent at this DN is not offered it, if he failed it.
    pub fn failed_by(&self, dn: &str) -> Option<u64> {
        let failed = self.failed.iter().rev().find(|failed| *failed.dn == *dn);
        failed.map(|failed| failed.until_unix_ms)
    }

    fn note_failure(&mut self, dn: Arc<str>, now_unix_ms: u64) {
        self.failed.retain(|failed| failed.dn != dn);
        if self.failed.len() >= MAX_FAILED_KEPT {
            self.failed.pop_front();
        }
        self.failed
            .push_back(Failed { dn, until_unix_ms: now_unix_ms.saturating_add(PAUSE_AFTER_FAILED_MS) });
    }

    fn next_pause(&self, now_unix_ms: u64) -> Option<u64> {
        let pauses = self.failed.iter().map(|failed| failed.until_unix_ms);
        pauses.filter(|until| *until > now_unix_ms).min()
    }
}

/// A call that leaves a queue or routing point by itself.
#[derive(Debug)]
pub(super) struct TurnedAway {
    pub conn: u64,
    pub at: Arc<str>,
    pub to: Option<Arc<str>>,
    pub why: OverflowWhy,
    pub coming: Coming,
    /// It has been here for some time.
    pub waited: bool,
}

impl TurnedAway {
    /// A call that finds no place at a queue.
    fn at_door(place: &Place, at_once: u32, line: &Line, why: OverflowWhy) -> Self {
        Self {
            conn: place.conn,
            at: line.rules.number.clone(),
            to: line.rules.overflow.clone(),
            why,
            coming: Coming { since_unix_ms: place.since_unix_ms, at_once },
            waited: false,
        }
    }
}

/// Skills by name, none twice, at most [`MAX_WANTED_SKILLS`].
pub(super) fn in_order(mut skills: Vec<(Arc<str>, u32)>) -> Vec<(Arc<str>, u32)> {
    skills.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    skills.dedup_by(|again, first| again.0 == first.0);
    skills.truncate(MAX_WANTED_SKILLS);
    skills
}

impl Queues {
    /// A call comes to a queue or routing point, or is taken up again with its stored place.
    pub(super) fn enter(&mut self, desk: &mut Desk<'_>, arrival: Arrival, stored: Option<Replicated<Place>>) {
        let now = desk.now.unix_ms;
        self.vacate(desk, arrival.conn, false);
        let mut coming = self.past.come(arrival.conn, &arrival.at, now);
        let mut place = Place {
            conn: arrival.conn,
            at: arrival.at,
            since_unix_ms: coming.since_unix_ms,
            entered_unix_ms: now,
            priority: arrival.priority,
            skills: in_order(arrival.skills),
        };
        if let Some(stored) = &stored {
            place.clone_from(stored);
            coming.since_unix_ms = place.since_unix_ms;
        }
        let (at, since_unix_ms) = (place.at.clone(), place.since_unix_ms);
        let came = CallStep::Arrived { at: at.clone(), priority: place.priority, since_unix_ms };
        self.past.note(place.conn, now, came);
        if let Some(line) = self.by_number.get(&at).copied() {
            self.enter_line(desk, line, place, coming.at_once, stored);
        } else if self.points.contains_key(&at) {
            self.enter_point(desk, place, coming.at_once, stored);
        } else {
            let conn = place.conn;
            let why = OverflowWhy::Configuration;
            self.turn_away(desk, TurnedAway { conn, at, to: None, why, coming, waited: false }, stored);
        }
    }

    fn enter_line(
        &mut self,
        desk: &mut Desk<'_>,
        number: usize,
        place: Place,
        at_once: u32,
        stored: Option<Replicated<Place>>,
    ) {
        let Some(line) = self.lines.get_mut(number) else { return };
        if line.is_unattended() {
            let away = TurnedAway::at_door(&place, at_once, line, OverflowWhy::NoAgents);
            return self.turn_away(desk, away, stored);
        }
        let Some((class, new)) = line.class_of(&place.skills, MAX_SKILL_CLASSES) else {
            let away = TurnedAway::at_door(&place, at_once, line, OverflowWhy::Length);
            return self.turn_away(desk, away, stored);
        };
        if new {
            self.seat_class(number, class);
        }
        let Some(line) = self.lines.get_mut(number) else { return };
        let nobody = line.classes.get(class).is_none_or(|class| class.idle.is_empty());
        if nobody && line.is_full() {
            let away = TurnedAway::at_door(&place, at_once, line, OverflowWhy::Length);
            return self.turn_away(desk, away, stored);
        }
        line.join(class);
        self.seq += 1;
        let conn = place.conn;
        let rank = Rank {
            priority: Reverse(place.priority),
            since_unix_ms: place.since_unix_ms,
            seq: self.seq,
            conn,
        };
        let until = line.waits_until(place.entered_unix_ms);
        let place = self.keep(desk, place, stored);
        let (offered, failed) = (None, VecDeque::new());
        let mut call = Call {
            place,
            line: number,
            class,
            rank,
            offered,
            failed,
            due: Due::default(),
            at_once,
            last_chance: false,
        };
        self.timers.set(conn, &mut call.due, Timer::MaxWait, until);
        self.calls.insert(conn, call);
        self.wait_or_offer(desk, conn);
    }

    /// Seats everybody who is available and fits a class that has just been made.
    fn seat_class(&mut self, number: usize, class: usize) {
        let Some(line) = self.lines.get_mut(number) else { return };
        let Some(mut made) = line.classes.get_mut(class).map(std::mem::take) else { return };
        let everybody = line.classes.first().into_iter().flat_map(|everybody| &everybody.idle);
        let fitting =
            everybody.filter_map(|seat| line.seat(&made, self.agents.get(seat.slot)?, seat.slot)).collect();
        made.idle = fitting;
        if let Some(empty) = line.classes.get_mut(class) {
            *empty = made;
        }
    }

    /// Stores the place, unless it is stored already.
    pub(super) fn keep(
        &mut self,
        desk: &mut Desk<'_>,
        place: Place,
        stored: Option<Replicated<Place>>,
    ) -> Replicated<Place> {
        stored.unwrap_or_else(|| {
            self.record += 1;
            Replicated::create(self.record, place, desk.log)
        })
    }

    /// The call takes its place in the line and an agent, if there is one.
    fn wait_or_offer(&mut self, desk: &mut Desk<'_>, conn: u64) {
        let now = desk.now.unix_ms;
        let Some(call) = self.calls.get_mut(&conn) else { return };
        let Some(line) = self.lines.get_mut(call.line) else { return };
        line.wait(call.class, call.rank);
        self.serve_call(desk, conn);
        let Some(call) = self.calls.get(&conn).filter(|call| call.offered.is_none()) else { return };
        let considered = self.unfit(call);
        let (agents, available) =
            self.lines.get(call.line).map_or((0, 0), |line| (line.agents, line.available()));
        self.past.note(conn, now, CallStep::Waits { agents, available, considered });
        self.set_pause(conn, now);
    }

    /// Sets the timer of the next agent whose pause ends.
    pub(super) fn set_pause(&mut self, conn: u64, now_unix_ms: u64) {
        let Some(call) = self.calls.get_mut(&conn).filter(|call| call.offered.is_none()) else { return };
        let until = call.next_pause(now_unix_ms);
        self.timers.set(conn, &mut call.due, Timer::Pause, until);
    }

    /// The call leaves for its queue's overflow destination, or is refused.
    pub(super) fn turn_away(
        &mut self,
        desk: &mut Desk<'_>,
        away: TurnedAway,
        place: Option<Replicated<Place>>,
    ) {
        let TurnedAway { conn, at, to, why, coming, waited } = away;
        if let Some(place) = place {
            place.delete(desk.log);
        }
        let to = self.past.move_on(conn, to.as_ref(), coming, waited);
        let status = if why == OverflowWhy::Length { 486 } else { 480 };
        let step = CallStep::Overflowed { at: at.clone(), to: to.clone(), status, why };
        self.past.note(conn, desk.now.unix_ms, step);
        self.past.go(conn);
        self.wishes.push_back(Wish::Overflow { conn, from: at, to, status, why });
    }

    /// A waiting call leaves for its queue's overflow destination.
    pub(super) fn overflow(&mut self, desk: &mut Desk<'_>, conn: u64, why: OverflowWhy) {
        let Some(line) = self.calls.get(&conn).and_then(|call| self.lines.get(call.line)) else { return };
        let (at, to) = (line.rules.number.clone(), line.rules.overflow.clone());
        let Some(call) = self.take(conn) else { return };
        let coming = Coming { since_unix_ms: call.place.since_unix_ms, at_once: call.at_once };
        let waited = call.place.entered_unix_ms < desk.now.unix_ms;
        self.turn_away(desk, TurnedAway { conn, at, to, why, coming, waited }, Some(call.place));
    }

    /// Every call that waits in a line leaves it, in order.
    pub(super) fn overflow_line(&mut self, desk: &mut Desk<'_>, number: usize, why: OverflowWhy) {
        let Some(line) = self.lines.get(number) else { return };
        let conns: Vec<u64> = line.order.iter().map(|rank| rank.conn).collect();
        for conn in conns {
            self.overflow(desk, conn, why);
        }
    }

    /// Takes a call out of its queue. Its stored place and the agent at whom it rings are left to the caller.
    fn take(&mut self, conn: u64) -> Option<Call> {
        let mut call = self.calls.remove(&conn)?;
        self.timers.stop(conn, &mut call.due);
        if let Some(line) = self.lines.get_mut(call.line) {
            line.stop_waiting(call.class, call.rank);
            line.ringing.remove(&call.rank);
            line.part(call.class);
            self.drop_line(call.line);
        }
        Some(call)
    }

    /// Forgets a line that has left the configuration once its last call is gone.
    pub(super) fn drop_line(&mut self, number: usize) {
        if self.lines.get(number).is_some_and(|line| line.gone && line.ringing.is_empty()) {
            self.lines.remove(number);
        }
    }

    /// The agent at whom the call rang is rid of it.
    fn free_agent(
        &mut self,
        dn: &str,
        conn: u64,
        now_unix_ms: u64,
        step: Option<AgentStep>,
    ) -> Option<usize> {
        let slot = *self.by_dn.get(dn)?;
        let agent = self.agents.get_mut(slot)?;
        if agent.offer != Some(conn) {
            return None;
        }
        agent.offer = None;
        if let Some(step) = step {
            agent.steps.note(now_unix_ms, step);
        }
        Some(slot)
    }

    /// The call is gone from wherever it is. Who was about to get it gets another one, if he may be offered calls.
    pub(super) fn vacate(&mut self, desk: &mut Desk<'_>, conn: u64, told: bool) {
        let now = desk.now.unix_ms;
        let call = self.take(conn);
        let offered = call.as_ref().and_then(|call| call.offered.clone());
        let Some(place) = call.map(|call| call.place).or_else(|| self.unpark(conn)) else { return };
        let at = place.at.clone();
        place.delete(desk.log);
        if told {
            self.past.note(conn, now, CallStep::Left { at });
        }
        self.past.go(conn);
        if let Some(slot) = offered.and_then(|dn| self.free_agent(&dn, conn, now, None)) {
            self.sit(slot);
            self.serve_agent(desk, slot);
        }
    }

    pub(super) fn taken(&mut self, desk: &mut Desk<'_>, conn: u64) {
        let now = desk.now.unix_ms;
        if self.calls.get(&conn).is_none_or(|call| call.offered.is_none()) {
            return;
        }
        let Some(call) = self.take(conn) else { return };
        call.place.delete(desk.log);
        let Some(dn) = call.offered else { return };
        if let Some(slot) = self.free_agent(&dn, conn, now, Some(AgentStep::Answered { conn }))
            && let Some(agent) = self.agents.get_mut(slot)
        {
            agent.idle = None;
        }
        self.past.note(conn, now, CallStep::Answered { dn });
        self.past.go(conn);
    }

    /// The offer came to nothing.
    pub(super) fn returned(&mut self, desk: &mut Desk<'_>, conn: u64, why: OfferEnd) {
        let now = desk.now.unix_ms;
        let Some(call) = self.calls.get_mut(&conn) else { return };
        let Some(dn) = call.offered.take() else { return };
        self.timers.set(conn, &mut call.due, Timer::NoAnswer, None);
        call.note_failure(dn.clone(), now);
        let (number, entered) = (call.line, call.place.entered_unix_ms);
        if let Some(line) = self.lines.get_mut(number) {
            line.ringing.remove(&call.rank);
        }
        self.past.note(conn, now, CallStep::Failed { dn: dn.clone(), why });
        let slot = self.free_agent(&dn, conn, now, Some(AgentStep::Failed { conn, why }));
        if let Some(slot) = slot {
            self.sit(slot);
        }
        self.take_back_into_line(desk, conn, number, entered);
        if let Some(slot) = slot {
            self.serve_agent(desk, slot);
        }
    }

    /// The call is where it was, or leaves if it has to wait and may not.
    fn take_back_into_line(&mut self, desk: &mut Desk<'_>, conn: u64, number: usize, entered_unix_ms: u64) {
        let Some(line) = self.lines.get(number) else { return };
        if line.gone {
            return self.overflow(desk, conn, OverflowWhy::Configuration);
        }
        let overdue = line.waits_until(entered_unix_ms).is_some_and(|until| until <= desk.now.unix_ms);
        let unattended = line.is_unattended();
        // An agent who is free now is worth one more offer, but phones that refuse at once must not keep it for ever.
        let had = overdue
            && self.calls.get_mut(&conn).is_some_and(|call| std::mem::replace(&mut call.last_chance, true));
        if !had {
            self.wait_or_offer(desk, conn);
        }
        if self.calls.get(&conn).is_none_or(|call| call.offered.is_some()) {
            return;
        }
        if unattended {
            self.overflow(desk, conn, OverflowWhy::NoAgents);
        } else if overdue {
            self.overflow(desk, conn, OverflowWhy::Time);
        }
    }
}
