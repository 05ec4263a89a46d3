//! How far the node's thread is behind: since when each socket was last found empty. A thread that keeps up finds its
//! sockets empty many times in a second; one that does not has work that waits at least as long as it was last done.

use std::time::Instant;

use tandem_switch::Load;

use crate::limits::{LOAD_EVERY, MAX_LISTEN};

/// See the module.
#[derive(Debug, Default)]
pub struct LoadMeter {
    /// By socket: since when it was not found empty; `None` when it was.
    full_since: Vec<Option<Instant>>,
    told: Option<Instant>,
}

impl LoadMeter {
    /// A socket was read from, to its end or not.
    pub fn turn(&mut self, socket: usize, emptied: bool, now: Instant) {
        if socket >= self.full_since.len() && socket < MAX_LISTEN {
            self.full_since.resize(socket + 1, None);
        }
        if let Some(since) = self.full_since.get_mut(socket) {
            *since = if emptied { None } else { since.or(Some(now)) };
        }
    }

    /// What the node is to be told, when it is time. `queued`: how full the queue of commands is, percent.
    pub fn due(&mut self, queued: usize, now: Instant) -> Option<Load> {
        if self.told.is_some_and(|told| now < told + LOAD_EVERY) {
            return None;
        }
        self.told = Some(now);
        let behind =
            self.full_since.iter().flatten().map(|since| now.saturating_duration_since(*since)).max();
        Some(Load {
            behind_for: behind.unwrap_or_default(),
            queued_percent: u8::try_from(queued.min(100)).unwrap_or(100),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_socket_that_is_never_empty_is_behind_since_it_was() {
        let (mut meter, start) = (LoadMeter::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        meter.turn(0, false, start);
        meter.turn(1, false, at(300));
        meter.turn(0, false, at(400));
        assert_eq!(
            meter.due(50, at(500)),
            Some(Load { behind_for: Duration::from_millis(500), queued_percent: 50 })
        );
        assert_eq!(meter.due(50, at(510)), None, "not so often");
        meter.turn(0, true, at(600));
        assert_eq!(meter.due(0, at(700)).unwrap().behind_for, Duration::from_millis(400), "the other one");
        meter.turn(1, true, at(700));
        assert_eq!(meter.due(0, at(900)), Some(Load::default()));
    }
}
