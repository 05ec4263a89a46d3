//! A new configuration, and calls taken up again from their stored places.

use std::sync::Arc;

use tandem_peer::Replicated;
use tandem_peer::replica::Change;

use super::idle::Rota;
use super::line::{Class, Line, Rank, Rules};
use super::record::Place;
use super::timers::Timer;
use super::{Arrival, Desk, OverflowWhy, Queues};

impl Queues {
    /// Reads the configuration before the first use.
    pub(super) fn ready(&mut self, desk: &mut Desk<'_>) {
        if !self.adopted {
            self.read(desk);
        }
    }

    /// Takes a new configuration: calls of queues that are gone leave, agents serve what they serve now, and whoever
    /// fits now gets a call.
    pub(super) fn read(&mut self, desk: &mut Desk<'_>) {
        self.adopted = true;
        let agents: Vec<usize> = self.agents.iter().map(|(slot, _)| slot).collect();
        for slot in &agents {
            self.leave_lines(*slot);
        }
        self.remove_lines(desk);
        for queue in &desk.directory.floor().queues {
            match self.by_number.get(&queue.number).copied() {
                Some(number) => self.renew_line(number, Rules::from(queue)),
                None => {
                    let number = self.lines.insert(Line::new(Rules::from(queue)));
                    self.by_number.insert(Arc::clone(&queue.number), number);
                }
            }
        }
        self.read_points(desk);
        let by_number = &self.by_number;
        self.rota = Rota::new(desk.directory, |number| by_number.get(number).copied());
        for slot in &agents {
            self.join_lines(desk.directory, *slot);
        }
        let numbers: Vec<usize> = self.by_number.values().copied().collect();
        for number in numbers {
            self.leave_if_unattended(desk, number);
        }
        self.serve_everybody(desk);
    }

    fn remove_lines(&mut self, desk: &mut Desk<'_>) {
        let gone = self.by_number.keys().filter(|number| desk.directory.queue(number).is_none());
        for number in gone.cloned().collect::<Vec<_>>() {
            let Some(line) = self.by_number.remove(&number) else { continue };
            self.overflow_line(desk, line, OverflowWhy::Configuration);
            if let Some(line) = self.lines.get_mut(line) {
                line.gone = true;
            }
            self.drop_line(line);
        }
    }

    /// The queue is configured otherwise. Nobody is seated now.
    fn renew_line(&mut self, number: usize, rules: Rules) {
        let Some(line) = self.lines.get_mut(number) else { return };
        line.rules = rules;
        line.classes = vec![Class::default()];
        let calls: Vec<Rank> = line.order.iter().chain(&line.ringing).copied().collect();
        for rank in calls {
            let Some(call) = self.calls.get_mut(&rank.conn) else { continue };
            // Calls that are in stay in, even if more combinations of skills come of it than a new call may open.
            call.class = line.class_of(&call.place.skills, usize::MAX).map_or(0, |(class, _)| class);
            line.join(call.class);
            if call.offered.is_none() {
                line.wait(call.class, rank);
            }
            let until = line.waits_until(call.place.entered_unix_ms);
            self.timers.set(rank.conn, &mut call.due, Timer::MaxWait, until);
        }
    }

    /// Its calls overflow if nobody is logged in and it says so.
    pub(super) fn leave_if_unattended(&mut self, desk: &mut Desk<'_>, number: usize) {
        if self.lines.get(number).is_some_and(Line::is_unattended) {
            self.overflow_line(desk, number, OverflowWhy::NoAgents);
        }
    }

    /// Takes up a stored place; the call that it belongs to, or `None` if it is no such record.
    pub(super) fn take_up(&mut self, desk: &mut Desk<'_>, change: &Change) -> Option<u64> {
        let stored: Replicated<Place> = Replicated::restore(change)?;
        self.record = self.record.max(change.key.id);
        let (conn, at, priority) = (stored.conn, stored.at.clone(), stored.priority);
        self.enter(desk, Arrival { conn, at, priority, skills: Vec::new() }, Some(stored));
        Some(conn)
    }
}
