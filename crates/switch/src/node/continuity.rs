//! The continuity mode as it changes, and what its return to `Peered` does to agents.
//!
//! Forced logout follows the end of a registration, so nobody is logged out because the sites are peered again.
//! `dr-recovery-sweep` does that on top: whoever is logged in at a DN that is out of service here is logged out then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_cti::KvList;
use tandem_peer::continuity::Mode;
use tandem_peer::limits::FORCED_LOGOUT_GRACE;

use super::Node;
use super::floor::desk;
use crate::agent;
use crate::agent::{LogoutBy, View};
use crate::event::Event;
use crate::routing;
use crate::time::Now;

/// When agents without a phone may be swept.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The end of the grace after the start.
    earliest: Instant,
    /// Put off until then.
    due: bool,
}

impl Sweep {
    pub(super) fn starting(now: Now) -> Self {
        Self { earliest: now.mono + FORCED_LOGOUT_GRACE, due: false }
    }
}

impl Node {
    /// Continuity mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.rooms.trunks.mode()
    }

    pub(super) fn mode_may_have_changed(&mut self) {
        let directory = Arc::clone(&self.rooms.directory);
        let Some(from) = self.rooms.trunks.judge(&directory, self.rooms.now) else { return };
        let to = self.mode();
        self.rooms.counters.mode_changes += 1;
        self.rooms.report(Event::ModeChanged { from, to });
        self.leaving_go_or_stay();
        self.signals.mode_changed(from, to, self.rooms.now.mono);
        self.sweep.due = to == Mode::Peered && directory.options.dr_recovery_sweep;
        if to == Mode::Peered {
            self.peered_again();
        }
    }

    /// How long until the sites are peered, if the peer trunk is back and `dr-recovery-delay` runs.
    pub(super) fn peered_in(&self, now: Now) -> Option<Duration> {
        let at = self.rooms.trunks.judged_at(&self.rooms.directory)?;
        Some(at.saturating_duration_since(now.mono))
    }

    pub(super) fn continuity_timeout(&self) -> Option<Instant> {
        let judged = self.rooms.trunks.judged_at(&self.rooms.directory);
        let swept = self.sweep.due.then_some(self.sweep.earliest);
        [judged, swept].into_iter().flatten().min()
    }

    pub(super) fn run_continuity(&mut self) {
        self.mode_may_have_changed();
        // A reload may have switched it off meanwhile.
        self.sweep.due &= self.rooms.directory.options.dr_recovery_sweep;
        if self.sweep.due && self.rooms.now.mono >= self.sweep.earliest {
            self.peered_again();
        }
        self.judge_failure();
    }

    /// Counts the agents whose phone is not here, and logs them out if that is wanted and its time has come.
    fn peered_again(&mut self) {
        let agents = self.floor.agents.list();
        let (all, stranded) = (agents.len(), self.without_phone(agents));
        let logged_out = self.sweep.due && self.rooms.now.mono >= self.sweep.earliest;
        if logged_out {
            self.sweep.due = false;
            let (desk, nothing) = (&mut desk!(self, agent), KvList::new);
            for dn in &stranded {
                // Somebody is logged in, and no call keeps the server from it.
                let _ = self.floor.agents.logout(desk, dn, LogoutBy::DrForce, None, nothing(), nothing());
            }
        }
        if all > 0 {
            self.rooms.report(Event::PeeredAgain { agents_without_phone: stranded.len(), logged_out });
        }
    }

    fn without_phone(&self, agents: Vec<View>) -> Vec<Arc<str>> {
        let directory = &self.rooms.directory;
        let has_phone = |dn: &str| {
            directory.find(dn.as_bytes()).is_some_and(|id| routing::in_service(&self.rooms, directory, id))
        };
        agents.into_iter().map(|agent| agent.dn).filter(|dn| !has_phone(dn)).collect()
    }
}
