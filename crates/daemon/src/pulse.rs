//! Who is told that the `Node`'s loop comes round: the virtual addresses, whose lease it extends, and systemd's watchdog.
//! A loop that is stuck extends and tells nothing, and both act on that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_quorum::Lease;

use crate::edges::address::AddressEdge;
use crate::limits::{ADDRESS_TAKEN_WITHIN, LOOP_LEASE, PULSE_EVERY};
use crate::systemd::{Systemd, Word};

/// See the module.
pub struct Pulse {
    address: Arc<AddressEdge>,
    systemd: Systemd,
    told: Option<Instant>,
    /// `None`: nobody listens.
    next: Option<Instant>,
}

/// Why virtual addresses are not here.
#[derive(Debug, thiserror::Error)]
pub enum NotHeld {
    /// The kernel has not answered yet.
    #[error("the kernel has not answered within {} ms", ADDRESS_TAKEN_WITHIN.as_millis())]
    Late,
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

impl Pulse {
    /// Of a server that holds no addresses yet.
    pub fn new(address: Arc<AddressEdge>, systemd: Systemd) -> Self {
        let next = (address.holds() || systemd.watchdog().is_some()).then(Instant::now);
        Self { address, systemd, told: None, next }
    }

    /// Takes the virtual addresses, before anything is sent from them: this server serves. Calling many calls back to life may
    /// take longer than a lease: then there is nothing to hold them by, and they come with the next one.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn take(&mut self, lease: Lease, now: Instant) -> Result<(), NotHeld> {
        self.hold(lease, now);
        if is_over(lease, Instant::now()) {
            return Ok(());
        }
        if !self.address.wait_held(ADDRESS_TAKEN_WITHIN) {
            return Err(NotHeld::Late);
        }
        match self.address.held().and_then(|held| held.fault()) {
            Some(why) => Err(NotHeld::Refused(why)),
            None => Ok(()),
        }
    }

    /// Drops them: this server serves no more.
    pub fn drop_address(&self) {
        self.address.stand_down();
    }

    /// When the loop must come round at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }

    /// The loop has come round. `lease`: until when this server serves; `None`: it does not.
    pub fn beat(&mut self, lease: Option<Lease>, now: Instant) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.next = Some(now + PULSE_EVERY);
        if let Some(lease) = lease {
            self.hold(lease, now);
        }
        if let Some(wait) = self.systemd.watchdog()
            && is_due(self.told, wait, now)
        {
            self.told = Some(now);
            self.systemd.tell(Word::Alive);
        }
    }

    fn hold(&self, lease: Lease, now: Instant) {
        // A server that alone decides is the site: as long as it works, the addresses are where it is.
        let alone = now + LOOP_LEASE;
        match lease {
            Lease::None => {}
            Lease::Until(end) => self.address.hold(end.min(alone)),
            Lease::Sole => self.address.hold(alone),
        }
    }
}

/// Whether nothing may leave by it any more.
fn is_over(lease: Lease, now: Instant) -> bool {
    match lease {
        Lease::None => true,
        Lease::Until(end) => end <= now,
        Lease::Sole => false,
    }
}

/// Whether systemd, which waits for so long, is to be told again: one sign in three may be lost.
fn is_due(told: Option<Instant>, wait: Duration, now: Instant) -> bool {
    told.is_none_or(|told| now.saturating_duration_since(told) >= wait / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_virtual_addresses_and_systemd_is_not_woken() {
        let pulse = Pulse::new(AddressEdge::start(None).unwrap(), Systemd::absent());
        assert_eq!(pulse.due(), None);
    }

    #[test]
    fn a_lease_that_ended_meanwhile_is_no_fault_of_the_addresses() {
        let now = Instant::now();
        let each =
            [Lease::None, Lease::Until(now), Lease::Until(now + Duration::from_millis(1)), Lease::Sole];
        assert_eq!(each.map(|lease| is_over(lease, now)), [true, true, false, false]);
        let mut pulse = Pulse::new(AddressEdge::start(None).unwrap(), Systemd::absent());
        assert!(pulse.take(Lease::Until(now), now).is_ok());
    }

    #[test]
    fn systemd_is_told_three_times_within_the_time_that_it_waits() {
        let (start, wait) = (Instant::now(), Duration::from_secs(3));
        assert!(is_due(None, wait, start));
        assert!(!is_due(Some(start), wait, start + Duration::from_millis(999)));
        assert!(is_due(Some(start), wait, start + Duration::from_millis(1_000)));
    }
}
