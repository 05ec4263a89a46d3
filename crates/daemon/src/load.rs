//! How long messages wait before the node's thread reads them. A busy thread with a short queue is not behind: of what the
//! oldest datagrams of its turns waited, the least counts (as CoDel judges a queue, RFC 8289 3.2).

use std::time::{Duration, Instant};

use tandem_switch::Load;

use crate::limits::{LOAD_EVERY, MAX_LISTEN};

/// See the module.
#[derive(Debug, Default)]
pub struct LoadMeter {
    /// By socket: the least that the oldest datagram of a turn waited since the node was told.
    least: Vec<Option<Duration>>,
    told: Option<Instant>,
}

impl LoadMeter {
    /// A turn began with a datagram of this socket, which had waited so long.
    pub fn read(&mut self, socket: usize, waited: Duration) {
        if socket >= self.least.len() && socket < MAX_LISTEN {
            self.least.resize(socket + 1, None);
        }
        if let Some(least) = self.least.get_mut(socket) {
            *least = Some(least.map_or(waited, |least| least.min(waited)));
        }
    }

    /// What the node is to be told, when it is time. `queued`: how full the queue of commands is, percent.
    pub fn due(&mut self, queued: usize, now: Instant) -> Option<Load> {
        if self.told.is_some_and(|told| now < told + LOAD_EVERY) {
            return None;
        }
        self.told = Some(now);
        let waits = self.least.iter_mut().filter_map(Option::take).max().unwrap_or_default();
        Some(Load { waits, queued_percent: u8::try_from(queued.min(100)).unwrap_or(100) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_least_wait_of_the_socket_that_is_worst_off_counts() {
        let (mut meter, start) = (LoadMeter::default(), Instant::now());
        for waited in [900, 300, 500] {
            meter.read(1, ms(waited));
        }
        meter.read(0, ms(2));
        assert_eq!(meter.due(50, start), Some(Load { waits: ms(300), queued_percent: 50 }));
        meter.read(0, ms(40));
        assert_eq!(meter.due(50, start + ms(10)), None, "not so often");
        assert_eq!(
            meter.due(0, start + LOAD_EVERY),
            Some(Load { waits: ms(40), queued_percent: 0 }),
            "of this time"
        );
        assert_eq!(meter.due(0, start + LOAD_EVERY * 2), Some(Load::default()), "nothing came");
    }

    #[test]
    fn a_thread_that_never_rests_is_not_behind_while_its_queue_is_short() {
        let (mut meter, start) = (LoadMeter::default(), Instant::now());
        assert!(meter.due(0, start).is_some());
        // Every turn finds something, and begins with what came a millisecond ago; one hiccup changes nothing.
        for turn in 0..200 {
            meter.read(0, if turn == 77 { ms(250) } else { ms(1) });
        }
        assert_eq!(meter.due(0, start + ms(200)).unwrap().waits, ms(1));
    }
}
